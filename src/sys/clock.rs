//! The clocks. A loop reads one once a turn and passes what it read down.

use std::time::{Duration, Instant, SystemTime};

/// Now, on the clock that never goes back.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the place that loops take their `now` from"
)]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Now, as people say it; it can jump.
#[must_use]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Nanoseconds on the clock that never goes back. The same clock for all processes of this host, so
/// that one may compare what another has noted. Never 0.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let time = read(libc::CLOCK_MONOTONIC);
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// The same clock as it was at the last tick of the system's timer, at most ten milliseconds ago: cheap
/// enough to be read for every record.
#[must_use]
#[inline]
pub fn tick() -> Duration {
    read(libc::CLOCK_MONOTONIC_COARSE)
}

/// Reads one of the clocks that always exist.
#[inline]
fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a local; the clock always exists, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_shortly_before_now_and_comes_again() {
        let first = tick();
        let mut next = first;
        while next == first {
            next = tick();
        }
        let now = Duration::from_nanos(monotonic_ns());
        assert!(first < next && next <= now, "{first:?} {next:?} {now:?}");
    }

    /// Shows: each clock's span, taken inside the other's, is the shorter one.
    #[test]
    fn the_clock_in_nanoseconds_goes_with_the_other_one() {
        let outer = monotonic();
        let before_ns = monotonic_ns();
        let inner = monotonic();
        while inner.elapsed().as_micros() < 100 {
            std::hint::spin_loop();
        }
        let shorter = inner.elapsed().as_nanos();
        let passed = u128::from(monotonic_ns() - before_ns);
        let longer = outer.elapsed().as_nanos();
        assert!(
            shorter <= passed && passed <= longer,
            "{shorter} {passed} {longer}"
        );
    }
}

//! The clocks. A loop reads one once a turn and passes what it read down.

use std::time::{Instant, SystemTime};

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
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a local; this clock always exists, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanos)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

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

//! Waiting for what must come, with a deadline.

use std::time::{Duration, Instant};

/// Whatever is waited for has come by then, even on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `done` gives something; looks again every few milliseconds.
///
/// # Panics
/// When it has not come in time; says what was waited for.
pub fn wait_for<T>(what: &str, within: Duration, done: impl FnMut() -> Option<T>) -> T {
    wait_or_tell(what, within, done, String::new)
}

/// As [`wait_for`]; `tell` says what there is instead of what was waited for.
///
/// # Panics
/// When it has not come in time.
pub fn wait_or_tell<T>(
    what: &str,
    within: Duration,
    mut done: impl FnMut() -> Option<T>,
    tell: impl Fn() -> String,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "waited {within:?} in vain for: {what}\n{}",
            tell()
        );
        pause();
    }
}

/// Lets others run for a moment between two looks.
pub fn pause() {
    let mut none = [];
    let _ = nix::poll::poll(&mut none, 5_u16);
}

/// Lets time pass in portions that no timer is fine enough for.
pub fn spin(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

//! Times, sizes and exits in few characters.

use std::time::{Duration, SystemTime};

use cluster::control::reply::LastExit;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What is nearer is told with a decimal.
const NEAR_MS: u64 = 10_000;

/// What is not known.
pub(crate) const UNKNOWN: &str = "-";

/// What is shown of something that may not be known.
pub(crate) fn or_unknown(known: Option<impl ToString>) -> String {
    known.map_or_else(|| UNKNOWN.to_owned(), |known| known.to_string())
}

/// A duration in its two largest units: `12s`, `1m33s`, `3h05m`, `2d04h`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < MINUTE {
        format!("{seconds}s")
    } else if seconds < HOUR {
        format!("{}m{:02}s", seconds / MINUTE, seconds % MINUTE)
    } else if seconds < DAY {
        format!("{}h{:02}m", seconds / HOUR, seconds % HOUR / MINUTE)
    } else {
        format!("{}d{:02}h", seconds / DAY, seconds % DAY / HOUR)
    }
}

/// A duration in its largest unit: `12s`, `2m`, `3h`, `2d`.
fn span_short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < MINUTE {
        format!("{seconds}s")
    } else if seconds < HOUR {
        format!("{}m", seconds / MINUTE)
    } else if seconds < DAY {
        format!("{}h", seconds / HOUR)
    } else {
        format!("{}d", seconds / DAY)
    }
}

/// How long ago a moment is; one in the future counts as now, for clocks are set back.
pub(crate) fn since(moment: &str, now: SystemTime) -> Option<Duration> {
    let moment = humantime::parse_rfc3339_weak(moment).ok()?;
    Some(now.duration_since(moment).unwrap_or_default())
}

/// How long something is still to come: `1.8s` when it is near, else as [`span`].
pub(crate) fn wait(milliseconds: u64) -> String {
    if milliseconds < NEAR_MS {
        format!("{}.{}s", milliseconds / 1000, milliseconds % 1000 / 100)
    } else {
        span(Duration::from_millis(milliseconds))
    }
}

/// Bytes in the largest unit of which there is at least one: `512B`, `34.5M`.
pub(crate) fn bytes(bytes: u64) -> String {
    let mut unit: u64 = 1;
    let mut letter = 'B';
    for next in ['K', 'M', 'G', 'T'] {
        if bytes / unit < 1024 {
            break;
        }
        unit = unit.saturating_mul(1024);
        letter = next;
    }
    if unit == 1 {
        return format!("{bytes}B");
    }
    let tenths = (bytes % unit).saturating_mul(10) / unit;
    format!("{}.{tenths}{letter}", bytes / unit)
}

/// How it ended, in the words in which the supervisor gives it as a reason: `SIGSEGV (core)`,
/// `exit 3`.
pub(crate) fn ending(exit: &LastExit) -> String {
    match (&exit.signal, exit.code) {
        (Some(signal), _) if exit.core => format!("{signal} (core)"),
        (Some(signal), _) => signal.clone(),
        (None, Some(code)) => format!("{} {code}", exit.kind),
        (None, None) => exit.kind.clone(),
    }
}

/// A last exit: `SIGSEGV(core) 12s ago`, `exit 3 2m ago`.
pub(crate) fn exit(exit: &LastExit, now: SystemTime) -> String {
    let what = ending(exit).replace(" (core)", "(core)");
    match since(&exit.at, now) {
        Some(ago) => format!("{what} {} ago", span_short(ago)),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn spans_and_sizes_are_short() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (93, "1m33s"),
            (3660, "1h01m"),
            (100_000, "1d03h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
        for (size, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.0K"),
            (36_175_872, "34.5M"),
            (u64::MAX, "16777215.9T"),
        ] {
            assert_eq!(bytes(size), text);
        }
        for (milliseconds, text) in [(250, "0.2s"), (1_850, "1.8s"), (3_594_000, "59m54s")] {
            assert_eq!(wait(milliseconds), text);
        }
    }

    #[test]
    fn an_exit_says_how_and_when() {
        let now = UNIX_EPOCH + Duration::from_secs(200);
        let mut last = LastExit {
            kind: "signal".to_owned(),
            code: None,
            signal: Some("SIGSEGV".to_owned()),
            core: true,
            asked: false,
            at: "1970-01-01T00:03:08Z".to_owned(),
        };
        assert_eq!(exit(&last, now), "SIGSEGV(core) 12s ago");
        last.core = false;
        assert_eq!(exit(&last, now), "SIGSEGV 12s ago");
        last.kind = "exit".to_owned();
        last.signal = None;
        last.code = Some(3);
        last.at = "1970-01-01T00:00:30.5Z".to_owned();
        assert_eq!(exit(&last, now), "exit 3 2m ago");
        last.at = "2030-01-01T00:00:00Z".to_owned();
        assert_eq!(exit(&last, now), "exit 3 0s ago");
        last.at = "some day".to_owned();
        assert_eq!(exit(&last, now), "exit 3");
    }
}

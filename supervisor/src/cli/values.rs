//! The values of options: each parsed once, into what it means.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cluster::data::Value;
use cluster::data::json::{self, JsonError, JsonReason};
use cluster::topic;
use nix::sys::signal::Signal;

/// No limit on the command line is longer; sums of a few of them never overflow.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// The largest number of a signal.
const SIGNAL_MAX: u8 = 64;

/// Seconds (`10`, `0.5`), or a number with its unit (`200ms`, `2m`).
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_nan() || seconds < 0.0 => None,
        // What is beyond all durations is beyond a year, too.
        Ok(seconds) => Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    match parsed {
        Some(parsed) if parsed <= DURATION_MAX => Ok(parsed),
        Some(_) => Err("give a year at most".to_owned()),
        None => Err("give seconds from 0 up (10, 0.5), or a number with its unit (2m)".to_owned()),
    }
}

/// A moment: so long ago, or a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long before now.
    Ago(Duration),
    /// Then.
    At(SystemTime),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = humantime::parse_rfc3339_weak(text) {
            return Ok(Self::At(at));
        }
        duration(text).map(Self::Ago).map_err(|_| {
            "give how long ago (90, 10m, 2h) or a date (2026-01-31T12:00:00Z)".to_owned()
        })
    }
}

impl Since {
    /// Milliseconds of the Unix epoch.
    pub(crate) fn epoch_ms(self, now: SystemTime) -> u64 {
        let at = match self {
            Self::Ago(long) => now.checked_sub(long).unwrap_or(UNIX_EPOCH),
            Self::At(at) => at,
        };
        milliseconds(at.duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

/// A duration in whole milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A signal: a number, or a name with or without `SIG`. What it means is the supervisor's to say;
/// here only what cannot be one is refused, for whoever writes the node first.
pub(crate) fn signal(text: &str) -> Result<String, String> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let known = match upper.parse::<u8>() {
        Ok(number) => (1..=SIGNAL_MAX).contains(&number),
        Err(_) => {
            name.starts_with("RTMIN")
                || name.starts_with("RTMAX")
                || Signal::from_str(&format!("SIG{name}")).is_ok()
        }
    };
    if known {
        Ok(upper)
    } else {
        Err("this is no signal; write the signal first: supervisor signal HUP worker-1".to_owned())
    }
}

/// A topic or a prefix of topics: no longer than what travels can say.
pub(crate) fn topic(text: &str) -> Result<String, String> {
    topic::check_length(text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// A topic to publish to.
pub(crate) fn full_topic(text: &str) -> Result<String, String> {
    check_printable(text, "a topic")?;
    topic(text)
}

/// The name of an event, or the word for standard input.
pub(crate) fn event(text: &str) -> Result<String, String> {
    check_printable(text, "an event's name")?;
    Ok(text.to_owned())
}

/// Nobody types an empty name or a newline in one on purpose. Whatever nodes publish is shown all the same,
/// and copied from standard input.
fn check_printable(text: &str, what: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("{what} cannot be empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{what} has no control characters, as newlines are"));
    }
    Ok(())
}

/// An argument of an event, as JSON.
pub(crate) fn argument(text: &str) -> Result<Value, String> {
    json::decode_plain(text.as_bytes()).map_err(|error| {
        let what = cluster::causes::chain(&error);
        match error {
            JsonError::Malformed(_) => {
                format!("{what}; a text has quotes of its own: '\"word\"'")
            }
            JsonError::NoValue {
                reason: JsonReason::NoType,
                ..
            } => format!(
                "{what}; write {{\"@data-type\": \"table\", \"data\": [{{\"key\": …, \"value\": …}}]}}"
            ),
            JsonError::NotAnObject
            | JsonError::NotAnArray
            | JsonError::NoTopic
            | JsonError::NoValue { .. } => what,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_unless_they_name_a_unit() {
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for (text, hint) in [
            ("-1", "from 0 up"),
            ("-0.5", "from 0 up"),
            ("nan", "from 0 up"),
            ("-inf", "from 0 up"),
            ("soon", "from 0 up"),
            ("", "from 0 up"),
            ("inf", "a year at most"),
            ("1e300", "a year at most"),
            ("9000000h", "a year at most"),
        ] {
            let said = duration(text).unwrap_err();
            assert!(said.contains(hint), "{text}: {said}");
        }
    }

    #[test]
    fn a_moment_is_a_date_or_so_long_ago() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let at = |text: &str| text.parse::<Since>().unwrap().epoch_ms(now);
        assert_eq!(at("90"), 910_000);
        assert_eq!(at("10m"), 400_000);
        assert_eq!(at("2h"), 0);
        assert_eq!(at("1970-01-01T00:00:01.5Z"), 1500);
        assert_eq!(at("1970-01-01 00:00:02"), 2000);
        assert!("yesterday".parse::<Since>().is_err());
    }

    #[test]
    fn what_is_published_has_a_name_that_can_be_seen() {
        assert_eq!(full_topic("a/b"), Ok("a/b".to_owned()));
        assert_eq!(topic(""), Ok(String::new()), "the prefix of all topics");
        for (said, hint) in [
            (full_topic(""), "a topic cannot be empty"),
            (full_topic("a\nb"), "no control characters"),
            (full_topic(&"x".repeat(65536)), "65535"),
            (event(""), "an event's name cannot be empty"),
            (event("\u{9b}2J"), "no control characters"),
        ] {
            let said = said.unwrap_err();
            assert!(said.contains(hint), "{said}");
        }
    }

    #[test]
    fn an_argument_is_json_and_a_mistake_says_what_to_write() {
        assert_eq!(argument("1"), Ok(Value::Count(1)));
        assert_eq!(argument("[]"), Ok(Value::Vector(vec![])));
        for (text, hint) in [
            ("word", "quotes of its own"),
            ("{\"a\": 1}", "\"table\""),
            ("{\"@data-type\": \"kount\", \"data\": 1}", "\"kount\""),
        ] {
            let said = argument(text).unwrap_err();
            assert!(said.contains(hint), "{said}");
        }
    }

    #[test]
    fn a_node_in_the_place_of_the_signal_is_refused() {
        for (text, expected) in [
            ("hup", "HUP"),
            ("SIGTERM", "SIGTERM"),
            ("9", "9"),
            ("RTMIN+3", "RTMIN+3"),
        ] {
            assert_eq!(signal(text), Ok(expected.to_owned()));
        }
        for text in ["worker-1", "0", "65", "", "SIG"] {
            assert!(signal(text).is_err(), "{text}");
        }
    }
}

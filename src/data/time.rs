//! Points and spans of time, in nanoseconds.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time: nanoseconds since 1970 in UTC, negative before. Covers the years 1677 to 2262. Format
/// v1, timestamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A span of time in nanoseconds, either way; at most 292 years. Format v1, timespan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timespan(i64);

impl Timestamp {
    /// The point that lies so many nanoseconds after 1970 began.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970 began.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The same point as the system has it; `None` if the system's range ends before.
    #[must_use]
    pub fn system_time(self) -> Option<SystemTime> {
        let distance = Duration::from_nanos(self.0.unsigned_abs());
        if self.0 < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        }
    }
}

impl Timespan {
    /// A span of so many nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Its length in nanoseconds.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The same span as the standard library has it; `None` if it is negative.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        u64::try_from(self.0).ok().map(Duration::from_nanos)
    }
}

impl From<SystemTime> for Timestamp {
    /// A point out of range becomes the nearest one in it.
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(Timespan::from(after).nanos()),
            Err(before) => Self(Timespan::from(before.duration()).nanos().saturating_neg()),
        }
    }
}

impl From<Duration> for Timespan {
    /// A span out of range becomes the longest one.
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ns", self.0)
    }
}

impl fmt::Display for Timespan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ns", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_time_survives_the_systems_form() {
        for nanos in [0, 1, -1_500_000_000, i64::MAX, i64::MIN + 1] {
            let point = Timestamp::from_nanos(nanos);
            assert_eq!(point.system_time().map(Timestamp::from), Some(point));
        }
    }

    #[test]
    fn a_span_out_of_range_becomes_the_longest_and_a_negative_one_has_no_duration() {
        assert_eq!(Timespan::from(Duration::MAX).nanos(), i64::MAX);
        assert_eq!(Timespan::from_nanos(-1).duration(), None);
        let second = Duration::from_secs(1);
        assert_eq!(Timespan::from(second).duration(), Some(second));
    }
}

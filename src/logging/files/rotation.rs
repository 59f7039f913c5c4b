//! When a file is rotated: by time as Zeek aligns it, by size.

use crate::data::{Timespan, Timestamp};

/// What makes a file due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// At every multiple of this since 1970; never, if it is `None` or not above nothing.
    pub interval: Option<Timespan>,
    /// When it has this many bytes; never, if it is `None`.
    pub bytes_max: Option<u64>,
}

/// When one file is due. It sees the wall clock, which may jump either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    due: Option<Timestamp>,
    /// The file's bytes that do not count.
    base: u64,
}

impl Rotation {
    /// The first multiple of the interval behind a time: Zeek's `calc_next_rotate` without a base time.
    #[must_use]
    pub fn next(&self, time: Timestamp) -> Option<Timestamp> {
        let interval = self.interval?.nanos();
        if interval <= 0 {
            return None;
        }
        let begun = time
            .nanos()
            .saturating_sub(time.nanos().rem_euclid(interval));
        Some(Timestamp::from_nanos(begun.saturating_add(interval)))
    }
}

impl Schedule {
    /// The schedule of a file that was opened at a time.
    #[must_use]
    pub fn new(rotation: &Rotation, opened: Timestamp) -> Self {
        Self {
            due: rotation.next(opened),
            base: 0,
        }
    }

    /// When it is due by time.
    #[must_use]
    pub const fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Whether a file of so many bytes is due.
    ///
    /// A clock that was set forward makes it due once. One that was set back by more than an interval
    /// makes it due at the next multiple as the clock has it now, instead of when it has caught up; one
    /// that swings by less around a multiple makes it due at the first time that it passes there.
    pub fn is_due(&mut self, rotation: &Rotation, now: Timestamp, length: u64) -> bool {
        if let (Some(due), Some(next)) = (self.due, rotation.next(now)) {
            let interval = rotation.interval.map_or(0, Timespan::nanos);
            if due.nanos().saturating_sub(interval) > next.nanos() {
                self.due = Some(next);
            }
        }
        let by_time = self.due.is_some_and(|due| now >= due);
        let grown = length.saturating_sub(self.base);
        by_time || rotation.bytes_max.is_some_and(|max| grown >= max.max(1))
    }

    /// It could not be rotated: due again after another interval, or when it has grown as much again.
    pub fn put_off(&mut self, rotation: &Rotation, now: Timestamp, length: u64) {
        self.due = rotation.next(now);
        self.base = length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const HOUR: i64 = 3600 * SECOND;

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    fn hourly() -> Rotation {
        Rotation {
            interval: Some(Timespan::from_nanos(HOUR)),
            bytes_max: None,
        }
    }

    #[test]
    fn files_are_due_at_multiples_of_the_interval() {
        let next = |nanos| hourly().next(at(nanos));
        assert_eq!(next(0), Some(at(HOUR)));
        assert_eq!(next(HOUR - 1), Some(at(HOUR)));
        assert_eq!(next(HOUR), Some(at(2 * HOUR)));
        assert_eq!(next(-1), Some(at(0)));
        assert!(next(i64::MAX).is_some() && next(i64::MIN).is_some());
        let never = Rotation {
            interval: Some(Timespan::from_nanos(0)),
            bytes_max: None,
        };
        assert_eq!(never.next(at(5)), None);
    }

    #[test]
    fn a_clock_that_jumps_rotates_once_and_not_in_a_loop() {
        let mut now = at(10 * HOUR + SECOND);
        let mut schedule = Schedule::new(&hourly(), now);
        assert!(!schedule.is_due(&hourly(), now, 1));
        // A year forward: once.
        now = at(now.nanos() + 365 * 24 * HOUR);
        assert!(schedule.is_due(&hourly(), now, 1));
        schedule = Schedule::new(&hourly(), now);
        assert!(!schedule.is_due(&hourly(), now, 1));
        // A year back: at the next hour of the new time, not in a year.
        now = at(10 * HOUR + SECOND);
        assert!(!schedule.is_due(&hourly(), now, 1));
        assert!(!schedule.is_due(&hourly(), at(11 * HOUR - 1), 1));
        assert!(schedule.is_due(&hourly(), at(11 * HOUR), 1));
    }

    #[test]
    fn a_clock_that_swings_around_a_multiple_rotates_once() {
        let mut schedule = Schedule::new(&hourly(), at(HOUR - 1));
        let mut rotated = 0;
        for step in 0..100 {
            let now = at(HOUR - 1 + step % 2);
            if schedule.is_due(&hourly(), now, 1) {
                rotated += 1;
                schedule = Schedule::new(&hourly(), now);
            }
        }
        assert_eq!(rotated, 1);
    }

    #[test]
    fn a_file_is_due_by_size_and_after_a_failure_when_it_has_grown_as_much_again() {
        let rotation = Rotation {
            interval: None,
            bytes_max: Some(100),
        };
        let mut schedule = Schedule::new(&rotation, at(0));
        assert!(!schedule.is_due(&rotation, at(1), 99));
        assert!(schedule.is_due(&rotation, at(1), 100));
        schedule.put_off(&rotation, at(1), 100);
        assert!(!schedule.is_due(&rotation, at(2), 199));
        assert!(schedule.is_due(&rotation, at(2), 200));
    }
}

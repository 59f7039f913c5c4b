//! Times as text: `2022-04-10T16:07:00.123` and `1500ms`.

use std::fmt::{self, Write};

use crate::data::calendar::Date;
use crate::data::{Timespan, Timestamp};

const NANOS_A_SECOND: i64 = 1_000_000_000;

/// Units of spans and their lengths in nanoseconds. Those written stand first, the largest one first.
const UNITS: [(&str, i64); 6] = [
    ("s", NANOS_A_SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
    ("min", 60 * NANOS_A_SECOND),
    ("h", 3600 * NANOS_A_SECOND),
];

/// Writes a point in time in UTC, to the millisecond below it. Before 1970 the fraction is lost and
/// the second is the one above, as in Broker.
pub(super) fn write_timestamp(out: &mut impl Write, time: Timestamp) -> fmt::Result {
    let seconds = time.nanos() / NANOS_A_SECOND;
    let millis = (time.nanos() % NANOS_A_SECOND).max(0) / 1_000_000;
    let Date {
        year,
        month,
        day,
        hour,
        minute,
        second,
    } = Date::of(seconds);
    write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}"
    )
}

/// Writes a span in the largest unit up to the second that it is a multiple of.
pub(super) fn write_timespan(out: &mut impl Write, span: Timespan) -> fmt::Result {
    let nanos = span.nanos();
    let found = UNITS.iter().find(|(_, length)| nanos % length == 0);
    let (unit, length) = found.unwrap_or(&("ns", 1));
    write!(out, "{}{unit}", nanos / length)
}

/// A text that is read from its beginning.
struct Text<'a>(&'a str);

impl Text<'_> {
    fn eat(&mut self, expected: char) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    /// So many digits, as a number in a range.
    fn number(&mut self, digits: usize, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        number.parse().ok().filter(|number| range.contains(number))
    }

    /// A fraction of a second in nanoseconds: up to nine digits behind a point, or nothing.
    fn fraction(&mut self) -> Option<i64> {
        if self.eat('.').is_none() {
            return Some(0);
        }
        let end = self.0.find(|c: char| !c.is_ascii_digit());
        let (digits, rest) = self.0.split_at_checked(end.unwrap_or(self.0.len()))?;
        if digits.is_empty() || digits.len() > 9 {
            return None;
        }
        self.0 = rest;
        format!("{digits:0<9}").parse().ok()
    }

    /// How many seconds local time is ahead of UTC: `Z`, `±hh`, `±hh:mm` or nothing, to the end.
    fn zone(&mut self) -> Option<i64> {
        if matches!(self.0, "" | "Z") {
            return Some(0);
        }
        let sign = if self.eat('+').is_some() {
            1
        } else {
            self.eat('-')?;
            -1
        };
        let mut seconds = 3600 * self.number(2, 0..=23)?;
        if self.eat(':').is_some() {
            seconds += 60 * self.number(2, 0..=59)?;
        }
        self.0.is_empty().then_some(sign * seconds)
    }
}

/// Reads a point in time. A date without a time is refused, and so is one that no calendar has.
pub(super) fn read_timestamp(text: &str) -> Option<Timestamp> {
    let (seconds, nanos) = read_instant(text)?;
    let nanos = seconds.checked_mul(NANOS_A_SECOND)?.checked_add(nanos)?;
    Some(Timestamp::from_nanos(nanos))
}

/// As [`read_timestamp`], for every year from 0 to 9999: seconds since 1970, and nanoseconds after them.
pub(crate) fn read_instant(text: &str) -> Option<(i64, i64)> {
    let mut text = Text(text);
    let year = text.number(4, 0..=9999)?;
    text.eat('-')?;
    let month = text.number(2, 1..=12)?;
    text.eat('-')?;
    let day = text.number(2, 1..=31)?;
    text.eat('T')?;
    let hour = text.number(2, 0..=23)?;
    text.eat(':')?;
    let minute = text.number(2, 0..=59)?;
    text.eat(':')?;
    let second = text.number(2, 0..=59)?;
    let fraction = text.fraction()?;
    let ahead = text.zone()?;
    let date = Date {
        year,
        month,
        day,
        hour,
        minute,
        second,
    };
    Some((date.seconds()? - ahead, fraction))
}

/// Reads a span: a number, which may have a sign, decimals and an exponent, and a unit.
pub(super) fn read_timespan(text: &str) -> Option<Timespan> {
    let in_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    let (number, unit) = text.split_at_checked(text.find(|c| !in_number(c))?)?;
    let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let nanos = if number.contains(['.', 'e', 'E']) {
        whole(number.parse::<f64>().ok()? * to_f64(*length))?
    } else {
        number.parse::<i64>().ok()?.checked_mul(*length)?
    };
    Some(Timespan::from_nanos(nanos))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the units are far below 2^53, where every integer is a number"
)]
const fn to_f64(length: i64) -> f64 {
    length as f64
}

/// The integer between a number and zero, if there is one.
fn whole(real: f64) -> Option<i64> {
    // 2^63, the first number beyond.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "to truncate is what is wanted, and the range was looked at"
    )]
    let integer = real as i64;
    (-BEYOND..BEYOND).contains(&real).then_some(integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timestamp(nanos: i64) -> String {
        let mut text = String::new();
        write_timestamp(&mut text, Timestamp::from_nanos(nanos)).unwrap();
        text
    }

    fn timespan(nanos: i64) -> String {
        let mut text = String::new();
        write_timespan(&mut text, Timespan::from_nanos(nanos)).unwrap();
        text
    }

    #[test]
    fn points_in_time_are_written_as_broker_writes_them() {
        for (nanos, expected) in [
            (0, "1970-01-01T00:00:00.000"),
            (1_649_606_820_123_456_789, "2022-04-10T16:07:00.123"),
            (-1_500_000_000, "1969-12-31T23:59:59.000"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000"),
            (i64::MAX, "2262-04-11T23:47:16.854"),
            (i64::MIN, "1677-09-21T00:12:44.000"),
        ] {
            assert_eq!(timestamp(nanos), expected);
        }
    }

    #[test]
    fn points_in_time_are_read_with_any_fraction_and_zone() {
        const NANOS: i64 = 1_649_606_820_000_000_000;
        for (text, expected) in [
            ("2022-04-10T16:07:00", Some(NANOS)),
            ("2022-04-10T16:07:00.000", Some(NANOS)),
            ("2022-04-10T16:07:00.123456789Z", Some(NANOS + 123_456_789)),
            ("2022-04-10T16:07:00.5", Some(NANOS + 500_000_000)),
            ("2022-04-10T18:07:00+02:00", Some(NANOS)),
            ("2022-04-10T12:37:00-03:30", Some(NANOS)),
            ("2022-04-10T18:07:00+02", Some(NANOS)),
            ("1969-12-31T23:59:58.500", Some(-1_500_000_000)),
            ("2022-04-10", None),
            ("2022-04-10 16:07:00", None),
            ("2022-02-29T00:00:00", None),
            ("2022-04-10T24:00:00", None),
            ("2022-04-10T16:07:00.1234567890", None),
            ("2022-04-10T16:07:00x", None),
            ("2022-04-10T16:07:00+2", None),
            ("2022-04-10T16:07:0\u{e9}", None),
            ("2262-04-12T00:00:00", None),
            ("9999-12-31T23:59:59", None),
        ] {
            let read = read_timestamp(text).map(Timestamp::nanos);
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn spans_are_written_in_the_largest_unit_without_loss() {
        for (nanos, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1000, "1us"),
            (1_500_000_000, "1500ms"),
            (-23_000_000_000, "-23s"),
            (7_200_000_000_000, "7200s"),
            (i64::MIN, "-9223372036854775808ns"),
        ] {
            assert_eq!(timespan(nanos), expected);
            assert_eq!(read_timespan(expected), Some(Timespan::from_nanos(nanos)));
        }
    }

    #[test]
    fn spans_are_read_with_sign_decimals_and_exponent_but_without_blank_or_days() {
        for (text, expected) in [
            ("1.5s", Some(1_500_000_000)),
            ("-1.5e3us", Some(-1_500_000)),
            ("+2h", Some(7_200_000_000_000)),
            ("5min", Some(300_000_000_000)),
            ("1d", None),
            ("5 s", None),
            ("10", None),
            ("s", None),
            ("--1s", None),
            ("1e", None),
            ("9223372036854775807s", None),
            ("1e30s", None),
        ] {
            let read = read_timespan(text).map(Timespan::nanos);
            assert_eq!(read, expected, "{text}");
        }
    }
}

//! Dates in UTC, from the proleptic Gregorian calendar, as names of files have them.

use crate::data::Timestamp;

const NANOS: i64 = 1_000_000_000;
const DAY: i64 = 24 * 60 * 60;

/// How a date is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `%Y-%m-%d-%H-%M-%S`
    Full,
    /// `%y-%m-%d_%H.%M.%S`
    Short,
}

impl Form {
    /// The bytes of a date with a year of four digits.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Full => 19,
            Self::Short => 17,
        }
    }
}

/// Writes a date; parts of a second are left out.
pub(super) fn format_date(time: Timestamp, form: Form) -> String {
    let seconds = time.nanos().div_euclid(NANOS);
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let rest = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    match form {
        Form::Full => {
            format!("{year:04}-{month:02}-{day:02}-{hour:02}-{minute:02}-{second:02}")
        }
        Form::Short => {
            let year = year.rem_euclid(100);
            format!("{year:02}-{month:02}-{day:02}_{hour:02}.{minute:02}.{second:02}")
        }
    }
}

/// Reads a date; `None` if it is none, or is out of a timestamp's range.
pub(super) fn parse_date(text: &str, form: Form) -> Option<Timestamp> {
    let (marks, year_digits): (&[u8; 5], usize) = match form {
        Form::Full => (b"-----", 4),
        Form::Short => (b"--_..", 2),
    };
    let mut rest = text.as_bytes();
    let mut parts = [0_i64; 6];
    for (index, part) in parts.iter_mut().enumerate() {
        let digits = if index == 0 { year_digits } else { 2 };
        let (number, behind) = rest.split_at_checked(digits)?;
        for digit in number {
            let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
            *part = *part * 10 + i64::from(digit);
        }
        rest = behind;
        if let Some(mark) = marks.get(index) {
            rest = rest.strip_prefix(std::slice::from_ref(mark))?;
        }
    }
    let [year, month, day, hour, minute, second] = parts;
    let year = match form {
        Form::Full => year,
        // As `strptime` has it.
        Form::Short => year + if year < 69 { 2000 } else { 1900 },
    };
    let days = days(year, month, day);
    let is_date = rest.is_empty() && civil(days) == (year, month, day);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days * DAY + hour * 3600 + minute * 60 + second;
    seconds.checked_mul(NANOS).map(Timestamp::from_nanos)
}

/// Year, month and day of a number of days since 1970. Years are counted from March on, so that the day
/// that some years have more is their last one; 400 of them always have the same number of days.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The number of days since 1970; of a day that there is not, another one's.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01-00-00-00"),
            (951_782_400, "2000-02-29-00-00-00"),
            (1_700_000_000, "2023-11-14-22-13-20"),
            (4_107_542_399, "2100-02-28-23-59-59"),
            (4_107_542_400, "2100-03-01-00-00-00"),
            (-1, "1969-12-31-23-59-59"),
        ] {
            let time = Timestamp::from_nanos(seconds * NANOS);
            assert_eq!(format_date(time, Form::Full), date);
            assert_eq!(parse_date(date, Form::Full), Some(time));
        }
    }

    #[test]
    fn every_day_of_four_centuries_has_its_number() {
        let mut before = civil(-1);
        for day in 0..146_097 {
            let date = civil(day);
            assert!(date > before);
            assert_eq!(days(date.0, date.1, date.2), day);
            before = date;
        }
        assert_eq!(before, (2369, 12, 31));
    }

    #[test]
    fn days_that_there_are_not_are_refused() {
        for bad in [
            "2023-02-29-00-00-00",
            "2023-13-01-00-00-00",
            "2023-00-01-00-00-00",
            "2023-01-01-24-00-00",
            "2023-01-01-00-60-00",
            "2023-01-01-00-00-0",
            "2023-01-01-00-00-000",
            "2023-01-01 00-00-00",
            "+023-01-01-00-00-00",
            "9999-01-01-00-00-00",
        ] {
            assert_eq!(parse_date(bad, Form::Full), None, "{bad}");
        }
    }
}

//! Dates as names of files have them, in UTC.

use crate::data::Timestamp;
use crate::data::calendar::Date;
use crate::logging::seconds::NANOS_A_SECOND;

/// How a date is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DateForm {
    /// `%Y-%m-%d-%H-%M-%S`
    Full,
    /// `%y-%m-%d_%H.%M.%S`
    Short,
}

impl DateForm {
    /// The bytes of a date with a year of four digits.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Full => 19,
            Self::Short => 17,
        }
    }
}

/// Writes a date; parts of a second are left out.
pub(super) fn format_date(time: Timestamp, form: DateForm) -> String {
    let Date {
        year,
        month,
        day,
        hour,
        minute,
        second,
    } = Date::of(time.nanos().div_euclid(NANOS_A_SECOND));
    match form {
        DateForm::Full => {
            format!("{year:04}-{month:02}-{day:02}-{hour:02}-{minute:02}-{second:02}")
        }
        DateForm::Short => {
            let year = year.rem_euclid(100);
            format!("{year:02}-{month:02}-{day:02}_{hour:02}.{minute:02}.{second:02}")
        }
    }
}

/// Reads a date; `None` if it is none, or is out of a timestamp's range.
pub(super) fn parse_date(text: &str, form: DateForm) -> Option<Timestamp> {
    let (marks, year_digits): (&[u8; 5], usize) = match form {
        DateForm::Full => (b"-----", 4),
        DateForm::Short => (b"--_..", 2),
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
        DateForm::Full => year,
        // As `strptime` has it.
        DateForm::Short => year + if year < 69 { 2000 } else { 1900 },
    };
    let date = Date {
        year,
        month,
        day,
        hour,
        minute,
        second,
    };
    let seconds = rest.is_empty().then(|| date.seconds())??;
    let nanos = seconds.checked_mul(NANOS_A_SECOND)?;
    Some(Timestamp::from_nanos(nanos))
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
            let time = Timestamp::from_nanos(seconds * NANOS_A_SECOND);
            assert_eq!(format_date(time, DateForm::Full), date);
            assert_eq!(parse_date(date, DateForm::Full), Some(time));
        }
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
            assert_eq!(parse_date(bad, DateForm::Full), None, "{bad}");
        }
    }
}

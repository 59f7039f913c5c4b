//! The calendar: seconds as dates in UTC and back, by the rules that hold since 1582 for all years.

/// Seconds of a day; leap seconds do not count.
const SECONDS_A_DAY: i64 = 86_400;

/// Days from the first of March of the year 0 to the first of January 1970.
const EPOCH_DAYS: i64 = 719_468;

/// Days in 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;

/// A second as a calendar and a clock show it, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: i64,
    /// From 1.
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
}

impl Date {
    /// The date of a second, counted from 1970.
    pub(crate) fn of(seconds: i64) -> Self {
        let (year, month, day) = civil(seconds.div_euclid(SECONDS_A_DAY));
        let second = seconds.rem_euclid(SECONDS_A_DAY);
        Self {
            year,
            month,
            day,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }

    /// The reverse of [`Date::of`]; `None` if no calendar and no clock show such a date. All parts are
    /// numbers of a few digits.
    pub(crate) fn seconds(self) -> Option<i64> {
        let seconds = days(self.year, self.month, self.day) * SECONDS_A_DAY
            + self.hour * 3600
            + self.minute * 60
            + self.second;
        (Self::of(seconds) == self).then_some(seconds)
    }
}

/// Year, month and day of a day, counted from 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years begin with March here, so that the leap day is the last one.
    let days = days + EPOCH_DAYS;
    let era = days.div_euclid(ERA_DAYS);
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The day of a date, counted from 1970-01-01; of a date that there is not, another one's.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA_DAYS + day_of_era - EPOCH_DAYS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_400_years_has_a_date_of_its_own() {
        let mut before = Date::of(-ERA_DAYS / 2 * SECONDS_A_DAY - 1);
        for day in -ERA_DAYS / 2..ERA_DAYS / 2 {
            let date = Date::of(day * SECONDS_A_DAY);
            assert_eq!(date.seconds(), Some(day * SECONDS_A_DAY));
            assert!(before < date, "{before:?} {date:?}");
            before = date;
        }
    }

    #[test]
    fn a_date_that_there_is_not_has_no_second() {
        let date = |parts: [i64; 6]| {
            let [year, month, day, hour, minute, second] = parts;
            let date = Date {
                year,
                month,
                day,
                hour,
                minute,
                second,
            };
            date.seconds()
        };
        assert_eq!(date([1970, 1, 1, 0, 0, 0]), Some(0));
        assert_eq!(date([2000, 2, 29, 23, 59, 59]), Some(951_868_799));
        for bad in [
            [2023, 2, 29, 0, 0, 0],
            [2100, 2, 29, 0, 0, 0],
            [2023, 0, 1, 0, 0, 0],
            [2023, 13, 1, 0, 0, 0],
            [2023, 1, 0, 0, 0, 0],
            [2023, 1, 1, 24, 0, 0],
            [2023, 1, 1, 0, 60, 0],
            [2023, 1, 1, 0, 0, 60],
            [2023, 99, 99, 99, 99, 99],
        ] {
            assert_eq!(date(bad), None, "{bad:?}");
        }
    }
}

//! Seconds as Zeek has them, a binary64 number, and nanoseconds as we have them.

use crate::data::{Timespan, Timestamp, Value};

use super::Atom;

pub(super) const NANOS_A_SECOND: i64 = 1_000_000_000;
pub(super) const NANOS_A_MICRO: i64 = 1_000;

/// The first number of seconds whose nanoseconds have no place in 64 bits.
const BEYOND: f64 = 9_223_372_036.854_776;

/// The nanoseconds of so many seconds: the whole microsecond that the number names, if it names one, else
/// the nearest nanosecond. `None` where nanoseconds end, and for what is no number.
///
/// The number nearest to 1700000000.1 is 1700000000.0999999046: whoever wrote it meant the former.
pub(super) fn to_nanos(seconds: f64) -> Option<i64> {
    if seconds.is_nan() || seconds.abs() >= BEYOND {
        return None;
    }
    let micros = (seconds * 1e6).round();
    if micros / 1e6 == seconds {
        return integer(micros).checked_mul(NANOS_A_MICRO);
    }
    // Apart, since seconds of our days times 10^9 would be rounded to 256 nanoseconds.
    let whole = seconds.trunc();
    let nanos = integer(((seconds - whole) * 1e9).round());
    integer(whole)
        .checked_mul(NANOS_A_SECOND)?
        .checked_add(nanos)
}

/// The number of seconds nearest to so many nanoseconds.
pub(super) fn from_nanos(nanos: i64) -> f64 {
    if nanos % NANOS_A_MICRO == 0 {
        real(nanos / NANOS_A_MICRO) / 1e6
    } else {
        real(nanos / NANOS_A_SECOND) + real(nanos % NANOS_A_SECOND) / 1e9
    }
}

/// The value of a time or an interval of so many seconds.
pub(super) fn to_value(atom: Atom, seconds: f64) -> Value {
    match to_nanos(seconds) {
        None => Value::Real(seconds),
        Some(nanos) if atom == Atom::Time => Value::Timestamp(Timestamp::from_nanos(nanos)),
        Some(nanos) => Value::Timespan(Timespan::from_nanos(nanos)),
    }
}

/// The value of a time that nanoseconds do not reach, of so many seconds and nanoseconds.
pub(super) fn far(whole: i64, nanos: i64) -> Value {
    to_value(Atom::Time, real(whole) + real(nanos) / 1e9)
}

/// The integer between a number and zero; for one out of range the nearest in it.
pub(super) const fn integer(real: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "to truncate and to saturate is what is wanted"
    )]
    let integer = real as i64;
    integer
}

/// The number nearest to an integer.
const fn real(integer: i64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest number is what is wanted"
    )]
    let real = integer as f64;
    real
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_names_a_microsecond_becomes_it_and_comes_back() {
        for micros in [
            0,
            1,
            -1,
            1_521_911_720_865_716,
            1_700_000_000_100_000,
            -1_418_429_426_887_384,
            4_000_000_000_999_999,
        ] {
            let nanos = micros * NANOS_A_MICRO;
            assert_eq!(to_nanos(from_nanos(nanos)), Some(nanos), "{micros}");
        }
        assert_eq!(to_nanos(1.5), Some(1_500_000_000));
        assert_eq!(to_nanos(-0.001), Some(-1_000_000));
    }

    /// Neighbours among numbers of our days lie 238 nanoseconds apart.
    #[test]
    fn neighbouring_numbers_stay_apart_and_come_back() {
        let mut seconds = 1_521_911_720.865_716_f64;
        for _ in 0..1000 {
            let next = seconds.next_up();
            let (a, b) = (to_nanos(seconds).unwrap(), to_nanos(next).unwrap());
            assert!(a < b, "{seconds} {next}");
            assert_eq!(from_nanos(a).to_bits(), seconds.to_bits());
            seconds = next;
        }
    }

    #[test]
    fn where_nanoseconds_end_numbers_stay_numbers() {
        for seconds in [f64::NAN, f64::INFINITY, -1e300, 9_223_372_036.855, 2.5e11] {
            assert_eq!(to_nanos(seconds), None, "{seconds}");
        }
        assert_eq!(to_value(Atom::Time, 2.5e11), Value::Real(2.5e11));
        assert!(to_nanos(9_223_372_036.8).is_some());
        assert!(to_nanos(-9_223_372_036.8).is_some());
    }
}

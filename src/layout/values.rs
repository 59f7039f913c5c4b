//! Values that a layout writes in a form of its own: durations, sizes, processors.
//!
//! An error's text ends with `; ` and a hint; `parse` takes the two apart.

use std::fmt;
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// No duration is longer: a deadline so far away would be a mistake, and its sum with a clock too.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The highest processor a layout can name; the kernel's set of processors has room for no more.
const CPU_MAX: u32 = 1023;

fn duration(text: &str) -> Result<Duration, String> {
    let hint = "write a number and a unit, as in \"250ms\", \"10s\" or \"2m\"";
    match humantime::parse_duration(text) {
        Ok(duration) if duration > DURATION_MAX => {
            Err(format!("\"{text}\" is longer than a year; {hint}"))
        }
        Ok(duration) => Ok(duration),
        Err(_) => Err(format!("\"{text}\" is no duration; {hint}")),
    }
}

fn size(text: &str) -> Result<u64, String> {
    if text == "unlimited" {
        return Ok(u64::MAX);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" | "B" => Some(1),
        "kB" | "KB" => Some(1000),
        "K" | "KiB" => Some(1 << 10),
        "MB" => Some(1_000_000),
        "M" | "MiB" => Some(1 << 20),
        "GB" => Some(1_000_000_000),
        "G" | "GiB" => Some(1 << 30),
        "TB" => Some(1_000_000_000_000),
        "T" | "TiB" => Some(1 << 40),
        _ => None,
    };
    unit.zip(digits.trim().parse::<u64>().ok())
        .and_then(|(unit, number): (u64, u64)| number.checked_mul(unit))
        .ok_or_else(|| {
            format!("\"{text}\" is no size; write a number of bytes, \"64KiB\", \"10MiB\" or \"unlimited\"")
        })
}

/// `0-3:2,7`: from 0 to 3 in steps of 2, and 7.
fn processors(text: &str) -> Result<Vec<u32>, String> {
    let wrong = || {
        format!(
            "\"{text}\" is no list of processors up to {CPU_MAX}; write [0, 1] or \"0-3,8-15:2\""
        )
    };
    let mut list = Vec::new();
    for part in text.split(',') {
        let (range, step) = part.split_once(':').unwrap_or((part, "1"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |word: &str| word.trim().parse::<u32>().map_err(|_| wrong());
        let (first, last, step) = (number(first)?, number(last)?, number(step)?);
        if first > last || last > CPU_MAX || step == 0 {
            return Err(wrong());
        }
        list.extend((first..=last).step_by(usize::try_from(step).unwrap_or(1)));
    }
    Ok(list)
}

/// A duration: `"250ms"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period(pub(super) Duration);

/// A duration, or `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PeriodOrOff(pub(super) Option<Duration>);

/// A number of bytes: `"10MiB"` or `10485760`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

/// Processors: `[0, 1]`, `"0-3:2,7"` or `0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Processors(pub(super) Vec<u32>);

/// A word or a number: names and numbers of users, groups and stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) String);

/// A command alone, or with more about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ListOr<T> {
    List(Vec<String>),
    More(T),
}

/// A structure, or `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrOff<T> {
    Off,
    On(T),
}

macro_rules! from_text {
    ($type:ty, $expecting:literal, $parse:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                        let parse: fn(&str) -> Result<$type, String> = $parse;
                        parse(text).map_err(E::custom)
                    }
                }
                from.deserialize_str(Text)
            }
        }
    };
}

from_text!(Period, "a duration in quotes", |text| duration(text)
    .map(Period));
from_text!(
    PeriodOrOff,
    "a duration in quotes, or \"off\"",
    |text| match text {
        "off" => Ok(PeriodOrOff(None)),
        other => duration(other).map(|d| PeriodOrOff(Some(d))),
    }
);

struct Any<T>(std::marker::PhantomData<T>);

macro_rules! from_any {
    ($type:ident, $expecting:literal, { $($visit:item)* }) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(Any::<Self>(std::marker::PhantomData))
            }
        }

        impl<'de> Visitor<'de> for Any<$type> {
            type Value = $type;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expecting)
            }

            $($visit)*
        }
    };
}

from_any!(Size, "a size: a number of bytes, or \"10MiB\"", {
    fn visit_u64<E: Error>(self, number: u64) -> Result<Size, E> {
        Ok(Size(number))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        size(text).map(Size).map_err(E::custom)
    }
});

from_any!(Processors, "processors: [0, 1] or \"0-3:2,7\"", {
    fn visit_u64<E: Error>(self, number: u64) -> Result<Processors, E> {
        self.visit_str(&number.to_string())
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Processors, E> {
        processors(text).map(Processors).map_err(E::custom)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Processors, A::Error> {
        let mut list = Vec::new();
        while let Some(number) = items.next_element::<u32>()? {
            list.extend(processors(&number.to_string()).map_err(A::Error::custom)?);
        }
        Ok(Processors(list))
    }
});

from_any!(Word, "a name in quotes, or a number", {
    fn visit_u64<E: Error>(self, number: u64) -> Result<Word, E> {
        Ok(Word(number.to_string()))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Word, E> {
        Ok(Word(text.to_owned()))
    }
});

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ListOr<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Any::<Self>(std::marker::PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<ListOr<T>> {
    type Value = ListOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[\"program\", \"argument\"], or (command: [..], timeout: \"10s\")")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(word) = items.next_element()? {
            list.push(word);
        }
        Ok(ListOr::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(ListOr::More)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrOff<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Any::<Self>(std::marker::PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<OrOff<T>> {
    type Value = OrOff<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fields in parentheses, or \"off\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        match text {
            "off" | "never" => Ok(OrOff::Off),
            other => Err(E::custom(format!(
                "\"{other}\" is not understood here; write (field: value) or \"off\""
            ))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(OrOff::On)
    }

    /// `()`: on, with nothing said about it.
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        let nothing = std::iter::empty::<(&str, &str)>();
        T::deserialize(MapDeserializer::new(nothing)).map(OrOff::On)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_know_their_units_and_their_bounds() {
        assert_eq!(size("10MiB"), Ok(10 << 20));
        assert_eq!(size("1 kB"), Ok(1000));
        assert_eq!(size("unlimited"), Ok(u64::MAX));
        assert!(size("99999999TiB").is_err());
        assert!(size("ten").is_err());
        assert!(size("").is_err());
    }

    #[test]
    fn processors_are_ranges_with_steps() {
        assert_eq!(processors("0-3:2,7"), Ok(vec![0, 2, 7]));
        for bad in ["3-1", "0-4294967295", "1:0", "", "a", "0-", "-1"] {
            assert!(processors(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_duration_beyond_reason_is_refused() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("400days").is_err());
        assert!(duration("5 parsecs").is_err());
    }
}

//! Pieces of JSON into values without parts.

use serde::de::{Error, Expected, Unexpected};

use crate::data::json::read_instant;
use crate::data::{Address, Port, Protocol, Timestamp, Value};
use crate::logging::seconds::NANOS_A_SECOND;
use crate::logging::{Atom, number, seconds, text};

/// JSON without parts.
#[derive(Clone, Copy)]
pub(super) enum Json<'a> {
    Bool(bool),
    Unsigned(u64),
    /// A negative one.
    Signed(i64),
    Float(f64),
    Text(&'a str),
}

impl Json<'_> {
    pub(super) fn refused<E: Error>(self, expected: &dyn Expected) -> E {
        let found = match self {
            Json::Bool(content) => Unexpected::Bool(content),
            Json::Unsigned(content) => Unexpected::Unsigned(content),
            Json::Signed(content) => Unexpected::Signed(content),
            Json::Float(content) => Unexpected::Float(content),
            Json::Text(content) => Unexpected::Str(content.get(..64).unwrap_or(content)),
        };
        E::invalid_value(found, expected)
    }

    /// A number, whole or not.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest number is what a real number without a point means"
    )]
    const fn real(self) -> Option<f64> {
        match self {
            Json::Float(content) => Some(content),
            Json::Unsigned(content) => Some(content as f64),
            Json::Signed(content) => Some(content as f64),
            Json::Bool(_) | Json::Text(_) => None,
        }
    }
}

/// The value of this type that a piece of JSON stands for.
pub(super) fn value(atom: Atom, json: Json<'_>) -> Option<Value> {
    match (atom, json) {
        (Atom::Bool, Json::Bool(content)) => Some(Value::Boolean(content)),
        (Atom::Int, Json::Signed(content)) => Some(Value::Integer(content)),
        (Atom::Int, Json::Unsigned(content)) => i64::try_from(content).ok().map(Value::Integer),
        (Atom::Count, Json::Unsigned(content)) => Some(Value::Count(content)),
        (Atom::Double, json) => json.real().map(Value::Real),
        (Atom::Interval, json) => json.real().map(|real| seconds::to_value(atom, real)),
        (Atom::Time, json) => time(json),
        (Atom::Port, Json::Unsigned(content)) => {
            let number = u16::try_from(content).ok()?;
            Some(Value::Port(Port::new(number, Protocol::Unknown)))
        }
        (Atom::Addr, Json::Text(content)) => content.parse::<Address>().ok().map(Value::Address),
        (Atom::Subnet, Json::Text(content)) => number::parse_subnet(content).map(Value::Subnet),
        (Atom::String | Atom::Func | Atom::File, Json::Text(content)) => {
            Some(Value::String(unescape(content)))
        }
        (Atom::Enum, Json::Text(content)) => Some(Value::EnumValue(unescape(content))),
        _ => None,
    }
}

/// A time in any of the three ways; which one it is can be seen.
fn time(json: Json<'_>) -> Option<Value> {
    let millis = match json {
        Json::Float(content) => return Some(seconds::to_value(Atom::Time, content)),
        Json::Text(content) => {
            let (whole, nanos) = read_instant(content)?;
            return Some(timestamp(whole, nanos));
        }
        Json::Unsigned(content) => i64::try_from(content).ok()?,
        Json::Signed(content) => content,
        Json::Bool(_) => return None,
    };
    Some(timestamp(
        millis.div_euclid(1_000),
        millis.rem_euclid(1_000) * 1_000_000,
    ))
}

/// The time of so many seconds and nanoseconds.
fn timestamp(whole: i64, nanos: i64) -> Value {
    let all = whole.checked_mul(NANOS_A_SECOND);
    match all.and_then(|all| all.checked_add(nanos)) {
        Some(all) => Value::Timestamp(Timestamp::from_nanos(all)),
        None => seconds::far(whole, nanos),
    }
}

/// The bytes that a string stands for.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (plain, escape) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        bytes.extend_from_slice(plain);
        let byte = match escape {
            [_, b'x', high, low, ..] if !high.is_ascii_uppercase() && !low.is_ascii_uppercase() => {
                text::unhex([*high, *low])
            }
            _ => None,
        };
        bytes.push(byte.unwrap_or(b'\\'));
        let length = if byte.is_some() { 4 } else { 1 };
        rest = escape.get(length..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_zeek_writes_for_a_byte_is_one() {
        for (text, bytes) in [
            ("\\x00\\xff", &b"\0\xff"[..]),
            ("\\x5cx00", b"\\x00"),
            ("C:\\xAB", b"C:\\xAB"),
            ("\\x0", b"\\x0"),
            ("\\n\\", b"\\n\\"),
            ("\u{e9}", b"\xc3\xa9"),
        ] {
            assert_eq!(unescape(text), bytes, "{text}");
        }
    }
}

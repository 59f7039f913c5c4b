//! Plain JSON into values, for people who type.

use super::TYPE;
use super::read::{Fault, JsonError, JsonReason, members, row};
use super::tree::Json;
use crate::data::{DEPTH_MAX, Value};

/// Reads a value that a person wrote. `null` is none, and `true`, texts and arrays are what they look
/// like. A number is a count; with a minus an integer; with a point, an exponent, or more digits than
/// those have, a real. An object is one of Broker's own, with `@data-type` and `data`, for all other
/// kinds; below it only such objects may stand.
///
/// # Errors
/// [`JsonError`] says what is wrong, and where.
pub fn decode_plain(text: &[u8]) -> Result<Value, JsonError> {
    let json = serde_json::from_slice(text)?;
    Ok(value(&json, DEPTH_MAX)?)
}

/// As [`decode_plain`], for an array: its members.
///
/// # Errors
/// As there; something else than an array is [`JsonError::NotAnArray`].
pub fn decode_plain_row(text: &[u8]) -> Result<Vec<Value>, JsonError> {
    let json: Json<'_> = serde_json::from_slice(text)?;
    let items = json.as_array().ok_or(JsonError::NotAnArray)?;
    Ok(row(items, |item| value(item, DEPTH_MAX))?)
}

/// The value of what may still hold so many containers in one another.
fn value(json: &Json<'_>, depth: usize) -> Result<Value, Fault> {
    match json {
        Json::Null => Ok(Value::None),
        Json::Boolean(content) => Ok(Value::Boolean(*content)),
        Json::Count(content) => Ok(Value::Count(*content)),
        Json::Negative(content) => Ok(Value::Integer(*content)),
        Json::Real(content) => Ok(Value::Real(*content)),
        Json::Text(content) => Ok(Value::from(content.as_ref())),
        Json::Array(items) => {
            let below = depth.checked_sub(1).ok_or(JsonReason::Depth)?;
            row(items, |item| value(item, below)).map(Value::Vector)
        }
        Json::Object(object) if object.get(TYPE).is_some() => members(object, depth),
        Json::Object(_) => Err(JsonReason::NoType.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::json::encode;

    fn read(text: &str) -> Value {
        decode_plain(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_a_person_types_is_what_it_looks_like() {
        for (text, value) in [
            ("null", Value::None),
            ("true", Value::from(true)),
            ("0", Value::from(0_u64)),
            ("18446744073709551615", Value::from(u64::MAX)),
            ("-1", Value::from(-1_i64)),
            ("1.0", Value::from(1.0)),
            ("-1e3", Value::from(-1000.0)),
            (
                "18446744073709551616",
                Value::from(18_446_744_073_709_551_616.0),
            ),
            (r#""tab\t""#, Value::from("tab\t")),
            ("[]", Value::Vector(vec![])),
        ] {
            assert_eq!(read(text), value, "{text}");
        }
        let mixed = read(r#"[1, ["a"], {"@data-type": "port", "data": "80/tcp"}]"#);
        let mut text = Vec::new();
        encode(&mixed, &mut text);
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.contains(r#"{"@data-type":"port","data":"80/tcp"}"#),
            "{text}"
        );
        assert_eq!(crate::data::json::decode(text.as_bytes()).unwrap(), mixed);
        let members = decode_plain_row(br#"["name", 1]"#).unwrap();
        assert_eq!(members, [Value::from("name"), Value::from(1_u64)]);
    }

    #[test]
    fn what_is_no_value_is_refused_with_its_place() {
        for (text, at) in [
            ("{}", ""),
            (r#"[1, {"a": 1}]"#, "/1"),
            (r#"[{"@data-type": "set", "data": [1]}]"#, "/0/data/0"),
        ] {
            match decode_plain(text.as_bytes()) {
                Err(JsonError::NoValue { at: found, .. }) => assert_eq!(found, at, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        for text in ["", "word", "1 2", "{\"a\"", "'single'"] {
            let refused = decode_plain(text.as_bytes());
            assert!(matches!(refused, Err(JsonError::Malformed(_))), "{text}");
        }
        assert!(matches!(
            decode_plain_row(b"{}"),
            Err(JsonError::NotAnArray)
        ));
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(decode_plain(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert!(decode_plain(nested(DEPTH_MAX + 1).as_bytes()).is_err());
    }
}

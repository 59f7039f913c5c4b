//! JSON into values.

use super::tree::{Json, Object};
use super::{DATA, KEY, TOPIC, TYPE, VALUE, time};
use crate::data::{DEPTH_MAX, Kind, Set, Table, Value};

/// Text that is no value in JSON. The sender's fault. JSON v1.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON at all, or deeper than is read.
    #[error("the text is no JSON")]
    Malformed(#[from] serde_json::Error),
    /// JSON, but not an object.
    #[error("expected a JSON object")]
    NotAnObject,
    /// JSON, but not an array.
    #[error("expected a JSON array")]
    NotAnArray,
    /// A data message without a topic, or with one that is no string.
    #[error("no topic in the JSON object")]
    NoTopic,
    /// An object that is no value.
    #[error("no value at \"{at}\": {reason}")]
    NoValue {
        /// Where, as a JSON pointer: `/data/0/key`.
        at: String,
        /// What is wrong there.
        reason: JsonReason,
    },
}

/// What is wrong with an object that is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonReason {
    /// Something else stands where an object with a value should.
    #[error("expected an object")]
    NotAnObject,
    /// No kind, or one that is no string.
    #[error("it has no {TYPE}")]
    NoType,
    /// No kind of value has this name.
    #[error("unknown {TYPE} \"{name}\"")]
    UnknownType {
        /// The name.
        name: String,
    },
    /// No content.
    #[error("it has no {DATA}")]
    NoData,
    /// Content that is not of its kind.
    #[error("the {DATA} is no {kind}")]
    Content {
        /// The kind.
        kind: Kind,
    },
    /// An entry of a table without a key or a value.
    #[error("it has no {member}")]
    NoMember {
        /// Which of the two.
        member: &'static str,
    },
    /// The same member of a set, or the same key of a table, twice.
    #[error("a set or a table holds the same value twice")]
    Duplicate,
    /// Too many containers in one another.
    #[error("more than {DEPTH_MAX} containers in one another")]
    Depth,
}

/// Reads the value that a text is. Members beside its own two are not looked at. JSON v1.
///
/// # Errors
/// [`JsonError`] says what is wrong, and where.
pub fn decode(text: &[u8]) -> Result<Value, JsonError> {
    Ok(value_of(&object(text)?)?)
}

/// Reads a data message: its topic and its value. Its `type` is not looked at, as in Zeek. JSON v1,
/// `data-message`.
///
/// # Errors
/// [`JsonError`] says what is wrong, and where.
pub fn decode_data_message(text: &[u8]) -> Result<(String, Value), JsonError> {
    let message = object(text)?;
    let value = value_of(&message)?;
    let topic = message.get(TOPIC).and_then(Json::as_str);
    let topic = topic.ok_or(JsonError::NoTopic)?;
    Ok((topic.to_owned(), value))
}

fn object(text: &[u8]) -> Result<Object<'_>, JsonError> {
    if let Json::Object(object) = serde_json::from_slice(text)? {
        Ok(object)
    } else {
        Err(JsonError::NotAnObject)
    }
}

/// What is wrong, and the way to it from the inside out.
pub(super) struct Fault {
    reason: JsonReason,
    path: Vec<String>,
}

impl Fault {
    /// Adds a step of the way.
    pub(super) fn below(mut self, step: impl ToString) -> Self {
        self.path.push(step.to_string());
        self
    }
}

impl From<JsonReason> for Fault {
    fn from(reason: JsonReason) -> Self {
        let path = Vec::new();
        Self { reason, path }
    }
}

impl From<Fault> for JsonError {
    fn from(fault: Fault) -> Self {
        let steps = fault.path.iter().rev();
        Self::NoValue {
            at: steps.map(|step| format!("/{step}")).collect(),
            reason: fault.reason,
        }
    }
}

fn value_of(object: &Object<'_>) -> Result<Value, Fault> {
    members(object, DEPTH_MAX)
}

fn value(json: &Json<'_>, depth: usize) -> Result<Value, Fault> {
    let object = json.as_object().ok_or(JsonReason::NotAnObject)?;
    members(object, depth)
}

/// The value of an object, in which so many containers may still lie in one another.
pub(super) fn members(object: &Object<'_>, depth: usize) -> Result<Value, Fault> {
    let name = object.get(TYPE).and_then(Json::as_str);
    let name = name.ok_or(JsonReason::NoType)?;
    let kind = Kind::from_name(name).ok_or_else(|| JsonReason::UnknownType {
        name: name.to_owned(),
    })?;
    if kind == Kind::None {
        return Ok(Value::None);
    }
    let data = object.get(DATA).ok_or(JsonReason::NoData)?;
    match data.as_array() {
        Some(items) if is_container(kind) => {
            container(kind, items, depth).map_err(|fault| fault.below(DATA))
        }
        _ => Ok(scalar(kind, data).ok_or(JsonReason::Content { kind })?),
    }
}

/// The content of a value that is no container.
fn scalar(kind: Kind, data: &Json<'_>) -> Option<Value> {
    match kind {
        Kind::Boolean => data.as_bool().map(Value::Boolean),
        Kind::Count => data.as_count().map(Value::Count),
        Kind::Integer => data.as_integer().map(Value::Integer),
        Kind::Real => data.as_real().map(Value::Real),
        Kind::String => data.as_str().map(Value::from),
        Kind::Address => data.as_str()?.parse().ok().map(Value::Address),
        Kind::Subnet => data.as_str()?.parse().ok().map(Value::Subnet),
        Kind::Port => data.as_str()?.parse().ok().map(Value::Port),
        Kind::Timestamp => time::read_timestamp(data.as_str()?).map(Value::Timestamp),
        Kind::Timespan => time::read_timespan(data.as_str()?).map(Value::Timespan),
        Kind::EnumValue => data.as_str().map(Value::enum_value),
        Kind::None | Kind::Set | Kind::Table | Kind::Vector => None,
    }
}

const fn is_container(kind: Kind) -> bool {
    matches!(kind, Kind::Set | Kind::Table | Kind::Vector)
}

fn container(kind: Kind, items: &[Json<'_>], depth: usize) -> Result<Value, Fault> {
    let below = match depth.checked_sub(1) {
        Some(below) => below,
        None if items.is_empty() => 0,
        None => return Err(JsonReason::Depth.into()),
    };
    if kind == Kind::Table {
        let entries = row(items, |item| entry(item, below))?;
        let table = Table::try_from(entries).map_err(|_| JsonReason::Duplicate)?;
        return Ok(Value::Table(table));
    }
    let members = row(items, |item| value(item, below))?;
    if kind == Kind::Set {
        let set = Set::try_from(members).map_err(|_| JsonReason::Duplicate)?;
        return Ok(Value::Set(set));
    }
    Ok(Value::Vector(members))
}

/// What is read of each item. In one allocation: a row that grows holds twice what it needs.
pub(super) fn row<T>(
    items: &[Json<'_>],
    read: impl Fn(&Json<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut row = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        row.push(read(item).map_err(|fault| fault.below(index))?);
    }
    Ok(row)
}

/// An entry of a table.
fn entry(item: &Json<'_>, depth: usize) -> Result<(Value, Value), Fault> {
    let object = item.as_object().ok_or(JsonReason::NotAnObject)?;
    let member = |member: &'static str| {
        let json = object.get(member).ok_or(JsonReason::NoMember { member })?;
        value(json, depth).map_err(|fault| fault.below(member))
    };
    Ok((member(KEY)?, member(VALUE)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::json::{encode, encode_data_message};

    fn refused(data_type: &str, data: &str) -> (String, JsonReason) {
        let text = format!("{{\"@data-type\":\"{data_type}\",\"data\":{data}}}");
        match decode(text.as_bytes()) {
            Err(JsonError::NoValue { at, reason }) => (at, reason),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn content_of_another_kind_is_refused() {
        for (name, data) in [
            ("boolean", "1"),
            ("count", "-1"),
            ("count", "1.0"),
            ("count", "\"1\""),
            ("count", "18446744073709551616"),
            ("integer", "9223372036854775808"),
            ("real", "1"),
            ("real", "null"),
            ("string", "1"),
            ("address", "\"1.2.3\""),
            ("subnet", "\"10.0.0.0\""),
            ("timestamp", "\"2022-04-10\""),
            ("timespan", "\"1d\""),
            ("timespan", "5"),
            ("enum-value", "1"),
            ("count", "[]"),
            ("vector", "{}"),
            ("set", "1"),
        ] {
            let kind = Kind::from_name(name).unwrap();
            let expected = (String::new(), JsonReason::Content { kind });
            assert_eq!(refused(name, data), expected, "{name} {data}");
        }
    }

    #[test]
    fn a_refusal_says_where() {
        let one = "{\"@data-type\":\"count\",\"data\":1}";
        let entry = format!("{{\"key\":{one},\"value\":{{\"data\":1}}}}");
        let table = format!("{{\"@data-type\":\"table\",\"data\":[{entry}]}}");
        let (at, reason) = refused("vector", &format!("[{one},{table}]"));
        assert_eq!(at, "/data/1/data/0/value");
        assert_eq!(reason, JsonReason::NoType);
        let (at, reason) = refused("table", &format!("[{{\"key\":{one}}}]"));
        assert_eq!(at, "/data/0");
        assert_eq!(reason, JsonReason::NoMember { member: "value" });
        let (at, reason) = refused("set", &format!("[{one},{one}]"));
        assert_eq!((at.as_str(), reason), ("/data", JsonReason::Duplicate));
        let (_, reason) = refused("vector", "[1]");
        assert_eq!(reason, JsonReason::NotAnObject);
        let name = "list".to_owned();
        assert_eq!(refused("list", "[]").1, JsonReason::UnknownType { name });
        let error = decode(b"{\"@data-type\":\"count\"}").unwrap_err();
        assert_eq!(error.to_string(), "no value at \"\": it has no data");
        assert!(matches!(decode(b"[]"), Err(JsonError::NotAnObject)));
        assert!(matches!(decode(b"{}x"), Err(JsonError::Malformed(_))));
    }

    #[test]
    fn nothing_needs_no_data_and_takes_any() {
        for text in [
            "{\"@data-type\":\"none\"}",
            "{\"@data-type\":\"none\",\"data\":[1]}",
            "{\"data\":{},\"@data-type\":\"none\"}",
        ] {
            assert_eq!(decode(text.as_bytes()).unwrap(), Value::None);
        }
    }

    #[test]
    fn a_string_keeps_what_json_can_say_and_the_rest_is_marked() {
        let text = |bytes: &[u8]| {
            let mut out = Vec::new();
            encode(&Value::from(bytes), &mut out);
            String::from_utf8(out).unwrap()
        };
        let odd = b"a\"\\/\x00\x08\x09\x0a\x0b\x0c\x0d\x1f\x7f\xc3\xbc";
        assert_eq!(
            text(odd),
            "{\"@data-type\":\"string\",\
             \"data\":\"a\\\"\\\\/\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\u{7f}ü\"}"
        );
        let again = decode(text(odd).as_bytes()).unwrap();
        assert_eq!(again, Value::from(&odd[..]));
        assert!(text(b"\xff\xfeb").contains("\"\u{fffd}\u{fffd}b\""));
    }

    #[test]
    fn a_number_that_json_cannot_say_is_null() {
        for real in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut out = Vec::new();
            encode(&Value::Real(real), &mut out);
            assert_eq!(out, b"{\"@data-type\":\"real\",\"data\":null}");
        }
    }

    #[test]
    fn a_data_message_is_a_value_with_a_topic() {
        let mut out = Vec::new();
        encode_data_message("/t\n", &Value::from(7_u64), &mut out);
        let expected = "{\"type\":\"data-message\",\"topic\":\"/t\\n\",\
                        \"@data-type\":\"count\",\"data\":7}";
        assert_eq!(String::from_utf8_lossy(&out), expected);
        let (topic, value) = decode_data_message(&out).unwrap();
        assert_eq!((topic.as_str(), value), ("/t\n", Value::from(7_u64)));
        for text in [
            "{\"@data-type\":\"count\",\"data\":7}",
            "{\"topic\":5,\"@data-type\":\"count\",\"data\":7}",
        ] {
            let refused = decode_data_message(text.as_bytes());
            assert!(matches!(refused, Err(JsonError::NoTopic)), "{refused:?}");
        }
    }

    #[test]
    fn vectors_in_one_another_end_where_the_module_says() {
        let nest = |depth| {
            let deep = (0..depth).fold(Value::None, |inner, _| Value::Vector(vec![inner]));
            let mut out = Vec::new();
            encode(&deep, &mut out);
            out
        };
        assert!(decode(&nest(62)).is_ok());
        assert!(matches!(decode(&nest(63)), Err(JsonError::Malformed(_))));
    }
}

//! Objects into records.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};

use crate::data::{Set, Value};
use crate::logging::{Atom, Column, RECORD_BYTES_MAX, RecordError, Schema, Type};

use super::atom::{Json, value};

/// A line that is no record. The fault of who wrote it.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Longer than is read.
    #[error("a line of {bytes} bytes; at most {RECORD_BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// No JSON, or a field that is no value of its column's type.
    #[error("the line is no object with the log's columns")]
    Text(#[from] serde_json::Error),
    /// A field is missing that is not optional.
    #[error("the record does not fit its columns")]
    Record(#[from] RecordError),
}

/// Reads a line as a record of these columns. Members that are no column, such as `_path`, are passed
/// over; of members with one name the last counts. `values` has nothing but the record's fields
/// afterwards, whatever it had before; after an error, some of them.
///
/// # Errors
/// [`ReadError`] says what is wrong, and where.
pub fn parse(schema: &Schema, line: &[u8], values: &mut Vec<Value>) -> Result<(), ReadError> {
    values.clear();
    if line.len() > RECORD_BYTES_MAX {
        return Err(ReadError::TooLong { bytes: line.len() });
    }
    values.resize(schema.columns().len(), Value::None);
    let mut text = serde_json::Deserializer::from_slice(line);
    text.deserialize_map(Object { schema, values })?;
    text.end()?;
    schema.record(values)?;
    Ok(())
}

/// Fills in the fields that an object names.
struct Object<'a> {
    schema: &'a Schema,
    values: &'a mut [Value],
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // Members come in the order of columns, with gaps: the search begins where the last one ended.
        let mut next = 0;
        while let Some(found) = map.next_key_seed(Name {
            columns: self.schema.columns(),
            next,
        })? {
            let column = found.and_then(|index| self.schema.columns().get(index));
            let place = found.and_then(|index| self.values.get_mut(index));
            if let (Some(index), Some(column), Some(place)) = (found, column, place) {
                *place = map.next_value_seed(Piece::Field(column))?;
                next = index + 1;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Finds the column of a name.
struct Name<'a> {
    columns: &'a [Column],
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a column")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let find = |columns: &[Column]| columns.iter().position(|column| column.name() == name);
        let ahead = self.columns.get(self.next..).and_then(find);
        Ok(match ahead {
            Some(index) => Some(self.next + index),
            None => self.columns.get(..self.next).and_then(find),
        })
    }
}

/// Reads the value of a column, or an element of one.
#[derive(Clone, Copy)]
enum Piece<'a> {
    Field(&'a Column),
    Element(&'a Column, Atom),
}

impl<'de> DeserializeSeed<'de> for Piece<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Piece<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(column) => write!(f, "{} for column {:?}", column.type_(), column.name()),
            Self::Element(column, atom) => {
                write!(f, "{atom} as an element of column {:?}", column.name())
            }
        }
    }

    fn visit_bool<E: Error>(self, content: bool) -> Result<Value, E> {
        self.atom(Json::Bool(content))
    }

    fn visit_u64<E: Error>(self, content: u64) -> Result<Value, E> {
        self.atom(Json::Unsigned(content))
    }

    fn visit_i64<E: Error>(self, content: i64) -> Result<Value, E> {
        self.atom(Json::Signed(content))
    }

    fn visit_f64<E: Error>(self, content: f64) -> Result<Value, E> {
        self.atom(Json::Float(content))
    }

    fn visit_str<E: Error>(self, content: &str) -> Result<Value, E> {
        self.atom(Json::Text(content))
    }

    /// Of a field: it is not there. Of an element: what JSON has no number for.
    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        match self {
            Self::Field(_) => Ok(Value::None),
            Self::Element(_, Atom::Double | Atom::Time | Atom::Interval) => {
                Ok(Value::Real(f64::NAN))
            }
            Self::Element(..) => Err(E::invalid_type(Unexpected::Unit, &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let (column, atom) = match self {
            Self::Field(column) => match column.type_() {
                Type::Set(atom) | Type::Vector(atom) => (column, atom),
                Type::Atom(_) => return Err(A::Error::invalid_type(Unexpected::Seq, &self)),
            },
            Self::Element(..) => return Err(A::Error::invalid_type(Unexpected::Seq, &self)),
        };
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element_seed(Self::Element(column, atom))? {
            elements.push(element);
        }
        Ok(match column.type_() {
            // Two ports that differed by protocol are one now.
            Type::Set(_) => Value::Set(elements.into_iter().collect::<Set>()),
            Type::Atom(_) | Type::Vector(_) => Value::Vector(elements),
        })
    }
}

impl Piece<'_> {
    fn atom<E: Error>(self, json: Json<'_>) -> Result<Value, E> {
        let atom = match self {
            Self::Field(column) => match column.type_() {
                Type::Atom(atom) => Some(atom),
                Type::Set(_) | Type::Vector(_) => None,
            },
            Self::Element(_, atom) => Some(atom),
        };
        let found = atom.and_then(|atom| value(atom, json));
        found.ok_or_else(|| json.refused(&self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Port, Protocol, Timespan, Timestamp};

    fn schema() -> Schema {
        let column = |(name, text, optional): (&str, &str, bool)| {
            Column::new(name, text.parse().unwrap(), optional).unwrap()
        };
        let columns = [
            ("ts", "time", false),
            ("rtt", "interval", true),
            ("s", "string", true),
            ("n", "int", true),
            ("ports", "set[port]", true),
        ];
        Schema::new(columns.map(column).to_vec()).unwrap()
    }

    fn read(line: &str) -> Result<Vec<Value>, String> {
        let mut values = vec![Value::from("from before")];
        match parse(&schema(), line.as_bytes(), &mut values) {
            Ok(()) => Ok(values),
            Err(ReadError::Text(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_record_is_read_in_any_order_and_what_is_no_column_is_passed_over() {
        let line =
            r#"{"_path":{"a":[1]},"ports":[53,80,53],"ts":1.5,"rtt":1,"s":"\\x00\\X\\","ts":2.5}"#;
        let port = |number| Value::Port(Port::new(number, Protocol::Unknown));
        let expected = [
            Value::Timestamp(Timestamp::from_nanos(2_500_000_000)),
            Value::Timespan(Timespan::from_nanos(1_000_000_000)),
            Value::from(&b"\0\\X\\"[..]),
            Value::None,
            Value::Set([port(53), port(80)].into_iter().collect()),
        ];
        assert_eq!(read(line).unwrap(), expected);
    }

    #[test]
    fn times_are_read_in_each_of_the_ways() {
        let nanos = |text: &str| {
            let values = read(&format!("{{\"ts\":{text}}}")).unwrap();
            Timestamp::try_from(values[0].clone()).unwrap().nanos()
        };
        assert_eq!(nanos("1521911780.600725"), 1_521_911_780_600_725_000);
        assert_eq!(nanos("1521911780600"), 1_521_911_780_600_000_000);
        assert_eq!(nanos("-1"), -1_000_000);
        assert_eq!(
            nanos("\"2018-03-24T17:16:20.600725Z\""),
            1_521_911_780_600_725_000
        );
        let far = read(r#"{"ts":"9999-12-31T23:59:59.5Z"}"#).unwrap();
        assert_eq!(far[0], Value::Real(253_402_300_799.5));
    }

    #[test]
    fn what_is_no_record_is_refused_with_its_column() {
        for (line, said) in [
            ("", "EOF"),
            ("[]", "expected an object"),
            (r#"{"ts":1.5}{"#, "trailing"),
            (r#"{"ts":true}"#, "expected time for column \"ts\""),
            (r#"{"ts":1.5,"s":1}"#, "expected string for column \"s\""),
            (r#"{"ts":1.5,"s":[]}"#, "expected string for column \"s\""),
            (
                r#"{"ts":1.5,"n":9223372036854775808}"#,
                "expected int for column \"n\"",
            ),
            (
                r#"{"ts":1.5,"ports":80}"#,
                "expected set[port] for column \"ports\"",
            ),
            (
                r#"{"ts":1.5,"ports":[65536]}"#,
                "expected port as an element",
            ),
            (
                r#"{"ts":1.5,"ports":[null]}"#,
                "expected port as an element",
            ),
            ("{}", "does not fit"),
            (r#"{"ts":null}"#, "does not fit"),
        ] {
            let refused = read(line).unwrap_err();
            assert!(refused.contains(said), "{line}: {refused}");
        }
    }
}

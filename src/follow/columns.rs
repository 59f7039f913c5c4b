//! Columns made of objects: what a log of JSON lines has to say of itself.
//!
//! Zeek leaves unset fields out, so a line tells of its own columns only: [`Columns`] learns from each, and
//! says when there is another one, or when a type takes in more than before. A type never takes in less.
//!
//! | what stands there | type |
//! | --- | --- |
//! | `true`, `false` | bool |
//! | a whole number, not below 0 | count |
//! | a whole number | int, if a count is among the others, too |
//! | another number, or one of each | double |
//! | a text | string |
//! | a number or a date, under the name `ts` | time |
//! | a list of those | vector; of string as long as it was empty |
//! | `null` | none: the column comes with the first other value |

use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use crate::logging::{Atom, Column, RECORD_BYTES_MAX, Schema, SchemaError, Type};

/// The column that Zeek's logs begin with.
const TIME: &str = "ts";

/// A line from which no columns can be made, or others than from those before. The fault of who wrote it.
#[derive(Debug, thiserror::Error)]
pub enum ColumnsError {
    /// Longer than records are.
    #[error("a line of {bytes} bytes; at most {RECORD_BYTES_MAX} are read")]
    TooLong {
        /// Its length, without its end.
        bytes: usize,
    },
    /// It is no object.
    #[error("the line is no object")]
    Text(#[from] serde_json::Error),
    /// A member within a member, or a list of them.
    #[error(
        "the member \"{name}\" is an object, or a list of lists or objects, which no column holds"
    )]
    Nested {
        /// The member's name.
        name: String,
    },
    /// It is of another kind than in the lines before.
    #[error("the member \"{name}\" was of type {was}, and here of {is}")]
    Conflict {
        /// The member's name.
        name: String,
        /// What it was.
        was: Type,
        /// What it is.
        is: Type,
    },
    /// Names that are none of columns.
    #[error("the line names columns that are none")]
    Schema(#[from] SchemaError),
}

/// What a column was seen to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    One(Atom),
    /// Of nothing, if all were empty.
    Many(Option<Atom>),
}

/// The columns of the lines so far.
#[derive(Debug, Default)]
pub struct Columns {
    seen: Vec<(String, Seen)>,
    schema: Option<Schema>,
}

impl Columns {
    /// The columns, as soon as there are any. All are optional.
    #[must_use]
    pub const fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// Learns from a line, without its end. True: the [schema](Columns::schema) is another one.
    ///
    /// # Errors
    /// [`ColumnsError`]; nothing was learnt then.
    pub fn learn(&mut self, line: &[u8]) -> Result<bool, ColumnsError> {
        if line.len() > RECORD_BYTES_MAX {
            return Err(ColumnsError::TooLong { bytes: line.len() });
        }
        let Members(members) = serde_json::from_slice(line)?;
        let mut learnt: Option<Vec<(String, Seen)>> = None;
        let mut next = 0;
        for (name, value) in members {
            let is = kind(&name, &value)?;
            let all = learnt.as_deref().unwrap_or(&self.seen);
            // Members come in one order, with gaps.
            let ahead = all.iter().skip(next).position(|(known, _)| *known == name);
            let place = ahead
                .map(|ahead| next + ahead)
                .or_else(|| all.iter().position(|(known, _)| *known == name));
            next = place.map_or(next, |place| place + 1);
            let was = place.and_then(|place| all.get(place));
            let was = was.map_or(Seen::Nothing, |(_, was)| *was);
            let both = join(&name, was, is)?;
            if both == was {
                continue;
            }
            let learnt = learnt.get_or_insert_with(|| self.seen.clone());
            match place.and_then(|place| learnt.get_mut(place)) {
                Some((_, seen)) => *seen = both,
                None => learnt.push((name, both)),
            }
        }
        let Some(learnt) = learnt else {
            return Ok(false);
        };
        let columns = learnt.iter().filter_map(|(name, seen)| {
            let type_ = type_of(*seen)?;
            Some(Column::new(name.clone(), type_, true))
        });
        let schema = Some(Schema::new(columns.collect::<Result<_, _>>()?)?);
        let is_other = schema != self.schema;
        self.schema = schema;
        self.seen = learnt;
        Ok(is_other)
    }
}

fn kind(name: &str, value: &Value) -> Result<Seen, ColumnsError> {
    let nested = || ColumnsError::Nested {
        name: name.to_owned(),
    };
    match value {
        Value::Null => Ok(Seen::Nothing),
        Value::Array(elements) => {
            let mut all = Seen::Nothing;
            for element in elements {
                let is = atom(element).ok_or_else(nested)?;
                all = join(name, all, is.map_or(Seen::Nothing, Seen::One))?;
            }
            Ok(Seen::Many(match all {
                Seen::One(atom) => Some(atom),
                Seen::Nothing | Seen::Many(_) => None,
            }))
        }
        Value::Number(_) if name == TIME => Ok(Seen::One(Atom::Time)),
        Value::String(text) if name == TIME && is_date(text) => Ok(Seen::One(Atom::Time)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            let is = atom(value).ok_or_else(nested)?;
            Ok(is.map_or(Seen::Nothing, Seen::One))
        }
    }
}

/// The type of what is no list. `None`: of no column.
fn atom(value: &Value) -> Option<Option<Atom>> {
    match value {
        Value::Null => Some(None),
        Value::Bool(_) => Some(Some(Atom::Bool)),
        Value::Number(number) if number.is_u64() => Some(Some(Atom::Count)),
        Value::Number(number) if number.is_i64() => Some(Some(Atom::Int)),
        Value::Number(_) => Some(Some(Atom::Double)),
        Value::String(_) => Some(Some(Atom::String)),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// As Zeek writes them: `2018-03-24T17:16:20.600725Z`.
fn is_date(text: &str) -> bool {
    let mut digits = text.bytes().take(4);
    text.ends_with('Z')
        && text.as_bytes().get(10) == Some(&b'T')
        && digits.all(|c| c.is_ascii_digit())
}

/// What takes in both.
fn join(name: &str, was: Seen, is: Seen) -> Result<Seen, ColumnsError> {
    let atoms = |was: Atom, is: Atom| {
        let is_whole = |atom| matches!(atom, Atom::Count | Atom::Int);
        let is_number = |atom| is_whole(atom) || atom == Atom::Double;
        if was == is {
            Some(was)
        } else if is_whole(was) && is_whole(is) {
            Some(Atom::Int)
        } else {
            (is_number(was) && is_number(is)).then_some(Atom::Double)
        }
    };
    let both = match (was, is) {
        (seen, Seen::Nothing) | (Seen::Nothing, seen) => Some(seen),
        (Seen::One(was), Seen::One(is)) => atoms(was, is).map(Seen::One),
        (Seen::Many(atom), Seen::Many(None)) | (Seen::Many(None), Seen::Many(atom)) => {
            Some(Seen::Many(atom))
        }
        (Seen::Many(Some(was)), Seen::Many(Some(is))) => {
            atoms(was, is).map(|both| Seen::Many(Some(both)))
        }
        (Seen::One(_), Seen::Many(_)) | (Seen::Many(_), Seen::One(_)) => None,
    };
    both.ok_or_else(|| ColumnsError::Conflict {
        name: name.to_owned(),
        was: type_of(was).unwrap_or(Type::Atom(Atom::String)),
        is: type_of(is).unwrap_or(Type::Atom(Atom::String)),
    })
}

fn type_of(seen: Seen) -> Option<Type> {
    match seen {
        Seen::Nothing => None,
        Seen::One(atom) => Some(Type::Atom(atom)),
        Seen::Many(atom) => Some(Type::Vector(atom.unwrap_or(Atom::String))),
    }
}

/// The members of an object, in their order.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(lines: &[&str]) -> String {
        let mut columns = Columns::default();
        for line in lines {
            columns.learn(line.as_bytes()).unwrap();
        }
        let columns = columns.schema().unwrap().columns().iter();
        let words = columns.map(|column| format!("{}:{}", column.name(), column.type_()));
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn columns_come_with_their_first_values_and_take_in_more() {
        assert_eq!(
            learnt(&[r#"{"ts":1.5,"uid":"C","n":1,"x":null,"l":[]}"#]),
            "ts:time uid:string n:count l:vector[string]"
        );
        assert_eq!(
            learnt(&[
                r#"{"ts":"2018-03-24T17:16:20.600725Z","n":1}"#,
                r#"{"ts":"2018-03-24T17:16:21.600725Z","ok":true,"n":-1,"l":[1]}"#,
                r#"{"l":[],"n":null}"#,
                r#"{"n":0.5,"l":[2.5]}"#,
            ]),
            "ts:time n:double ok:bool l:vector[double]"
        );
    }

    #[test]
    fn who_learns_nothing_says_so() {
        let mut columns = Columns::default();
        assert!(columns.learn(br#"{"a":1}"#).unwrap());
        assert!(!columns.learn(br#"{"a":2}"#).unwrap());
        assert!(!columns.learn(br#"{"b":null}"#).unwrap());
        assert!(columns.learn(br#"{"b":"x"}"#).unwrap());
    }

    #[test]
    fn a_line_that_does_not_fit_teaches_nothing() {
        let mut columns = Columns::default();
        assert!(columns.learn(br#"{"a":1,"l":[true]}"#).unwrap());
        for (line, expected) in [
            ("[1]", "the line is no object"),
            (
                r#"{"b":1,"a":"x"}"#,
                "the member \"a\" was of type count, and here of string",
            ),
            (
                r#"{"b":{}}"#,
                "the member \"b\" is an object, or a list of lists or objects, which no column holds",
            ),
            (
                r#"{"b":[1,"x"]}"#,
                "the member \"b\" was of type count, and here of string",
            ),
            (
                r#"{"l":true}"#,
                "the member \"l\" was of type vector[bool], and here of bool",
            ),
            (r#"{"a b":1}"#, "the line names columns that are none"),
        ] {
            let error = columns.learn(line.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(columns.schema().unwrap().columns().len(), 2);
        }
    }
}

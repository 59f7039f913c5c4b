//! What a column of a log can hold.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::data::Value;

use super::seconds;

/// The tag of Zeek's sets, which are tables without values.
const SET: u32 = 14;

/// The tag of Zeek's vectors.
const VECTOR: u32 = 19;

/// A type without parts: of a column, or of the elements of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Atom {
    /// True or false.
    Bool,
    /// A signed integer of 64 bits.
    Int,
    /// An unsigned integer of 64 bits.
    Count,
    /// A binary64 number.
    Double,
    /// A point in time.
    Time,
    /// A span of time.
    Interval,
    /// Bytes, mostly text.
    String,
    /// A transport port. Log files say its number only.
    Port,
    /// An IP address.
    Addr,
    /// A network.
    Subnet,
    /// The label of an enum's value.
    Enum,
    /// A function: its name and its type, as text.
    Func,
    /// A file: its name, as text.
    File,
}

/// The type of a column. It travels as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Type {
    /// One value.
    Atom(Atom),
    /// Values without order, none of them twice: Zeek's `set[T]`.
    Set(Atom),
    /// Values in a row: Zeek's `vector of T`.
    Vector(Atom),
}

/// A text that names no type of a column. Its writer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no type of a column; expected one like count, set[addr] or vector[string]")]
pub struct NotAType {
    /// The text.
    pub text: String,
}

impl Atom {
    /// All of them, by their tags.
    pub const ALL: [Self; 13] = [
        Self::Bool,
        Self::Int,
        Self::Count,
        Self::Double,
        Self::Time,
        Self::Interval,
        Self::String,
        Self::Enum,
        Self::Port,
        Self::Addr,
        Self::Subnet,
        Self::Func,
        Self::File,
    ];

    /// Its number where records travel: Zeek's `TypeTag`.
    #[must_use]
    pub const fn tag(self) -> u32 {
        match self {
            Self::Bool => 1,
            Self::Int => 2,
            Self::Count => 3,
            Self::Double => 4,
            Self::Time => 5,
            Self::Interval => 6,
            Self::String => 7,
            Self::Enum => 9,
            Self::Port => 10,
            Self::Addr => 11,
            Self::Subnet => 12,
            Self::Func => 17,
            Self::File => 18,
        }
    }

    /// The type with this tag. There is none for tags of types that Zeek does not log.
    #[must_use]
    pub fn from_tag(tag: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|atom| atom.tag() == tag)
    }

    /// Its name in the `#types` of a log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Count => "count",
            Self::Double => "double",
            Self::Time => "time",
            Self::Interval => "interval",
            Self::String => "string",
            Self::Enum => "enum",
            Self::Port => "port",
            Self::Addr => "addr",
            Self::Subnet => "subnet",
            Self::Func => "func",
            Self::File => "file",
        }
    }

    /// Is the value one of this type? An unset one is of none.
    #[must_use]
    pub fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Bool, Value::Boolean(_))
            | (Self::Int, Value::Integer(_))
            | (Self::Count, Value::Count(_))
            | (Self::Double, Value::Real(_))
            | (Self::Time, Value::Timestamp(_))
            | (Self::Interval, Value::Timespan(_))
            | (Self::String | Self::Func | Self::File, Value::String(_))
            | (Self::Enum, Value::EnumValue(_))
            | (Self::Port, Value::Port(_))
            | (Self::Addr, Value::Address(_))
            | (Self::Subnet, Value::Subnet(_)) => true,
            (Self::Time | Self::Interval, Value::Real(seconds)) => {
                seconds::to_nanos(*seconds).is_none()
            }
            _ => false,
        }
    }

    /// Is it written as text, so that it can be empty, and look like anything?
    pub(super) const fn is_text(self) -> bool {
        matches!(self, Self::String | Self::Enum | Self::Func | Self::File)
    }
}

impl Type {
    /// Its number where records travel: Zeek's `TypeTag`.
    #[must_use]
    pub const fn tag(self) -> u32 {
        match self {
            Self::Atom(atom) => atom.tag(),
            Self::Set(_) => SET,
            Self::Vector(_) => VECTOR,
        }
    }

    /// The number of its elements' type; 0, Zeek's `void`, for a type without elements.
    #[must_use]
    pub const fn subtag(self) -> u32 {
        match self {
            Self::Atom(_) => 0,
            Self::Set(atom) | Self::Vector(atom) => atom.tag(),
        }
    }

    /// The type with this tag and the tag of its elements, which is not looked at for a type without
    /// elements: Zeek writes 0 there, or 22.
    #[must_use]
    pub fn from_tags(tag: u32, subtag: u32) -> Option<Self> {
        match tag {
            SET => Atom::from_tag(subtag).map(Self::Set),
            VECTOR => Atom::from_tag(subtag).map(Self::Vector),
            tag => Atom::from_tag(tag).map(Self::Atom),
        }
    }

    /// The type of its elements, or of itself if it has none.
    #[must_use]
    pub const fn atom(self) -> Atom {
        match self {
            Self::Atom(atom) | Self::Set(atom) | Self::Vector(atom) => atom,
        }
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Atom(atom) => atom.fmt(f),
            Self::Set(atom) => write!(f, "set[{atom}]"),
            Self::Vector(atom) => write!(f, "vector[{atom}]"),
        }
    }
}

impl FromStr for Type {
    type Err = NotAType;

    fn from_str(text: &str) -> Result<Self, NotAType> {
        let named = |name: &str| Atom::ALL.into_iter().find(|atom| atom.name() == name);
        let inside = |head| text.strip_prefix(head)?.strip_suffix(']');
        let found = if let Some(name) = inside("set[") {
            named(name).map(Self::Set)
        } else if let Some(name) = inside("vector[") {
            named(name).map(Self::Vector)
        } else {
            named(text).map(Self::Atom)
        };
        found.ok_or_else(|| NotAType {
            text: text.chars().take(64).collect(),
        })
    }
}

impl TryFrom<String> for Type {
    type Error = NotAType;

    fn try_from(text: String) -> Result<Self, NotAType> {
        text.parse()
    }
}

impl From<Type> for String {
    fn from(type_: Type) -> Self {
        type_.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Timestamp;

    #[test]
    fn every_type_survives_its_text_and_its_tags() {
        let types = Atom::ALL
            .into_iter()
            .flat_map(|atom| [Type::Atom(atom), Type::Set(atom), Type::Vector(atom)]);
        for column in types {
            assert_eq!(column.to_string().parse(), Ok(column));
            assert_eq!(Type::from_tags(column.tag(), column.subtag()), Some(column));
        }
        assert_eq!(Type::Set(Atom::Addr).to_string(), "set[addr]");
        // 22 stands for no type of elements; 8, 13 and 15 are pattern, any and record.
        assert_eq!(Type::from_tags(5, 22), Some(Type::Atom(Atom::Time)));
        for (tag, subtag) in [
            (0, 0),
            (8, 0),
            (13, 0),
            (15, 0),
            (14, 0),
            (14, 14),
            (19, 22),
        ] {
            assert_eq!(Type::from_tags(tag, subtag), None, "{tag} {subtag}");
        }
    }

    #[test]
    fn a_text_that_names_no_type_is_refused() {
        for text in [
            "",
            "set",
            "set[]",
            "set[set[addr]]",
            "vector[addr",
            "pattern",
            "Bool",
        ] {
            assert!(text.parse::<Type>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_is_a_number_only_where_nanoseconds_end() {
        let seconds = |seconds: f64| Atom::Time.fits(&Value::Real(seconds));
        assert!(Atom::Time.fits(&Value::Timestamp(Timestamp::from_nanos(-1))));
        assert!(!seconds(1.0));
        assert!(!seconds(9.2e9));
        assert!(seconds(253_402_300_799.0));
        assert!(seconds(f64::NAN));
        assert!(!Atom::Count.fits(&Value::None));
    }
}

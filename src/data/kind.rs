//! The fifteen kinds of values, with their numbers in binary and their names in JSON.

use std::fmt;

/// What a value is. The order is that of the tags, and so of values of different kinds; Broker's
/// `data::type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Nothing; an unset field of a record.
    None = 0,
    /// True or false.
    Boolean = 1,
    /// An unsigned integer of 64 bits.
    Count = 2,
    /// A signed integer of 64 bits.
    Integer = 3,
    /// A binary64 number.
    Real = 4,
    /// Bytes; not necessarily UTF-8.
    String = 5,
    /// An IP address.
    Address = 6,
    /// A network: an address and how many of its bits count.
    Subnet = 7,
    /// A transport port.
    Port = 8,
    /// A point in time.
    Timestamp = 9,
    /// A span of time.
    Timespan = 10,
    /// The label of an enum's value.
    EnumValue = 11,
    /// Unique values, in order.
    Set = 12,
    /// Unique keys, in order, each with a value.
    Table = 13,
    /// Values in a row; also a record, field by field.
    Vector = 14,
}

impl Kind {
    /// All kinds, by tag.
    pub const ALL: [Self; 15] = [
        Self::None,
        Self::Boolean,
        Self::Count,
        Self::Integer,
        Self::Real,
        Self::String,
        Self::Address,
        Self::Subnet,
        Self::Port,
        Self::Timestamp,
        Self::Timespan,
        Self::EnumValue,
        Self::Set,
        Self::Table,
        Self::Vector,
    ];

    /// The byte that begins a value of this kind in binary. Format v1.
    #[must_use]
    pub const fn tag(self) -> u8 {
        self as u8
    }

    /// The kind that begins with this byte.
    #[must_use]
    pub fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.get(usize::from(tag)).copied()
    }

    /// Its name in JSON, under `@data-type`. JSON v1.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Boolean => "boolean",
            Self::Count => "count",
            Self::Integer => "integer",
            Self::Real => "real",
            Self::String => "string",
            Self::Address => "address",
            Self::Subnet => "subnet",
            Self::Port => "port",
            Self::Timestamp => "timestamp",
            Self::Timespan => "timespan",
            Self::EnumValue => "enum-value",
            Self::Set => "set",
            Self::Table => "table",
            Self::Vector => "vector",
        }
    }

    /// The kind with this name in JSON.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_tag_and_by_its_name() {
        for (tag, kind) in (0..).zip(Kind::ALL) {
            assert_eq!(kind.tag(), tag);
            assert_eq!(Kind::from_tag(tag), Some(kind));
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::from_tag(15), None);
        assert_eq!(Kind::from_name("list"), None);
        assert_eq!(Kind::from_name("enum"), None);
    }
}

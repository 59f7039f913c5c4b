//! What is hashed of a key: Zeek's bytes for every type that a key can have.
//!
//! A key is described as Zeek hashes it: a text by its bytes alone, everything else by the number of its
//! type, little endian, and its value. Inside records, vectors, sets and tables texts have their number
//! and length, too.

mod bytes;
mod text;
mod value;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::IpAddr;

use super::fnv1a32;
use crate::data::Kind;

/// Why a key has no digest. The caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A set or a table of several elements. Zeek hashes them in the order of its own table, which differs
    /// from process to process, so that nodes would not agree.
    #[error(
        "a set or table of {elements} elements cannot be a key: nodes would not agree on its digest"
    )]
    Unordered {
        /// How many it has.
        elements: usize,
    },
    /// A value is not of the type that its vector, set or table says, or has another number of indices.
    #[error("a key holds a value that is not of the type its container says")]
    Mixed,
    /// A value that does not say which type it is of in Zeek, so that its digest is not known.
    #[error("a value of kind {kind} does not say its type; give the key as what it is in Zeek")]
    Untyped {
        /// What it is.
        kind: Kind,
    },
    /// A text or container whose length the digest cannot say.
    #[error("a key holds a text or container of {length} bytes or elements, too many to be hashed")]
    TooLong {
        /// Its length.
        length: usize,
    },
}

/// A key, as the hashing sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum HashKey<'a> {
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `count`
    Count(u64),
    /// `double`
    Double(f64),
    /// `time`, in seconds of the Unix epoch
    Time(f64),
    /// `interval`, in seconds
    Interval(f64),
    /// `string`
    String(&'a [u8]),
    /// `pattern`: its anchored text, such as `^?(foo|bar)$?`
    Pattern(&'a str),
    /// `enum`
    Enum {
        /// The name of the type, such as `Cluster::NodeType`.
        type_name: &'a str,
        /// The name of the value, such as `Cluster::WORKER`.
        value: &'a str,
    },
    /// `port`
    Port {
        /// Its number.
        number: u16,
        /// Of which protocol.
        protocol: Protocol,
    },
    /// `addr`
    Addr(IpAddr),
    /// `subnet`; bits behind the prefix do not count
    Subnet {
        /// An address in it.
        addr: IpAddr,
        /// The length of the prefix in bits, of the address as it is given.
        prefix_bits: u8,
    },
    /// `record`
    Record(Vec<Field<'a>>),
    /// `vector`
    Vector {
        /// The type of its elements.
        element: KeyType<'a>,
        /// The elements.
        elements: Vec<Self>,
    },
    /// `set`
    Set {
        /// The types of its indices.
        index: Vec<KeyType<'a>>,
        /// The elements, each a list of indices.
        elements: Vec<Vec<Self>>,
    },
    /// `table`
    Table {
        /// The types of its indices.
        index: Vec<KeyType<'a>>,
        /// The type of its values.
        value: Box<KeyType<'a>>,
        /// The elements: lists of indices and values.
        elements: Vec<(Vec<Self>, Self)>,
    },
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Field<'a> {
    /// It has a value.
    Set(&'a str, HashKey<'a>),
    /// It has none: its name and type.
    Unset(&'a str, KeyType<'a>),
}

/// What a port belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `unknown`
    Unknown,
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
    /// `icmp`
    Icmp,
}

/// The type of a key, or of a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyType<'a> {
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `count`
    Count,
    /// `double`
    Double,
    /// `time`
    Time,
    /// `interval`
    Interval,
    /// `string`
    String,
    /// `pattern`
    Pattern,
    /// `enum`, of this name
    Enum(&'a str),
    /// `port`
    Port,
    /// `addr`
    Addr,
    /// `subnet`
    Subnet,
    /// `record`: the names and types of its fields
    Record(Vec<(&'a str, Self)>),
    /// `vector`: the type of its elements
    Vector(Box<Self>),
    /// `set`: the types of its indices
    Set(Vec<Self>),
    /// `table`: the types of its indices, and of its values
    Table(Vec<Self>, Box<Self>),
}

impl<'a> HashKey<'a> {
    /// Its digest, by which a member of a pool is chosen.
    ///
    /// # Errors
    /// [`KeyError`] if it has none that is the same everywhere.
    pub fn digest(&self) -> Result<u32, KeyError> {
        if let Self::String(text) = self {
            return Ok(fnv1a32(text));
        }
        self.bytes().map(|bytes| fnv1a32(&bytes))
    }

    /// The bytes that are hashed.
    ///
    /// # Errors
    /// As [`HashKey::digest`].
    pub fn bytes(&self) -> Result<Vec<u8>, KeyError> {
        if let Self::String(text) = self {
            return Ok(text.to_vec());
        }
        let mut out = Vec::new();
        bytes::value(self, &mut out)?;
        Ok(out)
    }

    /// Its type.
    #[must_use]
    pub fn key_type(&self) -> KeyType<'a> {
        match self {
            Self::Bool(_) => KeyType::Bool,
            Self::Int(_) => KeyType::Int,
            Self::Count(_) => KeyType::Count,
            Self::Double(_) => KeyType::Double,
            Self::Time(_) => KeyType::Time,
            Self::Interval(_) => KeyType::Interval,
            Self::String(_) => KeyType::String,
            Self::Pattern(_) => KeyType::Pattern,
            Self::Enum { type_name, .. } => KeyType::Enum(type_name),
            Self::Port { .. } => KeyType::Port,
            Self::Addr(_) => KeyType::Addr,
            Self::Subnet { .. } => KeyType::Subnet,
            Self::Record(fields) => KeyType::Record(fields.iter().map(Field::key_type).collect()),
            Self::Vector { element, .. } => KeyType::Vector(Box::new(element.clone())),
            Self::Set { index, .. } => KeyType::Set(index.clone()),
            Self::Table { index, value, .. } => KeyType::Table(index.clone(), value.clone()),
        }
    }
}

impl From<Infallible> for KeyError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl<'a> From<&'a str> for HashKey<'a> {
    fn from(text: &'a str) -> Self {
        Self::String(text.as_bytes())
    }
}

impl<'a> Field<'a> {
    fn key_type(&self) -> (&'a str, KeyType<'a>) {
        match self {
            Self::Set(name, value) => (name, value.key_type()),
            Self::Unset(name, key_type) => (name, key_type.clone()),
        }
    }
}

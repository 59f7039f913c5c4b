//! Keys and their types to the bytes that Zeek hashes. Numbers are little endian: Zeek hashes its native
//! memory, and the clusters that it must agree with are little endian.

use super::text;
use super::{Field, HashKey, KeyError, KeyType, Protocol};

/// Zeek's numbers of types.
mod tag {
    pub(super) const BOOL: i32 = 1;
    pub(super) const INT: i32 = 2;
    pub(super) const COUNT: i32 = 3;
    pub(super) const DOUBLE: i32 = 4;
    pub(super) const TIME: i32 = 5;
    pub(super) const INTERVAL: i32 = 6;
    pub(super) const STRING: i32 = 7;
    pub(super) const PATTERN: i32 = 8;
    pub(super) const ENUM: i32 = 9;
    pub(super) const PORT: i32 = 10;
    pub(super) const ADDR: i32 = 11;
    pub(super) const SUBNET: i32 = 12;
    pub(super) const TABLE: i32 = 14;
    pub(super) const RECORD: i32 = 15;
    pub(super) const LIST: i32 = 16;
    pub(super) const VECTOR: i32 = 19;
}

/// What stands for the value of a field that has none.
const UNSET: &str = "<uninitialized>";

/// Appends the description of a value, as it stands inside of others: a text has its number and length.
pub(super) fn value(key: &HashKey<'_>, out: &mut Vec<u8>) -> Result<(), KeyError> {
    match key {
        HashKey::Bool(value) => number(tag::BOOL, i64::from(*value).to_le_bytes(), out),
        HashKey::Int(value) => number(tag::INT, value.to_le_bytes(), out),
        HashKey::Count(value) => number(tag::COUNT, value.to_le_bytes(), out),
        HashKey::Double(value) => number(tag::DOUBLE, value.to_le_bytes(), out),
        HashKey::Time(value) => number(tag::TIME, value.to_le_bytes(), out),
        HashKey::Interval(seconds) => {
            put_i32(tag::INTERVAL, out);
            text::interval(*seconds, out);
        }
        HashKey::String(text) => {
            put_i32(tag::STRING, out);
            put_i32(length(text.len())?, out);
            out.extend_from_slice(text);
        }
        HashKey::Pattern(anchored) => {
            put_i32(tag::PATTERN, out);
            for part in ["/", anchored, "/"] {
                text::terminated(part, out);
            }
        }
        HashKey::Enum { type_name, value } => {
            put_i32(tag::ENUM, out);
            out.extend_from_slice(type_name.as_bytes());
            text::terminated(value, out);
        }
        HashKey::Port {
            number,
            protocol: of,
        } => {
            put_i32(tag::PORT, out);
            out.extend_from_slice(&u32::from(*number).to_le_bytes());
            text::terminated("/", out);
            out.extend_from_slice(protocol(*of).as_bytes());
        }
        HashKey::Addr(addr) => {
            put_i32(tag::ADDR, out);
            text::terminated(&text::address(*addr), out);
        }
        HashKey::Subnet { addr, prefix_bits } => {
            put_i32(tag::SUBNET, out);
            text::terminated(&text::subnet(*addr, *prefix_bits), out);
        }
        HashKey::Record(fields) => record(key, fields, out)?,
        HashKey::Vector { element, elements } => vector(key, element, elements, out)?,
        HashKey::Set { index, elements } => {
            let elements = elements.iter().map(|indices| (indices.as_slice(), None));
            table(key, index, None, elements, out)?;
        }
        HashKey::Table {
            index,
            value,
            elements,
        } => {
            let elements = elements.iter();
            let elements = elements.map(|(indices, value)| (indices.as_slice(), Some(value)));
            table(key, index, Some(value), elements, out)?;
        }
    }
    Ok(())
}

fn record(key: &HashKey<'_>, fields: &[Field<'_>], out: &mut Vec<u8>) -> Result<(), KeyError> {
    description(&key.key_type(), out);
    put_u64(fields.len(), out);
    for field in fields {
        match field {
            Field::Set(name, field) => {
                text::terminated(name, out);
                value(field, out)?;
            }
            Field::Unset(name, _) => {
                text::terminated(name, out);
                text::terminated(UNSET, out);
            }
        }
    }
    Ok(())
}

fn vector(
    key: &HashKey<'_>,
    element: &KeyType<'_>,
    elements: &[HashKey<'_>],
    out: &mut Vec<u8>,
) -> Result<(), KeyError> {
    description(&key.key_type(), out);
    text::terminated("[", out);
    for (at, one) in elements.iter().enumerate() {
        if at > 0 {
            text::terminated(", ", out);
        }
        typed(element, one, out)?;
    }
    text::terminated("]", out);
    Ok(())
}

/// Sets and tables; at most one element, see [`KeyError::Unordered`].
fn table<'a>(
    key: &HashKey<'_>,
    index: &[KeyType<'_>],
    yields: Option<&KeyType<'_>>,
    elements: impl ExactSizeIterator<Item = (&'a [HashKey<'a>], Option<&'a HashKey<'a>>)>,
    out: &mut Vec<u8>,
) -> Result<(), KeyError> {
    if elements.len() > 1 {
        return Err(KeyError::Unordered {
            elements: elements.len(),
        });
    }
    description(&key.key_type(), out);
    put_i32(length(elements.len())?, out);
    for (indices, one) in elements {
        if indices.len() != index.len() {
            return Err(KeyError::Mixed);
        }
        put_i32(length(index.len())?, out);
        put_i32(tag::LIST, out);
        put_i32(0, out);
        put_u64(index.len(), out);
        index.iter().for_each(|one| description(one, out));
        put_u64(indices.len(), out);
        for (of, one) in index.iter().zip(indices) {
            typed(of, one, out)?;
        }
        if let (Some(yields), Some(one)) = (yields, one) {
            typed(yields, one, out)?;
        }
    }
    Ok(())
}

/// A value that must be of this type.
fn typed(of: &KeyType<'_>, one: &HashKey<'_>, out: &mut Vec<u8>) -> Result<(), KeyError> {
    if one.key_type() != *of {
        return Err(KeyError::Mixed);
    }
    value(one, out)
}

/// Appends the description of a type.
fn description(of: &KeyType<'_>, out: &mut Vec<u8>) {
    put_i32(tag_of(of), out);
    match of {
        KeyType::Enum(name) => out.extend_from_slice(name.as_bytes()),
        KeyType::Record(fields) => {
            put_u64(0, out);
            put_u64(fields.len(), out);
            for (name, of) in fields {
                text::terminated(name, out);
                description(of, out);
            }
        }
        KeyType::Vector(element) => description(element, out),
        KeyType::Set(index) => index.iter().for_each(|one| description(one, out)),
        KeyType::Table(index, value) => {
            index.iter().for_each(|one| description(one, out));
            description(value, out);
        }
        KeyType::Bool
        | KeyType::Int
        | KeyType::Count
        | KeyType::Double
        | KeyType::Time
        | KeyType::Interval
        | KeyType::String
        | KeyType::Pattern
        | KeyType::Port
        | KeyType::Addr
        | KeyType::Subnet => {}
    }
}

fn tag_of(of: &KeyType<'_>) -> i32 {
    match of {
        KeyType::Bool => tag::BOOL,
        KeyType::Int => tag::INT,
        KeyType::Count => tag::COUNT,
        KeyType::Double => tag::DOUBLE,
        KeyType::Time => tag::TIME,
        KeyType::Interval => tag::INTERVAL,
        KeyType::String => tag::STRING,
        KeyType::Pattern => tag::PATTERN,
        KeyType::Enum(_) => tag::ENUM,
        KeyType::Port => tag::PORT,
        KeyType::Addr => tag::ADDR,
        KeyType::Subnet => tag::SUBNET,
        KeyType::Record(_) => tag::RECORD,
        KeyType::Vector(_) => tag::VECTOR,
        KeyType::Set(_) | KeyType::Table(..) => tag::TABLE,
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Unknown => "unknown",
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Icmp => "icmp",
    }
}

fn number(tag: i32, value: [u8; 8], out: &mut Vec<u8>) {
    put_i32(tag, out);
    out.extend_from_slice(&value);
}

fn put_i32(number: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_u64(number: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(number as u64).to_le_bytes());
}

fn length(length: usize) -> Result<i32, KeyError> {
    i32::try_from(length).map_err(|_| KeyError::TooLong { length })
}

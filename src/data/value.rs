//! One value of Broker's data model, owned.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use super::{Address, Kind, Port, Set, Subnet, Table, Timespan, Timestamp};

/// One value. `PartialEq`, `Ord` and `Hash` follow the order in which Broker writes sets and tables;
/// [`Display`](std::fmt::Display) is Broker's own notation. It is Broker's `data`.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Nothing; an unset field of a record.
    #[default]
    None,
    /// True or false.
    Boolean(bool),
    /// An unsigned integer.
    Count(u64),
    /// A signed integer.
    Integer(i64),
    /// A number. -0.0, subnormals and 0.0 are equal, and so are all NaN.
    Real(f64),
    /// Bytes; nobody checks that they are UTF-8.
    String(Vec<u8>),
    /// An IP address.
    Address(Address),
    /// A network.
    Subnet(Subnet),
    /// A transport port.
    Port(Port),
    /// A point in time.
    Timestamp(Timestamp),
    /// A span of time.
    Timespan(Timespan),
    /// The label of an enum's value, such as `Conn::LOG`; bytes, as strings are.
    EnumValue(Vec<u8>),
    /// Unique values in order.
    Set(Set),
    /// Unique keys in order, each with a value.
    Table(Table),
    /// Values in a row; a record is one, field by field.
    Vector(Vec<Self>),
}

/// A value of another kind than was asked for. The sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct WrongKind {
    /// What was asked for.
    pub expected: Kind,
    /// What was there.
    pub found: Kind,
}

impl Value {
    /// The label of an enum's value.
    #[must_use]
    pub fn enum_value(label: impl Into<Vec<u8>>) -> Self {
        Self::EnumValue(label.into())
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::None => Kind::None,
            Self::Boolean(_) => Kind::Boolean,
            Self::Count(_) => Kind::Count,
            Self::Integer(_) => Kind::Integer,
            Self::Real(_) => Kind::Real,
            Self::String(_) => Kind::String,
            Self::Address(_) => Kind::Address,
            Self::Subnet(_) => Kind::Subnet,
            Self::Port(_) => Kind::Port,
            Self::Timestamp(_) => Kind::Timestamp,
            Self::Timespan(_) => Kind::Timespan,
            Self::EnumValue(_) => Kind::EnumValue,
            Self::Set(_) => Kind::Set,
            Self::Table(_) => Kind::Table,
            Self::Vector(_) => Kind::Vector,
        }
    }

    /// Is it nothing?
    #[must_use]
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The bytes of a string.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::String(bytes) = self {
            Some(bytes)
        } else {
            None
        }
    }

    /// The text of a string that is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.as_bytes()
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The number of a count.
    #[must_use]
    pub const fn as_count(&self) -> Option<u64> {
        if let Self::Count(count) = self {
            Some(*count)
        } else {
            None
        }
    }

    /// The members of a vector.
    #[must_use]
    pub fn as_vector(&self) -> Option<&[Self]> {
        if let Self::Vector(items) = self {
            Some(items)
        } else {
            None
        }
    }
}

/// `From` into a value, and `TryFrom` back, which asks for exactly that kind.
macro_rules! content {
    ($($kind:ident($type:ty)),* $(,)?) => {$(
        impl From<$type> for Value {
            fn from(content: $type) -> Self {
                Self::$kind(content)
            }
        }

        impl TryFrom<Value> for $type {
            type Error = WrongKind;

            fn try_from(value: Value) -> Result<Self, WrongKind> {
                let found = value.kind();
                if let Value::$kind(content) = value {
                    Ok(content)
                } else {
                    Err(WrongKind { expected: Kind::$kind, found })
                }
            }
        }
    )*};
}

content! {
    Boolean(bool),
    Count(u64),
    Integer(i64),
    Real(f64),
    String(Vec<u8>),
    Address(Address),
    Subnet(Subnet),
    Port(Port),
    Timestamp(Timestamp),
    Timespan(Timespan),
    Set(Set),
    Table(Table),
    Vector(Vec<Value>),
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::None
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into_bytes())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::String(bytes.to_vec())
    }
}

impl From<IpAddr> for Value {
    fn from(ip: IpAddr) -> Self {
        Self::Address(ip.into())
    }
}

impl From<Ipv4Addr> for Value {
    fn from(ip: Ipv4Addr) -> Self {
        Self::Address(ip.into())
    }
}

impl From<Ipv6Addr> for Value {
    fn from(ip: Ipv6Addr) -> Self {
        Self::Address(ip.into())
    }
}

impl From<SystemTime> for Value {
    fn from(time: SystemTime) -> Self {
        Self::Timestamp(time.into())
    }
}

impl From<Duration> for Value {
    fn from(duration: Duration) -> Self {
        Self::Timespan(duration.into())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(content: Option<T>) -> Self {
        content.map_or(Self::None, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_in_comes_out_as_the_same_type_only() {
        assert_eq!(u64::try_from(Value::from(7_u64)), Ok(7));
        let refused = i64::try_from(Value::from(7_u64)).unwrap_err();
        assert_eq!(refused.to_string(), "expected integer, found count");
        assert_eq!(Value::from(None::<bool>), Value::None);
        assert_eq!(Value::from("a").as_str(), Some("a"));
        assert_eq!(Value::from(&[0xff_u8][..]).as_str(), None);
    }

    /// A vector of the smallest values, one byte each, is the worst that a peer can have us hold.
    #[test]
    fn a_value_takes_four_words() {
        assert_eq!(size_of::<Value>(), 32);
    }
}

//! Keys from data: what a value alone says of its type in Zeek.

use super::{HashKey, KeyError, Protocol};
use crate::data::{self, Kind, Value};

impl<'a> TryFrom<&'a Value> for HashKey<'a> {
    type Error = KeyError;

    /// The key that Zeek would hash for the value.
    ///
    /// A value does not always say what it was: a vector counts as one of elements of one type, never as
    /// a record. What says too little is no key: make the [`HashKey`] by hand then.
    ///
    /// # Errors
    /// [`KeyError::Untyped`] for nothing, values of enums, sets, tables, and vectors that are empty or
    /// mixed.
    fn try_from(value: &'a Value) -> Result<Self, KeyError> {
        Ok(match value {
            Value::Boolean(value) => Self::Bool(*value),
            Value::Count(value) => Self::Count(*value),
            Value::Integer(value) => Self::Int(*value),
            Value::Real(value) => Self::Double(*value),
            Value::String(bytes) => Self::String(bytes),
            Value::Address(address) => Self::Addr(address.ip()),
            Value::Subnet(subnet) => Self::Subnet {
                addr: subnet.address().ip(),
                prefix_bits: subnet.length(),
            },
            Value::Port(port) => Self::Port {
                number: port.number,
                protocol: port.protocol.into(),
            },
            Value::Timestamp(time) => Self::Time(seconds(time.nanos())),
            Value::Timespan(span) => Self::Interval(seconds(span.nanos())),
            Value::Vector(items) => vector(items)?,
            Value::None | Value::EnumValue(_) | Value::Set(_) | Value::Table(_) => {
                return Err(untyped(value.kind()));
            }
        })
    }
}

impl From<data::Protocol> for Protocol {
    fn from(protocol: data::Protocol) -> Self {
        match protocol {
            data::Protocol::Unknown => Self::Unknown,
            data::Protocol::Tcp => Self::Tcp,
            data::Protocol::Udp => Self::Udp,
            data::Protocol::Icmp => Self::Icmp,
        }
    }
}

fn untyped(kind: Kind) -> KeyError {
    KeyError::Untyped { kind }
}

fn vector(items: &[Value]) -> Result<HashKey<'_>, KeyError> {
    let elements: Result<Vec<_>, _> = items.iter().map(HashKey::try_from).collect();
    let elements = elements?;
    let element = elements.first().map(HashKey::key_type);
    let element = element.ok_or_else(|| untyped(Kind::Vector))?;
    if elements.iter().any(|other| other.key_type() != element) {
        return Err(untyped(Kind::Vector));
    }
    Ok(HashKey::Vector { element, elements })
}

/// As Zeek has them, which keeps seconds in a double.
#[expect(clippy::cast_precision_loss, reason = "Zeek's own loss")]
fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Address, Port, Subnet, Timespan};
    use crate::pool::KeyType;

    #[test]
    fn a_value_is_the_key_that_zeek_would_hash() {
        let ten = Address::from(std::net::Ipv4Addr::new(10, 0, 0, 0));
        for (value, key) in [
            (Value::from(true), HashKey::Bool(true)),
            (42_u64.into(), HashKey::Count(42)),
            ((-1_i64).into(), HashKey::Int(-1)),
            (1.5.into(), HashKey::Double(1.5)),
            ("alpha".into(), HashKey::from("alpha")),
            (ten.into(), HashKey::Addr(ten.ip())),
            (
                Subnet::new(ten, 8).into(),
                HashKey::Subnet {
                    addr: ten.ip(),
                    prefix_bits: 8,
                },
            ),
            (
                Port::tcp(443).into(),
                HashKey::Port {
                    number: 443,
                    protocol: Protocol::Tcp,
                },
            ),
            (
                Timespan::from_nanos(1_500_000_000).into(),
                HashKey::Interval(1.5),
            ),
            (
                Value::Vector(vec!["a".into(), "b".into()]),
                HashKey::Vector {
                    element: KeyType::String,
                    elements: vec!["a".into(), "b".into()],
                },
            ),
        ] {
            assert_eq!(HashKey::try_from(&value), Ok(key));
        }
    }

    #[test]
    fn what_does_not_say_its_type_is_no_key() {
        let mixed = Value::Vector(vec![1_u64.into(), "a".into()]);
        let empty = Value::Vector(Vec::new());
        for value in [mixed, empty, Value::None, Value::enum_value("Conn::LOG")] {
            let kind = value.kind();
            assert_eq!(HashKey::try_from(&value), Err(KeyError::Untyped { kind }));
        }
    }
}

//! The order of values: by kind, then by content. It decides how sets and tables are written, and
//! what counts as the same member.
//!
//! Broker leaves NaN unordered, so a set of Broker's holds one NaN at most, at a place that depends on
//! its history. Here the order is total: all NaN are one value, above every number. Otherwise reals
//! compare as Broker's do, as they will travel: -0.0 is 0.0, and so is a subnormal number.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use super::Value;

/// The number that stands for all those that are the same here.
fn canonical(real: f64) -> f64 {
    if real.is_nan() {
        f64::NAN
    } else if real.is_normal() || real.is_infinite() {
        real
    } else {
        0.0
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::None, Self::None) => Ordering::Equal,
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Count(a), Self::Count(b)) => a.cmp(b),
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => canonical(*a).total_cmp(&canonical(*b)),
            (Self::String(a), Self::String(b)) | (Self::EnumValue(a), Self::EnumValue(b)) => {
                a.cmp(b)
            }
            (Self::Address(a), Self::Address(b)) => a.cmp(b),
            (Self::Subnet(a), Self::Subnet(b)) => a.cmp(b),
            (Self::Port(a), Self::Port(b)) => a.cmp(b),
            (Self::Timestamp(a), Self::Timestamp(b)) => a.cmp(b),
            (Self::Timespan(a), Self::Timespan(b)) => a.cmp(b),
            (Self::Set(a), Self::Set(b)) => a.cmp(b),
            (Self::Table(a), Self::Table(b)) => a.cmp(b),
            (Self::Vector(a), Self::Vector(b)) => a.cmp(b),
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind().hash(state);
        match self {
            Self::None => {}
            Self::Boolean(content) => content.hash(state),
            Self::Count(content) => content.hash(state),
            Self::Integer(content) => content.hash(state),
            Self::Real(content) => canonical(*content).to_bits().hash(state),
            Self::String(content) | Self::EnumValue(content) => content.hash(state),
            Self::Address(content) => content.hash(state),
            Self::Subnet(content) => content.hash(state),
            Self::Port(content) => content.hash(state),
            Self::Timestamp(content) => content.hash(state),
            Self::Timespan(content) => content.hash(state),
            Self::Set(content) => content.hash(state),
            Self::Table(content) => content.hash(state),
            Self::Vector(content) => content.hash(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Address, Kind, Port, Protocol, Set, Subnet};

    fn address(text: &str) -> Value {
        Value::Address(text.parse().unwrap())
    }

    fn subnet(text: &str) -> Value {
        Value::Subnet(text.parse().unwrap())
    }

    #[test]
    fn reals_are_ordered_without_a_gap() {
        let rising = [
            f64::NEG_INFINITY,
            f64::MIN,
            -f64::MIN_POSITIVE,
            0.0,
            f64::MIN_POSITIVE,
            1.5,
            f64::INFINITY,
            f64::NAN,
        ];
        assert!(rising.map(Value::Real).is_sorted_by(|a, b| a < b));
        for zero in [-0.0, 5e-324, -5e-324] {
            assert_eq!(Value::Real(zero), Value::Real(0.0));
        }
        assert_eq!(Value::Real(-f64::NAN), Value::Real(f64::NAN));
    }

    /// The worked example of a mixed set: networks after addresses, ports by number, then protocol.
    #[test]
    fn a_mixed_set_stands_in_brokers_order() {
        let expected = [
            address("10.0.0.1"),
            address("10.0.0.2"),
            address("2001:db8::1"),
            subnet("10.0.0.0/8"),
            subnet("10.0.0.0/16"),
            Value::Port(Port::new(22, Protocol::Icmp)),
            Value::Port(Port::tcp(80)),
            Value::Port(Port::udp(80)),
        ];
        let set: Set = expected.iter().rev().cloned().collect();
        assert_eq!(set.as_slice(), expected);
    }

    #[test]
    fn different_kinds_are_ordered_by_tag_and_rows_by_their_first_difference() {
        let one_of_each = [
            Value::None,
            Value::Boolean(true),
            Value::Count(9),
            Value::Integer(-9),
            Value::Real(f64::NEG_INFINITY),
            Value::from("b"),
            Value::Address(Address::from_bytes([0; 16])),
            Value::Subnet(Subnet::EMPTY),
            Value::Port(Port::tcp(0)),
            Value::Timestamp(crate::data::Timestamp::from_nanos(-1)),
            Value::Timespan(crate::data::Timespan::from_nanos(-2)),
            Value::enum_value("a"),
            Value::Set(Set::new()),
            Value::Table(crate::data::Table::new()),
            Value::Vector(Vec::new()),
        ];
        assert!(one_of_each.is_sorted_by(|a, b| a < b));
        assert_eq!(one_of_each.each_ref().map(Value::kind), Kind::ALL);
        let rows = ["", "a", "ab", "b", "\u{7f}", "\u{80}"].map(Value::from);
        assert!(rows.is_sorted_by(|a, b| a < b));
    }
}

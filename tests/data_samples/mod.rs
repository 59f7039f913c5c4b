//! Made-up values, for properties.

use cluster::data::{
    Address, DEPTH_MAX, Port, Protocol, Set, Subnet, Table, Timespan, Timestamp, Value,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn address() -> impl Strategy<Value = Address> {
    let v4 = any::<u32>().prop_map(|bits| std::net::Ipv4Addr::from_bits(bits).into());
    let v6 = any::<[u8; 16]>().prop_map(Address::from_bytes);
    prop_oneof![v4, v6]
}

fn port() -> impl Strategy<Value = Port> {
    let protocols = [
        Protocol::Unknown,
        Protocol::Tcp,
        Protocol::Udp,
        Protocol::Icmp,
    ];
    let protocol = prop::sample::select(protocols.to_vec());
    (any::<u16>(), protocol).prop_map(|(number, protocol)| Port::new(number, protocol))
}

/// Numbers of every sort, special ones often.
fn real() -> impl Strategy<Value = f64> {
    let special = vec![
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        5e-324,
        f64::MIN_POSITIVE,
    ];
    prop_oneof![
        prop::sample::select(special),
        any::<u64>().prop_map(f64::from_bits),
    ]
}

/// What is the same in every form: kinds of fixed content.
fn plain() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::from),
        prop_oneof![0..3_u64, any::<u64>()].prop_map(Value::from),
        prop_oneof![-2..2_i64, any::<i64>()].prop_map(Value::from),
        address().prop_map(Value::from),
        (address(), any::<u8>()).prop_map(|(address, length)| Subnet::new(address, length).into()),
        port().prop_map(Value::from),
        any::<i64>().prop_map(|nanos| Timespan::from_nanos(nanos).into()),
    ]
}

fn any_leaf() -> impl Strategy<Value = Value> {
    let stored = (any::<[u8; 16]>(), 0..=128_u8);
    prop_oneof![
        8 => plain(),
        1 => real().prop_map(Value::from),
        1 => vec(any::<u8>(), 0..200).prop_map(Value::from),
        1 => vec(any::<u8>(), 0..4).prop_map(Value::enum_value),
        1 => any::<i64>().prop_map(|nanos| Timestamp::from_nanos(nanos).into()),
        1 => stored.prop_map(|(bytes, length)| {
            Subnet::from_stored(Address::from_bytes(bytes), length).into()
        }),
    ]
}

/// Leaves that JSON loses nothing of.
fn json_leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => plain(),
        // Six decimals, and few enough digits before them for all of them to count.
        1 => any::<i32>().prop_map(|n| Value::from(f64::from(n) / 64.0)),
        1 => ".{0,20}".prop_map(Value::from),
        1 => ".{0,4}".prop_map(Value::enum_value),
        1 => (0..9_000_000_000_000_i64)
            .prop_map(|millis| Timestamp::from_nanos(millis * 1_000_000).into()),
    ]
}

fn nested(leaf: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    leaf.prop_recursive(6, 64, 6, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Vector),
            vec(inner, 0..6).prop_map(|members| members.into_iter().collect::<Set>().into()),
            vec(pair, 0..4).prop_map(|entries| entries.into_iter().collect::<Table>().into()),
        ]
    })
}

/// Any value.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    nested(any_leaf())
}

/// Any value that JSON loses nothing of.
#[allow(dead_code, reason = "not every test that has samples speaks JSON")]
pub(crate) fn json_value() -> impl Strategy<Value = Value> {
    nested(json_leaf())
}

/// Bytes that are often nearly a value: what an encoder writes, with a few of them changed; or tags
/// and small numbers.
pub(crate) fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let changed = (any_value(), vec(change, 0..4)).prop_map(|(value, changes)| {
        let mut bytes = Vec::new();
        cluster::data::binary::encode(&value, &mut bytes);
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        bytes
    });
    prop_oneof![
        3 => changed,
        1 => vec(0..17_u8, 0..3 * DEPTH_MAX),
        1 => vec(any::<u8>(), 0..300),
    ]
}

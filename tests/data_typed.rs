//! Rust types as values: each row of the mapping, there and back.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use cluster::data::binary::encode;
use cluster::data::typed::{
    as_address, as_set, as_timespan, as_timestamp, from_value, from_view, to_value,
};
use cluster::data::{Address, Port, Set, Subnet, Table, Timespan, Timestamp, Value, View};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Stream {
    #[serde(rename = "Conn::LOG")]
    Conn,
    Path(String),
    Pair(u8, bool),
    Record {
        id: u64,
        note: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Newtype(i32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Own {
    address: Address,
    subnet: Subnet,
    port: Port,
    at: Timestamp,
    span: Timespan,
    any: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Borrowed {
    #[serde(with = "as_address")]
    ip: IpAddr,
    #[serde(with = "as_set")]
    ports: BTreeSet<Port>,
    #[serde(with = "as_timestamp")]
    at: SystemTime,
    #[serde(with = "as_timespan")]
    span: Duration,
    counts: BTreeMap<String, u64>,
}

/// A type becomes this value, and the value this type again.
#[track_caller]
fn is<T: Serialize + DeserializeOwned + PartialEq + Debug>(content: T, value: impl Into<Value>) {
    let value = value.into();
    assert_eq!(to_value(&content).as_ref(), Ok(&value));
    assert_eq!(from_value::<T>(&value), Ok(content));
}

#[track_caller]
fn refused<T: DeserializeOwned + Debug>(value: impl Into<Value>) -> String {
    from_value::<T>(&value.into()).unwrap_err().to_string()
}

fn vector<const N: usize>(members: [Value; N]) -> Value {
    Value::Vector(members.to_vec())
}

#[test]
fn plain_types_have_a_kind_each() {
    is(true, true);
    is(7_u8, 7_u64);
    is(u64::MAX, u64::MAX);
    is(-7_i16, -7_i64);
    is(1.5_f32, 1.5);
    is('ü', "ü");
    is("text".to_owned(), "text");
    is((), Value::None);
    is(Unit, Value::None);
    is(Newtype(-1), -1_i64);
    is(None::<u64>, Value::None);
    is(Some(3_u64), 3_u64);
    is((1_u64, false), vector([1_u64.into(), false.into()]));
    is(vec![1_u64, 2], vector([1_u64.into(), 2_u64.into()]));
    is(
        BTreeMap::from([("a".to_owned(), 1_i64)]),
        Table::from_iter([(Value::from("a"), Value::from(1_i64))]),
    );
}

#[test]
fn a_variant_is_its_label_and_what_it_holds() {
    let label = Value::enum_value;
    is(Stream::Conn, label("Conn::LOG"));
    is(
        Stream::Path("x".to_owned()),
        vector([label("Path"), "x".into()]),
    );
    is(
        Stream::Pair(1, true),
        vector([label("Pair"), 1_u64.into(), true.into()]),
    );
    let record = Stream::Record { id: 9, note: None };
    is(record, vector([label("Record"), 9_u64.into(), Value::None]));
    refused::<Stream>("Conn::LOG");
    refused::<Stream>(label("Dns::LOG"));
    refused::<Stream>(label("Path"));
    refused::<Stream>(vector([label("Conn::LOG"), Value::None]));
    refused::<Stream>(vector([label("Path"), "x".into(), "y".into()]));
    refused::<Stream>(vector([label("Pair"), 1_u64.into()]));
    refused::<Stream>(vector([]));
}

#[test]
fn our_own_types_stay_what_they_are() {
    let address: Address = "10.0.0.1".parse().unwrap();
    let subnet: Subnet = "2001:db8::/32".parse().unwrap();
    let any = vector([Set::new().into(), Value::enum_value("e")]);
    let own = Own {
        address,
        subnet,
        port: Port::udp(53),
        at: Timestamp::from_nanos(-1),
        span: Timespan::from_nanos(1),
        any: any.clone(),
    };
    let value = vector([
        address.into(),
        subnet.into(),
        Port::udp(53).into(),
        Timestamp::from_nanos(-1).into(),
        Timespan::from_nanos(1).into(),
        any,
    ]);
    is(own, value);
    assert_eq!(refused::<Port>(80_u64), "expected port, found count");
}

#[test]
fn types_of_the_standard_library_have_a_kind_by_attribute() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1500);
    let ports: Set = [Port::tcp(80).into(), Port::tcp(443).into()]
        .into_iter()
        .collect();
    let counts = Table::from_iter([(Value::from("a"), Value::from(1_u64))]);
    is(
        Borrowed {
            ip: "192.168.9.8".parse().unwrap(),
            ports: BTreeSet::from([Port::tcp(443), Port::tcp(80)]),
            at,
            span: Duration::from_secs(2),
            counts: BTreeMap::from([("a".to_owned(), 1)]),
        },
        vector([
            Value::Address("192.168.9.8".parse().unwrap()),
            ports.into(),
            Timestamp::from_nanos(1_500_000_000).into(),
            Timespan::from_nanos(2_000_000_000).into(),
            counts.into(),
        ]),
    );
}

#[test]
fn what_does_not_fit_is_refused_and_says_why() {
    assert_eq!(
        refused::<u8>(256_u64),
        "invalid value: integer `256`, expected u8"
    );
    assert_eq!(
        refused::<String>(Value::enum_value("e")),
        "invalid type: enum-value, expected a string"
    );
    assert_eq!(
        refused::<(u64, u64)>(vector([1_u64.into()])),
        "invalid length 1, expected a tuple of size 2"
    );
    let three = vector([1_u64.into(), 2_u64.into(), 3_u64.into()]);
    assert_eq!(refused::<(u64, u64)>(three), "3 members where 2 are known");
    refused::<Vec<u64>>(Set::new());
    refused::<BTreeMap<u64, u64>>(vector([]));
    assert!(to_value(&1_u128).is_err());
    assert!(serde_json::to_string(&Value::None).is_err());
}

/// A field that is left out keeps its place, since fields are told by their places.
#[test]
fn a_field_that_is_left_out_is_none() {
    #[derive(Serialize)]
    struct Sparse {
        #[serde(skip_serializing_if = "Option::is_none")]
        first: Option<u64>,
        second: u64,
    }
    let (first, second) = (None, 2);
    assert_eq!(
        to_value(&Sparse { first, second }),
        Ok(vector([Value::None, 2_u64.into()]))
    );
}

#[test]
fn text_and_bytes_are_borrowed_from_the_message() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Lines<'a> {
        text: &'a str,
        bytes: &'a [u8],
    }
    let value = vector(["text".into(), Value::from(&[0xff_u8, 0][..])]);
    let mut message = Vec::new();
    encode(&value, &mut message);
    let view = View::parse(&message).unwrap();
    let (text, bytes) = ("text", &[0xff_u8, 0][..]);
    assert_eq!(from_view(view), Ok(Lines { text, bytes }));
}

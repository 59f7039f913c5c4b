//! Any value is a Rust type or none, whether it is read where it lies or owned; and a type that was read
//! is a value again, of which the same is read.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use cluster::data::typed::{
    as_address, as_set, as_timespan, as_timestamp, from_value, from_view, to_value,
};
use cluster::data::{Address, Port, Subnet, Timespan, Timestamp, Value, View};
use libfuzzer_sys::fuzz_target;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A record with a field of most kinds.
#[derive(Serialize, Deserialize)]
struct Record {
    flag: bool,
    small: u8,
    count: u64,
    integer: i64,
    single: f32,
    real: f64,
    text: String,
    letter: char,
    address: Address,
    subnet: Subnet,
    port: Port,
    at: Timestamp,
    span: Timespan,
    inner: Option<Box<Record>>,
    #[serde(default)]
    streams: Vec<Stream>,
}

#[derive(Serialize, Deserialize)]
enum Stream {
    #[serde(rename = "Conn::LOG")]
    Conn,
    Path(String),
    Pair(i32, bool),
    Entry {
        id: u16,
        note: Option<String>,
    },
}

/// Sets, tables and what the standard library has for the other kinds.
#[derive(Serialize, Deserialize)]
struct Rows {
    #[serde(with = "as_address")]
    ip: IpAddr,
    #[serde(with = "as_timestamp")]
    at: SystemTime,
    #[serde(with = "as_timespan")]
    span: Duration,
    #[serde(with = "as_set")]
    ports: BTreeSet<Port>,
    counts: BTreeMap<String, (u64, i8)>,
    any: BTreeMap<Value, [Value; 2]>,
    nothing: (),
}

fn survives<T: Serialize + DeserializeOwned>(view: View<'_>) {
    let there = from_view::<T>(view).map(|content| written(&content));
    if let Ok(owned) = view.decode() {
        let here = from_value::<T>(&owned).map(|content| written(&content));
        assert_eq!(here.is_ok(), there.is_ok());
        assert_eq!(here.ok(), there.as_ref().ok().cloned());
    }
    let Ok(value) = there else {
        return;
    };
    let again = from_value::<T>(&value).expect("what was written is read");
    assert_eq!(written(&again), value);
}

/// Content is compared as the value it is: there a number that is none equals itself.
fn written<T: Serialize>(content: &T) -> Value {
    to_value(content).expect("what was read is written")
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(view) = View::parse(bytes) else {
        return;
    };
    survives::<Record>(view);
    survives::<Rows>(view);
    survives::<Stream>(view);
});

//! Worked examples, each as value, bytes and text: what real Broker endpoints write, and nothing else
//! may come out of ours.

#![cfg(test)]

use cluster::data::binary::{decode, encode};
use cluster::data::message::{Event, EventView, Metadata};
use cluster::data::{Port, Protocol, Set, Table, Timespan, Timestamp, Value, json};

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The value is these bytes, and they are the value.
#[track_caller]
fn is_bytes(value: &Value, hex: &str) {
    let bytes = unhex(hex);
    let mut out = Vec::new();
    encode(value, &mut out);
    assert_eq!(out, bytes, "{value}");
    assert_eq!(decode(&bytes).as_ref(), Ok(value), "{hex}");
}

/// The value is this text, and the text is this value or, where text has no room for it, another.
#[track_caller]
fn is_text(value: &Value, data: &str, again: &Value) {
    let mut out = Vec::new();
    json::encode(value, &mut out);
    let kind = value.kind();
    let expected = format!("{{\"@data-type\":\"{kind}\",\"data\":{data}}}");
    assert_eq!(String::from_utf8_lossy(&out), expected);
    assert_eq!(json::decode(&out).unwrap(), *again, "{expected}");
}

/// The three forms of a value that survives all of them.
#[track_caller]
fn is(value: impl Into<Value>, hex: &str, data: &str) {
    let value = value.into();
    is_bytes(&value, hex);
    is_text(&value, data, &value);
}

fn address(text: &str) -> Value {
    Value::Address(text.parse().unwrap())
}

fn subnet(text: &str) -> Value {
    Value::Subnet(text.parse().unwrap())
}

fn timespan(nanos: i64) -> Value {
    Timespan::from_nanos(nanos).into()
}

fn counts(numbers: &[u64]) -> Value {
    Value::Vector(numbers.iter().copied().map(Value::from).collect())
}

#[test]
fn truths_numbers_and_strings() {
    is((), "00", "{}");
    is(true, "0101", "true");
    is(false, "0100", "false");
    is(42_u64, "02 000000000000002a", "42");
    is(u64::MAX, "02 ffffffffffffffff", "18446744073709551615");
    is(-7_i64, "03 fffffffffffffff9", "-7");
    is(1.0, "04 3ff0000000000000", "1.000000");
    is(-7.5, "04 c01e000000000000", "-7.500000");
    is(-0.0, "04 8000000000000000", "-0.000000");
    let pi = Value::from(std::f64::consts::PI);
    is_bytes(&pi, "04 400921fb54442d18");
    is_text(
        &pi,
        "3.141593",
        &Value::from("3.141593".parse::<f64>().unwrap()),
    );
    is_bytes(&f64::INFINITY.into(), "04 fff0000000000000");
    is_bytes(&f64::NEG_INFINITY.into(), "04 7ff0000000000000");
    is_bytes(&f64::NAN.into(), "04 ffffffffffffffff");
    is_bytes(&f64::from_bits(1).into(), "04 0000000000000000");
    is("hello", "05 05 68656c6c6f", "\"hello\"");
    is("", "05 00", "\"\"");
    let long = "a".repeat(200);
    let hex = format!("05 c801 {}", "61".repeat(200));
    is(long.as_str(), &hex, &format!("\"{long}\""));
    is(Value::enum_value("foo"), "0b 03 666f6f", "\"foo\"");
}

#[test]
fn addresses_networks_and_ports() {
    is(
        address("192.168.9.8"),
        "06 00000000000000000000ffff c0a80908",
        "\"192.168.9.8\"",
    );
    is(
        address("2001:db8::1"),
        "06 20010db8000000000000000000000001",
        "\"2001:db8::1\"",
    );
    is(
        subnet("192.168.9.8/24"),
        "07 00000000000000000000ffff c0a80900 78",
        "\"192.168.9.0/24\"",
    );
    is(
        subnet("2001:db8::/32"),
        "07 20010db8000000000000000000000000 20",
        "\"2001:db8::/32\"",
    );
    is(Port::tcp(8080), "08 1f90 01", "\"8080/tcp\"");
    is(Port::udp(53), "08 0035 02", "\"53/udp\"");
    is(Port::new(8, Protocol::Icmp), "08 0008 03", "\"8/icmp\"");
    is(Port::new(1, Protocol::Unknown), "08 0001 00", "\"1/?\"");
}

#[test]
fn points_and_spans_of_time() {
    let whole = Timestamp::from_nanos(1_649_606_820_000_000_000);
    is(whole, "09 16e494a9ad296800", "\"2022-04-10T16:07:00.000\"");
    let fine = Value::from(Timestamp::from_nanos(1_649_606_820_123_456_789));
    is_bytes(&fine, "09 16e494a9b4853515");
    let coarse = Timestamp::from_nanos(1_649_606_820_123_000_000);
    is_text(&fine, "\"2022-04-10T16:07:00.123\"", &coarse.into());
    is(timespan(1_500_000_000), "0a 0000000059682f00", "\"1500ms\"");
    is(timespan(-23_000_000_000), "0a fffffffaa517da00", "\"-23s\"");
    is(
        timespan(7_200_000_000_000),
        "0a 0000068c61714000",
        "\"7200s\"",
    );
}

#[test]
fn sets_tables_and_vectors() {
    is(Set::new(), "0c00", "[]");
    is(Table::new(), "0d00", "[]");
    is(counts(&[]), "0e00", "[]");
    let mixed: Set = [
        Value::enum_value("a"),
        "hello world".into(),
        (-1_i64).into(),
        1_u64.into(),
        false.into(),
    ]
    .into_iter()
    .collect();
    is_bytes(
        &mixed.into(),
        "0c 05 0100 020000000000000001 03ffffffffffffffff 050b68656c6c6f20776f726c64 0b0161",
    );
    let texts: Set = ["b", "ab", "", "a"].map(Value::from).into_iter().collect();
    is_bytes(&texts.into(), "0c 04 0500 050161 05026162 050162");
    let rows: Set = [counts(&[1, 2]), counts(&[]), counts(&[1])]
        .into_iter()
        .collect();
    is_bytes(
        &rows.into(),
        "0c 03 0e00 0e01 020000000000000001 0e02 020000000000000001 020000000000000002",
    );
    let entries = [(2_u64, "world"), (1, "hello")];
    let table: Table = entries
        .map(|(key, value)| (Value::from(key), Value::from(value)))
        .into_iter()
        .collect();
    is(
        table,
        "0d 02 020000000000000001 050568656c6c6f 020000000000000002 0505776f726c64",
        "[{\"key\":{\"@data-type\":\"count\",\"data\":1},\
         \"value\":{\"@data-type\":\"string\",\"data\":\"hello\"}},\
         {\"key\":{\"@data-type\":\"count\",\"data\":2},\
         \"value\":{\"@data-type\":\"string\",\"data\":\"world\"}}]",
    );
    is(
        Value::Vector(vec![false.into(), 1_u64.into(), "hello".into()]),
        "0e 03 0100 020000000000000001 050568656c6c6f",
        "[{\"@data-type\":\"boolean\",\"data\":false},{\"@data-type\":\"count\",\"data\":1},\
         {\"@data-type\":\"string\",\"data\":\"hello\"}]",
    );
}

/// Zeek's own report of a node's state, in bytes and as text.
#[test]
fn an_event_of_zeeks() {
    let args = vec!["TEST".into(), 42_u64.into()];
    let mut event = Event::new("Supervisor::node_status", args);
    event.metadata = Some(Metadata::of_network_timestamp(Timestamp::from_nanos(0)));
    let bytes = unhex(
        "0e03 020000000000000001 020000000000000001 0e03 \
         0517 53757065727669736f723a3a6e6f64655f737461747573 \
         0e02 0504 54455354 02000000000000002a \
         0e01 0e02 020000000000000001 090000000000000000",
    );
    assert_eq!(bytes.len(), 86);
    let mut out = Vec::new();
    event.encode(&mut out);
    assert_eq!(out, bytes);
    assert_eq!(EventView::parse(&bytes).unwrap().decode().unwrap(), event);
    let count = |number| format!("{{\"@data-type\":\"count\",\"data\":{number}}}");
    let string = |text| format!("{{\"@data-type\":\"string\",\"data\":\"{text}\"}}");
    let vector = |members: &[String]| {
        let members = members.join(",");
        format!("{{\"@data-type\":\"vector\",\"data\":[{members}]}}")
    };
    let epoch = "{\"@data-type\":\"timestamp\",\"data\":\"1970-01-01T00:00:00.000\"}";
    let text = vector(&[
        count(1),
        count(1),
        vector(&[
            string("Supervisor::node_status"),
            vector(&[string("TEST"), count(42)]),
            vector(&[vector(&[count(1), epoch.to_owned()])]),
        ]),
    ]);
    let mut out = Vec::new();
    json::encode(&event.clone().into(), &mut out);
    assert_eq!(String::from_utf8_lossy(&out), text);
    assert_eq!(Event::try_from(json::decode(&out).unwrap()), Ok(event));
}

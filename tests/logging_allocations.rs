//! What the forms of log records take from the heap: nothing, where they are written, and never more than
//! a bound that the sender pays for in bytes, where they are read.

#![cfg(test)]

mod logging_samples;

use allocation_counter::measure;
use cluster::data::{Address, Timestamp, Value};
use cluster::logging::batch::{Batch, BatchEncoder, Destination, encode_serial};
use cluster::logging::message::Format;
use cluster::logging::streams::{Line, StreamSpec, Streams};
use cluster::logging::{Column, LogPath, Schema, StreamId, json, tsv};
use logging_samples::{Keeps, any_log};
use proptest::prelude::*;

const KEEPS: Keeps = Keeps {
    real: 0.0,
    protocol: true,
    special: true,
};

/// The most that reading may hold for so many bytes of input.
fn bound(bytes: usize) -> u64 {
    u64::try_from(4096 + 64 * bytes).unwrap()
}

fn assert_bounded(bytes: &[u8]) {
    let taken = measure(|| drop(Batch::decode(bytes))).bytes_max;
    let len = bytes.len();
    assert!(taken <= bound(len), "{taken} bytes for {len} of input");
}

fn schema(columns: &[(&str, &str)]) -> Schema {
    let columns = columns
        .iter()
        .map(|(name, text)| Column::new(*name, text.parse().unwrap(), true).unwrap());
    Schema::new(columns.collect()).unwrap()
}

fn encoder(schema: Schema) -> BatchEncoder {
    let destination = Destination {
        stream: StreamId::parse("Test::LOG").unwrap(),
        writer: "Log::WRITER_ASCII".to_owned(),
        filter: "default".to_owned(),
        path: LogPath::parse("test").unwrap(),
    };
    BatchEncoder::new(&destination, schema)
}

/// A record with a field of every type that writing could allocate for.
fn record() -> (Schema, Vec<Value>) {
    let schema = schema(&[
        ("ts", "time"),
        ("d", "double"),
        ("big", "double"),
        ("s", "string"),
        ("a4", "addr"),
        ("a6", "addr"),
        ("v", "vector[string]"),
        ("far", "time"),
        ("unset", "count"),
    ]);
    let address = |text: &str| Value::Address(text.parse::<Address>().unwrap());
    let values = vec![
        Value::Timestamp(Timestamp::from_nanos(1_521_911_780_600_725_001)),
        Value::from(0.139_740_874_205_705_16),
        Value::from(1e300),
        Value::from(&b"caf\xc3\xa9 \\x41\t\xff\"\n"[..]),
        address("10.0.0.1"),
        address("2001:db8::1"),
        Value::Vector(vec![Value::from("a,b"), Value::from("")]),
        Value::Real(253_402_300_799.5),
        Value::None,
    ];
    (schema, values)
}

#[test]
fn writing_into_a_buffer_with_room_takes_nothing() {
    let (schema, values) = record();
    let record = schema.record(&values).unwrap();
    let mut out = Vec::with_capacity(4096);
    let lines = tsv::Format::default();
    let mut batch = encoder(schema.clone());
    for _ in 0..4 {
        batch.push(&values).unwrap();
    }
    batch.clear();
    let formats = [json::Times::Epoch, json::Times::Iso8601].map(|times| json::Format {
        times,
        unset_fields: true,
    });
    let taken = measure(|| {
        lines.record(record, &mut out);
        encode_serial(record, &mut out);
        for format in formats {
            format.record(record, &mut out);
        }
        batch.push(&values).unwrap();
    });
    assert_eq!(taken.count_total, 0);
    assert!(out.len() > 800);
}

/// Shows: once its buffer has grown, a stream takes nothing for a record of its default filter.
#[test]
fn a_stream_takes_nothing_for_a_record() {
    let (schema, values) = record();
    let id = StreamId::parse("Test::LOG").unwrap();
    for format in [
        Format::Tsv(tsv::Settings::default()),
        Format::Json(json::Format::default()),
    ] {
        let mut streams = Streams::new(format);
        let spec = StreamSpec::new(schema.clone(), LogPath::parse("test").unwrap());
        streams.create_stream(id.clone(), spec).unwrap();
        let mut bytes = 0;
        let mut take = |line: Line<'_>| bytes += line.message.len();
        streams.write(&id, &values, &mut take).unwrap();
        let taken = measure(|| {
            for _ in 0..100 {
                streams.write(&id, &values, &mut take).unwrap();
            }
        });
        assert_eq!(taken.count_total, 0);
        assert!(bytes > 101 * 100);
    }
}

/// What makes a decoder take most: the smallest members, and lengths that promise more than there is.
#[test]
fn the_worst_batch_takes_no_more_than_its_length_allows() {
    let mut unset = encoder(schema(&[("x", "string")]));
    let mut small = encoder(schema(&[("x", "string")]));
    let mut elements = encoder(schema(&[("x", "vector[string]"), ("y", "set[string]")]));
    let texts: Vec<Value> = (0..2000).map(|n| Value::from(format!("{n}"))).collect();
    for _ in 0..10_000 {
        unset.push(&[Value::None]).unwrap();
        small.push(&[Value::from("a")]).unwrap();
    }
    let set = texts.iter().cloned().collect();
    elements
        .push(&[Value::Vector(texts), Value::Set(set)])
        .unwrap();
    for batch in [unset, small, elements] {
        assert_bounded(batch.bytes());
        assert_bounded(&batch.bytes()[..batch.bytes().len() - 1]);
    }
    let columns: Vec<String> = (0..1000).map(|n| format!("c{n}")).collect();
    let columns: Vec<_> = columns.iter().map(|name| (name.as_str(), "bool")).collect();
    assert_bounded(encoder(schema(&columns)).bytes());
}

/// As many elements as bytes: the worst line.
#[test]
fn the_worst_line_takes_no_more_than_its_length_allows() {
    for text in [
        "vector[string]",
        "set[string]",
        "vector[bool]",
        "set[count]",
    ] {
        let schema = schema(&[("x", text)]);
        for line in [
            b",".repeat(20_000),
            b"T,".repeat(9_999),
            b"1,2,".repeat(9_999),
        ] {
            let line = if text.ends_with("[bool]") {
                [&line[..], b"T"].concat()
            } else {
                line
            };
            let format = tsv::Format::default();
            let taken = measure(|| {
                let mut values = Vec::new();
                drop(format.parse(&schema, &line, &mut values));
            });
            let (taken, len) = (taken.bytes_max, line.len());
            assert!(
                taken <= bound(len),
                "{text}: {taken} bytes for {len} of input"
            );
            let object = [b"{\"x\":[", &b"1,".repeat(10_000)[..], b"1]}"].concat();
            let taken = measure(|| drop(json::parse(&schema, &object, &mut Vec::new()))).bytes_max;
            assert!(
                taken <= bound(object.len()),
                "{text}: {taken} bytes for an object"
            );
        }
    }
}

proptest! {
    #[test]
    fn any_batch_takes_no_more_than_its_length_allows(
        (schema, records) in any_log(KEEPS),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut encoder = encoder(schema);
        for values in &records {
            encoder.push(values).unwrap();
        }
        let mut bytes = encoder.bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        assert_bounded(&bytes);
    }
}

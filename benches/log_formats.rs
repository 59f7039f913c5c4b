//! What it costs to write a record of 20 columns, as Zeek's conn.log has them, in each of the forms, and
//! to read it again. `README.md` beside this file says what the figures mean.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "it measures time and prints what it has measured, of data that it made"
)]

use std::hint::black_box;
use std::time::Instant;

use cluster::data::{Address, Port, Timespan, Timestamp, Value};
use cluster::logging::batch::{Batch, BatchEncoder, Destination};
use cluster::logging::{Column, LogPath, Schema, StreamId, json, tsv};

/// The best of so many rounds counts.
const ROUNDS: usize = 20;

/// Records of one round.
const RECORDS: usize = 20_000;

/// Records of one batch.
const BATCH: usize = 1_000;

const COLUMNS: [(&str, &str); 20] = [
    ("ts", "time"),
    ("uid", "string"),
    ("id.orig_h", "addr"),
    ("id.orig_p", "port"),
    ("id.resp_h", "addr"),
    ("id.resp_p", "port"),
    ("proto", "enum"),
    ("service", "string"),
    ("duration", "interval"),
    ("orig_bytes", "count"),
    ("resp_bytes", "count"),
    ("conn_state", "string"),
    ("local_orig", "bool"),
    ("local_resp", "bool"),
    ("missed_bytes", "count"),
    ("history", "string"),
    ("orig_pkts", "count"),
    ("orig_ip_bytes", "count"),
    ("resp_pkts", "count"),
    ("tunnel_parents", "set[string]"),
];

fn schema() -> Schema {
    let columns = COLUMNS.map(|(name, text)| {
        Column::new(name, text.parse().expect("a type"), true).expect("a column")
    });
    Schema::new(columns.to_vec()).expect("columns")
}

fn record() -> Vec<Value> {
    let address = |text: &str| Value::Address(text.parse::<Address>().expect("an address"));
    vec![
        Value::Timestamp(Timestamp::from_nanos(1_521_911_780_600_725_000)),
        Value::from("CHhAvVGS1DHFjwGM9"),
        address("10.164.94.120"),
        Value::Port(Port::tcp(39_611)),
        address("10.47.3.200"),
        Value::Port(Port::tcp(443)),
        Value::enum_value("tcp"),
        Value::from("ssl"),
        Value::Timespan(Timespan::from_nanos(351_826_000)),
        Value::from(1_417_u64),
        Value::from(52_890_u64),
        Value::from("SF"),
        Value::from(true),
        Value::from(true),
        Value::from(0_u64),
        Value::from("ShADadFf"),
        Value::from(31_u64),
        Value::from(3_041_u64),
        Value::from(45_u64),
        Value::None,
    ]
}

/// Prints the best of all rounds of a work that goes through so many bytes.
fn measure(what: &str, bytes_a_record: usize, mut round: impl FnMut()) {
    let best = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed()
        })
        .min()
        .unwrap_or_default();
    let nanos = best.as_nanos() as f64 / RECORDS as f64;
    let rate = bytes_a_record as f64 * 1e3 / nanos;
    println!("{what:<24}{nanos:>8.1} ns a record{rate:>9.0} MB/s");
}

fn main() {
    let (schema, values) = (schema(), record());
    let lines = tsv::Format::default();
    let objects = json::Format::default();
    let mut out = Vec::with_capacity(RECORDS * 1_000);

    let mut line = Vec::new();
    let record = schema.record(&values).expect("a record");
    lines.record(record, &mut line);
    measure("write a line", line.len(), || {
        out.clear();
        for _ in 0..RECORDS {
            let record = schema.record(black_box(&values)).expect("a record");
            lines.record(record, &mut out);
        }
        black_box(&out);
    });
    line.pop();
    let mut read = Vec::new();
    measure("read a line", line.len(), || {
        for _ in 0..RECORDS {
            let read_ok = lines.parse(&schema, black_box(&line), &mut read);
            read_ok.expect("a line");
        }
    });

    let mut object = Vec::new();
    objects.record(record, &mut object);
    measure("write an object", object.len(), || {
        out.clear();
        for _ in 0..RECORDS {
            let record = schema.record(black_box(&values)).expect("a record");
            objects.record(record, &mut out);
        }
        black_box(&out);
    });
    measure("read an object", object.len(), || {
        for _ in 0..RECORDS {
            json::parse(&schema, black_box(&object), &mut read).expect("an object");
        }
    });

    batches(&schema, &values);
}

fn batches(schema: &Schema, values: &[Value]) {
    let destination = Destination {
        stream: StreamId::parse("Conn::LOG").expect("a stream"),
        writer: "Log::WRITER_ASCII".to_owned(),
        filter: "default".to_owned(),
        path: LogPath::parse("conn").expect("a path"),
    };
    let mut encoder = BatchEncoder::new(&destination, schema.clone());
    let fill = |encoder: &mut BatchEncoder| {
        encoder.clear();
        for _ in 0..BATCH {
            encoder.push(black_box(values)).expect("a record");
        }
    };
    fill(&mut encoder);
    let bytes = encoder.bytes().to_vec();
    let bytes_a_record = bytes.len() / BATCH;
    measure("write batches", bytes_a_record, || {
        for _ in 0..RECORDS / BATCH {
            fill(&mut encoder);
        }
    });
    measure("read batches", bytes_a_record, || {
        for _ in 0..RECORDS / BATCH {
            black_box(Batch::decode(black_box(&bytes)).expect("a batch"));
        }
    });
}

//! Programs that `benches/logs` puts beside one another, all with the same records:
//!
//! * `logs worker DIR RECORDS COLUMNS` is a node that writes so many records to its cluster's loggers.
//!   It says in `DIR/<node>.begun` that it is ready, begins when there is `DIR/go`, and says in
//!   `DIR/<node>.done` when it began, when the last record was accepted, and how many bytes that were.
//! * `logs bare FILE RECORDS COLUMNS` forms the same lines in one thread and writes them into a file.
//! * `logs feed RECORDS COLUMNS` writes finished lines to its standard output.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures time, and prints what it has measured"
)]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cluster::data::{Port, Timespan, Timestamp, Value};
use cluster::logging::streams::StreamSpec;
use cluster::logging::{Column, LogPath, Schema, StreamId, tsv};
use cluster::node::cluster::{Cluster, Handler};
use cluster::sys::clock;

type Failure = Box<dyn std::error::Error>;

/// Columns of Zeek's conn.log, the first twenty; the runs of eight take the first eight.
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

/// What is written in one piece where lines go straight into a file or a pipe.
const PIECE_BYTES: usize = 256 * 1024;

/// Different lines that are fed again and again.
const LINES_FED: usize = 4096;

/// How long a turn looks for what has come.
const LOOK: Duration = Duration::from_millis(1);

struct Quiet;

impl Handler for Quiet {}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["worker", directory, records, columns] => {
            worker(Path::new(directory), records.parse()?, columns.parse()?)
        }
        ["bare", file, records, columns] => {
            bare(Path::new(file), records.parse()?, columns.parse()?)
        }
        ["feed", records, columns] => feed(records.parse()?, columns.parse()?),
        _ => Err("usage: logs worker DIR RECORDS COLUMNS | bare FILE RECORDS COLUMNS | feed RECORDS COLUMNS".into()),
    }
}

/// Records that differ from one another in their numbers and times, as those of a sensor do.
struct Source {
    schema: Schema,
    values: Vec<Value>,
}

impl Source {
    fn new(columns: usize) -> Result<Self, Failure> {
        let column = |(name, text): &(&str, &str)| Ok(Column::new(*name, text.parse()?, true)?);
        let columns: Result<Vec<_>, Failure> = COLUMNS.iter().take(columns).map(column).collect();
        let columns = columns?;
        let mut values = vec![
            Value::None,
            Value::from("CHhAvVGS1DHFjwGM9"),
            Value::Address("10.164.94.120".parse()?),
            Value::None,
            Value::Address("10.47.3.200".parse()?),
            Value::Port(Port::tcp(443)),
            Value::enum_value("tcp"),
            Value::from("ssl"),
            Value::None,
            Value::from(1_417_u64),
            Value::None,
            Value::from("SF"),
            Value::from(true),
            Value::from(true),
            Value::from(0_u64),
            Value::from("ShADadFf"),
            Value::from(31_u64),
            Value::from(3_041_u64),
            Value::from(45_u64),
            Value::None,
        ];
        values.truncate(columns.len());
        Ok(Self {
            schema: Schema::new(columns)?,
            values,
        })
    }

    /// The record with this number.
    fn record(&mut self, number: u64) -> &[Value] {
        let [small, wide] = [number % 50_000, number % 1_000_000];
        let micros = i64::try_from(number).unwrap_or_default();
        let span = i64::try_from(wide).unwrap_or_default();
        let port = u16::try_from(10_000 + small).unwrap_or_default();
        let time = Timestamp::from_nanos(1_521_911_780_600_725_000 + micros * 1_000);
        let changing = [
            (0, Value::Timestamp(time)),
            (3, Value::Port(Port::tcp(port))),
            (8, Value::Timespan(Timespan::from_nanos(span * 1_000))),
            (10, Value::from(wide)),
        ];
        for (at, value) in changing {
            if let Some(place) = self.values.get_mut(at) {
                *place = value;
            }
        }
        &self.values
    }

    /// Appends the record with this number as a line.
    fn line(
        &mut self,
        format: &tsv::Format,
        number: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        self.record(number);
        format.record(self.schema.record(black_box(&self.values))?, out);
        Ok(())
    }
}

fn worker(directory: &Path, records: u64, columns: usize) -> Result<(), Failure> {
    let mut source = Source::new(columns)?;
    let mut cluster = Cluster::take_seat()?;
    cluster.init()?;
    let stream = StreamId::parse("Conn::LOG")?;
    let spec = StreamSpec::new(source.schema.clone(), LogPath::parse("conn")?);
    cluster.log_streams().create_stream(stream.clone(), spec)?;
    let name = std::env::var("SUPERVISOR_NODE")?;
    let said = |what: &str| directory.join(format!("{name}.{what}"));
    // So that the first record finds its ring.
    cluster.log_write(&stream, source.record(0))?;
    cluster.flush_logs();
    File::create(said("begun"))?;
    while !directory.join("go").exists() {
        cluster.turn(&mut Quiet, Some(clock::monotonic() + LOOK))?;
    }
    let begun = clock::monotonic_ns();
    let mut refused = 0_u64;
    for number in 1..records {
        source.record(number);
        // What is refused because a logger had no room for too long is written again.
        while !cluster.log_write(&stream, &source.values)? {
            refused += 1;
        }
        if number % 1024 == 0 {
            cluster.dispatch(&mut Quiet);
        }
    }
    cluster.flush_logs();
    let done = clock::monotonic_ns();
    let scratch = said("part");
    fs::write(&scratch, format!("{begun} {done} {refused}\n"))?;
    fs::rename(scratch, said("done"))?;
    loop {
        cluster.turn(&mut Quiet, None)?;
    }
}

fn bare(file: &Path, records: u64, columns: usize) -> Result<(), Failure> {
    let mut source = Source::new(columns)?;
    let format = tsv::Format::default();
    let mut file = File::create(PathBuf::from(file))?;
    let mut out = Vec::with_capacity(2 * PIECE_BYTES);
    let mut bytes = 0;
    let start = Instant::now();
    for number in 0..records {
        source.line(&format, number, &mut out)?;
        if out.len() >= PIECE_BYTES {
            file.write_all(&out)?;
            bytes += out.len();
            out.clear();
        }
    }
    file.write_all(&out)?;
    bytes += out.len();
    println!("{} {bytes}", start.elapsed().as_nanos());
    Ok(())
}

fn feed(records: u64, columns: usize) -> Result<(), Failure> {
    let mut source = Source::new(columns)?;
    let format = tsv::Format::default();
    let (mut lines, mut ends) = (Vec::new(), vec![0]);
    for number in 0..u64::try_from(LINES_FED)? {
        source.line(&format, number, &mut lines)?;
        ends.push(lines.len());
    }
    let mut left = usize::try_from(records)?;
    let mut out = io::stdout().lock();
    while left > 0 {
        let some = left.min(LINES_FED);
        let end = ends.get(some).copied().unwrap_or_default();
        out.write_all(lines.get(..end).unwrap_or_default())?;
        left -= some;
    }
    Ok(())
}

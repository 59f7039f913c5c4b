//! Made-up schemas and records, and Zeek's own logs.

#![allow(dead_code, reason = "each test takes a part of it")]

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cluster::data::{Address, Port, Protocol, Subnet, Timespan, Timestamp, Value};
use cluster::logging::{Atom, Column, Schema, Type};
use proptest::collection::vec;
use proptest::prelude::*;

/// Which digits, ports and so on a form keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeps {
    /// Real numbers are multiples of this; any if it is 0.
    pub(crate) real: f64,
    /// Ports have a protocol.
    pub(crate) protocol: bool,
    /// Infinities and NaN have a form.
    pub(crate) special: bool,
}

/// A column of any type, optional or not.
fn any_type() -> impl Strategy<Value = Type> {
    let atom = prop::sample::select(Atom::ALL.to_vec());
    (atom, 0..4).prop_map(|(atom, form)| match form {
        0 => Type::Set(atom),
        1 => Type::Vector(atom),
        _ => Type::Atom(atom),
    })
}

/// Bytes with what forms take for something else: marks, escapes, control characters, broken UTF-8.
fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let parts: [&'static [u8]; 26] = [
        b"",
        b"-",
        b"(empty)",
        b"\\",
        b"\\x",
        b"\\x41",
        b"\\\\",
        b"x41",
        b"\t",
        b",",
        b"\n",
        b"\r",
        b"\0",
        b"#",
        b"\x1b",
        b"\x7f",
        b"\"",
        b"/",
        "é".as_bytes(),
        "\u{85}".as_bytes(),
        "\u{e000}".as_bytes(),
        b"\xff",
        b"\xe2\x82",
        b"null",
        b"(",
        b" ",
    ];
    let part = prop_oneof![
        prop::sample::select(parts.to_vec()).prop_map(<[u8]>::to_vec),
        vec(any::<u8>(), 0..4),
        "[a-z0-9]{0,6}".prop_map(String::into_bytes),
    ];
    vec(part, 0..4).prop_map(|parts| parts.concat())
}

/// Microseconds that a number of seconds can tell apart.
fn any_nanos() -> impl Strategy<Value = i64> {
    prop_oneof![
        -2_000_000_000_000_000..4_000_000_000_000_000_i64,
        -2_000_000..2_000_000_i64
    ]
    .prop_map(|micros| micros * 1000)
}

/// Seconds that nanoseconds do not reach.
fn far_seconds(keeps: Keeps) -> impl Strategy<Value = f64> {
    let far = prop::sample::select(vec![253_402_300_799.0, -1e12, 1e300]);
    let special = prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    (far, special, 0..4).prop_map(move |(far, special, which)| {
        if keeps.special && which == 0 {
            special
        } else {
            far
        }
    })
}

fn any_real(keeps: Keeps) -> impl Strategy<Value = f64> {
    (any::<f64>(), any::<i32>()).prop_map(move |(real, steps)| {
        if keeps.real > 0.0 {
            f64::from(steps) * keeps.real
        } else if keeps.special || real.is_finite() {
            real
        } else {
            0.5
        }
    })
}

fn any_address() -> impl Strategy<Value = Address> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| std::net::Ipv4Addr::from(octets).into()),
        any::<[u8; 16]>().prop_map(Address::from_bytes),
    ]
}

/// A value of the type.
fn any_atom(atom: Atom, keeps: Keeps) -> BoxedStrategy<Value> {
    let time = |make: fn(i64) -> Value| {
        prop_oneof![
            9 => any_nanos().prop_map(make),
            1 => far_seconds(keeps).prop_map(Value::Real),
        ]
        .boxed()
    };
    match atom {
        Atom::Bool => any::<bool>().prop_map(Value::Boolean).boxed(),
        Atom::Int => any::<i64>().prop_map(Value::Integer).boxed(),
        Atom::Count => any::<u64>().prop_map(Value::Count).boxed(),
        Atom::Double => any_real(keeps).prop_map(Value::Real).boxed(),
        Atom::Time => time(|nanos| Value::Timestamp(Timestamp::from_nanos(nanos))),
        Atom::Interval => time(|nanos| Value::Timespan(Timespan::from_nanos(nanos))),
        Atom::String | Atom::Func | Atom::File => any_text().prop_map(Value::String).boxed(),
        Atom::Enum => any_text().prop_map(Value::EnumValue).boxed(),
        Atom::Port => (any::<u16>(), 0..4_u8)
            .prop_map(move |(number, protocol)| {
                let protocol = if keeps.protocol { protocol } else { 0 };
                Value::Port(Port::new(number, Protocol::from_number(protocol).unwrap()))
            })
            .boxed(),
        Atom::Addr => any_address().prop_map(Value::Address).boxed(),
        Atom::Subnet => (any_address(), any::<u8>())
            .prop_map(|(address, length)| {
                let length_max = if address.is_v4() { 32 } else { 128 };
                Value::Subnet(Subnet::new(address, length % (length_max + 1)))
            })
            .boxed(),
    }
}

fn any_field(column: &Column, keeps: Keeps) -> BoxedStrategy<Value> {
    let field = match column.type_() {
        Type::Atom(atom) => any_atom(atom, keeps),
        Type::Set(atom) => vec(any_atom(atom, keeps), 0..4)
            .prop_map(|elements| Value::Set(elements.into_iter().collect()))
            .boxed(),
        Type::Vector(atom) => vec(any_atom(atom, keeps), 0..4)
            .prop_map(Value::Vector)
            .boxed(),
    };
    if column.is_optional() {
        prop_oneof![3 => field, 1 => Just(Value::None)].boxed()
    } else {
        field
    }
}

/// A schema, and records that fit it.
pub(crate) fn any_log(keeps: Keeps) -> impl Strategy<Value = (Schema, Vec<Vec<Value>>)> {
    vec((any_type(), any::<bool>()), 1..6).prop_flat_map(move |types| {
        let columns = types
            .into_iter()
            .enumerate()
            .map(|(index, (type_, optional))| {
                Column::new(format!("c.{index}"), type_, optional).unwrap()
            });
        let schema = Schema::new(columns.collect()).unwrap();
        let fields: Vec<_> = schema
            .columns()
            .iter()
            .map(|column| any_field(column, keeps))
            .collect();
        (Just(schema), vec(fields, 0..4))
    })
}

/// Where Zeek's logs lie: `tsv/` and `json/` below it. `None` if there are none, which is said past the
/// capture of tests' output.
pub(crate) fn zeek_logs() -> Option<PathBuf> {
    if let Some(folder) = env::var_os("ZEEK_LOGS").map(PathBuf::from) {
        assert!(folder.is_dir(), "no logs in {}", folder.display());
        return Some(folder);
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/zeek-logs");
    if beside.is_dir() {
        return Some(beside);
    }
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("NOTHING COMPARED by {test}: name the logs' folder in ZEEK_LOGS\n");
    io::stderr().write_all(line.as_bytes()).unwrap();
    None
}

/// What a packed log holds.
pub(crate) fn unpacked(path: &Path) -> Vec<u8> {
    let packed = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let output = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::from(packed))
        .output()
        .expect("gzip is needed to unpack logs");
    assert!(output.status.success(), "{}: {output:?}", path.display());
    output.stdout
}

/// The packed logs of a folder, with their names in front: `conn` of `conn.log.gz`.
pub(crate) fn packed(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut logs: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "gz"))
        .map(|path| {
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            (file.split('.').next().unwrap().to_owned(), path)
        })
        .collect();
    logs.sort();
    assert!(!logs.is_empty(), "nothing in {}", folder.display());
    logs
}

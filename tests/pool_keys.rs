//! Keys of pools against what a running Zeek printed for them: bytes, digest, weights and the node chosen.
//!
//! The transcript is among the recordings (see `recorded`). What every type of key comes to is also
//! tested where keys are made, in `src/pool`.

#![cfg(test)]

#[allow(dead_code, reason = "other tests use the rest")]
mod recorded;

use cluster::data::hex;
use cluster::pool::{Field, HashKey, KeyType, Protocol, choose, weight};
use serde::Deserialize;

#[derive(Deserialize)]
struct Transcript {
    pool: std::collections::BTreeMap<String, Site>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Site {
    site_id: u32,
}

#[derive(Deserialize)]
struct Row {
    key: String,
    bytes: String,
    fnv1a32: u32,
    weights: std::collections::BTreeMap<String, u32>,
    winner: String,
}

fn transcript() -> Option<Transcript> {
    let folder = recorded::folder()?;
    let recording = recorded::recording(&folder.join("zeek/hrw-keys.json"));
    Some(serde_json::from_value(recording).unwrap())
}

/// Shows: every type of key goes where Zeek sends it. Builds each key of the transcript from its name.
#[test]
fn keys_of_every_type_go_where_zeek_sends_them() {
    let Some(Transcript { pool, rows }) = transcript() else {
        return;
    };
    assert_eq!(rows.len(), 64);
    for row in rows {
        let key = key(&row.key);
        let bytes = key.bytes().unwrap();
        assert_eq!(hex(&bytes), row.bytes, "{}", row.key);
        let digest = key.digest().unwrap();
        assert_eq!(digest, row.fnv1a32, "{}", row.key);
        for (name, site) in &pool {
            let expected = row.weights[name];
            assert_eq!(weight(digest, site.site_id), expected, "{} {name}", row.key);
        }
        let sites = pool.values().map(|site| site.site_id);
        let winner = pool[&row.winner].site_id;
        assert_eq!(choose(digest, sites), Some(winner), "{}", row.key);
    }
}

/// The key that a row of the transcript names.
fn key(name: &str) -> HashKey<'static> {
    let name: &'static str = name.to_owned().leak();
    let (kind, text) = name.split_once(' ').unwrap();
    match kind {
        "bool" => HashKey::Bool(text == "T"),
        "int" if text == "min" => HashKey::Int(i64::MIN + 1),
        "int" => HashKey::Int(text.parse().unwrap()),
        "count" => HashKey::Count(text.parse().unwrap()),
        "double" => HashKey::Double(text.parse().unwrap()),
        "time" => HashKey::Time(text.parse().unwrap()),
        "interval" => HashKey::Interval(match text {
            "0" => 0.0,
            "1.5sec" => 1.5,
            "1day" => 86_400.0,
            "-3msec" => -0.003,
            other => panic!("interval {other}"),
        }),
        "string" => HashKey::from(match text {
            "empty" => "",
            "a\\x00b" => "a\0b",
            "utf8" => "gr\u{fc}n",
            other => other,
        }),
        "enum" => enumeration(text),
        "port" => {
            let (number, protocol) = text.split_once('/').unwrap();
            port(number.parse().unwrap(), protocol)
        }
        "addr" => addr(text),
        "subnet" => {
            let (addr, bits) = text.split_once('/').unwrap();
            HashKey::Subnet {
                addr: addr.parse().unwrap(),
                prefix_bits: bits.parse().unwrap(),
            }
        }
        "pattern" => HashKey::Pattern("^?(foo|bar)$?"),
        "record" => record(text),
        "vector" => vector(text),
        _ => table(name),
    }
}

fn addr(text: &str) -> HashKey<'static> {
    HashKey::Addr(text.parse().unwrap())
}

fn port(number: u16, protocol: &str) -> HashKey<'static> {
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "icmp" => Protocol::Icmp,
        "unknown" => Protocol::Unknown,
        other => panic!("protocol {other}"),
    };
    HashKey::Port { number, protocol }
}

fn enumeration(value: &'static str) -> HashKey<'static> {
    let type_name = match value {
        "TT::RED" | "TT::GREEN" => "TT::Color",
        "tcp" => "transport_proto",
        "Cluster::WORKER" => "Cluster::NodeType",
        other => panic!("enum {other}"),
    };
    HashKey::Enum { type_name, value }
}

fn field(
    name: &'static str,
    of: &KeyType<'static>,
    value: Option<HashKey<'static>>,
) -> Field<'static> {
    value.map_or_else(
        || Field::Unset(name, of.clone()),
        |value| Field::Set(name, value),
    )
}

fn inner(x: u64, y: Option<&'static str>) -> HashKey<'static> {
    let x = field("x", &KeyType::Count, Some(HashKey::Count(x)));
    let y = field("y", &KeyType::String, y.map(HashKey::from));
    HashKey::Record(vec![x, y])
}

fn outer(c: Option<HashKey<'static>>, d: Option<HashKey<'static>>) -> HashKey<'static> {
    HashKey::Record(vec![
        Field::Set("a", HashKey::Count(7)),
        Field::Set("b", "hey".into()),
        field("c", &KeyType::Addr, c),
        field("d", &inner(1, None).key_type(), d),
    ])
}

fn record(name: &str) -> HashKey<'static> {
    match name {
        "Inner x=1" => inner(1, None),
        "Inner x=1 y=hi" => inner(1, Some("hi")),
        "Rec a=7 b=hey" => outer(None, None),
        "Rec a=7 b=hey c=1.2.3.4" => outer(Some(addr("1.2.3.4")), None),
        "Rec nested" => outer(None, Some(inner(1, Some("z")))),
        "conn_id" => HashKey::Record(vec![
            Field::Set("orig_h", addr("10.0.0.1")),
            Field::Set("orig_p", port(1234, "tcp")),
            Field::Set("resp_h", addr("10.0.0.2")),
            Field::Set("resp_p", port(80, "tcp")),
            Field::Set("proto", HashKey::Count(65_535)),
            Field::Set("ctx", HashKey::Record(vec![])),
        ]),
        other => panic!("record {other}"),
    }
}

fn vector(name: &str) -> HashKey<'static> {
    let elements = match name {
        "count 1,2,3" => [1, 2, 3].map(HashKey::Count).to_vec(),
        "string a,bc" => ["a", "bc"].map(HashKey::from).to_vec(),
        "empty of count" => vec![],
        "addr" => ["1.2.3.4", "2001:db8::1"].map(addr).to_vec(),
        "Inner" => vec![inner(1, None)],
        other => panic!("vector {other}"),
    };
    let element = elements.first().map_or(KeyType::Count, HashKey::key_type);
    HashKey::Vector { element, elements }
}

fn table(name: &str) -> HashKey<'static> {
    let one = HashKey::Count(1);
    let (indices, value) = match name {
        "set[string] a" => (vec!["a".into()], None),
        "set[count] 5" => (vec![HashKey::Count(5)], None),
        "set[addr] 1.2.3.4" => (vec![addr("1.2.3.4")], None),
        "set[count,string] 5,x" => (vec![HashKey::Count(5), "x".into()], None),
        "set[string] empty" => {
            return HashKey::Set {
                index: vec![KeyType::String],
                elements: vec![],
            };
        }
        "table[string] of count a=1" => (vec!["a".into()], Some(one)),
        "table[count] of string 1=x" => (vec![one], Some("x".into())),
        "table[count,addr] of string" => (vec![one, addr("1.2.3.4")], Some("x".into())),
        other => panic!("key {other}"),
    };
    let index = indices.iter().map(HashKey::key_type).collect();
    match value {
        None => HashKey::Set {
            index,
            elements: vec![indices],
        },
        Some(value) => HashKey::Table {
            index,
            value: Box::new(value.key_type()),
            elements: vec![(indices, value)],
        },
    }
}

//! What crosses of an event: Broker's bytes, or nothing of what nobody could read.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test owns its clock")]

mod common;

use std::path::Path;
use std::time::Instant;

use cluster::data::message::{Event, EventView, Metadata};
use cluster::data::{DEPTH_MAX, Set, Table, Timestamp, Value, hex};
use cluster::framework::{BackendError, EventError, EventType, Param};
use cluster::layout::spec::Role;
use cluster::node::Cluster as Member;
use cluster::node::cluster::{Accepted, Handler, OrReport};
use cluster::node::endpoint::{Delivery, Endpoint};
use common::{Cluster, PATIENCE, Start, layouts};

fn start() -> Cluster {
    Start::with(&layouts::nodes(&[("manager", "node_type: Manager")])).start_ready()
}

fn reader(path: &Path, prefix: &str) -> Endpoint {
    let mut reader = Endpoint::attach(path, None, Role::None).unwrap();
    reader.subscribe(prefix, Delivery::default()).unwrap();
    reader.announce();
    reader
}

/// The first so many records that come.
fn payloads(reader: &mut Endpoint, count: usize) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    let until = Instant::now() + PATIENCE;
    while payloads.len() < count {
        assert!(Instant::now() < until, "{payloads:?}");
        reader.wait(Some(until)).unwrap();
        reader.drain(64, |_, record| payloads.push(record.payload.to_vec()));
    }
    payloads
}

/// A program that is attached when the reader's wish stands on the board.
fn attached(path: &Path) -> Member {
    let mut tester = Member::attach(path, None).unwrap();
    tester.init().unwrap();
    tester
}

/// Shows: what cannot be serialized, a vector with holes or one nested too deep, is refused by its reason,
/// however the event was made, and raises a backend's error.
#[test]
fn what_cannot_be_serialized_raises_an_error_of_the_backend() {
    let cluster = start();
    let mut tester = attached(&cluster.attach_socket());
    let nested = |depth| (0..depth).fold(Value::None, |inner, _| Value::Vector(vec![inner]));
    let deep = Event::new("Test::deep", vec![nested(DEPTH_MAX)]);
    let holes = Value::Vector(vec![1_u64.into(), Value::None]);
    let whole = EventType::new("Test::whole", &[Param::Vector]);
    let error = whole.event(vec![holes.clone()]).unwrap_err();
    assert!(
        matches!(error, EventError::Holes { index: 1, .. }),
        "{error}"
    );
    tester.declare(whole);
    let mut troubles = Troubles::default();
    for event in [deep, Event::new("Test::whole", vec![holes])] {
        let error = tester.publish("topic", &event).unwrap_err();
        assert!(!error.is_silent() && !Err(error.clone()).or_report());
        tester.dispatch(&mut troubles);
        assert_eq!(
            troubles.0.pop(),
            Some(format!("local_error: cannot serialize: {error}"))
        );
    }
    cluster.stop_and_expect_nobody_left();
}

/// What a backend could not do.
#[derive(Default)]
struct Troubles(Vec<String>);

impl Handler for Troubles {
    fn backend_error(&mut self, _: &mut Member, error: &BackendError) {
        self.0.push(error.to_string());
    }
}

/// Shows: what `make_event` makes crosses as the same bytes as the event written down, also where it made
/// of an empty table the set that is declared, and of an empty set the table.
#[test]
fn a_made_event_crosses_as_a_written_one() {
    let cluster = start();
    let path = cluster.attach_socket();
    let mut reader = reader(&path, "made/");
    let mut tester = attached(&path);
    let what = EventType::new("Test::three", &[Param::Count, Param::Set, Param::Table]);
    let (set, table) = (Value::Set(Set::default()), Value::Table(Table::default()));
    let one: Value = 1_u64.into();
    let written = vec![one.clone(), set.clone(), table.clone()];
    let written = Event::new("Test::three", written);
    let made = tester.make_event(&what, vec![one, table, set]);
    for event in [&written, &made] {
        assert_eq!(tester.publish("made/x", event), Ok(Accepted::ByAll));
    }
    let payloads = payloads(&mut reader, 2);
    assert_eq!(payloads[0], payloads[1]);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: an event crosses as Broker's bytes, with the time that its sender gave it, or none.
#[test]
fn an_event_crosses_as_the_bytes_that_broker_writes() {
    let cluster = start();
    let path = cluster.attach_socket();
    let mut reader = reader(&path, "vector/");
    let mut tester = attached(&path);
    let what = EventType::new("Supervisor::node_status", &[Param::String, Param::Count]);
    let mut event = what.event(vec!["TEST".into(), 42_u64.into()]).unwrap();
    tester.publish("vector/bare", &event).unwrap();
    event.metadata = Some(Metadata::of_network_timestamp(Timestamp::from_nanos(0)));
    // Its own time stays, also where times are added.
    tester.add_network_timestamp(true);
    tester.publish("vector/stamped", &event).unwrap();
    event.metadata = None;
    let before = std::time::SystemTime::now();
    tester.publish("vector/now", &event).unwrap();
    let payloads = payloads(&mut reader, 3);
    let body =
        "051753757065727669736f723a3a6e6f64655f7374617475730e0205045445535402000000000000002a";
    let head = "0e03020000000000000001020000000000000001";
    let stamp = "0e010e02020000000000000001090000000000000000";
    assert_eq!(hex(&payloads[0]), format!("{head}0e02{body}"));
    assert_eq!(hex(&payloads[1]), format!("{head}0e03{body}{stamp}"));
    assert_eq!(payloads[1].len(), 86);
    let now = EventView::parse(&payloads[2]).unwrap();
    let time = now.metadata().unwrap().network_timestamp().unwrap();
    assert!(time.system_time().unwrap() >= before);
    cluster.stop_and_expect_nobody_left();
}

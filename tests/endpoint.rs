//! Endpoints of one process around a stem made by hand: who gets what, in which order, how often, and
//! that every record is accounted for.

#![cfg(test)]

/// Makes two tests of each story: over rings, and over streams.
macro_rules! over_both {
    ($($story:ident)*) => {
        mod over_rings {
            $(#[test] fn $story() { super::$story(); })*
        }
        mod over_streams {
            $(#[test] fn $story() { crate::over_streams(super::$story); })*
        }
    };
}
use over_both;

#[path = "endpoint/accounts.rs"]
mod accounts;
#[path = "endpoint/attaching.rs"]
mod attaching;
#[path = "endpoint/bulk.rs"]
mod bulk;
#[path = "endpoint/deaths.rs"]
mod deaths;
#[path = "endpoint/kills.rs"]
mod kills;
#[path = "endpoint/random.rs"]
mod random;
#[path = "endpoint/stem.rs"]
mod stem;
mod stories;
#[path = "endpoint/streams.rs"]
mod streams;
#[path = "endpoint/visibility.rs"]
mod visibility;

use std::cell::Cell;
use std::time::{Duration, Instant};

use cluster::fabric::{FabricSpec, Slot, Transport};
use cluster::layout::spec::Role;
use cluster::node::endpoint::Endpoint;
use cluster::sys::clock;
use stem::HandStem;

/// What must come comes within this time on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

thread_local! {
    /// What the stories of this thread are told over.
    static TRANSPORT: Cell<Transport> = const { Cell::new(Transport::Ring) };
}

fn over_streams(story: fn()) {
    TRANSPORT.set(Transport::Unix);
    story();
}

/// Small rings and short waits, so that limits are reached.
fn spec() -> FabricSpec {
    FabricSpec {
        transport: TRANSPORT.get(),
        control_bytes: 4096,
        bulk_bytes: 4096,
        record_bytes_max: 1 << 20,
        ring_wait: Duration::from_secs(5),
        block: Duration::from_millis(50),
        ..FabricSpec::default()
    }
}

fn until() -> Instant {
    clock::monotonic() + PATIENCE
}

/// A stem with a worker and a manager, and their places.
fn pair(spec: FabricSpec) -> (HandStem, Slot, Slot) {
    let stem = HandStem::new(spec);
    let worker = stem.add("worker-1", Role::Worker);
    let manager = stem.add("manager", Role::Manager);
    (stem, worker, manager)
}

/// Waits for so many records: their topics and payloads as text.
fn take(endpoint: &mut Endpoint, count: usize) -> Vec<(String, String)> {
    let until = until();
    let mut taken = Vec::new();
    while taken.len() < count {
        endpoint.wait(Some(until)).unwrap();
        endpoint.drain(usize::MAX, |_, record| {
            taken.push((text(record.topic), text(record.payload)))
        });
        assert!(clock::monotonic() < until, "only {} came", taken.len());
    }
    taken
}

/// Whatever is there now.
fn take_now(endpoint: &mut Endpoint) -> Vec<(String, String)> {
    let mut taken = Vec::new();
    endpoint.wait(Some(clock::monotonic())).unwrap();
    endpoint.wake().unwrap();
    endpoint.drain(usize::MAX, |_, record| {
        taken.push((text(record.topic), text(record.payload)))
    });
    taken
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Waits until something is so.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = until();
    while !is_so() {
        assert!(clock::monotonic() < until, "never: {what}");
        std::thread::yield_now();
    }
}

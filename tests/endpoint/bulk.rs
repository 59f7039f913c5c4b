//! Records that their publisher sends in bulk: which ring they go by, when their reader is woken, and
//! what holds them back.

use std::time::Duration;

use cluster::fabric::{Class, Slot};
use cluster::layout::spec::Role;
use cluster::node::endpoint::{Endpoint, Handling, Record};
use cluster::sys::clock;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::stem::HandStem;
use super::{eventually, pair, spec, take_now};

/// A topic of the control ring.
const TOPIC: &str = "zeek/cluster/node/logger-1/";

/// So many records delay a bell here.
const RECORDS: u32 = 5;

fn is_rung(endpoint: &Endpoint) -> bool {
    endpoint.descriptors().any(|descriptor| {
        let event = PollFd::new(descriptor, PollFlags::POLLIN);
        poll(&mut [event], PollTimeout::ZERO).unwrap() > 0
    })
}

/// A worker with a ring to a logger, who has drained it.
fn linked() -> (HandStem, Endpoint, Endpoint, [Slot; 2]) {
    let stem = HandStem::new(spec());
    let from = stem.add("worker-1", Role::Worker);
    let to = stem.add("logger-1", Role::Logger);
    let mut worker = stem.endpoint(from, &[]);
    let mut logger = stem.endpoint(to, &[TOPIC]);
    assert!(worker.outbox().publish_bulk(TOPIC.as_bytes(), b"first"));
    assert_eq!(super::take(&mut logger, 1).len(), 1);
    (stem, worker, logger, [from, to])
}

fn sleep(endpoint: &mut Endpoint) {
    eventually("there is nothing to do", || {
        let sleeps = endpoint.doze() && !is_rung(endpoint);
        if !sleeps {
            endpoint.wake().unwrap();
            assert!(take_now(endpoint).is_empty());
        }
        sleeps
    });
}

#[test]
fn a_record_in_bulk_goes_by_the_bulk_ring_whatever_its_topic() {
    let (stem, mut worker, ..) = linked();
    let classes: Vec<Class> = stem.rings().iter().map(|key| key.class).collect();
    assert_eq!(classes, [Class::Bulk]);
    assert!(worker.publish(TOPIC, b"control"));
    assert_eq!(stem.rings().len(), 2);
}

#[test]
fn a_reader_of_delayed_records_is_woken_by_number_by_flush_and_by_time() {
    let (_stem, mut worker, mut logger, _) = linked();
    let publish = |worker: &mut Endpoint| {
        assert!(worker.outbox().publish_bulk(TOPIC.as_bytes(), b"line"));
    };
    let outbox = worker.outbox();
    outbox.delay_bells(RECORDS, Duration::from_secs(3600));
    sleep(&mut logger);
    for _ in 1..RECORDS {
        publish(&mut worker);
    }
    assert!(!is_rung(&logger));
    publish(&mut worker);
    assert!(is_rung(&logger) && worker.deadline().is_none());

    logger.wake().unwrap();
    assert_eq!(take_now(&mut logger).len(), RECORDS as usize);
    sleep(&mut logger);
    publish(&mut worker);
    assert!(!is_rung(&logger) && worker.deadline().is_some());
    worker.outbox().flush();
    assert!(is_rung(&logger) && worker.deadline().is_none());

    logger.wake().unwrap();
    assert_eq!(take_now(&mut logger).len(), 1);
    worker
        .outbox()
        .delay_bells(RECORDS, Duration::from_millis(20));
    sleep(&mut logger);
    publish(&mut worker);
    assert!(!is_rung(&logger));
    let due = worker.deadline().unwrap();
    worker.wait(Some(super::until())).unwrap();
    assert!(is_rung(&logger) && clock::monotonic() >= due);
    assert_eq!(worker.deadline(), None);
}

#[test]
fn a_reader_is_woken_before_its_ring_is_a_quarter_full() {
    let (_stem, mut worker, mut logger, _) = linked();
    let outbox = worker.outbox();
    outbox.delay_bells(u32::MAX, Duration::from_secs(3600));
    sleep(&mut logger);
    let ring = spec().bulk_bytes as usize;
    let line = [b'x'; 100];
    let mut bytes = 0;
    while !is_rung(&logger) {
        assert!(outbox.publish_bulk(TOPIC.as_bytes(), &line));
        bytes += line.len();
        assert!(bytes < ring / 3, "it sleeps beside {bytes} bytes");
    }
}

#[test]
fn who_leaves_owes_no_bell() {
    let (_stem, mut worker, mut logger, _) = linked();
    worker
        .outbox()
        .delay_bells(RECORDS, Duration::from_secs(3600));
    sleep(&mut logger);
    assert!(worker.outbox().publish_bulk(TOPIC.as_bytes(), b"last"));
    assert!(!is_rung(&logger));
    drop(worker);
    assert!(is_rung(&logger));
}

#[test]
fn bulk_records_that_are_held_are_no_work_and_others_come() {
    let (_stem, mut worker, mut logger, _) = linked();
    assert!(worker.publish(TOPIC, b"control"));
    assert_eq!(super::take(&mut logger, 1).len(), 1);
    logger.hold_bulk(true);
    assert!(worker.outbox().publish_bulk(TOPIC.as_bytes(), b"bulk"));
    sleep(&mut logger);
    assert!(worker.publish(TOPIC, b"control"));
    assert!(is_rung(&logger));
    let of = |payload: &str| vec![(TOPIC.to_owned(), payload.to_owned())];
    assert_eq!(take_now(&mut logger), of("control"));
    logger.hold_bulk(false);
    assert!(!logger.doze());
    assert_eq!(take_now(&mut logger), of("bulk"));
}

/// Shows: a handler that has enough is given nothing more in the same drain.
#[test]
fn a_handler_can_hold_what_comes_behind() {
    let (stem, mut worker, mut logger, _) = linked();
    for _ in 0..10 {
        assert!(worker.outbox().publish_bulk(TOPIC.as_bytes(), b"bulk"));
    }
    let mut taken = 0;
    for expected in [3, 0] {
        let took = logger.drain(usize::MAX, |outbox, _| {
            taken += 1;
            outbox.hold_bulk(taken == 3);
        });
        assert_eq!(took, expected);
    }
    logger.hold_bulk(false);
    assert_eq!(take_now(&mut logger).len(), 7);
    drop(stem);
}

#[test]
fn a_ring_is_known_until_its_records_are_drained_and_released() {
    let (stem, from, to) = pair(spec());
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    assert!(worker.publish("x", b"small"));
    assert!(worker.publish("x", &[b'l'; 10_000]));
    let mut came = Vec::new();
    let keep = |record: &Record<'_>| (record.ring, record.receipt);
    eventually("the first record comes", || {
        manager.drain(1, |_, record| {
            came.push(keep(record));
            Handling::Keep
        }) > 0
    });
    let (small, first) = came[0];
    eventually("both rings are known", || {
        manager.wait(Some(clock::monotonic())).unwrap();
        manager.wake().unwrap();
        manager.rings().count() == 2
    });
    assert!(manager.rings().any(|ring| ring == small));
    assert!(take_now(&mut manager).is_empty(), "it passed what was kept");
    let version = manager.rings_version();
    assert!(manager.release(first));
    eventually("the second record comes", || {
        manager.drain(1, |_, record| came.push(keep(record))) > 0
    });
    assert_ne!(came[1].0, small);
    assert!(manager.rings().eq([came[1].0]));
    assert_ne!(manager.rings_version(), version);
}

//! Who gets what.

use cluster::fabric::{Class, Slot};
use cluster::layout::spec::Role;
use cluster::node::endpoint::{Delivery, Endpoint, Handling};
use cluster::shm::board::State;
use cluster::sys::clock;

use super::stem::HandStem;
use super::{eventually, pair, spec, take, take_now};

fn said(topic: &str, payload: &str) -> (String, String) {
    (topic.to_owned(), payload.to_owned())
}

fn everybody_can_publish_to_everybody_and_nobody_to_itself() {
    let stem = HandStem::new(spec());
    let names = ["manager", "logger-1", "proxy-1", "worker-1"];
    let roles = [Role::Manager, Role::Logger, Role::Proxy, Role::Worker];
    let slots: Vec<Slot> = names
        .iter()
        .zip(roles)
        .map(|(name, role)| stem.add(name, role))
        .collect();
    let mut endpoints: Vec<Endpoint> = slots
        .iter()
        .map(|slot| stem.endpoint(*slot, &["all/"]))
        .collect();
    for (name, endpoint) in names.iter().zip(&mut endpoints) {
        assert!(endpoint.publish("all/x", name.as_bytes()));
        assert!(endpoint.publish("nobody/x", b"lost"), "nobody wanted it");
    }
    for (name, endpoint) in names.iter().zip(&mut endpoints) {
        let mut from: Vec<String> = take(endpoint, 3)
            .into_iter()
            .map(|(_, payload)| payload)
            .collect();
        from.sort();
        let mut others: Vec<&str> = names.into_iter().filter(|other| other != name).collect();
        others.sort_unstable();
        assert_eq!(from, others);
        assert!(take_now(endpoint).is_empty());
    }
}

fn a_topic_reaches_prefixes_of_itself_and_no_longer_ones() {
    let stem = HandStem::new(spec());
    let manager = stem.add("manager", Role::Manager);
    let (one, ten) = (
        stem.add("worker-1", Role::Worker),
        stem.add("worker-10", Role::Worker),
    );
    let mut one = stem.endpoint(one, &["zeek/cluster/worker/worker-1/"]);
    let mut ten = stem.endpoint(ten, &["zeek/cluster/worker/worker-10/"]);
    let mut manager = stem.endpoint(manager, &[]);
    assert!(manager.publish("zeek/cluster/worker/worker-1/", b"1"));
    assert!(manager.publish("zeek/cluster/worker/worker-10/", b"10"));
    assert!(manager.publish("zeek/cluster/worker/worker-1", b"neither"));
    assert_eq!(
        take(&mut one, 1),
        [said("zeek/cluster/worker/worker-1/", "1")]
    );
    assert_eq!(
        take(&mut ten, 1),
        [said("zeek/cluster/worker/worker-10/", "10")]
    );
    assert!(take_now(&mut one).is_empty() && take_now(&mut ten).is_empty());
    // Zeek's own spelling, without a slash at the end, takes in the other one.
    one.subscribe("zeek/x/worker-1", Delivery::AtLeastOnce)
        .unwrap();
    assert!(manager.publish("zeek/x/worker-10", b"both"));
    assert_eq!(take(&mut one, 1), [said("zeek/x/worker-10", "both")]);
}

fn what_is_unsubscribed_comes_no_more() {
    let (stem, worker, manager) = pair(spec());
    let mut worker = stem.endpoint(worker, &[]);
    let mut manager = stem.endpoint(manager, &["a/", "b/"]);
    assert!(worker.publish("a/1", b"") && worker.publish("b/1", b""));
    // What lies in the ring already is passed over.
    assert!(manager.unsubscribe("a/") && !manager.unsubscribe("c/"));
    assert!(worker.publish("a/2", b"") && worker.publish("b/2", b""));
    assert_eq!(take(&mut manager, 2), [said("b/1", ""), said("b/2", "")]);
}

fn records_of_one_sender_and_class_keep_their_order_and_control_comes_first() {
    let (stem, worker, manager) = pair(spec());
    let mut worker = stem.endpoint(worker, &[]);
    let mut manager = stem.endpoint(manager, &[""]);
    for number in 0..20 {
        assert!(worker.publish("data/x", format!("{number}").as_bytes()));
    }
    assert!(worker.publish("zeek/cluster/x", b"c"));
    let taken = take(&mut manager, 21);
    let mut expected = vec![said("zeek/cluster/x", "c")];
    expected.extend((0..20).map(|number| said("data/x", &number.to_string())));
    assert_eq!(taken, expected);
}

#[test]
fn a_larger_record_gets_a_larger_ring_and_comes_in_its_turn() {
    let (stem, from, to) = pair(spec());
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    let mut sizes = vec![10, 5_000, 20, 40_000, 30, 300_000, 40];
    for size in &sizes {
        assert!(worker.publish("x", "y".repeat(*size).as_bytes()), "{size}");
    }
    let expected: Vec<_> = sizes
        .iter()
        .map(|size| said("x", &"y".repeat(*size)))
        .collect();
    assert!(take(&mut manager, sizes.len()) == expected);
    let drained = || {
        let keys = stem.drained();
        keys.iter()
            .map(|key| (key.class, key.index))
            .collect::<Vec<_>>()
    };
    eventually("three rings are drained", || drained().len() == 3);
    let bulk = Class::Bulk;
    assert_eq!(drained(), [(bulk, 0), (bulk, 1), (bulk, 2)]);
    sizes.push(1 << 20);
    assert!(
        !worker.publish("x", &vec![0; 1 << 20]),
        "larger than the layout allows"
    );
    assert_eq!(stem.accounts(from, to).too_large, 1);
}

fn many_sources_take_turns() {
    let stem = HandStem::new(spec());
    let manager = stem.add("manager", Role::Manager);
    let workers: Vec<Slot> = (1..=3)
        .map(|number| stem.add(&format!("worker-{number}"), Role::Worker))
        .collect();
    let mut manager = stem.endpoint(manager, &["x"]);
    let mut workers: Vec<Endpoint> = workers
        .into_iter()
        .map(|slot| stem.endpoint(slot, &[]))
        .collect();
    for worker in &mut workers {
        for _ in 0..100 {
            assert!(worker.publish("x", b""));
        }
    }
    manager.wake().unwrap();
    let mut seen = std::collections::BTreeMap::<Slot, usize>::new();
    let taken = manager.drain(192, |_, record| {
        *seen.entry(record.receipt.from).or_default() += 1
    });
    assert_eq!(taken, 192);
    assert!(
        seen.len() == 3 && seen.values().all(|count| *count == 64),
        "{seen:?}"
    );
}

fn a_handler_may_publish() {
    let (stem, worker, manager) = pair(spec());
    let mut worker = stem.endpoint(worker, &["pong"]);
    let mut manager = stem.endpoint(manager, &["ping"]);
    assert!(worker.publish("ping", b"1"));
    let until = super::until();
    while manager.drain(1, |outbox, record| {
        assert!(outbox.publish(b"pong", record.payload));
    }) == 0
    {
        manager.wait(Some(until)).unwrap();
    }
    assert_eq!(take(&mut worker, 1), [said("pong", "1")]);
}

fn a_sleeper_is_woken_by_a_record_and_by_the_board() {
    let (stem, from, to) = pair(spec());
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    while manager.wait(Some(clock::monotonic())).unwrap() {}
    let asleep = std::thread::scope(|scope| {
        let asleep = scope.spawn(|| {
            let taken = take(&mut manager, 200).len();
            let until = super::until();
            while !manager
                .outbox()
                .peers()
                .any(|(_, entry)| entry.state == State::Away)
            {
                assert!(manager.wait(Some(until)).unwrap(), "it is not told");
            }
            taken
        });
        for number in 0..200 {
            if number % 2 == 0 {
                std::thread::yield_now();
            }
            while !worker.publish("x", b"") {}
        }
        stem.set_state(from, State::Away);
        asleep.join().unwrap()
    });
    assert_eq!(asleep, 200);
}

fn a_batch_rings_at_its_end_and_loses_nothing() {
    let (stem, from, to) = pair(spec());
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    assert!(worker.publish("x", b"0"));
    assert_eq!(take(&mut manager, 1), [said("x", "0")]);
    std::thread::scope(|scope| {
        let asleep = scope.spawn(|| take(&mut manager, 10).len());
        let whole = worker
            .outbox()
            .batch(|outbox| (0..10).all(|_| outbox.publish(b"x", b"")));
        assert!(whole);
        assert_eq!(asleep.join().unwrap(), 10);
    });
}

fn what_is_kept_stays_until_it_is_released() {
    let (stem, from, to) = pair(spec());
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    for number in 0..6 {
        assert!(worker.publish("x", format!("{number}").as_bytes()));
    }
    let mut receipts = Vec::new();
    manager.wake().unwrap();
    manager.drain(usize::MAX, |_, record| {
        receipts.push(record.receipt);
        if matches!(record.payload, b"1" | b"3") {
            Handling::Keep
        } else {
            Handling::Done
        }
    });
    assert_eq!(receipts.len(), 6);
    let delivered = || stem.accounts(from, to).delivered;
    assert_eq!(delivered(), 1);
    assert!(manager.release(receipts[1]));
    assert_eq!(delivered(), 2);
    assert!(!manager.release(receipts[1]), "it is released already");
    assert!(manager.release(receipts[3]));
    assert_eq!(delivered(), 6);
}

#[test]
fn a_record_that_meets_a_ring_with_room_takes_no_memory_on_either_side() {
    let (stem, from, to) = pair(spec());
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    let mut carry = || {
        assert!(worker.publish("x/y", &[0; 64]));
        while manager.drain(1, |_, _| ()) == 0 {
            manager.wait(None).unwrap();
        }
    };
    // The first one makes ring, route and buffers; each side looks at its socket now and then.
    carry();
    let info = allocation_counter::measure(|| (0..100).for_each(|_| carry()));
    assert_eq!((info.count_total, info.bytes_total), (0, 0));
}

super::over_both! {
    everybody_can_publish_to_everybody_and_nobody_to_itself
    a_topic_reaches_prefixes_of_itself_and_no_longer_ones
    what_is_unsubscribed_comes_no_more
    records_of_one_sender_and_class_keep_their_order_and_control_comes_first
    many_sources_take_turns
    a_handler_may_publish
    a_sleeper_is_woken_by_a_record_and_by_the_board
    a_batch_rings_at_its_end_and_loses_nothing
    what_is_kept_stays_until_it_is_released
}

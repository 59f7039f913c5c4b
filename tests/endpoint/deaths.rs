//! Deaths: of readers and writers, anywhere in their work.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cluster::layout::spec::Role;
use cluster::node::endpoint::{Delivery, Endpoint, Handling, Receipt, TURN_RECORDS};
use cluster::shm::board::State;

use super::stem::HandStem;
use super::{eventually, pair, spec, take, take_now, text};

/// The handler dies at the record with this payload; gives what was handled before.
fn dies_at(endpoint: &mut Endpoint, payload: &str) -> Vec<String> {
    let mut handled = Vec::new();
    endpoint.wake().unwrap();
    let died = catch_unwind(AssertUnwindSafe(|| {
        endpoint.drain(usize::MAX, |_, record| {
            if record.payload == payload.as_bytes() {
                std::panic::resume_unwind(Box::new("killed"));
            }
            handled.push(text(record.payload));
        })
    }));
    assert!(died.is_err());
    handled
}

fn payloads(taken: Vec<(String, String)>) -> Vec<String> {
    taken.into_iter().map(|(_, payload)| payload).collect()
}

fn the_filter_of_the_dead_stands_and_its_successor_gets_what_came_meanwhile() {
    let (stem, from, to) = pair(spec());
    let mut worker = stem.endpoint(from, &[]);
    drop(stem.endpoint(to, &["x", "y"]));
    stem.set_state(to, State::Down);
    assert!(worker.publish("x", b"1") && worker.publish("y", b"2"));
    // The successor sits, and has not said yet what it wants.
    let mut manager = Endpoint::on(stem.seat(to, false)).unwrap();
    assert!(worker.publish("y", b"3"));
    manager.subscribe("x", Delivery::AtLeastOnce).unwrap();
    manager.subscribe("y", Delivery::AtLeastOnce).unwrap();
    assert!(worker.publish("y", b"4"));
    manager.announce();
    assert_eq!(payloads(take(&mut manager, 4)), ["1", "2", "3", "4"]);
    // And now that it has, its own filter holds.
    drop(manager);
    let mut manager = stem.endpoint(to, &["y"]);
    assert!(worker.publish("x", b"5") && worker.publish("y", b"6"));
    assert_eq!(payloads(take(&mut manager, 1)), ["6"]);
    assert_eq!(stem.accounts(from, to).accepted, 5);
}

fn the_writers_successor_goes_on_in_the_same_ring() {
    let (stem, from, to) = pair(spec());
    let mut manager = stem.endpoint(to, &["x"]);
    for life in 0..5 {
        let mut worker = stem.endpoint(from, &[]);
        assert!(worker.publish("x", format!("{life}").as_bytes()));
    }
    assert_eq!(payloads(take(&mut manager, 5)), ["0", "1", "2", "3", "4"]);
    assert_eq!(stem.rings().len(), 1);
}

fn what_was_not_released_comes_again_and_at_most_a_turn_of_it() {
    let (stem, from, to) = pair(spec());
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    let published = 2 * TURN_RECORDS + 20;
    let fatal = (TURN_RECORDS + 10).to_string();
    for number in 0..published {
        assert!(worker.publish("x", number.to_string().as_bytes()));
    }
    let handled = dies_at(&mut manager, &fatal);
    assert_eq!(handled.len(), TURN_RECORDS + 10);
    drop(manager);
    let mut manager = stem.endpoint(to, &["x"]);
    worker.wake().unwrap(); // it has another socket to send to, if it has one at all
    let again = payloads(take(&mut manager, published - TURN_RECORDS));
    let expected: Vec<String> = (TURN_RECORDS..published)
        .map(|number| number.to_string())
        .collect();
    assert_eq!(again, expected);
}

fn what_may_come_once_only_does_not_come_again() {
    let (stem, from, to) = pair(spec());
    let mut worker = stem.endpoint(from, &[]);
    let once = |endpoint: &mut Endpoint| {
        endpoint.subscribe("x", Delivery::AtMostOnce).unwrap();
        endpoint.announce();
    };
    let mut manager = Endpoint::on(stem.seat(to, false)).unwrap();
    once(&mut manager);
    for payload in ["1", "2", "3"] {
        assert!(worker.publish("x", payload.as_bytes()));
    }
    assert_eq!(dies_at(&mut manager, "2"), ["1"]);
    drop(manager);
    let mut manager = Endpoint::on(stem.seat(to, false)).unwrap();
    once(&mut manager);
    worker.wake().unwrap();
    assert_eq!(payloads(take(&mut manager, 1)), ["3"]);
}

fn the_third_death_by_one_record_makes_it_a_dead_letter() {
    let place = tempfile::tempdir().unwrap();
    let letters = place.path().join("dead-letter");
    let (stem, from, to) = pair(spec());
    let mut worker = stem.endpoint(from, &[]);
    let sit = |fault| {
        let mut manager = Endpoint::on(stem.seat(to, fault)).unwrap();
        manager.subscribe("x", Delivery::AtLeastOnce).unwrap();
        manager.put_dead_letters_into(letters.clone());
        manager.announce();
        manager
    };
    let mut manager = sit(false);
    for payload in ["good", "bad", "end"] {
        assert!(worker.publish("x", payload.as_bytes()));
    }
    assert_eq!(dies_at(&mut manager, "bad"), ["good"]);
    // Killed from outside with it in hand: that is not its fault.
    for fault in [false, true, true] {
        drop(manager);
        manager = sit(fault);
        worker.wake().unwrap();
        assert_eq!(dies_at(&mut manager, "bad"), ["good"]);
        assert!(!letters.exists());
    }
    drop(manager);
    // The last death has filled the measure.
    let mut manager = sit(true);
    worker.wake().unwrap();
    assert_eq!(payloads(take(&mut manager, 2)), ["good", "end"]);
    let letter = std::fs::read_to_string(&letters).unwrap();
    let letter: serde_json::Value = serde_json::from_str(&letter).unwrap();
    assert_eq!(
        (&letter["from"], &letter["topic"]),
        (&"worker-1".into(), &"x".into())
    );
    assert_eq!(letter["payload_hex"], "626164");
    let accounts = stem.accounts(from, to);
    assert_eq!(
        (
            accounts.delivered,
            accounts.dead_letters,
            accounts.in_flight
        ),
        (2, 1, 0)
    );
}

fn a_dead_letter_that_cannot_be_written_is_not_lost() {
    let place = tempfile::tempdir().unwrap();
    let (stem, from, to) = pair(spec());
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    assert!(worker.publish("x", b"bad") && worker.publish("x", b"good"));
    for _ in 0..3 {
        dies_at(&mut manager, "bad");
        drop(manager);
        manager = Endpoint::on(stem.seat(to, true)).unwrap();
        manager.subscribe("x", Delivery::AtLeastOnce).unwrap();
        manager.announce();
        worker.wake().unwrap();
    }
    manager.put_dead_letters_into(place.path().join("missing/dead-letter"));
    assert!(take_now(&mut manager).is_empty() && take_now(&mut manager).is_empty());
    assert_eq!(stem.accounts(from, to).in_flight, 2);
    manager.put_dead_letters_into(place.path().join("dead-letter"));
    assert_eq!(payloads(take_now(&mut manager)), ["good"]);
    assert_eq!(stem.accounts(from, to).dead_letters, 1);
}

/// Shows: a handler that keeps records loses none of them by a dead letter, and none becomes one unless its
/// own handling killed: not one that was kept before a death for another reason.
fn a_dead_letter_waits_for_what_is_kept_before_it() {
    let place = tempfile::tempdir().unwrap();
    let letters = place.path().join("dead-letter");
    let (stem, from, to) = pair(spec());
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    for payload in ["one", "two", "bad", "end"] {
        assert!(worker.publish("x", payload.as_bytes()));
    }
    let keep = |manager: &mut Endpoint, at_bad: fn()| {
        let mut receipts = Vec::new();
        manager.wake().unwrap();
        let died = catch_unwind(AssertUnwindSafe(|| {
            manager.drain(usize::MAX, |_, record| {
                if record.payload == b"bad" {
                    at_bad();
                }
                receipts.push(record.receipt);
                Handling::Keep
            })
        }));
        (receipts, died.is_err())
    };
    let sit_again = |worker: &mut Endpoint| {
        let mut manager = Endpoint::on(stem.seat(to, true)).unwrap();
        manager.subscribe("x", Delivery::AtLeastOnce).unwrap();
        manager.put_dead_letters_into(letters.clone());
        manager.announce();
        worker.wake().unwrap();
        manager
    };
    // It dies, but not in a handler.
    for _ in 0..3 {
        assert_eq!(keep_until(&mut manager, 4, |it| keep(it, || ()).0).len(), 4);
        drop(manager);
        manager = sit_again(&mut worker);
    }
    for _ in 0..3 {
        let die = || std::panic::resume_unwind(Box::new("killed"));
        eventually("it dies", || keep(&mut manager, die).1);
        drop(manager);
        manager = sit_again(&mut worker);
    }
    let receipts = keep_until(&mut manager, 2, |it| keep(it, || ()).0);
    assert!(take_now(&mut manager).is_empty() && !letters.exists());
    let accounts = stem.accounts(from, to);
    assert_eq!((accounts.in_flight, accounts.dead_letters), (4, 0));
    assert!(manager.release(receipts[1]));
    assert_eq!(payloads(take(&mut manager, 1)), ["end"]);
    let letter = std::fs::read_to_string(&letters).unwrap();
    assert!(
        letter.lines().count() == 1 && letter.contains("\"626164\""),
        "{letter}"
    );
    let accounts = stem.accounts(from, to);
    assert_eq!((accounts.delivered, accounts.dead_letters), (3, 1));
}

/// Drains until so many records were kept.
fn keep_until(
    endpoint: &mut Endpoint,
    count: usize,
    keep: impl Fn(&mut Endpoint) -> Vec<Receipt>,
) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    eventually("they come", || {
        receipts.extend(keep(endpoint));
        receipts.len() >= count
    });
    receipts
}

fn a_program_that_left_is_read_to_the_end_and_its_place_is_given_away() {
    let stem = HandStem::new(spec());
    let to = stem.add("manager", Role::Manager);
    let from = stem.add_as("probe-1", Role::None, true);
    let mut manager = stem.endpoint(to, &["x"]);
    let mut probe = stem.endpoint(from, &[""]);
    assert!(manager.publish("hello", b"") && probe.publish("x", b"1") && probe.publish("x", b"2"));
    drop(probe);
    stem.leaves(from);
    assert!(manager.publish("hello", b""), "nobody wants it any more");
    assert_eq!(payloads(take(&mut manager, 2)), ["1", "2"]);
    take_now(&mut manager);
    eventually("the place is free", || stem.state_of(from).is_none());
    // Somebody else takes it; nothing of the last one's is in its way.
    assert_eq!(stem.add_as("probe-2", Role::None, true), from);
    let mut probe = stem.endpoint(from, &["hello"]);
    assert!(probe.publish("x", b"3") && manager.publish("hello", b"you"));
    assert_eq!(payloads(take(&mut manager, 1)), ["3"]);
    assert_eq!(payloads(take(&mut probe, 1)), ["you"]);
}

super::over_both! {
    the_filter_of_the_dead_stands_and_its_successor_gets_what_came_meanwhile
    the_writers_successor_goes_on_in_the_same_ring
    what_was_not_released_comes_again_and_at_most_a_turn_of_it
    what_may_come_once_only_does_not_come_again
    the_third_death_by_one_record_makes_it_a_dead_letter
    a_dead_letter_that_cannot_be_written_is_not_lost
    a_dead_letter_waits_for_what_is_kept_before_it
    a_program_that_left_is_read_to_the_end_and_its_place_is_given_away
}

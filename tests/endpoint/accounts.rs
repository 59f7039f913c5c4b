//! What is dropped, why, and that the sums are exact.

use std::time::Duration;

use cluster::fabric::{FabricSpec, LinkPolicy, Policy};
use cluster::layout::spec::Role;
use cluster::node::endpoint::{Delivery, Endpoint};
use cluster::shm::board::State;
use cluster::sys::clock;

use super::stem::{Accounts, HandStem};
use super::{pair, spec, take, take_now};

const PAYLOAD: [u8; 100] = [b'p'; 100];

fn policy(policy: Policy) -> FabricSpec {
    FabricSpec {
        policies: vec![LinkPolicy::of_topic("x", policy)],
        ..spec()
    }
}

fn a_full_ring_drops_the_newest_and_counts_it() {
    let (stem, from, to) = pair(spec());
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    let published = 100;
    let whole = (0..published)
        .filter(|_| worker.publish("x", &PAYLOAD))
        .count();
    let accounts = stem.accounts(from, to);
    let accepted = u64::try_from(whole).unwrap();
    assert_eq!(
        accounts,
        Accounts {
            accepted,
            in_flight: accepted,
            full: published - accepted,
            ..Accounts::default()
        }
    );
    assert!(accounts.full > 0 && accepted > 30);
    assert_eq!(take(&mut manager, whole).len(), whole);
    let accounts = stem.accounts(from, to);
    assert_eq!((accounts.delivered, accounts.in_flight), (accepted, 0));
    assert_eq!(accounts.delivered + accounts.dropped(), published);
    assert!(worker.publish("x", &PAYLOAD), "there is room again");
}

/// Shows: a writer that waits for room does not wait for the last record of its reader's turn.
#[test]
fn a_turn_gives_room_back_before_it_is_over() {
    let (stem, from, to) = pair(spec());
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    let accepted = (0..100).filter(|_| worker.publish("x", &PAYLOAD)).count();
    let mut delivered = Vec::new();
    while delivered.is_empty() {
        assert!(manager.wait(Some(super::until())).unwrap());
        manager.drain(accepted, |_, _| {
            delivered.push(stem.accounts(from, to).delivered);
        });
    }
    let last = delivered.last().copied().unwrap();
    assert_eq!((delivered.len(), delivered[0]), (accepted, 0));
    assert!(last > 0, "nothing is given back by turns: {delivered:?}");
    assert!(worker.publish("x", &PAYLOAD), "there is room again");
}

#[test]
fn all_is_still_known_after_a_larger_ring_took_over() {
    let (stem, from, to) = pair(spec());
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    let dropped = (0..100).filter(|_| !worker.publish("x", &PAYLOAD)).count();
    assert!(worker.publish("x", &[b'l'; 10_000]));
    let accepted = 101 - dropped;
    let expected = |in_flight| Accounts {
        accepted: accepted as u64,
        delivered: accepted as u64 - in_flight,
        in_flight,
        full: dropped as u64,
        ..Accounts::default()
    };
    assert_eq!(stem.accounts(from, to), expected(accepted as u64));
    take(&mut manager, accepted);
    super::eventually("the old ring goes", || stem.rings().len() == 1);
    assert_eq!(stem.accounts(from, to), expected(0));
}

fn a_link_that_is_cut_stays_cut_until_its_reader_declares_anew() {
    let (stem, from, to) = pair(policy(Policy::Disconnect));
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    let whole = (0..100).filter(|_| worker.publish("x", &PAYLOAD)).count();
    assert_eq!(take(&mut manager, whole).len(), whole);
    assert!(
        !worker.publish("x", &PAYLOAD),
        "there is room, and it is cut"
    );
    stem.set_state(from, State::Up);
    assert!(
        !worker.publish("x", &PAYLOAD),
        "another change does not mend it"
    );
    let disconnected = stem.accounts(from, to).disconnected;
    assert_eq!(disconnected, 102 - u64::try_from(whole).unwrap());
    manager.subscribe("y", Delivery::AtLeastOnce).unwrap();
    assert!(worker.publish("x", &PAYLOAD));
    assert_eq!(stem.accounts(from, to).disconnected, disconnected);
}

fn a_logger_is_waited_for_while_it_works_and_not_longer_than_said() {
    let stem = HandStem::new(policy(Policy::Block(Duration::from_secs(20))));
    let (from, to) = (
        stem.add("worker-1", Role::Worker),
        stem.add("logger-1", Role::Logger),
    );
    let mut worker = stem.endpoint(from, &[]);
    let mut logger = stem.endpoint(to, &["x", "default"]);
    std::thread::scope(|scope| {
        let drains = scope.spawn(|| take(&mut logger, 2_000).len());
        // Far more than the ring takes, and not one is lost.
        assert!((0..2_000).all(|_| worker.publish("x", &PAYLOAD)));
        worker.flush_until(super::until()).unwrap();
        assert_eq!(drains.join().unwrap(), 2_000);
    });
    assert_eq!(stem.accounts(from, to).dropped(), 0);
    // The default is the layout's `block`, which is short here; nobody drains.
    let began = clock::monotonic();
    let whole = (0..)
        .take_while(|_| worker.publish("default", &PAYLOAD))
        .count();
    assert!(whole > 30 && began.elapsed() >= Duration::from_millis(50));
    assert_eq!(stem.accounts(from, to).timeout, 1);
    // A logger that was stopped is not waited for, whatever the layout says.
    stem.set_state(to, State::Away);
    let began = clock::monotonic();
    assert!(!worker.publish("x", &PAYLOAD));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(stem.accounts(from, to).full, 1);
}

/// Shows: a full ring is waited for when a logger reads it and somebody else writes; all other drops
/// together take less time than waiting for each of them would.
fn only_loggers_are_waited_for_and_they_wait_for_nobody() {
    const WAIT: Duration = Duration::from_millis(200);
    let stem = HandStem::new(policy(Policy::Block(WAIT)));
    let add = |name, role| stem.add(name, role);
    let (manager, worker) = (add("manager", Role::Manager), add("worker-1", Role::Worker));
    let (one, two) = (add("logger-1", Role::Logger), add("logger-2", Role::Logger));
    let _manager = stem.endpoint(manager, &["x"]);
    let mut worker_end = stem.endpoint(worker, &[]);
    let mut logger = stem.endpoint(one, &[]);
    let publish = |endpoint: &mut Endpoint| {
        let began = clock::monotonic();
        let dropped = (0..100).filter(|_| !endpoint.publish("x", &PAYLOAD));
        let dropped = u32::try_from(dropped.count()).unwrap();
        assert!(dropped > 30 && began.elapsed() < WAIT * dropped);
        u64::from(dropped)
    };
    let dropped = publish(&mut worker_end);
    assert_eq!(stem.accounts(worker, manager).full, dropped);
    let _two = stem.endpoint(two, &["x"]);
    let dropped = publish(&mut logger);
    for to in [manager, two] {
        assert_eq!(stem.accounts(one, to).full, dropped);
        assert_eq!(stem.accounts(one, to).timeout, 0);
    }
    let began = clock::monotonic();
    while stem.accounts(worker, two).timeout == 0 {
        worker_end.publish("x", &PAYLOAD);
    }
    assert!(began.elapsed() >= WAIT);
}

fn one_that_is_full_does_not_keep_others_from_the_record() {
    let stem = HandStem::new(spec());
    let from = stem.add("worker-1", Role::Worker);
    let (slow, fast) = (
        stem.add("proxy-1", Role::Proxy),
        stem.add("proxy-2", Role::Proxy),
    );
    let mut worker = stem.endpoint(from, &[]);
    let _slow = stem.endpoint(slow, &["x"]);
    let mut fast = stem.endpoint(fast, &["x"]);
    for _ in 0..10 {
        for _ in 0..20 {
            worker.publish("x", &PAYLOAD);
        }
        assert_eq!(take(&mut fast, 20).len(), 20);
    }
    assert!(stem.accounts(from, slow).full > 100);
}

fn a_ring_that_does_not_come_is_waited_for_once_and_counted() {
    let (stem, from, to) = pair(FabricSpec {
        ring_wait: Duration::from_millis(100),
        ..spec()
    });
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    stem.withhold_rings(true);
    let began = clock::monotonic();
    assert!(!worker.publish("x", &PAYLOAD));
    assert!(began.elapsed() >= Duration::from_millis(100));
    for _ in 0..1_000 {
        assert!(!worker.publish("x", &PAYLOAD));
    }
    assert!(
        began.elapsed() < Duration::from_secs(50),
        "it waited again and again"
    );
    assert_eq!(stem.accounts(from, to).no_ring, 1_001);
    assert!(take_now(&mut manager).is_empty());
}

super::over_both! {
    a_full_ring_drops_the_newest_and_counts_it
    a_link_that_is_cut_stays_cut_until_its_reader_declares_anew
    a_logger_is_waited_for_while_it_works_and_not_longer_than_said
    only_loggers_are_waited_for_and_they_wait_for_nobody
    one_that_is_full_does_not_keep_others_from_the_record
    a_ring_that_does_not_come_is_waited_for_once_and_counted
}

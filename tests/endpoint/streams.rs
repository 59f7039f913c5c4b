//! What is otherwise over streams: the queue is the writer's, so it dies with it; and it may drop what is
//! oldest.

use cluster::fabric::{FabricSpec, LinkPolicy, Policy, Transport};
use cluster::layout::spec::Role;
use cluster::node::endpoint::Handling;
use cluster::shm::board::State;

use super::stem::HandStem;
use super::{eventually, pair, spec, take, take_now, until};

fn streams() -> FabricSpec {
    FabricSpec {
        transport: Transport::Unix,
        ..spec()
    }
}

/// Shows: the newest are there, in order, behind those that were in the socket already; and the accounts
/// say how many are not.
#[test]
fn a_queue_that_drops_its_oldest_keeps_the_newest() {
    let policies = vec![LinkPolicy::of_topic("x", Policy::DropOldest)];
    let (stem, from, to) = pair(FabricSpec {
        policies,
        ..streams()
    });
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    for number in 0..300_u32 {
        assert!(worker.publish("x", format!("{number:0100}").as_bytes()));
    }
    let accounts = stem.accounts(from, to);
    assert_eq!(accounts.accepted, 300);
    assert_eq!(accounts.in_flight + accounts.oldest, 300);
    assert!(
        accounts.in_flight > 30 && accounts.oldest > 200,
        "{accounts:?}"
    );
    let mut came: Vec<u32> = Vec::new();
    eventually("the newest comes", || {
        let now = take_now(&mut manager);
        came.extend(
            now.iter()
                .map(|(_, payload)| payload.parse::<u32>().unwrap()),
        );
        worker.wake().unwrap();
        worker.drain(0, |_, _| ());
        came.last() == Some(&299)
    });
    assert!(came.is_sorted() && came[0] == 0, "{came:?}");
    let missing = 300 - came.len() as u64;
    let accounts = stem.accounts(from, to);
    assert_eq!((accounts.oldest, accounts.in_flight), (missing, 0));
    assert_eq!((accounts.delivered, accounts.full), (300 - missing, 0));
}

/// Shows: what a dead writer had queued for a dead reader is counted, record by record, and what comes
/// next comes.
#[test]
fn what_both_ends_died_with_is_lost_and_counted() {
    let (stem, from, to) = pair(streams());
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    assert!(worker.publish("x", b"first"));
    assert_eq!(take(&mut manager, 1).len(), 1);
    drop(manager);
    stem.set_state(to, State::Down);
    let queued = (0..1000)
        .take_while(|_| worker.publish("x", b"never"))
        .count() as u64;
    assert!(queued > 100, "{queued}");
    assert_eq!(stem.accounts(from, to).in_flight, queued);
    drop(worker);
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    assert!(worker.publish("x", b"next"));
    worker.wake().unwrap();
    assert_eq!(take(&mut manager, 1)[0].1, "next");
    let accounts = stem.accounts(from, to);
    assert_eq!(accounts.lost, queued);
    let came = (
        accounts.accepted - accounts.lost,
        accounts.delivered,
        accounts.in_flight,
    );
    assert_eq!(came, (2, 2, 0), "{accounts:?}");
}

/// Shows: each end wakes the other when there is more to read, or room for more.
#[test]
fn a_record_larger_than_queue_and_socket_crosses_while_both_sleep() {
    let (stem, from, to) = pair(streams());
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    let payload = "p".repeat((1 << 20) - 1);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| take(&mut manager, 4));
        let mut published = 0;
        while published < 3 {
            if worker.publish("x", payload.as_bytes()) {
                published += 1;
            }
            worker.wait(Some(cluster::sys::clock::monotonic())).unwrap();
        }
        let until = until();
        while !worker.publish("x", b"end") {
            assert!(cluster::sys::clock::monotonic() < until);
            worker.wait(Some(cluster::sys::clock::monotonic())).unwrap();
        }
        while !reader.is_finished() {
            worker.outbox().publish(b"nobody's", b"");
            let soon = cluster::sys::clock::monotonic() + std::time::Duration::from_millis(20);
            worker.wait(Some(soon)).unwrap();
        }
        let came = reader.join().unwrap();
        assert!(came[..3].iter().all(|(_, came)| *came == payload), "torn");
        assert_eq!(came[3].1, "end");
    });
}

/// Shows: a record that the layout does not allow is refused by its writer; a reader would take it for
/// garbage, and cut the link.
#[test]
fn a_record_that_is_too_large_is_refused_and_the_link_stands() {
    let (stem, from, to) = pair(streams());
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    let most = worker.outbox().record_bytes_max();
    let payload = vec![b'p'; most];
    assert!(worker.publish("x", b"first"));
    assert!(
        !worker.publish("x", &payload),
        "with its topic it is larger"
    );
    assert_eq!(take(&mut manager, 1)[0].1, "first");
    assert!(worker.publish("x", &payload[1..]));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| take(&mut manager, 2));
        assert!(worker.flush_until(until()).unwrap());
        // It stays in the queue until it is released.
        eventually("there is room", || stem.accounts(from, to).in_flight == 0);
        assert!(worker.publish("x", b"last"));
        assert!(worker.flush_until(until()).unwrap());
        let came = reader.join().unwrap();
        assert_eq!((came[0].1.len(), came[1].1.as_str()), (most - 1, "last"));
    });
    let accounts = stem.accounts(from, to);
    assert_eq!((accounts.too_large, accounts.delivered), (1, 3));
}

/// Shows: programs that attached and begin large records cost their reader the memory of a few, whatever
/// number of them begins; the others wait, nodes of the layout do not, and who leaves gives his room back.
#[test]
fn large_records_of_guests_wait_for_memory_and_those_of_nodes_do_not() {
    const LARGE: u32 = 40 << 20;
    let stem = HandStem::new(FabricSpec {
        record_bytes_max: LARGE + 1,
        ..streams()
    });
    let to = stem.add("manager", Role::Manager);
    let places = ["first", "second"].map(|name| stem.add_as(name, Role::None, true));
    let node = stem.add("worker-1", Role::Worker);
    let mut manager = stem.endpoint(to, &["x"]);
    let [mut first, mut second] = places.map(|place| stem.endpoint(place, &[]));
    let mut worker = stem.endpoint(node, &[]);
    let payload = vec![b'p'; LARGE as usize];
    let mut came = Vec::new();
    let mut drain = |came: &mut Vec<u8>| {
        manager.wake().unwrap();
        manager.drain(usize::MAX, |_, record| {
            assert!(record.payload[1..] == payload[1..], "torn");
            came.push(record.payload[0]);
        })
    };
    let large = |begin: u8| [&[begin][..], &payload[1..]].concat();
    assert!(first.publish("x", &large(b'1')));
    for _ in 0..20 {
        drain(&mut came);
        assert!(!first.outbox().flush(), "it has begun, and is not through");
    }
    assert!(second.publish("x", &large(b'2')));
    assert!(worker.publish("x", &large(b'w')));
    while came.is_empty() {
        second.outbox().flush();
        worker.outbox().flush();
        drain(&mut came);
    }
    for _ in 0..100 {
        assert!(!second.outbox().flush());
        drain(&mut came);
    }
    assert_eq!(came, b"w");
    drop(first);
    stem.leaves(places[0]);
    eventually("the second one comes", || {
        second.outbox().flush();
        drain(&mut came);
        came == b"w2"
    });
}

/// Shows: a reader that keeps what it gets until it has all of it gets all of it, though it releases nothing
/// meanwhile and both ends sleep when they have nothing to do.
#[test]
fn a_reader_that_keeps_all_gets_more_than_a_socket_holds() {
    const RECORDS: usize = 1500;
    let (stem, from, to) = pair(FabricSpec {
        bulk_bytes: 4 << 20,
        ..streams()
    });
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x"]);
    for _ in 0..RECORDS {
        assert!(worker.publish("x", &[7; 1000]));
    }
    assert!(!worker.outbox().flush(), "a socket holds less");
    let last = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut kept, mut last) = (0, None);
            let until = until();
            while kept < RECORDS && cluster::sys::clock::monotonic() < until {
                manager.wait(Some(until)).unwrap();
                // Few at a time, so that a turn ends in the midst of what was read.
                manager.drain(10, |_, record| {
                    kept += 1;
                    last = Some(record.receipt);
                    Handling::Keep
                });
            }
            (kept, last)
        });
        let is_written = worker.flush_until(until()).unwrap();
        let (kept, last) = reader.join().unwrap();
        assert!(is_written && kept == RECORDS, "{kept} came");
        assert_eq!(stem.accounts(from, to).delivered, 0);
        last.unwrap()
    });
    assert!(manager.release(last));
    assert_eq!(stem.accounts(from, to).delivered, RECORDS as u64);
}

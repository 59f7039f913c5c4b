//! Rings: made when they are asked for, told of when the supervisor holds them, and never lost, whenever
//! the stem dies.

#![cfg(test)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use cluster::fabric::{Answer, Ask, Class, FabricSpec, Refusal, RingKey, Slot};
use cluster::shm::ring::Observer;
use nix::sys::signal::Signal;

use common::guests::Seat;
use common::{Cluster, Start, processes, waiting};

const SITE: &str = r#"(nodes: {"manager": (node_type: Manager)})"#;

fn drain(seat: &Seat, key: RingKey) -> Vec<Vec<u8>> {
    let mut reader = seat.reader(key);
    let (mut record, mut records) = (Vec::new(), Vec::new());
    while let Some(delivery) = reader.drain(&mut record).unwrap() {
        reader.release(delivery);
        records.push(record.clone());
    }
    records
}

fn refused(seat: &Seat) -> Refusal {
    seat.guest.refusal()
}

fn wait_rings(cluster: &Cluster, count: usize) {
    let what = format!("supervisor and stem hold {count} rings");
    common::wait_for(&what, common::PATIENCE, || {
        let stem = cluster.stem_pid()?;
        let held = [
            processes::rings_held_by(cluster.pid()),
            processes::rings_held_by(stem),
        ];
        (held == [count, count]).then_some(())
    });
}

/// Shows the whole life of a link: the reader knows of a ring before its writer does, a larger one takes
/// over, and the small one goes when it is drained, not before.
#[test]
fn a_ring_is_made_when_asked_for_and_a_larger_one_takes_over() {
    let cluster = Start::with(SITE).start_ready();
    let mut reader = cluster.attach("reader");
    let mut writer = cluster.attach("writer");
    let small = writer.ring_to(reader.slot, 100);
    let now = reader.guest.try_to_hear(Duration::ZERO);
    let (answer, mut fds) = now.expect("the reader was told first");
    assert!(matches!(answer, Answer::Ring { key, .. } if key == small));
    reader.rings.insert(small, fds.remove(0));
    wait_rings(&cluster, 1);
    assert_eq!(
        writer.ring_to(reader.slot, 100),
        small,
        "one ring for all asks"
    );

    let mut old = writer.writer(small);
    old.try_push(&[b"one"]).unwrap();
    let large = writer.ring_to(reader.slot, 1 << 20);
    assert_eq!((large.index, reader.hear_ring()), (1, large));
    let drained = Ask::Drained(small);
    reader.guest.say(&drained);
    assert!(
        matches!(refused(&reader), Refusal::Confused(_)),
        "it may be written to"
    );
    old.move_on(std::num::NonZeroU64::MIN);
    writer.writer(large).try_push(&[&[7; 1 << 20]]).unwrap();
    reader.guest.say(&drained);
    assert!(
        matches!(refused(&reader), Refusal::Confused(_)),
        "it holds a record"
    );
    assert_eq!(drain(&reader, small), [b"one"]);
    writer.guest.say(&drained);
    assert!(
        matches!(refused(&writer), Refusal::Confused(_)),
        "not the writer's to say"
    );
    wait_rings(&cluster, 2);
    reader.guest.say(&drained);
    wait_rings(&cluster, 1);
    reader.guest.say(&drained); // twice is once
    assert_eq!(drain(&reader, large), [vec![7; 1 << 20]]);
    cluster.stop_and_expect_nobody_left();
}

#[test]
fn a_ring_that_cannot_be_is_refused_with_its_reason() {
    let cluster = Start::with(SITE).start_ready();
    let seat = cluster.attach("seat");
    seat.ask_ring(Slot(9999), 1);
    assert_eq!(refused(&seat), Refusal::NoSuchPeer);
    let manager = seat
        .board
        .find_by_name(&cluster::names::NodeName::parse("manager").unwrap())
        .unwrap();
    seat.ask_ring(manager, FabricSpec::default().record_bytes_max + 3);
    assert_eq!(refused(&seat), Refusal::TooLarge);
    let nobodys = RingKey {
        from: seat.slot,
        to: manager,
        class: Class::Bulk,
        index: 0,
    };
    seat.guest.say(&Ask::Drained(nobodys));
    assert!(matches!(refused(&seat), Refusal::Confused(_)));
    cluster.stop_and_expect_nobody_left();
}

/// Shows: what was for a leaver goes at once; what it wrote stays until it is read.
#[test]
fn what_a_leaver_wrote_is_read_and_then_nothing_of_it_is_left() {
    let cluster = Start::with(SITE).start_ready();
    let mut reader = cluster.attach("reader");
    let processes = [cluster.pid(), cluster.stem_pid().unwrap()];
    let mut after_the_first = None;
    for _ in 0..4 {
        let mut writer = cluster.attach("writer");
        let there = writer.ring_to(reader.slot, 100);
        assert_eq!(reader.hear_ring(), there);
        reader.ask_ring(writer.slot, 100);
        assert_eq!(reader.hear_ring(), writer.hear_ring());
        wait_rings(&cluster, 2);
        writer.writer(there).try_push(&[b"last words"]).unwrap();
        let slot = writer.slot;
        drop(writer);
        wait_rings(&cluster, 1);
        assert!(
            reader.board.entry(slot).is_some(),
            "its place is kept for its words"
        );
        assert_eq!(drain(&reader, there), [b"last words"]);
        reader.guest.say(&Ask::Drained(there));
        wait_rings(&cluster, 0);
        reader.wait_board(slot, "its place is free", |entry| entry.is_none());
        reader.rings.clear();
        after_the_first.get_or_insert_with(|| processes.map(processes::descriptor_kinds));
    }
    for (pid, before) in processes.into_iter().zip(&after_the_first.unwrap()) {
        cluster.wait_no_more_descriptors(pid, before);
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: nobody is told of a ring that the supervisor does not hold; and one that was reported when the
/// stem died is there, empty, for both ends.
#[test]
fn a_ring_reported_to_a_halted_supervisor_is_told_of_by_the_next_stem() {
    let cluster = Start::with(SITE).start_ready();
    let reader = cluster.attach("reader");
    let writer = cluster.attach("writer");
    let stem = processes::ProcessId::of(cluster.stem_pid().unwrap()).unwrap();
    let made = processes::rings_held_by(stem.pid) + 1;
    processes::halt(cluster.pid());
    writer.ask_ring(reader.slot, 100);
    common::wait_for("the stem makes it", common::PATIENCE, || {
        (processes::rings_held_by(stem.pid) == made).then_some(())
    });
    // An answer to this comes behind whatever the ring's ask would have brought.
    for seat in [&reader, &writer] {
        seat.ask_ring(Slot(9999), 1);
        assert_eq!(refused(seat), Refusal::NoSuchPeer);
    }
    processes::signal(stem.pid, Signal::SIGKILL);
    processes::expect_gone(&[stem], Duration::from_secs(5));
    cluster.signal(Signal::SIGCONT);
    let (reader, writer) = (reader.resume(&cluster), writer.resume(&cluster));
    let keys: Vec<_> = writer.rings.keys().copied().collect();
    assert_eq!(keys, reader.rings.keys().copied().collect::<Vec<_>>());
    let [key] = keys[..] else {
        panic!("{keys:?}");
    };
    writer.writer(key).try_push(&[b"first"]).unwrap();
    assert_eq!(drain(&reader, key), [b"first"]);
    cluster.stop_and_expect_nobody_left();
}

/// Takes every packet that is there, and gives up at the end.
fn hear_rings(seat: &mut Seat) {
    while let Some((Answer::Ring { key, .. }, mut fds)) = seat.guest.try_to_hear(common::PATIENCE) {
        seat.rings.insert(key, fds.remove(0));
    }
}

/// Shows: the stem is killed in all steps of making a ring, at moments that lie closer together than the
/// steps. Both ends have every ring again that either knew of, with every record that was accepted; and
/// every ask is answered in the end.
#[test]
fn a_stem_killed_while_it_makes_rings_loses_neither_ring_nor_record() {
    let cluster = Start::with(SITE).start_ready();
    let (mut reader, mut writer) = (cluster.attach("reader"), cluster.attach("writer"));
    let mut accepted: BTreeMap<RingKey, u64> = BTreeMap::new();
    for round in 0_u32..24 {
        let stem = cluster.wait_stem(None);
        // Each is larger than the last: every round makes a ring.
        writer.ask_ring(reader.slot, 100 << (round % 12).min(11));
        writer.guest.try_to_say(&Ask::Ring {
            to: reader.slot,
            class: Class::Control,
            record_bytes: 64 << (round / 2),
        });
        waiting::spin(Duration::from_micros(u64::from(round) * 23));
        processes::signal(stem, Signal::SIGKILL);
        for seat in [&mut reader, &mut writer] {
            hear_rings(seat);
        }
        let known: Vec<RingKey> = writer.rings.keys().copied().collect();
        for key in &known {
            writer
                .writer(*key)
                .try_push(&[&round.to_le_bytes()])
                .unwrap();
            *accepted.entry(*key).or_default() += 1;
        }
        (reader, writer) = (reader.resume(&cluster), writer.resume(&cluster));
        for key in known {
            assert!(
                writer.rings.contains_key(&key),
                "{key:?} is lost in round {round}"
            );
        }
        let both = [&reader, &writer].map(|seat| seat.rings.keys().copied().collect::<Vec<_>>());
        assert_eq!(both[0], both[1]);
        for (key, accepted) in &accepted {
            let memory = reader.rings[key].try_clone().unwrap();
            let found = Observer::map(memory).unwrap().accounting().unwrap();
            assert_eq!(found.in_flight, *accepted, "{key:?} in round {round}");
        }
    }
    let key = writer.ring_to(reader.slot, 1 << 21);
    writer.writer(key).try_push(&[b"done"]).unwrap();
    assert_eq!(reader.hear_ring(), key);
    assert_eq!(drain(&reader, key), [b"done"]);
    let held = processes::rings_held_by(cluster.pid());
    wait_rings(&cluster, held);
    assert_eq!(held, reader.rings.len());
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a guest that asks without end and never reads an answer is no burden to anybody else.
#[test]
fn whoever_never_reads_holds_up_nobody() {
    let cluster = Start::with(SITE).start_ready();
    let reader = cluster.attach("reader");
    let deaf = cluster.attach("deaf");
    let ask = Ask::Ring {
        to: Slot(9999),
        class: Class::Bulk,
        record_bytes: 1,
    };
    for _ in 0..20_000 {
        deaf.guest.try_to_say(&ask); // lost where the stem is still busy with the last ones
    }
    let mut other = cluster.attach("other");
    other.ring_to(reader.slot, 1);
    cluster.ok(&["restart", "manager"]);
    deaf.ask_ring(reader.slot, 1);
    common::wait_for("its own ring is told of", common::PATIENCE, || {
        match deaf.guest.hear() {
            (Answer::Ring { key, .. }, _) => Some(key),
            (Answer::Refused { .. }, _) => None,
            (answer, _) => panic!("{answer:?}"),
        }
    });
    cluster.stop_and_expect_nobody_left();
}

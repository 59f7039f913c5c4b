//! Models: the ring's and the bell's own code under a checker that tries every interleaving, and every
//! value that weak memory may show.
//!
//! Each model must hold. Then each ordering is weakened, one at a time (`sync::Site`), and the model
//! that needs it must fail: a model that passes without the ordering shows nothing.
//!
//! `RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test --release --lib shm::models`

use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use loom::model::Builder;
use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::bell;
use super::ring::PushError;
use super::ring::checked_memory::Block;
use super::sync::Site;
use super::sync::weakened::weaken;

/// Small enough that two records of one byte fill it.
const CAPACITY: usize = 32;

fn check(model: fn()) {
    let mut builder = Builder::new();
    // Switches between threads that were not forced. Known faults of such protocols need two.
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// The model holds, and fails when any of the sites is weakened.
fn holds_only_with(model: fn(), sites: &[Site]) {
    check(model);
    for site in sites {
        weaken(Some(*site));
        let outcome = catch_unwind(AssertUnwindSafe(|| check(model)));
        weaken(None);
        assert!(outcome.is_err(), "the model passes without {site:?}");
    }
}

/// Both ends at work: the reader sees whole records in order, the writer overwrites none that is read.
fn push_and_drain() {
    let block = Block::new(CAPACITY);
    let (mut writer, mut reader) = (block.writer(), block.reader());
    let pushing = thread::spawn(move || {
        let mut number = 0;
        while number < 3 {
            match writer.try_push(&[&[number]]) {
                Ok(_) => number += 1,
                Err(PushError::Full) => thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        }
    });
    let mut expected = 0;
    while expected < 3 {
        let mut record = Vec::new();
        match reader.drain(&mut record).unwrap() {
            Some(delivery) => {
                assert_eq!(record, [expected]);
                expected += 1;
                reader.release(delivery);
            }
            None => thread::yield_now(),
        }
    }
    pushing.join().unwrap();
}

#[test]
fn records_are_published_and_their_room_given_back() {
    let sites = [
        Site::TailStore,
        Site::TailLoad,
        Site::HeadStore,
        Site::HeadLoad,
    ];
    holds_only_with(push_and_drain, &sites);
}

/// An observer looks at a position that moves: the count is always that of the position.
fn look_at_a_moving_position() {
    let block = Block::new(CAPACITY * 4);
    let (mut writer, observer) = (block.writer(), block.observer());
    let pushing = thread::spawn(move || {
        for number in 0..3 {
            writer.try_push(&[&[number]]).unwrap();
        }
    });
    let (position, accepted) = observer.tail().unwrap_or_default();
    assert_eq!(position, accepted * 16);
    pushing.join().unwrap();
}

#[test]
fn a_position_is_never_seen_with_the_count_of_another() {
    holds_only_with(
        look_at_a_moving_position,
        &[Site::MarkStore, Site::MarkLoad],
    );
}

/// The writer leaves its last record and its last word; the reader follows only with the record.
fn move_on() {
    let block = Block::new(CAPACITY);
    let (mut writer, mut reader) = (block.writer(), block.reader());
    let moving = thread::spawn(move || {
        writer.try_push(&[b"x"]).unwrap();
        writer.move_on(NonZeroU64::MIN);
    });
    if reader.moved_on().unwrap().is_some() {
        panic!("the last record was left behind");
    }
    moving.join().unwrap();
    assert!(reader.drain(&mut Vec::new()).unwrap().is_some());
    assert_eq!(reader.moved_on(), Ok(Some(NonZeroU64::MIN)));
}

#[test]
fn the_last_record_is_seen_before_the_last_word() {
    holds_only_with(move_on, &[Site::MovedStore, Site::MovedLoad]);
}

/// What an eventfd does, and the words of a bell.
#[derive(Default)]
struct Bell {
    words: bell::Words,
    rung: Mutex<bool>,
    event: Condvar,
}

impl Bell {
    fn ring_if_asleep(&self) {
        if let Some(sleep) = self.words.sleep_to_end() {
            *self.rung.lock().unwrap() = true;
            self.event.notify_one();
            self.words.has_ended(sleep);
        }
    }

    /// Returns when it was rung. If that never happens, the checker reports a deadlock.
    fn sleep(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.event.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// A reader that sleeps beside an empty ring is woken for each record, over several sleeps.
fn sleep_and_ring() {
    let block = Block::new(CAPACITY);
    let (mut writer, mut reader) = (block.writer(), block.reader());
    let bell = Arc::new(Bell::default());
    let others = Arc::clone(&bell);
    let pushing = thread::spawn(move || {
        for number in 0..2 {
            writer.try_push(&[&[number]]).unwrap();
            others.ring_if_asleep();
        }
    });
    let mut drained = 0;
    while drained < 2 {
        if reader.drain(&mut Vec::new()).unwrap().is_some() {
            drained += 1;
            continue;
        }
        bell.words.doze();
        if reader.is_empty().unwrap() {
            bell.sleep();
        }
        bell.words.wake();
    }
    pushing.join().unwrap();
}

#[test]
fn a_sleeper_misses_no_ring() {
    holds_only_with(sleep_and_ring, &[Site::RingFence, Site::DozeFence]);
}

/// A writer that sleeps beside a full ring is woken for the room. Its bell says from the beginning that
/// it sleeps, so that only the ring's own wish decides.
fn want_room() {
    let block = Block::new(CAPACITY);
    let (mut writer, mut reader) = (block.writer(), block.reader());
    writer.try_push(&[&[0; 24]]).unwrap();
    let delivery = reader.drain(&mut Vec::new()).unwrap().unwrap();
    let event = Arc::new((Mutex::new(false), Condvar::new()));
    let ringing = Arc::clone(&event);
    let releasing = thread::spawn(move || {
        reader.release(delivery);
        if reader.room_is_wanted() {
            *ringing.0.lock().unwrap() = true;
            ringing.1.notify_one();
        }
    });
    if !writer.want_room(24).unwrap() {
        let mut rung = event.0.lock().unwrap();
        while !*rung {
            rung = event.1.wait(rung).unwrap();
        }
        drop(rung);
    }
    writer.try_push(&[&[1; 24]]).unwrap();
    releasing.join().unwrap();
}

#[test]
fn a_writer_misses_no_room() {
    holds_only_with(want_room, &[Site::RoomFence, Site::WantFence]);
}

/// Two ringers and a sleeper that sleeps twice: whoever ends a sleep late ends no later one.
fn two_ringers() {
    let bell = Arc::new(Bell::default());
    let news = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
    let ringers: Vec<_> = (0..2)
        .map(|_| {
            let (bell, news) = (Arc::clone(&bell), Arc::clone(&news));
            thread::spawn(move || {
                news.fetch_add(1, loom::sync::atomic::Ordering::Relaxed);
                bell.ring_if_asleep();
            })
        })
        .collect();
    let read = || news.load(loom::sync::atomic::Ordering::Relaxed);
    let mut seen = 0;
    while seen < 2 {
        bell.words.doze();
        if read() == seen {
            bell.sleep();
        }
        bell.words.wake();
        seen = read();
    }
    for ringer in ringers {
        ringer.join().unwrap();
    }
}

#[test]
fn ringers_do_not_end_each_others_sleeps() {
    holds_only_with(two_ringers, &[Site::RingFence, Site::DozeFence]);
}

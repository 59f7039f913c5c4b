//! A neighbour that writes anything anywhere, at any time, while the others work.

use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::{Corrupt, DropReason, Observer, Reader, Writer, create};
use crate::shm::mapping::{Access, Mapping};
use crate::sys::alone::alone;

const CAPACITY: usize = 1024;
const ROUNDS: u64 = 600;
const DEEDS: usize = 300;

/// Numbers as a computer makes them up.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// What hurts most: small numbers, multiples of 8, the largest ones, and what stood there, moved.
    fn hurting(&mut self, old: u64) -> u64 {
        match self.roll() % 8 {
            0 => 0,
            1 => self.roll() % 4096,
            2 => self.roll() % 512 * 8,
            3 => u64::MAX - self.roll() % 64,
            4 => (1 << 62) - self.roll() % 64 * 8,
            5 => old.wrapping_add(8),
            6 => old.wrapping_sub(8),
            _ => self.roll(),
        }
    }
}

/// Writes into the header or anywhere until it is told to stop.
fn scribble(mapping: &Mapping, dice: &mut Dice, stop: &AtomicBool) {
    let words = mapping.length() as u64 / 8;
    while !stop.load(Ordering::Relaxed) {
        let reach = if dice.roll().is_multiple_of(2) {
            96
        } else {
            words
        };
        let index = usize::try_from(dice.roll() % reach).unwrap();
        // SAFETY: the word lies in the mapping.
        let word = unsafe { mapping.base().cast::<AtomicU64>().add(index) };
        // SAFETY: it is aligned, and the mapping outlives the reference.
        let word = unsafe { word.as_ref() };
        word.store(
            dice.hurting(word.load(Ordering::Relaxed)),
            Ordering::Relaxed,
        );
        // So that the others get somewhere between two blows.
        (0..dice.roll() % 256).for_each(|_| std::hint::spin_loop());
    }
}

/// How often things went well, and how often the ring was found to be spoiled.
#[derive(Default)]
struct Tally {
    well: u64,
    spoiled: u64,
}

impl Tally {
    fn count<T>(&mut self, outcome: Result<T, impl Sized>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.well += 1;
                Some(value)
            }
            Err(_) => {
                self.spoiled += 1;
                None
            }
        }
    }
}

fn work(file: &OwnedFd, dice: &mut Dice, tally: &mut Tally) {
    let copy = || file.try_clone().unwrap();
    let observer = Observer::map(copy());
    let (mut writer, mut reader) = (Writer::map(copy()), Reader::map(copy()));
    let mut record = Vec::new();
    for _ in 0..DEEDS {
        match dice.roll() % 16 {
            0 => {
                drop(writer);
                writer = Writer::map(copy());
            }
            1 => {
                drop(reader);
                reader = Reader::map(copy());
            }
            _ => {}
        }
        if let Some(writer) = tally.count(writer.as_mut()) {
            let length = usize::try_from(dice.roll() % 300).unwrap();
            let _ = writer.try_push(&[&vec![1; length]]);
            let _: Result<bool, Corrupt> = writer.want_room(length);
            writer.count_drop(DropReason::Full);
            if dice.roll().is_multiple_of(256) {
                writer.move_on(NonZeroU64::MIN);
            }
        }
        if let Some(reader) = tally.count(reader.as_mut()) {
            if let Some(Some(delivery)) = tally.count(reader.drain(&mut record)) {
                assert!(record.len() <= CAPACITY);
                reader.take_in_hand(delivery);
                reader.release(delivery);
            }
            let _ = (
                reader.is_empty(),
                reader.moved_on(),
                reader.room_is_wanted(),
            );
            let _ = (reader.in_hand(), reader.count_death());
        }
        if let Ok(observer) = &observer {
            tally.count(observer.accounting());
        }
    }
}

/// Shows: no value of any word, whenever it appears, makes an end panic (sums that pass the largest
/// number do so here), read or write beyond the memory, or go on for ever (`alone` has a deadline).
#[test]
fn a_neighbour_that_scribbles_over_everything_spoils_records_and_nothing_else() {
    alone(|| {
        let mut tally = Tally::default();
        for round in 1..=ROUNDS {
            let file = create(CAPACITY).unwrap();
            let mapping = Mapping::map(file.as_fd(), Access::ReadWrite).unwrap();
            let stop = AtomicBool::new(false);
            thread::scope(|scope| {
                let scribbling = || scribble(&mapping, &mut Dice(round), &stop);
                let neighbour = thread::Builder::new().spawn_scoped(scope, scribbling);
                work(&file, &mut Dice(!round), &mut tally);
                stop.store(true, Ordering::Relaxed);
                neighbour.unwrap().join().unwrap();
            });
        }
        assert!(tally.well > 1000 && tally.spoiled > 1000);
    });
}

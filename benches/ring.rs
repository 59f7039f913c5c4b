//! How fast the bare ring is: one writer, one reader, each on a processor of its own, 64 bytes a record.
//!
//! `cargo bench --bench ring` prints a line for each way of using it, best and median of some rounds. Both ends
//! spin, so it is the ring that is measured and not the scheduler; on a machine that does other things
//! the best round says most.

#![allow(clippy::print_stdout, reason = "figures are for whoever started it")]

use std::error::Error;
use std::hint::spin_loop;
use std::thread;
use std::time::Duration;

use cluster::shm::bell::{self, Ringer, Sleeper};
use cluster::shm::ring::{self, PushError, Reader, Writer};
use cluster::sys::{clock, limits};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How the two ends use the ring.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    /// Records between two looks whether the reader sleeps; 0: the writer never looks.
    doorbell_every: u64,
    /// Records between two releases.
    release_every: u64,
    /// Parts that a record is put together from.
    parts: usize,
    /// Pauses of the processor between two looks of the reader at an empty ring.
    patience: u32,
}

/// An eager reader catches up with the writer at each record, and both wait for cache lines most of the
/// time; a patient one finds many records at once.
const EAGER: u32 = 1;
const PATIENT: u32 = 32;

const ONE_BY_ONE: Way = Way {
    name: "eager, one by one",
    doorbell_every: 0,
    release_every: 1,
    parts: 1,
    patience: EAGER,
};

const WAYS: [Way; 6] = [
    ONE_BY_ONE,
    Way {
        name: "patient, one by one",
        patience: PATIENT,
        ..ONE_BY_ONE
    },
    Way {
        name: "patient, of three parts",
        parts: 3,
        patience: PATIENT,
        ..ONE_BY_ONE
    },
    Way {
        name: "patient, doorbell each",
        doorbell_every: 1,
        patience: PATIENT,
        ..ONE_BY_ONE
    },
    Way {
        name: "eager, in batches",
        doorbell_every: 32,
        release_every: 32,
        ..ONE_BY_ONE
    },
    Way {
        name: "patient, in batches",
        doorbell_every: 32,
        release_every: 32,
        patience: PATIENT,
        ..ONE_BY_ONE
    },
];

const RECORD_BYTES: usize = 64;
const CAPACITY: usize = 1 << 20;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(300);
/// Stands where the number of the record stands otherwise.
const END: u64 = u64::MAX;

fn main() -> Outcome<()> {
    for way in WAYS {
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            rates.push(round(way)?);
        }
        rates.sort_by(f64::total_cmp);
        let best = rates.last().copied().unwrap_or_default();
        let median = rates.get(ROUNDS / 2).copied().unwrap_or_default();
        println!(
            "{:26} best {best:6.1}  median {median:6.1} million records/s",
            way.name
        );
    }
    Ok(())
}

/// Millions of records that the reader took out in a second.
fn round(way: Way) -> Outcome<f64> {
    let file = ring::create(CAPACITY)?;
    let files = bell::create()?;
    let mut writer = Writer::map(file.try_clone()?)?;
    let mut reader = Reader::map(file)?;
    let ringer = Ringer::map(files.try_clone()?)?;
    let _sleeper = Sleeper::map(files)?;
    thread::scope(|scope| {
        let pushing =
            thread::Builder::new().spawn_scoped(scope, || push(way, &mut writer, &ringer))?;
        let rate = drain(way, &mut reader);
        match pushing.join() {
            Ok(pushed) => pushed?,
            Err(_) => return Err("the writer panicked".into()),
        }
        rate
    })
}

fn push(way: Way, writer: &mut Writer, ringer: &Ringer) -> Outcome<()> {
    limits::pin(&[0])?;
    let mut record = [b'x'; RECORD_BYTES];
    let end = clock::monotonic() + ROUND;
    let mut number = 0_u64;
    while clock::monotonic() < end {
        for _ in 0..64 {
            push_one(way, writer, &mut record, number)?;
            number += 1;
            if way.doorbell_every != 0 && number.is_multiple_of(way.doorbell_every) {
                ringer.ring_if_asleep()?;
            }
        }
    }
    push_one(way, writer, &mut record, END)
}

#[inline]
fn push_one(
    way: Way,
    writer: &mut Writer,
    record: &mut [u8; RECORD_BYTES],
    number: u64,
) -> Outcome<()> {
    if let Some(first) = record.first_chunk_mut() {
        *first = number.to_le_bytes();
    }
    let (first, rest) = record.split_at(8);
    let (second, third) = rest.split_at(24);
    loop {
        let pushed = if way.parts == 1 {
            writer.try_push(&[record])
        } else {
            writer.try_push(&[first, second, third])
        };
        match pushed {
            Ok(_) => return Ok(()),
            Err(PushError::Full) => (0..way.patience).for_each(|_| spin_loop()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn drain(way: Way, reader: &mut Reader) -> Outcome<f64> {
    limits::pin(&[1])?;
    let mut record = Vec::new();
    let mut begin = None;
    let mut last = None;
    loop {
        let Some(delivery) = reader.drain(&mut record)? else {
            if let Some(last) = last.take() {
                reader.release(last);
            }
            (0..way.patience).for_each(|_| spin_loop());
            continue;
        };
        let begin = *begin.get_or_insert_with(clock::monotonic);
        let number = record.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        if number == Some(END) {
            let seconds = begin.elapsed().as_secs_f64();
            return Ok(delivery.number() as f64 / seconds / 1e6);
        }
        if number != Some(delivery.number()) {
            return Err(format!("record {} says {number:?}", delivery.number()).into());
        }
        last = Some(delivery);
        if (delivery.number() + 1).is_multiple_of(way.release_every) {
            reader.release(delivery);
            last = None;
        }
    }
}

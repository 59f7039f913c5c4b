//! Workers that write numbered records into log streams, and know over their deaths which of them were
//! accepted.
//!
//! The numbers of a worker have no gap. Before a ring accepts a record, its worker notes which ring that
//! is, and as which of its records; afterwards, that it was accepted. A successor that finds no such word
//! asks the ring. So it goes on with the first number that was not accepted, whatever its predecessor died
//! at.

#![expect(
    unreachable_pub,
    clippy::disallowed_methods,
    reason = "a harness of its own, whose worker owns its clock"
)]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cluster::data::Value;
use cluster::logging::streams::StreamSpec;
use cluster::logging::{Atom, Column, LogPath, Schema, StreamId, Type};
use cluster::node::Cluster as Seat;
use cluster::node::endpoint::Outbox;
use cluster::shm::ring::RingId;

/// Names the directory where workers keep their notes. A test program that finds it in its environment is
/// a worker.
pub const VARIABLE: &str = "NUMBERS_WORKER";

/// The path that they write to.
pub const PATH: &str = "numbers";

/// Records in a row, of which each worker writes one such row in each [`BREATH`].
const BURST: u64 = 50;

const BREATH: Duration = Duration::from_millis(1);

/// So long it waits when it is to write no more.
const QUIET: Duration = Duration::from_millis(50);

// Words of the notes, by index.
const NUMBER: usize = 0;
const RING: usize = 1; // two words
const AT: usize = 3;
const ACCEPTED: usize = 4;
const WORDS: usize = 5;

/// What a worker remembers: words of a file, each row of which is written by one call of the system, which
/// a SIGKILL does not split.
pub struct Notes(File);

impl Notes {
    /// Those of this worker.
    pub fn open(directory: &Path, worker: &str) -> Self {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(directory.join(format!("{worker}.notes")));
        Self(file.unwrap())
    }

    /// How many records were accepted for certain: the numbers below.
    pub fn accepted(&self) -> u64 {
        self.words()[ACCEPTED]
    }

    fn words(&self) -> [u64; WORDS] {
        let mut bytes = [0; WORDS * 8];
        // A file that is shorter ends in zeros.
        let _ = self.0.read_at(&mut bytes, 0).unwrap();
        let mut words = bytes.chunks(8).map(|it| it.try_into().unwrap());
        std::array::from_fn(|_| u64::from_le_bytes(words.next().unwrap()))
    }

    fn write(&self, at: usize, words: &[u64]) {
        let bytes: Vec<u8> = words.iter().flat_map(|it| it.to_le_bytes()).collect();
        self.0.write_all_at(&bytes, at as u64 * 8).unwrap();
    }

    /// This ring is about to accept a record as this one of its own.
    fn note(&self, number: u64, ring: RingId, at: u64) {
        let [low, high] = [ring.0 & u128::from(u64::MAX), ring.0 >> 64];
        let [low, high] = [low, high].map(|half| u64::try_from(half).unwrap());
        self.write(NUMBER, &[number, low, high, at]);
    }

    /// All before this one were accepted.
    fn settle(&self, number: u64) {
        self.write(ACCEPTED, &[number]);
    }

    /// Finds out which is the first number that was not accepted.
    fn resume(&self, outbox: &Outbox) -> u64 {
        let words = self.words();
        let ring = RingId(u128::from(words[RING + 1]) << 64 | u128::from(words[RING]));
        let (number, at, accepted) = (words[NUMBER], words[AT], words[ACCEPTED]);
        let is_open = number == accepted && outbox.accepted_by(ring).is_some_and(|all| at < all);
        if is_open {
            self.settle(number + 1);
        }
        self.accepted()
    }
}

/// It is there when the workers are to write no more.
fn stop_file(directory: &Path) -> PathBuf {
    directory.join("stop")
}

/// Has all workers of a directory write no more.
pub fn stop(directory: &Path) {
    File::create(stop_file(directory)).unwrap();
}

/// Lives as a worker, if this process is one; until it is killed, or told to leave. False: it is none.
pub fn live() -> bool {
    let Ok(directory) = std::env::var(VARIABLE) else {
        return false;
    };
    let directory = PathBuf::from(directory);
    // Without an answer the stem died; so do we.
    let Ok(mut seat) = Seat::take_seat() else {
        return true;
    };
    let stream = StreamId::parse("Numbers::LOG").unwrap();
    let column = |name, atom| Column::new(name, Type::Atom(atom), false).unwrap();
    let columns = vec![
        column("worker", Atom::String),
        column("number", Atom::Count),
    ];
    let spec = StreamSpec::new(Schema::new(columns).unwrap(), LogPath::parse(PATH).unwrap());
    seat.log_streams()
        .create_stream(stream.clone(), spec)
        .unwrap();
    if seat.init().is_err() {
        return true;
    }
    let name = seat.node().unwrap().to_string();
    let notes = Notes::open(&directory, &name);
    let mut number = notes.resume(AsMut::<Outbox>::as_mut(&mut seat));
    let stop = stop_file(&directory);
    loop {
        let goes_on = !stop.exists();
        for _ in 0..if goes_on { BURST } else { 0 } {
            let values = [Value::from(name.as_str()), Value::Count(number)];
            let mut note = |ring, at| notes.note(number, ring, at);
            if !seat.log_write_with(&stream, &values, &mut note).unwrap() {
                break;
            }
            number += 1;
            notes.settle(number);
        }
        let until = Instant::now() + if goes_on { BREATH } else { QUIET };
        if seat.turn(&mut (), Some(until)).is_err() {
            return true;
        }
    }
}

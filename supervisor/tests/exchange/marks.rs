//! What a node remembers over its deaths: words of a memory file that the test holds.
//!
//! A node writes, one of its incarnations after the other, and the test reads. What was stored before
//! a SIGKILL stays stored, so a death costs at most the mark of what was being done in that moment.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use cluster::fabric::Class;
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::records::NODES;

/// No node publishes more.
pub const NUMBERS_MAX: u64 = 1 << 27;

/// What `publish` has said of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing that was remembered.
    Unknown,
    Accepted,
    Dropped,
}

/// What the test lets a node do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Publish and receive. Before that it only receives: not everybody has said yet what it wants.
    Exchange = 1,
    /// Receive what is left.
    Rest,
}

/// What cannot be, by the record at which it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// The bytes are not those that were published.
    Torn,
    /// It is for somebody else, or came by another topic.
    Astray,
    /// A later one was before it.
    Disordered,
    /// It comes again, and there was no death.
    Repeated,
    /// More than after a death may come again.
    RepeatedTooOften,
}

const COMPLAINTS: [Complaint; 5] = [
    Complaint::Torn,
    Complaint::Astray,
    Complaint::Disordered,
    Complaint::Repeated,
    Complaint::RepeatedTooOften,
];

// Words, by index.
const ATTEMPTS: usize = 0;
const PID: usize = 1;
const BIRTHS: usize = 2;
const FRESH: usize = 3;
const REPEATS: usize = 4;
const REPEATS_MAX: usize = 5;
const REPEATS_ALL: usize = 6;
const PHASE: usize = 7;
const QUIET: usize = 8;
const COMPLAINT: usize = 9; // what + 1, sender, number, the one before
const LAST: usize = 16; // number + 1, by sender and class
const FATES: usize = 64;
const RECEIVED: usize = FATES + (NUMBERS_MAX / 32) as usize;
const WORDS: usize = RECEIVED + NODES * (NUMBERS_MAX / 64) as usize;

/// One node's.
pub struct Marks(File);

impl Marks {
    pub fn create() -> (Self, OwnedFd) {
        let file = File::from(memfd_create("marks", MFdFlags::MFD_CLOEXEC).unwrap());
        file.set_len(8 * WORDS as u64).unwrap();
        (Self(file.try_clone().unwrap()), file.into())
    }

    pub fn open(path: &Path) -> Self {
        let file = OpenOptions::new().read(true).write(true).open(path);
        Self(file.unwrap())
    }

    fn load(&self, index: usize) -> u64 {
        let mut word = [0; 8];
        self.0.read_exact_at(&mut word, 8 * index as u64).unwrap();
        u64::from_ne_bytes(word)
    }

    fn store(&self, index: usize, value: u64) {
        let word = value.to_ne_bytes();
        self.0.write_all_at(&word, 8 * index as u64).unwrap();
    }

    fn count(&self, index: usize) -> u64 {
        let count = self.load(index) + 1;
        self.store(index, count);
        count
    }

    /// A new incarnation.
    pub fn born(&self) {
        self.store(REPEATS, 0);
        self.count(BIRTHS);
    }

    /// It is in its place and takes part.
    pub fn seated(&self) {
        self.store(PID, u64::from(std::process::id()));
    }

    /// Which process has taken part last.
    pub fn pid(&self) -> Option<i32> {
        i32::try_from(self.load(PID)).ok().filter(|pid| *pid > 0)
    }

    pub fn births(&self) -> u64 {
        self.load(BIRTHS)
    }

    /// Records that were begun to be published, and received.
    pub fn progress(&self) -> (u64, u64) {
        (self.load(ATTEMPTS), self.load(FRESH))
    }

    /// The next number: taken from now on, whatever becomes of it.
    pub fn begin(&self) -> u64 {
        self.count(ATTEMPTS) - 1
    }

    pub fn attempts(&self) -> u64 {
        self.load(ATTEMPTS)
    }

    pub fn set_fate(&self, number: u64, accepted: bool) {
        let (index, shift) = place(number * 2);
        let bit = if accepted { 1 } else { 2 };
        self.store(FATES + index, self.load(FATES + index) | bit << shift);
    }

    pub fn fate(&self, number: u64) -> Fate {
        let (index, shift) = place(number * 2);
        match self.load(FATES + index) >> shift & 3 {
            0 => Fate::Unknown,
            1 => Fate::Accepted,
            2 => Fate::Dropped,
            _ => panic!("record {number} has two fates"),
        }
    }

    /// Notes a record as received.
    pub fn receive(&self, sender: usize, class: Class, number: u64) {
        let (index, shift) = place(number);
        let index = index + received(sender);
        self.store(index, self.load(index) | 1 << shift);
        self.store(last(sender, class), number + 1);
        self.count(FRESH);
    }

    pub fn is_received(&self, sender: usize, number: u64) -> bool {
        let (index, shift) = place(number);
        self.load(index + received(sender)) >> shift & 1 == 1
    }

    /// The number behind the last that was received.
    pub fn behind_last(&self, sender: usize, class: Class) -> u64 {
        self.load(last(sender, class))
    }

    pub fn fresh(&self) -> u64 {
        self.load(FRESH)
    }

    /// A record has come again; says how many that are in this life.
    pub fn repeat(&self) -> u64 {
        self.count(REPEATS_ALL);
        let repeats = self.count(REPEATS);
        self.store(REPEATS_MAX, self.load(REPEATS_MAX).max(repeats));
        repeats
    }

    /// How many came again in all, and at most in one life.
    pub fn repeats(&self) -> (u64, u64) {
        (self.load(REPEATS_ALL), self.load(REPEATS_MAX))
    }

    /// What the node is to do from now on.
    pub fn enter(&self, phase: Phase) {
        self.store(PHASE, phase as u64);
    }

    pub fn is_in(&self, phase: Phase) -> bool {
        self.load(PHASE) == phase as u64
    }

    /// The node publishes no more.
    pub fn be_quiet(&self) {
        self.store(QUIET, 1);
    }

    pub fn is_quiet(&self) -> bool {
        self.load(QUIET) == 1
    }

    /// The first complaint stays.
    pub fn complain(&self, what: Complaint, sender: usize, number: u64, before: u64) {
        if self.load(COMPLAINT) == 0 {
            self.store(COMPLAINT + 1, sender as u64);
            self.store(COMPLAINT + 2, number);
            self.store(COMPLAINT + 3, before);
            let at = COMPLAINTS.iter().position(|it| *it == what).unwrap();
            self.store(COMPLAINT, at as u64 + 1);
        }
    }

    pub fn complaint(&self) -> Option<String> {
        let what = usize::try_from(self.load(COMPLAINT))
            .unwrap()
            .checked_sub(1)?;
        let [sender, number, before] = [1, 2, 3].map(|index| self.load(COMPLAINT + index));
        Some(format!(
            "{:?}: record {number} of node {sender}, before it {before}; {self}",
            COMPLAINTS[what]
        ))
    }
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (attempts, fresh) = self.progress();
        let repeats = self.load(REPEATS);
        write!(
            f,
            "pid={:?} births={} attempts={attempts} received={fresh} repeats={repeats}",
            self.pid(),
            self.births()
        )
    }
}

fn place(bit: u64) -> (usize, u64) {
    (usize::try_from(bit / 64).unwrap(), bit % 64)
}

fn received(sender: usize) -> usize {
    RECEIVED + sender * (NUMBERS_MAX / 64) as usize
}

fn last(sender: usize, class: Class) -> usize {
    LAST + 2 * sender + usize::from(class == Class::Bulk)
}

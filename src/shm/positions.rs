//! How far files were read, so that it survives the reader: words in a file of its own, mapped shared.
//!
//! A record that is pushed into a ring and the place in the file behind it cannot change in one
//! instruction. So the place comes first, with the name that the record is going to have: the ring's id
//! and its number there. Whoever comes after a death asks the ring whether it has that record.
//!
//! 1. A [`Note`] is written when nothing but a death can keep the record from being accepted: the room is
//!    there ([`super::ring::Writer::try_push_with`]).
//! 2. The push; then the note is *settled*.
//! 3. Notes of one file take turns between two slots, each with a checksum, which is written last. So the
//!    one before the newest stays until that is whole, and its record was accepted for certain.
//!
//! [`Positions::resume`] takes the newest note if its ring has accepted its record; or, if that ring is
//! gone, if it was settled. Else the one before. A ring that is gone was drained, or its reader has left
//! for good. So over deaths of nodes and of the stem, which rings outlive, each line is pushed once. Rings
//! die with the supervisor: a line whose push that death interrupted between the ring's word and the
//! note's comes once more, which is better than not at all. All others come once here as well.
//!
//! Owns: the mapping. The words are the node's own, and no neighbour's; that somebody else with its
//! rights writes nonsense there costs the place, by the checksum. Who makes the file shorter while it is
//! mapped kills the node (SIGBUS), whose successor makes it anew.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use super::mapping::Mapping;
use super::ring::RingId;
use crate::follow::{Identity, Position};

/// `posns`, and the version of what lies in the file.
const MAGIC: u64 = u64::from_be_bytes(*b"posns\0\0\x01");

/// Files that one node can follow.
pub const FILES_MAX: usize = 1024;

/// Words of a slot, of which the last are free.
const SLOT_WORDS: usize = 16;

/// Words of a file: its key, and two slots.
const FILE_WORDS: usize = 3 * SLOT_WORDS;

/// Words before the first file's: the magic number.
const HEAD_WORDS: usize = SLOT_WORDS;

/// The size of the file with all positions.
pub const POSITIONS_BYTES: usize = (HEAD_WORDS + FILES_MAX * FILE_WORDS) * WORD;

const WORD: usize = size_of::<AtomicU64>();

/// Words of a note, the turn in front.
const NOTE_WORDS: usize = 8;

/// Where in a slot the checksum stands.
const CHECKSUM: usize = NOTE_WORDS;

/// Where in a slot stands that the push has returned: the turn once more.
const SETTLED: usize = NOTE_WORDS + 1;

/// By which name a record is going to be accepted, and where the file stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Which ring.
    pub ring: RingId,
    /// The record's number there.
    pub number: u64,
    /// The place behind the record's line.
    pub behind: Position,
}

/// The place of one followed name in [`Positions`].
#[derive(Debug)]
pub struct Entry {
    index: usize,
    /// Of the note that was taken last.
    turn: u64,
}

/// The positions of one node's files.
#[derive(Debug)]
pub struct Positions {
    mapping: Mapping,
}

impl Positions {
    /// Maps the file, which has [`POSITIONS_BYTES`] bytes; all of them 0, if it is new.
    ///
    /// # Errors
    /// `InvalidData`: it has another size, or is something else. Else the system's answer.
    pub fn map(file: &File) -> io::Result<Self> {
        let mapping = Mapping::of_file(file.as_fd(), POSITIONS_BYTES)?;
        let positions = Self { mapping };
        let magic = positions.word(0);
        match magic.map(|word| word.load(Ordering::Relaxed)) {
            Some(MAGIC) => {}
            Some(0) => positions.store(0, MAGIC),
            Some(_) | None => {
                let what = "the file holds no positions, or those of another version";
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
        Ok(positions)
    }

    /// The entry of a name, which its key stands for: never 0. `None`: there are [`FILES_MAX`] others.
    ///
    /// Of one name nobody else may have the entry.
    pub fn entry(&mut self, key: u128) -> Option<Entry> {
        let halves = split(key);
        let is =
            |index: usize, halves: [u64; 2]| self.load(HEAD_WORDS + index * FILE_WORDS) == halves;
        let mut all = 0..FILES_MAX;
        let known = all.find(|index| is(*index, halves));
        let index = known.or_else(|| (0..FILES_MAX).find(|index| is(*index, [0, 0])))?;
        if known.is_none() {
            let at = HEAD_WORDS + index * FILE_WORDS;
            // A death in between leaves another key, which nobody has.
            for (word, half) in (at..).zip(halves) {
                self.store(word, half);
            }
        }
        Some(Entry { index, turn: 0 })
    }

    /// Where the file stands behind the last line whose record was accepted. `None`: none was.
    ///
    /// `accepted` says how many records a ring has accepted; `None`: that ring is gone.
    pub fn resume(
        &self,
        entry: &mut Entry,
        accepted: impl FnOnce(RingId) -> Option<u64>,
    ) -> Option<Position> {
        let (turn, note) = self.accepted_note(entry.index, accepted)?;
        entry.turn = turn;
        Some(note.behind)
    }

    /// Which entry stands in this file, by the same rule, and the note that says so; among those of other
    /// names than this one's.
    pub fn standing_in(
        &self,
        file: Identity,
        key: u128,
        mut accepted: impl FnMut(RingId) -> Option<u64>,
    ) -> Option<(u128, Note)> {
        (0..FILES_MAX).find_map(|index| {
            let own = join(self.load(HEAD_WORDS + index * FILE_WORDS));
            if own == 0 || own == key {
                return None;
            }
            let (_, note) = self.accepted_note(index, &mut accepted)?;
            (note.behind.file == file).then_some((own, note))
        })
    }

    /// The newest note of a file whose record was accepted, and its turn.
    fn accepted_note(
        &self,
        file: usize,
        accepted: impl FnOnce(RingId) -> Option<u64>,
    ) -> Option<(u64, Note)> {
        let mut notes = [0, 1].map(|slot| self.note_in(file, slot));
        notes.sort_by_key(|found| std::cmp::Reverse(found.as_ref().map(|(turn, ..)| *turn)));
        let [newest, before] = notes;
        let (turn, note, is_settled) = newest?;
        let was_accepted = accepted(note.ring).map_or(is_settled, |count| note.number < count);
        if was_accepted {
            return Some((turn, note));
        }
        before.map(|(turn, note, _)| (turn, note))
    }

    /// Notes what the next push is going to do. The note before stays.
    #[inline]
    pub fn note(&self, entry: &mut Entry, note: &Note) {
        entry.turn += 1;
        let at = slot_of(entry);
        let words = words(entry.turn, note);
        for (index, word) in (at..).zip(words) {
            self.store(index, word);
        }
        // Behind all of them for whoever comes after a death, as the ring's own word is behind this.
        self.publish(at + CHECKSUM, checksum(&words));
    }

    /// The push that was noted last has returned: its record was accepted.
    #[inline]
    pub fn settle(&self, entry: &Entry) {
        // Behind the ring's word.
        self.publish(slot_of(entry) + SETTLED, entry.turn);
    }

    /// Lets go of a name that is followed no longer.
    pub fn forget(&mut self, entry: Entry) {
        let at = HEAD_WORDS + entry.index * FILE_WORDS;
        // The slots first: who takes the entry finds none of them.
        for word in (at..at + FILE_WORDS).rev() {
            self.publish(word, 0);
        }
    }

    /// The keys of all names with an entry.
    pub fn keys(&self) -> impl Iterator<Item = u128> {
        let keys = (0..FILES_MAX).map(|index| self.load(HEAD_WORDS + index * FILE_WORDS));
        keys.filter(|key| *key != [0, 0]).map(join)
    }

    /// The note in a slot, its turn, and whether it is settled; if it is whole.
    fn note_in(&self, file: usize, slot: usize) -> Option<(u64, Note, bool)> {
        let at = HEAD_WORDS + file * FILE_WORDS + (1 + slot) * SLOT_WORDS;
        let mut words = [0; NOTE_WORDS];
        for (index, word) in (at..).zip(&mut words) {
            *word = self.word(index)?.load(Ordering::Relaxed);
        }
        let said = self.word(at + CHECKSUM)?.load(Ordering::Relaxed);
        let settled = self.word(at + SETTLED)?.load(Ordering::Relaxed);
        let [turn, ring_low, ring_high, number, low, high, header, offset] = words;
        let behind = Position {
            file: Identity(join([low, high])),
            header,
            offset,
        };
        let note = Note {
            ring: RingId(join([ring_low, ring_high])),
            number,
            behind,
        };
        (turn > 0 && said == checksum(&words)).then_some((turn, note, settled == turn))
    }

    fn load(&self, at: usize) -> [u64; 2] {
        [at, at + 1].map(|at| self.word(at).map_or(0, |word| word.load(Ordering::Relaxed)))
    }

    #[inline]
    fn store(&self, at: usize, value: u64) {
        if let Some(word) = self.word(at) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// `Release`: no store before this one, to whatever memory, is done after it.
    #[inline]
    fn publish(&self, at: usize, value: u64) {
        if let Some(word) = self.word(at) {
            word.store(value, Ordering::Release);
        }
    }

    #[inline]
    fn word(&self, index: usize) -> Option<&AtomicU64> {
        if index >= POSITIONS_BYTES / WORD {
            return None;
        }
        // SAFETY: the word lies within the mapping, which has `POSITIONS_BYTES` bytes.
        let place = unsafe { self.mapping.base().cast::<AtomicU64>().add(index) };
        // SAFETY: the whole word lies within the mapping, which begins at a page, so it is aligned, and
        // which lives as long as `self`. Any bits are a number. This process touches it as an atomic only.
        Some(unsafe { place.as_ref() })
    }
}

/// Where the slot of an entry's turn begins.
#[inline]
fn slot_of(entry: &Entry) -> usize {
    let second = if entry.turn.is_multiple_of(2) {
        0
    } else {
        SLOT_WORDS
    };
    HEAD_WORDS + entry.index * FILE_WORDS + SLOT_WORDS + second
}

#[inline]
fn words(turn: u64, note: &Note) -> [u64; NOTE_WORDS] {
    let [ring_low, ring_high] = split(note.ring.0);
    let [low, high] = split(note.behind.file.0);
    let Position { header, offset, .. } = note.behind;
    [
        turn,
        ring_low,
        ring_high,
        note.number,
        low,
        high,
        header,
        offset,
    ]
}

/// Tells words that belong together from others; none of them is a stranger's.
#[inline]
fn checksum(words: &[u64; NOTE_WORDS]) -> u64 {
    const START: u64 = 0x9e37_79b9_7f4a_7c15;
    const PRIME: u64 = 0xbf58_476d_1ce4_e5b9;
    words.iter().fold(START, |sum, word| {
        (sum ^ word).wrapping_mul(PRIME).rotate_left(29)
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half, and the high one"
)]
#[inline]
const fn split(number: u128) -> [u64; 2] {
    [number as u64, (number >> 64) as u64]
}

fn join([low, high]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;

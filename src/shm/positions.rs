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
        let mut notes = [0, 1].map(|slot| self.note_in(entry.index, slot));
        notes.sort_by_key(|found| std::cmp::Reverse(found.as_ref().map(|(turn, ..)| *turn)));
        let [newest, before] = notes;
        let (turn, note, is_settled) = newest?;
        let was_accepted = accepted(note.ring).map_or(is_settled, |count| note.number < count);
        let (turn, note) = if was_accepted {
            (turn, note)
        } else {
            let (turn, note, _) = before?;
            (turn, note)
        };
        entry.turn = turn;
        Some(note.behind)
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
mod tests {
    use super::*;
    use crate::shm::ring::{self, Writer};
    use crate::sys::alone::alone;
    use crate::sys::traced::Traced;
    use std::os::unix::fs::FileExt;

    fn new_file() -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(POSITIONS_BYTES as u64).unwrap();
        file
    }

    fn behind(offset: u64) -> Position {
        Position {
            file: Identity(7 << 70 | 3),
            header: 5,
            offset,
        }
    }

    fn note(ring: u128, number: u64) -> Note {
        Note {
            ring: RingId(ring),
            number,
            behind: behind(100 + number),
        }
    }

    #[test]
    fn the_newest_note_counts_if_its_record_was_accepted_else_the_one_before() {
        let file = new_file();
        let mut positions = Positions::map(&file).unwrap();
        let mut entry = positions.entry(9).unwrap();
        assert_eq!(positions.resume(&mut entry, |_| None), None);
        for number in 0..5 {
            positions.note(&mut entry, &note(1, number));
            // Another process finds the same.
            let positions = Positions::map(&file).unwrap();
            let resume = |accepted| {
                let mut entry = Entry { index: 0, turn: 0 };
                positions.resume(&mut entry, |ring| {
                    assert_eq!(ring, RingId(1));
                    accepted
                })
            };
            assert_eq!(resume(Some(number + 1)), Some(behind(100 + number)));
            let before = number.checked_sub(1).map(|number| behind(100 + number));
            assert_eq!(resume(Some(number)), before);
            // That ring is gone.
            assert_eq!(resume(None), before);
            positions.settle(&entry);
            assert_eq!(resume(None), Some(behind(100 + number)));
        }
    }

    #[test]
    fn a_successor_keeps_the_note_that_it_goes_on_from() {
        let mut positions = Positions::map(&new_file()).unwrap();
        let mut entry = positions.entry(9).unwrap();
        positions.note(&mut entry, &note(1, 0));
        positions.settle(&entry);
        positions.note(&mut entry, &note(1, 1));
        for _ in 0..3 {
            let mut entry = positions.entry(9).unwrap();
            let resumed = positions.resume(&mut entry, |_| Some(1));
            assert_eq!(resumed, Some(behind(100)));
            positions.note(&mut entry, &note(1, 1));
        }
    }

    #[test]
    fn names_have_entries_of_their_own_until_they_are_forgotten() {
        let mut positions = Positions::map(&new_file()).unwrap();
        let mut entries: Vec<Entry> = (1..).map_while(|key| positions.entry(key)).collect();
        assert_eq!(entries.len(), FILES_MAX);
        let last = entries.pop().unwrap();
        positions.note(&mut entries[0], &note(1, 0));
        assert_eq!(positions.entry(1).unwrap().index, 0);
        positions.forget(last);
        let mut last = positions.entry(u128::MAX).unwrap();
        assert_eq!(positions.resume(&mut last, |_| Some(9)), None);
        assert_eq!(positions.keys().count(), FILES_MAX);
        assert_eq!(positions.keys().last(), Some(u128::MAX));
        let resumed = positions.resume(&mut entries[0], |_| Some(9));
        assert_eq!(resumed, Some(behind(100)));
    }

    #[test]
    fn a_file_that_is_something_else_is_refused() {
        let short = tempfile::tempfile().unwrap();
        let other = new_file();
        other.write_all_at(b"something", 0).unwrap();
        for file in [short, other] {
            let error = Positions::map(&file).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    /// What a reader of a file has: its positions, and the ring that it pushes into.
    struct Reader {
        positions: Positions,
        entry: Entry,
        ring: Writer,
    }

    /// Goes on where the one before has left: the number of the next line.
    fn sit_down(positions: &File, ring: &File) -> (Reader, u64) {
        let positions = Positions::map(positions);
        let mut positions = positions.unwrap();
        let ring = Writer::map(ring.try_clone().unwrap().into()).unwrap();
        let mut entry = positions.entry(9).unwrap();
        let (id, accepted) = (ring.id(), ring.accepted());
        let place = positions.resume(&mut entry, |asked| (asked == id).then_some(accepted));
        let reader = Reader {
            positions,
            entry,
            ring,
        };
        (reader, place.map_or(0, |place| place.offset))
    }

    /// Pushes a line, which its number stands for.
    fn push(reader: &mut Reader, line: u64) {
        let Reader {
            positions,
            entry,
            ring,
        } = reader;
        let id = ring.id();
        let pushed = ring.try_push_with(&[&line.to_le_bytes()], |number| {
            let behind = behind(line + 1);
            let note = Note {
                ring: id,
                number,
                behind,
            };
            positions.note(entry, &note);
        });
        pushed.unwrap();
        positions.settle(entry);
    }

    fn copy(file: &File, bytes: usize) -> File {
        let copy = crate::sys::memory::create_fixed("copy", bytes as u64).unwrap();
        let copy = File::from(copy);
        copy.write_all_at(&read(file, bytes), 0).unwrap();
        copy
    }

    fn read(file: &File, bytes: usize) -> Vec<u8> {
        let mut read = vec![0; bytes];
        file.read_exact_at(&mut read, 0).unwrap();
        read
    }

    /// Shows: whoever is killed behind any instruction that changes the ring or the positions leaves them so
    /// that its successor goes on with the line behind the last one in the ring; or, if the ring is gone,
    /// with that or the last one.
    #[test]
    fn a_reader_may_die_at_any_instruction_and_no_line_is_missed_or_repeated() {
        /// What of the positions changes.
        const LOOK: usize = (HEAD_WORDS + FILE_WORDS) * WORD;
        alone(|| {
            // Both slots have a note.
            let begun = 2;
            let (positions, ring) = (new_file(), File::from(ring::create(1024).unwrap()));
            let ring_bytes = usize::try_from(ring.metadata().unwrap().len()).unwrap();
            for line in 0..begun {
                let (mut reader, next) = sit_down(&positions, &ring);
                assert_eq!(next, line);
                push(&mut reader, line);
            }
            let act = |positions: &File, ring: &File| {
                Traced::new(|| sit_down(positions, ring).0, move |it| push(it, begun))
            };
            let copies = || {
                let copied = new_file();
                let all = read(&positions, POSITIONS_BYTES);
                copied.write_all_at(&all, 0).unwrap();
                (copied, copy(&ring, ring_bytes))
            };
            let look =
                |(positions, ring): &(File, File)| (read(positions, LOOK), read(ring, ring_bytes));
            let led = copies();
            let changes = act(&led.0, &led.1).changes(|| look(&led));
            assert!(changes >= 8, "{changes}");
            let mut accepted_in = 0;
            for behind in 0..=changes {
                let left = copies();
                act(&left.0, &left.1).kill_behind(behind, || look(&left));
                let (mut reader, next) = sit_down(&left.0, &left.1);
                assert_eq!(next, reader.ring.accepted(), "behind {behind} changes");
                accepted_in += next - begun;
                let mut entry = reader.positions.entry(9).unwrap();
                let without = reader.positions.resume(&mut entry, |_| None);
                let without = without.map_or(0, |place| place.offset);
                assert!(without == next || without + 1 == next, "{without} {next}");
                push(&mut reader, next);
                drop(reader);
                assert_eq!(sit_down(&left.0, &left.1).1, next + 1);
            }
            assert!(accepted_in > 0);
        });
    }
}

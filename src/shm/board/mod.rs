//! The board: who lives on this host, and who wants what, in shared memory.
//!
//! A [`Board`] owns its mapping. The memory file's descriptor is handed over by [`Board::create`] and
//! borrowed by [`Board::map`]. The *stem* writes who has which [`Slot`], each *node* writes the filter
//! of its own, and everybody reads. Nobody ever waits for anybody: a value is replaced at once or not
//! at all (see `latch`), so a writer may die at any instruction and leave nothing to repair.
//!
//! | letter | writer | reader | orderings |
//! | --- | --- | --- | --- |
//! | A, B | entries and filters | whoever looks | those of `latch` |
//! | C | [`Board::bump`] | [`BoardView::change`] | `Release`, `Acquire` |
//! | D | [`Board::count_no_ring`] | [`BoardView::no_ring`] | `Relaxed`, `Relaxed` |
//!
//! C: whoever sees a change counted sees what was written before it. D publishes nothing but itself.
//!
//! A filter stands until another is declared, so that of a dead node stands: nobody touches it.
//!
//! In this version every node maps all of the board for writing; that each keeps to its own part is
//! custom and not enforced. Readers therefore take nothing on trust: sizes are fixed at the mapping,
//! every copy is checked, and looks are bounded.

mod entry;

pub use entry::{Entry, EntryWords, State};

use std::io;
use std::ops::Deref;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use super::latch::Latch;
use super::mapping::Access;
use super::shared_words::{SharedWords, WORD};
use crate::fabric::Slot;
use crate::layout::spec::Role;
use crate::names::{Incarnation, LifeId, NodeName};

/// No board has more places.
pub const SLOTS_MAX: u32 = 4096;

/// No declared filter is longer, in bytes. A node that wants more declares that it wants everything.
pub const FILTER_BYTES_MAX: usize = 16 * 1024;

const MAGIC: u64 = u64::from_le_bytes(*b"zboard\0\0");
const VERSION: u64 = 1;

// The header, in bytes from the beginning; `change` has cache lines of its own.
const MAGIC_AT: usize = 0;
const VERSION_AT: usize = 8;
const SLOTS_AT: usize = 16;
const CHANGE_AT: usize = 128;
const SLOTS_BEGIN: usize = 4096;

// A slot, in bytes from its beginning.
const ENTRY_SEQUENCE_AT: usize = 0;
const ENTRY_AT: usize = 64;
const FILTER_SEQUENCE_AT: usize = 384;
const FILTER_AT: usize = 512;
const SLOT_BYTES: usize = 9 * 4096;

/// A filter's buffer begins with who declared it and its length.
const FILTER_WORDS: usize = 2 + FILTER_BYTES_MAX / WORD;
const _: () = assert!(ENTRY_AT + 2 * entry::WORDS * WORD <= FILTER_SEQUENCE_AT);
const _: () = assert!(FILTER_AT + 2 * FILTER_WORDS * WORD <= SLOT_BYTES);

/// A declared filter does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a filter of {0} bytes does not fit on the board; declare that everything is wanted")]
pub struct FilterTooLong(pub usize);

/// The board for somebody who only looks.
#[derive(Debug)]
pub struct BoardView {
    memory: SharedWords,
    slots: u32,
}

impl BoardView {
    /// Maps a board for reading.
    ///
    /// # Errors
    /// `InvalidData`: this is no board of this version. Else the system's answer.
    pub fn map(file: BorrowedFd<'_>) -> io::Result<Self> {
        Self::over(SharedWords::map(file, Access::ReadOnly)?)
    }

    fn over(memory: SharedWords) -> io::Result<Self> {
        let word = |at| memory.at(at).map(|word| word.load(Ordering::Relaxed));
        let slots = word(SLOTS_AT).and_then(|slots| u32::try_from(slots).ok());
        let known = (word(MAGIC_AT), word(VERSION_AT)) == (Some(MAGIC), Some(VERSION));
        let slots =
            slots.filter(|slots| known && bytes(*slots) == u64::try_from(memory.bytes()).ok());
        let Some(slots) = slots else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the memory file is no board, or one of another version",
            ));
        };
        Ok(Self { memory, slots })
    }

    /// All places, whoever has them.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + Clone + use<> {
        (0..self.slots).map(Slot)
    }

    /// Counts changes of entries and filters. As long as it stands still, so does all that was read
    /// after it.
    #[must_use]
    pub fn change(&self) -> u64 {
        let word = self.memory.at(CHANGE_AT);
        // SYNC C: pairs with `bump`.
        word.map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Who has this place. `None`: nobody, or it cannot be read.
    #[must_use]
    pub fn entry(&self, slot: Slot) -> Option<Entry> {
        let words = self
            .entry_latch(slot)?
            .read(&self.memory, |word| std::array::from_fn(word) as EntryWords)?;
        Entry::decode(&words)
    }

    /// Moves when the entry of this place is replaced.
    #[must_use]
    pub fn entry_version(&self, slot: Slot) -> u64 {
        let latch = self.entry_latch(slot);
        latch.map_or(0, |latch| latch.version(&self.memory))
    }

    /// Whoever has a place, in order of the places.
    pub fn entries(&self) -> impl Iterator<Item = (Slot, Entry)> + '_ {
        self.slots()
            .filter_map(|slot| Some((slot, self.entry(slot)?)))
    }

    /// The place of the node of this name.
    #[must_use]
    pub fn find_by_name(&self, name: &NodeName) -> Option<Slot> {
        let mut entries = self.entries();
        entries.find_map(|(slot, entry)| (entry.name == *name).then_some(slot))
    }

    /// A place that nobody has.
    #[must_use]
    pub fn find_empty(&self) -> Option<Slot> {
        self.slots().find(|slot| self.entry(*slot).is_none())
    }

    /// Moves when another filter is declared in this place; 0: none ever was.
    #[must_use]
    pub fn filter_version(&self, slot: Slot) -> u64 {
        let latch = self.filter_latch(slot);
        latch.map_or(0, |latch| latch.version(&self.memory))
    }

    /// The filter that stands in this place, as its node encoded it, and by which of its incarnations.
    /// `None`: none was declared since the place was given, or it cannot be read.
    #[must_use]
    pub fn filter(&self, slot: Slot) -> Option<(Incarnation, Vec<u8>)> {
        let filter = self.filter_latch(slot)?.read(&self.memory, |word| {
            let length = usize::try_from(word(1)).ok();
            let length = length.filter(|length| *length <= FILTER_BYTES_MAX)?;
            let words = (0..length.div_ceil(WORD)).map(|index| word(2 + index));
            let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
            bytes.truncate(length);
            Some((Incarnation(word(0)), bytes))
        });
        filter
            .flatten()
            .filter(|(incarnation, _)| *incarnation != Incarnation::default())
    }

    /// Records that one published for the other and dropped because no ring could be had in time.
    #[must_use]
    pub fn no_ring(&self, writer: Slot, reader: Slot) -> u64 {
        let word = self.no_ring_word(writer, reader);
        // SYNC D: publishes nothing but itself. Pairs with `count_no_ring`.
        word.map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn no_ring_word(&self, writer: Slot, reader: Slot) -> Option<&AtomicU64> {
        let (row, column) = (self.index(writer)?, self.index(reader)?);
        let slots = usize::try_from(self.slots).ok()?;
        let begin = SLOTS_BEGIN + slots * SLOT_BYTES;
        self.memory.at(begin + (row * slots + column) * WORD)
    }

    fn index(&self, slot: Slot) -> Option<usize> {
        let slot = Some(slot.0).filter(|slot| *slot < self.slots)?;
        usize::try_from(slot).ok()
    }

    fn entry_latch(&self, slot: Slot) -> Option<Latch> {
        let begin = SLOTS_BEGIN + self.index(slot)? * SLOT_BYTES;
        Some(Latch {
            sequence: begin + ENTRY_SEQUENCE_AT,
            buffers: begin + ENTRY_AT,
            words: entry::WORDS,
        })
    }

    fn filter_latch(&self, slot: Slot) -> Option<Latch> {
        let begin = SLOTS_BEGIN + self.index(slot)? * SLOT_BYTES;
        Some(Latch {
            sequence: begin + FILTER_SEQUENCE_AT,
            buffers: begin + FILTER_AT,
            words: FILTER_WORDS,
        })
    }
}

/// The size of a board's file.
fn bytes(slots: u32) -> Option<u64> {
    let slots = Some(slots).filter(|slots| (1..=SLOTS_MAX).contains(slots))?;
    let slots = usize::try_from(slots).ok()?;
    u64::try_from(SLOTS_BEGIN + slots * SLOT_BYTES + slots * slots * WORD).ok()
}

/// The board for somebody who has a part of it to write. What it writes about a place that does not
/// exist goes nowhere.
#[derive(Debug)]
pub struct Board(BoardView);

impl Deref for Board {
    type Target = BoardView;

    fn deref(&self) -> &BoardView {
        &self.0
    }
}

impl Board {
    /// A new board of empty places, and its memory file for the others. Memory is used by places that
    /// are taken, a page or a few each.
    ///
    /// # Errors
    /// `InvalidInput`: none, or more than [`SLOTS_MAX`] places. Else the system's answer.
    pub fn create(slots: u32) -> io::Result<(Self, OwnedFd)> {
        let Some(bytes) = bytes(slots) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a board has 1 to {SLOTS_MAX} places, not {slots}"),
            ));
        };
        let (memory, file) = SharedWords::create("board", bytes)?;
        let header = [
            (MAGIC_AT, MAGIC),
            (VERSION_AT, VERSION),
            (SLOTS_AT, u64::from(slots)),
        ];
        for (at, value) in header {
            if let Some(word) = memory.at(at) {
                word.store(value, Ordering::Relaxed);
            }
        }
        Ok((Self(BoardView { memory, slots }), file))
    }

    /// Maps a board for reading and writing.
    ///
    /// # Errors
    /// As [`BoardView::map`].
    pub fn map(file: BorrowedFd<'_>) -> io::Result<Self> {
        BoardView::over(SharedWords::map(file, Access::ReadWrite)?).map(Self)
    }

    /// Tells everybody to look again. After everything that was written; the methods below leave it to
    /// their caller, who often writes more than one thing.
    pub fn bump(&self) {
        if let Some(word) = self.memory.at(CHANGE_AT) {
            // SYNC C: what was written before is visible to whoever sees the new count. Pairs with
            // `change`.
            word.fetch_add(1, Ordering::Release);
        }
    }

    /// The stem's: gives a place to a node that was not born yet. No filter stands there and no
    /// record of its was ever dropped.
    pub fn occupy(&self, slot: Slot, name: &NodeName, role: Role, attached: bool) {
        self.clear(slot);
        self.write(
            slot,
            Some(&Entry {
                state: State::Down,
                name: name.clone(),
                role,
                attached,
                incarnation: Incarnation::default(),
                id: LifeId([0; 16]),
                pid: 0,
            }),
        );
    }

    /// The stem's: a new incarnation of the node in this place exists. The filter of the last one
    /// stands until it declares its own.
    pub fn born(&self, slot: Slot, incarnation: Incarnation, id: LifeId, pid: u32) {
        self.change_entry(slot, |entry| Entry {
            state: State::Born,
            incarnation,
            id,
            pid,
            ..entry
        });
    }

    /// The stem's: what has become of the node in this place.
    pub fn set_state(&self, slot: Slot, state: State) {
        self.change_entry(slot, |entry| Entry { state, ..entry });
    }

    /// The stem's: nobody has this place any more.
    pub fn free(&self, slot: Slot) {
        self.write(slot, None);
        self.clear(slot);
    }

    /// The node's: what it wants from now on, encoded.
    ///
    /// # Errors
    /// It does not fit; what was declared before still stands.
    pub fn declare_filter(
        &self,
        slot: Slot,
        incarnation: Incarnation,
        filter: &[u8],
    ) -> Result<(), FilterTooLong> {
        if filter.len() > FILTER_BYTES_MAX {
            return Err(FilterTooLong(filter.len()));
        }
        let length = u64::try_from(filter.len()).unwrap_or(0);
        let words = filter.chunks(WORD).map(|chunk| {
            let mut word = [0; WORD];
            word.iter_mut()
                .zip(chunk)
                .for_each(|(to, from)| *to = *from);
            u64::from_le_bytes(word)
        });
        if let Some(latch) = self.filter_latch(slot) {
            latch.write(
                &self.memory,
                [incarnation.0, length].into_iter().chain(words),
            );
        }
        Ok(())
    }

    /// The writer's: a record for this reader was dropped because no ring could be had in time.
    pub fn count_no_ring(&self, writer: Slot, reader: Slot) {
        if let Some(word) = self.no_ring_word(writer, reader) {
            // SYNC D: there is one writer. Pairs with `no_ring`.
            word.store(
                word.load(Ordering::Relaxed).wrapping_add(1),
                Ordering::Relaxed,
            );
        }
    }

    /// The writer's: another node has that place now; its count begins anew.
    pub fn reset_no_ring(&self, writer: Slot, reader: Slot) {
        if let Some(word) = self.no_ring_word(writer, reader) {
            // SYNC D: as `count_no_ring`.
            word.store(0, Ordering::Relaxed);
        }
    }

    fn change_entry(&self, slot: Slot, change: impl FnOnce(Entry) -> Entry) {
        if let Some(entry) = self.entry(slot) {
            self.write(slot, Some(&change(entry)));
        }
    }

    fn write(&self, slot: Slot, entry: Option<&Entry>) {
        if let Some(latch) = self.entry_latch(slot) {
            latch.write(&self.memory, Entry::encode(entry));
        }
    }

    /// Takes away what the last one in this place had written.
    fn clear(&self, slot: Slot) {
        if let Some(latch) = self
            .filter_latch(slot)
            .filter(|_| self.filter(slot).is_some())
        {
            latch.write(&self.memory, [0, 0]);
        }
        for reader in self.slots() {
            if self.no_ring(slot, reader) != 0 {
                self.reset_no_ring(slot, reader);
            }
        }
    }
}

#[cfg(test)]
mod tests;

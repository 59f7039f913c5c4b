//! A ring's memory: its words, and its bytes by position. The only unsafe file of the ring.
//!
//! A position turns into an index here and nowhere else, so no position, however wrong, reaches beyond
//! the mapping.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;

use super::End;
use super::claim::Claim;
use super::words::Words;
use crate::shm::mapping::{Access, Mapping};
use crate::shm::sync::{AtomicU64, Ordering};
use crate::sys::{memory, random};

/// `ring`, and the version of what lies in the memory.
const MAGIC: u64 = u64::from_be_bytes(*b"ring\0\0\0\x03");

/// The header's size; the records follow it.
const HEADER_BYTES: usize = size_of::<Words>();

#[cfg(not(loom))]
const _: () = assert!(HEADER_BYTES == 768 && align_of::<Words>() == 128);

/// The words and bytes of one ring.
pub(super) struct Memory {
    words: NonNull<Words>,
    bytes: NonNull<u8>,
    /// A power of two; as the maker said and the file's size confirmed, once.
    capacity: usize,
    /// Keeps both pointers valid.
    _owner: Owner,
}

enum Owner {
    Mapped {
        _mapping: Mapping,
        /// Nobody else in this process has the same end; whoever only looks claims none.
        _claim: Option<Claim>,
    },
    #[cfg(test)]
    Heap {
        _block: std::sync::Arc<super::heap::Block>,
    },
}

// SAFETY: the pointers lead into memory that `_owner` keeps, which belongs to no thread.
unsafe impl Send for Memory {}

impl fmt::Debug for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Memory")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// A new memory file for a ring without records. `capacity` is a power of two.
pub(super) fn create(capacity: usize) -> io::Result<OwnedFd> {
    let size = HEADER_BYTES as u64 + capacity as u64;
    let file = memory::create_fixed("ring", size)?;
    let mapping = Mapping::map(file.as_fd(), Access::ReadWrite)?;
    // SAFETY: the mapping begins at a page and is longer than the words; all bits are valid for them,
    // and it outlives the reference.
    let words = unsafe { mapping.base().cast::<Words>().as_ref() };
    let identity = &words.identity.0;
    // Before anybody else has the descriptor: handing it over orders this before their looks.
    identity.set_id(random_id()?);
    identity.capacity.store(capacity as u64, Ordering::Relaxed);
    identity.magic.store(MAGIC, Ordering::Relaxed);
    Ok(file)
}

/// An id that no other ring has; never zero, which says that there is none.
fn random_id() -> io::Result<[u64; 2]> {
    let (mut low, mut high) = ([0; size_of::<u64>()], [0; size_of::<u64>()]);
    random::fill(&mut low)?;
    random::fill(&mut high)?;
    Ok([u64::from_le_bytes(low).max(1), u64::from_le_bytes(high)])
}

impl Memory {
    /// Maps a ring's memory file.
    ///
    /// # Errors
    /// `InvalidData`: it is no ring, or one of another version. `ResourceBusy`: this process has that end
    /// already. Else the system's answer.
    pub(super) fn map(file: OwnedFd, end: End) -> io::Result<Self> {
        let (access, claim) = match end {
            End::Writer | End::Reader => (Access::ReadWrite, Some(Claim::new(file.as_fd(), end)?)),
            End::Observer => (Access::ReadOnly, None),
        };
        let mapping = Mapping::map(file.as_fd(), access)?;
        let no_ring = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the memory file is no ring, or one of another version",
            )
        };
        let capacity = mapping.length().checked_sub(HEADER_BYTES);
        let capacity = capacity.filter(|bytes| super::is_capacity(*bytes));
        let capacity = capacity.ok_or_else(no_ring)?;
        let words = mapping.base().cast::<Words>();
        // SAFETY: the file holds the header, as just seen, so the result is in the mapping.
        let bytes = unsafe { mapping.base().add(HEADER_BYTES) };
        let memory = Self {
            words,
            bytes,
            capacity,
            _owner: Owner::Mapped {
                _mapping: mapping,
                _claim: claim,
            },
        };
        let identity = &memory.words().identity.0;
        let is_ring = identity.magic.load(Ordering::Relaxed) == MAGIC
            && identity.capacity.load(Ordering::Relaxed) == capacity as u64;
        is_ring.then_some(memory).ok_or_else(no_ring)
    }

    #[inline]
    pub(super) fn words(&self) -> &Words {
        // SAFETY: `words` leads to memory of its size and alignment that lives as long as `self`. It
        // consists of atomics, for which any bits are valid; a neighbour of ours touches them by this
        // type only, and if it is hostile, each load still gives some number.
        unsafe { self.words.as_ref() }
    }

    /// Bytes for records.
    #[inline]
    pub(super) fn capacity(&self) -> u64 {
        self.capacity as u64
    }

    /// Stores the word at a position, which is a multiple of 8.
    #[inline]
    pub(super) fn store(&self, position: u64, word: u64) {
        // Records become visible by the tail, not by this.
        self.word(position).store(word, Ordering::Relaxed);
    }

    /// Loads the word at a position, which is a multiple of 8, exactly once.
    #[inline]
    pub(super) fn load(&self, position: u64) -> u64 {
        self.word(position).load(Ordering::Relaxed)
    }

    #[inline]
    fn word(&self, position: u64) -> &AtomicU64 {
        let index = self.index(position) & !7;
        // SAFETY: `index` is below the capacity and, as that, a multiple of 8, so the whole word lies
        // in the memory.
        let word = unsafe { self.bytes.add(index) }.cast::<AtomicU64>();
        // SAFETY: the bytes begin behind the words and are aligned like them, so the word is aligned.
        // The memory lives as long as `self`, and any bits are a number. Only headers of records are
        // touched this way; where one of ours also copies bytes, the positions keep the two apart.
        unsafe { word.as_ref() }
    }

    /// Copies `source` to a position; what passes the end of the memory goes on at its beginning.
    ///
    /// # Safety
    /// `source` is not longer than the capacity, and nobody but the caller may read or write these
    /// bytes: they lie between the shared tail and the head plus the capacity, and the caller is the
    /// writer.
    #[inline]
    pub(super) unsafe fn write(&self, position: u64, source: &[u8]) {
        let index = self.index(position);
        let (here, there) = source
            .split_at_checked(self.capacity - index)
            .unwrap_or((source, &[]));
        // SAFETY: `index` is below the capacity.
        let target = unsafe { self.bytes.add(index) };
        // SAFETY: `here` ends at the capacity at the latest. The ranges do not overlap, for nobody has
        // a reference to bytes of a ring. The caller keeps others away.
        unsafe { target.copy_from_nonoverlapping(NonNull::from(here).cast(), here.len()) };
        if !there.is_empty() {
            // SAFETY: as above; both parts together are no longer than the capacity.
            unsafe {
                self.bytes
                    .copy_from_nonoverlapping(NonNull::from(there).cast(), there.len());
            };
        }
    }

    /// Fills `target` from a position; behind the end of the memory it goes on at its beginning. All
    /// of `target` is initialised afterwards.
    ///
    /// # Safety
    /// `target` is not longer than the capacity, and nobody writes these bytes: they lie between head
    /// and tail as the caller has seen them, and the caller is the reader. (A hostile neighbour writes
    /// them nevertheless. The copy then holds some bytes or others: whatever bytes a record holds, they
    /// are decoded as anybody's.)
    #[inline]
    pub(super) unsafe fn read(&self, position: u64, target: &mut [MaybeUninit<u8>]) {
        let index = self.index(position);
        let room = target.len().min(self.capacity - index);
        let (here, there) = target.split_at_mut_checked(room).unwrap_or_default();
        // SAFETY: `index` is below the capacity.
        let source = unsafe { self.bytes.add(index) };
        let length = here.len();
        // SAFETY: `here` ends at the capacity at the latest. The ranges do not overlap, for nobody has
        // a reference to bytes of a ring. The caller keeps writers away.
        unsafe { source.copy_to_nonoverlapping(NonNull::from(here).cast(), length) };
        if !there.is_empty() {
            let length = there.len();
            // SAFETY: as above; both parts together are no longer than the capacity.
            unsafe {
                self.bytes
                    .copy_to_nonoverlapping(NonNull::from(there).cast(), length);
            };
        }
    }

    #[inline]
    fn index(&self, position: u64) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the bits that are cut off lie above the capacity, which is a usize"
        )]
        let low = position as usize;
        low & (self.capacity - 1)
    }
}

#[cfg(test)]
impl Memory {
    /// A ring's memory on the heap, which is what Miri can follow.
    pub(super) fn on_heap(block: &std::sync::Arc<super::heap::Block>) -> Self {
        let words = block.base().cast::<Words>();
        // SAFETY: the block is longer than the header.
        let bytes = unsafe { block.base().add(HEADER_BYTES) };
        Self {
            words,
            bytes,
            capacity: block.capacity(),
            _owner: Owner::Heap {
                _block: std::sync::Arc::clone(block),
            },
        }
    }
}

//! A memory file seen as words: what the [`super::board`] is made of.
//!
//! Owns: its mapping. The neighbour is hostile: whoever reads a word must be ready for any value.
//! Gives out references to atomics only.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU64;

use super::mapping::{Access, Mapping};
use crate::sys::memory;

/// The bytes of a word.
pub(super) const WORD: usize = size_of::<AtomicU64>();

/// The words of a memory file. Other processes map them too.
#[derive(Debug)]
pub(super) struct SharedWords(Mapping);

impl SharedWords {
    /// A new memory file of zeros, mapped for writing, and its descriptor for the others. `name` is
    /// only for `/proc`. Pages cost memory once they are touched.
    ///
    /// # Errors
    /// The system's answer.
    pub(super) fn create(name: &str, bytes: u64) -> io::Result<(Self, OwnedFd)> {
        let file = memory::create_fixed(name, bytes)?;
        let words = Self::map(file.as_fd(), Access::ReadWrite)?;
        Ok((words, file))
    }

    /// Maps a whole memory file.
    ///
    /// # Errors
    /// `InvalidData`: it is empty, or its size could still change. Else the system's answer.
    pub(super) fn map(file: BorrowedFd<'_>, access: Access) -> io::Result<Self> {
        Mapping::map(file, access).map(Self)
    }

    /// The size in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.length()
    }

    /// The word that begins at `offset`, in bytes, a multiple of 8. `None`: there is no such word.
    ///
    /// Whoever mapped it read-only may only load, with an ordering up to `Acquire`: such a
    /// load is a plain read for the processor, which read-only memory allows.
    pub(super) fn at(&self, offset: usize) -> Option<&AtomicU64> {
        let end = offset.checked_add(WORD)?;
        if end > self.bytes() || !offset.is_multiple_of(WORD) {
            return None;
        }
        // SAFETY: `offset` lies within the mapping, by the check above.
        let place = unsafe { self.0.base().add(offset) }.cast::<AtomicU64>();
        // SAFETY: the whole word lies within the mapping, which begins at a page, so it is aligned,
        // and which lives as long as `self`. Any bits are a valid number. Other processes touch it as
        // an atomic too; should one not, the bits are still a number.
        Some(unsafe { place.as_ref() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn a_word_stored_through_one_mapping_is_loaded_through_the_other() {
        let (ours, file) = SharedWords::create("test", 8192).unwrap();
        let theirs = SharedWords::map(file.as_fd(), Access::ReadOnly).unwrap();
        ours.at(8184).unwrap().store(7, Ordering::Relaxed);
        assert_eq!(theirs.at(8184).unwrap().load(Ordering::Relaxed), 7);
        assert_eq!((ours.bytes(), theirs.bytes()), (8192, 8192));
    }

    #[test]
    fn a_word_outside_or_across_words_is_refused() {
        let (words, _) = SharedWords::create("test", 4096).unwrap();
        for offset in [4096, 4089, 1, usize::MAX - 7, usize::MAX] {
            assert!(words.at(offset).is_none(), "offset {offset}");
        }
    }
}

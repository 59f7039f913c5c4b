//! A value in shared memory that one process replaces and many copy: always whole, old or new.
//!
//! Two buffers and a sequence word. The writer fills the buffer that is not shown, then counts the
//! sequence on, which shows it. A writer that dies in between has shown nothing: what stood before
//! still stands, and its successor simply writes again. Nothing ever needs repair.
//!
//! | letter | writer | reader | orderings |
//! | --- | --- | --- | --- |
//! | A | [`Latch::write`] shows a buffer | [`Latch::read`] begins | `Release`, `Acquire` |
//! | B | [`Latch::write`] begins to fill | [`Latch::read`] checks | two fences: `Release`, `Acquire` |
//!
//! A lets the reader see the whole of the buffer that the sequence names. B lets it notice that the
//! writer went over that buffer again meanwhile: if any word it copied came from the later write,
//! then its second look at the sequence finds at least the one in between.
//!
//! The neighbour is hostile: a reader tries a bounded number of times, and any words may come out.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::shared_words::{SharedWords, WORD};

/// A reader gives up after so many values were replaced while it copied. An honest writer replaces one
/// in as long as its process takes to change its mind.
const TRIES_MAX: u32 = 64;

/// Where a latch lies in its mapping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latch {
    /// Of its sequence word.
    pub(super) sequence: usize,
    /// Of its first buffer; the second follows.
    pub(super) buffers: usize,
    /// Words of one buffer.
    pub(super) words: usize,
}

impl Latch {
    /// Which value is shown; 0: none was ever written.
    pub(super) fn version(self, memory: &SharedWords) -> u64 {
        let word = memory.at(self.sequence);
        // SYNC A: pairs with `write`.
        word.map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Shows a new value. Words beyond the end of a buffer are left out. There is one writer at a time.
    pub(super) fn write(self, memory: &SharedWords, value: impl IntoIterator<Item = u64>) {
        let Some(sequence) = memory.at(self.sequence) else {
            return;
        };
        let next = sequence.load(Ordering::Relaxed).wrapping_add(1);
        // SYNC B: whoever sees a word stored below sees the sequence of before, too.
        fence(Ordering::Release);
        for (index, value) in value.into_iter().take(self.words).enumerate() {
            if let Some(word) = self.word(memory, next, index) {
                word.store(value, Ordering::Relaxed);
            }
        }
        // SYNC A: shows the words stored above. Pairs with `read`.
        sequence.store(next, Ordering::Release);
    }

    /// Gives what `copy` made of the shown value, which it takes word by word by index; it may be
    /// called again and again, for values that were replaced meanwhile. `None`: nothing was ever
    /// written, or it was replaced all the time.
    pub(super) fn read<T>(
        self,
        memory: &SharedWords,
        mut copy: impl FnMut(&dyn Fn(usize) -> u64) -> T,
    ) -> Option<T> {
        let sequence = memory.at(self.sequence)?;
        for _ in 0..TRIES_MAX {
            // SYNC A: the buffer that it names is whole. Pairs with `write`.
            let shown = sequence.load(Ordering::Acquire);
            if shown == 0 {
                return None;
            }
            let copied = copy(&|index| {
                let word = self.word(memory, shown, index);
                word.map_or(0, |word| word.load(Ordering::Relaxed))
            });
            // SYNC B: pairs with the fence in `write`.
            fence(Ordering::Acquire);
            if sequence.load(Ordering::Relaxed) == shown {
                return Some(copied);
            }
            std::hint::spin_loop();
        }
        None
    }

    fn word(self, memory: &SharedWords, sequence: u64, index: usize) -> Option<&AtomicU64> {
        let index = Some(index).filter(|index| *index < self.words)?;
        let skipped = if sequence.is_multiple_of(2) {
            0
        } else {
            self.words
        };
        memory.at(self.buffers + (skipped + index) * WORD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    const WORDS: usize = 8;

    fn latch() -> Latch {
        Latch {
            sequence: 0,
            buffers: 64,
            words: WORDS,
        }
    }

    fn all(memory: &SharedWords) -> Option<Vec<u64>> {
        latch().read(memory, |word| (0..WORDS).map(word).collect())
    }

    #[test]
    fn nothing_is_shown_before_the_first_write_and_the_last_one_after() {
        let (memory, _) = SharedWords::create("test", 4096).unwrap();
        assert_eq!(all(&memory), None);
        latch().write(&memory, [1; WORDS]);
        latch().write(&memory, [2; WORDS]);
        assert_eq!(all(&memory), Some(vec![2; WORDS]));
        assert_eq!(latch().version(&memory), 2);
    }

    #[test]
    fn a_write_that_was_cut_off_leaves_what_stood_before() {
        let (memory, _) = SharedWords::create("test", 4096).unwrap();
        latch().write(&memory, [1; WORDS]);
        let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let words = (0..).map(|index| if index < 3 { 2 } else { panic!("killed") });
            latch().write(&memory, words);
        }));
        assert!(cut.is_err());
        assert_eq!(all(&memory), Some(vec![1; WORDS]));
        latch().write(&memory, [3; WORDS]);
        assert_eq!(all(&memory), Some(vec![3; WORDS]));
    }

    #[test]
    fn a_reader_never_sees_halves_of_two_values() {
        let (memory, _) = SharedWords::create("test", 4096).unwrap();
        let done = AtomicBool::new(false);
        latch().write(&memory, [0; WORDS]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for value in 1..200_000 {
                    latch().write(&memory, [value; WORDS]);
                }
                done.store(true, Ordering::Relaxed);
            });
            while !done.load(Ordering::Relaxed) {
                if let Some(words) = all(&memory) {
                    assert!(words.iter().all(|word| Some(word) == words.first()));
                }
            }
        });
    }

    #[test]
    fn a_reader_gives_up_when_the_value_changes_all_the_time() {
        let (memory, _) = SharedWords::create("test", 4096).unwrap();
        latch().write(&memory, [0; WORDS]);
        let mut tries = 0;
        let read = latch().read(&memory, |_| {
            tries += 1;
            latch().write(&memory, [tries; WORDS]);
        });
        assert_eq!((read, tries), (None, u64::from(TRIES_MAX)));
    }
}

//! A node's sign of life: one page, one word, the moment of the last beat.
//!
//! A [`Heartbeat`] owns its mapping. The memory file's descriptor is handed over by
//! [`Heartbeat::create`], for the process at the other end, and closed by [`Heartbeat::map`].
//!
//! | letter | writer | reader | orderings |
//! | --- | --- | --- | --- |
//! | A | [`Heartbeat::beat`] | [`Heartbeat::last`] | `Relaxed`, `Relaxed` |
//!
//! `Relaxed` will do, for the word publishes nothing but itself: nobody reads other memory on the
//! strength of a beat. One word cannot be torn, and its own history is in order for every reader. A
//! beat that is seen late, or passed over because the next one came, only makes the node look older
//! by less than what the clock shows anyway; the watchdog's patience is seconds.
//!
//! The neighbour is hostile: the size is sealed, so the page cannot vanish under the reader, and any
//! value can stand in the word. A moment in the future is the reader's to judge.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use super::mapping::{Mapping, PAGE_BYTES};
use crate::sys::memory;

/// One end of a heartbeat; both ends are alike.
#[derive(Debug)]
pub struct Heartbeat {
    page: Mapping,
}

impl Heartbeat {
    /// A new heartbeat that has never beaten, and its memory file for the other end.
    ///
    /// # Errors
    /// The system's answer.
    pub fn create() -> io::Result<(Self, OwnedFd)> {
        let descriptor = memory::create_fixed("heartbeat", PAGE_BYTES as u64)?;
        let heartbeat = Self::map(descriptor.try_clone()?)?;
        Ok((heartbeat, descriptor))
    }

    /// The other end: maps the memory file and closes its descriptor.
    ///
    /// # Errors
    /// `InvalidData`: it has another size than a heartbeat, or a size that could still change.
    pub fn map(descriptor: OwnedFd) -> io::Result<Self> {
        let page = Mapping::one_page(descriptor.as_fd(), "heartbeat")?;
        Ok(Self { page })
    }

    /// Notes a beat at this moment of [`crate::sys::clock::monotonic_ns`].
    pub fn beat(&self, now_ns: u64) {
        // SYNC A: publishes nothing but itself. Pairs with `last`.
        self.word().store(now_ns, Ordering::Relaxed);
    }

    /// The moment of the last beat; 0: there was none yet.
    #[must_use]
    pub fn last(&self) -> u64 {
        // SYNC A: nothing else is read on its strength. Pairs with `beat`.
        self.word().load(Ordering::Relaxed)
    }

    fn word(&self) -> &AtomicU64 {
        // SAFETY: the mapping begins at a page, so the word is aligned, and large enough, and it lives as
        // long as `self`. Any bits are a valid number. The other process is ours too and touches the
        // word by this type only; should it not, the bits are still a number.
        unsafe { self.page.base().cast().as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    use crate::sys::alone::alone;
    use crate::sys::process::{Forked, exit_now, fork, reap};

    #[test]
    fn a_beat_at_one_end_is_seen_at_the_other() {
        let (ours, descriptor) = Heartbeat::create().unwrap();
        let theirs = Heartbeat::map(descriptor).unwrap();
        assert_eq!((ours.last(), theirs.last()), (0, 0));
        theirs.beat(7);
        assert_eq!(ours.last(), 7);
        drop(theirs);
        assert_eq!(ours.last(), 7);
    }

    #[test]
    fn the_last_beat_of_a_dead_process_stays_readable() {
        alone(|| {
            let (ours, descriptor) = Heartbeat::create().unwrap();
            let Forked::Parent(_) = fork().unwrap() else {
                Heartbeat::map(descriptor).unwrap().beat(u64::MAX);
                exit_now(0);
            };
            while reap().unwrap().is_none() {
                std::thread::yield_now();
            }
            assert_eq!(ours.last(), u64::MAX);
        });
    }

    #[test]
    fn a_file_that_could_shrink_or_has_another_size_is_refused() {
        let open = memory::create("open").unwrap();
        open.set_len(4096).unwrap();
        let short = memory::create_fixed("short", 0).unwrap();
        let long = memory::create_fixed("long", 8192).unwrap();
        let no_memory_file = tempfile::tempfile().unwrap();
        no_memory_file.set_len(4096).unwrap();
        for file in [open.into(), short, long, no_memory_file.into()] {
            let error = Heartbeat::map(file).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        let (_, descriptor) = Heartbeat::create().unwrap();
        assert!(File::from(descriptor).set_len(0).is_err());
    }
}

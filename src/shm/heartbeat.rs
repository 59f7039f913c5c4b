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

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;

use crate::sys::memory;

/// The size of the file: a page where pages are smallest, and less than one elsewhere.
const BYTES: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// One end of a heartbeat; both ends are alike.
#[derive(Debug)]
pub struct Heartbeat {
    word: NonNull<AtomicU64>,
}

// SAFETY: the mapping belongs to the process, not to a thread, and the word is atomic.
unsafe impl Send for Heartbeat {}
// SAFETY: as above; `&Heartbeat` gives access to the atomic only.
unsafe impl Sync for Heartbeat {}

impl Heartbeat {
    /// A new heartbeat that has never beaten, and its memory file for the other end.
    ///
    /// # Errors
    /// The system's answer.
    pub fn create() -> io::Result<(Self, OwnedFd)> {
        let file: File = memory::create("heartbeat")?;
        file.set_len(4096)?;
        let seals = size_is_fixed() | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        let descriptor = OwnedFd::from(file);
        let heartbeat = Self::map(descriptor.try_clone()?)?;
        Ok((heartbeat, descriptor))
    }

    /// The other end: maps the memory file and closes its descriptor.
    ///
    /// # Errors
    /// `InvalidData`: it has another size than a heartbeat, or a size that could still change.
    pub fn map(descriptor: OwnedFd) -> io::Result<Self> {
        let size = usize::try_from(fstat(&descriptor)?.st_size);
        let sealed = memory::seals(descriptor.as_fd()).contains(size_is_fixed());
        if !sealed || size != Ok(BYTES.get()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the memory file is no heartbeat: it is not one page of fixed size",
            ));
        }
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, placed by the kernel, that replaces nothing. The file is as long as
        // the mapping and cannot shrink, by the seals checked above, so access cannot fault.
        let mapped = unsafe { mmap(None, BYTES, access, MapFlags::MAP_SHARED, &descriptor, 0) }?;
        Ok(Self {
            word: mapped.cast(),
        })
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
        // SAFETY: `word` is the beginning of a mapping, so it is aligned and large enough, and the
        // mapping lives as long as `self`. Any bits are a valid number. The other process is ours too
        // and touches the word by this type only; should it not, the bits are still a number.
        unsafe { self.word.as_ref() }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` with this length, and no reference into it outlives
        // `self`.
        let unmapped = unsafe { munmap(self.word.cast::<c_void>(), BYTES.get()) };
        debug_assert_eq!(unmapped, Ok(()), "a mapping of ours can be unmapped");
    }
}

fn size_is_fixed() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let short = memory::create("short").unwrap();
        fcntl(&short, FcntlArg::F_ADD_SEALS(size_is_fixed())).unwrap();
        let no_memory_file = tempfile::tempfile().unwrap();
        no_memory_file.set_len(4096).unwrap();
        for file in [open, short, no_memory_file] {
            let error = Heartbeat::map(file.into()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        let (_, descriptor) = Heartbeat::create().unwrap();
        assert!(File::from(descriptor).set_len(0).is_err());
    }
}

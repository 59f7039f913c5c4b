//! The doorbell of a node: one word that says whether it sleeps, one eventfd that wakes it.
//!
//! Duty: a node that sleeps is woken by whoever has something for it, and one that is awake costs its
//! neighbours no system call. A node has one bell, whatever number of rings leads to it; its rings'
//! writers ring it for records, its rings' readers for room. Owns: the mapping, and a copy of the
//! eventfd. Both files are made by [`create`] and handed over.
//!
//! | letter | one side | other side | orderings | without them |
//! | --- | --- | --- | --- | --- |
//! | E | [`Ringer::ring_if_asleep`] | [`Sleeper::doze`] | `SeqCst` fences | the sleeper misses the news, the ringer misses the sleep |
//!
//! The sleeper stores its word, then looks a last time at what it waits for; the ringer stores the news,
//! then looks at the word. The fences between forbid that both look too early.
//!
//! **Deaths.** Each sleep has a number. A ringer first writes to the eventfd and then clears the word,
//! if it still stands for that sleep: dead in between, it has woken, and the next one only wakes in
//! vain. A successor of the sleeper inherits both: it begins awake, looks at everything, and sleeps
//! under a number that was never used. A ringer that died *before* it rang is made good by its
//! successor, who rings once when it takes over.
//!
//! A hostile neighbour can keep a node from being woken, or wake it all the time: no more than it could
//! by not writing, or by writing a lot.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::{read, write};

use super::mapping::{Mapping, PAGE_BYTES};
use super::sync::{AtomicU64, Ordering, Site, fence};
use crate::sys::memory;

/// The files of a bell, for whoever maps either side of it.
#[derive(Debug)]
pub struct Files {
    /// The memory file with the word.
    pub page: OwnedFd,
    /// The eventfd: readable means wake up. It does not block.
    pub event: OwnedFd,
}

/// Makes a bell whose sleeper is awake. Both files are close-on-exec.
///
/// # Errors
/// The system's answer.
pub fn create() -> io::Result<Files> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    Ok(Files {
        page: memory::create_fixed("bell", PAGE_BYTES as u64)?,
        event: EventFd::from_value_and_flags(0, flags)?.into(),
    })
}

impl Files {
    /// Copies, for another side.
    ///
    /// # Errors
    /// The system's answer.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            page: self.page.try_clone()?,
            event: self.event.try_clone()?,
        })
    }
}

/// The side of the node that sleeps. At most one process has it at a time.
#[derive(Debug)]
pub struct Sleeper {
    page: Mapping,
    event: OwnedFd,
}

/// A side that wakes; there may be any number.
#[derive(Debug)]
pub struct Ringer {
    page: Mapping,
    event: OwnedFd,
}

/// The words of a bell. Fresh memory, all zeros, is a bell whose sleeper is awake.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Words {
    /// The number of the sleep; 0: awake. Set by the sleeper, cleared by either side, and only ever
    /// exchanged: the checker does not know that an exchange stands right behind what it has read, if
    /// plain stores come between.
    asleep: AtomicU64,
    /// Sleeps so far. The sleeper's.
    sleeps: AtomicU64,
}

impl Words {
    /// The sleeper says that it is about to sleep. What it looks at afterwards was not there before, or
    /// is seen.
    pub(super) fn doze(&self) {
        let sleep = self.sleeps.load(Ordering::Relaxed).wrapping_add(1).max(1);
        self.sleeps.store(sleep, Ordering::Relaxed);
        self.asleep.swap(sleep, Ordering::Relaxed);
        // SYNC E: either a ringer sees our word, or we see its news. Pairs with `sleep_to_end`.
        fence(Site::DozeFence);
    }

    pub(super) fn wake(&self) {
        self.asleep.swap(0, Ordering::Relaxed);
    }

    /// The sleep that the ringer has to end, after its news.
    #[inline]
    pub(super) fn sleep_to_end(&self) -> Option<u64> {
        // SYNC E: either the sleeper sees our news, or we see its word. Pairs with `doze`.
        fence(Site::RingFence);
        Some(self.asleep.load(Ordering::Relaxed)).filter(|sleep| *sleep != 0)
    }

    /// The ringer has woken the sleeper from this sleep; the others need not.
    pub(super) fn has_ended(&self, sleep: u64) {
        let relaxed = Ordering::Relaxed;
        // If it fails, somebody else has ended it, and the next one must not end now.
        let _ = self.asleep.compare_exchange(sleep, 0, relaxed, relaxed);
    }
}

impl Sleeper {
    /// Maps the bell for the node that is woken, which is awake. Look at everything there may be before
    /// the first sleep: a predecessor may have been woken for it.
    ///
    /// # Errors
    /// `InvalidData`: the page is none. Else the system's answer.
    pub fn map(files: Files) -> io::Result<Self> {
        let (page, event) = map(files)?;
        let sleeper = Self { page, event };
        sleeper.words().wake();
        Ok(sleeper)
    }

    /// Says that this node is about to sleep. Then look at everything once more; if there is nothing,
    /// wait for [`Sleeper::event`] to become readable. Then [`Sleeper::wake`], in either case.
    pub fn doze(&self) {
        self.words().doze();
    }

    /// Says that this node is awake, and takes back what was rung.
    ///
    /// # Errors
    /// The system's answer.
    pub fn wake(&self) -> io::Result<()> {
        self.words().wake();
        match read(&self.event, &mut [0; 8]) {
            // Nobody rang, or a signal came: one ring too many is harmless.
            Ok(_) | Err(nix::Error::EAGAIN | nix::Error::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What becomes readable when this node is to wake.
    #[must_use]
    pub fn event(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    fn words(&self) -> &Words {
        words(&self.page)
    }
}

impl Ringer {
    /// Maps the bell of another node.
    ///
    /// # Errors
    /// `InvalidData`: the page is none. Else the system's answer.
    pub fn map(files: Files) -> io::Result<Self> {
        let (page, event) = map(files)?;
        Ok(Self { page, event })
    }

    /// Does the node sleep, as far as can be seen without a fence? For a guess only: who has news for it
    /// [rings](Ringer::ring_if_asleep).
    #[inline]
    #[must_use]
    pub fn is_asleep(&self) -> bool {
        words(&self.page).asleep.load(Ordering::Relaxed) != 0
    }

    /// Wakes the node if it sleeps, and says whether it did. Call it after the record was pushed, or
    /// the room released; once for many is enough.
    ///
    /// # Errors
    /// The system's answer.
    #[inline]
    pub fn ring_if_asleep(&self) -> io::Result<bool> {
        let words = words(&self.page);
        let Some(sleep) = words.sleep_to_end() else {
            return Ok(false);
        };
        match write(&self.event, &1_u64.to_ne_bytes()) {
            // Rung, or so often before that it cannot count them: readable in either case.
            Ok(_) | Err(nix::Error::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        words.has_ended(sleep);
        Ok(true)
    }
}

fn map(files: Files) -> io::Result<(Mapping, OwnedFd)> {
    let page = Mapping::one_page(files.page.as_fd(), "bell")?;
    Ok((page, files.event))
}

#[inline]
fn words(page: &Mapping) -> &Words {
    // SAFETY: the mapping begins at a page, so the words are aligned, it is large enough, as `map` has
    // seen, and it lives as long as the result. Any bits are valid for atomics, whoever wrote them.
    unsafe { page.base().cast().as_ref() }
}

#[cfg(test)]
mod tests {
    use super::*;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    fn is_readable(sleeper: &Sleeper) -> bool {
        let mut waits = [PollFd::new(sleeper.event(), PollFlags::POLLIN)];
        poll(&mut waits, PollTimeout::ZERO).unwrap() == 1
    }

    fn bell() -> (Files, Sleeper, Ringer) {
        let files = create().unwrap();
        let sleeper = Sleeper::map(files.try_clone().unwrap()).unwrap();
        let ringer = Ringer::map(files.try_clone().unwrap()).unwrap();
        (files, sleeper, ringer)
    }

    #[test]
    fn only_a_sleeper_is_rung_and_only_once_a_sleep() {
        let (_, sleeper, ringer) = bell();
        for _ in 0..3 {
            assert!(!ringer.ring_if_asleep().unwrap() && !is_readable(&sleeper));
            sleeper.doze();
            assert!(!is_readable(&sleeper));
            assert!(ringer.ring_if_asleep().unwrap() && is_readable(&sleeper));
            assert!(!ringer.ring_if_asleep().unwrap());
            sleeper.wake().unwrap();
            assert!(!is_readable(&sleeper));
        }
    }

    /// Shows: a successor of a dead sleeper is awake, and the late end of a sleep that was the dead
    /// one's does not end the successor's.
    #[test]
    fn a_successor_inherits_the_bell_and_sleeps_its_own_sleep() {
        let (files, dead, ringer) = bell();
        dead.doze();
        let slow = words(&ringer.page).sleep_to_end().unwrap();
        drop(dead);
        let successor = Sleeper::map(files).unwrap();
        assert!(!ringer.ring_if_asleep().unwrap());
        successor.doze();
        words(&ringer.page).has_ended(slow);
        assert!(ringer.ring_if_asleep().unwrap() && is_readable(&successor));
    }

    /// Shows: a ringer that dies between its two deeds has woken, and leaves the word set, so that the
    /// next one wakes again.
    #[test]
    fn a_ringer_that_dies_while_it_rings_has_woken() {
        let (_, sleeper, ringer) = bell();
        sleeper.doze();
        assert!(words(&ringer.page).sleep_to_end().is_some());
        write(&ringer.event, &1_u64.to_ne_bytes()).unwrap();
        assert!(is_readable(&sleeper));
        assert!(ringer.ring_if_asleep().unwrap());
    }

    #[test]
    fn a_page_of_another_size_is_no_bell() {
        let files = create().unwrap();
        let page = memory::create_fixed("bell", 64).unwrap();
        let error = Ringer::map(Files { page, ..files }).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

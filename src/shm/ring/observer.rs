//! The accounts of a ring, for whoever may look and not touch.

use std::io;
use std::os::fd::OwnedFd;

use super::memory::Memory;
use super::words::{DROP_REASONS, Seen};
use super::{Corrupt, DropReason, check_positions, length_of, occupied};
use crate::shm::mapping::Access;
use crate::shm::sync::{Ordering, Site};

/// A ring seen from outside: mapped so that it cannot be written. It works while both ends hang.
#[derive(Debug)]
pub struct Observer {
    memory: Memory,
}

/// What became of the records of a ring.
///
/// `accepted` = `delivered` + `dead_letters` + `in_flight` always, for each was counted by itself and
/// the sum was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// Records that the writers pushed.
    pub accepted: u64,
    /// Records that the readers released.
    pub delivered: u64,
    /// Records that were released as dead letters.
    pub dead_letters: u64,
    /// Records between head and tail, found one by one.
    pub in_flight: u64,
    /// Bytes between head and tail.
    pub in_flight_bytes: u64,
    dropped: [u64; DROP_REASONS],
}

impl Accounting {
    /// Records that the writers dropped for this reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason.index()).copied().unwrap_or(0)
    }
}

impl Observer {
    /// Maps the memory file, read only.
    ///
    /// # Errors
    /// `InvalidData`: it is no ring, or one of another version. Else the system's answer.
    pub fn map(file: OwnedFd) -> io::Result<Self> {
        let memory = Memory::map(file, Access::ReadOnly)?;
        Ok(Self::over(memory))
    }

    pub(super) fn over(memory: Memory) -> Self {
        Self { memory }
    }

    /// For models: the tail and its count, of one instant, if it stood still for that long.
    #[cfg(loom)]
    pub(in crate::shm) fn tail(&self) -> Option<(u64, u64)> {
        let tail = self.memory.words().tail().look_once(Site::TailLoad)?;
        let [accepted] = tail.counts;
        Some((tail.position, accepted))
    }

    /// Bytes for records.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.memory.capacity()
    }

    /// How many records lie between head and tail, and how many were dropped: as [`Observer::accounting`]
    /// says, but it does not walk, so nothing is checked. Both ends may go on meanwhile.
    #[must_use]
    pub fn backlog(&self) -> (u64, u64) {
        let words = self.memory.words();
        // The head first: the tail that is found then is not before it.
        let [released, _] = words
            .head()
            .look(Site::HeadLoad)
            .map_or([0; 2], |head| head.counts);
        let [accepted] = words
            .tail()
            .look(Site::TailLoad)
            .map_or([0], |tail| tail.counts);
        let drops = words.drops().iter();
        let dropped = drops.fold(0_u64, |sum, count| {
            sum.saturating_add(count.load(Ordering::Relaxed))
        });
        (accepted.saturating_sub(released), dropped)
    }

    /// Counts. Both ends may go on meanwhile: the result is exact for a moment that has just passed.
    ///
    /// # Errors
    /// [`Corrupt`]: the ring contradicts itself.
    pub fn accounting(&self) -> Result<Accounting, Corrupt> {
        let words = self.memory.words();
        let tail = words.tail().look(Site::TailLoad);
        let tail = tail.ok_or(Corrupt("the tail has no count"))?;
        let [accepted] = tail.counts;
        let mut head = self.head()?;
        if head.position <= tail.position {
            // The tail came first, so what it had filled then is no more than the ring can hold.
            check_positions(head.position, tail.position, self.capacity())?;
        }
        let mut at = head.position;
        let mut in_flight = 0_u64;
        while at < tail.position {
            let [released, _] = head.counts;
            let word = self.memory.load(at);
            // A record is overwritten only after its release, so the word was its header if the head
            // has not passed it by now. If it has, the count begins anew from there.
            let now = self.head()?;
            if now.position > at {
                (head, at, in_flight) = (now, now.position, 0);
                continue;
            }
            let number = released.wrapping_add(in_flight);
            at += occupied(length_of(word, number, tail.position - at)?);
            in_flight += 1;
        }
        let [released, dead_letters] = head.counts;
        // The reader has overtaken the tail of then: nothing of then is in flight, and what came
        // since, as far as we know of it, was released.
        let overtaken = head.position > tail.position;
        let accepted = if overtaken { released } else { accepted };
        if released.checked_add(in_flight) != Some(accepted) {
            return Err(Corrupt("there are not as many records as counted"));
        }
        let delivered = released.checked_sub(dead_letters);
        Ok(Accounting {
            accepted,
            delivered: delivered.ok_or(Corrupt("there are more dead letters than records"))?,
            dead_letters,
            in_flight,
            in_flight_bytes: at - head.position,
            dropped: words
                .drops()
                .each_ref()
                .map(|count| count.load(Ordering::Relaxed)),
        })
    }

    fn head(&self) -> Result<Seen<2>, Corrupt> {
        let head = self.memory.words().head().look(Site::HeadLoad);
        head.ok_or(Corrupt("the head has no count"))
    }
}

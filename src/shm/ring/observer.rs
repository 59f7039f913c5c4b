//! The accounts of a ring, for whoever may look and not touch.

use std::io;
use std::os::fd::OwnedFd;

use super::memory::Memory;
use super::words::{DROP_REASONS, Seen, Words};
use super::{
    Corrupt, DropReason, End, check_positions, dropped_on_link, length_of, occupied, waiting,
};
use crate::shm::sync::{Ordering, Site};

/// A ring seen from outside: mapped so that it cannot be written. It works while both ends hang.
#[derive(Debug)]
pub struct Observer {
    memory: Memory,
}

/// What became of the records of a ring.
///
/// `accepted` = `delivered` + `dead_letters` + `in_flight` + those dropped as [`DropReason::Oldest`] or
/// [`DropReason::Lost`], always. In a ring there are none of those, each other one was counted by itself,
/// and the sum was checked. Of a stream, what is in its writer's own queue follows from the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// Records that the writers pushed, or queued for a stream.
    pub accepted: u64,
    /// Records that the readers released.
    pub delivered: u64,
    /// Records that were released as dead letters.
    pub dead_letters: u64,
    /// Records between head and tail, found one by one; and those in the queue of a stream's writer,
    /// which have no place there yet.
    pub in_flight: u64,
    /// Bytes between head and tail. A stream's account has records without bytes.
    pub in_flight_bytes: u64,
    dropped: [u64; DROP_REASONS],
    before: Before,
}

/// What became of the records of the rings that one took over from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Before {
    accepted: u64,
    delivered: u64,
    dead_letters: u64,
}

impl Accounting {
    /// What became of the records of a link so far, and of those of its next ring. Begin with none.
    ///
    /// A ring that is gone is counted by its successor; one that still stands is counted by itself, and
    /// perhaps by its successor, too, which then says the same.
    #[must_use]
    pub fn and_of_next(self, next: &Self) -> Self {
        let sum = |so_far: u64, before: u64, own| so_far.max(before).saturating_add(own);
        let Before {
            accepted,
            delivered,
            dead_letters,
        } = next.before;
        let dropped = self.dropped.iter().zip(next.dropped);
        let mut dropped = dropped.map(|(so_far, all)| dropped_on_link([*so_far, all]));
        Self {
            accepted: sum(self.accepted, accepted, next.accepted),
            delivered: sum(self.delivered, delivered, next.delivered),
            dead_letters: sum(self.dead_letters, dead_letters, next.dead_letters),
            in_flight: self.in_flight.saturating_add(next.in_flight),
            in_flight_bytes: self.in_flight_bytes.saturating_add(next.in_flight_bytes),
            dropped: std::array::from_fn(|_| dropped.next().unwrap_or(0)),
            before: Before::default(),
        }
    }

    /// Records that the writers dropped for this reason, or that are lost.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason.index()).copied().unwrap_or(0)
    }

    /// Adds what only a stream knows: `queued` records so far went into its writer's queue; `lost` ones had
    /// a place between head and tail, and were released there.
    fn add_stream(&mut self, queued: u64, lost: u64) {
        let waiting = waiting(queued, self.accepted, &self.dropped);
        let given_up = [DropReason::Oldest, DropReason::Lost].map(|reason| self.dropped(reason));
        for more in given_up.into_iter().chain([waiting]) {
            self.accepted = self.accepted.saturating_add(more);
        }
        self.in_flight = self.in_flight.saturating_add(waiting);
        if let Some(sum) = self.dropped.get_mut(DropReason::Lost.index()) {
            *sum = sum.saturating_add(lost);
        }
    }
}

impl Observer {
    /// Maps the memory file, read only.
    ///
    /// # Errors
    /// `InvalidData`: it is no ring, or one of another version. Else the system's answer.
    pub fn map(file: OwnedFd) -> io::Result<Self> {
        let memory = Memory::map(file, End::Observer)?;
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

    /// How many records are in flight, and how many were dropped: as [`Observer::accounting`]
    /// says, but it does not walk, so nothing is checked. Both ends may go on meanwhile.
    #[must_use]
    pub fn backlog(&self) -> (u64, u64) {
        let words = self.memory.words();
        // The head first: the tail that is found then is not before it.
        let [released, _, lost] = words
            .head()
            .look(Site::HeadLoad)
            .map_or([0; 3], |head| head.counts);
        let [accepted] = words
            .tail()
            .look(Site::TailLoad)
            .map_or([0], |tail| tail.counts);
        let drops = words.drops().each_ref();
        let drops = drops.map(|count| count.load(Ordering::Relaxed));
        let waiting = waiting(words.queued().load(Ordering::Relaxed), accepted, &drops);
        let dropped = drops.into_iter().fold(lost, u64::saturating_add);
        let under_way = accepted.saturating_sub(released).saturating_add(waiting);
        (under_way, dropped)
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
            let [released, ..] = head.counts;
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
        let [released, dead_letters, lost] = head.counts;
        // The reader has overtaken the tail of then: nothing of then is in flight, and what came
        // since, as far as we know of it, was released.
        let overtaken = head.position > tail.position;
        let accepted = if overtaken { released } else { accepted };
        if released.checked_add(in_flight) != Some(accepted) {
            return Err(Corrupt("there are not as many records as counted"));
        }
        let delivered = dead_letters
            .checked_add(lost)
            .and_then(|others| released.checked_sub(others));
        let mut accounting = Accounting {
            accepted,
            delivered: delivered
                .ok_or(Corrupt("more records were put aside or lost than released"))?,
            dead_letters,
            in_flight,
            in_flight_bytes: at - head.position,
            dropped: words
                .drops()
                .each_ref()
                .map(|count| count.load(Ordering::Relaxed)),
            before: before(words),
        };
        accounting.add_stream(words.queued().load(Ordering::Relaxed), lost);
        Ok(accounting)
    }

    fn head(&self) -> Result<Seen<3>, Corrupt> {
        let head = self.memory.words().head().look(Site::HeadLoad);
        head.ok_or(Corrupt("the head has no count"))
    }
}

fn before(words: &Words) -> Before {
    let [released, dead_letters] = words
        .released_before()
        .each_ref()
        .map(|count| count.load(Ordering::Relaxed));
    Before {
        accepted: words.pushed_before().load(Ordering::Relaxed),
        delivered: released.saturating_sub(dead_letters),
        dead_letters,
    }
}

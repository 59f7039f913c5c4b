//! The end that records come out of.

use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::atomic::compiler_fence;

use super::memory::Memory;
use super::words::{DEATHS_BITS, Seen};
use super::{
    Corrupt, End, HEADER_BYTES, RingId, check_count, check_positions, give_up_queue, length_of,
    occupied,
};
use crate::shm::sync::{Ordering, Site, fence, order};

/// The reading end of a ring. At most one process has it at a time; its successor maps it anew.
///
/// It has two cursors. [`Reader::drain`] moves the private one; [`Reader::release`] moves the shared
/// one, behind it, and only what was released is not delivered again after a death. Release after
/// handling: at least once. Release before: at most once.
#[derive(Debug)]
pub struct Reader {
    memory: Memory,
    /// Position and number of the next record to drain.
    cursor: u64,
    number: u64,
    /// The tail as it was last loaded; the shared one is there or further on.
    tail_seen: u64,
    head: Seen<3>,
}

/// A record that was drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    number: u64,
    /// The position behind it.
    end: u64,
}

impl Delivery {
    /// The record's number: those of a ring are counted from 0, whoever writes or reads them.
    #[must_use]
    pub fn number(self) -> u64 {
        self.number
    }
}

/// The record that a reader had in hand when it died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InHand {
    /// Its number.
    pub number: u64,
    /// How many readers in a row [died with it](Reader::count_death), at most 255.
    pub deaths: u8,
}

impl Reader {
    /// Maps the memory file, at the first record that was not released.
    ///
    /// Afterwards ask [`Reader::room_is_wanted`] once: the predecessor may have died between releasing
    /// and ringing.
    ///
    /// # Errors
    /// `InvalidData`: it is no ring, one of another version, or [`Corrupt`]. `ResourceBusy`: this process
    /// has that end mapped already. Else the system's answer.
    pub fn map(file: OwnedFd) -> io::Result<Self> {
        let memory = Memory::map(file, End::Reader)?;
        Ok(Self::over(memory)?)
    }

    pub(super) fn over(memory: Memory) -> Result<Self, Corrupt> {
        let head = memory.words().head().look(Site::HeadLoad);
        let head = head.ok_or(Corrupt("the head has no count"))?;
        let [released, ..] = head.counts;
        check_count(released, head.position)?;
        let mut reader = Self {
            memory,
            cursor: head.position,
            number: released,
            tail_seen: head.position,
            head,
        };
        reader.look_at_tail()?;
        Ok(reader)
    }

    /// The ring's id.
    #[must_use]
    pub fn id(&self) -> RingId {
        self.memory.words().identity.0.id()
    }

    /// Takes the next record out: `record` then holds it, and nothing else. `None`: there is none now,
    /// and `record` is as it was.
    ///
    /// # Errors
    /// [`Corrupt`], from then on.
    #[inline]
    pub fn drain(&mut self, record: &mut Vec<u8>) -> Result<Option<Delivery>, Corrupt> {
        if self.cursor == self.tail_seen {
            self.look_at_tail()?;
            if self.cursor == self.tail_seen {
                return Ok(None);
            }
        }
        let available = self.tail_seen - self.cursor;
        let length = length_of(self.memory.load(self.cursor), self.number, available)?;
        record.clear();
        record.reserve(length);
        let spare = record.spare_capacity_mut();
        let target: &mut [MaybeUninit<u8>] = spare.get_mut(..length).unwrap_or_default();
        // SAFETY: we are the ring's only reader, by our `Claim` in this process. The record lies between our
        // cursor, which is the head or behind it, and the tail: its length was just checked.
        unsafe { self.memory.read(self.cursor + HEADER_BYTES, target) };
        // SAFETY: these bytes were reserved, and `read` has initialised them.
        unsafe { record.set_len(length) };
        self.cursor += occupied(length);
        let delivery = Delivery {
            number: self.number,
            end: self.cursor,
        };
        self.number += 1;
        Ok(Some(delivery))
    }

    /// Is there nothing to drain? The last look before sleep, behind the fence of
    /// [`super::super::bell::Sleeper::doze`].
    ///
    /// # Errors
    /// [`Corrupt`]: the tail is none.
    pub fn is_empty(&mut self) -> Result<bool, Corrupt> {
        if self.cursor == self.tail_seen {
            self.look_at_tail()?;
        }
        Ok(self.cursor == self.tail_seen)
    }

    /// Is there a record at once, without a look at what the writer has published since the last one?
    /// Each look takes a cache line from the writer that is about to publish again.
    #[inline]
    #[must_use]
    pub fn holds_more(&self) -> bool {
        self.cursor != self.tail_seen
    }

    /// Has more than a quarter of the ring been drained and not been released?
    #[inline]
    #[must_use]
    pub fn owes_much_room(&self) -> bool {
        self.cursor - self.head.position > self.memory.capacity() / 4
    }

    /// Gives back the room of this record and of all before it. They count as delivered and will not
    /// be seen again. Nothing happens if it was released before.
    ///
    /// The writer may sleep: ask [`Reader::room_is_wanted`], after this one or the last one of many.
    #[inline]
    pub fn release(&mut self, delivery: Delivery) {
        let [_, dead_letters, lost] = self.head.counts;
        self.advance(delivery, dead_letters, lost);
    }

    /// As [`Reader::release`], but this one record counts as a dead letter.
    pub fn release_as_dead_letter(&mut self, delivery: Delivery) {
        let [_, dead_letters, lost] = self.head.counts;
        self.advance(delivery, dead_letters.saturating_add(1), lost);
    }

    /// As [`Reader::release`], but this one record counts as lost: it is known from the account of a
    /// stream, and its bytes are nowhere.
    pub fn release_as_lost(&mut self, delivery: Delivery) {
        let [_, dead_letters, lost] = self.head.counts;
        self.advance(delivery, dead_letters, lost.saturating_add(1));
    }

    /// Counts what was in the queue of a stream's writer as lost: when that one left for good, and this
    /// end has seen all that it wrote.
    pub fn give_up_queue(&mut self) {
        let tail = self.memory.words().tail().look(Site::TailLoad);
        if let Some(tail) = tail {
            let [accepted] = tail.counts;
            give_up_queue(self.memory.words(), accepted);
        }
    }

    #[inline]
    fn advance(&mut self, delivery: Delivery, dead_letters: u64, lost: u64) {
        if delivery.end <= self.head.position || delivery.end > self.cursor {
            return;
        }
        // SYNC C: we have copied out what lies before this head. Pairs with `Writer::try_push`.
        let head = self.memory.words().head();
        head.advance(
            &mut self.head,
            delivery.end,
            [delivery.number + 1, dead_letters, lost],
            Site::HeadStore,
        );
    }

    /// Does the writer wait for room, and is it there now? Then ring its bell.
    #[must_use]
    pub fn room_is_wanted(&self) -> bool {
        let wanted = self.wish();
        wanted != 0 && self.head.position >= wanted
    }

    /// Does the writer wait for room, be it there or not? Of a stream, for room may be made elsewhere than in
    /// the account.
    #[must_use]
    pub fn writer_waits(&self) -> bool {
        self.wish() != 0
    }

    fn wish(&self) -> u64 {
        // SYNC F: either the writer sees our head, or we see its wish. Pairs with `Writer::want_room`.
        fence(Site::RoomFence);
        let wish = &self.memory.words().wishes.0.room;
        wish.load(Ordering::Relaxed)
    }

    /// The number of the record that is drained next.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.number
    }

    /// Records released since the ring was made. The rest of those drained come again after a death.
    #[must_use]
    pub fn released(&self) -> u64 {
        let [released, ..] = self.head.counts;
        released
    }

    /// Takes over the counts of released records from the ring that this one took over from, when that one
    /// is drained and released, and before it goes. Done twice, it changes nothing.
    pub fn take_over(&mut self, from: &Self) {
        let ours = self.memory.words().released_before();
        let theirs = from.memory.words().released_before();
        for ((count, before), own) in ours.iter().zip(theirs).zip(from.head.counts) {
            let sum = before.load(Ordering::Relaxed).saturating_add(own);
            count.store(sum, Ordering::Relaxed);
        }
    }

    /// Records that the writers dropped instead of pushing them, for whatever reason, in this ring and in
    /// those that it took over from; and those that a stream has lost.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let [_, _, lost] = self.head.counts;
        let drops = self.memory.words().drops();
        drops.iter().fold(lost, |sum, count| {
            sum.saturating_add(count.load(Ordering::Relaxed))
        })
    }

    /// Says that the handling of this record begins. Should it kill us, our successor finds the mark.
    /// Releasing the record ends its meaning.
    #[inline]
    pub fn take_in_hand(&mut self, delivery: Delivery) {
        let mark = &self.memory.words().hand().mark;
        mark.store(delivery.number + 1, Ordering::Relaxed);
        // A death gives up this process's stores in their order, if the compiler keeps it.
        compiler_fence(Ordering::SeqCst);
    }

    /// Says that the handling of the record in hand is over, though the record is not released yet: whatever
    /// kills us from now on, it is not that.
    #[inline]
    pub fn put_down(&mut self) {
        // As above: not before the handling.
        compiler_fence(Ordering::SeqCst);
        let mark = &self.memory.words().hand().mark;
        mark.store(0, Ordering::Relaxed);
    }

    /// The record that a reader had in hand when it died, and that was not released since.
    #[must_use]
    pub fn in_hand(&self) -> Option<InHand> {
        let hand = self.memory.words().hand();
        let mark = hand.mark.load(Ordering::Relaxed);
        let number = mark.checked_sub(1)?;
        let blame = hand.blame.load(Ordering::Relaxed);
        let [deaths, ..] = blame.to_le_bytes();
        let is_blamed = blame >> DEATHS_BITS == mark;
        (number >= self.released()).then_some(InHand {
            number,
            deaths: if is_blamed { deaths } else { 0 },
        })
    }

    /// Counts a death of the predecessor, by its own fault, against the record that it had in hand.
    /// Call it at most once a death, before anything is taken in hand. Deaths count that follow one
    /// another with the same record.
    pub fn count_death(&mut self) -> Option<InHand> {
        let InHand { number, deaths } = self.in_hand()?;
        let deaths = deaths.saturating_add(1);
        let blame = &self.memory.words().hand().blame;
        let word = (number + 1) << DEATHS_BITS | u64::from(deaths);
        blame.store(word, Ordering::Relaxed);
        Some(InHand { number, deaths })
    }

    /// The ring that the writer moved on to, when this one is drained to its end.
    ///
    /// # Errors
    /// [`Corrupt`]: the tail is none.
    pub fn moved_on(&mut self) -> Result<Option<NonZeroU64>, Corrupt> {
        // SYNC D: the writer's last record is visible to whoever sees this. Pairs with
        // `Writer::move_on`.
        let acquire = order(Site::MovedLoad, Ordering::Acquire);
        let moved_on = self.memory.words().wishes.0.moved_on.load(acquire);
        let Some(ring) = NonZeroU64::new(moved_on) else {
            return Ok(None);
        };
        Ok(self.is_empty()?.then_some(ring))
    }

    /// Looks at what the writer has published.
    ///
    /// # Errors
    /// [`Corrupt`]: the tail is none.
    pub fn look_at_tail(&mut self) -> Result<(), Corrupt> {
        // SYNC B: the records before this tail are visible. Pairs with `Writer::try_push`.
        let tail = self.memory.words().tail().position(Site::TailLoad);
        if tail < self.tail_seen {
            return Err(Corrupt("the tail moved back"));
        }
        check_positions(self.head.position, tail, self.memory.capacity())?;
        self.tail_seen = tail;
        Ok(())
    }
}

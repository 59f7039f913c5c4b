//! The end that records go into.

use std::io;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;

use super::memory::Memory;
use super::words::Seen;
use super::{
    Corrupt, DropReason, End, RingId, check_count, check_positions, give_up_queue, header, occupied,
};
use crate::shm::sync::{Ordering, Site, fence, order};

/// The writing end of a ring. At most one process has it at a time; its successor maps it anew.
#[derive(Debug)]
pub struct Writer {
    memory: Memory,
    tail: Seen<1>,
    /// The head as it was last loaded; the shared one is there or further on.
    head_seen: u64,
    /// Did we say that we wait for room?
    wants_room: bool,
    moved_on: Option<NonZeroU64>,
}

/// Why a record did not go into the ring. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// There will be room when the reader has released enough.
    #[error("the ring is full")]
    Full,
    /// The record is larger than this ring; see [`super::capacity_for`].
    #[error("the record is larger than the ring")]
    TooLarge,
    /// This writer, or its predecessor, has moved on to the ring of this name.
    #[error("the writer has moved on to ring {0}")]
    MovedOn(NonZeroU64),
    /// The reader, or somebody else, has spoiled the ring.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

impl Writer {
    /// Maps the memory file, at the position where the last writer accepted its last record. A record
    /// that it had only begun is gone, as if it had never been pushed.
    ///
    /// Afterwards ring the reader's bell once: the predecessor may have died between accepting a record
    /// and ringing.
    ///
    /// # Errors
    /// `InvalidData`: it is no ring, one of another version, or [`Corrupt`]. `ResourceBusy`: this process
    /// has that end mapped already. Else the system's answer.
    pub fn map(file: OwnedFd) -> io::Result<Self> {
        let memory = Memory::map(file, End::Writer)?;
        Ok(Self::over(memory)?)
    }

    pub(super) fn over(memory: Memory) -> Result<Self, Corrupt> {
        let words = memory.words();
        let tail = words.tail().look(Site::TailLoad);
        let tail = tail.ok_or(Corrupt("the tail has no count"))?;
        let head_seen = words.head().position(Site::HeadLoad);
        check_positions(head_seen, tail.position, memory.capacity())?;
        let [accepted] = tail.counts;
        check_count(accepted, tail.position)?;
        // Whoever waited is dead.
        words.wishes.0.room.store(0, Ordering::Relaxed);
        let moved_on = NonZeroU64::new(words.wishes.0.moved_on.load(Ordering::Relaxed));
        Ok(Self {
            memory,
            tail,
            head_seen,
            wants_room: false,
            moved_on,
        })
    }

    /// Records accepted since the ring was made, by this writer and its predecessors. It is the number
    /// of the next record: they are counted from 0.
    #[inline]
    #[must_use]
    pub fn accepted(&self) -> u64 {
        let [accepted] = self.tail.counts;
        accepted
    }

    /// The ring's id.
    #[must_use]
    pub fn id(&self) -> RingId {
        self.memory.words().identity.0.id()
    }

    /// The largest record that fits in this ring when it is empty, in bytes.
    #[must_use]
    pub fn record_bytes_max(&self) -> usize {
        usize::try_from(self.memory.capacity() - super::HEADER_BYTES).unwrap_or(usize::MAX)
    }

    /// Bytes for records, those that are filled among them.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.memory.capacity()
    }

    /// Accepts one record, made of `parts` in their order, and returns its number. When this returns,
    /// and not before, the reader can see it, and no death of this process takes it back.
    ///
    /// The reader may sleep: ring its bell, after this record or after the last one of many.
    ///
    /// # Errors
    /// See [`PushError`].
    #[inline]
    pub fn try_push(&mut self, parts: &[&[u8]]) -> Result<u64, PushError> {
        self.try_push_with(parts, |_| {})
    }

    /// As [`Writer::try_push`], and calls `before` with the record's number when nothing but a death can
    /// keep it from being accepted; not at all, if it is not. For who has to note something elsewhere that
    /// must never be behind the ring.
    ///
    /// # Errors
    /// See [`PushError`].
    #[inline]
    pub fn try_push_with(
        &mut self,
        parts: &[&[u8]],
        before: impl FnOnce(u64),
    ) -> Result<u64, PushError> {
        if let Some(ring) = self.moved_on {
            return Err(PushError::MovedOn(ring));
        }
        let length = parts
            .iter()
            .fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        let room = occupied(length);
        let (Ok(stated), true) = (u32::try_from(length), room <= self.memory.capacity()) else {
            return Err(PushError::TooLarge);
        };
        let number = self.accepted();
        let start = self.tail.position;
        if self.filled_with(room) > self.memory.capacity() {
            self.look_at_head()?;
            if self.filled_with(room) > self.memory.capacity() {
                return Err(PushError::Full);
            }
        }
        before(number);
        self.memory.store(start, header(stated, number));
        let mut position = start + super::HEADER_BYTES;
        for part in parts {
            // SAFETY: we are the ring's only writer, by our `Claim` in this process. The record lies between the
            // tail and the head plus the capacity: `room` was just seen to be there, and it is what the
            // header and all parts take.
            unsafe { self.memory.write(position, part) };
            position += part.len() as u64;
        }
        // SYNC B: the record above is visible to whoever sees this tail. Pairs with `Reader::drain`.
        let tail = self.memory.words().tail();
        tail.advance(&mut self.tail, start + room, [number + 1], Site::TailStore);
        if self.wants_room {
            self.stop_waiting();
        }
        Ok(number)
    }

    /// Has the reader released anything since the last push that looked for room? One load, for whoever
    /// would push in vain at each record while a reader does not read.
    #[inline]
    #[must_use]
    pub fn has_new_room(&self) -> bool {
        self.shared_head() != self.head_seen
    }

    /// Counts a record that was dropped instead of pushed.
    #[inline]
    pub fn count_drop(&mut self, reason: DropReason) {
        if let Some(count) = self.memory.words().drops().get(reason.index()) {
            // The only writer of this word; a sum that anybody may read at any time.
            let dropped = count.load(Ordering::Relaxed).wrapping_add(1);
            count.store(dropped, Ordering::Relaxed);
        }
    }

    /// Counts a record that was accepted into this end's own queue. Of the account of a stream only: its
    /// records follow one by one, as they go into the socket.
    pub fn count_queued(&mut self) {
        let queued = self.memory.words().queued();
        // The only writer of this word; a record is accepted by this one store.
        queued.store(
            queued.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Relaxed,
        );
    }

    /// Takes back the last [`Writer::count_queued`]: that record did not go into the queue after all.
    pub fn count_not_queued(&mut self) {
        let queued = self.memory.words().queued();
        queued.store(
            queued.load(Ordering::Relaxed).wrapping_sub(1),
            Ordering::Relaxed,
        );
    }

    /// Counts what is in the queue of this end, or was in that of its dead predecessor, as
    /// [`DropReason::Lost`].
    pub fn give_up_queue(&mut self) {
        give_up_queue(self.memory.words(), self.accepted());
    }

    /// The position behind the last record that the reader released.
    ///
    /// # Errors
    /// [`Corrupt`]: the head is none.
    pub fn released_position(&mut self) -> Result<u64, Corrupt> {
        self.look_at_head()?;
        Ok(self.head_seen)
    }

    /// Takes over the counts of accepted and dropped records from the ring that this one takes over from,
    /// before that one [moves on](Writer::move_on) and before anything happens in this one. Done twice, it
    /// changes nothing.
    pub fn take_over(&mut self, from: &Self) {
        let (ours, theirs) = (self.memory.words(), from.memory.words());
        for (count, counted) in ours.drops().iter().zip(theirs.drops()) {
            count.store(counted.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let before = theirs.pushed_before().load(Ordering::Relaxed);
        let pushed = before.saturating_add(from.accepted());
        ours.pushed_before().store(pushed, Ordering::Relaxed);
    }

    /// Says that this end waits for room for a record of `length` bytes, and returns whether it is there
    /// by now. If not, sleep: the reader rings this node's bell when it has released enough. The wish
    /// ends with the next push, or by [`Writer::stop_waiting`].
    ///
    /// Lie down first ([`super::super::bell::Sleeper::doze`]), then call this, then sleep.
    ///
    /// # Errors
    /// [`Corrupt`]: the head is none.
    pub fn want_room(&mut self, length: usize) -> Result<bool, Corrupt> {
        let room = occupied(length).min(self.memory.capacity());
        let wanted = self.filled_up_to(room);
        self.wants_room = true;
        let wish = &self.memory.words().wishes.0.room;
        wish.store(wanted, Ordering::Relaxed);
        // SYNC F: either the reader sees our wish, or we see its head. Pairs with
        // `Reader::room_is_wanted`.
        fence(Site::WantFence);
        self.look_at_head()?;
        Ok(self.head_seen >= wanted)
    }

    /// Does the wish for room stand?
    #[must_use]
    pub fn waits_for_room(&self) -> bool {
        self.wants_room
    }

    /// Takes back the wish for room.
    pub fn stop_waiting(&mut self) {
        let wish = &self.memory.words().wishes.0.room;
        wish.store(0, Ordering::Relaxed);
        self.wants_room = false;
    }

    /// The last word in this ring: the reader drains it and goes on with the ring of this name, which
    /// the link knows by it. Push nothing into that one before this returns. Nothing can be pushed into
    /// this one afterwards, by a successor neither.
    pub fn move_on(&mut self, ring: NonZeroU64) {
        // SYNC D: all records of ours are visible to whoever sees this. Pairs with `Reader::moved_on`.
        let release = order(Site::MovedStore, Ordering::Release);
        let moved_on = &self.memory.words().wishes.0.moved_on;
        moved_on.store(ring.get(), release);
        self.moved_on = Some(ring);
    }

    /// The ring that this writer, or its predecessor, moved on to.
    #[must_use]
    pub fn moved_on(&self) -> Option<NonZeroU64> {
        self.moved_on
    }

    /// Bytes that would be filled with `room` more, as far as we have seen the head.
    #[inline]
    fn filled_with(&self, room: u64) -> u64 {
        (self.tail.position - self.head_seen).saturating_add(room)
    }

    /// The head at which `room` more would fit.
    fn filled_up_to(&self, room: u64) -> u64 {
        (self.tail.position.saturating_add(room)).saturating_sub(self.memory.capacity())
    }

    #[inline]
    fn shared_head(&self) -> u64 {
        // SYNC C: the reader has copied out what lies before this head. Pairs with `Reader::release`.
        self.memory.words().head().position(Site::HeadLoad)
    }

    #[cold]
    fn look_at_head(&mut self) -> Result<(), Corrupt> {
        let head = self.shared_head();
        if head < self.head_seen {
            return Err(Corrupt("the head moved back"));
        }
        check_positions(head, self.tail.position, self.memory.capacity())?;
        self.head_seen = head;
        Ok(())
    }
}

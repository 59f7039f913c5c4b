//! A byte ring in shared memory: one writer, one reader, and either may die at any instruction.
//!
//! Duty: carries records from one process to another in order, keeps what was accepted over the death
//! of either, counts so that every record is accounted for. Owns: its mapping; the memory file is made
//! by [`create`] and handed over. Leaves to others: waiting ([`super::bell`] wakes), what is done when
//! there is no room, the meaning of bytes.
//!
//! # What lies in the memory
//!
//! A header of words (`words`), the hot ones on cache lines of their own, then a power of two of bytes.
//! Positions count bytes since the ring was made and only grow; the byte of a position lies at that
//! position modulo the capacity. A record is a word, its length and the low half of its number, then
//! its bytes, up to the next multiple of 8. What passes the end goes on at the beginning, so there is
//! no padding, and a record may take all of the ring.
//!
//! # Why nothing is lost, and why the counts are exact
//!
//! There is one writer and one reader because either dies: a ring with several writers needs somebody
//! to guess what a dead one had begun. Here one store decides. A record is accepted when `tail` moves
//! over it, and delivered when `head` does; both positions carry the number of records before them, and
//! position and number change in one instant (`words::Cursor`). So at every instruction
//!
//! *accepted = delivered + dead letters + in flight*,
//!
//! where *in flight* is found by walking from `head` to `tail` ([`Observer`]). Successors go on from
//! the shared positions: a dead writer's half-written record is overwritten, a dead reader's unreleased
//! records are delivered again.
//!
//! # Orderings
//!
//! Each pair has a letter, which stands at both sites; the models weaken each site and fail.
//!
//! | letter | publishes | reads | orderings | what would break |
//! | --- | --- | --- | --- | --- |
//! | A | `Cursor::advance`, marks | `Cursor::look` | `Release`, `Acquire` | a position with the count of another |
//! | B | [`Writer::try_push`], `tail` | [`Reader::drain`] | `Release`, `Acquire` | a record is read before it is written |
//! | C | [`Reader::release`], `head` | [`Writer::try_push`] | `Release`, `Acquire` | a record is overwritten while it is read |
//! | D | [`Writer::move_on`] | [`Reader::moved_on`] | `Release`, `Acquire` | the last records are left behind |
//! | E | in [`super::bell`] | | `SeqCst` fences | the reader sleeps beside a record |
//! | F | [`Writer::want_room`] | [`Reader::room_is_wanted`] | `SeqCst` fences | the writer sleeps beside room |
//!
//! Drop counters and the mark of the record in hand are `Relaxed`: each says something by itself only.
//! A successor sees what its predecessor stored because a death comes before the birth it causes.
//!
//! # A hostile neighbour
//!
//! It can write anything anywhere at any time. Each position is loaded once, compared with the private
//! copy and the capacity, and refused as [`Corrupt`] if it cannot be; a length likewise; a record is
//! copied out before anybody looks at it. So the worst is garbage in records, which are garbage anyway
//! if a hostile neighbour wrote them.

use std::io;
use std::os::fd::OwnedFd;

use serde::Serialize;

use crate::shm::sync::Ordering;

#[cfg(loom)]
pub(in crate::shm) mod checked_memory;
#[cfg(not(loom))]
mod claim;
#[cfg(not(loom))]
mod memory;
mod observer;
mod reader;
mod words;
mod writer;

#[cfg(loom)]
use checked_memory as memory;

pub use observer::{Accounting, Observer};
pub use reader::{Delivery, InHand, Reader};
pub use writer::{PushError, Writer};

#[cfg(test)]
#[cfg(not(loom))]
mod heap;
#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod hostile;
#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod kills;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

/// The smallest ring, in bytes.
pub const CAPACITY_MIN: usize = 64;

/// The largest ring, in bytes. A record's length fits in half a word by far.
pub const CAPACITY_MAX: usize = 1 << 30;

/// No ring comes that far: it is 2⁶² bytes.
const POSITION_MAX: u64 = 1 << 62;

/// Bytes before each record.
const HEADER_BYTES: u64 = 8;

/// Bytes that a record takes in a ring if it has none itself.
pub const EMPTY_RECORD_BYTES: usize = 8;

/// Names a ring for ever: random, made with its memory, and in its header. What a reader remembers of
/// records, it remembers by this and their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RingId(pub u128);

/// What a ring's memory is mapped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Writer,
    Reader,
    /// Not to be written to.
    Observer,
}

/// Makes the memory of a ring: close-on-exec, of a size that cannot change. `capacity`, in bytes, is
/// rounded up to a power of two and to at least [`CAPACITY_MIN`].
///
/// # Errors
/// `InvalidInput`: more than [`CAPACITY_MAX`]. Else the system's answer.
pub fn create(capacity: usize) -> io::Result<OwnedFd> {
    if capacity > CAPACITY_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a ring may have at most {CAPACITY_MAX} bytes, not {capacity}"),
        ));
    }
    memory::create(capacity.max(CAPACITY_MIN).next_power_of_two())
}

/// The capacity that a ring needs to take records of `length` bytes at all. One that keeps moving while
/// the reader is busy wants several times that.
#[must_use]
pub fn capacity_for(length: usize) -> usize {
    let occupied = usize::try_from(occupied(length)).unwrap_or(usize::MAX);
    let capacity = occupied.max(CAPACITY_MIN).checked_next_power_of_two();
    capacity.unwrap_or(usize::MAX)
}

/// The ring's memory contradicts itself or what this end knows. It is the neighbour's doing, or that of
/// whoever else has the memory: close the link and count it. Nothing that was returned before is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared memory of the ring is corrupt: {0}")]
pub struct Corrupt(&'static str);

impl Corrupt {
    /// Nothing in it says that it is a ring.
    pub const NO_RING: Self = Self("it is no ring");
}

impl From<Corrupt> for io::Error {
    fn from(corrupt: Corrupt) -> Self {
        Self::new(io::ErrorKind::InvalidData, corrupt)
    }
}

/// Why a writer dropped a record instead of pushing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// No room, and the link's policy is to drop the newest.
    Full,
    /// No room, and none appeared in time.
    Timeout,
    /// Larger than any ring that the link may have.
    TooLarge,
    /// No room, and the link's policy is to disconnect; or it is disconnected already.
    Disconnected,
    /// There was no larger ring to be had.
    NoRing,
    /// Accepted into a stream's queue, and dropped there for a newer one: the policy is to drop the oldest.
    Oldest,
    /// Accepted into a stream's queue, and lost with its writer or with both ends.
    Lost,
}

impl DropReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; words::DROP_REASONS] = [
        Self::Full,
        Self::Timeout,
        Self::TooLarge,
        Self::Disconnected,
        Self::NoRing,
        Self::Oldest,
        Self::Lost,
    ];

    /// The word that `stats` shows.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::Disconnected => "disconnected",
            Self::NoRing => "no_ring",
            Self::Oldest => "oldest",
            Self::Lost => "lost",
        }
    }

    /// Had the record been accepted before? Only streams do that, whose queues die with their writers.
    #[must_use]
    pub fn is_after_acceptance(self) -> bool {
        matches!(self, Self::Oldest | Self::Lost)
    }

    fn index(self) -> usize {
        match self {
            Self::Full => 0,
            Self::Timeout => 1,
            Self::TooLarge => 2,
            Self::Disconnected => 3,
            Self::NoRing => 4,
            Self::Oldest => 5,
            Self::Lost => 6,
        }
    }
}

/// How many records were dropped on a link, from what each of its rings counts. A ring counts on from the
/// one that it [took over](Writer::take_over) from, so the highest count holds all.
#[must_use]
pub fn dropped_on_link(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().max().unwrap_or(0)
}

#[cfg(not(loom))]
fn is_capacity(bytes: usize) -> bool {
    (CAPACITY_MIN..=CAPACITY_MAX).contains(&bytes) && bytes.is_power_of_two()
}

/// Bytes of the ring that a record of `length` bytes takes. Saturates.
#[inline]
fn occupied(length: usize) -> u64 {
    (length as u64)
        .checked_next_multiple_of(8)
        .map_or(u64::MAX, |length| length.saturating_add(HEADER_BYTES))
}

/// Of a stream's account: records in the writer's queue, those that were `queued` without those that
/// went into the socket or were dropped from the queue.
fn waiting(queued: u64, accepted: u64, drops: &[u64; words::DROP_REASONS]) -> u64 {
    let dropped = [DropReason::Oldest, DropReason::Lost].map(DropReason::index);
    let dropped = dropped.iter().filter_map(|index| drops.get(*index));
    dropped.fold(queued.saturating_sub(accepted), |rest, count| {
        rest.saturating_sub(*count)
    })
}

/// Counts what is in the queue of a stream's writer as lost; that writer is gone, or its successor calls.
fn give_up_queue(words: &words::Words, accepted: u64) {
    let drops = words.drops().each_ref();
    let drops = drops.map(|count| count.load(Ordering::Relaxed));
    let waiting = waiting(words.queued().load(Ordering::Relaxed), accepted, &drops);
    if let Some(lost) = words.drops().get(DropReason::Lost.index()) {
        let sum = lost.load(Ordering::Relaxed).wrapping_add(waiting);
        lost.store(sum, Ordering::Relaxed);
    }
}

/// The word before a record.
#[inline]
fn header(length: u32, number: u64) -> u64 {
    u64::from(length) | number << 32
}

/// The length that a word says, which must be that of the record `number` and fit between its position
/// and the tail, `available` bytes behind it.
#[inline]
fn length_of(word: u64, number: u64, available: u64) -> Result<usize, Corrupt> {
    if word >> 32 != number & 0xffff_ffff {
        return Err(Corrupt("a record has another number than its place"));
    }
    let length = usize::try_from(word & 0xffff_ffff).unwrap_or(usize::MAX);
    if occupied(length) > available {
        return Err(Corrupt("a record is longer than the ring's contents"));
    }
    Ok(length)
}

/// Checks that the positions could be those of a ring: `head` ≤ `tail` ≤ `head` + `capacity`, in words,
/// and so far from the largest number that none of our sums passes it.
#[inline]
fn check_positions(head: u64, tail: u64, capacity: u64) -> Result<(), Corrupt> {
    let filled = tail.checked_sub(head);
    let is_ring = filled.is_some_and(|filled| filled <= capacity);
    if !is_ring || !(head | tail).is_multiple_of(8) || tail > POSITION_MAX {
        return Err(Corrupt("head and tail are no positions of a ring"));
    }
    Ok(())
}

/// Checks the count of records that a dead predecessor left at a position: none is without a header.
fn check_count(records: u64, position: u64) -> Result<(), Corrupt> {
    if records > position / HEADER_BYTES {
        return Err(Corrupt("more records are counted than there were bytes"));
    }
    Ok(())
}

//! The words at the head of a ring's memory, and how positions and counts move together.
//!
//! All of them are atomics, so a hostile neighbour can put any number into them and nothing else.
//! Who reads a word checks it against what it knows by itself.

use super::RingId;
use crate::shm::sync::{AtomicU64, Ordering, Site, order};

/// Reasons why the writer dropped a record; see [`super::DropReason`].
pub(super) const DROP_REASONS: usize = 7;

/// Looks at a cursor that moves all the time before one gives up. Between two looks the neighbour has
/// to fetch the cache line back and publish twice, so one or two are usual.
const LOOKS_MAX: usize = 4096;

/// A value on cache lines of its own. Two lines, because processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(super) struct Line<T>(pub(super) T);

/// The header of a ring's memory. Fresh memory, all zeros, is a ring without records.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Words {
    /// Written once by the maker, read once by each mapping.
    pub(super) identity: Line<Identity>,
    /// Written by the writer: the position behind the last record.
    tail: Line<AtomicU64>,
    /// Written by the reader: the position behind the last record that was released.
    head: Line<AtomicU64>,
    /// Written by the writer, now and then; read by the reader at each release.
    pub(super) wishes: Line<Wishes>,
    /// Written by the writer, and read by observers only: the line stays with the writer.
    accepting: Line<Accepting>,
    /// Written by the reader, and read by observers only: the line stays with the reader.
    releasing: Line<Releasing>,
}

impl Words {
    /// The position behind the last record, and how many there were.
    #[inline]
    pub(super) fn tail(&self) -> Cursor<'_, 1> {
        Cursor {
            position: &self.tail.0,
            marks: &self.accepting.0.marks,
        }
    }

    /// The position behind the last record that was released, how many were, and how many of them
    /// were not handled: dead letters, and what a stream lost.
    #[inline]
    pub(super) fn head(&self) -> Cursor<'_, 3> {
        Cursor {
            position: &self.head.0,
            marks: &self.releasing.0.marks,
        }
    }

    /// Records that the writer dropped, by reason.
    pub(super) fn drops(&self) -> &[AtomicU64; DROP_REASONS] {
        &self.accepting.0.drops
    }

    /// Records that the writers pushed into the rings that this one took over from.
    pub(super) fn pushed_before(&self) -> &AtomicU64 {
        &self.accepting.0.pushed_before
    }

    /// Records that were released from the rings that this one took over from, and how many of them were
    /// dead letters; 0: the reader is not through with those.
    pub(super) fn released_before(&self) -> &[AtomicU64; 2] {
        &self.releasing.0.released_before
    }

    /// Records that the writer's own queue accepted, when this is the account of a stream.
    pub(super) fn queued(&self) -> &AtomicU64 {
        &self.accepting.0.queued
    }

    /// What the reader has in hand.
    #[inline]
    pub(super) fn hand(&self) -> &Hand {
        &self.releasing.0.hand
    }
}

#[derive(Debug, Default)]
#[repr(C)]
struct Accepting {
    marks: [Mark<1>; 2],
    drops: [AtomicU64; DROP_REASONS],
    queued: AtomicU64,
    pushed_before: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(C)]
struct Releasing {
    marks: [Mark<3>; 2],
    hand: Hand,
    released_before: [AtomicU64; 2],
}

#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Identity {
    pub(super) magic: AtomicU64,
    pub(super) capacity: AtomicU64,
    /// The ring's id, the low half first.
    id: [AtomicU64; 2],
}

impl Identity {
    pub(super) fn id(&self) -> RingId {
        let [low, high] = self.id.each_ref();
        let [low, high] = [low, high].map(|half| half.load(Ordering::Relaxed).to_le_bytes());
        let mut id = [0; size_of::<u128>()];
        id.iter_mut()
            .zip(low.into_iter().chain(high))
            .for_each(|(byte, said)| *byte = said);
        RingId(u128::from_le_bytes(id))
    }

    /// Gives the ring an id, before anybody else can look.
    pub(super) fn set_id(&self, id: [u64; 2]) {
        for (word, half) in self.id.iter().zip(id) {
            word.store(half, Ordering::Relaxed);
        }
    }
}

#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Wishes {
    /// The head position at which the writer has the room it waits for; 0: it does not wait.
    pub(super) room: AtomicU64,
    /// Which ring the writer goes on with; 0: with this one.
    pub(super) moved_on: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Hand {
    /// One more than the number of the record that is being handled, or was last; 0: none yet.
    pub(super) mark: AtomicU64,
    /// The mark that readers died with, shifted by [`DEATHS_BITS`], and how many in a row did.
    pub(super) blame: AtomicU64,
}

/// Deaths take the low bits of their word; a ring whose writer never rests comes to 2⁵⁶ records after
/// decades.
pub(super) const DEATHS_BITS: u32 = 8;

/// A position, and `N` counts that belong to it and move with it in one instant.
///
/// No processor stores so much at once. So there are two marks, and the current one is the one that
/// names the position: the owner writes the other mark, then the position. A kill between any two
/// instructions leaves a position whose mark is whole.
///
/// The position has its line for itself, since the neighbour looks at it all the time. The marks are
/// for successors and observers, and in nobody's way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a, const N: usize> {
    position: &'a AtomicU64,
    marks: &'a [Mark<N>; 2],
}

#[derive(Debug)]
#[repr(C)]
struct Mark<const N: usize> {
    position: AtomicU64,
    counts: [AtomicU64; N],
}

/// What stood in a cursor at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen<const N: usize> {
    pub(super) position: u64,
    pub(super) counts: [u64; N],
    /// Which of the two marks is current.
    current: bool,
}

impl<const N: usize> Default for Mark<N> {
    fn default() -> Self {
        Self {
            position: AtomicU64::default(),
            counts: std::array::from_fn(|_| AtomicU64::default()),
        }
    }
}

impl<const N: usize> Cursor<'_, N> {
    /// The position alone. `site` says which half of which pair this is.
    #[inline]
    pub(super) fn position(self, site: Site) -> u64 {
        // SYNC B, C: what was done before the position was stored is visible. Pairs with `advance`.
        self.position.load(order(site, Ordering::Acquire))
    }

    /// The position and its counts, of one instant. `None`: no mark belongs to the position, or the
    /// owner moved on at each of many looks.
    pub(super) fn look(self, site: Site) -> Option<Seen<N>> {
        (0..LOOKS_MAX).find_map(|_| self.look_once(site))
    }

    pub(super) fn look_once(self, site: Site) -> Option<Seen<N>> {
        let acquire = order(Site::MarkLoad, Ordering::Acquire);
        let position = self.position(site);
        let [first, second] = self.marks;
        // SYNC A: a mark is read with the counts that were stored before it. Pairs with `advance`.
        let current = first.position.load(acquire) != position;
        let mark = if current { second } else { first };
        if mark.position.load(acquire) != position {
            return None;
        }
        // SYNC A: whoever sees a count of the next but one position sees the next position below.
        let counts = std::array::from_fn(|index| {
            let count = mark.counts.get(index);
            count.map_or(0, |count| count.load(acquire))
        });
        (self.position.load(Ordering::Relaxed) == position).then_some(Seen {
            position,
            counts,
            current,
        })
    }

    /// Moves on from `seen`, which the owner keeps. `site` says which half of which pair this is.
    #[inline]
    pub(super) fn advance(self, seen: &mut Seen<N>, position: u64, counts: [u64; N], site: Site) {
        let release = order(Site::MarkStore, Ordering::Release);
        let [first, second] = self.marks;
        let mark = if seen.current { first } else { second };
        for (word, count) in mark.counts.iter().zip(counts) {
            // SYNC A: this mark was current two positions ago. Whoever sees it overwritten sees that
            // the last position stands. Pairs with `look_once`.
            word.store(count, release);
        }
        // SYNC A: the counts above are visible to whoever sees the mark.
        mark.position.store(position, release);
        // SYNC B, C: so is everything else done before. Pairs with `position`.
        self.position
            .store(position, order(site, Ordering::Release));
        *seen = Seen {
            position,
            counts,
            current: !seen.current,
        };
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_shows_its_position_with_the_counts_that_belong_to_it() {
        let words = Words::default();
        let cursor = words.head();
        let mut seen = cursor.look(Site::HeadLoad).unwrap();
        assert_eq!((seen.position, seen.counts), (0, [0, 0, 0]));
        for step in 1..10 {
            let counts = [step, step / 2, step / 3];
            cursor.advance(&mut seen, step * 8, counts, Site::HeadStore);
            assert_eq!(cursor.look(Site::HeadLoad), Some(seen));
            assert_eq!((seen.position, seen.counts), (step * 8, counts));
        }
    }

    /// Shows: whatever part of a move a dead owner had done, the cursor stands where it stood, and its
    /// successor can go on from there.
    #[test]
    fn a_move_that_was_begun_is_not_seen() {
        let words = Words::default();
        let cursor = words.tail();
        let mut seen = cursor.look(Site::TailLoad).unwrap();
        for step in 1..5 {
            let idle = usize::from(!seen.current);
            let mark = &cursor.marks[idle];
            mark.counts[0].store(77, Ordering::Relaxed);
            assert_eq!(cursor.look(Site::TailLoad), Some(seen));
            mark.position.store(step * 8 + 64, Ordering::Relaxed);
            assert_eq!(cursor.look(Site::TailLoad), Some(seen));
            cursor.advance(&mut seen, step * 8, [step], Site::TailStore);
            assert_eq!(cursor.look(Site::TailLoad), Some(seen));
        }
    }

    #[test]
    fn a_position_without_a_mark_is_refused() {
        let words = Words::default();
        let cursor = words.tail();
        cursor.position.store(8, Ordering::Relaxed);
        assert_eq!(cursor.look(Site::TailLoad), None);
    }
}

//! The way in: records from everybody, a few from each at a time.
//!
//! Owns: the incoming rings, by source. Control records come before all others in each round; within a
//! class the sources take turns, and none waits for another longer than their turns.

use std::path::PathBuf;

use super::dead_letter::{self, Origin};
use super::outbox::Outbox;
use super::receiving::Receiving;
use super::record::{self, Handling, Receipt, Record};
use super::seating::HandedRing;
use super::source::{Next, Source};
use super::subscriptions::Delivery;
use crate::fabric::{Ask, Class, RingKey};
use crate::shm::board::State;
use crate::shm::ring::RingId;

/// Records from one source before the next one's turn. After a death at most so many come again though
/// they were handled.
pub const TURN_RECORDS: usize = 64;

/// Bytes of the buffer that stay for the next record.
const BUFFER_BYTES_KEPT: usize = 64 * 1024;

/// Of large records that guests have begun to send by streams this node holds so many bytes together, or one
/// record. Full: others wait in their sockets until one has come, or whoever began it has left.
const GUESTS_BEGUN_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Debug, Default)]
pub(in crate::node) struct Inbox {
    /// Control first, then by place.
    sources: Vec<Source>,
    pub(super) letters: PathBuf,
    buffer: Vec<u8>,
    /// Where the turn of each class begins.
    turn: usize,
    /// Records that writers dropped of whom nothing is left.
    missed: u64,
    /// The last drain has left a large record waiting for memory.
    is_crowded: bool,
    /// Counts rings that came and went.
    changes: u64,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            letters: PathBuf::from("dead-letter"),
            ..Self::default()
        }
    }

    /// A ring to read has come.
    pub(super) fn hand_over(&mut self, ring: HandedRing, fault: bool, outbox: &mut Outbox) {
        let RingKey { from, class, .. } = ring.key;
        let key = |source: &Source| (source.class, source.from);
        let place = self
            .sources
            .partition_point(|source| key(source) < (class, from));
        let known = self
            .sources
            .get(place)
            .is_some_and(|source| key(source) == (class, from));
        if !known {
            self.sources.insert(place, Source::new(from, class));
        }
        let Some(source) = self.sources.get_mut(place) else {
            return;
        };
        self.changes += 1;
        let record_bytes_max = outbox.stream_record_bytes_max();
        if let Err(error) = source.hand_over(ring, fault, record_bytes_max) {
            log::warn!("peer={} event=bad_ring error=\"{error}\"", from.0);
        }
        let state = outbox.peers.entry(from).map(|entry| entry.state);
        source.is_orphan = matches!(state, None | Some(State::Left));
        // A predecessor may have died between releasing and ringing.
        if source.room_is_wanted() {
            outbox.ring(from);
        }
    }

    /// Takes what the outbox was given for this half.
    #[inline]
    pub(super) fn catch_up(&mut self, outbox: &mut Outbox) {
        if !outbox.gone.is_empty() {
            for slot in std::mem::take(&mut outbox.gone) {
                let theirs = self.sources.iter_mut().filter(|source| source.from == slot);
                theirs.for_each(|source| source.is_orphan = true);
            }
        }
        if !outbox.arrived.is_empty() {
            for ring in std::mem::take(&mut outbox.arrived) {
                self.hand_over(ring, false, outbox);
            }
        }
    }

    /// Is there anything to drain?
    #[inline]
    pub(super) fn has_work(&mut self, outbox: &Outbox) -> bool {
        let sources = self.sources.iter_mut();
        let mut wanted = sources.take_while(|source| !outbox.holds(source.class));
        wanted.any(Source::has_work) || (!outbox.holds(Class::Bulk) && self.may_grow_by_now())
    }

    /// Is there memory for a large record that had to wait?
    #[inline]
    fn may_grow_by_now(&self) -> bool {
        let wanted = |source: &Source| source.stream()?.wanted();
        let least = || self.sources.iter().filter_map(wanted).min();
        self.is_crowded && least().is_some_and(|bytes| self.has_memory_for(bytes))
    }

    /// Is there memory for a guest's large record?
    fn has_memory_for(&self, bytes: usize) -> bool {
        let streams = self.sources.iter().filter_map(Source::stream);
        let granted = streams.map(Receiving::granted).sum::<usize>();
        granted == 0 || granted.saturating_add(bytes) <= GUESTS_BEGUN_BYTES_MAX
    }

    /// Lets a large record of this source be read, or wait.
    #[cold]
    fn let_grow(&mut self, at: usize, bytes: usize) {
        let may = self.has_memory_for(bytes);
        self.is_crowded |= !may;
        if let Some(source) = self.sources.get_mut(at) {
            source.may_grow(may);
        }
    }

    /// The rings that are to be read, or have records that are [kept](Handling::Keep).
    pub(in crate::node) fn rings(&self) -> impl Iterator<Item = RingId> {
        self.sources.iter().flat_map(Source::rings)
    }

    /// The same as long as [`Inbox::rings`] says the same.
    pub(in crate::node) fn changes(&self) -> u64 {
        self.changes
    }

    /// Hands at most `budget` records to `handle`, and says how many it took out.
    pub(in crate::node) fn drain<C, F, H>(
        &mut self,
        context: &mut C,
        budget: usize,
        handle: &mut F,
    ) -> usize
    where
        C: AsMut<Outbox>,
        F: FnMut(&mut C, &Record<'_>) -> H,
        H: Into<Handling>,
    {
        let mut taken = 0;
        self.is_crowded = false;
        self.turn = self.turn.wrapping_add(1);
        loop {
            let before = taken;
            let mut has_more = false;
            let controls = self
                .sources
                .partition_point(|source| source.class == Class::Control);
            for (begin, end) in [(0, controls), (controls, self.sources.len())] {
                for step in 0..end.saturating_sub(begin) {
                    let at = begin + (self.turn + step) % (end - begin);
                    let limit = TURN_RECORDS.min(budget - taken);
                    taken += self.visit(at, limit, context, handle);
                    has_more |= self.sources.get(at).is_some_and(Source::has_more);
                }
            }
            if !has_more || taken == before || taken >= budget {
                break;
            }
        }
        if self.sources.iter().any(Source::is_empty) {
            self.let_go();
        }
        if self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        }
        taken
    }

    /// Sources that have no ring any more are over.
    #[cold]
    fn let_go(&mut self) {
        let (rest, over) = std::mem::take(&mut self.sources)
            .into_iter()
            .partition(|source| !source.is_empty());
        self.sources = rest;
        self.missed = sum(self.missed, &over);
    }

    /// Records that were for this node and that their writers dropped.
    pub(super) fn missed(&self) -> u64 {
        sum(self.missed, &self.sources)
    }

    /// One turn of one source.
    fn visit<C, F, H>(&mut self, at: usize, limit: usize, context: &mut C, handle: &mut F) -> usize
    where
        C: AsMut<Outbox>,
        F: FnMut(&mut C, &Record<'_>) -> H,
        H: Into<Handling>,
    {
        let Some(source) = self.sources.get_mut(at) else {
            return 0;
        };
        if let Some((next, bytes)) = source.take_stalled() {
            put_aside(source, next, &bytes, context.as_mut(), &self.letters);
        }
        let mut taken = 0;
        if let Err(error) = source.look() {
            source.close(&error);
            self.changes += 1;
        }
        // What is published meanwhile waits for the next turn: a look at each record would make the writer
        // wait for its cache line at each.
        while taken < limit && source.stalled.is_none() && (taken == 0 || source.has_more()) {
            if context.as_mut().holds(source.class) {
                break;
            }
            let next = match source.next(&mut self.buffer) {
                Ok(Some(next)) => next,
                Ok(None) => {
                    let Some(over) = source.go_on() else {
                        break;
                    };
                    self.changes += 1;
                    let outbox = context.as_mut();
                    let to = outbox.identity.slot;
                    outbox.stem.send(&Ask::Drained(RingKey { to, ..over }));
                    continue;
                }
                Err(error) => {
                    source.close(&error);
                    self.changes += 1;
                    break;
                }
            };
            taken += 1;
            if next.is_poison {
                put_aside(source, next, &self.buffer, context.as_mut(), &self.letters);
                continue;
            }
            deliver(source, next, &self.buffer, context, handle);
            // Large records: their writer can go on while the rest of them is handled.
            if source.owes_much_room() && source.settle() {
                context.as_mut().ring(source.from);
            }
        }
        if source.settle() | source.made_room() {
            context.as_mut().ring(source.from);
        }
        if let Some(bytes) = source.stream().and_then(Receiving::wanted) {
            self.let_grow(at, bytes);
        }
        taken
    }

    /// A record that was kept is handled. False: it is none.
    pub(super) fn release(&mut self, receipt: Receipt, outbox: &mut Outbox) -> bool {
        let mut sources = self.sources.iter_mut();
        let source =
            sources.find(|source| (source.from, source.class) == (receipt.from, receipt.class));
        let Some(source) = source else {
            return false;
        };
        let released = source.release_kept(receipt);
        if let Some((next, bytes)) = source.take_stalled() {
            put_aside(source, next, &bytes, outbox, &self.letters);
        }
        if source.settle() {
            outbox.ring(source.from);
        }
        released
    }
}

fn sum(before: u64, sources: &[Source]) -> u64 {
    let missed = sources.iter().map(Source::missed);
    missed.fold(before, u64::saturating_add)
}

/// Hands a record to its handler, if anybody here wants it.
#[inline]
fn deliver<C, F, H>(source: &mut Source, next: Next, bytes: &[u8], context: &mut C, handle: &mut F)
where
    C: AsMut<Outbox>,
    F: FnMut(&mut C, &Record<'_>) -> H,
    H: Into<Handling>,
{
    let Some((topic, payload)) = record::split(bytes) else {
        log::warn!("peer={} event=bad_record", source.from.0);
        return source.done(next.drained);
    };
    let Some(delivery) = source.delivery(topic, &context.as_mut().wants) else {
        return source.done(next.drained);
    };
    if delivery == Delivery::AtMostOnce {
        source.release_now(next.drained);
    } else {
        source.begin(next.drained);
    }
    let record = Record {
        topic,
        payload,
        receipt: next.receipt,
        ring: next.ring,
        from_guest: next.from_guest,
    };
    match handle(context, &record).into() {
        Handling::Done => source.done(next.drained),
        Handling::Keep => source.keep(next.drained),
    }
}

/// Writes a dead letter and goes on behind it; or stays before it, if it cannot be written, or if what came
/// before it is still being worked on: with the letter that would be released.
#[cold]
fn put_aside(
    source: &mut Source,
    next: Next,
    bytes: &[u8],
    outbox: &Outbox,
    letters: &std::path::Path,
) {
    if source.keeps() {
        source.stalled = Some((next, bytes.to_vec()));
        return;
    }
    let (topic, payload) = record::split(bytes).unwrap_or((&[], bytes));
    let from = outbox.peers.entry(source.from);
    let from = from.map_or("?", |entry| entry.name.as_str());
    let origin = Origin {
        from,
        ring: next.receipt.index,
        number: next.receipt.number,
    };
    let (topic_text, number) = (String::from_utf8_lossy(topic), origin.number);
    match dead_letter::append(letters, origin, topic, payload) {
        Ok(()) => {
            source.release_as_dead_letter(next.drained);
            log::error!(
                "event=dead_letter from={from} topic={topic_text:?} number={number} file={letters:?}"
            );
        }
        Err(error) => {
            log::error!(
                "event=dead_letter_not_written from={from} topic={topic_text:?} number={number} \
                 file={letters:?} error=\"{error}\""
            );
            source.stalled = Some((next, bytes.to_vec()));
        }
    }
}

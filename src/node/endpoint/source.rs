//! One way in: the rings of one class from one node, drained one after the other.
//!
//! Owns: their mappings. A record is released when its handler has returned, but not one by one: the
//! shared position costs a trip of its cache line to the writer and back.

mod streams;

use std::collections::VecDeque;
use std::io;

use super::file::FileId;
use super::receiving::Receiving;
use super::record::Receipt;
use super::seating::HandedRing;
use super::subscriptions::{Delivery, Subscriptions};
use crate::fabric::{Class, RingKey, Slot};
use crate::shm::ring::{Delivery as Drained, Reader, RingId, dropped_on_link};

use super::dead_letter::DEATHS_MAX;

#[derive(Debug)]
pub(super) struct Source {
    pub(super) from: Slot,
    pub(super) class: Class,
    /// In the order in which they took over from one another.
    rings: VecDeque<Incoming>,
    /// Its writer left for good: when its rings are empty, they are over.
    pub(super) is_orphan: bool,
    /// The last record that was handled and not released.
    handled: Option<Drained>,
    /// Something was released, for whatever reason, and nobody has asked whether the writer waits for it.
    has_released: bool,
    /// Records that were drained and kept, and those behind them.
    kept: VecDeque<Drained>,
    /// A dead letter that could not be written, or before which records are kept, and its bytes: nothing
    /// passes it.
    pub(super) stalled: Option<(Next, Vec<u8>)>,
    /// The topic of the last record, and how it is delivered.
    topic: Vec<u8>,
    delivery: Option<Delivery>,
    version: Option<u64>,
    /// Records that this writer dropped, as the rings say that are gone.
    missed: u64,
    /// Records that former writers in this place dropped.
    missed_of_former: u64,
}

#[derive(Debug)]
struct Incoming {
    index: u32,
    file: FileId,
    id: RingId,
    from_guest: bool,
    reader: Reader,
    /// What carries the records, if the ring does not: it is the account then.
    stream: Option<Receiving>,
    /// The number of the record that killed too many.
    poison: Option<u64>,
}

/// A record as it comes out of a ring; its bytes are in the caller's buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    pub(super) drained: Drained,
    pub(super) receipt: Receipt,
    pub(super) ring: RingId,
    pub(super) from_guest: bool,
    /// It killed too many: it is a dead letter.
    pub(super) is_poison: bool,
}

impl Source {
    pub(super) fn new(from: Slot, class: Class) -> Self {
        Self {
            from,
            class,
            rings: VecDeque::new(),
            is_orphan: false,
            handled: None,
            has_released: false,
            kept: VecDeque::new(),
            stalled: None,
            topic: Vec::new(),
            delivery: None,
            version: None,
            missed: 0,
            missed_of_former: 0,
        }
    }

    /// A ring to read, known already or not. `fault`: the last incarnation of this node ended by its
    /// own fault, which is counted against the record it had in hand.
    pub(super) fn hand_over(
        &mut self,
        ring: HandedRing,
        fault: bool,
        record_bytes_max: usize,
    ) -> io::Result<()> {
        let index = ring.key.index;
        let file = FileId::of(&ring.memory)?;
        if let Some(known) = self.rings.iter_mut().find(|known| known.file == file) {
            if let (Some(stream), Some(socket)) = (&mut known.stream, ring.socket) {
                stream.connect(socket);
            }
            return Ok(());
        }
        let mut reader = Reader::map(ring.memory)?;
        let in_hand = if fault {
            reader.count_death()
        } else {
            reader.in_hand()
        };
        let poison = in_hand.filter(|in_hand| in_hand.deaths >= DEATHS_MAX);
        if self.rings.iter().any(|known| known.index == index) {
            // Somebody else has the writer's place; the last one's rings had nothing left.
            self.missed_of_former = self.missed();
            self.missed = 0;
            self.rings.clear();
            self.handled = None;
            self.kept.clear();
        }
        self.is_orphan = false;
        let place = self.rings.partition_point(|known| known.index < index);
        let poison = poison.map(|in_hand| in_hand.number);
        let stream = ring.socket.map(|socket| {
            let mut stream = Receiving::new(record_bytes_max, ring.from_guest);
            stream.connect(socket);
            stream
        });
        self.rings.insert(
            place,
            Incoming {
                index,
                file,
                id: reader.id(),
                from_guest: ring.from_guest,
                reader,
                stream,
                poison,
            },
        );
        Ok(())
    }

    /// Takes the next record out, into `buffer`.
    #[inline]
    pub(super) fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Next>> {
        let Some(ring) = self.rings.front_mut() else {
            return Ok(None);
        };
        let drained = match &ring.stream {
            None => ring.reader.drain(buffer)?,
            Some(_) => self.next_of_stream(buffer)?,
        };
        let (Some(drained), Some(ring)) = (drained, self.rings.front()) else {
            return Ok(None);
        };
        let number = drained.number();
        Ok(Some(Next {
            drained,
            receipt: Receipt {
                from: self.from,
                class: self.class,
                index: ring.index,
                number,
            },
            ring: ring.id,
            from_guest: ring.from_guest,
            is_poison: ring.poison == Some(number),
        }))
    }

    /// Is there something to do here? The last look before sleep.
    #[inline]
    pub(super) fn has_work(&mut self) -> bool {
        let Some(ring) = self.rings.front_mut().filter(|_| self.stalled.is_none()) else {
            return false;
        };
        if ring.stream.is_some() {
            return self.stream_has_work();
        }
        // A ring that is corrupt has work: to be closed.
        if !ring.reader.is_empty().unwrap_or(false) {
            return true;
        }
        let may_go = self.kept.is_empty() && (self.is_orphan || self.rings.len() > 1);
        may_go && self.is_over()
    }

    /// Is there a record that the last look at the ring has seen?
    #[inline]
    pub(super) fn holds_more(&self) -> bool {
        self.rings
            .front()
            .is_some_and(|ring| ring.reader.holds_more())
    }

    /// Is there something to take out without another look at the ring?
    #[inline]
    pub(super) fn has_more(&self) -> bool {
        self.stalled.is_none() && (self.holds_more() || self.rings.len() > 1)
    }

    /// Makes sure that everything published so far is seen. An empty ring is looked at anyway.
    #[inline]
    pub(super) fn look(&mut self) -> io::Result<()> {
        let ring = self.rings.front_mut();
        if let Some(ring) = ring.filter(|ring| ring.reader.holds_more()) {
            ring.reader.look_at_tail()?;
        }
        Ok(())
    }

    /// Nothing will come by the first ring any more, and nothing is left in it.
    fn is_over(&mut self) -> bool {
        let Some(ring) = self.rings.front_mut() else {
            return false;
        };
        if self.is_orphan {
            // Its writer was gone before this look.
            return ring.reader.is_empty().unwrap_or(true);
        }
        self.rings.len() > 1
            && self
                .rings
                .front_mut()
                .is_some_and(|ring| ring.reader.moved_on().is_ok_and(|next| next.is_some()))
    }

    /// Goes on to the next ring if the first is over, and says which that was.
    pub(super) fn go_on(&mut self) -> Option<RingKey> {
        let has_next = self.rings.len() > 1;
        if !(self.is_orphan || has_next) || !self.kept.is_empty() || !self.is_over() {
            return None;
        }
        self.release_handled();
        if let Some(ring) = self.rings.front_mut().filter(|ring| ring.stream.is_some()) {
            ring.reader.give_up_queue(); // its writer's, who will not do it any more
        }
        self.missed = self.missed.max(self.dropped());
        let ring = self.rings.pop_front()?;
        if let Some(next) = self.rings.front_mut() {
            next.reader.take_over(&ring.reader);
        }
        Some(RingKey {
            from: self.from,
            to: Slot(u32::MAX),
            class: self.class,
            index: ring.index,
        })
    }

    /// How this node wants records of this topic.
    #[inline]
    pub(super) fn delivery(&mut self, topic: &[u8], wants: &Subscriptions) -> Option<Delivery> {
        if self.version != Some(wants.version()) || self.topic != topic {
            topic.clone_into(&mut self.topic);
            self.version = Some(wants.version());
            self.delivery = wants.delivery(topic);
        }
        self.delivery
    }

    /// The handling of a record begins.
    #[inline]
    pub(super) fn begin(&mut self, drained: Drained) {
        if let Some(ring) = self.rings.front_mut() {
            ring.reader.take_in_hand(drained);
        }
    }

    /// A record is handled; it is released with others.
    #[inline]
    pub(super) fn done(&mut self, drained: Drained) {
        self.handled = Some(drained);
    }

    /// A record is still being worked on; its handler has returned, and is no suspect any more.
    pub(super) fn keep(&mut self, drained: Drained) {
        if let Some(ring) = self.rings.front_mut() {
            ring.reader.put_down();
        }
        // What was handled before it can go.
        self.release_handled();
        self.kept.push_back(drained);
    }

    /// Are records before the next one still being worked on?
    pub(super) fn keeps(&self) -> bool {
        !self.kept.is_empty()
    }

    /// A record that was kept, and those before it, are handled. False: it is none.
    pub(super) fn release_kept(&mut self, receipt: Receipt) -> bool {
        let Some(ring) = self
            .rings
            .front_mut()
            .filter(|ring| ring.index == receipt.index)
        else {
            return false;
        };
        let mut released = None;
        while let Some(first) = self
            .kept
            .front()
            .filter(|first| first.number() <= receipt.number)
        {
            released = Some(*first);
            self.kept.pop_front();
        }
        if let Some(drained) = released {
            ring.reader.release(drained);
            self.has_released = true;
        }
        released.is_some()
    }

    /// Releases a record, and all before it, at once.
    pub(super) fn release_now(&mut self, drained: Drained) {
        self.handled = Some(drained);
        self.release_handled();
    }

    /// What is to be put aside, if nothing before it is kept any more.
    pub(super) fn take_stalled(&mut self) -> Option<(Next, Vec<u8>)> {
        self.stalled.take_if(|_| self.kept.is_empty())
    }

    /// Releases a record as a dead letter, and all before it: none of them may be [kept](Source::keeps).
    pub(super) fn release_as_dead_letter(&mut self, drained: Drained) {
        self.release_handled();
        if let Some(ring) = self.rings.front_mut() {
            ring.reader.release_as_dead_letter(drained);
            self.has_released = true;
        }
    }

    /// Releases what was handled, unless a record before it is kept.
    fn release_handled(&mut self) {
        if !self.kept.is_empty() {
            return;
        }
        if let (Some(drained), Some(ring)) = (self.handled.take(), self.rings.front_mut()) {
            ring.reader.release(drained);
            self.has_released = true;
        }
    }

    /// Has so much been drained since the last release that its writer may want the room?
    #[inline]
    pub(super) fn owes_much_room(&self) -> bool {
        let ring = self.rings.front();
        ring.is_some_and(|ring| ring.reader.owes_much_room())
    }

    /// Releases what was handled. Returns whether the writer waits for room and has it now.
    #[inline]
    pub(super) fn settle(&mut self) -> bool {
        self.release_handled();
        std::mem::take(&mut self.has_released) && self.room_is_wanted()
    }

    /// Does the writer wait for room that is there?
    pub(super) fn room_is_wanted(&self) -> bool {
        let ring = self.rings.front();
        ring.is_some_and(|ring| ring.reader.room_is_wanted())
    }

    /// Lets go of a ring that is spoiled.
    pub(super) fn close(&mut self, error: &io::Error) {
        log::warn!(
            "peer={} event=ring_closed side=reader error=\"{error}\"",
            self.from.0
        );
        self.give_up_stream();
        self.missed = self.missed.max(self.dropped());
        self.rings.pop_front();
        self.handled = None;
        self.kept.clear();
        self.stalled = None;
    }

    /// Records that were for this node and that whoever wrote here dropped.
    pub(super) fn missed(&self) -> u64 {
        let missed = self.missed.max(self.dropped());
        self.missed_of_former.saturating_add(missed)
    }

    /// As the rings say that are still there.
    fn dropped(&self) -> u64 {
        dropped_on_link(self.rings.iter().map(|ring| ring.reader.dropped()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rings.is_empty()
    }

    /// The rings that are not drained and let go.
    pub(super) fn rings(&self) -> impl Iterator<Item = RingId> {
        self.rings.iter().map(|ring| ring.id)
    }
}

//! Bells that are rung later: who writes logs need not be woken for each line.
//!
//! The records are safe as ever, in their rings. What is owed is a bell for each reader, after so many
//! records or so long a time, whichever comes first, and before the ring is a quarter full: a reader
//! that sleeps had nothing there when it fell asleep, so what was pushed since is all that there is.

use std::time::{Duration, Instant};

use super::Outbox;
use crate::fabric::{Class, Slot};
use crate::node::endpoint::route::Reach;
use crate::shm::ring::{EMPTY_RECORD_BYTES, RingId};
use crate::sys::clock;

#[derive(Debug, Default)]
pub(super) struct Delayed {
    /// After so many records a bell is rung; 0 and 1: at each.
    records_max: u32,
    /// No bell is owed longer.
    time_max: Duration,
    owed: Vec<Owed>,
    /// When the first of them is due.
    due: Option<Instant>,
}

/// A bell that is to be rung.
#[derive(Debug)]
struct Owed {
    to: Slot,
    records: u32,
    bytes: usize,
}

impl Delayed {
    /// A record of so many bytes was pushed. True: its reader's bell can wait. `bytes_max`: with more
    /// unrung it cannot.
    fn take(&mut self, to: Slot, bytes: usize, bytes_max: usize) -> bool {
        if self.records_max < 2 {
            return false;
        }
        let at = self.owed.iter().position(|owed| owed.to == to);
        let Some(at) = at else {
            self.due
                .get_or_insert_with(|| clock::monotonic() + self.time_max);
            let records = 1;
            self.owed.push(Owed { to, records, bytes });
            return bytes <= bytes_max || !self.pay(self.owed.len() - 1);
        };
        let Some(owed) = self.owed.get_mut(at) else {
            return false;
        };
        owed.records += 1;
        owed.bytes = owed.bytes.saturating_add(bytes);
        let waits = owed.records < self.records_max && owed.bytes <= bytes_max;
        waits || !self.pay(at)
    }

    /// This bell is rung now.
    fn pay(&mut self, at: usize) -> bool {
        self.owed.swap_remove(at);
        if self.owed.is_empty() {
            self.due = None;
        }
        true
    }
}

impl Outbox {
    /// The bells for records that are [published in bulk](Outbox::publish_bulk) are rung after so many
    /// of them for one reader, or this long after the first, or when a quarter of the reader's ring is
    /// full. At first, each is rung at once. Over streams each is written and rung as others are.
    ///
    /// Somebody has to call: [`Endpoint::wait`](super::super::Endpoint::wait) and
    /// [`Endpoint::drain`](super::super::Endpoint::drain) ring what is due, [`Outbox::flush`] rings all.
    pub fn delay_bells(&mut self, records: u32, time: Duration) {
        self.ring_delayed();
        self.delayed.records_max = records;
        self.delayed.time_max = time;
    }

    /// As [`Outbox::publish`], by the bulk ring whatever the topic, and with its bells
    /// [delayed](Outbox::delay_bells).
    pub fn publish_bulk(&mut self, topic: &[u8], payload: &[u8]) -> bool {
        let reach = self.reach_bulk(topic, payload);
        reach.is_whole() && topic.len() <= crate::topic::TOPIC_BYTES_MAX && !self.is_lost
    }

    /// As [`Outbox::publish_bulk`], and says how many want it and how many have it.
    pub fn reach_bulk(&mut self, topic: &[u8], payload: &[u8]) -> Reach {
        self.reach_by(Some(Class::Bulk), topic, payload)
    }

    /// How many records this ring has accepted. `None`: this node does not write it, and it is drained, or
    /// its reader has left.
    #[must_use]
    pub fn accepted_by(&self, ring: RingId) -> Option<u64> {
        self.links.iter().find_map(|link| link.accepted_by(ring))
    }

    /// A record was pushed: can its reader's bell wait?
    pub(super) fn delays(&mut self, to: Slot, class: Class, length: usize) -> bool {
        let ring = self.link(to, class).and_then(|link| link.ring_bytes());
        let Some(quarter) = ring.and_then(|bytes| usize::try_from(bytes / 4).ok()) else {
            return false;
        };
        let bytes = length.saturating_add(2 * EMPTY_RECORD_BYTES);
        self.delayed.take(to, bytes, quarter)
    }

    /// Records of whose bells none has rung.
    pub(super) fn delayed_records(&self) -> u64 {
        let owed = self.delayed.owed.iter();
        owed.map(|owed| u64::from(owed.records)).sum()
    }

    /// Rings all bells that are owed.
    pub(super) fn ring_delayed(&mut self) {
        if self.delayed.owed.is_empty() {
            return;
        }
        self.delayed.due = None;
        for owed in std::mem::take(&mut self.delayed.owed) {
            self.ring(owed.to);
        }
    }

    /// Rings them if they are due.
    #[inline]
    pub(in crate::node::endpoint) fn ring_due(&mut self) {
        if self
            .delayed
            .due
            .is_some_and(|due| due <= clock::monotonic())
        {
            self.ring_delayed();
        }
    }

    /// When a bell is due, if one is owed.
    pub(in crate::node::endpoint) fn bells_due(&self) -> Option<Instant> {
        self.delayed.due
    }

    /// As [`Endpoint::hold_bulk`](super::super::Endpoint::hold_bulk), from within a handler.
    pub fn hold_bulk(&mut self, hold: bool) {
        self.holds_bulk = hold;
    }

    /// Is nothing taken out of rings of this class?
    #[inline]
    pub(in crate::node::endpoint) fn holds(&self, class: Class) -> bool {
        self.holds_bulk && class == Class::Bulk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delayed(records_max: u32) -> Delayed {
        Delayed {
            records_max,
            time_max: Duration::from_secs(1),
            ..Delayed::default()
        }
    }

    #[test]
    fn a_bell_waits_for_so_many_records_of_its_own_reader() {
        let mut delayed = delayed(3);
        let mut take = |to| delayed.take(Slot(to), 10, 1000);
        let waits = [1, 2, 1, 2, 1, 1, 2].map(&mut take);
        assert_eq!(waits, [true, true, true, true, false, true, false]);
        let owed: Vec<Slot> = delayed.owed.iter().map(|owed| owed.to).collect();
        assert_eq!(owed, [Slot(1)]);
        assert!(delayed.due.is_some());
    }

    #[test]
    fn a_bell_does_not_wait_where_much_lies_unread_or_nothing_was_asked() {
        let mut delayed = delayed(1000);
        assert!(delayed.take(Slot(1), 600, 1000));
        assert!(!delayed.take(Slot(1), 600, 1000));
        assert!(!delayed.take(Slot(1), 1001, 1000));
        assert!(delayed.owed.is_empty() && delayed.due.is_none());
        assert!(!self::delayed(0).take(Slot(1), 1, 1000));
    }
}

//! For a publisher whose readers have to be told something before its records: who gets them.

use super::Outbox;
use crate::fabric::{Class, Slot};
use crate::names::LifeId;
use crate::node::endpoint::link::Before;
use crate::node::endpoint::route::Reach;

impl Outbox {
    /// Reads the board if it has changed. Returns [`Outbox::peers_version`].
    #[inline]
    pub(in crate::node) fn look(&mut self) -> u64 {
        if self.peers.is_stale() {
            // A program that only publishes has no other occasion to find that the stem is another one.
            self.receive();
        }
        self.peers.version()
    }

    /// Who gets what is published on this topic, and as which processes, as of the last look.
    pub(in crate::node) fn receivers(&self, topic: &[u8]) -> Vec<(Slot, LifeId)> {
        let mut receivers = Vec::new();
        self.peers.for_each_subscriber(topic, |slot| {
            let life = self.peers.entry(*slot).map(|entry| entry.id);
            receivers.extend(life.map(|life| (*slot, life)));
        });
        receivers.sort_unstable();
        receivers
    }

    /// As [`Outbox::reach_bulk`] to those whom the last look found: who came since gets nothing.
    ///
    /// `before`, if there is one, is told by which ring and with which number the record is accepted, when
    /// nothing but a death can keep it from that: after one, [`Outbox::accepted_by`] says whether it was.
    /// With several receivers it is told of each. Such a publisher tries again with what is not accepted,
    /// so that is not counted. Over streams a record is accepted when it is queued, for better or worse.
    pub(in crate::node) fn reach_bulk_as_seen(
        &mut self,
        topic: &[u8],
        payload: &[u8],
        before: Before<'_>,
    ) -> Reach {
        self.reach_as_seen(Some(Class::Bulk), topic, payload, before)
    }

    /// Rings the bells that were [delayed](Outbox::delay_bells). Returns for how many records.
    pub(in crate::node) fn ring_delayed_now(&mut self) -> u64 {
        let records = self.delayed_records();
        self.ring_delayed();
        records
    }
}

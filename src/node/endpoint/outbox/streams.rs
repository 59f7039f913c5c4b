//! What is to be done only where links are streams: what was queued has to be written.
//!
//! Nobody else writes it: this node does when it publishes, drains, waits, ends a batch or flushes.

use super::Outbox;
use crate::fabric::{Class, Policy, RECORD_HEADER_BYTES, Slot};
use crate::node::endpoint::link::Link;
use crate::node::endpoint::sending::Limits;
use crate::sys::clock;

impl Outbox {
    /// A record was queued: is it held back for the next ones? If it is, nobody need be woken for it.
    #[inline(never)]
    pub(super) fn gathers(&mut self, to: Slot, class: Class) -> bool {
        if self.batch.is_some() {
            return false; // the end of the batch writes it
        }
        let bell = usize::try_from(to.0).ok().and_then(|at| self.bells.get(at));
        let sleeps = !matches!(bell, Some(Some(bell)) if !bell.is_asleep());
        let Some(stream) = self.link(to, class).and_then(Link::stream) else {
            return false;
        };
        let gathers = stream.may_gather(clock::tick(), sleeps);
        if gathers && !std::mem::replace(&mut stream.is_listed, true) {
            self.unwritten.push((to, class));
        }
        gathers
    }

    /// Writes what is queued for the node in this place, and says whether that has something new.
    pub(super) fn write_to(&mut self, to: Slot) -> bool {
        let control = self.write_link(to, Class::Control);
        self.write_link(to, Class::Bulk) || control
    }

    fn write_link(&mut self, to: Slot, class: Class) -> bool {
        let Some(link) = self.link(to, class) else {
            return false;
        };
        let any = link.pump();
        let stream = link.stream();
        let stream = stream.filter(|stream| !stream.is_listed && stream.has_unwritten());
        if let Some(stream) = stream {
            stream.is_listed = true;
            self.unwritten.push((to, class));
        }
        any
    }

    /// Goes on with what has gathered, and with streams whose sockets were full.
    #[inline]
    pub(in crate::node::endpoint) fn go_on_writing(&mut self) {
        if !self.unwritten.is_empty() {
            self.write_all();
        }
    }

    #[cold]
    fn write_all(&mut self) {
        let unwritten = std::mem::take(&mut self.unwritten);
        for (to, class) in &unwritten {
            if let Some(stream) = self.link(*to, *class).and_then(Link::stream) {
                stream.is_listed = false;
            }
        }
        for (to, class) in unwritten {
            if self.write_link(to, class) {
                self.ring_bell(to);
            }
        }
    }

    /// Writes what streams have queued, as far as their sockets take it, and wakes who is to read it. True:
    /// that is all; over rings there never is more. Bells that were [delayed](Outbox::delay_bells) ring.
    pub fn flush(&mut self) -> bool {
        self.ring_delayed();
        self.go_on_writing();
        self.unwritten.is_empty()
    }

    /// No larger record goes by a stream, in bytes of topic and payload with what stands before them.
    pub(in crate::node::endpoint) fn stream_record_bytes_max(&self) -> usize {
        let most = self.spec.record_bytes_max;
        usize::try_from(most.saturating_add(RECORD_HEADER_BYTES)).unwrap_or(usize::MAX)
    }

    /// A stream's queue is as large as a ring would be. If it is to drop its oldest records, half of it
    /// is kept out of the socket, for what is in there cannot be taken back.
    pub(super) fn limits(&self, class: Class) -> Limits {
        let bytes = match class {
            Class::Control => self.spec.control_bytes,
            Class::Bulk => self.spec.bulk_bytes,
        };
        let bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut policies = self.spec.policies.iter();
        let drops_oldest = policies.any(|entry| entry.policy == Policy::DropOldest);
        Limits {
            bytes_max,
            placed_bytes_max: if drops_oldest {
                bytes_max / 2
            } else {
                bytes_max
            },
            record_bytes_max: self.stream_record_bytes_max(),
        }
    }
}

/// Who leaves rings the bells that it owes, writes what can be written at once, and counts as lost what nobody will write any more.
impl Drop for Outbox {
    fn drop(&mut self) {
        self.ring_delayed();
        if self.has_streams {
            self.go_on_writing();
            self.links.iter_mut().for_each(Link::give_up);
        }
    }
}

//! What a publish does when a ring is missing, too small or full: ask, wait within a limit, or drop and
//! count.

use std::time::{Duration, Instant};

use super::Outbox;
use crate::fabric::{Ask, Class, Policy, Refusal, Slot, Wait};
use crate::node::endpoint::link::{Asked, Before, Link, Refused, again};
use crate::node::endpoint::record::LENGTH_BYTES;
use crate::node::endpoint::route::{Target, may_wait_for};
use crate::node::endpoint::sleep::sleep_until;
use crate::node::endpoint::wait::LINGER;
use crate::shm::ring::DropReason;
use crate::sys::clock;

/// A record is pushed again after a larger ring came or room appeared. More often than this, something
/// takes it away as fast as it comes.
const PUSHES_MAX: u32 = 8;

/// Looks for room without a look at the clock.
const LOOKS_MAX: u32 = 16;

/// Pauses of the processor between two looks for room: each takes a cache line from the reader.
const PAUSES: u32 = 16;

/// What came of asking for a ring.
enum Obtained {
    Ring,
    Late,
    Refused(Refusal),
}

impl Outbox {
    /// What a publish does when a record does not go into its ring at once.
    #[cold]
    pub(super) fn push_slowly(
        &mut self,
        target: Target,
        class: Class,
        parts: &[&[u8]],
        (mut refused, mut before): (Refused, Before<'_>),
    ) -> bool {
        let Target { to, policy } = target;
        let record_bytes: usize = parts.iter().map(|part| part.len()).sum();
        let tries_again = before.is_some();
        for _ in 0..PUSHES_MAX {
            let dropped = match refused {
                Refused::NoRing => self.obtain_ring(to, class, record_bytes),
                Refused::Full => self.find_room(to, class, record_bytes, policy),
                Refused::Cut => Some(DropReason::Disconnected),
                Refused::Spoiled => Some(DropReason::NoRing),
            };
            if let Some(reason) = dropped {
                return !tries_again && self.drop_record(to, class, reason);
            }
            let link = self.link(to, class);
            match link.map(|link| link.push(parts, again(&mut before))) {
                Some(Ok(())) => {
                    self.ring(to);
                    return true;
                }
                Some(Err(again)) => refused = again,
                None => return false,
            }
        }
        !tries_again && self.drop_record(to, class, DropReason::Full)
    }

    /// Counts a record that does not go. It is false, which is what becomes of the publish.
    pub(super) fn drop_record(&mut self, to: Slot, class: Class, reason: DropReason) -> bool {
        let counted = self.link(to, class).is_some_and(|link| link.count(reason));
        if !counted {
            self.peers.board().count_no_ring(self.identity.slot, to);
        }
        false
    }

    /// Gets a ring that takes the record. `Some`: why the record is dropped instead.
    fn obtain_ring(&mut self, to: Slot, class: Class, record_bytes: usize) -> Option<DropReason> {
        // The bells of what was published before have to ring before this waits.
        self.ring_batch();
        match self.ask_for_ring(to, class, record_bytes) {
            Obtained::Ring => None,
            Obtained::Refused(Refusal::TooLarge) => Some(DropReason::TooLarge),
            Obtained::Late | Obtained::Refused(_) => Some(DropReason::NoRing),
        }
    }

    fn ask_for_ring(&mut self, to: Slot, class: Class, record_bytes: usize) -> Obtained {
        let wanted = u32::try_from(record_bytes).unwrap_or(u32::MAX);
        let until = clock::monotonic() + self.spec.ring_wait;
        let Some(link) = self.link(to, class) else {
            return Obtained::Refused(Refusal::NoSuchPeer);
        };
        let asked = link.asked.as_ref();
        if let Some(why) = asked.and_then(|asked| asked.still_refused(wanted, clock::monotonic())) {
            return Obtained::Refused(why.clone());
        }
        let asked = asked.filter(|asked| asked.record_bytes >= wanted && asked.refused.is_none());
        let until = asked.map_or(until, |asked| asked.until);
        if asked.is_none() {
            link.asked = Some(Asked {
                record_bytes: wanted,
                until,
                refused: None,
            });
            let ask = Ask::Ring {
                to,
                class,
                record_bytes: wanted,
            };
            if !self.stem.send(&ask) {
                if let Some(asked) = self.link(to, class).and_then(|link| link.asked.as_mut()) {
                    asked.refused = Some(Refusal::System("the stem does not read".to_owned()));
                }
                return Obtained::Late;
            }
        }
        loop {
            self.receive();
            let Some(link) = self.link(to, class) else {
                return Obtained::Refused(Refusal::NoSuchPeer);
            };
            if link.takes(record_bytes) {
                return Obtained::Ring;
            }
            match &link.asked {
                // The peer left meanwhile.
                None => return Obtained::Refused(Refusal::NoSuchPeer),
                Some(Asked {
                    refused: Some(why), ..
                }) => return Obtained::Refused(why.clone()),
                Some(_) => {}
            }
            let is_over = self.stem.is_gone() || clock::monotonic() >= until;
            if is_over || !self.wait_for_stem(until) {
                return Obtained::Late;
            }
        }
    }

    fn wait_for_stem(&mut self, until: Instant) -> bool {
        let wake = self.stem.deadline().map_or(until, |retry| retry.min(until));
        let slept = match self.stem.descriptor() {
            Some(socket) => sleep_until(&[socket], Some(wake)),
            None => sleep_until(&[], Some(wake)),
        };
        slept.is_ok()
    }

    /// Waits for room if the target is one of those that are waited for. `Some`: why the record is dropped
    /// instead.
    fn find_room(
        &mut self,
        to: Slot,
        class: Class,
        record_bytes: usize,
        policy: Policy,
    ) -> Option<DropReason> {
        if self.has_streams {
            self.receive(); // its reader may have another socket, and nothing else have changed
            // What was found full may have taken a part of its queue.
            if self.write_to(to) {
                self.ring_bell(to);
            }
            // Nor may it be thought full for what was released meanwhile.
            let stream = self.link(to, class).and_then(Link::stream);
            if stream.is_some_and(|stream| stream.has_room(record_bytes)) {
                return None;
            }
        }
        match policy {
            Policy::Block(time) => self.wait_for_room(to, class, record_bytes, time),
            Policy::Disconnect => {
                if let Some(link) = self.link(to, class) {
                    link.cut = true;
                }
                Some(DropReason::Disconnected)
            }
            Policy::DropOldest => {
                let link = self.link(to, class);
                let there = link.is_some_and(|link| link.drop_oldest(record_bytes));
                (!there).then_some(DropReason::Full)
            }
            Policy::DropNewest => {
                let tick = self.has_streams.then(clock::tick);
                if let Some(link) = self.link(to, class) {
                    link.is_full_for(record_bytes.saturating_sub(LENGTH_BYTES), tick);
                }
                Some(DropReason::Full)
            }
        }
    }

    /// Is the target still one of those that are waited for? Nobody else looks at the board while this
    /// node waits.
    fn may_still_wait_for(&self, to: Slot) -> bool {
        let peer = self.peers.board().entry(to);
        peer.is_some_and(|peer| may_wait_for(self.identity.role, &peer))
    }

    fn wait_for_room(
        &mut self,
        to: Slot,
        class: Class,
        record_bytes: usize,
        time: Duration,
    ) -> Option<DropReason> {
        self.ring_batch();
        let until = clock::monotonic() + time;
        if self.spin_for_room(to, class, record_bytes, until) {
            return None;
        }
        loop {
            self.bell.doze();
            if self.has_streams {
                // A logger that was born again comes with another socket.
                self.receive();
            }
            // The last look, behind the fence: at the room, and at the logger's state, whose change
            // rings as well.
            let room = self.wants_room(to, class, record_bytes);
            let over = clock::monotonic() >= until || !self.may_still_wait_for(to);
            let slept = match room {
                Some(Ok(false)) if !over => {
                    let stem = self.stem.descriptor().filter(|_| self.has_streams);
                    let on: Vec<_> = std::iter::once(self.bell.event()).chain(stem).collect();
                    // The next stem is looked for meanwhile.
                    let retry = self.stem.deadline().filter(|_| self.has_streams);
                    sleep_until(&on, Some(retry.map_or(until, |retry| retry.min(until))))
                }
                Some(_) | None => Ok(()),
            };
            let woken = self.bell.wake();
            match room {
                Some(Ok(true)) => return None,
                Some(Ok(false)) if !over && slept.is_ok() && woken.is_ok() => {}
                Some(Ok(false)) => {
                    if let Some(link) = self.link(to, class) {
                        link.stop_waiting();
                    }
                    return Some(DropReason::Timeout);
                }
                Some(Err(_)) | None => return Some(DropReason::NoRing),
            }
        }
    }

    fn wants_room(
        &mut self,
        to: Slot,
        class: Class,
        record_bytes: usize,
    ) -> Option<Result<bool, Refused>> {
        if self.has_streams && self.write_to(to) {
            self.ring_bell(to);
        }
        let link = self.link(to, class)?;
        Some(link.wants_room(record_bytes))
    }

    /// As long as this node looks for records before it sleeps, it looks for room, too: as in the midst of a
    /// stream, which it is.
    fn spin_for_room(
        &mut self,
        to: Slot,
        class: Class,
        record_bytes: usize,
        until: Instant,
    ) -> bool {
        let until = match self.wait {
            Wait::Block => until.min(clock::monotonic() + LINGER),
            Wait::Spin(time) => until.min(clock::monotonic() + time),
            Wait::Busy => until,
        };
        while clock::monotonic() < until && self.may_still_wait_for(to) {
            for _ in 0..LOOKS_MAX {
                match self.wants_room(to, class, record_bytes) {
                    Some(Ok(false)) => (0..PAUSES).for_each(|_| std::hint::spin_loop()),
                    Some(Ok(true)) => return true,
                    Some(Err(_)) | None => return false,
                }
            }
            std::thread::yield_now();
        }
        false
    }

    /// Rings what the batch has left for later: this node is about to wait.
    fn ring_batch(&mut self) {
        self.ring_delayed();
        let Some(batch) = self.batch.take() else {
            return;
        };
        for to in &batch {
            self.ring(*to);
        }
        self.batch = Some(Vec::new());
    }
}

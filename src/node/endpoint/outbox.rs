//! The way out: who wants a record, and what is done when a ring is full or missing.
//!
//! Owns: the links, the bells of the others, this node's own bell and wishes, the seat's socket. A publish
//! that meets rings with room makes no system call and takes no memory.

mod delayed;
mod slowly;
mod streams;
mod telling;

use std::collections::BTreeSet;

use super::link::{Before, Link, Refused, again};
use super::peers::{Change, Peers};
use super::route::{Reach, Route, Target};
use super::seating::{HandedRing, Identity};
use super::stem::Stem;
use super::subscriptions::Subscriptions;
use crate::data::Value;
use crate::data::message::encode_event;
use crate::fabric::{Ask, Class, FabricSpec, Policy, Slot, Wait};
use crate::framework::check_depth;
use crate::shm::bell::{Ringer, Sleeper};
use crate::shm::board::{Entry, State};
use crate::shm::ring::DropReason;
use crate::sys::clock;
use crate::topic::TOPIC_BYTES_MAX;
use delayed::Delayed;

/// Bytes of the buffer that stay for the next event.
const ENCODED_BYTES_KEPT: usize = 64 * 1024;

/// The publishing half of an [`super::Endpoint`]; what a handler publishes with.
#[derive(Debug)]
pub struct Outbox {
    pub(super) identity: Identity,
    pub(super) spec: FabricSpec,
    pub(super) bell: Sleeper,
    pub(super) stem: Stem,
    pub(super) peers: Peers,
    pub(super) wants: Subscriptions,
    /// Rings that this node is to read.
    pub(super) arrived: Vec<HandedRing>,
    /// Places whose nodes left for good: each once, however many leave before anybody drains.
    pub(super) gone: BTreeSet<Slot>,
    /// Two for every place.
    links: Vec<Link>,
    /// By place, of nodes with which a ring is shared.
    bells: Vec<Option<Ringer>>,
    route: Route,
    /// Bells that are rung at the end of the batch.
    batch: Option<Vec<Slot>>,
    /// Bells that are rung later, for bulk records.
    delayed: Delayed,
    /// Nothing is taken out of bulk rings.
    holds_bulk: bool,
    /// Some links are streams: what they have queued is written before the bell is rung.
    has_streams: bool,
    /// Streams that have something queued which is not written.
    unwritten: Vec<(Slot, Class)>,
    pub(super) wait: Wait,
    encoded: Vec<u8>,
    /// This node has said that it is up.
    pub(super) is_announced: bool,
    /// Its place is somebody else's by now. Nobody reads what it writes.
    is_lost: bool,
}

/// Itself, where records are handled with nothing but an outbox.
impl AsMut<Self> for Outbox {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

impl Outbox {
    pub(super) fn new(
        identity: Identity,
        spec: FabricSpec,
        bell: Sleeper,
        stem: Stem,
        peers: Peers,
    ) -> Self {
        let slots = peers.board().slots();
        let wait = spec.wait_of(&identity.name, identity.role);
        Self {
            links: slots
                .clone()
                .flat_map(|_| [Link::default(), Link::default()])
                .collect(),
            bells: slots.map(|_| None).collect(),
            identity,
            bell,
            stem,
            peers,
            wants: Subscriptions::default(),
            arrived: Vec::new(),
            gone: BTreeSet::new(),
            route: Route::new(),
            batch: None,
            delayed: Delayed::default(),
            holds_bulk: false,
            has_streams: false,
            unwritten: Vec::new(),
            wait,
            encoded: Vec::new(),
            is_announced: false,
            is_lost: false,
            spec,
        }
    }

    /// Publishes a record to everybody else who wants its topic. True: for each of them it lies whole in
    /// memory that outlives this node, or is queued if links are streams. False: at least one does not get it, which was counted; or the
    /// topic is longer than 65535 bytes, or this node's place was [lost](super::Endpoint::is_lost).
    ///
    /// May wait for a ring, for `ring_wait` at most, and for room in a logger's ring, as the layout says.
    ///
    /// If links are streams, it is queued in this node's own memory for each of them, and this node has to
    /// write it: it does so at once, but in a flood, and to a socket that is full, at its next publish, drain
    /// or wait, or when told to [flush](Outbox::flush).
    pub fn publish(&mut self, topic: &[u8], payload: &[u8]) -> bool {
        let reach = self.reach(topic, payload);
        reach.is_whole() && topic.len() <= TOPIC_BYTES_MAX && !self.is_lost
    }

    /// Publishes a record, and says how many want it and how many have it.
    pub fn reach(&mut self, topic: &[u8], payload: &[u8]) -> Reach {
        self.reach_by(None, topic, payload)
    }

    /// As [`Outbox::reach`], by the class that its publisher chose, if it did.
    fn reach_by(&mut self, chosen: Option<Class>, topic: &[u8], payload: &[u8]) -> Reach {
        self.look();
        self.reach_as_seen(chosen, topic, payload, None)
    }

    /// As [`Outbox::reach_by`], of those whom the last look found. Who is told before it is accepted tries
    /// again where it is not: that is not counted.
    fn reach_as_seen(
        &mut self,
        chosen: Option<Class>,
        topic: &[u8],
        payload: &[u8],
        mut before: Before<'_>,
    ) -> Reach {
        if !self.route.is_for(topic, &self.peers) {
            self.route
                .find(topic, &self.identity, &self.peers, &self.spec);
        }
        let wanted = self.route.targets.len();
        let topic_length = match u16::try_from(topic.len()) {
            Ok(length) if !self.is_lost => length,
            Ok(_) | Err(_) => return Reach { wanted, taken: 0 },
        };
        let topic_length = topic_length.to_le_bytes();
        let parts: [&[u8]; 3] = [&topic_length, topic, payload];
        let class = chosen.unwrap_or(self.route.class);
        let length = topic.len().saturating_add(payload.len());
        let fits = length <= self.record_bytes_max();
        let has_streams = self.has_streams;
        let tick = || has_streams.then(clock::tick);
        let tries_again = before.is_some();
        let drops_newest = |policy| policy == Policy::DropNewest;
        // A stream that is full may have a reader with another socket, which the slow way finds.
        let drops_in_line = |policy| drops_newest(policy) && !has_streams && !tries_again;
        let mut taken = 0;
        let mut next = 0;
        // By index, for on the slow way all of `self` is needed.
        while let Some(Target { to, policy }) = self.route.targets.get(next).copied() {
            next += 1;
            if !fits {
                self.drop_record(to, class, DropReason::TooLarge);
                continue;
            }
            let Some(link) = self.link(to, class) else {
                continue;
            };
            // One who never reads costs the others next to nothing.
            if drops_newest(policy) && link.stays_full(length, tick) {
                link.count(DropReason::Full);
                continue;
            }
            let whole = match link.push(&parts, again(&mut before)) {
                Ok(()) => {
                    let gathers = has_streams && self.gathers(to, class);
                    let waits = gathers || (chosen.is_some() && self.delays(to, class, length));
                    if !waits {
                        self.ring(to);
                    }
                    true
                }
                Err(Refused::Full) if drops_in_line(policy) && link.count(DropReason::Full) => {
                    link.is_full_for(length, None);
                    false
                }
                Err(refused) => {
                    let before = again(&mut before);
                    self.push_slowly(Target { to, policy }, class, &parts, (refused, before))
                }
            };
            taken += usize::from(whole);
        }
        Reach { wanted, taken }
    }

    /// No larger record is published, in bytes of topic and payload. What a ring needs besides is not
    /// counted.
    #[must_use]
    pub fn record_bytes_max(&self) -> usize {
        usize::try_from(self.spec.record_bytes_max).unwrap_or(usize::MAX)
    }

    /// Publishes an event, encoded once for everybody. Otherwise as [`Outbox::publish`]; false, too, where
    /// the arguments are so deep in one another that nobody could read them.
    pub fn publish_event(&mut self, topic: &[u8], name: &str, args: &[Value]) -> bool {
        if let Err(error) = check_depth(name, args) {
            log::error!("event=not_published error=\"{error}\"");
            return false;
        }
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.clear();
        encode_event(name, args, None, &mut encoded);
        let whole = self.publish(topic, &encoded);
        encoded.shrink_to(ENCODED_BYTES_KEPT);
        self.encoded = encoded;
        whole
    }

    /// Publishes many records and rings each bell once, at the end. Each record is safe when its
    /// `publish` returns, as ever, if links are rings; only its readers may learn of it later.
    pub fn batch<T>(&mut self, publish: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.batch.is_some();
        self.batch.get_or_insert_default();
        let result = publish(self);
        if !outer {
            for to in self.batch.take().unwrap_or_default() {
                self.ring(to);
            }
        }
        result
    }

    /// Is this node's place somebody else's?
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost || self.stem.evicted().is_some()
    }

    /// Everybody else on this host, as the board has it. The view is as old as the last publish or wait.
    pub fn peers(&self) -> impl Iterator<Item = (Slot, &Entry)> {
        self.peers.iter()
    }

    /// Counts the looks that found something new about the others: what [`Outbox::peers`] says is the
    /// same as long as this is.
    #[must_use]
    pub fn peers_version(&self) -> u64 {
        self.peers.version()
    }

    /// Who this is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    #[inline]
    fn link(&mut self, to: Slot, class: Class) -> Option<&mut Link> {
        let at = usize::try_from(to.0).ok()?.checked_mul(2)?;
        self.links.get_mut(at + usize::from(class == Class::Bulk))
    }

    /// Wakes the node in this place if it sleeps.
    #[inline]
    pub(super) fn ring(&mut self, to: Slot) {
        if let Some(batch) = &mut self.batch {
            if batch.last() != Some(&to) && !batch.contains(&to) {
                batch.push(to);
            }
            return;
        }
        if self.has_streams {
            self.write_to(to);
        }
        self.ring_bell(to);
    }

    #[inline]
    fn ring_bell(&self, to: Slot) {
        let bell = usize::try_from(to.0).ok().and_then(|at| self.bells.get(at));
        if let Some(Some(bell)) = bell
            && let Err(error) = bell.ring_if_asleep()
        {
            log::warn!("peer={} event=bell_failed error=\"{error}\"", to.0);
        }
    }

    /// Reads what has changed on the board, and lets go of those who left.
    #[cold]
    pub(super) fn look_at_board(&mut self) {
        let Self {
            peers,
            links,
            bells,
            gone,
            identity,
            ..
        } = self;
        let mut emptied = Vec::new();
        peers.look(|change| {
            let (Change::Gone(slot) | Change::Declared(slot)) = change;
            let Ok(at) = usize::try_from(slot.0) else {
                return;
            };
            let pair = links.iter_mut().skip(at * 2).take(2);
            match change {
                Change::Gone(slot) => {
                    pair.for_each(|link| *link = Link::default());
                    if let Some(bell) = bells.get_mut(at) {
                        *bell = None;
                    }
                    gone.insert(slot);
                    emptied.push(slot);
                }
                Change::Declared(_) => pair.for_each(|link| link.cut = false),
            }
        });
        for slot in emptied {
            peers.board().reset_no_ring(identity.slot, slot);
        }
        self.is_lost = !self.peers.own_entry().is_some_and(|entry| {
            entry.state != State::Left
                && (&entry.name, entry.incarnation)
                    == (&self.identity.name, self.identity.incarnation)
        });
    }

    /// Takes what the stem has sent.
    pub(super) fn receive(&mut self) {
        // A place may have another tenant, whose rings must not meet the last one's.
        if self.peers.is_stale() {
            self.look_at_board();
        }
        let mut may_be_more = true;
        while may_be_more {
            may_be_more = self.stem.receive();
            while let Some(ring) = self.stem.rings.pop_front() {
                self.hand_over(ring);
            }
            while let Some((why, (to, class))) = self.stem.refusals.pop_front() {
                log::warn!("peer={} event=no_ring error=\"{why}\"", to.0);
                if let Some(asked) = self.link(to, class).and_then(|link| link.asked.as_mut()) {
                    asked.refused = Some(why);
                }
            }
        }
        if std::mem::take(&mut self.stem.is_new) {
            self.ask_again();
        }
    }

    /// A ring has come: to write, or to read.
    pub(super) fn hand_over(&mut self, ring: HandedRing) {
        let key = ring.key;
        let writes = key.from == self.identity.slot;
        let peer = if writes { key.to } else { key.from };
        match ring.bell.try_clone().and_then(Ringer::map) {
            Ok(bell) => {
                let place = usize::try_from(peer.0)
                    .ok()
                    .and_then(|at| self.bells.get_mut(at));
                if let Some(place) = place {
                    *place = Some(bell);
                }
            }
            Err(error) => log::warn!("peer={} event=bad_bell error=\"{error}\"", peer.0),
        }
        if !writes {
            self.arrived.push(ring);
            return;
        }
        self.has_streams |= ring.socket.is_some();
        let limits = self.limits(key.class);
        let link = self.link(peer, key.class);
        let handed = link.map(|link| link.hand_over(ring, limits));
        if let Some(Err(error)) = handed {
            log::warn!("peer={} event=bad_ring error=\"{error}\"", peer.0);
        }
        // A predecessor may have died between its last record and the bell.
        self.ring(peer);
    }

    /// The stem is another one: it does not know what its predecessor was asked.
    fn ask_again(&mut self) {
        if self.is_announced {
            self.stem.send(&Ask::Announce);
        }
        let slots = self.peers.board().slots();
        for (to, class) in slots.flat_map(|to| [(to, Class::Control), (to, Class::Bulk)]) {
            if let Some(asked) = self.link(to, class).and_then(|link| link.asked.as_ref()) {
                let record_bytes = asked.record_bytes;
                self.stem.send(&Ask::Ring {
                    to,
                    class,
                    record_bytes,
                });
            }
        }
    }
}

//! The stem's part in the fabric: it makes what nodes share, sees that it outlives them, brings the two
//! ends of a ring together, and writes on the board who lives.
//!
//! Owns: the board's mapping, the listening socket of `attach.sock`, its ends of the seat sockets, and a
//! copy of every bell and ring; the supervisor holds the others. Hands over: copies of them, to whoever
//! sits down or asks for a ring.
//! Never: touches a record, waits for a node. A node that does not read its seat socket is told late,
//! and harms nobody.

mod asks;
mod connections;
mod guests;
mod making;
mod places;
mod seats;
mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use cluster::fabric::rings::{Rings, Sizes, Tenant};
use cluster::fabric::streams::{ACCOUNT_BYTES, Streams};
use cluster::fabric::{FabricSpec, RingKey, Slot, Transport, quota};
use cluster::names::NodeName;
use cluster::net::poller::Poller;
use cluster::shm::bell;
use cluster::shm::board::{Board, State};
use cluster::shm::ring::Observer;
use cluster::supervise::vocabulary::{EscrowKey, Report};

pub(super) use connections::ConnectionId;
use connections::Connections;
use places::{Place, Places};
pub(super) use seats::Birth;

use super::Source;
use super::link::Link;

/// An attached program that has not come back so long after its stem's death has left.
const COME_BACK: Duration = Duration::from_secs(2);

/// Bells are rung for changes of the board at most this often: when a thousand nodes are born, each of
/// them need not wake all others a thousand times.
const TOLL_EVERY: Duration = Duration::from_millis(10);

/// What the system refused for the moment is tried again after this long.
const RETRY: Duration = Duration::from_millis(250);

/// What the fabric needs of the rest of the stem.
pub(super) struct Edge<'a> {
    pub(super) link: &'a mut Link,
    pub(super) poller: &'a mut Poller<Source>,
}

impl Edge<'_> {
    fn problem(&mut self, name: Option<&NodeName>, text: String) {
        let name = name.cloned();
        self.link.report(Report::Problem { name, text }, vec![]);
    }

    fn release(&mut self, key: EscrowKey) {
        self.link.report(Report::Released(key), vec![]);
    }
}

/// What the supervisor has given back so far.
#[derive(Debug, Default)]
struct Restored {
    board: Option<OwnedFd>,
    attach_socket: Option<OwnedFd>,
    bell_pages: BTreeMap<Slot, OwnedFd>,
    bells: BTreeMap<Slot, OwnedFd>,
    rings: BTreeMap<RingKey, OwnedFd>,
}

/// The board, once it is there: nobody has a seat before.
#[derive(Debug)]
struct OpenBoard {
    board: Board,
    /// For whoever sits down.
    file: OwnedFd,
}

/// The fabric as the stem sees it.
#[derive(Debug)]
pub(super) struct Fabric {
    spec: FabricSpec,
    /// The cluster's nodes, for whoever sits down.
    layout: Option<OwnedFd>,
    /// The names in it, once a guest wants to know.
    named: Option<BTreeSet<NodeName>>,
    restored: Restored,
    board: Option<OpenBoard>,
    places: Places,
    bells: BTreeMap<Slot, bell::Files>,
    rings: Rings,
    memory: BTreeMap<RingKey, OwnedFd>,
    /// Sockets on their way to their ends, if links are streams.
    streams: Streams<OwnedFd>,
    /// Connections that have a socket coming because its other end went to somebody.
    untold: BTreeSet<ConnectionId>,
    /// For whom no stream could be made, which was complained of.
    unserved: BTreeSet<ConnectionId>,
    /// So many may be open, for rings and for births.
    descriptors_max: u64,
    connections: Connections,
    listener: Option<OwnedFd>,
    /// Whoever the socket's mode lets in may attach.
    open_to_group: bool,
    /// Attached programs that have not come back since the last stem died, and how long they may take.
    missed: BTreeSet<Slot>,
    missed_until: Option<Instant>,
    /// Children whose last incarnation ended by its own fault.
    at_fault: BTreeSet<NodeName>,
    /// They had more to say than they are listened to in one turn.
    interrupted: BTreeSet<ConnectionId>,
    /// The board changed, and the bells were not rung for it.
    toll_is_due: bool,
    /// No bell is rung for a change before.
    quiet_until: Option<Instant>,
    /// More wait at `attach.sock` than are taken in in one turn.
    is_crowded: bool,
    /// Something could not be sent or accepted for the moment.
    is_stuck: bool,
    retry: Option<Instant>,
}

fn needs(record_bytes: u32) -> u32 {
    let capacity = usize::try_from(record_bytes).map(cluster::shm::ring::capacity_for);
    capacity
        .ok()
        .and_then(|bytes| u32::try_from(bytes).ok())
        .unwrap_or(u32::MAX)
}

impl Fabric {
    /// Without a board yet. `descriptors_max`: so many may be open.
    pub(super) fn new(descriptors_max: u64) -> Self {
        Self {
            spec: FabricSpec::default(),
            layout: None,
            named: None,
            restored: Restored::default(),
            board: None,
            places: Places::default(),
            bells: BTreeMap::new(),
            rings: Rings::default(),
            memory: BTreeMap::new(),
            streams: Streams::default(),
            untold: BTreeSet::new(),
            unserved: BTreeSet::new(),
            descriptors_max,
            connections: Connections::default(),
            listener: None,
            open_to_group: false,
            missed: BTreeSet::new(),
            missed_until: None,
            at_fault: BTreeSet::new(),
            interrupted: BTreeSet::new(),
            toll_is_due: false,
            quiet_until: None,
            is_crowded: false,
            is_stuck: false,
            retry: None,
        }
    }

    fn rings_max(&self) -> usize {
        quota::rings_max(self.descriptors_max, self.spec.transport)
    }

    fn sizes(&self) -> Sizes {
        match self.spec.transport {
            Transport::Ring => Sizes::new(&self.spec, needs),
            // Any record goes by the stream; none needs a larger account.
            Transport::Unix => Sizes {
                control_bytes: ACCOUNT_BYTES,
                bulk_bytes: ACCOUNT_BYTES,
                ..Sizes::new(&self.spec, |_| 0)
            },
        }
    }

    /// What a former stem made comes back, before [`Fabric::begin`].
    pub(super) fn restore(&mut self, key: EscrowKey, fd: OwnedFd) {
        match key {
            EscrowKey::Listener { .. } => {} // births have those
            EscrowKey::Board => self.restored.board = Some(fd),
            EscrowKey::AttachSocket => self.restored.attach_socket = Some(fd),
            EscrowKey::BellMemory(slot) => drop(self.restored.bell_pages.insert(slot, fd)),
            EscrowKey::Bell(slot) => drop(self.restored.bells.insert(slot, fd)),
            EscrowKey::Ring(key) => drop(self.restored.rings.insert(key, fd)),
        }
    }

    /// What the layout says. The first time everything has come back that there was: the fabric opens.
    pub(super) fn begin(
        &mut self,
        spec: FabricSpec,
        open_to_group: bool,
        edge: &mut Edge<'_>,
        now: Instant,
    ) {
        (self.spec, self.open_to_group) = (spec, open_to_group);
        let restored = std::mem::take(&mut self.restored);
        let Some(file) = restored.board.filter(|_| self.board.is_none()) else {
            return;
        };
        match Board::map(file.as_fd()) {
            Ok(board) => self.board = Some(OpenBoard { board, file }),
            Err(error) => {
                edge.problem(None, format!("cannot use the board: {error}"));
                return;
            }
        }
        self.take_over_places(now);
        self.take_over_bells(restored.bell_pages, restored.bells, edge);
        self.take_over_rings(restored.rings, edge);
        if let Some(listener) = restored.attach_socket {
            match edge.poller.add(listener.as_fd(), Source::Attach, false) {
                Ok(_) => self.listener = Some(listener),
                Err(error) => edge.problem(None, format!("cannot serve attach.sock: {error}")),
            }
        }
        self.changed();
    }

    /// Another layout is in force: whoever sits is told.
    pub(super) fn lay_out(&mut self, layout: Option<OwnedFd>, edge: &mut Edge<'_>) {
        (self.layout, self.named) = (layout, None);
        let seats: Vec<ConnectionId> = self.connections.seated().collect();
        for id in seats {
            if let Some(connection) = self.connections.get_mut(id) {
                connection.outbox.layout = true;
            }
            self.tell(id, edge);
        }
    }

    /// The children of the last stem died with it; programs that were attached to it may come back.
    fn take_over_places(&mut self, now: Instant) {
        let Some(OpenBoard { board, .. }) = &self.board else {
            return;
        };
        let slots = u32::try_from(board.slots().count()).unwrap_or(0);
        self.places = Places::new(slots);
        // Nobody ever wrote on it, and each place that is looked at takes a page. From here on somebody may.
        let is_blank = board.change() == 0;
        board.bump();
        if is_blank {
            return;
        }
        for (slot, entry) in board.entries() {
            let mut place = Place::from(entry);
            match place.state {
                State::Born | State::Up if place.attached => {
                    self.missed.insert(slot);
                    self.missed_until = Some(now + COME_BACK);
                }
                State::Born | State::Up => {
                    board.set_state(slot, State::Down);
                    place.state = State::Down;
                }
                State::Down | State::Away | State::Left => {}
            }
            self.places.restore(slot, place);
        }
    }

    /// Both files of a bell, or a new one: its node is told of it when it sits down again.
    fn take_over_bells(
        &mut self,
        mut pages: BTreeMap<Slot, OwnedFd>,
        events: BTreeMap<Slot, OwnedFd>,
        edge: &mut Edge<'_>,
    ) {
        for (slot, event) in events {
            match pages.remove(&slot) {
                Some(page) if self.places.get(slot).is_some() => {
                    self.bells.insert(slot, bell::Files { page, event });
                }
                Some(_) | None => {
                    edge.release(EscrowKey::BellMemory(slot));
                    edge.release(EscrowKey::Bell(slot));
                }
            }
        }
        for slot in pages.into_keys() {
            edge.release(EscrowKey::BellMemory(slot));
        }
    }

    fn take_over_rings(&mut self, rings: BTreeMap<RingKey, OwnedFd>, edge: &mut Edge<'_>) {
        for (key, file) in rings {
            let capacity = file.try_clone().and_then(Observer::map);
            match capacity.map(|observer| u32::try_from(observer.capacity())) {
                Ok(Ok(bytes)) => {
                    self.rings.restore(key, bytes, self.is_attached(key.from));
                    self.memory.insert(key, file);
                }
                Ok(Err(_)) | Err(_) => {
                    edge.problem(None, format!("the memory of {key:?} is no ring any more"));
                    edge.release(EscrowKey::Ring(key));
                }
            }
        }
        // What the last stem had let go of, or was about to.
        let ends: BTreeSet<Slot> = self
            .rings
            .usable()
            .flat_map(|key| [key.from, key.to])
            .collect();
        for slot in ends {
            match self.places.tenant(slot) {
                Tenant::Here => self.ensure_bell(slot, edge),
                Tenant::Nobody => {
                    let gone = self.rings.left(slot, |_| true);
                    self.carry_out(gone, edge);
                }
                Tenant::Left => self.clear_after(slot, edge),
            }
        }
        self.free_places(edge);
    }

    /// The supervisor holds it.
    pub(super) fn on_held(&mut self, key: &EscrowKey, edge: &mut Edge<'_>) {
        if let EscrowKey::Ring(key) = key {
            let deeds = self.rings.held(*key);
            self.carry_out(deeds, edge);
            self.free_places(edge);
        } // bells hold no records: nobody waited for them
    }

    /// Nobody holds rings any more, so none are made: whoever waits for one finds its socket ended.
    pub(super) fn close(&mut self) {
        self.connections = Connections::default();
        self.interrupted.clear();
        self.listener = None;
    }

    /// Something was written on the board.
    fn changed(&mut self) {
        if let Some(OpenBoard { board, .. }) = &self.board {
            board.bump();
            self.toll_is_due = true;
        }
    }

    pub(super) fn next_deadline(&self, now: impl Fn() -> Instant) -> Option<Instant> {
        if !self.interrupted.is_empty() || self.is_crowded || !self.untold.is_empty() {
            return Some(now());
        }
        let toll = self.quiet_until.filter(|_| self.toll_is_due);
        let newcomers = self.connections.newcomers().map(|(_, until)| until);
        [toll, self.retry, self.missed_until]
            .into_iter()
            .flatten()
            .chain(newcomers)
            .min()
    }

    /// The end of a turn: deadlines, and bells for what changed in it.
    pub(super) fn settle(&mut self, now: Instant, edge: &mut Edge<'_>) {
        if self.missed_until.take_if(|at| *at <= now).is_some() {
            for slot in std::mem::take(&mut self.missed) {
                self.leave(slot, edge);
            }
        }
        let silent: Vec<ConnectionId> = self
            .connections
            .newcomers()
            .filter(|(_, until)| *until <= now)
            .map(|(id, _)| id)
            .collect();
        for id in silent {
            self.connections.close(id, edge.poller);
        }
        if self.retry.take_if(|at| *at <= now).is_some() {
            self.untold.extend(self.connections.waiting());
            let connections = &self.connections;
            self.unserved.retain(|id| connections.get(*id).is_some());
            self.is_crowded = true;
        }
        // Telling one of a stream makes another one untold.
        while let Some(id) = self.untold.pop_first() {
            self.tell(id, edge);
        }
        if std::mem::take(&mut self.is_crowded) {
            self.accept(now, edge);
        }
        if std::mem::take(&mut self.is_stuck) {
            self.retry.get_or_insert(now + RETRY);
        }
        if self.toll_is_due && self.quiet_until.is_none_or(|until| until <= now) {
            self.toll_is_due = false;
            self.quiet_until = Some(now + TOLL_EVERY);
            for slot in self.connections.seats() {
                self.ring_bell(slot);
            }
        }
    }
}

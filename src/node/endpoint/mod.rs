//! The endpoint: how a node publishes and receives on its host.
//!
//! Duty: brings each published record to whoever wants its topic, through one ring for each pair and
//! class, and takes in what comes. Owns: its seat's socket, its own end of every ring, its bell. Leaves
//! to others: making rings and handing them over (the stem), what a record means (its handler).
//!
//! What holds over rings, and the death of any process at any instruction:
//!
//! * [`Outbox::publish`] is true only when the record lies whole in the ring of everybody who wanted
//!   it, and rings outlive their ends. Else it is false, and each drop is counted by its reason.
//! * Records from one node and of one class arrive in the order in which they were published, also
//!   when a larger ring takes over: the writer says so in the old one, and the reader drains that first.
//! * A record comes at least once: after a death, those that were not released come again, at most
//!   [`TURN_RECORDS`] of which had been handled; or at most once, if [`Delivery`] says so.
//! * A record that was in hand when the node died by its own fault three times in a row is put aside in
//!   the file `dead-letter`.
//! * Nothing waits without a limit, and only loggers are waited for.
//!
//! Over streams a publish is true when the record is queued in this node for everybody who wanted it. What
//! dies with a queue or a socket does not come, and is counted as lost; the rest holds as above.
//!
//! A record that meets rings with room costs no system call and no memory on either side.

mod dead_letter;
mod file;
mod inbox;
mod link;
mod outbox;
mod pace;
mod peers;
mod receiving;
mod record;
mod route;
pub(in crate::node) mod seating;
mod sending;
mod sleep;
pub(in crate::node) mod socket;
mod source;
mod stem;
mod subscriptions;
mod wait;

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod kills;

pub use inbox::TURN_RECORDS;
pub(in crate::node) use link::{Before, again};
pub use outbox::Outbox;
pub use record::{Handling, Receipt, Record};
pub use route::Reach;
pub use seating::{Identity, SeatError};
pub use subscriptions::Delivery;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::data::Value;
use crate::fabric::{Ask, CLUSTER_SEAT, VERSION, Wait};
use crate::layout::spec::Role;
use crate::names::NodeName;
use crate::shm::board::Entry;
use crate::shm::ring::RingId;
use crate::sys::{descriptors, unix};
use crate::topic::TooLong;

use inbox::Inbox;
use peers::Peers;
use seating::{SEATING_TIME_MAX, Seated, be_seated};
use socket::SeatSocket;
use stem::Stem;

/// A node's end of the host's fabric.
#[derive(Debug)]
pub struct Endpoint {
    outbox: Outbox,
    inbox: Inbox,
    /// Looks since the socket was looked at.
    looks: u32,
    /// Records taken out since the last wait.
    taken: usize,
    /// How long the next wait pauses before it looks.
    pauses: u32,
}

impl Endpoint {
    /// Sits down on the seat at the other end of this socket. Waits for the stem, at most ten seconds.
    ///
    /// Nothing is received before [`Endpoint::announce`], and what a predecessor wanted still holds.
    ///
    /// # Errors
    /// See [`SeatError`].
    pub fn on(seat: OwnedFd) -> Result<Self, SeatError> {
        let mut socket = SeatSocket::new(seat);
        let seated = be_seated(&mut socket, SEATING_TIME_MAX)?;
        Ok(Self::begin(seated, Stem::of_child(socket)))
    }

    /// Sits down on the seat that the environment names, as a command of the layout does. Once.
    ///
    /// # Errors
    /// See [`SeatError`].
    pub fn from_environment() -> Result<Self, SeatError> {
        let number = std::env::var(CLUSTER_SEAT).ok();
        let number = number.and_then(|number| number.parse().ok());
        let seat = descriptors::take(number.ok_or(SeatError::NoSeat)?)?;
        Self::on(seat)
    }

    /// Attaches a program that the layout does not know, at `attach.sock` of the run directory. It may
    /// have a name given to it. When the endpoint is dropped, it leaves the cluster.
    ///
    /// # Errors
    /// See [`SeatError`].
    pub fn attach(path: &Path, name: Option<NodeName>, role: Role) -> Result<Self, SeatError> {
        Self::attach_within(SEATING_TIME_MAX, path, name, role)
    }

    /// As [`Endpoint::attach`], and gives up after this long.
    ///
    /// # Errors
    /// See [`SeatError`].
    pub fn attach_within(
        limit: Duration,
        path: &Path,
        name: Option<NodeName>,
        role: Role,
    ) -> Result<Self, SeatError> {
        let mut socket = SeatSocket::new(unix::connect_packets(path)?);
        socket.send(&Ask::Attach {
            version: VERSION,
            name,
            role,
        });
        let seated = be_seated(&mut socket, limit)?;
        let (slot, incarnation) = (seated.identity.slot, seated.identity.incarnation);
        let stem = Stem::of_attached(socket, path, slot, incarnation);
        Ok(Self::begin(seated, stem))
    }

    fn begin(seated: Seated, stem: Stem) -> Self {
        let fault = seated.identity.fault;
        let peers = Peers::new(seated.board, seated.identity.slot);
        let mut stem = stem;
        stem.layout = seated.layout;
        let mut outbox = Outbox::new(seated.identity, seated.spec, seated.bell, stem, peers);
        let mut inbox = Inbox::new();
        for ring in seated.rings {
            outbox.hand_over(ring);
        }
        for ring in std::mem::take(&mut outbox.arrived) {
            inbox.hand_over(ring, fault, &mut outbox);
        }
        Self {
            outbox,
            inbox,
            looks: 0,
            taken: 0,
            pauses: 0,
        }
    }

    /// Wants records of all topics that begin with this prefix, from the announcement on, or from now if
    /// that was made.
    ///
    /// # Errors
    /// No topic can begin with it.
    pub fn subscribe(
        &mut self,
        prefix: impl AsRef<[u8]>,
        delivery: Delivery,
    ) -> Result<(), TooLong> {
        self.outbox.subscribe(prefix, delivery)
    }

    /// Does not want this prefix any more. What lies in the rings already is passed over. False: it was
    /// not subscribed.
    pub fn unsubscribe(&mut self, prefix: impl AsRef<[u8]>) -> bool {
        self.outbox.unsubscribe(prefix)
    }

    /// Declares what this node wants, in place of what its predecessor wanted, and lets everybody know
    /// that it is up.
    pub fn announce(&mut self) {
        self.outbox.is_announced = true;
        self.outbox.redeclare();
        self.outbox.stem.send(&Ask::Announce);
    }

    /// As [`Outbox::publish`].
    pub fn publish(&mut self, topic: impl AsRef<[u8]>, payload: &[u8]) -> bool {
        self.outbox.publish(topic.as_ref(), payload)
    }

    /// As [`Outbox::publish_event`].
    pub fn publish_event(&mut self, topic: impl AsRef<[u8]>, name: &str, args: &[Value]) -> bool {
        self.outbox.publish_event(topic.as_ref(), name, args)
    }

    /// The publishing half.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Who this is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.outbox.identity
    }

    /// So long this node waits for a logger, as the layout says.
    #[must_use]
    pub fn block(&self) -> Duration {
        self.outbox.spec.block
    }

    /// Where dead letters are put; `dead-letter` in the working directory if nothing is said.
    pub fn put_dead_letters_into(&mut self, file: PathBuf) {
        self.inbox.letters = file;
    }

    /// Waits as told, and not as the layout says.
    pub fn wait_as(&mut self, wait: Wait) {
        self.outbox.wait = wait;
    }

    /// Hands at most `budget` records to `handle`, which may publish, and returns how many were taken
    /// out; among them are those that nobody here wants any more. Does not wait.
    pub fn drain<F, H>(&mut self, budget: usize, mut handle: F) -> usize
    where
        F: FnMut(&mut Outbox, &Record<'_>) -> H,
        H: Into<Handling>,
    {
        self.outbox.go_on_writing();
        self.outbox.ring_due();
        self.inbox.catch_up(&mut self.outbox);
        self.look_at_socket_now_and_then();
        let taken = self.inbox.drain(&mut self.outbox, budget, &mut handle);
        self.taken += taken;
        taken
    }

    /// The receiving half, for whoever hands all of itself to the handlers of its records. Until it is
    /// taken back, nothing is received.
    pub(in crate::node) fn lend_inbox(&mut self) -> Inbox {
        self.inbox.catch_up(&mut self.outbox);
        self.look_at_socket_now_and_then();
        std::mem::take(&mut self.inbox)
    }

    /// Takes back what was lent, from which so many records were taken out.
    pub(in crate::node) fn take_back(&mut self, inbox: Inbox, taken: usize) {
        self.inbox = inbox;
        self.taken += taken;
    }

    /// This node's own entry on the board.
    #[must_use]
    pub fn own_entry(&self) -> Option<Entry> {
        let (board, identity) = (self.outbox.peers.board(), &self.outbox.identity);
        board.entry(identity.slot)
    }

    /// A record that was [kept](Handling::Keep) is handled, and so are those before it of the same
    /// source. False: it was not kept.
    pub fn release(&mut self, receipt: Receipt) -> bool {
        self.inbox.release(receipt, &mut self.outbox)
    }

    /// Takes nothing out of bulk rings from now on, or does again: what lies there waits, and counts as
    /// nothing to do. So a node shows its writers that it has more in hand than it can hold.
    pub fn hold_bulk(&mut self, hold: bool) {
        self.outbox.hold_bulk(hold);
    }

    /// The rings that are to be read, or have records that are [kept](Handling::Keep). None of another
    /// will come again.
    pub fn rings(&self) -> impl Iterator<Item = RingId> {
        self.inbox.rings()
    }

    /// Counts rings that came and went: what [`Endpoint::rings`] says is the same as long as this is.
    #[must_use]
    pub fn rings_version(&self) -> u64 {
        self.inbox.changes()
    }

    /// Records that were for this node and that their writers dropped, as far as its rings tell; not
    /// counted are those that were dropped because no ring could be had.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.inbox.missed()
    }

    /// The seat's socket, for somebody who does not want records just now. `None`: the stem is not there,
    /// and an attached program waits for the next one; records come and go as ever.
    #[must_use]
    pub fn seat(&self) -> Option<BorrowedFd<'_>> {
        self.outbox.stem.descriptor()
    }

    /// What of the layout came with the seat, as a sealed memory file that holds a
    /// [`SeatLayout`](crate::layout::seats::SeatLayout), and after that whenever there is another one. `None`: it was taken already.
    pub fn take_layout(&mut self) -> Option<OwnedFd> {
        self.outbox.stem.layout.take()
    }

    /// Is there one that was not taken? It may have come with a publish, and wakes nobody then.
    pub(in crate::node) fn has_layout(&self) -> bool {
        self.outbox.stem.layout.is_some()
    }

    /// Has this node lost its place? An attached program has when it did not come back to a new stem in
    /// time, which takes a publish or a wait every second or so. Nothing reaches it, and what it
    /// publishes reaches nobody: drop the endpoint and attach anew.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.outbox.is_lost()
    }
}

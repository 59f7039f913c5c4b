//! The stem's ends of seat sockets: who is at the other end, and what they are still to be told.
//!
//! What is to be told is kept as facts, not as packets: a node that does not read is told of each ring
//! once when it does, and its outbox can never hold more than there are rings.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use cluster::fabric::{Answer, RingKey, Slot};
use cluster::net::poller::{Key, Poller};

use crate::stem::Source;

/// With more refusals unread than this, the oldest is dropped: whoever does not read does not wait.
const REFUSALS_MAX: usize = 64;

/// So often in a row a socket that takes nothing is tried again.
const WAITS_MAX: u32 = 40;

/// Names a connection; never used twice by one stem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::stem) struct ConnectionId(u64);

/// Which process connected to `attach.sock`, as the kernel noted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) pid: i32,
    /// It runs as the supervisor's user, or as root.
    pub(super) is_ours: bool,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// It came to `attach.sock` and has not said yet what it wants; it has until then.
    Newcomer(Peer, Instant),
    /// It has this place.
    Seat(Slot),
    /// It is told what it asked for, and that is all.
    Leaving,
}

/// What comes next on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A welcome, or the board for somebody who looks.
    Greeting(Answer),
    Layout,
    Ring(RingKey),
    Seated,
    Refusal(Answer),
}

/// What is still to be said, in this order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) greeting: Option<Answer>,
    /// The one in force.
    pub(super) layout: bool,
    pub(super) rings: BTreeSet<RingKey>,
    /// After the rings that stood when it sat down.
    pub(super) seated: bool,
    refusals: VecDeque<Answer>,
}

impl Outbox {
    pub(super) fn refuse(&mut self, refusal: Answer) {
        if self.refusals.len() >= REFUSALS_MAX {
            self.refusals.pop_front();
        }
        self.refusals.push_back(refusal);
    }

    pub(super) fn next(&self) -> Option<Word> {
        let ring = || self.rings.first().map(|key| Word::Ring(*key));
        let refusal = || self.refusals.front().cloned().map(Word::Refusal);
        let seated = || self.seated.then_some(Word::Seated);
        let layout = || self.layout.then_some(Word::Layout);
        let greeting = self.greeting.clone().map(Word::Greeting);
        greeting
            .or_else(layout)
            .or_else(ring)
            .or_else(seated)
            .or_else(refusal)
    }

    /// That word was said, or cannot be said any more.
    pub(super) fn said(&mut self, word: &Word) {
        match word {
            Word::Greeting(_) => self.greeting = None,
            Word::Layout => self.layout = false,
            Word::Ring(key) => {
                self.rings.remove(key);
            }
            Word::Seated => self.seated = false,
            Word::Refusal(_) => drop(self.refusals.pop_front()),
        }
    }
}

/// One seat socket.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    key: Key,
    pub(super) whose: Whose,
    pub(super) outbox: Outbox,
    /// It was complained of already.
    pub(super) is_confused: bool,
    /// So often in a row its socket took nothing.
    waited: u32,
}

impl Connection {
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Its socket took that word.
    pub(super) fn took(&mut self, word: &Word) {
        self.outbox.said(word);
        self.waited = 0;
    }

    /// Its socket took nothing. Is it to be tried again soon? Whoever does not read for long is served
    /// when its socket becomes writable.
    pub(super) fn wait(&mut self) -> bool {
        self.waited = self.waited.saturating_add(1);
        self.waited <= WAITS_MAX
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Connections {
    all: BTreeMap<ConnectionId, Connection>,
    seats: BTreeMap<Slot, ConnectionId>,
    next: u64,
}

impl Connections {
    /// Waits for a new one from now on.
    pub(super) fn add(
        &mut self,
        socket: OwnedFd,
        whose: Whose,
        poller: &mut Poller<Source>,
    ) -> io::Result<ConnectionId> {
        let id = ConnectionId(self.next);
        let key = poller.add(socket.as_fd(), Source::Seat(id), true)?;
        self.next = self.next.wrapping_add(1);
        let connection = Connection {
            socket,
            key,
            whose: Whose::Leaving,
            outbox: Outbox::default(),
            is_confused: false,
            waited: 0,
        };
        self.all.insert(id, connection);
        self.is_now(id, whose);
        Ok(id)
    }

    /// Says who is at the other end.
    pub(super) fn is_now(&mut self, id: ConnectionId, whose: Whose) {
        let Some(connection) = self.all.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut connection.whose, whose);
        self.get_up(id, before);
        if let Whose::Seat(slot) = whose {
            self.seats.insert(slot, id);
        }
    }

    /// Whoever sat there by this connection does no longer.
    fn get_up(&mut self, id: ConnectionId, whose: Whose) {
        if let Whose::Seat(slot) = whose
            && self.seats.get(&slot) == Some(&id)
        {
            self.seats.remove(&slot);
        }
    }

    /// Closes it.
    pub(super) fn close(&mut self, id: ConnectionId, poller: &mut Poller<Source>) {
        if let Some(connection) = self.all.remove(&id) {
            poller.remove(connection.key, connection.socket.as_fd());
            self.get_up(id, connection.whose);
        }
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.all.get_mut(&id)
    }

    /// The connection of whoever sits there.
    pub(super) fn of(&self, slot: Slot) -> Option<ConnectionId> {
        self.seats.get(&slot).copied()
    }

    /// Every place in which somebody sits.
    pub(super) fn seats(&self) -> impl Iterator<Item = Slot> + '_ {
        self.seats.keys().copied()
    }

    /// The connections of all who sit.
    pub(super) fn seated(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.seats.values().copied()
    }

    /// Those who have not said yet what they want, each with the time it has.
    pub(super) fn newcomers(&self) -> impl Iterator<Item = (ConnectionId, Instant)> + '_ {
        self.all.iter().filter_map(|(id, it)| match it.whose {
            Whose::Newcomer(_, until) => Some((*id, until)),
            Whose::Seat(_) | Whose::Leaving => None,
        })
    }

    /// Those who still have something to be told.
    pub(super) fn waiting(&self) -> Vec<ConnectionId> {
        let waiting = self.all.iter().filter(|(_, it)| it.outbox.next().is_some());
        waiting.map(|(id, _)| *id).collect()
    }

    /// How many there are that are no child's.
    pub(super) fn guests(&self, is_child: impl Fn(Slot) -> bool) -> usize {
        let guests = self.all.values().filter(|it| match it.whose {
            Whose::Seat(slot) => !is_child(slot),
            Whose::Newcomer(..) | Whose::Leaving => true,
        });
        guests.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::fabric::{Class, Refusal};
    use cluster::sys::packet;

    /// Shows: whoever is dismissed sits nowhere, though its connection stands until it has been told.
    #[test]
    fn whoever_is_to_leave_sits_no_longer() {
        let mut poller = Poller::new().unwrap();
        let mut connections = Connections::default();
        let (ours, _theirs) = packet::pair().unwrap();
        let slot = Slot(3);
        let id = connections.add(ours, Whose::Seat(slot), &mut poller);
        let id = id.unwrap();
        assert_eq!(connections.of(slot), Some(id));
        connections.is_now(id, Whose::Leaving);
        assert_eq!(connections.of(slot), None);
        assert_eq!(
            (connections.seats().count(), connections.seated().count()),
            (0, 0)
        );
        let (ours, _theirs) = packet::pair().unwrap();
        let next = connections.add(ours, Whose::Seat(slot), &mut poller);
        connections.close(id, &mut poller);
        assert_eq!(connections.of(slot), Some(next.unwrap()));
    }

    #[test]
    fn a_seat_is_told_of_its_rings_once_and_then_that_it_is_seated() {
        let key = |index| RingKey {
            from: Slot(0),
            to: Slot(1),
            class: Class::Bulk,
            index,
        };
        let mut outbox = Outbox {
            greeting: Some(Answer::Board),
            layout: true,
            rings: [key(1), key(0), key(1)].into(),
            seated: true,
            ..Outbox::default()
        };
        let refused = |number| Answer::Refused {
            why: Refusal::Confused(format!("{number}")),
            ring: None,
        };
        for number in 0..=REFUSALS_MAX {
            outbox.refuse(refused(number));
        }
        let mut said = Vec::new();
        while let Some(word) = outbox.next() {
            outbox.said(&word);
            said.push(word);
        }
        let first = [
            Word::Greeting(Answer::Board),
            Word::Layout,
            Word::Ring(key(0)),
            Word::Ring(key(1)),
            Word::Seated,
            Word::Refusal(refused(1)),
        ];
        assert_eq!(said[..6], first);
        assert_eq!(said.len(), 5 + REFUSALS_MAX);
    }
}

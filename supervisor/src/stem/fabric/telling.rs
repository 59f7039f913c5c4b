//! From an outbox to its socket: each word becomes a packet with its descriptors, as far as the socket
//! takes them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use cluster::fabric::rings::Tenant;
use cluster::fabric::{Answer, RingKey, Slot, Transport};
use cluster::sys::{descriptors, packet, unix};

use super::connections::{ConnectionId, Whose, Word};
use super::{Edge, Fabric};

/// A packet, and what travels beside it.
struct Parcel<'a> {
    answer: Answer,
    lent: Vec<BorrowedFd<'a>>,
    /// Copies made for this one packet.
    made: Vec<OwnedFd>,
}

impl<'a> Parcel<'a> {
    fn plain(answer: Answer) -> Self {
        Self::lending(answer, vec![])
    }

    fn lending(answer: Answer, lent: Vec<BorrowedFd<'a>>) -> Self {
        let made = Vec::new();
        Self { answer, lent, made }
    }

    fn read_only(answer: Answer, file: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self {
            answer,
            lent: Vec::new(),
            made: vec![descriptors::read_only(file)?],
        })
    }

    fn send(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let bytes = postcard::to_stdvec(&self.answer).map_err(io::Error::other)?;
        let mut fds = self.lent.clone();
        fds.extend(self.made.iter().map(AsFd::as_fd));
        packet::send(socket, &bytes, &fds)
    }
}

impl Fabric {
    /// Says what the socket takes; who is leaving is let go when all is said.
    pub(super) fn tell(&mut self, id: ConnectionId, edge: &mut Edge<'_>) {
        while let Some(connection) = self.connections.get(id) {
            let Some(word) = connection.outbox.next() else {
                if connection.whose == Whose::Leaving {
                    self.connections.close(id, edge.poller);
                }
                return;
            };
            let whose = connection.whose;
            if let Err(error) = self.make_stream(&word, whose) {
                if self.unserved.insert(id) {
                    edge.problem(None, format!("cannot make a stream: {error}; trying again"));
                }
                self.is_stuck = true;
                return;
            }
            self.unserved.remove(&id);
            let Some(connection) = self.connections.get(id) else {
                return;
            };
            let sent = match self.parcel(&word, whose) {
                Some(Ok(parcel)) => parcel.send(connection.socket()),
                Some(Err(error)) => Err(error),
                None => Ok(()), // what it was about is gone by now
            };
            match sent {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.wait_for(id, edge);
                }
                // It is gone, or cannot be served: reading it says the former.
                Err(_) if connection.whose == Whose::Leaving => {
                    self.connections.close(id, edge.poller);
                    return;
                }
                Err(_) => {}
            }
            if let Some(connection) = self.connections.get_mut(id) {
                connection.took(&word);
            }
            if let (Word::Ring(key), Whose::Seat(slot)) = (&word, whose) {
                self.streams.forget(*key, slot); // it has it; a copy here would keep it open
            }
        }
    }

    /// A link that is a stream: whoever is told of it gets an end of a pair, and so does the other one.
    fn make_stream(&mut self, word: &Word, whose: Whose) -> io::Result<()> {
        let (Word::Ring(key), Whose::Seat(slot)) = (word, whose) else {
            return Ok(());
        };
        let is_stream = self.spec.transport == Transport::Unix && self.memory.contains_key(key);
        if !is_stream || !self.streams.ensure(*key, slot, unix::stream_pair)? {
            return Ok(());
        }
        let other = other_end(*key, slot);
        if self.places.tenant(other) != Tenant::Here {
            self.streams.forget(*key, other); // nobody will come for it: this is the end of the file
        }
        if let Some(id) = self.connections.of(other)
            && let Some(connection) = self.connections.get_mut(id)
        {
            connection.outbox.rings.insert(*key);
            self.untold.insert(id);
        }
        Ok(())
    }

    /// Its socket is full, or too many descriptors are under way to be received.
    fn wait_for(&mut self, id: ConnectionId, edge: &mut Edge<'_>) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let is_leaving = connection.whose == Whose::Leaving;
        match connection.wait() {
            true => self.is_stuck = true,
            // A guest that does not even read its last words.
            false if is_leaving => self.connections.close(id, edge.poller),
            false => {}
        }
    }

    fn parcel(&self, word: &Word, whose: Whose) -> Option<io::Result<Parcel<'_>>> {
        Some(Ok(match (word, whose) {
            (Word::Greeting(Answer::Board), _) => {
                let file = self.board.as_ref()?.file.as_fd();
                return Some(Parcel::read_only(Answer::Board, file));
            }
            (Word::Greeting(welcome), Whose::Seat(slot)) => {
                let board = self.board.as_ref()?.file.as_fd();
                let [page, event] = self.bell_of(slot)?;
                Parcel::lending(welcome.clone(), vec![board, page, event])
            }
            (Word::Layout, _) => {
                let layout = self.layout.as_ref()?.as_fd();
                Parcel::lending(Answer::Layout, vec![layout])
            }
            (Word::Ring(key), Whose::Seat(slot)) => {
                let memory = self.memory.get(key)?.as_fd();
                let [page, event] = self.bell_of(other_end(*key, slot))?;
                let socket = self.streams.get(*key, slot).map(AsFd::as_fd);
                let lent = [memory, page, event].into_iter().chain(socket);
                Parcel::lending(self.ring(*key), lent.collect())
            }
            (Word::Ring(key), Whose::Newcomer(..) | Whose::Leaving) => {
                let memory = self.memory.get(key)?.as_fd();
                return Some(Parcel::read_only(self.ring(*key), memory));
            }
            (Word::Seated, _) => Parcel::plain(Answer::Seated),
            (Word::Greeting(answer) | Word::Refusal(answer), _) => Parcel::plain(answer.clone()),
        }))
    }

    fn ring(&self, key: RingKey) -> Answer {
        let from_guest = self.is_attached(key.from);
        Answer::Ring { key, from_guest }
    }

    fn bell_of(&self, slot: Slot) -> Option<[BorrowedFd<'_>; 2]> {
        let files = self.bells.get(&slot)?;
        Some([files.page.as_fd(), files.event.as_fd()])
    }

    /// Refuses something to whoever sits there, if anybody does.
    pub(super) fn refuse_seat(&mut self, slot: Slot, refusal: Answer, edge: &mut Edge<'_>) {
        if let Some(id) = self.connections.of(slot) {
            self.refuse(id, refusal, edge);
        }
    }

    pub(super) fn refuse(&mut self, id: ConnectionId, refusal: Answer, edge: &mut Edge<'_>) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.outbox.refuse(refusal);
        }
        self.tell(id, edge);
    }
}

fn other_end(key: RingKey, slot: Slot) -> Slot {
    if key.from == slot { key.to } else { key.from }
}

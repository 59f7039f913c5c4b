//! What the book of rings asks for, carried out: memory is made, reported, handed over, let go of.

use std::io;
use std::os::fd::OwnedFd;

use cluster::fabric::rings::{Deed, Seen};
use cluster::fabric::{Answer, Refusal, RingKey, Slot};
use cluster::shm::board::State;
use cluster::shm::ring::{self, Reader};
use cluster::shm::{bell, board};
use cluster::supervise::vocabulary::{EscrowKey, Report};

use super::{Edge, Fabric, OpenBoard};

impl Fabric {
    pub(super) fn carry_out(&mut self, deeds: impl IntoIterator<Item = Deed>, edge: &mut Edge<'_>) {
        for deed in deeds {
            match deed {
                Deed::Make { key, bytes } => {
                    if let Err(error) = self.make(key, bytes, edge) {
                        self.rings.not_made(key);
                        let why = Refusal::System(error.to_string());
                        let ring = Some((key.to, key.class));
                        self.refuse_seat(key.from, Answer::Refused { why, ring }, edge);
                    }
                }
                Deed::Tell { key, whom } => self.tell_of_ring(key, whom, edge),
                Deed::LetGo(key) => {
                    self.memory.remove(&key);
                    self.streams.let_go(key);
                    edge.release(EscrowKey::Ring(key));
                }
            }
        }
    }

    fn make(&mut self, key: RingKey, bytes: u32, edge: &mut Edge<'_>) -> io::Result<()> {
        if self.memory.len() >= self.rings_max() {
            let text = format!("there are {} rings already", self.memory.len());
            return Err(io::Error::other(text));
        }
        let memory = ring::create(usize::try_from(bytes).unwrap_or(usize::MAX))?;
        let copy = memory.try_clone()?;
        for end in [key.from, key.to] {
            self.ensure_bell(end, edge);
        }
        edge.link
            .report(Report::Escrow(EscrowKey::Ring(key)), vec![copy]);
        self.memory.insert(key, memory);
        Ok(())
    }

    fn tell_of_ring(&mut self, key: RingKey, whom: Slot, edge: &mut Edge<'_>) {
        let Some(id) = self.connections.of(whom) else {
            return; // told of when it sits down
        };
        if let Some(connection) = self.connections.get_mut(id) {
            connection.outbox.rings.insert(key);
        }
        self.tell(id, edge);
        if whom == key.to {
            self.ring_bell(whom);
        }
    }

    /// The bell of a place, made for whoever needs it first. It is under way to the escrow before anybody
    /// is told of it, and nobody waits for more: it holds no records.
    pub(super) fn ensure_bell(&mut self, slot: Slot, edge: &mut Edge<'_>) {
        if self.bells.contains_key(&slot) {
            return;
        }
        let made = bell::create().and_then(|files| Ok((files.try_clone()?, files)));
        match made {
            Ok((copy, files)) => {
                let mut report = |key, fd: OwnedFd| edge.link.report(Report::Escrow(key), vec![fd]);
                report(EscrowKey::BellMemory(slot), copy.page);
                report(EscrowKey::Bell(slot), copy.event);
                edge.link.flush();
                self.bells.insert(slot, files);
            }
            Err(error) => edge.problem(None, format!("cannot make a bell: {error}")),
        }
    }

    /// Wakes whoever sits there, should it sleep. Without a look whether it does: that would take a
    /// mapping for every node, and a bell rung in vain is harmless.
    pub(super) fn ring_bell(&self, slot: Slot) {
        if let Some(files) = self.bells.get(&slot) {
            // It fails only when it was rung so often before that it cannot count on.
            let _ = nix::unistd::write(&files.event, &1_u64.to_ne_bytes());
        }
    }

    /// What can be seen in a ring, without a walk over what it holds. `None`: it contradicts itself.
    pub(super) fn look(&self, key: RingKey) -> Option<Seen> {
        let memory = self.memory.get(&key)?;
        // Only its reader can tell; it does not touch the memory for that.
        let mut reader = Reader::map(memory.try_clone().ok()?).ok()?;
        Some(Seen {
            is_empty: reader.is_empty().ok()?,
            has_successor: reader.moved_on().ok()?.is_some(),
        })
    }

    /// Somebody left for good: the board says so, and its rings go as far as nobody needs them.
    pub(super) fn leave(&mut self, slot: Slot, edge: &mut Edge<'_>) {
        self.places.leave(slot);
        self.missed.remove(&slot);
        if let Some(OpenBoard { board, .. }) = &self.board {
            board.set_state(slot, State::Left);
        }
        if let Some(id) = self.connections.of(slot) {
            self.connections.close(id, edge.poller);
        }
        self.clear_after(slot, edge);
        self.free_places(edge);
        self.changed();
    }

    pub(super) fn clear_after(&mut self, slot: Slot, edge: &mut Edge<'_>) {
        let from_it: Vec<RingKey> = self.rings.of(slot).filter(|key| key.from == slot).collect();
        // Nobody gets anything out of one that contradicts itself.
        let is_empty = |key: &RingKey| self.look(*key).is_none_or(|seen| seen.is_empty);
        let empty: Vec<RingKey> = from_it.into_iter().filter(is_empty).collect();
        let gone = self.rings.left(slot, |key| empty.contains(&key));
        self.carry_out(gone, edge);
    }

    /// Gives back the places of those who left, when nothing of theirs is left. What was let go of was
    /// reported before: the next one in that place finds none of it.
    pub(super) fn free_places(&mut self, edge: &mut Edge<'_>) {
        for slot in self.places.left() {
            if !self.rings.is_free(slot) {
                continue;
            }
            self.places.free(slot);
            if let Some(OpenBoard { board, .. }) = &self.board {
                board::Board::free(board, slot);
            }
            if self.bells.remove(&slot).is_some() {
                edge.release(EscrowKey::BellMemory(slot));
                edge.release(EscrowKey::Bell(slot));
            }
            self.changed();
        }
    }
}

//! The seats of children: a place from the moment a node is known, a socket at each of its births.

use std::io;
use std::os::fd::OwnedFd;

use cluster::fabric::{Answer, Slot, VERSION};
use cluster::layout::spec::Role;
use cluster::names::{Incarnation, LifeId, NodeName};
use cluster::shm::board::State;
use cluster::supervise::child;
use cluster::sys;

use super::connections::{ConnectionId, Whose};
use super::places::Place;
use super::{Edge, Fabric, OpenBoard};

/// A child that was just born, as far as the board shows it.
#[derive(Debug)]
pub(in crate::stem) struct Birth<'a> {
    pub(in crate::stem) name: &'a NodeName,
    pub(in crate::stem) role: Role,
    pub(in crate::stem) incarnation: Incarnation,
    pub(in crate::stem) pid: i32,
}

/// What the board says of a child that does not run, by the fleet's word for it.
fn at_rest(state: child::State) -> State {
    match state {
        child::State::Stopped | child::State::Finished | child::State::Failed => State::Away,
        child::State::Pending
        | child::State::Backoff
        | child::State::Starting
        | child::State::Ready
        | child::State::Stopping => State::Down,
    }
}

impl Fabric {
    /// Gives a child its place, if it has none yet.
    pub(in crate::stem) fn know(&mut self, name: &NodeName, role: Role, edge: &mut Edge<'_>) {
        let Some(OpenBoard { board, .. }) = &self.board else {
            return;
        };
        match (role, self.places.of_child(name)) {
            // By a new layout it is no member any more.
            (Role::None, Some(slot)) => return self.leave(slot, edge),
            (Role::None, None) | (_, Some(_)) => return,
            (_, None) => {}
        }
        if self.places.is_taken(name) {
            let text = "a program that is attached goes by the same name".to_owned();
            edge.problem(Some(name), text);
        }
        match self.places.give(Place::new(name.clone(), role, false)) {
            Some(slot) => {
                board.occupy(slot, name, role, false);
                self.changed();
            }
            None => {
                let text = "every place on the board is taken: it has no seat".to_owned();
                edge.problem(Some(name), text);
            }
        }
    }

    /// Seats a newborn on its end of a pair, of which this is ours.
    ///
    /// # Errors
    /// The system's. The newborn finds the end of file then.
    pub(in crate::stem) fn seat(
        &mut self,
        birth: &Birth<'_>,
        socket: OwnedFd,
        edge: &mut Edge<'_>,
    ) -> io::Result<()> {
        self.know(birth.name, birth.role, edge);
        let Some(slot) = self.places.of_child(birth.name) else {
            return Ok(()); // told of before
        };
        let pid = u32::try_from(birth.pid).unwrap_or(0);
        self.on_board(slot, birth.role, birth.incarnation, pid)?;
        if let Some(old) = self.connections.of(slot) {
            self.connections.close(old, edge.poller);
        }
        let id = self
            .connections
            .add(socket, Whose::Seat(slot), edge.poller)?;
        let fault = self.at_fault.contains(birth.name);
        self.welcome(id, slot, fault, edge);
        Ok(())
    }

    /// Writes a birth on the board.
    pub(super) fn on_board(
        &mut self,
        slot: Slot,
        role: Role,
        incarnation: Incarnation,
        pid: u32,
    ) -> io::Result<()> {
        let mut id = [0; 16];
        sys::random::fill(&mut id)?;
        let (Some(OpenBoard { board, .. }), Some(place)) = (&self.board, self.places.get_mut(slot))
        else {
            return Ok(());
        };
        if place.role != role {
            place.role = role;
            board.occupy(slot, &place.name, role, place.attached);
        }
        (place.state, place.incarnation, place.pid) = (State::Born, incarnation, pid);
        board.born(slot, incarnation, LifeId(id), pid);
        self.changed();
        Ok(())
    }

    /// Everything that whoever sits down has to know: its place, then its rings.
    pub(super) fn welcome(
        &mut self,
        id: ConnectionId,
        slot: Slot,
        fault: bool,
        edge: &mut Edge<'_>,
    ) {
        self.ensure_bell(slot, edge);
        let Some(place) = self.places.get(slot) else {
            return;
        };
        let welcome = Answer::Welcome {
            version: VERSION,
            name: place.name.clone(),
            role: place.role,
            slot,
            incarnation: place.incarnation,
            fault,
            fabric: Box::new(self.spec.clone()),
        };
        let rings = self.rings.of(slot).collect();
        if let Some(connection) = self.connections.get_mut(id) {
            connection.outbox.greeting = Some(welcome);
            connection.outbox.layout = self.layout.is_some();
            connection.outbox.rings = rings;
            connection.outbox.seated = true;
        }
        self.tell(id, edge);
    }

    /// A child's process ended; this is what the fleet makes of it.
    pub(in crate::stem) fn gone(
        &mut self,
        name: &NodeName,
        by_own_fault: bool,
        state: Option<child::State>,
        edge: &mut Edge<'_>,
    ) {
        if by_own_fault {
            self.at_fault.insert(name.clone());
        } else {
            self.at_fault.remove(name);
        }
        let Some(slot) = self.places.of_child(name) else {
            return;
        };
        if let Some(id) = self.connections.of(slot) {
            self.connections.close(id, edge.poller);
        }
        if let Some(place) = self.places.get_mut(slot) {
            place.pid = 0;
        }
        self.set_state(slot, state.map_or(State::Away, at_rest));
    }

    /// The fleet has another word for a child. While it runs, its own words count.
    pub(in crate::stem) fn rests(&mut self, name: &NodeName, state: child::State) {
        let Some(slot) = self.places.of_child(name) else {
            return;
        };
        let before = self.places.get(slot).map(|place| place.state);
        if matches!(before, Some(State::Down | State::Away)) && before != Some(at_rest(state)) {
            self.set_state(slot, at_rest(state));
        }
    }

    pub(super) fn set_state(&mut self, slot: Slot, state: State) {
        if let (Some(OpenBoard { board, .. }), Some(place)) =
            (&self.board, self.places.get_mut(slot))
        {
            place.state = state;
            board.set_state(slot, state);
            self.changed();
        }
    }

    /// A child is no more.
    pub(in crate::stem) fn forget(&mut self, name: &NodeName, edge: &mut Edge<'_>) {
        self.at_fault.remove(name);
        if let Some(slot) = self.places.of_child(name) {
            self.leave(slot, edge);
        }
    }

    /// Everybody is known: who stands on the board as somebody's child and is not, was forgotten while
    /// there was no stem.
    pub(in crate::stem) fn forget_all_but(
        &mut self,
        is_known: impl Fn(&NodeName) -> bool,
        edge: &mut Edge<'_>,
    ) {
        let unknown: Vec<NodeName> = self
            .places
            .iter()
            .filter(|(_, place)| !place.attached && place.state != State::Left)
            .map(|(_, place)| place.name.clone())
            .filter(|name| !is_known(name))
            .collect();
        for name in unknown {
            self.forget(&name, edge);
        }
    }
}

//! What comes in on seat sockets, and what is done about it.

use std::collections::BTreeSet;
use std::io;

use cluster::fabric::rings::{Seen, Tenant};
use cluster::fabric::{Answer, Ask, Class, Refusal, RingKey, Slot};
use cluster::names::NodeName;
use cluster::shm::board::State;
use cluster::sys::packet;

use super::connections::{ConnectionId, Whose};
use super::{Edge, Fabric};

/// No packet of an ask is longer.
const ASK_BYTES_MAX: usize = 512;

/// So many packets of one connection are read in a turn.
const PACKETS_A_TURN: usize = 32;

impl Fabric {
    /// A seat socket is ready, for reading or for writing. `is_named`: does a node of the layout go by
    /// this name?
    pub(in crate::stem) fn on_seat(
        &mut self,
        id: ConnectionId,
        is_named: &dyn Fn(&NodeName) -> bool,
        edge: &mut Edge<'_>,
    ) {
        self.interrupted.remove(&id);
        let mut buffer = [0; ASK_BYTES_MAX];
        for _ in 0..PACKETS_A_TURN {
            let Some(connection) = self.connections.get(id) else {
                return;
            };
            if connection.whose == Whose::Leaving {
                return self.tell(id, edge); // nothing more is expected of it
            }
            let ask = match packet::recv(connection.socket(), &mut buffer) {
                Ok(Some((length, _))) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    let taken = postcard::take_from_bytes::<Ask>(bytes).ok();
                    taken
                        .filter(|(_, rest)| rest.is_empty())
                        .map(|(ask, _)| ask)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.tell(id, edge);
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
                Ok(None) | Err(_) => return self.on_end(id, edge),
            };
            match ask {
                Some(ask) => self.on_ask(id, ask, is_named, edge),
                None => self.confused(id, "it is no packet of this protocol", edge),
            }
        }
        if self.connections.get(id).is_some() {
            self.interrupted.insert(id);
        }
    }

    /// Those who had more to say.
    pub(in crate::stem) fn take_interrupted(&mut self) -> BTreeSet<ConnectionId> {
        std::mem::take(&mut self.interrupted)
    }

    /// Nobody is at the other end. Of a child that says nothing: its death will tell.
    fn on_end(&mut self, id: ConnectionId, edge: &mut Edge<'_>) {
        let whose = self.connections.get(id).map(|connection| connection.whose);
        self.connections.close(id, edge.poller);
        if let Some(Whose::Seat(slot)) = whose
            && self.is_attached(slot)
        {
            self.leave(slot, edge);
        }
    }

    pub(super) fn is_attached(&self, slot: Slot) -> bool {
        self.places.get(slot).is_some_and(|place| place.attached)
    }

    fn on_ask(
        &mut self,
        id: ConnectionId,
        ask: Ask,
        is_named: &dyn Fn(&NodeName) -> bool,
        edge: &mut Edge<'_>,
    ) {
        let Some(whose) = self.connections.get(id).map(|connection| connection.whose) else {
            return;
        };
        match (whose, ask) {
            (
                Whose::Newcomer(peer, _),
                Ask::Attach {
                    version,
                    name,
                    role,
                },
            ) => {
                let wanted = (name, role);
                self.on_attach(id, peer, version, wanted, is_named, edge);
            }
            (
                Whose::Newcomer(peer, _),
                Ask::Resume {
                    version,
                    slot,
                    incarnation,
                },
            ) => {
                self.on_resume(id, peer, version, (slot, incarnation), edge);
            }
            (Whose::Newcomer(..), Ask::Observe { version }) => self.on_observe(id, version, edge),
            (Whose::Seat(slot), Ask::Announce) => self.on_announce(slot),
            (
                Whose::Seat(slot),
                Ask::Ring {
                    to,
                    class,
                    record_bytes,
                },
            ) => {
                self.on_ring(id, (slot, to, class), record_bytes, edge);
            }
            (Whose::Seat(slot), Ask::Drained(key)) => self.on_drained(id, slot, key, edge),
            (Whose::Newcomer(..), Ask::Announce | Ask::Ring { .. } | Ask::Drained(_)) => {
                self.confused(id, "attach first", edge);
            }
            (Whose::Seat(_), Ask::Attach { .. } | Ask::Resume { .. } | Ask::Observe { .. }) => {
                self.confused(id, "whoever sits cannot attach", edge);
            }
            (Whose::Leaving, _) => {}
        }
    }

    /// A guest who talks nonsense has to go. A child is told, and complained of once.
    fn confused(&mut self, id: ConnectionId, why: &str, edge: &mut Edge<'_>) {
        let refusal = Answer::Refused {
            why: Refusal::Confused(why.to_owned()),
            ring: None,
        };
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        match connection.whose {
            Whose::Seat(slot) if self.places.get(slot).is_some_and(|place| !place.attached) => {
                let is_first = !std::mem::replace(&mut connection.is_confused, true);
                let name = self.places.get(slot).map(|place| place.name.clone());
                if is_first {
                    let text = format!("nonsense on its seat socket: {why}");
                    edge.problem(name.as_ref(), text);
                }
                self.refuse(id, refusal, edge);
            }
            Whose::Seat(_) | Whose::Newcomer(..) | Whose::Leaving => {
                self.dismiss(id, Some(refusal), edge);
            }
        }
    }

    /// Tells a guest a last thing, and lets it go.
    pub(super) fn dismiss(
        &mut self,
        id: ConnectionId,
        refusal: Option<Answer>,
        edge: &mut Edge<'_>,
    ) {
        let Some(whose) = self.connections.get(id).map(|connection| connection.whose) else {
            return;
        };
        self.connections.is_now(id, Whose::Leaving);
        if let (Some(connection), Some(refusal)) = (self.connections.get_mut(id), refusal) {
            connection.outbox.refuse(refusal);
        }
        self.tell(id, edge);
        if let Whose::Seat(slot) = whose {
            self.leave(slot, edge);
        }
    }

    /// Its filter stands on the board.
    fn on_announce(&mut self, slot: Slot) {
        self.set_state(slot, State::Up);
    }

    fn on_ring(
        &mut self,
        id: ConnectionId,
        link: (Slot, Slot, Class),
        record_bytes: u32,
        edge: &mut Edge<'_>,
    ) {
        let (from, to, class) = link;
        let reader = self.places.tenant(to);
        let quota = self.quota_of(from);
        let sizes = self.sizes();
        let asked = self
            .rings
            .ask(link, record_bytes, reader, &sizes, quota.as_ref());
        match asked {
            Ok(deed) => self.carry_out(deed, edge),
            Err(why) => {
                let ring = Some((to, class));
                self.refuse(id, Answer::Refused { why, ring }, edge);
            }
        }
    }

    fn on_drained(&mut self, id: ConnectionId, slot: Slot, key: RingKey, edge: &mut Edge<'_>) {
        let ring = Some((key.to, key.class));
        let writer = self.places.tenant(key.from);
        let seen = Some(key).filter(|key| key.to == slot);
        // Out of one that contradicts itself nothing will come once its writer has left.
        let seen = seen.and_then(|key| self.look(key)).unwrap_or(Seen {
            is_empty: writer != Tenant::Here,
            has_successor: false,
        });
        let drained = self.rings.drained(key, slot, writer, seen);
        match drained {
            Ok(deed) => {
                self.carry_out(deed, edge);
                self.free_places(edge);
            }
            Err(why) => self.refuse(id, Answer::Refused { why, ring }, edge),
        }
    }
}

//! Programs that come to `attach.sock`: who may, under which name, and how they come back after the
//! stem's death.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use cluster::fabric::quota::{Quota, Usage};
use cluster::fabric::streams::READER_BYTES;
use cluster::fabric::{Answer, Refusal, Slot, Transport, VERSION};
use cluster::layout::seats::SeatLayout;
use cluster::layout::spec::Role;
use cluster::names::{Incarnation, NAME_BYTES_MAX, NodeName};
use cluster::shm::board::SLOTS_MAX;
use cluster::sys::{self, packet, unix};

use super::connections::{ConnectionId, Peer, Whose};
use super::places::Place;
use super::{Edge, Fabric, OpenBoard};

/// So many connections to `attach.sock` there may be: programs that sit, look, or have not said yet what
/// they want. Seats they have as long as [`super::places::Places::has_room_for_guest`].
const GUESTS_MAX: usize = 256;

/// A guest may have had so many rings made: both classes, toward everybody.
const GUEST_RINGS_MAX: usize = 2 * SLOTS_MAX as usize;

/// So many bytes in all: two of the largest rings that a layout can ask for.
const GUEST_RING_BYTES_MAX: u64 = 2 << 30;

/// All guests together.
const GUESTS_RING_BYTES_MAX: u64 = 8 << 30;

/// So many are accepted in a turn.
const ACCEPTED_A_TURN: usize = 64;

/// Whoever connects has to say so soon what it wants.
const SPEAK_WITHIN: Duration = Duration::from_secs(2);

/// Programs of one process that want no name of their own.
const NAMESAKES_MAX: u32 = 1024;

impl Fabric {
    /// Takes in whoever waits at `attach.sock`.
    pub(in crate::stem) fn accept(&mut self, now: Instant, edge: &mut Edge<'_>) {
        for _ in 0..ACCEPTED_A_TURN {
            let Some(listener) = &self.listener else {
                return;
            };
            let socket = match unix::accept(listener.as_fd()) {
                Ok(Some(socket)) => socket,
                Ok(None) => return,
                Err(_) => {
                    self.is_stuck = true; // no descriptor is left just now
                    return;
                }
            };
            let peer = unix::peer_credentials(socket.as_fd()).and_then(|peer| {
                packet::refuse_descriptors(socket.as_fd())?;
                Ok(peer)
            });
            let places = &self.places;
            let is_child = |slot| places.get(slot).is_some_and(|place| !place.attached);
            let why = match peer {
                Ok((_, uid, _)) if !self.open_to_group && !is_ours(uid) => Refusal::NotAllowed,
                Err(error) => Refusal::System(error.to_string()),
                Ok(_) if self.connections.guests(is_child) >= GUESTS_MAX => Refusal::TooManyGuests,
                Ok((pid, uid, _)) => {
                    let whose = Whose::Newcomer(
                        Peer {
                            pid,
                            is_ours: is_ours(uid),
                        },
                        now + SPEAK_WITHIN,
                    );
                    // What it says is heard as anybody's, also if it has spoken before. Where it cannot
                    // be waited for it finds the end.
                    let _ = self.connections.add(socket, whose, edge.poller);
                    continue;
                }
            };
            let refused = Answer::Refused { why, ring: None };
            if let Ok(bytes) = postcard::to_stdvec(&refused) {
                // Its queue is empty; and if it is not there any more, nobody has to be told.
                let _ = packet::send(socket.as_fd(), &bytes, &[]);
            }
        }
        self.is_crowded = true; // there may be more
    }

    pub(super) fn on_attach(
        &mut self,
        id: ConnectionId,
        peer: Peer,
        version: u32,
        (name, role): (Option<NodeName>, Role),
        is_named: &dyn Fn(&NodeName) -> bool,
        edge: &mut Edge<'_>,
    ) {
        // On whatever host.
        if self.named.is_none() {
            self.named = names_in(self.layout.as_ref());
        }
        let Some(named) = &self.named else {
            let why = Refusal::System("read the layout's names".to_owned());
            return self.dismiss(id, Some(Answer::Refused { why, ring: None }), edge);
        };
        let taken =
            |name: &NodeName| is_named(name) || self.places.is_taken(name) || named.contains(name);
        let name = match name {
            _ if version != VERSION => Err(other_version(version)),
            // Everybody waits for loggers.
            _ if role == Role::Logger && !peer.is_ours => Err(Refusal::NotAllowed),
            Some(name) if taken(&name) => Err(Refusal::NameTaken(name)),
            Some(name) => Ok(name),
            None => name_for(peer.pid, taken),
        };
        let sat = name.and_then(|name| self.give_place(name, role, peer));
        match sat {
            Ok(slot) => {
                self.connections.is_now(id, Whose::Seat(slot));
                self.welcome(id, slot, false, edge);
            }
            Err(why) => self.dismiss(id, Some(Answer::Refused { why, ring: None }), edge),
        }
    }

    fn give_place(&mut self, name: NodeName, role: Role, peer: Peer) -> Result<Slot, Refusal> {
        if !self.places.has_room_for_guest() {
            return Err(Refusal::BoardFull);
        }
        let place = Place::new(name.clone(), role, true);
        let slot = self.places.give(place).ok_or(Refusal::BoardFull)?;
        if let Some(OpenBoard { board, .. }) = &self.board {
            board.occupy(slot, &name, role, true);
        }
        let pid = u32::try_from(peer.pid).unwrap_or(0);
        let born = self.on_board(slot, role, Incarnation(1), pid);
        match born {
            Ok(()) => Ok(slot),
            Err(error) => {
                self.places.free(slot);
                if let Some(OpenBoard { board, .. }) = &self.board {
                    board.free(slot);
                }
                Err(Refusal::System(error.to_string()))
            }
        }
    }

    /// The same program as before the stem's death, on the same seat, is told everything anew.
    pub(super) fn on_resume(
        &mut self,
        id: ConnectionId,
        peer: Peer,
        version: u32,
        (slot, incarnation): (Slot, Incarnation),
        edge: &mut Edge<'_>,
    ) {
        let place = self.places.get(slot);
        let is_its_own = place.is_some_and(|place| {
            // 0: a process that we cannot see.
            let is_it = i32::try_from(place.pid) == Ok(peer.pid) && peer.pid != 0;
            place.incarnation == incarnation && is_it
        });
        let why = match is_its_own && self.missed.contains(&slot) {
            _ if version != VERSION => Some(other_version(version)),
            true => None,
            false => Some(Refusal::NoSuchSeat),
        };
        match why {
            None => {
                self.missed.remove(&slot);
                self.connections.is_now(id, Whose::Seat(slot));
                self.welcome(id, slot, false, edge);
            }
            Some(why) => self.dismiss(id, Some(Answer::Refused { why, ring: None }), edge),
        }
    }

    /// What binds whoever has this place in the rings it writes. `None`: nothing, it is no guest.
    pub(super) fn quota_of(&self, writer: Slot) -> Option<Quota> {
        self.is_attached(writer).then_some(Quota {
            each: Usage {
                rings: GUEST_RINGS_MAX,
                bytes: GUEST_RING_BYTES_MAX,
            },
            all: Usage {
                rings: self.rings_max() / 2,
                bytes: GUESTS_RING_BYTES_MAX,
            },
            // What a reader holds of a stream is in its own memory, not in the account.
            besides_each: match self.spec.transport {
                Transport::Ring => 0,
                Transport::Unix => READER_BYTES,
            },
        })
    }

    /// Somebody wants to look.
    pub(super) fn on_observe(&mut self, id: ConnectionId, version: u32, edge: &mut Edge<'_>) {
        if version != VERSION {
            let why = other_version(version);
            self.dismiss(id, Some(Answer::Refused { why, ring: None }), edge);
            return;
        }
        let rings = self.rings.usable().collect();
        if let Some(connection) = self.connections.get_mut(id) {
            connection.outbox.greeting = Some(Answer::Board);
            connection.outbox.rings = rings;
            connection.outbox.seated = true;
        }
        self.dismiss(id, None, edge);
    }
}

/// Every name in the layout. `None`: it cannot be read just now.
fn names_in(layout: Option<&OwnedFd>) -> Option<BTreeSet<NodeName>> {
    let Some(file) = layout else {
        return Some(BTreeSet::new());
    };
    let bytes = sys::memory::read_sealed(file.as_fd()).ok()?;
    SeatLayout::names(&bytes).ok()
}

fn other_version(theirs: u32) -> Refusal {
    Refusal::Version {
        ours: VERSION,
        theirs,
    }
}

/// The user whom the socket's mode lets in. It is looked at again: the mode may have been changed by hand.
fn is_ours(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::geteuid().as_raw()
}

/// `<program>-<pid>`, or with a number behind it where the same process comes again.
fn name_for(pid: i32, is_taken: impl Fn(&NodeName) -> bool) -> Result<NodeName, Refusal> {
    let kind = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let base = format!("{}-{pid}", as_name(&kind));
    let again = (2..NAMESAKES_MAX).map(|number| format!("{base}-{number}"));
    let names = std::iter::once(base.clone()).chain(again);
    let mut free = names
        .filter_map(|name| NodeName::parse(&name).ok())
        .filter(|name| !is_taken(name));
    free.next().ok_or(Refusal::BoardFull)
}

/// What of a program's name can stand in a node's.
fn as_name(kind: &str) -> String {
    let letters = kind.trim().chars().map(|c| match c {
        c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') => c,
        _ => '-',
    });
    let name: String = letters
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(NAME_BYTES_MAX / 2)
        .collect();
    match name.as_str() {
        "" => "program".to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_a_name_is_called_by_what_it_is() {
        for (kind, name) in [
            ("zeek\n", "zeek"),
            ("(sd-pam)", "sd-pam-"),
            ("a b/c", "a-b-c"),
            ("++", "program"),
            ("", "program"),
        ] {
            assert_eq!(as_name(kind), name);
        }
    }

    #[test]
    fn the_second_of_one_process_gets_a_number() {
        let pid = std::process::id().cast_signed();
        let first = name_for(pid, |_| false).unwrap();
        let second = name_for(pid, |name| *name == first).unwrap();
        assert_eq!(second.to_string(), format!("{first}-2"));
        assert_eq!(name_for(pid, |_| true), Err(Refusal::BoardFull));
    }
}

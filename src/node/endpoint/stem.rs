//! The other end of the seat's socket, over the deaths of stems.
//!
//! Owns: the socket, and what came by it until the outbox takes it. A node that is a child of the stem
//! dies with it and has nothing to do here. An attached program outlives it: it connects again, says
//! which place it has, and goes on.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::seating::HandedRing;
use super::socket::{Received, SeatSocket};
use crate::fabric::{Answer, Ask, Class, Refusal, Slot, VERSION};
use crate::names::Incarnation;
use crate::sys::{clock, unix};

/// So many packets are taken at once, before what they brought is taken from here.
const PACKETS_AT_ONCE: usize = 256;

/// Between two attempts to reach the next stem.
const RETRY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Stem {
    socket: Option<SeatSocket>,
    /// How to come back; only attached programs do.
    back: Option<Back>,
    /// Rings that were handed over; [`PACKETS_AT_ONCE`] at most, as refusals.
    pub(super) rings: VecDeque<HandedRing>,
    /// Rings that were refused.
    pub(super) refusals: VecDeque<(Refusal, (Slot, Class))>,
    /// The layout that came last.
    pub(super) layout: Option<OwnedFd>,
    /// It is another stem than before.
    pub(super) is_new: bool,
    /// The place is lost: another stem does not know it.
    evicted: Option<Refusal>,
}

#[derive(Debug)]
struct Back {
    path: PathBuf,
    slot: Slot,
    incarnation: Incarnation,
    retry_at: Option<Instant>,
}

impl Stem {
    /// Of a child.
    pub(super) fn of_child(socket: SeatSocket) -> Self {
        Self {
            socket: Some(socket),
            back: None,
            rings: VecDeque::new(),
            refusals: VecDeque::new(),
            layout: None,
            is_new: false,
            evicted: None,
        }
    }

    /// Of a program that attached at `path`.
    pub(super) fn of_attached(
        socket: SeatSocket,
        path: &Path,
        slot: Slot,
        incarnation: Incarnation,
    ) -> Self {
        Self {
            back: Some(Back {
                path: path.to_owned(),
                slot,
                incarnation,
                retry_at: None,
            }),
            ..Self::of_child(socket)
        }
    }

    /// Says something, if there is a stem; another one is told anew what it has to know. False: the stem
    /// there is has not read for so long that it is not told.
    pub(super) fn send(&mut self, ask: &Ask) -> bool {
        let taken = self.socket.as_mut().is_none_or(|socket| socket.send(ask));
        if !taken {
            log::warn!("event=not_asked error=\"the stem does not read\" ask=\"{ask:?}\"");
        }
        taken
    }

    /// Why the place is lost, if it is.
    pub(super) fn evicted(&self) -> Option<&Refusal> {
        self.evicted.as_ref()
    }

    /// Is there no stem, nor will there be another for this node?
    pub(super) fn is_gone(&self) -> bool {
        self.socket.is_none() && self.back.is_none()
    }

    /// What becomes readable when a packet comes.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(SeatSocket::descriptor)
    }

    /// When [`Stem::receive`] has something to do without a packet.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.back.as_ref()?.retry_at
    }

    /// Takes the packets that are there. If the stem is gone, looks for the next one. True: there may be
    /// more; take first what these brought.
    pub(super) fn receive(&mut self) -> bool {
        self.come_back();
        let may_be_more = self.take_some();
        // It may have been found to be gone just now.
        self.come_back();
        may_be_more
    }

    fn take_some(&mut self) -> bool {
        for _ in 0..PACKETS_AT_ONCE {
            let Some(socket) = &mut self.socket else {
                return false;
            };
            socket.flush();
            match socket.receive() {
                Ok(Some(received)) => self.take(received),
                Ok(None) if socket.is_over() => {
                    self.socket = None;
                    if let Some(back) = &mut self.back {
                        back.retry_at = Some(clock::monotonic());
                    }
                }
                Ok(None) => return false,
                Err(error) => {
                    log::warn!("event=bad_packet error=\"{error}\"");
                    if error.kind() != io::ErrorKind::InvalidData {
                        return false;
                    }
                }
            }
        }
        true
    }

    fn take(&mut self, received: Received) {
        match received.answer {
            Answer::Ring { key, from_guest } => {
                match HandedRing::from_packet(key, from_guest, received.descriptors) {
                    Some(ring) => self.rings.push_back(ring),
                    None => log::warn!(
                        "event=bad_packet error=\"a ring has three descriptors, and a stream four\""
                    ),
                }
            }
            Answer::Refused {
                why,
                ring: Some(ring),
            } => self.refusals.push_back((why, ring)),
            Answer::Refused { why, ring: None } => {
                log::error!("event=seat_lost error=\"{why}\"");
                self.evicted = Some(why);
                self.socket = None;
                self.back = None;
            }
            // Board and bell are the ones we have: the supervisor kept them.
            Answer::Welcome { .. } => {}
            Answer::Layout => self.layout = received.descriptors.into_iter().next(),
            Answer::Seated => self.is_new = true,
            Answer::Board => log::warn!("event=bad_packet error=\"not asked for\""),
        }
    }

    /// Looks for the next stem, if this program is to and it is time.
    fn come_back(&mut self) {
        let Some(back) = &mut self.back else {
            return;
        };
        let now = clock::monotonic();
        if back.retry_at.is_none_or(|at| at > now) {
            return;
        }
        match unix::connect_packets(&back.path) {
            Ok(socket) => {
                let mut socket = SeatSocket::new(socket);
                socket.send(&Ask::Resume {
                    version: VERSION,
                    slot: back.slot,
                    incarnation: back.incarnation,
                });
                back.retry_at = None;
                self.socket = Some(socket);
            }
            Err(_) => back.retry_at = Some(now + RETRY),
        }
    }
}

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests {
    use super::*;
    use crate::sys::packet;
    use std::os::fd::AsFd;

    /// Shows: whatever a stem has sent, no more of it is held here at once than that, and none is lost.
    #[test]
    fn what_a_stem_sends_is_taken_in_portions() {
        let (stem, ours) = packet::pair().unwrap();
        let mut ours = Stem::of_child(SeatSocket::new(ours));
        let refused = |slot| Answer::Refused {
            why: Refusal::NoSuchPeer,
            ring: Some((Slot(slot), Class::Bulk)),
        };
        let sent = 2 * u32::try_from(PACKETS_AT_ONCE).unwrap() + 1;
        for slot in 0..sent {
            let bytes = postcard::to_stdvec(&refused(slot)).unwrap();
            packet::send(stem.as_fd(), &bytes, &[]).unwrap();
        }
        let mut heard = Vec::new();
        for more in [true, true, false] {
            assert_eq!(ours.receive(), more);
            assert!(ours.refusals.len() <= PACKETS_AT_ONCE);
            heard.extend(ours.refusals.drain(..).map(|(_, (slot, _))| slot.0));
        }
        assert!(heard.into_iter().eq(0..sent));
    }
}

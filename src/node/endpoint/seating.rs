//! From a socket to a seat: the packets that come before the first record.
//!
//! Owns: nothing that lasts; everything is handed on.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::sleep::sleep_until;
use super::socket::{Received, SeatSocket};
use crate::fabric::{Answer, FabricSpec, Refusal, RingKey, Slot, VERSION};
use crate::layout::spec::Role;
use crate::names::{Incarnation, NodeName};
use crate::shm::Board;
use crate::shm::bell::{self, Sleeper};
use crate::sys::clock;

/// A stem that has not given a seat after this long will not.
pub(in crate::node) const SEATING_TIME_MAX: Duration = Duration::from_secs(10);

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum SeatError {
    /// The stem said why.
    #[error("the stem refused the seat")]
    Refused(#[source] Refusal),
    /// The stem's packets make no sense, or it speaks another version.
    #[error("the stem's packets make no sense: {0}; build both programs from one source")]
    Confused(&'static str),
    /// The stem went away, or took longer than it may.
    #[error("the stem did not give the seat in time")]
    NoAnswer,
    /// The environment names no seat.
    #[error(
        "{} names no descriptor; is this program a node, with a seat in the layout?",
        crate::fabric::CLUSTER_SEAT
    )]
    NoSeat,
    /// The system refused.
    #[error("cannot take the seat")]
    System(#[from] io::Error),
}

/// What a node is told of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub name: NodeName,
    /// What it counts as.
    pub role: Role,
    /// Its place on the board.
    pub slot: Slot,
    /// Which of its lives this is.
    pub incarnation: Incarnation,
    /// The last one ended by its own fault.
    pub fault: bool,
}

/// A ring as it comes from the stem.
#[derive(Debug)]
pub(super) struct HandedRing {
    pub(super) key: RingKey,
    pub(super) memory: OwnedFd,
    /// Of the node at the other end.
    pub(super) bell: bell::Files,
    /// This end's, if the link is a stream; the memory is its account.
    pub(super) socket: Option<OwnedFd>,
    /// Its writer is a program that attached.
    pub(super) from_guest: bool,
}

impl HandedRing {
    pub(super) fn from_packet(
        key: RingKey,
        from_guest: bool,
        descriptors: Vec<OwnedFd>,
    ) -> Option<Self> {
        let mut descriptors = descriptors.into_iter();
        let (memory, page, event) = (
            descriptors.next()?,
            descriptors.next()?,
            descriptors.next()?,
        );
        let socket = descriptors.next();
        descriptors.next().is_none().then_some(Self {
            key,
            memory,
            bell: bell::Files { page, event },
            socket,
            from_guest,
        })
    }
}

/// Everything a node has when it sits.
#[derive(Debug)]
pub(super) struct Seated {
    pub(super) identity: Identity,
    pub(super) spec: FabricSpec,
    pub(super) board: Board,
    pub(super) bell: Sleeper,
    pub(super) rings: Vec<HandedRing>,
    pub(super) layout: Option<OwnedFd>,
}

/// Reads everything up to the word that records may flow, which has to come within `limit`.
pub(super) fn be_seated(socket: &mut SeatSocket, limit: Duration) -> Result<Seated, SeatError> {
    let until = clock::monotonic() + limit;
    let first = next(socket, until)?;
    let mut seated = welcome(first)?;
    loop {
        let Received {
            answer,
            descriptors,
        } = next(socket, until)?;
        match answer {
            Answer::Ring { key, from_guest } => {
                let ring = HandedRing::from_packet(key, from_guest, descriptors);
                let ring = ring.ok_or(SeatError::Confused(
                    "a ring has three descriptors, and a stream four",
                ))?;
                seated.rings.push(ring);
            }
            Answer::Layout => seated.layout = descriptors.into_iter().next(),
            Answer::Seated => {
                seated.rings.sort_by_key(|ring| ring.key);
                return Ok(seated);
            }
            Answer::Refused { why, .. } => return Err(SeatError::Refused(why)),
            Answer::Welcome { .. } | Answer::Board => {
                return Err(SeatError::Confused("a second welcome"));
            }
        }
    }
}

fn welcome(first: Received) -> Result<Seated, SeatError> {
    match first.answer {
        Answer::Welcome { version, .. } if version != VERSION => {
            Err(SeatError::Refused(Refusal::Version {
                ours: version,
                theirs: VERSION,
            }))
        }
        Answer::Welcome {
            version: _,
            name,
            role,
            slot,
            incarnation,
            fault,
            fabric,
        } => {
            let files = <[OwnedFd; 3]>::try_from(first.descriptors);
            let Ok([board, page, event]) = files else {
                return Err(SeatError::Confused("a welcome has three descriptors"));
            };
            Ok(Seated {
                identity: Identity {
                    name,
                    role,
                    slot,
                    incarnation,
                    fault,
                },
                spec: *fabric,
                board: Board::map(board.as_fd())?,
                bell: Sleeper::map(bell::Files { page, event })?,
                rings: Vec::new(),
                layout: None,
            })
        }
        Answer::Refused { why, .. } => Err(SeatError::Refused(why)),
        Answer::Board | Answer::Layout | Answer::Ring { .. } | Answer::Seated => {
            Err(SeatError::Confused("the first packet is no welcome"))
        }
    }
}

/// The next packet, waited for.
pub(in crate::node) fn next(
    socket: &mut SeatSocket,
    until: Instant,
) -> Result<Received, SeatError> {
    loop {
        socket.flush();
        if let Some(received) = socket.receive()? {
            return Ok(received);
        }
        if socket.is_over() || clock::monotonic() >= until {
            return Err(SeatError::NoAnswer);
        }
        sleep_until(&[socket.descriptor()], Some(until))?;
    }
}

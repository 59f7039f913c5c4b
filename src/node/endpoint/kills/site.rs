//! What two endpoints have between them, made by hand: a board, bells, rings, and seats as the stem gives
//! them.

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::fabric::{Answer, Class, FabricSpec, RingKey, Slot, VERSION};
use crate::layout::spec::Role;
use crate::names::{Incarnation, LifeId, NodeName};
use crate::node::endpoint::{Delivery, Endpoint};
use crate::shm::Board;
use crate::shm::bell::{self, Sleeper};
use crate::shm::board::State;
use crate::shm::heartbeat::Heartbeat;
use crate::shm::ring::{self, Accounting, Observer};
use crate::sys::{packet, unix};
use crate::topic::Filter;

pub(super) const WRITER: Slot = Slot(0);
pub(super) const READER: Slot = Slot(1);

/// Room for a handful of records, so that one of them goes over the ring's end.
const CAPACITY: usize = 128;

/// Room for a record of [`LARGE`], and a few small ones.
const CAPACITY_LARGER: usize = 1024;

/// Words of a record that fits into any ring.
pub(super) const SMALL: usize = 3;

/// Words of a record that fits into the larger ring.
pub(super) const LARGE: usize = 64;

/// Which rings the stem tells somebody of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rings {
    /// The small one.
    One,
    /// The small one, and the larger one to whoever sits already.
    OneThenLarger,
    /// Both.
    Both,
}

/// What two endpoints share, and the word in which the reader notes how many records it has handled.
#[derive(Debug)]
pub(super) struct Site {
    board: File,
    /// By place.
    bells: [bell::Files; 2],
    /// By index.
    rings: [OwnedFd; 2],
    pub(super) handled: Heartbeat,
    page: OwnedFd,
    /// All memory that changes.
    memory: [File; 5],
}

impl Site {
    pub(super) fn new() -> Self {
        let (board, file) = Board::create(2).unwrap();
        for (slot, name) in [(WRITER, "writer"), (READER, "reader")] {
            let name = NodeName::parse(name).unwrap();
            board.occupy(slot, &name, Role::Worker, false);
            board.born(slot, Incarnation(1), LifeId([1; 16]), 1);
            board.set_state(slot, State::Up);
        }
        let mut filter = Vec::new();
        Filter::of([b"x"]).unwrap().encode_into(&mut filter);
        let declared = board.declare_filter(READER, Incarnation(1), &filter);
        declared.unwrap();
        Self::with(file.into())
    }

    fn with(board: File) -> Self {
        let (handled, page) = Heartbeat::create().unwrap();
        let bells = [0; 2].map(|_| bell::create().unwrap());
        let rings = [CAPACITY, CAPACITY_LARGER].map(|bytes| ring::create(bytes).unwrap());
        let files = [&rings[0], &rings[1], &page, &bells[0].page, &bells[1].page];
        let memory = files.map(|file| file.try_clone().unwrap().into());
        Self {
            board,
            bells,
            rings,
            handled,
            page,
            memory,
        }
    }

    /// The same once more. Nobody has rung here.
    pub(super) fn copy(&self) -> Self {
        let copy = Self::with(self.board.try_clone().unwrap());
        for (from, to) in self.memory.iter().zip(&copy.memory) {
            to.write_all_at(&bytes(from), 0).unwrap();
        }
        copy
    }

    /// All that one end can see of the other's doings.
    pub(super) fn look(&self) -> ([Vec<u8>; 5], [bool; 2]) {
        (
            self.memory.each_ref().map(bytes),
            [WRITER, READER].map(|slot| self.is_rung(slot)),
        )
    }

    fn bell(&self, slot: Slot) -> &bell::Files {
        &self.bells[usize::from(slot == READER)]
    }

    pub(super) fn is_rung(&self, slot: Slot) -> bool {
        let event = PollFd::new(self.bell(slot).event.as_fd(), PollFlags::POLLIN);
        poll(&mut [event], PollTimeout::ZERO).unwrap() > 0
    }

    pub(super) fn fall_asleep(&self, slot: Slot) {
        let files = self.bell(slot).try_clone().unwrap();
        Sleeper::map(files).unwrap().doze();
    }

    /// The reader's word once more.
    pub(super) fn handled(&self) -> Heartbeat {
        Heartbeat::map(self.page.try_clone().unwrap()).unwrap()
    }

    /// The small ring's memory.
    pub(super) fn ring(&self) -> OwnedFd {
        self.rings[0].try_clone().unwrap()
    }

    /// Who sits down in this place; the stem's end of its socket stays open as long.
    pub(super) fn sit(&self, slot: Slot, delivery: Delivery, rings: Rings) -> (Endpoint, OwnedFd) {
        self.sit_with(slot, delivery, rings, None)
    }

    /// A reader to whom the small ring is the account of a stream, in whose socket these bytes are.
    pub(super) fn sit_at_stream(&self, bytes: &[u8]) -> (Endpoint, OwnedFd) {
        let (reads, writes) = unix::stream_pair().unwrap();
        unix::write_parts(writes.as_fd(), &[IoSlice::new(bytes)]).unwrap();
        self.sit_with(READER, Delivery::default(), Rings::One, Some(&reads))
    }

    /// A writer to whom the small ring is the account of a stream, and the reader's end of that.
    pub(super) fn writer_at_stream(&self) -> ((Endpoint, OwnedFd), OwnedFd) {
        let (reads, writes) = unix::stream_pair().unwrap();
        let seated = self.sit_with(WRITER, Delivery::default(), Rings::One, Some(&writes));
        (seated, reads)
    }

    fn sit_with(
        &self,
        slot: Slot,
        delivery: Delivery,
        rings: Rings,
        socket: Option<&OwnedFd>,
    ) -> (Endpoint, OwnedFd) {
        let (ours, theirs) = packet::pair().unwrap();
        let other = if slot == WRITER { READER } else { WRITER };
        let (own, other) = (self.bell(slot), self.bell(other));
        let say = |answer: &Answer, files: &[&OwnedFd]| {
            let files: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
            packet::send(ours.as_fd(), &postcard::to_stdvec(answer).unwrap(), &files).unwrap();
        };
        let tell_of = |index: u32| {
            let key = RingKey {
                from: WRITER,
                to: READER,
                class: Class::Bulk,
                index,
            };
            let from_guest = false;
            let ring = Answer::Ring { key, from_guest };
            let memory = &self.rings[usize::from(index == 1)];
            let files = [memory, &other.page, &other.event];
            let files: Vec<_> = files.into_iter().chain(socket).collect();
            say(&ring, &files);
        };
        let board = self.board.try_clone().unwrap().into();
        say(&welcome(slot), &[&board, &own.page, &own.event]);
        tell_of(0);
        if rings == Rings::Both {
            tell_of(1);
        }
        say(&Answer::Seated, &[]);
        if rings == Rings::OneThenLarger {
            tell_of(1);
        }
        let mut endpoint = Endpoint::on(theirs).unwrap();
        if slot == READER {
            endpoint.subscribe("x", delivery).unwrap();
        }
        (endpoint, ours)
    }

    pub(super) fn writer(&self) -> (Endpoint, OwnedFd) {
        self.sit(WRITER, Delivery::default(), Rings::One)
    }

    /// Of the small ring and the larger one.
    pub(super) fn accounts(&self) -> [Accounting; 2] {
        let ring = |file: &OwnedFd| Observer::map(file.try_clone().unwrap()).unwrap();
        self.rings
            .each_ref()
            .map(|file| ring(file).accounting().unwrap())
    }

    /// A reader drains all there is: the numbers, each of whose records was whole.
    pub(super) fn drain(&self, delivery: Delivery, rings: Rings) -> Vec<u64> {
        let (mut endpoint, _stem) = self.sit(READER, delivery, rings);
        let mut numbers = Vec::new();
        endpoint.drain(usize::MAX, |_, record| numbers.push(number(record.payload)));
        numbers
    }
}

fn welcome(slot: Slot) -> Answer {
    Answer::Welcome {
        version: VERSION,
        name: NodeName::parse("either").unwrap(),
        role: Role::Worker,
        slot,
        incarnation: Incarnation(1),
        fault: false,
        fabric: Box::new(FabricSpec::default()),
    }
}

/// All of a file, by one system call: it is asked for behind every instruction.
fn bytes(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; 2 * 4096];
    let length = file.read_at(&mut bytes, 0).unwrap();
    assert!(length < bytes.len(), "larger than thought");
    bytes.truncate(length);
    bytes
}

/// A record of this number and so many words, no two of which are alike.
pub(super) fn payload(number: u64, words: usize) -> Vec<u8> {
    let word = |index: u64| number ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..)
        .take(words)
        .flat_map(|index| word(index).to_le_bytes())
        .collect()
}

/// Whose bytes these seem to be, in few instructions.
pub(super) fn number_at_a_glance(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(*bytes.first_chunk().unwrap())
}

/// Whose bytes these are.
pub(super) fn number(bytes: &[u8]) -> u64 {
    let number = number_at_a_glance(bytes);
    assert_eq!(bytes, payload(number, bytes.len() / 8), "torn");
    number
}

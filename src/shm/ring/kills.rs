//! Deaths at every instruction of a push and of a delivery.
//!
//! A child is led through it one machine instruction at a time, and the memory is compared after each:
//! what changed it is remembered. Then one child after another goes the same way over a copy of the
//! ring, and is killed right behind one of these instructions. (Between two of them all deaths are the
//! same.) With what it leaves, successors go on. All of this at several places of the ring.

use std::fs::File;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use super::{Observer, Reader, Writer, create};
use crate::shm::heartbeat::Heartbeat;
use crate::sys::alone::alone;
use crate::sys::traced::Traced;

/// Room for three records of 40 bytes, each of which begins elsewhere.
const CAPACITY: usize = 128;

/// Enough of them that one record begins at the ring's end, and one goes on at its beginning.
const PLACES: u64 = 4;

/// A ring, and the word in which a reader notes what it has handled.
struct Site {
    ring: File,
    handled: Heartbeat,
    page: File,
}

impl Site {
    fn new() -> Self {
        let (handled, page) = Heartbeat::create().unwrap();
        Self {
            ring: create(CAPACITY).unwrap().into(),
            handled,
            page: page.into(),
        }
    }

    fn copy(&self) -> Self {
        let copy = Self::new();
        copy.ring.write_all_at(&bytes(&self.ring), 0).unwrap();
        copy.page.write_all_at(&bytes(&self.page), 0).unwrap();
        copy
    }

    fn file(&self) -> OwnedFd {
        self.ring.try_clone().unwrap().into()
    }

    fn writer(&self) -> Writer {
        Writer::map(self.file()).unwrap()
    }

    fn reader(&self) -> Reader {
        Reader::map(self.file()).unwrap()
    }

    /// Accepted, delivered, in flight.
    fn accounts(&self) -> (u64, u64, u64) {
        let observer = Observer::map(self.file()).unwrap();
        let accounts = observer.accounting().unwrap();
        (accounts.accepted, accounts.delivered, accounts.in_flight)
    }
}

fn bytes(file: &File) -> Vec<u8> {
    let length = file.metadata().unwrap().len();
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// What a child prepares unwatched, and what it does under watch.
struct Act<T> {
    prepare: fn(&Site) -> T,
    perform: fn(&mut T),
}

impl<T> Act<T> {
    fn child(&self, site: &Site) -> Traced {
        Traced::new(|| (self.prepare)(site), self.perform)
    }

    /// Behind how many instructions is the memory another than before?
    fn changes(&self, site: &Site) -> usize {
        let site = site.copy();
        self.child(&site).changes(|| bytes(&site.ring))
    }

    /// What is left when a child dies behind so many of these changes.
    fn left_behind(&self, site: &Site, changes: usize) -> Site {
        let site = site.copy();
        self.child(&site).kill_behind(changes, || bytes(&site.ring));
        site
    }
}

/// What the record of this number holds.
fn record(number: u64) -> [u8; 29] {
    std::array::from_fn(|index| {
        number.wrapping_mul(31).to_le_bytes()[index % 2] ^ index.to_le_bytes()[0]
    })
}

fn push(writer: &mut Writer) {
    let record = record(writer.accepted());
    let (first, second) = record.split_at(8);
    writer.try_push(&[first, second]).unwrap();
}

/// Drains all there is: these numbers, whole and in their order.
fn expect_to_drain(reader: &mut Reader, numbers: Range<u64>) {
    let mut drained = Vec::new();
    for number in numbers {
        let delivery = reader.drain(&mut drained).unwrap().unwrap();
        assert_eq!(delivery.number(), number);
        assert_eq!(drained, record(number));
        reader.release(delivery);
    }
    assert_eq!(reader.drain(&mut drained), Ok(None));
}

/// Shows: a writer that dies in `try_push` has accepted the record or not, never half; what was
/// accepted before stays; its successor goes on with the next number; the accounts are exact at once.
#[test]
fn a_writer_may_die_at_any_instruction_of_a_push() {
    let act = Act {
        prepare: Site::writer,
        perform: push,
    };
    alone(move || {
        let site = Site::new();
        for place in 0..PLACES {
            push(&mut site.writer());
            let changes = act.changes(&site);
            assert!(changes >= 6, "header, parts, count, position: {changes}");
            let mut fates = [0; 2];
            for behind in 0..=changes {
                let left = act.left_behind(&site, behind);
                let (accepted, delivered, in_flight) = left.accounts();
                assert_eq!((delivered, in_flight), (place, accepted - place));
                fates[usize::try_from(accepted - place - 1).unwrap()] += 1;
                push(&mut left.writer());
                expect_to_drain(&mut left.reader(), place..accepted + 1);
                assert_eq!(left.accounts(), (accepted + 1, accepted + 1, 0));
            }
            assert_eq!(fates, [changes, 1], "one instruction decides, the last");
            expect_to_drain(&mut site.reader(), place..place + 1);
        }
    });
}

fn deliver((reader, handled, record): &mut (Reader, Heartbeat, Vec<u8>)) {
    let delivery = reader.drain(record).unwrap().unwrap();
    reader.take_in_hand(delivery);
    handled.beat(delivery.number() + 1);
    reader.release(delivery);
}

/// Shows: a reader that dies while it drains, handles and releases has handled the record before it is
/// gone from the ring; else its successor gets it again, and knows that it was in hand; the accounts
/// are exact at once.
#[test]
fn a_reader_may_die_at_any_instruction_of_a_delivery() {
    let act = Act {
        prepare: |site| {
            let handled = Heartbeat::map(site.page.try_clone().unwrap().into()).unwrap();
            (site.reader(), handled, Vec::with_capacity(64))
        },
        perform: deliver,
    };
    alone(move || {
        let site = Site::new();
        for place in 0..PLACES {
            (0..2).for_each(|_| push(&mut site.writer()));
            let (first, end) = (2 * place, 2 * place + 2);
            let changes = act.changes(&site);
            assert!(changes >= 4, "in hand, counts, position: {changes}");
            let mut fates = [0; 2];
            for behind in 0..=changes {
                let left = act.left_behind(&site, behind);
                let (accepted, delivered, in_flight) = left.accounts();
                assert_eq!((accepted, in_flight), (end, end - delivered));
                let was_released = delivered > first;
                fates[usize::from(was_released)] += 1;
                let mut successor = left.reader();
                let in_hand = successor.in_hand().map(|in_hand| in_hand.number);
                assert!(left.handled.last() == first + 1 || !was_released);
                let may_be = (behind > 0 && !was_released).then_some(first);
                assert_eq!(in_hand, may_be);
                expect_to_drain(&mut successor, delivered..end);
                assert_eq!(left.accounts(), (end, end, 0));
            }
            assert_eq!(fates, [changes, 1], "one instruction decides, the last");
            expect_to_drain(&mut site.reader(), first..end);
        }
    });
}

//! One writer's end, its account and its socket, step by step.

use super::*;
use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::shm::ring::{Accounting, Observer, Reader, create};

const LIMITS: Limits = Limits {
    bytes_max: 4096,
    placed_bytes_max: 4096,
    record_bytes_max: 4 << 20,
};

/// A stream, the other end of its socket, and its account from the other sides.
struct Site {
    stream: Sending,
    account: Writer,
    reader: Reader,
    observer: Observer,
    theirs: OwnedFd,
    /// Of the account.
    memory: File,
}

impl Site {
    fn new(limits: Limits, places: usize) -> Self {
        let file = create(places * ring::EMPTY_RECORD_BYTES).unwrap();
        let copy = || file.try_clone().unwrap();
        let mut account = Writer::map(copy()).unwrap();
        let stream = Sending::new(&mut account, limits);
        let (reader, observer) = (Reader::map(copy()), Observer::map(copy()));
        let mut site = Self {
            stream,
            account,
            reader: reader.unwrap(),
            observer: observer.unwrap(),
            theirs: unix::stream_pair().unwrap().0,
            memory: copy().into(),
        };
        site.connect();
        assert_eq!(site.read(), header(0, 0), "the greeting");
        site
    }

    fn connect(&mut self) {
        let (ours, theirs) = unix::stream_pair().unwrap();
        self.theirs = theirs;
        self.stream.connect(ours, &self.account);
    }

    fn push(&mut self, record: &[u8]) -> Result<(), PushError> {
        let (first, second) = record.split_at(record.len() / 2);
        self.stream.push(&[first, second], &mut self.account)
    }

    fn pump(&mut self) -> bool {
        self.stream.pump(&mut self.account).unwrap()
    }

    /// What is in the socket.
    fn read(&self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = vec![0; 4096];
        while let Ok(bytes @ 1..) = unix::read_some(self.theirs.as_fd(), &mut buffer) {
            all.extend_from_slice(&buffer[..bytes]);
        }
        all
    }

    /// The reader has handled so many more.
    fn release(&mut self, count: u64) {
        for _ in 0..count {
            let drained = self.reader.drain(&mut Vec::new()).unwrap();
            self.reader.release(drained.unwrap());
        }
    }

    fn accounting(&self) -> Accounting {
        self.observer.accounting().unwrap()
    }
}

fn frame(number: u64, record: &[u8]) -> Vec<u8> {
    let mut frame = header(record.len().try_into().unwrap(), number).to_vec();
    frame.extend_from_slice(record);
    frame
}

#[test]
fn a_socket_that_takes_a_part_gets_the_rest_in_its_place() {
    let mut site = Site::new(LIMITS, 64);
    let record: Vec<u8> = (0..3_000_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    site.push(&record).unwrap();
    assert_eq!(site.push(b"no room"), Err(PushError::Full));
    let mut came = Vec::new();
    while site.stream.has_unwritten() {
        site.pump();
        let some = site.read();
        assert!(!some.is_empty(), "it goes on");
        came.extend_from_slice(&some);
    }
    assert_eq!(came, frame(0, &record));
    assert_eq!(site.push(b"no room"), Err(PushError::Full), "unreleased");
    let too_large = vec![0; LIMITS.record_bytes_max + 1];
    assert_eq!(site.push(&too_large), Err(PushError::TooLarge));
    site.release(1);
    site.push(b"next").unwrap();
    assert!(
        site.stream.placed.bytes.capacity() < 3_000_000,
        "given back"
    );
    assert!(site.pump() && !site.pump(), "news once");
    assert_eq!(site.read(), frame(1, b"next"));
}

#[test]
fn the_queue_is_bounded_with_a_reader_that_does_not_read_and_without_one() {
    for is_connected in [true, false] {
        let mut site = Site::new(LIMITS, 1024);
        if !is_connected {
            drop(std::mem::replace(
                &mut site.theirs,
                unix::stream_pair().unwrap().0,
            ));
        }
        let mut accepted = 0;
        while site.push(&[1; 88]).is_ok() {
            accepted += 1;
            site.pump();
        }
        assert_eq!(accepted, 40, "of 100 bytes each");
        assert_eq!(site.stream.is_connected(), is_connected);
        assert_eq!(site.accounting().in_flight, accepted);
        site.release(3);
        for _ in 0..3 {
            site.push(&[2; 88]).unwrap();
        }
        assert_eq!(site.push(&[2; 88]), Err(PushError::Full));
    }
}

#[test]
fn the_oldest_without_a_place_make_room_for_the_newest() {
    let limits = Limits {
        placed_bytes_max: 2048,
        ..LIMITS
    };
    let mut site = Site::new(limits, 1024);
    for number in 0..100_u8 {
        while site.push(&[number; 88]).is_err() {
            assert!(site.stream.drop_oldest(88, &mut site.account));
        }
    }
    let accounts = site.accounting();
    assert_eq!((accounts.accepted, accounts.in_flight), (100, 40));
    assert_eq!(accounts.dropped(DropReason::Oldest), 60);
    assert!(
        !site.stream.drop_oldest(3000, &mut site.account),
        "half is the reader's"
    );
    site.pump();
    let mut came = site.read();
    site.release(20);
    site.pump();
    came.extend(site.read());
    let numbers = (0..20).chain(80..100);
    let expected = (0..)
        .zip(numbers)
        .flat_map(|(place, number)| frame(place, &[number; 88]));
    assert_eq!(came, expected.collect::<Vec<u8>>());
    site.release(20);
    site.pump();
    assert!(!site.stream.has_unwritten());
    assert_eq!(site.accounting().delivered, 40);
}

#[test]
fn another_socket_gets_everything_that_was_not_released() {
    let mut site = Site::new(LIMITS, 64);
    for record in [&b"one"[..], b"two", b"three"] {
        site.push(record).unwrap();
    }
    site.pump();
    site.release(1);
    site.connect();
    site.pump();
    let again = [header(0, 0).to_vec(), frame(1, b"two"), frame(2, b"three")];
    assert_eq!(site.read(), again.concat());
    site.release(2);
    site.connect();
    site.pump();
    assert_eq!(site.read(), header(0, 1));
    site.connect();
    assert_eq!(
        site.read(),
        header(0, 3),
        "nothing before that is to be had"
    );
}

#[test]
fn a_frame_of_which_a_part_was_written_is_written_whole_though_it_was_released() {
    let mut site = Site::new(LIMITS, 64);
    let record = vec![7; 1_000_000];
    site.push(&record).unwrap();
    site.pump();
    assert!(site.stream.has_unwritten());
    site.release(1);
    let mut came = Vec::new();
    while site.stream.has_unwritten() {
        site.pump();
        came.extend(site.read());
    }
    assert_eq!(came, frame(0, &record));
    site.pump();
    site.push(b"next").unwrap();
}

#[test]
fn an_account_that_is_full_holds_back_and_loses_nothing() {
    let mut site = Site::new(LIMITS, 8);
    for number in 0..20_u8 {
        site.push(&[number; 2]).unwrap();
    }
    let mut came = Vec::new();
    for released in [0, 8, 8, 4] {
        site.release(released);
        site.pump();
        came.extend(site.read());
    }
    let expected = (0..20_u8).flat_map(|number| frame(number.into(), &[number; 2]));
    assert_eq!(came, expected.collect::<Vec<u8>>());
    let accounts = site.accounting();
    assert_eq!((accounts.accepted, accounts.delivered), (20, 20));
}

/// Shows: with many small records, of which the socket holds few, the reader that has released those
/// knows that there is room for the rest.
#[test]
fn who_waits_is_woken_when_the_reader_has_seen_what_the_socket_held() {
    let limits = Limits {
        bytes_max: 1 << 20,
        placed_bytes_max: 1 << 20,
        ..LIMITS
    };
    let mut site = Site::new(limits, 65536);
    while site.push(b"small").is_ok() {
        site.pump();
    }
    assert!(site.stream.has_unwritten());
    assert_eq!(site.stream.wants_room(5, &mut site.account), Ok(false));
    assert!(!site.reader.room_is_wanted());
    let held = site.read().len() / (FRAME_HEADER_BYTES + 5);
    site.release(u64::try_from(held / 2).unwrap() - 1);
    assert!(!site.reader.room_is_wanted(), "half of them at once");
    site.release(2);
    assert!(site.reader.room_is_wanted());
    assert_eq!(site.stream.wants_room(5, &mut site.account), Ok(true));
}

#[test]
fn a_successor_counts_what_had_no_place_as_lost_and_begins_behind_the_rest() {
    let mut site = Site::new(LIMITS, 8);
    for number in 0..20_u8 {
        site.push(&[number; 2]).unwrap();
    }
    site.stream = Sending::new(&mut site.account, LIMITS);
    let accounts = site.accounting();
    assert_eq!((accounts.accepted, accounts.in_flight), (20, 8));
    assert_eq!(accounts.dropped(DropReason::Lost), 12);
    site.connect();
    assert_eq!(site.read(), header(0, 8));
    site.release(8);
    site.push(b"next").unwrap();
    site.pump();
    assert_eq!(site.read(), frame(8, b"next"));
}

/// Shows: a record that finds the account spoiled is not accepted, so that it is counted where it is
/// dropped and nowhere else.
#[test]
fn a_record_that_finds_the_account_spoiled_is_not_counted_in_it() {
    const HEAD_AT: u64 = 2 * 128; // the third line
    let mut site = Site::new(LIMITS, 8);
    for _ in 0..8 {
        site.push(b"x").unwrap();
    }
    let before = site.accounting();
    site.memory.write_all_at(&[7; 8], HEAD_AT).unwrap();
    let refused = site.push(b"x");
    assert!(matches!(refused, Err(PushError::Corrupt(_))), "{refused:?}");
    site.memory.write_all_at(&[0; 8], HEAD_AT).unwrap();
    assert_eq!(site.accounting(), before);
    site.push(b"x").unwrap();
    assert_eq!(site.accounting().accepted, 9);
}

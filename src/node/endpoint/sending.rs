//! A writer's end of a stream: a bounded queue in this node's memory, and the socket behind it.
//!
//! Owns: both. A record is accepted when it is in the queue. It stays there until its reader has
//! released it, so a reader's death costs nothing: its successor's socket gets everything anew that was
//! not released. The queue dies with this node, and the successor counts what was in it as lost.
//!
//! The account, a ring whose records are empty, has a place for each record that may go into a socket; a
//! record's number is its place there. What has a place is its reader's, so only what has none is ever
//! dropped for a newer one.
//!
//! While records follow one another fast and the reader is awake, a few of them [gather](Pace) before
//! they are written: a call of the system for each would cost more than all the rest.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::pace::Pace;
use crate::shm::ring::{self, Corrupt, DropReason, PushError, Writer};
use crate::sys::unix;

/// Bytes before a record: its length, and its number.
pub(super) const FRAME_HEADER_BYTES: usize = size_of::<u32>() + size_of::<u64>();

/// So many records get a place between two calls of the system.
const PLACES_A_CALL: usize = 256;

/// What a queue may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// It takes no more bytes than this, or one record.
    pub(super) bytes_max: usize,
    /// So many may have a place before they are released, or one record: the rest can be dropped.
    pub(super) placed_bytes_max: usize,
    /// Its reader takes no larger record for one.
    pub(super) record_bytes_max: usize,
}

/// Frames, one behind the other.
#[derive(Debug, Default)]
struct Frames {
    /// From `begin` on; what lies before it is moved over when it is as much as the rest.
    bytes: Vec<u8>,
    begin: usize,
    lengths: VecDeque<usize>,
}

impl Frames {
    #[inline]
    fn push(&mut self, number: u64, length: u32, parts: &[&[u8]]) {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&header(length, number));
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.lengths.push_back(self.bytes.len() - before);
    }

    /// Bytes of all of them.
    #[inline]
    fn len(&self) -> usize {
        self.bytes.len() - self.begin
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// What lies behind the first `offset` bytes.
    fn behind(&self, offset: usize) -> &[u8] {
        self.bytes.get(self.begin + offset..).unwrap_or_default()
    }

    /// The record of the first one.
    fn first_record(&self) -> &[u8] {
        let length = self.lengths.front().copied().unwrap_or(0);
        let frame = self.behind(0).get(FRAME_HEADER_BYTES..length);
        frame.unwrap_or_default()
    }

    /// Removes the first one: its bytes.
    fn pop(&mut self) -> Option<usize> {
        let length = self.lengths.pop_front()?;
        self.begin += length;
        Some(length)
    }

    /// How many of them lie within the first `bytes`.
    fn within(&self, bytes: usize) -> usize {
        let ends = self.lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        ends.take_while(|end| *end <= bytes).count()
    }

    /// Gives back the room of what was removed, and the memory of a record that was larger than the rest
    /// will be.
    fn tidy(&mut self, bytes_max: usize) {
        if self.is_empty() {
            self.bytes.clear();
            self.begin = 0;
            self.bytes.shrink_to(bytes_max.saturating_mul(2));
        } else if self.begin >= self.len() {
            self.bytes.copy_within(self.begin.., 0);
            self.bytes.truncate(self.len());
            self.begin = 0;
        }
    }
}

#[derive(Debug)]
pub(super) struct Sending {
    socket: Option<OwnedFd>,
    limits: Limits,
    /// Those that have a place, until they are released.
    placed: Frames,
    /// The number of the first of those.
    first: u64,
    /// How many bytes of them this socket took.
    sent: usize,
    /// Those that came after them.
    waiting: Frames,
    pace: Pace,
    /// Something was written, and the reader's bell was not rung for it.
    is_unrung: bool,
    /// Whoever owns this knows that there is something to write.
    pub(super) is_listed: bool,
}

impl Sending {
    /// The predecessor's queue is lost, and counted. What it had written is its reader's still.
    pub(super) fn new(account: &mut Writer, limits: Limits) -> Self {
        account.give_up_queue();
        Self {
            socket: None,
            limits,
            placed: Frames::default(),
            first: account.accepted(),
            sent: 0,
            waiting: Frames::default(),
            pace: Pace::new(limits.bytes_max),
            is_unrung: false,
            is_listed: false,
        }
    }

    /// Goes on with this socket, whose reader has seen nothing of what is in the queue, or has and
    /// passes over it. An empty frame says with which number this end begins: those before that are not
    /// to be had any more.
    pub(super) fn connect(&mut self, socket: OwnedFd, account: &Writer) {
        self.sent = 0;
        let begin = if self.placed.is_empty() {
            account.accepted()
        } else {
            self.first
        };
        self.is_unrung = true;
        match unix::write_parts(socket.as_fd(), &[IoSlice::new(&header(0, begin))]) {
            Ok(FRAME_HEADER_BYTES) => self.socket = Some(socket),
            Ok(_) => self.socket = None,
            Err(error) => self.disconnect(&error),
        }
    }

    /// Puts a record into the queue.
    #[inline(never)]
    pub(super) fn push(&mut self, parts: &[&[u8]], account: &mut Writer) -> Result<(), PushError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let stated = u32::try_from(length).map_err(|_| PushError::TooLarge)?;
        if length > self.limits.record_bytes_max {
            return Err(PushError::TooLarge);
        }
        if !self.has_room(length) {
            self.write(account)?;
            if !self.has_room(length) {
                return Err(PushError::Full);
            }
        }
        account.count_queued();
        let bytes = FRAME_HEADER_BYTES + length;
        if self.waiting.is_empty()
            && self.may_place(bytes)
            && let Some(number) = self.place(account)?
        {
            self.placed.push(number, stated, parts);
            return Ok(());
        }
        self.waiting.push(0, stated, parts);
        Ok(())
    }

    /// Drops the oldest records that are nobody's yet until there is room. False: there is none.
    pub(super) fn drop_oldest(&mut self, length: usize, account: &mut Writer) -> bool {
        let kept = self.placed.len() + FRAME_HEADER_BYTES + length;
        if !self.placed.is_empty() && kept > self.limits.bytes_max {
            return false;
        }
        while !self.has_room(length) {
            if self.waiting.pop().is_none() {
                return false;
            }
            account.count_drop(DropReason::Oldest);
        }
        self.waiting.tidy(self.limits.bytes_max);
        true
    }

    /// Is there room for a record of so many bytes, as far as was seen?
    fn has_room(&self, length: usize) -> bool {
        let bytes = self.placed.len() + self.waiting.len();
        bytes == 0 || bytes + FRAME_HEADER_BYTES + length <= self.limits.bytes_max
    }

    /// Says that this end waits for room, and whether it is there.
    pub(super) fn wants_room(
        &mut self,
        length: usize,
        account: &mut Writer,
    ) -> Result<bool, Corrupt> {
        self.wish(account)?;
        self.forget_released(account)?;
        Ok(self.has_room(length))
    }

    /// Asks for the bell once half of what the reader can see was released, or it would have to wake us
    /// for every record. More it may never come to: the rest is not written yet.
    fn wish(&self, account: &mut Writer) -> Result<(), Corrupt> {
        let left = self.placed.lengths.len() - self.placed.within(self.sent).div_ceil(2);
        // A record of all of the account but this finds room when so much is left.
        let left = left * ring::EMPTY_RECORD_BYTES;
        let room = account.record_bytes_max().saturating_sub(left);
        account.want_room(room).map(drop)
    }

    /// A record was pushed: may it wait for the next ones before it is written?
    pub(super) fn may_gather(&mut self, tick: Duration, reader_sleeps: bool) -> bool {
        let unsent = self.unsent();
        self.pace.may_gather(unsent, tick, reader_sleeps)
    }

    fn unsent(&self) -> usize {
        self.placed.len() - self.sent + self.waiting.len()
    }

    /// Is there something that a socket did not take?
    pub(super) fn has_unwritten(&self) -> bool {
        self.unsent() > 0
    }

    /// Is there a socket to write it to?
    pub(super) fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// Writes what the socket takes, and says whether the reader has something new to look at.
    pub(super) fn pump(&mut self, account: &mut Writer) -> Result<bool, Corrupt> {
        self.write(account)?;
        Ok(std::mem::take(&mut self.is_unrung))
    }

    fn write(&mut self, account: &mut Writer) -> Result<(), Corrupt> {
        self.forget_released(account)?;
        while self.unsent() > 0 {
            let is_next_placed = self.sent < self.placed.len();
            if self.is_connected() && !is_next_placed && !self.place_more(account)? {
                self.wish(account)?;
                break;
            }
            let Some(socket) = &self.socket else {
                break;
            };
            let parts = [IoSlice::new(self.placed.behind(self.sent))];
            match unix::write_parts(socket.as_fd(), &parts) {
                Ok(written) => {
                    self.is_unrung = true;
                    self.sent += written;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.wish(account)?;
                    break;
                }
                Err(error) => self.disconnect(&error),
            }
        }
        self.pace.has_tried(self.unsent());
        Ok(())
    }

    /// Nobody is at the other end; the reader's successor comes with another socket.
    fn disconnect(&mut self, error: &io::Error) {
        log::debug!("event=stream_closed side=writer error=\"{error}\"");
        self.socket = None;
        self.sent = 0;
    }

    /// May so many bytes more have a place?
    fn may_place(&self, bytes: usize) -> bool {
        let all = self.placed.len() + bytes;
        self.placed.is_empty() || all <= self.limits.placed_bytes_max
    }

    /// Takes the next place of the account. `None`: it has none.
    fn place(&mut self, account: &mut Writer) -> Result<Option<u64>, PushError> {
        match account.try_push(&[]) {
            Ok(number) => {
                if self.placed.is_empty() {
                    self.first = number;
                }
                Ok(Some(number))
            }
            Err(corrupt @ PushError::Corrupt(_)) => Err(corrupt),
            Err(PushError::Full | PushError::TooLarge | PushError::MovedOn(_)) => Ok(None),
        }
    }

    /// Gives places to those that come next. False: there are none.
    fn place_more(&mut self, account: &mut Writer) -> Result<bool, Corrupt> {
        for _ in 0..PLACES_A_CALL {
            let Some(bytes) = self.waiting.lengths.front().copied() else {
                break;
            };
            if !self.may_place(bytes) {
                break;
            }
            let number = match self.place(account) {
                Ok(Some(number)) => number,
                Ok(None) | Err(PushError::Full | PushError::TooLarge | PushError::MovedOn(_)) => {
                    break;
                }
                Err(PushError::Corrupt(corrupt)) => return Err(corrupt),
            };
            let length = u32::try_from(bytes - FRAME_HEADER_BYTES).unwrap_or(u32::MAX);
            self.placed
                .push(number, length, &[self.waiting.first_record()]);
            self.waiting.pop();
        }
        self.waiting.tidy(self.limits.bytes_max);
        Ok(self.sent < self.placed.len())
    }

    /// Lets go of what the reader has released; not of a frame that a socket took only a part of.
    fn forget_released(&mut self, account: &mut Writer) -> Result<(), Corrupt> {
        if self.placed.is_empty() {
            return Ok(());
        }
        let released = account.released_position()? / ring::EMPTY_RECORD_BYTES as u64;
        let mut bytes = 0;
        while let Some(length) = self.placed.lengths.front().copied() {
            let is_partly_sent = (bytes + 1..bytes + length).contains(&self.sent);
            if self.first >= released || is_partly_sent {
                break;
            }
            self.placed.pop();
            self.first += 1;
            bytes += length;
        }
        self.sent = self.sent.saturating_sub(bytes);
        self.placed.tidy(self.limits.bytes_max);
        Ok(())
    }
}

/// What stands before a record, or alone.
fn header(length: u32, number: u64) -> [u8; FRAME_HEADER_BYTES] {
    let mut header = [0; FRAME_HEADER_BYTES];
    if let Some((first, second)) = header.split_first_chunk_mut() {
        *first = length.to_le_bytes();
        second.copy_from_slice(&number.to_le_bytes());
    }
    header
}

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests {
    use super::*;
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
}

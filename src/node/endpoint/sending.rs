//! A writer's end of a stream: a bounded queue in this node's memory, and the socket behind it.
//!
//! Owns: both. A record is accepted when it is in the queue. It stays there until its reader has
//! released it, so a reader's death costs nothing: its successor's socket gets everything anew that was
//! not released. The queue dies with this node, and the successor counts what was in it as lost.
//!
//! The account, a ring whose records are empty, has a place for each record that has begun to go into a
//! socket; a record's number is its place there. What has a place is its reader's, so only what has
//! none is ever dropped for a newer one.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, OwnedFd};

use crate::shm::ring::{self, Corrupt, DropReason, PushError, Writer};
use crate::sys::unix;

/// Bytes before a record: its length, and its number.
pub(super) const FRAME_HEADER_BYTES: usize = size_of::<u32>() + size_of::<u64>();

/// So many records go into the socket with one call.
const PARTS_MAX: usize = 64;

/// What a queue may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// It takes no more bytes than this, or one record.
    pub(super) bytes_max: usize,
    /// So many may have a place before they are released, or one record: the rest can be dropped.
    pub(super) placed_bytes_max: usize,
}

#[derive(Debug)]
pub(super) struct Sending {
    socket: Option<OwnedFd>,
    /// Frames, in their order: those that were written, the one that is being written, and the rest.
    queue: VecDeque<Box<[u8]>>,
    bytes: usize,
    limits: Limits,
    /// Bytes of those that have a place.
    placed_bytes: usize,
    /// The number of the first one in the queue, if it has one.
    first: u64,
    /// How many at the front have a place in the account.
    placed: usize,
    /// How many at the front this socket took whole, and how many bytes of the next.
    written: usize,
    offset: usize,
    /// Something was written, and the reader's bell was not rung for it.
    is_unrung: bool,
}

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pumped {
    /// The reader has something new to look at.
    pub(super) any: bool,
    /// There is more, and a socket, and no room in it.
    pub(super) is_stuck: bool,
}

impl Sending {
    /// The predecessor's queue is lost, and counted. What it had written is its reader's still.
    pub(super) fn new(account: &mut Writer, limits: Limits) -> Self {
        account.give_up_queue();
        Self {
            socket: None,
            queue: VecDeque::new(),
            bytes: 0,
            limits,
            placed_bytes: 0,
            first: account.accepted(),
            placed: 0,
            written: 0,
            offset: 0,
            is_unrung: false,
        }
    }

    /// Goes on with this socket, whose reader has seen nothing of what is in the queue, or has and
    /// passes over it. An empty frame says with which number this end begins: those before that are not
    /// to be had any more.
    pub(super) fn connect(&mut self, socket: OwnedFd, account: &Writer) {
        (self.written, self.offset) = (0, 0);
        let begin = if self.placed > 0 {
            self.first
        } else {
            account.accepted()
        };
        let greeting = header(0, begin);
        self.is_unrung = true;
        match unix::write_parts(socket.as_fd(), &[IoSlice::new(&greeting)]) {
            Ok(FRAME_HEADER_BYTES) => self.socket = Some(socket),
            Ok(_) => self.socket = None,
            Err(error) => self.disconnect(&error),
        }
    }

    /// Puts a record into the queue.
    pub(super) fn push(&mut self, parts: &[&[u8]], account: &mut Writer) -> Result<(), PushError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let stated = u32::try_from(length).map_err(|_| PushError::TooLarge)?;
        if !self.has_room(length) {
            self.write(account)?;
            if !self.has_room(length) {
                return Err(PushError::Full);
            }
        }
        let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES + length);
        frame.extend_from_slice(&header(stated, 0)); // until it has a number
        for part in parts {
            frame.extend_from_slice(part);
        }
        self.bytes += frame.len();
        self.queue.push_back(frame.into_boxed_slice());
        account.count_queued();
        Ok(())
    }

    /// Drops the oldest records that are nobody's yet until there is room. False: there is none.
    pub(super) fn drop_oldest(&mut self, length: usize, account: &mut Writer) -> bool {
        let kept = self.placed_bytes + FRAME_HEADER_BYTES + length;
        if self.placed > 0 && kept > self.limits.bytes_max {
            return false;
        }
        while !self.has_room(length) {
            let Some(frame) = self.queue.remove(self.placed) else {
                return false;
            };
            self.bytes -= frame.len();
            account.count_drop(DropReason::Oldest);
        }
        true
    }

    /// Is there room for a record of so many bytes, as far as was seen?
    fn has_room(&self, length: usize) -> bool {
        self.queue.is_empty() || self.bytes + FRAME_HEADER_BYTES + length <= self.limits.bytes_max
    }

    /// Says that this end waits for room, and whether it is there: ask again once half of what is under
    /// way was released, or the reader would have to wake us for every record.
    pub(super) fn wants_room(
        &mut self,
        length: usize,
        account: &mut Writer,
    ) -> Result<bool, Corrupt> {
        self.wish(account)?;
        self.forget_released(account)?;
        Ok(self.has_room(length))
    }

    fn wish(&self, account: &mut Writer) -> Result<(), Corrupt> {
        // A record of all of the account but this finds room when so much is left.
        let left = self.placed / 2 * ring::EMPTY_RECORD_BYTES;
        let room = account.record_bytes_max().saturating_sub(left);
        account.want_room(room).map(drop)
    }

    /// Writes what the socket takes, and says what follows from that.
    pub(super) fn pump(&mut self, account: &mut Writer) -> Result<Pumped, Corrupt> {
        let is_stuck = self.write(account)?;
        let any = std::mem::take(&mut self.is_unrung);
        Ok(Pumped { any, is_stuck })
    }

    fn write(&mut self, account: &mut Writer) -> Result<bool, Corrupt> {
        let mut is_stuck = false;
        while self.written < self.queue.len() {
            if self.socket.is_none() {
                break;
            }
            if self.placed == self.written && !self.place_more(account)? {
                is_stuck = true;
                self.wish(account)?;
                break;
            }
            let Some(socket) = &self.socket else {
                break;
            };
            let mut parts = [IoSlice::new(&[]); PARTS_MAX];
            let frames = self.queue.range(self.written..self.placed);
            let mut offset = self.offset;
            let mut count = 0;
            for (part, frame) in parts.iter_mut().zip(frames) {
                *part = IoSlice::new(frame.get(offset..).unwrap_or_default());
                (offset, count) = (0, count + 1);
            }
            match unix::write_parts(socket.as_fd(), parts.get(..count).unwrap_or_default()) {
                Ok(written) => {
                    self.is_unrung = true;
                    self.wrote(written);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    is_stuck = true;
                    self.wish(account)?;
                    break;
                }
                Err(error) => self.disconnect(&error),
            }
        }
        self.forget_released(account)?;
        Ok(is_stuck)
    }

    /// Nobody is at the other end; the reader's successor comes with another socket.
    fn disconnect(&mut self, error: &io::Error) {
        log::debug!("event=stream_closed side=writer error=\"{error}\"");
        self.socket = None;
        (self.written, self.offset) = (0, 0);
    }

    fn wrote(&mut self, bytes: usize) {
        self.offset += bytes;
        while let Some(frame) = self.queue.get(self.written) {
            if self.offset < frame.len() || self.written >= self.placed {
                return;
            }
            self.offset -= frame.len();
            self.written += 1;
        }
    }

    /// Gives places to those that come next. False: the account has none.
    fn place_more(&mut self, account: &mut Writer) -> Result<bool, Corrupt> {
        for _ in 0..PARTS_MAX {
            let Some(bytes) = self.queue.get(self.placed).map(|frame| frame.len()) else {
                break;
            };
            if self.placed > 0 && self.placed_bytes + bytes > self.limits.placed_bytes_max {
                break;
            }
            let number = match account.try_push(&[]) {
                Ok(number) => number,
                Err(PushError::Corrupt(corrupt)) => return Err(corrupt),
                Err(PushError::Full | PushError::TooLarge | PushError::MovedOn(_)) => break,
            };
            if self.placed == 0 {
                self.first = number;
            }
            let frame = self.queue.get_mut(self.placed);
            let place = frame.and_then(|frame| frame.get_mut(size_of::<u32>()..FRAME_HEADER_BYTES));
            if let Some(place) = place {
                place.copy_from_slice(&number.to_le_bytes());
            }
            self.placed += 1;
            self.placed_bytes += bytes;
        }
        Ok(self.placed > self.written)
    }

    /// Lets go of what the reader has released.
    fn forget_released(&mut self, account: &mut Writer) -> Result<(), Corrupt> {
        let released = account.released_position()? / ring::EMPTY_RECORD_BYTES as u64;
        while self.placed > 0 && self.first < released && (self.written > 0 || self.offset == 0) {
            let Some(frame) = self.queue.pop_front() else {
                break;
            };
            self.bytes -= frame.len();
            self.placed_bytes -= frame.len();
            self.first += 1;
            self.placed -= 1;
            self.written = self.written.saturating_sub(1);
        }
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

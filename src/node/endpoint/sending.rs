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

mod frames;
#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests;

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::pace::Pace;
use crate::shm::ring::{self, Corrupt, DropReason, PushError, Writer};
use crate::sys::unix;

pub(super) use frames::FRAME_HEADER_BYTES;
use frames::{Frames, header};

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
        // Before it has a place: who dies in between has lost a record that it did not promise yet.
        account.count_queued();
        let bytes = FRAME_HEADER_BYTES + length;
        let place = match self.waiting.is_empty() && self.may_place(bytes) {
            true => self.place(account),
            false => Ok(None),
        };
        match place {
            Ok(Some(number)) => self.placed.push(number, stated, parts),
            Ok(None) => self.waiting.push(0, stated, parts),
            Err(error) => {
                account.count_not_queued(); // whoever asked counts it as dropped
                return Err(error);
            }
        }
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
    pub(super) fn has_room(&self, length: usize) -> bool {
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
        // The last try comes behind the wish: what the reader makes room for before that it tells nobody.
        let mut has_wished = account.waits_for_room();
        while self.unsent() > 0 && self.is_connected() {
            if self.write_some(account)? {
                has_wished = false;
            } else if has_wished {
                break;
            } else {
                self.wish(account)?;
                self.forget_released(account)?;
                has_wished = true;
            }
        }
        self.pace.has_tried(self.unsent());
        Ok(())
    }

    /// Writes once. False: there is no room, in the socket or for another place.
    fn write_some(&mut self, account: &mut Writer) -> Result<bool, Corrupt> {
        if self.sent == self.placed.len() && !self.place_more(account)? {
            return Ok(false);
        }
        let Some(socket) = &self.socket else {
            return Ok(false);
        };
        let parts = [IoSlice::new(self.placed.behind(self.sent))];
        match unix::write_parts(socket.as_fd(), &parts) {
            Ok(written) => {
                self.is_unrung = true;
                self.sent += written;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => self.disconnect(&error),
        }
        Ok(true)
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

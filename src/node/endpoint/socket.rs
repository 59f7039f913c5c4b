//! The seat's socket: packets to the stem and from it.
//!
//! Owns: the socket, and the descriptors that came until they are handed on.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::fabric::{Answer, Ask, SEAT_PACKET_BYTES_MAX};
use crate::sys::packet;

/// A packet from the stem.
#[derive(Debug)]
pub(in crate::node) struct Received {
    pub(in crate::node) answer: Answer,
    pub(in crate::node) descriptors: Vec<OwnedFd>,
}

#[derive(Debug)]
pub(in crate::node) struct SeatSocket {
    socket: OwnedFd,
    /// What did not go into the socket's queue yet. A ring is asked for and said to be drained once,
    /// so there are at most as many as rings.
    unsent: VecDeque<Vec<u8>>,
    buffer: Vec<u8>,
    over: bool,
}

impl SeatSocket {
    /// `socket` is non-blocking or not; it is never waited for here.
    pub(in crate::node) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            unsent: VecDeque::new(),
            buffer: vec![0; SEAT_PACKET_BYTES_MAX],
            over: false,
        }
    }

    /// Sends a packet, now or as soon as the stem has read others.
    pub(in crate::node) fn send(&mut self, ask: &Ask) {
        match postcard::to_stdvec(ask) {
            Ok(packet) => self.unsent.push_back(packet),
            Err(error) => debug_assert!(false, "a packet cannot be encoded: {error}"),
        }
        self.flush();
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) {
        while let Some(packet) = self.unsent.front() {
            match packet::send(self.socket.as_fd(), packet, &[]) {
                Ok(()) => {
                    self.unsent.pop_front();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Its packets may still be there to be read; `receive` finds the end.
                Err(_) => self.unsent.clear(),
            }
        }
    }

    /// The next packet, if there is one. `None` after the end: see [`SeatSocket::is_over`].
    ///
    /// # Errors
    /// `InvalidData`: a packet that is none of ours; it is lost. Else the system's answer.
    pub(super) fn receive(&mut self) -> io::Result<Option<Received>> {
        if self.over {
            return Ok(None);
        }
        match packet::recv(self.socket.as_fd(), &mut self.buffer) {
            Ok(Some((length, descriptors))) => {
                let bytes = self.buffer.get(..length).unwrap_or_default();
                let answer = postcard::from_bytes(bytes)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                Ok(Some(Received {
                    answer,
                    descriptors,
                }))
            }
            Ok(None) => {
                self.over = true;
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The stem is gone, and all it sent was read.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// What becomes readable when a packet comes, or the end.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

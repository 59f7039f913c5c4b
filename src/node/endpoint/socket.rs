//! The seat's socket: packets to the stem and from it.
//!
//! Owns: the socket, and the descriptors that came until they are handed on.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::fabric::{Answer, Ask, SEAT_PACKET_BYTES_MAX};
use crate::shm::board::SLOTS_MAX;
use crate::sys::packet;

/// A packet from the stem.
#[derive(Debug)]
pub(in crate::node) struct Received {
    pub(in crate::node) answer: Answer,
    pub(in crate::node) descriptors: Vec<OwnedFd>,
}

/// So many packets may wait for room in the socket's queue: enough to ask for a ring of each class to
/// everybody while the stem is held up, and to say as many to be drained. Beyond that none is taken.
const UNSENT_MAX: usize = 4 * SLOTS_MAX as usize;

#[derive(Debug)]
pub(in crate::node) struct SeatSocket {
    socket: OwnedFd,
    /// What did not go into the socket's queue yet; [`UNSENT_MAX`] at most.
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

    /// Sends a packet, now or as soon as the stem has read others. False: the stem has not read for so
    /// long that the packet was not taken.
    pub(in crate::node) fn send(&mut self, ask: &Ask) -> bool {
        self.flush();
        let has_room = self.unsent.len() < UNSENT_MAX;
        match postcard::to_stdvec(ask) {
            Ok(packet) if has_room => self.unsent.push_back(packet),
            Ok(_) => {}
            Err(error) => debug_assert!(false, "a packet cannot be encoded: {error}"),
        }
        self.flush();
        has_room
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

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests {
    use super::*;
    use crate::fabric::{Class, Slot};

    /// Shows: a stem that does not read costs this much memory and no more; what was taken is sent in its
    /// order when it reads again.
    #[test]
    fn what_a_stem_does_not_read_is_bounded() {
        let (stem, ours) = packet::pair().unwrap();
        let mut socket = SeatSocket::new(ours);
        let ask = |record_bytes| Ask::Ring {
            to: Slot(0),
            class: Class::Bulk,
            record_bytes,
        };
        let refused = (0..).find(|number| !socket.send(&ask(*number))).unwrap();
        assert_eq!(socket.unsent.len(), UNSENT_MAX);
        assert!(!socket.send(&Ask::Announce), "nor is anything else taken");
        let mut buffer = [0; 64];
        for number in 0..refused {
            let (length, _) = packet::recv(stem.as_fd(), &mut buffer).unwrap().unwrap();
            assert_eq!(
                postcard::from_bytes::<Ask>(&buffer[..length]),
                Ok(ask(number))
            );
            socket.flush();
        }
        assert!(socket.send(&Ask::Announce) && socket.unsent.is_empty());
    }
}

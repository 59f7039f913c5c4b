//! The stem's end of the link: orders come in, reports go out, in packets with descriptors beside them.
//!
//! Owns: the socket, and descriptors on their way out. Nothing here blocks but
//! [`Link::flush_before_leaving`].

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use cluster::supervise::vocabulary::{LINK_PACKET_BYTES_MAX, Order, Report};
use cluster::sys::packet;

/// With more reports than this unsent, births wait: the supervisor does not keep up.
const UNSENT_MAX: usize = 4096;

/// The last report is waited for this long, so that a sick supervisor cannot hold up the stem's end.
const LEAVE_WAIT_MS: u16 = 1_000;

/// Messages to and from the supervisor.
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
    unsent: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    buffer: Box<[u8]>,
}

impl Link {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            unsent: VecDeque::new(),
            buffer: vec![0; LINK_PACKET_BYTES_MAX].into_boxed_slice(),
        }
    }

    /// The next order, `None` when there is none just now.
    ///
    /// One that cannot be read is a bug of ours. It is told of and passed over: the supervisor would
    /// send the same again to another stem.
    ///
    /// # Errors
    /// End of file: the supervisor is gone.
    pub(super) fn receive(&mut self) -> io::Result<Option<(Order, Vec<OwnedFd>)>> {
        loop {
            let problem = match packet::recv(self.socket.as_fd(), &mut self.buffer) {
                Ok(Some((length, fds))) => {
                    let bytes = self.buffer.get(..length).unwrap_or_default();
                    match postcard::from_bytes(bytes) {
                        Ok(order) => return Ok(Some((order, fds))),
                        Err(error) => error.to_string(),
                    }
                }
                Ok(None) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => error.to_string(),
                Err(error) => return Err(error),
            };
            let text = format!("an order of the supervisor cannot be read: {problem}");
            self.report(Report::Problem { name: None, text }, vec![]);
        }
    }

    /// Puts a report in line.
    pub(super) fn report(&mut self, report: Report, fds: Vec<OwnedFd>) {
        match postcard::to_stdvec(&report) {
            Ok(bytes) => self.unsent.push_back((bytes, fds)),
            Err(error) => debug_assert!(false, "cannot encode {report:?}: {error}"),
        }
    }

    /// Sends what the socket takes.
    pub(super) fn flush(&mut self) {
        while let Some((bytes, fds)) = self.unsent.front() {
            let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
            match packet::send(self.socket.as_fd(), bytes, &borrowed) {
                Ok(()) => {
                    self.unsent.pop_front();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The supervisor is gone; reading the link says so too, and acts on it.
                Err(_) => self.unsent.clear(),
            }
        }
    }

    /// Sends everything, waiting for a slow supervisor, but not for ever.
    pub(super) fn flush_before_leaving(&mut self) {
        while !self.unsent.is_empty() {
            let before = self.unsent.len();
            self.flush();
            let stuck = self.unsent.len() == before;
            if stuck && !writable_within(self.socket.as_fd(), LEAVE_WAIT_MS) {
                break;
            }
        }
    }

    /// Does the supervisor keep up?
    pub(super) fn is_pressed(&self) -> bool {
        self.unsent.len() > UNSENT_MAX
    }

    /// A copy for a newborn, which reports its own failure to be born.
    pub(super) fn copy(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone()
    }
}

fn writable_within(fd: std::os::fd::BorrowedFd<'_>, ms: u16) -> bool {
    use nix::poll::{PollFd, PollFlags, poll};
    let mut wait = [PollFd::new(fd, PollFlags::POLLOUT)];
    matches!(poll(&mut wait, ms), Ok(ready) if ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::supervise::vocabulary::VERSION;

    #[test]
    fn an_order_that_cannot_be_read_is_told_of_and_passed_over() {
        let (ours, theirs) = packet::pair().unwrap();
        let mut link = Link::new(theirs);
        let good = Order::Hello {
            version: VERSION,
            stem: 1,
            soft_limit: 64,
        };
        let good = postcard::to_stdvec(&good).unwrap();
        for packet in [&[0xff; 9][..], &good] {
            packet::send(ours.as_fd(), packet, &[]).unwrap();
        }
        let (order, _) = link.receive().unwrap().unwrap();
        assert!(matches!(order, Order::Hello { stem: 1, .. }));
        assert!(link.receive().unwrap().is_none());
        link.flush();
        let mut buffer = [0; 256];
        let (length, _) = packet::recv(ours.as_fd(), &mut buffer).unwrap().unwrap();
        let report: Report = postcard::from_bytes(&buffer[..length]).unwrap();
        assert!(matches!(report, Report::Problem { name: None, .. }));
        drop(ours);
        let error = link.receive().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

//! Connected byte streams between two processes.
//!
//! Owns: nothing. Nothing here waits.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{self, AddressFamily, MsgFlags, SockFlag, SockType};

/// A connected pair: close-on-exec, non-blocking.
///
/// # Errors
/// The system's answer.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let ends = socket::socketpair(AddressFamily::Unix, SockType::Stream, None, flags)?;
    Ok(ends)
}

/// Writes as much of `parts`, in their order, as the socket takes now: so many bytes.
///
/// # Errors
/// `WouldBlock`: nothing for now. `BrokenPipe` or `ConnectionReset`: nobody is at the other end.
pub fn write_parts(socket: BorrowedFd<'_>, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    loop {
        match socket::sendmsg::<()>(socket.as_raw_fd(), parts, &[], flags, None) {
            Err(nix::Error::EINTR) => {}
            answer => return Ok(answer?),
        }
    }
}

/// Reads what is there, as much as `buffer` takes: so many bytes. None: the end.
///
/// # Errors
/// `WouldBlock`: nothing for now. Else the system's answer.
pub fn read_some(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket::recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Err(nix::Error::EINTR) => {}
            answer => return Ok(answer?),
        }
    }
}

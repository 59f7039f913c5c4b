//! Listening on an address of the network.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sys::socket::{
    self, AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, setsockopt, sockopt,
};

/// A TCP listener: non-blocking, close-on-exec. A restart finds the address free (`SO_REUSEADDR`), and
/// an IPv6 address means IPv6 only, so that `[::]` and `0.0.0.0` can be listened on side by side.
///
/// # Errors
/// The system's answer.
pub fn listen_tcp(address: SocketAddr, backlog: i32) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let listener = socket::socket(family, SockType::Stream, flags, None)?;
    setsockopt(&listener, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        setsockopt(&listener, sockopt::Ipv6V6Only, &true)?;
    }
    socket::bind(listener.as_raw_fd(), &SockaddrStorage::from(address))?;
    socket::listen(&listener, Backlog::new(backlog)?)?;
    Ok(listener)
}

/// Takes one connection that waits at a listener and ends it. False: none waits.
#[must_use]
pub fn refuse_one(listener: BorrowedFd<'_>) -> bool {
    let flags = SockFlag::SOCK_CLOEXEC;
    let Ok(connection) = socket::accept4(listener.as_raw_fd(), flags) else {
        return false;
    };
    // SAFETY: `accept4` has just made it, and nobody else knows its number.
    drop(unsafe { OwnedFd::from_raw_fd(connection) });
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::alone::alone;
    use std::net::{Ipv6Addr, TcpListener, TcpStream};

    #[test]
    fn a_listener_does_not_block_and_its_address_is_taken_while_it_lives() {
        alone(|| {
            let listener = listen_tcp(([127, 0, 0, 1], 0).into(), 16).unwrap();
            let listener = TcpListener::from(listener);
            assert_eq!(
                listener.accept().unwrap_err().kind(),
                io::ErrorKind::WouldBlock
            );
            let address = listener.local_addr().unwrap();
            let error = listen_tcp(address, 16).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
            let client = TcpStream::connect(address).unwrap();
            drop((listener, client));
            listen_tcp(address, 16).unwrap();
        });
    }

    /// Where the host has no IPv6, the refusal is told.
    #[test]
    fn both_families_listen_on_one_port() {
        let four = listen_tcp(([0, 0, 0, 0], 0).into(), 16).unwrap();
        let port = TcpListener::from(four.try_clone().unwrap())
            .local_addr()
            .unwrap()
            .port();
        match listen_tcp((Ipv6Addr::UNSPECIFIED, port).into(), 16) {
            Ok(six) => assert!(TcpListener::from(six).local_addr().unwrap().is_ipv6()),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EAFNOSUPPORT)),
        }
    }
}

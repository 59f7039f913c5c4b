//! Sockets that have a place, and the lock that says whose they are.
//!
//! Owns: nothing, except that a [`LockedFile`] owns its file. Everything is close-on-exec, and all
//! sockets are non-blocking.

mod lock;
mod stream;
mod tcp;

pub use lock::{LockedFile, lock_file};
pub use stream::{read_some, stream_pair, write_parts};
pub use tcp::{listen_tcp, refuse_one};

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use nix::sys::socket::{
    self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr, getsockopt, sockopt,
};
use nix::sys::stat::{Mode, fchmod};

use super::directory::{Directory, Links};
use super::{packet, process};

/// The longest path a socket can have, in bytes.
pub const SUN_PATH_BYTES_MAX: usize = 107;

/// A stream listener at this path. A socket file that is there already is taken for a stale one and
/// removed: hold the lock of its folder. Anything else that is there is left, and is an error. It takes no
/// descriptors, as [`listen_packets`].
///
/// At no moment has the file more permissions than `mode`. Changes the umask for a moment, which is the
/// whole process's: call it while there is one thread.
///
/// # Errors
/// The path is too long or taken, or the system's answer.
pub fn listen(path: &Path, mode: u32, backlog: i32) -> io::Result<OwnedFd> {
    let listener = bind(path, SockType::Stream, mode)?;
    packet::refuse_descriptors(listener.as_fd())?;
    socket::listen(&listener, Backlog::new(backlog)?)?;
    Ok(listener)
}

/// As [`listen`], for connections that carry packets, and for `owner` (user and group) if given: nobody
/// can connect before it is theirs. What connects cannot send descriptors along, where the kernel can
/// refuse them: see [`packet::refuse_descriptors`].
///
/// # Errors
/// As [`bind_datagram`].
pub fn listen_packets(
    path: &Path,
    mode: u32,
    owner: Option<(u32, u32)>,
    backlog: i32,
) -> io::Result<OwnedFd> {
    let listener = bind(path, SockType::SeqPacket, mode)?;
    if let Some(owner) = owner {
        give_away(path, owner)?;
    }
    packet::refuse_descriptors(listener.as_fd())?;
    socket::listen(&listener, Backlog::new(backlog)?)?;
    Ok(listener)
}

/// The next connection to a listener; it does not block. `None`: nobody waits, or whoever did has gone.
///
/// # Errors
/// The system's answer, as when it has no descriptor left.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    loop {
        return match socket::accept4(listener.as_raw_fd(), flags) {
            // SAFETY: the call has just made this descriptor and nobody else knows it.
            Ok(number) => Ok(Some(unsafe { OwnedFd::from_raw_fd(number) })),
            Err(nix::Error::EINTR) => continue,
            Err(nix::Error::EAGAIN | nix::Error::ECONNABORTED) => Ok(None),
            Err(error) => Err(error.into()),
        };
    }
}

/// A datagram socket at this path, for `owner` (user and group) if given. Otherwise as [`listen`].
///
/// # Errors
/// The path is too long or taken, or something else was put there before it could be given away, or the system's answer.
pub fn bind_datagram(path: &Path, mode: u32, owner: Option<(u32, u32)>) -> io::Result<OwnedFd> {
    let socket = bind(path, SockType::Datagram, mode)?;
    if let Some(owner) = owner {
        give_away(path, owner)?;
    }
    Ok(socket)
}

/// A connection to the packet listener (`SOCK_SEQPACKET`) at this path. It never waits.
///
/// # Errors
/// `NotFound` or `ConnectionRefused`: nobody listens. `WouldBlock`: too many connect just now. Else
/// the system's answer.
pub fn connect_packets(path: &Path) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    socket::connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket)
}

/// Who connected, as the kernel noted it at that moment: process, user, group.
///
/// # Errors
/// The system's answer.
pub fn peer_credentials(connection: BorrowedFd<'_>) -> io::Result<(i32, u32, u32)> {
    let peer = getsockopt(&connection, sockopt::PeerCredentials)?;
    Ok((peer.pid(), peer.uid(), peer.gid()))
}

/// By descriptor: whoever owns the folder may have put something else there since it was bound.
fn give_away(path: &Path, owner: (u32, u32)) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::NotFound)?;
    let name = path.file_name().ok_or(io::ErrorKind::NotFound)?;
    Directory::open(folder, Links::Ours)?.give_socket(name, owner)
}

fn bind(path: &Path, kind: SockType, mode: u32) -> io::Result<OwnedFd> {
    let bytes = path.as_os_str().as_bytes().len();
    if bytes > SUN_PATH_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "the socket path {} has {bytes} bytes, at most {SUN_PATH_BYTES_MAX} are possible; \
                 choose a shorter run directory",
                path.display()
            ),
        ));
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(AddressFamily::Unix, kind, flags, None)?;
    // The file inherits the mode of the socket, less the umask, so both say the same meanwhile. It is not
    // mended by its path afterwards: in a folder of somebody else's that path may be a link by then.
    fchmod(&socket, Mode::from_bits_truncate(mode))?;
    remove_stale(path)?;
    let address = UnixAddr::new(path)?;
    let before = process::umask(0o777 & !mode);
    let bound = socket::bind(socket.as_raw_fd(), &address);
    process::umask(before);
    bound?;
    Ok(socket)
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!(
                "{} is there and is no socket; it is left alone",
                path.display()
            ),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::alone::alone;
    use crate::sys::process;
    use std::io::Read;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_listener_has_exactly_its_mode_whatever_the_umask() {
        alone(|| {
            let place = tempfile::tempdir().unwrap();
            for (mask, mode) in [(0, 0o600), (0o077, 0o660), (0o022, 0o666)] {
                process::umask(mask);
                let path = place.path().join("control.sock");
                let _listener = listen(&path, mode, 16).unwrap();
                assert_eq!(mode_of(&path), mode);
                assert_eq!(process::umask(mask), mask);
            }
        });
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_file_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("control.sock");
        drop(listen(&path, 0o600, 16).unwrap());
        assert!(path.exists(), "stale");
        let listener = UnixListener::from(listen(&path, 0o600, 16).unwrap());
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        let mut client = UnixStream::connect(&path).unwrap();
        let (server, _) = listener.accept().unwrap();
        let (pid, user, group) = peer_credentials(server.as_fd()).unwrap();
        let me = (
            process::id(),
            nix::unistd::geteuid().as_raw(),
            nix::unistd::getegid().as_raw(),
        );
        assert_eq!((pid, user, group), me);
        drop(server);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);

        let file = place.path().join("precious");
        fs::write(&file, "x").unwrap();
        let error = listen(&file, 0o600, 16).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).unwrap(), "x");
    }

    #[test]
    fn a_path_that_is_too_long_is_named_with_its_length() {
        let place = tempfile::tempdir().unwrap();
        let room = SUN_PATH_BYTES_MAX - place.path().as_os_str().len() - 1;
        listen(&place.path().join("x".repeat(room)), 0o600, 16).unwrap();
        let path = place.path().join("y".repeat(room + 1));
        let text = listen(&path, 0o600, 16).unwrap_err().to_string();
        assert!(
            text.contains("has 108 bytes") && text.contains("yyyy"),
            "{text}"
        );
    }

    /// Shows: the owner is changed where we may, and where not, the refusal is told.
    #[test]
    fn a_datagram_socket_receives_and_belongs_to_its_owner() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notify.sock");
        let socket = UnixDatagram::from(bind_datagram(&path, 0o600, None).unwrap());
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(b"READY=1", &path).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(socket.recv(&mut buffer).unwrap(), 7);
        let given = bind_datagram(&path, 0o620, Some((4242, 4243)));
        if nix::unistd::geteuid().is_root() {
            given.unwrap();
            let found = fs::metadata(&path).unwrap();
            assert_eq!(
                (found.uid(), found.gid(), mode_of(&path)),
                (4242, 4243, 0o620)
            );
        } else {
            assert_eq!(given.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
    }

    /// Shows: what is there by the time the socket is given away stays whose it is, if it is not the socket
    /// or is also somewhere else.
    #[test]
    fn what_was_put_in_the_place_of_a_new_socket_is_not_given_away() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notify.sock");
        let treasure = place.path().join("treasure");
        let me = nix::unistd::geteuid().as_raw();
        fs::write(&treasure, "").unwrap();
        let sockets = place.path().join("control.sock");
        let _listener = listen(&sockets, 0o600, 16).unwrap();
        for prey in [&treasure, &sockets] {
            fs::hard_link(prey, &path).unwrap();
            give_away(&path, (4242, 4243)).unwrap_err();
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink(prey, &path).unwrap();
            give_away(&path, (4242, 4243)).unwrap_err();
            fs::remove_file(&path).unwrap();
            assert_eq!(fs::metadata(prey).unwrap().uid(), me);
        }
    }
}

//! Packets over a `SOCK_SEQPACKET` pair, with descriptors beside them.
//!
//! Owns: nothing. [`send`] borrows what it sends: the kernel makes the peer's copy. [`recv`] hands over
//! what came, close-on-exec from birth; what cannot be handed over is closed, never leaked.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use nix::sys::socket::{self, AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType};

use super::{checked, checked_long};

/// How many descriptors one packet may carry.
pub const DESCRIPTORS_MAX: usize = 16;

/// The queue of a pair, best effort: many of the largest packets.
const QUEUE_BYTES: usize = 4 * 1024 * 1024;

/// A reset is told once for a death; this many in a row are no death but a fault.
const RESETS_MAX: u32 = 4;

/// `SO_PASSRIGHTS`, which the libc crate does not know yet.
const SO_PASSRIGHTS: libc::c_int = 83;

/// A connected pair: close-on-exec, non-blocking, with as large a queue as the system grants.
///
/// # Errors
/// The system's answer.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (one, other) = socket::socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
    for end in [&one, &other] {
        // Beyond the system's ceiling if privileged, else up to it. Neither is needed for correctness.
        if socket::setsockopt(end, socket::sockopt::SndBufForce, &QUEUE_BYTES).is_err() {
            let _ = socket::setsockopt(end, socket::sockopt::SndBuf, &QUEUE_BYTES);
        }
    }
    Ok((one, other))
}

/// Has the kernel refuse every packet with descriptors that is sent to this socket, or to one that will be
/// accepted from it: its sender gets `PermissionDenied`. For whoever expects none, and may not be held up:
/// the last close of a descriptor can block as long as its sender likes (`SO_LINGER`), and whoever was
/// handed it closes it, also if it never read it. False: the kernel is older than Linux 6.16.
///
/// # Errors
/// The system's answer.
pub fn refuse_descriptors(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let off: libc::c_int = 0;
    let length = size_of_val(&off).try_into().map_err(io::Error::other)?;
    // SAFETY: the value is a local of the length that is given, and the kernel only reads it.
    let set = checked(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PASSRIGHTS,
            (&raw const off).cast(),
            length,
        )
    });
    match set {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sends one packet, whole or not at all.
///
/// # Errors
/// `WouldBlock`: the queue is full, or too many descriptors are under way; try again when the socket is
/// writable, or later. An empty packet (it would read as the end) and more than [`DESCRIPTORS_MAX`]
/// descriptors are refused. A peer that is gone is `BrokenPipe` or `ConnectionReset`.
pub fn send(
    socket: BorrowedFd<'_>,
    packet: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    if packet.is_empty() || descriptors.len() > DESCRIPTORS_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a packet has at least one byte and at most 16 descriptors",
        ));
    }
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let control: &[ControlMessage<'_>] = if numbers.is_empty() { &[] } else { &rights };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    loop {
        let parts = [IoSlice::new(packet)];
        let sent = socket::sendmsg::<()>(socket.as_raw_fd(), &parts, control, flags, None);
        return match sent {
            Ok(_) => Ok(()),
            Err(nix::Error::EINTR) => continue,
            Err(nix::Error::EAGAIN | nix::Error::ETOOMANYREFS) => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(error) => Err(error.into()),
        };
    }
}

/// Receives one packet: its length and the descriptors beside it. `None`: the peer is gone and
/// everything it sent has been read.
///
/// A peer that dies with unread packets in *its* queue leaves a reset that comes before the packets it
/// had sent itself. The reset is told once and then forgotten by the kernel, so reading simply goes on.
///
/// # Errors
/// `WouldBlock`: nothing for now. `InvalidData`: the packet is longer than `buffer` or had more
/// descriptors than [`DESCRIPTORS_MAX`]; it is lost and its descriptors are closed.
pub fn recv(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<Option<(usize, Vec<OwnedFd>)>> {
    let mut resets = 0;
    loop {
        match recv_once(socket, buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset && resets < RESETS_MAX => {
                resets += 1;
            }
            answer => return answer,
        }
    }
}

/// Room for one `SCM_RIGHTS` message of [`DESCRIPTORS_MAX`], aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

#[expect(clippy::cast_possible_truncation, reason = "64 and 80 fit")]
const CONTROL_BYTES: usize =
    // SAFETY: `CMSG_SPACE` computes with its argument and reads no memory.
    unsafe { libc::CMSG_SPACE((DESCRIPTORS_MAX * size_of::<RawFd>()) as u32) } as usize;

fn recv_once(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<Option<(usize, Vec<OwnedFd>)>> {
    let mut control = Control([0; CONTROL_BYTES]);
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: zeroes are a valid `msghdr`: no address, no parts, no control data.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>();
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    // SAFETY: `message` points to `buffer`, which we borrow mutably, and to `part` and `control`,
    // which are locals; all of them live through the call, and the lengths are theirs.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    checked_long(i64::try_from(length).unwrap_or(-1))?;
    let descriptors = take_descriptors(&message);
    // From here on every return closes what it does not hand over.
    if message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a packet was longer than allowed, or carried too many descriptors",
        ));
    }
    match usize::try_from(length) {
        Ok(0) | Err(_) => Ok(None),
        Ok(length) => Ok(Some((length, descriptors))),
    }
}

fn take_descriptors(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut taken = Vec::new();
    // SAFETY: the kernel has filled `message`; its control data are in the caller's `Control`.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: `CMSG_FIRSTHDR` and `CMSG_NXTHDR` give null or a header that lies within the control data.
    while let Some(header) = unsafe { next.as_ref() } {
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            take_from(header, &mut taken);
        }
        // SAFETY: `header` is a header of this `message`, as above.
        next = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    taken
}

fn take_from(header: &libc::cmsghdr, taken: &mut Vec<OwnedFd>) {
    // SAFETY: computes with its argument and reads no memory.
    let overhead = usize::try_from(unsafe { libc::CMSG_LEN(0) }).unwrap_or(usize::MAX);
    let count = header.cmsg_len.saturating_sub(overhead) / size_of::<RawFd>();
    // SAFETY: computes the address behind a header that lies within the control data.
    let data = unsafe { libc::CMSG_DATA(header) }.cast::<RawFd>();
    for index in 0..count {
        // SAFETY: the kernel sets `cmsg_len` to what it wrote, which lies within the control data.
        let place = unsafe { data.add(index) };
        // SAFETY: as above; the place may be unaligned for the type's sake, hence this read.
        let number = unsafe { ptr::read_unaligned(place) };
        // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
        taken.push(unsafe { OwnedFd::from_raw_fd(number) });
    }
}

#[cfg(test)]
mod tests;

use super::*;
use crate::sys::alone::{alone, wait_to_be_killed};
use crate::sys::process::{Forked, fork, reap_one};
use crate::sys::{descriptors, unix};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

#[test]
fn a_packet_arrives_whole_and_its_descriptors_work_and_are_close_on_exec() {
    alone(|| {
        let (one, other) = pair().unwrap();
        let mut buffer = [0; 16];
        let empty = recv(other.as_fd(), &mut buffer).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        let (read, write) = descriptors::pipe().unwrap();
        send(one.as_fd(), b"first", &[write.as_fd()]).unwrap();
        send(one.as_fd(), b"second", &[]).unwrap();
        drop(write);
        let (length, mut came) = recv(other.as_fd(), &mut buffer).unwrap().unwrap();
        assert_eq!((&buffer[..length], came.len()), (&b"first"[..], 1));
        let flags = nix::fcntl::fcntl(&came[0], nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags, libc::FD_CLOEXEC);
        File::from(came.remove(0)).write_all(b"x").unwrap();
        let mut text = String::new();
        File::from(read).read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
        let (length, came) = recv(other.as_fd(), &mut buffer).unwrap().unwrap();
        assert_eq!((&buffer[..length], came.len()), (&b"second"[..], 0));
        drop(one);
        assert!(recv(other.as_fd(), &mut buffer).unwrap().is_none());
    });
}

#[test]
fn a_full_queue_says_would_block_and_loses_nothing() {
    let (one, other) = pair().unwrap();
    let packet = vec![7; 128 * 1024];
    let mut sent = 0;
    let full = loop {
        match send(one.as_fd(), &packet, &[]) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    assert!(sent >= 1);
    let mut buffer = vec![0; packet.len()];
    for _ in 0..sent {
        let (length, _) = recv(other.as_fd(), &mut buffer).unwrap().unwrap();
        assert_eq!(length, packet.len());
    }
    send(one.as_fd(), &packet, &[]).unwrap();
}

/// Shows: what is refused is closed. The pipe's end of file proves that no copy of `write` is left.
#[test]
fn a_truncated_packet_is_an_error_and_its_descriptors_are_closed() {
    alone(|| {
        let (one, other) = pair().unwrap();
        let (read, write) = descriptors::pipe().unwrap();
        send(one.as_fd(), b"too long", &[write.as_fd(), write.as_fd()]).unwrap();
        let error = recv(other.as_fd(), &mut [0; 4]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);

        let numbers = vec![write.as_raw_fd(); DESCRIPTORS_MAX + 1];
        let rights = [ControlMessage::ScmRights(&numbers)];
        let parts = [IoSlice::new(b"x")];
        socket::sendmsg::<()>(one.as_raw_fd(), &parts, &rights, MsgFlags::empty(), None).unwrap();
        let error = recv(other.as_fd(), &mut [0; 4]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);

        drop(write);
        assert_eq!(File::from(read).read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn empty_packets_and_too_many_descriptors_are_not_sent() {
    let (one, _other) = pair().unwrap();
    let many = [one.as_fd(); DESCRIPTORS_MAX + 1];
    for refused in [send(one.as_fd(), b"", &[]), send(one.as_fd(), b"x", &many)] {
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    send(one.as_fd(), b"x", &many[1..]).unwrap();
}

/// Shows: a peer is killed with unread orders on its side and reports, with descriptors, queued on
/// ours. Still every report and descriptor is received, then the end.
#[test]
fn a_dead_peers_queued_packets_and_descriptors_all_arrive() {
    alone(|| {
        let ours = after_a_peers_death();
        let mut buffer = [0; 8];
        for report in 0..REPORTS {
            let (length, came) = recv(ours.as_fd(), &mut buffer).unwrap().unwrap();
            assert_eq!((length, buffer[0], came.len()), (1, report, 1));
        }
        assert!(recv(ours.as_fd(), &mut buffer).unwrap().is_none());
        let gone = send(ours.as_fd(), b"x", &[]).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::BrokenPipe);
    });
}

/// Shows what the test above is good for: the kernel does tell the reset before the packets, and once.
#[test]
fn a_death_with_unread_orders_resets_once_and_keeps_what_is_queued() {
    alone(|| {
        let ours = after_a_peers_death();
        let mut buffer = [0; 8];
        let reset = recv_once(ours.as_fd(), &mut buffer).unwrap_err();
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
        let (length, came) = recv_once(ours.as_fd(), &mut buffer).unwrap().unwrap();
        assert_eq!((length, buffer[0], came.len()), (1, 0, 1));
    });
}

const REPORTS: u8 = 20;

/// Our end of a pair whose other end was killed, with orders it never read and reports we did not read.
fn after_a_peers_death() -> OwnedFd {
    let (ours, theirs) = pair().unwrap();
    let (told, tell) = descriptors::pipe().unwrap();
    let Forked::Parent(pid) = fork().unwrap() else {
        drop((ours, told));
        for report in 0..REPORTS {
            send(theirs.as_fd(), &[report], &[tell.as_fd()]).unwrap();
        }
        File::from(tell).write_all(b"!").unwrap();
        wait_to_be_killed();
    };
    drop((theirs, tell));
    wait_readable(&told);
    for _ in 0..3 {
        send(ours.as_fd(), b"an order that nobody reads", &[]).unwrap();
    }
    // SAFETY: numbers only.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
    while reap_one(pid).unwrap().is_none() {
        std::thread::yield_now();
    }
    ours
}

fn wait_readable(descriptor: &OwnedFd) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut polled = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut polled, PollTimeout::from(10_000_u16)).unwrap(), 1);
}

/// Shows: who listens without wanting descriptors is sent none, by a guest that was not accepted yet either.
#[test]
fn a_socket_that_refuses_descriptors_and_those_accepted_from_it_are_sent_none() {
    let (one, other) = pair().unwrap();
    if !refuse_descriptors(one.as_fd()).unwrap() {
        eprintln!("NOTHING SHOWN: only Linux 6.16 and later can refuse descriptors");
        return;
    }
    let sends = |from: BorrowedFd<'_>| send(from, b"x", &[from]).map_err(|error| error.kind());
    assert_eq!(sends(other.as_fd()), Err(io::ErrorKind::PermissionDenied));
    assert_eq!(sends(one.as_fd()), Ok(()), "the other end takes them");

    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("attach.sock");
    let listener = unix::listen_packets(&path, 0o600, None, 4).unwrap();
    let guest = unix::connect_packets(&path).unwrap();
    assert_eq!(sends(guest.as_fd()), Err(io::ErrorKind::PermissionDenied));
    let accepted = unix::accept(listener.as_fd()).unwrap().unwrap();
    assert_eq!(sends(guest.as_fd()), Err(io::ErrorKind::PermissionDenied));
    assert_eq!(sends(accepted.as_fd()), Ok(()));
}

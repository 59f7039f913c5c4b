//! The hand-made stem's `attach.sock`.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use cluster::fabric::{Answer, Ask, Refusal};
use cluster::shm::board::State;
use cluster::sys::{descriptors, packet};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, listen, socket,
};

use super::{HandStem, Inner};

/// Who connected and has not said yet what it wants.
#[derive(Default)]
pub(super) struct Guests {
    pub(super) listener: Option<OwnedFd>,
    pub(super) newcomers: Vec<OwnedFd>,
}

#[allow(
    dead_code,
    reason = "each program that includes this file uses its part"
)]
impl HandStem {
    /// Lets programs attach.
    pub(crate) fn listen(&self, path: &Path) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let listener = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
        bind(listener.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
        listen(&listener, Backlog::new(16).unwrap()).unwrap();
        self.lock().guests.listener = Some(listener);
        self.wake();
    }

    /// The stem dies, and the next one has board, bells and rings from the escrow.
    pub(crate) fn is_revived(&self) {
        let mut inner = self.lock();
        for node in inner.nodes.values_mut() {
            node.socket = None;
        }
        inner.tell_all();
    }
}

impl Inner {
    pub(super) fn serve_guests(&mut self, buffer: &mut [u8]) {
        if let Some(listener) = &self.guests.listener {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            while let Ok(number) = accept4(listener.as_raw_fd(), flags) {
                self.guests
                    .newcomers
                    .push(descriptors::take(number).unwrap());
            }
        }
        for guest in std::mem::take(&mut self.guests.newcomers) {
            match packet::recv(guest.as_fd(), buffer) {
                Ok(Some((length, _))) => {
                    let ask = postcard::from_bytes(&buffer[..length]).unwrap();
                    self.hear_guest(guest, ask);
                }
                Ok(None) => {}
                Err(_) => self.guests.newcomers.push(guest),
            }
        }
    }

    fn hear_guest(&mut self, guest: OwnedFd, ask: Ask) {
        let refused = |why| {
            let packet = postcard::to_stdvec(&Answer::Refused { why, ring: None }).unwrap();
            packet::send(guest.as_fd(), &packet, &[]).unwrap();
        };
        match ask {
            Ask::Attach { name, role, .. } => {
                let name = name.unwrap();
                if self.board.find_by_name(&name).is_some() {
                    return refused(Refusal::NameTaken(name));
                }
                let slot = self.add(name, role, true);
                self.welcome(slot, guest, false);
            }
            Ask::Resume {
                slot, incarnation, ..
            } => {
                let entry = self.board.entry(slot);
                let is_its_own = entry.is_some_and(|entry| {
                    entry.incarnation == incarnation && entry.state != State::Left
                });
                if !is_its_own {
                    return refused(Refusal::NoSuchSeat);
                }
                self.nodes.get_mut(&slot).unwrap().incarnation.0 -= 1;
                self.welcome(slot, guest, false);
            }
            Ask::Observe { .. } => {
                let say = |answer: &Answer, file: Option<&OwnedFd>| {
                    let packet = postcard::to_stdvec(answer).unwrap();
                    let files: Vec<_> = file.iter().map(|file| file.as_fd()).collect();
                    packet::send(guest.as_fd(), &packet, &files).unwrap();
                };
                say(&Answer::Board, Some(&self.board_file));
                for (key, memory) in &self.rings {
                    let (key, from_guest) = (*key, false);
                    say(&Answer::Ring { key, from_guest }, Some(memory));
                }
                say(&Answer::Seated, None);
            }
            Ask::Announce | Ask::Ring { .. } | Ask::Drained(_) => panic!("attach first"),
        }
    }
}

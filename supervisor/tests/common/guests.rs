//! A program at `attach.sock` that speaks the seat protocol word by word, right or wrong.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cluster::fabric::{Answer, Ask, Class, Refusal, RingKey, SEAT_PACKET_BYTES_MAX, Slot, VERSION};
use cluster::layout::spec::Role;
use cluster::names::{Incarnation, NodeName};
use cluster::shm::board::{Board, Entry, State};
use cluster::shm::ring::{Reader, Writer};
use cluster::sys::packet;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::{Cluster, PATIENCE};

/// A connection to `attach.sock`.
pub struct Guest {
    socket: OwnedFd,
}

/// What a guest has when it sits.
pub struct Seat {
    pub guest: Guest,
    pub slot: Slot,
    pub incarnation: Incarnation,
    pub name: NodeName,
    pub board: Board,
    pub rings: BTreeMap<RingKey, OwnedFd>,
}

impl Cluster {
    pub fn attach_socket(&self) -> PathBuf {
        self.run_dir().join("attach.sock")
    }

    /// A connection that has said nothing yet.
    pub fn guest(&self) -> Guest {
        let kind = SockType::SeqPacket;
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None).unwrap();
        let address = UnixAddr::new(&self.attach_socket()).unwrap();
        connect(socket.as_raw_fd(), &address).unwrap();
        Guest { socket }
    }

    /// A worker of this name that sits.
    pub fn attach(&self, name: &str) -> Seat {
        let guest = self.guest();
        guest.ask_for(Some(name));
        guest.sit()
    }

    /// The board, as somebody sees it who only looks, and the rings there are.
    pub fn observe(&self) -> (OwnedFd, BTreeMap<RingKey, OwnedFd>) {
        let guest = self.guest();
        guest.say(&Ask::Observe { version: VERSION });
        let (answer, mut fds) = guest.hear();
        assert_eq!(answer, Answer::Board);
        let board = fds.remove(0);
        let mut rings = BTreeMap::new();
        loop {
            match guest.hear() {
                (Answer::Ring { key, .. }, mut fds) => rings.insert(key, fds.remove(0)),
                (Answer::Seated, _) => break,
                (other, _) => panic!("{other:?}"),
            };
        }
        assert!(guest.ended());
        (board, rings)
    }
}

impl Guest {
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub fn say(&self, ask: &Ask) {
        self.say_bytes(&postcard::to_stdvec(ask).unwrap());
    }

    pub fn say_bytes(&self, bytes: &[u8]) {
        packet::send(self.socket.as_fd(), bytes, &[]).unwrap();
    }

    /// As [`Guest::say`], to a stem that may be dead.
    pub fn try_to_say(&self, ask: &Ask) -> bool {
        let bytes = postcard::to_stdvec(ask).unwrap();
        packet::send(self.socket.as_fd(), &bytes, &[]).is_ok()
    }

    pub fn ask_for(&self, name: Option<&str>) {
        self.say(&Ask::Attach {
            version: VERSION,
            name: name.map(|name| NodeName::parse(name).unwrap()),
            role: Role::Worker,
        });
    }

    /// The next packet; `None` at the end.
    pub fn try_to_hear(&self, within: Duration) -> Option<(Answer, Vec<OwnedFd>)> {
        let deadline = Instant::now() + within;
        let mut buffer = vec![0; SEAT_PACKET_BYTES_MAX];
        loop {
            match packet::recv(self.socket.as_fd(), &mut buffer) {
                Ok(Some((length, fds))) => {
                    return Some((postcard::from_bytes(&buffer[..length]).unwrap(), fds));
                }
                Ok(None) => return None,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "nothing came in {within:?}");
            let mut wait = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut wait, PollTimeout::try_from(left).unwrap());
        }
    }

    /// The next packet, which has to come. Layouts come whenever there is another one.
    pub fn hear(&self) -> (Answer, Vec<OwnedFd>) {
        loop {
            let heard = self.try_to_hear(PATIENCE).expect("the connection ended");
            if heard.0 != Answer::Layout {
                return heard;
            }
        }
    }

    pub fn ended(&self) -> bool {
        self.try_to_hear(PATIENCE).is_none()
    }

    pub fn refusal(&self) -> Refusal {
        match self.hear() {
            (Answer::Refused { why, .. }, _) => why,
            (other, _) => panic!("not refused: {other:?}"),
        }
    }

    /// Takes the seat that it is given.
    pub fn sit(self) -> Seat {
        self.try_to_sit().expect("a seat")
    }

    /// As [`Guest::sit`]; `None` when the stem died meanwhile.
    pub fn try_to_sit(self) -> Option<Seat> {
        let (welcome, fds) = self.try_to_hear(PATIENCE)?;
        let Answer::Welcome {
            slot,
            incarnation,
            name,
            ..
        } = welcome
        else {
            panic!("no welcome: {welcome:?}");
        };
        assert_eq!(fds.len(), 3, "board, page and bell");
        let board = Board::map(fds[0].as_fd()).unwrap();
        let mut rings = BTreeMap::new();
        loop {
            match self.try_to_hear(PATIENCE)? {
                (Answer::Ring { key, .. }, mut fds) => {
                    assert_eq!(fds.len(), 3, "ring, page and bell");
                    rings.insert(key, fds.remove(0));
                }
                (Answer::Layout, fds) => assert_eq!(fds.len(), 1),
                (Answer::Seated, _) => break,
                (other, _) => panic!("{other:?}"),
            }
        }
        Some(Seat {
            guest: self,
            slot,
            incarnation,
            name,
            board,
            rings,
        })
    }
}

impl Seat {
    pub fn ask_ring(&self, to: Slot, record_bytes: u32) {
        self.guest.say(&Ask::Ring {
            to,
            class: Class::Bulk,
            record_bytes,
        });
    }

    /// The ring that comes next.
    pub fn hear_ring(&mut self) -> RingKey {
        match self.guest.hear() {
            (Answer::Ring { key, .. }, mut fds) => {
                assert_eq!(fds.len(), 3, "ring, page and bell");
                self.rings.insert(key, fds.remove(0));
                key
            }
            (other, _) => panic!("no ring: {other:?}"),
        }
    }

    /// Asks for a ring to somebody, and has it.
    pub fn ring_to(&mut self, to: Slot, record_bytes: u32) -> RingKey {
        self.ask_ring(to, record_bytes);
        self.hear_ring()
    }

    pub fn writer(&self, key: RingKey) -> Writer {
        Writer::map(self.rings[&key].try_clone().unwrap()).unwrap()
    }

    pub fn reader(&self, key: RingKey) -> Reader {
        Reader::map(self.rings[&key].try_clone().unwrap()).unwrap()
    }

    /// Waits until the board says this of somebody.
    pub fn wait_board(&self, slot: Slot, what: &str, done: impl Fn(Option<&Entry>) -> bool) {
        super::wait_for(what, PATIENCE, || {
            done(self.board.entry(slot).as_ref()).then_some(())
        });
    }

    pub fn wait_board_state(&self, slot: Slot, state: State) {
        let what = format!("{slot:?} is {state:?}");
        self.wait_board(slot, &what, |entry| {
            entry.is_some_and(|entry| entry.state == state)
        });
    }

    /// Goes on after the stem's death.
    pub fn resume(self, cluster: &Cluster) -> Self {
        super::wait_for("the next stem knows the seat", PATIENCE, || {
            let guest = cluster.guest();
            guest.try_to_say(&Ask::Resume {
                version: VERSION,
                slot: self.slot,
                incarnation: self.incarnation,
            });
            guest.try_to_sit()
        })
    }
}

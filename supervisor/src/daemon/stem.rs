//! The supervisor's hold on the stem: its process, the link to it, and the escrow.
//!
//! Owns: its end of the link, and a copy of every descriptor that has to outlive the stem.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use cluster::names::{NAME_BYTES_MAX, NodeName};
use cluster::net::poller::{Key, Poller};
use cluster::supervise::vocabulary::{EscrowKey, LINK_PACKET_BYTES_MAX, Order, Report, VERSION};
use cluster::sys::{self, packet};

use super::Source;

/// Variables that speak to the supervisor alone; nobody below it may take them for its own.
const OURS_ALONE: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "SUPERVISOR_SOCKET",
];

/// A stem with so many orders unread is taken for stuck.
const UNSENT_MAX: usize = 128 * 1024;

/// What a terminal sends to whom it controls: interrupted, told to quit, halted, hung up.
const OF_A_TERMINAL: [i32; 4] = [
    nix::libc::SIGINT,
    nix::libc::SIGQUIT,
    nix::libc::SIGTSTP,
    nix::libc::SIGHUP,
];

/// The stem's title, with room for that of a node with the longest name: nodes write over it.
fn title_with_room() -> String {
    let room = NAME_BYTES_MAX + TITLE.len();
    format!("{TITLE}{:room$}", "stem")
}

/// What the titles of all processes below the supervisor begin with.
const TITLE: &str = "supervisor: ";

/// Where the stem stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// It runs.
    Up(Up),
    /// It died; what it left is being cleared. After the deadline what is left is given up.
    Clearing { deadline: Instant },
    /// Starting it failed; it is tried again.
    Retry { at: Instant },
    /// It left in order, after everything was stopped.
    Left,
}

/// A running stem.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) pid: i32,
    socket: OwnedFd,
    key: Key,
    unsent: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
    /// It has not read for so long that an order had to be dropped.
    deaf: bool,
}

/// The stem, over all its lives.
#[derive(Debug)]
pub(super) struct Stem {
    pub(super) phase: Phase,
    pub(super) births: u64,
    pub(super) escrow: BTreeMap<EscrowKey, OwnedFd>,
    /// The soft limit of descriptors that the supervisor was started with.
    soft_limit: u64,
    buffer: Box<[u8]>,
}

impl Stem {
    /// Without a process yet. `escrow`: what every stem is given.
    pub(super) fn new(soft_limit: u64, escrow: BTreeMap<EscrowKey, OwnedFd>) -> Self {
        Self {
            phase: Phase::Left,
            births: 0,
            escrow,
            soft_limit,
            buffer: vec![0; LINK_PACKET_BYTES_MAX].into_boxed_slice(),
        }
    }

    /// Starts a stem by executing our own image. Must be called on the main thread: the stem's
    /// parent-death signal belongs to the thread that started it.
    ///
    /// # Errors
    /// The system's: no process, no descriptor.
    pub(super) fn start(&mut self, poller: &mut Poller<Source>, log: &File) -> io::Result<()> {
        let (socket, theirs) = packet::pair()?;
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0(title_with_room())
            .arg("stem")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::from(log.try_clone()?));
        for name in OURS_ALONE {
            command.env_remove(name);
        }
        // It leaves our terminal as its first act; nothing typed there reaches it on its way.
        let child = sys::signals::while_blocked(&OF_A_TERMINAL, || command.spawn())??;
        let key = poller.add(socket.as_fd(), Source::Link, true)?;
        self.births += 1;
        self.phase = Phase::Up(Up {
            pid: i32::try_from(child.id()).unwrap_or(0),
            socket,
            key,
            unsent: VecDeque::new(),
            deaf: false,
        });
        self.order(
            &Order::Hello {
                version: VERSION,
                stem: self.births,
                soft_limit: self.soft_limit,
            },
            None,
        );
        Ok(())
    }

    /// Closes our copies of a node's listening sockets, but for these addresses.
    pub(super) fn let_go(&mut self, node: &NodeName, but: &[SocketAddr]) {
        self.escrow.retain(|key, _| match key {
            EscrowKey::Listener { name, address } => name != node || but.contains(address),
            EscrowKey::Board
            | EscrowKey::AttachSocket
            | EscrowKey::BellMemory(_)
            | EscrowKey::Bell(_)
            | EscrowKey::Ring(_) => true,
        });
    }

    pub(super) fn pid(&self) -> Option<i32> {
        match &self.phase {
            Phase::Up(up) => Some(up.pid),
            Phase::Clearing { .. } | Phase::Retry { .. } | Phase::Left => None,
        }
    }

    /// The stem that has to go because it does not read; named once.
    pub(super) fn take_deaf(&mut self) -> Option<i32> {
        match &mut self.phase {
            Phase::Up(up) => std::mem::take(&mut up.deaf).then_some(up.pid),
            Phase::Clearing { .. } | Phase::Retry { .. } | Phase::Left => None,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up(_))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Clearing { deadline: at } | Phase::Retry { at } => Some(*at),
            Phase::Up(_) | Phase::Left => None,
        }
    }

    /// Puts an order in line. Without a stem it is dropped: a new one is told everything anew.
    pub(super) fn order(&mut self, order: &Order, fd: Option<OwnedFd>) {
        let Phase::Up(up) = &mut self.phase else {
            return;
        };
        match postcard::to_stdvec(order) {
            Ok(bytes) if up.unsent.len() < UNSENT_MAX => up.unsent.push_back((bytes, fd)),
            // It does not read, and would miss this: another one is told everything anew.
            Ok(_) => up.deaf = true,
            Err(error) => log::error!("event=bug error=\"cannot encode {order:?}: {error}\""),
        }
    }

    /// Sends what the link takes.
    pub(super) fn flush(&mut self) {
        let Phase::Up(up) = &mut self.phase else {
            return;
        };
        while let Some((bytes, fd)) = up.unsent.front() {
            let fds: Vec<_> = fd.iter().map(AsFd::as_fd).collect();
            match packet::send(up.socket.as_fd(), bytes, &fds) {
                Ok(()) => {
                    up.unsent.pop_front();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // It is dead: reading the link to its end says so, and what it still holds.
                Err(_) => up.unsent.clear(),
            }
        }
    }

    /// The next report, `None` when there is none just now or ever again.
    pub(super) fn receive(&mut self) -> Option<(Report, Vec<OwnedFd>)> {
        let Phase::Up(up) = &mut self.phase else {
            return None;
        };
        loop {
            match packet::recv(up.socket.as_fd(), &mut self.buffer) {
                Ok(Some((length, fds))) => {
                    let bytes = self.buffer.get(..length).unwrap_or_default();
                    match postcard::from_bytes(bytes) {
                        Ok(report) => return Some((report, fds)),
                        Err(error) => {
                            log::error!("event=bug error=\"cannot decode a report: {error}\"");
                        }
                    }
                }
                Ok(None) => return None,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => {
                    log::error!("event=bug error=\"cannot read the link: {error}\"");
                    return None;
                }
            }
        }
    }

    /// Lets go of a dead stem's link, after it was read to its end.
    pub(super) fn drop_link(&mut self, poller: &mut Poller<Source>, next: Phase) {
        if let Phase::Up(up) = std::mem::replace(&mut self.phase, next) {
            poller.remove(up.key, up.socket.as_fd());
        }
    }
}

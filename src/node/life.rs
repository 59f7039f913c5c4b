//! A node's loop: wait, handle, beat; until it is told to leave, or nobody is left to tell it.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::Seat;
use super::cluster::ClusterError;
use super::controller::ControllerRole;
use super::endpoint::SeatError;
use super::logger::limits;
use super::member::{Desk, Member};
use super::say::say;
use crate::causes;
use crate::control::node::{FromNode, ToNode};
use crate::layout::spec::Role;
use crate::net::poller::{Poller, Ready};
use crate::supervise::vocabulary::LINK_PACKET_BYTES_MAX;
use crate::sys;

/// The exit code of an orderly end.
const DONE: i32 = 0;
/// The exit code of a node whose configuration is wrong; a new birth cannot help.
const MISCONFIGURED: i32 = 78;
/// The exit code of a node whose surroundings failed it; a new birth may help.
const TRY_AGAIN: i32 = 75;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Control,
    Signals,
    Listener(usize),
    /// Its bell, or its seat's socket.
    Fabric,
    /// The thread that writes logs.
    Logs,
}

/// Why a node leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    Signal,
    SupervisorGone,
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signal => "asked to stop",
            Self::SupervisorGone => "the supervisor is gone",
        })
    }
}

/// Runs a node on its seat until its end. Returns its exit code: 0 after an orderly end, 78 when its
/// configuration is wrong, 75 when the system refused it something that a new birth may get.
#[must_use]
pub fn run(seat: Seat) -> i32 {
    match Life::begin(seat).and_then(Life::turns) {
        Ok(()) => DONE,
        Err(error) => {
            // Its own stderr may be gone as well; the exit code still tells.
            let _ = writeln!(
                io::stderr(),
                "event=failed error=\"{}\"",
                causes::chain(&error)
            );
            if error.kind() == io::ErrorKind::InvalidInput {
                MISCONFIGURED
            } else {
                TRY_AGAIN
            }
        }
    }
}

/// What is particular about a role.
enum Part {
    /// It is a node of the cluster.
    Member(Box<Member>),
    /// It keeps the tables, and stands outside.
    Controller(Box<ControllerRole>),
}

struct Life {
    seat: Seat,
    poller: Poller<Source>,
    signals: UnixStream,
    part: Part,
    next_beat: Option<Instant>,
    leave: Option<Leave>,
}

impl Part {
    fn begin(seat: &mut Seat, poller: &mut Poller<Source>) -> io::Result<Self> {
        match seat.role {
            Role::Controller => {
                let controller = ControllerRole::begin(seat)?;
                Ok(Self::Controller(Box::new(controller)))
            }
            Role::None
            | Role::Control
            | Role::Logger
            | Role::Manager
            | Role::Proxy
            | Role::Worker => {
                let desk = match (seat.logs.take(), seat.attach_socket.take()) {
                    (Some(directory), Some(attach_socket)) => Some(Desk {
                        directory,
                        attach_socket,
                        waker: poller.waker(Source::Logs)?,
                    }),
                    (_, _) => None,
                };
                let fabric = seat.fabric.take().ok_or(SeatError::NoSeat);
                let member = fabric.map_err(ClusterError::from);
                let member = member.and_then(|fabric| Member::begin(fabric, desk));
                let member = member.map_err(cannot_join)?;
                Ok(Self::Member(Box::new(member)))
            }
        }
    }
}

/// A layout in which this node cannot be is no better at the next birth.
fn cannot_join(error: ClusterError) -> io::Error {
    let kind = match &error {
        ClusterError::Roster(_)
        | ClusterError::Pool(_)
        | ClusterError::Topic(_)
        | ClusterError::NoSeatFor { .. }
        | ClusterError::OtherSeat { .. }
        | ClusterError::Name { .. } => io::ErrorKind::InvalidInput,
        ClusterError::Seat(_)
        | ClusterError::Layout(_)
        | ClusterError::Announced
        | ClusterError::Lost
        | ClusterError::Wait(_) => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl Life {
    fn begin(mut seat: Seat) -> io::Result<Self> {
        let (signals, hand) = UnixStream::pair()?;
        signals.set_nonblocking(true)?;
        for signal in [SIGTERM, SIGINT] {
            signal_hook::low_level::pipe::register(signal, hand.try_clone()?)?;
        }
        sys::signals::ignore_broken_pipes()?;
        let mut poller = Poller::new()?;
        poller.add(seat.control.as_fd(), Source::Control, false)?;
        poller.add(signals.as_fd(), Source::Signals, false)?;
        for (index, listener) in seat.listeners.iter().enumerate() {
            poller.add(listener.as_fd(), Source::Listener(index), false)?;
        }
        let mut life = Self {
            part: Part::begin(&mut seat, &mut poller)?,
            seat,
            poller,
            signals,
            next_beat: None,
            leave: None,
        };
        let incarnation = life.seat.incarnation;
        match &mut life.part {
            Part::Member(member) => {
                let nodes = member.count_nodes();
                say(
                    "up",
                    &format_args!("incarnation={incarnation} nodes={nodes}"),
                );
                member.write_logs()?;
                member.announce().map_err(cannot_join)?;
                if let Some(inputs) = life.seat.inputs.take() {
                    let name = format!("{}.positions", life.seat.name);
                    member.follow(*inputs, &life.seat.directory.join(name))?;
                }
                for descriptor in member.descriptors() {
                    life.poller.add(descriptor, Source::Fabric, false)?;
                }
            }
            Part::Controller(_) => say("up", &format_args!("incarnation={incarnation}")),
        }
        life.beat(sys::clock::monotonic());
        life.get_ready()?;
        Ok(life)
    }

    fn get_ready(&mut self) -> io::Result<()> {
        if let Some(ready) = self.seat.ready.take() {
            nix::unistd::write(&ready, b"\n")?;
        }
        say("ready", &format_args!("role={}", self.seat.role.word()));
        Ok(())
    }

    fn turns(mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        while self.leave.is_none() {
            let deadline = self.sleep_until();
            let now = self.poller.wait(deadline, &mut ready)?;
            for Ready { source, .. } in ready.drain(..) {
                match source {
                    Source::Control => self.on_control(now),
                    Source::Signals => self.on_signals(),
                    Source::Listener(index) => self.on_listener(index),
                    Source::Fabric | Source::Logs => {} // every turn looks at all of it
                }
            }
            if self.next_beat.is_some_and(|at| at <= now) {
                self.beat(now);
            }
            match &mut self.part {
                Part::Member(member) => {
                    member.turn()?;
                    for answer in member.answers() {
                        self.answer(Some(&answer));
                    }
                }
                Part::Controller(controller) => controller.run_deadlines(now),
            }
        }
        if let Part::Member(member) = &mut self.part {
            member.leave()?;
        }
        if self.leave == Some(Leave::Signal) {
            self.end_with_archive(&mut ready)?;
        }
        if let Some(leave) = self.leave {
            say("down", &format_args!("reason={:?}", leave.to_string()));
        }
        Ok(())
    }

    /// What becomes of rotated files may need the supervisor, so it is listened to as long as that takes;
    /// a few seconds at most. What is not done then, a successor does.
    fn end_with_archive(&mut self, ready: &mut Vec<Ready<Source>>) -> io::Result<()> {
        let (_, end) = limits(sys::clock::monotonic());
        loop {
            let Part::Member(member) = &mut self.part else {
                return Ok(());
            };
            let goes_on = member.turn_behind_the_end();
            for answer in member.answers() {
                self.answer(Some(&answer));
            }
            if !goes_on || sys::clock::monotonic() >= end || self.leave != Some(Leave::Signal) {
                return Ok(());
            }
            let now = self.poller.wait(Some(end), ready)?;
            ready.clear();
            self.on_control(now);
        }
    }

    /// Until when nothing has to be done but what wakes it.
    fn sleep_until(&mut self) -> Option<Instant> {
        let own = match &mut self.part {
            Part::Member(member) => match member.doze() {
                true => member.deadline(),
                false => Some(sys::clock::monotonic()),
            },
            Part::Controller(controller) => controller.next_deadline(),
        };
        [self.next_beat, own].into_iter().flatten().min()
    }

    fn on_control(&mut self, now: Instant) {
        let mut buffer = vec![0; LINK_PACKET_BYTES_MAX];
        loop {
            match sys::packet::recv(self.seat.control.as_fd(), &mut buffer) {
                Ok(Some((length, _))) => {
                    let packet = buffer.get(..length).unwrap_or_default();
                    match &mut self.part {
                        Part::Controller(controller) => controller.on_packet(packet, now),
                        Part::Member(member) => {
                            let answer = ToNode::decode(packet).and_then(|asked| member.ask(asked));
                            self.answer(answer.as_ref());
                        }
                    }
                }
                Ok(None) => {
                    self.leave = Some(Leave::SupervisorGone);
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.leave = Some(Leave::SupervisorGone);
                    return;
                }
            }
        }
    }

    /// Answers the supervisor. If it has not read what it was answered before, it waits for no more.
    fn answer(&self, answer: Option<&FromNode>) {
        let packet = answer.and_then(|answer| answer.encode(LINK_PACKET_BYTES_MAX));
        if let Some(packet) = packet {
            let _ = sys::packet::send(self.seat.control.as_fd(), &packet, &[]);
        }
    }

    fn on_signals(&mut self) {
        let mut buffer = [0; 64];
        while let Ok(1..) = io::Read::read(&mut self.signals, &mut buffer) {
            self.leave = Some(Leave::Signal);
        }
    }

    /// Nothing of ours speaks on a port yet: whoever calls is let go at once, not left waiting.
    fn on_listener(&mut self, index: usize) {
        if let Some(listener) = self.seat.listeners.get(index) {
            while sys::unix::refuse_one(listener.as_fd()) {}
        }
    }

    fn beat(&mut self, now: Instant) {
        if let Some(heartbeat) = &self.seat.heartbeat {
            heartbeat.beat(sys::clock::monotonic_ns());
            self.next_beat = self.seat.beat_every.map(|every| now + every);
        }
    }
}

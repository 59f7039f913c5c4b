//! A node's loop: wait, handle, beat; until it is told to leave, or nobody is left to tell it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::Seat;
use super::controller::ControllerRole;
use crate::causes;
use crate::layout::Node;
use crate::layout::spec::Role;
use crate::names::NodeName;
use crate::net::poller::{Poller, Ready};
use crate::supervise::vocabulary::PACKET_BYTES_MAX;
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

struct Life {
    seat: Seat,
    poller: Poller<Source>,
    signals: UnixStream,
    controller: Option<ControllerRole>,
    next_beat: Option<Instant>,
    leave: Option<Leave>,
}

impl Life {
    fn begin(seat: Seat) -> io::Result<Self> {
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
        let controller = match seat.role {
            Role::Controller => Some(ControllerRole::begin(&seat)?),
            Role::None
            | Role::Control
            | Role::Logger
            | Role::Manager
            | Role::Proxy
            | Role::Worker => None,
        };
        let mut life = Self {
            seat,
            poller,
            signals,
            controller,
            next_beat: None,
            leave: None,
        };
        let incarnation = life.seat.incarnation;
        match life.count_nodes()? {
            Some(nodes) => life.say(
                "up",
                &format_args!("incarnation={incarnation} nodes={nodes}"),
            ),
            None => life.say("up", &format_args!("incarnation={incarnation}")),
        }
        life.beat(sys::clock::monotonic());
        life.get_ready()?;
        Ok(life)
    }

    /// Reads the topology that came with the seat.
    fn count_nodes(&self) -> io::Result<Option<usize>> {
        let Some(layout) = &self.seat.layout else {
            return Ok(None);
        };
        let bytes = sys::memory::read_sealed(layout.as_fd())?;
        let nodes: BTreeMap<NodeName, Node> = serde_json::from_slice(&bytes)?;
        Ok(Some(nodes.len()))
    }

    fn get_ready(&mut self) -> io::Result<()> {
        if let Some(ready) = self.seat.ready.take() {
            nix::unistd::write(&ready, b"\n")?;
        }
        self.say("ready", &format_args!("role={}", self.seat.role.word()));
        Ok(())
    }

    fn turns(mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        while self.leave.is_none() {
            let deadline = [
                self.next_beat,
                self.controller
                    .as_ref()
                    .and_then(ControllerRole::next_deadline),
            ];
            let now = self
                .poller
                .wait(deadline.into_iter().flatten().min(), &mut ready)?;
            for Ready { source, .. } in ready.drain(..) {
                match source {
                    Source::Control => self.on_control(now),
                    Source::Signals => self.on_signals(),
                    Source::Listener(index) => self.on_listener(index),
                }
            }
            if self.next_beat.is_some_and(|at| at <= now) {
                self.beat(now);
            }
            if let Some(controller) = &mut self.controller {
                controller.run_deadlines(now);
            }
        }
        if let Some(leave) = self.leave {
            self.say("down", &format_args!("reason={:?}", leave.to_string()));
        }
        Ok(())
    }

    fn on_control(&mut self, now: Instant) {
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        loop {
            match sys::packet::recv(self.seat.control.as_fd(), &mut buffer) {
                Ok(Some((length, _))) => {
                    let packet = buffer.get(..length).unwrap_or_default();
                    if let Some(controller) = &mut self.controller {
                        controller.on_packet(packet, now);
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

    /// One line of the node's own life on its standard output.
    fn say(&self, event: &str, detail: &fmt::Arguments<'_>) {
        let at = humantime::format_rfc3339_millis(sys::clock::wall());
        let line = format!("{at} pid={} event={event} {detail}\n", sys::process::id());
        // One write a line: lines of a node that is killed are whole or absent.
        let _ = nix::unistd::write(io::stdout(), line.as_bytes());
    }
}

//! What the stem knows of each child: its description, and the process it has just now.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use cluster::layout::spec::ChildSpec;
use cluster::names::{Incarnation, NodeName};
use cluster::net::poller::Key;
use cluster::shm::heartbeat::Heartbeat;
use cluster::supervise::fleet::Change;
use cluster::supervise::vocabulary::{EscrowKey, Report};
use cluster::sys;

use super::{Escrowed, Hold, Stem};
use crate::stem::readiness::Probe;

/// A child the stem knows.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) spec: Arc<ChildSpec>,
    pub(super) live: Option<Live>,
}

/// Its process.
#[derive(Debug)]
pub(super) struct Live {
    /// Its own number until we reap it, which forgets all of this: no signal can reach another.
    pub(super) pid: i32,
    pub(super) incarnation: Incarnation,
    /// Where it says that it is ready, or alive, and how the poller knows that descriptor.
    pub(super) notices: Vec<(Notice, Key)>,
    pub(super) probe: Option<Probe>,
    /// Written here for a command that says `WATCHDOG=1`.
    pub(super) heartbeat: Option<Heartbeat>,
}

/// Where a child says that it is ready.
#[derive(Debug)]
pub(super) enum Notice {
    /// One byte (built-in roles) or a newline (commands) on a pipe.
    Pipe {
        fd: OwnedFd,
        /// What came so far, without the word that counts.
        bytes_heard: usize,
    },
    /// Datagrams of the `sd_notify` protocol.
    Socket(OwnedFd),
    /// A pipe that ends when a command has executed its program, which is all it has to say.
    Executed(OwnedFd),
}

impl Notice {
    pub(super) fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Self::Pipe { fd, .. } | Self::Socket(fd) | Self::Executed(fd) => fd.as_fd(),
        }
    }
}

impl Stem {
    /// Gets to know a child, or takes over its new description from its next birth on.
    pub(super) fn know(&mut self, spec: Arc<ChildSpec>) {
        let name = spec.name.clone();
        for address in &spec.listen {
            let key = (name.clone(), *address);
            if self.listeners.contains_key(&key) {
                continue;
            }
            match self.open_listener(key) {
                Ok(()) => {}
                Err(error) => {
                    let text =
                        format!("cannot listen on {address}: {error}; tried again at its birth");
                    self.problem(Some(&name), &text);
                }
            }
        }
        let wanted = &spec.listen;
        self.listeners
            .retain(|(owner, address), _| *owner != name || wanted.contains(address));
        match self.records.get_mut(&name) {
            Some(record) => record.spec = spec,
            None => {
                self.records
                    .insert(name, Box::new(Record { spec, live: None }));
            }
        }
    }

    /// Makes a listening socket and asks the supervisor to hold it too; until it does, nobody uses it.
    pub(super) fn open_listener(&mut self, key: (NodeName, SocketAddr)) -> std::io::Result<()> {
        let (name, address) = key.clone();
        let fd = sys::unix::listen_tcp(address, 1024)?;
        let copy = fd.try_clone()?;
        let report = Report::Escrow(EscrowKey::Listener { name, address });
        self.link.report(report, vec![copy]);
        self.listeners.insert(key, Escrowed { fd, held: false });
        Ok(())
    }

    /// The supervisor holds it: births that waited for it may go on.
    pub(super) fn on_listener_held(&mut self, name: NodeName, address: SocketAddr) {
        if self.held.get(&name) == Some(&Hold::Escrow) {
            self.held.remove(&name);
        }
        if let Some(escrowed) = self.listeners.get_mut(&(name, address)) {
            escrowed.held = true;
        }
    }

    pub(super) fn on_change(&mut self, change: Change, now: Instant) {
        self.run_hooks_for(&change);
        self.fabric.rests(&change.name, change.state);
        let report = Report::State {
            name: change.name,
            incarnation: change.incarnation,
            state: change.state,
            next: change.next.map(|at| at.saturating_duration_since(now)),
            failures: change.failures,
            reason: change.reason,
        };
        self.link.report(report, vec![]);
    }

    pub(super) fn on_forgotten(&mut self, name: &NodeName) {
        self.records.remove(name);
        self.held.remove(name);
        self.listeners.retain(|(owner, _), _| owner != name);
        let (fabric, mut edge) = self.fabric();
        fabric.forget(name, &mut edge);
        self.link.report(Report::Forgotten(name.clone()), vec![]);
    }

    pub(super) fn live(&self, name: &NodeName) -> Option<&Live> {
        self.records.get(name)?.live.as_ref()
    }

    pub(super) fn live_mut(&mut self, name: &NodeName) -> Option<&mut Live> {
        self.records.get_mut(name)?.live.as_mut()
    }

    /// Sends a signal to a child's process.
    pub(super) fn signal(&mut self, name: &NodeName, signal: i32) {
        let Some(live) = self.live(name) else {
            return;
        };
        match sys::process::kill(live.pid, signal) {
            Ok(_) => {}
            Err(error) => {
                let text = format!(
                    "cannot send signal {signal} to process {}: {error}",
                    live.pid
                );
                self.problem(Some(name), &text);
            }
        }
    }

    /// Asks a child to end, and lets it go on if it was halted: it could not hear us.
    pub(super) fn ask_to_end(&mut self, name: &NodeName, signal: i32) {
        self.signal(name, signal);
        self.signal(name, nix::libc::SIGCONT);
    }

    /// Ends a child and everything in its process group.
    pub(super) fn kill(&mut self, name: &NodeName) {
        let Some(live) = self.live(name) else {
            return;
        };
        // The group keeps its number as long as its leader is not reaped, and we are who reaps it.
        let group = sys::process::kill_group(live.pid, nix::libc::SIGKILL);
        if let Err(error) = group {
            let text = format!("cannot kill process group {}: {error}", live.pid);
            self.problem(Some(name), &text);
        }
        self.signal(name, nix::libc::SIGKILL);
    }
}

//! The stem: the one process that forks. It bears the children, reaps them, and keeps their deadlines.
//!
//! Owns: the link to the supervisor, the signal descriptor, the listening sockets. Hands over: at each
//! birth the seat's share of them; to the supervisor the child's pidfd, the read ends of its output
//! pipes, its control socket, and a copy of what must outlive the stem. A child costs the stem no
//! descriptor that lasts: every birth copies them all.
//! Never: logs, starts a thread, resolves a name, decides whether a child should run. It reports facts.

mod birth;
mod fabric;
mod helper_processes;
mod link;
mod newborn;
mod orders;
mod orphan;
mod readiness;
mod reaping;
mod records;
mod seating;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use cluster::layout::host::Host;
use cluster::names::NodeName;
use cluster::net::poller::{Poller, Ready};
use cluster::supervise::fleet::{Action, Fleet};
use cluster::supervise::vocabulary::{Death, Order, Report, VERSION};
use cluster::sys;
use cluster::sys::host::ThisHost;
use cluster::sys::process::{Children, Nursery};
use cluster::sys::signals::SignalReader;

use fabric::{ConnectionId, Edge, Fabric};
use helper_processes::Helpers;
use link::Link;
pub(crate) use newborn::Newborn;
use reaping::Strays;
use records::Record;

/// A birth that the system refused is tried again after this long, whatever the policy's delay.
const BIRTH_RETRY: Duration = Duration::from_millis(100);

/// How the stem's loop ends.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// In the stem: its work is done.
    Done,
    /// In a child: take up its work. The stem's state has to be leaked by then.
    Born(Box<Newborn>),
}

/// Who has something to say, in the order in which they are heard: deaths and orders come before
/// whatever nodes have to say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Signals,
    Link,
    /// The TCP connection that asks whether a child is ready.
    Probe(NodeName),
    /// The notification pipe or socket of a child.
    Notice(NodeName),
    /// A seat socket.
    Seat(ConnectionId),
    /// Somebody comes to `attach.sock`.
    Attach,
}

/// A process the stem has to know when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    Child(NodeName),
    Helper,
}

/// A descriptor that outlives the child that uses it.
#[derive(Debug)]
struct Escrowed {
    fd: OwnedFd,
    /// The supervisor holds it too.
    held: bool,
}

/// The stem's whole state.
#[derive(Debug)]
pub(crate) struct Stem {
    link: Link,
    signals: SignalReader,
    poller: Poller<Source>,
    fleet: Fleet,
    records: BTreeMap<NodeName, Box<Record>>,
    processes: BTreeMap<i32, Who>,
    listeners: BTreeMap<(NodeName, SocketAddr), Escrowed>,
    helpers: Helpers,
    fabric: Fabric,
    /// Nodes that are asked whether they are ready.
    probing: BTreeSet<NodeName>,
    /// Nodes that had more to say than they are listened to in one turn, and when they are heard again.
    interrupted: BTreeSet<NodeName>,
    hear_again: Option<Instant>,
    /// Births that wait: for the escrow, for remnants of the last incarnation, for another try.
    held: BTreeMap<NodeName, Hold>,
    /// Everybody is known: when they are born, memory can be given back.
    trim_due: bool,
    children: Children,
    /// Children that are not among the processes above, as of the last look.
    strangers: BTreeSet<i32>,
    /// None was overlooked since.
    strangers_known: bool,
    nursery: Nursery,
    /// Nodes some of whose processes ended in this turn, and may have left others behind.
    bereaved: Vec<Death>,
    /// A process that the stem does not know ended, while a birth waits: it may have left others behind.
    stranger_gone: bool,
    /// Signals merge: others may have ended with the one that was reaped.
    reap_more: bool,
    /// Processes that showed no marker, and how often they are looked at again; and when.
    unmarked: BTreeMap<i32, u32>,
    look_again: Option<Instant>,
    pid: i32,
    supervisor: i32,
    soft_limit: u64,
    /// The snapshot is complete: births may begin.
    going: bool,
    orphaned: Option<Instant>,
    finished: bool,
}

/// Why a birth waits.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hold {
    /// Not every listening socket is held by the supervisor yet.
    Escrow,
    /// Processes of the last incarnation are not gone yet.
    Strays(Strays),
    /// The system refused; try again then.
    Retry(Instant),
}

/// Runs the stem on the link that is its standard input.
///
/// # Errors
/// The system's, while setting up; later ones are reported and survived.
pub(crate) fn run() -> io::Result<Outcome> {
    let mut stem = Stem::set_up()?;
    let outcome = stem.turns();
    if matches!(outcome, Outcome::Born(_)) {
        // We are the child: dropping the parent's descriptors and its poller would harm the parent.
        std::mem::forget(stem);
    }
    Ok(outcome)
}

impl Stem {
    fn set_up() -> io::Result<Self> {
        // Without the supervisor's terminal: a node could type into it. What a terminal sends is blocked
        // since before our birth, and stays so; newborns get an empty mask.
        sys::process::new_session()?;
        let read = [nix::libc::SIGCHLD, nix::libc::SIGTERM];
        sys::signals::block(&read)?;
        let signals = SignalReader::new(&read)?;
        // A newborn inherits it: whoever is shown with its process can be killed from that moment on.
        sys::signals::let_faults_kill()?;
        let supervisor = sys::process::parent_id();
        sys::process::set_thread_name("stem")?;
        // Only for those who look.
        let _ = sys::process::set_title("supervisor: stem");
        sys::process::become_subreaper()?;
        sys::process::set_parent_death_signal(nix::libc::SIGTERM)?;
        // Opened while 0 is taken, so that it is not 0 itself and closed with its owner.
        let null = sys::descriptors::null()?;
        let link = sys::descriptors::move_above(sys::descriptors::take(0)?, 3)?;
        sys::descriptors::place(null.as_fd(), 0)?;
        drop(null);
        let soft_limit = sys::descriptors::raise_limit(u64::MAX)?;
        let mut poller = Poller::new()?;
        poller.add(link.as_fd(), Source::Link, true)?;
        poller.add(signals.as_fd(), Source::Signals, false)?;
        let mut stem = Self {
            link: Link::new(link),
            signals,
            poller,
            fleet: Fleet::new(sys::clock::monotonic_ns()),
            records: BTreeMap::new(),
            processes: BTreeMap::new(),
            listeners: BTreeMap::new(),
            fabric: Fabric::new(ThisHost.descriptors_max()),
            helpers: Helpers::default(),
            probing: BTreeSet::new(),
            interrupted: BTreeSet::new(),
            hear_again: None,
            held: BTreeMap::new(),
            trim_due: false,
            children: Children::of_this_process(),
            strangers: BTreeSet::new(),
            strangers_known: false,
            nursery: Nursery::new(),
            bereaved: Vec::new(),
            stranger_gone: false,
            reap_more: false,
            unmarked: BTreeMap::new(),
            look_again: None,
            pid: sys::process::id(),
            supervisor,
            soft_limit,
            going: false,
            orphaned: None,
            finished: false,
        };
        stem.link.report(Report::Hello { version: VERSION }, vec![]);
        Ok(stem)
    }

    fn turns(&mut self) -> Outcome {
        let mut ready = Vec::new();
        while !self.finished {
            let deadline = self.next_deadline();
            let now = match self.poller.wait(deadline, &mut ready) {
                Ok(now) => now,
                Err(error) => {
                    // Without its poller the stem is deaf; its end makes the supervisor revive it.
                    self.problem(None, &format!("cannot wait for events: {error}"));
                    self.link.flush();
                    return Outcome::Done;
                }
            };
            ready.sort_by(|one, other| one.source.cmp(&other.source));
            for Ready { source, .. } in ready.drain(..) {
                match source {
                    Source::Signals => self.on_signals(now),
                    Source::Link => self.on_link(now),
                    Source::Probe(name) => self.on_probe(&name, now),
                    Source::Notice(name) => self.on_notice(&name, now),
                    Source::Seat(connection) => self.on_seat(connection),
                    Source::Attach => self.on_attach(now),
                }
            }
            self.hear_interrupted(now);
            self.hear_interrupted_seats();
            self.clear_strays(now);
            self.run_deadlines(now);
            self.settle(now);
            if let Some(newborn) = self.bear_due(now) {
                return Outcome::Born(Box::new(newborn));
            }
            self.reap_the_rest(now);
            self.clear_strays(now); // a death is told before what follows from it
            self.run_orphan_deadline(now);
            self.settle(now);
            self.settle_fabric(now);
            self.link.flush();
            if self.trim_due && !self.births_wait() {
                // What the start needed is not needed again, and newborns need not inherit it.
                sys::heap::trim();
                sys::text::let_go();
                self.look_at_all_children();
                self.trim_due = false;
            }
            self.follow_children();
            self.leave_if_done();
        }
        Outcome::Done
    }

    fn next_deadline(&self) -> Option<Instant> {
        if let Some(orphaned) = self.orphaned {
            return Some(orphaned);
        }
        if self.births_wait() || !self.bereaved.is_empty() || self.stranger_gone {
            return Some(sys::clock::monotonic());
        }
        let fleet = self.fleet.next_deadline().filter(|_| self.going);
        let held = self.held.values().filter_map(|hold| match hold {
            Hold::Retry(at) => Some(*at),
            Hold::Escrow | Hold::Strays(_) => None,
        });
        let fabric = self.fabric.next_deadline(sys::clock::monotonic);
        [
            fleet,
            fabric,
            self.helpers.next_deadline(),
            self.next_probe(),
        ]
        .into_iter()
        .flatten()
        .chain(held)
        .chain(self.look_again)
        .chain(self.hear_again)
        .min()
    }

    fn run_deadlines(&mut self, now: Instant) {
        let mut actions = Vec::new();
        if self.going {
            self.fleet.run_deadlines(now, &mut actions);
        }
        self.carry_out(actions, now);
        self.held.retain(|_, hold| match hold {
            Hold::Retry(at) => *at > now,
            Hold::Escrow | Hold::Strays(_) => true,
        });
        self.run_probes(now);
        self.kill_late_helpers(now);
    }

    fn settle(&mut self, now: Instant) {
        if self.going {
            let mut actions = Vec::new();
            self.fleet.settle(now, &mut actions);
            self.carry_out(actions, now);
        }
    }

    fn carry_out(&mut self, actions: Vec<Action>, now: Instant) {
        for action in actions {
            match action {
                Action::Signal { name, signal } => self.ask_to_end(&name, signal),
                Action::Kill { name } => self.kill(&name),
                Action::Report(change) => self.on_change(change, now),
                Action::StageLate { stage, missing } => {
                    self.link
                        .report(Report::StageLate { stage, missing }, vec![]);
                }
                Action::Forgotten(name) => self.on_forgotten(&name),
            }
        }
    }

    fn leave_if_done(&mut self) {
        if let Some(killed) = self.fleet.is_done()
            && self.orphaned.is_none()
            && self.processes.is_empty()
            && self.bereaved.is_empty() // their deaths are not told of yet
            && self.end_remnants()
        {
            self.link.report(Report::Done { killed }, vec![]);
            self.link.flush_before_leaving();
            self.finished = true;
        }
    }

    fn on_link(&mut self, now: Instant) {
        loop {
            match self.link.receive() {
                Ok(Some((order, fds))) => self.on_order(order, fds, now),
                Ok(None) => break,
                Err(_) => {
                    // End of file: nobody but the supervisor holds the other end.
                    self.become_orphan(now);
                    break;
                }
            }
        }
        self.link.flush();
    }

    fn problem(&mut self, name: Option<&NodeName>, text: &str) {
        let report = Report::Problem {
            name: name.cloned(),
            text: text.to_owned(),
        };
        self.link.report(report, vec![]);
    }

    fn on_order(&mut self, order: Order, fds: Vec<OwnedFd>, now: Instant) {
        if self.orphaned.is_none() {
            self.obey(order, fds, now);
        }
    }
}

//! What the supervisor knows of one node.

use std::os::fd::OwnedFd;
use std::time::{Instant, SystemTime};

use cluster::control::reply::NodeState;
use cluster::layout::spec::ChildSpec;
use cluster::names::Incarnation;
use cluster::shm::heartbeat::Heartbeat;
use cluster::supervise::child::{Ending, State};
use cluster::supervise::vocabulary::Past;

/// One node. There may be a thousand, so what few of them have is in boxes.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) spec: ChildSpec,
    /// Should it run?
    pub(super) wanted: bool,
    /// Its directories are made.
    pub(super) placed: bool,
    /// Does it stand in the layout, or was it made at run time?
    pub(super) in_layout: bool,
    /// Made at run time, and kept over a restart of the supervisor.
    pub(super) persist: bool,
    /// It was destroyed, and is forgotten as soon as the stem says that it is gone.
    pub(super) doomed: bool,
    pub(super) state: State,
    pub(super) reason: Option<String>,
    pub(super) incarnation: Incarnation,
    pub(super) births: u64,
    pub(super) failures: u32,
    pub(super) next: Option<Instant>,
    pub(super) live: Option<Live>,
    /// A process of an old incarnation that outlived its stem; it must be gone before a new birth.
    pub(super) orphan: Option<i32>,
    pub(super) last_exit: Option<Box<Exit>>,
    pub(super) stillborn: Option<Box<(Incarnation, String)>>,
    pub(super) status_text: Option<String>,
    pub(super) output_lost: [u64; 2],
    /// Processor time seen last, for the rate.
    pub(super) sample: Option<Box<Sample>>,
}

/// Its process.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    /// Keeps the node alive: its end is an order to leave.
    pub(super) control: Option<OwnedFd>,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) born: SystemTime,
    pub(super) born_at: Instant,
    pub(super) ready: Option<SystemTime>,
    pub(super) ready_at: Option<Instant>,
    /// Its heartbeat is stale.
    pub(super) hung: bool,
}

/// How it ended last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exit {
    pub(super) ending: Ending,
    pub(super) asked: bool,
    pub(super) at: SystemTime,
}

/// Processor time at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) pid: i32,
    pub(super) cpu: std::time::Duration,
    pub(super) at: Instant,
}

impl Node {
    pub(super) fn new(mut spec: ChildSpec, wanted: bool, in_layout: bool) -> Self {
        spec.home.shrink_to_fit(); // joined from parts, it has room for as much again
        Self {
            spec,
            wanted,
            placed: false,
            in_layout,
            persist: false,
            doomed: false,
            state: State::Stopped,
            reason: None,
            incarnation: Incarnation::default(),
            births: 0,
            failures: 0,
            next: None,
            live: None,
            orphan: None,
            last_exit: None,
            stillborn: None,
            status_text: None,
            output_lost: [0, 0],
            sample: None,
        }
    }

    /// What a new stem has to know of its past.
    pub(super) fn past(&self, now: Instant) -> Past {
        let rests = matches!(self.state, State::Finished | State::Failed) && self.wanted;
        Past {
            incarnation: self.incarnation,
            rest: rests.then_some(self.state),
            reason: self.reason.clone().filter(|_| rests),
            due: self
                .next
                .filter(|_| rests)
                .map(|at| at.saturating_duration_since(now)),
            failures: self.failures,
        }
    }

    /// What it rests from is over: until the stem says more, this one or the next, it waits to be born.
    /// Whoever waits for it must not be answered with the failure that came before.
    pub(super) fn await_birth(&mut self) {
        self.state = State::Pending;
        self.reason = None;
        self.next = None;
    }

    /// Its state as `status` shows it.
    pub(super) fn shown(&self) -> NodeState {
        if self.orphan.is_some() {
            return NodeState::Orphaned;
        }
        match self.state {
            State::Ready if self.is_hung() => NodeState::Degraded,
            // Its process has ended, and what follows from that is on its way from the stem.
            State::Ready if self.live.is_none() => NodeState::Is(State::Pending),
            State::Stopped
            | State::Pending
            | State::Backoff
            | State::Starting
            | State::Ready
            | State::Stopping
            | State::Finished
            | State::Failed => NodeState::Is(self.state),
        }
    }

    pub(super) fn pid(&self) -> Option<i32> {
        self.live.as_ref().map(|live| live.pid)
    }

    /// Births beyond the first.
    pub(super) fn restarts(&self) -> u64 {
        self.births.saturating_sub(1)
    }

    /// Is it as it should be?
    pub(super) fn is_well(&self) -> bool {
        match self.wanted {
            true => matches!(self.state, State::Ready | State::Finished) && !self.is_hung(),
            false => self.state == State::Stopped,
        }
    }

    pub(super) fn is_hung(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.hung)
    }

    /// Why its last birth failed, said by itself.
    pub(super) fn stillborn_reason(&self) -> Option<&str> {
        self.stillborn
            .as_deref()
            .filter(|(incarnation, _)| *incarnation == self.incarnation)
            .map(|(_, problem)| problem.as_str())
    }

    /// Why it does not run: its own word, or else the stem's.
    pub(super) fn why(&self) -> Option<&str> {
        self.stillborn_reason().or(self.reason.as_deref())
    }
}

//! All children of a stem together: stages, order of stopping, deadlines.
//!
//! The shell feeds in what happened, calls [`Fleet::settle`] at the end of each turn of its loop,
//! carries out the [`Action`]s, and bears whoever [`Fleet::next_due`] names: births happen at one
//! place, never inside a handler.
//!
//! **Start.** A stage is open when every earlier one has settled: its quorum is ready or finished, or
//! nobody in it is still trying, or its time limit has passed. An open stage stays open until the
//! whole fleet is down. **Stop.** A child that is to stop keeps running while a child of a later stage
//! that is also to stop still runs: loggers end last.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::child::{Child, Deed, Ending, Event, State};
use super::vocabulary::{Past, RestartCause};
use crate::layout::spec::LifePolicy;
use crate::names::{Incarnation, NodeName};

mod stages;

use stages::Stage;

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask a child's process to end, by this signal; a halted one has to go on to hear it.
    Signal {
        /// Whose.
        name: NodeName,
        /// Which.
        signal: i32,
    },
    /// Send SIGKILL to a child's process group and process.
    Kill {
        /// Whose.
        name: NodeName,
    },
    /// Tell the supervisor that a child's state changed.
    Report(Change),
    /// A stage is late; the next one starts all the same.
    StageLate {
        /// Its number.
        stage: u16,
        /// Who is not ready.
        missing: Vec<NodeName>,
    },
    /// A child that was to be forgotten is gone.
    Forgotten(NodeName),
}

/// A child's state changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub name: NodeName,
    /// In which incarnation.
    pub incarnation: Incarnation,
    /// Into which state.
    pub state: State,
    /// When the next birth is due, where one is.
    pub next: Option<Instant>,
    /// Failures in a row.
    pub failures: u32,
    /// Why.
    pub reason: Option<String>,
}

#[derive(Debug)]
struct Member {
    child: Child,
    stage: u16,
    /// The stop that waits for later stages, with its grace.
    leaving: Option<Option<Duration>>,
    forget: bool,
    reported: Option<Seen>,
    armed: Option<Instant>,
}

/// What the supervisor was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    state: State,
    incarnation: Incarnation,
    next: Option<Instant>,
    failures: u32,
}

impl Member {
    /// It is to stop as soon as the later stages let it. A second stop can only shorten a grace that
    /// was named.
    fn leave(&mut self, grace: Option<Duration>) {
        let named = self.leaving.flatten();
        self.leaving = Some(match (named, grace) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        });
    }
}

#[derive(Debug)]
struct Closing {
    deadline: Instant,
    killed: u32,
    late: bool,
}

/// All children.
#[derive(Debug, Default)]
pub struct Fleet {
    members: BTreeMap<NodeName, Box<Member>>,
    /// Those whose stage waits.
    pending: BTreeSet<NodeName>,
    /// Those who are to stop, or to be forgotten, and wait for their turn.
    departing: BTreeSet<NodeName>,
    incomplete_from: Option<u16>,
    stages: BTreeMap<u16, Stage>,
    deadlines: BTreeSet<(Instant, NodeName)>,
    due: BTreeSet<NodeName>,
    touched: BTreeSet<NodeName>,
    unsettled: bool,
    closing: Option<Closing>,
    dice: u64,
}

impl Fleet {
    /// An empty fleet. `dice` seeds the jitter of its delays.
    #[must_use]
    pub fn new(dice: u64) -> Self {
        Self {
            dice,
            ..Self::default()
        }
    }

    /// Gets to know a child, stopped, or takes over a new description of a known one.
    pub fn know(
        &mut self,
        name: NodeName,
        stage: u16,
        policy: LifePolicy,
        past: &Past,
        now: Instant,
    ) {
        if let Some(member) = self.members.get_mut(&name) {
            member.child.set_policy(policy);
            member.stage = stage;
            member.forget = false;
            self.touch(&name);
            return;
        }
        let dice = name.as_str().bytes().fold(self.dice, |dice, byte| {
            dice.rotate_left(7) ^ u64::from(byte)
        });
        let member = Member {
            child: Child::new(policy, past, dice, now),
            stage,
            // Nobody who comes to know us now is to run, not even one whose next birth is due.
            leaving: self.closing.is_some().then_some(None),
            forget: false,
            reported: None,
            armed: None,
        };
        self.members.insert(name.clone(), Box::new(member));
        self.touch(&name);
    }

    /// Stops a child and forgets it when it is gone.
    pub fn forget(&mut self, name: &NodeName) {
        if let Some(member) = self.members.get_mut(name) {
            member.forget = true;
            member.leave(None);
            self.touch(name);
        }
    }

    /// Should a child run? Unknown names are stale orders, and do nothing.
    pub fn want(&mut self, name: &NodeName, up: bool, grace: Option<Duration>, now: Instant) {
        if self.closing.is_some() && up {
            return;
        }
        let open = self.stage_is_open(name);
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        if up && member.forget {
            return;
        }
        if up {
            member.leaving = None;
            member.child.step(Event::Start, open, now);
        } else {
            member.leave(grace);
        }
        self.touch(name);
    }

    /// Ends a child and bears it again.
    pub fn restart(
        &mut self,
        name: &NodeName,
        cause: RestartCause,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if self.closing.is_some() {
            return;
        }
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        if member.forget {
            return;
        }
        if cause == RestartCause::Asked {
            member.leaving = None; // the last order counts
        }
        self.step(name, Event::Restart(cause), now, out);
    }

    /// A birth that was due has happened, or has failed.
    pub fn born(&mut self, name: &NodeName, done: Result<(), i32>, now: Instant) {
        self.due.remove(name);
        let event = match done {
            Ok(()) => Event::Born,
            Err(errno) => Event::Exited(Ending::NotBorn(errno)),
        };
        self.step(name, event, now, &mut Vec::new());
    }

    /// A child's process ended.
    pub fn exited(&mut self, name: &NodeName, ending: Ending, now: Instant) {
        self.step(name, Event::Exited(ending), now, &mut Vec::new());
    }

    /// A child is ready.
    pub fn ready(&mut self, name: &NodeName, now: Instant) {
        self.step(name, Event::Ready, now, &mut Vec::new());
    }

    /// Stops everything, in reverse order of the stages. Called again, it can only hurry.
    pub fn shut_down(&mut self, grace: Option<Duration>, deadline: Instant) {
        let closing = self.closing.get_or_insert(Closing {
            deadline,
            killed: 0,
            late: false,
        });
        closing.deadline = closing.deadline.min(deadline);
        for (name, member) in &mut self.members {
            member.leave(grace);
            self.departing.insert(name.clone());
            self.touched.insert(name.clone());
        }
        self.unsettled = true;
    }

    /// The end of everything, when it has come: how many had to be killed at the deadline.
    #[must_use]
    pub fn is_done(&self) -> Option<u32> {
        let closing = self.closing.as_ref()?;
        let alive = self.members.values().any(|m| m.child.state().is_alive());
        (!alive).then_some(closing.killed)
    }

    /// The next moment at which [`Fleet::run_deadlines`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let child = self.deadlines.first().map(|(at, _)| *at);
        let closing = self
            .closing
            .as_ref()
            .filter(|c| !c.late)
            .map(|c| c.deadline);
        let stage = self.stage_deadline();
        [child, closing, stage].into_iter().flatten().min()
    }

    /// Runs the deadlines that are due.
    pub fn run_deadlines(&mut self, now: Instant, out: &mut Vec<Action>) {
        while let Some((at, name)) = self.deadlines.first().cloned() {
            if at > now {
                break;
            }
            self.deadlines.pop_first();
            if let Some(member) = self.members.get_mut(&name) {
                member.armed = None;
            }
            self.step(&name, Event::Deadline, now, out);
        }
        if self.stage_deadline().is_some_and(|at| at <= now) {
            self.unsettled = true;
        }
        self.run_closing_deadline(now, out);
    }

    fn run_closing_deadline(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Some(closing) = &mut self.closing else {
            return;
        };
        if closing.late || now < closing.deadline {
            return;
        }
        closing.late = true;
        let alive: Vec<NodeName> = self
            .members
            .iter()
            .filter(|(_, m)| m.child.is_born())
            .map(|(name, _)| name.clone())
            .collect();
        closing.killed = u32::try_from(alive.len()).unwrap_or(u32::MAX);
        for name in alive {
            if let Some(member) = self.members.get_mut(&name) {
                member.leaving = None; // it waits for nobody any more
            }
            self.step(&name, Event::Stop(Some(Duration::ZERO)), now, out);
        }
    }

    /// The end of a turn: opens stages, lets go of those whose turn to stop has come, reports what changed.
    pub fn settle(&mut self, now: Instant, out: &mut Vec<Action>) {
        while self.unsettled {
            self.unsettled = false;
            self.release_leaving(now, out);
            self.open_stages(now, out);
            self.bear_pending(now, out);
        }
        for name in std::mem::take(&mut self.touched) {
            self.report(&name, out);
        }
    }

    /// The next child that is to be born now, skipping those that are `held`.
    #[must_use]
    pub fn next_due(&self, held: impl Fn(&NodeName) -> bool) -> Option<&NodeName> {
        self.due.iter().find(|name| !held(name))
    }

    /// A child, to look at.
    #[must_use]
    pub fn child(&self, name: &NodeName) -> Option<&Child> {
        self.members.get(name).map(|member| &member.child)
    }

    fn step(&mut self, name: &NodeName, event: Event, now: Instant, out: &mut Vec<Action>) {
        let open = self.stage_is_open(name);
        let Some(member) = self.members.get_mut(name) else {
            return; // a stale order or report
        };
        match member.child.step(event, open, now) {
            Some(Deed::Signal(signal)) => out.push(Action::Signal {
                name: name.clone(),
                signal,
            }),
            Some(Deed::Kill) => out.push(Action::Kill { name: name.clone() }),
            None => {}
        }
        self.touch(name);
    }

    /// After any change of a child: its deadline, its birth, and the settling at the end of the turn.
    fn touch(&mut self, name: &NodeName) {
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        let deadline = member.child.deadline();
        if member.armed != deadline {
            if let Some(old) = member.armed.take() {
                self.deadlines.remove(&(old, name.clone()));
            }
            if let Some(new) = deadline {
                self.deadlines.insert((new, name.clone()));
            }
            member.armed = deadline;
        }
        if member.child.state() == State::Pending {
            self.pending.insert(name.clone());
        } else {
            self.pending.remove(name);
        }
        if member.child.is_due() {
            self.due.insert(name.clone());
        } else {
            self.due.remove(name);
        }
        if member.leaving.is_some() || member.forget {
            self.departing.insert(name.clone());
        } else {
            self.departing.remove(name);
        }
        self.touched.insert(name.clone());
        self.unsettled = true;
    }

    /// Lets go of those who are to stop and whose later stages have stopped.
    fn release_leaving(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.departing.is_empty() {
            return;
        }
        let last = self
            .members
            .values()
            .filter(|m| m.child.state().is_alive() && (m.leaving.is_some() || !m.child.wanted()))
            .map(|m| m.stage)
            .max();
        let ready = self.departing_who(|m| {
            m.leaving.is_some() && (!m.child.is_born() || last.is_none_or(|last| m.stage >= last))
        });
        for name in ready {
            let Some(member) = self.members.get_mut(&name) else {
                continue;
            };
            let grace = member.leaving.take().flatten();
            self.step(&name, Event::Stop(grace), now, out);
            self.forget_if_gone(&name, out);
        }
        let gone =
            self.departing_who(|m| m.forget && !m.child.state().is_alive() && m.leaving.is_none());
        for name in gone {
            self.forget_if_gone(&name, out);
        }
    }

    fn departing_who(&self, is_meant: impl Fn(&Member) -> bool) -> Vec<NodeName> {
        let meant = |name: &&NodeName| self.members.get(*name).is_some_and(|m| is_meant(m));
        self.departing.iter().filter(meant).cloned().collect()
    }

    fn forget_if_gone(&mut self, name: &NodeName, out: &mut Vec<Action>) {
        let gone = self
            .members
            .get(name)
            .is_some_and(|m| m.forget && !m.child.state().is_alive());
        if gone && let Some(member) = self.members.remove(name) {
            if let Some(armed) = member.armed {
                self.deadlines.remove(&(armed, name.clone()));
            }
            self.due.remove(name);
            self.pending.remove(name);
            self.departing.remove(name);
            self.touched.remove(name);
            out.push(Action::Forgotten(name.clone()));
        }
    }

    fn report(&mut self, name: &NodeName, out: &mut Vec<Action>) {
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        let child = &member.child;
        let seen = Seen {
            state: child.state(),
            incarnation: child.incarnation(),
            next: child.next_birth(),
            failures: child.failures(),
        };
        if member.reported == Some(seen) {
            return;
        }
        member.reported = Some(seen);
        out.push(Action::Report(Change {
            name: name.clone(),
            incarnation: child.incarnation(),
            state: child.state(),
            next: child.next_birth(),
            failures: child.failures(),
            reason: child.reason().map(str::to_owned),
        }));
    }
}

#[cfg(test)]
mod tests;

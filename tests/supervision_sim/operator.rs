//! The operator and the supervisor: orders at any moment, and a new stem when the old one died.

use std::time::Duration;

use cluster::names::NodeName;
use cluster::supervise::child::State;
use cluster::supervise::fleet::{Action, Change, Fleet};
use cluster::supervise::vocabulary::{Past, RestartCause};

use crate::check::Gates;
use crate::plan;
use crate::stories::TICK;
use crate::world::{Closing, Fault, Happening, Known, World};

impl World {
    /// The beginning, and what is going to happen from outside.
    pub(crate) fn arrange(&mut self) {
        self.fleet.set_stages(self.specs.clone());
        for name in self.names.clone() {
            if self.dice.chance(90) {
                self.know(&name);
                if self.dice.chance(85) {
                    self.want(&name, true, None);
                }
            }
        }
        let wild = self.dice.number(50, 600);
        for _ in 0..self.dice.number(0, 40) {
            let at = self.start + self.dice.ticks(0, wild);
            self.plan(at, Happening::Operator);
        }
        for _ in 0..self.dice.number(0, 2) {
            let at = self.start + self.dice.ticks(0, wild);
            self.plan(at, Happening::StemDies);
        }
        self.plan(self.start, Happening::Wake);
        self.plan(self.start + TICK * wild, Happening::Calm);
    }

    /// One random order, also to somebody unknown.
    pub(crate) fn operate(&mut self) -> Result<(), String> {
        if self.calm.is_some() {
            return Ok(()); // woke too late
        }
        let name = self.dice.one_of(&self.names).clone();
        let grace = self.dice.chance(40).then(|| self.dice.ticks(0, 60));
        match self.dice.number(0, 99) {
            0..=19 => self.want(&name, true, None),
            20..=39 => self.want(&name, false, grace),
            40..=44 => {
                for name in self.names.clone() {
                    self.want(&name, false, grace);
                }
            }
            45..=49 => {
                for name in self.names.clone() {
                    self.want(&name, true, None);
                }
            }
            50..=64 => self.restart(&name, RestartCause::Asked)?,
            65..=71 => self.restart(&name, RestartCause::Hung)?,
            72..=75 => self.restart(&name, RestartCause::HungAbort)?,
            76..=81 => self.forget(&name),
            82..=90 => {
                self.know(&name);
                self.want(&name, true, None);
            }
            91..=97 => self.replace_stages(),
            98 => self.shut_down(),
            _ => {
                self.shut_down();
                self.shut_down();
            }
        }
        Ok(())
    }

    fn know(&mut self, name: &NodeName) {
        let numbers: Vec<u16> = self.specs.iter().map(|spec| spec.number).collect();
        let mut stage = *self.dice.one_of(&numbers);
        if self.dice.chance(3) {
            stage += 20; // a stage that nobody described
        }
        let mut past = Past::default();
        let due = self.fleet.child(name).is_some_and(|child| child.is_due());
        let policy = if let Some(known) = self.known.get_mut(name) {
            plan::change(&mut self.dice, &mut known.policy);
            known.forget = false;
            known.entered |= due;
            known.stage = stage;
            known.grace = known.grace.max(known.policy.stop_grace);
            known.policy.clone()
        } else {
            past.incarnation = self.incarnations.get(name).copied().unwrap_or_default();
            let policy = plan::policy(&mut self.dice);
            if self.dice.chance(10) {
                past.rest = Some(State::Finished);
                past.due = Some(self.dice.ticks(0, 100));
            }
            let known = Known {
                stage,
                policy: policy.clone(),
                wanted: past.rest.is_some() && self.closing.is_none(),
                forget: false,
                told: None,
                grace: policy.stop_grace,
                ordered: false,
                entered: false,
                crash: None,
                pending_since: None,
                state: past.rest.unwrap_or(State::Stopped),
                next: past.due.map(|due| self.now + due),
                well_since_calm: false,
            };
            self.known.insert(name.clone(), known);
            policy
        };
        self.note(|| format!("know {name} in stage {stage}: {policy:?}"));
        self.fleet
            .know(name.clone(), stage, policy, &past, self.now);
        self.restart_patience();
    }

    fn want(&mut self, name: &NodeName, up: bool, grace: Option<Duration>) {
        self.note(|| format!("want {name}: {up}, grace {grace:?}"));
        self.fleet.want(name, up, grace, self.now);
        let closing = self.closing.is_some();
        if let Some(known) = self.known.get_mut(name)
            && !(up && (known.forget || closing))
        {
            known.wanted = up;
            known.ordered = true;
            known.crash = None;
            known.grace = known.grace.max(grace.unwrap_or_default());
        }
        if !up && self.fault == Some(Fault::IgnoresTheOrder) {
            let name = name.clone();
            self.out.push(Action::Signal { name, signal: 15 });
        }
    }

    fn restart(&mut self, name: &NodeName, cause: RestartCause) -> Result<(), String> {
        self.note(|| format!("restart {name}: {cause:?}"));
        let closing = self.closing.is_some();
        if let Some(known) = self.known.get_mut(name)
            && !known.forget
            && !closing
            && cause == RestartCause::Asked
        {
            known.wanted = true;
            known.ordered = true;
            known.crash = None;
        }
        let delayed = self
            .fleet
            .child(name)
            .is_some_and(|child| child.state() == State::Backoff);
        self.fleet.restart(name, cause, self.now, &mut self.out);
        let obeyed = self
            .known
            .get(name)
            .is_some_and(|known| known.ordered && known.wanted);
        let due = self.fleet.child(name).is_some_and(|child| child.is_due());
        if delayed && obeyed && cause == RestartCause::Asked && !due {
            return Err(format!("{name} was restarted in its delay and still waits"));
        }
        self.obey()
    }

    fn forget(&mut self, name: &NodeName) {
        self.note(|| format!("forget {name}"));
        self.fleet.forget(name);
        if let Some(known) = self.known.get_mut(name) {
            known.wanted = false;
            known.forget = true;
            known.ordered = true;
            known.crash = None;
        }
    }

    fn replace_stages(&mut self) {
        self.specs = plan::stages(&mut self.dice);
        self.note(|| "stages are replaced".to_owned());
        self.fleet.set_stages(self.specs.clone());
        self.gates.keep_only(&self.specs);
        for (name, known) in &mut self.known {
            // Who is due already was let in by the stages as they were.
            known.entered |= self.fleet.child(name).is_some_and(|child| child.is_due());
        }
        self.restart_patience();
    }

    /// Who waits may wait anew.
    fn restart_patience(&mut self) {
        for known in self.known.values_mut() {
            known.pending_since = known.pending_since.map(|_| self.now);
        }
    }

    /// Stops everything; a second and third time it hurries.
    pub(crate) fn shut_down(&mut self) {
        let grace = self.dice.chance(40).then(|| self.dice.ticks(0, 60));
        let within = self.dice.ticks(0, 200);
        let deadline = self.now + within;
        self.note(|| format!("shut down, grace {grace:?}, within {within:?}"));
        self.tally.shutdowns += 1;
        self.fleet.shut_down(grace, deadline);
        let closing = self.closing.get_or_insert(Closing {
            deadline,
            left: None,
        });
        closing.deadline = closing.deadline.min(deadline);
        let deadline = closing.deadline;
        for known in self.known.values_mut() {
            known.wanted = false;
            known.ordered = true;
            known.crash = None;
            known.grace = known.grace.max(grace.unwrap_or_default());
        }
        if self.dice.chance(40) && self.now < deadline {
            let at = self.now + self.dice.ticks(0, 60);
            self.plan(at, Happening::Hurry);
        }
    }

    /// The stem died, and all its children with it. The supervisor makes a new one of what it was told.
    pub(crate) fn revive_stem(&mut self) {
        self.tally.stem_deaths += 1;
        self.note(|| "the stem dies and is revived".to_owned());
        self.processes.clear();
        self.known.retain(|_, known| !known.forget);
        if self.closing.is_some() {
            self.over = true;
            return;
        }
        self.fleet = Fleet::new(self.dice.next());
        self.gates = Gates::default();
        self.fleet.set_stages(self.specs.clone());
        let (fault, now) = (self.fault, self.now);
        for (name, known) in &mut self.known {
            let past = match &known.told {
                Some(told) if fault != Some(Fault::ForgetsThePast) => past_of(told, known, now),
                Some(_) | None => Past::default(),
            };
            let rests = past.rest.is_some() && fault != Some(Fault::StartsTheResting);
            let policy = known.policy.clone();
            self.fleet
                .know(name.clone(), known.stage, policy, &past, now);
            if known.wanted && !rests {
                self.fleet.want(name, true, None, now);
            }
            known.entered = false;
            known.crash = None;
            known.pending_since = None;
            known.told = None;
            if past.rest.is_none() {
                known.state = State::Stopped;
            }
        }
        self.plan(now, Happening::Wake);
    }
}

fn past_of(told: &Change, known: &Known, now: std::time::Instant) -> Past {
    let rests = known.wanted && matches!(told.state, State::Finished | State::Failed);
    Past {
        incarnation: told.incarnation,
        rest: rests.then_some(told.state),
        reason: told.reason.clone().filter(|_| rests),
        due: told
            .next
            .filter(|_| rests)
            .map(|next| next.saturating_duration_since(now)),
        failures: told.failures,
    }
}

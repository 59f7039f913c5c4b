//! The checker: what has to hold of every action, every birth and every turn.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cluster::layout::spec::{RestartPolicy, StageSpec};
use cluster::names::NodeName;
use cluster::supervise::child::{Ending, State};
use cluster::supervise::fleet::{Action, Change};

use crate::stories::TICK;
use crate::world::{Fault, Happening, LATENESS_MAX, World};

/// SIGKILL is repeated this often.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// A refused birth waits at most this long where its policy has less.
const REFUSED: Duration = Duration::from_millis(100);

/// A second opinion on which stages are open.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    open: BTreeMap<u16, Instant>,
    settled: BTreeSet<u16>,
}

impl Gates {
    pub(crate) fn keep_only(&mut self, specs: &[StageSpec]) {
        let stays = |number: &u16| specs.iter().any(|spec| spec.number == *number);
        self.open.retain(|number, _| stays(number));
        self.settled.retain(stays);
    }
}

impl World {
    /// Judges what the fleet wants done, and does it.
    pub(crate) fn obey(&mut self) -> Result<(), String> {
        for action in std::mem::take(&mut self.out) {
            self.note(|| format!("-> {action:?}"));
            match action {
                Action::Signal { name, signal } => self.signal(&name, signal)?,
                Action::Kill { name } => self.kill(&name)?,
                Action::Report(change) => self.report(change)?,
                Action::StageLate { stage, missing } => self.stage_late(stage, &missing)?,
                Action::Forgotten(name) => {
                    let known = self.known.remove(&name);
                    if known.is_none_or(|known| !known.forget) {
                        return Err(format!("{name} was forgotten unasked"));
                    }
                    self.tally.forgotten += 1;
                }
            }
        }
        Ok(())
    }

    fn pid_of(&self, name: &NodeName) -> Option<i32> {
        let mine = |(pid, process): (&i32, &crate::world::Process)| {
            (process.name == *name).then_some(*pid)
        };
        self.processes.iter().find_map(mine)
    }

    fn signal(&mut self, name: &NodeName, signal: i32) -> Result<(), String> {
        let pid = self
            .pid_of(name)
            .ok_or_else(|| format!("signal to {name}, which has no process"))?;
        self.check_order(name, pid)?;
        let grace = self
            .known
            .get(name)
            .map_or(Duration::ZERO, |known| known.grace);
        let (now, believes) = (self.now, self.fault == Some(Fault::BelievesSigterm));
        let Some(process) = self.processes.get_mut(&pid) else {
            return Ok(());
        };
        if process.asked {
            return Err(format!("{name} was asked to end twice"));
        }
        process.asked = true;
        process.kill_by = Some(now + grace + LATENESS_MAX);
        self.tally.signals += 1;
        if !process.deaf {
            let core = signal == 6;
            let ending = match self.dice.number(0, 2) {
                0 => Ending::Exited(0),
                1 => Ending::Exited(1),
                _ => Ending::Signaled { signal, core },
            };
            let at = now + self.dice.ticks(1, 20);
            self.plan(at, Happening::Ends(pid, ending));
        }
        if believes {
            self.fleet.exited(name, Ending::Exited(0), now);
        }
        Ok(())
    }

    fn kill(&mut self, name: &NodeName) -> Result<(), String> {
        let pid = self
            .pid_of(name)
            .ok_or_else(|| format!("SIGKILL to {name}, which has no process"))?;
        self.check_order(name, pid)?;
        self.tally.kills += 1;
        if self.fault == Some(Fault::DropsKills) {
            return Ok(());
        }
        let at = self.now + self.dice.ticks(1, 3);
        let Some(process) = self.processes.get_mut(&pid) else {
            return Ok(());
        };
        if process.kill_by.is_some_and(|by| by < self.now) {
            return Err(format!("{name} is killed too late"));
        }
        process.asked = true;
        process.kill_by = Some(self.now + KILL_AGAIN + LATENESS_MAX);
        let wedged = std::mem::replace(&mut process.wedged, false);
        if !wedged {
            let (signal, core) = (9, false);
            self.plan(at, Happening::Ends(pid, Ending::Signaled { signal, core }));
        }
        Ok(())
    }

    /// Nobody who is to stop is signalled while somebody of a later stage, who is to stop, lives; those
    /// who were late, hung or asked before, and all after the overall deadline, are another matter.
    fn check_order(&self, name: &NodeName, pid: i32) -> Result<(), String> {
        let Some(known) = self.known.get(name).filter(|known| !known.wanted) else {
            return Ok(());
        };
        let late = self
            .closing
            .as_ref()
            .is_some_and(|closing| self.now >= closing.deadline);
        let asked = self
            .processes
            .get(&pid)
            .is_some_and(|process| process.asked);
        let reason = self.fleet.child(name).and_then(|child| child.reason());
        if late || asked || reason.is_some() {
            return Ok(());
        }
        let later = self.processes.values().find(|other| {
            self.known
                .get(&other.name)
                .is_some_and(|other| !other.wanted && other.stage > known.stage)
        });
        match later {
            Some(later) => Err(format!(
                "{name} is signalled while {} still lives",
                later.name
            )),
            None => Ok(()),
        }
    }

    fn report(&mut self, change: Change) -> Result<(), String> {
        let name = change.name.clone();
        self.tally.given_up += u64::from(change.state == State::Failed);
        self.tally.finished += u64::from(change.state == State::Finished);
        let Some(known) = self.known.get_mut(&name) else {
            return Err(format!("a report on {name}, which is not known"));
        };
        if change.state == State::Failed && change.reason.as_ref().is_none_or(String::is_empty) {
            return Err(format!("{name} failed and does not say why"));
        }
        if change.state == State::Backoff {
            let delay = change.next.map_or(Duration::ZERO, |next| next - self.now);
            let most = (known.policy.ceiling * 11 / 10).max(REFUSED);
            if delay < known.policy.floor || delay > most {
                return Err(format!("{name} waits {delay:?}, more or less than it may"));
            }
        }
        if self.fault == Some(Fault::LosesReports) && self.dice.chance(20) {
            return Ok(());
        }
        known.told = Some(change);
        Ok(())
    }

    fn stage_late(&mut self, stage: u16, missing: &[NodeName]) -> Result<(), String> {
        self.tally.late_stages += 1;
        let limit = self
            .specs
            .iter()
            .find(|spec| spec.number == stage)
            .map(|spec| spec.time_limit);
        let since = self.gates.open.get(&stage);
        let (Some(limit), Some(since)) = (limit, since) else {
            return Err(format!("stage {stage} is late and was not even open"));
        };
        if self.now < *since + limit || self.gates.settled.contains(&stage) {
            return Err(format!("stage {stage} is called late and is not"));
        }
        let expected: Vec<NodeName> = self
            .known
            .iter()
            .filter(|(_, known)| known.stage == stage && known.wanted)
            .filter(|(name, _)| !matches!(self.state(name), State::Ready | State::Finished))
            .map(|(name, _)| name.clone())
            .collect();
        if missing != expected {
            return Err(format!(
                "stage {stage} misses {expected:?}, it says {missing:?}"
            ));
        }
        self.gates.settled.insert(stage);
        Ok(())
    }

    fn state(&self, name: &NodeName) -> State {
        self.fleet
            .child(name)
            .map_or(State::Stopped, |child| child.state())
    }

    /// Does the start have to wait for this stage?
    fn is_unsettled(&self, spec: &StageSpec) -> bool {
        let (mut wanted, mut well, mut trying) = (0, 0, 0);
        for (name, known) in &self.known {
            if known.stage == spec.number && known.wanted {
                wanted += 1;
                match self.state(name) {
                    State::Ready | State::Finished => well += 1,
                    State::Failed => {}
                    State::Stopped | State::Pending | State::Backoff => trying += 1,
                    State::Starting | State::Stopping => trying += 1,
                }
            }
        }
        well < spec.quorum.unwrap_or(wanted).min(wanted) && trying > 0
    }

    /// After each settling: which stages are open now?
    pub(crate) fn follow_gates(&mut self) {
        if self.closing.is_some() {
            return;
        }
        let idle = self.known.keys().all(|name| {
            let child = self.fleet.child(name);
            child.is_none_or(|child| !child.wanted() && !child.state().is_alive())
        });
        if idle {
            self.gates = Gates::default();
            return;
        }
        for spec in &self.specs {
            self.gates.open.entry(spec.number).or_insert(self.now);
            if !self.gates.settled.contains(&spec.number) {
                if self.is_unsettled(spec) {
                    return;
                }
                self.gates.settled.insert(spec.number);
            }
        }
    }

    /// A birth has a reason: somebody wants it, its stage is open or it was in there, its delay is over.
    pub(crate) fn check_birth(&mut self, name: &NodeName) -> Result<(), String> {
        let Some((known, child)) = self.known.get_mut(name).zip(self.fleet.child(name)) else {
            return Err(format!("{name} is to be born and is not known"));
        };
        if !known.wanted || self.closing.is_some() {
            return Err(format!("{name} is to be born and nobody wants it"));
        }
        let described = self.specs.iter().any(|spec| spec.number == known.stage);
        if described && !known.entered && !self.gates.open.contains_key(&known.stage) {
            return Err(format!(
                "{name} is to be born before its stage {}",
                known.stage
            ));
        }
        known.entered = true;
        let last = self.incarnations.insert(name.clone(), child.incarnation());
        if last.is_some_and(|last| last >= child.incarnation()) {
            return Err(format!(
                "{name} is born twice as number {}",
                child.incarnation()
            ));
        }
        if known.ordered {
            return Ok(());
        }
        let too_early = match known.state {
            State::Failed => true,
            State::Finished => known.next.is_none_or(|next| next > self.now),
            State::Backoff => known.next.is_some_and(|next| next > self.now),
            State::Stopped | State::Pending | State::Starting => false,
            State::Ready | State::Stopping => false,
        };
        if too_early {
            return Err(format!(
                "{name} is born out of {} too early",
                known.state.word()
            ));
        }
        let Some(crash) = known.crash.take() else {
            return Ok(());
        };
        let quick = crash
            .was_ready
            .is_some_and(|time| time >= known.policy.quick_after);
        let again = matches!(known.policy.restart, RestartPolicy::Every(_))
            && crash.ending == Ending::Exited(0);
        if !quick && !again && self.now < crash.at + known.policy.floor {
            return Err(format!(
                "{name} is born {:?} after a crash",
                self.now - crash.at
            ));
        }
        Ok(())
    }

    /// The end of a turn: processes, states, reports and deadlines fit together.
    pub(crate) fn check_turn(&mut self) -> Result<(), String> {
        let mut alive = BTreeSet::new();
        for process in self.processes.values() {
            let name = &process.name;
            if !alive.insert(name.clone()) {
                return Err(format!("{name} has two processes"));
            }
            if !self.known.contains_key(name) {
                return Err(format!("{name} has a process and is not known"));
            }
            if process.kill_by.is_some_and(|by| by < self.now) {
                return Err(format!("{name} should have been killed by now"));
            }
            let waits = process.ready_at.is_none() && !process.asked;
            if waits && process.ready_by.is_some_and(|by| by < self.now) {
                return Err(format!("{name} is not ready and nobody minds"));
            }
        }
        let names: Vec<NodeName> = self.known.keys().cloned().collect();
        for name in names {
            self.check_child(&name, alive.contains(&name))
                .map_err(|problem| format!("{name} {problem}"))?;
        }
        if self.fleet.next_deadline().is_some_and(|at| at < self.now) {
            return Err(
                "a deadline lies in the past after the turn that should have run it".to_owned(),
            );
        }
        if self.idle_turns > 2 {
            return Err("turn after turn without anything to do".to_owned());
        }
        self.check_closing()
    }

    fn check_child(&mut self, name: &NodeName, alive: bool) -> Result<(), String> {
        let unsettled_before = self
            .known
            .get(name)
            .is_some_and(|known| {
                known.pending_since.is_some() || self.state(name) == State::Pending
            })
            .then(|| self.stages_before(name));
        let Some((known, child)) = self.known.get_mut(name).zip(self.fleet.child(name)) else {
            return Err("is not known to the fleet".to_owned());
        };
        let state = child.state();
        if alive != child.is_born() || (alive && !state.is_alive()) {
            return Err(format!(
                "is {} and has {} process",
                state.word(),
                u8::from(alive)
            ));
        }
        if child.deadline().is_some_and(|at| at < self.now) {
            return Err("slept through its deadline".to_owned());
        }
        if known.wanted && (!child.wanted() || state == State::Stopped) {
            return Err(format!("is wanted and {}", state.word()));
        }
        if !known.wanted && state != State::Stopped && !alive {
            return Err(format!("is not wanted and {}", state.word()));
        }
        let told = known
            .told
            .as_ref()
            .map(|t| (t.state, t.incarnation, t.next, t.failures));
        let fact = (
            state,
            child.incarnation(),
            child.next_birth(),
            child.failures(),
        );
        if told != Some(fact) {
            return Err(format!("is {fact:?}, and {told:?} was reported"));
        }
        if let (State::Pending, Some((unsettled, patience))) = (state, unsettled_before) {
            let since = *known.pending_since.get_or_insert(self.now);
            if !unsettled {
                return Err("waits, and no earlier stage has to be waited for".to_owned());
            }
            if self.now > since + patience {
                return Err("waits longer than all time limits together".to_owned());
            }
        } else {
            known.pending_since = None;
        }
        known.entered = match state {
            State::Stopped | State::Pending | State::Finished | State::Failed => false,
            State::Starting => true,
            State::Backoff | State::Ready | State::Stopping => known.entered,
        };
        known.state = state;
        known.next = child.next_birth();
        known.ordered = false;
        let well = matches!(state, State::Ready | State::Finished | State::Failed);
        known.well_since_calm |= well && self.calm.is_some();
        Ok(())
    }

    /// Has one of the stages before a child's not settled, and how long may they take in all?
    fn stages_before(&self, name: &NodeName) -> (bool, Duration) {
        let stage = self.known.get(name).map_or(0, |known| known.stage);
        let earlier = || self.specs.iter().filter(|spec| spec.number < stage);
        let unsettled = earlier().any(|spec| self.is_unsettled(spec));
        let patience = earlier()
            .map(|spec| spec.time_limit + LATENESS_MAX + TICK)
            .sum();
        (unsettled, patience)
    }

    fn check_closing(&mut self) -> Result<(), String> {
        let Some(closing) = &self.closing else {
            return match self.fleet.is_done() {
                Some(_) => Err("the end was told, and nobody asked for it".to_owned()),
                None => Ok(()),
            };
        };
        let left = closing.left.unwrap_or(0);
        match (self.fleet.is_done(), self.processes.len()) {
            (Some(killed), 0) if killed == left => {
                self.tally.killed_at_the_end += u64::from(killed);
                self.over = true;
                Ok(())
            }
            (Some(killed), 0) => Err(format!("{left} had to be killed, {killed} were told")),
            (Some(_), alive) => Err(format!("the end was told while {alive} live")),
            (None, 0) => Err("all are gone and the end is not told".to_owned()),
            (None, _) if self.now > closing.deadline + 2 * KILL_AGAIN => {
                Err("somebody lives long after the deadline".to_owned())
            }
            (None, _) => Ok(()),
        }
    }

    /// What a friendly world still lacks.
    pub(crate) fn discontent(&self) -> Vec<String> {
        let lacking = self.known.iter().filter(|(_, known)| {
            let lives_unwanted = !known.wanted && known.state != State::Stopped;
            known.forget || lives_unwanted || (known.wanted && !known.well_since_calm)
        });
        lacking
            .map(|(name, known)| {
                format!("{name} is {}, wanted: {}", known.state.word(), known.wanted)
            })
            .collect()
    }
}

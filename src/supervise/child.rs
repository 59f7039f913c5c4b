//! One child's life: eight states, and what each event means in each of them.
//!
//! | state | is there a process? | its deadline means |
//! | --- | --- | --- |
//! | stopped | no | – |
//! | pending | no | – (the fleet opens its stage) |
//! | backoff | no | be born |
//! | starting | being born, or born | not ready in time |
//! | ready | yes | stable: forget the failures |
//! | stopping | yes | kill |
//! | finished | no | be born, where it is to run again and again |
//! | failed | no | – |
//!
//! A *late* event (ready, after it was asked to end) and a *stale* one (a deadline that was replaced in
//! the same turn) do nothing, on purpose. An exit of a child without a process is a bug: a debug
//! assertion, and nothing in release.

use std::time::{Duration, Instant};

use super::delay::{self, Deaths};
use super::vocabulary::{Cause, Past, RestartCause};
use crate::layout::spec::{LifePolicy, RestartPolicy};
use crate::names::Incarnation;

mod words;

pub use words::{Ending, State};

/// Exit codes after which a new birth cannot help: no permission, wrong configuration (`sysexits.h`).
const PERMANENT: [(i32, &str); 2] = [
    (
        77,
        "exit 77: it may not do what it has to do; mend the permissions, then start it",
    ),
    (
        78,
        "exit 78: its configuration is wrong; mend it, then start it",
    ),
];

/// SIGKILL is repeated this often to a child that does not die of it (it hangs in the kernel).
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// A birth that the system refused waits at least this long, even where the policy's floor is nothing:
/// it would else be tried again in the same turn, and the turn would never end.
const REFUSED: Duration = Duration::from_millis(100);

/// The signal that leaves a core.
const SIGABRT: i32 = 6;

/// What happens to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It should run.
    Start,
    /// It should not run; the duration replaces its policy's grace.
    Stop(Option<Duration>),
    /// It should end and be born again.
    Restart(RestartCause),
    /// Its process exists.
    Born,
    /// Its process ended, or could not be made.
    Exited(Ending),
    /// Its deadline passed.
    Deadline,
    /// It is ready.
    Ready,
    /// Its stage opened.
    StageOpen,
}

/// What is to be done about it. Births are not in here: they are due as long as [`Child::is_due`] says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Send it this signal, once.
    Signal(i32),
    /// Send SIGKILL to it and to its process group.
    Kill,
}

/// What follows the end of a child that is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Afterwards {
    Rest,
    Again,
    /// The end counts as a failure, for this reason.
    Failure(Cause),
}

/// One child.
#[derive(Clone, Debug)]
pub struct Child {
    policy: LifePolicy,
    state: State,
    wanted: bool,
    born: bool,
    incarnation: Incarnation,
    afterwards: Afterwards,
    deadline: Option<Instant>,
    ready_since: Option<Instant>,
    failures: u32,
    deaths: Deaths,
    reason: Option<String>,
    dice: u64,
}

impl Child {
    /// A child that is stopped, or rests as a former stem left it. `dice` seeds its jitter.
    #[must_use]
    pub fn new(policy: LifePolicy, past: &Past, dice: u64, now: Instant) -> Self {
        let state = match past.rest {
            Some(rest @ (State::Finished | State::Failed)) => rest,
            Some(
                State::Stopped
                | State::Pending
                | State::Backoff
                | State::Starting
                | State::Ready
                | State::Stopping,
            )
            | None => State::Stopped,
        };
        Self {
            policy,
            state,
            wanted: state != State::Stopped,
            born: false,
            incarnation: past.incarnation,
            afterwards: Afterwards::Rest,
            deadline: past
                .due
                .map(|due| delay::later(now, due))
                .filter(|_| state == State::Finished),
            ready_since: None,
            failures: past.failures,
            deaths: Deaths::default(),
            reason: past.reason.clone(),
            dice,
        }
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Should it run?
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.wanted
    }

    /// Its incarnation: the one that lives or is due, else the last one.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// When [`Event::Deadline`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// When its next birth is due, for those who wait for one.
    #[must_use]
    pub fn next_birth(&self) -> Option<Instant> {
        self.deadline
            .filter(|_| matches!(self.state, State::Backoff | State::Finished))
    }

    /// Failures in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Why it is in its state, where the state alone does not say.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Is it to be born in this turn?
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.state == State::Starting && !self.born
    }

    /// Has it a process?
    #[must_use]
    pub fn is_born(&self) -> bool {
        self.born
    }

    /// Why its process ended, if it did now.
    #[must_use]
    pub fn end_cause(&self) -> Cause {
        match self.afterwards {
            _ if self.state != State::Stopping => Cause::Itself,
            Afterwards::Rest | Afterwards::Again => Cause::Asked,
            Afterwards::Failure(cause) => cause,
        }
    }

    /// Takes a new policy; it holds from the next decision on.
    pub fn set_policy(&mut self, policy: LifePolicy) {
        self.policy = policy;
    }

    /// One event. `stage_open` says whether its stage lets it be born.
    pub fn step(&mut self, event: Event, stage_open: bool, now: Instant) -> Option<Deed> {
        match event {
            Event::Start => self.on_start(stage_open),
            Event::Stop(grace) => return self.on_stop(grace, now),
            Event::Restart(cause) => return self.on_restart(cause, stage_open, now),
            Event::Born => self.on_born(now),
            Event::Exited(ending) => self.on_exited(ending, now),
            Event::Deadline => return self.on_deadline(stage_open, now),
            Event::Ready => self.on_ready(now),
            Event::StageOpen => {
                if self.state == State::Pending {
                    self.conceive();
                }
            }
        }
        None
    }

    fn on_start(&mut self, stage_open: bool) {
        self.wanted = true;
        match self.state {
            State::Stopped | State::Finished | State::Failed => self.begin(stage_open),
            State::Stopping => {
                if self.afterwards == Afterwards::Rest {
                    self.afterwards = Afterwards::Again;
                }
            }
            State::Pending | State::Backoff | State::Starting | State::Ready => {}
        }
    }

    fn on_stop(&mut self, grace: Option<Duration>, now: Instant) -> Option<Deed> {
        self.wanted = false;
        self.forgive();
        match self.state {
            State::Stopped => None,
            State::Pending | State::Backoff | State::Finished | State::Failed => {
                self.rest(State::Stopped, None);
                None
            }
            State::Starting if !self.born => {
                self.rest(State::Stopped, None);
                None
            }
            State::Starting | State::Ready => {
                let signal = self.policy.stop_signal;
                self.leave(Afterwards::Rest, signal, grace, now)
            }
            State::Stopping => {
                self.afterwards = Afterwards::Rest;
                if grace.is_some_and(|grace| grace.is_zero()) {
                    self.deadline = Some(now + KILL_AGAIN);
                    return Some(Deed::Kill);
                }
                // A second stop can only shorten the grace.
                let sooner = grace.map(|grace| delay::later(now, grace));
                if let (Some(sooner), Some(deadline)) = (sooner, self.deadline)
                    && sooner < deadline
                {
                    self.deadline = Some(sooner);
                }
                None
            }
        }
    }

    fn on_restart(&mut self, cause: RestartCause, stage_open: bool, now: Instant) -> Option<Deed> {
        let (afterwards, signal) = match cause {
            RestartCause::Asked => (Afterwards::Again, self.policy.stop_signal),
            RestartCause::Hung => (Afterwards::Failure(Cause::Hung), self.policy.stop_signal),
            RestartCause::HungAbort => (Afterwards::Failure(Cause::Hung), SIGABRT),
        };
        if cause != RestartCause::Asked && self.state != State::Ready {
            return None; // it went on by itself meanwhile
        }
        self.wanted = true;
        match self.state {
            State::Stopped | State::Finished | State::Failed => self.begin(stage_open),
            State::Backoff => self.conceive(),
            State::Pending => {}
            State::Starting if !self.born => {}
            State::Starting | State::Ready => return self.leave(afterwards, signal, None, now),
            State::Stopping => self.afterwards = afterwards,
        }
        None
    }

    fn on_born(&mut self, now: Instant) {
        debug_assert!(self.is_due(), "born in state {:?}", self.state);
        if self.is_due() {
            self.born = true;
            let limit = self.policy.ready_timeout;
            self.deadline = limit.map(|limit| delay::later(now, limit));
        }
    }

    fn on_ready(&mut self, now: Instant) {
        if self.state == State::Starting && self.born {
            self.state = State::Ready;
            self.reason = None;
            self.ready_since = Some(now);
            let stable = delay::later(now, self.policy.stable_after);
            self.deadline = Some(stable).filter(|_| self.failures > 0);
        } // else late: it was asked to end, or ended, before we read its word
    }

    fn on_deadline(&mut self, stage_open: bool, now: Instant) -> Option<Deed> {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return None; // stale: it was replaced in this turn
        }
        self.deadline = None;
        match self.state {
            State::Backoff => self.conceive(),
            State::Finished => self.approach(stage_open),
            State::Starting if self.born => {
                let signal = self.policy.stop_signal;
                return self.leave(Afterwards::Failure(Cause::Late), signal, None, now);
            }
            State::Ready => self.failures = 0,
            State::Stopping => {
                self.deadline = Some(now + KILL_AGAIN);
                return Some(Deed::Kill);
            }
            State::Stopped | State::Pending | State::Starting | State::Failed => {}
        }
        None
    }

    fn on_exited(&mut self, ending: Ending, now: Instant) {
        let fits = match ending {
            Ending::NotBorn(_) => self.is_due(),
            Ending::Exited(_) | Ending::Signaled { .. } => self.born,
        };
        debug_assert!(fits, "an end ({ending}) in state {:?}", self.state);
        if !fits {
            return;
        }
        match self.state {
            State::Starting | State::Ready => self.decide(ending, None, now),
            State::Stopping => match self.afterwards {
                Afterwards::Rest => self.rest(State::Stopped, None),
                Afterwards::Again => self.conceive(),
                Afterwards::Failure(cause) => {
                    self.decide(ending, Some(words_for(cause)), now);
                }
            },
            State::Stopped | State::Pending | State::Backoff | State::Finished | State::Failed => {}
        }
    }

    /// It ended unasked, or was ended as a failure: what does its policy say?
    fn decide(&mut self, ending: Ending, failure: Option<&str>, now: Instant) {
        if let Ending::Exited(code) = ending
            && let Some((_, why)) = PERMANENT.iter().find(|(permanent, _)| *permanent == code)
        {
            return self.rest(State::Failed, Some((*why).to_owned()));
        }
        let well = failure.is_none() && ending == Ending::Exited(0);
        let why = failure.map_or_else(|| ending.to_string(), str::to_owned);
        match self.policy.restart {
            RestartPolicy::Never if !well => {
                let why = format!("{why}, and its policy is never to start it again");
                self.rest(State::Failed, Some(why));
            }
            RestartPolicy::Never | RestartPolicy::OnFailure | RestartPolicy::Finish if well => {
                self.rest(State::Finished, None);
            }
            RestartPolicy::Every(period) if well => {
                self.rest(State::Finished, None);
                self.failures = 0;
                self.deadline = Some(delay::later(now, period));
            }
            RestartPolicy::Always
            | RestartPolicy::OnFailure
            | RestartPolicy::Never
            | RestartPolicy::Finish
            | RestartPolicy::Every(_) => self.fail(ending, why, now),
        }
    }

    /// A failure: give up, or wait, or be born again at once.
    fn fail(&mut self, ending: Ending, why: String, now: Instant) {
        let budget = self.policy.give_up;
        if self.deaths.count(now, budget)
            && let Some(budget) = budget
        {
            let within = budget.within.as_secs_f64();
            let why = format!(
                "{} deaths within {within} s, the last: {why}",
                budget.deaths
            );
            return self.rest(State::Failed, Some(why));
        }
        let was_ready = self.ready_since.map(|since| now.duration_since(since));
        if was_ready.is_some_and(|time| time >= self.policy.quick_after) {
            if was_ready.is_some_and(|time| time >= self.policy.stable_after) {
                self.failures = 0;
            }
            return self.conceive();
        }
        self.failures = self.failures.saturating_add(1);
        let dice = self.dice.wrapping_add(self.incarnation.0);
        let mut delay = delay::after(&self.policy, self.failures, dice);
        if matches!(ending, Ending::NotBorn(_)) {
            delay = delay.max(REFUSED);
        }
        if delay.is_zero() {
            return self.conceive();
        }
        self.rest(State::Backoff, Some(why));
        self.deadline = Some(delay::later(now, delay));
    }

    /// What it failed of is forgotten.
    fn forgive(&mut self) {
        self.failures = 0;
        self.deaths.clear();
    }

    /// It should run: be born, or wait for the stage. One that rested starts afresh; one that is
    /// merely new keeps the failures that its past told.
    fn begin(&mut self, stage_open: bool) {
        if self.state != State::Stopped {
            self.forgive();
        }
        self.approach(stage_open);
    }

    fn approach(&mut self, stage_open: bool) {
        if stage_open {
            self.conceive();
        } else {
            self.rest(State::Pending, None);
        }
    }

    /// A birth is due.
    fn conceive(&mut self) {
        self.rest(State::Starting, None);
        self.incarnation = self.incarnation.next();
    }

    /// Asks it to end.
    fn leave(
        &mut self,
        afterwards: Afterwards,
        signal: i32,
        grace: Option<Duration>,
        now: Instant,
    ) -> Option<Deed> {
        let grace = grace.unwrap_or(self.policy.stop_grace);
        self.state = State::Stopping;
        self.afterwards = afterwards;
        self.reason = match afterwards {
            Afterwards::Failure(cause) => Some(words_for(cause).to_owned()),
            Afterwards::Rest | Afterwards::Again => None,
        };
        if grace.is_zero() {
            self.deadline = Some(now + KILL_AGAIN);
            return Some(Deed::Kill);
        }
        self.deadline = Some(delay::later(now, grace));
        Some(Deed::Signal(signal))
    }

    fn rest(&mut self, state: State, reason: Option<String>) {
        self.state = state;
        self.reason = reason;
        self.born = false;
        self.deadline = None;
        self.ready_since = None;
        self.afterwards = Afterwards::Rest;
    }
}

fn words_for(cause: Cause) -> &'static str {
    match cause {
        Cause::Itself => "it ended",
        Cause::Asked => "it was asked to end",
        Cause::Late => "it was not ready in time",
        Cause::Hung => "its heartbeat stopped",
        Cause::Stem => "the stem died",
    }
}

#[cfg(test)]
mod tests;

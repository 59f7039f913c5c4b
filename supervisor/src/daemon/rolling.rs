//! Rolling restarts: so many at a time, each waited for; it stops at the first that does not become ready.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use cluster::control::Code;
use cluster::control::reply::{ErrorBody, LATE, NodeResult, Plain};
use cluster::names::{Incarnation, NodeName};
use cluster::supervise::child::State;
use cluster::supervise::vocabulary::{Order, RestartCause};

use super::Daemon;
use super::events::Weight;
use super::operations::{Asker, Form};

/// A rolling restart that nobody waits for ends after this long as a whole.
const WHOLE_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// A node without a time limit of its own is waited for this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Beside its own time limits a node has this long.
const MARGIN: Duration = Duration::from_secs(5);

/// A rolling restart that is under way.
#[derive(Debug)]
pub(super) struct Rolling {
    asker: Asker,
    width: usize,
    waiting: VecDeque<NodeName>,
    /// Those under way: the incarnation each had before, and until when it is waited for.
    active: BTreeMap<NodeName, (Incarnation, Instant)>,
    results: Vec<NodeResult>,
    form: Form,
    failed: bool,
}

impl Rolling {
    pub(super) fn deadline(&self) -> Instant {
        let own = self.active.values().map(|(_, until)| *until);
        own.fold(self.asker.deadline, Instant::min)
    }
}

enum Turn {
    Waiting,
    Ready,
    Failed(String),
}

impl Daemon {
    /// SIGUSR1: all nodes, one after the other.
    pub(super) fn roll_all(&mut self, now: Instant) {
        let names: Vec<NodeName> = self
            .start_order()
            .into_iter()
            .filter(|name| self.nodes.get(name).is_some_and(|node| node.wanted))
            .collect();
        let asker = Asker {
            client: None,
            deadline: now + WHOLE_LIMIT,
        };
        if self.roll(asker, names, 1, Form::results()).is_err() {
            log::info!("event=rolling_restart ignored=\"one is under way\"");
        }
    }

    /// # Errors
    /// A rolling restart is under way already.
    pub(super) fn may_roll(&self) -> Result<(), Plain> {
        let Some(rolling) = &self.rolling else {
            return Ok(());
        };
        let active: Vec<&str> = rolling.active.keys().map(NodeName::as_str).collect();
        let text = format!(
            "a rolling restart is under way and waits for {}; `supervisor events -f` shows how it goes on",
            active.join(", ")
        );
        Err(Plain::failed(Code::Conflict, text))
    }

    /// Begins a rolling restart.
    ///
    /// # Errors
    /// One is under way already.
    pub(super) fn roll(
        &mut self,
        asker: Asker,
        names: Vec<NodeName>,
        width: u32,
        form: Form,
    ) -> Result<(), Plain> {
        self.may_roll()?;
        self.may_change()?;
        let detail = [
            ("nodes", names.len().to_string()),
            ("at_a_time", width.to_string()),
        ];
        self.event(Weight::Info, "rolling_restart", None, &detail);
        self.rolling = Some(Rolling {
            asker,
            width: usize::try_from(width).unwrap_or(usize::MAX).max(1),
            waiting: names.into(),
            active: BTreeMap::new(),
            results: Vec::new(),
            form,
            failed: false,
        });
        self.dirty = true;
        Ok(())
    }

    /// Goes on with it: takes out who is ready, lets the next ones go.
    pub(super) fn settle_rolling(&mut self, now: Instant) {
        let Some(mut rolling) = self.rolling.take() else {
            return;
        };
        let late = now >= rolling.asker.deadline || self.shutdown.is_some();
        for (name, (before, until)) in std::mem::take(&mut rolling.active) {
            let error = match self.turn_of(&name, before) {
                Turn::Waiting if !late && now < until => {
                    rolling.active.insert(name, (before, until));
                    continue;
                }
                Turn::Waiting if late => Some(LATE.to_owned()),
                Turn::Waiting => Some("it did not become ready in time".to_owned()),
                Turn::Ready => None,
                Turn::Failed(why) => Some(why),
            };
            rolling.failed |= error.is_some();
            rolling.results.push(self.result_of(&name, error));
        }
        while !rolling.failed
            && !late
            && rolling.active.len() < rolling.width
            && let Some(name) = rolling.waiting.pop_front()
        {
            let Some(before) = self.restart_one(&name) else {
                continue;
            };
            if let Turn::Failed(why) = self.turn_of(&name, before) {
                // It could not even be asked for.
                rolling.failed = true;
                rolling.results.push(self.result_of(&name, Some(why)));
            } else {
                let until = now + self.patience_with(&name);
                rolling.active.insert(name, (before, until));
            }
        }
        if rolling.active.is_empty() && (rolling.waiting.is_empty() || rolling.failed || late) {
            self.end_rolling(rolling, late);
        } else {
            self.rolling = Some(rolling);
        }
    }

    fn turn_of(&self, name: &NodeName, before: Incarnation) -> Turn {
        let Some(node) = self.nodes.get(name) else {
            return Turn::Ready; // destroyed meanwhile: nothing of it is left to wait for
        };
        match node.state {
            State::Ready | State::Finished if node.incarnation > before => Turn::Ready,
            State::Failed | State::Backoff if node.incarnation > before || !node.placed => {
                Turn::Failed(node.why().unwrap_or("it did not become ready").to_owned())
            }
            State::Stopped if !node.wanted => Turn::Ready,
            State::Stopped
            | State::Pending
            | State::Backoff
            | State::Starting
            | State::Ready
            | State::Stopping
            | State::Finished
            | State::Failed => Turn::Waiting,
        }
    }

    /// Orders one restart; the incarnation it had before.
    pub(super) fn restart_one(&mut self, name: &NodeName) -> Option<Incarnation> {
        let placed = self.find_place(name);
        let node = self.nodes.get_mut(name)?;
        node.wanted = true;
        if !placed {
            return Some(node.incarnation);
        }
        if matches!(node.state, State::Failed | State::Finished | State::Backoff) {
            node.await_birth();
        }
        let before = node.incarnation;
        let order = Order::Restart {
            name: name.clone(),
            cause: RestartCause::Asked,
        };
        self.stem.order(&order, None);
        Some(before)
    }

    /// How long one node is waited for: its own grace and time limit, and a little more.
    fn patience_with(&self, name: &NodeName) -> Duration {
        let life = self.node(name).map(|node| &node.spec.life);
        let own = life.map_or(Duration::ZERO, |life| {
            life.stop_grace
                .saturating_add(life.ready_timeout.unwrap_or(PATIENCE))
        });
        own.saturating_add(MARGIN)
    }

    fn end_rolling(&mut self, mut rolling: Rolling, late: bool) {
        for name in rolling.waiting {
            let why = "not restarted: the rolling restart stopped before it".to_owned();
            rolling.results.push(self.result_of(&name, Some(why)));
        }
        let failed: Vec<&str> = rolling
            .results
            .iter()
            .filter(|result| !result.ok)
            .map(|result| result.node.as_str())
            .collect();
        match failed.first() {
            None => {
                self.event(Weight::Info, "rolling_restart_done", None, &[]);
            }
            Some(first) => {
                let detail = [("at", (*first).to_owned())];
                self.event(Weight::Error, "rolling_restart_stopped", None, &detail);
            }
        }
        let error = late.then(|| ErrorBody {
            code: Code::TimeLimit,
            message: "the time limit passed; it bounds the whole rolling restart, which stops here"
                .to_owned(),
            node: None,
        });
        self.finish(rolling.asker.client, rolling.results, error, rolling.form);
    }
}

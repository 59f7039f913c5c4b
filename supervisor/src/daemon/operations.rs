//! What clients wait for: goals for nodes, each with a time limit, and last lines of output.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use cluster::control::reply::{
    DeployReply, ErrorBody, LATE, LogLine, NodeResult, NodeState, Plain, ResultsReply,
};
use cluster::control::request::WaitFor;
use cluster::control::{Code, SCHEMA};
use cluster::layout::diff::Difference;
use cluster::names::{Incarnation, NodeName};
use cluster::supervise::child::State;
use cluster::sys;

use super::Daemon;
use super::clients::ClientId;
use super::nodes::Node;
use crate::output::{Command, Wanted};

/// A node that failed to start this often in a row fails the request that waits for it.
const FAILED_STARTS: u32 = 3;

/// The output thread has this long to give last lines.
const TAIL_LIMIT: Duration = Duration::from_secs(5);

/// A failed node is shown with so many lines of each stream.
const LAST_LINES: usize = 10;

/// Who asks, and how long it waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    /// `None`: a signal; nobody is answered.
    pub(super) client: Option<ClientId>,
    pub(super) deadline: Instant,
}

impl Asker {
    /// The same one, who is answered only if it wants to wait.
    pub(super) fn if_waiting(self, wait: bool) -> Self {
        Self {
            client: self.client.filter(|_| wait),
            ..self
        }
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Ready, or finished.
    Ready,
    /// Ready, or finished, in a later incarnation than before.
    Again,
    /// Without a process, on purpose.
    Stopped,
    /// Without a process, for whatever reason.
    Down,
    /// Given up.
    Failed,
    /// Forgotten.
    Gone,
}

impl From<WaitFor> for Goal {
    fn from(state: WaitFor) -> Self {
        match state {
            WaitFor::Ready => Self::Ready,
            WaitFor::Stopped => Self::Down,
            WaitFor::Failed => Self::Failed,
        }
    }
}

/// How it is answered.
#[derive(Clone, Debug)]
pub(super) enum Form {
    Results {
        findings: Vec<String>,
    },
    Deploy {
        generation: u64,
        diff: Difference,
        findings: Vec<String>,
    },
}

impl Form {
    /// Results of a request that described nothing.
    pub(super) fn results() -> Self {
        Self::Results {
            findings: Vec::new(),
        }
    }
}

#[derive(Debug)]
struct Operation {
    asker: Asker,
    goal: Goal,
    /// The nodes, with the incarnation each had before.
    nodes: Vec<(NodeName, Incarnation)>,
    form: Form,
}

/// Who waits for last lines.
#[derive(Debug)]
pub(super) enum TailFor {
    Logs(ClientId),
    Diag(ClientId, Vec<NodeName>),
    Results(ClientId, Vec<NodeResult>, Option<ErrorBody>, Box<Form>),
}

/// Everything that is waited for.
#[derive(Debug, Default)]
pub(super) struct Operations {
    waiting: Vec<Operation>,
    tails: BTreeMap<u64, (TailFor, Instant)>,
    next_tail: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Waiting,
    Done,
    Failed(String),
}

impl Operations {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let operations = self
            .waiting
            .iter()
            .map(|operation| operation.asker.deadline);
        let tails = self.tails.values().map(|(_, until)| *until);
        operations.chain(tails).min()
    }

    pub(super) fn count(&self) -> usize {
        self.waiting.len() + self.tails.len()
    }

    fn await_tail(&mut self, whom: TailFor) -> u64 {
        self.next_tail += 1;
        let until = sys::clock::monotonic() + TAIL_LIMIT;
        self.tails.insert(self.next_tail, (whom, until));
        self.next_tail
    }
}

impl Goal {
    fn judge(self, node: Option<&Node>, before: Incarnation) -> Outcome {
        let Some(node) = node else {
            return match self {
                Self::Gone => Outcome::Done,
                Self::Ready | Self::Again | Self::Stopped | Self::Down | Self::Failed => {
                    Outcome::Failed("it was destroyed meanwhile".to_owned())
                }
            };
        };
        let done = match self {
            Self::Ready => matches!(node.state, State::Ready | State::Finished),
            Self::Again => {
                matches!(node.state, State::Ready | State::Finished) && node.incarnation > before
            }
            Self::Stopped => node.state == State::Stopped,
            Self::Down => !node.state.is_alive() && node.live.is_none() && !will_be_born(node),
            Self::Failed => node.state == State::Failed,
            Self::Gone => false,
        };
        if done {
            return Outcome::Done;
        }
        match self {
            Self::Ready | Self::Again => {
                why_not_ready(node).map_or(Outcome::Waiting, Outcome::Failed)
            }
            Self::Stopped if node.wanted => {
                Outcome::Failed("it was started again meanwhile".to_owned())
            }
            Self::Stopped | Self::Down | Self::Failed | Self::Gone => Outcome::Waiting,
        }
    }
}

fn will_be_born(node: &Node) -> bool {
    matches!(node.state, State::Pending | State::Backoff)
}

/// Why a node that should become ready will not, soon.
fn why_not_ready(node: &Node) -> Option<String> {
    let reason = || node.why().unwrap_or("see its last lines").to_owned();
    match node.state {
        State::Failed => Some(reason()),
        State::Backoff if node.failures >= FAILED_STARTS => Some(format!(
            "{} failed starts, the last: {}",
            node.failures,
            reason()
        )),
        State::Stopped | State::Stopping if !node.wanted => {
            Some("it was stopped meanwhile".to_owned())
        }
        State::Stopped
        | State::Pending
        | State::Backoff
        | State::Starting
        | State::Ready
        | State::Stopping
        | State::Finished => None,
    }
}

impl Daemon {
    /// Waits for a goal, or answers at once if nobody wants to wait.
    pub(super) fn await_goal(
        &mut self,
        asker: Asker,
        goal: Goal,
        nodes: Vec<(NodeName, Incarnation)>,
        form: Form,
        wait: bool,
    ) {
        let operation = Operation {
            asker,
            goal,
            nodes,
            form,
        };
        if wait {
            self.operations.waiting.push(operation);
            self.dirty = true;
        } else {
            let results = self.results(&operation, |_| None);
            self.finish(operation.asker.client, results, None, operation.form);
        }
    }

    /// Answers whoever has got what was waited for, or has waited long enough.
    pub(super) fn settle_operations(&mut self, now: Instant) {
        self.settle_tails(now);
        for operation in std::mem::take(&mut self.operations.waiting) {
            let outcomes = operation
                .nodes
                .iter()
                .map(|(name, before)| (name, operation.goal.judge(self.node(name), *before)));
            let waiting = outcomes
                .clone()
                .any(|(_, outcome)| outcome == Outcome::Waiting);
            let late = now >= operation.asker.deadline;
            if waiting && !late {
                self.operations.waiting.push(operation);
                continue;
            }
            let outcomes: BTreeMap<&NodeName, Outcome> = outcomes.collect();
            let results = self.results(&operation, |name| match outcomes.get(name) {
                Some(Outcome::Failed(why)) => Some(why.clone()),
                Some(Outcome::Waiting) => Some(LATE.to_owned()),
                Some(Outcome::Done) | None => None,
            });
            let error = waiting.then(|| ErrorBody {
                code: Code::TimeLimit,
                message: "the time limit passed; --timeout gives more time, and what was asked for goes on".to_owned(),
                node: None,
            });
            self.finish(operation.asker.client, results, error, operation.form);
        }
    }

    fn results(
        &self,
        operation: &Operation,
        why: impl Fn(&NodeName) -> Option<String>,
    ) -> Vec<NodeResult> {
        operation
            .nodes
            .iter()
            .map(|(name, _)| self.result_of(name, why(name)))
            .collect()
    }

    pub(super) fn result_of(&self, name: &NodeName, error: Option<String>) -> NodeResult {
        let node = self.node(name);
        NodeResult {
            node: name.to_string(),
            ok: error.is_none(),
            state: node.map_or(NodeState::Destroyed, Node::shown),
            pid: node.and_then(Node::pid),
            error,
            last_lines: Vec::new(),
        }
    }

    /// Answers with results; those that failed are shown with their last lines.
    pub(super) fn finish(
        &mut self,
        client: Option<ClientId>,
        results: Vec<NodeResult>,
        error: Option<ErrorBody>,
        form: Form,
    ) {
        let Some(client) = client else {
            return;
        };
        let failed: Vec<NodeName> = results
            .iter()
            .filter(|result| !result.ok)
            .filter_map(|result| NodeName::parse(&result.node).ok())
            .collect();
        if failed.is_empty() {
            return self.reply_results(client, results, error, form);
        }
        let wanted = Wanted {
            nodes: Some(failed.into_iter().collect()),
            stream: None,
        };
        let whom = TailFor::Results(client, results, error, Box::new(form));
        self.ask_for_tail(whom, wanted, LAST_LINES, None);
    }

    /// Asks the output thread for last lines; whoever wants them is answered when they come.
    pub(super) fn ask_for_tail(
        &mut self,
        whom: TailFor,
        wanted: Wanted,
        lines: usize,
        since: Option<SystemTime>,
    ) {
        let request = self.operations.await_tail(whom);
        self.output.send(Command::Tail {
            request,
            wanted,
            lines,
            since,
        });
    }

    /// A disk may hold up the output thread: whoever waits for last lines is answered without them.
    fn settle_tails(&mut self, now: Instant) {
        let tails = &self.operations.tails;
        let late = tails.iter().filter(|(_, (_, until))| *until <= now);
        let late: Vec<u64> = late.map(|(request, _)| *request).collect();
        for request in late {
            if let Some((TailFor::Logs(client), _)) = self.operations.tails.get(&request) {
                let text = "the output thread does not answer: its disk may be stuck; read the files in the run directory";
                let client = *client;
                self.operations.tails.remove(&request);
                self.reply(client, &Plain::failed(Code::TimeLimit, text));
            } else {
                self.on_tail(request, Vec::new(), now);
            }
        }
    }

    pub(super) fn on_tail(&mut self, request: u64, lines: Vec<LogLine>, now: Instant) {
        let whom = self.operations.tails.remove(&request);
        match whom.map(|(whom, _)| whom) {
            None => {}
            Some(TailFor::Logs(client)) => {
                for line in lines {
                    self.send(client, &line);
                }
                self.reply(client, &Plain::end());
            }
            Some(TailFor::Diag(client, names)) => {
                let reply = self.diag_reply(&names, &lines, now);
                self.reply(client, &reply);
            }
            Some(TailFor::Results(client, mut results, error, form)) => {
                for result in results.iter_mut().filter(|result| !result.ok) {
                    let own = lines.iter().filter(|line| line.node == result.node);
                    result.last_lines = own.cloned().collect();
                }
                self.reply_results(client, results, error, *form);
            }
        }
    }

    fn reply_results(
        &mut self,
        client: ClientId,
        results: Vec<NodeResult>,
        error: Option<ErrorBody>,
        form: Form,
    ) {
        let error = error.or_else(|| verdict(&results));
        let (schema, ok) = (SCHEMA, error.is_none());
        match form {
            Form::Results { findings } => self.reply(
                client,
                &ResultsReply {
                    schema,
                    ok,
                    error,
                    findings,
                    results,
                },
            ),
            Form::Deploy {
                generation,
                diff,
                findings,
            } => self.reply(
                client,
                &DeployReply {
                    schema,
                    ok,
                    error,
                    findings,
                    generation,
                    diff,
                    results,
                },
            ),
        }
    }
}

/// What the failures among results make of the whole.
fn verdict(results: &[NodeResult]) -> Option<ErrorBody> {
    let failed = results.iter().filter(|result| !result.ok).count();
    let (code, message) = match (failed, results.len()) {
        (0, _) => return None,
        (1, 1) => (Code::Failed, "failed".to_owned()),
        (failed, all) if failed == all => (Code::Failed, format!("failed for all {all} nodes")),
        (failed, all) => (Code::Partial, format!("failed for {failed} of {all} nodes")),
    };
    Some(ErrorBody {
        code,
        message,
        node: None,
    })
}

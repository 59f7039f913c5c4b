//! What a client may ask.

use serde::{Deserialize, Serialize};

use super::select::Selectors;

/// A request, with the time its sender is willing to wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// [`super::SCHEMA`].
    pub schema: u32,
    /// After this many milliseconds the supervisor answers with [`super::Code::TimeLimit`]. Streams have none.
    pub timeout_ms: u64,
    /// What is asked.
    pub request: Request,
}

/// What is asked. Requests that change something want a selector; those that read take none as all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// State of the selected nodes. Answer: [`super::reply::StatusReply`].
    Status {
        /// Whose.
        select: Selectors,
    },
    /// The names of all nodes, for completion. Answer: [`super::reply::NamesReply`].
    Names {},
    /// Start what is stopped, failed or finished. Answer: [`super::reply::ResultsReply`].
    Start {
        /// Whom.
        select: Selectors,
        /// Answer when they are ready, not at once.
        wait: bool,
    },
    /// Stop; they stay known, and stopped, over a restart of the supervisor. Answer: results.
    Stop {
        /// Whom.
        select: Selectors,
        /// Replaces the layout's grace, in milliseconds.
        grace_ms: Option<u64>,
        /// Answer when they are stopped, not at once.
        wait: bool,
    },
    /// Stop and start. Answer: results.
    Restart {
        /// Whom.
        select: Selectors,
        /// At most so many at a time, each waited for until it is ready.
        rolling: Option<u32>,
        /// Answer when they are ready, not at once.
        wait: bool,
    },
    /// Add nodes that are not in the layout. Answer: results.
    Create {
        /// RON: a map of nodes as in a layout's `nodes`.
        nodes: String,
        /// Where relative paths in it start.
        base: String,
        /// Keep them over a restart of the supervisor.
        persist: bool,
        /// Answer when they are ready, not at once.
        wait: bool,
    },
    /// Stop and forget. Answer: results.
    Destroy {
        /// Whom.
        select: Selectors,
        /// Answer when they are gone, not at once.
        wait: bool,
    },
    /// Stop everything; the supervisor ends. Answer: [`super::reply::Plain`], then end-of-file when it ends.
    Shutdown {
        /// Replaces every grace, in milliseconds.
        grace_ms: Option<u64>,
    },
    /// Output lines: a stream of [`super::reply::LogLine`].
    Logs {
        /// Whose.
        select: Selectors,
        /// The last so many of each stream of each node (the supervisor keeps at most 200).
        lines: u32,
        /// Only this stream.
        stream: Option<super::reply::Stream>,
        /// Only lines since this moment, milliseconds of the Unix epoch.
        since_ms: Option<u64>,
        /// Go on with what comes.
        follow: bool,
    },
    /// What support would ask about. Answer: [`super::reply::DiagReply`].
    Diag {
        /// Whom.
        select: Selectors,
    },
    /// Events: a stream of [`super::reply::Event`].
    Events {
        /// Only those with a larger number.
        since: Option<u64>,
        /// Go on with what comes.
        follow: bool,
    },
    /// Wait until all selected nodes are in a state. Answer: results.
    Wait {
        /// Whom.
        select: Selectors,
        /// For what.
        state: WaitFor,
    },
    /// Deliver a signal. Answer: results.
    Signal {
        /// To whom.
        select: Selectors,
        /// Number, or name with or without `SIG`.
        signal: String,
    },
    /// Have loggers rotate their current files. Answer: results, one for each logger.
    Rotate {
        /// Nodes by name or selector, and logs by path or stream; without the ones or the others all.
        words: Vec<String>,
    },
    /// Compare a layout with what runs. Answer: [`super::reply::DiffReply`].
    Diff {
        /// Absolute path of the layout.
        path: String,
    },
    /// Make a layout what runs. Answer: [`super::reply::DeployReply`].
    Deploy {
        /// Absolute path of the layout.
        path: String,
        /// Only say what would change.
        dry_run: bool,
        /// Restart at most so many changed nodes at a time.
        rolling: Option<u32>,
        /// Answer when the changed nodes are ready, not at once.
        wait: bool,
    },
}

/// What `wait` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    /// All are ready (or finished).
    Ready,
    /// All are stopped, finished or failed.
    Stopped,
    /// All are failed.
    Failed,
}

//! What a client is answered. The serialised forms are what `--json` prints.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{Code, SCHEMA};
use crate::supervise::child::State;

/// What is said of a node that had not got there when the time limit passed. Clients know it by this.
pub const LATE: &str = "the time limit passed";

/// A moment as replies, logs and reports write it: RFC 3339 in UTC, with milliseconds. A clock that shows
/// a time before 1970 is taken to show that year's first moment.
///
/// # Panics
/// After the year 9999, which that text cannot tell.
#[must_use]
pub fn moment(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at.max(UNIX_EPOCH)).to_string()
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What the client ends with.
    pub code: Code,
    /// What was done, to what, and what to do.
    pub message: String,
    /// The node it is about, if one.
    pub node: Option<String>,
}

/// The answer that carries nothing but its success; also the end mark of a stream (`end`: true).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plain {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Did it succeed?
    pub ok: bool,
    /// If not, why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
    /// A stream ends here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub end: bool,
}

impl Plain {
    /// Success.
    #[must_use]
    pub fn done() -> Self {
        Self {
            schema: SCHEMA,
            ok: true,
            error: None,
            end: false,
        }
    }

    /// The end of a stream.
    #[must_use]
    pub fn end() -> Self {
        Self {
            end: true,
            ..Self::done()
        }
    }

    /// Failure.
    #[must_use]
    pub fn failed(code: Code, message: impl Into<String>) -> Self {
        Self {
            schema: SCHEMA,
            ok: false,
            error: Some(ErrorBody {
                code,
                message: message.into(),
                node: None,
            }),
            end: false,
        }
    }
}

/// The answer to `status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusReply {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Always true.
    pub ok: bool,
    /// The generation of the layout that runs.
    pub generation: u64,
    /// The whole cluster in one word.
    pub cluster: ClusterState,
    /// The supervisor.
    pub instance: InstanceStatus,
    /// Is the layout on disk newer than what runs?
    pub layout_changed: bool,
    /// The selected nodes, in the order of stages, then names.
    pub nodes: Vec<NodeStatus>,
}

/// The whole cluster in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterState {
    /// Stages are still starting.
    Starting,
    /// Every wanted node is ready (or finished).
    Ready,
    /// Someone is missing, but each stage has its quorum.
    Degraded,
    /// A stage has no quorum, or a node failed.
    Broken,
    /// The supervisor is stopping everything.
    Stopping,
}

/// A node in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// It is ready, and its heartbeat stopped.
    Degraded,
    /// It outlived its stem, and is not started while it lives.
    Orphaned,
    /// It is not there any more.
    Destroyed,
    /// What it is to the stem, a word of the table in `ARCHITECTURE.md`.
    #[serde(untagged)]
    Is(State),
}

impl NodeState {
    /// The word that `status` shows.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Degraded => "degraded",
            Self::Orphaned => "orphaned",
            Self::Destroyed => "destroyed",
            Self::Is(state) => state.word(),
        }
    }
}

/// The supervisor, as `status` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// The instance's name.
    pub name: String,
    /// The supervisor's process.
    pub pid: i32,
    /// The stem's process; `null` while it is being revived.
    pub stem_pid: Option<i32>,
    /// Seconds since the supervisor started.
    pub uptime_s: u64,
    /// Its version.
    pub version: String,
    /// The layout's path.
    pub layout: String,
    /// The run directory.
    pub run_dir: String,
    /// Lines of output that the supervisor's own console did not take in time.
    pub console_lines_lost: u64,
}

/// One node, as `status` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Its state.
    pub state: NodeState,
    /// What it should be: ready or stopped.
    pub wanted: State,
    /// Why it is in that state, where there is more to say.
    pub reason: Option<String>,
    /// Its process; only while it is alive.
    pub pid: Option<i32>,
    /// Counts its births.
    pub incarnation: u64,
    /// Its stage.
    pub stage: u16,
    /// When this incarnation was born (RFC 3339, UTC).
    pub started_at: Option<String>,
    /// When it became ready.
    pub ready_at: Option<String>,
    /// Births beyond the first.
    pub restarts: u64,
    /// Milliseconds until the next birth.
    pub next_attempt_in_ms: Option<u64>,
    /// Its last end.
    pub last_exit: Option<LastExit>,
    /// Processor time of the last second or since birth, in per cent of one core.
    pub cpu_pct: Option<f64>,
    /// Resident memory.
    pub rss_bytes: Option<u64>,
    /// Records waiting for it.
    pub queue: Option<u64>,
    /// Records dropped for it.
    pub drops: Option<u64>,
    /// Bytes of its output that could not be written.
    pub output_lost_bytes: u64,
    /// What it said of itself (`STATUS=`).
    pub status_text: Option<String>,
    /// Does it stand in the layout?
    pub in_layout: bool,
}

/// How a node ended last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastExit {
    /// `exit` or `signal`.
    pub kind: String,
    /// The exit code.
    pub code: Option<i32>,
    /// The signal's name.
    pub signal: Option<String>,
    /// Did it leave a core?
    pub core: bool,
    /// Was it asked for?
    pub asked: bool,
    /// When (RFC 3339, UTC).
    pub at: String,
}

/// The answer to `names`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesReply {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Always true.
    pub ok: bool,
    /// All nodes.
    pub names: Vec<String>,
}

/// The answer to what changes nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultsReply {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Did it succeed for all?
    pub ok: bool,
    /// If not, why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
    /// What is doubtful in, or not acted on of, the description that came with the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// One for each node.
    pub results: Vec<NodeResult>,
}

/// What became of a change of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeResult {
    /// Its name.
    pub node: String,
    /// Did it succeed?
    pub ok: bool,
    /// Its state now.
    pub state: NodeState,
    /// Its process now.
    pub pid: Option<i32>,
    /// If it did not succeed, why.
    pub error: Option<String>,
    /// If it did not succeed, its last lines of output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<LogLine>,
}

/// Which of a node's two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// One line of a node's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was read (RFC 3339, UTC).
    pub at: String,
    /// Whose.
    pub node: String,
    /// Which stream.
    pub stream: Stream,
    /// The line without its end; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// Something that happened; numbered without gaps, so that a client can go on where it stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub seq: u64,
    /// When (RFC 3339, UTC).
    pub at: String,
    /// What: `node_started`, `node_ready`, `node_exited`, `cluster_ready`, …
    pub kind: String,
    /// Whom it is about.
    pub node: Option<String>,
    /// What else there is to say: text for text.
    pub detail: BTreeMap<String, String>,
}

/// The answer to `diag`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiagReply {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Always true.
    pub ok: bool,
    /// One for each node.
    pub nodes: Vec<NodeDiag>,
}

/// What support would ask about one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeDiag {
    /// As in `status`.
    pub status: NodeStatus,
    /// The description it runs by, with the values of its environment masked.
    pub spec: serde_json::Value,
    /// Its last events, oldest first.
    pub history: Vec<Event>,
    /// Its last lines of output, in the order of time.
    pub last_lines: Vec<LogLine>,
    /// Directories of its crash reports, newest last.
    pub crashes: Vec<String>,
}

/// The answer to `diff`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffReply {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Could it be compared?
    pub ok: bool,
    /// If not, why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
    /// What is doubtful in, or not acted on of, the description that came with the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// What differs.
    pub diff: crate::layout::diff::Difference,
}

/// The answer to `deploy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployReply {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Did it succeed for all?
    pub ok: bool,
    /// If not, why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
    /// What is doubtful in, or not acted on of, the description that came with the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// The generation that runs now.
    pub generation: u64,
    /// What differed.
    pub diff: crate::layout::diff::Difference,
    /// One for each changed node.
    pub results: Vec<NodeResult>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_that_is_not_set_is_told_too() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(moment(before), "1970-01-01T00:00:00.000Z");
        let later = UNIX_EPOCH + Duration::from_millis(1_000_000_000_042);
        assert_eq!(moment(later), "2001-09-09T01:46:40.042Z");
    }
}

//! The records of the management API, in the current form and with the words of the old one.
//!
//! Names and identifiers are plain text here: what a client uploads is answered in its own words,
//! however wrong they are. Ports are numbers; 0 never stands for "none".

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::layout::spec;

/// The version that controller, agents and clients compare.
pub const API_VERSION: u64 = 1;

/// The two forms in which the API exists. They differ in words and topics, not in meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `Management::…`, what the clients of today speak.
    Current,
    /// `ClusterController::…`, what came before.
    Old,
}

impl Form {
    /// The topic of requests to the controller and of its answers.
    #[must_use]
    pub fn controller_topic(self) -> &'static str {
        match self {
            Self::Current => "zeek/management/controller",
            Self::Old => "zeek/cluster-control/controller",
        }
    }
}

/// What a process is to the management, whatever its role in the cluster.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    /// Not part of the management.
    #[default]
    None,
    /// Acts for one instance.
    Agent,
    /// Acts for the cluster.
    Controller,
    /// A managed node, in its own log.
    Node,
}

impl Role {
    /// The word on the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Agent => "AGENT",
            Self::Controller => "CONTROLLER",
            Self::Node => "NODE",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a node is to the cluster.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum ClusterRole {
    /// No member.
    #[default]
    None,
    /// Writes logs.
    Logger,
    /// Decides for the whole cluster.
    Manager,
    /// Takes load off the others.
    Proxy,
    /// Does the work.
    Worker,
}

impl ClusterRole {
    /// The word on the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Logger => "LOGGER",
            Self::Manager => "MANAGER",
            Self::Proxy => "PROXY",
            Self::Worker => "WORKER",
        }
    }
}

impl fmt::Display for ClusterRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl From<spec::Role> for ClusterRole {
    fn from(role: spec::Role) -> Self {
        match role {
            spec::Role::None | spec::Role::Control | spec::Role::Controller => Self::None,
            spec::Role::Logger => Self::Logger,
            spec::Role::Manager => Self::Manager,
            spec::Role::Proxy => Self::Proxy,
            spec::Role::Worker => Self::Worker,
        }
    }
}

/// The state of a node. Read in the words of both forms, written in those of the current one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// On its way. The old form has no such word.
    Pending,
    /// It serves.
    #[serde(alias = "Running")]
    Running,
    /// It does not run, and nobody misses it.
    #[serde(alias = "Stopped")]
    Stopped,
    /// It was given up.
    #[serde(alias = "Failed")]
    Failed,
    /// It ended unasked and is due again.
    #[serde(alias = "Crashed")]
    Crashed,
    /// Nobody here can tell.
    #[default]
    #[serde(alias = "Unknown")]
    Unknown,
}

impl State {
    /// Its word in one of the forms. A pending node is `Unknown` to the old one.
    #[must_use]
    pub fn word(self, form: Form) -> &'static str {
        match (self, form) {
            (Self::Pending, Form::Current) => "PENDING",
            (Self::Running, Form::Current) => "RUNNING",
            (Self::Stopped, Form::Current) => "STOPPED",
            (Self::Failed, Form::Current) => "FAILED",
            (Self::Crashed, Form::Current) => "CRASHED",
            (Self::Unknown, Form::Current) => "UNKNOWN",
            (Self::Running, Form::Old) => "Running",
            (Self::Stopped, Form::Old) => "Stopped",
            (Self::Failed, Form::Old) => "Failed",
            (Self::Crashed, Form::Old) => "Crashed",
            (Self::Pending | Self::Unknown, Form::Old) => "Unknown",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word(Form::Current))
    }
}

/// A setting handed to a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ApiOption {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// An instance: one host's share of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// Its name, which is its agent's name too.
    pub name: String,
    /// Where it is; unspecified (`0.0.0.0`): it will come to us.
    pub host: IpAddr,
    /// Where its agent listens; `None`: it will come to us.
    #[serde(default)]
    pub listen_port: Option<u16>,
}

/// A node as a configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Node {
    /// Its name, unique in the cluster.
    pub name: String,
    /// The instance it runs on.
    pub instance: String,
    /// Its role in the cluster.
    #[serde(default)]
    pub role: ClusterRole,
    /// The state it should be in.
    #[serde(default)]
    pub state: State,
    /// Where it listens; `None`: nowhere, or where automatic assignment puts it.
    #[serde(default)]
    pub p: Option<u16>,
    /// Scripts it loads on top.
    #[serde(default)]
    pub scripts: Option<Vec<String>>,
    /// Settings it is given.
    #[serde(default)]
    pub options: Option<BTreeSet<ApiOption>>,
    /// Where it captures.
    #[serde(default)]
    pub interface: Option<String>,
    /// The processor it is bound to.
    #[serde(default)]
    pub cpu_affinity: Option<u32>,
    /// Variables set for it.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Where it serves its metrics.
    #[serde(default)]
    pub metrics_port: Option<u16>,
}

/// A cluster's topology. Sets, so that order never matters; two different records of one name are
/// two members, for validation to find.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Configuration {
    /// Chosen by the client, new with each upload.
    pub id: String,
    /// The instances.
    #[serde(default)]
    pub instances: BTreeSet<Instance>,
    /// The nodes.
    #[serde(default)]
    pub nodes: BTreeSet<Node>,
}

/// A node as it is just now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub node: String,
    /// Its state.
    pub state: State,
    /// What it is to the management.
    #[serde(default)]
    pub mgmt_role: Role,
    /// What it is to the cluster.
    #[serde(default)]
    pub cluster_role: ClusterRole,
    /// Its process, while there is one.
    #[serde(default)]
    pub pid: Option<i32>,
    /// Where it listens.
    #[serde(default)]
    pub p: Option<u16>,
    /// Where it serves its metrics.
    #[serde(default)]
    pub metrics_port: Option<u16>,
}

/// The last output of a node, lines joined by line feeds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeOutputs {
    /// Of its standard output.
    pub stdout: String,
    /// Of its standard error.
    pub stderr: String,
}

/// What a result carries; which, depends on the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Data {
    /// A configuration's id, or an identifier's value as JSON text.
    Text(String),
    /// The instances.
    Instances(Vec<Instance>),
    /// A configuration.
    Configuration(Configuration),
    /// The nodes of one instance.
    Nodes(Vec<NodeStatus>),
    /// What a node said before it failed.
    Outputs(NodeOutputs),
}

/// What became of a request, or of one part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiResult {
    /// The request it belongs to.
    pub reqid: String,
    /// Did it succeed?
    #[serde(default = "yes")]
    pub success: bool,
    /// Whose answer; `None`: the controller's own.
    #[serde(default)]
    pub instance: Option<String>,
    /// What was asked for.
    #[serde(default)]
    pub data: Option<Data>,
    /// If it did not succeed, why.
    #[serde(default)]
    pub error: Option<String>,
    /// The node it is about, if one.
    #[serde(default)]
    pub node: Option<String>,
}

/// One result for each thing that was asked.
pub type ResultVec = Vec<ApiResult>;

fn yes() -> bool {
    true
}

impl ApiResult {
    /// Success of the controller itself, with nothing to say.
    #[must_use]
    pub fn done(reqid: impl Into<String>) -> Self {
        Self {
            reqid: reqid.into(),
            success: true,
            instance: None,
            data: None,
            error: None,
            node: None,
        }
    }

    /// Failure of the controller itself.
    #[must_use]
    pub fn failed(reqid: impl Into<String>, error: impl Into<String>) -> Self {
        Self {
            success: false,
            error: Some(error.into()),
            ..Self::done(reqid)
        }
    }
}

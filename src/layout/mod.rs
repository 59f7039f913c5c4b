//! Layouts: what a cluster is made of, as its operator wrote it.
//!
//! Parsing and meaning are two steps. `raw` is the file's shape, word for word; [`read()`] turns it
//! into a [`Layout`], in which every name is checked, every path absolute, every default filled in, and
//! [`read_more()`] does the same for nodes that join a running one.
//! What is wrong, doubtful or not acted on comes back as a [`finding::Finding`] with line, column, node,
//! field and a hint.
//!
//! Pure: reads no file and asks no system. What must be asked of the machine (users, processors,
//! programs) is asked through [`host::Host`].

pub mod describe;
pub mod diff;
pub mod finding;
pub mod host;
pub mod inputs;
pub mod seats;
pub mod signals;
pub mod spec;

mod capabilities;
mod clashes;
mod context;
mod controller;
mod details;
mod entries;
mod fabric;
mod framework;
mod instances;
mod later;
mod links;
mod log_ways;
mod logging;
mod members;
mod more;
mod order;
mod parse;
mod position;
mod prototype;
mod raw;
mod read;
mod report;
mod running;
mod stages;
mod suggest;
mod template;
mod tokens;
mod topology;
mod values;

#[cfg(test)]
mod joining;
#[cfg(test)]
mod readings;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod sample;

pub use more::{More, read_more};
pub use read::{Overrides, digest, read};

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fabric::FabricSpec;
use crate::logging::spec::LogSpec;
use crate::names::{InstanceName, NodeName};
use seats::FrameworkSpec;
use spec::{ChildSpec, LifePolicy, Role, StageSpec, Watchdog};

/// A layout that was understood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// The file it was read from, absolute.
    pub path: PathBuf,
    /// A digest of the file's bytes, to tell whether the file has changed since.
    pub digest: String,
    /// Which instance this host is.
    pub instance: InstanceName,
    /// All instances and their addresses.
    pub instances: BTreeMap<InstanceName, IpAddr>,
    /// The topology: the nodes of all instances, as the seeds' table of nodes. Commands that are no
    /// members of the cluster do not stand here, nor does the controller.
    pub nodes: BTreeMap<NodeName, Node>,
    /// What runs on this instance, in start order: by stage, then by name (numbers by value).
    pub children: Vec<ChildSpec>,
    /// The stages in which it starts.
    pub stages: Vec<StageSpec>,
    /// What concerns the supervisor itself.
    pub settings: Settings,
    /// What holds for nodes that say nothing else, also for those that join later.
    pub defaults: Defaults,
}

/// What holds for nodes that say nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defaults {
    /// How they are kept alive.
    pub life: LifePolicy,
    /// The watchdog of built-in roles; `None`: the layout asks for none.
    pub watchdog: Option<Watchdog>,
    /// Every stage that a node can name, whether it has children or not.
    pub stages: Vec<StageSpec>,
}

/// A node of the topology: the seeds' `Cluster::Node`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// `node_type`.
    pub node_type: Role,
    /// `ip`.
    pub ip: IpAddr,
    /// `zone_id`.
    pub zone_id: String,
    /// `p`; `None`: it listens nowhere.
    pub p: Option<u16>,
    /// `manager`.
    pub manager: Option<NodeName>,
    /// `metrics_port`.
    pub metrics_port: Option<u16>,
    /// The instance it runs on.
    pub instance: InstanceName,
    /// `interface`: where it captures.
    pub interface: Option<String>,
    /// `pcap_file`: what it reads instead.
    pub pcap_file: Option<PathBuf>,
}

/// What concerns the supervisor itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The run directory, absolute.
    pub run_dir: PathBuf,
    /// An orderly stop of everything takes no longer; what is left then is killed.
    pub stop_deadline: Duration,
    /// An output file is rotated when it would grow beyond this many bytes.
    pub output_rotate_bytes: u64,
    /// So many rotated output files are kept beside the current one.
    pub output_keep: u32,
    /// A longer line of output is cut, with a mark; its rest goes on as the next line.
    pub output_line_bytes_max: u64,
    /// So many crash reports are kept for each node.
    pub crash_keep: u32,
    /// Members of this group may attach too, by its number; `None`: the supervisor's user and root alone.
    pub socket_group: Option<u32>,
    /// How nodes of this host send to one another.
    pub fabric: FabricSpec,
    /// What all nodes of the cluster agree on.
    pub framework: FrameworkSpec,
    /// What becomes of logs.
    #[serde(default)]
    pub logging: LogSpec,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            run_dir: PathBuf::from("run"),
            stop_deadline: Duration::from_secs(30),
            output_rotate_bytes: 10 << 20,
            output_keep: 5,
            output_line_bytes_max: 64 << 10,
            crash_keep: 10,
            socket_group: None,
            fabric: FabricSpec::default(),
            framework: FrameworkSpec::default(),
            logging: LogSpec::default(),
        }
    }
}

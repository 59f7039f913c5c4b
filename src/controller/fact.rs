//! What the supervisor tells the controller: facts, one packet each, over the controller node's
//! control socket.
//!
//! The supervisor sends a snapshot ([`Fact::SnapshotBegin`], everything it knows,
//! [`Fact::SnapshotEnd`]) whenever the controller became ready, and single facts after it. So a
//! controller that was born again starts clean.

use serde::{Deserialize, Serialize};

use super::types::Instance;
use crate::control::reply::ClusterState;
use crate::layout::spec::Role;
use crate::names::{Incarnation, InstanceName, NodeName};
use crate::supervise::child;

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// What follows, up to the end, replaces everything said before.
    SnapshotBegin,
    /// The snapshot is complete and stands from now on.
    SnapshotEnd,
    /// The configured instances, replacing those before.
    Instances {
        /// Counts the layouts that were put into force.
        generation: u64,
        /// All of them.
        instances: Vec<Instance>,
    },
    /// A node, replacing what was said of it before.
    Node(NodeFact),
    /// A node is no longer part of the cluster.
    NodeGone(NodeName),
    /// The whole cluster in one word.
    Cluster(ClusterState),
}

/// What the supervisor knows of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFact {
    /// Its name.
    pub name: NodeName,
    /// The instance it runs on.
    pub instance: InstanceName,
    /// Its role.
    pub role: Role,
    /// Its state; `None`: it runs on another instance, of which this supervisor knows nothing.
    pub state: Option<child::State>,
    /// Should it run?
    pub wanted: bool,
    /// Its process, while there is one.
    pub pid: Option<i32>,
    /// Which birth this is about.
    pub incarnation: Incarnation,
    /// Where it listens.
    pub p: Option<u16>,
    /// Where it serves its metrics.
    pub metrics_port: Option<u16>,
}

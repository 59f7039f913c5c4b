//! The table of instances and nodes, kept from what the supervisor tells.
//!
//! How a child's state shows on the API:
//!
//! | child | should it run? | API |
//! | --- | --- | --- |
//! | pending, starting | either | PENDING |
//! | ready | either | RUNNING |
//! | backoff | either | CRASHED |
//! | stopping | yes: it is being restarted | PENDING |
//! | stopping | no | STOPPED |
//! | stopped | yes: it is about to be born | PENDING |
//! | stopped | no | STOPPED |
//! | finished | either | STOPPED |
//! | failed | either | FAILED |
//! | on another instance | either | UNKNOWN |
//!
//! An instance is *ready* when each of its nodes that should run is ready or finished; the
//! controller itself does not count. An instance without nodes has nothing to wait for.

use std::collections::{BTreeMap, BTreeSet};

use super::fact::{Fact, NodeFact};
use super::types::{ClusterRole, Instance, NodeStatus, Role, State};
use crate::control::reply::ClusterState;
use crate::layout::spec;
use crate::names::NodeName;
use crate::supervise::child;

/// So many instances are kept. Full: the rest of a fact is left out, and said so.
pub const INSTANCES_MAX: usize = 1024;

/// So many nodes are kept. Full: the newest is left out, and said so.
pub const NODES_MAX: usize = 16 * 1024;

/// Raised inside the controller only, never published: the instances that are ready are those that
/// are configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentsReady {
    /// The generation of that configuration.
    pub generation: u64,
    /// Their names.
    pub instances: BTreeSet<String>,
}

/// Why a fact was not taken, or not whole. The supervisor's fault, and never fatal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// It is older than what is known.
    #[error("ignored incarnation {told} of node \"{node}\": incarnation {known} is known already")]
    OldIncarnation {
        /// The node.
        node: NodeName,
        /// In the fact.
        told: u64,
        /// In the table.
        known: u64,
    },
    /// It is older than what is known.
    #[error("ignored the instances of generation {told}: generation {known} is known already")]
    OldGeneration {
        /// In the fact.
        told: u64,
        /// In the table.
        known: u64,
    },
    /// [`INSTANCES_MAX`].
    #[error("left out {left_out} instances: no more than {INSTANCES_MAX} are kept")]
    TooManyInstances {
        /// How many.
        left_out: usize,
    },
    /// [`NODES_MAX`].
    #[error("left out node \"{node}\": no more than {NODES_MAX} are kept")]
    TooManyNodes {
        /// The node.
        node: NodeName,
    },
    /// It names a node that is not in the table.
    #[error("ignored the removal of node \"{node}\": it is not in the table")]
    NoSuchNode {
        /// The node.
        node: NodeName,
    },
    /// A snapshot ended that had not begun.
    #[error("ignored the end of a snapshot that had not begun")]
    NoSnapshot,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Contents {
    generation: u64,
    instances: BTreeMap<String, Instance>,
    nodes: BTreeMap<NodeName, NodeFact>,
    cluster: Option<ClusterState>,
}

/// The table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// What the views show; `None` until the first snapshot is complete.
    shown: Option<Contents>,
    /// A snapshot on its way; the views show what stood before until it is complete.
    collecting: Option<Contents>,
    /// What was raised last, while it still holds.
    announced: Option<AgentsReady>,
}

impl Table {
    /// Takes a fact. What comes before the first snapshot is not shown: it would be half a truth.
    ///
    /// # Errors
    /// [`TableError`] says what was not taken; the table stands, and is still right.
    pub fn take(&mut self, fact: Fact) -> Result<(), TableError> {
        match fact {
            Fact::SnapshotBegin => {
                self.collecting = Some(Contents::default());
                Ok(())
            }
            Fact::SnapshotEnd => {
                let complete = self.collecting.take().ok_or(TableError::NoSnapshot)?;
                self.shown = Some(complete);
                Ok(())
            }
            Fact::Instances {
                generation,
                instances,
            } => self
                .current()
                .map_or(Ok(()), |c| c.take_instances(generation, instances)),
            Fact::Node(node) => self.current().map_or(Ok(()), |c| c.take_node(node)),
            Fact::NodeGone(node) => self.current().map_or(Ok(()), |c| c.remove_node(node)),
            Fact::Cluster(state) => {
                if let Some(contents) = self.current() {
                    contents.cluster = Some(state);
                }
                Ok(())
            }
        }
    }

    /// The notification, if one is due: once for each change that makes the ready instances those
    /// of a configuration that has any.
    #[must_use]
    pub fn agents_ready(&mut self) -> Option<AgentsReady> {
        if self.collecting.is_some() {
            return None;
        }
        let contents = self.shown.as_ref()?;
        let ready: BTreeSet<String> = self.ready_instances().map(str::to_owned).collect();
        if ready.is_empty() || ready.len() != contents.instances.len() {
            self.announced = None;
            return None;
        }
        let notification = AgentsReady {
            generation: contents.generation,
            instances: ready,
        };
        if self.announced.as_ref() == Some(&notification) {
            return None;
        }
        self.announced = Some(notification.clone());
        Some(notification)
    }

    /// Has a snapshot been completed?
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.shown.is_some()
    }

    /// The generation of the configured instances.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        self.shown.as_ref().map(|contents| contents.generation)
    }

    /// The whole cluster in one word, if it was told.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterState> {
        self.shown.as_ref()?.cluster
    }

    /// The configured instances, by name.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.shown.iter().flat_map(|c| c.instances.values())
    }

    /// The names of the configured instances that are ready, in order.
    pub fn ready_instances(&self) -> impl Iterator<Item = &str> {
        self.shown.iter().flat_map(Contents::ready_instances)
    }

    /// One node.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&NodeFact> {
        self.shown.as_ref()?.nodes.get(name)
    }

    /// All nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeFact> {
        self.shown.iter().flat_map(|c| c.nodes.values())
    }

    /// The nodes of one instance as the API shows them, by name.
    pub fn statuses(&self, instance: &str) -> impl Iterator<Item = NodeStatus> {
        self.nodes()
            .filter(move |node| node.instance.as_str() == instance)
            .map(status)
    }

    /// Where facts go just now.
    fn current(&mut self) -> Option<&mut Contents> {
        self.collecting.as_mut().or(self.shown.as_mut())
    }
}

impl Contents {
    fn take_instances(
        &mut self,
        generation: u64,
        instances: Vec<Instance>,
    ) -> Result<(), TableError> {
        if generation < self.generation {
            return Err(TableError::OldGeneration {
                told: generation,
                known: self.generation,
            });
        }
        let left_out = instances.len().saturating_sub(INSTANCES_MAX);
        self.generation = generation;
        self.instances = instances
            .into_iter()
            .take(INSTANCES_MAX)
            .map(|instance| (instance.name.clone(), instance))
            .collect();
        match left_out {
            0 => Ok(()),
            left_out => Err(TableError::TooManyInstances { left_out }),
        }
    }

    fn take_node(&mut self, node: NodeFact) -> Result<(), TableError> {
        if let Some(known) = self.nodes.get_mut(&node.name) {
            if node.incarnation < known.incarnation {
                return Err(TableError::OldIncarnation {
                    told: node.incarnation.0,
                    known: known.incarnation.0,
                    node: node.name,
                });
            }
            *known = node;
            return Ok(());
        }
        if self.nodes.len() >= NODES_MAX {
            return Err(TableError::TooManyNodes { node: node.name });
        }
        self.nodes.insert(node.name.clone(), node);
        Ok(())
    }

    fn remove_node(&mut self, node: NodeName) -> Result<(), TableError> {
        match self.nodes.remove(&node) {
            Some(_) => Ok(()),
            None => Err(TableError::NoSuchNode { node }),
        }
    }

    fn ready_instances(&self) -> impl Iterator<Item = &str> {
        let waiting: BTreeSet<&str> = self
            .nodes
            .values()
            .filter(|node| stands_in_the_way(node))
            .map(|node| node.instance.as_str())
            .collect();
        self.instances
            .keys()
            .map(String::as_str)
            .filter(move |name| !waiting.contains(name))
    }
}

fn stands_in_the_way(node: &NodeFact) -> bool {
    let serves = matches!(
        node.state,
        Some(child::State::Ready | child::State::Finished)
    );
    node.wanted && node.role != spec::Role::Controller && !serves
}

/// The state that the API shows for a node.
#[must_use]
pub fn api_state(node: &NodeFact) -> State {
    match (node.state, node.wanted) {
        (None, _) => State::Unknown,
        (Some(child::State::Pending | child::State::Starting), _)
        | (Some(child::State::Stopped | child::State::Stopping), true) => State::Pending,
        (Some(child::State::Ready), _) => State::Running,
        (Some(child::State::Backoff), _) => State::Crashed,
        (Some(child::State::Failed), _) => State::Failed,
        (Some(child::State::Stopped | child::State::Stopping), false)
        | (Some(child::State::Finished), _) => State::Stopped,
    }
}

/// A node as the API shows it.
#[must_use]
pub fn status(node: &NodeFact) -> NodeStatus {
    let mgmt_role = match node.role {
        spec::Role::Controller => Role::Controller,
        spec::Role::None
        | spec::Role::Control
        | spec::Role::Logger
        | spec::Role::Manager
        | spec::Role::Proxy
        | spec::Role::Worker => Role::None,
    };
    NodeStatus {
        node: node.name.to_string(),
        state: api_state(node),
        mgmt_role,
        cluster_role: ClusterRole::from(node.role),
        pid: node.pid,
        // Port 0 is never sent to a client: it ends there.
        p: node.p.filter(|port| *port != 0),
        metrics_port: node.metrics_port.filter(|port| *port != 0),
    }
}

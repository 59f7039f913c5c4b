//! The layout as one node sees it: who it is, and who the others are.

use std::collections::BTreeMap;

use super::BackendTag;
use crate::layout::Node;
use crate::layout::spec::Role;
use crate::names::NodeName;

/// Why a node cannot be in its cluster. Configuration's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// The layout has no node of its name.
    #[error("this node is to be \"{name}\", and the layout has no such node; check CLUSTER_NODE")]
    UnknownNode {
        /// Its name.
        name: NodeName,
    },
    /// A node without a backend would be alone for ever.
    #[error("this node is to be \"{name}\", and its backend is NONE; choose another backend")]
    NoBackend {
        /// Its name.
        name: NodeName,
    },
}

/// Who is in the cluster, and which of them this node is: `Cluster::nodes` and `Cluster::node`.
#[derive(Clone, Debug, PartialEq)]
pub struct Roster {
    nodes: BTreeMap<NodeName, Node>,
    local: Option<NodeName>,
}

impl Roster {
    /// The roster of a layout's nodes. `local`: the seeds' `Cluster::node`; `None`: in no cluster.
    #[must_use]
    pub fn new(local: Option<NodeName>, nodes: BTreeMap<NodeName, Node>) -> Self {
        Self { nodes, local }
    }

    /// Whether this node can be in the cluster; to be asked once at the start.
    ///
    /// # Errors
    /// [`RosterError`], with which the node ends.
    pub fn check(&self, backend: BackendTag) -> Result<(), RosterError> {
        match &self.local {
            Some(name) if !self.nodes.contains_key(name) => {
                Err(RosterError::UnknownNode { name: name.clone() })
            }
            Some(name) if backend == BackendTag::None => {
                Err(RosterError::NoBackend { name: name.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// `is_enabled`: whether this node is to be in a cluster.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.local.is_some()
    }

    /// `Cluster::node`: this node's name.
    #[must_use]
    pub fn local(&self) -> Option<&NodeName> {
        self.local.as_ref()
    }

    /// `local_node_type`: [`Role::None`] if this node is in no cluster, or not in the layout.
    #[must_use]
    pub fn local_node_type(&self) -> Role {
        self.local_node().map_or(Role::None, |node| node.node_type)
    }

    /// `local_node_metrics_port`: `None` if there is no such node, or it has none of its own.
    #[must_use]
    pub fn local_node_metrics_port(&self) -> Option<u16> {
        self.local_node()?.metrics_port
    }

    /// The layout's entry for this node.
    #[must_use]
    pub fn local_node(&self) -> Option<&Node> {
        self.node(self.local.as_ref()?)
    }

    /// The layout's entry for a node.
    #[must_use]
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// The name and entry of a node whose name is known as text only.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<(&NodeName, &Node)> {
        self.nodes.get_key_value(name)
    }

    /// `Cluster::nodes`: all nodes, in the bytewise order of their names.
    #[must_use]
    pub fn nodes(&self) -> &BTreeMap<NodeName, Node> {
        &self.nodes
    }

    /// `nodes_with_type`: those of a type, in the bytewise order of their names.
    pub fn nodes_with_type(&self, node_type: Role) -> impl Iterator<Item = (&NodeName, &Node)> {
        let nodes = self.nodes.iter();
        nodes.filter(move |(_, node)| node.node_type == node_type)
    }

    /// `get_node_count`: how many of a type the layout has.
    #[must_use]
    pub fn get_node_count(&self, node_type: Role) -> usize {
        self.nodes_with_type(node_type).count()
    }

    /// Whom this node dials where nodes are peers of one another, in this order. A manager that is not in
    /// the layout is left out.
    #[must_use]
    pub fn dials(&self) -> Vec<&NodeName> {
        let types: &[Role] = match self.local_node_type() {
            Role::Manager | Role::Proxy => &[Role::Logger],
            Role::Worker => &[Role::Logger, Role::Proxy],
            Role::None | Role::Control | Role::Logger | Role::Controller => &[],
        };
        let of_types = types.iter().flat_map(|one| self.nodes_with_type(*one));
        let manager = self
            .local_node()
            .filter(|node| matches!(node.node_type, Role::Proxy | Role::Worker))
            .and_then(|node| self.named(node.manager.as_ref()?.as_str()));
        of_types.chain(manager).map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{name, roster};
    use super::*;

    #[test]
    fn a_node_in_no_cluster_has_no_type_and_no_port() {
        let nobody = Roster::new(None, roster("manager").nodes().clone());
        assert!(!nobody.is_enabled());
        assert_eq!(nobody.local_node_type(), Role::None);
        assert_eq!(nobody.local_node_metrics_port(), None);
        assert_eq!(nobody.check(BackendTag::None), Ok(()));
    }

    #[test]
    fn an_unknown_node_and_one_without_a_backend_are_refused() {
        let unknown = roster("worker-99");
        assert!(unknown.is_enabled());
        assert_eq!(unknown.local_node_type(), Role::None);
        assert_eq!(
            unknown.check(BackendTag::Broker),
            Err(RosterError::UnknownNode {
                name: name("worker-99")
            })
        );
        let known = roster("worker-1");
        assert_eq!(known.check(BackendTag::Local), Ok(()));
        assert_eq!(
            known.check(BackendTag::None),
            Err(RosterError::NoBackend {
                name: name("worker-1")
            })
        );
    }

    #[test]
    fn nodes_of_a_type_stand_in_bytewise_order() {
        let roster = roster("manager");
        let workers = roster.nodes_with_type(Role::Worker);
        let workers: Vec<&str> = workers.map(|(name, _)| name.as_str()).collect();
        assert_eq!(workers, ["worker-1", "worker-10", "worker-2"]);
        assert_eq!(roster.get_node_count(Role::Worker), 3);
        assert_eq!(roster.get_node_count(Role::Control), 0);
        assert_eq!(roster.local_node_metrics_port(), Some(9911));
    }

    #[test]
    fn everybody_dials_loggers_workers_proxies_too_and_both_their_manager() {
        let dials = |local| {
            let roster = roster(local);
            let names = roster.dials();
            names.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(dials("logger-1"), none);
        assert_eq!(dials("manager"), ["logger-1"]);
        assert_eq!(dials("proxy-1"), ["logger-1", "manager"]);
        assert_eq!(
            dials("worker-2"),
            ["logger-1", "proxy-1", "proxy-2", "manager"]
        );
    }
}

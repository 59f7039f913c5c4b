//! What the seeds' functions answer about the cluster.

use super::Cluster;
use crate::framework::{Membership, NodeId, Topics};
use crate::layout::Node;
use crate::layout::spec::Role;
use crate::logging::spec::LogSpec;
use crate::names::NodeName;
use crate::pool::Pools;

impl Cluster {
    /// `is_enabled`: whether this program is a node of the cluster. One that is attached is not.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.membership.roster().is_enabled()
    }

    /// `Cluster::node`: this node's name.
    #[must_use]
    pub fn node(&self) -> Option<&NodeName> {
        self.membership.roster().local()
    }

    /// `local_node_type`: [`Role::None`] if this is no node of the layout.
    #[must_use]
    pub fn local_node_type(&self) -> Role {
        self.membership.roster().local_node_type()
    }

    /// `local_node_metrics_port`: `None` where the seeds say `0/unknown`.
    #[must_use]
    pub fn local_node_metrics_port(&self) -> Option<u16> {
        self.membership.roster().local_node_metrics_port()
    }

    /// `node_id`: which process this is; new at each start.
    #[must_use]
    pub fn node_id(&self) -> &NodeId {
        self.membership.node_id()
    }

    /// `nodeid_to_node`: the node that a process is, while it is connected.
    /// [`NamedNode`](crate::framework::NamedNode) makes the seeds' null node of `None`.
    #[must_use]
    pub fn nodeid_to_node(&self, id: &NodeId) -> Option<(&NodeName, &Node)> {
        self.membership.nodeid_to_node(id)
    }

    /// `get_node_count`: how many nodes of a type the layout has.
    #[must_use]
    pub fn get_node_count(&self, node_type: Role) -> usize {
        self.membership.roster().get_node_count(node_type)
    }

    /// `get_active_node_count`: how many of a type are connected; never counts this node itself.
    #[must_use]
    pub fn get_active_node_count(&self, node_type: Role) -> usize {
        self.membership.get_active_node_count(node_type)
    }

    /// What the layout that is in force says of logs.
    #[must_use]
    pub fn log_spec(&self) -> &LogSpec {
        &self.logging
    }

    /// `node_topic`: reaches the node of this name and no other.
    #[must_use]
    pub fn node_topic(&self, name: &str) -> String {
        self.membership.topics().node_topic(name)
    }

    /// `nodeid_topic`: reaches this process and no other.
    #[must_use]
    pub fn nodeid_topic(&self, id: &NodeId) -> String {
        self.membership.topics().nodeid_topic(id.as_str())
    }

    /// `broadcast_topics`: publish to each to reach everybody of a type that has a topic.
    #[must_use]
    pub fn broadcast_topics(&self) -> [&str; 4] {
        self.membership.topics().broadcast_topics()
    }

    /// The topics in force: `Cluster::logger_topic` and the like.
    #[must_use]
    pub fn topics(&self) -> &Topics {
        self.membership.topics()
    }

    /// The pools, up to date: `Cluster::proxy_pool` and the like.
    #[must_use]
    pub fn pools(&self) -> &Pools {
        self.membership.pools()
    }

    /// `rr_topic` spends a turn; this gives the pools to do so without publishing.
    pub fn pools_mut(&mut self) -> &mut Pools {
        self.membership.pools_mut()
    }

    /// Everything this node knows of the others: `Cluster::nodes`, with the `id` of who is connected.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        &self.membership
    }
}

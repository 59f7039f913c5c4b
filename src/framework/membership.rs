//! Who is there: from greetings and losses to `node_up` and `node_down`.
//!
//! What holds, whatever backends report in whatever order:
//!
//! * For one name, `node_up` and `node_down` take turns, and both name the same process.
//! * The loss of a process comes before the arrival of its successor under the same name.
//! * This node itself is never announced, nor is a name that the layout does not have.
//! * What the functions here answer, and the pools, are up to date when an event comes back.

use std::collections::BTreeMap;

use super::{ClusterEvent, FrameworkSpec, LOGGER_POOL, MembershipError, NodeId, Roster, Topics};
use crate::layout::Node;
use crate::layout::spec::Role;
use crate::names::NodeName;
use crate::pool::{self, PoolError, Pools};

/// The key of the round robin among loggers; one cursor for all streams.
const RR_LOG_KEY: &[u8] = b"Cluster::rr_log_topic";

/// One node's view of who is there: `Cluster::nodes`, with the `id` of who is connected.
#[derive(Clone, Debug)]
pub struct Membership {
    roster: Roster,
    spec: FrameworkSpec,
    own_id: NodeId,
    /// Who is connected, and as which process.
    ids: BTreeMap<NodeName, NodeId>,
    /// The same, the other way.
    names: BTreeMap<NodeId, NodeName>,
    pools: Pools,
}

impl Membership {
    /// A node that knows nobody yet. `own_id`: the process that it is.
    ///
    /// # Errors
    /// [`PoolError`] if the layout cannot give what the pools want. A node in no cluster has no pools.
    pub fn new(roster: Roster, own_id: NodeId, spec: FrameworkSpec) -> Result<Self, PoolError> {
        Ok(Self {
            pools: populate(&roster, &spec)?,
            roster,
            spec,
            own_id,
            ids: BTreeMap::new(),
            names: BTreeMap::new(),
        })
    }

    /// `Cluster::hello`: a process says that it is the node `name`, and can be published to.
    #[must_use]
    pub fn hello(&mut self, name: &str, id: &NodeId) -> Vec<ClusterEvent> {
        let Some((name, _)) = self.roster.named(name) else {
            return error(MembershipError::UnknownName {
                name: name.to_owned(),
                id: id.clone(),
            });
        };
        let (name, id) = (name.clone(), id.clone());
        if self.roster.local() == Some(&name) {
            if id == self.own_id {
                return Vec::new();
            }
            return error(MembershipError::OwnName { name, id });
        }
        let known = self.names.get(&id).filter(|known| **known != name);
        if let Some(known) = known.cloned() {
            return error(MembershipError::IdTaken { name, id, known });
        }
        let mut events = Vec::new();
        if let Some(old) = self.ids.get(&name).filter(|old| **old != id).cloned() {
            events.extend(error(MembershipError::Duplicate {
                name: name.clone(),
                old: old.clone(),
                new: id.clone(),
            }));
            events.extend(self.left(&old));
        }
        events.push(ClusterEvent::Log(format!("got hello from {name} ({id})")));
        if self.ids.insert(name.clone(), id.clone()).is_none() {
            self.names.insert(id.clone(), name.clone());
            self.pools.node_up(&name);
            events.push(ClusterEvent::NodeUp { name, id });
        }
        events
    }

    /// `Broker::peer_lost`, and `Broker::peer_removed` too: a process is gone; its connection was lost or
    /// ended, by either side.
    #[must_use]
    pub fn left(&mut self, id: &NodeId) -> Vec<ClusterEvent> {
        let Some(name) = self.names.remove(id) else {
            return error(MembershipError::UnknownId { id: id.clone() });
        };
        self.ids.remove(&name);
        self.pools.node_down(&name);
        let id = id.clone();
        vec![
            ClusterEvent::Log(format!("node down: {name}")),
            ClusterEvent::NodeDown { name, id },
        ]
    }

    /// The layout has other nodes, or they agree on something else, from now on. Who is connected and still
    /// in it stays up; who is not in it any more goes down. The round robin begins anew.
    ///
    /// # Errors
    /// [`PoolError`] as in [`Membership::new`]; nothing has changed then.
    pub fn relayout(
        &mut self,
        nodes: BTreeMap<NodeName, Node>,
        spec: FrameworkSpec,
    ) -> Result<Vec<ClusterEvent>, PoolError> {
        let roster = Roster::new(self.roster.local().cloned(), nodes);
        let pools = populate(&roster, &spec)?;
        let connected = self.ids.iter();
        let lost: Vec<NodeId> = connected
            .filter(|(name, _)| roster.node(name).is_none())
            .map(|(_, id)| id.clone())
            .collect();
        let events = lost.iter().flat_map(|id| self.left(id)).collect();
        (self.roster, self.spec, self.pools) = (roster, spec, pools);
        for name in self.ids.keys() {
            self.pools.node_up(name);
        }
        Ok(events)
    }

    /// `Cluster::nodes`: the layout, as this node sees it.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The topics in force.
    #[must_use]
    pub fn topics(&self) -> &Topics {
        &self.spec.topics
    }

    /// What all nodes agree on, as this node sees it.
    #[must_use]
    pub fn spec(&self) -> &FrameworkSpec {
        &self.spec
    }

    /// The pools, up to date.
    #[must_use]
    pub fn pools(&self) -> &Pools {
        &self.pools
    }

    /// The pools, to take turns in them.
    pub fn pools_mut(&mut self) -> &mut Pools {
        &mut self.pools
    }

    /// `node_id`: which process this node is.
    #[must_use]
    pub fn node_id(&self) -> &NodeId {
        &self.own_id
    }

    /// The seeds' `Node.id`: which process a node is, while it is connected.
    #[must_use]
    pub fn id_of(&self, name: &NodeName) -> Option<&NodeId> {
        self.ids.get(name)
    }

    /// Who is connected, and as which process, in the bytewise order of their names.
    pub fn connected(&self) -> impl Iterator<Item = (&NodeName, &NodeId)> {
        self.ids.iter()
    }

    /// `nodeid_to_node`: the connected node that a process is.
    #[must_use]
    pub fn nodeid_to_node(&self, id: &NodeId) -> Option<(&NodeName, &Node)> {
        self.roster.named(self.names.get(id)?.as_str())
    }

    /// `get_active_node_count`: how many of a type are connected; never counts this node itself.
    #[must_use]
    pub fn get_active_node_count(&self, node_type: Role) -> usize {
        let connected = self.roster.nodes_with_type(node_type);
        connected
            .filter(|(name, _)| self.ids.contains_key(*name))
            .count()
    }

    /// `Log::enable_local_logging`: whether this node writes logs. It is a logger then, or a manager where
    /// that is the logger.
    #[must_use]
    pub fn writes_logs(&self) -> bool {
        match self.roster.local_node_type() {
            Role::Logger => true,
            Role::Manager => self.spec.is_manager_logger(self.roster.nodes()),
            Role::None | Role::Control | Role::Proxy | Role::Worker | Role::Controller => false,
        }
    }

    /// `rr_log_topic`: where the next record of a stream goes, each logger in turn; if none is alive, the
    /// stream's default topic.
    pub fn rr_log_topic(&mut self, stream: &str) -> String {
        let logger = self.pools.rr_topic(LOGGER_POOL, RR_LOG_KEY);
        logger.map_or_else(|| self.spec.topics.default_log_topic(stream), str::to_owned)
    }

    /// As [`Membership::rr_log_topic`], for records that outlive their logger: if none is alive, the
    /// topic of the next one all the same, whose successor gets them. `None`: there are no loggers.
    pub fn rr_log_topic_of_any(&mut self) -> Option<&str> {
        self.pools.rr_topic_of_any(LOGGER_POOL, RR_LOG_KEY)
    }
}

fn populate(roster: &Roster, spec: &FrameworkSpec) -> Result<Pools, PoolError> {
    let Some(local) = roster.local() else {
        return Ok(Pools::default());
    };
    let nodes = pool::Nodes {
        nodes: roster.nodes(),
        manager_is_logger: spec.is_manager_logger(roster.nodes()),
    };
    pool::populate(&spec.pools, nodes, local, |name| {
        spec.topics.node_topic(name.as_str())
    })
}

fn error(error: MembershipError) -> Vec<ClusterEvent> {
    vec![ClusterEvent::Error(error)]
}

#[cfg(test)]
mod tests;

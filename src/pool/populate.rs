//! Which nodes are in which pool: the same on every node, from the layout alone.

use std::collections::BTreeMap;

use super::{HashKey, KeyError, Pool, PoolSpec};
use crate::layout::Node;
use crate::layout::spec::Role;
use crate::names::NodeName;

/// Why pools cannot be. Configuration's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Only nodes that share work are pooled.
    #[error(
        "the pool \"{pool}\" wants nodes of type {}; pools are for workers, proxies and loggers",
        node_type.word()
    )]
    NodeType {
        /// The pool.
        pool: String,
        /// What it wants.
        node_type: Role,
    },
    /// An exclusive pool would take all nodes there are.
    #[error("the pool \"{pool}\" is exclusive; say with max_nodes how many nodes it takes")]
    NoMaximum {
        /// The pool.
        pool: String,
    },
    /// The exclusive pools want more nodes than there are.
    #[error(
        "the exclusive pools need {needed} nodes of type {}, and there are {there}; lower their \
         max_nodes, or add nodes",
        node_type.word()
    )]
    NotEnough {
        /// What they want.
        node_type: Role,
        /// Of so many.
        needed: usize,
        /// How many the layout has.
        there: usize,
    },
}

/// What pools are made from.
#[derive(Clone, Copy, Debug)]
pub struct Nodes<'a> {
    /// The layout's nodes.
    pub nodes: &'a BTreeMap<NodeName, Node>,
    /// Whether the manager writes logs, and so is the last member of the loggers' pools.
    pub manager_is_logger: bool,
}

/// The pools of a cluster, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pools(BTreeMap<String, Pool>);

impl Pools {
    /// The pool of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Pool> {
        self.0.get(name)
    }

    /// All pools, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Pool)> {
        self.0.iter().map(|(name, pool)| (name.as_str(), pool))
    }

    /// [`Pool::hrw_topic`] of the pool of this name; `None`, too, if there is none.
    ///
    /// # Errors
    /// As there.
    pub fn hrw_topic(&self, name: &str, key: &HashKey<'_>) -> Result<Option<&str>, KeyError> {
        self.get(name).map_or(Ok(None), |pool| pool.hrw_topic(key))
    }

    /// [`Pool::rr_topic`] of the pool of this name; `None`, too, if there is none.
    pub fn rr_topic(&mut self, name: &str, key: &[u8]) -> Option<&str> {
        self.0.get_mut(name)?.rr_topic(key)
    }

    /// [`Pool::next_rr_topic`] of the pool of this name; `None`, too, if there is none.
    #[must_use]
    pub fn next_rr_topic(&self, name: &str, key: &[u8]) -> Option<&str> {
        self.0.get(name)?.next_rr_topic(key)
    }

    /// [`Pool::rr_topic_of_any`] of the pool of this name; `None`, too, if there is none.
    pub fn rr_topic_of_any(&mut self, name: &str, key: &[u8]) -> Option<&str> {
        self.0.get_mut(name)?.rr_topic_of_any(key)
    }

    /// Tells all pools that a node has come up.
    pub fn node_up(&mut self, name: &NodeName) {
        self.0.values_mut().for_each(|pool| pool.node_up(name));
    }

    /// Tells all pools that a node has gone down.
    pub fn node_down(&mut self, name: &NodeName) {
        self.0.values_mut().for_each(|pool| pool.node_down(name));
    }
}

/// The nodes of a type that are left for pools.
struct Eligible<'a> {
    node_type: Role,
    names: Vec<&'a NodeName>,
    /// Where the next pool that is not exclusive begins, so that small pools take different nodes.
    next: usize,
}

/// Makes the pools as the node `local` sees them: everybody else is down at first. `node_topic` gives the
/// topic of a node.
///
/// Pools choose in the order of their topics, the exclusive ones first.
///
/// # Errors
/// As [`check`].
pub fn populate(
    specs: &BTreeMap<String, PoolSpec>,
    nodes: Nodes<'_>,
    local: &NodeName,
    node_topic: impl Fn(&NodeName) -> String,
) -> Result<Pools, PoolError> {
    check(specs, nodes)?;
    let mut eligible = eligible(nodes);
    let mut order: Vec<(&String, &PoolSpec)> = specs.iter().collect();
    order.sort_by_key(|(_, spec)| (!spec.exclusive, &spec.topic));
    let mut pools = BTreeMap::new();
    for (name, spec) in order {
        let mut pool = Pool::new(spec.clone());
        let of_type = eligible.iter_mut().find(|e| e.node_type == spec.node_type);
        for member in of_type
            .map(|of_type| of_type.take(spec))
            .unwrap_or_default()
        {
            pool.add(member, node_topic(member), member == local);
        }
        pools.insert(name.clone(), pool);
    }
    Ok(Pools(pools))
}

impl<'a> Eligible<'a> {
    fn take(&mut self, spec: &PoolSpec) -> Vec<&'a NodeName> {
        let count = spec.max_nodes.unwrap_or(usize::MAX).min(self.names.len());
        if spec.exclusive {
            return self.names.drain(..count).collect();
        }
        let ring = self.names.iter().copied().cycle();
        let taken = ring.skip(self.next).take(count).collect();
        self.next = (self.next + count)
            .checked_rem(self.names.len())
            .unwrap_or(0);
        taken
    }
}

fn eligible(nodes: Nodes<'_>) -> [Eligible<'_>; 3] {
    let named = |node_type| {
        let of_type = nodes.nodes.iter();
        of_type
            .filter(move |(_, node)| node.node_type == node_type)
            .map(|(name, _)| name)
    };
    [Role::Worker, Role::Proxy, Role::Logger].map(|node_type| {
        let mut names: Vec<_> = named(node_type).collect();
        if node_type == Role::Logger && nodes.manager_is_logger {
            names.extend(named(Role::Manager).next());
        }
        Eligible {
            node_type,
            names,
            next: 0,
        }
    })
}

/// Can there be such pools?
///
/// # Errors
/// [`PoolError`] if the layout cannot give what the pools want.
pub fn check(specs: &BTreeMap<String, PoolSpec>, nodes: Nodes<'_>) -> Result<(), PoolError> {
    let eligible = eligible(nodes);
    for (pool, spec) in specs {
        let (pool, node_type) = (pool.clone(), spec.node_type);
        if eligible.iter().all(|e| e.node_type != node_type) {
            return Err(PoolError::NodeType { pool, node_type });
        }
        if spec.exclusive && spec.max_nodes.is_none() {
            return Err(PoolError::NoMaximum { pool });
        }
    }
    for Eligible {
        node_type, names, ..
    } in &eligible
    {
        let of_type = specs.values().filter(|spec| spec.node_type == *node_type);
        let exclusive = of_type.filter(|spec| spec.exclusive);
        let needed = exclusive
            .filter_map(|spec| spec.max_nodes)
            .fold(0, usize::saturating_add);
        if needed > names.len() {
            return Err(PoolError::NotEnough {
                node_type: *node_type,
                needed,
                there: names.len(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::InstanceName;
    use std::net::Ipv4Addr;

    fn nodes(names: &[(&str, Role)]) -> BTreeMap<NodeName, Node> {
        let node = |node_type| Node {
            node_type,
            ip: Ipv4Addr::LOCALHOST.into(),
            zone_id: String::new(),
            p: None,
            manager: None,
            metrics_port: None,
            instance: InstanceName::parse("here").unwrap(),
            interface: None,
            pcap_file: None,
        };
        names
            .iter()
            .map(|(name, role)| (NodeName::parse(name).unwrap(), node(*role)))
            .collect()
    }

    fn spec(topic: &str, node_type: Role, max_nodes: Option<usize>, exclusive: bool) -> PoolSpec {
        PoolSpec {
            topic: topic.to_owned(),
            node_type,
            max_nodes,
            exclusive,
        }
    }

    /// Populates pools that are named as their topics, in a cluster of 12 workers, 2 proxies, a logger
    /// and a manager, which writes logs too.
    fn populated(specs: &[PoolSpec]) -> Result<Pools, PoolError> {
        let workers: Vec<String> = (1..=12).map(|n| format!("worker-{n}")).collect();
        let mut names: Vec<_> = workers.iter().map(|n| (n.as_str(), Role::Worker)).collect();
        names.extend([
            ("proxy-1", Role::Proxy),
            ("proxy-2", Role::Proxy),
            ("manager", Role::Manager),
            ("logger-1", Role::Logger),
            ("zeus", Role::Control),
        ]);
        let specs = specs.iter().map(|s| (s.topic.clone(), s.clone())).collect();
        let nodes = Nodes {
            nodes: &nodes(&names),
            manager_is_logger: true,
        };
        let local = NodeName::parse("proxy-1").unwrap();
        populate(&specs, nodes, &local, |name| format!("node/{name}/"))
    }

    fn members(pools: &Pools, pool: &str) -> Vec<String> {
        let members = pools.get(pool).unwrap().members();
        members.iter().map(|m| m.name.to_string()).collect()
    }

    #[test]
    fn members_stand_in_bytewise_order_and_only_this_node_is_alive() {
        let all = [
            spec("worker", Role::Worker, None, false),
            spec("proxy", Role::Proxy, None, false),
            spec("logger", Role::Logger, None, false),
        ];
        let pools = populated(&all).unwrap();
        let workers = members(&pools, "worker");
        assert_eq!(
            workers[..4],
            ["worker-1", "worker-10", "worker-11", "worker-12"]
        );
        assert_eq!(workers.len(), 12);
        assert_eq!(members(&pools, "logger"), ["logger-1", "manager"]);
        let proxies = pools.get("proxy").unwrap().members();
        assert_eq!(proxies[0].topic, "node/proxy-1/");
        assert_eq!(
            proxies.iter().map(|m| m.alive).collect::<Vec<_>>(),
            [true, false]
        );
        assert_eq!(pools.get("worker").unwrap().alive_count(), 0);
    }

    #[test]
    fn exclusive_pools_choose_first_whatever_their_topics() {
        let pools = populated(&[
            spec("custom", Role::Proxy, None, false),
            spec("proxy", Role::Proxy, Some(1), true),
        ]);
        let pools = pools.unwrap();
        assert_eq!(members(&pools, "proxy"), ["proxy-1"]);
        assert_eq!(members(&pools, "custom"), ["proxy-2"]);
    }

    #[test]
    fn small_pools_take_different_nodes_and_large_ones_all() {
        let pools = populated(&[
            spec("custom", Role::Proxy, None, false),
            spec("proxy", Role::Proxy, Some(1), false),
        ]);
        let pools = pools.unwrap();
        assert_eq!(members(&pools, "custom"), ["proxy-1", "proxy-2"]);
        assert_eq!(members(&pools, "proxy"), ["proxy-1"]);
        let mut specs = vec![];
        for topic in ["a", "b", "c"] {
            specs.push(spec(topic, Role::Worker, Some(5), false));
        }
        let pools = populated(&specs).unwrap();
        assert_eq!(members(&pools, "b")[0], "worker-3");
        assert_eq!(
            members(&pools, "c")[..3],
            ["worker-8", "worker-9", "worker-1"]
        );
    }

    #[test]
    fn a_limited_pool_whose_node_dies_has_nobody() {
        let specs = [spec("proxy", Role::Proxy, Some(1), false)];
        let mut pools = populated(&specs).unwrap();
        let proxy = NodeName::parse("proxy-1").unwrap();
        pools.node_up(&proxy);
        let key = HashKey::from("alpha");
        assert_eq!(
            pools.hrw_topic("proxy", &key).unwrap(),
            Some("node/proxy-1/")
        );
        assert_eq!(pools.rr_topic("proxy", b""), Some("node/proxy-1/"));
        pools.node_down(&proxy);
        assert_eq!(pools.hrw_topic("proxy", &key).unwrap(), None);
        assert_eq!(pools.rr_topic("proxy", b""), None);
        assert_eq!(pools.rr_topic("nosuch", b""), None);
        assert_eq!(pools.rr_topic_of_any("proxy", b""), Some("node/proxy-1/"));
        assert_eq!(pools.rr_topic_of_any("nosuch", b""), None);
    }

    #[test]
    fn pools_that_cannot_be_are_refused_with_a_reason() {
        let refused = |spec| populated(&[spec]).unwrap_err();
        let pool = "p".to_owned();
        let node_type = Role::Manager;
        assert_eq!(
            refused(spec("p", node_type, None, false)),
            PoolError::NodeType {
                pool: pool.clone(),
                node_type
            }
        );
        assert_eq!(
            refused(spec("p", Role::Worker, None, true)),
            PoolError::NoMaximum { pool }
        );
        let error = refused(spec("p", Role::Proxy, Some(3), true));
        assert_eq!(
            error.to_string(),
            "the exclusive pools need 3 nodes of type proxy, and there are 2; lower their max_nodes, \
             or add nodes"
        );
    }
}

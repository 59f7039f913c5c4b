//! What of a layout comes with a seat: who is in the cluster, and what all of them agree on.
//!
//! It travels as JSON in a sealed memory file, which all seats share.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::spec::Role;
use super::{Layout, Node};
use crate::logging::spec::LogSpec;
use crate::names::NodeName;
use crate::pool::PoolSpec;
use crate::topic::scheme::Topics;

/// What all nodes of a cluster have to agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameworkSpec {
    /// What topics are called.
    pub topics: Topics,
    /// All pools by name, those that there are by themselves among them.
    pub pools: BTreeMap<String, PoolSpec>,
    /// `manager_is_logger`; `None`: it is where the layout has no logger.
    pub manager_is_logger: Option<bool>,
}

impl Default for FrameworkSpec {
    fn default() -> Self {
        Self::of(Topics::default())
    }
}

impl FrameworkSpec {
    /// These topics, and the pools that there are by themselves.
    #[must_use]
    pub fn of(topics: Topics) -> Self {
        Self {
            pools: topics.pool_specs(),
            topics,
            manager_is_logger: None,
        }
    }

    /// Names topics in another way. Pools whose topics follow from their names follow.
    pub fn rename(&mut self, topics: Topics) {
        for (name, pool) in &mut self.pools {
            if pool.topic == self.topics.pool_topic(name) {
                pool.topic = topics.pool_topic(name);
            }
        }
        self.topics = topics;
    }

    /// Whether the manager of these nodes writes logs.
    #[must_use]
    pub fn is_manager_logger(&self, nodes: &BTreeMap<NodeName, Node>) -> bool {
        self.manager_is_logger
            .unwrap_or_else(|| nodes.values().all(|node| node.node_type != Role::Logger))
    }
}

/// What of a layout comes with a seat.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatLayout<'a> {
    /// The nodes of all instances.
    pub nodes: Cow<'a, BTreeMap<NodeName, Node>>,
    /// What they agree on.
    pub framework: Cow<'a, FrameworkSpec>,
    /// What becomes of logs.
    pub logging: Cow<'a, LogSpec>,
}

impl<'a> SeatLayout<'a> {
    /// Of this layout.
    #[must_use]
    pub fn of(layout: &'a Layout) -> Self {
        Self {
            nodes: Cow::Borrowed(&layout.nodes),
            framework: Cow::Borrowed(&layout.settings.framework),
            logging: Cow::Borrowed(&layout.settings.logging),
        }
    }

    /// As it travels.
    ///
    /// # Errors
    /// None that is known: it holds nothing that JSON cannot.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// From what travelled.
    ///
    /// # Errors
    /// It is something else. A bug: both sides are ours.
    pub fn from_json(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }

    /// Every name in what travelled. For who wants to know no more than that.
    ///
    /// # Errors
    /// It is something else.
    pub fn names(bytes: &[u8]) -> serde_json::Result<BTreeSet<NodeName>> {
        #[derive(Deserialize)]
        struct Names {
            nodes: BTreeMap<NodeName, IgnoredAny>,
        }
        let Names { nodes } = serde_json::from_slice(bytes)?;
        Ok(nodes.into_keys().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::layout;
    use super::*;
    use crate::topic::scheme::TopicScheme;

    #[test]
    fn what_travels_comes_as_it_was_sent() {
        let layout = layout(
            r#"(topics: (scheme: Dot), logging: (format: Json, rotate_interval: "1h"), pools: {"proxy": (max_nodes: 1, exclusive: true)},
            nodes: {"m": (node_type: Manager), "p": (node_type: Proxy)})"#,
        );
        let sent = SeatLayout::of(&layout);
        let bytes = sent.to_json().unwrap();
        assert_eq!(SeatLayout::from_json(&bytes).unwrap(), sent);
        let named = ["m", "p"].map(|name| NodeName::parse(name).unwrap());
        assert_eq!(SeatLayout::names(&bytes).unwrap(), named.into());
        assert!(SeatLayout::names(b"{}").is_err());
    }

    #[test]
    fn pools_follow_a_renaming_unless_they_have_a_topic_of_their_own() {
        let mut spec = FrameworkSpec::default();
        let worker = spec.pools["worker"].clone();
        let limited = PoolSpec {
            max_nodes: Some(1),
            ..spec.pools["proxy"].clone()
        };
        let own = PoolSpec {
            topic: "site/workers".to_owned(),
            ..worker
        };
        spec.pools.insert("proxy".to_owned(), limited);
        spec.pools.insert("own".to_owned(), own);
        spec.rename(Topics::of(TopicScheme::Dot));
        assert_eq!(spec.pools["proxy"].topic, "zeek.cluster.pool.proxy");
        assert_eq!(spec.pools["proxy"].max_nodes, Some(1));
        assert_eq!(spec.pools["own"].topic, "site/workers");
        assert_eq!(spec.topics.worker, "zeek.cluster.worker");
    }
}

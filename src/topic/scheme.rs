//! What the cluster's own topics are called.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::layout::spec::Role;
use crate::pool::PoolSpec;

/// The name of the pool of proxies; `Cluster::proxy_pool`.
pub const PROXY_POOL: &str = "proxy";
/// The name of the pool of workers; `Cluster::worker_pool`.
pub const WORKER_POOL: &str = "worker";
/// The name of the pool of loggers; `Cluster::logger_pool`.
pub const LOGGER_POOL: &str = "logger";

/// What topics of changes of tables begin with, in both schemes.
pub const TABLE_PREFIX: &str = "zeek/table/";
/// `Control::topic_prefix`: what topics of the control framework begin with.
pub const CONTROL: &str = "zeek/control";
/// `SupervisorControl::topic_prefix`: the topic of the supervisor.
pub const SUPERVISOR: &str = "zeek/supervisor";

/// How the parts of a topic are set apart. Slashes are those of the seeds' Broker backend, dots those of
/// their `ZeroMQ` backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TopicScheme {
    /// `zeek/cluster/worker`, as with Broker; prefixes carry the slash themselves.
    #[default]
    Slash,
    /// `zeek.cluster.worker`, as with `ZeroMQ`; dots are put around what follows a prefix.
    Dot,
}

/// A function of the program's that makes a topic of a name or an id. What it makes has to end so that no
/// other one begins with it. Stands for a redefinition of `Cluster::node_topic` or
/// `Cluster::nodeid_topic`.
#[derive(Clone, Copy, Debug)]
pub struct TopicFunction(pub fn(&str) -> String);

impl PartialEq for TopicFunction {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::fn_addr_eq(self.0, other.0)
    }
}

impl Eq for TopicFunction {}

/// The topics of a cluster as they are in force: `Cluster::logger_topic` and the like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topics {
    /// How `node_topic` and `nodeid_topic` are put together.
    pub scheme: TopicScheme,
    /// `logger_topic`: reaches every logger.
    pub logger: String,
    /// `manager_topic`: reaches the manager.
    pub manager: String,
    /// `proxy_topic`: reaches every proxy.
    pub proxy: String,
    /// `worker_topic`: reaches every worker.
    pub worker: String,
    /// `node_topic_prefix`
    pub node_prefix: String,
    /// `nodeid_topic_prefix`
    pub nodeid_prefix: String,
    /// `Broker::default_log_topic_prefix`
    pub log_prefix: String,
    /// `Cluster::Experimental::cluster_started_topic`: the manager says there that all nodes reach all.
    pub started: String,
    /// `node_topic`, redefined; `None`: as the scheme and `node_prefix` say. A program's own, so it does
    /// not travel.
    #[serde(skip)]
    pub node_by: Option<TopicFunction>,
    /// `nodeid_topic`, redefined; `None`: as the scheme and `nodeid_prefix` say. A program's own, too.
    #[serde(skip)]
    pub nodeid_by: Option<TopicFunction>,
}

impl Default for Topics {
    fn default() -> Self {
        Self::of(TopicScheme::default())
    }
}

impl Topics {
    /// The defaults of a scheme.
    #[must_use]
    pub fn of(scheme: TopicScheme) -> Self {
        let prefix = |part| match scheme {
            TopicScheme::Slash => scheme.topic(part) + "/",
            TopicScheme::Dot => scheme.topic(part),
        };
        Self {
            scheme,
            logger: scheme.topic("logger"),
            manager: scheme.topic("manager"),
            proxy: scheme.topic("proxy"),
            worker: scheme.topic("worker"),
            node_prefix: prefix("node"),
            nodeid_prefix: prefix("nodeid"),
            log_prefix: "zeek/logs/".to_owned(),
            started: "zeek/cluster/experimental/started".to_owned(),
            node_by: None,
            nodeid_by: None,
        }
    }

    /// `node_topic`: reaches the node of this name. Ends with a separator, so that what is for `worker-1`
    /// does not reach `worker-10`.
    #[must_use]
    pub fn node_topic(&self, name: &str) -> String {
        match self.node_by {
            Some(function) => function.0(name),
            None => self.scheme.below(&self.node_prefix, name),
        }
    }

    /// `nodeid_topic`: reaches the process of this node id. Ends with a separator, too.
    #[must_use]
    pub fn nodeid_topic(&self, id: &str) -> String {
        match self.nodeid_by {
            Some(function) => function.0(id),
            None => self.scheme.below(&self.nodeid_prefix, id),
        }
    }

    /// Whose topic [`Topics::nodeid_topic`] made this, if it did. `None` where that is the program's own
    /// function, which has no way back.
    #[must_use]
    pub fn nodeid_of<'a>(&self, topic: &'a str) -> Option<&'a str> {
        if self.nodeid_by.is_some() {
            return None;
        }
        let id = topic.strip_prefix(self.nodeid_prefix.as_str())?;
        let id = match self.scheme {
            TopicScheme::Slash => id,
            TopicScheme::Dot => id.strip_prefix('.')?,
        };
        let id = id.strip_suffix(self.scheme.separator())?;
        (!id.is_empty()).then_some(id)
    }

    /// The topic that reaches every node of a type, for the types that have one: `Cluster::logger_topic`,
    /// `manager_topic`, `proxy_topic` and `worker_topic`.
    #[must_use]
    pub fn type_topic(&self, node_type: Role) -> Option<&str> {
        match node_type {
            Role::Logger => Some(&self.logger),
            Role::Manager => Some(&self.manager),
            Role::Proxy => Some(&self.proxy),
            Role::Worker => Some(&self.worker),
            Role::None | Role::Control | Role::Controller => None,
        }
    }

    /// `broadcast_topics`: to publish to everybody, publish to each of them. They follow the topics in
    /// force.
    #[must_use]
    pub fn broadcast_topics(&self) -> [&str; 4] {
        [&self.logger, &self.manager, &self.proxy, &self.worker]
    }

    /// `Broker::default_log_topic`: where records of a stream go if no logger is chosen for them.
    #[must_use]
    pub fn default_log_topic(&self, stream: &str) -> String {
        format!("{}{stream}", self.log_prefix)
    }

    /// The topic of a pool that says nothing else; it is its `PoolSpec$topic`.
    #[must_use]
    pub fn pool_topic(&self, pool: &str) -> String {
        self.scheme.topic("pool") + self.scheme.separator() + pool
    }

    /// `proxy_pool_spec`, `worker_pool_spec` and `logger_pool_spec`, by the names of their pools.
    #[must_use]
    pub fn pool_specs(&self) -> BTreeMap<String, PoolSpec> {
        [
            (PROXY_POOL, Role::Proxy),
            (WORKER_POOL, Role::Worker),
            (LOGGER_POOL, Role::Logger),
        ]
        .map(|(name, node_type)| {
            let spec = PoolSpec {
                topic: self.pool_topic(name),
                node_type,
                max_nodes: None,
                exclusive: false,
            };
            (name.to_owned(), spec)
        })
        .into()
    }
}

impl TopicScheme {
    fn separator(self) -> &'static str {
        match self {
            Self::Slash => "/",
            Self::Dot => ".",
        }
    }

    fn topic(self, part: &str) -> String {
        ["zeek", "cluster", part].join(self.separator())
    }

    fn below(self, prefix: &str, part: &str) -> String {
        match self {
            Self::Slash => format!("{prefix}{part}/"),
            Self::Dot => format!("{prefix}.{part}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_called_as_in_zeek() {
        let slash = Topics::default();
        assert_eq!(
            slash.broadcast_topics(),
            [
                "zeek/cluster/logger",
                "zeek/cluster/manager",
                "zeek/cluster/proxy",
                "zeek/cluster/worker"
            ]
        );
        assert_eq!(slash.node_topic("worker-1"), "zeek/cluster/node/worker-1/");
        assert_eq!(slash.nodeid_topic("4711"), "zeek/cluster/nodeid/4711/");
        assert_eq!(
            slash.default_log_topic("Cluster::LOG"),
            "zeek/logs/Cluster::LOG"
        );
        assert_eq!(
            slash.pool_specs()["logger"].topic,
            "zeek/cluster/pool/logger"
        );
        let dot = Topics::of(TopicScheme::Dot);
        assert_eq!(dot.worker, "zeek.cluster.worker");
        assert_eq!(dot.node_topic("worker-1"), "zeek.cluster.node.worker-1.");
        assert_eq!(dot.nodeid_topic("4711"), "zeek.cluster.nodeid.4711.");
        assert_eq!(dot.pool_specs()["proxy"].topic, "zeek.cluster.pool.proxy");
    }

    #[test]
    fn what_is_for_one_node_reaches_no_other_whose_name_begins_the_same() {
        for scheme in [TopicScheme::Slash, TopicScheme::Dot] {
            let topics = Topics::of(scheme);
            for name in ["worker-1", "worker-10", "worker-2", "worker-20"] {
                for other in ["worker-1", "worker-10", "worker-2", "worker-20"] {
                    let reaches = topics
                        .node_topic(name)
                        .starts_with(&topics.node_topic(other));
                    assert_eq!(reaches, name == other);
                }
            }
        }
    }

    #[test]
    fn broadcasts_follow_a_redefined_topic() {
        let topics = Topics {
            worker: "site/worker".to_owned(),
            ..Topics::default()
        };
        assert!(topics.broadcast_topics().contains(&"site/worker"));
        assert_eq!(topics.type_topic(Role::Worker), Some("site/worker"));
        assert_eq!(topics.type_topic(Role::Control), None);
    }

    #[test]
    fn a_programs_own_functions_name_nodes_and_processes() {
        let topics = Topics {
            node_by: Some(TopicFunction(|name| format!("site/{name}/"))),
            nodeid_by: Some(TopicFunction(|id| format!("process/{id}/"))),
            ..Topics::default()
        };
        assert_eq!(topics.node_topic("worker-1"), "site/worker-1/");
        assert_eq!(topics.nodeid_topic("4711"), "process/4711/");
        assert_eq!(topics.nodeid_of("process/4711/"), None);
        assert_eq!(topics.nodeid_of("zeek/cluster/nodeid/4711/"), None);
        assert_eq!(topics, topics.clone());
        assert_ne!(topics, Topics::default());
        // They stay with the program: nobody else could call them.
        let travelled = serde_json::to_string(&topics).unwrap();
        let came: Topics = serde_json::from_str(&travelled).unwrap();
        assert_eq!(came, Topics::default());
    }

    #[test]
    fn a_node_id_is_read_from_its_topic_and_from_no_other() {
        for scheme in [TopicScheme::Slash, TopicScheme::Dot] {
            let topics = Topics::of(scheme);
            let topic = topics.nodeid_topic("zeromq_w_host_1_Nab.c");
            assert_eq!(topics.nodeid_of(&topic), Some("zeromq_w_host_1_Nab.c"));
            assert_eq!(topics.nodeid_of(&topic[..topic.len() - 1]), None);
            assert_eq!(topics.nodeid_of(&topics.nodeid_topic("")), None);
            assert_eq!(topics.nodeid_of(&topics.node_topic("worker-1")), None);
        }
    }
}

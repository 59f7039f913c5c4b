//! What a node subscribes to be a node of its cluster.

use super::{BackendTag, Membership, TABLE_PREFIX};
use crate::layout::spec::Role;

/// The topics that this node subscribes at its start, in this order.
///
/// None if it is in no cluster.
#[must_use]
pub fn local_subscriptions(membership: &Membership, backend: BackendTag) -> Vec<String> {
    let (roster, topics) = (membership.roster(), membership.topics());
    let node_type = roster.local_node_type();
    let Some(local) = roster.local().filter(|_| node_type != Role::None) else {
        return Vec::new();
    };
    let pools = membership.pools().iter();
    let pools = pools.filter(|(_, pool)| pool.member(local).is_some());
    let mut wanted: Vec<String> = pools.map(|(_, pool)| pool.spec().topic.clone()).collect();
    wanted.push(topics.nodeid_topic(membership.node_id().as_str()));
    wanted.push(topics.node_topic(local.as_str()));
    if let Some(topic) = topics.type_topic(node_type) {
        wanted.push(TABLE_PREFIX.to_owned());
        wanted.push(topic.to_owned());
    }
    if membership.writes_logs() && backend.logs_have_topics() {
        wanted.push(topics.log_prefix.clone());
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::super::sample::{id, membership, name, node, nodes};
    use super::super::{FrameworkSpec, Roster, TopicScheme, Topics};
    use super::*;

    #[test]
    fn a_node_wants_its_pools_itself_and_its_type() {
        let wanted = |local| local_subscriptions(&membership(local), BackendTag::Broker);
        assert_eq!(
            wanted("worker-1"),
            [
                "zeek/cluster/pool/worker",
                "zeek/cluster/nodeid/own/",
                "zeek/cluster/node/worker-1/",
                "zeek/table/",
                "zeek/cluster/worker",
            ]
        );
        assert_eq!(
            wanted("logger-1"),
            [
                "zeek/cluster/pool/logger",
                "zeek/cluster/nodeid/own/",
                "zeek/cluster/node/logger-1/",
                "zeek/table/",
                "zeek/cluster/logger",
                "zeek/logs/",
            ]
        );
        assert!(!wanted("manager").contains(&"zeek/logs/".to_owned()));
        assert!(wanted("manager").contains(&"zeek/cluster/manager".to_owned()));
    }

    #[test]
    fn a_manager_that_writes_logs_wants_them_where_they_have_topics() {
        let wanted = |scheme, backend| {
            let spec = FrameworkSpec::of(Topics::of(scheme));
            let mut nodes = nodes();
            nodes.remove("logger-1");
            let roster = Roster::new(Some(name("manager")), nodes);
            let membership = Membership::new(roster, id("own"), spec).unwrap();
            local_subscriptions(&membership, backend)
        };
        let broker = wanted(TopicScheme::Slash, BackendTag::Broker);
        assert_eq!(broker[0], "zeek/cluster/pool/logger");
        assert_eq!(broker.last().unwrap(), "zeek/logs/");
        let zeromq = wanted(TopicScheme::Dot, BackendTag::ZeroMq);
        assert_eq!(zeromq[0], "zeek.cluster.pool.logger");
        assert_eq!(zeromq.last().unwrap(), "zeek.cluster.manager");
    }

    #[test]
    fn a_control_node_wants_only_itself_and_a_node_in_no_cluster_nothing() {
        let mut nodes = nodes();
        nodes.insert(name("control"), node(Role::Control));
        let wanted = |local: Option<&str>| {
            let roster = Roster::new(local.map(name), nodes.clone());
            let membership = Membership::new(roster, id("own"), FrameworkSpec::default()).unwrap();
            local_subscriptions(&membership, BackendTag::Broker)
        };
        assert_eq!(
            wanted(Some("control")),
            ["zeek/cluster/nodeid/own/", "zeek/cluster/node/control/"]
        );
        assert!(wanted(None).is_empty());
        assert!(wanted(Some("unknown")).is_empty());
    }
}

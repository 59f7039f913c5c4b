//! A cluster for tests: a logger, a manager, two proxies, three workers.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::{FrameworkSpec, Membership, NodeId, Roster};
use crate::layout::Node;
use crate::layout::spec::Role;
use crate::names::{InstanceName, NodeName};

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

pub(crate) fn id(text: &str) -> NodeId {
    text.into()
}

pub(crate) fn nodes() -> BTreeMap<NodeName, Node> {
    let named = [
        ("logger-1", Role::Logger),
        ("manager", Role::Manager),
        ("proxy-1", Role::Proxy),
        ("proxy-2", Role::Proxy),
        ("worker-1", Role::Worker),
        ("worker-10", Role::Worker),
        ("worker-2", Role::Worker),
    ];
    named
        .iter()
        .map(|(text, node_type)| (name(text), node(*node_type)))
        .collect()
}

pub(crate) fn node(node_type: Role) -> Node {
    let is_managed = matches!(node_type, Role::Proxy | Role::Worker);
    Node {
        node_type,
        ip: Ipv4Addr::LOCALHOST.into(),
        zone_id: String::new(),
        p: None,
        manager: is_managed.then(|| name("manager")),
        metrics_port: (node_type == Role::Manager).then_some(9911),
        instance: InstanceName::parse("here").unwrap(),
        interface: None,
        pcap_file: None,
    }
}

pub(crate) fn roster(local: &str) -> Roster {
    Roster::new(Some(name(local)), nodes())
}

pub(crate) fn membership(local: &str) -> Membership {
    Membership::new(roster(local), id("own"), FrameworkSpec::default()).unwrap()
}

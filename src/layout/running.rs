//! What runs already while nodes are added to it. Empty while a layout is read.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::spec::{ChildSpec, Role};
use super::{Layout, Node};
use crate::names::{InstanceName, NodeName};

/// The running layout, as the steps of reading ask for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Running<'a> {
    /// This host's instance; `None`: nothing runs, a layout is being read.
    pub(super) here: Option<&'a InstanceName>,
    pub(super) nodes: Vec<(&'a NodeName, &'a Node)>,
    pub(super) children: &'a [ChildSpec],
    /// Every name in use, with its stage where it runs on this instance.
    pub(super) names: BTreeMap<&'a str, Option<u16>>,
}

impl<'a> Running<'a> {
    pub(super) fn of(layout: &'a Layout) -> Self {
        let nodes = layout.nodes.keys().map(|name| (name.as_str(), None));
        let children = layout.children.iter();
        let children = children.map(|child| (child.name.as_str(), Some(child.stage)));
        Self {
            here: Some(&layout.instance),
            nodes: layout.nodes.iter().collect(),
            children: &layout.children,
            names: nodes.chain(children).collect(),
        }
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The names and stages of what runs on this instance.
    pub(super) fn stages(&self) -> impl Iterator<Item = (&'a str, u16)> {
        self.names
            .iter()
            .filter_map(|(name, stage)| stage.map(|stage| (*name, stage)))
    }

    pub(super) fn manager(&self) -> Option<&'a str> {
        let found = self
            .nodes
            .iter()
            .find(|(_, node)| node.node_type == Role::Manager);
        found.map(|(name, _)| name.as_str())
    }

    /// Who listens where: instance, address and name.
    pub(super) fn ports(&self) -> Vec<(&'a InstanceName, SocketAddr, &'a str)> {
        let at = |ip: IpAddr, port| SocketAddr::new(ip, port);
        let nodes = self.nodes.iter().filter_map(|(name, node)| {
            let port = node.p?;
            Some((&node.instance, at(node.ip, port), name.as_str()))
        });
        let here = self.here;
        let children = self.children.iter().flat_map(|child| {
            let addresses = child.listen.iter();
            addresses.filter_map(move |address| Some((here?, *address, child.name.as_str())))
        });
        nodes.chain(children).collect()
    }
}

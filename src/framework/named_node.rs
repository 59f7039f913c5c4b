//! A node with its name, or nobody: the seeds' `NamedNode`.

use std::net::{IpAddr, Ipv4Addr};

use crate::layout::Node;
use crate::layout::spec::Role;
use crate::names::NodeName;

/// The seeds' `NamedNode`, which their `nodeid_to_node` gives also where there is none. Made of what
/// [`super::Membership::nodeid_to_node`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamedNode<'a>(Option<(&'a NodeName, &'a Node)>);

impl<'a> From<Option<(&'a NodeName, &'a Node)>> for NamedNode<'a> {
    fn from(found: Option<(&'a NodeName, &'a Node)>) -> Self {
        Self(found)
    }
}

impl<'a> NamedNode<'a> {
    /// `name`; empty for nobody.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.0.map_or("", |(name, _)| name.as_str())
    }

    /// `node`; the seeds' null node for nobody is `None`.
    #[must_use]
    pub fn node(&self) -> Option<&'a Node> {
        self.0.map(|(_, node)| node)
    }

    /// `node$node_type`; [`Role::None`] for nobody.
    #[must_use]
    pub fn node_type(&self) -> Role {
        self.node().map_or(Role::None, |node| node.node_type)
    }

    /// `node$ip`; 0.0.0.0 for nobody.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.node()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |node| node.ip)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{name, roster};
    use super::*;

    #[test]
    fn nobody_has_no_name_no_type_and_no_address() {
        let nobody = NamedNode::from(None);
        assert_eq!((nobody.name(), nobody.node_type()), ("", Role::None));
        assert_eq!(nobody.ip().to_string(), "0.0.0.0");
        assert_eq!(nobody.node(), None);
        let roster = roster("manager");
        let found = NamedNode::from(roster.named("worker-1"));
        assert_eq!(
            (found.name(), found.node_type()),
            ("worker-1", Role::Worker)
        );
        assert_eq!(found.node(), roster.node(&name("worker-1")));
        assert_eq!(Some(found.ip()), found.node().map(|node| node.ip));
    }
}

//! The hook that may keep this node from another one.

use std::collections::BTreeSet;
use std::fmt;

use super::Cluster;
use crate::framework::Roster;
use crate::layout::Node;
use crate::names::NodeName;

type ConnectHook = Box<dyn FnMut(&NodeName, &Node) -> bool + Send>;

/// `Cluster::connect_node_hook`, and what it said.
#[derive(Default)]
pub(super) struct Connections {
    hooks: Vec<ConnectHook>,
    /// The nodes that this one is not to connect to.
    spared: BTreeSet<NodeName>,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connections").field(&self.spared).finish()
    }
}

impl Connections {
    /// Asks the hooks about everybody but this node who was not in the layout before.
    pub(super) fn ask(&mut self, before: Option<&Roster>, roster: &Roster) {
        self.spared.retain(|name| roster.node(name).is_some());
        for (name, node) in roster.nodes() {
            let is_known = before.is_some_and(|before| before.node(name).is_some());
            if is_known || roster.local() == Some(name) {
                continue;
            }
            // Every hook is asked, whatever the others said.
            let vetoes = self.hooks.iter_mut().filter_map(|hook| {
                let connects = hook(name, node);
                (!connects).then_some(())
            });
            if vetoes.count() > 0 {
                self.spared.insert(name.clone());
            }
        }
    }

    pub(super) fn spared(&self) -> &BTreeSet<NodeName> {
        &self.spared
    }
}

impl Cluster {
    /// `connect_node_hook`: is asked once about each other node of the layout, in [`Cluster::init`] or when
    /// a new layout brings the node, whether this node is to connect to it. With false, this node neither
    /// waits for it to be fully connected, nor sees it come or go, nor gives it turns in pools. Every hook
    /// is asked. Where nodes share a host there is no connection to be kept from, so what the other one
    /// publishes on topics that this node subscribed comes all the same.
    pub fn on_connect_node(&mut self, hook: impl FnMut(&NodeName, &Node) -> bool + Send + 'static) {
        self.connections.hooks.push(Box::new(hook));
    }
}

//! Who works with whom on this host, as the seeds' roles do, and what that takes: rings, bytes, descriptors.

use std::collections::BTreeMap;

use super::Node;
use super::context::Context;
use super::spec::{ChildSpec, Role};
use crate::fabric::streams::ACCOUNT_BYTES;
use crate::fabric::{FabricSpec, MEMBERS_MAX, Transport};
use crate::names::{InstanceName, NodeName};

/// So many links of two roles are listed one by one; more are only counted.
pub(super) const LINKS_LISTED_MAX: usize = 24;

/// The rings of a link: for control and for bulk, there and back. They are made when they are used.
const RINGS_PER_LINK: usize = 4;

/// The supervisor's descriptors for each child: pidfd, two outputs, control, heartbeat, log files, and
/// room for a hook.
const DESCRIPTORS_PER_CHILD: usize = 8;

/// For each member of the cluster: the two of its bell, and the stem's end of its seat socket.
const DESCRIPTORS_PER_MEMBER: usize = 3;

/// The supervisor's own descriptors.
const DESCRIPTORS_OWN: usize = 64;

/// The links between two roles.
pub(super) struct Links<'a> {
    pub(super) from: Role,
    pub(super) to: Role,
    pub(super) count: usize,
    /// The first of them.
    pub(super) pairs: Vec<(&'a NodeName, &'a NodeName)>,
}

/// Who works with whom, of the nodes of this host. A proxy or worker does with the manager it names. Any
/// node can publish to any other besides, which [`Needs::rings_max`] bounds.
pub(super) fn links<'a>(
    nodes: impl IntoIterator<Item = (&'a NodeName, &'a Node)>,
    instance: &InstanceName,
) -> Vec<Links<'a>> {
    let mut here: BTreeMap<Role, Vec<(&NodeName, &Node)>> = BTreeMap::new();
    for (name, node) in nodes {
        if node.instance == *instance {
            here.entry(node.node_type).or_default().push((name, node));
        }
    }
    let of = |role: Role| here.get(&role).map(Vec::as_slice).unwrap_or_default();
    [
        (Role::Manager, Role::Logger),
        (Role::Proxy, Role::Logger),
        (Role::Proxy, Role::Manager),
        (Role::Worker, Role::Logger),
        (Role::Worker, Role::Proxy),
        (Role::Worker, Role::Manager),
    ]
    .into_iter()
    .filter_map(|(from, to)| {
        let connects = |dialer: &Node, name: &NodeName| {
            to != Role::Manager || dialer.manager.as_ref() == Some(name)
        };
        let pairs = || {
            of(to).iter().flat_map(|(name, _)| {
                let dialers = of(from).iter().filter(|(_, node)| connects(node, name));
                dialers.map(|(dialer, _)| (*dialer, *name))
            })
        };
        // There is one manager, so only the other pairs could be too many to count one by one.
        let count = match to {
            Role::Manager => pairs().count(),
            Role::None
            | Role::Control
            | Role::Logger
            | Role::Proxy
            | Role::Worker
            | Role::Controller => of(from).len() * of(to).len(),
        };
        (count > 0).then(|| Links {
            from,
            to,
            count,
            pairs: pairs().take(LINKS_LISTED_MAX).collect(),
        })
    })
    .collect()
}

/// What a layout takes on this host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needs {
    pub(super) children: usize,
    /// Children that sit on the board.
    members: usize,
    pub(super) links: usize,
    /// What the links are.
    transport: Transport,
}

impl Needs {
    pub(super) fn of<'a>(
        children: impl IntoIterator<Item = &'a ChildSpec>,
        links: &[Links<'_>],
        transport: Transport,
    ) -> Self {
        let mut needs = Self {
            links: links.iter().map(|l| l.count).sum(),
            transport,
            ..Self::default()
        };
        for child in children {
            needs.children += 1;
            needs.members += usize::from(child.role != Role::None);
        }
        needs
    }

    /// The rings when each of these links is used both ways.
    pub(super) fn rings(self) -> usize {
        self.links.saturating_mul(RINGS_PER_LINK)
    }

    /// The rings if every member publishes what every other one wants.
    pub(super) fn rings_max(self) -> usize {
        let pairs = self.members.saturating_mul(self.members.saturating_sub(1));
        pairs.saturating_mul(RINGS_PER_LINK / 2)
    }

    /// Bytes of so many rings, as they are made at first; of streams, of their accounts.
    pub(super) fn ring_bytes(rings: usize, fabric: &FabricSpec) -> u64 {
        let pair = match fabric.transport {
            Transport::Ring => u64::from(fabric.control_bytes) + u64::from(fabric.bulk_bytes),
            Transport::Unix => 2 * u64::from(ACCOUNT_BYTES),
        };
        let pairs = u64::try_from(rings / 2).unwrap_or(u64::MAX);
        pairs.saturating_mul(pair)
    }

    /// How many descriptors the supervisor, or the stem, may come to hold.
    pub(super) fn descriptors(self) -> u64 {
        let of_links = self.transport.descriptors_a_link();
        let held = self
            .children
            .saturating_mul(DESCRIPTORS_PER_CHILD)
            .saturating_add(self.members.saturating_mul(DESCRIPTORS_PER_MEMBER))
            .saturating_add(self.rings().saturating_mul(of_links))
            .saturating_add(DESCRIPTORS_OWN);
        u64::try_from(held).unwrap_or(u64::MAX)
    }

    /// Refuses what the descriptor limit cannot hold.
    pub(super) fn check(self, ctx: &mut Context<'_>) {
        let needed = self.descriptors();
        let allowed = ctx.host.descriptors_max();
        if needed > allowed {
            let rings = match self.rings() {
                0 => String::new(),
                rings => format!(" and their {rings} rings"),
            };
            let message = format!(
                "{} children{rings} need about {needed} descriptors, and the limit is {allowed}",
                self.children
            );
            let hint = "raise the hard limit (ulimit -Hn, LimitNOFILE=), or start fewer";
            ctx.report.error(&["nodes"], message, hint);
        }
        if self.members > MEMBERS_MAX {
            let message = format!(
                "{} members of the cluster, and a host's board has places for {MEMBERS_MAX}",
                self.members
            );
            let hint = "the others run, and neither send nor receive; put them on another instance";
            ctx.report.warning(&["nodes"], message, hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_takes_a_descriptor_more_than_a_ring() {
        let [rings, streams] = [Transport::Ring, Transport::Unix].map(|transport| Needs {
            children: 3,
            members: 3,
            links: 2,
            transport,
        });
        assert_eq!((rings.rings(), streams.rings()), (8, 8));
        assert_eq!(rings.descriptors(), 3 * 8 + 3 * 3 + 8 + 64);
        assert_eq!(streams.descriptors(), rings.descriptors() + 8);
    }
}

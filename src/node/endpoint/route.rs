//! The last topic published, and where it goes: a stream of records on one topic looks it up once.

use crate::fabric::{Class, FabricSpec, Policy, Slot};
use crate::layout::spec::Role;
use crate::shm::board::{Entry, State};
use crate::topic::LOCAL;

use super::peers::Peers;
use super::seating::Identity;

/// Whom a record reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// So many want its topic.
    pub wanted: usize,
    /// In the rings of so many of them it lies whole.
    pub taken: usize,
}

impl Reach {
    /// Everybody who wants it has it.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.taken == self.wanted
    }
}

#[derive(Debug)]
pub(super) struct Route {
    topic: Vec<u8>,
    /// Of the peers, at the look-up.
    version: Option<u64>,
    pub(super) class: Class,
    pub(super) targets: Vec<Target>,
}

/// One who wants the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) to: Slot,
    /// What becomes of a record that finds no room. It blocks only toward those who are waited for.
    pub(super) policy: Policy,
}

impl Route {
    pub(super) fn new() -> Self {
        Self {
            topic: Vec::new(),
            version: None,
            class: Class::Bulk,
            targets: Vec::new(),
        }
    }

    /// Does it still lead where the topic goes?
    #[inline]
    pub(super) fn is_for(&self, topic: &[u8], peers: &Peers) -> bool {
        self.version == Some(peers.version()) && self.topic == topic
    }

    /// Looks the topic up.
    #[cold]
    pub(super) fn find(&mut self, topic: &[u8], me: &Identity, peers: &Peers, spec: &FabricSpec) {
        topic.clone_into(&mut self.topic);
        self.version = Some(peers.version());
        self.class = class(topic, spec);
        self.targets.clear();
        if !topic.starts_with(LOCAL) {
            peers.for_each_subscriber(topic, |to| {
                let peer = peers.entry(*to);
                let policy = peer.map_or(Policy::DropNewest, |peer| policy(topic, me, peer, spec));
                self.targets.push(Target { to: *to, policy });
            });
        }
    }
}

/// What becomes of a record toward a node that finds no room.
fn policy(topic: &[u8], me: &Identity, peer: &Entry, spec: &FabricSpec) -> Policy {
    let said = spec.policy(topic, (&me.name, me.role), (&peer.name, peer.role));
    let said = said.unwrap_or(Policy::Block(spec.block));
    if matches!(said, Policy::Block(_)) && !may_wait_for(me.role, peer) {
        return Policy::DropNewest;
    }
    said
}

/// Only loggers are waited for, and they wait for nobody: so no circle can form.
pub(super) fn may_wait_for(me: Role, peer: &Entry) -> bool {
    me != Role::Logger
        && peer.role == Role::Logger
        && !matches!(peer.state, State::Away | State::Left)
}

fn class(topic: &[u8], spec: &FabricSpec) -> Class {
    let mut control = spec.control_topics.iter();
    if control.any(|prefix| topic.starts_with(prefix.as_bytes())) {
        Class::Control
    } else {
        Class::Bulk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_prefix_that_matches_says_the_class() {
        let spec = FabricSpec::default();
        assert_eq!(class(b"zeek/cluster/worker/w-1", &spec), Class::Control);
        assert_eq!(class(b"zeek/logs/conn", &spec), Class::Bulk);
    }
}

//! The last topic published, and where it goes: a stream of records on one topic looks it up once.

use crate::fabric::{Class, FabricSpec, Policy, Slot};
use crate::layout::spec::Role;
use crate::shm::board::{Entry, State};
use crate::topic::LOCAL;

use super::peers::Peers;

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
    /// What the layout says of such topics; none: what the target's role says.
    pub(super) policy: Option<Policy>,
    pub(super) targets: Vec<Target>,
}

/// One who wants the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) to: Slot,
    /// A record that does not find room in its ring is dropped, and nothing else happens.
    pub(super) drops_newest: bool,
}

impl Route {
    pub(super) fn new() -> Self {
        Self {
            topic: Vec::new(),
            version: None,
            class: Class::Bulk,
            policy: None,
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
    pub(super) fn find(&mut self, topic: &[u8], me: Role, peers: &Peers, spec: &FabricSpec) {
        topic.clone_into(&mut self.topic);
        self.version = Some(peers.version());
        self.class = class(topic, spec);
        self.policy = policy(topic, spec);
        self.targets.clear();
        if !topic.starts_with(LOCAL) {
            peers.for_each_subscriber(topic, |to| {
                let drops_newest = match self.policy {
                    Some(Policy::DropNewest) => true,
                    Some(Policy::Disconnect | Policy::DropOldest) => false,
                    Some(Policy::Block(_)) | None => {
                        !peers.entry(*to).is_some_and(|peer| may_wait_for(me, peer))
                    }
                };
                self.targets.push(Target {
                    to: *to,
                    drops_newest,
                });
            });
        }
    }
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

fn policy(topic: &[u8], spec: &FabricSpec) -> Option<Policy> {
    let policies = spec.policies.iter();
    let matching = policies.filter(|(prefix, _)| topic.starts_with(prefix.as_bytes()));
    let longest = matching.max_by_key(|(prefix, _)| prefix.len());
    longest.map(|(_, policy)| *policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_says_what_becomes_of_a_record_and_the_first_match_its_class() {
        let spec = FabricSpec {
            policies: vec![
                ("zeek/".to_owned(), Policy::Disconnect),
                ("zeek/logs/".to_owned(), Policy::DropNewest),
            ],
            ..FabricSpec::default()
        };
        assert_eq!(policy(b"zeek/logs/conn", &spec), Some(Policy::DropNewest));
        assert_eq!(policy(b"zeek/x", &spec), Some(Policy::Disconnect));
        assert_eq!(policy(b"other", &spec), None);
        assert_eq!(class(b"zeek/cluster/worker/w-1", &spec), Class::Control);
        assert_eq!(class(b"zeek/logs/conn", &spec), Class::Bulk);
    }
}

//! What a layout says of single links: what becomes of a record that finds its ring full, and how a node
//! waits.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{FabricSpec, Policy, Transport, Wait};
use crate::layout::spec::Role;
use crate::names::NodeName;

/// One end of a link: a node, or all of a type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum End {
    /// The node of this name.
    Node(NodeName),
    /// Every node of this type.
    Type(Role),
}

impl End {
    /// Is it this node?
    #[must_use]
    pub fn fits(&self, name: &NodeName, role: Role) -> bool {
        match self {
            Self::Node(own) => own == name,
            Self::Type(own) => *own == role,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => name.fmt(out),
            Self::Type(role) => write!(out, "every {}", role.word()),
        }
    }
}

/// What becomes of records of some topics on some links that find their ring full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkPolicy {
    /// Topics that begin with this.
    pub topic: String,
    /// Who publishes; `None`: anybody.
    pub from: Option<End>,
    /// Who wants them; `None`: anybody.
    pub to: Option<End>,
    /// What becomes of them.
    pub policy: Policy,
}

impl LinkPolicy {
    /// Of a topic, on all links.
    #[must_use]
    pub fn of_topic(topic: &str, policy: Policy) -> Self {
        Self {
            topic: topic.to_owned(),
            from: None,
            to: None,
            policy,
        }
    }

    fn fits(&self, topic: &[u8], from: (&NodeName, Role), to: (&NodeName, Role)) -> bool {
        let is = |end: &Option<End>, (name, role)| {
            end.as_ref().is_none_or(|end: &End| end.fits(name, role))
        };
        topic.starts_with(self.topic.as_bytes()) && is(&self.from, from) && is(&self.to, to)
    }

    /// The higher one holds of two that fit.
    fn rank(&self) -> (usize, usize) {
        let says = |end: &Option<End>| match end {
            Some(End::Node(_)) => 2,
            Some(End::Type(_)) => 1,
            None => 0,
        };
        (self.topic.len(), says(&self.from) + says(&self.to))
    }
}

impl FabricSpec {
    /// What becomes of records of this topic from one node to another that find their ring full: of
    /// the policies that fit, the one with the longest prefix; of these, the one that says most of
    /// the ends; of these, the first. `None`: [`Policy::Block`] toward loggers, else
    /// [`Policy::DropNewest`].
    #[must_use]
    pub fn policy(
        &self,
        topic: &[u8],
        from: (&NodeName, Role),
        to: (&NodeName, Role),
    ) -> Option<Policy> {
        let policies = self.policies.iter().rev();
        let fitting = policies.filter(|policy| policy.fits(topic, from, to));
        let best = fitting.max_by_key(|policy| policy.rank());
        best.map(|best| best.policy)
    }

    /// The first policy that this transport cannot keep: the oldest records in a ring are its reader's
    /// already.
    #[must_use]
    pub fn beyond(&self, transport: Transport) -> Option<&LinkPolicy> {
        let mut policies = self.policies.iter();
        policies.find(|entry| match transport {
            Transport::Ring => entry.policy == Policy::DropOldest,
            Transport::Unix => false,
        })
    }

    /// How this node waits for records.
    #[must_use]
    pub fn wait_of(&self, name: &NodeName, role: Role) -> Wait {
        let mut waits = self.waits.iter();
        let own = waits.find(|(end, _)| end.fits(name, role));
        own.map_or(self.wait, |(_, wait)| *wait)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn name(name: &str) -> NodeName {
        NodeName::parse(name).unwrap()
    }

    fn on_link(topic: &str, ends: [Option<End>; 2], policy: Policy) -> LinkPolicy {
        let [from, to] = ends;
        LinkPolicy {
            from,
            to,
            ..LinkPolicy::of_topic(topic, policy)
        }
    }

    #[test]
    fn the_longest_prefix_holds_and_then_whoever_says_most_of_the_ends() {
        let logger = || Some(End::Type(Role::Logger));
        let [all, typed, named, longer, last] =
            [1, 2, 3, 4, 5].map(|time| Policy::Block(Duration::from_secs(time)));
        let spec = FabricSpec {
            policies: vec![
                on_link("a/", [None, None], all),
                on_link("a/", [None, logger()], typed),
                on_link("a/", [Some(End::Node(name("w-1"))), logger()], named),
                on_link("a/b", [None, None], longer),
                on_link("a/", [None, logger()], last),
            ],
            ..FabricSpec::default()
        };
        let (one, two) = (name("w-1"), name("w-2"));
        let (log, proxy) = (name("log"), name("p"));
        let to_logger = |topic: &str, from| {
            spec.policy(topic.as_bytes(), (from, Role::Worker), (&log, Role::Logger))
        };
        assert_eq!(to_logger("a/x", &one), Some(named));
        assert_eq!(to_logger("a/x", &two), Some(typed));
        assert_eq!(to_logger("a/bc", &one), Some(longer));
        assert_eq!(to_logger("x", &one), None);
        let to_proxy = spec.policy(b"a/x", (&one, Role::Worker), (&proxy, Role::Proxy));
        assert_eq!(to_proxy, Some(all));
    }

    #[test]
    fn the_first_that_fits_says_how_a_node_waits() {
        let spec = FabricSpec {
            waits: vec![
                (End::Node(name("w-1")), Wait::Busy),
                (
                    End::Type(Role::Worker),
                    Wait::Spin(Duration::from_micros(5)),
                ),
            ],
            ..FabricSpec::default()
        };
        assert_eq!(spec.wait_of(&name("w-1"), Role::Worker), Wait::Busy);
        let spins = Wait::Spin(Duration::from_micros(5));
        assert_eq!(spec.wait_of(&name("w-2"), Role::Worker), spins);
        assert_eq!(spec.wait_of(&name("m"), Role::Manager), Wait::Block);
    }
}

//! "The cluster has started": every node tells the manager when it reaches all whom it must reach, and when
//! all have, the manager tells everybody, once.
//!
//! After that nothing is tracked: a loss does not take it back. A manager that was restarted learns from
//! the nodes' reports that it has been said already.

use std::collections::BTreeSet;

use super::{NodeId, Roster, Visibility};
use crate::layout::spec::Role;
use crate::names::NodeName;

/// `node_fully_connected`: for the manager's topic, and for this node itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullyConnected {
    /// Who reaches all.
    pub name: NodeName,
    /// As which process.
    pub id: NodeId,
    /// It knows that the cluster has started.
    pub resending: bool,
}

/// One node's way to be fully connected.
#[derive(Clone, Debug)]
pub struct Connecting {
    own: FullyConnected,
    node_type: Role,
    manager: Option<NodeName>,
    visibility: Visibility,
    /// Whom it does not reach yet.
    pending: BTreeSet<NodeName>,
}

impl Connecting {
    /// A node that reaches nobody yet. `None` if it is in no cluster.
    ///
    /// It must reach everybody else, or, where nodes are peers of some only, those whom it dials.
    #[must_use]
    pub fn new(roster: &Roster, id: NodeId, visibility: Visibility) -> Option<Self> {
        let name = roster.local()?.clone();
        let local = roster.local_node()?;
        let pending = match visibility {
            Visibility::Partial => roster.dials().into_iter().cloned().collect(),
            Visibility::Full => {
                let others = roster.nodes().keys().filter(|other| **other != name);
                others.cloned().collect()
            }
        };
        Some(Self {
            node_type: local.node_type,
            manager: local.manager.clone(),
            own: FullyConnected {
                name,
                id,
                resending: false,
            },
            visibility,
            pending,
        })
    }

    /// To be asked once, at the start: a manager that must reach nobody reports itself.
    #[must_use]
    pub fn at_start(&self) -> Option<FullyConnected> {
        let is_alone = self.node_type == Role::Manager && self.pending.is_empty();
        is_alone.then(|| self.own.clone())
    }

    /// A node has come up. Returns what is to be reported, if all are reached now.
    ///
    /// Where everybody reaches everybody this is reported again with every later arrival, since that may
    /// be the manager's successor. Where not, only with those whom it dials, and its manager.
    #[must_use]
    pub fn node_up(&mut self, name: &NodeName) -> Option<FullyConnected> {
        let was_pending = self.pending.remove(name);
        let concerns = match self.visibility {
            Visibility::Full => true,
            Visibility::Partial => was_pending || self.manager.as_ref() == Some(name),
        };
        (concerns && self.pending.is_empty()).then(|| self.own.clone())
    }

    /// `cluster_started` was heard.
    pub fn cluster_started(&mut self) {
        self.own.resending = true;
    }
}

/// The manager's count of who is fully connected.
#[derive(Clone, Debug)]
pub struct Starting {
    /// Who has not reported.
    waiting: BTreeSet<NodeName>,
    /// The loggers that report to nobody, since they know no manager.
    silent: BTreeSet<NodeName>,
    is_started: bool,
}

impl Starting {
    /// Nobody has reported.
    #[must_use]
    pub fn new(roster: &Roster, visibility: Visibility) -> Self {
        let loggers = roster.nodes_with_type(Role::Logger);
        let silent = loggers
            .filter(|(_, node)| visibility == Visibility::Partial && node.manager.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        Self {
            waiting: roster.nodes().keys().cloned().collect(),
            silent,
            is_started: false,
        }
    }

    /// A node is fully connected, maybe this one. Returns whether `cluster_started` is to be raised, here
    /// and on its topic: true once at most.
    #[must_use]
    pub fn node_fully_connected(&mut self, report: &FullyConnected) -> bool {
        self.is_started |= report.resending;
        self.count(&report.name)
    }

    /// A node has come up. Returns the same.
    #[must_use]
    pub fn node_up(&mut self, name: &NodeName) -> bool {
        self.silent.contains(name) && self.count(name)
    }

    fn count(&mut self, name: &NodeName) -> bool {
        self.waiting.remove(name);
        if !self.waiting.is_empty() {
            return false;
        }
        !std::mem::replace(&mut self.is_started, true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{id, name, nodes, roster};
    use super::*;

    fn connecting(local: &str, visibility: Visibility) -> Connecting {
        Connecting::new(&roster(local), id(local), visibility).unwrap()
    }

    /// Lets every pair that can see one another meet; returns how often the cluster started.
    fn starts(visibility: Visibility) -> usize {
        let names: Vec<NodeName> = nodes().into_keys().collect();
        let mut starting = Starting::new(&roster("manager"), visibility);
        let mut starts = 0;
        for local in &names {
            let mut node = connecting(local.as_str(), visibility);
            let mut reports: Vec<_> = node.at_start().into_iter().collect();
            for other in names.iter().filter(|other| *other != local) {
                let dials =
                    |from: &NodeName, to: &NodeName| roster(from.as_str()).dials().contains(&to);
                let meet =
                    visibility == Visibility::Full || dials(local, other) || dials(other, local);
                if meet {
                    reports.extend(node.node_up(other));
                    if local.as_str() == "manager" {
                        starts += usize::from(starting.node_up(other));
                    }
                }
            }
            assert_eq!(
                reports.is_empty(),
                local.as_str() == "logger-1" && visibility == Visibility::Partial
            );
            for report in reports {
                starts += usize::from(starting.node_fully_connected(&report));
            }
        }
        starts
    }

    #[test]
    fn a_cluster_in_which_all_meet_starts_once() {
        assert_eq!(starts(Visibility::Full), 1);
        assert_eq!(starts(Visibility::Partial), 1);
    }

    #[test]
    fn a_node_reports_when_the_last_whom_it_must_reach_is_there() {
        let mut proxy = connecting("proxy-1", Visibility::Partial);
        assert_eq!(proxy.node_up(&name("logger-1")), None);
        assert_eq!(proxy.node_up(&name("worker-1")), None);
        let report = proxy.node_up(&name("manager")).unwrap();
        assert_eq!((report.name, report.resending), (name("proxy-1"), false));
        // A worker's arrival is none of its business; the manager's successor is.
        assert_eq!(proxy.node_up(&name("worker-2")), None);
        assert!(proxy.node_up(&name("manager")).is_some());
    }

    #[test]
    fn a_restarted_manager_does_not_start_the_cluster_again() {
        let mut starting = Starting::new(&roster("manager"), Visibility::Full);
        let report = |local: &str, resending| FullyConnected {
            name: name(local),
            id: id(local),
            resending,
        };
        let mut starts = 0;
        for local in nodes().keys() {
            let resending = local.as_str() != "manager";
            let report = report(local.as_str(), resending);
            starts += usize::from(starting.node_fully_connected(&report));
        }
        assert_eq!(starts, 0);
        assert!(starting.waiting.is_empty());
    }

    #[test]
    fn who_heard_of_the_start_says_so_with_later_reports() {
        let mut worker = connecting("worker-1", Visibility::Full);
        for other in nodes().keys().filter(|other| other.as_str() != "worker-1") {
            let _ = worker.node_up(other);
        }
        worker.cluster_started();
        assert!(worker.node_up(&name("manager")).unwrap().resending);
    }

    #[test]
    fn a_manager_alone_reports_itself_and_a_node_in_no_cluster_nothing() {
        let mut alone = nodes();
        alone.retain(|one, _| one.as_str() == "manager");
        for visibility in [Visibility::Full, Visibility::Partial] {
            let roster = Roster::new(Some(name("manager")), alone.clone());
            let manager = Connecting::new(&roster, id("m"), visibility).unwrap();
            let report = manager.at_start().unwrap();
            assert!(Starting::new(&roster, visibility).node_fully_connected(&report));
        }
        assert!(connecting("manager", Visibility::Full).at_start().is_none());
        let nobody = Roster::new(None, nodes());
        assert!(Connecting::new(&nobody, id("x"), Visibility::Full).is_none());
    }
}

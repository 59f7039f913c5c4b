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

/// One node's way to be fully connected, of `Cluster::Experimental`.
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
        Some(Self {
            node_type: local.node_type,
            manager: local.manager.clone(),
            own: FullyConnected {
                name,
                id,
                resending: false,
            },
            visibility,
            pending: to_reach(roster, visibility),
        })
    }

    /// A node that this one is not to connect to: it is not waited for. To be said before
    /// [`Connecting::at_start`].
    pub fn spare(&mut self, name: &NodeName) {
        self.pending.remove(name);
    }

    /// There is another layout: who is not in it any more is not waited for, and who is new is, but for
    /// those who are to be spared. Returns what is to be reported, if all who are left are reached.
    #[must_use]
    pub fn relayout(
        &mut self,
        before: &Roster,
        after: &Roster,
        spared: &BTreeSet<NodeName>,
    ) -> Option<FullyConnected> {
        if let Some(local) = after.local_node() {
            self.node_type = local.node_type;
            self.manager.clone_from(&local.manager);
        }
        let was_pending = !self.pending.is_empty();
        let known = to_reach(before, self.visibility);
        let mut pending = to_reach(after, self.visibility);
        pending.retain(|name| self.pending.contains(name) || !known.contains(name));
        pending.retain(|name| !spared.contains(name));
        self.pending = pending;
        (was_pending && self.pending.is_empty()).then(|| self.own.clone())
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

/// Whom the local node must reach.
fn to_reach(roster: &Roster, visibility: Visibility) -> BTreeSet<NodeName> {
    match visibility {
        Visibility::Partial => roster.dials().into_iter().cloned().collect(),
        Visibility::Full => {
            let nodes = roster.nodes().keys();
            let others = nodes.filter(|name| roster.local() != Some(name));
            others.cloned().collect()
        }
    }
}

/// The manager's count of who is fully connected, of `Cluster::Experimental`.
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
        Self {
            waiting: roster.nodes().keys().cloned().collect(),
            silent: silent(roster, visibility),
            is_started: false,
        }
    }

    /// There is another layout: who is not in it any more need not report, and who is new must. Returns
    /// the same as [`Starting::node_fully_connected`].
    #[must_use]
    pub fn relayout(&mut self, before: &Roster, after: &Roster, visibility: Visibility) -> bool {
        self.waiting.retain(|name| after.node(name).is_some());
        let new = after.nodes().keys();
        let new = new.filter(|name| before.node(name).is_none());
        self.waiting.extend(new.cloned());
        self.silent = silent(after, visibility);
        self.starts()
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
        self.starts()
    }

    fn starts(&mut self) -> bool {
        self.waiting.is_empty() && !std::mem::replace(&mut self.is_started, true)
    }
}

/// The loggers that know no manager to report to.
fn silent(roster: &Roster, visibility: Visibility) -> BTreeSet<NodeName> {
    let loggers = roster.nodes_with_type(Role::Logger);
    loggers
        .filter(|(_, node)| visibility == Visibility::Partial && node.manager.is_none())
        .map(|(name, _)| name.clone())
        .collect()
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

    /// The layout without these nodes.
    fn without(local: &str, gone: &[&str]) -> Roster {
        let mut left = nodes();
        left.retain(|name, _| !gone.contains(&name.as_str()));
        Roster::new(Some(name(local)), left)
    }

    #[test]
    fn who_is_given_up_is_not_waited_for_and_who_is_new_is() {
        let (all, less) = (roster("manager"), without("manager", &["worker-10"]));
        for (visibility, gone) in [
            (Visibility::Full, "worker-10"),
            (Visibility::Partial, "logger-1"),
        ] {
            let less = without("worker-1", &[gone]);
            let mut worker = connecting("worker-1", visibility);
            for other in nodes().keys().filter(|other| other.as_str() != gone) {
                assert_eq!(worker.node_up(other), None, "{other}");
            }
            let none = BTreeSet::new();
            let report = worker.relayout(&roster("worker-1"), &less, &none);
            assert_eq!(report.unwrap().name, name("worker-1"));
            // Without a change there is nothing to report again; who is back is waited for.
            assert_eq!(worker.relayout(&less, &less, &none), None);
            let back = roster("worker-1");
            assert_eq!(worker.relayout(&less, &back, &none), None);
            assert_eq!(worker.node_up(&name("manager")), None);
            assert!(worker.node_up(&name(gone)).is_some());
        }
        let mut starting = Starting::new(&all, Visibility::Full);
        let report = |name: &NodeName| FullyConnected {
            name: name.clone(),
            id: id(name.as_str()),
            resending: false,
        };
        for other in less.nodes().keys() {
            assert!(!starting.node_fully_connected(&report(other)));
        }
        let mut grown = starting.clone();
        assert!(starting.relayout(&all, &less, Visibility::Full));
        assert!(!starting.relayout(&less, &all, Visibility::Full), "once");
        let one = without("manager", &["proxy-1", "worker-10"]);
        let mut other = Starting::new(&one, Visibility::Full);
        for name in one.nodes().keys().skip(1) {
            assert!(!other.node_fully_connected(&report(name)));
        }
        assert!(!other.relayout(&one, &less, Visibility::Full));
        let last = one.nodes().keys().next().unwrap();
        assert!(!other.node_fully_connected(&report(last)));
        assert!(other.node_fully_connected(&report(&name("proxy-1"))));
        assert!(grown.node_fully_connected(&report(&name("worker-10"))));
    }

    #[test]
    fn who_is_spared_is_not_waited_for() {
        let spared = BTreeSet::from([name("worker-10"), name("worker-2")]);
        let mut worker = connecting("worker-1", Visibility::Full);
        spared.iter().for_each(|name| worker.spare(name));
        let mut reports = Vec::new();
        let others = nodes().into_keys().filter(|one| one.as_str() != "worker-1");
        for other in others.filter(|other| !spared.contains(other)) {
            reports.extend(worker.node_up(&other));
        }
        assert_eq!(reports.len(), 1);
        let less = without("worker-1", &["worker-2", "proxy-2"]);
        let all = roster("worker-1");
        assert_eq!(worker.relayout(&all, &less, &spared), None);
        assert_eq!(worker.relayout(&less, &all, &spared), None);
        assert_eq!(worker.pending, BTreeSet::from([name("proxy-2")]));
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

//! The way to "the cluster has started", by events of the framework's own.

use std::collections::BTreeSet;

use super::{BACKEND, Cluster, Handler, OrReport};
use crate::data::message::{Event, EventView};
use crate::framework::{
    Connecting, EventType, FullyConnected, Membership, NodeId, Param, Roster, Starting,
};
use crate::layout::spec::Role;
use crate::names::NodeName;

/// From each node to the manager.
pub(super) const FULLY_CONNECTED: EventType = EventType::new(
    "Cluster::Experimental::node_fully_connected",
    &[Param::String, Param::String, Param::Bool],
);

/// From the manager to everybody.
pub(super) const STARTED: EventType = EventType::new("Cluster::Experimental::cluster_started", &[]);

/// How far this node is, and at the manager the whole cluster.
#[derive(Debug, Default)]
pub(super) struct Progress {
    connecting: Option<Connecting>,
    starting: Option<Starting>,
    /// To be sent when what lies in the rings has been handled: it may hold the word that the cluster
    /// has started, from a manager that is dead by now, and the report tells its successor of that.
    report: Option<FullyConnected>,
    has_started: bool,
}

impl Progress {
    pub(super) fn new(membership: &Membership, spared: &BTreeSet<NodeName>) -> Self {
        let (roster, visibility) = (membership.roster(), BACKEND.visibility());
        let mut connecting = Connecting::new(roster, membership.node_id().clone(), visibility);
        if let Some(own) = &mut connecting {
            spared.iter().for_each(|name| own.spare(name));
        }
        let is_manager = roster.local_node_type() == Role::Manager;
        Self {
            report: connecting.as_ref().and_then(Connecting::at_start),
            connecting,
            starting: is_manager.then(|| Starting::new(roster, visibility)),
            has_started: false,
        }
    }

    /// A node has come up. Returns whether the cluster starts by that.
    pub(super) fn node_up(&mut self, name: &NodeName) -> bool {
        let report = self.connecting.as_mut().and_then(|own| own.node_up(name));
        self.report = report.or_else(|| self.report.take());
        self.starting.as_mut().is_some_and(|all| all.node_up(name))
    }

    /// There is another layout. Returns whether the cluster starts by that.
    pub(super) fn relayout(
        &mut self,
        before: &Roster,
        after: &Roster,
        spared: &BTreeSet<NodeName>,
    ) -> bool {
        let connecting = self.connecting.as_mut();
        let report = connecting.and_then(|own| own.relayout(before, after, spared));
        self.report = report.or_else(|| self.report.take());
        let starting = self.starting.as_mut();
        starting.is_some_and(|all| all.relayout(before, after, BACKEND.visibility()))
    }

    pub(super) fn has_report(&self) -> bool {
        self.report.is_some()
    }
}

impl Cluster {
    /// Tells the manager that this node reaches all others, if it has come to that.
    pub(super) fn report_connected(&mut self, handler: &mut dyn Handler) {
        let Some(mut report) = self.progress.report.take() else {
            return;
        };
        report.resending |= self.progress.has_started;
        let (name, id) = (report.name.as_str(), report.id.as_str());
        let args = vec![name.into(), id.into(), report.resending.into()];
        let topic = self.membership.topics().manager.clone();
        self.publish_own(&topic, &FULLY_CONNECTED, args);
        self.on_fully_connected(&report, handler);
    }

    fn publish_own(&mut self, topic: &str, what: &EventType, args: Vec<crate::data::Value>) {
        if let Ok(event) = what.event(args) {
            self.publish(topic, &event).or_report();
        }
    }

    fn on_fully_connected(&mut self, report: &FullyConnected, handler: &mut dyn Handler) {
        let starting = self.progress.starting.as_mut();
        let starts = starting.is_some_and(|all| all.node_fully_connected(report));
        handler.node_fully_connected(self, report);
        if starts {
            self.start_cluster(handler);
        }
    }

    /// All nodes reach all: everybody is told, this node at once.
    pub(super) fn start_cluster(&mut self, handler: &mut dyn Handler) {
        let topic = self.membership.topics().started.clone();
        self.publish_own(&topic, &STARTED, Vec::new());
        self.on_started(handler);
    }

    fn on_started(&mut self, handler: &mut dyn Handler) {
        self.progress.has_started = true;
        if let Some(connecting) = &mut self.progress.connecting {
            connecting.cluster_started();
        }
        handler.cluster_started(self);
    }

    /// Takes an event if it is the framework's own.
    pub(super) fn take_own(&mut self, event: EventView<'_>, handler: &mut dyn Handler) -> bool {
        if event.name() == STARTED.name() {
            self.on_started(handler);
            return true;
        }
        if event.name() != FULLY_CONNECTED.name() {
            return false;
        }
        match event.decode().ok().and_then(|event| report_of(&event)) {
            Some(report) => self.on_fully_connected(&report, handler),
            None => self.trouble(format!("{} names no node", FULLY_CONNECTED.name())),
        }
        true
    }
}

fn report_of(event: &Event) -> Option<FullyConnected> {
    let [name, id, resending] = event.args.as_slice() else {
        return None;
    };
    Some(FullyConnected {
        name: NodeName::parse(name.as_str()?).ok()?,
        id: NodeId::from(id.as_str()?),
        resending: resending.clone().try_into().ok()?,
    })
}

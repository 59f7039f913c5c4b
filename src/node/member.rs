//! A built-in role as a node of its cluster: it says who comes and goes, and when all are there.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::time::Instant;

use super::cluster::{Cluster, ClusterError, Handler};
use super::endpoint::Endpoint;
use super::say::say;
use crate::causes;
use crate::framework::{BackendError, FullyConnected, NodeId, PeerError};
use crate::names::NodeName;

/// Its cluster, and what it says of it.
#[derive(Debug)]
pub(super) struct Member {
    cluster: Cluster,
    voice: Voice,
}

#[derive(Debug, Default)]
struct Voice {
    is_connected: bool,
}

impl Member {
    /// Takes its place in the cluster.
    pub(super) fn begin(seat: OwnedFd) -> Result<Self, ClusterError> {
        let cluster = Cluster::over(Endpoint::on(seat)?)?;
        let voice = Voice::default();
        Ok(Self { cluster, voice })
    }

    /// Lets everybody know that it is up.
    pub(super) fn announce(&mut self) -> Result<(), ClusterError> {
        self.cluster.init()?;
        say("announced", &format_args!("id={}", self.cluster.node_id()));
        Ok(())
    }

    /// How many nodes the layout has.
    pub(super) fn count_nodes(&self) -> usize {
        self.cluster.membership().roster().nodes().len()
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.cluster.descriptors()
    }

    /// It is about to sleep. False: there is something to do first.
    pub(super) fn doze(&mut self) -> bool {
        self.cluster.doze()
    }

    /// When it is to have a turn though nothing wakes it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.cluster.deadline()
    }

    /// It leaves: whoever was not woken for its last records is now.
    pub(super) fn leave(&mut self) {
        self.cluster.flush_logs();
    }

    /// It is awake, and does what there is to do.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        self.cluster.wake()?;
        self.cluster.dispatch(&mut self.voice);
        Ok(())
    }
}

impl Handler for Voice {
    fn node_up(&mut self, _: &mut Cluster, name: &NodeName, id: &NodeId) {
        say("node_up", &format_args!("name={name} id={id}"));
    }

    fn node_down(&mut self, _: &mut Cluster, name: &NodeName, id: &NodeId) {
        say("node_down", &format_args!("name={name} id={id}"));
    }

    fn node_fully_connected(&mut self, cluster: &mut Cluster, report: &FullyConnected) {
        // The manager hears of everybody; and each arrival is reported again.
        if report.id == *cluster.node_id() && !self.is_connected {
            self.is_connected = true;
            say(
                "fully_connected",
                &format_args!("resending={}", report.resending),
            );
        }
    }

    fn cluster_started(&mut self, _: &mut Cluster) {
        say("cluster_started", &format_args!(""));
    }

    fn backend_error(&mut self, _: &mut Cluster, error: &BackendError) {
        let text = error.to_string();
        say("backend_error", &format_args!("error={text:?}"));
    }

    fn error(&mut self, _: &mut Cluster, error: &PeerError) {
        let event = match error {
            PeerError::Membership(_) => "membership_error",
            PeerError::Event { .. } => "event_error",
        };
        let text = causes::chain(error);
        say(event, &format_args!("error={text:?}"));
    }
}

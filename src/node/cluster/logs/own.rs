//! What every node logs of itself: what it sees of the others, and what goes wrong.

use serde::Serialize;

use crate::causes;
use crate::framework::{BackendError, NodeId, PeerError};
use crate::layout::spec::Role;
use crate::logging::StreamId;
use crate::logging::streams::{
    ClusterLogInfo, DownCause, LifecycleEvent, LifecycleInfo, NodeStatsInfo, OwnStream,
    ReporterInfo, ReporterLevel, Streams,
};
use crate::names::NodeName;
use crate::node::cluster::publish::now;
use crate::node::cluster::{Cluster, Handler, OrReport};

/// The ids of the streams that every node has.
#[derive(Debug)]
pub(super) struct OwnIds {
    cluster: StreamId,
    reporter: StreamId,
    lifecycle: StreamId,
    node_stats: StreamId,
}

impl OwnIds {
    /// Creates the streams.
    pub(super) fn create(streams: &mut Streams) -> Self {
        for own in OwnStream::ALL {
            let created = own.spec().map(|spec| streams.create_stream(own.id(), spec));
            debug_assert!(matches!(created, Ok(Ok(()))), "{own:?} is sound");
        }
        Self {
            cluster: OwnStream::Cluster.id(),
            reporter: OwnStream::Reporter.id(),
            lifecycle: OwnStream::Lifecycle.id(),
            node_stats: OwnStream::NodeStats.id(),
        }
    }
}

impl Cluster {
    /// `Cluster::log`: a line in `cluster.log`, and in this program's own log. A program that is no node
    /// has its own only.
    pub fn log(&mut self, message: &str) {
        log::info!("event=cluster_log message={message:?}");
        let Some(node) = self.name_in_logs() else {
            return;
        };
        let info = ClusterLogInfo {
            ts: now(),
            node,
            message: message.to_owned(),
        };
        let id = self.logs.own.cluster.clone();
        self.log_own(&id, &info);
    }

    /// A line in `reporter.log`: `Reporter::info`, `Reporter::warning`, `Reporter::error`. A program that
    /// is no node has none.
    pub fn report(&mut self, level: ReporterLevel, message: &str) {
        let Some(location) = self.name_in_logs() else {
            return;
        };
        let info = ReporterInfo {
            ts: now(),
            level,
            message: message.to_owned(),
            location,
        };
        let id = self.logs.own.reporter.clone();
        self.log_own(&id, &info);
    }

    /// A line in `lifecycle.log`, which the manager writes.
    pub(in crate::node::cluster) fn log_lifecycle(
        &mut self,
        (name, node_id): (&NodeName, &NodeId),
        event: LifecycleEvent,
        cause: Option<DownCause>,
    ) {
        if self.local_node_type() != Role::Manager {
            return;
        }
        let info = LifecycleInfo {
            ts: now(),
            node: name.to_string(),
            id: node_id.to_string(),
            event,
            cause,
        };
        let id = self.logs.own.lifecycle.clone();
        self.log_own(&id, &info);
    }

    /// A line in `node_stats.log`.
    pub(in crate::node) fn log_node_stats(&mut self, info: &NodeStatsInfo) {
        let id = self.logs.own.node_stats.clone();
        self.log_own(&id, info);
    }

    /// A backend's trouble, for `reporter.log` and the handler.
    pub(in crate::node::cluster) fn raise_trouble(
        &mut self,
        error: &BackendError,
        handler: &mut dyn Handler,
    ) {
        self.report(ReporterLevel::Error, &error.to_string());
        handler.backend_error(self, error);
    }

    /// A peer's error, for `reporter.log` and the handler.
    pub(in crate::node::cluster) fn raise_error(
        &mut self,
        error: &PeerError,
        handler: &mut dyn Handler,
    ) {
        self.report(ReporterLevel::Error, &causes::chain(error));
        handler.error(self, error);
    }

    fn name_in_logs(&self) -> Option<String> {
        let name = self.node().filter(|_| self.is_announced);
        name.map(ToString::to_string)
    }

    /// What is lost of these is counted, and no more is made of it: that would have to be logged, too.
    fn log_own(&mut self, id: &StreamId, info: &impl Serialize) {
        // A program may remove or redefine the stream; then that is its own affair.
        if self.logs.streams.is_enabled(id) {
            self.log_write_row(id, info).or_report();
        }
    }
}

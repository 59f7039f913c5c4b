//! What a program does about its cluster: one method for each thing that can happen.

use super::Cluster;
use crate::data::message::{EventView, MessageError};
use crate::data::{Items, Timestamp, View};
use crate::framework::{BackendError, FullyConnected, NodeId, PeerError};
use crate::logging::message::Message;
use crate::names::NodeName;
use crate::node::endpoint::{Handling, Record};

/// A program's answers. Each has a default that does nothing, or what its comment says. They are called
/// by [`Cluster::dispatch`], one at a time; each may publish, subscribe and ask through `cluster`, whose
/// pools and counts are up to date.
pub trait Handler {
    /// An event came, on a topic that this node subscribed.
    fn event(&mut self, cluster: &mut Cluster, event: &Received<'_>) {
        let _ = (cluster, event);
    }

    /// What came is no event: a log record, or bytes that the topic's users agree on. By default what
    /// is no message at all is reported as a [`BackendError`].
    fn payload(&mut self, cluster: &mut Cluster, topic: &[u8], payload: &[u8], why: MessageError) {
        let _ = payload;
        if !matches!(why, MessageError::NotAnEvent { .. }) {
            cluster.unreadable(topic, &why);
        }
    }

    /// What came is for whoever writes logs: a [`Message`](crate::logging::message::Message), or bytes
    /// that begin like one. A record that is kept comes again to a successor until it is
    /// [released](Cluster::release). By default a message is passed over, for a program that is to write
    /// logs and does not would have to be told at every line, and all else is a payload like any other.
    fn log_message(&mut self, cluster: &mut Cluster, record: &Record<'_>) -> Handling {
        pass_over(self, cluster, record)
    }

    /// `Cluster::hello`: a node has announced itself. [`Handler::node_up`] follows.
    fn hello(&mut self, cluster: &mut Cluster, name: &NodeName, id: &NodeId) {
        let _ = (cluster, name, id);
    }

    /// `Cluster::node_up`: a node can be published to. Never of this node itself.
    fn node_up(&mut self, cluster: &mut Cluster, name: &NodeName, id: &NodeId) {
        let _ = (cluster, name, id);
    }

    /// `Cluster::node_down`: a node is gone; once for each [`Handler::node_up`], with the same id.
    fn node_down(&mut self, cluster: &mut Cluster, name: &NodeName, id: &NodeId) {
        let _ = (cluster, name, id);
    }

    /// `Cluster::Experimental::node_fully_connected`: of this node, and at the manager of all.
    fn node_fully_connected(&mut self, cluster: &mut Cluster, report: &FullyConnected) {
        let _ = (cluster, report);
    }

    /// `Cluster::Experimental::cluster_started`: everybody has reached everybody, once.
    fn cluster_started(&mut self, cluster: &mut Cluster) {
        let _ = cluster;
    }

    /// `Cluster::Backend::error`: trouble that no call could return, and events that cannot be serialized,
    /// which the call that was to publish them refuses as well. By default it is logged.
    fn backend_error(&mut self, cluster: &mut Cluster, error: &BackendError) {
        let _ = cluster;
        log::error!("event=backend_error error=\"{error}\"");
    }

    /// Somebody said what cannot be. By default it is logged.
    fn error(&mut self, cluster: &mut Cluster, error: &PeerError) {
        let _ = cluster;
        let error = crate::causes::chain(error);
        log::error!("event=peer_error error=\"{error}\"");
    }

    /// `Cluster::log`, by the framework itself: what it has written to `cluster.log`.
    fn log(&mut self, cluster: &mut Cluster, message: &str) {
        let _ = (cluster, message);
    }
}

/// Does nothing about anything.
impl Handler for () {}

/// An event as it came: what the seeds' handlers get as their arguments.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    pub(super) topic: &'a [u8],
    pub(super) event: EventView<'a>,
    pub(super) stamp: Option<Timestamp>,
}

impl<'a> Received<'a> {
    /// Where it was published.
    #[must_use]
    pub fn topic(&self) -> &'a [u8] {
        self.topic
    }

    /// Its name, with its module's.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.event.name()
    }

    /// Its arguments.
    #[must_use]
    pub fn args(&self) -> Items<'a> {
        self.event.args()
    }

    /// The argument with this index; the first is 0.
    #[must_use]
    pub fn arg(&self, index: usize) -> Option<View<'a>> {
        self.event.arg(index)
    }

    /// When it happened, in the network's time; where the seeds say -1.0: `None`.
    #[must_use]
    pub fn network_timestamp(&self) -> Option<Timestamp> {
        self.stamp
    }

    /// The event, with its metadata.
    #[must_use]
    pub fn view(&self) -> EventView<'a> {
        self.event
    }
}

/// What a node does that writes no logs and gets something for whoever does.
pub(in crate::node) fn pass_over<H>(
    handler: &mut H,
    cluster: &mut Cluster,
    record: &Record<'_>,
) -> Handling
where
    H: Handler + ?Sized,
{
    if Message::decode(record.payload).is_err()
        && let Err(why) = EventView::parse(record.payload)
    {
        handler.payload(cluster, record.topic, record.payload, why);
    }
    Handling::Done
}

//! What the framework tells: events, errors, and what they say of endpoints.

use std::net::IpAddr;

use super::{EventError, NodeId};
use crate::names::NodeName;

/// What a node is told of its cluster. Raised locally only; the seeds'
/// `Cluster::node_up` and `Cluster::node_down`, and what `Cluster::log` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterEvent {
    /// `Cluster::node_up`: a node can be published to. Never of this node itself.
    NodeUp {
        /// Which.
        name: NodeName,
        /// The process that it is now.
        id: NodeId,
    },
    /// `Cluster::node_down`: a node is gone.
    NodeDown {
        /// Which.
        name: NodeName,
        /// The process that it was.
        id: NodeId,
    },
    /// A line for `cluster.log`.
    Log(String),
    /// Somebody said what cannot be; nothing changed but what the other events say.
    Error(MembershipError),
    /// `Cluster::Backend::error`: trouble of a backend that no call could return.
    BackendError(BackendError),
}

/// What is wrong with a greeting or a loss. A peer's fault, or the layout's. What the seeds' reporter is
/// told in `Cluster::hello`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// It is not in the layout.
    #[error(
        "got hello from \"{name}\" ({id}), which the layout does not name; give its nodes one layout"
    )]
    UnknownName {
        /// Under which name it greets.
        name: String,
        /// As which process.
        id: NodeId,
    },
    /// Two processes have one name, or a node is back before its loss was seen. The new one counts.
    #[error(
        "got hello from \"{name}\" ({new}), which was {old}; is there another node of its name?"
    )]
    Duplicate {
        /// The name.
        name: NodeName,
        /// Which process it was.
        old: NodeId,
        /// Which process greets.
        new: NodeId,
    },
    /// Another process has the name of this node.
    #[error(
        "got hello from another \"{name}\" ({id}), as this node is called; start each name once"
    )]
    OwnName {
        /// The name.
        name: NodeName,
        /// The other process.
        id: NodeId,
    },
    /// A process has two names.
    #[error("got hello from \"{name}\" ({id}), which is \"{known}\" already")]
    IdTaken {
        /// Under which name it greets.
        name: NodeName,
        /// As which process.
        id: NodeId,
        /// Who that is.
        known: NodeName,
    },
    /// A process is lost that is no node.
    #[error("{id} is gone, which was no node of the cluster")]
    UnknownId {
        /// Which.
        id: NodeId,
    },
}

/// What somebody else said that cannot be; what the seeds' reporter is told. A peer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// A greeting or a loss.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// An event that this node has declared otherwise. It was dropped.
    #[error("dropped an event on \"{topic}\"; let all nodes declare it alike")]
    Event {
        /// Where it came.
        topic: String,
        /// What does not fit.
        #[source]
        error: EventError,
    },
}

/// The seeds' `Cluster::Backend::error`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{tag}: {message}")]
pub struct BackendError {
    /// Which kind, a word of the backend's own, such as [`BackendError::BROKER`].
    pub tag: String,
    /// What happened.
    pub message: String,
    /// With whom, if it concerns a peer whose address is known.
    pub network: Option<NetworkInfo>,
}

impl BackendError {
    /// `broker_error`: the tag of what a Broker endpoint reports.
    pub const BROKER: &str = "broker_error";
}

/// Where an endpoint is; the seeds' `NetworkInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkInfo {
    /// `address`
    pub address: IpAddr,
    /// `bound_port`
    pub bound_port: u16,
}

/// Who an endpoint is; the seeds' `EndpointInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointInfo {
    /// `id`
    pub id: NodeId,
    /// `network`; `None`: not known.
    pub network: Option<NetworkInfo>,
    /// `application_name`, as a WebSocket client calls itself.
    pub application_name: Option<String>,
}

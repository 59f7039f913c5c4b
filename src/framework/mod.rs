//! The cluster framework's core: who is who, what a node subscribes, who is there; Zeek's `Cluster`.
//!
//! * [`Roster`]: the layout as one node sees it
//! * [`FrameworkSpec`]: what all nodes have to agree on: topics, pools, who writes logs
//! * [`Topics`]: what topics are called, in either naming scheme
//! * [`local_subscriptions`]: which of them a node wants
//! * [`Membership`]: from greetings and losses to `node_up` and `node_down`, pools kept up to date
//! * [`EventType`]: what an event is declared as, and which arguments it takes
//! * [`Connecting`], [`Starting`]: from these to "the cluster has started"
//!
//! Functions have the seeds' names without `Cluster::`. Pure: backends tell it what happened, and carry
//! out nothing but what comes back.

mod event;
mod event_type;
mod membership;
mod named_node;
mod node_id;
mod roster;
mod started;
mod subscriptions;
mod tags;

#[cfg(test)]
pub(crate) mod sample;

pub use event::{
    BackendError, ClusterEvent, EndpointInfo, MembershipError, NetworkInfo, PeerError,
};
pub use event_type::{EventError, EventType, Param, check_depth};
pub use membership::Membership;
pub use named_node::NamedNode;
pub use node_id::NodeId;
pub use roster::{Roster, RosterError};
pub use started::{Connecting, FullyConnected, Starting};
pub use subscriptions::local_subscriptions;
pub use tags::{BackendTag, EventSerializerTag, LogSerializerTag, UnknownTag, Visibility};

pub use crate::layout::seats::FrameworkSpec;
pub use crate::topic::scheme::{
    CONTROL, LOGGER_POOL, PROXY_POOL, SUPERVISOR, TABLE_PREFIX, TopicFunction, TopicScheme, Topics,
    WORKER_POOL,
};

//! Pools: nodes of one type that share work, and how one of them is chosen; Zeek's `Cluster::Pool`.
//!
//! Every node computes the same pools from the same layout ([`populate()`]), so that all of them choose
//! the same node for the same key without asking one another. Round robin spreads load; rendezvous
//! hashing keeps what belongs together on one node, and moves only the keys of a node that leaves. The
//! hashed bytes and weights are Zeek's, bit by bit, so that a Zeek node in the same cluster chooses the
//! same node.
//!
//! Pure: who is alive is told by [`Pool::node_up`] and [`Pool::node_down`].

mod key;
mod members;
mod populate;
mod rendezvous;

pub use key::{Field, HashKey, KeyError, KeyType, Protocol};
pub use members::{CURSORS_MAX, Pool, PoolNode};
pub use populate::{Nodes, PoolError, Pools, check, populate};
pub use rendezvous::{choose, fnv1a32, weight};

use serde::{Deserialize, Serialize};

use crate::layout::spec::Role;

/// What a pool is to be; the seeds' `PoolSpec`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PoolSpec {
    /// `topic`: reaches every member.
    pub topic: String,
    /// `node_type`: worker, proxy or logger.
    pub node_type: Role,
    /// `max_nodes`: it has no more members than this; `None`: all there are.
    pub max_nodes: Option<usize>,
    /// `exclusive`: its members are in no other pool. Requires `max_nodes`.
    pub exclusive: bool,
}

//! What can go wrong for a node of a cluster: at its start, in its turns, and with what it publishes.

use std::io;

use crate::framework::{EventError, RosterError};
use crate::names::{NameError, NodeName};
use crate::node::endpoint::SeatError;
use crate::pool::{KeyError, PoolError};
use crate::topic::TooLong;

/// Why a node is not, or no longer, in its cluster. The seeds' programs end with that.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// It got no seat. The stem's word, or the system's.
    #[error("this program has no seat in the cluster")]
    Seat(#[from] SeatError),
    /// It is to be a node, and nobody has started it as one. The caller's fault.
    #[error(
        "this program is to be \"{name}\", and has no seat; let the supervisor start it, or check CLUSTER_NODE"
    )]
    NoSeatFor {
        /// The node that it is to be.
        name: NodeName,
    },
    /// It is to be another node than the one whose seat it has. The caller's fault.
    #[error("this program is to be \"{name}\", and has the seat of \"{seat}\"; check CLUSTER_NODE")]
    OtherSeat {
        /// The node that it is to be.
        name: NodeName,
        /// The node that it is.
        seat: NodeName,
    },
    /// No node can have the name that it is to have. The caller's fault.
    #[error("this program is to be \"{text}\"; check CLUSTER_NODE")]
    Name {
        /// What the variable says.
        text: String,
        /// Which rule it breaks.
        #[source]
        source: NameError,
    },
    /// The layout that came with the seat cannot be read. A bug: both sides are ours.
    #[error("cannot read the layout that came with the seat")]
    Layout(#[source] io::Error),
    /// The layout does not have it. Configuration's fault.
    #[error("this node cannot be in its cluster")]
    Roster(#[from] RosterError),
    /// The layout cannot give what the pools want. Configuration's fault.
    #[error("the pools cannot be")]
    Pool(#[from] PoolError),
    /// A topic or a prefix is longer than the wire can say. The caller's fault.
    #[error("cannot subscribe")]
    Topic(#[from] TooLong),
    /// The pools and topics stand since [`super::Cluster::init`]. The caller's fault.
    #[error("the node has been announced; define pools and topics before init")]
    Announced,
    /// An attached program lost its place: it did not come back to a new stem in time.
    #[error("the seat is lost; attach anew")]
    Lost,
    /// The system failed a wait.
    #[error("cannot wait")]
    Wait(#[source] io::Error),
}

/// Why nothing was published. Each row of the seeds' table that a typed call can still get wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The event is none, or its arguments do not fit. The caller's fault.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The topic is longer than the wire can say. The caller's fault.
    #[error(transparent)]
    Topic(#[from] TooLong),
    /// The record is larger than the layout allows. The caller's fault, or configuration's.
    #[error("an event of {bytes} bytes; the layout's record_bytes_max is {max}")]
    TooLarge {
        /// Topic and payload, in bytes.
        bytes: usize,
        /// What the layout allows.
        max: usize,
    },
    /// There is no pool of that name. The caller's fault.
    #[error("there is no pool \"{pool}\"; register it before init")]
    NoSuchPool {
        /// Its name.
        pool: String,
    },
    /// No member of the pool is there that could be chosen. Passes.
    #[error("nobody in the pool \"{pool}\" is alive")]
    NobodyAlive {
        /// The pool.
        pool: String,
    },
    /// The key has no digest that all nodes agree on. The caller's fault.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl PublishError {
    /// Whether the seeds' functions say nothing of it but `F`.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(
            self,
            Self::Event(EventError::Unset) | Self::NobodyAlive { .. }
        )
    }
}

/// What became of an event that was accepted; the seeds' T.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// For each subscriber it lies whole in memory that outlives both sides. There may be none.
    ByAll,
    /// At least one subscriber does not get it, which was counted.
    WithDrops,
}

/// The seeds' results: T for what was accepted, F for what was not.
pub trait OrReport {
    /// `T` or `F`; what the seeds report goes to the log.
    fn or_report(self) -> bool;
}

impl OrReport for Result<Accepted, PublishError> {
    fn or_report(self) -> bool {
        match self {
            Ok(Accepted::ByAll | Accepted::WithDrops) => true,
            Err(error) => {
                if !error.is_silent() {
                    log::error!("event=not_published error=\"{error}\"");
                }
                false
            }
        }
    }
}

//! How a program comes into its cluster, and that it is who it is told to be.

use std::env;
use std::path::Path;

use super::{Cluster, ClusterError};
use crate::framework::RosterError;
use crate::layout::spec::Role;
use crate::names::NodeName;
use crate::node::endpoint::{Endpoint, SeatError};

/// The variable with the name of the node that a program is; the seeds' initial `Cluster::node`.
const CLUSTER_NODE: &str = "CLUSTER_NODE";

impl Cluster {
    /// Takes the seat that the layout gave to this program: a command with a `node_type`. Once. Waits for
    /// the stem, at most ten seconds. Stands for `CLUSTER_NODE` and the layout that the seeds' supervisor
    /// hands over.
    ///
    /// # Errors
    /// [`ClusterError::Seat`]; [`ClusterError::NoSeatFor`] and [`ClusterError::OtherSeat`] if there is none
    /// for the node that `CLUSTER_NODE` names; and what [`Cluster::over`] says.
    pub fn take_seat() -> Result<Self, ClusterError> {
        let wanted = wanted_name()?;
        let endpoint = match (Endpoint::from_environment(), &wanted) {
            (Err(SeatError::NoSeat), Some(name)) => {
                return Err(ClusterError::NoSeatFor { name: name.clone() });
            }
            (endpoint, _) => endpoint?,
        };
        let seat = &endpoint.identity().name;
        match wanted {
            Some(name) if name != *seat => Err(ClusterError::OtherSeat {
                name,
                seat: seat.clone(),
            }),
            Some(_) | None => Self::over(endpoint),
        }
    }

    /// Attaches a program that is no node of the layout: it sees the nodes, publishes and subscribes, and
    /// is in no pool. `path`: `attach.sock` in the run directory. What comes nearest among the seeds is a
    /// WebSocket client.
    ///
    /// # Errors
    /// [`ClusterError::Seat`], for one if the name is taken; [`RosterError::UnknownNode`] if `CLUSTER_NODE`
    /// names a node that the layout does not have, for the program belongs to another cluster then; and
    /// what [`Cluster::over`] says.
    pub fn attach(path: &Path, name: Option<NodeName>) -> Result<Self, ClusterError> {
        let wanted = wanted_name()?;
        let cluster = Self::over(Endpoint::attach(path, name, Role::None)?)?;
        match wanted {
            Some(name) if cluster.membership.roster().node(&name).is_none() => {
                Err(RosterError::UnknownNode { name }.into())
            }
            Some(_) | None => Ok(cluster),
        }
    }
}

/// Which node the environment says that this program is, if it says so.
fn wanted_name() -> Result<Option<NodeName>, ClusterError> {
    let Some(text) = env::var_os(CLUSTER_NODE).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let text = text.to_string_lossy().into_owned();
    match NodeName::parse(&text) {
        Ok(name) => Ok(Some(name)),
        Err(source) => Err(ClusterError::Name { text, source }),
    }
}

//! What a node is born with.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use crate::layout::inputs::Inputs;
use crate::layout::spec::Role;
use crate::names::{Incarnation, NodeName};
use crate::shm::heartbeat::Heartbeat;

/// A node's share of the world, handed over at its birth. A test can build one by hand and run a node
/// in its own process.
#[derive(Debug)]
pub struct Seat {
    /// Its name.
    pub name: NodeName,
    /// What it does.
    pub role: Role,
    /// Which birth this is.
    pub incarnation: Incarnation,
    /// Its working directory.
    pub directory: PathBuf,
    /// What it follows, if anything.
    pub inputs: Option<Box<Inputs>>,
    /// Its directory for log files, if its role may write any.
    pub logs: Option<PathBuf>,
    /// `attach.sock` of the run directory, if it may come to look at the other nodes.
    pub attach_socket: Option<PathBuf>,
    /// Its end of the socket to the supervisor. End-of-file is an order to leave.
    pub control: OwnedFd,
    /// Its end of the socket to the stem, by which it comes by its rings.
    pub fabric: Option<OwnedFd>,
    /// One byte into it says that the node is ready.
    pub ready: Option<OwnedFd>,
    /// Listening sockets that outlive it.
    pub listeners: Vec<OwnedFd>,
    /// Where it shows that it is alive, if the layout has a watchdog.
    pub heartbeat: Option<Heartbeat>,
    /// How often it does.
    pub beat_every: Option<Duration>,
}

//! A built-in role as a node of its cluster: it says who comes and goes, and when all are there.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use mio::Waker;

use super::cluster::{Cluster, ClusterError, Handler, pass_over};
use super::endpoint::{Endpoint, Handling, Record};
use super::inputs::Following;
use super::logger::{self, Logger};
use super::say::say;
use super::statistics::Statistics;
use crate::causes;
use crate::control::node::{FromNode, ToNode};
use crate::framework::{BackendError, FullyConnected, NodeId, PeerError};
use crate::layout::inputs::Inputs;
use crate::names::NodeName;
use crate::sys::clock;

/// Its cluster, and what it says of it.
#[derive(Debug)]
pub(super) struct Member {
    cluster: Cluster,
    voice: Voice,
    following: Option<Following>,
    /// What a node that writes logs needs, if it may come to that.
    desk: Option<Desk>,
    /// What it sees of all nodes, if it is to look.
    statistics: Option<Statistics>,
}

/// Where and how logs are written, if this node is to write them.
#[derive(Debug)]
pub(super) struct Desk {
    /// Its directory for log files.
    pub(super) directory: PathBuf,
    /// Where the fabric can be looked at.
    pub(super) attach_socket: PathBuf,
    /// Has the loop take a turn.
    pub(super) waker: Arc<Waker>,
}

#[derive(Debug, Default)]
struct Voice {
    is_connected: bool,
    logger: Option<Logger>,
}

impl Member {
    /// Takes its place in the cluster.
    pub(super) fn begin(seat: OwnedFd, desk: Option<Desk>) -> Result<Self, ClusterError> {
        let cluster = Cluster::over(Endpoint::on(seat)?)?;
        let voice = Voice::default();
        Ok(Self {
            cluster,
            voice,
            following: None,
            desk,
            statistics: None,
        })
    }

    /// Lets everybody know that it is up.
    pub(super) fn announce(&mut self) -> Result<(), ClusterError> {
        self.cluster.init()?;
        say("announced", &format_args!("id={}", self.cluster.node_id()));
        Ok(())
    }

    /// Follows these inputs from now on; `place` is the file that says how far they were read.
    pub(super) fn follow(&mut self, inputs: Inputs, place: &Path) -> io::Result<()> {
        let following = Following::begin(inputs, place, &mut self.cluster)?;
        self.following = Some(following);
        Ok(())
    }

    /// Begins to write logs, once the layout says that it does.
    pub(super) fn write_logs(&mut self) -> io::Result<()> {
        if self.voice.logger.is_some() || !self.cluster.membership().writes_logs() {
            return Ok(());
        }
        let Some(Desk {
            directory, waker, ..
        }) = &self.desk
        else {
            return Ok(());
        };
        let started = Logger::start(&self.cluster, directory, Arc::clone(waker));
        let (logger, own) = started?;
        self.cluster.keep_logs(Box::new(own));
        self.voice.logger = Some(logger);
        Ok(())
    }

    /// Looks at all nodes from now on, or no more, as the layout says.
    fn look_at_nodes(&mut self) -> io::Result<()> {
        let wanted = Statistics::wanted(&self.cluster);
        if self.statistics.as_ref().map(Statistics::every) != wanted {
            self.statistics = match (wanted, &self.desk) {
                (Some(every), Some(desk)) => {
                    let waker = Arc::clone(&desk.waker);
                    Some(Statistics::start(every, &desk.attach_socket, waker)?)
                }
                (_, _) => None,
            };
        }
        if let Some(statistics) = &self.statistics {
            statistics.log(&mut self.cluster);
        }
        Ok(())
    }

    /// How many nodes the layout has.
    pub(super) fn count_nodes(&self) -> usize {
        self.cluster.membership().roster().nodes().len()
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let following = self.following.iter().map(Following::descriptor);
        self.cluster.descriptors().chain(following)
    }

    /// It is about to sleep. False: there is something to do first.
    pub(super) fn doze(&mut self) -> bool {
        let may_sleep = self.following.as_ref().is_none_or(Following::may_sleep);
        self.cluster.doze() && may_sleep
    }

    /// When it is to have a turn though nothing wakes it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let following = self.following.as_ref().and_then(Following::deadline);
        let deadlines = [self.cluster.deadline(), following];
        deadlines.into_iter().flatten().min()
    }

    /// Takes what the supervisor asks of it.
    pub(super) fn ask(&mut self, asked: ToNode) -> Option<FromNode> {
        match (asked, &mut self.voice.logger) {
            (ToNode::Rotate { request, paths }, Some(logger)) => logger.rotate(request, paths),
            (ToNode::Rotate { request, .. }, None) => {
                let files = Err("it writes no logs".to_owned());
                return Some(FromNode::Rotated { request, files });
            }
            (ToNode::Processed { request }, Some(logger)) => logger.processed(request),
            // It was another incarnation's.
            (ToNode::Processed { .. }, None) => {}
        }
        None
    }

    /// What it answers by now.
    pub(super) fn answers(&mut self) -> Vec<FromNode> {
        let logger = self.voice.logger.as_mut();
        logger.map(Logger::answers).unwrap_or_default()
    }

    /// It is awake, and does what there is to do.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        self.cluster.wake()?;
        self.write_logs()?;
        self.cluster.dispatch(&mut self.voice);
        if let Some(following) = &mut self.following {
            following.turn(&mut self.cluster, clock::monotonic());
        }
        self.look_at_nodes()?;
        match &mut self.voice.logger {
            Some(logger) => logger.turn(&mut self.cluster),
            None => Ok(()),
        }
    }

    /// Comes to an orderly end: whoever was not woken for its last records is now, and what lies in the
    /// rings of a node that writes logs is written. Waits for the disk, a few seconds at most; what is left
    /// then waits for a successor.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        self.cluster.flush_logs();
        if self.voice.logger.is_none() {
            return Ok(());
        }
        let (drain, end) = logger::limits(clock::monotonic());
        while clock::monotonic() < drain {
            let may_rest = self.cluster.doze();
            self.turn()?;
            let Some(logger) = &mut self.voice.logger else {
                break;
            };
            if !logger.is_idle() {
                logger.wait(&mut self.cluster, drain);
            } else if may_rest {
                break;
            }
        }
        if let Some(logger) = &mut self.voice.logger
            && !logger.finish(&mut self.cluster, end)
        {
            say("log_end_unfinished", &format_args!(""));
        }
        Ok(())
    }

    /// It has left, and what becomes of its rotated files may take a moment more. False: it is done.
    pub(super) fn turn_behind_the_end(&mut self) -> bool {
        let logger = self.voice.logger.as_mut();
        logger.is_some_and(|logger| logger.turn_behind_the_end(&mut self.cluster))
    }
}

impl Handler for Voice {
    fn log_message(&mut self, cluster: &mut Cluster, record: &Record<'_>) -> Handling {
        match &mut self.logger {
            Some(logger) => logger.take(cluster, record),
            None => pass_over(self, cluster, record),
        }
    }

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

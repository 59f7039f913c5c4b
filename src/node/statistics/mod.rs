//! What every node of the host uses and does, at intervals: the records of `node_stats.log`.
//!
//! One node of the layout, the manager if there is one, has a thread for it, if the layout wants the log at
//! all. The thread reads `/proc`, the board and the rings, through the socket for observers: no other node
//! is asked, or woken, and one that hangs is seen as well as any other. Owns: that thread.

mod sample;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use mio::Waker;

use super::cluster::Cluster;
use super::observer::Snapshot;
use super::say::say;
use crate::causes;
use crate::layout::spec::Role;
use crate::logging::streams::NodeStatsInfo;
use crate::sys::{clock, procfs};
use sample::{Sampler, Usage};

/// The stem has so long to show the board and the rings.
const LOOK_LIMIT: Duration = Duration::from_secs(1);

const STACK_BYTES: usize = 256 * 1024;

/// A thread that looks at all nodes at intervals.
#[derive(Debug)]
pub(super) struct Statistics {
    every: Duration,
    samples: Receiver<Vec<NodeStatsInfo>>,
    /// Dropped with the rest, which ends the thread.
    _stop: Sender<()>,
    _thread: JoinHandle<()>,
}

impl Statistics {
    /// How often this node is to look at all nodes, if it is to: the manager, or the first logger of a
    /// layout without one.
    pub(super) fn wanted(cluster: &Cluster) -> Option<Duration> {
        let every = cluster.log_spec().node_stats?;
        let roster = cluster.membership().roster();
        let first = |role| roster.nodes_with_type(role).next();
        let (name, _) = first(Role::Manager).or_else(|| first(Role::Logger))?;
        (cluster.node() == Some(name)).then_some(every)
    }

    /// Starts the thread. `attach_socket`: where the stem shows the fabric. `waker` is woken when there is
    /// something for [`Statistics::log`].
    ///
    /// # Errors
    /// The system's, when it has no thread left.
    pub(super) fn start(
        every: Duration,
        attach_socket: &Path,
        waker: Arc<Waker>,
    ) -> io::Result<Self> {
        let (sender, samples) = crossbeam_channel::bounded(1);
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let watch = Watch {
            attach_socket: attach_socket.to_owned(),
            sampler: Sampler::default(),
            trouble: None,
        };
        let thread = Builder::new()
            .name("node-stats".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || watch.turns(every, &stopped, &sender, &waker))?;
        Ok(Self {
            every,
            samples,
            _stop: stop,
            _thread: thread,
        })
    }

    /// How often it looks.
    pub(super) fn every(&self) -> Duration {
        self.every
    }

    /// Writes what was seen since the last turn.
    pub(super) fn log(&self, cluster: &mut Cluster) {
        for info in self.samples.try_iter().flatten() {
            cluster.log_node_stats(&info);
        }
    }
}

/// The thread's belongings.
struct Watch {
    attach_socket: PathBuf,
    sampler: Sampler,
    /// Why the fabric could not be looked at the last time.
    trouble: Option<String>,
}

impl Watch {
    fn turns(
        mut self,
        every: Duration,
        stopped: &Receiver<()>,
        samples: &Sender<Vec<NodeStatsInfo>>,
        waker: &Waker,
    ) {
        let mut next = clock::monotonic() + every;
        while stopped.recv_deadline(next) == Err(RecvTimeoutError::Timeout) {
            let now = clock::monotonic();
            // Looks that were missed are not made up for.
            while next <= now {
                next += every;
            }
            // The loop has not written the last ones: the next look tells of a longer time.
            if !samples.is_full() && samples.try_send(self.look(now)).is_ok() {
                let _ = waker.wake();
            }
        }
    }

    fn look(&mut self, now: Instant) -> Vec<NodeStatsInfo> {
        match Snapshot::take(&self.attach_socket, LOOK_LIMIT) {
            Ok(snapshot) => {
                self.trouble = None;
                let pids = snapshot.peers.iter().map(|peer| peer.entry.pid);
                let usages: BTreeMap<u32, Usage> = pids.filter_map(usage_of).collect();
                let at = clock::wall().into();
                self.sampler.records(&snapshot, &usages, (at, now))
            }
            Err(error) => {
                let why = causes::chain(&error);
                if self.trouble.as_ref() != Some(&why) {
                    say("node_stats_unseen", &format_args!("error={why:?}"));
                    self.trouble = Some(why);
                }
                Vec::new()
            }
        }
    }
}

fn usage_of(pid: u32) -> Option<(u32, Usage)> {
    let id = i32::try_from(pid).ok().filter(|id| *id > 0)?;
    let usage = Usage {
        process: procfs::usage(id)?,
        descriptors: procfs::descriptors(id).ok(),
    };
    Some((pid, usage))
}

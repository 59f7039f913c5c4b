//! The death of a stem: read its link to the end, clear what it left, start another, tell it everything.

use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use cluster::layout::seats::SeatLayout;
use cluster::names::NodeName;
use cluster::supervise::child::State;
use cluster::supervise::vocabulary::{Cause, Death, Order, Past};
use cluster::sys;
use cluster::sys::process::Reaped;

use super::directories::{self, DirectoryError};
use super::events::Weight;
use super::stem::Phase;
use super::{Daemon, start};

/// What a dead stem left is waited for this long; then what is still there is given up as orphaned.
const CLEARING_LIMIT: Duration = Duration::from_secs(5);

/// So many nodes are told of before the link is flushed.
const TOLD_AT_ONCE: usize = 16;

/// A stem that could not be started is tried again after this long.
const START_AGAIN: Duration = Duration::from_millis(500);

impl Daemon {
    /// Reaps everything: the stem, what it left, and strangers if we are process 1.
    pub(super) fn reap(&mut self, now: Instant) {
        while let Ok(Some(reaped)) = sys::process::reap() {
            if self.stem.pid() == Some(reaped.pid) {
                self.on_stem_gone(now);
            } else {
                self.on_left_behind_gone(&reaped);
            }
        }
    }

    fn on_stem_gone(&mut self, now: Instant) {
        // Descriptors may still be queued there; and nothing may be written into it any more.
        self.read_link(now);
        let orderly = self.shutdown.as_ref().is_some_and(|s| s.done);
        if orderly {
            self.stem.drop_link(&mut self.poller, Phase::Left);
            self.begin_leaving();
            return;
        }
        self.event(Weight::Error, "stem_died", None, &[]);
        let deadline = now + CLEARING_LIMIT;
        self.stem
            .drop_link(&mut self.poller, Phase::Clearing { deadline });
        for node in self.nodes.values_mut() {
            if let Some(live) = &node.live {
                node.orphan = Some(live.pid);
            }
            // Its state until the new stem speaks: nothing of it runs.
            if !matches!(node.state, State::Finished | State::Failed | State::Stopped) {
                node.state = State::Pending;
                node.next = None;
            }
        }
        self.dirty = true;
        self.end_what_is_left();
    }

    /// Kills every process that came to us: parent-death signals do not reach those who changed user.
    fn end_what_is_left(&mut self) {
        for node in self.nodes.values() {
            if let Some(live) = &node.live {
                let _ = sys::pidfd::send_signal(live.pidfd.as_fd(), nix::libc::SIGKILL);
            }
        }
        for pid in left_by_the_stem() {
            // Not reaped yet, so the number is its own.
            let _ = sys::process::kill_group(pid, nix::libc::SIGKILL);
            let _ = sys::process::kill(pid, nix::libc::SIGKILL);
        }
    }

    fn on_left_behind_gone(&mut self, reaped: &Reaped) {
        let found = self
            .nodes
            .iter()
            .find(|(_, node)| node.pid() == Some(reaped.pid) || node.orphan == Some(reaped.pid))
            .map(|(name, node)| (name.clone(), node.incarnation));
        let Some((name, incarnation)) = found else {
            return; // a stranger, come to process 1
        };
        self.dirty = true;
        self.end_of(&Death {
            name: name.clone(),
            incarnation,
            pid: reaped.pid,
            ending: reaped.ending,
            cause: Cause::Stem,
            usage: reaped.usage,
            strays: 0,
        });
        let wanted = self.nodes.get_mut(&name).is_some_and(|node| {
            node.orphan = None;
            node.wanted
        });
        if wanted && self.stem.is_up() {
            // It was given up as orphaned, and is gone at last.
            self.order_want(&name, true, None);
        }
    }

    /// In every turn: is a dead stem's inheritance cleared? Has somebody been waiting for it?
    pub(super) fn settle_stem(&mut self, now: Instant) {
        if let Phase::Clearing { deadline } = self.stem.phase {
            self.end_what_is_left();
            if left_by_the_stem().is_empty() || now >= deadline {
                self.on_cleared(now);
            }
        }
    }

    fn on_cleared(&mut self, now: Instant) {
        let orphans: Vec<(NodeName, i32)> = self
            .nodes
            .iter_mut()
            .filter_map(|(name, node)| {
                let gone = node.live.as_ref().is_none_or(|live| is_gone(live.pid));
                if gone {
                    node.orphan = None;
                    node.live = None;
                }
                Some((name.clone(), node.orphan?))
            })
            .collect();
        for (name, pid) in orphans {
            let detail = [("pid", pid.to_string())];
            self.event(Weight::Error, "node_orphaned", Some(&name), &detail);
        }
        if self.shutdown.is_some() {
            self.stem.phase = Phase::Left;
            self.begin_leaving();
            return;
        }
        self.start_stem(now);
    }

    /// Starts a stem and tells it everything. Runs on the main thread, as it must.
    pub(super) fn start_stem(&mut self, now: Instant) {
        let started = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640) // as the log itself, if it is between two of its files
            .open(self.directories.log_path())
            .or_else(|_| std::fs::OpenOptions::new().write(true).open("/dev/null"))
            .and_then(|log| self.stem.start(&mut self.poller, &log));
        if let Err(error) = started {
            let detail = [("error", format!("cannot start the stem: {error}"))];
            self.event(Weight::Error, "problem", None, &detail);
            let at = now + START_AGAIN;
            self.stem.drop_link(&mut self.poller, Phase::Retry { at });
            return;
        }
        let pid = self.stem.pid().unwrap_or_default().to_string();
        let detail = [("pid", pid), ("births", self.stem.births.to_string())];
        self.event(Weight::Info, "stem_started", None, &detail);
        self.tell_everything(now);
    }

    fn tell_everything(&mut self, now: Instant) {
        let doomed: Vec<NodeName> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.doomed)
            .map(|(name, _)| name.clone())
            .collect();
        for name in doomed {
            self.on_forgotten(&name); // its process died with the stem
        }
        let escrow: Vec<_> = self
            .stem
            .escrow
            .iter()
            .filter_map(|(key, fd)| Some((key.clone(), fd.try_clone().ok()?)))
            .collect();
        for (key, fd) in escrow {
            self.stem.order(&Order::Restore(key), Some(fd));
        }
        self.send_fabric();
        self.send_layout();
        self.stem
            .order(&Order::Stages(self.layout.stages.clone()), None);
        let names = self.start_order();
        // Births go on while the rest is still being told: a stage only settles when all of it is known.
        let mut before = None;
        for (told, name) in names.iter().enumerate() {
            let Some((stage, past)) = self.nodes.get(name).map(|n| (n.spec.stage, n.past(now)))
            else {
                continue;
            };
            if before != Some(stage) {
                before = Some(stage);
                self.stem.order(&Order::Go { before }, None);
            }
            self.introduce(name, &past);
            if told % TOLD_AT_ONCE == 0 {
                self.stem.flush();
            }
        }
        self.stem.order(&Order::Go { before: None }, None);
        self.stem.flush();
    }

    /// Tells a new stem of a node, and whether it should run.
    fn introduce(&mut self, name: &NodeName, past: &Past) {
        if !self.find_place(name) {
            return;
        }
        self.tell_of(name, past);
        let Some(node) = self.nodes.get(name) else {
            return;
        };
        let rests = matches!(node.state, State::Finished | State::Failed);
        if node.wanted && !rests && node.orphan.is_none() {
            self.order_want(name, true, None);
        }
    }

    /// Makes a node's directories, once.
    fn place(&mut self, name: &NodeName) -> Result<(), DirectoryError> {
        match self.nodes.get_mut(name) {
            Some(node) if !node.placed => {
                directories::make_for(&node.spec)?;
                node.placed = true;
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Makes a node's directories before its birth is ordered. False: it has none, and is failed.
    pub(super) fn find_place(&mut self, name: &NodeName) -> bool {
        match self.place(name) {
            Ok(()) => true,
            Err(error) => {
                self.on_unplaced(name, &error);
                false
            }
        }
    }

    /// A node without a place cannot run; the others can. The stem knows it all the same, so that it can
    /// be started later, or forgotten.
    fn on_unplaced(&mut self, name: &NodeName, error: &DirectoryError) {
        let why = start::chain(error);
        if let Some(node) = self.nodes.get_mut(name) {
            node.state = State::Failed;
            node.reason = Some(why.clone());
        }
        self.event(Weight::Error, "node_failed", Some(name), &[("reason", why)]);
        if let Some(past) = self
            .nodes
            .get(name)
            .map(|n| n.past(sys::clock::monotonic()))
        {
            self.tell_of(name, &past);
        }
    }

    /// What nodes born from now on are told of the fabric.
    pub(super) fn send_fabric(&mut self) {
        let spec = Box::new(self.layout.settings.fabric.clone());
        let open_to_group = self.layout.settings.socket_group.is_some();
        let order = Order::Fabric {
            spec,
            open_to_group,
        };
        self.stem.order(&order, None);
    }

    /// Nodes, topics and pools go to whoever has a seat, as a memory file they all share.
    pub(super) fn send_layout(&mut self) {
        let generation = self.generation;
        let sealed = SeatLayout::of(&self.layout)
            .to_json()
            .map_err(std::io::Error::from)
            .and_then(|bytes| sys::memory::seal("layout", &bytes));
        match sealed {
            Ok(fd) => self.stem.order(&Order::Layout { generation }, Some(fd)),
            Err(error) => {
                log::error!("event=problem error=\"cannot hand over the layout: {error}\"")
            }
        }
    }

    pub(super) fn run_stem_deadline(&mut self, now: Instant) {
        if let Phase::Retry { at } = self.stem.phase
            && at <= now
        {
            self.start_stem(now);
        }
        self.settle_stem(now);
    }
}

fn is_gone(pid: i32) -> bool {
    sys::procfs::parent_of(pid).is_none()
}

/// The children a dead stem has left to us: all we have, or, for process 1, to whom everybody's orphans
/// come, those that show the marker of our newborns.
fn left_by_the_stem() -> Vec<i32> {
    let mut children = sys::process::children().unwrap_or_default();
    if sys::process::id() == 1 {
        children.retain(|pid| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let mut variables = environment.split(|byte| *byte == 0);
            variables.any(|variable| variable.starts_with(b"SUPERVISOR_NODE="))
        });
    }
    children
}

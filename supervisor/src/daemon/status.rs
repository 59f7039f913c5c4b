//! What `status` shows.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Instant, SystemTime};

use cluster::control::SCHEMA;
use cluster::control::reply::{InstanceStatus, LastExit, NodeStatus, StatusReply, moment};
use cluster::layout::signals;
use cluster::names::NodeName;
use cluster::node::backlog::{self, Backlog};
use cluster::supervise::child::{Ending, State};
use cluster::supervise::vocabulary::EscrowKey;
use cluster::sys;

use super::Daemon;
use super::nodes::{Exit, Node, Sample};

/// A rate is taken over no less than this.
const SAMPLE_SECONDS_MIN: f64 = 0.5;

/// Whether the layout on disk is another than the one that runs; looked up again when the file changed.
#[derive(Debug, Default)]
pub(super) struct LayoutCheck {
    seen: Option<(SystemTime, u64)>,
    changed: bool,
}

impl LayoutCheck {
    pub(super) fn forget(&mut self) {
        self.seen = None;
    }

    fn is_changed(&mut self, path: &Path, digest: &str) -> bool {
        let Ok(metadata) = std::fs::metadata(path) else {
            return true; // it is gone
        };
        let now = (
            metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            metadata.len(),
        );
        if self.seen != Some(now) {
            self.seen = Some(now);
            self.changed = std::fs::read_to_string(path)
                .map_or(true, |text| cluster::layout::digest(&text) != digest);
        }
        self.changed
    }
}

impl Daemon {
    /// All nodes in start order.
    pub(super) fn start_order(&self) -> Vec<NodeName> {
        let mut nodes: Vec<&Node> = self.nodes.values().map(AsRef::as_ref).collect();
        nodes.sort_by_cached_key(|node| node.spec.order_key());
        nodes.iter().map(|node| node.spec.name.clone()).collect()
    }

    pub(super) fn status_reply(&mut self, names: Option<&[NodeName]>, now: Instant) -> StatusReply {
        let all;
        let names = match names {
            Some(names) => names,
            None => {
                all = self.start_order();
                &all
            }
        };
        let backlogs = self.backlogs();
        let nodes = names
            .iter()
            .filter_map(|name| self.node_status(name, backlogs.get(name), now))
            .collect();
        StatusReply {
            schema: SCHEMA,
            ok: true,
            generation: self.generation,
            cluster: self.state(),
            instance: InstanceStatus {
                name: self.layout.instance.to_string(),
                pid: sys::process::id(),
                stem_pid: self.stem.pid(),
                uptime_s: self.uptime(now).as_secs(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                layout: self.layout.path.display().to_string(),
                run_dir: self.directories.path().display().to_string(),
                console_lines_lost: self
                    .console
                    .dropped()
                    .load(std::sync::atomic::Ordering::Relaxed),
            },
            layout_changed: self
                .layout_check
                .is_changed(&self.layout.path, &self.layout.digest),
            nodes,
        }
    }

    /// What waits for each node, from the memory that is in escrow: nobody is asked.
    fn backlogs(&self) -> BTreeMap<NodeName, Backlog> {
        let escrow = &self.stem.escrow;
        let rings = escrow.iter().filter_map(|(key, memory)| match key {
            EscrowKey::Ring(ring) => Some((*ring, memory.as_fd())),
            EscrowKey::Listener { .. }
            | EscrowKey::Board
            | EscrowKey::AttachSocket
            | EscrowKey::BellMemory(_)
            | EscrowKey::Bell(_) => None,
        });
        let board = escrow.get(&EscrowKey::Board);
        let looked = board.map(|board| backlog::look(board.as_fd(), rings));
        match looked {
            Some(Ok(backlogs)) => backlogs,
            // Then it is not known, and shown so.
            Some(Err(_)) | None => BTreeMap::new(),
        }
    }

    fn node_status(
        &mut self,
        name: &NodeName,
        backlog: Option<&Backlog>,
        now: Instant,
    ) -> Option<NodeStatus> {
        let node = self.nodes.get_mut(name)?;
        let usage = node.pid().and_then(sys::procfs::usage);
        let cpu_pct = usage.and_then(|usage| rate(node, usage.cpu, now));
        let live = node.live.as_ref();
        let unborn = node.stillborn_reason().filter(|_| !node.state.is_alive());
        let time = |at: Option<SystemTime>| at.map(moment);
        Some(NodeStatus {
            name: name.to_string(),
            role: node.spec.role.word().to_owned(),
            state: node.shown(),
            wanted: if node.wanted {
                State::Ready
            } else {
                State::Stopped
            },
            reason: unborn.or(node.reason.as_deref()).map(str::to_owned),
            pid: node.pid(),
            incarnation: node.incarnation.0,
            stage: node.spec.stage,
            started_at: time(live.map(|live| live.born)),
            ready_at: time(live.and_then(|live| live.ready)),
            restarts: node.restarts(),
            next_attempt_in_ms: node.next.map(|at| {
                let left = at.saturating_duration_since(now).as_millis();
                u64::try_from(left).unwrap_or(u64::MAX)
            }),
            last_exit: node.last_exit.as_deref().map(last_exit),
            cpu_pct,
            rss_bytes: usage.map(|usage| usage.rss_bytes),
            queue: backlog.map(|backlog| backlog.queue),
            drops: backlog.map(|backlog| backlog.drops),
            output_lost_bytes: node.output_lost.iter().sum(),
            status_text: node.status_text.clone(),
            in_layout: node.in_layout,
        })
    }
}

/// Processor time since the last look, or since birth, in per cent of one core.
fn rate(node: &mut Node, cpu: std::time::Duration, now: Instant) -> Option<f64> {
    let live = node.live.as_ref()?;
    let before = node
        .sample
        .as_deref()
        .filter(|sample| sample.pid == live.pid);
    let (from, since) = match before {
        Some(sample) => (sample.cpu, sample.at),
        None => (std::time::Duration::ZERO, live.born_at),
    };
    let seconds = now.saturating_duration_since(since).as_secs_f64();
    if before.is_none() || seconds >= SAMPLE_SECONDS_MIN {
        node.sample = Some(Box::new(Sample {
            pid: live.pid,
            cpu,
            at: now,
        }));
    }
    let used = cpu.saturating_sub(from).as_secs_f64();
    (seconds > 0.0).then(|| (used / seconds * 1000.0).round() / 10.0)
}

fn last_exit(exit: &Exit) -> LastExit {
    let (kind, code, signal, core) = match exit.ending {
        Ending::Exited(code) => ("exit", Some(code), None, false),
        Ending::Signaled { signal, core } => ("signal", None, Some(signals::name(signal)), core),
        Ending::NotBorn(_) => ("not_born", None, None, false),
    };
    LastExit {
        kind: kind.to_owned(),
        code,
        signal,
        core,
        asked: exit.asked,
        at: moment(exit.at),
    }
}

//! The supervisor's own process: what should run, who asks for it, and what became of it.
//!
//! Owns: the run directory's lock, the control socket and its clients, the link to the stem, a pidfd
//! and a control socket for every node, and the escrow: copies of what must outlive the stem. Hands
//! over: the output pipes to the output thread.
//! Never: forks (it starts the stem by executing its own image), decides whether a dead node is born
//! again (the stem does, by the policy it was given), waits for a node, a client or a terminal.

mod changes;
mod clients;
mod cluster;
mod controller;
mod deploy;
mod directories;
mod events;
mod groups;
mod health;
mod loggers;
mod nodes;
mod operations;
mod outputs;
mod persist;
mod reports;
mod requests;
mod revival;
mod rolling;
mod rotation;
mod shutdown;
mod signals;
mod start;
mod status;
mod stem;
mod systemd;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ::cluster::control::reply::ClusterState;
use ::cluster::layout::Layout;
use ::cluster::names::NodeName;
use ::cluster::net::poller::{Poller, Ready};
use crossbeam_channel::Receiver;

use crate::output::{Console, Note, Output, SupervisorLog};
use clients::{ClientId, Clients};
use events::Events;
use nodes::Node;
use operations::Operations;
use signals::Signals;
use stem::Stem;

pub(crate) use start::run;

/// Who has something to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Link,
    Signals,
    Notes,
    Listener,
    Client(ClientId),
    Controller,
    /// A node that writes logs.
    Logger,
}

/// The supervisor's whole state.
struct Daemon {
    poller: Poller<Source>,
    layout: Layout,
    /// Counts the layouts that were put into force.
    generation: u64,
    nodes: BTreeMap<NodeName, Box<Node>>,
    stem: Stem,
    clients: Clients,
    operations: Operations,
    rolling: Option<rolling::Rolling>,
    rotation: Option<rotation::Rotation>,
    loggers: loggers::Loggers,
    /// Counts the requests to rotate.
    rotations: u64,
    events: Events,
    signals: Signals,
    output: Output,
    notes: Receiver<Note>,
    console: Console,
    log: SupervisorLog,
    groups: groups::ControlGroups,
    controller: controller::Link,
    systemd: systemd::Systemd,
    directories: directories::RunDirectory,
    cluster: cluster::Cluster,
    shutdown: Option<shutdown::Shutdown>,
    started: Instant,
    default_run_dir: PathBuf,
    /// The command line said where the run directory is; the layout has no say.
    run_dir_is_fixed: bool,
    instance_override: Option<String>,
    layout_check: status::LayoutCheck,
    /// Nodes whose process shows a heartbeat, and perhaps some that showed one until a moment ago.
    watched: BTreeSet<NodeName>,
    /// Something changed in this turn that operations, the cluster's state or the controller may be
    /// waiting for.
    dirty: bool,
    /// The output thread has said its last word; it ends by itself.
    output_finished: bool,
    exit: Option<ExitCode>,
}

impl Daemon {
    fn turns(mut self) -> ExitCode {
        let mut ready = Vec::new();
        loop {
            let deadline = self.next_deadline();
            let now = match self.poller.wait(deadline, &mut ready) {
                Ok(now) => now,
                Err(error) => {
                    log::error!("event=deaf error=\"cannot wait for events: {error}\"");
                    return ExitCode::from(70);
                }
            };
            for Ready { source, .. } in ready.drain(..) {
                match source {
                    Source::Link => self.on_link(now),
                    Source::Signals => self.on_signals(now),
                    Source::Notes => self.on_notes(now),
                    Source::Listener => self.on_listener(),
                    Source::Client(client) => self.on_client(client, now),
                    Source::Controller => self.flush_controller(),
                    Source::Logger => self.on_loggers(),
                }
            }
            self.run_deadlines(now);
            if std::mem::take(&mut self.dirty) {
                self.settle(now);
            }
            self.stem.flush();
            if let Some(pid) = self.stem.take_deaf() {
                self.event(events::Weight::Error, "stem_stuck", None, &[]);
                // Ours until it is reaped.
                let _ = ::cluster::sys::process::kill(pid, nix::libc::SIGKILL);
            }
            self.flush_controller();
            self.flush_clients();
            self.output.kick();
            self.console.kick();
            self.log.kick();
            if let Some(code) = self.exit {
                return self.leave(code);
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        [
            self.stem.next_deadline(),
            self.operations.next_deadline(),
            self.next_heartbeat(),
            self.systemd.next_deadline(),
            self.shutdown
                .as_ref()
                .and_then(shutdown::Shutdown::next_deadline),
            self.rolling.as_ref().map(rolling::Rolling::deadline),
            self.rotation.as_ref().map(rotation::Rotation::deadline),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn run_deadlines(&mut self, now: Instant) {
        self.run_stem_deadline(now);
        self.check_heartbeats(now);
        self.systemd.run_deadline(now);
        self.run_shutdown_deadline(now);
        let waiting = [
            self.operations.next_deadline(),
            self.rolling.as_ref().map(rolling::Rolling::deadline),
            self.rotation.as_ref().map(rotation::Rotation::deadline),
        ];
        if waiting.into_iter().flatten().any(|at| at <= now) {
            self.dirty = true;
        }
    }

    /// The end of a turn in which something changed.
    fn settle(&mut self, now: Instant) {
        self.settle_cluster();
        self.settle_rolling(now);
        self.settle_rotation(now);
        self.settle_operations(now);
    }

    fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.get(name).map(AsRef::as_ref)
    }

    fn state(&self) -> ClusterState {
        self.cluster.state()
    }

    fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }
}

//! What the stem reports, and what the supervisor makes of it.

use std::os::fd::OwnedFd;
use std::time::{Instant, SystemTime};

use cluster::names::{Incarnation, NodeName};
use cluster::shm::heartbeat::Heartbeat;
use cluster::supervise::child::{Ending, State};
use cluster::supervise::vocabulary::{Cause, Death, HelperPurpose, Order, Report, VERSION};
use cluster::sys;

use super::Daemon;
use super::events::Weight;
use super::nodes::{Exit, Live, Node};

impl Daemon {
    pub(super) fn on_link(&mut self, now: Instant) {
        self.read_link(now);
        self.stem.flush();
    }

    /// Reads what lies in the link; of a dead stem, to its end.
    pub(super) fn read_link(&mut self, now: Instant) {
        while let Some((report, fds)) = self.stem.receive() {
            self.dirty = true;
            self.on_report(report, fds, now);
        }
    }

    fn on_report(&mut self, report: Report, fds: Vec<OwnedFd>, now: Instant) {
        let mut fds = fds.into_iter();
        match report {
            Report::Hello { version } => {
                if version != VERSION {
                    let text =
                        format!("the stem speaks version {version}, the supervisor {VERSION}");
                    self.event(Weight::Error, "problem", None, &[("error", text)]);
                }
            }
            Report::Escrow(key) => {
                if let Some(fd) = fds.next() {
                    self.stem.escrow.insert(key.clone(), fd);
                    self.stem.order(&Order::Held(key), None);
                }
            }
            Report::Released(key) => drop(self.stem.escrow.remove(&key)),
            Report::Born {
                name,
                incarnation,
                pid,
                control,
                heartbeat,
            } => {
                let name = self.own_copy(name);
                self.on_born(&name, incarnation, pid, (control, heartbeat), fds, now);
            }
            Report::State {
                name,
                incarnation,
                state,
                next,
                failures,
                reason,
            } => {
                let name = self.own_copy(name);
                let next = next.map(|after| now + after);
                self.on_state(&name, (incarnation, state), next, failures, reason, now);
            }
            Report::Gone(mut death) => {
                death.name = self.own_copy(death.name);
                self.on_gone(&death);
            }
            Report::Forgotten(name) => self.on_forgotten(&name),
            Report::Stillborn {
                name,
                incarnation,
                problem,
            } => self.on_stillborn(&name, incarnation, problem),
            Report::Status { name, text } => {
                if let Some(node) = self.nodes.get_mut(&name) {
                    node.status_text = Some(text);
                }
            }
            Report::StageLate { stage, missing } => self.on_stage_late(stage, &missing),
            Report::HelperBorn { name, purpose, .. } => {
                if let Some(output) = fds.next() {
                    self.attach_helper(&name, purpose, output);
                }
            }
            Report::HelperGone {
                name,
                purpose,
                ending,
            } => self.on_helper_gone(&name, purpose, ending),
            Report::Problem { name, text } => {
                self.event(Weight::Warn, "problem", name.as_ref(), &[("error", text)]);
            }
            Report::Done { killed } => self.on_done(killed, now),
        }
    }

    /// The same name, sharing its memory with the node: events and output keep it for long.
    fn own_copy(&self, name: NodeName) -> NodeName {
        let known = self.nodes.get_key_value(&name);
        known.map_or(name, |(own, _)| own.clone())
    }

    fn on_born(
        &mut self,
        name: &NodeName,
        incarnation: Incarnation,
        pid: i32,
        (control, heartbeat): (bool, bool),
        mut fds: impl Iterator<Item = OwnedFd>,
        now: Instant,
    ) {
        let (Some(pidfd), Some(stdout), Some(stderr)) = (fds.next(), fds.next(), fds.next()) else {
            log::error!("node={name} event=bug error=\"a birth without its descriptors\"");
            return;
        };
        let control = if control { fds.next() } else { None };
        let heartbeat = if heartbeat { fds.next() } else { None };
        self.attach(name, incarnation, pid, stdout, stderr);
        let Some(node) = self.nodes.get_mut(name) else {
            return; // forgotten meanwhile; the stem is about to end it
        };
        node.births += 1;
        node.incarnation = incarnation;
        node.status_text = None;
        let heartbeat = heartbeat.and_then(|fd| Heartbeat::map(fd).ok());
        if heartbeat.is_some() {
            self.watched.insert(name.clone());
        }
        node.live = Some(Live {
            pid,
            pidfd,
            control,
            heartbeat,
            born: sys::clock::wall(),
            born_at: now,
            ready: None,
            ready_at: None,
            hung: false,
        });
        let detail = [
            ("pid", pid.to_string()),
            ("incarnation", incarnation.to_string()),
        ];
        self.event(Weight::Info, "node_started", Some(name), &detail);
        self.hear(name);
    }

    fn on_state(
        &mut self,
        name: &NodeName,
        (incarnation, state): (Incarnation, State),
        next: Option<Instant>,
        failures: u32,
        reason: Option<String>,
        now: Instant,
    ) {
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        let before = std::mem::replace(&mut node.state, state);
        node.incarnation = node.incarnation.max(incarnation);
        node.next = next;
        node.failures = failures;
        node.reason = reason;
        let mut detail = Vec::new();
        if let Some(at) = next {
            let after = at.saturating_duration_since(now).as_millis();
            detail.push(("next_in_ms", after.to_string()));
        }
        if let Some(reason) = &node.reason {
            detail.push(("reason", reason.clone()));
        }
        let (weight, kind) = match state {
            State::Ready => {
                if let Some(live) = &mut node.live {
                    live.ready = Some(sys::clock::wall());
                    live.ready_at = Some(now);
                }
                (Weight::Info, "node_ready")
            }
            State::Failed => (Weight::Error, "node_failed"),
            State::Backoff => (Weight::Warn, "node_backoff"),
            State::Finished => (Weight::Info, "node_finished"),
            State::Stopped => (Weight::Info, "node_stopped"),
            State::Pending => (Weight::Info, "node_pending"),
            State::Stopping => (Weight::Info, "node_stopping"),
            State::Starting => (Weight::Info, "node_starting"),
        };
        // A birth has an event of its own; waiting for a stage, or never having run, is no event.
        let silent = matches!(state, State::Starting | State::Pending)
            || (before == state && state == State::Stopped);
        if !silent {
            self.event(weight, kind, Some(name), &detail);
        }
        self.tell_controller_of(name);
        if state == State::Ready {
            self.greet_controller(name);
        }
    }

    fn on_gone(&mut self, death: &Death) {
        self.end_of(death);
        if death.strays > 0 {
            let mut detail = vec![("killed", death.strays.to_string())];
            if death.ending == Ending::Exited(0) && death.cause == Cause::Itself {
                let hint = "a command must stay in the foreground: tell it not to become a daemon";
                detail.push(("hint", hint.to_owned()));
            }
            self.event(
                Weight::Warn,
                "node_left_processes",
                Some(&death.name),
                &detail,
            );
        }
    }

    /// A node's process ended, whoever reaped it.
    pub(super) fn end_of(&mut self, death: &Death) {
        let now = sys::clock::wall();
        let (name, ending) = (&death.name, death.ending);
        let asked = death.cause == Cause::Asked;
        let Some(node) = self.nodes.get_mut(name) else {
            self.output_gone(name, death.incarnation, None);
            return;
        };
        let live = node.live.take_if(|live| live.pid == death.pid);
        node.last_exit = Some(Box::new(Exit {
            ending,
            asked,
            at: now,
        }));
        let by_itself = !asked && death.cause != Cause::Stem;
        let crashed = by_itself && ending != Ending::Exited(0);
        let started = live.map_or(SystemTime::UNIX_EPOCH, |live| live.born);
        let cause = self.cause_of_death(death);
        let restarts = self.node(name).map_or(0, Node::restarts);
        let crash = crashed.then(|| crate::output::CrashFacts {
            pid: death.pid,
            ending,
            asked,
            cause: cause.to_owned(),
            started,
            ended: now,
            usage: death.usage,
            restarts,
            strays: death.strays,
        });
        self.output_gone(name, death.incarnation, crash);
        let mut detail = vec![
            ("pid", death.pid.to_string()),
            ("incarnation", death.incarnation.to_string()),
            ("ending", ending.to_string()),
            ("asked", asked.to_string()),
        ];
        if crashed || death.cause == Cause::Stem {
            detail.push(("cause", cause.to_owned()));
        }
        let weight = if crashed { Weight::Warn } else { Weight::Info };
        self.event(weight, "node_exited", Some(name), &detail);
    }

    /// Why a node ended, in one word.
    fn cause_of_death(&mut self, death: &Death) -> &'static str {
        match (death.cause, death.ending) {
            (Cause::Asked, _) => return "asked",
            (Cause::Late, _) => return "start-timeout",
            (Cause::Hung, _) => return "liveness",
            (Cause::Stem, _) => return "stem",
            (Cause::Itself, Ending::Exited(77 | 78)) => return "config",
            (Cause::Itself, _) => {}
        }
        let node = self.nodes.get(&death.name);
        if node.is_some_and(|node| node.stillborn_reason().is_some()) {
            return "exec";
        }
        match node.and_then(|node| node.spec.cgroup.clone()) {
            Some(group) if self.groups.killed_for_memory(&group) => "oom",
            Some(_) | None => "crash",
        }
    }

    fn on_stillborn(&mut self, name: &NodeName, incarnation: Incarnation, problem: String) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.stillborn = Some(Box::new((incarnation, problem.clone())));
        }
        let detail = [("error", problem), ("incarnation", incarnation.to_string())];
        self.event(Weight::Error, "node_not_set_up", Some(name), &detail);
    }

    fn on_helper_gone(&mut self, name: &NodeName, purpose: HelperPurpose, ending: Ending) {
        let on = match purpose {
            HelperPurpose::Hook(on) => on,
            HelperPurpose::Postprocess(request) => {
                self.on_processed(name, request, ending);
                return;
            }
            HelperPurpose::Readiness => return,
        };
        let weight = match ending {
            Ending::Exited(0) => Weight::Info,
            Ending::Exited(_) | Ending::Signaled { .. } | Ending::NotBorn(_) => Weight::Warn,
        };
        let detail = [
            ("hook", on.word().to_owned()),
            ("ending", ending.to_string()),
        ];
        self.event(weight, "hook_ended", Some(name), &detail);
    }
}

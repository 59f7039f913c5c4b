//! Helper processes: hooks of the layout, commands that say whether a child is ready, and those for rotated
//! log files.
//!
//! They are born at the same place as children, run with their node's identity, and have a time limit.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::layout::spec::{ChildSpec, HookPoint, Program};
use cluster::names::NodeName;
use cluster::supervise::child::{Ending, State};
use cluster::supervise::fleet::Change;
use cluster::supervise::vocabulary::{HelperPurpose, Report};
use cluster::sys;
use serde_json::json;

use super::newborn::Newborn;
use super::{Stem, Who};

/// With more hooks than this in line, new ones are refused: something is very wrong already.
const WAITING_MAX: usize = 1024;

/// A helper that is to be born.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: NodeName,
    pub(super) purpose: HelperPurpose,
    pub(super) command: Vec<String>,
    /// What it reads on its standard input.
    pub(super) input: String,
    pub(super) timeout: Duration,
}

#[derive(Debug)]
struct Running {
    name: NodeName,
    purpose: HelperPurpose,
    deadline: Instant,
    /// The birth that it asked about is over: its answer is nobody's.
    late: bool,
}

/// All helpers.
#[derive(Debug, Default)]
pub(super) struct Helpers {
    waiting: VecDeque<Plan>,
    running: BTreeMap<i32, Running>,
    /// The end of everything: none runs longer, whatever its own time limit.
    end: Option<Instant>,
}

impl Helpers {
    /// Puts it in line; false if the line is too long for that.
    #[must_use]
    pub(super) fn plan(&mut self, plan: Plan) -> bool {
        let room = self.waiting.len() < WAITING_MAX;
        if room {
            self.waiting.push_back(plan);
        }
        room
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The end of everything begins. Loggers wait for their commands, and they end last.
    pub(super) fn discard_waiting(&mut self) {
        let is_awaited = |plan: &Plan| matches!(plan.purpose, HelperPurpose::Postprocess(_));
        self.waiting.retain(is_awaited);
    }

    /// Nobody runs longer than this.
    pub(super) fn end_by(&mut self, end: Instant) {
        self.end = Some(self.end.map_or(end, |known| known.min(end)));
        for running in self.running.values_mut() {
            running.deadline = running.deadline.min(end);
        }
    }

    /// A birth is over: whoever asked whether it is ready is ended, and its answer not heard.
    pub(super) fn end_questions(&mut self, name: &NodeName) {
        let asks = HelperPurpose::Readiness;
        self.waiting
            .retain(|plan| plan.purpose != asks || plan.name != *name);
        for (pid, running) in &mut self.running {
            if running.purpose == asks && running.name == *name {
                running.late = true;
                super::reaping::end(*pid);
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.running.values().map(|running| running.deadline).min()
    }
}

impl Stem {
    /// Plans the hooks that a change of state calls for.
    pub(super) fn run_hooks_for(&mut self, change: &Change) {
        let reason = change.reason.clone().unwrap_or_default();
        match change.state {
            State::Ready => self.run_hook(&change.name, HookPoint::OnReady, &[]),
            State::Failed => {
                self.run_hook(&change.name, HookPoint::OnFailed, &[("reason", reason)]);
            }
            State::Stopped
            | State::Pending
            | State::Backoff
            | State::Starting
            | State::Stopping
            | State::Finished => {}
        }
    }

    /// Plans the hooks of one point of a child's life. `facts` are added to what they read.
    pub(super) fn run_hook(&mut self, name: &NodeName, on: HookPoint, facts: &[(&str, String)]) {
        let Some(record) = self.records.get(name) else {
            return;
        };
        let mut dropped = Vec::new();
        for hook in record.spec.hooks.iter().filter(|hook| hook.on == on) {
            let mut input = json!({
                "hook": on,
                "node": name,
                "role": record.spec.role,
                "incarnation": self.fleet.child(name).map(|child| child.incarnation().0),
                "pid": record.live.as_ref().map(|live| live.pid),
            });
            if let Some(object) = input.as_object_mut() {
                for (key, value) in facts {
                    object.insert((*key).to_owned(), value.clone().into());
                }
            }
            let planned = self.helpers.plan(Plan {
                name: name.clone(),
                purpose: HelperPurpose::Hook(on),
                command: hook.command.clone(),
                input: format!("{input}\n"),
                timeout: hook.timeout,
            });
            if !planned {
                dropped.push(format!(
                    "hook {on:?} is dropped: {WAITING_MAX} others are in line before it"
                ));
            }
        }
        for text in dropped {
            self.problem(Some(name), &text);
        }
    }

    /// Plans the command for a rotated log file.
    pub(super) fn run_postprocess(
        &mut self,
        name: NodeName,
        request: u64,
        command: Vec<String>,
        timeout: Duration,
    ) {
        let plan = || Plan {
            name: name.clone(),
            purpose: HelperPurpose::Postprocess(request),
            command: command.clone(),
            input: String::new(),
            timeout,
        };
        if !self.helpers.plan(plan()) {
            self.refuse(&plan(), None);
        }
    }

    /// Somebody waits for its end, and it never began.
    fn refuse(&mut self, plan: &Plan, errno: Option<i32>) {
        let report = Report::HelperGone {
            name: plan.name.clone(),
            purpose: plan.purpose,
            ending: Ending::NotBorn(errno.unwrap_or(nix::libc::EAGAIN)),
        };
        self.link.report(report, vec![]);
    }

    /// Bears the next helper in line.
    pub(super) fn bear_helper(&mut self, now: Instant) {
        let Some(plan) = self.helpers.waiting.pop_front() else {
            return;
        };
        if let Err(error) = self.try_to_bear_helper(&plan, now) {
            let text = format!("cannot run {:?}: {error}", plan.command);
            self.problem(Some(&plan.name), &text);
            match plan.purpose {
                HelperPurpose::Readiness => self.on_answer(&plan.name, false, now),
                HelperPurpose::Postprocess(_) => self.refuse(&plan, error.raw_os_error()),
                HelperPurpose::Hook(_) => {}
            }
        }
    }

    fn try_to_bear_helper(&mut self, plan: &Plan, now: Instant) -> io::Result<()> {
        let Some(record) = self.records.get(&plan.name) else {
            return Ok(()); // forgotten; nobody waits
        };
        let mut spec = ChildSpec::clone(&record.spec);
        spec.program = Program::Command(plan.command.clone());
        spec.watchdog = None;
        let incarnation = self
            .fleet
            .child(&plan.name)
            .map(cluster::supervise::child::Child::incarnation)
            .unwrap_or_default();
        let stdin = sys::memory::seal("facts", plan.input.as_bytes())?;
        let (output, stdout) = sys::descriptors::pipe()?;
        let stderr = stdout.try_clone()?;
        let link = self.link.copy()?;
        let newborn = Newborn {
            spec: Arc::new(spec),
            incarnation,
            stem: self.pid,
            soft_limit: self.soft_limit,
            stdin: Some(stdin),
            stdout,
            stderr,
            control: None,
            ready: None,
            executed: None,
            heartbeat: None,
            listeners: vec![],
            seat: None,
            link,
        };
        let born = self.bear_plain(&newborn, &plan.command)?;
        self.on_helper_birth(plan, born.pid, output, now);
        Ok(())
    }

    fn on_helper_birth(&mut self, plan: &Plan, pid: i32, output: OwnedFd, now: Instant) {
        self.processes.insert(pid, Who::Helper);
        let deadline = now + plan.timeout;
        self.helpers.running.insert(
            pid,
            Running {
                name: plan.name.clone(),
                purpose: plan.purpose,
                deadline: self.helpers.end.map_or(deadline, |end| deadline.min(end)),
                late: false,
            },
        );
        let report = Report::HelperBorn {
            name: plan.name.clone(),
            purpose: plan.purpose,
            pid,
        };
        self.link.report(report, vec![output]);
    }

    pub(super) fn on_helper_gone(&mut self, pid: i32, ending: Ending, now: Instant) {
        let Some(helper) = self.helpers.running.remove(&pid) else {
            return;
        };
        match helper.purpose {
            HelperPurpose::Readiness if helper.late => {}
            HelperPurpose::Readiness => {
                self.on_answer(&helper.name, ending == Ending::Exited(0), now);
            }
            HelperPurpose::Hook(_) | HelperPurpose::Postprocess(_) => {
                let report = Report::HelperGone {
                    name: helper.name,
                    purpose: helper.purpose,
                    ending,
                };
                self.link.report(report, vec![]);
            }
        }
    }

    pub(super) fn kill_late_helpers(&mut self, now: Instant) {
        for (pid, running) in &mut self.helpers.running {
            if running.deadline <= now {
                super::reaping::end(*pid);
                running.deadline = now + Duration::from_secs(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_refuses_more() {
        let mut helpers = Helpers::default();
        let plan = || Plan {
            name: NodeName::parse("node").unwrap(),
            purpose: HelperPurpose::Readiness,
            command: vec![],
            input: String::new(),
            timeout: Duration::ZERO,
        };
        for _ in 0..WAITING_MAX {
            assert!(helpers.plan(plan()));
        }
        assert!(!helpers.plan(plan()));
        helpers.end_questions(&plan().name);
        assert!(helpers.plan(plan()));
    }
}

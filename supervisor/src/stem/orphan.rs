//! The supervisor is dead: the stem forks nothing more, ends everybody but the loggers, and leaves last.

use std::time::{Duration, Instant};

use cluster::layout::spec::{Program, Role};
use cluster::names::NodeName;

use super::reaping::end;
use super::{Stem, Who};

/// Loggers have this long to write what they still hold.
const LOGGERS_GRACE: Duration = Duration::from_secs(5);

impl Stem {
    pub(super) fn become_orphan(&mut self, now: Instant) {
        if self.orphaned.is_some() {
            return;
        }
        self.orphaned = Some(now + LOGGERS_GRACE);
        self.going = false;
        self.fabric.close();
        let names: Vec<NodeName> = self.records.keys().cloned().collect();
        for name in names {
            let Some(record) = self.records.get(&name) else {
                continue;
            };
            match (record.spec.role, &record.spec.program) {
                // Its control socket has ended: it writes what it has and leaves.
                (Role::Logger, Program::Builtin(_)) => {}
                (Role::Logger, Program::Command(_)) => self.ask_to_end(&name, nix::libc::SIGTERM),
                _ => self.kill(&name),
            }
        }
        self.end_all_but_loggers();
    }

    /// Ends whoever is left; what they leave behind comes to us, and is ended in the next turn.
    fn end_all_but_loggers(&mut self) {
        let children = self.children.list().unwrap_or_default();
        let mut left = false;
        for pid in children {
            left = true;
            if !self.is_logger(pid) {
                end(pid);
            }
        }
        self.finished = !left;
    }

    fn is_logger(&self, pid: i32) -> bool {
        match self.processes.get(&pid) {
            Some(Who::Child(name)) => self
                .records
                .get(name)
                .is_some_and(|record| record.spec.role == Role::Logger),
            Some(Who::Helper) | None => false,
        }
    }

    /// At the end of every turn of an orphaned stem, when everybody who has ended is reaped.
    pub(super) fn run_orphan_deadline(&mut self, now: Instant) {
        let Some(deadline) = self.orphaned else {
            return;
        };
        self.end_all_but_loggers();
        if now >= deadline {
            for pid in self.children.list().unwrap_or_default() {
                end(pid);
            }
            self.finished = true;
        }
    }
}

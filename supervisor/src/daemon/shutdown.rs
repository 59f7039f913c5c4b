//! The end of everything, in order, against a deadline; and the supervisor's own leaving.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use cluster::supervise::vocabulary::Order;
use cluster::sys;

use super::Daemon;
use super::events::Weight;
use super::stem::Phase;
use crate::output::Command;

/// A second request to stop within this time means: now.
const IMPATIENCE: Duration = Duration::from_secs(5);

/// The stem has this much longer than the stop deadline; then it is killed.
const STEM_MARGIN: Duration = Duration::from_secs(2);

/// The output thread has this long for what still lies in the pipes.
const OUTPUT_LIMIT: Duration = Duration::from_secs(2);

/// The daemon's exit code when the stop deadline had passed and survivors were killed.
const SURVIVORS_KILLED: u8 = 5;

/// A stop that is under way.
#[derive(Debug)]
pub(super) struct Shutdown {
    /// So many times it was asked for.
    asked: u32,
    asked_at: Instant,
    deadline: Instant,
    killed: u32,
    /// The stem said that everything is stopped.
    pub(super) done: bool,
    leaving: bool,
}

impl Shutdown {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        Some(self.deadline)
    }
}

impl Daemon {
    /// SIGTERM, SIGINT: stop in order; again within five seconds: without grace; a third time: kill all.
    pub(super) fn ask_to_stop(&mut self, now: Instant) {
        let (asked, at) = self
            .shutdown
            .as_ref()
            .map_or((0, now), |shutdown| (shutdown.asked, shutdown.asked_at));
        // Long after the first it is a first one again.
        let soon = asked > 1 || now < at + IMPATIENCE;
        let asked = if soon { asked + 1 } else { 1 };
        match asked {
            1 => self.begin_shutdown(None, now),
            2 => self.begin_shutdown(Some(Duration::ZERO), now),
            _ => self.kill_all(now),
        }
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.asked = asked;
            shutdown.asked_at = now;
        }
        if asked == 1 {
            log::info!(
                "event=stopping hint=\"again within {} s: without grace\"",
                IMPATIENCE.as_secs()
            );
        }
    }

    /// SIGQUIT.
    pub(super) fn stop_without_grace(&mut self, now: Instant) {
        self.begin_shutdown(Some(Duration::ZERO), now);
    }

    pub(super) fn begin_shutdown(&mut self, grace: Option<Duration>, now: Instant) {
        let limit = self.layout.settings.stop_deadline;
        let grace_words = grace.map_or_else(|| "layout".to_owned(), |g| format!("{g:?}"));
        self.event(Weight::Info, "shutdown", None, &[("grace", grace_words)]);
        self.systemd.on_stopping();
        // A second request changes nothing of what the first has reached by now.
        self.shutdown.get_or_insert(Shutdown {
            asked: 0,
            asked_at: now,
            deadline: now + limit + STEM_MARGIN,
            killed: 0,
            done: false,
            leaving: false,
        });
        self.dirty = true;
        self.order_shutdown(grace, limit, now);
    }

    fn kill_all(&mut self, now: Instant) {
        self.event(
            Weight::Warn,
            "shutdown",
            None,
            &[("grace", "kill all".to_owned())],
        );
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.deadline = shutdown.deadline.min(now + STEM_MARGIN);
        }
        self.order_shutdown(Some(Duration::ZERO), Duration::ZERO, now);
    }

    fn order_shutdown(&mut self, grace: Option<Duration>, deadline: Duration, now: Instant) {
        match self.stem.phase {
            Phase::Up(_) => self.stem.order(&Order::Shutdown { grace, deadline }, None),
            // Whatever a dead stem left is being killed already.
            Phase::Clearing { .. } => {}
            Phase::Retry { .. } | Phase::Left => {
                self.stem.phase = Phase::Left;
                self.begin_leaving();
            }
        }
        self.settle_stem(now);
    }

    /// The stem has stopped everybody; it leaves now, and its end is reaped like any other.
    pub(super) fn on_done(&mut self, killed: u32, now: Instant) {
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.killed = killed;
            shutdown.done = true;
            shutdown.deadline = now + STEM_MARGIN;
        }
    }

    pub(super) fn begin_leaving(&mut self) {
        if let Some(shutdown) = &mut self.shutdown
            && !std::mem::replace(&mut shutdown.leaving, true)
        {
            shutdown.deadline = sys::clock::monotonic() + OUTPUT_LIMIT + STEM_MARGIN;
            self.output.send(Command::Finish {
                within: OUTPUT_LIMIT,
            });
        }
    }

    /// Everything that was said is in the files: nothing is left to do.
    pub(super) fn on_output_finished(&mut self, unread: usize) {
        if unread > 0 {
            log::warn!("event=output_unread pipes={unread}");
        }
        let killed = self.shutdown.as_ref().map_or(0, |shutdown| shutdown.killed);
        self.output_finished = unread == 0;
        self.exit = Some(match killed {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::from(SURVIVORS_KILLED),
        });
    }

    pub(super) fn run_shutdown_deadline(&mut self, now: Instant) {
        let Some(shutdown) = &mut self.shutdown else {
            return;
        };
        if now < shutdown.deadline {
            return;
        }
        if shutdown.leaving {
            // A disk holds up the output thread; nothing else is left to wait for.
            self.on_output_finished(1);
            return;
        }
        shutdown.killed = shutdown.killed.max(1);
        shutdown.deadline = now + STEM_MARGIN;
        self.event(Weight::Error, "stem_stuck", None, &[]);
        if let Some(pid) = self.stem.pid() {
            // Ours until we reap it. Its end kills its children, and brings us what is left.
            let _ = sys::process::kill(pid, nix::libc::SIGKILL);
        }
    }

    /// The last act: what only a running supervisor has in the run directory goes with it.
    pub(super) fn leave(mut self, code: ExitCode) -> ExitCode {
        self.settle_cluster();
        log::info!(
            "event=down uptime_s={}",
            self.uptime(sys::clock::monotonic()).as_secs()
        );
        self.flush_clients();
        self.directories.clear();
        self.groups.clear();
        if self.output_finished {
            self.output.join();
        }
        let deadline = sys::clock::monotonic() + OUTPUT_LIMIT;
        self.log.flush(deadline);
        // Nobody may be reading: a stalled terminal must not hold up the end for long.
        self.console
            .flush(sys::clock::monotonic() + Duration::from_millis(200));
        code
    }
}

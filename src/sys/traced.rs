//! For tests: a child that is led through an act one machine instruction at a time, or one call of the
//! system at a time, and killed behind any of them.
//!
//! The child is a fork, so whoever calls has one thread (`alone`), and what it was given it has.

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::process::{Forked, exit_now, fork};

/// A child gets through in fewer instructions, by far.
const INSTRUCTIONS_MAX: usize = 500_000;

/// Such a child. It dies with its tracer.
#[derive(Debug)]
pub(crate) struct Traced(Pid);

impl Traced {
    /// A child that has prepared unwatched what it needs, and stands before its act.
    pub(crate) fn new<T>(prepare: impl FnOnce() -> T, act: impl FnOnce(&mut T)) -> Self {
        let pid = match fork().unwrap() {
            Forked::Parent(pid) => Pid::from_raw(pid),
            Forked::Child => {
                let mut prepared = prepare();
                ptrace::traceme().unwrap();
                raise(Signal::SIGSTOP).unwrap();
                act(&mut prepared);
                exit_now(0);
            }
        };
        let stopped = WaitStatus::Stopped(pid, Signal::SIGSTOP);
        assert_eq!(waitpid(pid, None).unwrap(), stopped);
        ptrace::setoptions(pid, ptrace::Options::PTRACE_O_EXITKILL).unwrap();
        Self(pid)
    }

    /// Lets it do its next instruction. False: it has got through.
    fn step(&self) -> bool {
        ptrace::step(self.0, None).unwrap();
        let status = waitpid(self.0, None).unwrap();
        if status == WaitStatus::Exited(self.0, 0) {
            return false;
        }
        assert_eq!(status, WaitStatus::Stopped(self.0, Signal::SIGTRAP));
        true
    }

    /// Leads it through, and says behind how many instructions something looks other than before.
    pub(crate) fn changes<L: PartialEq>(self, look: impl Fn() -> L) -> usize {
        let mut before = look();
        let mut changes = 0;
        for _ in 1..INSTRUCTIONS_MAX {
            if !self.step() {
                return changes;
            }
            let now = look();
            changes += usize::from(now != before);
            before = now;
        }
        panic!("the child does not get through");
    }

    /// Lets it go on to where its next call of the system begins, or ends. False: it has got through.
    fn step_to_call(&self) -> bool {
        ptrace::syscall(self.0, None).unwrap();
        let status = waitpid(self.0, None).unwrap();
        if status == WaitStatus::Exited(self.0, 0) {
            return false;
        }
        assert_eq!(status, WaitStatus::Stopped(self.0, Signal::SIGTRAP));
        true
    }

    /// Leads it through, and says how many calls of the system that took.
    pub(crate) fn calls(self) -> usize {
        let mut stops = 0;
        while self.step_to_call() {
            stops += 1;
        }
        stops / 2 // before and behind each
    }

    /// Kills it behind so many calls of the system. False: it has got through with fewer.
    pub(crate) fn kill_behind_calls(self, calls: usize) -> bool {
        let dies = (0..2 * calls).all(|_| self.step_to_call());
        if dies {
            self.kill();
        }
        dies
    }

    /// Kills it behind so many of the changes that [`Traced::changes`] finds. They are found anew: how many
    /// instructions it takes to one of them depends on what the allocator has at hand.
    pub(crate) fn kill_behind<L: PartialEq>(self, changes: usize, look: impl Fn() -> L) {
        let mut before = look();
        let mut left = changes;
        while left > 0 {
            assert!(self.step(), "this child goes another way");
            let now = look();
            if now != before {
                before = now;
                left -= 1;
            }
        }
        self.kill();
    }

    fn kill(self) {
        kill(self.0, Signal::SIGKILL).unwrap();
        let killed = WaitStatus::Signaled(self.0, Signal::SIGKILL, false);
        assert_eq!(waitpid(self.0, None).unwrap(), killed);
    }
}

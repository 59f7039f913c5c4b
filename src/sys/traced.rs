//! For tests: a child that is led through an act one machine instruction at a time, and killed behind any
//! of them.
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

    /// Leads it through, and says behind which instructions something looks other than before.
    pub(crate) fn changes<L: PartialEq>(self, look: impl Fn() -> L) -> Vec<usize> {
        let mut before = look();
        let mut changes = Vec::new();
        for instruction in 1..INSTRUCTIONS_MAX {
            if !self.step() {
                return changes;
            }
            let now = look();
            if now != before {
                changes.push(instruction);
                before = now;
            }
        }
        panic!("the child does not get through");
    }

    /// Kills it behind so many instructions.
    pub(crate) fn kill_behind(self, instructions: usize) {
        for _ in 0..instructions {
            assert!(self.step(), "this child goes another way");
        }
        kill(self.0, Signal::SIGKILL).unwrap();
        let killed = WaitStatus::Signaled(self.0, Signal::SIGKILL, false);
        assert_eq!(waitpid(self.0, None).unwrap(), killed);
    }
}

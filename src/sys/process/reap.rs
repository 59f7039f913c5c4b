//! Learning how children ended.

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use nix::sys::wait::{Id, WaitPidFlag, waitid};

use crate::supervise::child::Ending;
use crate::supervise::vocabulary::Usage;
use crate::sys::checked;

/// A child that has ended and is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaped {
    /// Its process id, free for others from now on.
    pub pid: i32,
    /// How it ended.
    pub ending: Ending,
    /// What it used, with those of its own children that it had reaped.
    pub usage: Usage,
}

/// Takes one ended child, whichever it is. `None`: nobody has ended, or there are no children. Signals
/// merge, so after SIGCHLD call it until `None`.
///
/// # Errors
/// The system's answer.
pub fn reap() -> io::Result<Option<Reaped>> {
    match wait(-1) {
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
        answer => answer,
    }
}

/// Takes this child, if it has ended. `None`: it lives.
///
/// # Errors
/// The system's answer; ECHILD if it is no child of ours (any more).
pub fn reap_one(pid: i32) -> io::Result<Option<Reaped>> {
    if pid <= 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    wait(pid)
}

/// Has this child ended? It is not taken: its number, and its group's, stay its own for now. False too
/// for who is no child of ours.
///
/// # Errors
/// The system's answer.
pub fn has_ended(pid: i32) -> io::Result<bool> {
    let ended = look(Id::Pid(nix::unistd::Pid::from_raw(pid)))?;
    Ok(ended.is_some())
}

/// Looks who has ended, without taking it: its number, and its group's, stay its own for now. `None`:
/// nobody has ended, or there are no children.
///
/// # Errors
/// The system's answer.
pub fn peek() -> io::Result<Option<i32>> {
    look(Id::All)
}

fn look(whom: Id<'_>) -> io::Result<Option<i32>> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(whom, flags) {
        Ok(status) => Ok(status.pid().map(nix::unistd::Pid::as_raw)),
        Err(nix::errno::Errno::ECHILD) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn wait(whom: i32) -> io::Result<Option<Reaped>> {
    loop {
        let mut status = 0;
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        let options = libc::WNOHANG | libc::__WALL;
        // SAFETY: both pointers are to locals of the right types that live through the call.
        let answer = unsafe { libc::wait4(whom, &raw mut status, options, usage.as_mut_ptr()) };
        let pid = match checked(answer) {
            Ok(0) => return Ok(None),
            Ok(pid) => pid,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        // SAFETY: zeroes are a valid `rusage`, and the call has filled it.
        let usage = unsafe { usage.assume_init() };
        // Anything else is a stop, which is not asked for.
        if let Some(ending) = ending(status) {
            return Ok(Some(Reaped {
                pid,
                ending,
                usage: in_words(&usage),
            }));
        }
    }
}

fn ending(status: i32) -> Option<Ending> {
    if libc::WIFEXITED(status) {
        Some(Ending::Exited(libc::WEXITSTATUS(status)))
    } else if libc::WIFSIGNALED(status) {
        Some(Ending::Signaled {
            signal: libc::WTERMSIG(status),
            core: libc::WCOREDUMP(status),
        })
    } else {
        None
    }
}

fn in_words(usage: &libc::rusage) -> Usage {
    Usage {
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
        // The system counts in kibibytes.
        peak_bytes: u64::try_from(usage.ru_maxrss)
            .unwrap_or(0)
            .saturating_mul(1024),
    }
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::alone::{alone, wait_to_be_killed};
    use crate::sys::process::{Forked, exit_now, fork};

    #[test]
    fn merged_deaths_are_all_reaped_and_then_there_is_nobody() {
        alone(|| {
            assert_eq!(reap().unwrap(), None);
            let mut born = Vec::new();
            for code in 0..5 {
                match fork().unwrap() {
                    Forked::Parent(pid) => born.push((pid, Ending::Exited(code))),
                    Forked::Child => exit_now(code),
                }
            }
            let mut reaped = Vec::new();
            while reaped.len() < born.len() {
                let found = reap().unwrap();
                reaped.extend(found.map(|child| (child.pid, child.ending)));
                std::thread::yield_now();
            }
            reaped.sort_unstable_by_key(|(pid, _)| *pid);
            born.sort_unstable_by_key(|(pid, _)| *pid);
            assert_eq!(reaped, born);
            assert_eq!(reap().unwrap(), None);
        });
    }

    #[test]
    fn a_killed_child_says_its_signal_and_somebody_elses_is_no_child() {
        alone(|| {
            let Forked::Parent(pid) = fork().unwrap() else {
                wait_to_be_killed()
            };
            assert_eq!(reap_one(pid).unwrap(), None);
            assert!(!has_ended(pid).unwrap());
            // SAFETY: numbers only.
            assert_eq!(unsafe { libc::kill(pid, libc::SIGUSR2) }, 0);
            let child = loop {
                if peek().unwrap() == Some(pid) {
                    assert!(has_ended(pid).unwrap());
                    break reap_one(pid).unwrap().unwrap();
                }
                std::thread::yield_now();
            };
            let ending = Ending::Signaled {
                signal: libc::SIGUSR2,
                core: false,
            };
            assert_eq!((child.pid, child.ending), (pid, ending));
            assert_eq!(peek().unwrap(), None);
            assert!(child.usage.peak_bytes > 0);
            assert_eq!(
                reap_one(pid).unwrap_err().raw_os_error(),
                Some(libc::ECHILD)
            );
        });
    }
}

//! Processes: births, deaths, and what a process says of itself.
//!
//! Owns: nothing. Everything here concerns the calling process or its children.

mod children;
mod environment;
mod exec;
mod fork;
mod reap;
mod title;

pub use children::Children;
pub use environment::set_environment;
pub(crate) use exec::DEFAULT_PATH;
pub use exec::{Prepared, prepare};
pub use fork::{ForkError, Forked, Nursery, Nursling, fork};
pub use reap::{Reaped, has_ended, peek, reap, reap_one};
pub use title::set_title;

use std::ffi::CString;
use std::{fs, io};

use nix::sys::prctl;
use nix::sys::stat::Mode;
use nix::unistd;

use super::{checked, procfs, reached};

/// From now on orphans among the descendants become children of this process.
///
/// # Errors
/// The system's answer.
pub fn become_subreaper() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// The signal this process gets when the *thread* that bore it ends. A change of user or group clears
/// it, and a parent that is already dead sends nothing: compare [`parent_id`] afterwards.
///
/// # Errors
/// The system's answer; an unknown signal is one.
pub fn set_parent_death_signal(signal: i32) -> io::Result<()> {
    let signal = libc::c_ulong::try_from(signal).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: PR_SET_PDEATHSIG takes a number and touches no memory of ours.
    checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) }).map(drop)
}

/// The parent's process id; 0 if the parent is in another pid namespace.
#[must_use]
pub fn parent_id() -> i32 {
    unistd::getppid().as_raw()
}

/// This process's id.
#[must_use]
pub fn id() -> i32 {
    unistd::getpid().as_raw()
}

/// The user whose rights this process has.
#[must_use]
pub fn effective_uid() -> u32 {
    unistd::geteuid().as_raw()
}

/// The name that `ps` and `top` show; the system keeps its first 15 bytes.
///
/// # Errors
/// A name with a zero byte.
pub fn set_thread_name(name: &str) -> io::Result<()> {
    let name = CString::new(name)?;
    Ok(prctl::set_name(&name)?)
}

/// Makes this process the leader of a process group of its own.
///
/// # Errors
/// The system's answer: a session leader cannot.
pub fn own_process_group() -> io::Result<()> {
    let me = unistd::Pid::from_raw(0);
    Ok(unistd::setpgid(me, me)?)
}

/// The same, done by its parent, so that the group exists before anybody signals it. Does nothing for a
/// child that has executed a program by then: it has done it itself.
pub fn set_group(child: i32) {
    let child = unistd::Pid::from_raw(child);
    let _ = unistd::setpgid(child, child);
}

/// Makes this process the leader of a session of its own, without a terminal.
///
/// # Errors
/// The system's answer: the leader of a process group cannot.
pub fn new_session() -> io::Result<()> {
    unistd::setsid()?;
    Ok(())
}

/// Ends this process at once: nothing is dropped, flushed or unwound.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` does not return and runs no code of ours.
    unsafe { libc::_exit(code) }
}

/// Sets the bits that new files do *not* get, and returns those before.
pub fn umask(mask: u32) -> u32 {
    nix::sys::stat::umask(Mode::from_bits_truncate(mask)).bits()
}

/// Sends a signal to a whole process group. `Ok(false)`: nobody is left in it.
///
/// # Errors
/// The system's answer. Groups 0 and 1 are refused: to the system the one means the caller's own
/// group, the other everybody.
pub fn kill_group(group: i32, signal: i32) -> io::Result<bool> {
    if group <= 1 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{group} is no process group that may be signalled"),
        ));
    }
    send_signal(-group, signal)
}

/// Sends a signal to a child that is not reaped yet, so that the number is its own. `Ok(false)`: nobody
/// has that number.
///
/// # Errors
/// The system's answer. Numbers below 2 are refused: they mean groups, or everybody, or `init`.
pub fn kill(child: i32, signal: i32) -> io::Result<bool> {
    if child <= 1 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{child} is no child that may be signalled"),
        ));
    }
    send_signal(child, signal)
}

/// `target` as the system takes it: a process, or a group with its sign turned. `Ok(false)`: nobody is
/// there.
fn send_signal(target: i32, signal: i32) -> io::Result<bool> {
    // SAFETY: `kill` takes numbers only.
    reached(checked(unsafe { libc::kill(target, signal) }))
}

/// The children of this process, whichever of its threads bore them, zombies included. A snapshot: one
/// that is born or moves while it is taken can be missing, so look again until nobody is left.
///
/// # Errors
/// `/proc` could not be read.
pub fn children() -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        match fs::read_to_string(task.join("children")) {
            Ok(text) => found.extend(numbers(text.split_ascii_whitespace())),
            // This kernel keeps no such lists.
            Err(_) if task.exists() => return children_by_search(),
            // The thread has ended since; its children are another thread's now.
            Err(_) => {}
        }
    }
    Ok(found)
}

/// The same, by asking every process of this host for its parent.
fn children_by_search() -> io::Result<Vec<i32>> {
    let me = Some(id());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        found.extend(numbers(name.to_str()).filter(|pid| procfs::parent_of(*pid) == me));
    }
    Ok(found)
}

fn numbers<'a>(words: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = i32> {
    words.into_iter().filter_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::child::Ending;
    use crate::sys::alone::{alone, wait_to_be_killed};
    use crate::sys::descriptors;
    use std::io::Read;

    #[test]
    fn groups_that_mean_everybody_are_refused() {
        for group in [i32::MIN, -1, 0, 1] {
            let error = kill_group(group, 0).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }

    /// Shows: an orphan becomes ours, is listed, and its whole group can be killed.
    #[test]
    fn an_orphaned_group_comes_to_the_subreaper_and_is_killed_as_one() {
        alone(|| {
            become_subreaper().unwrap();
            let (read, write) = descriptors::pipe().unwrap();
            let Forked::Parent(middle) = fork().unwrap() else {
                own_process_group().unwrap();
                if let Forked::Parent(_) = fork().unwrap() {
                    exit_now(7);
                }
                // The grandchild keeps `write` open until it is killed.
                wait_to_be_killed()
            };
            drop(write);
            let first = reap_wait();
            assert_eq!((first.pid, first.ending), (middle, Ending::Exited(7)));
            let orphans = children().unwrap();
            assert_eq!(Children::of_this_process().list().unwrap(), orphans);
            assert_eq!(children_by_search().unwrap(), orphans);
            assert_eq!(orphans.len(), 1);
            assert!(kill_group(middle, libc::SIGKILL).unwrap());
            let second = reap_wait();
            assert_eq!(second.pid, orphans[0]);
            assert!(matches!(
                second.ending,
                Ending::Signaled {
                    signal: libc::SIGKILL,
                    ..
                }
            ));
            assert!(!kill_group(middle, libc::SIGKILL).unwrap());
            assert!(children().unwrap().is_empty());
            assert_eq!(fs::File::from(read).read(&mut [0]).unwrap(), 0);
        });
    }

    /// Shows: the leash holds. The middle process ends, and its child is killed by that alone.
    #[test]
    fn a_child_on_a_leash_dies_with_its_parent() {
        alone(|| {
            become_subreaper().unwrap();
            assert!(set_parent_death_signal(99).is_err());
            let Forked::Parent(middle) = fork().unwrap() else {
                let middle = id();
                let (leashed, ready) = descriptors::pipe().unwrap();
                let Forked::Parent(_) = fork().unwrap() else {
                    set_parent_death_signal(libc::SIGUSR1).unwrap();
                    assert_eq!(parent_id(), middle);
                    drop(ready);
                    wait_to_be_killed();
                };
                drop(ready);
                // The end of file says that the leash is on.
                while fs::File::from(leashed.try_clone().unwrap())
                    .read(&mut [0])
                    .is_err()
                {
                    std::thread::yield_now();
                }
                exit_now(0);
            };
            let first = reap_wait();
            assert_eq!((first.pid, first.ending), (middle, Ending::Exited(0)));
            let killed = Ending::Signaled {
                signal: libc::SIGUSR1,
                core: false,
            };
            assert_eq!(reap_wait().ending, killed);
        });
    }

    #[test]
    fn a_newborn_has_a_name_and_a_session_of_its_own() {
        alone(|| {
            set_thread_name("worker-1 with a long name").unwrap();
            assert_eq!(
                fs::read_to_string("/proc/self/comm").unwrap(),
                "worker-1 with a\n"
            );
            assert!(set_thread_name("a\0b").is_err());
            new_session().unwrap();
            assert_eq!(unistd::getpgrp().as_raw(), id());
            assert!(new_session().is_err(), "it leads one already");
        });
    }

    fn reap_wait() -> Reaped {
        loop {
            if let Some(reaped) = reap().unwrap() {
                return reaped;
            }
            std::thread::yield_now();
        }
    }
}

//! A process by descriptor: it cannot be mistaken for a later one with the same number.
//!
//! Owns: nothing. The descriptor becomes readable when the process has ended, reaped or not.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use super::{checked_long, reached};

/// Opens the process with this id. Whoever calls must know that the id is still the one meant: its
/// parent knows until it has reaped it.
///
/// # Errors
/// The system's answer; ESRCH if there is no such process.
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: `pidfd_open` takes two numbers. The result is close-on-exec.
    let number = checked_long(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the call has just made this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Sends a signal. `Ok(false)`: the process has been reaped. One that has ended and was not reaped yet
/// takes the signal and ignores it.
///
/// # Errors
/// The system's answer.
pub fn send_signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<bool> {
    // SAFETY: the kernel takes three numbers and a null pointer, which it may be.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal,
            ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    reached(checked_long(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::child::Ending;
    use crate::sys::alone::{alone, wait_to_be_killed};
    use crate::sys::process::{Forked, Reaped, fork, reap_one};
    use std::os::fd::AsFd;

    fn sleeper() -> i32 {
        match fork().unwrap() {
            Forked::Parent(pid) => pid,
            Forked::Child => wait_to_be_killed(),
        }
    }

    fn reap_wait(pid: i32) -> Reaped {
        loop {
            if let Some(reaped) = reap_one(pid).unwrap() {
                return reaped;
            }
            std::thread::yield_now();
        }
    }

    /// A child with exactly this id, where we may ask for that.
    fn sleeper_with_id(pid: i32) -> io::Result<()> {
        let wanted = [pid];
        // SAFETY: zeroes are a valid `clone_args`.
        let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
        args.exit_signal = 17;
        args.set_tid = wanted.as_ptr().addr() as u64;
        args.set_tid_size = 1;
        let bytes = size_of::<libc::clone_args>();
        // SAFETY: a clone without shared memory, as a fork; this process has one thread. `args` and
        // `wanted` live through the call.
        match checked_long(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, bytes) })? {
            0 => wait_to_be_killed(),
            _ => Ok(()),
        }
    }

    /// Shows: after the process was reaped, its pidfd reaches nobody, not even a newcomer that has the
    /// same id. Where no newcomer can be made to have it, that is for lack of privilege.
    #[test]
    fn a_pidfd_of_a_reaped_process_never_signals_the_next_one_with_its_id() {
        alone(|| {
            let pid = sleeper();
            let process = open(pid).unwrap();
            assert!(send_signal(process.as_fd(), libc::SIGKILL).unwrap());
            reap_wait(pid);
            assert!(!send_signal(process.as_fd(), libc::SIGKILL).unwrap());
            match sleeper_with_id(pid) {
                Ok(()) => {
                    assert!(!send_signal(process.as_fd(), libc::SIGKILL).unwrap());
                    assert_eq!(reap_one(pid).unwrap(), None, "the newcomer lives");
                    let newcomer = open(pid).unwrap();
                    assert!(send_signal(newcomer.as_fd(), libc::SIGUSR1).unwrap());
                    let ending = Ending::Signaled {
                        signal: libc::SIGUSR1,
                        core: false,
                    };
                    assert_eq!(reap_wait(pid).ending, ending);
                }
                Err(error) => {
                    let known = [libc::EPERM, libc::ENOSYS];
                    assert!(known.contains(&error.raw_os_error().unwrap()), "{error}");
                }
            }
            assert_eq!(open(pid).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        });
    }
}

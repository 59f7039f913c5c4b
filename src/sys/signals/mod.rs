//! Signals are read, not handled: blocked at the start, taken from a descriptor in the loop.
//!
//! A [`SignalReader`] owns its descriptor. A newborn calls [`restore_for_child`] before anything else,
//! so that it inherits neither the mask nor what the Rust runtime ignores.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use super::{checked, checked_long};

/// The highest signal of the kernel.
const HIGHEST: i32 = 64;

/// Blocks these signals in the calling thread, besides those already blocked.
///
/// # Errors
/// A number that is no signal.
pub fn block(signals: &[i32]) -> io::Result<()> {
    let set = set_of(signals)?;
    change_mask(libc::SIG_BLOCK, &set)
}

/// Blocks these signals in the calling thread while `act` runs. A process that is started meanwhile
/// inherits the mask through exec.
///
/// # Errors
/// A number that is no signal.
pub fn while_blocked<T>(signals: &[i32], act: impl FnOnce() -> T) -> io::Result<T> {
    let before = mask()?;
    block(signals)?;
    let done = act();
    change_mask(libc::SIG_SETMASK, &before)?;
    Ok(done)
}

/// A signal that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Which.
    pub signal: i32,
    /// Who sent it; with SIGCHLD, who ended.
    pub from: i32,
}

impl Pending {
    /// Takes a record of `signalfd(2)` apart: the signal is its first field, the sender its fourth.
    fn of(record: &[u8; size_of::<libc::signalfd_siginfo>()]) -> Option<Self> {
        let (fields, _) = record.as_chunks::<4>();
        Some(Self {
            signal: i32::from_ne_bytes(*fields.first()?),
            from: i32::from_ne_bytes(*fields.get(3)?),
        })
    }
}

/// Reads blocked signals.
#[derive(Debug)]
pub struct SignalReader {
    descriptor: OwnedFd,
}

impl SignalReader {
    /// Opens a reader for these signals. They must be blocked ([`block`]) or they act as ever.
    ///
    /// # Errors
    /// A number that is no signal, or the system's answer.
    pub fn new(signals: &[i32]) -> io::Result<Self> {
        let set = set_of(signals)?;
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: `set` lives through the call; -1 asks for a new descriptor.
        let number = checked(unsafe { libc::signalfd(-1, &raw const set, flags) })?;
        // SAFETY: the call has just made this descriptor and nobody else knows it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        Ok(Self { descriptor })
    }

    /// The next pending signal; `None`: no more for now. Equal signals merge while they wait, and only
    /// the first one's sender is known then.
    ///
    /// # Errors
    /// The system's answer.
    pub fn read(&self) -> io::Result<Option<Pending>> {
        let mut record = [0_u8; size_of::<libc::signalfd_siginfo>()];
        loop {
            return match nix::unistd::read(&self.descriptor, &mut record) {
                Ok(_) => Ok(Pending::of(&record)),
                Err(nix::Error::EAGAIN) => Ok(None),
                Err(nix::Error::EINTR) => continue,
                Err(error) => Err(error.into()),
            };
        }
    }
}

impl AsFd for SignalReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Gives a newborn the signals a fresh process has: every disposition the default, nothing blocked. In
/// this order, so that a signal that arrives in between does what the default says.
///
/// # Errors
/// The system's answer.
pub fn restore_for_child() -> io::Result<()> {
    for signal in 1..=HIGHEST {
        // SAFETY: `SIG_DFL` runs no code of ours.
        let before = unsafe { libc::signal(signal, libc::SIG_DFL) };
        if before == libc::SIG_ERR {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::EINVAL) {
                return Err(error);
            }
            stop_ignoring(signal)?;
        }
    }
    change_mask(libc::SIG_SETMASK, &set_of(&[])?)
}

/// Writing to a pipe that nobody reads is an error from now on, not the end of this process.
///
/// # Errors
/// The system's answer.
pub fn ignore_broken_pipes() -> io::Result<()> {
    // SAFETY: `SIG_IGN` runs no code of ours.
    match unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) } {
        libc::SIG_ERR => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// SIGSEGV and SIGBUS end this process, whoever sends them. The Rust runtime handles them, to tell of a
/// stack overflow; one that comes from outside only makes it remove its handler, and is lost.
///
/// # Errors
/// The system's answer.
pub fn let_faults_kill() -> io::Result<()> {
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: `SIG_DFL` runs no code of ours.
        if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// What the kernel keeps of a signal: the handler first, then flags, restorer and mask.
type KernelAction = [libc::c_ulong; 5];

/// For the signals that the C library does not let go: SIGKILL and SIGSTOP, which are never ignored, and
/// the two it uses for threads, which an ancestor can have ignored. Its own handlers for those two stay,
/// for it installs them once only; exec removes them.
fn stop_ignoring(signal: i32) -> io::Result<()> {
    let mut now: KernelAction = [0; 5];
    let default: KernelAction = [0; 5];
    let mask_bytes = size_of::<u64>();
    let nothing = ptr::null_mut::<KernelAction>();
    // SAFETY: the kernel writes at most four words to `now`, a local; it changes nothing.
    let asked = unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            nothing,
            &raw mut now,
            mask_bytes,
        )
    };
    checked_long(asked)?;
    if now
        .first()
        .is_some_and(|handler| usize::try_from(*handler) == Ok(libc::SIG_IGN))
    {
        // SAFETY: the kernel reads at most four words from `default`, a local; zeroes are the default
        // disposition, which runs no code of ours.
        let set = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                &raw const default,
                nothing,
                mask_bytes,
            )
        };
        checked_long(set)?;
    }
    Ok(())
}

fn change_mask(how: i32, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: `set` is a reference; the old mask is not asked for.
    positive_is_error(unsafe { libc::pthread_sigmask(how, set, ptr::null_mut()) })
}

fn mask() -> io::Result<libc::sigset_t> {
    let mut set = set_of(&[])?;
    // SAFETY: with a null pointer the mask stays; it is written to `set`, a local.
    let answer = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &raw mut set) };
    positive_is_error(answer)?;
    Ok(set)
}

fn positive_is_error(answer: i32) -> io::Result<()> {
    match answer {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn set_of(signals: &[i32]) -> io::Result<libc::sigset_t> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: writes an empty set to a local.
    checked(unsafe { libc::sigemptyset(set.as_mut_ptr()) })?;
    // SAFETY: `sigemptyset` has made it a set.
    let mut set = unsafe { set.assume_init() };
    for signal in signals {
        // SAFETY: `set` is a set and a local; a number that is no signal is refused.
        checked(unsafe { libc::sigaddset(&raw mut set, *signal) })?;
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::alone::alone;
    use crate::sys::process::id;

    fn send_myself(signal: i32) {
        // SAFETY: numbers only.
        assert_eq!(unsafe { libc::kill(id(), signal) }, 0);
    }

    fn mask_is_empty() -> bool {
        let set = mask().unwrap();
        // SAFETY: `set` is a set and a local.
        (1..=HIGHEST).all(|signal| unsafe { libc::sigismember(&raw const set, signal) } != 1)
    }

    fn ignored() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    }

    #[test]
    fn blocked_signals_wait_to_be_read_and_merge() {
        alone(|| {
            let real_time = libc::SIGRTMIN() + 1;
            let signals = [libc::SIGCHLD, libc::SIGTERM, real_time];
            block(&signals).unwrap();
            assert!(!mask_is_empty());
            let reader = SignalReader::new(&signals).unwrap();
            assert_eq!(reader.read().unwrap(), None);
            for signal in [real_time, libc::SIGTERM, libc::SIGCHLD, libc::SIGCHLD] {
                send_myself(signal);
            }
            let mut read = Vec::new();
            while let Some(Pending { signal, from }) = reader.read().unwrap() {
                assert_eq!(from, i32::try_from(std::process::id()).unwrap());
                read.push(signal);
            }
            read.sort_unstable();
            assert_eq!(read, [libc::SIGTERM, libc::SIGCHLD, real_time]);
        });
    }

    /// Shows: also the dispositions that are inherited through exec, and those of real-time signals.
    #[test]
    fn a_newborn_has_no_mask_and_no_ignored_signal() {
        alone(|| {
            let real_time = libc::SIGRTMAX();
            for signal in [libc::SIGPIPE, libc::SIGHUP, real_time] {
                // SAFETY: runs no code of ours.
                unsafe { libc::signal(signal, libc::SIG_IGN) };
            }
            block(&[libc::SIGUSR1, real_time]).unwrap();
            assert_ne!(ignored(), 0);
            restore_for_child().unwrap();
            assert_eq!(ignored(), 0);
            assert!(mask_is_empty());
        });
    }

    #[test]
    fn a_program_started_meanwhile_is_born_with_the_mask_and_ours_is_as_before() {
        alone(|| {
            let shown = while_blocked(&[libc::SIGINT], || {
                let mut command = std::process::Command::new("grep");
                command.args(["SigBlk", "/proc/self/status"]).output()
            });
            let shown = shown.unwrap().unwrap().stdout;
            assert_eq!(shown, b"SigBlk:\t0000000000000002\n");
            assert!(mask_is_empty());
        });
    }

    #[test]
    fn a_number_that_is_no_signal_is_refused() {
        assert!(block(&[0]).is_err());
        assert!(SignalReader::new(&[65]).is_err());
    }
}

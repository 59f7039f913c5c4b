//! Descriptors as numbers: which of them a newborn keeps, and under which.
//!
//! Owns: nothing. [`close_all_except`] and [`place`] act on numbers whoever holds them; they are for a
//! newborn that has leaked everything it inherited, and for nobody else.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{checked, checked_long};

/// Closes every descriptor but 0, 1, 2 and those in `keep`, which is sorted by this call.
///
/// The caller is a newborn. Everything it inherited and still owns as a value must have been leaked:
/// dropping such a value later would close a stranger.
///
/// # Errors
/// The system's answer.
pub fn close_all_except(keep: &mut [RawFd]) -> io::Result<()> {
    keep.sort_unstable();
    let mut first = 3;
    for &kept in keep.iter().filter(|kept| **kept >= 3) {
        if kept > first {
            close_range(first, kept - 1)?;
        }
        first = first.max(kept.saturating_add(1));
    }
    close_range(first, RawFd::MAX)
}

fn close_range(first: RawFd, last: RawFd) -> io::Result<()> {
    // SAFETY: numbers only. That nobody owns these descriptors is the promise of the newborn that calls.
    checked_long(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// Moves a descriptor to the lowest free number from `min` on, close-on-exec.
///
/// # Errors
/// The system's answer; the descriptor is closed then.
pub fn move_above(descriptor: OwnedFd, min: RawFd) -> io::Result<OwnedFd> {
    let number = fcntl(&descriptor, FcntlArg::F_DUPFD_CLOEXEC(min))?;
    // SAFETY: the call has just made this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Makes `target` a copy of `descriptor` that survives exec. If they are equal, it only does that.
/// Whatever `target` was is closed: the newborn that calls has leaked it, or never had it.
///
/// # Errors
/// The system's answer.
pub fn place(descriptor: BorrowedFd<'_>, target: RawFd) -> io::Result<()> {
    if descriptor.as_raw_fd() == target {
        fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
        return Ok(());
    }
    // SAFETY: numbers only. That nobody owns `target` is the promise of the newborn that calls.
    checked(unsafe { libc::dup2(descriptor.as_raw_fd(), target) }).map(drop)
}

/// Adopts an inherited descriptor, close-on-exec from now on.
///
/// That nobody else owns the number is the promise of whoever handed it over: the stem gives each
/// number of a seat once, and its receiver takes each once, before it opens anything.
///
/// # Errors
/// There is no such open descriptor.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: numbers only; EBADF if it is not open.
    checked(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: it is open, as just seen, and nobody else owns it, as promised above.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// `/dev/null`, to be read and written.
///
/// # Errors
/// The system's answer.
pub fn null() -> io::Result<OwnedFd> {
    let null: File = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    Ok(null.into())
}

/// The same memory file once more, opened so that it can be mapped for reading only.
///
/// # Errors
/// The system's answer; it needs `/proc`.
pub fn read_only(file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let file = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    Ok(file.into())
}

/// A pipe, close-on-exec at both ends: the read end does not block, the write end does (it becomes some
/// program's output, and programs do not expect otherwise).
///
/// # Errors
/// The system's answer.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}

/// Raises the soft limit of open descriptors to `wanted`, or as far as the hard limit allows. Never
/// lowers it. Returns what it was before.
///
/// # Errors
/// The system's answer.
pub fn raise_limit(wanted: u64) -> io::Result<u64> {
    let (soft_before, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let soft = wanted.min(hard);
    if soft > soft_before {
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
    }
    Ok(soft_before)
}

/// Sets the soft limit of open descriptors, up or down, for example back to what it was for a program
/// that still uses `select`.
///
/// # Errors
/// The system's answer; more than the hard limit is refused.
pub fn set_soft_limit(soft: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::alone::alone;
    use std::fs;
    use std::io::Read;
    use std::os::fd::{AsFd, IntoRawFd};

    /// The numbers that are open now, in ascending order.
    fn open_now() -> Vec<RawFd> {
        let entries = fs::read_dir("/proc/self/fd").unwrap();
        let mut numbers: Vec<RawFd> = entries
            .map(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_str()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        // The one through which the folder was read is closed by now.
        // SAFETY: numbers only.
        numbers.retain(|number| unsafe { libc::fcntl(*number, libc::F_GETFD) } != -1);
        numbers.sort_unstable();
        numbers
    }

    fn is_close_on_exec(descriptor: RawFd) -> bool {
        // SAFETY: numbers only.
        checked(unsafe { libc::fcntl(descriptor, libc::F_GETFD) }).unwrap() == libc::FD_CLOEXEC
    }

    #[test]
    fn only_what_is_kept_stays_open() {
        alone(|| {
            let all: Vec<RawFd> = (0..8).map(|_| null().unwrap().into_raw_fd()).collect();
            let high = move_above(null().unwrap(), 200).unwrap().into_raw_fd();
            let mut keep = vec![high, all[3], all[2], all[6], 1, all[6]];
            close_all_except(&mut keep).unwrap();
            assert_eq!(open_now(), [0, 1, 2, all[2], all[3], all[6], high]);
            close_all_except(&mut []).unwrap();
            assert_eq!(open_now(), [0, 1, 2]);
        });
    }

    #[test]
    fn a_placed_descriptor_survives_exec_also_when_it_is_there_already() {
        alone(|| {
            let descriptor = move_above(null().unwrap(), 100).unwrap();
            assert!(is_close_on_exec(descriptor.as_raw_fd()));
            place(descriptor.as_fd(), 90).unwrap();
            assert!(!is_close_on_exec(90));
            let taken = take(90).unwrap();
            assert!(is_close_on_exec(90));
            place(taken.as_fd(), 90).unwrap();
            assert!(!is_close_on_exec(90));
            drop(taken);
            assert_eq!(take(90).unwrap_err().raw_os_error(), Some(libc::EBADF));
        });
    }

    #[test]
    fn a_pipes_read_end_does_not_block_and_its_write_end_does() {
        let (read, write) = pipe().unwrap();
        let empty = File::from(read).read(&mut [0]).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        let flags = OFlag::from_bits_retain(fcntl(&write, FcntlArg::F_GETFL).unwrap());
        assert!(!flags.contains(OFlag::O_NONBLOCK));
    }

    #[test]
    fn the_limit_is_raised_up_to_the_hard_one_and_never_lowered() {
        alone(|| {
            let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
            set_soft_limit(64).unwrap();
            assert_eq!(raise_limit(10).unwrap(), 64);
            assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0, 64);
            raise_limit(u64::MAX).unwrap();
            assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0, hard);
        });
    }
}

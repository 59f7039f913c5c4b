//! The system: one file for each thing of the kernel that the program uses.
//!
//! Duty: turns system calls into functions whose results cannot be overlooked. Owns: nothing; every
//! descriptor made here is handed to the caller as an [`std::os::fd::OwnedFd`], close-on-exec from
//! birth. Never: decides, waits (all descriptors that are read in a loop do not block), logs.
//!
//! `RawFd` appears in this island only where a *number* is meant: one that is inherited, or one that a
//! newborn keeps.

#![expect(
    unsafe_code,
    reason = "system calls without a safe wrapper; each block says who keeps its promise"
)]

pub mod cgroup;
pub mod clock;
pub mod descriptors;
pub mod directory;
pub mod heap;
pub mod host;
pub mod identity;
pub mod limits;
pub mod memory;
pub mod packet;
pub mod pidfd;
pub mod process;
pub mod procfs;
pub mod random;
pub mod signals;
pub mod standard;
pub mod text;
pub mod unix;

#[cfg(test)]
pub(crate) mod alone;
#[cfg(test)]
#[cfg(not(any(loom, miri)))]
pub(crate) mod traced;

use std::io;

/// The one place where -1 becomes an error.
fn checked(answer: i32) -> io::Result<i32> {
    if answer == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}

/// Whether a signal reached anybody: that nobody is there is no error.
fn reached(answer: io::Result<i32>) -> io::Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        Err(error) => Err(error),
    }
}

/// As [`checked`], for calls through `syscall`. Results beyond `i32` do not occur in those used here.
fn checked_long(answer: i64) -> io::Result<i32> {
    checked(i32::try_from(answer).unwrap_or(i32::MAX))
}

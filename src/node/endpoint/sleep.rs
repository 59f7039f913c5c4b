//! Sleeping until a descriptor becomes readable.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::sys::clock;

/// Sleeps until one of these is readable, a signal comes, or `until`, if there is one.
///
/// # Errors
/// The system's answer.
pub(super) fn sleep_until(on: &[BorrowedFd<'_>], until: Option<Instant>) -> io::Result<()> {
    let mut on: Vec<PollFd<'_>> = on
        .iter()
        .map(|descriptor| PollFd::new(*descriptor, PollFlags::POLLIN))
        .collect();
    let now = until.map(|_| clock::monotonic());
    let rest = until
        .zip(now)
        .map(|(until, now)| until.saturating_duration_since(now));
    match ppoll(&mut on, rest.map(TimeSpec::from_duration), None) {
        Ok(_) | Err(nix::Error::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

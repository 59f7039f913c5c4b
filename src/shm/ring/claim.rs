//! Who has which end of which ring, within this process.
//!
//! Two writers, or two readers, would copy bytes that the other one copies too. Between processes it is
//! the seat protocol that gives each end to one at a time, and a neighbour that breaks it is a hostile one.
//! Within a process it would be a race that safe code could begin, so it is refused here, when an end is
//! mapped; pushing and draining know nothing of it.
//!
//! Owns: one number of each mapped end. The file's own number is nobody else's as long as it is mapped.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::stat::fstat;

use super::End;

/// The ends that are mapped: device and number of the memory file, and which end.
static CLAIMED: Mutex<BTreeSet<(u64, u64, End)>> = Mutex::new(BTreeSet::new());

/// This process has that end, as long as this lives.
#[derive(Debug)]
pub(super) struct Claim((u64, u64, End));

impl Claim {
    /// Claims an end of the ring in this memory file.
    ///
    /// # Errors
    /// `ResourceBusy`: this process has it mapped already. Else the system's answer.
    pub(super) fn new(file: BorrowedFd<'_>, end: End) -> io::Result<Self> {
        let status = fstat(file)?;
        let name = (status.st_dev, status.st_ino, end);
        if !claimed().insert(name) {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "this process has mapped that end of the ring already",
            ));
        }
        Ok(Self(name))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        claimed().remove(&self.0);
    }
}

fn claimed() -> MutexGuard<'static, BTreeSet<(u64, u64, End)>> {
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Which file a descriptor leads to.

use std::io;
use std::os::fd::AsFd;

use nix::sys::stat::fstat;

/// Two descriptors with the same lead to the same memory file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file of this descriptor.
    ///
    /// # Errors
    /// The system's answer.
    pub(super) fn of(descriptor: impl AsFd) -> io::Result<Self> {
        let status = fstat(descriptor)?;
        Ok(Self {
            device: status.st_dev,
            inode: status.st_ino,
        })
    }
}

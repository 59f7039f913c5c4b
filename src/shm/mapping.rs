//! One mapping of a memory file whose size is fixed.
//!
//! Owns: the mapping, not the file: a mapping outlives its descriptor.

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;

use crate::sys::memory;

/// The size of a file of one page: a page where these are smallest, and less than one elsewhere.
pub(super) const PAGE_BYTES: usize = 4096;

/// What one may do with a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// A store ends the process: the kernel refuses it.
    ReadOnly,
    ReadWrite,
}

/// All of a memory file, mapped shared. Its pages stay, whatever the neighbour does.
#[derive(Debug)]
pub(super) struct Mapping {
    base: NonNull<c_void>,
    length: NonZeroUsize,
}

// SAFETY: the mapping belongs to the process, not to a thread; whoever reads or writes through `base`
// says why nothing races.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` gives the address only.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the whole file.
    ///
    /// # Errors
    /// `InvalidData`: it is empty, or of a size that could still change, which could take pages away
    /// from under the mapping. Else the system's answer.
    pub(super) fn map(file: BorrowedFd<'_>, access: Access) -> io::Result<Self> {
        if cfg!(loom) {
            // The checker's atomics are other types than the words of a memory file.
            return Err(io::ErrorKind::Unsupported.into());
        }
        let size = usize::try_from(fstat(file)?.st_size).ok();
        let fixed = memory::has_fixed_size(file);
        let Some(length) = size.and_then(NonZeroUsize::new).filter(|_| fixed) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the memory file is empty, or its size could still change",
            ));
        };
        let access = match access {
            Access::ReadOnly => ProtFlags::PROT_READ,
            Access::ReadWrite => ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
        };
        // SAFETY: a new mapping, placed by the kernel, that replaces nothing. The file is as long as
        // the mapping and cannot shrink, by the seals checked above, so access cannot fault.
        let base = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, file.as_fd(), 0) }?;
        Ok(Self { base, length })
    }

    /// Maps a file of one page, to read and to write. `what` it should be is for the error.
    ///
    /// # Errors
    /// `InvalidData`: it has another size, or one that could still change. Else the system's answer.
    pub(super) fn one_page(file: BorrowedFd<'_>, what: &str) -> io::Result<Self> {
        let page = Self::map(file, Access::ReadWrite)?;
        if page.length() != PAGE_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the memory file is no {what}: it is not one page"),
            ));
        }
        Ok(page)
    }

    /// Maps a file of a file system, to read and to write. Who makes it shorter ends the process that next
    /// touches what is gone.
    ///
    /// # Errors
    /// `InvalidData`: it has another size. Else the system's answer.
    pub(super) fn of_file(file: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let size = usize::try_from(fstat(file)?.st_size).ok();
        let Some(length) = NonZeroUsize::new(bytes).filter(|_| size == Some(bytes)) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the file has another size",
            ));
        };
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, placed by the kernel, that replaces nothing. The file is as long as the
        // mapping; should it be made shorter, access beyond its end is a signal, which ends the process.
        let base = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, file.as_fd(), 0) }?;
        Ok(Self { base, length })
    }

    /// Its first byte, aligned to a page.
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base.cast()
    }

    /// Its size in bytes.
    pub(super) fn length(&self) -> usize {
        self.length.get()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` with this length, and whoever borrowed from it has
        // borrowed `self`.
        let unmapped = unsafe { munmap(self.base, self.length.get()) };
        debug_assert_eq!(unmapped, Ok(()), "a mapping of ours can be unmapped");
    }
}

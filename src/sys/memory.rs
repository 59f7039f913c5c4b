//! Sealed memory files: bytes that nobody can change any more, handed over as a descriptor.
//!
//! Owns: nothing; the caller owns the file that [`seal`] makes.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::uio::pread;

/// No larger file is read.
pub const SEALED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// An empty memory file that can be sealed, close-on-exec. `name` is only for `/proc`.
pub(crate) fn create(name: &str) -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Some hosts refuse memory files that could be executed; older kernels do not know the difference.
    let never_a_program = MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    let file = match memfd_create(name, flags | never_a_program) {
        Err(nix::Error::EINVAL) => memfd_create(name, flags)?,
        answer => answer?,
    };
    Ok(file.into())
}

/// A memory file full of zeros whose size cannot change any more, close-on-exec. Its bytes can.
pub(crate) fn create_fixed(name: &str, bytes: u64) -> io::Result<OwnedFd> {
    let file = create(name)?;
    file.set_len(bytes)?;
    let seals = size_is_fixed() | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

/// Can the file neither shrink nor grow? Only a memory file can promise that.
pub(crate) fn has_fixed_size(file: BorrowedFd<'_>) -> bool {
    seals(file).contains(size_is_fixed())
}

fn size_is_fixed() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW
}

/// The seals of a memory file. A file that is none has none.
fn seals(file: BorrowedFd<'_>) -> SealFlag {
    fcntl(file, FcntlArg::F_GET_SEALS).map_or(SealFlag::empty(), SealFlag::from_bits_retain)
}

fn never_changes() -> SealFlag {
    size_is_fixed() | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL
}

/// Puts bytes into a new memory file and seals it against every change. Its offset stands at the
/// beginning, for whoever gets it as standard input.
///
/// # Errors
/// The system's answer, or more than [`SEALED_BYTES_MAX`].
pub fn seal(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    if u64::try_from(bytes.len()).is_ok_and(|length| length > SEALED_BYTES_MAX) {
        return Err(too_large());
    }
    let mut file = create(name)?;
    file.write_all(bytes)?;
    file.rewind()?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(never_changes()))?;
    Ok(file.into())
}

/// Reads a sealed memory file from its beginning, wherever its offset (which is shared) stands.
///
/// # Errors
/// `InvalidData`: it is not sealed against every change, or larger than [`SEALED_BYTES_MAX`].
pub fn read_sealed(file: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    if !seals(file).contains(never_changes()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the memory file is not sealed, so its sender could still change it",
        ));
    }
    let size = nix::sys::stat::fstat(file)?.st_size;
    let size = u64::try_from(size)
        .ok()
        .filter(|size| *size <= SEALED_BYTES_MAX);
    let size = size
        .and_then(|size| usize::try_from(size).ok())
        .ok_or_else(too_large)?;
    let mut bytes = vec![0; size];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let offset = libc::off_t::try_from(done).map_err(|_| too_large())?;
        match pread(file, rest, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => done += count,
            Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

fn too_large() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a memory file may have at most {SEALED_BYTES_MAX} bytes"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn sealed_bytes_can_be_read_often_and_not_be_changed() {
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let file = seal("test", &bytes).unwrap();
        let mut read = Vec::new();
        File::from(file.try_clone().unwrap())
            .read_to_end(&mut read)
            .unwrap();
        assert!(
            read == bytes,
            "a plain read does not begin at the beginning"
        );
        for _ in 0..2 {
            assert_eq!(read_sealed(file.as_fd()).unwrap(), bytes);
        }
        let mut copy = File::from(file.try_clone().unwrap());
        assert_eq!(
            copy.write(b"x").unwrap_err().kind(),
            io::ErrorKind::PermissionDenied
        );
        assert!(copy.set_len(1).is_err() && copy.set_len(200_000).is_err());
        assert!(
            read_sealed(seal("empty", b"").unwrap().as_fd())
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_file_that_could_still_change_is_refused() {
        let mut open = create("open").unwrap();
        open.write_all(b"x").unwrap();
        for file in [open, tempfile::tempfile().unwrap()] {
            let error = read_sealed(file.as_fd()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}

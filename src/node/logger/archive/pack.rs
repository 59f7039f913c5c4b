//! Packing a rotated file: beside the notes first, then in its place, then the plain one goes.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use nix::fcntl::OFlag;

use super::place::{BEING_PACKED, Place, remove};
use crate::logging::files::closed::PACKED_SUFFIX;
use crate::node::logger::disk::FILE_MODE;
use crate::sys::directory::Directory;

/// So much is packed between two looks whether anybody still wants it.
const CHUNK_BYTES: usize = 64 * 1024;

/// What became of a file that was to be packed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packed {
    /// It is packed, under this name.
    As(String),
    /// Somebody has taken it away.
    Gone,
    /// It stays as it is.
    Not(String),
}

impl Place {
    /// Packs a file. Can be begun again at whatever point it was left. The index stays beside it: it tells
    /// of what is in there.
    ///
    /// # Errors
    /// The system's. `Interrupted`: nobody wants it any more.
    pub(super) fn pack(
        &self,
        name: &str,
        note: &str,
        syncs: bool,
        is_given_up: &dyn Fn() -> bool,
    ) -> io::Result<Packed> {
        let Some((directory, plain)) = self.find(name) else {
            return Ok(Packed::Gone);
        };
        let mut target = OsString::from(plain);
        target.push(PACKED_SUFFIX);
        let done = Packed::As(format!("{name}{PACKED_SUFFIX}"));
        let packed = open(directory, &target)?;
        let Some(mut file) = open(directory, plain)? else {
            // It went last.
            return Ok(packed.map_or(Packed::Gone, |_| done));
        };
        if let Some(packed) = packed {
            if !is_same(MultiGzDecoder::new(packed), &mut file, is_given_up)? {
                let why = "another file has the name of the packed one";
                return Ok(Packed::Not(why.to_owned()));
            }
        } else {
            let fresh = OsString::from(format!("{note}{BEING_PACKED}"));
            self.pack_into(&fresh, &mut file, syncs, is_given_up)?;
            self.notes.rename_into(&fresh, directory, &target)?;
        }
        if syncs {
            directory.sync()?;
        }
        remove(directory, plain)?;
        Ok(done)
    }

    fn pack_into(
        &self,
        fresh: &OsStr,
        file: &mut File,
        syncs: bool,
        is_given_up: &dyn Fn() -> bool,
    ) -> io::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
        let packed = self.notes.open_file(fresh, flags, FILE_MODE)?;
        let mut packer = GzEncoder::new(packed, Compression::default());
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = fill(file, &mut chunk)?;
            if read.is_empty() {
                break;
            }
            if is_given_up() {
                return Err(ErrorKind::Interrupted.into());
            }
            packer.write_all(read)?;
        }
        let packed = packer.finish()?;
        match syncs {
            true => packed.sync_data(),
            false => Ok(()),
        }
    }
}

fn open(directory: &Directory, name: &OsStr) -> io::Result<Option<File>> {
    match directory.open_file(name, OFlag::O_RDONLY, 0) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a packed file is this one. What cannot be unpacked is not.
fn is_same(
    mut packed: impl Read,
    plain: &mut File,
    is_given_up: &dyn Fn() -> bool,
) -> io::Result<bool> {
    let mut buffers = [vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]];
    let [one, other] = &mut buffers;
    loop {
        let read = fill(plain, one)?;
        match fill(&mut packed, other) {
            Ok(unpacked) if unpacked == read => {}
            Ok(_) => return Ok(false),
            Err(error) if is_no_gzip(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
        if read.is_empty() {
            return Ok(true);
        }
        if is_given_up() {
            return Err(ErrorKind::Interrupted.into());
        }
    }
}

fn is_no_gzip(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof
    )
}

/// Reads until the buffer is full or nothing is left.
fn fill<'a>(from: &mut impl Read, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(buffer.get(..length).unwrap_or_default())
}

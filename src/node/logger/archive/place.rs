//! The directories of rotated files and of their notes.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Read};

use nix::fcntl::OFlag;

use crate::logging::files::closed::{Closed, NOTES_DIRECTORY};
use crate::node::logger::config::Config;
use crate::node::logger::disk::DIRECTORY_MODE;
use crate::sys::directory::Directory;

/// No note is longer.
const NOTE_BYTES_MAX: u64 = 64 << 10;

/// Ends the names of notes: what else lies beside them is half done.
const UNFINISHED: &str = ".new";
/// Ends the names of files that are being packed.
pub(super) const BEING_PACKED: &str = ".gz";

/// A logger's directory, and those below it that matter here.
pub(super) struct Place {
    pub(super) root: Directory,
    pub(super) notes: Directory,
    /// Where rotated files go, if not there.
    pub(super) queue: Option<(String, Directory)>,
}

impl Place {
    pub(super) fn open(config: &Config) -> io::Result<Self> {
        let (root, _) = Directory::make(&config.directory, DIRECTORY_MODE)?;
        let notes = root.enter(NOTES_DIRECTORY.as_ref(), DIRECTORY_MODE)?;
        let queue = match config.naming().directory {
            Some(name) => match root.enter(name.as_ref(), DIRECTORY_MODE) {
                Ok(directory) => Some((name, directory)),
                // Then files are rotated where they are.
                Err(error) if error.kind() == ErrorKind::NotADirectory => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        Ok(Self { root, notes, queue })
    }

    /// The directory of a name, and what it is called there. `None`: nothing was rotated to there.
    pub(super) fn find<'a>(&self, name: &'a str) -> Option<(&Directory, &'a OsStr)> {
        match name.split_once('/') {
            None => Some((&self.root, name.as_ref())),
            Some((directory, name)) => {
                let queue = self.queue.as_ref();
                let (_, queue) = queue.filter(|(queue, _)| queue == directory)?;
                Some((queue, name.as_ref()))
            }
        }
    }

    /// The directories in which rotated files can be.
    pub(super) fn directories(&self) -> impl Iterator<Item = &Directory> {
        std::iter::once(&self.root).chain(self.queue.iter().map(|(_, directory)| directory))
    }

    /// The notes that are there, the oldest first.
    pub(super) fn notes(&self) -> io::Result<Vec<String>> {
        let names = self.notes.names()?.into_iter();
        let names = names.filter_map(|name| name.into_string().ok());
        let is_note = |name: &String| !name.ends_with(UNFINISHED) && !name.ends_with(BEING_PACKED);
        let mut notes: Vec<String> = names.filter(is_note).collect();
        notes.sort_unstable();
        Ok(notes)
    }

    /// What a note says. What cannot be read as one is removed: it tells of nothing.
    pub(super) fn read(&self, note: &str) -> io::Result<Option<Closed>> {
        let file = match self.notes.open_file(note.as_ref(), OFlag::O_RDONLY, 0) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(NOTE_BYTES_MAX).read_to_end(&mut bytes)?;
        let closed = Closed::decode(&bytes);
        if closed.is_none() {
            self.forget(note)?;
        }
        Ok(closed)
    }

    /// Nothing more is to be done with that file.
    pub(super) fn forget(&self, note: &str) -> io::Result<()> {
        remove(&self.notes, format!("{note}{BEING_PACKED}").as_ref())?;
        remove(&self.notes, note.as_ref())
    }
}

/// Removes what may be gone already.
pub(super) fn remove(directory: &Directory, name: &OsStr) -> io::Result<()> {
    match directory.remove(name) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

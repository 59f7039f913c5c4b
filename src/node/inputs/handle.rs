//! Carries out what a follower asks for: of files, and of pipes and sockets, which it takes for files that
//! have no end.
//!
//! Owns: the open file, pipe or socket.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::follow::{Action, Identity, Outcome};
use crate::layout::inputs::Origin;
use crate::node::logger::identity_of;

/// How many names of a directory are looked through for a file that was renamed.
const NAMES_MAX: usize = 100_000;

/// A pipe has no length.
const ENDLESS: u64 = u64::MAX;

#[derive(Debug)]
enum Open {
    Nothing,
    File(File),
    /// Opened for writing, too, so that it has no end when the last writer leaves.
    Fifo(File),
    Socket(UnixStream),
}

/// What is behind a followed name.
#[derive(Debug)]
pub(super) struct Handle {
    path: PathBuf,
    is_file: bool,
    is_socket: bool,
    open: Open,
    /// Counts the connections of a socket, which stand for files.
    connections: u128,
    /// The other end of the socket was closed.
    is_closed: bool,
    /// Nothing has the file's name any more.
    is_gone: bool,
}

impl Handle {
    pub(super) fn new(from: &Origin, path: PathBuf) -> Self {
        Self {
            path,
            is_file: matches!(from, Origin::Files(_)),
            is_socket: matches!(from, Origin::Socket(_)),
            open: Open::Nothing,
            connections: 0,
            is_closed: false,
            is_gone: false,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn is_file(&self) -> bool {
        self.is_file
    }

    /// What is to be watched, if a file's directory does not do.
    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        match &self.open {
            Open::Nothing | Open::File(_) => None,
            Open::Fifo(fifo) => Some(fifo.as_fd()),
            Open::Socket(socket) => Some(socket.as_fd()),
        }
    }

    /// How often a pipe or a socket was opened.
    pub(super) const fn connections(&self) -> u128 {
        self.connections
    }

    /// Was the other end of the socket closed? Then another connection is what follows.
    pub(super) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Had nothing the file's name at the last look?
    pub(super) const fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Has the open file no name at all?
    pub(super) fn is_deleted(&self) -> bool {
        match &self.open {
            Open::File(file) => file.metadata().is_ok_and(|facts| facts.nlink() == 0),
            Open::Nothing | Open::Fifo(_) | Open::Socket(_) => true,
        }
    }

    /// The first bytes of the open file.
    pub(super) fn beginning(&self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut first = Vec::new();
        if let Open::File(file) = &self.open {
            first.resize(bytes, 0);
            let length = file.read_at(&mut first, 0)?;
            first.truncate(length);
        }
        Ok(first)
    }

    /// Does what is to be done, but for reports.
    pub(super) fn carry_out(&mut self, action: &Action) -> io::Result<Outcome> {
        match action {
            Action::Report(_) => Ok(Outcome::Done),
            Action::Open if self.is_file => self.open_by_name(),
            Action::Find(file) if self.is_file => self.find(*file),
            Action::Look if self.is_file => self.look(),
            Action::Open | Action::Find(_) => self.connect(),
            Action::Look => Ok(Outcome::Seen {
                length: ENDLESS,
                named: self.is_closed.then_some(Identity(self.connections + 1)),
            }),
            Action::Read { at, bytes } => self.read(*at, *bytes),
        }
    }

    fn open_by_name(&mut self) -> io::Result<Outcome> {
        match open(&self.path) {
            Ok(file) => self.opened(file),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.is_gone = true;
                Ok(Outcome::Missing)
            }
            Err(error) => Err(error),
        }
    }

    fn opened(&mut self, file: File) -> io::Result<Outcome> {
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is no file"));
        }
        self.open = Open::File(file);
        Ok(Outcome::Opened {
            file: identity_of(&facts),
            length: facts.len(),
        })
    }

    /// By its name, if it has it still, else among the others of the directory.
    fn find(&mut self, wanted: Identity) -> io::Result<Outcome> {
        let is = |path: &Path| {
            let facts = fs::symlink_metadata(path);
            facts.is_ok_and(|facts| facts.is_file() && identity_of(&facts) == wanted)
        };
        let folder = self.path.parent().unwrap_or_else(|| Path::new("/"));
        let followed = fs::canonicalize(&self.path).ok();
        let found = followed.filter(|path| is(path)).or_else(|| {
            let names = fs::read_dir(folder).ok()?.take(NAMES_MAX);
            let mut paths = names.filter_map(|entry| Some(entry.ok()?.path()));
            paths.find(|path| is(path))
        });
        let Some(found) = found else {
            return Ok(Outcome::Missing);
        };
        match open(&found) {
            Ok(file) => self.opened(file),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Outcome::Missing),
            Err(error) => Err(error),
        }
    }

    fn look(&mut self) -> io::Result<Outcome> {
        let Open::File(file) = &self.open else {
            return Err(ErrorKind::NotFound.into());
        };
        let found = fs::metadata(&self.path);
        let not_found = |error: &io::Error| error.kind() == ErrorKind::NotFound;
        self.is_gone = found.as_ref().is_err_and(not_found);
        let named = match found {
            Ok(facts) => (facts.len() > 0).then(|| identity_of(&facts)),
            Err(_) if self.is_gone => None,
            Err(error) => return Err(error),
        };
        Ok(Outcome::Seen {
            length: file.metadata()?.len(),
            named,
        })
    }

    fn connect(&mut self) -> io::Result<Outcome> {
        self.open = if self.is_socket {
            let socket = UnixStream::connect(&self.path)?;
            socket.set_nonblocking(true)?;
            Open::Socket(socket)
        } else {
            let mut options = OpenOptions::new();
            options.read(true).write(true);
            Open::Fifo(options.custom_flags(libc::O_NONBLOCK).open(&self.path)?)
        };
        self.is_closed = false;
        self.connections += 1;
        Ok(Outcome::Opened {
            file: Identity(self.connections),
            length: ENDLESS,
        })
    }

    fn read(&mut self, at: u64, bytes: usize) -> io::Result<Outcome> {
        let mut buffer = vec![0; bytes];
        let read = match &mut self.open {
            Open::Nothing => return Err(ErrorKind::NotFound.into()),
            Open::File(file) => file.read_at(&mut buffer, at),
            Open::Fifo(pipe) => pipe.read(&mut buffer),
            Open::Socket(socket) => {
                let read = socket.read(&mut buffer);
                self.is_closed = match &read {
                    Ok(length) => *length == 0,
                    Err(error) => error.kind() != ErrorKind::WouldBlock,
                };
                if self.is_closed { Ok(0) } else { read }
            }
        };
        match read {
            Ok(length) => {
                buffer.truncate(length);
                Ok(Outcome::Bytes(buffer))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Outcome::Bytes(Vec::new())),
            Err(error) => Err(error),
        }
    }
}

/// Does not wait for a writer, should it be a pipe.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    options.open(path)
}

//! A logger's directory: carries out what [`crate::logging::files`] asks for.
//!
//! Owns: descriptors of the directory, of those below it, and of the files that are written. Names are
//! looked up from these and no link among them is followed, so nothing outside is ever touched.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::fcntl::OFlag;

use crate::data::Timestamp;
use crate::logging::files::closed::{Closed, NOTES_DIRECTORY};
use crate::logging::files::index::INDEX_SUFFIX;
use crate::logging::files::state::SLOT_NAMES;
use crate::logging::files::{Action, Found, Identity, Look, Outcome};
use crate::sys::directory::Directory;

pub(super) const DIRECTORY_MODE: u32 = 0o700;
pub(super) const FILE_MODE: u32 = 0o600;

/// Descriptors of files that are kept. With more paths they are opened anew at each batch.
const OPEN_MAX: usize = 256;

/// The table of writers.
const WRITERS: &str = ".streams";

/// No slot is larger: far more than the state of all paths.
const STATE_BYTES_MAX: u64 = 1 << 30;

#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    root: Directory,
    below: BTreeMap<String, Directory>,
    /// Files that are written, by their names.
    open: HashMap<String, File>,
    /// It is another directory than before, and the table of writers is not in it.
    lacks_writers: bool,
}

impl Disk {
    /// The directory of that path, made if it is missing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let (root, _) = Directory::make(path, DIRECTORY_MODE)?;
        Ok(Self {
            path: path.to_owned(),
            root,
            below: BTreeMap::new(),
            open: HashMap::new(),
            lacks_writers: false,
        })
    }

    /// The directory has gone: its path leads to another one, which is made if it must be.
    fn reopen(&mut self) -> io::Result<()> {
        *self = Self {
            lacks_writers: true,
            ..Self::open(&self.path)?
        };
        Ok(())
    }

    /// Has the table of writers gone with the directory that it was in?
    pub(super) fn lacks_writers(&self) -> bool {
        self.lacks_writers
    }

    /// The state as it was left.
    pub(super) fn slots(&self) -> io::Result<[Option<Vec<u8>>; 2]> {
        let [first, second] = SLOT_NAMES;
        Ok([self.content(first)?, self.content(second)?])
    }

    /// The table of writers as it was left.
    pub(super) fn writers(&self) -> io::Result<Option<Vec<u8>>> {
        self.content(WRITERS)
    }

    fn content(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let file = match self.root.open_file(name.as_ref(), OFlag::O_RDONLY, 0) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(STATE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Puts another table of writers in the place of the last one, in one instant.
    pub(super) fn store_writers(&mut self, bytes: &[u8], sync: bool) -> io::Result<()> {
        let stored = self.replace(WRITERS, bytes, sync);
        self.lacks_writers &= stored.is_err();
        self.after(stored)
    }

    fn replace(&mut self, name: &str, bytes: &[u8], sync: bool) -> io::Result<()> {
        let (place, name) = self.place(name)?;
        let mut fresh = name.to_owned();
        fresh.push(".new");
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
        let file = place.open_file(&fresh, flags, FILE_MODE)?;
        file.write_all_at(bytes, 0)?;
        if sync {
            file.sync_data()?;
        }
        place.rename(&fresh, name)?;
        if sync {
            place.sync()?;
        }
        Ok(())
    }

    /// Notes that something is to be done with a rotated file.
    pub(super) fn note(&mut self, closed: &Closed, sync: bool) -> io::Result<()> {
        let name = format!("{NOTES_DIRECTORY}/{}", closed.note());
        let noted = self.replace(&name, &closed.encode(), sync);
        self.after(noted)
    }

    /// The names of what lies in the directory itself, as far as they are text.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let names = self.root.names()?.into_iter();
        Ok(names.filter_map(|name| name.into_string().ok()).collect())
    }

    /// Carries out an action. What is nothing of the disk's is refused.
    ///
    /// # Errors
    /// It failed, and can be tried again.
    pub(super) fn act(&mut self, action: &Action) -> io::Result<Outcome> {
        let outcome = self.try_to(action);
        self.after(outcome)
    }

    /// Finds out whether a failure is the directory's, which is looked for anew then.
    fn after<T>(&mut self, outcome: io::Result<T>) -> io::Result<T> {
        match &outcome {
            Err(error) if error.kind() == ErrorKind::NotFound => self.reopen()?,
            Err(error) if error.raw_os_error() == Some(libc::EMFILE) => self.open.clear(),
            Ok(_) | Err(_) => {}
        }
        outcome
    }

    fn try_to(&mut self, action: &Action) -> io::Result<Outcome> {
        match action {
            Action::Inspect { name } => {
                let index = format!("{name}{INDEX_SUFFIX}");
                return Ok(Outcome::Found(Found {
                    file: self.look(name)?,
                    index: self.look(&index)?,
                }));
            }
            Action::Read { name, at, bytes } => return self.read(name, *at, *bytes),
            Action::Create { name } => return self.create(name),
            Action::Rename { from, to } => return self.rename(from, to),
            Action::Write { name, at, bytes } => self.file(name)?.write_all_at(bytes, *at)?,
            Action::Truncate { name, length } => self.file(name)?.set_len(*length)?,
            Action::Sync { name } => self.file(name)?.sync_data()?,
            Action::SyncDirectories => {
                self.root.sync()?;
                self.below.values().try_for_each(Directory::sync)?;
            }
            Action::Store { slot, bytes, sync } => {
                let Some(name) = SLOT_NAMES.get(*slot) else {
                    return Ok(Outcome::Refused);
                };
                let file = self.file(name)?;
                file.write_all_at(bytes, 0)?;
                if *sync {
                    file.sync_data()?;
                }
            }
            Action::Release { .. } | Action::Report(_) => return Ok(Outcome::Refused),
        }
        Ok(Outcome::Done)
    }

    /// Where a name leads: there is at most one directory in it.
    fn place<'a>(&mut self, name: &'a str) -> io::Result<(&Directory, &'a OsStr)> {
        let Some((directory, entry)) = name.split_once('/') else {
            return Ok((&self.root, name.as_ref()));
        };
        if !self.below.contains_key(directory) {
            let below = self.root.enter(directory.as_ref(), DIRECTORY_MODE)?;
            self.below.insert(directory.to_owned(), below);
        }
        let below = self.below.get(directory).unwrap_or(&self.root);
        Ok((below, entry.as_ref()))
    }

    fn look(&mut self, name: &str) -> io::Result<Option<Look>> {
        let entry = self.place(name).and_then(|(place, name)| place.entry(name));
        let facts = match entry {
            Ok(entry) => entry.metadata()?,
            // Where nothing can be is nothing; whoever wants to put it there is told so.
            Err(error) if error.kind() == ErrorKind::NotFound || is_for_good(&error) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let modified = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Some(Look {
            identity: identity_of(&facts),
            length: facts.len(),
            modified: Timestamp::from(modified),
        }))
    }

    /// A file that is to be written. It is there, or was a moment ago: made anew, it is found to be
    /// another one.
    fn file(&mut self, name: &str) -> io::Result<&File> {
        if !self.open.contains_key(name) {
            if self.open.len() >= OPEN_MAX {
                self.open.clear();
            }
            let flags = OFlag::O_RDWR | OFlag::O_CREAT;
            let (directory, entry) = self.place(name)?;
            let file = directory.open_file(entry, flags, FILE_MODE)?;
            self.open.insert(name.to_owned(), file);
        }
        self.open
            .get(name)
            .ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn read(&mut self, name: &str, at: u64, bytes: usize) -> io::Result<Outcome> {
        let (directory, entry) = self.place(name)?;
        let file = match directory.open_file(entry, OFlag::O_RDONLY, 0) {
            Ok(file) => file,
            // Gone since it was looked at.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Outcome::Bytes(Vec::new()));
            }
            Err(error) => return Err(error),
        };
        let mut buffer = vec![0; bytes];
        let mut length = 0;
        while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, at + length as u64) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.truncate(length);
        Ok(Outcome::Bytes(buffer))
    }

    fn create(&mut self, name: &str) -> io::Result<Outcome> {
        self.open.remove(name);
        match self.file(name).map(drop) {
            Ok(()) => {}
            Err(error) if is_for_good(&error) => return Ok(Outcome::Refused),
            Err(error) => return Err(error),
        }
        match self.look(name)? {
            Some(look) => Ok(Outcome::Created(look.identity)),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<Outcome> {
        self.open.remove(from);
        let renamed = self.place(to).map(drop).and_then(|()| {
            let (old, entry) = (&self.root, OsStr::new(from));
            let (directory, name) = to.split_once('/').unwrap_or(("", to));
            let target = self.below.get(directory).unwrap_or(&self.root);
            old.rename_into(entry, target, name.as_ref())
        });
        match renamed {
            Ok(()) => Ok(Outcome::Done),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Outcome::Exists),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Or the directory of the new name is.
                self.below.clear();
                match self.look(from)? {
                    None => Ok(Outcome::Missing),
                    Some(_) => Err(error),
                }
            }
            Err(error) if is_for_good(&error) => Ok(Outcome::Refused),
            Err(error) => Err(error),
        }
    }
}

/// Will it fail in a moment as well?
pub(super) fn is_for_good(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EACCES
                | libc::EPERM
                | libc::EISDIR
                | libc::ENOTDIR
                | libc::ELOOP
                | libc::EXDEV
                | libc::ENXIO
                | libc::ENAMETOOLONG
                | libc::EINVAL
        )
    )
}

/// Which file it is: device, inode and time of birth.
pub(in crate::node) fn identity_of(facts: &Metadata) -> Identity {
    let birth = facts.created().ok();
    let birth = birth.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let birth = birth.map_or(0, |birth| birth.as_nanos());
    // An inode is given again, but not with the same time of birth.
    Identity((u128::from(facts.dev()) << 96) ^ (u128::from(facts.ino()) << 64) ^ birth)
}

#[cfg(test)]
#[path = "disk/tests.rs"]
mod tests;

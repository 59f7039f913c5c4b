//! The files of one log of one logger, one after the other, as one run of records that may go on.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use cluster::logging::RECORD_BYTES_MAX;

use super::files::{self, Identity, LogFile};
use super::line::{Lines, Record};
use crate::client::failure::ClientError;

/// What of it is wanted, and how.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) path: String,
    /// Nothing before this: nanoseconds since 1970.
    pub(super) since: Option<i64>,
    pub(super) as_json: bool,
}

/// The files of one log of one logger.
#[derive(Debug)]
pub(super) struct Chain {
    logs: PathBuf,
    pub(super) logger: String,
    wanted: Wanted,
    /// Files that were begun, and their indexes, under whatever name.
    seen: BTreeSet<Identity>,
    pending: VecDeque<LogFile>,
    /// Names have changed since the directory was read.
    is_stale: bool,
    open: Option<Open>,
    /// The open file has a follower, and was looked at once more since that is known.
    is_complete: bool,
    next: Option<Record>,
    unreadable: u64,
}

#[derive(Debug)]
struct Open {
    location: PathBuf,
    bytes: Bytes,
    buffer: Vec<u8>,
    lines: Lines,
}

/// A file's bytes from where its next line begins.
enum Bytes {
    Plain(BufReader<File>),
    Packed(BufReader<Box<dyn Read>>),
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Packed(_) => "Packed",
        })
    }
}

impl Chain {
    pub(super) fn new(logs: &Path, logger: &str, wanted: Wanted) -> Self {
        Self {
            logs: logs.to_owned(),
            logger: logger.to_owned(),
            wanted,
            seen: BTreeSet::new(),
            pending: VecDeque::new(),
            is_stale: true,
            open: None,
            is_complete: false,
            next: None,
            unreadable: 0,
        }
    }

    /// Is there any file?
    pub(super) fn has_files(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Lines that could not be shown.
    pub(super) fn unreadable(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |open| open.lines.unreadable);
        self.unreadable + open
    }

    /// Names in the directory have changed.
    pub(super) fn look_again(&mut self) {
        self.is_stale = true;
    }

    /// The next record, if it is there by now.
    pub(super) fn peek(&mut self) -> Result<Option<&Record>, ClientError> {
        if self.next.is_none() {
            self.next = self.find()?;
        }
        Ok(self.next.as_ref())
    }

    pub(super) fn take(&mut self) -> Option<Record> {
        self.next.take()
    }

    fn find(&mut self) -> Result<Option<Record>, ClientError> {
        loop {
            if let Some(open) = &mut self.open
                && let Some(record) = open.next(self.wanted.since)?
            {
                return Ok(Some(record));
            }
            if self.pending.is_empty() && std::mem::take(&mut self.is_stale) {
                self.list()?;
            }
            if self.pending.is_empty() {
                return Ok(None);
            }
            // What was written to a file before it got a follower has to be read.
            if self.open.is_some() && !std::mem::replace(&mut self.is_complete, true) {
                continue;
            }
            self.go_on()?;
        }
    }

    fn list(&mut self) -> Result<(), ClientError> {
        for file in files::files(&self.logs, &self.logger)? {
            let is_seen = file.identities().any(|name| self.seen.contains(&name));
            let is_old = |since: i64| !file.is_current && file.modified.nanos() < since;
            if file.path != self.wanted.path {
                continue;
            }
            if is_seen || self.wanted.since.is_some_and(is_old) {
                self.see(&file);
            } else {
                self.pending.push_back(file);
            }
        }
        Ok(())
    }

    fn see(&mut self, file: &LogFile) {
        self.seen.extend(file.identities());
    }

    /// Begins the next file.
    fn go_on(&mut self) -> Result<(), ClientError> {
        let Some(file) = self.pending.pop_front() else {
            return Ok(());
        };
        let opened = File::open(&file.location);
        let opened = opened.and_then(|opened| Ok((Identity::of(&opened.metadata()?), opened)));
        let opened = match opened {
            Ok((identity, opened)) if identity == file.identity => opened,
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                let path = file.location;
                return Err(ClientError::File { path, source });
            }
            // It was renamed since, or is gone.
            Ok(_) | Err(_) => {
                self.pending.clear();
                self.is_stale = true;
                return Ok(());
            }
        };
        self.see(&file);
        self.unreadable = self.unreadable();
        self.is_complete = false;
        self.open = Some(Open {
            bytes: match file.is_packed() {
                true => Bytes::Packed(BufReader::new(file.unpacked(opened))),
                false => Bytes::Plain(BufReader::new(opened)),
            },
            location: file.location,
            buffer: Vec::new(),
            lines: Lines::new(self.wanted.as_json),
        });
        Ok(())
    }
}

impl Open {
    /// The next record that is wanted, if it is there by now.
    fn next(&mut self, since: Option<i64>) -> Result<Option<Record>, ClientError> {
        loop {
            let read = self.bytes.line(&mut self.buffer);
            let read = read.map_err(|source| ClientError::File {
                path: self.location.clone(),
                source,
            })?;
            if !read {
                return Ok(None);
            }
            let Some(record) = self.lines.take(&self.buffer) else {
                continue;
            };
            let is_old = |since: i64| record.time.is_some_and(|time| time < since);
            if !since.is_some_and(is_old) {
                return Ok(Some(record));
            }
        }
    }
}

impl Bytes {
    /// Reads a whole line. The beginning of one is left: a logger that comes back may cut it off.
    fn line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        let most = u64::try_from(RECORD_BYTES_MAX).unwrap_or(u64::MAX);
        let read = match self {
            Self::Plain(file) => file.take(most).read_until(b'\n', line)?,
            Self::Packed(file) => file.take(most).read_until(b'\n', line)?,
        };
        if line.ends_with(b"\n") {
            return Ok(true);
        }
        if read >= RECORD_BYTES_MAX {
            let text = format!("a line is longer than {RECORD_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        if let (Self::Plain(file), Ok(back @ 1..)) = (self, i64::try_from(read)) {
            file.seek(SeekFrom::Current(-back))?;
        }
        Ok(false)
    }
}

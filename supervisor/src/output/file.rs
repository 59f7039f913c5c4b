//! A file that is only ever appended to: rotated by size, re-made when somebody deletes it, and
//! exact about what a full disk cost.
//!
//! Owns: the file. Blocks on the disk, on purpose: whoever feeds it stops reading meanwhile, and
//! the pressure flows back to the node.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use super::lines::newline_in;
use super::place::{self, Owner};

/// A file is looked at this often, and only when something is written: is it still the one its
/// path names?
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// A loss counts as over when nothing was lost for so long.
const LOSS_OVER_AFTER: Duration = Duration::from_secs(1);

/// While bytes are being lost, that is reported again after so long.
const LOSS_REPORT_EVERY: Duration = Duration::from_secs(5);

/// When a file is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rotation {
    /// Before it grows beyond so many bytes, between two lines; 0: never.
    pub(crate) bytes: u64,
    /// So many old ones are kept beside it.
    pub(crate) keep: u32,
}

/// How a loss of output stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LossState {
    /// The first bytes were lost.
    Began,
    /// More were lost since the last report.
    Continues,
    /// Writing works again; the file says how many are missing.
    Over,
}

/// What happened to a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FileEvent {
    /// Bytes were lost, or no longer are.
    Loss {
        state: LossState,
        /// Lost bytes of this file since the supervisor started.
        total: u64,
        why: String,
    },
    /// It was renamed to `….1` and begun anew.
    Rotated,
    /// It could not be renamed; it grows on.
    RotationFailed(String),
}

/// Who writes: two writers never share a line.
pub(super) type Writer = usize;

/// Whoever wrote before we looked.
const SOMEBODY: Writer = Writer::MAX;

/// What a write needs to know, and where it tells what happened.
#[derive(Debug)]
pub(super) struct Appending<'a> {
    pub(super) rotation: Rotation,
    pub(super) now: Instant,
    pub(super) events: &'a mut Vec<FileEvent>,
}

#[derive(Debug)]
struct Loss {
    /// Not yet told in the file.
    untold: u64,
    why: String,
    last: Instant,
    reported: Instant,
    reported_total: u64,
}

/// The file.
#[derive(Debug)]
pub(super) struct AppendFile {
    path: Box<Path>,
    owner: Owner,
    file: Option<File>,
    /// Device and inode.
    identity: (u64, u64),
    /// `None`: not a regular file, never rotated.
    size: Option<u64>,
    /// After a rotation that failed: not before this size again.
    rotate_from: u64,
    checked: Option<Instant>,
    /// The writer of the last line, while that has no newline yet.
    open_line: Option<Writer>,
    loss: Option<Box<Loss>>,
    lost_total: u64,
}

enum Step {
    Rotate,
    Write(usize),
}

impl AppendFile {
    /// Opens nothing yet.
    pub(super) fn new(path: impl Into<Box<Path>>, owner: Owner) -> Self {
        Self {
            path: path.into(),
            owner,
            file: None,
            identity: (0, 0),
            size: None,
            rotate_from: 0,
            checked: None,
            open_line: None,
            loss: None,
            lost_total: 0,
        }
    }

    /// Is something lost that the file does not tell yet, or was just now?
    pub(super) fn is_losing(&self) -> bool {
        self.loss.is_some()
    }

    /// Opens the file its path names now, whatever was open before.
    pub(super) fn open(&mut self) -> io::Result<()> {
        self.file = None;
        let file = place::open(&self.path, self.owner)?;
        let facts = file.metadata()?;
        let before = std::mem::replace(&mut self.identity, identity(&facts));
        self.size = facts.is_file().then_some(facts.len());
        self.rotate_from = 0;
        if self.identity != before {
            self.open_line = ends_inside_a_line(&file, &facts).then_some(SOMEBODY);
        }
        self.file = Some(file);
        Ok(())
    }

    /// Appends a node's bytes; those that cannot be written are counted.
    pub(super) fn append(&mut self, writer: Writer, bytes: &[u8], to: &mut Appending<'_>) {
        if let Err((written, error)) = self.try_append(writer, bytes, to) {
            self.lose(bytes.len() - written, &error, to);
        }
        self.settle(to);
    }

    /// Appends words of our own, which are nobody's loss.
    pub(super) fn append_mark(&mut self, writer: Writer, mark: &str, to: &mut Appending<'_>) {
        if let Err((_, error)) = self.try_append(writer, mark.as_bytes(), to) {
            self.lose(0, &error, to);
        }
    }

    /// While bytes are being lost: tries whether it works again.
    pub(super) fn retry(&mut self, to: &mut Appending<'_>) {
        if self.loss.as_ref().is_some_and(|loss| loss.untold > 0)
            && let Err((_, error)) = self.ready(to)
        {
            self.lose(0, &error, to);
        }
        self.settle(to);
    }

    /// The last try; says how much was lost in all, if that was not told yet.
    pub(super) fn give_up(&mut self, to: &mut Appending<'_>) {
        self.retry(to);
        let total = self.lost_total;
        if let Some(loss) = self
            .loss
            .as_mut()
            .filter(|loss| loss.reported_total != total)
        {
            loss.reported_total = total;
            to.events.push(FileEvent::Loss {
                state: LossState::Continues,
                total,
                why: loss.why.clone(),
            });
        }
    }

    fn try_append(
        &mut self,
        writer: Writer,
        bytes: &[u8],
        to: &mut Appending<'_>,
    ) -> Result<(), (usize, io::Error)> {
        self.ready(to)?;
        if self.open_line.is_some_and(|other| other != writer) {
            self.put(writer, b"\n").map_err(|(_, error)| (0, error))?;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.step(rest, to.rotation) {
                Step::Rotate => self.rotate(to),
                Step::Write(length) => {
                    let (now, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                    let before = bytes.len() - rest.len();
                    self.put(writer, now)
                        .map_err(|(written, error)| (before + written, error))?;
                    rest = behind;
                }
            }
        }
        Ok(())
    }

    /// The file is open, is the one its path names, and tells what was lost before.
    fn ready(&mut self, to: &Appending<'_>) -> Result<(), (usize, io::Error)> {
        if self
            .checked
            .is_none_or(|checked| to.now.duration_since(checked) >= CHECK_EVERY)
        {
            self.check();
            self.checked = Some(to.now);
        }
        if self.file.is_none() {
            self.open().map_err(|error| (0, error))?;
        }
        let Some(loss) = self.loss.as_ref().filter(|loss| loss.untold > 0) else {
            return Ok(());
        };
        let fresh = if self.open_line.is_some() { "\n" } else { "" };
        let (untold, why) = (loss.untold, &loss.why);
        let notice = format!("{fresh}…[{untold} bytes of output could not be written: {why}]\n");
        self.put(SOMEBODY, notice.as_bytes())
            .map_err(|(_, error)| (0, error))?;
        if let Some(loss) = &mut self.loss {
            (loss.untold, loss.last) = (0, to.now);
        }
        Ok(())
    }

    /// Lets go of a file that its path no longer names; notices a file that others cut short.
    pub(super) fn check(&mut self) {
        if self.file.is_none() {
            return;
        }
        match place::facts(&self.path, self.owner) {
            Ok(facts) if identity(&facts) == self.identity => {
                self.size = facts.is_file().then_some(facts.len());
            }
            Ok(_) => self.file = None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.file = None,
            Err(_) => {} // what is open may still take what comes
        }
    }

    fn step(&self, rest: &[u8], rotation: Rotation) -> Step {
        let Some(size) = self.size.filter(|_| rotation.bytes > 0) else {
            return Step::Write(rest.len());
        };
        let room = rotation.bytes.max(self.rotate_from).saturating_sub(size);
        let Some(head) = usize::try_from(room).ok().and_then(|room| rest.get(..room)) else {
            return Step::Write(rest.len());
        };
        if head.len() == rest.len() {
            return Step::Write(rest.len());
        }
        if let Some(last) = head.iter().rposition(|byte| *byte == b'\n') {
            return Step::Write(last + 1);
        }
        if self.open_line.is_none() && size > 0 {
            return Step::Rotate;
        }
        // A line is under way, or one is longer than a whole file may be: up to its end.
        Step::Write(newline_in(rest).map_or(rest.len(), |last| last + 1))
    }

    fn rotate(&mut self, to: &mut Appending<'_>) {
        self.check();
        if self.file.is_some() {
            match place::shift(&self.path, self.owner, to.rotation.keep) {
                Ok(()) => to.events.push(FileEvent::Rotated),
                Err(error) => {
                    let size = self.size.unwrap_or_default();
                    self.rotate_from = size.saturating_add(to.rotation.bytes);
                    to.events.push(FileEvent::RotationFailed(error.to_string()));
                    return;
                }
            }
        }
        self.file = None;
        self.size = Some(0);
        self.open_line = None;
        if self.open().is_err() {
            self.size = Some(0); // the write that follows fails, and tells why
        }
    }

    /// Writes; on failure says how many bytes are in the file all the same.
    fn put(&mut self, writer: Writer, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let Some(file) = &mut self.file else {
            return Err((0, io::ErrorKind::NotFound.into()));
        };
        let mut rest = bytes;
        let failure = loop {
            if rest.is_empty() {
                break None;
            }
            match file.write(rest) {
                Ok(0) => break Some(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
        };
        let written = bytes.len() - rest.len();
        if let Some(last) = bytes.get(..written).and_then(<[u8]>::last) {
            self.open_line = (*last != b'\n').then_some(writer);
        }
        if let Some(size) = &mut self.size {
            *size = size.saturating_add(written as u64);
        }
        failure.map_or(Ok(()), |error| Err((written, error)))
    }

    fn lose(&mut self, bytes: usize, error: &io::Error, to: &mut Appending<'_>) {
        let bytes = bytes as u64;
        self.lost_total = self.lost_total.saturating_add(bytes);
        let total = self.lost_total;
        let why = error.to_string();
        let Some(loss) = &mut self.loss else {
            to.events.push(FileEvent::Loss {
                state: LossState::Began,
                total,
                why: why.clone(),
            });
            self.loss = Some(Box::new(Loss {
                untold: bytes,
                why,
                last: to.now,
                reported: to.now,
                reported_total: total,
            }));
            return;
        };
        loss.untold = loss.untold.saturating_add(bytes);
        loss.last = to.now;
        if to.now.duration_since(loss.reported) >= LOSS_REPORT_EVERY && loss.reported_total != total
        {
            (loss.reported, loss.reported_total) = (to.now, total);
            to.events.push(FileEvent::Loss {
                state: LossState::Continues,
                total,
                why: why.clone(),
            });
        }
        loss.why = why;
    }

    fn settle(&mut self, to: &mut Appending<'_>) {
        let over = self.loss.take_if(|loss| {
            loss.untold == 0 && to.now.duration_since(loss.last) >= LOSS_OVER_AFTER
        });
        if let Some(loss) = over {
            to.events.push(FileEvent::Loss {
                state: LossState::Over,
                total: self.lost_total,
                why: loss.why,
            });
        }
    }
}

fn identity(facts: &Metadata) -> (u64, u64) {
    (facts.dev(), facts.ino())
}

fn ends_inside_a_line(file: &File, facts: &Metadata) -> bool {
    let mut last = [0];
    match facts.len().checked_sub(1) {
        Some(at) if facts.is_file() => file.read_exact_at(&mut last, at).is_ok() && last != *b"\n",
        Some(_) | None => false,
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;

//! `records verify`: reads the files of loggers, which may be written and rotated meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use cluster::control::{Code, SCHEMA};
use cluster::data::Timestamp;
use cluster::logging::files::index::SLOT_BYTES;
use cluster::logging::files::state::{Losses, SLOT_NAMES, State};
use cluster::logging::files::verify::{FileReport, Input, Verifier};
use cluster::sys::clock;

use super::files::{self, Identity, LogFile};
use super::replies::{FileRow, LoggerRow, PathRow, SourceRow, VerifyReply};
use super::{logs, path_of, refused};
use crate::cli::records::VerifyArgs;
use crate::client::failure::ClientError;
use crate::client::out::Console;
use crate::client::render;
use crate::client::watch::pause;

/// So often a file is looked for anew that went to another name under our eyes.
const LOOKS_MAX: u32 = 16;

/// Before the second of these looks, and so much longer before each later one: if its logger has died, a
/// successor has to come and bring its index after it.
const LOOK_AGAIN: Duration = Duration::from_millis(8);

/// Bytes that an index tells of are in their file a moment later; after so long they are missing.
const PATIENCE: Duration = Duration::from_secs(1);

/// A file that is being written is faulty when it was so often at a look.
const FAULTY_LOOKS: usize = 5;

/// Between two looks whether something has come, or come right.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Verifies what is asked for.
pub(super) fn verify(args: &VerifyArgs, console: &mut Console<'_>) -> Result<Code, ClientError> {
    let logs = logs(&args.common);
    let wanted = Wanted::of(&args.words, files::loggers(&logs)?)?;
    let mut loggers = Vec::new();
    for logger in &wanted.loggers {
        let mut row = Look::at(&logs, logger, &wanted.paths)?.row(logger);
        if !wanted.paths.is_empty() {
            row.sources.clear(); // what is missing here may stand in other logs
        }
        if !row.files.is_empty() {
            loggers.push(row);
        }
    }
    if loggers.is_empty() {
        let message = format!("there are no such log files in {}", logs.display());
        return Err(refused(Code::Failed, message));
    }
    let reply = VerifyReply {
        schema: SCHEMA,
        ok: loggers.iter().all(LoggerRow::is_proved),
        loggers,
    };
    if console.json {
        let line = serde_json::to_string(&reply).map_err(io::Error::from)?;
        console.print_json(&line)?;
    } else {
        render::records::show(&reply, console)?;
    }
    Ok(if reply.ok { Code::Done } else { Code::Failed })
}

/// Whose files are looked at; no paths: all.
struct Wanted {
    loggers: Vec<String>,
    paths: BTreeSet<String>,
}

impl Wanted {
    fn of(words: &[String], known: Vec<String>) -> Result<Self, ClientError> {
        let (loggers, others): (Vec<&String>, Vec<&String>) =
            words.iter().partition(|word| known.contains(word));
        let paths = others.into_iter().map(|word| path_of(word));
        Ok(Self {
            paths: paths.collect::<Result<_, _>>()?,
            loggers: match loggers.as_slice() {
                [] => known,
                chosen => chosen.iter().map(|logger| (*logger).clone()).collect(),
            },
        })
    }
}

/// One logger's files, as far as they were looked at.
struct Look {
    verifier: Verifier,
    files: Vec<(LogFile, FileReport)>,
    seen: BTreeSet<Identity>,
    losses: Losses,
}

impl Look {
    fn at(logs: &Path, logger: &str, paths: &BTreeSet<String>) -> Result<Self, ClientError> {
        let is_wanted = |path: &str| paths.is_empty() || paths.contains(path);
        let before = state(&logs.join(logger))?;
        let mut look = Self {
            verifier: Verifier::default(),
            files: Vec::new(),
            seen: BTreeSet::new(),
            losses: Losses::default(),
        };
        let began = now();
        let mut wanted = listed(logs, logger)?;
        let ended = now();
        // What came meanwhile tells of records that others may not have had yet, or of files that were not
        // seen. What seems to come from the future was there: the clock was set back.
        let is_new = |file: &LogFile| began < file.opened && file.opened <= ended;
        wanted.retain(|file| is_wanted(&file.path) && !is_new(file));
        let known: BTreeSet<Identity> = wanted.iter().flat_map(LogFile::identities).collect();
        let is_known = |file: &LogFile| file.identities().any(|it| known.contains(&it));
        for nth in 1..=LOOKS_MAX {
            if look.take(wanted, nth == LOOKS_MAX)? {
                let after = state(&logs.join(logger))?;
                look.hold_against(&before, &after, is_wanted);
                look.losses = after.losses;
                return Ok(look);
            }
            pause(LOOK_AGAIN * nth)?;
            wanted = listed(logs, logger)?;
            wanted.retain(|file| is_known(file) && !is_new(file));
        }
        let message = format!("the files of {logger} change too quickly; try again");
        Err(refused(Code::Failed, message))
    }

    /// Looks at what was not looked at yet. False: something has changed meanwhile.
    fn take(&mut self, files: Vec<LogFile>, is_last: bool) -> Result<bool, ClientError> {
        for file in files {
            let names: Vec<Identity> = file.identities().collect();
            let is_known = names.iter().any(|name| self.seen.contains(name));
            if !is_known {
                let report = self
                    .look(&file, is_last)
                    .map_err(|source| ClientError::File {
                        path: file.location.clone(),
                        source,
                    })?;
                let Some(report) = report else {
                    return Ok(false);
                };
                self.files.push((file, report));
            }
            self.seen.extend(names);
        }
        Ok(true)
    }

    /// Looks at one file; `None` if it is not any more what was listed. The successor of a logger that died
    /// meanwhile cuts off what its index tells of and is not there, and writes in its place. So what is
    /// wrong with a file that is being written counts if it stays.
    fn look(&mut self, file: &LogFile, is_last: bool) -> io::Result<Option<FileReport>> {
        let mut patience = PATIENCE;
        if file.is_current {
            for _ in 1..FAULTY_LOOKS {
                let mut verifier = self.verifier.clone();
                let report = read(&mut verifier, file, is_last, &mut patience)?;
                if report.as_ref().is_none_or(|report| report.fault_count == 0) {
                    self.verifier = verifier;
                    return Ok(report);
                }
                pause(LOOK_EVERY)?;
            }
        }
        read(&mut self.verifier, file, is_last, &mut patience)
    }

    /// What stood when the state was stored has to stand. A file that the state has forgotten meanwhile
    /// was rotated, and may be gone.
    fn hold_against(&mut self, before: &State, after: &State, wanted: impl Fn(&str) -> bool) {
        for path in &before.paths {
            let name = path.name.as_str();
            for source in path.sources.iter().filter(|_| wanted(name)) {
                self.verifier.stood(name, source.id, source.next);
            }
        }
        let open = |state: &State| {
            let paths = state.paths.iter();
            let open = paths.filter_map(|path| Some((path.name.to_string(), path.open?)));
            open.collect::<BTreeMap<_, _>>()
        };
        let after = open(after);
        for (path, checkpoint) in open(before) {
            if !wanted(&path) || checkpoint.length == 0 {
                continue;
            }
            let files = self.files.iter_mut();
            let mut own = files.filter(|(file, _)| file.path == path);
            let is_here = own.any(|(_, report)| report.is_of(&checkpoint));
            let stays = after.get(&path).map(|open| open.seed) == Some(checkpoint.seed);
            // Its index has been found out already, and so it is not known which file it is of.
            let is_doubtful = |(file, report): &(LogFile, FileReport)| {
                file.path == path && file.is_current && report.header.is_none()
            };
            if !is_here && stays && !self.files.iter().any(is_doubtful) {
                let missing = FileReport::missing();
                self.files.push((LogFile::absent(&path), missing));
            }
        }
    }

    fn row(self, logger: &str) -> LoggerRow {
        let files = self.files.iter();
        LoggerRow {
            logger: logger.to_owned(),
            files: files
                .map(|(file, report)| FileRow::of(file, report))
                .collect(),
            paths: self.verifier.paths().map(PathRow::from).collect(),
            sources: self
                .verifier
                .sources()
                .into_iter()
                .map(SourceRow::from)
                .collect(),
            refused: self.losses.refused,
            aside: self.losses.aside,
        }
    }
}

/// A logger's files, with those that went to another name while they were listed: all that were there
/// before, and some of those that came meanwhile.
fn listed(logs: &Path, logger: &str) -> Result<Vec<LogFile>, ClientError> {
    let before = files::files(logs, logger)?;
    let mut now = files::files(logs, logger)?;
    let known: BTreeSet<Identity> = now.iter().map(|file| file.identity).collect();
    let gone = before.into_iter();
    now.extend(gone.filter(|file| !known.contains(&file.identity)));
    Ok(now)
}

/// The state that a logger has stored; none is an empty one.
fn state(directory: &Path) -> Result<State, ClientError> {
    let mut slots = [None, None];
    for (slot, name) in slots.iter_mut().zip(SLOT_NAMES) {
        let path = directory.join(name);
        *slot = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(ClientError::File { path, source }),
        };
    }
    let [first, second] = &slots;
    Ok(State::newest([first.as_deref(), second.as_deref()]).unwrap_or_default())
}

/// Looks at one file once. The order of what is done is what makes this right: an index is written before
/// its lines, and goes to another name behind its file.
fn read(
    verifier: &mut Verifier,
    file: &LogFile,
    is_last: bool,
    patience: &mut Duration,
) -> io::Result<Option<FileReport>> {
    let Some(lines) = found(File::open(&file.location))? else {
        return Ok(None);
    };
    let written = lines.metadata()?;
    let index = found(File::open(&file.index))?;
    let now = found(fs::metadata(&file.location))?;
    let is_same = Identity::of(&written) == file.identity
        && now.is_some_and(|now| Identity::of(&now) == file.identity);
    // Between the two renames of a rotation the index is on its way.
    if !is_same || (index.is_none() && !is_last && written.len() > 0) {
        return Ok(None);
    }
    let path = file.path.as_str();
    if !file.is_current {
        let file = file.unpacked(lines);
        let until = None;
        let input = Input {
            path,
            index,
            file,
            until,
        };
        return verifier.add(input).map(Some);
    }
    let index = match index {
        Some(index) => {
            let length = index.metadata()?.len();
            Some(index.take(length - length % SLOT_BYTES))
        }
        None => None,
    };
    let input = Input {
        path,
        index,
        file: Growing {
            file: lines,
            patience,
        },
        until: Some(written.len()),
    };
    verifier.add(input).map(Some)
}

fn now() -> Timestamp {
    clock::wall().into()
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A file whose next bytes may be being written.
struct Growing<'a> {
    file: File,
    /// They are waited for so long.
    patience: &'a mut Duration,
}

impl Read for Growing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.file.read(into)?;
            if read > 0 || self.patience.is_zero() {
                return Ok(read);
            }
            pause(LOOK_EVERY)?;
            *self.patience = self.patience.saturating_sub(LOOK_EVERY);
        }
    }
}

//! A logger's files, written by the core that loggers have, with the plainest of executors.

#![allow(
    dead_code,
    missing_debug_implementations,
    unreachable_pub,
    reason = "a harness: each test file uses its share"
)]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use cluster::data::{Timestamp, Value};
use cluster::logging::files::naming::Naming;
use cluster::logging::files::rotation::Rotation;
use cluster::logging::files::state::SLOT_NAMES;
use cluster::logging::files::{
    Action, Event, Found, Frame, Identity, LogFiles, Look, Outcome, PathId, Settings, SourceId,
    SyncPolicy,
};
use cluster::logging::{Atom, Column, LogPath, Schema, Type, tsv};

/// The moment at which the first file is opened; seconds later are told from here.
const BEGIN: i64 = 1_700_000_000;

/// The sources of records.
pub const WORKER: SourceId = SourceId(0xa1);
pub const OTHER: SourceId = SourceId(0xb2);

/// The columns of all logs here: a time and a number.
pub struct Columns {
    schema: Schema,
    format: tsv::Format,
}

impl Default for Columns {
    fn default() -> Self {
        let column = |name, atom| Column::new(name, Type::Atom(atom), false).unwrap();
        Self {
            schema: Schema::new(vec![column("ts", Atom::Time), column("n", Atom::Count)]).unwrap(),
            format: tsv::Format::default(),
        }
    }
}

impl Columns {
    /// A record of so many seconds after the beginning, as a line.
    pub fn line(&self, seconds: i64, number: u64) -> Vec<u8> {
        let values = [Value::Timestamp(at(seconds)), Value::Count(number)];
        let mut line = Vec::new();
        let record = self.schema.record(&values).unwrap();
        self.format.record(record, &mut line);
        line
    }
}

impl Frame for Columns {
    fn header(&self, path: &LogPath, _: &[u8], opened: Timestamp) -> Vec<u8> {
        let mut header = Vec::new();
        self.format.header(&self.schema, path, opened, &mut header);
        header
    }

    fn footer(&self, _: &LogPath, _: &[u8], closed: Timestamp) -> Vec<u8> {
        let mut footer = Vec::new();
        self.format.close(closed, &mut footer);
        footer
    }
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos((BEGIN + seconds) * 1_000_000_000)
}

/// A logger that writes below a run directory.
pub struct Logger {
    directory: PathBuf,
    columns: Columns,
    files: LogFiles<Columns>,
    seconds: i64,
}

impl Logger {
    /// Begins where the one before of that name has ended.
    pub fn begin(run_dir: &Path, name: &str) -> Self {
        let directory = run_dir.join("logs").join(name);
        fs::create_dir_all(&directory).unwrap();
        let slots = SLOT_NAMES.map(|slot| fs::read(directory.join(slot)).ok());
        let settings = Settings {
            extension: "log".to_owned(),
            naming: Naming::supervised(Some(name)),
            rotation: Rotation::default(),
            sync: SyncPolicy::Never,
            checkpoint_bytes: 1,
        };
        let [first, second] = &slots;
        let slots = [first.as_deref(), second.as_deref()];
        let mut logger = Self {
            files: LogFiles::new(settings, Columns::default(), slots, at(0)),
            columns: Columns::default(),
            directory,
            seconds: 0,
        };
        logger.act();
        logger
    }

    /// A file in its directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Its rotated files of a path, the oldest first.
    pub fn rotated(&self, path: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory.join("log-queue")).unwrap();
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|file| {
                let name = file.file_name().unwrap().to_str().unwrap();
                name.starts_with(&format!("{path}__")) && name.ends_with(".log")
            })
            .collect();
        files.sort();
        files
    }

    /// Time goes on.
    pub fn wait(&mut self, seconds: i64) -> &mut Self {
        self.seconds += seconds;
        self
    }

    /// Writes records of a source with these numbers, one a second.
    pub fn write(
        &mut self,
        path: &str,
        source: SourceId,
        numbers: std::ops::Range<u64>,
    ) -> &mut Self {
        let path = self.open(path);
        for number in numbers {
            let line = self.columns.line(self.seconds, number);
            self.files
                .accept(source, number, &[(path, line.as_slice())])
                .unwrap();
            self.seconds += 1;
        }
        self.files.flush(at(self.seconds));
        self.act();
        self
    }

    pub fn rotate(&mut self, path: &str) -> &mut Self {
        let path = self.open(path);
        self.files.rotate(path, at(self.seconds));
        self.act();
        self
    }

    fn open(&mut self, path: &str) -> PathId {
        let path = self.files.open(&LogPath::parse(path).unwrap(), b"columns");
        self.act();
        path.unwrap()
    }

    fn act(&mut self) {
        while let Some(action) = self.files.action() {
            let outcome = self.carry_out(action).unwrap();
            self.files.done(outcome);
        }
    }

    fn carry_out(&self, action: &Action) -> io::Result<Outcome> {
        let place = |name: &str| self.directory.join(name);
        let open = |name: &str| OpenOptions::new().read(true).write(true).open(place(name));
        Ok(match action {
            Action::Inspect { name } => Outcome::Found(Found {
                file: look(&place(name)),
                index: look(&place(&format!("{name}.idx"))),
            }),
            Action::Read { name, at, bytes } => {
                let mut read = vec![0; *bytes];
                let length = open(name)?.read_at(&mut read, *at)?;
                read.truncate(length);
                Outcome::Bytes(read)
            }
            Action::Create { name } => {
                OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(place(name))?;
                Outcome::Created(look(&place(name)).unwrap().identity)
            }
            Action::Write { name, at, bytes } => {
                open(name)?.write_all_at(bytes, *at)?;
                Outcome::Done
            }
            Action::Truncate { name, length } => {
                open(name)?.set_len(*length)?;
                Outcome::Done
            }
            Action::Rename { from, to } => {
                let to = place(to);
                fs::create_dir_all(to.parent().unwrap())?;
                if !place(from).exists() {
                    return Ok(Outcome::Missing);
                }
                if to.exists() {
                    return Ok(Outcome::Exists);
                }
                fs::rename(place(from), to)?;
                Outcome::Done
            }
            Action::Store { slot, bytes, .. } => {
                fs::write(place(SLOT_NAMES[*slot]), bytes)?;
                Outcome::Done
            }
            Action::Report(Event::SetAside { path, damage, .. }) => {
                panic!("{path} was set aside: {damage:?}")
            }
            Action::Sync { .. }
            | Action::SyncDirectories
            | Action::Release { .. }
            | Action::Report(_) => Outcome::Done,
        })
    }
}

fn look(path: &Path) -> Option<Look> {
    let metadata = File::open(path).and_then(|file| file.metadata()).ok()?;
    Some(Look {
        identity: Identity(u128::from(metadata.ino())),
        length: metadata.len(),
        modified: Timestamp::from_nanos(metadata.mtime() * 1_000_000_000),
    })
}

//! Deaths of the writer thread behind every call of the system that it makes: while it writes, stores its
//! state, rotates, and comes to its end.
//!
//! The thread is the only one of a child, which is killed. Its successors find the directory, and whatever
//! was not released comes again, as it lies in the rings then.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mio::{Poll, Token, Waker};

use super::*;
use crate::logging::files::verify::{Input, Verifier};
use crate::logging::message::{Create, Format, lines_head};
use crate::logging::spec::{Fsync, LogSpec, Names};
use crate::logging::{Atom, Column, Schema, StreamId, Type, tsv};
use crate::node::logger::retry::Replies;
use crate::node::logger::words::Batch;
use crate::shm::heartbeat::Heartbeat;
use crate::sys::alone::alone;
use crate::sys::traced::Traced;

const RINGS: [SourceId; 2] = [SourceId(0xa1), SourceId(0xb2)];
const OWN: SourceId = SourceId(0xc3);
const PATHS: [&str; 2] = ["conn", "dns"];

/// Batches of a life, and how many records of each ring are in one.
const BATCHES: u64 = 4;
const BATCH_RECORDS: u64 = 8;

/// The state is stored behind this batch, in the middle of files.
const STORED_BEHIND: u64 = 1;

/// A file has so many bytes after two batches.
const ROTATE_BYTES: u64 = 200;

/// One life, as it is about to begin.
struct Life {
    config: Config,
    commands: Vec<Command>,
    inbox: Receiver<Command>,
    retry: Retry,
    replies: Receiver<Reply>,
    _outbox: Sender<Command>,
    _stop: Sender<()>,
    _poll: Poll,
}

/// A directory, and what outlives whoever writes there: how far each ring was released.
struct Story {
    place: tempfile::TempDir,
    spec: LogSpec,
    released: [Heartbeat; 2],
}

fn create(path: &str) -> (WriterId, Vec<u8>) {
    let column = |name, atom| Column::new(name, Type::Atom(atom), false).unwrap();
    let create = Create {
        stream: StreamId::parse("Test::LOG").unwrap(),
        filter: path.to_owned(),
        path: LogPath::parse(path).unwrap(),
        format: Format::Tsv(tsv::Settings::default()),
        interval: None,
        schema: Schema::new(vec![
            column("ring", Atom::Count),
            column("number", Atom::Count),
        ])
        .unwrap(),
    };
    create.encode().unwrap()
}

/// A record of a ring: the first ones tell of the writers, the others are lines for them by turns.
fn payload(ring: usize, number: u64) -> (Option<(usize, String)>, Vec<u8>) {
    let at = usize::try_from(number).unwrap();
    let (id, message) = create(PATHS[at % PATHS.len()]);
    if at < PATHS.len() {
        return (None, message);
    }
    let line = format!("{ring}\t{number}");
    let message = [lines_head(id).as_slice(), line.as_bytes(), b"\n"].concat();
    (Some((at % PATHS.len(), line)), message)
}

impl Story {
    fn new(spec: &LogSpec) -> Self {
        Self {
            // Where a sync costs nothing: the host does not die here.
            place: tempfile::tempdir_in("/dev/shm").unwrap(),
            spec: spec.clone(),
            released: [0; 2].map(|_| Heartbeat::create().unwrap().0),
        }
    }

    fn directory(&self) -> PathBuf {
        self.place.path().canonicalize().unwrap().join("logger")
    }

    /// What is to be done in a life: what lies in the rings.
    fn commands(&self) -> Vec<Command> {
        let mut commands = vec![Command::Rings(RINGS.to_vec())];
        for number in 0..BATCHES {
            let mut batch = Batch::default();
            for number in number * BATCH_RECORDS..(number + 1) * BATCH_RECORDS {
                for (ring, source) in RINGS.into_iter().enumerate() {
                    if number >= self.released[ring].last() {
                        let sender = LogSender {
                            source,
                            is_guest: false,
                        };
                        batch.push(sender, number, &payload(ring, number).1);
                    }
                }
            }
            commands.push(Command::Batch(batch));
        }
        commands
    }

    fn prepare(&self) -> Life {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let (sender, replies) = crossbeam_channel::unbounded();
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let (outbox, inbox) = crossbeam_channel::unbounded();
        Life {
            config: Config {
                directory: self.directory(),
                spec: self.spec.clone(),
                name: None,
            },
            commands: self.commands(),
            inbox,
            retry: Retry::new(Replies { sender, waker }, stopped),
            replies,
            _outbox: outbox,
            _stop: stop,
            _poll: poll,
        }
    }

    fn release(&self, replies: &Receiver<Reply>) {
        for reply in replies.try_iter() {
            match reply {
                Reply::Released { source, below } => {
                    let ring = RINGS.iter().position(|ring| *ring == source).unwrap();
                    self.released[ring].beat(below);
                }
                Reply::Told(_) | Reply::Finished => {}
                other @ (Reply::Refused(_)
                | Reply::Aside { .. }
                | Reply::WritersLost
                | Reply::Failing(_)
                | Reply::Works
                | Reply::NotPacked { .. }
                | Reply::Closed { .. }
                | Reply::Silent(_)
                | Reply::Archived
                | Reply::Rotated { .. }) => panic!("{other:?}"),
            }
        }
    }

    fn live(&self, life: Life) {
        let Life {
            config,
            commands,
            inbox,
            retry,
            replies,
            ..
        } = life;
        // Nobody packs: what is closed is only noted.
        let (nudge, _nudged) = crossbeam_channel::bounded(1);
        let mut thread = Thread::begin(&config, OWN, (inbox, nudge), retry).unwrap();
        for (number, command) in (0..).zip(commands) {
            thread.take(command).unwrap();
            thread.flush().unwrap();
            self.release(&replies);
            if number == 1 + STORED_BEHIND {
                thread.files.checkpoint();
                thread.carry_out().unwrap();
            }
        }
        thread.finish().unwrap();
        self.release(&replies);
    }

    /// A life that is killed behind so many calls of the system. False: it came to its end before.
    fn killed_behind(&self, calls: usize) -> bool {
        let act = |life: &mut Option<Life>| self.live(life.take().unwrap());
        Traced::new(|| Some(self.prepare()), act).kill_behind_calls(calls)
    }

    /// Every record stands once in the file of its path, and indexes and files agree.
    fn judge(&self) {
        let mut standing: BTreeMap<(usize, String), u64> = BTreeMap::new();
        let mut verifier = Verifier::default();
        let mut proved = 0;
        let files = log_files(&self.directory());
        assert!(files.len() >= 2 * PATHS.len(), "by size and at the end");
        for file in files {
            let path = self.path_of(&file);
            let text = fs::read_to_string(&file).unwrap();
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                *standing.entry((path, line.to_owned())).or_default() += 1;
            }
            let report = verifier.add(Input {
                path: PATHS[path],
                index: Some(File::open(file.with_extension("log.idx")).unwrap()),
                file: File::open(&file).unwrap(),
                until: None,
            });
            let report = report.unwrap();
            assert_eq!(report.fault_count, 0, "{file:?}: {:?}", report.faults);
            proved += report.records;
        }
        let mut expected = BTreeMap::new();
        for ring in 0..RINGS.len() {
            let lines = (0..BATCHES * BATCH_RECORDS).filter_map(|number| payload(ring, number).0);
            expected.extend(lines.map(|line| (line, 1)));
        }
        assert_eq!(standing, expected);
        assert_eq!(proved, expected.len() as u64);
    }

    fn path_of(&self, file: &Path) -> usize {
        let name = file.file_name().unwrap().to_str().unwrap();
        let path = PATHS.iter().position(|path| name.starts_with(path));
        path.unwrap_or_else(|| panic!("{name}"))
    }
}

/// The log files below a directory.
fn log_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(log_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "log") {
            files.push(path);
        }
    }
    files
}

/// Kills a life behind each of its calls; a second one behind some calls of its own, ever others; and lets
/// a third one come to its end.
fn kill_at_every_call(spec: &LogSpec) {
    let (mut calls, mut second_deaths) = (0, 0);
    loop {
        let story = Story::new(spec);
        let dies = story.killed_behind(calls);
        second_deaths += usize::from(dies && story.killed_behind(calls * 7 % 100));
        story.live(story.prepare());
        story.judge();
        if !dies {
            break;
        }
        calls += 1;
    }
    println!("calls={calls} second_deaths={second_deaths}");
    assert!(calls > 100 && second_deaths > 50, "{calls} {second_deaths}");
}

fn spec(naming: Names, fsync: Fsync) -> LogSpec {
    LogSpec {
        rotate_bytes: Some(ROTATE_BYTES),
        naming,
        fsync,
        ..LogSpec::default()
    }
}

/// Shows: behind whatever call of the system a logger dies, and its successor as well, each record stands
/// once in the end, and files and indexes agree.
#[test]
fn a_writer_may_die_behind_any_call() {
    alone(|| kill_at_every_call(&spec(Names::Supervised, Fsync::Never)));
}

/// Shows: the same of one that waits for the disk, and leaves rotated files beside the current ones.
#[test]
fn a_writer_that_syncs_may_die_behind_any_call() {
    alone(|| kill_at_every_call(&spec(Names::Classic, Fsync::Batch)));
}

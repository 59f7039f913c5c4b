//! One followed name: its follower, the file behind it, and what its lines are.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::handle::Handle;
use super::places::{self, Places, key_of};
use super::records::{BadLine, Records, Target};
use super::streams::Streams;
use crate::causes;
use crate::follow::{Action, Event, Follower, Identity, Outcome, Settings};
use crate::layout::inputs::{Input, Inputs};
use crate::node::cluster::Cluster;
use crate::node::endpoint::Outbox;
use crate::node::say::say;
use crate::shm::positions::{Entry, Note, Positions};
use crate::sys::clock;

/// Bytes that are read at once.
const READ_BYTES: usize = 64 * 1024;

/// How much of a file of objects is looked through for columns before its first record.
const BEGINNING_BYTES: usize = 1024 * 1024;

/// What a name's turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is more.
    More,
    /// There is no more before something happens.
    Idle,
    /// No logger took a record. It waits.
    Refused,
    /// The system failed it.
    Failed,
}

/// What a name needs of the node.
pub(super) struct Around<'a> {
    pub(super) cluster: &'a mut Cluster,
    pub(super) streams: &'a mut Streams,
    pub(super) places: &'a mut Places,
    pub(super) inputs: &'a Inputs,
    /// All that are followed but this one.
    pub(super) others: &'a BTreeMap<PathBuf, Tail>,
}

impl Around<'_> {
    /// Is this file read, or was it, under another name than this one?
    fn is_known(&mut self, file: Identity, name: &Path) -> bool {
        let outbox = self.cluster.as_mut();
        let accepted = |ring| outbox.accepted_by(ring);
        self.others.values().any(|tail| tail.has(file))
            || self.places.is_done(file)
            || self.places.holder(file, key_of(name), accepted).is_some()
    }
}

/// What is known of a connection: who is refused at once again and again is asked ever more rarely, and that
/// is not told each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    /// No line has come.
    New,
    /// Some have, so the next one is opened at once, and told.
    Fruitful,
    /// It ended without a line; the next one is opened after a pause.
    Rests,
}

#[derive(Debug)]
pub(super) struct Tail {
    follower: Follower,
    handle: Handle,
    records: Records,
    entry: Option<Entry>,
    /// The file that was begun last, or that is gone on with.
    file: Option<Identity>,
    /// A predecessor read it, and nobody has looked since which file has the name.
    is_unseen: bool,
    /// Where its streams know its records go.
    target: Option<Target>,
    /// Of the pipe or socket that was opened last.
    connection: Connection,
    /// Lines that were no records.
    bad: u64,
    is_failing: bool,
}

impl Tail {
    /// Goes on where the entry says, if there is one.
    pub(super) fn new(
        input: &Input,
        path: PathBuf,
        outbox: &Outbox,
        mut entry: Option<(Entry, &Positions)>,
    ) -> Self {
        let records = Records::new(input, &path);
        let settings = Settings {
            headers: records.have_headers(),
            // What becomes of it may be larger, which is seen when it is written.
            line_bytes_max: outbox.record_bytes_max(),
            read_bytes: READ_BYTES,
        };
        let place = entry.as_mut().and_then(|(entry, positions)| {
            positions.resume(entry, |ring| outbox.accepted_by(ring))
        });
        Self {
            follower: Follower::new(settings, place),
            handle: Handle::new(&input.from, path),
            records,
            entry: entry.map(|(entry, _)| entry),
            file: place.map(|place| place.file),
            is_unseen: place.is_some(),
            target: None,
            connection: Connection::New,
            bad: 0,
            is_failing: false,
        }
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Is this file read, or read next, under this name?
    pub(super) fn has(&self, file: Identity) -> bool {
        self.file == Some(file) || self.follower.has(file)
    }

    /// The file that was begun last.
    pub(super) const fn file(&self) -> Option<Identity> {
        self.file
    }

    pub(super) fn wake(&mut self) {
        self.follower.wake();
    }

    /// Takes so many steps, of reading and of writing records, as long as it can.
    pub(super) fn turn(&mut self, steps: usize, around: &mut Around<'_>) -> Turn {
        for _ in 0..steps {
            let Some(action) = self.follower.next() else {
                if self.follower.line().is_none() {
                    return Turn::Idle;
                }
                if !self.write(around) {
                    return Turn::Refused;
                }
                self.follower.take();
                self.connection = Connection::Fruitful;
                continue;
            };
            if let Action::Report(event) = action {
                self.tell(event, around);
            }
            if self.is_to_rest(&action) {
                self.connection = Connection::Rests;
                return Turn::Refused;
            }
            match self.handle.carry_out(&action) {
                Ok(outcome) => {
                    self.is_failing = false;
                    let outcome = self.without_known(outcome, &action, around);
                    self.tell_unseen(&outcome);
                    self.follower.done(outcome);
                    if self.handle.is_closed() && matches!(action, Action::Read { .. }) {
                        self.follower.wake();
                    }
                }
                Err(error) => {
                    self.fail(&error);
                    self.follower.done(Outcome::Failed);
                    return Turn::Failed;
                }
            }
        }
        Turn::More
    }

    /// Tells of a rotation that nobody saw: there may have been more of them, and files that are not read.
    fn tell_unseen(&mut self, outcome: &Outcome) {
        let Outcome::Seen { named, .. } = outcome else {
            return;
        };
        let was_unseen = std::mem::replace(&mut self.is_unseen, false);
        if was_unseen && self.handle.is_file() && *named != self.file {
            let file = self.handle.path().display();
            say("input_rotated_unseen", &format_args!("file={file}"));
        }
    }

    /// Is a connection to be opened after one that has brought nothing?
    fn is_to_rest(&self, action: &Action) -> bool {
        let opens = matches!(action, Action::Open | Action::Find(_));
        let is_again = !self.handle.is_file() && self.handle.connections() > 0;
        opens && is_again && self.connection == Connection::New
    }

    /// A file that is read under another name does not have this one.
    fn without_known(&self, outcome: Outcome, of: &Action, around: &mut Around<'_>) -> Outcome {
        let mut is_known = |file| {
            let name = self.handle.path();
            self.handle.is_file() && !self.has(file) && around.is_known(file, name)
        };
        match outcome {
            Outcome::Opened { file, .. } if *of == Action::Open && is_known(file) => {
                Outcome::Missing
            }
            Outcome::Seen { length, named } => Outcome::Seen {
                length,
                named: named.filter(|file| !is_known(*file)),
            },
            Outcome::Done
            | Outcome::Opened { .. }
            | Outcome::Missing
            | Outcome::Bytes(_)
            | Outcome::Failed => outcome,
        }
    }

    /// Writes the first line's record. False: no logger took it.
    fn write(&mut self, around: &mut Around<'_>) -> bool {
        let Some(line) = self.follower.line() else {
            return true;
        };
        match self.records.read(line.bytes, clock::wall().into()) {
            Ok(true) => {}
            Ok(false) => return true,
            Err(error) => return self.skip(&error),
        }
        let Some(target) = self.records.target() else {
            return self.skip(&BadLine::NoColumns);
        };
        let name = self.handle.path();
        if self.target.as_ref() != Some(target) {
            if let Err(error) = around.streams.open(target, name, around.cluster) {
                return self.skip(&error);
            }
            self.target = Some(target.clone());
        }
        let Some(stream) = around.streams.of(name) else {
            return self.skip(&BadLine::NoColumns);
        };
        let (positions, entry) = (around.places.positions(), &mut self.entry);
        let mut is_noted = false;
        let mut before = |ring, number| {
            if let (Some(positions), Some(entry)) = (positions, entry.as_mut()) {
                let behind = line.behind;
                positions.note(
                    entry,
                    &Note {
                        ring,
                        number,
                        behind,
                    },
                );
                is_noted = true;
            }
        };
        let values = self.records.values();
        let written = around.cluster.log_write_with(stream, values, &mut before);
        if let (true, Some(positions), Some(entry)) = (is_noted, positions, &self.entry) {
            positions.settle(entry);
        }
        match written {
            Ok(false) => match around.cluster.log_line_too_large() {
                Some(bytes) => self.skip(&BadLine::TooLarge { bytes }),
                None => false,
            },
            Ok(true) => true,
            Err(error) => self.skip(&error),
        }
    }

    /// This line is no record; that is said ever more rarely.
    fn skip(&mut self, error: &dyn std::error::Error) -> bool {
        self.bad += 1;
        if self.bad.is_power_of_two() {
            let (file, text) = (self.handle.path().display(), causes::chain(error));
            let count = self.bad;
            say(
                "bad_line",
                &format_args!("file={file} count={count} error={text:?}"),
            );
        }
        true
    }

    fn fail(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_failing, true) {
            let file = self.handle.path().display();
            let text = error.to_string();
            say("input_failed", &format_args!("file={file} error={text:?}"));
        }
    }

    fn tell(&mut self, event: Event, around: &mut Around<'_>) {
        if let Event::Begun(place) = event {
            self.leave_for(place.file, around);
        }
        let file = self.handle.path().display();
        match event {
            Event::Begun(place) => {
                let offset = place.offset;
                if self.connection != Connection::Rests {
                    say("following", &format_args!("file={file} offset={offset}"));
                }
                self.connection = Connection::New;
                self.begin();
            }
            Event::Lost(_) => say("input_lost", &format_args!("file={file}")),
            Event::Truncated { read, length, .. } => {
                say(
                    "input_truncated",
                    &format_args!("file={file} read={read} length={length}"),
                );
                self.begin();
            }
            Event::TooLong { at, bytes } => say(
                "line_too_long",
                &format_args!("file={file} at={at} bytes={bytes}"),
            ),
        }
    }

    /// The file that is read is another one from now on.
    fn leave_for(&mut self, file: Identity, around: &mut Around<'_>) {
        let left = self.file.replace(file).filter(|left| *left != file);
        if let Some(left) = left.filter(|_| self.handle.is_file()) {
            let (inputs, others) = (around.inputs, around.others.keys());
            let names = others.map(PathBuf::as_path).chain([self.handle.path()]);
            around.places.set_done(left, || places::used(inputs, names));
        }
    }

    /// A file begins.
    fn begin(&mut self) {
        let first = if self.records.want_beginning() {
            // Should it fail, so does the next read, which says so.
            self.handle.beginning(BEGINNING_BYTES).unwrap_or_default()
        } else {
            Vec::new()
        };
        self.records.begin(&first);
    }
}

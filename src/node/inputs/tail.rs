//! One followed name: its follower, the file behind it, and what its lines are.

use std::io;
use std::path::PathBuf;

use super::handle::Handle;
use super::records::{BadLine, Records, Target};
use super::streams::Streams;
use crate::causes;
use crate::follow::{Action, Event, Follower, Outcome, Settings};
use crate::layout::inputs::Input;
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
    /// `None`: there is no place to remember anything.
    pub(super) positions: Option<&'a Positions>,
}

#[derive(Debug)]
pub(super) struct Tail {
    follower: Follower,
    handle: Handle,
    records: Records,
    entry: Option<Entry>,
    /// Where its streams know its records go.
    target: Option<Target>,
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
            // A line may grow by what has to be escaped, sixfold at most.
            line_bytes_max: outbox.record_bytes_max().saturating_sub(READ_BYTES) / 6,
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
            target: None,
            bad: 0,
            is_failing: false,
        }
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
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
                continue;
            };
            if let Action::Report(event) = action {
                self.tell(event);
            }
            match self.handle.carry_out(&action) {
                Ok(outcome) => {
                    self.is_failing = false;
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
        let (positions, entry) = (around.positions, &mut self.entry);
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
            Ok(is_safe) => is_safe,
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

    fn tell(&mut self, event: Event) {
        let file = self.handle.path().display();
        match event {
            Event::Begun(place) => {
                let offset = place.offset;
                say("following", &format_args!("file={file} offset={offset}"));
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

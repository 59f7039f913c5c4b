//! The core that decides what is read next, and what a line's place is.

use std::collections::VecDeque;

use super::lines::Lines;
use super::{Action, Event, Identity, Outcome, Position};

/// Files that have had the name since the one that is read. With more, the newest are not remembered: only
/// that which has the name when the others are read is read after them.
const SUCCESSORS_MAX: usize = 64;

/// What lines that say something of the file begin with.
const META: u8 = b'#';

/// What a header begins with, in Zeek's files.
const HEADER: &[u8] = b"#separator ";

/// What is known of the files beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// They have headers, as Zeek's tab-separated files.
    pub headers: bool,
    /// A longer line is passed over, in bytes.
    pub line_bytes_max: usize,
    /// So many bytes are read at once.
    pub read_bytes: usize,
}

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes, without its end.
    pub bytes: &'a [u8],
    /// The place behind it.
    pub behind: Position,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No file is known.
    Nameless,
    /// This file comes next, from there.
    Seeking(Position),
    /// The header comes again; the lines behind this offset are those to come.
    Header { until: u64 },
    /// It is read.
    Reading,
}

/// Follows one name. See the [module](super) for what it keeps.
#[derive(Debug)]
pub struct Follower {
    settings: Settings,
    state: State,
    lines: Lines,
    /// The open file.
    file: Identity,
    /// Where the header in force begins in it.
    header: u64,
    /// Those that got the name after it.
    successors: VecDeque<Identity>,
    /// It is shorter than what was read: this many bytes.
    truncated: Option<u64>,
    /// Something may have changed since the last look.
    look: bool,
    /// Nothing stood behind what was read, at the last look or after it.
    at_end: bool,
    /// Nothing can be done before somebody wakes it.
    waits: bool,
    events: VecDeque<Event>,
}

impl Follower {
    /// Goes on behind the last line that was taken, or begins with the file that has the name.
    #[must_use]
    pub fn new(settings: Settings, from: Option<Position>) -> Self {
        Self {
            settings,
            state: from.map_or(State::Nameless, State::Seeking),
            lines: Lines::new(settings.line_bytes_max),
            file: Identity::default(),
            header: 0,
            successors: VecDeque::new(),
            truncated: None,
            look: false,
            at_end: false,
            waits: false,
            events: VecDeque::new(),
        }
    }

    /// The next line, again and again until it is [taken](Follower::take). What is to be told of what
    /// stands before it is told before.
    #[must_use]
    pub fn line(&self) -> Option<Line<'_>> {
        if !self.events.is_empty() {
            return None;
        }
        let (bytes, offset) = self.lines.first()?;
        let behind = Position {
            file: self.file,
            header: self.header_at(bytes),
            offset,
        };
        Some(Line { bytes, behind })
    }

    /// Is this the file that is read, or one that is read next?
    #[must_use]
    pub fn has(&self, file: Identity) -> bool {
        let seeks = matches!(self.state, State::Seeking(place) if place.file == file);
        seeks || self.file == file || self.successors.contains(&file)
    }

    /// The line was taken, and is not to come again.
    pub fn take(&mut self) {
        if let Some((bytes, _)) = self.lines.first() {
            self.header = self.header_at(bytes);
            self.lines.take();
            self.settle();
        }
    }

    /// What is to be done. `None`: nothing before there is no [line](Follower::line), and then, nothing
    /// before somebody [wakes](Follower::wake) it.
    #[must_use]
    pub fn next(&self) -> Option<Action> {
        if let Some(event) = self.events.front() {
            return Some(Action::Report(*event));
        }
        if self.waits {
            return None;
        }
        match self.state {
            State::Nameless => Some(Action::Open),
            State::Seeking(place) => Some(Action::Find(place.file)),
            // Also while lines wait, or a file that has the name meanwhile would be passed over.
            State::Header { .. } | State::Reading if self.look => Some(Action::Look),
            State::Header { .. } | State::Reading => {
                let is_read = self.at_end || self.lines.first().is_some();
                (!is_read).then(|| Action::Read {
                    at: self.lines.read_to(),
                    bytes: self.settings.read_bytes,
                })
            }
        }
    }

    /// What became of the [`next`](Follower::next) action.
    pub fn done(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Done => drop(self.events.pop_front()),
            Outcome::Opened { file, length } => self.on_opened(file, length),
            Outcome::Missing => self.on_missing(),
            Outcome::Seen { length, named } => self.on_seen(length, named),
            Outcome::Bytes(bytes) => {
                self.at_end = bytes.is_empty();
                self.lines.push(&bytes);
            }
            Outcome::Failed => self.waits = true,
        }
        self.settle();
    }

    /// Something may have changed: the file has grown, or the name has gone to another one.
    pub fn wake(&mut self) {
        self.waits = false;
        self.look = true;
    }

    fn on_opened(&mut self, file: Identity, length: u64) {
        let place = match self.state {
            State::Seeking(place) if place.file == file => place,
            State::Seeking(_) => return self.on_missing(),
            State::Nameless | State::Header { .. } | State::Reading => Position {
                file,
                ..Position::default()
            },
        };
        self.file = file;
        self.at_end = false;
        self.look = true;
        self.read_from(place);
        self.events.push_back(Event::Begun(place));
        if length < place.offset {
            self.truncated = Some(length);
        }
    }

    fn read_from(&mut self, place: Position) {
        self.header = place.header;
        let has_header = self.settings.headers && place.header < place.offset;
        if has_header {
            self.lines.begin_at(place.header);
            self.state = State::Header {
                until: place.offset,
            };
        } else {
            self.lines.begin_at(place.offset);
            self.state = State::Reading;
        }
    }

    fn on_missing(&mut self) {
        match self.state {
            State::Seeking(place) => {
                self.events.push_back(Event::Lost(place.file));
                self.go_on();
            }
            State::Nameless | State::Header { .. } | State::Reading => self.waits = true,
        }
    }

    /// The next file.
    fn go_on(&mut self) {
        let next = self.successors.pop_front();
        self.state = next.map_or(State::Nameless, |file| {
            State::Seeking(Position {
                file,
                ..Position::default()
            })
        });
    }

    fn on_seen(&mut self, length: u64, named: Option<Identity>) {
        self.look = false;
        self.at_end = false;
        let read_to = match self.state {
            State::Header { until } => until,
            State::Nameless | State::Seeking(_) | State::Reading => self.lines.read_to(),
        };
        if length < read_to {
            self.truncated = Some(length);
        }
        let Some(named) = named else { return };
        let last = self.successors.back().copied().unwrap_or(self.file);
        if named != last && self.successors.len() < SUCCESSORS_MAX {
            self.successors.push_back(named);
        }
    }

    /// Finds the next line; when there is none, whether this file is done with.
    fn settle(&mut self) {
        loop {
            let events = &mut self.events;
            self.lines.search(|event| events.push_back(event));
            if let State::Header { until } = self.state {
                let first = self.lines.first();
                let is_header = self.lines.offset() < until
                    && first.is_some_and(|(line, _)| line.first() == Some(&META));
                if is_header && self.truncated.is_none() {
                    return;
                }
                if first.is_none() && !self.at_end && self.truncated.is_none() {
                    return;
                }
                self.lines.begin_at(until);
                self.at_end = false;
                self.state = State::Reading;
                continue;
            }
            if self.state != State::Reading || self.lines.first().is_some() {
                return;
            }
            if let Some(length) = self.truncated.take() {
                self.begin_again(length);
                return;
            }
            if !self.at_end || self.successors.is_empty() {
                return;
            }
            let events = &mut self.events;
            self.lines.finish(|event| events.push_back(event));
            if self.lines.first().is_some() {
                return;
            }
            self.go_on();
            return;
        }
    }

    fn begin_again(&mut self, length: u64) {
        self.events.push_back(Event::Truncated {
            file: self.file,
            read: self.lines.read_to(),
            length,
        });
        self.read_from(Position {
            file: self.file,
            ..Position::default()
        });
        self.at_end = false;
    }

    /// Where the header in force behind this first line begins.
    fn header_at(&self, line: &[u8]) -> u64 {
        if self.settings.headers && line.starts_with(HEADER) {
            self.lines.offset()
        } else {
            self.header
        }
    }
}

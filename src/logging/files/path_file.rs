//! One path: the file that its lines go to now, what of each source stands, and what waits.

use std::collections::{HashMap, VecDeque};

use super::action::Damage;
use super::checksum::crc32;
use super::index::{Entry, Extent, Header, INDEX_SUFFIX, SLOT_BYTES, SourceId};
use super::rotation::{Rotation, Schedule};
use super::scan::Scan;
use super::state::{Leaving, OpenFile, PathState, Standing};
use crate::data::{Timespan, Timestamp};
use crate::logging::LogPath;

/// One path of a logger.
#[derive(Debug)]
pub(super) struct PathFile {
    pub(super) name: LogPath,
    /// Of the lines in the file.
    pub(super) schema: Vec<u8>,
    /// Of the lines that are accepted from now on.
    pub(super) schema_wanted: Vec<u8>,
    sources: Vec<Standing>,
    /// Where each source stands in `sources`.
    places: HashMap<SourceId, usize>,
    pub(super) open: Option<OpenFile>,
    pub(super) leaving: Option<Leaving>,
    /// Whether the leaving file has its footer.
    pub(super) footed: bool,
    /// Whether the directory of rotated files is out of reach.
    pub(super) in_place: bool,
    /// Whether what has its name could not be set aside.
    pub(super) blocked: bool,
    pub(super) scan: Option<Scan>,
    pub(super) schedule: Schedule,
    /// When it is rotated by time, if not as all are.
    pub(super) interval: Option<Timespan>,
    /// Accepted and not written, the oldest first.
    pub(super) waiting: VecDeque<Batch>,
    pub(super) flight: Option<Flight>,
    /// Bytes of the file since the state was stored.
    pub(super) unstored: u64,
    /// Written since it was last synced.
    pub(super) unsynced: bool,
}

/// Lines of one schema in the order they were accepted in.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) schema: Vec<u8>,
    pub(super) records: Vec<Waiting>,
    pub(super) lines: Vec<u8>,
}

/// A record whose lines wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) source: SourceId,
    pub(super) number: u64,
    /// Bytes of its lines.
    pub(super) length: u32,
}

/// A batch that is being written.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) records: Vec<Waiting>,
    /// The file when it is written.
    pub(super) after: OpenFile,
}

/// What is to be written for a batch: the index's bytes first.
#[derive(Debug)]
pub(super) struct Bytes {
    pub(super) index: Vec<u8>,
    pub(super) lines: Vec<u8>,
}

impl PathFile {
    pub(super) fn new(name: &LogPath) -> Self {
        Self::from_state(PathState {
            name: name.clone(),
            schema: Vec::new(),
            sources: Vec::new(),
            open: None,
            leaving: None,
        })
    }

    pub(super) fn from_state(state: PathState) -> Self {
        let mut path = Self {
            name: state.name,
            schema_wanted: state.schema.clone(),
            schema: state.schema,
            sources: Vec::new(),
            places: HashMap::new(),
            open: state.open,
            leaving: state.leaving,
            footed: false,
            in_place: false,
            blocked: false,
            scan: None,
            schedule: Schedule::default(),
            interval: None,
            waiting: VecDeque::new(),
            flight: None,
            unstored: 0,
            unsynced: false,
        };
        path.learn(state.sources);
        path
    }

    /// What makes its file due, of what makes all others due.
    pub(super) fn rotation(&self, all: Rotation) -> Rotation {
        Rotation {
            interval: self.interval.or(all.interval),
            ..all
        }
    }

    pub(super) fn to_state(&self) -> PathState {
        PathState {
            name: self.name.clone(),
            schema: self.schema.clone(),
            sources: self.sources.clone(),
            open: self.open,
            leaving: self.leaving.clone(),
        }
    }

    pub(super) fn sources(&self) -> &[Standing] {
        &self.sources
    }

    /// Everything of the source below this number stands, or is not for this path.
    pub(super) fn next(&self, source: SourceId) -> u64 {
        let place = self.places.get(&source);
        let standing = place.and_then(|place| self.sources.get(*place));
        standing.map_or(0, |standing| standing.next)
    }

    /// Puts a table that was read in the place of the known one, and what that one knows behind it.
    pub(super) fn learn(&mut self, table: Vec<Standing>) {
        let known = std::mem::replace(&mut self.sources, table);
        self.index_places();
        for standing in known {
            let place = self.place(standing.id);
            if let Some(kept) = self.sources.get_mut(place) {
                kept.next = kept.next.max(standing.next);
            }
        }
    }

    /// No record of it will come.
    pub(super) fn retire(&mut self, source: SourceId) {
        let place = self.places.get(&source);
        if let Some(standing) = place.and_then(|place| self.sources.get_mut(*place)) {
            standing.retired = true;
        }
    }

    /// It has no file any more; retired sources lose their places.
    pub(super) fn forget_file(&mut self) {
        self.open = None;
        self.leaving = None;
        self.in_place = false;
        self.unsynced = false;
        self.sources.retain(|standing| !standing.retired);
        self.index_places();
    }

    fn index_places(&mut self) {
        let ids = self.sources.iter().map(|standing| standing.id);
        self.places = ids.enumerate().map(|(place, id)| (id, place)).collect();
    }

    fn place(&mut self, source: SourceId) -> usize {
        let free = self.sources.len();
        let place = *self.places.entry(source).or_insert(free);
        if place == free {
            self.sources.push(Standing::new(source, 0));
        }
        place
    }

    /// Takes lines of a record; a record's lines are taken one behind the other. Returns whether they
    /// are its first.
    pub(super) fn take(&mut self, source: SourceId, number: u64, lines: &[u8]) -> bool {
        let wanted = &self.schema_wanted;
        if self
            .waiting
            .back()
            .is_none_or(|batch| batch.schema != *wanted)
        {
            self.waiting.push_back(Batch {
                schema: wanted.clone(),
                ..Batch::default()
            });
        }
        let Some(batch) = self.waiting.back_mut() else {
            return false;
        };
        batch.lines.extend_from_slice(lines);
        let length = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        match batch.records.last_mut() {
            Some(last) if last.source == source && last.number == number => {
                last.length = last.length.saturating_add(length);
                false
            }
            Some(_) | None => {
                batch.records.push(Waiting {
                    source,
                    number,
                    length,
                });
                true
            }
        }
    }

    /// [`PathFile::next`] of one record after the other: those of one source mostly come together.
    fn next_of_each(&self) -> impl FnMut(SourceId) -> u64 {
        let mut last = None;
        move |source| match last {
            Some((known, next)) if known == source => next,
            _ => {
                let next = self.next(source);
                last = Some((source, next));
                next
            }
        }
    }

    /// The first number of a source that waits.
    pub(super) fn first_waiting(&self, source: SourceId) -> Option<u64> {
        let mut records = self.waiting.iter().flat_map(|batch| &batch.records);
        let first = records.find(|record| record.source == source);
        first.map(|record| record.number)
    }

    /// Takes out of the oldest batch what stands in the path's files already. Returns those records.
    pub(super) fn skip_standing(&mut self) -> Vec<Waiting> {
        let Some(batch) = self.waiting.front() else {
            return Vec::new();
        };
        let are_new = {
            let mut next = self.next_of_each();
            batch.records.iter().all(|r| r.number >= next(r.source))
        };
        if are_new {
            return Vec::new();
        }
        let stands = |record: &Waiting| record.number < self.next(record.source);
        let (skipped, kept): (Vec<Waiting>, Vec<Waiting>) =
            batch.records.iter().copied().partition(|r| stands(r));
        if !skipped.is_empty() {
            let mut lines = Vec::with_capacity(batch.lines.len());
            for (record, bytes) in batch.each() {
                if !stands(&record) {
                    lines.extend_from_slice(bytes);
                }
            }
            if let Some(batch) = self.waiting.front_mut() {
                batch.lines = lines;
                batch.records = kept;
            }
        }
        skipped
    }

    /// Makes the bytes of the oldest batch for the open file, whose header is used if it is empty.
    pub(super) fn compose(&mut self, header: impl FnOnce() -> Vec<u8>) -> Option<Bytes> {
        let mut after = self.open?;
        let batch = self.waiting.pop_front()?;
        let mut index = Vec::new();
        let mut lines = Vec::new();
        if after.index_length == 0 {
            after.seed = Header::new(self.name.as_str(), after.opened).encode(&mut index);
            after.index_length = SLOT_BYTES;
            lines = header();
            if let Some(extent) = Extent::behind(after.length, &lines) {
                after.put(&Entry::Text(extent), &mut index);
            }
        }
        let runs = batch.records.chunk_by(|a, b| a.source == b.source);
        let runs: Vec<(usize, usize)> = runs
            .filter_map(|run| Some((self.place(run.first()?.source), run.len())))
            .collect();
        let places = runs.iter();
        let places = places.flat_map(|(place, count)| std::iter::repeat_n(*place, *count));
        self.declare(&mut after, &mut index);
        let bytes = usize::try_from(SLOT_BYTES).unwrap_or(0);
        index.reserve(batch.records.len() * bytes);
        for ((record, bytes), place) in batch.each().zip(places) {
            let extent = Extent {
                length: record.length,
                end: after.length + u64::from(record.length),
                content: crc32(0, bytes),
            };
            let entry = Entry::Record {
                source: u32::try_from(place).unwrap_or(u32::MAX),
                number: record.number,
                extent,
            };
            after.put(&entry, &mut index);
        }
        if lines.is_empty() {
            lines = batch.lines;
        } else {
            lines.extend_from_slice(&batch.lines);
        }
        self.flight = Some(Flight {
            records: batch.records,
            after,
        });
        Some(Bytes { index, lines })
    }

    /// Declares the sources that the index does not have in its table.
    fn declare(&self, after: &mut OpenFile, index: &mut Vec<u8>) {
        let from = usize::try_from(after.declared).unwrap_or(usize::MAX);
        for standing in self.sources.iter().skip(from) {
            let entry = Entry::Source {
                source: after.declared,
                id: standing.id,
                next: standing.next,
            };
            after.put(&entry, index);
            after.declared += 1;
        }
    }

    /// The batch stands. Returns its records.
    pub(super) fn commit(&mut self) -> Vec<Waiting> {
        let Some(flight) = self.flight.take() else {
            return Vec::new();
        };
        let before = self.open.map_or(0, |file| file.length);
        self.unstored += flight.after.length.saturating_sub(before);
        self.unsynced = true;
        self.open = Some(flight.after);
        for run in flight.records.chunk_by(|a, b| a.source == b.source) {
            let Some(last) = run.iter().max_by_key(|record| record.number) else {
                continue;
            };
            let place = self.place(last.source);
            if let Some(standing) = self.sources.get_mut(place) {
                standing.next = standing.next.max(last.number.saturating_add(1));
                standing.retired = false;
            }
        }
        flight.records
    }

    /// Has its file, if it has one, to be rotated by now?
    pub(super) fn is_due(&mut self, rotation: Rotation, now: Timestamp) -> bool {
        let rotation = self.rotation(rotation);
        let length = self.open.map(|open| open.length);
        length.is_some_and(|length| self.schedule.is_due(&rotation, now, length))
    }

    /// Why the open file is not what an inspection found, if so.
    pub(super) fn differs(&self, found: &super::action::Found) -> Option<Damage> {
        let open = self.open?;
        super::judge::damage(&open, found).or_else(|| {
            let found = found.file?.length;
            (found > open.length).then_some(Damage::Longer {
                expected: open.length,
                found,
            })
        })
    }

    pub(super) fn file_name(&self, extension: &str) -> String {
        format!("{}.{extension}", self.name)
    }
}

impl Batch {
    /// The records with their lines.
    pub(super) fn each(&self) -> impl Iterator<Item = (Waiting, &[u8])> {
        let mut rest = self.lines.as_slice();
        self.records.iter().map(move |record| {
            let length = usize::try_from(record.length).unwrap_or(usize::MAX);
            let (lines, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = behind;
            (*record, lines)
        })
    }
}

impl OpenFile {
    /// Appends an entry to the index.
    pub(super) fn put(&mut self, entry: &Entry, index: &mut Vec<u8>) {
        entry.encode(self.seed, self.index_length, index);
        self.index_length += SLOT_BYTES;
        if let Some(extent) = entry.extent() {
            self.length = extent.end;
        }
    }
}

/// The name of the index beside a file.
pub(super) fn index_name(file: &str) -> String {
    format!("{file}{INDEX_SUFFIX}")
}

//! The core that decides about all files of a logger: what it is asked, and what it keeps.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::action::{Action, Event, Outcome};
use super::index::SourceId;
use super::naming::Naming;
use super::path_file::PathFile;
use super::rotation::{Rotation, Schedule};
use super::state::{Losses, State};
use super::steps::Step;
use crate::data::{Timespan, Timestamp};
use crate::logging::LogPath;

/// Paths of one logger.
pub const PATHS_MAX: usize = 4096;

/// A path that nothing has come for in so many flushes, and that has no file, can be forgotten when there are
/// too many: what stands of it has been released long since, and will not come again.
const IDLE_FLUSHES: u64 = 256;

/// What stands around the lines of a file.
pub trait Frame {
    /// What comes before the first line; may be nothing.
    fn header(&self, path: &LogPath, schema: &[u8], opened: Timestamp) -> Vec<u8>;

    /// What comes behind the last line when the file is closed in order; may be nothing.
    fn footer(&self, path: &LogPath, schema: &[u8], closed: Timestamp) -> Vec<u8>;
}

/// What an operator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The extension of current files, without its full stop.
    pub extension: String,
    /// How rotated files are named.
    pub naming: Naming,
    /// When files are rotated.
    pub rotation: Rotation,
    /// What must be on the disk.
    pub sync: SyncPolicy,
    /// Bytes of one file between two storings of the state: a successor reads at most so many, and the
    /// batch that was being written, again.
    pub checkpoint_bytes: u64,
}

/// What must be on the disk, and so outlives the host, and when. The death of a process needs none of
/// it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Nothing is waited for; the system writes when it likes.
    #[default]
    Never,
    /// Files are synced this often, and when they are rotated. Records are released before.
    Interval(Timespan),
    /// Each batch is synced before its records are released.
    Batch,
}

/// Names an open path of one [`LogFiles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub(super) usize);

/// What became of a record that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Its lines wait for the next flush, which skips those that stand already.
    Queued,
    /// This process has had it already.
    Repeated,
}

/// Why something handed in was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There are [`PATHS_MAX`] paths.
    #[error("a logger writes at most {PATHS_MAX} paths")]
    TooManyPaths,
    /// The id is another logger's.
    #[error("the path was not opened here")]
    UnknownPath,
    /// A record has more than 4 GiB for one path.
    #[error("a record has {bytes} bytes for one path, more than an index can tell of")]
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// Lines of the source still wait.
    #[error("records of the source are not written yet")]
    StillWaiting,
}

/// What a source has handed in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Every lower number was handed in, or will not come.
    pub(super) expected: u64,
    /// Every lower number is released.
    pub(super) released: u64,
    /// Records that wait, once for each of their paths.
    pub(super) waiting: usize,
}

/// All files of a logger. See the [module](super) for what it keeps.
#[derive(Debug)]
pub struct LogFiles<F> {
    pub(super) settings: Settings,
    pub(super) frame: F,
    pub(super) generation: u64,
    pub(super) paths: Vec<PathFile>,
    /// Of each path, at which flush it was used last.
    used: Vec<u64>,
    flushes: u64,
    names: HashMap<LogPath, PathId>,
    pub(super) sources: BTreeMap<SourceId, Progress>,
    pub(super) steps: VecDeque<Step>,
    pub(super) current: Option<(Step, Action)>,
    pub(super) now: Timestamp,
    pub(super) synced: Timestamp,
    pub(super) skipped: u64,
    losses: Losses,
    /// They are not stored yet.
    lost_more: bool,
}

impl<F: Frame> LogFiles<F> {
    /// The core of a logger whose state has these two slots, each with its bytes if it is there. The
    /// first actions find out what its predecessor left.
    #[must_use]
    pub fn new(settings: Settings, frame: F, slots: [Option<&[u8]>; 2], now: Timestamp) -> Self {
        let state = State::newest(slots);
        // The first storing goes to slot 1: alone and torn, it is no loss.
        let [first, _] = slots;
        let stored = first.is_some_and(|slot| !slot.is_empty());
        let mut files = Self {
            settings,
            frame,
            generation: state.as_ref().map_or(0, |state| state.generation),
            paths: Vec::new(),
            used: Vec::new(),
            flushes: 0,
            names: HashMap::new(),
            sources: BTreeMap::new(),
            steps: VecDeque::new(),
            current: None,
            now,
            synced: now,
            skipped: 0,
            losses: state
                .as_ref()
                .map_or_else(Losses::default, |state| state.losses),
            lost_more: false,
        };
        if stored && state.is_none() {
            files.steps.push_back(Step::Tell(Event::StateLost));
        }
        for path in state.into_iter().flat_map(|state| state.paths) {
            files.add(PathFile::from_state(path));
        }
        files.advance();
        files
    }

    fn add(&mut self, path: PathFile) -> PathId {
        let id = PathId(self.paths.len());
        self.names.insert(path.name.clone(), id);
        self.paths.push(path);
        self.used.push(self.flushes);
        self.steps.push_back(Step::Restore(id));
        id
    }

    /// Opens a path for lines of a schema, which mean the same as long as its bytes are the same. For
    /// another schema than that of the path's file the next line begins another file. What lies under
    /// its name, though the state does not know of it, is taken over if its index can be read.
    ///
    /// When there are [`PATHS_MAX`], it takes the place, and the id, of one that nothing has come for in a
    /// long time and that has no file.
    ///
    /// # Errors
    /// [`Refusal::TooManyPaths`]: there is none such.
    pub fn open(&mut self, path: &LogPath, schema: &[u8]) -> Result<PathId, Refusal> {
        if self.names.contains_key(path) || self.paths.len() < PATHS_MAX {
            return Ok(self.open_beyond(path, schema));
        }
        let id = self.idle().ok_or(Refusal::TooManyPaths)?;
        if let Some(place) = self.paths.get_mut(id.0) {
            let former = std::mem::replace(place, PathFile::new(path));
            self.names.remove(&former.name);
            self.names.insert(path.clone(), id);
            self.steps.push_back(Step::Restore(id));
        }
        Ok(self.open_beyond(path, schema))
    }

    /// As [`LogFiles::open`], however many there are: whoever asks for it bounds it.
    pub fn open_beyond(&mut self, path: &LogPath, schema: &[u8]) -> PathId {
        let known = self.names.get(path).copied();
        let id = known.unwrap_or_else(|| self.add(PathFile::new(path)));
        if let Some(path) = self.paths.get_mut(id.0) {
            path.schema_wanted = schema.to_vec();
        }
        self.use_path(id.0);
        self.advance();
        id
    }

    fn use_path(&mut self, index: usize) {
        if let Some(used) = self.used.get_mut(index) {
            *used = self.flushes;
        }
    }

    /// The path that can be forgotten first.
    fn idle(&self) -> Option<PathId> {
        let is_idle = |path: &PathFile| {
            let has_file = path.open.is_some() || path.leaving.is_some() || path.scan.is_some();
            !has_file && path.waiting.is_empty() && path.flight.is_none()
        };
        let last = self.flushes.checked_sub(IDLE_FLUSHES)?;
        let all = self.paths.iter().zip(&self.used).enumerate();
        let idle = all.filter(|(_, (path, used))| **used <= last && is_idle(path));
        let first = idle.min_by_key(|(_, (_, used))| **used)?;
        Some(PathId(first.0))
    }

    /// Does what an operator says now. Files that are open are rotated as if they had been opened so.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
        let rotation = self.settings.rotation;
        for path in &mut self.paths {
            if let Some(open) = path.open {
                path.schedule = Schedule::new(&path.rotation(rotation), open.opened);
            }
        }
    }

    /// Has a path's files rotated at multiples of this, or as all are.
    pub fn set_interval(&mut self, path: PathId, interval: Option<Timespan>) {
        let rotation = self.settings.rotation;
        if let Some(path) = self.paths.get_mut(path.0)
            && path.interval != interval
        {
            path.interval = interval;
            if let Some(open) = path.open {
                path.schedule = Schedule::new(&path.rotation(rotation), open.opened);
            }
        }
    }

    /// Takes a record, with all its lines for all its paths; it may have none. Numbers of a source
    /// come in order; some may never come.
    ///
    /// # Errors
    /// [`Refusal::UnknownPath`], [`Refusal::TooLong`]: nothing of it was taken. It comes again and
    /// again unless it is handed in without the line that is refused.
    pub fn accept(
        &mut self,
        source: SourceId,
        number: u64,
        lines: &[(PathId, &[u8])],
    ) -> Result<Accepted, Refusal> {
        // Together, so that no path has more.
        let bytes = lines.iter().map(|(_, line)| line.len()).sum();
        if u32::try_from(bytes).is_err() {
            return Err(Refusal::TooLong { bytes });
        }
        if lines.iter().any(|(path, _)| path.0 >= self.paths.len()) {
            return Err(Refusal::UnknownPath);
        }
        // What came before the first one is released, or would have come.
        let progress = self.sources.entry(source).or_insert(Progress {
            expected: number,
            released: number,
            waiting: 0,
        });
        if number < progress.expected {
            return Ok(Accepted::Repeated);
        }
        progress.expected = number.saturating_add(1);
        for (path, line) in lines {
            let path = self.paths.get_mut(path.0);
            if path.is_some_and(|path| path.take(source, number, line)) {
                progress.waiting += 1;
            }
        }
        Ok(Accepted::Queued)
    }

    /// Counts a record that will be released and stands nowhere, or only aside. The next flush stores it
    /// before.
    pub fn lose(&mut self, losses: Losses) {
        let Losses { refused, aside } = &mut self.losses;
        *refused = refused.saturating_add(losses.refused);
        *aside = aside.saturating_add(losses.aside);
        self.lost_more = true;
    }

    /// Has everything that waits written, after the rotations that are due, and released.
    pub fn flush(&mut self, now: Timestamp) {
        self.now = now;
        self.flushes += 1;
        let paths = self.paths.iter_mut().zip(&mut self.used);
        for (index, (path, used)) in paths.enumerate() {
            if path.waiting.is_empty() {
                continue;
            }
            *used = self.flushes;
            if path.is_due(self.settings.rotation, now) {
                self.steps.push_back(Step::Rotate(PathId(index)));
            }
            self.steps.push_back(Step::Write(PathId(index)));
        }
        if std::mem::take(&mut self.lost_more) {
            self.steps.push_back(Step::Store);
        }
        self.steps.push_back(Step::Release);
        self.advance();
    }

    /// Does what is due by time: rotations, and a sync.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = now;
        for (index, path) in self.paths.iter_mut().enumerate() {
            if path.is_due(self.settings.rotation, now) {
                self.steps.push_back(Step::Rotate(PathId(index)));
            }
        }
        if let SyncPolicy::Interval(interval) = self.settings.sync {
            let passed = now.nanos().saturating_sub(self.synced.nanos());
            // Less than nothing: the clock was set back.
            if passed < 0 || passed >= interval.nanos() {
                self.synced = now;
                self.steps.push_back(Step::SyncAll);
            }
        }
        self.advance();
    }

    /// Rotates a path's file, if it has one: when it is asked for, and at the end.
    pub fn rotate(&mut self, path: PathId, now: Timestamp) {
        self.now = now;
        self.steps.push_back(Step::Rotate(path));
        self.advance();
    }

    /// Rotates all files: at an orderly end.
    pub fn rotate_all(&mut self, now: Timestamp) {
        self.now = now;
        let paths = (0..self.paths.len()).map(|index| Step::Rotate(PathId(index)));
        self.steps.extend(paths);
        self.advance();
    }

    /// Rotates the files of some paths: when it is asked for. Gives how many of them have one.
    pub fn rotate_some(&mut self, wanted: impl Fn(&LogPath) -> bool, now: Timestamp) -> usize {
        self.now = now;
        let mut count = 0;
        for (index, path) in self.paths.iter().enumerate() {
            if path.open.is_some() && wanted(&path.name) {
                self.steps.push_back(Step::Rotate(PathId(index)));
                count += 1;
            }
        }
        self.advance();
        count
    }

    /// Looks whether the open files are still as this process left them.
    pub fn look(&mut self, now: Timestamp) {
        self.now = now;
        let paths = (0..self.paths.len()).map(|index| Step::Look(PathId(index)));
        self.steps.extend(paths);
        self.advance();
    }

    /// Forgets a source that no record will ever come of again: its ring was drained and is gone.
    ///
    /// # Errors
    /// [`Refusal::StillWaiting`]: flush first.
    pub fn retire(&mut self, source: SourceId) -> Result<(), Refusal> {
        let waits = |progress: &Progress| progress.waiting > 0;
        if self.sources.get(&source).is_some_and(waits) {
            return Err(Refusal::StillWaiting);
        }
        self.sources.remove(&source);
        for path in &mut self.paths {
            path.retire(source);
        }
        Ok(())
    }

    /// Forgets every source but those that are kept. True: some wait still, so do it again after the next
    /// flush.
    pub fn retain(&mut self, keep: impl Fn(SourceId) -> bool) -> bool {
        let standing = self.paths.iter().flat_map(PathFile::sources);
        let standing = standing.filter(|standing| !standing.retired);
        let known = self.sources.keys().copied();
        let all: BTreeSet<_> = standing.map(|one| one.id).chain(known).collect();
        let mut wait = false;
        for source in all.into_iter().filter(|source| !keep(*source)) {
            wait |= self.retire(source).is_err();
        }
        wait
    }

    /// When [`LogFiles::tick`] has something to do next; `None`: not before more is written.
    #[must_use]
    pub fn next_tick(&self) -> Option<Timestamp> {
        let open = self.paths.iter().filter(|path| path.open.is_some());
        let rotations = open.filter_map(|path| path.schedule.due());
        let unsynced = self.paths.iter().any(|path| path.unsynced);
        let sync = match self.settings.sync {
            SyncPolicy::Interval(interval) if unsynced => {
                let due = self.synced.nanos().saturating_add(interval.nanos());
                Some(Timestamp::from_nanos(due))
            }
            SyncPolicy::Interval(_) | SyncPolicy::Never | SyncPolicy::Batch => None,
        };
        rotations.chain(sync).min()
    }

    /// Stores the state, and syncs what is to be synced at some time: at an orderly end, so that a
    /// successor has nothing to look through.
    pub fn checkpoint(&mut self) {
        if self.syncs() {
            self.steps.push_back(Step::SyncAll);
        }
        self.steps.push_back(Step::Store);
        self.advance();
    }

    /// What is to be done now; `None` if nothing is. The same until [`LogFiles::done`].
    #[must_use]
    pub fn action(&self) -> Option<&Action> {
        self.current.as_ref().map(|(_, action)| action)
    }

    /// Takes what became of [`LogFiles::action`]. An outcome that does not answer it counts as
    /// [`Outcome::Refused`].
    pub fn done(&mut self, outcome: Outcome) {
        let Some((step, action)) = self.current.take() else {
            return;
        };
        if let Err(step) = self.finish(step, outcome) {
            self.current = Some((step, action));
            return;
        }
        self.advance();
    }

    /// Carries out steps until one needs somebody to act.
    pub(super) fn advance(&mut self) {
        while self.current.is_none() {
            let Some(step) = self.steps.pop_front() else {
                return;
            };
            self.current = self.begin(step);
        }
    }

    /// The name of each path, in the order they were opened in.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &LogPath> {
        self.paths.iter().map(|path| &path.name)
    }

    /// Of a source, the lowest number that may still be missing in a path's files.
    #[must_use]
    pub fn next_number(&self, path: PathId, source: SourceId) -> u64 {
        self.paths.get(path.0).map_or(0, |path| path.next(source))
    }

    /// Bytes of lines that wait for a flush or for a file. Who hands records in bounds it: by not
    /// draining rings.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        let batches = self.paths.iter().flat_map(|path| &path.waiting);
        batches.map(|batch| batch.lines.len()).sum()
    }

    /// Records that were not written since they stood already, counted for each of their paths.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The state as it would be stored now, with the generation of the last storing.
    #[must_use]
    pub fn state(&self) -> State {
        State {
            generation: self.generation,
            paths: self.paths.iter().map(PathFile::to_state).collect(),
            losses: self.losses,
        }
    }
}

#[cfg(test)]
#[path = "log_files/tests.rs"]
mod tests;

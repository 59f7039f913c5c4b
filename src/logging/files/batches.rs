//! Batches: a file is made for the first one, index and lines are written, records are released.

use super::action::{Action, Damage, Found, Identity};
use super::index::SourceId;
use super::judge::{Verdict, judge};
use super::log_files::{Frame, LogFiles, PathId, SyncPolicy};
use super::path_file::{Waiting, index_name};
use super::rotation::Schedule;
use super::state::OpenFile;
use super::steps::Step;

impl<F: Frame> LogFiles<F> {
    pub(super) fn write(&mut self, id: PathId) -> Option<(Step, Action)> {
        let name = self.file_name(id);
        let path = self.paths.get_mut(id.0)?;
        let skipped = path.skip_standing();
        if path.waiting.front()?.records.is_empty() {
            path.waiting.pop_front();
            self.steps.push_front(Step::Write(id));
            self.were_written(&skipped);
            return self.count_skipped(&skipped);
        }
        let other_schema = path.open.is_some() && path.waiting.front()?.schema != path.schema;
        if path.open.is_none() || other_schema {
            path.blocked = false;
            let (first, open) = if other_schema {
                (Step::Rotate(id), false)
            } else {
                (Step::Prepare(id), true)
            };
            self.ahead([first, Step::WriteIf { path: id, open }]);
        } else {
            let opened = path.open?.opened;
            let (at, index_at) = path.open.map(|open| (open.length, open.index_length))?;
            let (frame, schema, label) = (&self.frame, path.schema.clone(), path.name.clone());
            let bytes = path.compose(|| frame.header(&label, &schema, opened))?;
            let index = index_name(&name);
            let put = |name: &str, at, bytes| {
                let name = name.to_owned();
                Step::Put(Some(Action::Write { name, at, bytes }))
            };
            let mut steps = vec![
                put(&index, index_at, bytes.index),
                put(&name, at, bytes.lines),
            ];
            if self.settings.sync == SyncPolicy::Batch {
                steps.extend([Step::Sync(index), Step::Sync(name)]);
            }
            steps.push(Step::Commit(id));
            self.ahead(steps);
        }
        self.were_written(&skipped);
        self.count_skipped(&skipped)
    }

    fn count_skipped(&mut self, skipped: &[Waiting]) -> Option<(Step, Action)> {
        self.skipped += u64::try_from(skipped.len()).unwrap_or(u64::MAX);
        None
    }

    /// These wait no longer.
    fn were_written(&mut self, records: &[Waiting]) {
        for record in records {
            if let Some(progress) = self.sources.get_mut(&record.source) {
                progress.waiting = progress.waiting.saturating_sub(1);
            }
        }
    }

    pub(super) fn commit(&mut self, id: PathId) -> Option<(Step, Action)> {
        let limit = self.settings.checkpoint_bytes;
        let path = self.paths.get_mut(id.0)?;
        let records = path.commit();
        let store = path.unstored >= limit;
        let more = !path.waiting.is_empty();
        self.were_written(&records);
        let store = store.then_some(Step::Store);
        let more = more.then_some(Step::Write(id));
        self.ahead([store, more].into_iter().flatten().collect::<Vec<_>>());
        None
    }

    /// What keeps the batch from being written has been seen to, or could not be. Then it waits for
    /// the next flush.
    pub(super) fn write_if(&mut self, id: PathId, open: bool) -> Option<(Step, Action)> {
        if self.path(id)?.open.is_some() == open {
            self.steps.push_front(Step::Write(id));
        }
        None
    }

    pub(super) fn on_free(&mut self, id: PathId, found: &Found) {
        match judge(None, found) {
            Verdict::Fresh => self.ahead([Step::Create(id)]),
            // Its own files were taken over at the start: these are nobody's that it knows.
            Verdict::Scan => self.make_room(id, Damage::Replaced, found),
            Verdict::SetAside(damage) => self.make_room(id, damage, found),
        }
    }

    /// Sets aside what is in the way, and looks again.
    fn make_room(&mut self, id: PathId, damage: Damage, found: &Found) {
        self.steps.push_front(Step::Prepare(id));
        self.set_aside(id, damage, found.file.map(|look| look.modified));
    }

    pub(super) fn on_created(&mut self, id: PathId, file: Identity, index: Identity) {
        let (now, rotation) = (self.now, self.settings.rotation);
        if let Some(path) = self.path(id) {
            if let Some(batch) = path.waiting.front() {
                path.schema.clone_from(&batch.schema);
            }
            path.schedule = Schedule::new(&path.rotation(rotation), now);
            path.open = Some(OpenFile {
                opened: now,
                length: 0,
                index_length: 0,
                declared: 0,
                seed: 0,
                identity: file,
                index_identity: index,
            });
        }
        let sync = self.syncs().then_some(Step::SyncDirectories);
        let steps = [sync, Some(Step::Store)];
        self.ahead(steps.into_iter().flatten().collect::<Vec<_>>());
    }

    /// Releases of each source what does not wait any more.
    pub(super) fn release(&mut self) -> Option<(Step, Action)> {
        let mut steps = Vec::new();
        for (source, progress) in &mut self.sources {
            if progress.released == progress.expected {
                continue;
            }
            let first = |source: SourceId| {
                let waiting = self
                    .paths
                    .iter()
                    .filter_map(|path| path.first_waiting(source));
                waiting.min()
            };
            let below = if progress.waiting == 0 {
                progress.expected
            } else {
                first(*source).unwrap_or(progress.released)
            };
            if below > progress.released {
                progress.released = below;
                steps.push(Step::ReleaseBelow(*source, below));
            }
        }
        self.ahead(steps);
        None
    }
}

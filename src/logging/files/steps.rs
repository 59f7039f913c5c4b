//! The steps that work consists of: each begins with an action or does without, and goes on with what
//! became of it.
//!
//! They are done one after the other; what follows from a step is put in front of the others.

use super::action::{Action, Event, Found, Outcome};
use super::index::SourceId;
use super::log_files::{Frame, LogFiles, PathId, SyncPolicy};
use super::path_file::{PathFile, index_name};
use super::scan::Want;

/// One step.
#[derive(Debug)]
pub(super) enum Step {
    /// Find out what there is of a path.
    Restore(PathId),
    /// Go on looking through what stands.
    Scan(PathId),
    /// What there is stands whole, with so many bytes cut.
    Restored { path: PathId, cut: u64 },
    /// Find out whether the open file is as it was left.
    Look(PathId),
    /// Write the oldest batch.
    Write(PathId),
    /// The batch is written.
    Commit(PathId),
    /// Find out whether a file can be made.
    Prepare(PathId),
    /// Make a file.
    Create(PathId),
    /// Make its index.
    CreateIndex(PathId, super::action::Identity),
    /// Go on writing if the path has a file now, or has none, as it should.
    WriteIf { path: PathId, open: bool },
    /// Close the file, and have it renamed.
    Rotate(PathId),
    /// Look whether its new name is free.
    Pick(PathId),
    /// Write its footer.
    Footer(PathId),
    /// The footer is written.
    Footed(PathId, super::state::OpenFile),
    /// Rename it.
    MoveFile(PathId),
    /// It was not there: find out whether it has its new name already.
    Vanished(PathId),
    /// Rename its index; so many names were taken.
    MoveIndex(PathId, u32),
    /// Tell of it, and forget it.
    Settle(PathId),
    /// Nothing is known of the path's file any more.
    Forget(PathId),
    /// Store the state.
    Store,
    /// Put bytes behind a file's; the action is taken when it begins.
    Put(Option<Action>),
    /// Cut a file.
    Cut { name: String, length: u64 },
    /// Sync a file.
    Sync(String),
    /// Sync what was written since the last time.
    SyncAll,
    /// Sync names.
    SyncDirectories,
    /// Release what can be.
    Release,
    /// Release a source's records.
    ReleaseBelow(SourceId, u64),
    /// Report something.
    Tell(Event),
}

impl<F: Frame> LogFiles<F> {
    /// Begins a step: with an action, or it is over already.
    pub(super) fn begin(&mut self, mut step: Step) -> Option<(Step, Action)> {
        let action = match &mut step {
            Step::Prepare(path) if self.path(*path)?.blocked => return None,
            Step::Restore(path) | Step::Look(path) | Step::Prepare(path) => Action::Inspect {
                name: self.file_name(*path),
            },
            Step::Pick(path) | Step::Vanished(path) => Action::Inspect {
                name: self.path(*path)?.leaving.as_ref()?.target.clone(),
            },
            Step::Scan(path) => return self.scan(*path).map(|action| (step, action)),
            Step::Create(path) => Action::Create {
                name: self.file_name(*path),
            },
            Step::CreateIndex(path, _) => Action::Create {
                name: index_name(&self.file_name(*path)),
            },
            Step::MoveFile(path) => Action::Rename {
                from: self.file_name(*path),
                to: self.path(*path)?.leaving.as_ref()?.target.clone(),
            },
            Step::MoveIndex(path, attempt) => Action::Rename {
                from: index_name(&self.file_name(*path)),
                to: index_name(&self.target(*path, *attempt)?),
            },
            Step::Store => self.store(),
            Step::Put(action) => action.take()?,
            Step::Cut { name, length } => Action::Truncate {
                name: name.clone(),
                length: *length,
            },
            Step::Sync(name) => Action::Sync { name: name.clone() },
            Step::SyncDirectories => Action::SyncDirectories,
            Step::ReleaseBelow(source, below) => Action::Release {
                source: *source,
                below: *below,
            },
            Step::Tell(event) => Action::Report(event.clone()),
            Step::Restored { path, cut } => return self.restored(*path, *cut),
            Step::Write(path) => return self.write(*path),
            Step::Commit(path) => return self.commit(*path),
            Step::WriteIf { path, open } => return self.write_if(*path, *open),
            Step::Rotate(path) => return self.begin_rotation(*path),
            Step::Footer(path) => return self.footer(*path),
            Step::Footed(path, open) => return self.footed(*path, *open),
            Step::Settle(path) => return self.settle(*path),
            Step::Forget(path) => return self.forget(*path),
            Step::SyncAll => return self.sync_all(),
            Step::Release => return self.release(),
        };
        Some((step, action))
    }

    /// Ends a step with what became of its action. Gives it back if that has to be done again.
    pub(super) fn finish(&mut self, step: Step, outcome: Outcome) -> Result<(), Step> {
        match (step, outcome) {
            (Step::Restore(path), Outcome::Found(found)) => self.on_left(path, &found),
            (Step::Look(path), Outcome::Found(found)) => self.on_look(path, &found),
            (Step::Prepare(path), Outcome::Found(found)) => self.on_free(path, &found),
            (Step::Pick(path), Outcome::Found(found)) => self.on_target(path, &found),
            (Step::Vanished(path), Outcome::Found(found)) => self.on_vanished(path, &found),
            (Step::Scan(path), Outcome::Bytes(bytes)) => self.on_read(path, &bytes),
            (Step::Create(path), Outcome::Created(file)) => {
                self.steps.push_front(Step::CreateIndex(path, file));
            }
            (Step::CreateIndex(path, file), Outcome::Created(index)) => {
                self.on_created(path, file, index);
            }
            (Step::Create(path) | Step::CreateIndex(path, _), Outcome::Refused) => {
                let name = self.file_name(path);
                self.ahead([Step::Tell(Event::CannotCreate { name })]);
            }
            (
                Step::MoveFile(path),
                outcome @ (Outcome::Done | Outcome::Exists | Outcome::Missing | Outcome::Refused),
            ) => self.on_moved(path, &outcome),
            (
                Step::MoveIndex(path, attempt),
                outcome @ (Outcome::Done | Outcome::Exists | Outcome::Missing | Outcome::Refused),
            ) => self.on_index_moved(path, attempt, &outcome),
            (
                Step::Store
                | Step::Put(_)
                | Step::Cut { .. }
                | Step::Sync(_)
                | Step::SyncDirectories
                | Step::ReleaseBelow(..)
                | Step::Tell(_),
                Outcome::Done,
            ) => {}
            (step, _) => return Err(step),
        }
        Ok(())
    }

    /// Puts steps in front of the others, in this order.
    pub(super) fn ahead<S>(&mut self, steps: S)
    where
        S: IntoIterator<Item = Step>,
        S::IntoIter: DoubleEndedIterator,
    {
        for step in steps.into_iter().rev() {
            self.steps.push_front(step);
        }
    }

    fn store(&mut self) -> Action {
        self.generation += 1;
        for path in &mut self.paths {
            path.unstored = 0;
        }
        let state = self.state();
        Action::Store {
            slot: state.slot(),
            bytes: state.encode(),
            sync: self.syncs(),
        }
    }

    fn scan(&mut self, path: PathId) -> Option<Action> {
        let name = self.file_name(path);
        let scan = self.path(path)?.scan.as_ref()?;
        match scan.want() {
            Want::Index { at, bytes } => Some(Action::Read {
                name: index_name(&name),
                at,
                bytes,
            }),
            Want::Lines { at, bytes } => Some(Action::Read { name, at, bytes }),
            Want::Over { cut } => {
                self.scanned(path, cut);
                None
            }
            Want::Damaged(damage) => {
                self.scanned_damaged(path, damage);
                None
            }
        }
    }

    fn sync_all(&mut self) -> Option<(Step, Action)> {
        let extension = self.settings.extension.clone();
        let mut names = Vec::new();
        for path in &mut self.paths {
            if std::mem::take(&mut path.unsynced) {
                let name = path.file_name(&extension);
                names.extend([index_name(&name), name]);
            }
        }
        self.ahead(names.into_iter().map(Step::Sync).collect::<Vec<_>>());
        None
    }

    fn on_look(&mut self, id: PathId, found: &Found) {
        let damage = self.path(id).and_then(|path| path.differs(found));
        if let Some(damage) = damage {
            self.set_aside(id, damage, found.file.map(|look| look.modified));
        }
    }

    pub(super) fn path(&mut self, path: PathId) -> Option<&mut PathFile> {
        self.paths.get_mut(path.0)
    }

    /// The name of the path's current file.
    pub(super) fn file_name(&self, path: PathId) -> String {
        let path = self.paths.get(path.0);
        path.map_or(String::new(), |path| {
            path.file_name(&self.settings.extension)
        })
    }

    /// Whether anything has to be on the disk at some time.
    pub(super) fn syncs(&self) -> bool {
        self.settings.sync != SyncPolicy::Never
    }
}

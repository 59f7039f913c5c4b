//! A file leaves: its footer, its new name, and then nothing is known of it any more.

use super::action::{Action, Damage, Event, Found, Outcome};
use super::index::{Entry, Extent};
use super::log_files::{Frame, LogFiles, PathId};
use super::path_file::index_name;
use super::state::{Leaving, OpenFile};
use super::steps::Step;
use crate::data::Timestamp;

impl<F: Frame> LogFiles<F> {
    pub(super) fn begin_rotation(&mut self, id: PathId) -> Option<(Step, Action)> {
        let now = self.now;
        let path = self.paths.get_mut(id.0)?;
        let opened = path.open?.opened;
        let closed = now.max(opened);
        path.footed = false;
        path.leaving = Some(Leaving {
            target: String::new(),
            attempt: 0,
            footer: self.frame.footer(&path.name, &path.schema, closed),
            opened,
            closed,
            damage: None,
        });
        self.pick(id, 0);
        None
    }

    /// Has the path's file and index renamed as they are. `modified` is when somebody wrote to it.
    pub(super) fn set_aside(&mut self, id: PathId, damage: Damage, modified: Option<Timestamp>) {
        let closed = modified.unwrap_or(self.now);
        if let Some(path) = self.path(id) {
            let opened = path.open.map_or(closed, |open| open.opened);
            path.footed = true;
            path.leaving = Some(Leaving {
                target: String::new(),
                attempt: 0,
                footer: Vec::new(),
                opened,
                closed: closed.max(opened),
                damage: Some(damage),
            });
            self.pick(id, 0);
        }
    }

    /// The name that a leaving file has after so many that were taken.
    pub(super) fn target(&mut self, id: PathId, attempt: u32) -> Option<String> {
        let path = self.paths.get(id.0)?;
        let leaving = path.leaving.as_ref()?;
        if attempt == leaving.attempt && !leaving.target.is_empty() {
            return Some(leaving.target.clone());
        }
        let (opened, closed) = (leaving.opened, leaving.closed);
        let naming = &self.settings.naming;
        Some(naming.name(path.name.as_str(), opened, closed, attempt, path.in_place))
    }

    fn pick(&mut self, id: PathId, attempt: u32) {
        if let Some(leaving) = self.path(id).and_then(|path| path.leaving.as_mut()) {
            leaving.target.clear();
        }
        let target = self.target(id, attempt);
        let leaving = self.path(id).and_then(|path| path.leaving.as_mut());
        if let (Some(target), Some(leaving)) = (target, leaving) {
            leaving.target = target;
            leaving.attempt = attempt;
            self.ahead([Step::Pick(id)]);
        }
    }

    fn pick_next(&mut self, id: PathId) {
        let path = self.path(id);
        let attempt = path.and_then(|path| Some(path.leaving.as_ref()?.attempt));
        self.pick(id, attempt.unwrap_or(0).saturating_add(1));
    }

    pub(super) fn on_target(&mut self, id: PathId, found: &Found) {
        if found.file.is_some() || found.index.is_some() {
            self.pick_next(id);
        } else {
            self.ahead([Step::Store, Step::Footer(id), Step::MoveFile(id)]);
        }
    }

    pub(super) fn footer(&mut self, id: PathId) -> Option<(Step, Action)> {
        let name = self.file_name(id);
        let syncs = self.syncs();
        let path = self.path(id)?;
        if path.footed {
            return None;
        }
        let mut after = path.open?;
        let (at, index_at) = (after.length, after.index_length);
        let bytes = path.leaving.as_ref()?.footer.clone();
        let index = index_name(&name);
        let mut steps = Vec::new();
        if !bytes.is_empty() {
            let mut entry = Vec::new();
            let extent = Extent::behind(at, &bytes)?;
            after.put(&Entry::Text(extent), &mut entry);
            let put = |name: &str, at, bytes| {
                let name = name.to_owned();
                Step::Put(Some(Action::Write { name, at, bytes }))
            };
            steps.extend([put(&index, index_at, entry), put(&name, at, bytes)]);
        }
        steps.push(Step::Footed(id, after));
        if syncs {
            steps.extend([Step::Sync(index), Step::Sync(name)]);
        }
        self.ahead(steps);
        None
    }

    pub(super) fn footed(&mut self, id: PathId, open: OpenFile) -> Option<(Step, Action)> {
        let path = self.path(id)?;
        path.open = Some(open);
        path.footed = true;
        None
    }

    pub(super) fn on_moved(&mut self, id: PathId, outcome: &Outcome) {
        let Some(leaving) = self.path(id).and_then(|path| path.leaving.clone()) else {
            return;
        };
        let index = Step::MoveIndex(id, leaving.attempt);
        if *outcome == Outcome::Exists {
            self.pick_next(id);
        } else if *outcome == Outcome::Refused {
            self.on_refused(id, leaving);
        } else if *outcome == Outcome::Missing && leaving.damage.is_none() {
            self.ahead([Step::Vanished(id), index]);
        } else {
            self.ahead([index]);
        }
    }

    /// The file cannot have that name. In its own directory perhaps it can have another; else it stays.
    fn on_refused(&mut self, id: PathId, leaving: Leaving) {
        let from = self.file_name(id);
        let (now, rotation) = (self.now, self.settings.rotation);
        let elsewhere = self.settings.naming.directory.is_some();
        let to = leaving.target;
        let Some(path) = self.path(id) else {
            return;
        };
        if elsewhere && !path.in_place {
            path.in_place = true;
            self.pick(id, leaving.attempt);
        } else {
            path.leaving = None;
            path.in_place = false;
            match (leaving.damage, path.open) {
                (None, Some(open)) => {
                    let rotation = path.rotation(rotation);
                    path.schedule.put_off(&rotation, now, open.length);
                }
                (_, _) => {
                    path.open = None;
                    path.blocked = true;
                }
            }
            self.ahead([Step::Store]);
        }
        self.ahead([Step::Tell(Event::CannotRename { from, to })]);
    }

    pub(super) fn on_vanished(&mut self, id: PathId, found: &Found) {
        let Some(path) = self.path(id) else {
            return;
        };
        let ours = path.open.map(|open| open.identity);
        if found.file.map(|look| look.identity) != ours
            && let Some(leaving) = path.leaving.as_mut()
        {
            leaving.damage = Some(Damage::Missing);
        }
    }

    pub(super) fn on_index_moved(&mut self, id: PathId, attempt: u32, outcome: &Outcome) {
        if *outcome == Outcome::Exists {
            self.ahead([Step::MoveIndex(id, attempt.saturating_add(1))]);
            return;
        }
        let mut steps = Vec::new();
        if *outcome == Outcome::Refused {
            let from = index_name(&self.file_name(id));
            let to = index_name(&self.target(id, attempt).unwrap_or_default());
            steps.push(Step::Tell(Event::CannotRename { from, to }));
        }
        if self.syncs() {
            steps.push(Step::SyncDirectories);
        }
        steps.push(Step::Settle(id));
        self.ahead(steps);
    }

    pub(super) fn settle(&mut self, id: PathId) -> Option<(Step, Action)> {
        let path = self.path(id)?;
        let leaving = path.leaving.clone()?;
        let (path, name) = (path.name.clone(), leaving.target);
        let event = match leaving.damage {
            Some(damage) => Event::SetAside { path, damage, name },
            None => Event::Rotated {
                path,
                name,
                opened: leaving.opened,
                closed: leaving.closed,
            },
        };
        self.ahead([Step::Tell(event), Step::Forget(id), Step::Store]);
        None
    }

    pub(super) fn forget(&mut self, id: PathId) -> Option<(Step, Action)> {
        self.path(id)?.forget_file();
        None
    }
}

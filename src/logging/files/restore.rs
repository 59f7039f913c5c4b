//! What a predecessor left is taken over, finished or set aside.

use super::action::{Action, Damage, Event, Found};
use super::judge::{Verdict, judge};
use super::log_files::{Frame, LogFiles, PathId};
use super::path_file::index_name;
use super::rotation::Schedule;
use super::scan::Scan;
use super::steps::Step;

impl<F: Frame> LogFiles<F> {
    pub(super) fn on_left(&mut self, id: PathId, found: &Found) {
        let Some(path) = self.path(id) else {
            return;
        };
        if let Some(leaving) = &path.leaving {
            path.footed = true;
            let ours = path.open.map(|open| open.identity);
            let here = found.file.map(|look| look.identity);
            let attempt = leaving.attempt;
            if leaving.damage.is_some() {
                self.ahead([Step::MoveFile(id)]);
                return;
            }
            if here.is_none() || here != ours {
                self.ahead([Step::Vanished(id), Step::MoveIndex(id, attempt)]);
                return;
            }
        }
        match judge(path.open.as_ref(), found) {
            Verdict::Fresh => {}
            Verdict::Scan => {
                let scan = match path.open {
                    Some(open) => {
                        let sources = path.sources().to_vec();
                        Scan::from_checkpoint(path.name.as_str(), open, sources, found)
                    }
                    None => Scan::from_start(path.name.as_str(), found),
                };
                path.scan = Some(scan);
                self.ahead([Step::Scan(id)]);
            }
            Verdict::SetAside(damage) => {
                self.set_aside(id, damage, found.file.map(|look| look.modified));
            }
        }
    }

    pub(super) fn on_read(&mut self, id: PathId, bytes: &[u8]) {
        if let Some(scan) = self.path(id).and_then(|path| path.scan.as_mut()) {
            scan.feed(bytes);
            self.ahead([Step::Scan(id)]);
        }
    }

    /// Everything up to where the scan came stands whole.
    pub(super) fn scanned(&mut self, id: PathId, cut: u64) {
        let name = self.file_name(id);
        let Some(path) = self.path(id) else {
            return;
        };
        let Some(scan) = path.scan.take() else {
            return;
        };
        let before = path.open.map_or(0, |open| open.length);
        let file = scan.file();
        path.learn(scan.into_sources());
        path.footed = file.length > before;
        // Without a line it is made anew, with the header of that time.
        path.open = (file.length > 0).then_some(file);
        let index_length = path.open.map_or(0, |open| open.index_length);
        let mut steps = Vec::new();
        if cut > 0 {
            steps.push(Step::Cut {
                name: name.clone(),
                length: file.length,
            });
        }
        steps.push(Step::Cut {
            name: index_name(&name),
            length: index_length,
        });
        steps.push(Step::Restored { path: id, cut });
        self.ahead(steps);
    }

    pub(super) fn restored(&mut self, id: PathId, cut: u64) -> Option<(Step, Action)> {
        let rotation = self.settings.rotation;
        let name = self.file_name(id);
        let syncs = self.syncs();
        let path = self.path(id)?;
        let mut steps = Vec::new();
        if let Some(open) = path.open {
            path.schedule = Schedule::new(&path.rotation(rotation), open.opened);
            if syncs {
                // What the predecessor had not synced will be released without being written again.
                steps.extend([Step::Sync(index_name(&name)), Step::Sync(name)]);
            }
            let path = path.name.clone();
            steps.push(Step::Tell(Event::Recovered { path, cut }));
        }
        if path.leaving.is_some() {
            steps.extend([Step::Footer(id), Step::MoveFile(id)]);
        }
        self.ahead(steps);
        None
    }

    pub(super) fn scanned_damaged(&mut self, id: PathId, damage: Damage) {
        if let Some(path) = self.path(id)
            && let Some(scan) = path.scan.take()
        {
            path.learn(scan.into_sources());
        }
        self.set_aside(id, damage, None);
    }
}

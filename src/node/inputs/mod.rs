//! What a node follows: each line of its inputs becomes a record of a log stream.
//!
//! Owns: the files, pipes and sockets, the descriptors that tell of changes, and the mapping of the
//! positions, a file in the node's directory. Leaves to others: how files are followed
//! ([`crate::follow`]), where records go ([`Cluster::log_write_with`]).
//!
//! Of files, each line is written once, over deaths of this node, of loggers and of the stem
//! ([`crate::shm::positions`]). A record that no logger takes waits, and with it its file, and is tried
//! again after a pause that grows. Of pipes and sockets, what was read and not written dies with the node.
//! A node that follows nothing has none of this, and one whose files do not change never wakes up.

mod handle;
mod places;
mod records;
mod streams;
mod tail;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::cluster::Cluster;
use super::say::say;
use crate::layout::inputs::{Input, Inputs, Origin};
use crate::node::logger::identity_of;
use crate::shm::positions::FILES_MAX;
use crate::sys::clock;

use places::{Places, key_of};
use streams::Streams;
use tail::{Around, Tail, Turn};
use watch::{Change, Watch};

/// Steps of one file before the next one's turn, and how many in one turn of the loop.
const STEPS_A_FILE: usize = 256;

/// Files that have their turn in one turn of the loop.
const FILES_A_TURN: usize = 4;

/// The first pause after a failure, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A file whose name is gone is followed for so long without another byte: who writes may still have it
/// open.
const GONE_MAX: Duration = Duration::from_secs(60);

/// Everything that a node follows.
#[derive(Debug)]
pub(super) struct Following {
    inputs: Inputs,
    watch: Watch,
    places: Places,
    tails: BTreeMap<PathBuf, Tail>,
    /// Those with something to do, in their order.
    busy: VecDeque<PathBuf>,
    /// Those whose names are gone, at their ends, and when they are let go.
    gone: BTreeMap<PathBuf, Instant>,
    /// Those that failed, or whose records nobody took.
    paused: Vec<PathBuf>,
    /// Directories that cannot be watched.
    failing: BTreeSet<PathBuf>,
    /// When they are tried again, and how long they waited.
    until: Option<Instant>,
    pause: Duration,
    streams: Streams,
    /// Pipes by their numbers.
    pipes: BTreeMap<u64, PathBuf>,
    next_pipe: u64,
}

impl Following {
    /// Begins, or goes on where the predecessor was. `place` is the file with its positions.
    ///
    /// # Errors
    /// The system's, where nothing can be watched.
    pub(super) fn begin(inputs: Inputs, place: &Path, cluster: &mut Cluster) -> io::Result<Self> {
        let mut following = Self {
            inputs,
            watch: Watch::new()?,
            places: Places::open(place),
            tails: BTreeMap::new(),
            busy: VecDeque::new(),
            gone: BTreeMap::new(),
            paused: Vec::new(),
            failing: BTreeSet::new(),
            until: None,
            pause: PAUSE_MIN,
            streams: Streams::default(),
            pipes: BTreeMap::new(),
            next_pipe: 0,
        };
        following.look_around(cluster);
        Ok(following)
    }

    /// Becomes readable when something was written.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.watch.descriptor()
    }

    /// Is there nothing to do before something happens?
    pub(super) fn may_sleep(&self) -> bool {
        self.busy.is_empty()
    }

    /// When it is to have a turn though nothing has happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.until
            .into_iter()
            .chain(self.gone.values().copied())
            .min()
    }

    /// Looks what has happened, and gives files their turns.
    pub(super) fn turn(&mut self, cluster: &mut Cluster, now: Instant) {
        self.hear(cluster);
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
            self.look_around(cluster);
            for path in std::mem::take(&mut self.paused) {
                self.wake(&path);
            }
        }
        self.let_go(|until| until <= now, cluster);
        for _ in 0..FILES_A_TURN.min(self.busy.len()) {
            let Some(path) = self.busy.pop_front() else {
                break;
            };
            let Some(mut tail) = self.tails.remove(&path) else {
                continue;
            };
            let mut around = Around {
                cluster,
                streams: &mut self.streams,
                places: &mut self.places,
                inputs: &self.inputs,
                others: &self.tails,
            };
            let connections = tail.handle().connections();
            let turn = tail.turn(STEPS_A_FILE, &mut around);
            let is_connected = tail.handle().connections() > connections;
            if turn == Turn::Idle && tail.handle().is_gone() {
                self.gone.entry(path.clone()).or_insert(now + GONE_MAX);
            } else {
                self.gone.remove(&path);
            }
            self.tails.insert(path.clone(), tail);
            match turn {
                Turn::More => {
                    self.pause = PAUSE_MIN;
                    self.busy.push_back(path.clone());
                }
                Turn::Idle => {}
                Turn::Refused | Turn::Failed => self.rest(path.clone(), now),
            }
            if is_connected {
                self.watch_pipe(&path);
            }
        }
    }

    /// Lets go of files whose names are gone, and of their places. One that has another name that is
    /// followed goes on there.
    fn let_go(&mut self, is_due: impl Fn(Instant) -> bool, cluster: &mut Cluster) {
        let due = self.gone.iter().filter(|(_, until)| is_due(**until));
        let due: Vec<PathBuf> = due.map(|(path, _)| path.clone()).collect();
        for path in &due {
            self.gone.remove(path);
            let Some(tail) = self.tails.remove(path) else {
                continue;
            };
            say("input_gone", &format_args!("file={}", path.display()));
            self.busy.retain(|known| known != path);
            self.paused.retain(|known| known != path);
            self.streams.close(path);
            if !tail.handle().is_deleted() {
                let folder = path.parent().unwrap_or_else(|| Path::new("/"));
                if let Err(error) = self.follow_folder(folder, cluster) {
                    self.fail(folder, &error);
                }
                let names = self.tails.keys().map(PathBuf::as_path);
                let used = || places::used(&self.inputs, names);
                if let Some(file) = tail.file()
                    && !self.tails.values().any(|tail| tail.has(file))
                {
                    self.places.set_done(file, used);
                }
            }
            // It may have come back meanwhile.
            if !self.tails.contains_key(path) {
                self.places.forget(key_of(path));
            }
        }
    }

    /// This file waits a while.
    fn rest(&mut self, path: PathBuf, now: Instant) {
        self.paused.push(path);
        self.pause(now);
    }

    fn pause(&mut self, now: Instant) {
        if self.until.is_none() {
            self.until = Some(now + self.pause);
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        }
    }

    fn wake(&mut self, path: &Path) {
        if let Some(tail) = self.tails.get_mut(path) {
            tail.wake();
            let mut known = self.busy.iter().chain(&self.paused);
            if !known.any(|known| known == path) {
                self.busy.push_back(path.to_owned());
            }
        }
    }

    fn hear(&mut self, cluster: &mut Cluster) {
        let mut changes = Vec::new();
        if let Err(error) = self.watch.look(|change| changes.push(change)) {
            log::warn!("event=watch_failed error=\"{error}\"");
        }
        changes.dedup();
        for change in changes {
            match change {
                Change::File(path) if self.tails.contains_key(&path) => self.wake(&path),
                Change::File(path) => {
                    if let Some(input) = self.inputs.of_file(&path).cloned()
                        && self.inputs.is_own(&path)
                    {
                        if self.tails.len() >= FILES_MAX {
                            self.let_go(|_| true, cluster);
                        }
                        self.follow(&input, path.clone(), cluster);
                    }
                    if !self.tails.contains_key(&path) {
                        // One that was followed may have this name now.
                        self.wake_beside(&path);
                    }
                }
                Change::Anything => {
                    self.look_around(cluster);
                    let all: Vec<PathBuf> = self.tails.keys().cloned().collect();
                    all.iter().for_each(|path| self.wake(path));
                }
                Change::Pipe(number) => {
                    if let Some(path) = self.pipes.get(&number).cloned() {
                        self.wake(&path);
                    }
                }
            }
        }
    }

    fn wake_beside(&mut self, path: &Path) {
        let beside = self.tails.keys();
        let beside = beside.filter(|known| known.parent() == path.parent());
        let beside: Vec<PathBuf> = beside.cloned().collect();
        beside.iter().for_each(|path| self.wake(path));
    }

    /// Watches the directories, and follows what is there and not followed.
    fn look_around(&mut self, cluster: &mut Cluster) {
        for input in self.inputs.all.clone() {
            match &input.from {
                Origin::Files(wanted) => {
                    let folder = wanted.parent().unwrap_or_else(|| Path::new("/"));
                    match self.follow_folder(folder, cluster) {
                        Ok(()) => drop(self.failing.remove(folder)),
                        Err(error) => self.fail(folder, &error),
                    }
                }
                Origin::Fifo(path) | Origin::Socket(path) => {
                    if self.inputs.is_own(path) && !self.tails.contains_key(path) {
                        self.follow(&input, path.clone(), cluster);
                    }
                }
            }
        }
    }

    /// A directory cannot be watched; it is looked for again.
    fn fail(&mut self, folder: &Path, error: &io::Error) {
        if self.failing.insert(folder.to_owned()) {
            let (folder, text) = (folder.display(), error.to_string());
            say(
                "input_failed",
                &format_args!("folder={folder} error={text:?}"),
            );
        }
        self.pause(clock::monotonic());
    }

    fn follow_folder(&mut self, folder: &Path, cluster: &mut Cluster) -> io::Result<()> {
        // Before the look: what comes in between is told.
        self.watch.add_folder(folder)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            found.push(entry?.path());
        }
        found.sort_unstable();
        for path in found {
            if let Some(input) = self.inputs.of_file(&path).cloned()
                && self.inputs.is_own(&path)
                && !self.tails.contains_key(&path)
            {
                self.follow(&input, path, cluster);
            }
        }
        Ok(())
    }

    /// Follows a name, unless its file is known under another one.
    fn follow(&mut self, input: &Input, path: PathBuf, cluster: &mut Cluster) {
        if self.tails.len() >= FILES_MAX {
            return too_many(&path);
        }
        self.gone.remove(&path);
        let outbox = cluster.as_mut();
        let mut entry = None;
        if matches!(input.from, Origin::Files(_)) {
            let key = key_of(&path);
            let Ok(facts) = fs::metadata(&path) else {
                // It is gone already; if not, who comes to open it is told why.
                return;
            };
            let has = |file| self.tails.values().any(|tail| tail.has(file));
            let accepted = |ring| outbox.accepted_by(ring);
            let began = self.places.place_of(key, accepted);
            let file = identity_of(&facts);
            // What it was followed for comes first, whatever has its name now.
            let goes_on = began.is_some_and(|place| !has(place.file));
            let held = self.places.holder(file, key, accepted);
            if !goes_on {
                let is_followed = |key| self.tails.keys().any(|path| key_of(path) == key);
                let is_held = held.is_some_and(|(other, _)| is_followed(other));
                if has(file) || is_held || self.places.is_done(file) {
                    return;
                }
                self.places.forget(key);
            }
            let names = self.tails.keys();
            let used = || places::used(&self.inputs, names.map(PathBuf::as_path));
            entry = self.places.entry(key, used);
            match (&mut entry, held) {
                (None, _) => too_many(&path),
                (Some(entry), Some(held)) if !goes_on => self.places.take_over(entry, held),
                (Some(_), _) => {}
            }
        }
        let entry = entry.zip(self.places.positions());
        let tail = Tail::new(input, path.clone(), outbox, entry);
        self.tails.insert(path.clone(), tail);
        self.busy.push_back(path);
    }

    /// A pipe or a socket was opened, maybe.
    fn watch_pipe(&mut self, path: &Path) {
        let Some(tail) = self.tails.get(path).filter(|tail| !tail.handle().is_file()) else {
            return;
        };
        let Some(pipe) = tail.handle().pipe() else {
            return;
        };
        let number = self.next_pipe;
        match self.watch.add_pipe(pipe, number) {
            Ok(()) => {
                self.next_pipe += 1;
                self.pipes.retain(|_, known| known != path);
                self.pipes.insert(number, path.to_owned());
                // What came before it was watched.
                self.wake(path);
            }
            Err(error) => log::warn!("event=watch_failed error=\"{error}\""),
        }
    }
}

/// Its lines, or its place, are not taken.
fn too_many(path: &Path) {
    let file = path.display();
    say(
        "too_many_inputs",
        &format_args!("file={file} most={FILES_MAX}"),
    );
}

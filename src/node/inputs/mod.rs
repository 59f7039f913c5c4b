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
mod records;
mod streams;
mod tail;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{FallocateFlags, fallocate};

use super::cluster::Cluster;
use super::say::say;
use crate::layout::inputs::{Input, Inputs, Origin, fits};
use crate::shm::positions::{Entry, FILES_MAX, POSITIONS_BYTES, Positions};
use crate::sys::clock;

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

/// Everything that a node follows.
#[derive(Debug)]
pub(super) struct Following {
    inputs: Inputs,
    watch: Watch,
    positions: Option<Positions>,
    tails: BTreeMap<PathBuf, Tail>,
    /// Those with something to do, in their order.
    busy: VecDeque<PathBuf>,
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
        let positions = match positions(place) {
            Ok(positions) => Some(positions),
            Err(error) => {
                // Better once more after the next death than not at all.
                let (file, text) = (place.display(), error.to_string());
                say("no_positions", &format_args!("file={file} error={text:?}"));
                None
            }
        };
        let mut following = Self {
            inputs,
            watch: Watch::new()?,
            positions,
            tails: BTreeMap::new(),
            busy: VecDeque::new(),
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
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.until
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
        for _ in 0..FILES_A_TURN.min(self.busy.len()) {
            let Some(path) = self.busy.pop_front() else {
                break;
            };
            let Some(tail) = self.tails.get_mut(&path) else {
                continue;
            };
            let mut around = Around {
                cluster,
                streams: &mut self.streams,
                positions: self.positions.as_ref(),
            };
            let connections = tail.handle().connections();
            let turn = tail.turn(STEPS_A_FILE, &mut around);
            let is_connected = tail.handle().connections() > connections;
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
                Change::File(path) => match self.input_of(&path).cloned() {
                    Some(input) if self.inputs.is_own(&path) => {
                        self.follow(&input, path, cluster);
                    }
                    // It is another node's.
                    Some(_) => {}
                    // One that was followed may have this name now.
                    None => self.wake_beside(&path),
                },
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

    /// The first input whose files this is among.
    fn input_of(&self, path: &Path) -> Option<&Input> {
        self.inputs.all.iter().find(|input| {
            let Origin::Files(wanted) = &input.from else {
                return false;
            };
            let (Some(pattern), Some(name)) = (wanted.file_name(), path.file_name()) else {
                return false;
            };
            wanted.parent() == path.parent()
                && fits(pattern.as_encoded_bytes(), name.as_encoded_bytes())
        })
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
            if let Some(input) = self.input_of(&path).cloned()
                && self.inputs.is_own(&path)
                && !self.tails.contains_key(&path)
            {
                self.follow(&input, path, cluster);
            }
        }
        Ok(())
    }

    fn follow(&mut self, input: &Input, path: PathBuf, cluster: &mut Cluster) {
        if self.tails.len() >= FILES_MAX {
            let file = path.display();
            return say(
                "too_many_inputs",
                &format_args!("file={file} most={FILES_MAX}"),
            );
        }
        let is_file = matches!(input.from, Origin::Files(_));
        let entry = if is_file { self.entry_of(&path) } else { None };
        let entry = entry.zip(self.positions.as_ref());
        let tail = Tail::new(input, path.clone(), cluster.as_mut(), entry);
        self.tails.insert(path.clone(), tail);
        self.busy.push_back(path);
    }

    /// Its place among the positions. When all are taken, those that are followed no longer are free.
    fn entry_of(&mut self, path: &Path) -> Option<Entry> {
        let positions = self.positions.as_mut()?;
        let key = key_of(path);
        if let Some(entry) = positions.entry(key) {
            return Some(entry);
        }
        let followed: Vec<u128> = self.tails.keys().map(|path| key_of(path)).collect();
        let known: Vec<u128> = positions.keys().collect();
        for key in known.into_iter().filter(|key| !followed.contains(key)) {
            if let Some(entry) = positions.entry(key) {
                positions.forget(entry);
            }
        }
        positions.entry(key)
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

/// What stands for a path among the positions: FNV-1a of 128 bits, never 0.
fn key_of(path: &Path) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    let key = bytes.fold(BASIS, |key, byte| {
        (key ^ u128::from(*byte)).wrapping_mul(PRIME)
    });
    key.max(1)
}

/// The positions, with room on the disk for all of them: there must be no need for more when they are
/// written.
fn positions(place: &Path) -> io::Result<Positions> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false);
    let file = file.open(place)?;
    if file.metadata()?.len() < POSITIONS_BYTES as u64 {
        let bytes = i64::try_from(POSITIONS_BYTES).unwrap_or(i64::MAX);
        fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
    }
    Positions::map(&file)
}

//! The writer thread: the only one that touches a logger's files.
//!
//! Owns: the directory and what is known of it. Waits for batches, and when a rotation or a sync is due;
//! else for nothing. What the disk refuses is tried again, ever more slowly, and meanwhile batches stay
//! where they are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::config::Config;
use super::disk::Disk;
use super::retry::{GivenUp, Retry};
use super::words::{Command, Reply};
use crate::data::Timestamp;
use crate::logging::LogPath;
use crate::logging::files::closed::Closed;
use crate::logging::files::expiry::leftovers;
use crate::logging::files::{Action, Event, LogFiles, Outcome, PathId, SourceId};
use crate::logging::frame::WriterFrame;
use crate::logging::message::WriterId;
use crate::logging::silence::Silence;
use crate::logging::strangers::Strangers;
use crate::logging::writers::{Sender as LogSender, Writers};
use crate::sys::clock;

/// Bytes that are taken from waiting batches before they are written together.
const GATHERED_BYTES_MAX: usize = 1 << 20;

/// Bytes that wait for a file which cannot be made. With more, no batch is taken.
const WAITING_BYTES_MAX: usize = 32 << 20;

/// Open files are looked at this often, if something is written: whether they still are what they were.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Records of this node itself.
struct Own {
    source: SourceId,
    next: u64,
    /// Who waits for which.
    waiting: VecDeque<(u64, Sender<()>)>,
}

/// The thread's belongings.
pub(super) struct Thread {
    commands: Receiver<Command>,
    pub(super) retry: Retry,
    pub(super) disk: Disk,
    pub(super) files: LogFiles<WriterFrame>,
    pub(super) writers: Writers,
    /// Whose lines each open path takes now.
    pub(super) opened: BTreeMap<LogPath, (PathId, WriterId)>,
    /// The last record's source, writer and path.
    pub(super) last: Option<(SourceId, WriterId, PathId)>,
    own: Own,
    /// Rings that are there; of others nothing comes, which is to be seen to after the next flush.
    pub(super) rings: Option<BTreeSet<SourceId>>,
    pub(super) silence: Silence,
    /// Who has spoken since the last flush.
    pub(super) spoken: BTreeSet<WriterId>,
    rotates: bool,
    /// Each rotated file is noted down, for something is to be done with it.
    notes: bool,
    /// Says that there is another rotated file.
    nudge: Sender<()>,
    pub(super) syncs: bool,
    looked: Instant,
    /// Why a record was refused since the last flush, and how many were.
    pub(super) refused: Option<(String, u64)>,
    pub(super) strangers: Strangers,
    /// Where lines of a writer went that nobody has introduced, and how many records there were since the
    /// last flush.
    pub(super) aside: Option<(LogPath, u64)>,
    /// An orderly end is asked for.
    ends: bool,
}

impl Thread {
    /// Finds out what a predecessor left. `own`: under which id this node's own records stand.
    pub(super) fn begin(
        config: &Config,
        own: SourceId,
        (commands, nudge): (Receiver<Command>, Sender<()>),
        mut retry: Retry,
    ) -> Result<Self, GivenUp> {
        let disk = retry.until_done(|| Disk::open(&config.directory))?;
        let slots = retry.until_done(|| disk.slots())?;
        let slots = slots.each_ref().map(Option::as_deref);
        let stored = retry.until_done(|| disk.writers())?;
        let writers = stored.as_deref().and_then(Writers::decode);
        if stored.is_some() && writers.is_none() {
            retry.replies.send(Reply::WritersLost);
        }
        let mut thread = Self {
            files: LogFiles::new(config.settings(), WriterFrame, slots, now()),
            writers: writers.unwrap_or_default(),
            commands,
            retry,
            disk,
            opened: BTreeMap::new(),
            last: None,
            own: Own {
                source: own,
                next: 0,
                waiting: VecDeque::new(),
            },
            rings: None,
            silence: Silence::new(config.spec.silent_after),
            spoken: BTreeSet::new(),
            rotates: config.rotates(),
            notes: config.notes_closed(),
            nudge,
            syncs: config.syncs(),
            looked: clock::monotonic(),
            refused: None,
            strangers: Strangers::default(),
            aside: None,
            ends: false,
        };
        thread.carry_out()?;
        if thread.rotates {
            thread.rotate_leftovers(config)?;
        }
        Ok(thread)
    }

    /// Files that the state does not know are out of the way then.
    fn rotate_leftovers(&mut self, config: &Config) -> Result<(), GivenUp> {
        let Self {
            retry, disk, files, ..
        } = self;
        let names = retry.until_done(|| disk.names())?;
        let settings = config.settings();
        let known: Vec<String> = files.paths().map(ToString::to_string).collect();
        let known = known.iter().map(String::as_str).collect();
        let names = names.iter().map(String::as_str);
        for path in leftovers(names, &settings.extension, &settings.naming, &known) {
            if let Ok(path) = files.open(&path, &[]) {
                files.rotate(path, now());
            }
        }
        self.carry_out()
    }

    /// Writes until the loop wants nothing more, or for an orderly end.
    pub(super) fn turns(mut self) -> Result<(), GivenUp> {
        while !self.ends {
            if !self.turn()? {
                return Ok(());
            }
        }
        self.finish()
    }

    /// Takes what is there, or waits for it, and does what is due by time, whatever comes. False: nobody
    /// is left of whom anything could come.
    pub(super) fn turn(&mut self) -> Result<bool, GivenUp> {
        if self.files.waiting_bytes() > WAITING_BYTES_MAX {
            self.retry.wait(LOOK_EVERY)?;
            self.flush()?;
            self.tick()?;
            return Ok(true);
        }
        let command = match self.deadline() {
            None => self.commands.recv().map_err(RecvTimeoutError::from),
            Some(deadline) => self.commands.recv_deadline(deadline),
        };
        match command {
            Ok(command) => {
                self.take(command)?;
                self.take_more()?;
                self.flush()?;
            }
            Err(RecvTimeoutError::Timeout) if self.files.waiting_bytes() > 0 => self.flush()?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        }
        self.tick()?;
        Ok(true)
    }

    /// Does what is due by time.
    fn tick(&mut self) -> Result<(), GivenUp> {
        if self.files.next_tick().is_some_and(|due| due <= now()) {
            self.files.tick(now());
            self.carry_out()?;
        }
        let at = clock::monotonic();
        if self.silence.next().is_some_and(|due| due <= at) {
            self.listen(at);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), GivenUp> {
        if self.rotates {
            self.files.rotate_all(now());
        }
        self.files.checkpoint();
        self.carry_out()?;
        self.retry.replies.send(Reply::Finished);
        self.retry.replies.wake();
        Ok(())
    }

    /// When there is something to do though nothing comes.
    fn deadline(&self) -> Option<Instant> {
        let again = (self.files.waiting_bytes() > 0).then_some(LOOK_EVERY);
        let tick = self.files.next_tick().map(|due| {
            let left = due.nanos().saturating_sub(now().nanos());
            // What is due still could not be done.
            u64::try_from(left).map_or(LOOK_EVERY, Duration::from_nanos)
        });
        let wait = again.into_iter().chain(tick).min();
        let due = wait.and_then(|wait| clock::monotonic().checked_add(wait));
        due.into_iter().chain(self.silence.next()).min()
    }

    fn take(&mut self, command: Command) -> Result<(), GivenUp> {
        match command {
            Command::Batch(batch) => {
                for (from, to) in batch.heirs() {
                    self.writers.take_over(*from, *to);
                }
                for (sender, number, payload) in batch.records() {
                    self.take_record(sender, number, payload);
                }
            }
            Command::Own { payload, written } => {
                let number = self.own.next;
                self.own.next += 1;
                let sender = LogSender {
                    source: self.own.source,
                    is_guest: false,
                };
                if self.take_record(sender, number, &payload) {
                    self.own.waiting.push_back((number, written));
                }
            }
            Command::Rings(rings) => self.rings = Some(rings.into_iter().collect()),
            Command::Rotate { request, paths } => self.rotate(request, &paths)?,
            Command::Settings(config) => {
                self.rotates = config.rotates();
                self.notes = config.notes_closed();
                self.syncs = config.syncs();
                self.silence.set(config.spec.silent_after);
                self.last = None;
                self.files.set_settings(config.settings());
            }
            Command::Finish => self.ends = true,
        }
        Ok(())
    }

    /// Closes files when what came before stands in them.
    fn rotate(&mut self, request: u64, paths: &[LogPath]) -> Result<(), GivenUp> {
        self.flush()?;
        let wanted = |path: &LogPath| paths.is_empty() || paths.contains(path);
        let files = self.files.rotate_some(wanted, now());
        self.carry_out()?;
        let files = u32::try_from(files).unwrap_or(u32::MAX);
        self.retry.replies.send(Reply::Rotated { request, files });
        self.retry.replies.wake();
        Ok(())
    }

    /// What is there already is written together with the first.
    fn take_more(&mut self) -> Result<(), GivenUp> {
        while !self.ends && self.files.waiting_bytes() < GATHERED_BYTES_MAX {
            let Ok(command) = self.commands.try_recv() else {
                break;
            };
            self.take(command)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), GivenUp> {
        let at = clock::monotonic();
        if at.saturating_duration_since(self.looked) >= LOOK_EVERY {
            self.looked = at;
            self.files.look(now());
        }
        // Before anything of a writer is released.
        if self.writers.take_changed() {
            self.store_writers()?;
        }
        self.files.flush(now());
        self.carry_out()?;
        self.let_go();
        self.listen(at);
        if let Some((why, count)) = self.refused.take() {
            let text = format!("{why}; records={count}");
            self.retry.replies.send(Reply::Refused(text));
        }
        if let Some((path, records)) = self.aside.take() {
            self.retry.replies.send(Reply::Aside { path, records });
        }
        self.retry.replies.wake();
        Ok(())
    }

    /// Forgets rings that are gone, and writers of whom nothing can come any more.
    fn let_go(&mut self) {
        let Some(rings) = self.rings.take() else {
            return;
        };
        let own = self.own.source;
        let waits = self
            .files
            .retain(|source| source == own || rings.contains(&source));
        let forgets = if rings.is_empty() && self.own.next == 0 {
            self.writers = Writers::default();
            true
        } else {
            self.writers
                .retain(|source| source == own || rings.contains(&source))
        };
        // A writer is seen again by the next of its lines.
        self.last = None;
        if forgets {
            self.opened.clear();
        }
        self.rings = waits.then_some(rings);
    }

    /// Tells, and has done with a rotated file what is to be done. Its note lies there before the state
    /// forgets the file.
    fn on_event(&mut self, event: Event) -> Result<(), GivenUp> {
        if let Event::Rotated {
            path,
            name,
            opened,
            closed,
        } = &event
        {
            let closed = Closed {
                path: path.clone(),
                name: name.clone(),
                opened: *opened,
                closed: *closed,
            };
            let (notes, syncs) = (self.notes, self.syncs);
            let Self { retry, disk, .. } = self;
            if notes {
                retry.until_done(|| disk.note(&closed, syncs))?;
            }
            // It looks at all there is: one nudge is as good as two.
            let _ = self.nudge.try_send(());
        }
        self.retry.replies.send(Reply::Told(event));
        self.retry.replies.wake();
        Ok(())
    }

    fn carry_out(&mut self) -> Result<(), GivenUp> {
        while let Some(action) = self.files.action() {
            let outcome = match action {
                Action::Release { source, below } if *source == self.own.source => {
                    self.own.were_written(*below);
                    Outcome::Done
                }
                Action::Release { source, below } => {
                    let (source, below) = (*source, *below);
                    let released = Reply::Released { source, below };
                    self.retry.replies.send(released);
                    Outcome::Done
                }
                Action::Report(event) => {
                    let event = event.clone();
                    self.on_event(event)?;
                    Outcome::Done
                }
                action @ (Action::Inspect { .. }
                | Action::Read { .. }
                | Action::Create { .. }
                | Action::Write { .. }
                | Action::Truncate { .. }
                | Action::Rename { .. }
                | Action::Sync { .. }
                | Action::SyncDirectories
                | Action::Store { .. }) => {
                    let acted = self.disk.act(action);
                    if self.disk.lacks_writers() {
                        self.store_writers()?;
                    }
                    match self.retry.tried(acted)? {
                        Some(outcome) => outcome,
                        None => continue,
                    }
                }
            };
            self.files.done(outcome);
        }
        Ok(())
    }
}

impl Own {
    fn were_written(&mut self, below: u64) {
        let is_written = |(number, _): &(u64, _)| *number < below;
        while self.waiting.front().is_some_and(is_written)
            && let Some((_, written)) = self.waiting.pop_front()
        {
            // Whoever asked may have waited long enough.
            let _ = written.send(());
        }
    }
}

fn now() -> Timestamp {
    clock::wall().into()
}

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod kills;

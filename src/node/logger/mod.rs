//! A node that writes logs: records out of the rings, by a thread of their own, into files.
//!
//! Duty: takes the messages of [`crate::logging::message`], has the writer thread write their lines,
//! and releases each record when it stands. Owns: the thread, and through it the logger's directory.
//! Leaves to others: which files there are, and how they survive a death
//! ([`crate::logging::files`]).
//!
//! The loop never waits for the disk but for a record of this node itself, once until it works again
//! ([`own`]). Batches go to the thread by a bounded channel; when that is full,
//! bulk rings are [held](Cluster::hold_bulk), so that they fill, and whoever writes into them waits or
//! drops, as the layout says. The thread wakes the loop when something was written.

mod archive;
mod closing;
mod config;
mod disk;
mod own;
mod retry;
mod taking;
mod tell;
mod thread;
mod words;

pub(super) use disk::identity_of;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use mio::Waker;

use super::cluster::{Cluster, LocalSink};
use super::endpoint::{Handling, Receipt, Record};
use super::say::say;
use crate::control::node::FromNode;
use crate::fabric::Class;
use crate::logging::LogPath;
use crate::logging::files::SourceId;
use crate::logging::writers::Sender as LogSender;
use crate::sys::random;
use closing::Closing;
use config::Config;

use own::OwnRecords;
use retry::{Replies, Retry};
use tell::Telling;
use thread::Thread;
use words::{BATCH_BYTES, BATCHES_MAX, Batch, Command, Reply};

const STACK_BYTES: usize = 512 * 1024;

/// An orderly end takes no longer, and that of taking what is left in the rings no longer than this.
const END_LIMIT: Duration = Duration::from_secs(5);
const DRAIN_LIMIT: Duration = Duration::from_secs(4);

/// The loop's side.
#[derive(Debug)]
pub(super) struct Logger {
    commands: Sender<Command>,
    replies: Receiver<Reply>,
    /// Dropped with the rest: then the threads give up what they try in vain.
    _stop: Sender<()>,
    thread: JoinHandle<()>,
    config: Config,
    /// What becomes of rotated files.
    closing: Closing,
    batch: Batch,
    /// The channel took no more.
    is_full: bool,
    /// By ring, the last record of it.
    receipts: BTreeMap<SourceId, Receipt>,
    /// Which rings the thread knows of.
    rings_version: Option<u64>,
    /// Messages on control rings that found no room.
    dropped: u64,
    /// What is asked, and waits for the batch before it.
    asked: Option<Command>,
    /// What is to be answered.
    answers: Vec<FromNode>,
    telling: Telling,
    is_finished: bool,
}

impl Logger {
    /// Starts the thread. `waker` is woken when there is something to do for [`Logger::turn`]. What comes
    /// besides takes the records of this node itself, and waits for each, so long at most.
    ///
    /// # Errors
    /// The system's, when it has no thread left.
    pub(super) fn start(
        cluster: &Cluster,
        directory: &Path,
        waker: Arc<Waker>,
    ) -> io::Result<(Self, impl LocalSink + use<>)> {
        let config = Config::of(cluster, directory);
        let (commands, inbox) = crossbeam_channel::bounded(BATCHES_MAX);
        let (sender, replies) = crossbeam_channel::unbounded();
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let to_loop = Replies { sender, waker };
        let retry = Retry::new(to_loop.clone(), stopped.clone());
        let mut closing = Closing::new(to_loop, stopped);
        closing.begin(&config)?;
        let nudge = closing.nudge();
        let mut id = [0; size_of::<u128>()];
        random::fill(&mut id)?;
        let own = SourceId(u128::from_le_bytes(id));
        let told = config.clone();
        let thread = Builder::new()
            .name("log-writer".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let thread = Thread::begin(&told, own, (inbox, nudge), retry);
                // If it was given up, nobody is left who could be told.
                let _ = thread.and_then(Thread::turns);
            })?;
        let own = OwnRecords::new(commands.clone(), cluster.block());
        let logger = Self {
            commands,
            replies,
            _stop: stop,
            thread,
            config,
            closing,
            batch: Batch::default(),
            is_full: false,
            receipts: BTreeMap::new(),
            rings_version: None,
            dropped: 0,
            asked: None,
            answers: Vec::new(),
            telling: Telling::default(),
            is_finished: false,
        };
        Ok((logger, own))
    }

    /// Takes a message that came.
    pub(super) fn take(&mut self, cluster: &mut Cluster, record: &Record<'_>) -> Handling {
        let receipt = record.receipt;
        if self.is_full && receipt.class == Class::Control {
            // Lines go by bulk rings. What comes by another cannot be held, and not be waited for.
            self.dropped += 1;
            return Handling::Done;
        }
        let sender = LogSender {
            source: SourceId(record.ring.0),
            is_guest: record.from_guest,
        };
        if self.receipts.insert(sender.source, receipt).is_none() {
            self.tell_of_heir(sender.source, receipt);
        }
        self.batch.push(sender, receipt.number, record.payload);
        if self.batch.bytes() >= BATCH_BYTES {
            self.send_batch();
            cluster.hold_bulk(self.is_full);
        }
        Handling::Keep
    }

    /// Does what the thread has made possible, and hands it what has come. Behind each dispatch.
    ///
    /// # Errors
    /// The thread is gone.
    pub(super) fn turn(&mut self, cluster: &mut Cluster) -> io::Result<()> {
        while let Ok(reply) = self.replies.try_recv() {
            self.on_reply(reply, cluster);
        }
        if !self.batch.is_empty() {
            self.send_batch();
            cluster.hold_bulk(self.is_full);
        }
        self.follow_layout(cluster)?;
        self.pass_on();
        self.tell_of_rings(cluster);
        self.telling.report(cluster);
        if self.dropped > 0 {
            let records = std::mem::take(&mut self.dropped);
            say(
                "log_records_refused",
                &format_args!("why=\"they came by control rings\" records={records}"),
            );
        }
        let is_gone = self.replies.is_empty() && !self.is_finished && self.thread.is_finished();
        match is_gone {
            true => Err(io::Error::other("the thread that writes logs is gone")),
            false => Ok(()),
        }
    }

    /// Has files rotated, as soon as the thread comes to it.
    pub(super) fn rotate(&mut self, request: u64, paths: Vec<LogPath>) {
        let last = self.asked.replace(Command::Rotate { request, paths });
        if let Some(Command::Rotate { request, .. }) = last {
            let files = Err("it was asked again before it came to it".to_owned());
            self.answers.push(FromNode::Rotated { request, files });
        }
    }

    /// What the supervisor is to be answered.
    pub(super) fn answers(&mut self) -> Vec<FromNode> {
        std::mem::take(&mut self.answers)
    }

    /// What the layout says of logs may be something else by now.
    fn follow_layout(&mut self, cluster: &Cluster) -> io::Result<()> {
        let config = Config::of(cluster, &self.config.directory);
        if config == self.config {
            return Ok(());
        }
        let settings = Command::Settings(Box::new(config.clone()));
        // Without room for it now there is another turn when the thread has made some.
        if self.commands.try_send(settings).is_ok() {
            self.closing.begin(&config)?;
            self.config = config;
        }
        Ok(())
    }

    /// The command has ended for the file of this request.
    pub(super) fn processed(&self, request: u64) {
        self.closing.processed(request);
    }

    /// Asks the thread, behind the last batch.
    fn pass_on(&mut self) {
        if self.batch.is_empty()
            && let Some(asked) = self.asked.take()
            && let Err(TrySendError::Full(asked)) = self.commands.try_send(asked)
        {
            self.asked = Some(asked);
        }
    }

    /// A ring is new: if it goes on for another one of the same sender, the thread is to know. In the
    /// same batch, so that it knows before the first record.
    fn tell_of_heir(&mut self, to: SourceId, receipt: Receipt) {
        let link = |receipt: &Receipt| (receipt.from, receipt.class);
        let of_link = |(source, last): &(&SourceId, &Receipt)| {
            link(last) == link(&receipt) && last.index < receipt.index && **source != to
        };
        let former = self.receipts.iter().filter(of_link);
        if let Some((from, _)) = former.max_by_key(|(_, last)| last.index) {
            self.batch.take_over(*from, to);
        }
    }

    fn send_batch(&mut self) {
        let batch = Command::Batch(std::mem::take(&mut self.batch));
        self.is_full = match self.commands.try_send(batch) {
            Ok(()) => false,
            Err(
                TrySendError::Full(Command::Batch(batch))
                | TrySendError::Disconnected(Command::Batch(batch)),
            ) => {
                self.batch = batch;
                true
            }
            Err(_) => true,
        };
    }

    /// Rings that are gone need not be remembered. Behind the last batch, so that it is known by then.
    fn tell_of_rings(&mut self, cluster: &Cluster) {
        let version = cluster.rings_version();
        if self.rings_version == Some(version) || !self.batch.is_empty() {
            return;
        }
        let rings: Vec<SourceId> = cluster.rings().map(|ring| SourceId(ring.0)).collect();
        self.receipts.retain(|source, _| rings.contains(source));
        if self.commands.try_send(Command::Rings(rings)).is_ok() {
            self.rings_version = Some(version);
        }
    }

    fn on_reply(&mut self, reply: Reply, cluster: &mut Cluster) {
        match reply {
            Reply::Released { source, below } => {
                if let Some(last) = self.receipts.get(&source) {
                    cluster.release(Receipt {
                        number: below.saturating_sub(1),
                        ..*last
                    });
                }
            }
            Reply::Told(event) => self.telling.told(&event),
            Reply::Refused(why) => say("log_records_refused", &format_args!("why={why:?}")),
            Reply::Aside { path, records } => say(
                "log_writer_unknown",
                &format_args!("path={path} records={records}"),
            ),
            Reply::WritersLost => say("log_writers_lost", &format_args!("")),
            Reply::Failing(why) => self.telling.failing(&why),
            Reply::Works => self.telling.works(),
            Reply::Rotated { request, files } => {
                let files = Ok(files);
                self.answers.push(FromNode::Rotated { request, files });
            }
            Reply::NotPacked { name, why } => self.telling.not_packed(&name, &why),
            Reply::Silent(silent) => {
                self.telling.silent(&silent);
                self.answers.push(FromNode::Silent {
                    stream: silent.stream,
                    path: silent.path,
                    lasts: silent.lasts,
                });
            }
            Reply::Closed {
                request,
                closed,
                is_ending,
            } => self.answers.push(FromNode::Closed {
                request,
                closed,
                is_ending,
            }),
            Reply::Archived => self.closing.is_finished = true,
            Reply::Finished => self.is_finished = true,
        }
    }

    /// Is everything that came with the thread?
    pub(super) fn is_idle(&self) -> bool {
        self.batch.is_empty() && !self.is_full
    }

    /// Waits for the thread, at most until then.
    pub(super) fn wait(&mut self, cluster: &mut Cluster, until: Instant) {
        if let Ok(reply) = self.replies.recv_deadline(until) {
            self.on_reply(reply, cluster);
        }
    }

    /// Has all written and released, and the files closed as the layout says. False: not in time.
    pub(super) fn finish(&mut self, cluster: &mut Cluster, until: Instant) -> bool {
        let sent = self.commands.send_deadline(Command::Finish, until).is_ok();
        while sent && !self.is_finished {
            match self.replies.recv_deadline(until) {
                Ok(reply) => self.on_reply(reply, cluster),
                Err(_) => break,
            }
        }
        self.closing.finish();
        self.is_finished
    }

    /// Behind the end: what there is to tell of rotated files. False: nothing more will come.
    pub(super) fn turn_behind_the_end(&mut self, cluster: &mut Cluster) -> bool {
        while let Ok(reply) = self.replies.try_recv() {
            self.on_reply(reply, cluster);
        }
        !self.closing.is_finished
    }
}

/// When an orderly end that begins now is over: the taking of what is left, and all of it.
pub(super) fn limits(now: Instant) -> (Instant, Instant) {
    (now + DRAIN_LIMIT, now + END_LIMIT)
}

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests;

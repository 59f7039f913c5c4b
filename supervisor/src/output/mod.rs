//! What the nodes say: the thread that reads it, the files it is kept in, the console it is shown on.
//!
//! Owns: the read end of every output pipe, from the birth of a node until its last descendant has
//! closed it, so that last words are read even when the stem died too; the output files; the rings
//! of last lines. Tells the main loop what happened as [`Note`]s, takes [`Command`]s, and decides
//! nothing.
//!
//! Never: throws output away while the disk takes it. This thread may wait for a disk; meanwhile the
//! pipes fill and the nodes wait, and the main loop goes on. A console that does not keep up costs
//! lines on the console only.
//!
//! * [`thread`], [`orders`] – the loop, and what it is asked to do
//! * [`node`] – one node's pipes, files and rings
//! * [`lines`], [`tail`], [`follow`] – pure: cutting, keeping, reading along
//! * [`mod@file`], [`place`] – appending, rotation, what a full disk costs
//! * [`pids`] – pid files
//! * [`outlet`], [`console`] – the operator's view, each behind a queue that drops
//! * [`crash`] – evidence

mod console;
mod crash;
mod file;
mod follow;
mod lines;
mod node;
mod orders;
mod outlet;
mod pids;
mod place;
mod tail;
#[cfg(test)]
mod tests;
mod thread;

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use cluster::control::reply::{LogLine, Stream};
use cluster::names::{Incarnation, NodeName};
use crossbeam_channel::Sender;
use mio::Waker;

pub(crate) use console::{Console, ConsoleLog, SupervisorLog};
pub(crate) use crash::CrashFacts;
pub(crate) use file::{LossState, Rotation};
pub(crate) use follow::{FollowerId, Wanted};

/// Called after notes were sent: wakes the main loop's poll.
pub(crate) type Notify = Box<dyn Fn() + Send>;

/// What the layout says about output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// When files are rotated.
    pub(crate) rotation: Rotation,
    /// Longer lines are cut.
    pub(crate) line_bytes_max: usize,
    /// So many crash reports of a node are kept; 0: none is written.
    pub(crate) crash_keep: u32,
}

/// What the thread needs from the start.
pub(crate) struct Config {
    /// What the layout says.
    pub(crate) settings: Settings,
    /// `crash` in the run directory.
    pub(crate) crash_dir: PathBuf,
    /// Where lines are shown.
    pub(crate) console: Console,
    /// Where notes go. Unbounded, because notes are as rare as births and deaths; lines for those
    /// who read along are held back while many notes wait.
    pub(crate) notes: Sender<Note>,
    /// Called after notes went.
    pub(crate) notify: Notify,
}

/// From the main loop to the output thread.
#[derive(Debug)]
pub(crate) enum Command {
    /// A child was born. Its files are opened at its first words, and made where there are none.
    Attach {
        /// Who.
        node: NodeName,
        /// Which birth.
        incarnation: Incarnation,
        /// The read end of its standard output.
        stdout: OwnedFd,
        /// The read end of its standard error.
        stderr: OwnedFd,
        /// Where standard output is appended.
        stdout_file: PathBuf,
        /// Where standard error is appended; may be the same.
        stderr_file: PathBuf,
        /// User and group that new files belong to; `None`: the supervisor's own.
        owner: Option<(u32, u32)>,
        /// Its process, and the file that is to say so while it lives.
        pid: i32,
        /// See there.
        pid_file: PathBuf,
    },
    /// A helper of a node was born: its output goes into the node's stderr file.
    AttachHelper {
        /// For whom.
        node: NodeName,
        /// What for, as the console shows it: `on_crash`.
        label: String,
        /// The read end of its output.
        output: OwnedFd,
        /// As for the node.
        stderr_file: PathBuf,
        /// As for the node.
        owner: Option<(u32, u32)>,
    },
    /// The main process of a birth ended. What lies in its pipes is read at once. A pipe
    /// that a descendant still holds is read on.
    Gone {
        /// Who.
        node: NodeName,
        /// Which birth.
        incarnation: Incarnation,
        /// Its pid file, to be removed.
        pid_file: Option<PathBuf>,
        /// If it crashed: what to write down beside its last lines.
        crash: Option<Box<CrashFacts>>,
    },
    /// The node is no longer in the layout: what lies in its pipes is read, then everything of it
    /// but its files is dropped.
    Forget(NodeName),
    /// Open all output files again by their names.
    Reopen,
    /// The layout changed.
    Settings(Settings),
    /// The last lines, answered with [`Note::Tail`].
    Tail {
        /// Comes back in the answer.
        request: u64,
        /// Whose.
        wanted: Wanted,
        /// At most so many of each stream of each node.
        lines: usize,
        /// None older than this.
        since: Option<SystemTime>,
    },
    /// The last lines and, without a gap, all that follow, as [`Note::Lines`].
    Follow {
        /// Comes back with the lines.
        id: FollowerId,
        /// Whose.
        wanted: Wanted,
        /// At most so many old ones of each stream of each node.
        lines: usize,
        /// None older than this.
        since: Option<SystemTime>,
        /// While true nothing is sent: the client does not take it. After setting it back to false
        /// call [`Output::wake`].
        held: Arc<AtomicBool>,
    },
    /// That one reads no more.
    Unfollow(FollowerId),
    /// Read everything that lies in the pipes, then end, at the latest after this time. The last
    /// note is [`Note::Finished`].
    Finish {
        /// After this long what is left is given up.
        within: Duration,
    },
}

/// From the output thread to the main loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// Lines for one who reads along, at most 512.
    Lines {
        /// Who.
        to: FollowerId,
        /// In the order they were read.
        lines: Vec<LogLine>,
        /// So many are missing behind them.
        dropped: u64,
    },
    /// The answer to [`Command::Tail`].
    Tail {
        /// The request's number.
        request: u64,
        /// In the order of time.
        lines: Vec<LogLine>,
    },
    /// Output could not be written, or can again.
    Lost {
        /// Whose.
        node: NodeName,
        /// Which stream.
        stream: Stream,
        /// How it stands.
        state: LossState,
        /// Lost bytes of this stream in all, while the supervisor lives.
        bytes_total: u64,
        /// The system's answer.
        why: String,
    },
    /// A file became `….1`, and a new one was begun.
    Rotated {
        /// Whose.
        node: NodeName,
        /// Which stream.
        stream: Stream,
    },
    /// A crash report was written.
    CrashWritten {
        /// Whose.
        node: NodeName,
        /// The directory that holds it.
        dir: PathBuf,
    },
    /// A crash report could not be written; the crash itself is known to the main loop.
    CrashLost {
        /// Whose.
        node: NodeName,
        /// What was done, and the system's answer.
        why: String,
    },
    /// Something failed and the thread goes on.
    Problem {
        /// For whom, if for one node.
        node: Option<NodeName>,
        /// What was done, and the system's answer.
        text: String,
    },
    /// The thread ends.
    Finished {
        /// Pipes that still held something when the time had passed.
        unread: usize,
    },
}

/// The main loop's hold on the output thread. Dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Output {
    commands: Sender<Command>,
    /// Something was sent since the last kick.
    fresh: Cell<bool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Output {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no more descriptors or threads.
    pub(crate) fn start(config: Config) -> io::Result<Self> {
        // Unbounded: commands are as rare as births and deaths.
        let (commands, inbox) = crossbeam_channel::unbounded();
        let (thread, waker) = thread::start(config, inbox)?;
        Ok(Self {
            commands,
            fresh: Cell::new(false),
            waker,
            thread: Some(thread),
        })
    }

    /// Gives the thread something to do, at the next [`Output::kick`]. Never waits. After
    /// [`Command::Finish`] commands are ignored.
    pub(crate) fn send(&self, command: Command) {
        if self.commands.send(command).is_ok() {
            self.fresh.set(true);
        }
    }

    /// The end of a turn of the main loop: wakes the thread if it was given something.
    pub(crate) fn kick(&self) {
        if self.fresh.take() {
            self.wake();
        }
    }

    /// Makes the thread look again at who is held back.
    pub(crate) fn wake(&self) {
        // Fails only when the counter is full, and then the thread is awake.
        let _ = self.waker.wake();
    }

    /// Waits for the thread's end. Only after [`Note::Finished`]: a disk may hold it up for ever.
    pub(crate) fn join(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it does not panic; were it to, there is nothing left to do
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.send(Command::Finish {
            within: Duration::ZERO,
        });
        self.kick();
    }
}

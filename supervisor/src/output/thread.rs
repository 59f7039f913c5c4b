//! The output thread's loop: wait, obey, read, tell.
//!
//! Owns: its poll, and through [`Node`] and [`Pipe`] every pipe and file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use cluster::names::{Incarnation, NodeName};
use crossbeam_channel::{Receiver, Sender};
use mio::{Events, Poll, Token, Waker};

use super::file::{AppendFile, Appending, FileEvent};
use super::follow::Followers;
use super::node::{Desk, Node, Pipe, Speaker, Turn};
use super::orders::speaker;
use super::pids::PidFiles;
use super::{Command, Config, Note, Notify};

const WAKER: Token = Token(usize::MAX);

/// One read; all pipes share the room.
const READ_BYTES: usize = 64 * 1024;

/// After so much from one pipe it is the next one's turn.
const TURN_BYTES_MAX: usize = 256 * 1024;

/// While so many notes wait for the main loop, those who read along wait too.
const NOTES_WAITING_MAX: usize = 32;

/// How soon those who wait are looked at again.
const FOLLOW_RETRY: Duration = Duration::from_millis(20);

/// How soon a full disk is tried again.
const LOSS_RETRY: Duration = Duration::from_secs(1);

const STACK_BYTES: usize = 256 * 1024;

/// Starts the thread.
pub(super) fn start(
    config: Config,
    inbox: Receiver<Command>,
) -> io::Result<(JoinHandle<()>, Arc<Waker>)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let (now, clock) = moment_now();
    let reader = Reader {
        poll,
        inbox,
        nodes: BTreeMap::new(),
        pids: PidFiles::default(),
        pipes: BTreeMap::new(),
        next_pipe: 0,
        queue: VecDeque::new(),
        losing: BTreeSet::new(),
        loss_retry: now,
        desk: Desk {
            settings: config.settings,
            console: config.console,
            followers: Followers::default(),
            events: Vec::new(),
            now,
            clock,
        },
        crash_dir: config.crash_dir,
        notes: Notes {
            sender: config.notes,
            notify: config.notify,
            fresh: false,
        },
        finish_at: None,
    };
    let thread = Builder::new()
        .name("output".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || reader.run())?;
    Ok((thread, waker))
}

#[expect(clippy::disallowed_methods, reason = "the one clock of this loop")]
fn moment_now() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}

/// The way to the main loop.
pub(super) struct Notes {
    sender: Sender<Note>,
    notify: Notify,
    fresh: bool,
}

impl Notes {
    pub(super) fn send(&mut self, note: Note) {
        // Nobody there: the main loop is ending, and has what it wanted to know.
        self.fresh |= self.sender.send(note).is_ok();
    }

    fn flush(&mut self) {
        if std::mem::take(&mut self.fresh) {
            (self.notify)();
        }
    }

    pub(super) fn problem(&mut self, node: Option<&NodeName>, what: &str, error: &io::Error) {
        self.send(Note::Problem {
            node: node.cloned(),
            text: format!("{what}: {error}"),
        });
    }
}

/// The thread's belongings.
pub(super) struct Reader {
    pub(super) poll: Poll,
    inbox: Receiver<Command>,
    pub(super) nodes: BTreeMap<NodeName, Box<Node>>,
    pub(super) pids: PidFiles,
    pub(super) pipes: BTreeMap<usize, Box<Pipe>>,
    /// Numbers are never used twice, so that a late event meets nobody.
    pub(super) next_pipe: usize,
    /// Pipes that may hold something.
    queue: VecDeque<usize>,
    /// Nodes whose files lose bytes.
    pub(super) losing: BTreeSet<NodeName>,
    loss_retry: Instant,
    pub(super) desk: Desk,
    pub(super) crash_dir: PathBuf,
    pub(super) notes: Notes,
    pub(super) finish_at: Option<Instant>,
}

impl Reader {
    fn run(mut self) {
        let mut scratch = vec![0; READ_BYTES];
        let mut events = Events::with_capacity(256);
        loop {
            if let Err(error) = self.poll.poll(&mut events, self.timeout())
                && error.kind() != io::ErrorKind::Interrupted
            {
                self.notes.problem(None, "wait for output", &error);
                self.finish_at = Some(self.desk.now);
            }
            (self.desk.now, self.desk.clock) = moment_now();
            for event in &events {
                if event.token() != WAKER {
                    self.queue(event.token().0);
                }
            }
            while let Ok(command) = self.inbox.try_recv() {
                self.on_command(command, &mut scratch);
            }
            self.serve(&mut scratch);
            self.retry_lost();
            self.write_pids();
            self.send_to_followers();
            if self.finished() {
                return self.end();
            }
            self.desk.console.kick();
            self.notes.flush();
        }
    }

    fn write_pids(&mut self) {
        for (node, error) in self.pids.write_due(self.desk.now) {
            self.notes
                .problem(Some(&node), "write its pid file", &error);
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.queue.is_empty() || self.finish_at.is_some() {
            return Some(Duration::ZERO);
        }
        let follow = self.desk.followers.could_send().then_some(FOLLOW_RETRY);
        let loss = (!self.losing.is_empty()).then_some(LOSS_RETRY);
        let pids = self.pids.next_deadline();
        let pids = pids.map(|at| at.saturating_duration_since(self.desk.now));
        [follow, loss, pids].into_iter().flatten().min()
    }

    pub(super) fn queue(&mut self, number: usize) {
        // A pipe that is gone meanwhile: its event is late, and means nothing.
        if let Some(pipe) = self.pipes.get_mut(&number)
            && !std::mem::replace(&mut pipe.queued, true)
        {
            self.queue.push_back(number);
        }
    }

    /// Every pipe that waits gets one turn.
    fn serve(&mut self, scratch: &mut [u8]) {
        for _ in 0..self.queue.len() {
            let Some(number) = self.queue.pop_front() else {
                return;
            };
            if let Some(pipe) = self.pipes.get_mut(&number) {
                pipe.queued = false;
            }
            match self.read(number, scratch, TURN_BYTES_MAX) {
                Turn::Idle => {}
                Turn::More => self.queue(number),
                Turn::Ended => self.close(number),
            }
        }
    }

    fn read(&mut self, number: usize, scratch: &mut [u8], bytes_max: usize) -> Turn {
        let Some(pipe) = self.pipes.get_mut(&number) else {
            return Turn::Idle;
        };
        let Some(node) = self.nodes.get_mut(&pipe.from.node) else {
            return Turn::Ended;
        };
        let turn = pipe.turn(number, node, &mut self.desk, scratch, bytes_max);
        let events = self.desk.events.drain(..);
        tell(events, &pipe.from, &mut self.losing, &mut self.notes);
        turn
    }

    pub(super) fn close(&mut self, number: usize) {
        let Some(mut pipe) = self.pipes.remove(&number) else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(&pipe.from.node) {
            pipe.end_line(node, &mut self.desk);
            node.pipes.retain(|other| *other != number);
        }
        // Should this fail, the descriptor is closed all the same, and with it what was registered.
        let _ = self.poll.registry().deregister(pipe.end());
    }

    pub(super) fn pipes_of(&self, node: &NodeName) -> Vec<usize> {
        let found = self.nodes.get(node);
        found.map(|node| node.pipes.clone()).unwrap_or_default()
    }

    /// Reads what lies in these pipes now; not what is written meanwhile.
    pub(super) fn drain(&mut self, numbers: &[usize], scratch: &mut [u8]) {
        for number in numbers {
            let Some(pipe) = self.pipes.get_mut(number) else {
                continue;
            };
            let bytes_max = pipe.capacity();
            match self.read(*number, scratch, bytes_max) {
                Turn::Idle => {}
                Turn::More => self.queue(*number),
                Turn::Ended => self.close(*number),
            }
            if let Some(pipe) = self.pipes.get_mut(number)
                && let Some(node) = self.nodes.get_mut(&pipe.from.node)
            {
                pipe.end_line(node, &mut self.desk);
                pipe.left_behind = true;
            }
        }
    }

    /// A node that has nothing more to say should still learn, in its file, what was lost.
    fn retry_lost(&mut self) {
        let waited = self.desk.now.duration_since(self.loss_retry);
        if self.losing.is_empty() || waited < LOSS_RETRY {
            return;
        }
        self.loss_retry = self.desk.now;
        self.on_losing(AppendFile::retry);
    }

    fn on_losing(&mut self, act: fn(&mut AppendFile, &mut Appending<'_>)) {
        for name in self.losing.clone() {
            let Some(node) = self.nodes.get_mut(&name) else {
                continue;
            };
            for (stream, file) in node.files() {
                act(file, &mut self.desk.appending());
                let from = speaker(&name, Incarnation::default(), stream, None);
                let events = self.desk.events.drain(..);
                tell(events, &from, &mut self.losing, &mut self.notes);
            }
            if !node.files().any(|(_, file)| AppendFile::is_losing(file)) {
                self.losing.remove(&name);
            }
        }
    }

    fn send_to_followers(&mut self) {
        if self.notes.sender.len() >= NOTES_WAITING_MAX {
            return;
        }
        let notes = &mut self.notes;
        self.desk.followers.flush(|to, lines, dropped| {
            notes.send(Note::Lines { to, lines, dropped });
            notes.sender.len() < NOTES_WAITING_MAX
        });
    }

    fn finished(&self) -> bool {
        self.finish_at
            .is_some_and(|at| self.queue.is_empty() || self.desk.now >= at)
    }

    fn end(mut self) {
        let unread = self.queue.len();
        for number in self.pipes.keys().copied().collect::<Vec<_>>() {
            self.close(number);
        }
        self.on_losing(AppendFile::give_up);
        self.send_to_followers();
        self.notes.send(Note::Finished { unread });
        self.notes.flush();
    }
}

fn tell(
    events: impl Iterator<Item = FileEvent>,
    from: &Speaker,
    losing: &mut BTreeSet<NodeName>,
    notes: &mut Notes,
) {
    let (node, stream) = (&from.node, from.stream);
    for event in events {
        match event {
            FileEvent::Loss { state, total, why } => {
                losing.insert(node.clone()); // taken out when all its files are well again
                notes.send(Note::Lost {
                    node: node.clone(),
                    stream,
                    state,
                    bytes_total: total,
                    why,
                });
            }
            FileEvent::Rotated => notes.send(Note::Rotated {
                node: node.clone(),
                stream,
            }),
            FileEvent::RotationFailed(why) => notes.send(Note::Problem {
                node: Some(node.clone()),
                text: format!("rotate output file: {why}"),
            }),
        }
    }
}

//! A bounded queue of bytes with a thread behind it that may wait as long as it likes.
//!
//! Owns: what it writes to, our own standard output or error, or `supervisor.log`. Whoever puts
//! lines in never waits: when the queue is full, lines are dropped and counted, and once there is
//! room again a line says how many.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::file::{AppendFile, Appending, Rotation};

/// Lines of nodes are dropped beyond so many waiting bytes.
pub(super) const QUEUE_BYTES_MAX: usize = 1024 * 1024;

/// Our own lines find room when those of the nodes no longer do.
pub(super) const QUEUE_BYTES_RESERVE: usize = 128 * 1024;

/// What a pipe takes whole: when it is writable at all, so much does not block.
const WRITE_BYTES_MAX: usize = 4096;

/// A queue that grew beyond this gives its memory back.
const IDLE_BYTES_MAX: usize = 4 * 1024;

/// A log file that lost something tries again after so long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

const STACK_BYTES: usize = 128 * 1024;

/// What an outlet writes to.
#[derive(Debug)]
pub(super) enum Target {
    /// A terminal, a pipe or a file that others share: taken as it is.
    Stdio(File),
    /// A file of our own.
    Log(AppendFile),
}

/// The end that takes lines. Cloned freely; the thread ends when the last clone is gone.
#[derive(Clone, Debug)]
pub(super) struct Outlet(Arc<Handle>);

#[derive(Debug)]
struct Handle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    emptied: Condvar,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Queue {
    bytes: Vec<u8>,
    /// Dropped since the last notice.
    untold: u64,
    rotation: Rotation,
    reopen: bool,
    /// The thread sleeps.
    waiting: bool,
    /// Nobody reads any more.
    closed: bool,
    /// Nobody writes any more.
    closing: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.queue().closing = true;
        self.0.filled.notify_one();
    }
}

impl Outlet {
    /// Starts the thread. Dropped lines are counted in `dropped`.
    pub(super) fn start(
        name: &str,
        target: Target,
        rotation: Rotation,
        dropped: Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                bytes: Vec::new(),
                untold: 0,
                rotation,
                reopen: false,
                waiting: false,
                closed: false,
                closing: false,
            }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            dropped,
        });
        let for_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || drain(&for_thread, target))?;
        Ok(Self(Arc::new(Handle(shared))))
    }

    /// Queues one line given in parts (its newline among them), or drops it. Never waits, and wakes nobody:
    /// that is for [`Outlet::kick`], once a turn of the caller's loop.
    pub(super) fn push(&self, parts: &[&[u8]], bytes_max: usize) {
        let shared = &self.0.0;
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut queue = shared.queue();
        if queue.closed {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // Once lines are missing, none may slip in before the notice.
        if queue.untold > 0 || queue.bytes.len() + length > bytes_max {
            queue.untold += 1;
            shared.dropped.fetch_add(1, Ordering::Relaxed);
        } else {
            for part in parts {
                queue.bytes.extend_from_slice(part);
            }
        }
    }

    /// Wakes the thread if there is something for it.
    pub(super) fn kick(&self) {
        let queue = self.0.0.queue();
        if !queue.bytes.is_empty() || queue.untold > 0 {
            self.0.0.wake(queue);
        }
    }

    /// Opens the log file again, by its name.
    pub(super) fn reopen(&self) {
        let mut queue = self.0.0.queue();
        queue.reopen = true;
        self.0.0.wake(queue);
    }

    /// Changes when the log file is rotated.
    pub(super) fn set_rotation(&self, rotation: Rotation) {
        self.0.0.queue().rotation = rotation;
    }

    /// Waits until everything is written or `deadline` has come; true: everything is.
    pub(super) fn flush(&self, deadline: Instant) -> bool {
        self.kick();
        let shared = &self.0.0;
        let mut queue = shared.queue();
        loop {
            if queue.closed || (queue.waiting && queue.bytes.is_empty() && queue.untold == 0) {
                return true;
            }
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() {
                return false;
            }
            queue = shared
                .emptied
                .wait_timeout(queue, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Shared {
    /// Counts lines that were queued and will not be shown.
    fn lose(&self, bytes: &[u8]) {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }

    fn wake(&self, queue: MutexGuard<'_, Queue>) {
        let sleeps = queue.waiting;
        drop(queue);
        if sleeps {
            self.filled.notify_one();
        }
    }
}

/// What the thread takes out of the queue in one go.
struct Batch {
    bytes: Vec<u8>,
    rotation: Rotation,
    reopen: bool,
}

/// The thread: takes all there is, writes it, until nobody is left on either side.
fn drain(shared: &Shared, mut target: Target) {
    let mut spare = Vec::new();
    while let Some(batch) = next_batch(shared, spare, &target) {
        let open = write_batch(shared, &mut target, &batch);
        if !open {
            let mut queue = shared.queue();
            let never_shown = std::mem::take(&mut queue.bytes);
            queue.closed = true;
            shared.lose(&never_shown);
            shared.emptied.notify_all();
            return;
        }
        spare = batch.bytes;
    }
}

fn next_batch(shared: &Shared, mut spare: Vec<u8>, target: &Target) -> Option<Batch> {
    spare.clear();
    spare.shrink_to(IDLE_BYTES_MAX);
    let mut queue = shared.queue();
    while queue.bytes.is_empty() && queue.untold == 0 && !queue.reopen {
        if queue.closing {
            return None;
        }
        queue.waiting = true;
        shared.emptied.notify_all();
        let mut late = false;
        if matches!(target, Target::Log(file) if file.is_losing()) {
            let (woken, timeout) = shared
                .filled
                .wait_timeout(queue, RETRY_AFTER)
                .unwrap_or_else(PoisonError::into_inner);
            (queue, late) = (woken, timeout.timed_out());
        } else {
            queue = shared
                .filled
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        queue.waiting = false;
        if late {
            break;
        }
    }
    let mut bytes = std::mem::replace(&mut queue.bytes, spare);
    let missing = std::mem::take(&mut queue.untold);
    if missing > 0 {
        let notice = format!("[supervisor] {missing} lines were not shown here\n");
        bytes.extend_from_slice(notice.as_bytes());
    }
    Some(Batch {
        bytes,
        rotation: queue.rotation,
        reopen: std::mem::take(&mut queue.reopen),
    })
}

/// False: the target is gone for good.
fn write_batch(shared: &Shared, target: &mut Target, batch: &Batch) -> bool {
    match target {
        Target::Stdio(file) => write_stdio(shared, file, &batch.bytes),
        Target::Log(file) => {
            if batch.reopen {
                // Should this fail, the next write tries again and counts what it cannot write.
                let _ = file.open();
            }
            let mut events = Vec::new();
            let mut to = Appending {
                rotation: batch.rotation,
                now: now(),
                events: &mut events,
            };
            if batch.bytes.is_empty() {
                file.retry(&mut to);
            } else {
                file.append(0, &batch.bytes, &mut to);
            }
            true
        }
    }
}

/// Writes in portions that do not block once the target is writable, so that whole lines of ours
/// and of others who share it stay whole.
fn write_stdio(shared: &Shared, file: &mut File, bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        match poll(
            &mut [PollFd::new(file.as_fd(), PollFlags::POLLOUT)],
            PollTimeout::NONE,
        ) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => {
                shared.lose(rest);
                return false;
            }
        }
        match file.write(portion(rest)) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if is_for_now(&error) => {}
            Err(error) if is_full(&error) => {
                shared.lose(rest);
                return true;
            }
            Err(_) => {
                shared.lose(rest); // a closed pipe, a terminal that hung up
                return false;
            }
        }
    }
    true
}

fn is_for_now(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, WouldBlock};
    matches!(error.kind(), Interrupted | WouldBlock)
}

/// Our standard output is a file, and its disk is full.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

fn portion(rest: &[u8]) -> &[u8] {
    let Some(head) = rest.get(..WRITE_BYTES_MAX) else {
        return rest;
    };
    let end = head.iter().rposition(|byte| *byte == b'\n');
    end.and_then(|last| head.get(..=last)).unwrap_or(head)
}

#[expect(clippy::disallowed_methods, reason = "this thread has no turns")]
fn now() -> Instant {
    Instant::now()
}

//! What is to be done again after a failure of the disk, and how that is told: once for each kind.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use mio::Waker;

use super::words::Reply;

/// How soon a disk is tried again that failed, at first and at last.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);

/// Nobody wants an end of it any more.
#[derive(Debug)]
pub(super) struct GivenUp;

/// The way to the loop.
#[derive(Clone, Debug)]
pub(super) struct Replies {
    pub(super) sender: Sender<Reply>,
    pub(super) waker: Arc<Waker>,
}

impl Replies {
    pub(super) fn send(&self, reply: Reply) {
        // Nobody there: the loop is ending.
        let _ = self.sender.send(reply);
    }

    pub(super) fn wake(&self) {
        let _ = self.waker.wake();
    }
}

/// Attempts at what can fail for a while.
pub(super) struct Retry {
    pub(super) replies: Replies,
    /// Its other end is dropped when nobody waits for this thread any more.
    stop: Receiver<()>,
    failing: Option<io::ErrorKind>,
    pause: Duration,
}

impl Retry {
    pub(super) fn new(replies: Replies, stop: Receiver<()>) -> Self {
        Self {
            replies,
            stop,
            failing: None,
            pause: Duration::ZERO,
        }
    }

    /// Says what became of an attempt, and waits before the next one.
    pub(super) fn tried<T>(&mut self, outcome: io::Result<T>) -> Result<Option<T>, GivenUp> {
        let error = match outcome {
            Ok(done) => {
                if self.failing.take().is_some() {
                    self.replies.send(Reply::Works);
                    self.replies.wake();
                }
                self.pause = Duration::ZERO;
                return Ok(Some(done));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(None),
            Err(error) => error,
        };
        if self.failing != Some(error.kind()) {
            self.failing = Some(error.kind());
            self.replies.send(Reply::Failing(error.to_string()));
            self.replies.wake();
        }
        self.pause = (self.pause * 2).clamp(RETRY_FIRST, RETRY_LAST);
        self.wait(self.pause)?;
        Ok(None)
    }

    /// Tries until it is done.
    pub(super) fn until_done<T>(
        &mut self,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> Result<T, GivenUp> {
        loop {
            if let Some(done) = self.tried(attempt())? {
                return Ok(done);
            }
        }
    }

    /// Does nobody wait for this thread any more?
    pub(super) fn is_given_up(&self) -> bool {
        self.stop.try_recv() == Err(TryRecvError::Disconnected)
    }

    pub(super) fn wait(&self, pause: Duration) -> Result<(), GivenUp> {
        match self.stop.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(GivenUp),
        }
    }
}

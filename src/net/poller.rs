//! Waits for descriptors and for the next deadline, and hands back who is ready.
//!
//! Readiness is a hint, and comes once (edge-triggered): whoever is handed back reads or writes until
//! `WouldBlock`. A newborn must leak its parent's poller: taking a descriptor out in the child would
//! take it out of the parent's, because fork shares the epoll object.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::sys::clock;

/// Events taken from the kernel in one turn; more come in the next.
const EVENTS_MAX: usize = 256;

/// Names one registration, to end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(usize);

/// Who is ready, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready<S> {
    /// Who.
    pub source: S,
    /// For writing too (for reading always: errors and end-of-file are found by reading).
    pub writable: bool,
}

/// A set of descriptors to wait for, each with the value that names it.
#[derive(Debug)]
pub struct Poller<S> {
    poll: Poll,
    events: Events,
    sources: BTreeMap<usize, S>,
    next: usize,
    /// Kept open: whoever wakes us last, and lets go of its handle before we wait, is heard all the
    /// same.
    wakers: Vec<Arc<Waker>>,
}

impl<S: Clone> Poller<S> {
    /// An empty set.
    ///
    /// # Errors
    /// The system's, when it has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
            sources: BTreeMap::new(),
            next: 0,
            wakers: Vec::new(),
        })
    }

    /// Waits for `fd` from now on, for reading, and for writing too if asked.
    ///
    /// # Errors
    /// The system's, for example for a descriptor that cannot be waited for.
    pub fn add(&mut self, fd: BorrowedFd<'_>, source: S, writing: bool) -> io::Result<Key> {
        let key = self.next;
        let interest = if writing {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        self.poll
            .registry()
            .register(&mut SourceFd(&fd.as_raw_fd()), Token(key), interest)?;
        self.next = self.next.wrapping_add(1);
        self.sources.insert(key, source);
        Ok(Key(key))
    }

    /// Waits for it no longer. Events of this turn that name it still are dropped.
    pub fn remove(&mut self, key: Key, fd: BorrowedFd<'_>) {
        if self.sources.remove(&key.0).is_some() {
            // It can only fail for a descriptor that was closed before, and then it is out already.
            let _ = self
                .poll
                .registry()
                .deregister(&mut SourceFd(&fd.as_raw_fd()));
        }
    }

    /// As [`Poller::remove`], for a descriptor that is closed already: the kernel has let go of it.
    pub fn forget(&mut self, key: Key) {
        self.sources.remove(&key.0);
    }

    /// A handle with which other threads wake this one; `source` is then handed back.
    ///
    /// # Errors
    /// The system's, when it has no descriptor left.
    pub fn waker(&mut self, source: S) -> io::Result<Arc<Waker>> {
        let key = self.next;
        let waker = Arc::new(Waker::new(self.poll.registry(), Token(key))?);
        self.wakers.push(Arc::clone(&waker));
        self.next = self.next.wrapping_add(1);
        self.sources.insert(key, source);
        Ok(waker)
    }

    /// Waits until someone is ready or the deadline has passed, and reads the clock: the loop's `now`.
    ///
    /// # Errors
    /// The system's. An interruption by a signal is none: it ends the wait.
    pub fn wait(
        &mut self,
        deadline: Option<Instant>,
        ready: &mut Vec<Ready<S>>,
    ) -> io::Result<Instant> {
        let timeout = deadline.map(|at| at.saturating_duration_since(clock::monotonic()));
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        ready.clear();
        for event in &self.events {
            // A token without a source was removed in an earlier turn.
            if let Some(source) = self.sources.get(&event.token().0) {
                ready.push(Ready {
                    source: source.clone(),
                    writable: event.is_writable(),
                });
            }
        }
        Ok(clock::monotonic())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows: a thread's last act is heard, even if the thread and its handle are gone before we wait.
    #[test]
    fn a_waker_is_heard_after_its_last_handle_is_gone() {
        let mut poller = Poller::new().unwrap();
        let waker = poller.waker("woken").unwrap();
        waker.wake().unwrap();
        drop(waker);
        let mut ready = Vec::new();
        poller.wait(Some(clock::monotonic()), &mut ready).unwrap();
        assert_eq!(ready.len(), 1);
        assert_eq!(ready[0].source, "woken");
    }
}

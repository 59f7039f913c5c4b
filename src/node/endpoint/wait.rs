//! Waiting for records: asleep, awake, or awake for a while.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::Endpoint;
use super::sleep::sleep_until;
use crate::fabric::Wait;
use crate::sys::clock;

/// Looks without a look at the socket and the clock, which are system calls or nearly so. Somebody who
/// is awake is not rung when the stem sends a ring: this is how late it finds that.
const LOOKS_MAX: u32 = 256;

/// The most pauses of the processor, of some tens of nanoseconds, before a look while records stream in.
/// Who looks sooner finds one record at each look, and both ends wait for cache lines most of the time.
const PAUSES_MAX: u32 = 32;

/// Looks of a node that had work until now before it sleeps; between two of them others may run. They take
/// about as much of the processor as falling asleep and being woken does.
const LOOKS_BEFORE_SLEEP: u32 = 8;

/// So long a node looks, between whose turns others may run, when it is in the midst of a stream. About the
/// time from a bell to the first look of the one who was woken: whoever sleeps sooner is always late.
pub(super) const LINGER: Duration = Duration::from_micros(30);

impl Endpoint {
    /// Waits until there is something to drain, something has changed on the board, or `until`, if there
    /// is one. Returns whether there may be something; it may be wrong with yes.
    ///
    /// # Errors
    /// The system's answer.
    pub fn wait(&mut self, until: Option<Instant>) -> io::Result<bool> {
        let taken = self.taken;
        self.let_a_stream_gather();
        if self.has_news() {
            return Ok(true);
        }
        let awake_until = match self.outbox.wait {
            Wait::Block => return Ok(self.linger(taken) || self.sleep(until)?),
            Wait::Busy => until,
            Wait::Spin(time) => {
                let end = clock::monotonic() + time;
                Some(until.map_or(end, |until| until.min(end)))
            }
        };
        if self.spin(awake_until) {
            return Ok(true);
        }
        match self.outbox.wait {
            Wait::Spin(_) => self.sleep(until),
            Wait::Block | Wait::Busy => Ok(false),
        }
    }

    /// For a loop with a poller of its own: says that this node is about to sleep on
    /// [`Endpoint::descriptors`], and returns whether it may. Call [`Endpoint::wake`] in either case
    /// afterwards.
    pub fn doze(&mut self) -> bool {
        self.outbox.bell.doze();
        !self.has_news()
    }

    /// Says that this node is awake, and takes what the stem has sent.
    ///
    /// # Errors
    /// The system's answer.
    pub fn wake(&mut self) -> io::Result<()> {
        self.outbox.bell.wake()?;
        self.outbox.ring_due();
        self.outbox.receive();
        self.inbox.catch_up(&mut self.outbox);
        Ok(())
    }

    /// As [`super::Outbox::flush`], and waits until all is written, or `until`.
    ///
    /// # Errors
    /// The system's answer.
    pub fn flush_until(&mut self, until: Instant) -> io::Result<bool> {
        loop {
            self.outbox.bell.doze();
            let is_over = clock::monotonic() >= until;
            let is_done = self.outbox.flush();
            let slept = match is_done || is_over {
                true => Ok(()),
                false => {
                    let descriptors: Vec<BorrowedFd<'_>> = self.descriptors().collect();
                    let retry = self.deadline();
                    sleep_until(
                        &descriptors,
                        Some(retry.map_or(until, |retry| retry.min(until))),
                    )
                }
            };
            self.wake()?;
            slept?;
            if is_done || is_over {
                return Ok(is_done);
            }
        }
    }

    /// What becomes readable when this node is to wake: its bell; and its seat's socket, which can become
    /// another one while an attached program waits for the next stem.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(self.outbox.bell.event()).chain(self.outbox.stem.descriptor())
    }

    /// When [`Endpoint::wake`] is to be called though no descriptor became readable, if at all.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let deadlines = [self.outbox.stem.deadline(), self.outbox.bells_due()];
        deadlines.into_iter().flatten().min()
    }

    /// Gives a stream of records time to become a few. One record at a time is no stream, and is not
    /// waited for.
    #[inline]
    fn let_a_stream_gather(&mut self) {
        self.pauses = match std::mem::take(&mut self.taken) {
            0 => return,
            1 => self.pauses / 2,
            _ => (self.pauses * 2 + 1).min(PAUSES_MAX),
        };
        (0..self.pauses).for_each(|_| std::hint::spin_loop());
    }

    /// Is there something to do, as far as can be seen without a system call?
    #[inline]
    fn has_news(&mut self) -> bool {
        if self.outbox.peers.is_stale() {
            self.outbox.look_at_board();
            return true;
        }
        self.outbox.go_on_writing();
        self.outbox.ring_due();
        self.inbox.catch_up(&mut self.outbox);
        self.inbox.has_work(&self.outbox)
    }

    /// The next record may be on its way, and with less processors than nodes its writer may wait for ours.
    /// `taken`: so many were taken out since the last wait.
    fn linger(&mut self, taken: usize) -> bool {
        let mut look = || {
            std::thread::yield_now();
            self.has_news()
        };
        match taken {
            0 => false,
            1 => (0..LOOKS_BEFORE_SLEEP).any(|_| look()),
            _ => {
                let end = clock::monotonic() + LINGER;
                while clock::monotonic() < end {
                    if look() {
                        return true;
                    }
                }
                false
            }
        }
    }

    fn spin(&mut self, until: Option<Instant>) -> bool {
        loop {
            for _ in 0..LOOKS_MAX {
                if self.has_news() {
                    return true;
                }
                std::hint::spin_loop();
            }
            self.outbox.receive();
            if until.is_some_and(|until| clock::monotonic() >= until) {
                return self.has_news();
            }
            std::thread::yield_now();
        }
    }

    fn sleep(&mut self, until: Option<Instant>) -> io::Result<bool> {
        let slept = if self.doze() {
            let retry = self.deadline();
            let wake = [until, retry].into_iter().flatten().min();
            let descriptors: Vec<BorrowedFd<'_>> = self.descriptors().collect();
            sleep_until(&descriptors, wake)
        } else {
            Ok(())
        };
        self.wake()?;
        slept?;
        let is_late = until.is_some_and(|until| clock::monotonic() >= until);
        Ok(self.has_news() || !is_late)
    }

    /// A node that is never idle has to find out, too, what the stem has sent.
    #[inline]
    pub(super) fn look_at_socket_now_and_then(&mut self) {
        self.looks += 1;
        if self.looks >= LOOKS_MAX {
            self.looks = 0;
            self.outbox.receive();
            self.inbox.catch_up(&mut self.outbox);
        }
    }
}

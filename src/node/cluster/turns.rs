//! Turns: what came since the last one is handed to the handler.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::publish::now;
use super::{Cluster, ClusterError, Handler, Received};
use crate::data::message::{EventView, MessageError};
use crate::framework::BackendError;
use crate::logging::message::is_for_logger;
use crate::node::endpoint::Handling;
use crate::sys::clock;

/// Records in one turn; then the caller's own sources have theirs.
const RECORDS_A_TURN: usize = 1024;

/// With more unraised, the newest is dropped: they say the same again and again by then.
const TROUBLES_MAX: usize = 256;

/// So long a node that leaves stays until streams have taken what it has queued.
const FAREWELL: Duration = Duration::from_secs(2);

/// The tag of troubles of this host's own backend.
const TAG: &str = "local_error";

impl Cluster {
    /// Runs until [`Cluster::leave`]; makes up for [`Cluster::init`] if it was not called.
    ///
    /// A node that is told to end by a signal ends as its program does on that signal.
    ///
    /// # Errors
    /// Those of [`Cluster::init`] and [`Cluster::turn`].
    pub fn run(&mut self, handler: &mut dyn Handler) -> Result<(), ClusterError> {
        if !self.is_announced {
            self.init()?;
        }
        self.leaves = false;
        while !self.leaves {
            self.turn(handler, None)?;
        }
        self.flush_logs();
        // What streams have queued would be lost with this node.
        let until = clock::monotonic() + FAREWELL;
        self.endpoint
            .flush_until(until)
            .map_err(ClusterError::Wait)?;
        Ok(())
    }

    /// `terminate`: ends [`Cluster::run`] after this turn.
    pub fn leave(&mut self) {
        self.leaves = true;
    }

    /// Waits until something has come, or until `until`, if there is one, and hands it to the handler. For
    /// programs that do something of their own from time to time.
    ///
    /// # Errors
    /// [`ClusterError::Lost`] if an attached program is no longer in the cluster, and
    /// [`ClusterError::Wait`].
    pub fn turn(
        &mut self,
        handler: &mut dyn Handler,
        until: Option<Instant>,
    ) -> Result<(), ClusterError> {
        if !self.has_more() {
            self.endpoint.wait(until).map_err(ClusterError::Wait)?;
        }
        self.dispatch(handler);
        if self.endpoint.is_lost() {
            return Err(ClusterError::Lost);
        }
        Ok(())
    }

    /// For a loop with a poller of its own, in which this node is one source among others: says that it is
    /// about to sleep on [`Cluster::descriptors`], and returns whether it may. Then [`Cluster::wake`], in
    /// either case, and [`Cluster::dispatch`].
    pub fn doze(&mut self) -> bool {
        self.endpoint.doze() && !self.has_more()
    }

    /// Says that this node is awake.
    ///
    /// # Errors
    /// The system's answer.
    pub fn wake(&mut self) -> io::Result<()> {
        self.endpoint.wake()
    }

    /// What becomes readable when this node is to wake.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.endpoint.descriptors()
    }

    /// Hands what has come to the handler, and does not wait.
    pub fn dispatch(&mut self, handler: &mut dyn Handler) {
        if let Some(layout) = self.endpoint.take_layout() {
            self.relayout(&layout, handler);
            self.log_as_laid_out();
        }
        self.meet(handler);
        self.receive(handler);
        self.take_own_turns(handler);
        self.report_connected(handler);
        for _ in 0..self.troubles.len() {
            if let Some(error) = self.troubles.pop_front() {
                self.raise_trouble(&error, handler);
            }
        }
    }

    /// Is there something to do that the endpoint knows nothing of?
    fn has_more(&mut self) -> bool {
        let version = self.endpoint.outbox().peers_version();
        let is_behind = self.is_announced && self.seen.is_old(version);
        let holds = self.own_turns.len() > 0 || !self.troubles.is_empty();
        is_behind || holds || self.progress.has_report() || self.endpoint.has_layout()
    }

    fn receive(&mut self, handler: &mut dyn Handler) {
        let mut inbox = self.endpoint.lend_inbox();
        let taken = inbox.drain(self, RECORDS_A_TURN, &mut |cluster: &mut Self, record| {
            if is_for_logger(record.payload) {
                return handler.log_message(cluster, record);
            }
            cluster.take(record.topic, record.payload, handler);
            Handling::Done
        });
        self.endpoint.take_back(inbox, taken);
    }

    /// What this node has given to itself, up to now: its handler may give it more.
    fn take_own_turns(&mut self, handler: &mut dyn Handler) {
        for _ in 0..self.own_turns.len() {
            if let Some(own) = self.own_turns.pop() {
                self.take(own.topic.as_bytes(), &own.payload, handler);
            }
        }
    }

    fn take(&mut self, topic: &[u8], payload: &[u8], handler: &mut dyn Handler) {
        let event = match EventView::parse(payload) {
            Ok(event) => event,
            Err(why) => return handler.payload(self, topic, payload, why),
        };
        if self.refuse(topic, event, handler) || self.take_own(event, handler) {
            return;
        }
        let said = event.metadata();
        let mut stamp = said.and_then(|metadata| metadata.network_timestamp());
        if self.stamps.add && self.stamps.add_missing {
            stamp.get_or_insert_with(now);
        }
        self.stamps.current = stamp;
        let received = Received {
            topic,
            event,
            stamp,
        };
        handler.event(self, &received);
        self.stamps.current = None;
    }

    /// Something came that is no message.
    pub(super) fn unreadable(&mut self, topic: &[u8], why: &MessageError) {
        let topic = String::from_utf8_lossy(topic);
        self.trouble(format!("what came on {topic:?} cannot be read: {why}"));
    }

    /// `Cluster::Backend::error`: raised at the end of the turn.
    pub(super) fn trouble(&mut self, message: String) {
        if self.troubles.len() < TROUBLES_MAX {
            self.troubles.push_back(BackendError {
                tag: TAG.to_owned(),
                message,
                network: None,
            });
        }
    }
}

//! Records of the node that writes logs itself: they need no ring, and stand when they were taken.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError};

use super::words::Command;
use crate::node::cluster::LocalSink;
use crate::sys::clock;

/// The way of such a node's own records into its files.
#[derive(Debug)]
pub(super) struct OwnRecords {
    commands: Sender<Command>,
    /// So long a record is waited for.
    pub(super) within: Duration,
    /// One that was not written in time: as long as it is not, none is waited for.
    late: Option<Receiver<()>>,
}

impl OwnRecords {
    pub(super) fn new(commands: Sender<Command>, within: Duration) -> Self {
        Self {
            commands,
            within,
            late: None,
        }
    }
}

impl LocalSink for OwnRecords {
    fn take(&mut self, message: &[u8]) -> bool {
        let is_late = |late: &Receiver<()>| late.try_recv() == Err(TryRecvError::Empty);
        if self.late.as_ref().is_some_and(is_late) {
            return false;
        }
        self.late = None;
        let (written, stands) = crossbeam_channel::bounded(1);
        let payload = Arc::from(message);
        let own = Command::Own { payload, written };
        let until = clock::monotonic() + self.within;
        if self.commands.send_deadline(own, until).is_err() {
            return false;
        }
        match stands.recv_deadline(until) {
            Ok(()) => true,
            Err(error) => {
                self.late = error.is_timeout().then_some(stands);
                false
            }
        }
    }

    /// Each is written at once.
    fn flush(&mut self) {}
}

//! Records of the node that writes logs itself: they need no ring, and stand when `write` returns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::words::Command;
use crate::node::cluster::LocalSink;
use crate::sys::clock;

/// So long a node waits for its own record to stand: as publishers wait for room in a logger's ring, unless
/// the layout says otherwise.
const PATIENCE: Duration = Duration::from_secs(1);

/// The way of such a node's own records into its files.
#[derive(Clone, Debug)]
pub struct OwnRecords {
    commands: Sender<Command>,
}

impl OwnRecords {
    pub(super) fn new(commands: Sender<Command>) -> Self {
        Self { commands }
    }

    /// Has a message of [`crate::logging::message`] written, and waits until then at most. False: it
    /// does not stand yet, or was refused; then it is not known whether it will stand.
    pub fn write(&self, message: &[u8], until: Instant) -> bool {
        let (written, stands) = crossbeam_channel::bounded(1);
        let payload = Arc::from(message);
        let own = Command::Own { payload, written };
        self.commands.send_deadline(own, until).is_ok() && stands.recv_deadline(until).is_ok()
    }
}

impl LocalSink for OwnRecords {
    fn take(&mut self, message: &[u8]) -> bool {
        self.write(message, clock::monotonic() + PATIENCE)
    }

    /// Nothing waits: what is taken stands.
    fn flush(&mut self) {}
}

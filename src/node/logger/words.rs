//! What the loop and the writer thread tell one another.

use std::sync::Arc;

use crossbeam_channel::Sender;

use super::config::Config;
use crate::logging::LogPath;
use crate::logging::files::closed::Closed;
use crate::logging::files::{Event, SourceId};
use crate::logging::silence::Silent;
use crate::logging::writers::Sender as LogSender;

/// With so many bytes a batch goes to the thread before the turn is over.
pub(super) const BATCH_BYTES: usize = 256 * 1024;

/// Batches that wait for the thread. With more, bulk rings are held, and fill.
pub(super) const BATCHES_MAX: usize = 4;

/// Records as they came, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Batch {
    records: Vec<Entry>,
    bytes: Vec<u8>,
    /// Rings that others take over from, of the same sender, and those that do.
    heirs: Vec<(SourceId, SourceId)>,
}

#[derive(Debug)]
struct Entry {
    sender: LogSender,
    number: u64,
    /// Where its payload ends.
    end: usize,
}

impl Batch {
    pub(super) fn push(&mut self, sender: LogSender, number: u64, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
        let end = self.bytes.len();
        self.records.push(Entry {
            sender,
            number,
            end,
        });
    }

    /// A ring goes on for another one.
    pub(super) fn take_over(&mut self, from: SourceId, to: SourceId) {
        self.heirs.push((from, to));
    }

    /// Which rings go on for which.
    pub(super) fn heirs(&self) -> &[(SourceId, SourceId)] {
        &self.heirs
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Sender, number and payload of each.
    pub(super) fn records(&self) -> impl Iterator<Item = (LogSender, u64, &[u8])> {
        let begins = std::iter::once(0).chain(self.records.iter().map(|record| record.end));
        self.records.iter().zip(begins).map(|(record, begin)| {
            let payload = self.bytes.get(begin..record.end).unwrap_or_default();
            (record.sender, record.number, payload)
        })
    }
}

/// To the thread.
#[derive(Debug)]
pub(super) enum Command {
    /// Write these.
    Batch(Batch),
    /// Nothing comes any more of any ring but these.
    Rings(Vec<SourceId>),
    /// Write a record of this node itself, and say so when it stands.
    Own {
        payload: Arc<[u8]>,
        written: Sender<()>,
    },
    /// Rotate the files of these paths, or of all if there are none, and say so.
    Rotate { request: u64, paths: Vec<LogPath> },
    /// Another layout.
    Settings(Box<Config>),
    /// Come to an orderly end.
    Finish,
}

/// From the thread.
#[derive(Debug)]
pub(super) enum Reply {
    /// Records of a source with lower numbers need not come again.
    Released { source: SourceId, below: u64 },
    /// Something became of the files.
    Told(Event),
    /// A record was not written, and is released: by the fault of who sent it.
    Refused(String),
    /// Lines of writers that nobody has introduced stand in files of their own: this one among them.
    Aside { path: LogPath, records: u64 },
    /// The table of writers is there and cannot be read.
    WritersLost,
    /// The disk does not do what it is to do; it is tried again and again.
    Failing(String),
    /// It does again.
    Works,
    /// A rotated file stays as it is.
    NotPacked { name: String, why: String },
    /// A rotated file is what it is to be: the command is to be run for it.
    Closed {
        request: u64,
        closed: Closed,
        is_ending: bool,
    },
    /// A stream that used to speak does not any more.
    Silent(Silent),
    /// All that can be done with rotated files is done.
    Archived,
    /// So many files were rotated.
    Rotated { request: u64, files: u32 },
    /// That was the orderly end.
    Finished,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_of_a_batch_as_they_went_in() {
        let mut batch = Batch::default();
        assert!(batch.is_empty());
        let [one, other] = [(1, false), (2, true)].map(|(source, is_guest)| LogSender {
            source: SourceId(source),
            is_guest,
        });
        let records: [(_, _, &[u8]); 3] = [(one, 7, b"one"), (other, 0, b""), (one, 8, b"three")];
        for (sender, number, payload) in records {
            batch.push(sender, number, payload);
        }
        assert!(batch.records().eq(records));
        assert_eq!(batch.bytes(), 8);
    }
}

//! The log streams of what is followed: one for each id and set of columns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::records::Target;
use crate::logging::streams::{LogError, OwnStream, StreamSpec};
use crate::logging::{Schema, StreamId};
use crate::node::cluster::Cluster;

/// Streams that this node made for what it follows.
#[derive(Debug, Default)]
pub(super) struct Streams {
    made: BTreeMap<StreamId, Schema>,
    /// Where each file's records go.
    files: BTreeMap<PathBuf, StreamId>,
}

impl Streams {
    /// The stream of this file's records.
    pub(super) fn of(&self, file: &Path) -> Option<&StreamId> {
        self.files.get(file)
    }

    /// This file's records go there from now on. Where another file of other columns has the stream, or
    /// every node has it, the file gets one of its own: `Conn_2::LOG`, whose log is `conn-2`.
    pub(super) fn open(
        &mut self,
        target: &Target,
        file: &Path,
        cluster: &mut Cluster,
    ) -> Result<(), LogError> {
        self.files.remove(file);
        let id = (1..)
            .map(|number| numbered(&target.stream, number))
            .find(|id| self.may_have(id, &target.schema))
            .unwrap_or_else(|| target.stream.clone());
        if self.made.get(&id) != Some(&target.schema) {
            let spec = StreamSpec::new(target.schema.clone(), target.path.clone());
            cluster.log_streams().create_stream(id.clone(), spec)?;
            self.made.insert(id.clone(), target.schema.clone());
        }
        self.files.insert(file.to_owned(), id);
        Ok(())
    }

    /// This file is followed no longer.
    pub(super) fn close(&mut self, file: &Path) {
        self.files.remove(file);
    }

    fn may_have(&self, id: &StreamId, schema: &Schema) -> bool {
        let own = [
            OwnStream::Cluster,
            OwnStream::Reporter,
            OwnStream::Lifecycle,
        ];
        if own.iter().any(|own| own.id() == *id) {
            return false;
        }
        self.made.get(id) == Some(schema) || !self.files.values().any(|used| used == id)
    }
}

/// The id with a number behind its first part, from the second on.
fn numbered(id: &StreamId, number: u32) -> StreamId {
    if number == 1 {
        return id.clone();
    }
    let (first, rest) = id.as_str().split_once("::").unwrap_or((id.as_str(), ""));
    let text = match rest {
        "" => format!("{first}_{number}"),
        rest => format!("{first}_{number}::{rest}"),
    };
    // Only its length could be wrong.
    StreamId::parse(text).unwrap_or_else(|_| id.clone())
}

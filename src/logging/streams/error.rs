//! What can go wrong for who logs.

use crate::data::typed::TypedError;
use crate::logging::message::MessageError;
use crate::logging::{LogPath, LogPathError, RecordError, StreamId};

/// Why a record, a stream or a filter was refused. The caller's fault, or that of a hook of its.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// There is no stream of this id.
    #[error("there is no log stream {stream}; create it before it is written to")]
    NoStream {
        /// The id.
        stream: StreamId,
    },
    /// The record has other fields than the stream has columns.
    #[error("a record does not fit the log stream {stream}")]
    Record {
        /// The stream.
        stream: StreamId,
        /// Which column it does not fit, and why.
        #[source]
        source: RecordError,
    },
    /// A Rust type holds what no value can, or is no record.
    #[error("what is to be a record of the log stream {stream} is none")]
    Row {
        /// The stream.
        stream: StreamId,
        /// Why.
        #[source]
        source: RowError,
    },
    /// A filter's path function made something else than a path, or there is no free path like it.
    #[error("the filter \"{filter}\" of the log stream {stream} has no path for a record")]
    Path {
        /// The stream.
        stream: StreamId,
        /// The filter.
        filter: String,
        /// What is wrong with the path.
        #[source]
        source: LogPathError,
    },
    /// A filter names a column that the stream does not have.
    #[error(
        "the filter \"{filter}\" names the column \"{column}\", which the log stream {stream} does not have"
    )]
    NoColumn {
        /// The stream.
        stream: StreamId,
        /// The filter.
        filter: String,
        /// The column.
        column: String,
    },
    /// A filter that leaves nothing of a record.
    #[error("the filter \"{filter}\" of the log stream {stream} excludes every column")]
    Nothing {
        /// The stream.
        stream: StreamId,
        /// The filter.
        filter: String,
    },
    /// A filter whose form could not be read back, or whose name is too long.
    #[error("the filter \"{filter}\" of the log stream {stream} cannot be written")]
    Writer {
        /// The stream.
        stream: StreamId,
        /// The filter.
        filter: String,
        /// Why.
        #[source]
        source: MessageError,
    },
}

/// Why a Rust value is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// It has a part that no value can be.
    #[error("it cannot be a value")]
    Value(#[from] TypedError),
    /// It is a single value, and not a struct or a tuple.
    #[error("it is no struct")]
    NoStruct,
}

/// Something that was done in another way than was asked for, which its programmer should know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the filter \"{filter}\" of the log stream {stream} writes to \"{path}\", for another filter writes to \"{wanted}\""
)]
pub struct PathTaken {
    /// The stream.
    pub stream: StreamId,
    /// The filter.
    pub filter: String,
    /// The path that it asked for.
    pub wanted: LogPath,
    /// The one that it has.
    pub path: LogPath,
}

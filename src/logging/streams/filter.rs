//! What a program says of a stream, and of how its records come into files.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::logging::message::Format;
use crate::logging::{LogPath, Record, Schema, StreamId};

/// Asks whether a filter writes a record; the seeds' `$policy` of a filter.
pub type Predicate = Box<dyn FnMut(Record<'_>) -> bool + Send>;

/// Says which path a record goes to: `Log::Filter$path_func`. It is told the stream, the path that the
/// filter would take, and the record.
pub type PathFunction = Box<dyn FnMut(&StreamId, &LogPath, Record<'_>) -> String + Send>;

/// Asks whether the filter of this name writes a record of this stream: `Log::PolicyHook`. With false it
/// does not. Unlike the seeds' hooks it cannot change the record.
pub type Policy = Box<dyn FnMut(&StreamId, &str, Record<'_>) -> bool + Send>;

/// Asks whether a record of this stream is written at all: `Log::log_stream_policy`.
pub type StreamPolicy = Box<dyn FnMut(&StreamId, Record<'_>) -> bool + Send>;

/// What a stream is: `Log::Stream`.
pub struct StreamSpec {
    /// `columns`: what its records are.
    pub schema: Schema,
    /// `path`: what the files of its default filter are named after.
    pub path: LogPath,
    /// `policy`: asked for each filter that has no predicate of its own.
    pub policy: Option<Policy>,
}

/// Which records of a stream are written, in which form, and where to: `Log::Filter`.
pub struct Filter {
    /// `name`: a filter that is added under the name of another one takes its place.
    pub name: String,
    /// `policy`: what it writes; `None`: as the stream's policy says, else all.
    pub predicate: Option<Predicate>,
    /// `path`; `None`: the stream's.
    pub path: Option<LogPath>,
    /// `path_func`: what it makes of a record takes the place of `path`.
    pub path_function: Option<PathFunction>,
    /// `include`: the names of the columns that are written; `None`: of all.
    pub include: Option<BTreeSet<String>>,
    /// `exclude`: the names of columns that are not written.
    pub exclude: BTreeSet<String>,
    /// `writer`, and its `config`.
    pub writer: Writer,
    /// `interv`: its files are rotated at every multiple of this, of at least a second; `None`: as the
    /// layout says.
    pub interval: Option<Duration>,
    /// `log_local`: whether a node that writes log files writes it; `None`: as the node does by itself.
    pub log_local: Option<bool>,
    /// `log_remote`: whether it is sent to loggers; `None`: as the node does by itself.
    pub log_remote: Option<bool>,
}

/// What writes the records of a filter: `Log::Writer`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Writer {
    /// `Log::WRITER_ASCII`, in the form that the layout says.
    #[default]
    Ascii,
    /// `Log::WRITER_ASCII` in a form of its own.
    As(Format),
    /// `Log::WRITER_NONE`: nothing does.
    None,
}

impl StreamSpec {
    /// A stream of these columns, whose default filter writes to this path.
    #[must_use]
    pub const fn new(schema: Schema, path: LogPath) -> Self {
        Self {
            schema,
            path,
            policy: None,
        }
    }

    /// The same with a policy.
    #[must_use]
    pub fn with_policy(
        mut self,
        policy: impl FnMut(&StreamId, &str, Record<'_>) -> bool + Send + 'static,
    ) -> Self {
        self.policy = Some(Box::new(policy));
        self
    }
}

impl Filter {
    /// The name of the filter that every stream begins with.
    pub const DEFAULT: &'static str = "default";

    /// A filter that writes all of every record to the stream's path.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            predicate: None,
            path: None,
            path_function: None,
            include: None,
            exclude: BTreeSet::new(),
            writer: Writer::default(),
            interval: None,
            log_local: None,
            log_remote: None,
        }
    }

    /// Does it write the column of this name?
    pub(super) fn takes(&self, column: &str) -> bool {
        let is_included = |names: &BTreeSet<String>| names.contains(column);
        self.include.as_ref().is_none_or(is_included) && !self.exclude.contains(column)
    }
}

impl Default for Filter {
    /// The filter that every stream begins with.
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

impl fmt::Debug for StreamSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSpec")
            .field("schema", &self.schema)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("name", &self.name)
            .field("path", &self.path)
            .field("include", &self.include)
            .field("exclude", &self.exclude)
            .field("writer", &self.writer)
            .field("log_local", &self.log_local)
            .field("log_remote", &self.log_remote)
            .finish_non_exhaustive()
    }
}

//! Log streams: what becomes of a record from `Log::write` to the line that is sent to a logger.
//!
//! A *stream* says what its records are. Its *filters* say which of them are written, in which form, and
//! to which path; every stream begins with one that writes all of them. For each path that a filter
//! writes to there is a *writer*, which forms the lines.
//!
//! * A record that does not fit its stream is refused with the column and the reason. Zeek's writers end
//!   by one.
//! * A path function can say nothing but a [`LogPath`](super::LogPath): no file elsewhere.
//! * Two filters of this node never write to one path: the second gets `<path>-2`.
//!
//! Pure: lines are handed to the caller, who sends them. For the filter that every stream begins with, a
//! record takes no memory once its buffer has grown to the length of its lines.
//!
//! ```
//! use cluster::data::Value;
//! use cluster::logging::message::Format;
//! use cluster::logging::streams::{Filter, StreamSpec, Streams};
//! use cluster::logging::{Column, LogPath, Schema, StreamId, tsv};
//!
//! let column = |name: &str, kind: &str| Column::new(name, kind.parse().unwrap(), false);
//! let schema = Schema::new(vec![column("host", "string")?, column("hits", "count")?])?;
//! let visits = StreamId::parse("Visits::LOG")?;
//! let mut streams = Streams::new(Format::Tsv(tsv::Settings::default()));
//! streams.create_stream(visits.clone(), StreamSpec::new(schema, LogPath::parse("visits")?))?;
//!
//! // What is visited often goes to a log of its own, too.
//! let mut busy = Filter::new("busy");
//! busy.path = Some(LogPath::parse("busy")?);
//! busy.predicate = Some(Box::new(|record| record.field("hits") > Some(&Value::from(100_u64))));
//! streams.add_filter(&visits, busy)?;
//!
//! let mut paths = Vec::new();
//! for hits in [7_u64, 700] {
//!     streams.write(&visits, &[Value::from("a.example"), Value::from(hits)], &mut |line| {
//!         paths.push(line.writer.path().to_string());
//!     })?;
//! }
//! assert_eq!(paths, ["visits", "visits", "busy"]);
//!
//! let refused = streams.write(&visits, &[Value::None, Value::from(1_u64)], &mut |_| {});
//! assert!(refused.is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod filter;
mod installed;
mod own;
mod paths;
mod row;
mod table;
mod writer;

pub use error::{LogError, PathTaken, RowError};
pub use filter::{Filter, PathFunction, Policy, Predicate, StreamPolicy, StreamSpec, Writer};
pub use own::{
    ClusterLogInfo, DownCause, LifecycleEvent, LifecycleInfo, NodeStatsInfo, OwnStream,
    ReporterInfo, ReporterLevel,
};
pub use table::Streams;
pub use writer::LogWriter;

use crate::data::Value;

/// What a filter makes of a record.
#[derive(Debug)]
pub struct Line<'a> {
    /// The filter.
    pub filter: &'a Filter,
    /// The writer, whose [`LogWriter::message`] has to come before the first of its lines.
    pub writer: &'a LogWriter,
    /// The line as it travels, a message of the kind
    /// [`Lines`](super::message::Message::Lines).
    pub message: &'a [u8],
}

/// Memory that is used again for each record.
#[derive(Debug, Default)]
struct Buffers {
    /// The fields that a filter writes.
    row: Vec<Value>,
    message: Vec<u8>,
}

//! Records of logs: the forms in which they are written and travel, and how they come into files.
//!
//! * A [`Schema`] says what the columns of a log are; a [`Record`] is a row of
//!   [`Value`](crate::data::Value)s that fits one. Whatever writes takes records, so nothing is written
//!   that could not be read.
//! * [`tsv`] and [`json`] are the two forms of log files, as Zeek's ASCII writer has them.
//! * [`batch`] is how records travel: Zeek's log batches, and the records in Broker's messages.
//! * [`streams`] is what a program writes to: streams, their filters, and the lines that these make.
//! * [`message`] is how such lines travel to a logger on this host.
//! * [`files`] decides how numbered records come into files exactly once.
//!
//! Everything here is pure: no file is opened and no clock is read. The forms take bytes and give values;
//! [`files`] says what is to be done with which file. What comes from outside is bounded by the length of
//! the input; arbitrary bytes give an error, never a panic.
//!
//! What opens the files, and carries out the [`Action`](files::Action)s of [`files`], is
//! [`node`](crate::node), where a node writes logs: lines come to it formed, in [`message`]s by the rings.
//! [`writers`] says which file each of those has, [`frame`] what stands around its lines, [`spec`] what
//! the layout says of all that.
//!
//! # Which value stands in which column
//!
//! | type | value |
//! | --- | --- |
//! | `bool`, `int`, `count`, `double` | `Boolean`, `Integer`, `Count`, `Real` |
//! | `time`, `interval` | `Timestamp`, `Timespan`; `Real`, in seconds, beyond what those can say |
//! | `string`, `func`, `file` | `String` |
//! | `enum`, `port`, `addr`, `subnet` | `EnumValue`, `Port`, `Address`, `Subnet` |
//! | `set[T]`, `vector[T]` | `Set`, `Vector` of values of `T`, none of them unset |
//! | any of them, unset | `None`, if the column is optional |
//!
//! Zeek holds time as a binary64 number of seconds, we hold nanoseconds. Numbers of seconds that name a
//! whole microsecond become that microsecond, so that a time is the same value by whichever form it came.
//! What is finer than a nanosecond is lost. A certificate that is valid to the year 9999 has a time that
//! no [`Timestamp`](crate::data::Timestamp) reaches: such times stay numbers.

pub mod batch;
pub mod files;
pub mod frame;
pub mod json;
pub mod message;
pub mod silence;
pub mod spec;
pub(crate) mod strangers;
pub mod streams;
pub mod tsv;
pub mod writers;

mod number;
mod schema;
mod seconds;
mod stream;
mod text;
mod types;

pub use schema::{COLUMNS_MAX, Column, Record, RecordError, Schema, SchemaError};
pub use stream::{LOG_PATH_BYTES_MAX, LogPath, LogPathError, StreamId, StreamIdError};
pub use types::{Atom, NotAType, Type};

/// The longest line of a log that is read, and the largest batch, in bytes: Zeek's `max_log_record_size`.
pub const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

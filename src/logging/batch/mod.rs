//! How records travel: Zeek's log batches, format `zeek-bin-serializer`, and the `serial` of a record in
//! Broker's LogWrite message.
//!
//! All numbers are big-endian; a text is its length in 32 bits and its bytes. A batch is a header, which
//! says stream, writer, filter, path and columns, then the number of records, then their values, each with
//! its type. A `serial` is the number of fields, then values of the same form; the columns of its log came
//! before, in a LogCreate message ([`from_fields`]).
//!
//! Zeek believes what a batch says. Here each value has to be of its column's type, a path has to lie in
//! the directory of logs, and nothing may follow the last record.
//!
//! # What is read is what was written
//!
//! Times and intervals travel as numbers of seconds, so that below the microsecond digits are lost. A
//! column may have a second name, which is for Zeek's input framework; it is read past.

mod create;
mod decode;
mod encode;
mod reader;

pub use create::{FieldsError, from_fields, to_fields};
pub use decode::{Batch, decode_serial};
pub use encode::{BatchEncoder, encode_serial};
pub use reader::{DecodeError, Reason};

use super::{LogPath, StreamId};

/// Whose records a batch has, and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The stream: `Conn::LOG`.
    pub stream: StreamId,
    /// The label of the writer: `Log::WRITER_ASCII`.
    pub writer: String,
    /// The name of the filter: `default`.
    pub filter: String,
    /// The file: `conn`.
    pub path: LogPath,
}

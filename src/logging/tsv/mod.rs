//! Log files of lines and columns, as Zeek's ASCII writer writes them.
//!
//! A file begins with lines `#key<separator>value`, which say the separators, the columns and their types,
//! and ends with `#close`; in between each line is a record. [`Format`] writes, [`Reader`] reads a file
//! line by line, and [`Format::parse`] reads the lines of one whose columns are known.
//!
//! # What is read is what was written
//!
//! * In text, `\\` is a backslash and `\xHH` a byte: control characters, the separator, within sets and
//!   vectors their separator, and what is not UTF-8. A text that equals a marker, `-` or `(empty)`, has
//!   its first byte escaped, and so has a line that would begin with `#`.
//! * A set or vector of nothing but one empty string is an empty field, which is what Zeek's own reader
//!   takes for it; Zeek writes `(empty)`, which is no element at all.
//! * Ports are numbers, their protocol is not written. It is read as unknown.
//! * Times, intervals and real numbers have six decimals.

mod format;
mod read;
mod write;

pub use format::{Format, FormatError, Header, Settings};
pub use read::{FieldError, Line, ReadError, Reader};

//! Log files of one JSON object a line, as Zeek's ASCII writer writes them with `use_json`.
//!
//! # What is read is what was written
//!
//! * Zeek writes bytes that are no characters, and control characters that JSON has no letter for, as the
//!   four characters `\xHH`, digits in lower case; [`parse`] takes these for the byte. So that a
//!   text with just those characters is not mistaken, its backslash is written as `\x5c`; Zeek leaves it.
//! * An address, a network, an enum's label, a function or a file is a string. Ports are numbers, their
//!   protocol is not written; it is read as unknown.
//! * Numbers have all their digits. Times have those of the binary64 number of seconds that Zeek has,
//!   [`Times::Millis`] whole milliseconds, [`Times::Iso8601`] microseconds. Which one was chosen is seen:
//!   a number with a point or an exponent is seconds, one without milliseconds, a string a date.
//! * `null` stands for NaN and infinities, which JSON has no number for. It is read as unset; within a set or
//!   a vector, whose elements are always set, as NaN.

use serde::{Deserialize, Serialize};

mod atom;
mod read;
mod write;

pub use read::{ReadError, parse};

/// How points in time are written: Zeek's `json_timestamps`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Times {
    /// Seconds since 1970, with decimals: `TS_EPOCH`.
    #[default]
    Epoch,
    /// Milliseconds since 1970: `TS_MILLIS`.
    Millis,
    /// A date in UTC with microseconds, `2018-03-24T17:16:20.600725Z`: `TS_ISO8601`. Before the year 0
    /// and after 9999 seconds since 1970.
    Iso8601,
}

/// Writes records as JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// How points in time are written.
    pub times: Times,
    /// Are unset fields written, as `null`? Zeek's `json_include_unset_fields`.
    pub unset_fields: bool,
}

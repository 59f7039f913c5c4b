//! Broker's JSON format, version 1: what WebSocket clients speak.
//!
//! A value is `{"@data-type":"count","data":42}`. A data message is one too, with a type and a topic
//! beside. Text is written as Broker writes it, with three differences, each of which spares a client
//! a text that is no JSON:
//!
//! * a control character in a string is escaped; Broker copies it raw or writes `\v`;
//! * bytes that are not UTF-8 become U+FFFD; Broker copies them raw;
//! * an infinity and NaN are `null`; Broker writes `inf`, `-inf` and `nan`.
//!
//! The format loses what it has no room for: reals behind the sixth decimal, timestamps below the
//! millisecond (before 1970 below the second).
//!
//! Reading is as strict as Broker's: a real needs a point or an exponent, a count has none. `\/` is a
//! slash, where Broker reads `?`. Objects and arrays in one another end at 127, which is 62 vectors or
//! 41 tables. Whatever is read, plain JSON too, it takes no more than 4 KiB and 64 bytes for each
//! of the text's, with the value that comes of it.

mod plain;
mod read;
mod time;
mod tree;
mod write;

pub use plain::{decode_plain, decode_plain_row};
pub use read::{JsonError, JsonReason, decode, decode_data_message};
pub(crate) use time::read_instant;
pub use write::{encode, encode_data_message};

/// The key under which a value's kind stands.
const TYPE: &str = "@data-type";

/// The key under which its content stands.
const DATA: &str = "data";

/// The key under which a data message's topic stands.
const TOPIC: &str = "topic";

/// The key under which the key of a table's entry stands.
const KEY: &str = "key";

/// The key under which its value stands.
const VALUE: &str = "value";

//! Rust types as values, by `serde`: so that a struct can be an event's argument.
//!
//! | Rust | value |
//! | --- | --- |
//! | `bool` | boolean |
//! | `u8` … `u64`, `usize` | count |
//! | `i8` … `i64`, `isize` | integer |
//! | `f32`, `f64` | real |
//! | `str`, `String`, `char`, bytes (`serialize_bytes`) | string |
//! | `()`, unit struct, `Option::None` | none |
//! | `Option::Some(x)`, newtype struct | what `x` is |
//! | struct, tuple, tuple struct, `Vec`, array | vector; of a struct its fields in order |
//! | map | table |
//! | variant without content | enum value; the label is the variant's name, so rename it to `Conn::LOG` |
//! | variant with content | vector of the enum value and what the variant holds |
//! | [`Address`](super::Address), [`Subnet`](super::Subnet), [`Port`](super::Port), [`Timestamp`](super::Timestamp), [`Timespan`](super::Timespan) | what they are called |
//! | [`Value`](super::Value) | itself: Zeek's `any` |
//! | by `#[serde(with = "…")]`: [`as_set`] on a collection | set |
//! | [`as_address`] on an `IpAddr`, [`as_timestamp`] on a `SystemTime`, [`as_timespan`] on a `Duration` | address, timestamp, timespan |
//!
//! There is no value for integers of 128 bits. A number is read back into any integer type that has
//! room for it. A record of more fields than the struct is refused, and so is one of fewer, unless
//! those that are missing have a `default`; a map or a sequence loses entries that are there twice, if
//! its type does.
//!
//! [`Value`](super::Value) and our own types travel in other formats of `serde` as their binary form,
//! and not at all in those that people read: for JSON there is [`json`](super::json).

mod de;
mod error;
mod marks;
mod ser;
mod variants;
mod with;

pub use de::{from_value, from_view};
pub use error::TypedError;
pub use ser::to_value;
pub use with::{as_address, as_set, as_timespan, as_timestamp};

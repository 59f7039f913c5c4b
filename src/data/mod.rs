//! Broker's data model: the values that nodes exchange, and every form in which they travel.
//!
//! * [`Value`] owns its content; [`View`] is one value in its binary form, read where it lies.
//! * [`binary`] is format version 1, [`json`] its sibling for WebSocket clients.
//! * [`message`] puts Zeek's events, log records and batches on top.
//! * [`typed`] turns Rust types into values and back, by `serde`.
//!
//! *Format v1* and *JSON v1* are Broker's two; names in backquotes that are not this module's are Broker's
//! own, without `broker::`, or those of Zeek's scripts.
//!
//! Everything here is pure: bytes in, values out, nothing is opened and no clock is read. What comes
//! from outside is bounded by [`DEPTH_MAX`] and by the length of the input; arbitrary bytes give an
//! error, never a panic, and never take more than a fixed multiple of their own length.
//!
//! # Numbers that have no IEEE form here
//!
//! Broker packs reals arithmetically. Its infinities are the wrong way round, its only NaN is all
//! ones, and subnormal numbers come out as garbage. [`binary`] writes and reads what Broker means:
//! a subnormal is written as zero and read as zero. [`Value`] compares reals as they will travel, so
//! that two members of a set which differ here also differ at the other end.

pub mod binary;
pub mod json;
pub mod message;
pub mod typed;

mod address;
pub(crate) mod calendar;
mod containers;
pub(crate) mod cursor;
mod display;
mod hex;
mod kind;
mod order;
mod port;
mod subnet;
mod time;
mod value;
mod view;

pub use address::{Address, NotAnAddress};
pub use containers::{Duplicate, Set, Table};
pub use hex::hex;
pub use kind::Kind;
pub use port::{Port, Protocol};
pub use subnet::{NotASubnet, Subnet};
pub use time::{Timespan, Timestamp};
pub use value::{Value, WrongKind};
pub use view::{Entries, Items, Parts, View};

/// How many containers with content may lie in one another. Deeper data is refused by every reader;
/// Broker itself has no limit, and Zeek's own data stays below ten.
pub const DEPTH_MAX: usize = 64;

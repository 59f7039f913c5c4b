//! Broker's binary format, version 1: a tag, then the content; integers big-endian, lengths in 7-bit
//! groups, the lowest first.
//!
//! [`Encoder`] appends to a buffer and allocates only when that is too short. [`decode`] builds a
//! [`Value`](super::Value); [`View`](super::View) reads without building anything. Both look at the
//! whole input once before they believe a length in it, so a decoded value takes at most 32 bytes for
//! each byte of input, beside a few hundred on the stack.
//!
//! Accepted as Broker accepts it: lengths with idle groups, sets and tables in any order, booleans
//! other than 0 and 1. Refused, though Broker takes it: lengths of more than 32 bits, subnets longer
//! than 128 bits, data deeper than [`DEPTH_MAX`](super::DEPTH_MAX). Broker's special reals are told
//! in [`data`](super).

mod decode;
mod encode;
mod reader;
mod real;

pub use decode::decode;
pub use encode::{Encoder, encode};
pub use reader::{DecodeError, Reason};
pub(super) use reader::{Reader, Token};

//! Memory that two processes share.
//!
//! Duty: words and bytes that one process writes and another reads without a system call. Owns: the
//! mappings, and in [`bell`] the copies of an eventfd; every descriptor made here is handed over.
//! Never: trusts what the neighbour writes, gives out a reference into memory that another process
//! may write other than to an atomic.

#![expect(
    unsafe_code,
    reason = "mapped memory has no safe wrapper; each block says who keeps its promise"
)]

pub mod bell;
pub mod board;
pub mod heartbeat;
pub mod positions;
pub mod ring;

mod latch;
mod mapping;
mod shared_words;
mod sync;

#[cfg(test)]
#[cfg(loom)]
mod models;

pub use board::Board;

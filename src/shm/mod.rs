//! Memory that two processes share.
//!
//! Duty: words that one process writes and another reads without a system call. Owns: the mappings.
//! Never: trusts what the neighbour writes, gives out a reference into memory that another process
//! may write other than to an atomic.

#![expect(
    unsafe_code,
    reason = "mapped memory has no safe wrapper; each block says who keeps its promise"
)]

pub mod heartbeat;

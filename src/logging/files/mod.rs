//! A logger's files, without the files: every accepted record stands in them exactly once, in order
//! per source, whenever the logger is killed.
//!
//! [`LogFiles`] takes numbered records, asks for one [`Action`] at a time, and is told what became of
//! it. What it relies on: a source's records that were not released come again to a successor, in
//! order, with their numbers and for the same paths; released ones never do. What it keeps:
//!
//! 1. The index of a batch is written, then its lines, then the records are released. So a line that
//!    stands has an entry, and a record that will not come again has a line.
//! 2. A successor looks through the entries behind the last checkpoint. An entry whose bytes stand
//!    whole counts as written; at the first that does not, the file is cut, then the index. The file
//!    first: so bytes that no entry tells of are never a dead logger's doing.
//! 3. Of each path and source it knows the first number that does not stand. What comes with a lower
//!    one is skipped. Rotation carries these numbers over, in the state and in the next index.
//! 4. A rotation is written into the state before its first step, and the next file is not made before
//!    the state has forgotten the old one. Each step can be done again.
//! 5. What was changed behind our back is set aside whole, never cut, never written over, and told.
//!    What is not known to stand is taken again: a repetition is better than a loss.
//!
//! It opens nothing. Whoever owns the directory, the writer thread of a node that writes logs, carries
//! out the actions, and supplies the clock and the [`Frame`] of the lines; the simulation among the
//! tests does, on a disk in memory.
//!
//! The parts: [`index`] and [`state`] are what is on the disk; [`scan`] tells how far they hold;
//! [`rotation`], [`naming`] and [`expiry`] are policies; [`verify`] proves the rest.

mod action;
mod batches;
mod checksum;
pub mod closed;
pub mod expiry;
pub mod index;
mod judge;
mod log_files;
pub mod naming;
mod path_file;
mod restore;
mod rotate;
pub mod rotation;
pub mod scan;
pub mod state;
mod steps;
pub mod verify;

pub use action::{Action, Damage, Event, Found, Identity, Look, Outcome};
pub use checksum::crc32;
pub use index::SourceId;
pub use log_files::{Accepted, Frame, LogFiles, PATHS_MAX, PathId, Refusal, Settings, SyncPolicy};

/// The directory of the loggers' directories, in the run directory.
pub const LOGS_DIRECTORY: &str = "logs";

#[cfg(test)]
mod simulation;

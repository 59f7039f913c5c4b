//! Following files as `tail -F` does, without the files: every line once, in its order, across rotation.
//!
//! A [`Follower`] follows one name. It asks for one [`Action`] at a time and is told what became of it;
//! it hands out a [`Line`] at a time, each with the [`Position`] behind it. Whoever remembers the
//! position of the last line that it took, and gives it to the successor, has every line once, whenever
//! it is killed. What it keeps:
//!
//! 1. A file is known by its [`Identity`], not by its name. When the name has gone to another file, the
//!    old one is read to its end first, found by its identity after a death too; then the new one, from
//!    its beginning. Of several that had the name while somebody looked, none is passed over.
//! 2. The last line is not handed out before its line feed is there, or before the name has gone to
//!    another file in which something stands: who writes may go on in the old one until then.
//! 3. A file that is shorter than what was read of it was truncated, and is read from its beginning. A
//!    beginning of a line is gone with it.
//! 4. A line is bytes: no UTF-8 is asked for. One that is longer than the [`Settings`] say is passed over
//!    whole and [told](Event::TooLong), and takes no memory.
//! 5. Where a file has a header, its lines come again to a successor before the first new line: that
//!    which was in force there, be it at the beginning or in the midst of the file.
//!
//! What nobody can see from outside, it does not see either: a file that was truncated and has grown
//! beyond what was read of it before anybody looked; and what had the name for so short a time, or while
//! nobody lived, that it never was seen to have it.
//!
//! The parts: `lines` cuts bytes into lines, [`columns`] makes columns of objects.

mod action;
pub mod columns;
mod follower;
mod lines;

pub use action::{Action, Event, Outcome, Position};
pub use follower::{Follower, Line, Settings};

pub use crate::logging::files::Identity;

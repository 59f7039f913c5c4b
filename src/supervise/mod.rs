//! Supervision without I/O: what a child is, how one lives, how all of them start and stop together.
//!
//! Pure: no process, no clock, no random numbers. The stem feeds in what happened and carries out
//! what comes out; the simulation in `tests/` does the same with a made-up world.

pub mod child;
pub mod delay;
pub mod fleet;
pub mod vocabulary;

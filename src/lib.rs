//! The library of a cluster supervisor after Zeek's model. `ARCHITECTURE.md` is the map.

pub mod control;
pub mod controller;
pub mod layout;
pub mod names;
pub mod shm;
pub mod supervise;
pub mod sys;

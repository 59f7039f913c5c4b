//! The library of a cluster supervisor after Zeek's model. `ARCHITECTURE.md` is the map.
//!
//! Dependencies point down, in this order:
//!
//! * words, pure: [`names`], [`causes`], [`data`], [`topic`], [`pool`], [`layout`], [`fabric`]
//! * conversations, pure: [`framework`], [`supervise`], [`control`], [`controller`], [`logging`],
//!   [`follow`]
//! * the two unsafe islands: [`shm`], [`sys`]
//! * the loop: [`net`]
//! * a running node: [`node`]
//!
//! and above all of them the binary, in `supervisor/`.

pub mod causes;
pub mod control;
pub mod controller;
pub mod data;
pub mod fabric;
pub mod follow;
pub mod framework;
pub mod layout;
pub mod logging;
pub mod names;
pub mod net;
pub mod node;
pub mod pool;
pub mod shm;
pub mod supervise;
pub mod sys;
pub mod topic;

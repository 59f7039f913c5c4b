//! A running node: a built-in role on its seat.
//!
//! Owns: everything in its [`Seat`]. Never: forks, or reads what another node holds.

pub mod backlog;
pub mod cluster;
mod controller;
pub mod endpoint;
mod inputs;
mod life;
mod logger;
mod member;
pub mod observer;
mod say;
mod seat;
mod statistics;

pub use cluster::Cluster;
pub use life::run;
pub use seat::Seat;

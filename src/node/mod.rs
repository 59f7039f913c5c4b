//! A running node: a built-in role on its seat.
//!
//! Owns: everything in its [`Seat`]. Never: forks, or reads what another node holds.

mod controller;
mod life;
mod seat;

pub use life::run;
pub use seat::Seat;

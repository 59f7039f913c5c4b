//! The supervisor (its parts follow).

#![forbid(unsafe_code)]

mod output;

fn main() {}

//! The supervisor (its parts follow).

#![forbid(unsafe_code)]

mod output;
mod stem;

fn main() {}

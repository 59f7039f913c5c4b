//! The supervisor (its parts follow).

fn main() {}

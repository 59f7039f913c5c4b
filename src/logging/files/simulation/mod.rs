//! Loggers that are killed at every step of their work, against an oracle that reads the files.
//!
//! Rings, a disk in memory and seeded schedules. A failure tells its seed.
//!
//! * `SIM_SEED=7 cargo test -p cluster --lib files::simulation` runs that one.
//! * `SIM_SEEDS=100000 cargo test -p cluster --lib files::simulation` runs that many.

mod deaths;
mod disk;
mod oracle;
mod schedules;
mod tampering;
mod world;

/// What a variable of the environment says, if it says a number.
fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// The seed that `SIM_SEED` says, else as many as `SIM_SEEDS` says, else so many.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let all = 0..number_of("SIM_SEEDS").unwrap_or(usual);
    number_of("SIM_SEED").map_or(all, |seed| seed..seed + 1)
}

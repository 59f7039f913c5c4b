//! Loggers that are killed at every step of their work, against an oracle that reads the files.
//!
//! Rings, a disk in memory and seeded schedules; a failure tells its seed, and `SIM_SEED` runs that one.

mod deaths;
mod disk;
mod oracle;
mod schedules;
mod tampering;
mod world;

/// So many seeds, or the one that is asked for.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let chosen = std::env::var("SIM_SEED").ok();
    let chosen: Option<u64> = chosen.and_then(|seed| seed.parse().ok());
    chosen.map_or(0..count, |seed| seed..seed + 1)
}

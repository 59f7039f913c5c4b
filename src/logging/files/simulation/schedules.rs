//! Random schedules: sources, paths, rotations, clocks and deaths, thousands of times.

use std::collections::BTreeMap;

use super::oracle::{Moment, check};
use super::seeds;
use super::world::{Mutation, SECOND, World, settings};
use crate::data::Timespan;
use crate::logging::LogPath;
use crate::logging::files::naming::Naming;
use crate::logging::files::verify::{Input, Verifier};
use crate::logging::files::{Event, SyncPolicy};

/// Marsaglia's xorshift, with a multiplication to scatter it: the same seed, the same run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(u64::try_from(bound).unwrap())).unwrap()
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

const SEEDS: u64 = 2_000;

/// Among so many a wrong core is found out.
const SEEDS_TO_FIND: u64 = 6_000;

const PATHS: [&str; 3] = ["conn", "http", "dns"];

fn world(random: &mut Random, mutation: Option<Mutation>) -> World {
    let mut settings = settings();
    settings.checkpoint_bytes = [1, 200, 100_000][random.index(3)];
    settings.sync = match random.below(3) {
        0 => SyncPolicy::Never,
        1 => SyncPolicy::Batch,
        _ => SyncPolicy::Interval(Timespan::from_nanos(SECOND)),
    };
    settings.rotation.bytes_max = random.one_in(2).then_some(400);
    if random.one_in(4) {
        settings.naming = Naming::default();
    }
    let mut world = World::new(settings);
    world.mutation = mutation;
    world.schema_span = random.one_in(5).then_some(9);
    for _ in 0..=random.below(3) {
        world.add_ring();
    }
    world
}

/// A few steps of a life, which may end in the middle of any of them.
fn step(world: &mut World, random: &mut Random, paths: usize) -> Result<(), String> {
    match random.below(12) {
        0..=2 => {
            let ring = random.index(world.rings.len());
            for _ in 0..random.below(8) {
                let lines = random.below(5).min(3);
                let record = (0..lines).map(|_| PATHS[random.index(paths)].to_owned());
                let mut record: Vec<String> = record.collect();
                // Those of one path stand together, in the order that they have in the record.
                record.sort();
                world.rings[ring].records.push(record);
            }
        }
        3..=5 => {
            let ring = random.index(world.rings.len());
            world.deliver(ring, random.below(6));
        }
        6..=8 => world.files.flush(world.time()),
        9 => {
            let seconds = [0, 1, 1, 30, 61, -1, -200][random.index(7)];
            world.now += seconds * SECOND;
            world.files.tick(world.time());
        }
        10 => {
            let path = LogPath::parse(PATHS[random.index(paths)]).unwrap();
            // With the schema of some record: it must not matter which.
            let path = world.files.open(&path, &0_u64.to_le_bytes()).unwrap();
            world.files.rotate(path, world.time());
        }
        _ => world.files.look(world.time()),
    }
    if random.one_in(4) {
        let byte = [0, 0, 1, 31, 32, 33, 40, 100, 10_000][random.index(9)];
        world.fuse = Some((random.below(12), byte));
    }
    if random.one_in(2) {
        world.run()?;
        if world.files.action().is_none() {
            check(&world.disk, &world.rings, Moment::Quiet)?;
        }
    }
    Ok(())
}

/// Runs a seed. Returns the world at its end.
fn run(seed: u64, mutation: Option<Mutation>) -> Result<World, String> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    random.below(1);
    let mut world = world(&mut random, mutation);
    let paths = 1 + random.index(PATHS.len());
    for _ in 0..10 + random.below(60) {
        step(&mut world, &mut random, paths)?;
    }
    world.finish()?;
    verify(&world)?;
    Ok(world)
}

/// The indexes prove what the oracle saw: each number that has lines, once.
fn verify(world: &World) -> Result<(), String> {
    let mut verifier = Verifier::default();
    let files: BTreeMap<&str, &[u8]> = world.disk.files().into_iter().collect();
    for (name, file) in world.disk.files() {
        let path = PATHS
            .iter()
            .find(|path| name.rsplit('/').next().unwrap().starts_with(**path));
        if let (Some(index), Some(path)) = (files.get(format!("{name}.idx").as_str()), path) {
            let input = Input {
                path,
                index: Some(*index),
                file,
                until: None,
            };
            let report = verifier.add(input).map_err(|error| error.to_string())?;
            if report.fault_count > 0 {
                return Err(format!("{name}: {:?}", report.faults));
            }
        }
    }
    let proved: BTreeMap<_, _> = verifier
        .sources()
        .into_iter()
        .map(|r| (r.source.0, r))
        .collect();
    for ring in &world.rings {
        let with_lines = ring
            .records
            .iter()
            .filter(|record| !record.is_empty())
            .count();
        let found = proved.get(&ring.id).map_or(0, |report| report.records);
        if found != u64::try_from(with_lines).unwrap() {
            return Err(format!(
                "{with_lines} records have lines, {found} are proved"
            ));
        }
    }
    Ok(())
}

#[test]
fn every_accepted_record_stands_exactly_once_whenever_its_logger_dies() {
    let (mut deaths, mut rotations, mut cuts, mut skipped) = (0, 0, 0, 0);
    let all = seeds(SEEDS);
    let count = all.end - all.start;
    for seed in all {
        let world = run(seed, None).unwrap_or_else(|error| panic!("SIM_SEED={seed}: {error}"));
        deaths += world.deaths;
        skipped += world.files.skipped();
        for event in &world.events {
            match event {
                Event::Rotated { .. } => rotations += 1,
                Event::Recovered { cut, .. } => cuts += u64::from(*cut > 0),
                Event::StateLost
                | Event::SetAside { .. }
                | Event::CannotRename { .. }
                | Event::CannotCreate { .. } => panic!("SIM_SEED={seed}: {event:?}"),
            }
        }
    }
    // The schedules came to where it matters.
    if count >= SEEDS {
        assert!(deaths > count, "{deaths}");
        assert!(rotations > count, "{rotations}");
        assert!(cuts > count / 20, "{cuts}");
        assert!(skipped > count / 60, "{skipped}");
    }
}

/// A core that does one thing wrong is found out.
#[test]
fn the_oracle_finds_each_wrong_core() {
    for mutation in [
        Mutation::ReleaseEarly,
        Mutation::SkipCut,
        Mutation::ForgetNumbers,
        Mutation::LinesFirst,
        Mutation::NoState,
        Mutation::OneSlot,
        Mutation::Overwrite,
    ] {
        let found = (0..SEEDS_TO_FIND).find(|seed| run(*seed, Some(mutation)).is_err());
        assert!(found.is_some(), "{mutation:?} was not found out");
    }
}

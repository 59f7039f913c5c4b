//! A small life, killed at each of its steps and at each byte that it writes.

use super::oracle::{Moment, check};
use super::world::{World, settings};
use crate::logging::files::SyncPolicy;

/// Two sources, two paths, two batches and a rotation between them.
fn life(world: &mut World) -> Result<(), String> {
    let lists: [&[&str]; 4] = [&["a"], &["a", "a", "b"], &[], &["b"]];
    world.add_ring();
    world.add_ring();
    for list in lists {
        let record: Vec<String> = list.iter().map(|path| (*path).to_owned()).collect();
        for ring in &mut world.rings {
            ring.records.push(record.clone());
        }
    }
    world.deliver(0, 2);
    world.deliver(1, 1);
    world.files.flush(world.time());
    world.run()?;
    world.now += 61_000_000_000;
    world.files.tick(world.time());
    world.run()?;
    world.finish_with_deaths()
}

fn live(fuse: Option<(u64, usize)>, second: Option<(u64, usize)>) -> Result<World, String> {
    let mut settings = settings();
    settings.sync = SyncPolicy::Batch;
    settings.checkpoint_bytes = 60;
    let mut world = World::new(settings);
    world.fuse = fuse;
    world.second_fuse = second;
    life(&mut world)?;
    check(&world.disk, &world.rings, Moment::End)?;
    Ok(world)
}

#[test]
fn a_death_at_any_byte_of_any_step_costs_nothing() {
    let steps = live(None, None).unwrap().actions;
    assert!(steps > 40, "{steps}");
    for step in 0..steps {
        let mut byte = 0;
        loop {
            let world = live(Some((step, byte)), None);
            let world = world.unwrap_or_else(|error| panic!("step {step}, byte {byte}: {error}"));
            assert_eq!(world.deaths, 1);
            if byte >= world.died_of {
                break;
            }
            byte += 1;
        }
    }
}

#[test]
fn a_second_death_at_any_step_of_the_recovery_costs_nothing() {
    let steps = live(None, None).unwrap().actions;
    for step in 0..steps {
        for byte in [0, 45, usize::MAX] {
            for second in 0..24 {
                let fuses = (Some((step, byte)), Some((second, byte / 2)));
                let world = live(fuses.0, fuses.1);
                world.unwrap_or_else(|error| panic!("{fuses:?}: {error}"));
            }
        }
    }
}

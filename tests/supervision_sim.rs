//! Seeded simulation of supervision: whole worlds of children, kernels and operators around the real
//! state machines, with a checker that looks at every action and every turn.
//!
//! * `SIM_SEED=7 cargo test --test supervision_sim` plays one world and prints what happened in it.
//! * `SIM_SEEDS=1000000 cargo test --test supervision_sim` plays that many.
//!
//! All times are shrunk, and all of them are virtual: nothing here sleeps.

#![cfg(test)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

#[path = "supervision_sim/check.rs"]
mod check;
#[path = "supervision_sim/operator.rs"]
mod operator;
#[path = "supervision_sim/plan.rs"]
mod plan;
mod stories;
#[path = "supervision_sim/world.rs"]
mod world;

use stories::{number_of, only_seed};
use world::{Fault, Tally, World};

const SEEDS: u64 = 20_000;

/// A friendly world is content after at most this long.
const CONTENT_WITHIN: Duration = Duration::from_secs(30);

/// No world has more turns than this.
const TURNS_MAX: u64 = 50_000;

/// What went wrong, and all that is needed to see it again.
struct Finding {
    problem: String,
    trace: Vec<String>,
}

/// Plays one world to its end.
fn play(seed: u64, fault: Option<Fault>, traced: bool) -> Result<Tally, Finding> {
    let mut world = World::new(seed, fault, traced);
    let done = catch_unwind(AssertUnwindSafe(|| play_on(&mut world)));
    let problem = match done {
        Ok(Ok(())) if !traced => return Ok(world.tally),
        Ok(Ok(())) => "nothing is wrong with this world".to_owned(),
        Ok(Err(problem)) => problem,
        Err(_) => "the fleet panicked".to_owned(),
    };
    let at = (world.now - world.start).as_millis();
    Err(Finding {
        problem: format!(
            "seed {seed}, turn {}, {at} ms: {problem}",
            world.tally.turns
        ),
        trace: world.trace.unwrap_or_default(),
    })
}

fn play_on(world: &mut World) -> Result<(), String> {
    while !world.over && world.turn()? {
        if world.tally.turns > TURNS_MAX {
            return Err("no end of turns".to_owned());
        }
        let Some(calm) = world.calm else { continue };
        if world.closing.is_some() {
            continue; // goes on until it is over
        }
        let lacking = world.discontent();
        if lacking.is_empty() {
            if world.dice.chance(40) {
                return Ok(());
            }
            world.shut_down();
            world.plan(world.now, world::Happening::Wake);
        } else if world.now > calm + CONTENT_WITHIN {
            return Err(format!("a friendly world never came to rest: {lacking:?}"));
        }
    }
    let lacking = world.discontent();
    if !world.over && world.closing.is_some() {
        return Err("a shutdown was never over".to_owned());
    }
    if !world.over && !lacking.is_empty() {
        return Err(format!("nothing will ever happen again: {lacking:?}"));
    }
    Ok(())
}

/// Shows: whatever children, kernel, operator and stem do, and in whatever order it is noticed, nothing
/// runs that should not, everything that should comes back, and all stop in order and in time.
#[test]
fn every_world_is_supervised_well() {
    if let Some(seed) = only_seed() {
        let Err(finding) = play(seed, None, true) else {
            panic!("a traced world always has something to tell");
        };
        println!("{}\n{}", finding.trace.join("\n"), finding.problem);
        assert!(
            finding
                .problem
                .ends_with("nothing is wrong with this world")
        );
        return;
    }
    let seeds = number_of("SIM_SEEDS").unwrap_or(SEEDS);
    let mut total = Tally::default();
    for seed in 0..seeds {
        match play(seed, None, false) {
            Ok(tally) => total.add(&tally),
            Err(finding) => panic!(
                "{}; SIM_SEED={seed} cargo test --test supervision_sim shows how",
                finding.problem
            ),
        }
    }
    println!("{seeds} worlds: {total:?}");
    assert!(seeds < 1_000 || total.is_wild(), "too tame: {total:?}");
}

/// Shows: the checker can fail. Each way to break the driver is noticed within a few hundred worlds.
#[test]
fn every_broken_driver_is_caught() {
    if only_seed().is_some() {
        return;
    }
    let faults: [(Fault, &str); 10] = [
        (Fault::LosesEnds, "has 0 process"),
        (Fault::BelievesSigterm, "has 1 process"),
        (Fault::BearsTwice, "has two processes"),
        (Fault::BearsTheWaiting, "is pending and has 1"),
        (Fault::DropsKills, "should have been killed"),
        (Fault::IgnoresTheOrder, "is signalled while"),
        (Fault::OversleepsDeadlines, "is killed too late"),
        (Fault::LosesReports, "was reported"),
        (Fault::ForgetsThePast, "is born twice as"),
        (Fault::StartsTheResting, "too early"),
    ];
    for (fault, words) in faults {
        let find = |seed| play(seed, Some(fault), false).err();
        let caught = (0..300)
            .filter_map(find)
            .find(|f| f.problem.contains(words));
        let finding = caught.unwrap_or_else(|| panic!("{fault:?} went unnoticed"));
        println!("{fault:?}: {}", finding.problem);
    }
}

/// Shows: a seed is a world: played twice, it is the same, turn for turn.
#[test]
fn the_same_seed_plays_the_same_world() {
    for seed in [1, 77, 4_321] {
        let trace = || play(seed, None, true).err().map(|finding| finding.trace);
        assert_eq!(steps(trace()), steps(trace()));
    }
}

/// A trace without the moments that hold the real clock.
fn steps(trace: Option<Vec<String>>) -> Vec<String> {
    let lines = trace.unwrap_or_default();
    lines
        .into_iter()
        .filter(|line| !line.contains("Instant"))
        .collect()
}

//! What random stories are made of: dice, the seeds to play, an instant to begin at.

#![allow(dead_code, reason = "each test file uses its share")]

use std::ops::Range;
use std::time::{Duration, Instant};

/// Things happen on ticks, so that many happen at once.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// What a variable of the environment says, if it says a number.
pub(crate) fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is a number")),
    )
}

/// The seed to replay, if `SIM_SEED` says one.
pub(crate) fn only_seed() -> Option<u64> {
    number_of("SIM_SEED")
}

/// That seed, else so many.
pub(crate) fn seeds(usual: u64) -> Range<u64> {
    only_seed().map_or(0..usual, |seed| seed..seed + 1)
}

/// Where a story's time begins.
pub(crate) fn origin() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no other way to come by an instant"
    )]
    Instant::now()
}

/// Seeded random numbers (SplitMix64): the same seed makes the same story.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(1))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap();
        usize::try_from(self.next() % bound).unwrap()
    }

    /// From `least` to `most`, both included.
    pub(crate) fn number(&mut self, least: u32, most: u32) -> u32 {
        let span = u64::from(most - least) + 1;
        least + u32::try_from(self.next() % span).unwrap()
    }

    pub(crate) fn chance(&mut self, per_cent: u32) -> bool {
        self.number(1, 100) <= per_cent
    }

    pub(crate) fn ticks(&mut self, least: u32, most: u32) -> Duration {
        TICK * self.number(least, most)
    }

    /// One of them; there is at least one.
    pub(crate) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.below(last + 1));
        }
    }
}

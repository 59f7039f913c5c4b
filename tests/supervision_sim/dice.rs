//! Seeded random numbers (SplitMix64): the same seed makes the same world.

use std::time::Duration;

/// Things happen on ticks, so that many happen at once.
pub(crate) const TICK: Duration = Duration::from_millis(10);

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

    /// From `least` to `most`, both included.
    pub(crate) fn number(&mut self, least: u32, most: u32) -> u32 {
        let span = u64::from(most - least) + 1;
        least + u32::try_from(self.next() % span).unwrap_or(0)
    }

    pub(crate) fn chance(&mut self, per_cent: u32) -> bool {
        self.number(1, 100) <= per_cent
    }

    pub(crate) fn ticks(&mut self, least: u32, most: u32) -> Duration {
        TICK * self.number(least, most)
    }

    /// One of them; there is at least one.
    pub(crate) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let last = u32::try_from(all.len() - 1).unwrap_or(u32::MAX);
        &all[self.number(0, last) as usize]
    }

    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let most = u32::try_from(last).unwrap_or(u32::MAX);
            all.swap(last, self.number(0, most) as usize);
        }
    }
}

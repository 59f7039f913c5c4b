//! Seeds for the controller's random tests, and an instant to start from.

use std::time::Instant;

/// So many seeds are tried on every run.
const SEEDS: u64 = 64;

/// One seed to replay if `SIM_SEED` says so, else the usual ones.
pub(crate) fn seeds() -> Vec<u64> {
    match std::env::var("SIM_SEED") {
        Ok(text) => vec![text.parse().expect("SIM_SEED is a number")],
        Err(_) => (0..SEEDS).collect(),
    }
}

/// Where a test's time begins.
pub(crate) fn origin() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no other way to come by an instant"
    )]
    Instant::now()
}

/// A small generator (xorshift64*): the same seed, the same run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(bits).unwrap() % bound
    }
}

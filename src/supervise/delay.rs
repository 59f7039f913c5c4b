//! How long a dead child waits for its next birth, and when it is given up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::layout::spec::{Budget, LifePolicy};

/// Jitter moves a delay by at most this share of it, up or down.
const JITTER_PER_CENT: u32 = 10;

/// Longer than any supervisor lives.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The delay before the next birth after `failures` failures in a row (1 is the first).
///
/// Doubles from the floor to the ceiling, then moves by up to ten per cent, but not below the floor, so
/// that a thousand children that died of one cause do not come back in one moment. `dice` is any number
/// that differs from child to child and from death to death.
#[must_use]
pub fn after(policy: &LifePolicy, failures: u32, dice: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let plain = policy
        .floor
        .saturating_mul(1_u32 << doublings)
        .min(policy.ceiling);
    let jitter = plain / 100 * JITTER_PER_CENT;
    let least = (plain - jitter).max(policy.floor.min(plain));
    let span = plain.saturating_add(jitter) - least;
    let share = u32::try_from(mix(dice) % 1_000).unwrap_or(0);
    least + span / 1_000 * share
}

/// The moment `by` after `now`; a moment beyond what the clock can tell is a century away.
#[must_use]
pub fn later(now: Instant, by: Duration) -> Instant {
    now.checked_add(by).unwrap_or(now + CENTURY)
}

/// Spreads the bits of a number (the finaliser of SplitMix64), so that neighbouring dice differ widely.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The deaths that count against a child's budget.
#[derive(Clone, Debug, Default)]
pub struct Deaths {
    times: VecDeque<Instant>,
}

impl Deaths {
    /// Counts one more death. True when the budget is spent by it.
    ///
    /// Keeps no more times than the budget has deaths.
    #[must_use]
    pub fn count(&mut self, now: Instant, budget: Option<Budget>) -> bool {
        let Some(budget) = budget else {
            return false;
        };
        while let Some(first) = self.times.front() {
            if now.duration_since(*first) <= budget.within {
                break;
            }
            self.times.pop_front();
        }
        self.times.push_back(now);
        self.times.len() >= budget.deaths as usize
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.times = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;

    #[test]
    fn delays_double_from_the_floor_to_the_ceiling_within_the_jitter() {
        let policy = LifePolicy::default();
        for failures in 1..40 {
            for dice in 0..50 {
                let delay = after(&policy, failures, dice);
                let plain =
                    Duration::from_millis(250 << (failures - 1).min(20)).min(policy.ceiling);
                assert!(delay >= policy.floor, "{failures}: {delay:?}");
                assert!(delay >= plain.mul_f64(0.899), "{failures}: {delay:?}");
                assert!(delay <= plain.mul_f64(1.101), "{failures}: {delay:?}");
            }
        }
    }

    #[test]
    fn a_floor_of_nothing_is_no_delay_at_all() {
        let policy = LifePolicy {
            floor: Duration::ZERO,
            ..LifePolicy::default()
        };
        assert_eq!(after(&policy, 30, 7), Duration::ZERO);
    }

    #[test]
    fn even_the_first_delays_of_many_children_are_spread() {
        let policy = LifePolicy::default();
        let mut delays: Vec<Duration> = (0..1_000).map(|dice| after(&policy, 1, dice)).collect();
        delays.sort();
        delays.dedup();
        assert!(delays.len() > 500, "{} different ones", delays.len());
    }

    #[test]
    fn an_absurd_duration_is_a_late_moment_and_no_panic() {
        let now = clock::monotonic();
        assert!(later(now, Duration::MAX) > now + CENTURY / 2);
        assert_eq!(later(now, CENTURY / 3), now + CENTURY / 3);
        let policy = LifePolicy {
            floor: Duration::MAX,
            ceiling: Duration::MAX,
            ..LifePolicy::default()
        };
        assert!(after(&policy, 9, 3) > Duration::MAX / 2);
    }

    #[test]
    fn the_budget_counts_only_deaths_within_its_period() {
        let budget = Some(Budget {
            deaths: 3,
            within: Duration::from_secs(60),
        });
        let start = clock::monotonic();
        let at = |s| start + Duration::from_secs(s);
        let mut deaths = Deaths::default();
        assert!(!deaths.count(at(0), budget));
        assert!(!deaths.count(at(50), budget));
        assert!(!deaths.count(at(70), budget), "the first is forgotten");
        assert!(deaths.count(at(100), budget));
        deaths.clear();
        assert!(!deaths.count(at(101), budget));
        assert!(!deaths.count(at(101), None));
    }
}

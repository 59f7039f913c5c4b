//! What the rings of a stem by hand say became of records.

use std::collections::BTreeMap;

use cluster::fabric::{Class, Slot};
use cluster::shm::ring::{Accounting, DropReason};

use super::{Inner, observe};

/// What became of all records from one node to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accounts {
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) dead_letters: u64,
    pub(crate) in_flight: u64,
    pub(crate) full: u64,
    pub(crate) timeout: u64,
    pub(crate) too_large: u64,
    pub(crate) disconnected: u64,
    pub(crate) no_ring: u64,
    /// Of those that streams had accepted.
    pub(crate) oldest: u64,
    pub(crate) lost: u64,
}

impl Accounts {
    #[allow(
        dead_code,
        reason = "each program that includes this file uses its part"
    )]
    pub(crate) fn dropped(&self) -> u64 {
        self.full + self.timeout + self.too_large + self.disconnected + self.no_ring
    }
}

impl Inner {
    pub(super) fn accounts(&self, from: Slot, to: Slot) -> Accounts {
        let mut sum = Accounts {
            no_ring: self.board.no_ring(from, to),
            ..Accounts::default()
        };
        let link = self
            .rings
            .iter()
            .filter(|(key, _)| (key.from, key.to) == (from, to));
        // Each ring counts on from those that it took over from.
        let mut classes: BTreeMap<Class, Accounting> = BTreeMap::new();
        for (key, memory) in link {
            let so_far = classes.entry(key.class).or_default();
            *so_far = so_far.and_of_next(&observe(memory));
        }
        for seen in classes.values() {
            sum.accepted += seen.accepted;
            sum.delivered += seen.delivered;
            sum.dead_letters += seen.dead_letters;
            sum.in_flight += seen.in_flight;
            sum.full += seen.dropped(DropReason::Full);
            sum.timeout += seen.dropped(DropReason::Timeout);
            sum.too_large += seen.dropped(DropReason::TooLarge);
            sum.disconnected += seen.dropped(DropReason::Disconnected);
            sum.no_ring += seen.dropped(DropReason::NoRing);
            sum.oldest += seen.dropped(DropReason::Oldest);
            sum.lost += seen.dropped(DropReason::Lost);
        }
        sum
    }
}

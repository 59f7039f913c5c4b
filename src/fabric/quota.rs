//! How much of the host the rings may take whose writers are guests: each of them, and all together.
//!
//! Pure. Nodes of the layout have no such bound: an operator has chosen them.

use std::collections::BTreeMap;

use super::{Refusal, Slot, Transport};

/// Rings that somebody has had made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many.
    pub rings: usize,
    /// The bytes for records in them. Memory is taken as it is written to, not before.
    pub bytes: u64,
}

impl Usage {
    /// One ring more.
    #[must_use]
    pub fn and(self, bytes: u32) -> Self {
        Self {
            rings: self.rings.saturating_add(1),
            bytes: self.bytes.saturating_add(bytes.into()),
        }
    }

    /// One ring less.
    #[must_use]
    pub fn without(self, bytes: u32) -> Self {
        Self {
            rings: self.rings.saturating_sub(1),
            bytes: self.bytes.saturating_sub(bytes.into()),
        }
    }

    /// The same, when each takes so many bytes besides.
    #[must_use]
    pub fn with_more_for_each(self, bytes: u32) -> Self {
        let rings = u64::try_from(self.rings).unwrap_or(u64::MAX);
        let more = rings.saturating_mul(bytes.into());
        Self {
            bytes: self.bytes.saturating_add(more),
            ..self
        }
    }
}

/// So many rings, or streams, may stand where so many descriptors may be open: half of these are kept for
/// everything else.
#[must_use]
pub fn rings_max(descriptors_max: u64, transport: Transport) -> usize {
    let descriptors = usize::try_from(descriptors_max / 2).unwrap_or(usize::MAX);
    descriptors / transport.descriptors_a_link()
}

/// What guests have had made, counted as rings come and go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    each: BTreeMap<Slot, Usage>,
    all: Usage,
}

impl Tally {
    /// A ring was made for this guest.
    pub fn add(&mut self, guest: Slot, bytes: u32) {
        let own = self.each.entry(guest).or_default();
        *own = own.and(bytes);
        self.all = self.all.and(bytes);
    }

    /// One of its rings went.
    pub fn remove(&mut self, guest: Slot, bytes: u32) {
        let Some(own) = self.each.get_mut(&guest) else {
            return;
        };
        *own = own.without(bytes);
        if own.rings == 0 {
            self.each.remove(&guest);
        }
        self.all = self.all.without(bytes);
    }

    /// This guest's.
    #[must_use]
    pub fn of(&self, guest: Slot) -> Usage {
        self.each.get(&guest).copied().unwrap_or_default()
    }

    /// All guests' together.
    #[must_use]
    pub fn all(&self) -> Usage {
        self.all
    }
}

/// What rings guests may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Each of them.
    pub each: Usage,
    /// All of them, and those who left and whose records are not read yet.
    pub all: Usage,
    /// What each ring takes besides its own bytes, such as what its reader may have to hold.
    pub besides_each: u32,
}

impl Quota {
    /// May this guest have one more ring, of so many bytes?
    ///
    /// # Errors
    /// [`Refusal::TooManyRings`], [`Refusal::TooMuchMemory`].
    pub fn check(&self, tally: &Tally, guest: Slot, bytes: u32) -> Result<(), Refusal> {
        for (has, most) in [(tally.of(guest), self.each), (tally.all(), self.all)] {
            let has = has.and(bytes).with_more_for_each(self.besides_each);
            if has.rings > most.rings {
                return Err(Refusal::TooManyRings);
            }
            if has.bytes > most.bytes {
                return Err(Refusal::TooMuchMemory);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: Slot = Slot(1);
    const OTHER: Slot = Slot(2);

    #[test]
    fn a_stream_takes_two_descriptors_and_a_ring_one() {
        assert_eq!(rings_max(1025, Transport::Ring), 512);
        assert_eq!(rings_max(1025, Transport::Unix), 256);
    }

    #[test]
    fn each_guest_and_all_together_are_bound_in_rings_and_in_bytes() {
        let usage = |rings, bytes| Usage { rings, bytes };
        let quota = Quota {
            each: usage(2, 100),
            all: usage(3, 150),
            besides_each: 0,
        };
        let too_many = Err(Refusal::TooManyRings);
        let too_much = Err(Refusal::TooMuchMemory);
        for (own, others, bytes, expected) in [
            (vec![50], vec![50], 50, Ok(())),
            (vec![1, 1], vec![], 1, too_many.clone()),
            (vec![], vec![], 101, too_much.clone()),
            (vec![], vec![1, 1, 1], 1, too_many),
            (vec![], vec![100], 60, too_much.clone()),
        ] {
            let mut tally = Tally::default();
            own.iter().for_each(|bytes| tally.add(GUEST, *bytes));
            others.iter().for_each(|bytes| tally.add(OTHER, *bytes));
            let checked = quota.check(&tally, GUEST, bytes);
            assert_eq!(checked, expected, "{bytes} after {own:?} and {others:?}");
        }
        let besides_each = 60;
        let quota = Quota {
            besides_each,
            ..quota
        };
        assert_eq!(quota.check(&Tally::default(), GUEST, 40), Ok(()));
        assert_eq!(quota.check(&Tally::default(), GUEST, 41), too_much);
        assert_eq!(usage(1, 5).and(7), usage(2, 12));
        assert_eq!(usage(3, 5).with_more_for_each(10), usage(3, 35));
    }

    #[test]
    fn a_ring_that_went_counts_no_more() {
        let mut tally = Tally::default();
        tally.add(GUEST, 5);
        tally.add(GUEST, 7);
        tally.add(OTHER, 1);
        tally.remove(GUEST, 5);
        assert_eq!(tally.of(GUEST), Usage::default().and(7));
        assert_eq!(tally.all(), Usage::default().and(7).and(1));
        tally.remove(GUEST, 7);
        tally.remove(OTHER, 1);
        assert_eq!(tally, Tally::default());
    }
}

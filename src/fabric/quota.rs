//! How much of the host the rings may take whose writers are guests: each of them, and all together.
//!
//! Pure. Nodes of the layout have no such bound: an operator has chosen them.

use super::{Refusal, Transport};

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

/// What rings guests may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Each of them.
    pub each: Usage,
    /// All of them, and those who left and whose records are not read yet.
    pub all: Usage,
}

impl Quota {
    /// May a guest have had so much made, while all guests, itself among them, have that much?
    ///
    /// # Errors
    /// [`Refusal::TooManyRings`], [`Refusal::TooMuchMemory`].
    pub fn check(&self, own: Usage, all: Usage) -> Result<(), Refusal> {
        for (has, most) in [(own, self.each), (all, self.all)] {
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
        };
        for (own, all, expected) in [
            (usage(2, 100), usage(3, 150), Ok(())),
            (usage(3, 1), usage(3, 3), Err(Refusal::TooManyRings)),
            (usage(1, 101), usage(1, 101), Err(Refusal::TooMuchMemory)),
            (usage(1, 1), usage(4, 4), Err(Refusal::TooManyRings)),
            (usage(1, 60), usage(2, 160), Err(Refusal::TooMuchMemory)),
        ] {
            assert_eq!(quota.check(own, all), expected, "{own:?} of {all:?}");
        }
        assert_eq!(usage(1, 5).and(7), usage(2, 12));
        assert_eq!(usage(3, 5).with_more_for_each(10), usage(3, 35));
    }
}

//! The digest of a node and the bytes that lead away from it, eight bytes a step.

/// Odd numbers without a pattern (digits of π): what the words are multiplied with.
const FACTORS: [u64; 2] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7345];

/// So many bits of a digest are used. Tests make do with few, so that digests meet.
const BITS: u32 = if cfg!(test) { 3 } else { 64 };

const WORD: usize = size_of::<u64>();

/// The digests of growing prefixes of the same bytes, at the cost of the longest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digest {
    state: u64,
    /// How many bytes are in `state`, whole words.
    done: usize,
}

impl Digest {
    /// Of no bytes yet, below this node.
    pub(super) fn of(seed: u64, node: usize) -> Self {
        let [factor, _] = FACTORS;
        Self {
            state: seed ^ (node as u64).wrapping_mul(factor),
            done: 0,
        }
    }

    /// The digest of these bytes, which begin with those it was asked for before.
    pub(super) fn up_to(&mut self, bytes: &[u8]) -> u64 {
        let mut words = bytes.get(self.done..).unwrap_or_default();
        while let Some((word, rest)) = words.split_first_chunk::<WORD>() {
            self.state = fold(self.state ^ u64::from_le_bytes(*word));
            self.done += WORD;
            words = rest;
        }
        let mut last = [0; WORD];
        for (to, from) in last.iter_mut().zip(words) {
            *to = *from;
        }
        // The length tells a word that ends with zeros from a shorter one.
        let last = u64::from_le_bytes(last) ^ (bytes.len() as u64).rotate_right(16);
        fold(fold(self.state ^ last)) >> (u64::BITS - BITS)
    }
}

/// Multiplies to twice the width and lays the halves upon one another, so that each bit reaches all.
#[expect(
    clippy::cast_possible_truncation,
    reason = "both halves of the product are used"
)]
fn fold(word: u64) -> u64 {
    let [first, second] = FACTORS;
    let product = u128::from(word ^ first) * u128::from(second);
    (product >> u64::BITS) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_of_growing_bytes_is_the_digest_of_each_of_them() {
        let bytes: Vec<u8> = (0..40).collect();
        let mut growing = Digest::of(7, 3);
        for end in 0..bytes.len() {
            let alone = Digest::of(7, 3).up_to(&bytes[..end]);
            assert_eq!(growing.up_to(&bytes[..end]), alone, "{end}");
        }
    }

    #[test]
    fn all_digests_that_there_are_occur() {
        let mut seen = [0; 1 << BITS];
        for node in 0..200 {
            let digest = Digest::of(1, node).up_to(b"worker-1/");
            seen[usize::try_from(digest).unwrap()] += 1;
        }
        // 25 each if they were spread evenly.
        assert!(seen.iter().all(|count| (5..60).contains(count)), "{seen:?}");
    }
}

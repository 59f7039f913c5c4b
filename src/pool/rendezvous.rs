//! Rendezvous hashing ("highest random weight") with Zeek's functions: each site gets a weight for a key,
//! and the greatest wins.

/// The hash of keys and of aliases: FNV-1a of 32 bits.
#[must_use]
pub fn fnv1a32(bytes: &[u8]) -> u32 {
    const BASIS: u32 = 2_166_136_261;
    const PRIME: u32 = 16_777_619;
    bytes.iter().fold(BASIS, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(PRIME)
    })
}

/// The weight of a site for a key's digest: two steps of a linear congruential generator, of 31 bits.
#[must_use]
pub fn weight(digest: u32, site_id: u32) -> u32 {
    const LOW_31: u32 = 0x7fff_ffff;
    let step = |x: u32| x.wrapping_mul(1_103_515_245).wrapping_add(12_345);
    step(step(site_id) ^ (digest & LOW_31)) & LOW_31
}

/// The site with the greatest weight for a key's digest; of those with the same weight the one with the
/// greatest id. `None` if there is no site.
pub fn choose(digest: u32, sites: impl IntoIterator<Item = u32>) -> Option<u32> {
    sites
        .into_iter()
        .max_by_key(|site_id| (weight(digest, *site_id), *site_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digests_are_fnv1a() {
        assert_eq!(fnv1a32(b""), 2_166_136_261);
        assert_eq!(fnv1a32(b"a"), 3_826_002_220);
        assert_eq!(fnv1a32(b"worker-1.0"), 4_178_617_771);
        assert_eq!(fnv1a32(b"logger-2.0"), 0x67a7_4330);
    }

    #[test]
    fn weights_are_those_that_zeek_prints() {
        let proxies = [b"proxy-1.0", b"proxy-2.0", b"proxy-3.0"].map(|alias| fnv1a32(alias));
        assert_eq!(proxies, [0xa214_084f, 0x6587_c75e, 0x4bc5_9205]);
        for (key, expected) in [
            ("alpha", [1_057_182_436, 604_199_229, 823_912_406]),
            ("beta", [1_306_032_312, 1_636_860_113, 39_048_978]),
            ("gamma", [1_326_887_511, 462_214_090, 2_091_675_721]),
            ("delta", [236_166_386, 687_132_671, 1_510_876_312]),
            ("epsilon", [1_570_395_238, 624_321_203, 1_682_663_796]),
        ] {
            let digest = fnv1a32(key.as_bytes());
            assert_eq!(proxies.map(|site| weight(digest, site)), expected, "{key}");
        }
    }

    #[test]
    fn bare_sites_are_chosen_as_in_zeeks_own_tests() {
        let count = |value: u64| {
            let mut bytes = vec![3, 0, 0, 0];
            bytes.extend(value.to_le_bytes());
            fnv1a32(&bytes)
        };
        let text = |key: &str| fnv1a32(key.as_bytes());
        let all = [0, 1, 3, 4];
        let words = ["one", "two", "three", "four", "five", "six"];
        let chosen = words.map(|key| choose(text(key), all).unwrap());
        assert_eq!(chosen, [0, 3, 1, 1, 3, 3]);
        let chosen = [1, 2, 3].map(|key| choose(count(key), all).unwrap());
        assert_eq!(chosen, [1, 0, 1]);
        assert_eq!(choose(text("one"), [1, 3, 4]), Some(1));
        assert_eq!(choose(count(2), [1, 3, 4]), Some(4));
        assert_eq!(choose(0, []), None);
    }

    #[test]
    fn of_equal_weights_the_greater_site_wins() {
        // The weight has 31 bits, and the step is a bijection: these two differ in the bit that is lost.
        let (low, high) = (5, 5 | 1 << 31);
        assert_eq!(weight(77, low), weight(77, high));
        assert_eq!(choose(77, [low, high]), Some(high));
        assert_eq!(choose(77, [high, low]), Some(high));
    }

    proptest! {
        #[test]
        fn a_site_that_leaves_moves_its_own_keys_only(
            sites in proptest::collection::btree_set(any::<u32>(), 2..12),
            gone: proptest::sample::Index,
            digests in proptest::collection::vec(any::<u32>(), 1..64),
        ) {
            let sites: Vec<u32> = sites.into_iter().collect();
            let gone = sites[gone.index(sites.len())];
            let left = || sites.iter().copied().filter(|site| *site != gone);
            for digest in digests {
                let before = choose(digest, sites.iter().copied());
                let after = choose(digest, left());
                if before == Some(gone) {
                    prop_assert!(after.is_some_and(|site| left().any(|one| one == site)));
                } else {
                    prop_assert_eq!(before, after);
                }
            }
        }
    }
}

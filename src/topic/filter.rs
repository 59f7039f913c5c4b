//! What one endpoint wants: the smallest set of prefixes that says it.

use super::{TooLong, check_length};

/// The bytes of a prefix's length in the encoded form.
const LENGTH_BYTES: usize = size_of::<u16>();

/// Why bytes are no filter. Whoever wrote them misbehaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The bytes end inside a prefix or its length.
    #[error("a filter ends inside its prefix at byte {at}")]
    Truncated {
        /// Where the prefix begins.
        at: usize,
    },
    /// The prefixes are not sorted, or one covers another.
    #[error("a filter's prefix at byte {at} is out of order, or covered by the one before it")]
    NotMinimal {
        /// Where the prefix begins.
        at: usize,
    },
}

/// A set of prefixes none of which begins with another; Broker's `filter_type`.
///
/// Two filters that match the same topics are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Sorted bytewise. What begins with an entry follows right behind it, so that of all entries only
    /// the last one that is not greater than a topic can be a prefix of it.
    prefixes: Vec<Box<[u8]>>,
}

impl Filter {
    /// The smallest filter that holds these prefixes.
    ///
    /// # Errors
    /// [`TooLong`] as for [`Filter::add`].
    pub fn of<P: AsRef<[u8]>>(prefixes: impl IntoIterator<Item = P>) -> Result<Self, TooLong> {
        let mut filter = Self::default();
        for prefix in prefixes {
            filter.add(prefix.as_ref())?;
        }
        Ok(filter)
    }

    /// Adds a prefix, and removes those it covers. Returns whether the filter has changed: it has not if
    /// the prefix was covered already. Broker's `filter_extend`.
    ///
    /// # Errors
    /// [`TooLong`]: no topic could begin with it. The filter has not changed.
    pub fn add(&mut self, prefix: &[u8]) -> Result<bool, TooLong> {
        check_length(prefix)?;
        if self.matches(prefix) {
            return Ok(false);
        }
        let from = self.prefixes.partition_point(|entry| **entry < *prefix);
        let behind = self.prefixes.iter().skip(from);
        let covered = behind.take_while(|entry| entry.starts_with(prefix)).count();
        self.prefixes.splice(from..from + covered, [prefix.into()]);
        Ok(true)
    }

    /// Whether one of the prefixes is a prefix of `topic`.
    #[must_use]
    pub fn matches(&self, topic: &[u8]) -> bool {
        let behind = self.prefixes.partition_point(|entry| **entry <= *topic);
        let candidate = behind.checked_sub(1).and_then(|at| self.prefixes.get(at));
        candidate.is_some_and(|entry| topic.starts_with(entry))
    }

    /// The prefixes, sorted bytewise.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.prefixes.iter().map(|prefix| &**prefix)
    }

    /// The number of prefixes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// Whether it matches nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// The bytes that [`Filter::encode_into`] will write.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.iter().map(|prefix| LENGTH_BYTES + prefix.len()).sum()
    }

    /// Appends the filter's form for shared memory: for each prefix, sorted bytewise, its length in bytes
    /// (u16, little endian) and the bytes.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        for prefix in self.iter() {
            let Ok(bytes) = u16::try_from(prefix.len()) else {
                debug_assert!(false, "a filter holds a prefix that `add` refuses");
                continue;
            };
            out.extend_from_slice(&bytes.to_le_bytes());
            out.extend_from_slice(prefix);
        }
    }

    /// Reads what [`Filter::encode_into`] wrote, and nothing else: each filter has one form.
    ///
    /// # Errors
    /// [`FilterError`] says at which byte it goes wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, FilterError> {
        let mut prefixes: Vec<Box<[u8]>> = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = bytes.len() - rest.len();
            let (prefix, behind) = cut_prefix(rest).ok_or(FilterError::Truncated { at })?;
            let follows = |last: &[u8]| last < prefix && !prefix.starts_with(last);
            if prefixes.last().is_some_and(|last| !follows(last)) {
                return Err(FilterError::NotMinimal { at });
            }
            prefixes.push(prefix.into());
            rest = behind;
        }
        Ok(Self { prefixes })
    }
}

/// Splits off one length and its prefix.
fn cut_prefix(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(u16::from_le_bytes(*length).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::TOPIC_BYTES_MAX;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn filter(prefixes: &[&str]) -> Filter {
        Filter::of(prefixes).unwrap()
    }

    #[test]
    fn a_covered_prefix_changes_nothing_and_a_covering_one_takes_the_others_away() {
        let mut filter = filter(&["zeek/cluster/worker", "zeek/logs/", "other"]);
        assert_eq!(filter.add(b"zeek/logs/conn"), Ok(false));
        assert_eq!(filter.add(b"zeek/logs/"), Ok(false));
        assert_eq!(filter.len(), 3);
        assert_eq!(filter.add(b"zeek/"), Ok(true));
        assert_eq!(filter.iter().collect::<Vec<_>>(), [&b"other"[..], b"zeek/"]);
        assert_eq!(filter.add(b""), Ok(true));
        assert_eq!(filter.iter().collect::<Vec<_>>(), [b""]);
    }

    #[test]
    fn an_empty_filter_matches_nothing_and_the_empty_prefix_everything() {
        assert!(!Filter::default().matches(b""));
        assert!(!Filter::default().matches(b"zeek"));
        assert!(filter(&[""]).matches(b""));
        assert!(filter(&[""]).matches(b"<$>/local/data/errors"));
    }

    #[test]
    fn the_encoded_form_is_a_sorted_list_of_lengths_and_bytes() {
        let mut bytes = vec![0xff];
        filter(&["zeek", "a"]).encode_into(&mut bytes);
        assert_eq!(bytes, b"\xff\x01\x00a\x04\x00zeek");
        bytes.clear();
        filter(&[""]).encode_into(&mut bytes);
        assert_eq!(bytes, [0, 0]);
    }

    #[test]
    fn bytes_that_no_filter_is_encoded_to_are_refused_with_their_place() {
        let truncated = |at| Err(FilterError::Truncated { at });
        let not_minimal = |at| Err(FilterError::NotMinimal { at });
        assert_eq!(Filter::decode(b"\x01"), truncated(0));
        assert_eq!(Filter::decode(b"\x01\x00a\x02\x00b"), truncated(3));
        assert_eq!(Filter::decode(b"\x01\x00b\x01\x00a"), not_minimal(3));
        assert_eq!(Filter::decode(b"\x01\x00a\x01\x00a"), not_minimal(3));
        assert_eq!(Filter::decode(b"\x01\x00a\x02\x00ab"), not_minimal(3));
        assert_eq!(Filter::decode(&[0; 4]), not_minimal(2));
    }

    #[test]
    fn a_prefix_that_no_topic_can_begin_with_is_refused() {
        let mut filter = filter(&["b"]);
        let bytes = TOPIC_BYTES_MAX + 1;
        assert_eq!(filter.add(&vec![b'a'; bytes]), Err(TooLong { bytes }));
        assert_eq!(filter.len(), 1);
        filter.add(&[b'a'; TOPIC_BYTES_MAX]).unwrap();
        let mut encoded = Vec::new();
        filter.encode_into(&mut encoded);
        assert_eq!(Filter::decode(&encoded), Ok(filter));
    }

    /// Few letters, so that prefixes meet.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        vec(
            prop_oneof![Just(b'a'), Just(b'b'), Just(0), Just(0xff)],
            0..6,
        )
    }

    proptest! {
        #[test]
        fn a_filter_matches_what_a_scan_of_its_prefixes_matches(
            prefixes in vec(text(), 0..12),
            topics in vec(text(), 1..12),
        ) {
            let filter = Filter::of(&prefixes).unwrap();
            for topic in &topics {
                let scanned = prefixes.iter().any(|prefix| topic.starts_with(prefix));
                prop_assert_eq!(filter.matches(topic), scanned);
            }
        }

        #[test]
        fn the_order_of_adding_does_not_matter(prefixes in vec(text(), 0..12)) {
            let forth = Filter::of(&prefixes).unwrap();
            let back = Filter::of(prefixes.iter().rev()).unwrap();
            prop_assert_eq!(&forth, &back);
            for one in forth.iter() {
                let covering = forth.iter().filter(|other| one.starts_with(other));
                prop_assert_eq!(covering.count(), 1);
            }
        }

        #[test]
        fn a_filter_survives_its_encoding_and_no_part_of_it_is_the_same(
            prefixes in vec(text(), 0..12),
        ) {
            let filter = Filter::of(&prefixes).unwrap();
            let mut bytes = Vec::new();
            filter.encode_into(&mut bytes);
            prop_assert_eq!(bytes.len(), filter.encoded_len());
            for cut in 0..bytes.len() {
                let part = Filter::decode(&bytes[..cut]);
                prop_assert_ne!(part.as_ref(), Ok(&filter));
            }
            prop_assert_eq!(Filter::decode(&bytes), Ok(filter));
        }

        #[test]
        fn whatever_is_decoded_is_encoded_to_the_same_bytes(bytes in vec(0u8..3, 0..24)) {
            if let Ok(filter) = Filter::decode(&bytes) {
                let mut again = Vec::new();
                filter.encode_into(&mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }
}

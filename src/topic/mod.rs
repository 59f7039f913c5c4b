//! Topics: where a message goes. Byte strings, matched by byte prefix.
//!
//! A subscription matches every topic that begins with it, wherever that leaves off: `zeek/cluster/worker`
//! also matches `zeek/cluster/worker-1`. The empty one matches everything. What a node wants as a whole is
//! a [`Filter`]; who wants a topic is asked of a [`PrefixTree`].
//!
//! Pure: no I/O, no clock, no dice.

mod filter;
pub(crate) mod scheme;
mod tree;

pub use filter::{Filter, FilterError};
pub use tree::PrefixTree;

/// The longest topic, in bytes: what its length field on the wire can say.
pub const TOPIC_BYTES_MAX: usize = u16::MAX as usize;

/// What the topics that are not for users begin with; Broker's `topic::reserved`.
pub const RESERVED: &[u8] = b"<$>";

/// What the topics that never leave their endpoint, nor enter its filter, begin with.
pub const LOCAL: &[u8] = b"<$>/local/";

/// A topic or a prefix of topics is longer than the wire can say. The caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a topic of {bytes} bytes; at most {TOPIC_BYTES_MAX} are allowed")]
pub struct TooLong {
    /// Its length in bytes.
    pub bytes: usize,
}

/// Checks that a topic or a prefix fits on the wire.
///
/// # Errors
/// [`TooLong`] if it has more than [`TOPIC_BYTES_MAX`] bytes.
pub fn check_length(topic: &[u8]) -> Result<(), TooLong> {
    let bytes = topic.len();
    if bytes > TOPIC_BYTES_MAX {
        return Err(TooLong { bytes });
    }
    Ok(())
}

/// Joins two parts of a topic as Broker's `topic::operator/` does: with a slash between them unless one
/// is there or nothing comes before it, and without one slash at the end.
#[must_use]
pub fn join(head: &[u8], tail: &[u8]) -> Vec<u8> {
    let mut topic = head.to_vec();
    if !topic.is_empty() && !tail.starts_with(b"/") {
        topic.push(b'/');
    }
    topic.extend_from_slice(tail);
    if topic.ends_with(b"/") {
        topic.pop();
    }
    topic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_with_one_slash_and_lose_one_at_the_end() {
        for (head, tail, joined) in [
            ("", "zeek", "zeek"),
            ("", "/zeek", "/zeek"),
            ("zeek", "cluster", "zeek/cluster"),
            ("zeek", "/cluster/", "zeek/cluster"),
            ("zeek/", "cluster", "zeek//cluster"),
            ("zeek", "cluster//", "zeek/cluster/"),
            ("zeek", "", "zeek"),
            ("", "", ""),
        ] {
            let found = join(head.as_bytes(), tail.as_bytes());
            assert_eq!(found, joined.as_bytes(), "{head:?} / {tail:?}");
        }
    }

    #[test]
    fn a_topic_may_be_as_long_as_its_length_field_can_say() {
        assert_eq!(check_length(&[b'a'; TOPIC_BYTES_MAX]), Ok(()));
        assert_eq!(
            check_length(&[b'a'; TOPIC_BYTES_MAX + 1]),
            Err(TooLong { bytes: 65_536 })
        );
    }

    #[test]
    fn topics_of_the_endpoint_itself_are_reserved_ones() {
        assert!(LOCAL.starts_with(RESERVED));
    }
}

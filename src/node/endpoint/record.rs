//! A record's bytes in a ring: length of the topic (u16, little endian), topic, payload.

use crate::fabric::{Class, Slot};
use crate::shm::ring::RingId;

/// Bytes before the topic.
pub(super) const LENGTH_BYTES: usize = size_of::<u16>();

/// A record that was received. Its bytes are this node's own copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where it was published.
    pub topic: &'a [u8],
    /// What was published: a Broker value, or whatever the topic's users agree on.
    pub payload: &'a [u8],
    /// Which ring it came by, and its place there.
    pub receipt: Receipt,
    /// That ring's id, which with the number in the receipt names the record for ever.
    pub ring: RingId,
    /// Its publisher is none of the cluster's nodes, but a program that has attached itself.
    pub from_guest: bool,
}

/// Names a received record: by it a record that was [kept](Handling::Keep) is released. Of one writer
/// and class, records are delivered in the order of their receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt {
    /// Who published it.
    pub from: Slot,
    /// Which of the link's rings it came by.
    pub class: Class,
    /// Which of the rings that took over from one another.
    pub index: u32,
    /// Its number in that ring; a record that comes again after a death has the same.
    pub number: u64,
}

/// What has become of a record when its handler returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handling {
    /// It is handled: it will not come again.
    #[default]
    Done,
    /// It is still being worked on. It stays in its ring, and those behind it do, until
    /// [`super::Endpoint::release`] is told its receipt; after a death before that it comes again. Only
    /// its handler can make a dead letter of it, not what is done with it later.
    Keep,
}

impl From<()> for Handling {
    fn from((): ()) -> Self {
        Self::Done
    }
}

/// Topic and payload of a record's bytes. `None`: its writer misbehaved.
pub(super) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(u16::from_le_bytes(*length).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_its_topic_and_the_rest() {
        assert_eq!(split(b"\x01\x00tpay"), Some((&b"t"[..], &b"pay"[..])));
        assert_eq!(split(b"\x00\x00"), Some((&b""[..], &b""[..])));
        assert_eq!(split(b"\x02\x00t"), None);
        assert_eq!(split(b"\x02"), None);
    }
}

//! The stem's book of streams: ends of sockets that wait for whoever they are for.
//!
//! Pure: who keeps it says what an end is, and owns those that are in it. A stream needs no escrow: what lies in a socket dies with either end, and whoever
//! sits down anew gets another one. What its writer has queued, or its reader has not released, goes
//! into that again.

use std::collections::BTreeMap;

use super::{RingKey, Slot};

/// Bytes of a stream's account, whatever the layout says of rings: a place for each of 4096 records
/// that may be under way in a socket at a time.
pub const ACCOUNT_BYTES: u32 = 32 * 1024;

/// Bytes that a reader comes to hold of each stream, but for a record that is larger.
pub const READER_BYTES: u32 = 320 * 1024;

/// The ends that were not handed over yet.
#[derive(Debug)]
pub struct Streams<End> {
    ends: BTreeMap<(RingKey, Slot), End>,
}

impl<End> Default for Streams<End> {
    fn default() -> Self {
        let ends = BTreeMap::new();
        Self { ends }
    }
}

impl<End> Streams<End> {
    /// Sees that there is an end of this link for `whom`: the one that waits for it, or one of a pair that
    /// `make` makes. True: it is a new pair, and the other side is to be told of its end.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn ensure<E>(
        &mut self,
        key: RingKey,
        whom: Slot,
        make: impl FnOnce() -> Result<(End, End), E>,
    ) -> Result<bool, E> {
        if self.ends.contains_key(&(key, whom)) {
            return Ok(false);
        }
        let (one, other) = make()?;
        let peer = if key.from == whom { key.to } else { key.from };
        self.ends.insert((key, whom), one);
        self.ends.insert((key, peer), other);
        Ok(true)
    }

    /// The end that waits for `whom`.
    #[must_use]
    pub fn get(&self, key: RingKey, whom: Slot) -> Option<&End> {
        self.ends.get(&(key, whom))
    }

    /// It was handed over, or nobody will come for it.
    pub fn forget(&mut self, key: RingKey, whom: Slot) {
        self.ends.remove(&(key, whom));
    }

    /// The link is gone.
    pub fn let_go(&mut self, key: RingKey) {
        self.forget(key, key.from);
        self.forget(key, key.to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fabric::Class;

    #[test]
    fn both_sides_get_the_ends_of_one_pair_and_the_next_life_gets_another() {
        let (from, to) = (Slot(1), Slot(2));
        let key = RingKey {
            from,
            to,
            class: Class::Bulk,
            index: 0,
        };
        let mut streams = Streams::default();
        let ensure = |streams: &mut Streams<u32>, whom, one, other| {
            streams.ensure(key, whom, || Ok::<_, ()>((one, other)))
        };
        assert_eq!(ensure(&mut streams, to, 1, 2), Ok(true));
        assert_eq!(
            ensure(&mut streams, from, 3, 4),
            Ok(false),
            "it waits already"
        );
        assert_eq!(
            [from, to].map(|whom| streams.get(key, whom)),
            [Some(&2), Some(&1)]
        );
        // Both have theirs; then the writer dies and comes back.
        streams.forget(key, from);
        streams.forget(key, to);
        assert_eq!(ensure(&mut streams, from, 5, 6), Ok(true));
        assert_eq!(streams.get(key, to), Some(&6));
        assert_eq!(streams.ensure(key, to, || Err("refused")), Ok(false));
        streams.let_go(key);
        assert_eq!([from, to].map(|whom| streams.get(key, whom)), [None, None]);
        assert_eq!(streams.ensure(key, to, || Err("refused")), Err("refused"));
    }
}

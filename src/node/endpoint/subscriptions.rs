//! What this node itself wants, and how often; and how the others are told.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use super::outbox::Outbox;
use crate::topic::{Filter, LOCAL, PrefixTree, TooLong, check_length};

/// How often a subscriber may see a record if its node dies meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// Once or more: it is released when its handler has returned.
    #[default]
    AtLeastOnce,
    /// Once or not at all: it is released before its handler is called.
    AtMostOnce,
}

#[derive(Debug)]
pub(super) struct Subscriptions {
    prefixes: BTreeMap<Box<[u8]>, Delivery>,
    /// The same, to be found by topic.
    tree: PrefixTree<Delivery>,
    version: u64,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self {
            prefixes: BTreeMap::new(),
            tree: PrefixTree::new(RandomState::new().build_hasher().finish()),
            version: 0,
        }
    }
}

impl Subscriptions {
    /// A prefix that is there already gets the other delivery.
    pub(super) fn add(&mut self, prefix: &[u8], delivery: Delivery) -> Result<(), TooLong> {
        check_length(prefix)?;
        if let Some(other) = self.prefixes.insert(prefix.into(), delivery) {
            self.tree.remove(prefix, &other);
        }
        self.tree.insert(prefix, delivery);
        self.version += 1;
        Ok(())
    }

    pub(super) fn remove(&mut self, prefix: &[u8]) -> bool {
        self.version += 1;
        let delivery = self.prefixes.remove(prefix);
        delivery.is_some_and(|delivery| self.tree.remove(prefix, &delivery))
    }

    /// Moves with each change.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// How a record of this topic is delivered, by the longest prefix. `None`: nobody wants it here.
    pub(super) fn delivery(&self, topic: &[u8]) -> Option<Delivery> {
        let mut longest = None;
        // Shorter prefixes come first.
        self.tree
            .for_each_match(topic, |delivery| longest = Some(*delivery));
        longest
    }

    /// What the others have to know, in the board's form; what is wanted from this node only is not
    /// among it.
    pub(super) fn filter(&self) -> Vec<u8> {
        let prefixes = self
            .prefixes
            .keys()
            .filter(|prefix| !prefix.starts_with(LOCAL));
        let mut bytes = Vec::new();
        // `add` has checked the lengths.
        if let Ok(filter) = Filter::of(prefixes) {
            filter.encode_into(&mut bytes);
        }
        bytes
    }
}

impl Outbox {
    /// As [`super::Endpoint::subscribe`]; a handler may call it.
    ///
    /// # Errors
    /// No topic can begin with it.
    pub fn subscribe(
        &mut self,
        prefix: impl AsRef<[u8]>,
        delivery: Delivery,
    ) -> Result<(), TooLong> {
        self.wants.add(prefix.as_ref(), delivery)?;
        self.redeclare();
        Ok(())
    }

    /// As [`super::Endpoint::unsubscribe`].
    pub fn unsubscribe(&mut self, prefix: impl AsRef<[u8]>) -> bool {
        let was = self.wants.remove(prefix.as_ref());
        self.redeclare();
        was
    }

    /// Tells the others what is wanted here, once that was announced.
    pub(super) fn redeclare(&self) {
        if !self.is_announced {
            return;
        }
        let (board, identity) = (self.peers.board(), &self.identity);
        let filter = self.wants.filter();
        let declare =
            |filter: &[u8]| board.declare_filter(identity.slot, identity.incarnation, filter);
        if let Err(error) = declare(&filter) {
            log::warn!("event=filter_too_long error=\"{error}\"");
            // What nobody here wants is passed over when it comes.
            let everything = declare(&everything());
            debug_assert_eq!(everything, Ok(()));
        }
        board.bump();
    }
}

/// The filter that matches everything, in the board's form.
fn everything() -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(filter) = Filter::of([b""]) {
        filter.encode_into(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_says_how_often() {
        let mut wants = Subscriptions::default();
        wants.add(b"a/", Delivery::AtLeastOnce).unwrap();
        wants.add(b"a/b", Delivery::AtMostOnce).unwrap();
        assert_eq!(wants.delivery(b"a/c"), Some(Delivery::AtLeastOnce));
        assert_eq!(wants.delivery(b"a/bc"), Some(Delivery::AtMostOnce));
        assert_eq!(wants.delivery(b"a"), None);
        wants.add(b"a/b", Delivery::AtLeastOnce).unwrap();
        assert_eq!(wants.delivery(b"a/bc"), Some(Delivery::AtLeastOnce));
        wants.add(b"a/b", Delivery::AtMostOnce).unwrap();
        assert!(wants.remove(b"a/b") && !wants.remove(b"a/b"));
        assert_eq!(wants.delivery(b"a/bc"), Some(Delivery::AtLeastOnce));
    }

    #[test]
    fn the_others_are_told_the_smallest_filter_and_nothing_local() {
        let mut wants = Subscriptions::default();
        for prefix in ["a/b", "a/", "<$>/local/x"] {
            wants.add(prefix.as_bytes(), Delivery::AtLeastOnce).unwrap();
        }
        let filter = Filter::decode(&wants.filter()).unwrap();
        assert_eq!(filter.iter().collect::<Vec<_>>(), [b"a/"]);
        assert!(Filter::decode(&everything()).unwrap().matches(b""));
    }
}

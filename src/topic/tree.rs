//! Who wants a topic: from prefixes to subscribers, at a cost that does not know how many there are.
//!
//! A prefix is cut into *pieces*, each up to and with a separator (`zeek/`, `cluster/`), and a last one
//! without, if it does not end with one (`worker`). The pieces form a tree, and one hash table leads from
//! a node and a piece to the child. A topic walks down its own pieces, whatever stands beside them: a
//! radix tree would branch once for each digit of `worker-31415/`, and the more often the more workers
//! there are. For the pieces without a separator a node knows the lengths that occur below it, and the
//! last bytes of each length. Where the topic's own byte is one of them that length is looked up: at most
//! one look-up for each byte of the topic in all.
//!
//! The separators only decide where a prefix is cut, not what it matches.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroUsize;

mod hash;

use hash::Digest;

/// Where pieces end, in either naming scheme of Zeek's.
const SEPARATORS: [u8; 2] = [b'/', b'.'];

/// The node of the empty prefix.
const ROOT: usize = 0;

/// From prefixes to values of type `T`, as a rule links or subscribers; stands for
/// Broker's `prefix_matcher`.
///
/// Each value stands at most once under the same prefix. Takes memory for the prefixes that stand in it,
/// and for as many nodes as once stood in it.
#[derive(Clone, Debug)]
pub struct PrefixTree<T> {
    nodes: Vec<Node<T>>,
    /// Nodes that hold nothing and lead nowhere.
    free: Vec<NonZeroUsize>,
    /// From the digest of a node and a piece to the first child that has it; the others follow by `next`.
    children: HashMap<u64, NonZeroUsize, BuildHasherDefault<Digested>>,
    seed: u64,
}

#[derive(Clone, Debug)]
struct Node<T> {
    parent: usize,
    piece: Box<[u8]>,
    /// Another node whose parent and piece have the same digest.
    next: Option<NonZeroUsize>,
    /// How many nodes have this one as their parent.
    children: usize,
    /// Of the children whose piece has no separator: how many there are of each length, by length.
    tails: Vec<Tails>,
    /// Sorted.
    values: Vec<T>,
}

#[derive(Clone, Copy, Debug)]
struct Tails {
    bytes: usize,
    count: usize,
    /// A bit for each of their last bytes. None goes before the last of this length does: one bit too many
    /// costs a look-up in vain.
    ends: u128,
}

impl<T: Ord> PrefixTree<T> {
    /// An empty tree. `seed` is a number that those who choose prefixes cannot guess, so that they cannot
    /// choose prefixes that get into each other's way; it has no influence on what is found.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            nodes: vec![Node::new(ROOT, &[])],
            free: Vec::new(),
            children: HashMap::default(),
            seed,
        }
    }

    /// Enters a value under a prefix. Returns false if it stood there already.
    pub fn insert(&mut self, prefix: &[u8], value: T) -> bool {
        let at = pieces(prefix).fold(ROOT, |at, piece| {
            self.child(at, piece)
                .map_or_else(|| self.grow(at, piece), NonZeroUsize::get)
        });
        let Some(node) = self.nodes.get_mut(at) else {
            return false;
        };
        let Err(place) = node.values.binary_search(&value) else {
            return false;
        };
        node.values.insert(place, value);
        true
    }

    /// Takes a value from a prefix. Returns false if it did not stand there.
    pub fn remove(&mut self, prefix: &[u8], value: &T) -> bool {
        let found = pieces(prefix).try_fold(ROOT, |at, piece| {
            self.child(at, piece).map(NonZeroUsize::get)
        });
        let Some(node) = found.and_then(|at| self.nodes.get_mut(at)) else {
            return false;
        };
        let Ok(place) = node.values.binary_search(value) else {
            return false;
        };
        node.values.remove(place);
        self.prune(found);
        true
    }
}

impl<T> PrefixTree<T> {
    /// Visits every value that stands under a prefix of `topic`, shorter prefixes first, those under the
    /// same prefix in their order. A value that stands under several of them is visited for each.
    pub fn for_each_match(&self, topic: &[u8], mut visit: impl FnMut(&T)) {
        let (mut at, mut rest) = (ROOT, topic);
        while let Some(node) = self.nodes.get(at) {
            node.values.iter().for_each(&mut visit);
            let piece = first_piece(rest);
            self.visit_tails(at, node, piece, &mut visit);
            if !ends_piece(piece) {
                return;
            }
            let Some(next) = self.child(at, piece) else {
                return;
            };
            at = next.get();
            rest = rest.get(piece.len()..).unwrap_or_default();
        }
    }

    /// Visits the values of those children whose piece has no separator and begins this one.
    fn visit_tails(&self, at: usize, node: &Node<T>, piece: &[u8], visit: &mut impl FnMut(&T)) {
        if node.tails.is_empty() {
            return;
        }
        let open = match piece.split_last() {
            Some((last, open)) if SEPARATORS.contains(last) => open,
            Some(_) | None => piece,
        };
        let mut digest = Digest::of(self.seed, at);
        for tails in &node.tails {
            let Some(tail) = open.get(..tails.bytes) else {
                return;
            };
            if tails.ends & end_bit(tail) == 0 {
                continue;
            }
            let child = self.find(digest.up_to(tail), at, tail);
            if let Some(child) = child.and_then(|child| self.nodes.get(child.get())) {
                child.values.iter().for_each(&mut *visit);
            }
        }
    }

    fn child(&self, parent: usize, piece: &[u8]) -> Option<NonZeroUsize> {
        let digest = Digest::of(self.seed, parent).up_to(piece);
        self.find(digest, parent, piece)
    }

    fn find(&self, digest: u64, parent: usize, piece: &[u8]) -> Option<NonZeroUsize> {
        let mut candidate = *self.children.get(&digest)?;
        loop {
            let node = self.nodes.get(candidate.get())?;
            if node.parent == parent && *node.piece == *piece {
                return Some(candidate);
            }
            candidate = node.next?;
        }
    }

    /// Adds a child that is not there yet.
    fn grow(&mut self, parent: usize, piece: &[u8]) -> usize {
        if let Some(node) = self.nodes.get_mut(parent) {
            node.children += 1;
            if !ends_piece(piece) {
                node.count_tail(piece);
            }
        }
        let mut node = Node::new(parent, piece);
        let digest = Digest::of(self.seed, parent).up_to(piece);
        let entry = self.children.entry(digest);
        if let Entry::Occupied(first) = &entry {
            node.next = Some(*first.get());
        }
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.nodes.push(Node::new(ROOT, &[]));
                // The root comes before it.
                NonZeroUsize::new(self.nodes.len() - 1).unwrap_or(NonZeroUsize::MAX)
            }
        };
        entry.insert_entry(at);
        if let Some(place) = self.nodes.get_mut(at.get()) {
            *place = node;
        }
        at.get()
    }

    /// Removes a node that holds nothing and leads nowhere, and those above it for which that is so then.
    fn prune(&mut self, from: Option<usize>) {
        let mut next = from.and_then(NonZeroUsize::new);
        while let Some(at) = next {
            let Some(node) = self.nodes.get_mut(at.get()) else {
                return;
            };
            if node.children > 0 || !node.values.is_empty() {
                return;
            }
            let freed = std::mem::replace(node, Node::new(ROOT, &[]));
            self.unlink(at, &freed);
            self.free.push(at);
            if let Some(parent) = self.nodes.get_mut(freed.parent) {
                parent.children -= 1;
                if !ends_piece(&freed.piece) {
                    parent.forget_tail(freed.piece.len());
                }
            }
            next = NonZeroUsize::new(freed.parent);
        }
    }

    /// Takes a node out of its chain.
    fn unlink(&mut self, at: NonZeroUsize, freed: &Node<T>) {
        let digest = Digest::of(self.seed, freed.parent).up_to(&freed.piece);
        let Entry::Occupied(mut first) = self.children.entry(digest) else {
            return;
        };
        if *first.get() == at {
            match freed.next {
                Some(next) => {
                    first.insert(next);
                }
                None => {
                    first.remove();
                }
            }
            return;
        }
        let mut before = Some(*first.get());
        while let Some(node) = before.and_then(|before| self.nodes.get_mut(before.get())) {
            if node.next == Some(at) {
                node.next = freed.next;
                return;
            }
            before = node.next;
        }
    }
}

impl<T> Node<T> {
    fn new(parent: usize, piece: &[u8]) -> Self {
        Self {
            parent,
            piece: piece.into(),
            next: None,
            children: 0,
            tails: Vec::new(),
            values: Vec::new(),
        }
    }

    fn count_tail(&mut self, tail: &[u8]) {
        let (bytes, end) = (tail.len(), end_bit(tail));
        let place = self.tails.partition_point(|tails| tails.bytes < bytes);
        match self.tails.get_mut(place) {
            Some(tails) if tails.bytes == bytes => {
                tails.count += 1;
                tails.ends |= end;
            }
            _ => {
                let (count, ends) = (1, end);
                self.tails.insert(place, Tails { bytes, count, ends });
            }
        }
    }

    fn forget_tail(&mut self, bytes: usize) {
        if let Some(tails) = self.tails.iter_mut().find(|tails| tails.bytes == bytes) {
            tails.count -= 1;
        }
        self.tails.retain(|tails| tails.count > 0);
    }
}

/// The first piece of a topic or prefix, with its separator if it has one.
fn first_piece(rest: &[u8]) -> &[u8] {
    let end = rest.iter().position(|byte| SEPARATORS.contains(byte));
    end.and_then(|end| rest.get(..=end)).unwrap_or(rest)
}

fn ends_piece(piece: &[u8]) -> bool {
    piece.last().is_some_and(|last| SEPARATORS.contains(last))
}

/// The bit of a tail's last byte. Those beyond ASCII share theirs with others.
fn end_bit(tail: &[u8]) -> u128 {
    tail.last().map_or(0, |last| 1 << (last % 128))
}

fn pieces(prefix: &[u8]) -> impl Iterator<Item = &[u8]> {
    prefix.split_inclusive(|byte| SEPARATORS.contains(byte))
}

/// Passes on what is a digest already.
#[derive(Clone, Copy, Debug, Default)]
struct Digested(u64);

impl Hasher for Digested {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.is_empty(), "keys are written by `write_u64`");
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}

#[cfg(test)]
mod tests;

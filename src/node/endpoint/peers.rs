//! What this node knows of the others: read from the board when it changes, and not before.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use crate::fabric::Slot;
use crate::names::{LifeId, NodeName};
use crate::shm::Board;
use crate::shm::board::{Entry, State};
use crate::topic::{Filter, PrefixTree};

/// What has become of a peer since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Whoever had this place left for good; somebody else may have it now.
    Gone(Slot),
    /// It says anew what it wants.
    Declared(Slot),
}

#[derive(Debug)]
pub(super) struct Peers {
    board: Board,
    me: Slot,
    /// The board's count of changes at the last look.
    seen: u64,
    /// By slot.
    peers: Vec<Peer>,
    wants: PrefixTree<Slot>,
    /// Counts the looks that found something new.
    version: u64,
}

#[derive(Debug, Default)]
struct Peer {
    entry: Option<Entry>,
    entry_version: u64,
    filter_version: u64,
    filter: Filter,
}

/// Who it is, whatever happens to it: a node of the layout comes back under its name; one that was
/// attached and left does not come back.
#[derive(Debug, PartialEq, Eq)]
enum Who<'a> {
    Node(&'a NodeName),
    Attached(LifeId),
}

fn who(entry: Option<&Entry>) -> Option<Who<'_>> {
    let entry = entry.filter(|entry| entry.state != State::Left)?;
    Some(if entry.attached {
        Who::Attached(entry.id)
    } else {
        Who::Node(&entry.name)
    })
}

impl Peers {
    pub(super) fn new(board: Board, me: Slot) -> Self {
        let mut peers = Self {
            peers: board.slots().map(|_| Peer::default()).collect(),
            me,
            // One that the first look finds to be another.
            seen: board.change().wrapping_sub(1),
            board,
            wants: PrefixTree::new(RandomState::new().build_hasher().finish()),
            version: 0,
        };
        peers.look(|_| {});
        peers
    }

    pub(super) fn board(&self) -> &Board {
        &self.board
    }

    /// Counts changes that this node knows of.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Has the board changed since the last look?
    #[inline]
    pub(super) fn is_stale(&self) -> bool {
        self.board.change() != self.seen
    }

    /// Everybody else.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Entry)> {
        let entries = self.board.slots().zip(&self.peers);
        entries
            .filter(|(slot, _)| *slot != self.me)
            .filter_map(|(slot, peer)| Some((slot, peer.entry.as_ref()?)))
    }

    pub(super) fn entry(&self, slot: Slot) -> Option<&Entry> {
        self.peer(slot)?.entry.as_ref()
    }

    /// What the board says of this node itself.
    pub(super) fn own_entry(&self) -> Option<&Entry> {
        self.entry(self.me)
    }

    /// Calls `visit` with everybody else who wants the topic, each once.
    pub(super) fn for_each_subscriber(&self, topic: &[u8], visit: impl FnMut(&Slot)) {
        // No two prefixes of a filter begin the same topic.
        self.wants.for_each_match(topic, visit);
    }

    /// Reads what has changed.
    pub(super) fn look(&mut self, mut tell: impl FnMut(Change)) {
        // Before everything else: what changes meanwhile is found by the next look.
        self.seen = self.board.change();
        self.version += 1;
        for slot in self.board.slots() {
            let entry_version = self.board.entry_version(slot);
            let filter_version = self.board.filter_version(slot);
            let Some(peer) = self.peer_mut(slot) else {
                continue;
            };
            if entry_version != peer.entry_version {
                peer.entry_version = entry_version;
                self.read_entry(slot, &mut tell);
            }
            if self
                .peer(slot)
                .is_some_and(|peer| peer.filter_version != filter_version)
            {
                self.read_filter(slot, filter_version);
                tell(Change::Declared(slot));
            }
        }
    }

    fn read_entry(&mut self, slot: Slot, tell: &mut impl FnMut(Change)) {
        let entry = self.board.entry(slot);
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        let (was, is) = (who(peer.entry.as_ref()), who(entry.as_ref()));
        let (lived, changed) = (was.is_some(), was != is);
        peer.entry = entry;
        if changed {
            // The filter is read again: it is somebody else's.
            peer.filter_version = 0;
            self.want(slot, Filter::default());
        }
        if lived && changed {
            tell(Change::Gone(slot));
        }
    }

    fn read_filter(&mut self, slot: Slot, version: u64) {
        let filter = self
            .board
            .filter(slot)
            .map(|(_, bytes)| Filter::decode(&bytes));
        let lives = who(self.entry(slot)).is_some();
        if let Some(peer) = self.peer_mut(slot) {
            peer.filter_version = version;
        }
        let filter = match filter {
            Some(Ok(filter)) if lives => filter,
            Some(Err(error)) => {
                log::warn!("peer={} event=bad_filter error=\"{error}\"", slot.0);
                Filter::default()
            }
            Some(Ok(_)) | None => Filter::default(),
        };
        self.want(slot, filter);
    }

    fn want(&mut self, slot: Slot, filter: Filter) {
        let Some(peer) = usize::try_from(slot.0)
            .ok()
            .and_then(|at| self.peers.get_mut(at))
        else {
            return;
        };
        if slot == self.me || peer.filter == filter {
            return;
        }
        for prefix in peer.filter.iter() {
            self.wants.remove(prefix, &slot);
        }
        for prefix in filter.iter() {
            self.wants.insert(prefix, slot);
        }
        peer.filter = filter;
    }

    fn peer(&self, slot: Slot) -> Option<&Peer> {
        self.peers.get(usize::try_from(slot.0).ok()?)
    }

    fn peer_mut(&mut self, slot: Slot) -> Option<&mut Peer> {
        self.peers.get_mut(usize::try_from(slot.0).ok()?)
    }
}

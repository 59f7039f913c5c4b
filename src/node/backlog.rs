//! What waits for each node of a host and what was dropped on its way, for whoever holds the memory.
//!
//! Cheap enough for a loop that must go on: no ring is walked. Who wants accounts that are checked looks
//! as an [`super::observer`] does.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;

use crate::fabric::{Class, RingKey, Slot};
use crate::names::NodeName;
use crate::shm::board::BoardView;
use crate::shm::ring::{Observer, dropped_on_link};

/// With more rings than this a look would hold up the loop: then nothing is known.
pub const RINGS_MAX: usize = 4096;

/// What concerns one reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Records that wait for it in its rings.
    pub queue: u64,
    /// Records for it that writers dropped, in the rings that stand or for want of one.
    pub drops: u64,
}

/// Looks at the board and at all rings. Whoever is on the board is in the answer.
///
/// # Errors
/// `InvalidData`: the memory is no board, or there are more than [`RINGS_MAX`] rings. Else the system's
/// answer. A ring that cannot be read counts nothing.
pub fn look<'a>(
    board: BorrowedFd<'_>,
    rings: impl Iterator<Item = (RingKey, BorrowedFd<'a>)>,
) -> io::Result<BTreeMap<NodeName, Backlog>> {
    let board = BoardView::map(board)?;
    let mut links: BTreeMap<(Slot, Slot, Class), Backlog> = BTreeMap::new();
    for (seen, (key, memory)) in rings.enumerate() {
        if seen == RINGS_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "there are more rings than are looked at",
            ));
        }
        let Ok(ring) = memory.try_clone_to_owned().and_then(Observer::map) else {
            continue;
        };
        let (queue, dropped) = ring.backlog();
        let link = links.entry((key.from, key.to, key.class)).or_default();
        link.queue = link.queue.saturating_add(queue);
        link.drops = dropped_on_link([link.drops, dropped]);
    }
    let mut readers: BTreeMap<Slot, Backlog> = BTreeMap::new();
    for ((_, to, _), link) in links {
        let reader = readers.entry(to).or_default();
        reader.queue = reader.queue.saturating_add(link.queue);
        reader.drops = reader.drops.saturating_add(link.drops);
    }
    let entries: Vec<_> = board.entries().collect();
    let writers = || entries.iter().map(|(slot, _)| *slot);
    let backlogs = entries.iter().map(|(slot, entry)| {
        let mut backlog = readers.get(slot).copied().unwrap_or_default();
        let without_ring = writers().map(|writer| board.no_ring(writer, *slot));
        backlog.drops = without_ring.fold(backlog.drops, u64::saturating_add);
        (entry.name.clone(), backlog)
    });
    Ok(backlogs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::spec::Role;
    use crate::shm::Board;
    use crate::shm::ring::{DropReason, Writer, create};
    use std::num::NonZeroU64;
    use std::os::fd::{AsFd, OwnedFd};

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).unwrap()
    }

    fn writer(file: &OwnedFd) -> Writer {
        Writer::map(file.try_clone().unwrap()).unwrap()
    }

    /// Shows: records of two rings of a link are added, their drops are not counted twice, and those
    /// without a ring are.
    #[test]
    fn what_waits_for_a_reader_is_summed_over_its_rings() {
        let (board, file) = Board::create(4).unwrap();
        for (slot, node) in [(Slot(0), "writer"), (Slot(1), "reader")] {
            board.occupy(slot, &name(node), Role::Worker, false);
        }
        board.count_no_ring(Slot(0), Slot(1));
        let files = [64, 64].map(|bytes| create(bytes).unwrap());
        let [mut old, mut new] = files.each_ref().map(writer);
        old.try_push(&[b"one"]).unwrap();
        old.count_drop(DropReason::Full);
        new.take_over(&old);
        old.move_on(NonZeroU64::MIN);
        new.try_push(&[b"two"]).unwrap();
        new.count_drop(DropReason::TooLarge);
        let rings = (0..).zip(&files).map(|(index, file)| {
            let (from, to, class) = (Slot(0), Slot(1), Class::Bulk);
            let key = RingKey {
                from,
                to,
                class,
                index,
            };
            (key, file.as_fd())
        });
        let found = look(file.as_fd(), rings).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[&name("writer")], Backlog::default());
        assert_eq!(found[&name("reader")], Backlog { queue: 2, drops: 3 });
        assert!(
            look(files[0].as_fd(), std::iter::empty()).is_err(),
            "no board"
        );
    }
}

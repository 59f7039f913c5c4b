//! Somebody who looks at a host's fabric and changes nothing: who is there, who wants what, and what
//! became of every record.
//!
//! It asks the stem for the board and all rings, which come so that they cannot be written, and reads
//! them. No node is asked, so a node that hangs is seen as well as any other, and none is disturbed.
//! Owns: nothing that lasts; a [`Snapshot`] is a copy.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use super::endpoint::SeatError;
use super::endpoint::seating::next;
use super::endpoint::socket::{Received, SeatSocket};
use crate::fabric::{Answer, Ask, Class, RingKey, Slot, VERSION};
use crate::names::{Incarnation, NodeName};
use crate::shm::board::{BoardView, Entry};
use crate::shm::ring::{Accounting, Corrupt, DropReason, Observer};
use crate::sys::{clock, unix};
use crate::topic::{Filter, FilterError};

/// The fabric of a host as it was a moment ago.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Everybody on the board, in the order of their places.
    pub peers: Vec<Peer>,
    /// Every link that has a ring, in the order of its ends.
    pub links: Vec<Link>,
    /// Between whom records were dropped because no ring could be had, and how many: writer, reader,
    /// count.
    pub without_ring: Vec<(Slot, Slot, u64)>,
}

/// Somebody on the board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The place.
    pub slot: Slot,
    /// Who has it.
    pub entry: Entry,
    /// What it wants, and which of its incarnations said so. `None`: it has said nothing.
    pub filter: Option<(Incarnation, Result<Filter, FilterError>)>,
}

/// One node's way to another, for one class of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Who writes.
    pub from: Slot,
    /// Who reads.
    pub to: Slot,
    /// Which records.
    pub class: Class,
    /// How often a larger ring took over.
    pub successions: u32,
    /// Bytes for records in the newest ring.
    pub capacity: u64,
    /// What became of its records. The error: a ring contradicts itself.
    pub account: Result<Account, Corrupt>,
}

/// What became of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// They lay whole in a ring, or were queued for a stream.
    pub accepted: u64,
    /// Their reader released them.
    pub delivered: u64,
    /// They were put aside, for they killed their reader.
    pub dead_letters: u64,
    /// They lie in a ring, or in a stream's queue or socket.
    pub in_flight: u64,
    /// So many bytes of rings they fill; a stream's account counts records only.
    pub in_flight_bytes: u64,
    /// They do not get there, for the reasons of [`DropReason::ALL`] in their order.
    pub dropped: [u64; DropReason::ALL.len()],
}

impl Account {
    /// Records that were to get there: accepted ones, and those that were dropped instead.
    #[must_use]
    pub fn published(&self) -> u64 {
        let refused = self.sum_of_dropped(|reason| !reason.is_after_acceptance());
        self.accepted.saturating_add(refused)
    }

    /// Records that do not get there.
    #[must_use]
    pub fn dropped_in_all(&self) -> u64 {
        self.sum_of_dropped(|_| true)
    }

    fn sum_of_dropped(&self, counts: impl Fn(DropReason) -> bool) -> u64 {
        let dropped = DropReason::ALL.into_iter().zip(self.dropped);
        let dropped = dropped.filter(|(reason, _)| counts(*reason));
        dropped.fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// Is every published record accounted for?
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let taken_back = self.sum_of_dropped(DropReason::is_after_acceptance);
        let parts = [
            self.delivered,
            self.dead_letters,
            self.in_flight,
            taken_back,
        ];
        let known = parts.into_iter().try_fold(0, u64::checked_add);
        known == Some(self.accepted)
    }

    /// Adds what became of other records.
    pub fn add(&mut self, other: &Self) {
        self.accepted = self.accepted.saturating_add(other.accepted);
        self.delivered = self.delivered.saturating_add(other.delivered);
        self.dead_letters = self.dead_letters.saturating_add(other.dead_letters);
        self.in_flight = self.in_flight.saturating_add(other.in_flight);
        self.in_flight_bytes = self.in_flight_bytes.saturating_add(other.in_flight_bytes);
        for (mine, others) in self.dropped.iter_mut().zip(other.dropped) {
            *mine = mine.saturating_add(others);
        }
    }
}

impl From<Accounting> for Account {
    fn from(link: Accounting) -> Self {
        Self {
            accepted: link.accepted,
            delivered: link.delivered,
            dead_letters: link.dead_letters,
            in_flight: link.in_flight,
            in_flight_bytes: link.in_flight_bytes,
            dropped: DropReason::ALL.map(|reason| link.dropped(reason)),
        }
    }
}

/// A link while its rings come, in the order in which they took over from one another.
#[derive(Debug)]
struct Rings {
    newest: RingKey,
    capacity: u64,
    sum: Result<Accounting, Corrupt>,
}

impl Rings {
    fn new(key: RingKey) -> Self {
        Self {
            newest: key,
            capacity: 0,
            sum: Ok(Accounting::default()),
        }
    }

    fn add(&mut self, key: RingKey, ring: &Observer) {
        (self.newest, self.capacity) = (key, ring.capacity());
        self.sum = match (self.sum, ring.accounting()) {
            (Ok(sum), Ok(next)) => Ok(sum.and_of_next(&next)),
            (Ok(_), Err(corrupt)) | (Err(corrupt), _) => Err(corrupt),
        };
    }

    fn link(self) -> Link {
        Link {
            from: self.newest.from,
            to: self.newest.to,
            class: self.newest.class,
            successions: self.newest.index,
            capacity: self.capacity,
            account: self.sum.map(Account::from),
        }
    }
}

impl Snapshot {
    /// Looks, through `attach.sock` of a run directory, and gives up after `limit`.
    ///
    /// # Errors
    /// See [`SeatError`].
    pub fn take(attach_socket: &Path, limit: Duration) -> Result<Self, SeatError> {
        let until = clock::monotonic() + limit;
        let mut socket = SeatSocket::new(unix::connect_packets(attach_socket)?);
        socket.send(&Ask::Observe { version: VERSION });
        let board = match next(&mut socket, until)? {
            Received {
                answer: Answer::Board,
                descriptors,
            } => BoardView::map(only(descriptors)?.as_fd())?,
            Received { answer, .. } => return Err(unexpected(answer)),
        };
        let mut links = BTreeMap::new();
        loop {
            let Received {
                answer,
                descriptors,
            } = next(&mut socket, until)?;
            match answer {
                // One after the other, so that it does not take a descriptor for each of them.
                Answer::Ring { key, .. } => {
                    let link = (key.from, key.to, key.class);
                    let link = links.entry(link).or_insert_with(|| Rings::new(key));
                    match Observer::map(only(descriptors)?) {
                        Ok(ring) => link.add(key, &ring),
                        // One spoiled ring is no reason to show none.
                        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                            link.sum = Err(Corrupt::NO_RING);
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                Answer::Seated => break,
                Answer::Welcome { .. }
                | Answer::Layout
                | Answer::Board
                | Answer::Refused { .. } => {
                    return Err(unexpected(answer));
                }
            }
        }
        let peers = peers(&board);
        Ok(Self {
            without_ring: without_ring(&board, &peers),
            peers,
            links: links.into_values().map(Rings::link).collect(),
        })
    }

    /// The name of whoever has this place. `None`: nobody has it any more.
    #[must_use]
    pub fn name(&self, slot: Slot) -> Option<&NodeName> {
        let peer = self.peers.iter().find(|peer| peer.slot == slot);
        peer.map(|peer| &peer.entry.name)
    }

    /// What became of all records for each reader; the error is that of its first ring that contradicts
    /// itself.
    #[must_use]
    pub fn by_reader(&self) -> BTreeMap<Slot, Result<Account, Corrupt>> {
        let mut readers: BTreeMap<Slot, Result<Account, Corrupt>> = BTreeMap::new();
        let mut add = |slot, account: Result<Account, Corrupt>| {
            let sum = readers
                .entry(slot)
                .or_insert_with(|| Ok(Account::default()));
            match (sum, account) {
                (Ok(sum), Ok(account)) => sum.add(&account),
                (sum @ Ok(_), Err(corrupt)) => *sum = Err(corrupt),
                (Err(_), _) => {}
            }
        };
        for link in &self.links {
            add(link.to, link.account);
        }
        for (_, to, count) in &self.without_ring {
            add(*to, Ok(lost_without_ring(*count)));
        }
        readers
    }
}

/// The account of records for which no ring could be had.
#[must_use]
pub fn lost_without_ring(count: u64) -> Account {
    let dropped = DropReason::ALL.map(|reason| match reason {
        DropReason::NoRing => count,
        DropReason::Full
        | DropReason::Timeout
        | DropReason::TooLarge
        | DropReason::Disconnected
        | DropReason::Oldest
        | DropReason::Lost => 0,
    });
    Account {
        dropped,
        ..Account::default()
    }
}

fn peers(board: &BoardView) -> Vec<Peer> {
    let entries = board.entries();
    let peers = entries.map(|(slot, entry)| Peer {
        slot,
        entry,
        filter: board
            .filter(slot)
            .map(|(incarnation, bytes)| (incarnation, Filter::decode(&bytes))),
    });
    peers.collect()
}

fn without_ring(board: &BoardView, peers: &[Peer]) -> Vec<(Slot, Slot, u64)> {
    let slots = || peers.iter().map(|peer| peer.slot);
    let pairs = slots().flat_map(|from| slots().map(move |to| (from, to)));
    let counted = pairs.map(|(from, to)| (from, to, board.no_ring(from, to)));
    counted.filter(|(_, _, count)| *count > 0).collect()
}

fn only(descriptors: Vec<OwnedFd>) -> Result<OwnedFd, SeatError> {
    let [descriptor] = <[OwnedFd; 1]>::try_from(descriptors)
        .map_err(|_| SeatError::Confused("whoever looks gets one descriptor a packet"))?;
    Ok(descriptor)
}

fn unexpected(answer: Answer) -> SeatError {
    match answer {
        Answer::Refused { why, .. } => SeatError::Refused(why),
        Answer::Board
        | Answer::Layout
        | Answer::Ring { .. }
        | Answer::Seated
        | Answer::Welcome { .. } => SeatError::Confused("the packet is not for somebody who looks"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::ring::{Reader, Writer, create};
    use std::fs::File;
    use std::num::NonZeroU64;
    use std::os::unix::fs::FileExt;

    const KEY: RingKey = RingKey {
        from: Slot(1),
        to: Slot(2),
        class: Class::Bulk,
        index: 0,
    };

    /// Shows: two rings of a link make one account, in which a dropped record counts once.
    #[test]
    fn a_ring_that_took_over_counts_on_from_its_predecessor() {
        let files = [64, 256].map(|bytes| create(bytes).unwrap());
        let copies = || files.each_ref().map(|file| file.try_clone().unwrap());
        let [mut old, mut new] = copies().map(|file| Writer::map(file).unwrap());
        for _ in 0..4 {
            if old.try_push(&[b"sixteen bytes: 16"]).is_err() {
                old.count_drop(DropReason::Full);
            }
        }
        new.take_over(&old);
        old.move_on(NonZeroU64::MIN);
        new.try_push(&[b"x"]).unwrap();
        new.count_drop(DropReason::TooLarge);
        let [first, _] = copies();
        let mut reader = Reader::map(first).unwrap();
        let drained = reader.drain(&mut Vec::new()).unwrap().unwrap();
        reader.release(drained);
        assert_eq!(reader.dropped(), 2);

        let look = |skipped| {
            let mut rings = Rings::new(KEY);
            for (index, file) in (0..).zip(copies()).skip(skipped) {
                rings.add(RingKey { index, ..KEY }, &Observer::map(file).unwrap());
            }
            rings.link()
        };
        let link = look(0);
        let account = link.account.unwrap();
        assert_eq!((link.successions, link.capacity), (1, 256));
        assert_eq!((account.accepted, account.delivered), (3, 1));
        assert_eq!((account.in_flight, account.in_flight_bytes), (2, 48));
        assert_eq!(account.dropped, [2, 0, 1, 0, 0, 0, 0]);
        assert_eq!(account.published(), 6);
        assert!(account.adds_up());

        // Nothing changes when the reader is through with the first, and when that goes.
        let drained = reader.drain(&mut Vec::new()).unwrap().unwrap();
        reader.release(drained);
        let [_, second] = copies();
        Reader::map(second).unwrap().take_over(&reader);
        for skipped in [0, 1] {
            let account = look(skipped).account.unwrap();
            assert_eq!((account.accepted, account.delivered), (3, 2));
            assert_eq!((account.in_flight, account.published()), (1, 6));
            assert!(account.adds_up());
        }
    }

    /// What a ring says in which the word before the first record was overwritten.
    fn corrupt() -> Corrupt {
        let file = File::from(create(64).unwrap());
        let mut writer = Writer::map(file.try_clone().unwrap().into()).unwrap();
        writer.try_push(&[b"x"]).unwrap();
        let begin = file.metadata().unwrap().len() - 64;
        file.write_all_at(&[0xff; 8], begin).unwrap();
        let ring = Observer::map(file.into()).unwrap();
        ring.accounting().unwrap_err()
    }

    #[test]
    fn a_readers_sum_holds_every_link_and_what_had_no_ring() {
        let account = Account {
            accepted: 3,
            delivered: 2,
            in_flight: 1,
            ..Account::default()
        };
        let link = |from, account| Link {
            from: Slot(from),
            account,
            ..Rings::new(KEY).link()
        };
        let mut snapshot = Snapshot {
            links: vec![link(1, Ok(account)), link(3, Ok(account))],
            without_ring: vec![(Slot(4), Slot(2), 5)],
            ..Snapshot::default()
        };
        let sums = snapshot.by_reader();
        let sum = sums[&Slot(2)].unwrap();
        assert_eq!((sums.len(), sum.published(), sum.in_flight), (1, 11, 2));
        assert!(sum.adds_up() && !Account { accepted: 1, ..sum }.adds_up());
        snapshot.links.push(link(5, Err(corrupt())));
        assert!(snapshot.by_reader()[&Slot(2)].is_err());
    }
}

//! The stem's book of streams: ends of sockets that wait for whoever they are for.
//!
//! Owns: those ends. A stream needs no escrow: what lies in a socket dies with either end, and whoever
//! sits down anew gets another one. What its writer has queued, or its reader has not released, goes
//! into that again.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{RingKey, Slot};
use crate::sys::unix;

/// Bytes of a stream's account, whatever the layout says of rings: a place for each of 4096 records
/// that may be under way in a socket at a time.
pub const ACCOUNT_BYTES: u32 = 32 * 1024;

/// The ends that were not handed over yet.
#[derive(Debug, Default)]
pub struct Streams {
    ends: BTreeMap<(RingKey, Slot), OwnedFd>,
}

impl Streams {
    /// Sees that there is an end of this link for `whom`: the one that waits for it, or one of a new
    /// pair. True: it is a new pair, and the other side is to be told of its end.
    ///
    /// # Errors
    /// The system's answer.
    pub fn ensure(&mut self, key: RingKey, whom: Slot) -> io::Result<bool> {
        if self.ends.contains_key(&(key, whom)) {
            return Ok(false);
        }
        let (one, other) = unix::stream_pair()?;
        let peer = if key.from == whom { key.to } else { key.from };
        self.ends.insert((key, whom), one);
        self.ends.insert((key, peer), other);
        Ok(true)
    }

    /// The end that waits for `whom`.
    #[must_use]
    pub fn get(&self, key: RingKey, whom: Slot) -> Option<BorrowedFd<'_>> {
        self.ends.get(&(key, whom)).map(AsFd::as_fd)
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
        assert!(streams.ensure(key, to).unwrap());
        assert!(!streams.ensure(key, from).unwrap(), "it waits already");
        let sent = unix::write_parts(
            streams.get(key, from).unwrap(),
            &[io::IoSlice::new(b"words")],
        );
        assert_eq!(sent.unwrap(), 5);
        // The writer died with its end; the reader still finds what it had said, and the end.
        streams.forget(key, from);
        let mut buffer = [0; 8];
        let end = streams.get(key, to).unwrap();
        assert_eq!(unix::read_some(end, &mut buffer).unwrap(), 5);
        assert_eq!(unix::read_some(end, &mut buffer).unwrap(), 0);
        assert!(streams.ensure(key, from).unwrap());
        streams.let_go(key);
        assert!(streams.get(key, from).is_none() && streams.get(key, to).is_none());
    }
}

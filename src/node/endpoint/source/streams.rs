//! Records that come by a stream: frames out of a socket, each of which has its place in the account.

use std::io::{self, ErrorKind};

use super::Source;
use crate::node::endpoint::receiving::Receiving;
use crate::shm::ring::Delivery as Drained;

/// Frames in one turn that are no new records.
const PASSED_MAX: usize = 4096;

impl Source {
    /// The next record, into `buffer`. Passes over what came before by another socket, and releases as lost
    /// what stands in the account and will not come: its writer says that it begins behind it, or is gone
    /// for good.
    #[inline(never)]
    pub(super) fn next_of_stream(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Drained>> {
        // Who sends nothing but what is passed over does not keep this node from the others.
        for _ in 0..PASSED_MAX {
            let Some(ring) = self.rings.front_mut() else {
                break;
            };
            let Some(stream) = &mut ring.stream else {
                break;
            };
            let next = ring.reader.next_number();
            let frame = stream.peek()?;
            let (number, is_greeting) = match frame.map(|it| (it.number, it.record.is_empty())) {
                Some(frame) => frame,
                // Nothing more will come, and what stands in the account did not.
                None if stream.is_over() && self.is_orphan && !ring.reader.is_empty()? => {
                    (u64::MAX, true)
                }
                None => break,
            };
            // What follows it: a record counts on, and a greeting says the first.
            let following = number.saturating_add(u64::from(!is_greeting));
            stream.may_repeat &= following < next;
            if number < next || is_greeting && number == next {
                stream.pass();
                continue;
            }
            let is_lost = number > next;
            if is_lost && !self.kept.is_empty() {
                break;
            }
            let Some(drained) = ring.reader.drain(buffer)? else {
                return Err(unaccounted(number));
            };
            if !is_lost {
                buffer.clear();
                if let Some(frame) = stream.peek()? {
                    buffer.extend_from_slice(frame.record);
                }
                stream.pass();
                return Ok(Some(drained));
            }
            self.release_as_lost(drained);
        }
        Ok(None)
    }

    fn release_as_lost(&mut self, drained: Drained) {
        self.release_handled();
        if let Some(ring) = self.rings.front_mut() {
            ring.reader.release_as_lost(drained);
            self.has_released = true;
        }
    }

    /// As [`Source::has_work`].
    #[inline(never)]
    pub(super) fn stream_has_work(&mut self) -> bool {
        let nothing_is_kept = self.kept.is_empty();
        let Some(ring) = self.rings.front_mut() else {
            return false;
        };
        let Some(stream) = &mut ring.stream else {
            return false;
        };
        // What is spoiled has work: to be closed.
        let Ok(is_empty) = ring.reader.is_empty() else {
            return true;
        };
        // A frame that is new has its place in the account before it comes.
        if is_empty && !stream.may_repeat {
            return self.is_orphan && nothing_is_kept;
        }
        let next = ring.reader.next_number();
        match stream.peek().map(|frame| frame.map(|frame| frame.number)) {
            Ok(Some(number)) => number <= next || nothing_is_kept,
            Ok(None) if self.is_orphan && (is_empty || stream.is_over()) => nothing_is_kept,
            Ok(None) => stream.has_part() || stream.has_asked(),
            Err(_) => true,
        }
    }

    /// Its stream, if it is one.
    pub(in crate::node::endpoint) fn stream(&self) -> Option<&Receiving> {
        self.rings.front()?.stream.as_ref()
    }

    /// Answers a stream that [wants](Receiving::wanted) memory for a large record.
    pub(in crate::node::endpoint) fn may_grow(&mut self, may: bool) {
        let ring = self.rings.front_mut();
        if let Some(stream) = ring.and_then(|ring| ring.stream.as_mut()) {
            stream.may_grow(may);
        }
    }

    /// Is there room in the socket of which no release tells its writer: because a part of a large frame was
    /// taken, or because what was taken is kept?
    pub(in crate::node::endpoint) fn made_room(&mut self) -> bool {
        let keeps = !self.kept.is_empty();
        let Some(ring) = self.rings.front_mut() else {
            return false;
        };
        let Some(stream) = &mut ring.stream else {
            return false;
        };
        // What was taken before anything was kept counts as well: nothing of it may have been released.
        let took_kept = keeps && stream.take_taken() && ring.reader.writer_waits();
        stream.take_part() || took_kept
    }

    /// A stream is closed because something came that makes no sense: what stands in its account will not
    /// be handled any more, and counts as lost.
    pub(super) fn give_up_stream(&mut self) {
        if self.rings.front().is_none_or(|ring| ring.stream.is_none()) {
            return;
        }
        for drained in std::mem::take(&mut self.kept) {
            self.release_as_lost(drained);
        }
        self.release_handled();
        if let Some(ring) = self.rings.front_mut() {
            let mut nothing = Vec::new();
            while let Ok(Some(drained)) = ring.reader.drain(&mut nothing) {
                ring.reader.release_as_lost(drained);
            }
        }
    }
}

fn unaccounted(number: u64) -> io::Error {
    let text = format!("record {number} is not accounted for");
    io::Error::new(ErrorKind::InvalidData, text)
}

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests {
    use super::*;
    use std::io::IoSlice;
    use std::os::fd::{AsFd, OwnedFd};

    use proptest::prelude::*;

    use crate::fabric::{Class, RingKey, Slot};
    use crate::node::endpoint::seating::HandedRing;
    use crate::shm::bell;
    use crate::shm::ring::{DropReason, Observer, Writer, create};
    use crate::sys::unix;

    /// A source, its writer's end of the socket, and both sides of its account.
    fn site() -> (Source, OwnedFd, Writer, Observer) {
        let file = create(4096).unwrap();
        let copy = || file.try_clone().unwrap();
        let (ours, theirs) = unix::stream_pair().unwrap();
        let ring = HandedRing {
            key: RingKey {
                from: Slot(1),
                to: Slot(2),
                class: Class::Bulk,
                index: 0,
            },
            memory: copy(),
            bell: bell::create().unwrap(),
            socket: Some(ours),
            from_guest: false,
        };
        let mut source = Source::new(Slot(1), Class::Bulk);
        source.hand_over(ring, false, 1 << 20).unwrap();
        let account = Writer::map(copy()).unwrap();
        (source, theirs, account, Observer::map(copy()).unwrap())
    }

    fn write(to: &OwnedFd, number: u64, record: &[u8]) {
        let length = u32::try_from(record.len()).unwrap();
        let bytes = [&length.to_le_bytes()[..], &number.to_le_bytes(), record].concat();
        unix::write_parts(to.as_fd(), &[IoSlice::new(&bytes)]).unwrap();
    }

    /// Takes what is there: its numbers.
    fn take(source: &mut Source) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        while let Some(next) = source.next(&mut Vec::new())? {
            numbers.push(next.drained.number());
            source.release_now(next.drained);
        }
        Ok(numbers)
    }

    #[test]
    fn what_came_before_is_passed_over_and_what_will_not_come_is_lost() {
        let (mut source, theirs, mut account, observer) = site();
        for _ in 0..6 {
            account.count_queued();
            account.try_push(&[]).unwrap();
        }
        write(&theirs, 0, &[]);
        write(&theirs, 0, b"a record");
        write(&theirs, 1, b"a record");
        assert!(source.stream_has_work());
        assert_eq!(take(&mut source).unwrap(), [0, 1]);
        assert!(!source.stream_has_work());
        write(&theirs, 1, b"again");
        write(&theirs, 4, &[]);
        write(&theirs, 4, b"a record");
        assert_eq!(take(&mut source).unwrap(), [4]);
        let accounts = observer.accounting().unwrap();
        assert_eq!((accounts.delivered, accounts.in_flight), (3, 1));
        assert_eq!(accounts.dropped(DropReason::Lost), 2);
        // Its writer leaves for good.
        drop(theirs);
        source.is_orphan = true;
        assert!(source.stream_has_work());
        assert_eq!(take(&mut source).unwrap(), [] as [u64; 0]);
        assert_eq!(observer.accounting().unwrap().in_flight, 0);
        assert!(source.go_on().is_some());
        assert_eq!(source.missed(), 3);
    }

    /// Shows: when everything that came before has come again, the socket is not looked at any more for the
    /// sake of repetitions.
    #[test]
    fn behind_the_last_repetition_nothing_is_looked_for_that_is_not_new() {
        let may_repeat = |source: &Source| {
            let stream = source.rings.front().and_then(|ring| ring.stream.as_ref());
            stream.unwrap().may_repeat
        };
        let (mut source, theirs, mut account, _) = site();
        for _ in 0..2 {
            account.count_queued();
            account.try_push(&[]).unwrap();
        }
        assert!(may_repeat(&source));
        write(&theirs, 0, b"a record");
        write(&theirs, 1, b"a record");
        assert_eq!(take(&mut source).unwrap(), [0, 1]);
        let again = |source: &mut Source| {
            let (ours, theirs) = unix::stream_pair().unwrap();
            let stream = source
                .rings
                .front_mut()
                .and_then(|ring| ring.stream.as_mut());
            stream.unwrap().connect(ours);
            theirs
        };
        let next = again(&mut source);
        drop(theirs);
        write(&next, 0, &[]);
        write(&next, 0, b"a record");
        assert_eq!(take(&mut source).unwrap(), [] as [u64; 0]);
        assert!(
            may_repeat(&source),
            "the second record is still to come again"
        );
        write(&next, 1, b"a record");
        assert_eq!(take(&mut source).unwrap(), [] as [u64; 0]);
        assert!(!may_repeat(&source) && !source.stream_has_work());
        let last = again(&mut source);
        drop(next);
        assert!(may_repeat(&source));
        write(&last, 2, &[]);
        assert_eq!(take(&mut source).unwrap(), [] as [u64; 0]);
        assert!(!may_repeat(&source), "nothing of it is to come again");
    }

    /// Shows: a writer that waits until everything of its dead predecessor is released hears of it, too,
    /// when the last of that is released as lost.
    #[test]
    fn a_writer_that_waits_hears_of_what_was_lost() {
        let (mut source, theirs, mut account, _) = site();
        for _ in 0..2 {
            account.count_queued();
            account.try_push(&[]).unwrap();
        }
        assert_eq!(account.want_room(account.record_bytes_max()), Ok(false));
        write(&theirs, 0, b"a record");
        assert_eq!(take(&mut source).unwrap(), [0]);
        assert!(!source.settle(), "one is still in the way");
        write(&theirs, 2, &[]);
        assert_eq!(take(&mut source).unwrap(), [] as [u64; 0]);
        assert!(source.settle());
        assert!(!source.settle(), "once is enough");
    }

    #[test]
    fn a_record_without_a_place_cuts_the_link_and_the_rest_is_lost() {
        let (mut source, theirs, mut account, observer) = site();
        for _ in 0..3 {
            account.count_queued();
            account.try_push(&[]).unwrap();
        }
        write(&theirs, 0, b"a record");
        write(&theirs, 7, b"from nowhere");
        let error = take(&mut source).unwrap_err();
        assert_eq!(error.to_string(), "record 7 is not accounted for");
        source.close(&error);
        assert!(source.is_empty());
        let accounts = observer.accounting().unwrap();
        assert_eq!((accounts.delivered, accounts.in_flight), (1, 0));
        assert_eq!(accounts.dropped(DropReason::Lost), 2);
        assert_eq!(source.missed(), 2);
    }

    proptest! {
        /// Shows: whatever a writer sends, nothing is handled that has no place, nothing panics, and when the
        /// link is cut every record is accounted for.
        #[test]
        fn any_frames_are_records_or_the_end(
            frames in prop::collection::vec((0_u64..12, 0_usize..4), 0..30),
            places in 0_u64..8,
            tail in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let (mut source, theirs, mut account, observer) = site();
            for _ in 0..places {
                account.count_queued();
                account.try_push(&[]).unwrap();
            }
            for (number, length) in frames {
                write(&theirs, number, &[b'x'; 4][..length]);
            }
            unix::write_parts(theirs.as_fd(), &[IoSlice::new(&tail)]).unwrap();
            match take(&mut source) {
                Ok(numbers) => prop_assert!(numbers.is_sorted() && numbers.iter().all(|it| *it < places)),
                Err(error) => {
                    source.close(&error);
                    prop_assert_eq!(observer.accounting().unwrap().in_flight, 0);
                }
            }
            prop_assert_eq!(observer.accounting().unwrap().accepted, places);
        }
    }
}

//! Records that come by a stream: frames out of a socket, each of which has its place in the account.

use std::io::{self, ErrorKind};

use super::Source;
use crate::node::endpoint::receiving::Receiving;
use crate::shm::ring::Delivery as Drained;

impl Source {
    /// The next record, into `buffer`. Passes over what came before by another socket, and releases as lost
    /// what stands in the account and will not come: its writer says that it begins behind it, or is gone
    /// for good.
    #[inline(never)]
    pub(super) fn next_of_stream(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Drained>> {
        while let Some(ring) = self.rings.front_mut() {
            let Some(stream) = &mut ring.stream else {
                break;
            };
            let next = ring.reader.next_number();
            let frame = stream.peek()?;
            let (number, is_greeting) = match frame.map(|it| (it.number, it.record.is_empty())) {
                Some(frame) => frame,
                None if stream.is_over() && self.is_orphan => (u64::MAX, true),
                None => break,
            };
            stream.may_repeat &= number < next;
            if number < next || is_greeting && number == next {
                stream.pass();
                continue;
            }
            let is_lost = number > next;
            if is_lost && !self.kept.is_empty() {
                break;
            }
            let Some(drained) = ring.reader.drain(buffer)? else {
                return match number {
                    u64::MAX => Ok(None), // all of it is accounted for
                    _ => Err(unaccounted(number)),
                };
            };
            if !is_lost {
                stream.take(buffer)?;
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
            Ok(None) => stream.has_part(),
            Err(_) => true,
        }
    }

    /// Has a part of a large frame made room for more of it?
    pub(in crate::node::endpoint) fn took_part(&mut self) -> bool {
        let stream = self.rings.front_mut().and_then(|ring| ring.stream.as_mut());
        stream.is_some_and(Receiving::take_part)
    }

    /// A stream is closed because something came that makes no sense: what stands in its account will not
    /// be handled any more, and counts as lost.
    pub(super) fn give_up_stream(&mut self) {
        if self.rings.front().is_none_or(|ring| ring.stream.is_none()) {
            return;
        }
        self.kept.clear();
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

//! One way out: this node's writing end toward one other node, for one class of records.
//!
//! Owns: its ring's mapping; or its stream, and the mapping of its account. Says what happened;
//! [`super::outbox`] decides what follows.

use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::file::FileId;
use super::record::LENGTH_BYTES;
use super::seating::HandedRing;
use super::sending::{Limits, Sending};
use crate::fabric::Refusal;
use crate::shm::ring::{DropReason, PushError, RingId, Writer};

/// Who wants to be told by which ring and with which number a record is going to be accepted, if anybody.
pub(in crate::node) type Before<'b> = Option<&'b mut dyn FnMut(RingId, u64)>;

/// The same once more, for a shorter time.
pub(in crate::node) fn again<'b>(before: &'b mut Before<'_>) -> Before<'b> {
    match before {
        Some(before) => Some(&mut **before),
        None => None,
    }
}

/// Toward one node. Without a ring until the first record has to cross.
#[derive(Debug, Default)]
pub(super) struct Link {
    ring: Option<Open>,
    /// The ring that was asked for and has not come.
    pub(super) asked: Option<Asked>,
    /// Nothing is sent until the reader says anew what it wants.
    pub(super) cut: bool,
}

#[derive(Debug)]
struct Open {
    /// A record of as many bytes, and so none of more, has not found room since the last that did.
    full_for: Range<usize>,
    /// The tick in which that was tried, if it is a stream.
    full_at: Option<Duration>,
    index: u32,
    file: FileId,
    writer: Writer,
    /// What carries the records, if the ring does not.
    stream: Option<Sending>,
}

#[derive(Debug)]
pub(super) struct Asked {
    /// The record it has to take.
    pub(super) record_bytes: u32,
    /// So long records wait for it; after that they are dropped until it comes.
    pub(super) until: Instant,
    pub(super) refused: Option<Refusal>,
}

impl Asked {
    /// Why a record of this size gets no ring either, until the time is over in which it would have
    /// waited for one: else who publishes without a pause would ask the stem without one.
    pub(super) fn still_refused(&self, record_bytes: u32, now: Instant) -> Option<&Refusal> {
        let why = self.refused.as_ref();
        why.filter(|_| record_bytes >= self.record_bytes && now < self.until)
    }
}

/// Why a record did not go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is no ring, or none that takes such a record.
    NoRing,
    /// There is no room now.
    Full,
    /// Its reader has not said anew what it wants.
    Cut,
    /// The ring is spoiled, and closed.
    Spoiled,
}

impl Link {
    /// Puts a record into the ring. Before that, when it is certain, `before` is told by which ring and
    /// with which number it is accepted.
    #[inline]
    pub(super) fn push(&mut self, parts: &[&[u8]], before: Before<'_>) -> Result<(), Refused> {
        if self.cut {
            return Err(Refused::Cut);
        }
        let Some(open) = &mut self.ring else {
            return Err(Refused::NoRing);
        };
        let pushed = match &mut open.stream {
            None => {
                let ring = open.writer.id();
                let before = |number| {
                    if let Some(before) = before {
                        before(ring, number);
                    }
                };
                open.writer.try_push_with(parts, before).map(drop)
            }
            Some(stream) => {
                let pushed = stream.push(parts, &mut open.writer);
                if let (Ok(()), Some(before)) = (pushed, before) {
                    before(open.writer.id(), 0);
                }
                pushed
            }
        };
        match pushed {
            Ok(()) => {
                open.full_for = 0..0;
                Ok(())
            }
            Err(PushError::Full) => Err(Refused::Full),
            Err(error) => Err(self.refused(error)),
        }
    }

    #[cold]
    fn refused(&mut self, error: PushError) -> Refused {
        match error {
            PushError::Full => Refused::Full,
            PushError::TooLarge | PushError::MovedOn(_) => Refused::NoRing,
            PushError::Corrupt(corrupt) => self.spoiled(&corrupt),
        }
    }

    fn spoiled(&mut self, error: &dyn std::error::Error) -> Refused {
        log::warn!("event=ring_closed side=writer error=\"{error}\"");
        self.give_up();
        self.ring = None;
        Refused::Spoiled
    }

    /// A record of so many bytes did not find room, and such ones are dropped. `tick`: when that was; a ring
    /// takes none.
    pub(super) fn is_full_for(&mut self, length: usize, tick: Option<Duration>) {
        if let Some(open) = &mut self.ring {
            let most = match &open.stream {
                // A larger one asks for a larger ring.
                None => open.writer.record_bytes_max() - LENGTH_BYTES,
                Some(_) => usize::MAX - 1,
            };
            open.full_for = length..most.saturating_add(1);
            open.full_at = tick;
        }
    }

    /// Has nothing been released since one of no more bytes did not find room? A stream is tried again in each
    /// `tick` besides, for nothing here says whether its socket has room, or its reader another one.
    #[inline]
    pub(super) fn stays_full(
        &self,
        length: usize,
        tick: impl FnOnce() -> Option<Duration>,
    ) -> bool {
        let Some(open) = &self.ring else {
            return false;
        };
        let is_full = open.full_for.contains(&length) && !self.cut;
        is_full && !open.writer.has_new_room() && open.full_at == tick()
    }

    /// Counts a dropped record. False: there is no ring to count it in.
    #[inline]
    pub(super) fn count(&mut self, reason: DropReason) -> bool {
        let open = self.ring.as_mut();
        open.map(|open| open.writer.count_drop(reason)).is_some()
    }

    /// How many records this ring has accepted, if it is the one that is written.
    pub(super) fn accepted_by(&self, ring: RingId) -> Option<u64> {
        let open = self.ring.as_ref().filter(|open| open.writer.id() == ring);
        open.map(|open| open.writer.accepted())
    }

    /// Bytes of the ring, if there is one and it carries the records itself.
    pub(super) fn ring_bytes(&self) -> Option<u64> {
        let open = self.ring.as_ref().filter(|open| open.stream.is_none());
        open.map(|open| open.writer.capacity())
    }

    /// Is there a ring that takes such a record?
    pub(super) fn takes(&self, record_bytes: usize) -> bool {
        self.ring.as_ref().is_some_and(|open| {
            let fits = record_bytes <= open.writer.record_bytes_max();
            open.stream.is_some() || (open.writer.moved_on().is_none() && fits)
        })
    }

    /// Its stream, if it is one.
    pub(super) fn stream(&mut self) -> Option<&mut Sending> {
        self.ring.as_mut()?.stream.as_mut()
    }

    /// Writes what a stream's socket takes, and says whether its reader has something new to look at.
    pub(super) fn pump(&mut self) -> bool {
        let Some(Open {
            stream: Some(stream),
            writer,
            ..
        }) = &mut self.ring
        else {
            return false;
        };
        let pumped = stream.pump(writer);
        pumped.unwrap_or_else(|corrupt| {
            self.spoiled(&corrupt);
            false
        })
    }

    /// Nobody will write it any more: what a stream has queued without a place in its account is lost.
    pub(super) fn give_up(&mut self) {
        if let Some(open) = self.ring.as_mut().filter(|open| open.stream.is_some()) {
            open.writer.give_up_queue();
        }
    }

    /// Drops the oldest records in a stream's queue for one of so many bytes. False: there is no room
    /// yet, or this is a ring.
    pub(super) fn drop_oldest(&mut self, record_bytes: usize) -> bool {
        let Some(open) = &mut self.ring else {
            return false;
        };
        let stream = open.stream.as_mut();
        stream.is_some_and(|stream| stream.drop_oldest(record_bytes, &mut open.writer))
    }

    /// Says that this end waits for room, and whether it is there.
    pub(super) fn wants_room(&mut self, record_bytes: usize) -> Result<bool, Refused> {
        let Some(open) = &mut self.ring else {
            return Err(Refused::NoRing);
        };
        if let Some(stream) = &mut open.stream {
            let there = stream.wants_room(record_bytes, &mut open.writer);
            return there.map_err(|corrupt| self.spoiled(&corrupt));
        }
        // A quarter of the ring at once, or the reader would have to wake us for every record.
        let length = record_bytes.max(open.writer.record_bytes_max() / 4);
        match open.writer.want_room(length) {
            Ok(there) => Ok(there),
            Err(corrupt) => Err(self.spoiled(&corrupt)),
        }
    }

    /// Takes back the wish for room.
    pub(super) fn stop_waiting(&mut self) {
        if let Some(open) = &mut self.ring {
            open.writer.stop_waiting();
        }
    }

    /// Goes on with this ring, unless it is an old one. Whatever comes in whichever order, by one stem
    /// or another: the ring of the highest index is written, and each below it names the next.
    ///
    /// A stream has one account all its life, and a socket for each life of either end. Its queue takes
    /// what `limits` say.
    pub(super) fn hand_over(&mut self, ring: HandedRing, limits: Limits) -> io::Result<()> {
        let index = ring.key.index;
        let file = FileId::of(&ring.memory)?;
        if let Some(open) = self.ring.as_mut().filter(|open| open.file == file) {
            if let (Some(stream), Some(socket)) = (&mut open.stream, ring.socket) {
                stream.connect(socket, &open.writer);
            }
            return Ok(());
        }
        let mut writer = Writer::map(ring.memory)?;
        if writer.moved_on().is_some() {
            // Told of again while its reader drains it; or our predecessor had gone on, and the next
            // one follows.
            return Ok(());
        }
        if let Some(old) = &mut self.ring
            && old.index < index
            && old.writer.moved_on().is_none()
            && let Some(next) = NonZeroU64::new(index.into())
        {
            writer.take_over(&old.writer);
            old.writer.move_on(next);
        }
        let stream = ring.socket.map(|socket| {
            let mut stream = Sending::new(&mut writer, limits);
            stream.connect(socket, &writer);
            stream
        });
        self.ring = Some(Open {
            full_for: 0..0,
            full_at: None,
            index,
            file,
            writer,
            stream,
        });
        self.asked = None;
        Ok(())
    }
}

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests {
    use super::*;
    use crate::fabric::{Class, RingKey, Slot};
    use crate::shm::bell;
    use crate::shm::ring::{Reader, create};
    use crate::sys::unix;

    #[test]
    fn a_full_stream_stays_full_until_something_is_released_or_for_a_tick() {
        let memory = create(4096).unwrap();
        let mut reader = Reader::map(memory.try_clone().unwrap()).unwrap();
        let (ours, _theirs) = unix::stream_pair().unwrap();
        let (from, to, class) = (Slot(1), Slot(2), Class::Bulk);
        let ring = HandedRing {
            key: RingKey {
                from,
                to,
                class,
                index: 0,
            },
            memory,
            bell: bell::create().unwrap(),
            socket: Some(ours),
            from_guest: false,
        };
        let limits = Limits {
            bytes_max: 4096,
            placed_bytes_max: 4096,
            record_bytes_max: 1 << 20,
        };
        let mut link = Link::default();
        link.hand_over(ring, limits).unwrap();
        let tick = |number: u64| move || Some(Duration::from_millis(4 * number));
        assert!(!link.stays_full(100, tick(1)));
        while link.push(&[&[7; 100]], None) == Ok(()) {}
        link.is_full_for(100, tick(1)());
        let is_full = |link: &Link| {
            [(99, 1), (100, 1), (1 << 20, 1), (100, 2)]
                .map(|(length, number)| link.stays_full(length, tick(number)))
        };
        assert_eq!(is_full(&link), [false, true, true, false]);
        let first = reader.drain(&mut Vec::new()).unwrap().unwrap();
        assert_eq!(is_full(&link), [false, true, true, false]);
        reader.release(first);
        assert_eq!(is_full(&link), [false; 4]);
        assert_eq!(link.push(&[&[7; 100]], None), Ok(()));
        assert_eq!(is_full(&link), [false; 4]);
    }
}

//! A reader's end of a stream: frames out of bytes that come as they like.
//!
//! Owns: the sockets, in the order in which they were handed over, and what was read of the first. What
//! is in a socket whose writer is gone is read to its end before the next one is begun; a frame that
//! breaks off there is thrown away.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};

use super::sending::FRAME_HEADER_BYTES;
use crate::fabric::streams::READER_BYTES;
use crate::sys::unix;

/// So much is read at once.
const READ_BYTES: usize = 64 * 1024;

/// Bytes of the buffer that stay for the next frame.
const BUFFER_BYTES_KEPT: usize = 4 * READ_BYTES;

const _: () = assert!(BUFFER_BYTES_KEPT + READ_BYTES == READER_BYTES as usize);

/// Sockets that may wait behind the first: one for each life of the writer that had nothing to say.
/// More than this, and the oldest is passed over.
const SOCKETS_MAX: usize = 64;

/// What becomes of a frame that is larger than the buffer that a stream keeps. Bytes are those of that frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    /// None has begun, or it may take what it needs.
    Unasked,
    /// One has begun; whoever has this stream has not answered yet.
    Asked(usize),
    /// No more is read of it for now.
    Denied(usize),
    /// It is read.
    Granted(usize),
}

#[derive(Debug)]
pub(super) struct Receiving {
    sockets: VecDeque<OwnedFd>,
    /// What was read, from `begin` to `end`.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    /// Bytes of the first frame, once it is there whole.
    whole: usize,
    record_bytes_max: usize,
    /// Large frames are read only if that [is granted](Receiving::may_grow).
    is_bounded: bool,
    growth: Growth,
    /// Bytes were taken, and the frame is not whole: its writer may wait for room.
    took_part: bool,
    /// Bytes were taken since [`Receiving::take_taken`].
    has_taken: bool,
    /// Something may come that is not new: what has come by another socket, or the end of one.
    pub(super) may_repeat: bool,
}

/// A frame that is there whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// The record's place in the account.
    pub(super) number: u64,
    /// Empty: this end begins with that number, and what comes before it is lost.
    pub(super) record: &'a [u8],
}

impl Receiving {
    /// `record_bytes_max`: no frame may hold more. `is_bounded`: this asks before it takes the memory for a
    /// large one.
    pub(super) fn new(record_bytes_max: usize, is_bounded: bool) -> Self {
        Self {
            sockets: VecDeque::new(),
            buffer: Vec::new(),
            begin: 0,
            end: 0,
            whole: 0,
            record_bytes_max,
            is_bounded,
            growth: Growth::Unasked,
            took_part: false,
            has_taken: false,
            may_repeat: true,
        }
    }

    /// Another socket, to be read after the others.
    pub(super) fn connect(&mut self, socket: OwnedFd) {
        self.sockets.push_back(socket);
        // The one before may have come to its end meanwhile.
        self.may_repeat = true;
        if self.sockets.len() > SOCKETS_MAX {
            self.next_socket();
        }
    }

    /// Is nothing to come, until another socket is handed over?
    pub(super) fn is_over(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Bytes that it wants for a frame that has begun.
    pub(super) fn wanted(&self) -> Option<usize> {
        match self.growth {
            Growth::Asked(bytes) | Growth::Denied(bytes) => Some(bytes),
            Growth::Unasked | Growth::Granted(_) => None,
        }
    }

    /// Does it want them, and was not answered?
    pub(super) fn has_asked(&self) -> bool {
        matches!(self.growth, Growth::Asked(_))
    }

    /// Bytes that were granted to it.
    pub(super) fn granted(&self) -> usize {
        match self.growth {
            Growth::Granted(bytes) => bytes,
            Growth::Unasked | Growth::Asked(_) | Growth::Denied(_) => 0,
        }
    }

    /// May it take what it [wants](Receiving::wanted)? It may be asked again.
    pub(super) fn may_grow(&mut self, may: bool) {
        if let Some(bytes) = self.wanted() {
            self.growth = match may {
                true => Growth::Granted(bytes),
                false => Growth::Denied(bytes),
            };
        }
    }

    /// Does a frame of so many bytes have to wait before more of it is read?
    fn has_to_wait(&mut self, bytes: usize) -> bool {
        if !self.is_bounded || bytes <= BUFFER_BYTES_KEPT {
            return false;
        }
        if self.growth == Growth::Unasked {
            self.growth = Growth::Asked(bytes);
        }
        self.wanted().is_some()
    }

    /// Did it take a part of a frame since [`Receiving::take_part`]?
    pub(super) fn has_part(&self) -> bool {
        self.took_part
    }

    /// The same, once: there is room for more of it.
    pub(super) fn take_part(&mut self) -> bool {
        std::mem::take(&mut self.took_part)
    }

    /// Has the socket had room, since the last time, that was not there before?
    pub(super) fn take_taken(&mut self) -> bool {
        std::mem::take(&mut self.has_taken)
    }

    /// The frame that comes next, if it is whole; read from the socket if need be.
    ///
    /// # Errors
    /// `InvalidData`: its writer misbehaved. Else the system's answer.
    #[inline]
    pub(super) fn peek(&mut self) -> io::Result<Option<Frame<'_>>> {
        if self.whole == 0 && !self.find_whole()? {
            return Ok(None);
        }
        let frame = self.rest().get(..self.whole).and_then(split);
        Ok(frame.map(|(_, number, record)| Frame { number, record }))
    }

    /// Reads until the first frame is whole. False: it is not, for now.
    fn find_whole(&mut self) -> io::Result<bool> {
        let mut took = false;
        loop {
            if let Some((length, ..)) = split(self.rest()) {
                if length > self.record_bytes_max {
                    let text = format!("a frame of {length} bytes");
                    return Err(io::Error::new(ErrorKind::InvalidData, text));
                }
                let bytes = FRAME_HEADER_BYTES + length;
                if bytes <= self.rest().len() {
                    self.whole = bytes;
                    return Ok(true);
                }
                if self.has_to_wait(bytes) {
                    break;
                }
            }
            if !self.fill()? {
                break;
            }
            took = true;
        }
        self.took_part |= took;
        Ok(false)
    }

    /// Done with the frame that was seen last.
    #[inline]
    pub(super) fn pass(&mut self) {
        self.begin += std::mem::take(&mut self.whole);
        self.growth = Growth::Unasked;
        let kept = match self.begin == self.end {
            true => BUFFER_BYTES_KEPT,
            false => BUFFER_BYTES_KEPT + READ_BYTES,
        };
        if self.buffer.len() > kept {
            self.shrink();
        }
    }

    /// Gives back the memory of a large frame, unless another one follows. Of what was read behind it, which
    /// is less than one reading, there is a copy then.
    #[cold]
    fn shrink(&mut self) {
        if self.rest().len() <= READ_BYTES {
            self.buffer = self.rest().to_vec();
            (self.begin, self.end) = (0, self.buffer.len());
        }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.begin..self.end).unwrap_or_default()
    }

    /// Reads more. False: there is no more now.
    fn fill(&mut self) -> io::Result<bool> {
        loop {
            let Some(socket) = self.sockets.front() else {
                return Ok(false);
            };
            if self.begin > 0 {
                self.buffer.copy_within(self.begin..self.end, 0);
                (self.begin, self.end) = (0, self.end - self.begin);
            }
            if self.buffer.len() < self.end + READ_BYTES {
                self.buffer.resize(self.end + READ_BYTES, 0);
            }
            let space = self.buffer.get_mut(self.end..self.end + READ_BYTES);
            let space = space.unwrap_or_default();
            match unix::read_some(socket.as_fd(), space) {
                Ok(0) => self.next_socket(),
                Ok(read) => {
                    self.end += read;
                    self.has_taken = true;
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.end == 0 && self.buffer.len() > READ_BYTES {
                        // A flood is over: of many streams, each would keep what that took.
                        self.buffer = Vec::new();
                    }
                    return Ok(false);
                }
                // Told once, before what was sent is read.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn next_socket(&mut self) {
        self.sockets.pop_front();
        self.may_repeat = true;
        self.growth = Growth::Unasked;
        (self.begin, self.end, self.whole) = (0, 0, 0);
        self.buffer = Vec::new();
    }
}

/// A frame's length and number, and what follows.
fn split(bytes: &[u8]) -> Option<(usize, u64, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    Some((length, u64::from_le_bytes(*number), rest))
}

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests {
    use super::*;
    use std::io::IoSlice;

    use proptest::prelude::*;

    const RECORD_BYTES_MAX: usize = 1 << 20;

    fn stream() -> (Receiving, OwnedFd) {
        let mut stream = Receiving::new(RECORD_BYTES_MAX, false);
        let theirs = another(&mut stream);
        (stream, theirs)
    }

    fn another(stream: &mut Receiving) -> OwnedFd {
        let (ours, theirs) = unix::stream_pair().unwrap();
        stream.connect(ours);
        theirs
    }

    fn write(to: &OwnedFd, bytes: &[u8]) {
        let written = unix::write_parts(to.as_fd(), &[IoSlice::new(bytes)]);
        assert_eq!(written.unwrap(), bytes.len());
    }

    fn frame(number: u64, record: &[u8]) -> Vec<u8> {
        let length = u32::try_from(record.len()).unwrap();
        [&length.to_le_bytes()[..], &number.to_le_bytes(), record].concat()
    }

    /// Every frame that is there.
    fn take(stream: &mut Receiving) -> Vec<(u64, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(frame) = stream.peek().unwrap() {
            all.push((frame.number, frame.record.to_vec()));
            stream.pass();
        }
        all
    }

    #[test]
    fn a_frame_is_there_with_its_last_byte_and_not_before() {
        let (mut stream, theirs) = stream();
        let bytes = frame(7, b"record");
        for byte in &bytes[..bytes.len() - 1] {
            write(&theirs, &[*byte]);
            assert_eq!(stream.peek().unwrap(), None);
            assert!(stream.has_part() && stream.take_part() && !stream.has_part());
        }
        write(&theirs, &[bytes[bytes.len() - 1], 0, 0]);
        let whole = stream.peek().unwrap().unwrap();
        assert_eq!((whole.number, whole.record), (7, &b"record"[..]));
        stream.pass();
        assert_eq!(stream.peek().unwrap(), None, "a part of a header");
    }

    #[test]
    fn what_breaks_off_with_its_writer_is_thrown_away() {
        let (mut stream, theirs) = stream();
        write(&theirs, &frame(1, b"whole"));
        write(&theirs, &frame(2, b"broken")[..15]);
        let next = another(&mut stream);
        write(&next, &frame(2, b"again"));
        assert_eq!(
            take(&mut stream),
            [(1, b"whole".to_vec())],
            "its writer lives"
        );
        drop(theirs);
        assert_eq!(take(&mut stream), [(2, b"again".to_vec())]);
        drop(next);
        assert!(!stream.is_over());
        assert!(take(&mut stream).is_empty() && stream.is_over());
    }

    #[test]
    fn sockets_of_writers_that_said_nothing_do_not_pile_up() {
        let (mut stream, first) = stream();
        let ends: Vec<OwnedFd> = (0..2 * SOCKETS_MAX).map(|_| another(&mut stream)).collect();
        assert_eq!(stream.sockets.len(), SOCKETS_MAX);
        drop((first, ends));
        assert!(take(&mut stream).is_empty() && stream.is_over());
    }

    #[test]
    fn a_large_frame_leaves_no_large_buffer() {
        let (mut stream, theirs) = stream();
        let bytes = frame(1, &vec![3; RECORD_BYTES_MAX]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    match unix::write_parts(theirs.as_fd(), &[IoSlice::new(rest)]) {
                        Ok(written) => rest = &rest[written..],
                        Err(_) => std::thread::yield_now(),
                    }
                }
            });
            while stream.peek().unwrap().is_none() {
                std::thread::yield_now();
            }
        });
        assert_eq!(take(&mut stream), [(1, vec![3; RECORD_BYTES_MAX])]);
        assert!(stream.buffer.capacity() <= BUFFER_BYTES_KEPT);
        write(&theirs, &frame(2, &[]));
        assert_eq!(take(&mut stream), [(2, vec![])]);
    }

    /// Shows: nobody comes to hold more than the buffer that every stream may have by large frames that were
    /// not granted to it, nor by what it sends behind one that was.
    #[test]
    fn a_large_frame_of_a_bounded_stream_waits_until_it_is_granted() {
        let mut stream = Receiving::new(RECORD_BYTES_MAX, true);
        let theirs = another(&mut stream);
        let large = frame(1, &vec![3; RECORD_BYTES_MAX]);
        let next = &frame(2, b"next")[..5];
        let bytes = [frame(0, b"small"), large, next.to_vec()].concat();
        let mut rest = &bytes[..];
        let mut came = Vec::new();
        // Goes on until neither end does anything.
        let mut go_on = |stream: &mut Receiving| loop {
            let written = unix::write_parts(theirs.as_fd(), &[IoSlice::new(rest)]).unwrap_or(0);
            rest = &rest[written..];
            came.extend(take(stream).into_iter().map(|(number, _)| number));
            if written == 0 && !stream.take_part() || rest.is_empty() {
                return (came.clone(), rest.len());
            }
        };
        let (first, left) = go_on(&mut stream);
        assert!(stream.has_asked() && first == [0] && left > 0);
        assert_eq!(stream.wanted(), Some(FRAME_HEADER_BYTES + RECORD_BYTES_MAX));
        stream.may_grow(false);
        assert_eq!(go_on(&mut stream), (vec![0], left));
        assert!(!stream.has_asked() && stream.wanted().is_some() && stream.granted() == 0);
        assert!(stream.buffer.capacity() <= READER_BYTES as usize);
        stream.may_grow(true);
        assert_eq!(stream.granted(), FRAME_HEADER_BYTES + RECORD_BYTES_MAX);
        assert_eq!(go_on(&mut stream), (vec![0, 1], 0));
        assert_eq!((stream.granted(), stream.rest()), (0, next));
        assert!(stream.buffer.capacity() <= READER_BYTES as usize);
    }

    /// Shows: a reader of many streams does not keep for each of them what its largest flood took.
    #[test]
    fn a_stream_at_rest_keeps_no_more_than_one_reading() {
        let (mut stream, theirs) = stream();
        let record = vec![7; READ_BYTES + READ_BYTES / 2];
        write(&theirs, &frame(1, &record));
        assert!(stream.peek().unwrap().is_some());
        assert!(stream.buffer.capacity() > READ_BYTES);
        assert_eq!(take(&mut stream), [(1, record)]);
        assert!(stream.buffer.capacity() <= READ_BYTES);
    }

    #[test]
    fn a_length_that_no_record_has_is_an_error_and_takes_no_memory() {
        let (mut stream, theirs) = stream();
        write(&theirs, &u32::MAX.to_le_bytes());
        write(&theirs, &[0; 8]);
        let error = stream.peek().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(stream.buffer.capacity() <= BUFFER_BYTES_KEPT);
    }

    proptest! {
        /// Shows: whatever way bytes are cut, the frames in them come out.
        #[test]
        fn frames_come_whole_however_they_are_cut(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
            cuts in prop::collection::vec(1_usize..200, 1..40),
        ) {
            let (mut stream, theirs) = stream();
            let numbered: Vec<(u64, Vec<u8>)> = (0..).zip(records).collect();
            let frames = numbered.iter().flat_map(|(number, record)| frame(*number, record));
            let bytes: Vec<u8> = frames.collect();
            let (mut rest, mut came, mut cuts) = (&bytes[..], Vec::new(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (part, others) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                write(&theirs, part);
                came.extend(take(&mut stream));
                rest = others;
            }
            prop_assert_eq!(came, numbered);
        }

        /// Shows: no bytes make it panic, read past what came, or go on behind an error.
        #[test]
        fn garbage_is_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let (mut stream, theirs) = stream();
            write(&theirs, &bytes);
            let mut frames = 0;
            while let Ok(Some(frame)) = stream.peek() {
                frames += FRAME_HEADER_BYTES + frame.record.len();
                stream.pass();
            }
            prop_assert!(frames <= bytes.len());
            if stream.peek().is_err() {
                prop_assert!(stream.peek().is_err());
            }
        }
    }
}

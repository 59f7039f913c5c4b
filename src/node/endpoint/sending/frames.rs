//! Frames as they lie in a stream's queue and go into its socket. Pure.

use std::collections::VecDeque;

/// Bytes before a record: its length, and its number.
pub(in crate::node::endpoint) const FRAME_HEADER_BYTES: usize = size_of::<u32>() + size_of::<u64>();

/// Frames, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// From `begin` on; what lies before it is moved over when it is as much as the rest.
    pub(super) bytes: Vec<u8>,
    begin: usize,
    /// Of each, with what stands before the record.
    pub(super) lengths: VecDeque<usize>,
}

impl Frames {
    #[inline]
    pub(super) fn push(&mut self, number: u64, length: u32, parts: &[&[u8]]) {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&header(length, number));
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.lengths.push_back(self.bytes.len() - before);
    }

    /// Bytes of all of them.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.begin
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// What lies behind the first `offset` bytes.
    pub(super) fn behind(&self, offset: usize) -> &[u8] {
        self.bytes.get(self.begin + offset..).unwrap_or_default()
    }

    /// The record of the first one.
    pub(super) fn first_record(&self) -> &[u8] {
        let length = self.lengths.front().copied().unwrap_or(0);
        let frame = self.behind(0).get(FRAME_HEADER_BYTES..length);
        frame.unwrap_or_default()
    }

    /// Removes the first one: its bytes.
    pub(super) fn pop(&mut self) -> Option<usize> {
        let length = self.lengths.pop_front()?;
        self.begin += length;
        Some(length)
    }

    /// How many of them lie within the first `bytes`.
    pub(super) fn within(&self, bytes: usize) -> usize {
        let ends = self.lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        ends.take_while(|end| *end <= bytes).count()
    }

    /// Gives back the room of what was removed, and the memory of a record that was larger than the rest
    /// will be.
    pub(super) fn tidy(&mut self, bytes_max: usize) {
        if self.is_empty() {
            self.bytes.clear();
            self.begin = 0;
            self.bytes.shrink_to(bytes_max.saturating_mul(2));
        } else if self.begin >= self.len() {
            self.bytes.copy_within(self.begin.., 0);
            self.bytes.truncate(self.len());
            self.begin = 0;
        }
    }
}

/// What stands before a record, or alone.
pub(super) fn header(length: u32, number: u64) -> [u8; FRAME_HEADER_BYTES] {
    let mut header = [0; FRAME_HEADER_BYTES];
    if let Some((first, second)) = header.split_first_chunk_mut() {
        *first = length.to_le_bytes();
        second.copy_from_slice(&number.to_le_bytes());
    }
    header
}

//! Bytes of a file, cut into lines.

use super::Event;

/// Bytes that were read and not taken.
#[derive(Debug)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Where the first line begins among them.
    start: usize,
    /// Up to here there is no line feed behind `start`.
    searched: usize,
    /// Where the first line ends, if it is whole.
    end: Option<usize>,
    /// Where the first line begins in the file.
    offset: u64,
    /// Bytes of a line that is passed over; they are forgotten.
    passed: Option<u64>,
    line_bytes_max: usize,
}

impl Lines {
    pub(super) fn new(line_bytes_max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            searched: 0,
            end: None,
            offset: 0,
            passed: None,
            line_bytes_max,
        }
    }

    /// Forgets everything: the next bytes stand at this offset of a file.
    pub(super) fn begin_at(&mut self, offset: u64) {
        *self = Self {
            offset,
            ..Self::new(self.line_bytes_max)
        };
    }

    /// Where the first line begins in the file.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Behind everything that was read.
    pub(super) fn read_to(&self) -> u64 {
        let kept = (self.bytes.len() - self.start) as u64;
        self.offset + self.passed.unwrap_or(0) + kept
    }

    /// Takes what follows in the file.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.searched -= self.start;
            self.end = self.end.map(|end| end - self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Looks for the end of the first line. Lines that are too long are passed over, and told.
    pub(super) fn search(&mut self, mut tell: impl FnMut(Event)) {
        while self.end.is_none() {
            let behind = self.bytes.get(self.searched..).unwrap_or_default();
            let found = behind.iter().position(|byte| *byte == b'\n');
            let end = found.map_or(self.bytes.len(), |at| self.searched + at);
            self.searched = end;
            let length = end - self.start;
            if self.passed.is_none() && length <= self.line_bytes_max {
                self.end = found.map(|_| end);
                return;
            }
            let passed = self.passed.unwrap_or(0) + length as u64;
            self.passed = Some(passed);
            self.start = end;
            if found.is_none() {
                return;
            }
            tell(Event::TooLong {
                at: self.offset,
                bytes: passed,
            });
            self.passed = None;
            self.skip(end, passed + 1);
        }
    }

    /// The first line, if it is whole, and the offset behind it.
    pub(super) fn first(&self) -> Option<(&[u8], u64)> {
        let end = self.end?;
        let line = self.bytes.get(self.start..end)?;
        // The last line of all may have no line feed.
        let feed = u64::from(end < self.bytes.len());
        Some((line, self.offset + line.len() as u64 + feed))
    }

    /// The first line was taken.
    pub(super) fn take(&mut self) {
        let behind = self.first().map(|(_, behind)| behind);
        if let (Some(end), Some(behind)) = (self.end.take(), behind) {
            self.skip(end, behind - self.offset);
        }
    }

    /// The first line, which ends there and is so long with its end, is done with.
    fn skip(&mut self, end: usize, length: u64) {
        self.start = (end + 1).min(self.bytes.len());
        self.searched = self.start;
        self.offset += length;
    }

    /// Nothing follows: what is there is the last line, though nothing ends it.
    pub(super) fn finish(&mut self, mut tell: impl FnMut(Event)) {
        self.search(&mut tell);
        if let Some(bytes) = self.passed.take() {
            tell(Event::TooLong {
                at: self.offset,
                bytes,
            });
            self.offset += bytes;
        }
        if self.end.is_none() && self.start < self.bytes.len() {
            self.end = Some(self.bytes.len());
        }
    }
}

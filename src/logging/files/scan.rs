//! How far a file and its index stand whole, from the last checkpoint on.
//!
//! Entries are taken in order, as long as the bytes that they tell of are there, and are those. At the
//! first one whose bytes the file does not have, it ends: that is where the predecessor died. Bytes
//! that are there and are others, or that no entry tells of, are none of its doing.

use std::collections::VecDeque;

use super::action::{Damage, Found, Look};
use super::checksum::crc32;
use super::index::{Entry, Extent, Header, SLOT_BYTES};
use super::state::{OpenFile, Standing};
use crate::data::Timestamp;

/// Bytes of an index that are read at a time.
const INDEX_CHUNK_BYTES: usize = 64 * 1024;

/// Bytes of a file that are read at a time.
const LINES_CHUNK_BYTES: usize = 1024 * 1024;

/// What a scan has to read next, or what it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Bytes of the index.
    Index {
        /// The offset of the first one.
        at: u64,
        /// How many.
        bytes: usize,
    },
    /// Bytes of the file.
    Lines {
        /// The offset of the first one.
        at: u64,
        /// How many.
        bytes: usize,
    },
    /// It is over. [`Scan::file`] tells how far both stand whole; what is behind is to be cut.
    Over {
        /// Bytes of the file that are no whole entry's.
        cut: u64,
    },
    /// The file cannot be gone on with.
    Damaged(Damage),
}

/// A look through the entries behind a checkpoint.
#[derive(Debug)]
pub struct Scan {
    path: String,
    /// What stands whole; grows with each entry.
    file: OpenFile,
    sources: Vec<Standing>,
    /// The file's bytes, as they were found.
    found: u64,
    /// The offset behind the last slot that was read.
    read: u64,
    /// Entries that were read and whose bytes were not, and where the last of them ends.
    ahead: VecDeque<Entry>,
    ahead_end: u64,
    /// Of the first of them, bytes that were read, and their checksum.
    checked: u32,
    content: u32,
    stop: Option<Stop>,
}

/// Why no further entry is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// There is none, or none that can be read.
    NoEntry,
    /// Its bytes are not all there.
    Torn,
    /// Its bytes are others.
    Altered(u64),
    /// The first slot is not this path's header.
    NoHeader,
}

impl Scan {
    /// A scan from a checkpoint on.
    #[must_use]
    pub fn from_checkpoint(
        path: &str,
        file: OpenFile,
        sources: Vec<Standing>,
        found: &Found,
    ) -> Self {
        let mut scan = Self {
            path: path.to_owned(),
            file,
            sources,
            found: found.file.map_or(0, |look| look.length),
            read: file.index_length,
            ahead: VecDeque::new(),
            ahead_end: file.length,
            checked: 0,
            content: 0,
            stop: None,
        };
        scan.skip_bare();
        scan
    }

    /// A scan of a whole file that nothing is known of.
    #[must_use]
    pub fn from_start(path: &str, found: &Found) -> Self {
        let identity = |look: Option<Look>| look.map(|look| look.identity).unwrap_or_default();
        let file = OpenFile {
            opened: Timestamp::default(),
            length: 0,
            index_length: 0,
            declared: 0,
            seed: 0,
            identity: identity(found.file),
            index_identity: identity(found.index),
        };
        Self::from_checkpoint(path, file, Vec::new(), found)
    }

    /// What to read next, or the end.
    #[must_use]
    pub fn want(&self) -> Want {
        let at = self.file.length + u64::from(self.checked);
        if !self.ahead.is_empty() {
            let missing = usize::try_from(self.ahead_end.saturating_sub(at));
            let bytes = missing.map_or(LINES_CHUNK_BYTES, |missing| missing.min(LINES_CHUNK_BYTES));
            return Want::Lines { at, bytes };
        }
        match self.stop {
            None => Want::Index {
                at: self.read,
                bytes: INDEX_CHUNK_BYTES,
            },
            Some(Stop::Altered(at)) => Want::Damaged(Damage::Altered { at }),
            Some(Stop::NoHeader) if self.found > 0 => Want::Damaged(Damage::IndexUnreadable),
            Some(Stop::NoEntry) if self.found > self.file.length => {
                Want::Damaged(Damage::NotIndexed {
                    at: self.file.length,
                })
            }
            Some(Stop::NoEntry | Stop::NoHeader | Stop::Torn) => Want::Over {
                cut: self.found.saturating_sub(self.file.length),
            },
        }
    }

    /// Takes what [`Scan::want`] wanted, or as much as there is of it.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.ahead.is_empty() {
            self.feed_index(bytes);
        } else {
            self.feed_lines(bytes);
        }
    }

    fn feed_index(&mut self, bytes: &[u8]) {
        let (slots, _) = bytes.as_chunks::<32>();
        for slot in slots {
            if self.stop.is_some() {
                break;
            }
            if self.read == 0 {
                self.take_header(slot);
            } else {
                self.take_slot(slot);
            }
            self.read += SLOT_BYTES;
        }
        if bytes.len() < INDEX_CHUNK_BYTES && self.stop.is_none() {
            self.stop = Some(if self.read == 0 {
                Stop::NoHeader
            } else {
                Stop::NoEntry
            });
        }
        self.skip_bare();
    }

    /// No bytes at all mean that the file ends there.
    fn feed_lines(&mut self, mut bytes: &[u8]) {
        if bytes.is_empty() {
            self.ahead.clear();
            self.stop = Some(Stop::Torn);
        }
        while let Some(extent) = self.ahead.front().and_then(Entry::extent) {
            let missing = usize::try_from(extent.length - self.checked).unwrap_or(usize::MAX);
            let Some((part, rest)) = bytes.split_at_checked(missing.min(bytes.len())) else {
                return;
            };
            self.content = crc32(self.content, part);
            self.checked += u32::try_from(part.len()).unwrap_or(u32::MAX);
            bytes = rest;
            if self.checked < extent.length {
                return;
            }
            self.front_was_read(extent);
            self.skip_bare();
        }
    }

    /// The file, as far as it stands whole.
    #[must_use]
    pub fn file(&self) -> OpenFile {
        self.file
    }

    /// What of each source stands.
    #[must_use]
    pub fn into_sources(self) -> Vec<Standing> {
        self.sources
    }

    fn take_header(&mut self, slot: &[u8; 32]) {
        match Header::decode(slot) {
            Some((header, seed)) if header.path == Header::new(&self.path, header.opened).path => {
                self.file.opened = header.opened;
                self.file.seed = seed;
                self.file.index_length = SLOT_BYTES;
            }
            Some(_) | None => self.stop = Some(Stop::NoHeader),
        }
    }

    fn take_slot(&mut self, slot: &[u8; 32]) {
        let Some(entry) = Entry::decode(slot, self.file.seed, self.read) else {
            self.stop = Some(Stop::NoEntry);
            return;
        };
        if let Some(extent) = entry.extent() {
            let end = self.ahead_end.checked_add(u64::from(extent.length));
            if end != Some(extent.end) {
                self.stop = Some(Stop::NoEntry);
                return;
            }
            if extent.end > self.found {
                self.stop = Some(Stop::Torn);
                return;
            }
            self.ahead_end = extent.end;
        }
        self.ahead.push_back(entry);
    }

    /// All bytes of the first entry ahead were read.
    fn front_was_read(&mut self, extent: Extent) {
        if self.content == extent.content {
            self.accept_front();
        } else {
            let begin = extent.end.saturating_sub(u64::from(extent.length));
            self.stop = Some(Stop::Altered(begin));
            self.ahead.clear();
        }
        self.checked = 0;
        self.content = 0;
    }

    /// Accepts the entries ahead that tell of no bytes.
    fn skip_bare(&mut self) {
        while let Some(entry) = self.ahead.front() {
            if entry.extent().is_some_and(|extent| extent.length > 0) {
                return;
            }
            self.accept_front();
        }
    }

    fn accept_front(&mut self) {
        let accepted = match self.ahead.pop_front() {
            Some(Entry::Text(extent)) => {
                self.file.length = extent.end;
                true
            }
            Some(Entry::Record {
                source,
                number,
                extent,
            }) => {
                let standing = self.declared(source);
                if let Some(standing) = standing {
                    standing.next = standing.next.max(number.saturating_add(1));
                    self.file.length = extent.end;
                    true
                } else {
                    false
                }
            }
            Some(Entry::Source { source, id, next }) => {
                let in_place = source == self.file.declared;
                in_place && self.declare(Standing::new(id, next))
            }
            None => false,
        };
        if accepted {
            self.file.index_length += SLOT_BYTES;
        } else {
            self.ahead.clear();
            self.stop = Some(Stop::NoEntry);
        }
    }

    fn declared(&mut self, source: u32) -> Option<&mut Standing> {
        if source >= self.file.declared {
            return None;
        }
        self.sources.get_mut(usize::try_from(source).ok()?)
    }

    /// Adds a source to the table. The state may know it already, at the same place.
    fn declare(&mut self, standing: Standing) -> bool {
        let place = usize::try_from(self.file.declared).unwrap_or(usize::MAX);
        match self.sources.get_mut(place) {
            Some(known) if known.id == standing.id => known.next = known.next.max(standing.next),
            Some(_) => return false,
            None => self.sources.push(standing),
        }
        self.file.declared += 1;
        true
    }
}

//! The index beside a log file: whose record each byte of the file is.
//!
//! It consists of slots of [`SLOT_BYTES`]. The first is its [`Header`], each other one an [`Entry`].
//! Entries are written before the bytes that they tell of, and follow one another as those do, so that
//! every byte of the file belongs to one entry. Each slot has a checksum of itself, of its place and of
//! the header: a slot of another file, or at another place, is none. A file can be cut behind any entry
//! without changing a byte of those before it, which is why entries are checked one by one and not in
//! groups.
//!
//! Numbers are little-endian:
//!
//! ```text
//! header   magic [8]  opened i64  path's checksum u32  0 [8]             check u32
//! text     2<<28         length u32  0 u64       end u64  content u32    check u32
//! record   1<<28|source  length u32  number u64  end u64  content u32    check u32
//! source   3<<28|source  id [16]     next u64                            check u32
//! ```

use super::checksum::crc32;
use crate::data::Timestamp;

/// The bytes of a slot.
pub const SLOT_BYTES: u64 = 32;

/// What comes behind a log file's name to make its index's.
pub const INDEX_SUFFIX: &str = ".idx";

/// Sources that an index tells apart.
pub const SOURCES_MAX: u32 = 1 << 28;

const MAGIC: [u8; 8] = *b"logidx\x01\n";
const TAG_RECORD: u32 = 1;
const TAG_TEXT: u32 = 2;
const TAG_SOURCE: u32 = 3;

/// Names a source of records: a ring, for as long as any record of it can come.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct SourceId(pub u128);

/// The first slot: which file the index belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// When the file was opened.
    pub opened: Timestamp,
    /// The checksum of the path's name.
    pub path: u32,
}

/// What a slot says of the bytes of the file, or of those who sent them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A header or footer: bytes that are no record's.
    Text(Extent),
    /// The line of a record, or all its lines when it has several.
    Record {
        /// The position of its source in the index's table.
        source: u32,
        /// Its number, as its source counts.
        number: u64,
        /// Where it stands.
        extent: Extent,
    },
    /// A source is added to the table.
    Source {
        /// Its position: the number of sources before it.
        source: u32,
        /// Which it is.
        id: SourceId,
        /// What of it stands in earlier files of this path has lower numbers.
        next: u64,
    },
}

/// A stretch of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Its bytes.
    pub length: u32,
    /// The offset behind its last byte.
    pub end: u64,
    /// The checksum of its bytes.
    pub content: u32,
}

impl Header {
    /// The header of a path's file.
    #[must_use]
    pub fn new(path: &str, opened: Timestamp) -> Self {
        Self {
            opened,
            path: crc32(0, path.as_bytes()),
        }
    }

    /// Appends the slot, and gives its checksum, which the file's entries are checked with.
    pub fn encode(&self, out: &mut Vec<u8>) -> u32 {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.opened.nanos().to_le_bytes());
        out.extend_from_slice(&self.path.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        seal(0, start, out)
    }

    /// Reads a slot; `None` if it is no header. Gives the checksum that [`Header::encode`] gave.
    #[must_use]
    pub fn decode(slot: &[u8; 32]) -> Option<(Self, u32)> {
        let (body, check) = slot.split_last_chunk::<4>()?;
        let seed = crc32(0, body);
        if seed != u32::from_le_bytes(*check) {
            return None;
        }
        let (magic, rest) = body.split_first_chunk::<8>()?;
        let (opened, rest) = rest.split_first_chunk::<8>()?;
        let (path, rest) = rest.split_first_chunk::<4>()?;
        let header = Self {
            opened: Timestamp::from_nanos(i64::from_le_bytes(*opened)),
            path: u32::from_le_bytes(*path),
        };
        (*magic == MAGIC && rest == [0; 8]).then_some((header, seed))
    }
}

impl Entry {
    /// Appends the slot. `seed` is the header's checksum, `at` the slot's offset in the index.
    pub fn encode(&self, seed: u32, at: u64, out: &mut Vec<u8>) {
        let start = out.len();
        match *self {
            Self::Text(extent) => extent.encode(TAG_TEXT, 0, 0, out),
            Self::Record {
                source,
                number,
                extent,
            } => extent.encode(TAG_RECORD, source, number, out),
            Self::Source { source, id, next } => {
                out.extend_from_slice(&word(TAG_SOURCE, source).to_le_bytes());
                out.extend_from_slice(&id.0.to_le_bytes());
                out.extend_from_slice(&next.to_le_bytes());
            }
        }
        seal(crc32(seed, &at.to_le_bytes()), start, out);
    }

    /// Reads a slot; `None` if there is no entry of this file at this place.
    #[must_use]
    pub fn decode(slot: &[u8; 32], seed: u32, at: u64) -> Option<Self> {
        let (body, check) = slot.split_last_chunk::<4>()?;
        if crc32(crc32(seed, &at.to_le_bytes()), body) != u32::from_le_bytes(*check) {
            return None;
        }
        let (first, body) = body.split_first_chunk::<4>()?;
        let first = u32::from_le_bytes(*first);
        let (tag, source) = (first >> 28, first & (SOURCES_MAX - 1));
        if tag == TAG_SOURCE {
            let (id, next) = body.split_first_chunk::<16>()?;
            let id = SourceId(u128::from_le_bytes(*id));
            let next = u64::from_le_bytes(next.try_into().ok()?);
            return Some(Self::Source { source, id, next });
        }
        let (length, body) = body.split_first_chunk::<4>()?;
        let (number, body) = body.split_first_chunk::<8>()?;
        let (end, content) = body.split_first_chunk::<8>()?;
        let number = u64::from_le_bytes(*number);
        let extent = Extent {
            length: u32::from_le_bytes(*length),
            end: u64::from_le_bytes(*end),
            content: u32::from_le_bytes(content.try_into().ok()?),
        };
        match tag {
            TAG_RECORD => Some(Self::Record {
                source,
                number,
                extent,
            }),
            TAG_TEXT if source == 0 && number == 0 => Some(Self::Text(extent)),
            _ => None,
        }
    }

    /// The bytes of the file that it tells of, if it does of any.
    #[must_use]
    pub fn extent(&self) -> Option<Extent> {
        match self {
            Self::Text(extent) | Self::Record { extent, .. } => Some(*extent),
            Self::Source { .. } => None,
        }
    }
}

impl Extent {
    /// The bytes that follow the file's first `from`; `None` if they are more than an entry can tell of.
    #[must_use]
    pub fn behind(from: u64, bytes: &[u8]) -> Option<Self> {
        let length = u32::try_from(bytes.len()).ok()?;
        Some(Self {
            length,
            end: from.checked_add(u64::from(length))?,
            content: crc32(0, bytes),
        })
    }

    fn encode(self, tag: u32, source: u32, number: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&word(tag, source).to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&self.end.to_le_bytes());
        out.extend_from_slice(&self.content.to_le_bytes());
    }
}

fn word(tag: u32, source: u32) -> u32 {
    (tag << 28) | (source & (SOURCES_MAX - 1))
}

/// Appends the checksum of what stands behind `start`.
fn seal(seed: u32, start: usize, out: &mut Vec<u8>) -> u32 {
    let check = crc32(seed, out.get(start..).unwrap_or_default());
    out.extend_from_slice(&check.to_le_bytes());
    check
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn extents() -> impl Strategy<Value = Extent> {
        (any::<u32>(), any::<u64>(), any::<u32>()).prop_map(|(length, end, content)| Extent {
            length,
            end,
            content,
        })
    }

    fn entries() -> impl Strategy<Value = Entry> {
        let source = 0..SOURCES_MAX;
        prop_oneof![
            extents().prop_map(Entry::Text),
            (source.clone(), any::<u64>(), extents()).prop_map(|(source, number, extent)| {
                Entry::Record {
                    source,
                    number,
                    extent,
                }
            }),
            (source, any::<u128>(), any::<u64>()).prop_map(|(source, id, next)| Entry::Source {
                source,
                id: SourceId(id),
                next,
            }),
        ]
    }

    proptest! {
        #[test]
        fn an_entry_is_read_as_it_was_written_and_only_at_its_place(
            entry in entries(), seed: u32, at: u64, bit in 0_usize..256,
        ) {
            let mut bytes = Vec::new();
            entry.encode(seed, at, &mut bytes);
            let mut slot: [u8; 32] = bytes.try_into().unwrap();
            prop_assert_eq!(Entry::decode(&slot, seed, at), Some(entry));
            prop_assert_eq!(Entry::decode(&slot, seed, at.wrapping_add(32)), None);
            prop_assert_eq!(Entry::decode(&slot, seed ^ 1, at), None);
            slot[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Entry::decode(&slot, seed, at), None);
        }

        #[test]
        fn a_header_is_read_as_it_was_written(nanos: i64, path: String, bit in 0_usize..256) {
            let header = Header::new(&path, Timestamp::from_nanos(nanos));
            let mut bytes = Vec::new();
            let seed = header.encode(&mut bytes);
            let mut slot: [u8; 32] = bytes.try_into().unwrap();
            prop_assert_eq!(Header::decode(&slot), Some((header, seed)));
            slot[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Header::decode(&slot), None);
        }

        #[test]
        fn arbitrary_bytes_are_no_slot(slot: [u8; 32], seed: u32, at: u64) {
            let entry = Entry::decode(&slot, seed, at);
            prop_assume!(entry.is_none());
            prop_assert_eq!(Header::decode(&slot), None);
        }
    }
}

//! What a logger's successor needs to know: the state of all its files, in two slots.
//!
//! Each storing counts the generation up and goes to the other slot, so that a death in the middle of
//! it leaves the one before. A slot has a checksum of its bytes.
//!
//! ```text
//! magic [8]  length u32  body [length]  check u32
//! ```

use super::action::{Damage, Identity};
use super::checksum::crc32;
use super::index::SourceId;
use crate::data::Timestamp;
use crate::logging::LogPath;
use serde::{Deserialize, Serialize};

/// The names of the slots' files in the logger's directory.
pub const SLOT_NAMES: [&str; 2] = [".state.0", ".state.1"];

const MAGIC: [u8; 8] = *b"logstat\x02";

/// Everything a logger writes, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Counts the storings.
    pub generation: u64,
    /// The paths, in the order they were first opened in.
    pub paths: Vec<PathState>,
    /// What was released and stands in none of their files as it should.
    pub losses: Losses,
}

/// Records that were released, and stand in no file, or in none of a log. In all lives of a logger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// They stand nowhere.
    pub refused: u64,
    /// They stand in files of writers that nobody has introduced.
    pub aside: u64,
}

/// One path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathState {
    /// Its name.
    pub name: LogPath,
    /// What its lines consist of; bytes of whoever formats them.
    pub schema: Vec<u8>,
    /// What of each source stands.
    pub sources: Vec<Standing>,
    /// Its file, if it has one now.
    pub open: Option<OpenFile>,
    /// What is to become of that file, when its rotation has begun.
    pub leaving: Option<Leaving>,
}

/// What of one source stands in a path's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The source.
    pub id: SourceId,
    /// What stands has lower numbers, and what comes with lower numbers stands.
    pub next: u64,
    /// No record of it will come; it only keeps its place in the index's table.
    pub retired: bool,
}

/// A file and its index, as far as they are known to stand whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFile {
    /// When it was opened.
    #[serde(with = "nanos")]
    pub opened: Timestamp,
    /// Bytes of the file.
    pub length: u64,
    /// Bytes of the index.
    pub index_length: u64,
    /// How many of the path's sources, from the first, stand in the index's table.
    pub declared: u32,
    /// The checksum of the index's header.
    pub seed: u32,
    /// Which file it is.
    pub identity: Identity,
    /// Which file the index is.
    pub index_identity: Identity,
}

/// A rotation that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    /// The name that the file is to have.
    pub target: String,
    /// How many names were taken before this one.
    pub attempt: u32,
    /// What is to be written behind the last line.
    pub footer: Vec<u8>,
    /// When it was opened, as its name says.
    #[serde(with = "nanos")]
    pub opened: Timestamp,
    /// When it was closed.
    #[serde(with = "nanos")]
    pub closed: Timestamp,
    /// Why it is set aside, if it is not an orderly rotation.
    pub damage: Option<Damage>,
}

/// A point in time as its nanoseconds.
mod nanos {
    use crate::data::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the form that serde calls"
    )]
    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(time.nanos())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_nanos)
    }
}

impl Standing {
    /// A source of which everything below `next` stands.
    #[must_use]
    pub fn new(id: SourceId, next: u64) -> Self {
        Self {
            id,
            next,
            retired: false,
        }
    }
}

impl State {
    /// The slot that this generation goes to: 0 or 1.
    #[must_use]
    pub fn slot(&self) -> usize {
        usize::from(!self.generation.is_multiple_of(2))
    }

    /// A slot's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Into memory, of types that serde can always write: it does not fail.
        let body = postcard::to_stdvec(self).unwrap_or_default();
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let mut slot = MAGIC.to_vec();
        slot.extend_from_slice(&length.to_le_bytes());
        slot.extend_from_slice(&body);
        let check = crc32(0, &slot);
        slot.extend_from_slice(&check.to_le_bytes());
        slot
    }

    /// Reads a slot; `None` if it was not stored whole. Bytes behind it do not matter.
    #[must_use]
    pub fn decode(slot: &[u8]) -> Option<Self> {
        let (magic, rest) = slot.split_first_chunk::<8>()?;
        let (length, _) = rest.split_first_chunk::<4>()?;
        let covered = usize::try_from(u32::from_le_bytes(*length))
            .ok()?
            .checked_add(12)?;
        let (covered, rest) = slot.split_at_checked(covered)?;
        let (check, _) = rest.split_first_chunk::<4>()?;
        if *magic != MAGIC || crc32(0, covered) != u32::from_le_bytes(*check) {
            return None;
        }
        postcard::from_bytes(covered.get(12..)?).ok()
    }

    /// The newer of two slots, each with its bytes if there are any.
    #[must_use]
    pub fn newest(slots: [Option<&[u8]>; 2]) -> Option<Self> {
        let states = slots.into_iter().flatten().filter_map(Self::decode);
        states.max_by_key(|state| state.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn sample(generation: u64) -> State {
        State {
            generation,
            paths: vec![PathState {
                name: LogPath::parse("conn").unwrap(),
                schema: vec![1, 2, 3],
                sources: vec![Standing {
                    id: SourceId(7 << 100),
                    next: 400,
                    retired: false,
                }],
                open: Some(OpenFile {
                    opened: Timestamp::from_nanos(-5),
                    length: 1000,
                    index_length: 96,
                    declared: 1,
                    seed: 9,
                    identity: Identity(1),
                    index_identity: Identity(2),
                }),
                leaving: Some(Leaving {
                    target: "conn-1.log".to_owned(),
                    attempt: 1,
                    footer: b"#close\n".to_vec(),
                    opened: Timestamp::from_nanos(1),
                    closed: Timestamp::from_nanos(2),
                    damage: Some(Damage::Altered { at: 3 }),
                }),
            }],
            losses: Losses {
                refused: 2,
                aside: 1,
            },
        }
    }

    #[test]
    fn a_state_is_read_as_it_was_stored_whatever_stands_behind_it() {
        let mut slot = sample(3).encode();
        slot.extend_from_slice(b"of an earlier, longer state");
        assert_eq!(State::decode(&slot), Some(sample(3)));
    }

    #[test]
    fn every_cut_and_every_changed_bit_is_found() {
        let slot = sample(3).encode();
        for cut in 0..slot.len() {
            assert_eq!(State::decode(&slot[..cut]), None, "cut at {cut}");
        }
        for bit in 0..slot.len() * 8 {
            let mut changed = slot.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(State::decode(&changed), None, "bit {bit}");
        }
    }

    #[test]
    fn a_torn_slot_leaves_the_generation_before() {
        let (old, new) = (sample(4).encode(), sample(5).encode());
        assert_eq!(State::newest([Some(&old), Some(&new)]), Some(sample(5)));
        // The slot's last owner was generation 3, of the same length.
        let before = sample(3).encode();
        for cut in 0..new.len() {
            let torn = [&new[..cut], &before[cut..]].concat();
            let found = State::newest([Some(&old), Some(&torn)]);
            assert!(
                found == Some(sample(4)) || found == Some(sample(5)),
                "{cut}"
            );
        }
        assert_eq!(State::newest([None, Some(&new[1..])]), None);
    }

    #[test]
    fn generations_take_turns() {
        assert_eq!([1, 2, 3].map(|g| sample(g).slot()), [1, 0, 1]);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(State::decode(&bytes), None);
            // Behind a good frame, so that the body is looked at.
            let mut slot = MAGIC.to_vec();
            slot.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
            slot.extend_from_slice(&bytes);
            let check = crc32(0, &slot);
            slot.extend_from_slice(&check.to_le_bytes());
            if let Some(state) = State::decode(&slot) {
                prop_assert_eq!(State::decode(&state.encode()), Some(state));
            }
        }
    }
}

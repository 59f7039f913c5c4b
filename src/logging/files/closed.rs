//! A rotated file that something is still to be done with: how it is noted down, and how a command is told.
//!
//! The note lies in the logger's directory from before the state forgets the file until everything is
//! done, so whoever dies in between leaves it to a successor.

use serde::{Deserialize, Serialize};

use super::checksum::crc32;
use super::naming::short_date;
use crate::data::Timestamp;
use crate::logging::LogPath;

/// The directory of notes, in the logger's directory.
pub const NOTES_DIRECTORY: &str = ".rotated";

/// What a packed file's name has behind that of the plain one.
pub const PACKED_SUFFIX: &str = ".gz";

/// The writer that commands are told: Zeek's name of that for text files.
const WRITER: &str = "ascii";

/// A file that was rotated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Whose it was.
    pub path: LogPath,
    /// Its name, relative to the logger's directory.
    pub name: String,
    /// When it was opened.
    #[serde(with = "nanos")]
    pub opened: Timestamp,
    /// When it was closed.
    #[serde(with = "nanos")]
    pub closed: Timestamp,
}

impl Closed {
    /// The name of its note. Notes in the order of their names are in the order in which files were closed.
    #[must_use]
    pub fn note(&self) -> String {
        let time = self.closed.nanos().max(0);
        let [name, other] = [0, 1].map(|start| crc32(start, self.name.as_bytes()));
        format!("{time:016x}-{name:08x}{other:08x}")
    }

    /// The note.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Into memory, which does not fail.
        let content = postcard::to_stdvec(self).unwrap_or_default();
        [crc32(0, &content).to_le_bytes().as_slice(), &content].concat()
    }

    /// Reads a note. `None`: it is none.
    #[must_use]
    pub fn decode(note: &[u8]) -> Option<Self> {
        let (sum, content) = note.split_first_chunk()?;
        let closed: Self = postcard::from_bytes(content).ok()?;
        // It tells which file is worked on, and there are none elsewhere.
        let is_here = !closed.name.starts_with('/') && !closed.name.contains("..");
        (is_here && crc32(0, content) == u32::from_le_bytes(*sum)).then_some(closed)
    }

    /// What Zeek tells a post-processor of a file: its name now, the path, when it was opened and closed,
    /// whether the writer is about to end, and the writer. `place`: what its name is relative to.
    #[must_use]
    pub fn arguments(&self, place: &str, is_ending: bool) -> [String; 6] {
        [
            format!("{place}/{}", self.name),
            self.path.to_string(),
            short_date(self.opened),
            short_date(self.closed),
            u8::from(is_ending).to_string(),
            WRITER.to_owned(),
        ]
    }
}

mod nanos {
    use super::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        time.nanos().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(name: &str, seconds: i64) -> Closed {
        Closed {
            path: LogPath::parse("conn").unwrap(),
            name: name.to_owned(),
            opened: Timestamp::from_nanos(1_700_000_000_000_000_000),
            closed: Timestamp::from_nanos(seconds * 1_000_000_000),
        }
    }

    #[test]
    fn a_note_is_read_as_it_was_written_and_no_other_bytes_are_one() {
        let closed = closed("log-queue/conn.log", 1_700_003_600);
        let note = closed.encode();
        assert_eq!(Closed::decode(&note), Some(closed));
        for length in 0..note.len() {
            assert_eq!(Closed::decode(&note[..length]), None);
        }
        let mut other = note;
        *other.last_mut().unwrap() ^= 1;
        assert_eq!(Closed::decode(&other), None);
    }

    #[test]
    fn a_note_of_a_file_elsewhere_is_none() {
        for name in ["/etc/passwd", "../other/conn.log", "log-queue/../../x"] {
            assert_eq!(Closed::decode(&closed(name, 1).encode()), None, "{name}");
        }
    }

    #[test]
    fn notes_are_sorted_by_time_and_differ_by_name() {
        let names = [closed("b", -5), closed("a", 9), closed("a", 10)].map(|closed| closed.note());
        assert!(names.is_sorted(), "{names:?}");
        assert_ne!(closed("a", 1).note(), closed("b", 1).note());
    }

    #[test]
    fn a_command_is_told_what_upstream_tells() {
        let told = closed("log-queue/conn.log", 1_700_003_600).arguments("/run/logs/l", true);
        let expected = [
            "/run/logs/l/log-queue/conn.log",
            "conn",
            "23-11-14_22.13.20",
            "23-11-14_23.13.20",
            "1",
            "ascii",
        ];
        assert_eq!(told, expected);
    }
}

//! What the files' core asks for, what it is answered, and what it tells.
//!
//! The core asks for one [`Action`] at a time. Whoever carries it out may die at any instruction of
//! it: each action can be begun again, by the same process or by its successor.

use super::index::SourceId;
use crate::data::Timestamp;
use crate::logging::LogPath;

/// Which file it is, as the system tells it: device, inode and time of birth, put together by whoever
/// asks the system. Equal identities mean the same file under whatever name.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Identity(pub u128);

/// One thing to do. Names are relative to the logger's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look at a file and at the index beside it. Answer: [`Outcome::Found`].
    Inspect {
        /// The file's name.
        name: String,
    },
    /// Read at most so many bytes at an offset; fewer only at the file's end. Answer: [`Outcome::Bytes`].
    Read {
        /// Which file.
        name: String,
        /// The offset of the first byte.
        at: u64,
        /// How many bytes.
        bytes: usize,
    },
    /// Open a file for writing, and make it if it is not there. Its content is left. Answer:
    /// [`Outcome::Created`].
    Create {
        /// The file's name.
        name: String,
    },
    /// Write at an offset, which is the file's end. After a failure in the middle: all of it again, at
    /// the same offset.
    Write {
        /// Which file.
        name: String,
        /// The offset of the first byte.
        at: u64,
        /// What to write.
        bytes: Vec<u8>,
    },
    /// Cut a file to a length.
    Truncate {
        /// Which file.
        name: String,
        /// Its length from now on, in bytes.
        length: u64,
    },
    /// Give a file another name, without ever replacing one, and make the directories of the new name.
    /// Answer: [`Outcome::Done`], [`Outcome::Exists`], [`Outcome::Missing`] or [`Outcome::Refused`].
    Rename {
        /// The old name.
        from: String,
        /// The new name.
        to: String,
    },
    /// Wait until the file's bytes are on the disk.
    Sync {
        /// Which file.
        name: String,
    },
    /// Wait until names made and changed are on the disk.
    SyncDirectories,
    /// Put the state's bytes at the beginning of one of its two slots. What stands behind them does no
    /// harm.
    Store {
        /// 0 or 1.
        slot: usize,
        /// What to write.
        bytes: Vec<u8>,
        /// Whether to wait until they are on the disk.
        sync: bool,
    },
    /// Release a source's records: those with lower numbers never have to come again.
    Release {
        /// Which source.
        source: SourceId,
        /// The lowest number that is not released.
        below: u64,
    },
    /// Tell whoever is interested.
    Report(Event),
}

/// What became of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// What there is.
    Found(Found),
    /// What was read.
    Bytes(Vec<u8>),
    /// A file is open for writing.
    Created(Identity),
    /// A rename: the new name is taken. Nothing has changed.
    Exists,
    /// A rename: there is no file with the old name.
    Missing,
    /// A rename or a creation: it cannot be done, and will not be possible in a moment. Of every other
    /// action: it failed, and the same action stays due. Whoever carries it out decides when to try
    /// again.
    Refused,
}

/// What an inspection found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The file, if there is one.
    pub file: Option<Look>,
    /// The index beside it, if there is one.
    pub index: Option<Look>,
}

/// One file, as the system tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Which file it is.
    pub identity: Identity,
    /// Its bytes.
    pub length: u64,
    /// When its content was changed last.
    pub modified: Timestamp,
}

/// What is told of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Neither of the state's slots can be read, though there is one: what is known comes from the
    /// indexes alone.
    StateLost,
    /// A file was taken over from a predecessor.
    Recovered {
        /// Whose path it is.
        path: LogPath,
        /// Bytes at its end that were no whole line.
        cut: u64,
    },
    /// A file is not as it was left. It was set aside, and the path goes on with a fresh one.
    SetAside {
        /// Whose path it is.
        path: LogPath,
        /// What is wrong.
        damage: Damage,
        /// Its name from now on; the file itself may be what is missing.
        name: String,
    },
    /// A file is complete. Told before the state forgets it, so that it is told again after a death in
    /// between.
    Rotated {
        /// Whose path it was.
        path: LogPath,
        /// Its name.
        name: String,
        /// When it was opened.
        opened: Timestamp,
        /// When it was closed; not before it was opened.
        closed: Timestamp,
    },
    /// A file cannot be renamed; for a rotation, it goes on under its old name.
    CannotRename {
        /// The name it has.
        from: String,
        /// The name it should have had.
        to: String,
    },
    /// A path's file cannot be made. Its lines wait.
    CannotCreate {
        /// The file's name.
        name: String,
    },
}

/// In what a file is not as it was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Damage {
    /// It is not there.
    Missing,
    /// Another file has its name.
    Replaced,
    /// It is shorter than when the state was stored.
    Shorter {
        /// Bytes there should be at least.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// It is longer than this process wrote it.
    Longer {
        /// Bytes there should be.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// There is no index beside it.
    IndexMissing,
    /// Another index has its index's name.
    IndexReplaced,
    /// Its index is shorter than when the state was stored.
    IndexShorter {
        /// Bytes there should be at least.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// What is beside it is not its index.
    IndexUnreadable,
    /// Bytes are not those that the index tells of.
    Altered {
        /// Where the record that they should be begins.
        at: u64,
    },
    /// The index does not tell of its last bytes.
    NotIndexed {
        /// Where they begin.
        at: u64,
    },
}

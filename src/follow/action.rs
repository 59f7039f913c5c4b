//! What a follower asks for, what it is answered, and what it tells.
//!
//! Nothing of it changes a file: each action can be begun again.

use super::Identity;

/// A place in a file, behind a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Which file.
    pub file: Identity,
    /// Where the header begins that is in force there; 0 where files have none.
    pub header: u64,
    /// Bytes before it.
    pub offset: u64,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open the file that has the name. Answer: [`Outcome::Opened`] or [`Outcome::Missing`].
    Open,
    /// Open the file of this identity, whatever its name is, as long as it is beside where the name
    /// is. Answer: [`Outcome::Opened`] or [`Outcome::Missing`].
    Find(Identity),
    /// Look how long the open file is, and which file has the name. Answer: [`Outcome::Seen`].
    Look,
    /// Read at most so many bytes of the open file at an offset. Answer: [`Outcome::Bytes`]; none at the
    /// file's end.
    Read {
        /// The offset of the first byte.
        at: u64,
        /// How many bytes.
        bytes: usize,
    },
    /// Tell whoever is interested. Answer: [`Outcome::Done`].
    Report(Event),
}

/// What became of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// A file is open, and the one that was is not any more.
    Opened {
        /// Which.
        file: Identity,
        /// Its bytes.
        length: u64,
    },
    /// There is no such file.
    Missing,
    /// What there is.
    Seen {
        /// Bytes of the open file.
        length: u64,
        /// Which file has the name, if any, and if anything stands in it: as long as nothing does, whoever
        /// writes may not have let go of the old one.
        named: Option<Identity>,
    },
    /// What was read.
    Bytes(Vec<u8>),
    /// It failed: the same action stays due, and nothing else is before the next
    /// [`wake`](super::Follower::wake). Whoever carries it out decides when that is.
    Failed,
}

/// What is told of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is followed from here on.
    Begun(Position),
    /// It was followed, and is not to be found: removed, moved to another directory or packed. What of it
    /// was not read is lost.
    Lost(Identity),
    /// It is shorter than what was read of it; it is read from its beginning.
    Truncated {
        /// Which.
        file: Identity,
        /// Bytes of it that were read.
        read: u64,
        /// Bytes that it has.
        length: u64,
    },
    /// A line is longer than is taken, and was passed over.
    TooLong {
        /// Where it began.
        at: u64,
        /// Its bytes, without its end.
        bytes: u64,
    },
}

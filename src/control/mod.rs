//! The control protocol: what a client asks of the supervisor, and what it is answered.
//!
//! One JSON object a line in either direction over `control.sock`. A connection carries one request
//! after the other; every request is answered with one object, or, for the streaming ones, with
//! objects until the end mark. The replies *are* what `--json` prints: stable, versioned by
//! [`SCHEMA`], unknown values `null` and never left out.
//!
//! Pure: no socket, no clock. The supervisor serves it, the client sub-commands speak it.

pub mod node;
pub mod reply;
pub mod request;
pub mod select;

/// The version of requests and replies.
pub const SCHEMA: u32 = 1;

/// The longest request, in bytes; a longer one is refused and the connection closed.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// The codes that a client ends with, also found in `error.code`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(into = "u8", try_from = "u8")]
#[repr(u8)]
pub enum Code {
    /// Done.
    Done = 0,
    /// Failed for all selected nodes; `diff`: they differ.
    Failed = 1,
    /// Usage, or a selector that names nobody.
    Usage = 2,
    /// The layout or the description of a node is invalid.
    Invalid = 3,
    /// The daemon is not reachable; the daemon itself: another one holds the run directory.
    Unreachable = 4,
    /// The time limit passed; the daemon itself: survivors had to be killed at the stop deadline.
    TimeLimit = 5,
    /// Some nodes failed.
    Partial = 6,
    /// Not permitted.
    Permission = 7,
    /// Another change is under way.
    Conflict = 8,
    /// `status`: degraded, the quorum is met.
    Degraded = 10,
    /// `status`: the quorum is not met, or a node failed.
    Broken = 11,
}

impl From<Code> for u8 {
    fn from(code: Code) -> Self {
        code as Self
    }
}

impl TryFrom<u8> for Code {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        Ok(match number {
            0 => Self::Done,
            1 => Self::Failed,
            2 => Self::Usage,
            3 => Self::Invalid,
            4 => Self::Unreachable,
            5 => Self::TimeLimit,
            6 => Self::Partial,
            7 => Self::Permission,
            8 => Self::Conflict,
            10 => Self::Degraded,
            11 => Self::Broken,
            other => return Err(format!("{other} is no exit code of the control protocol")),
        })
    }
}

//! Why a client command failed, and the code that it ends with.

use std::path::PathBuf;
use std::{fmt, io};

use cluster::causes;
use cluster::control::reply::ErrorBody;
use cluster::control::{Code, REQUEST_BYTES_MAX, SCHEMA};
use cluster::data::json::JsonError;
use cluster::data::message::MessageError;
use cluster::fabric::Refusal;

/// Why a client command failed. What the operator can do about it is the [`ClientError::hint`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody listens. System's or operator's fault.
    #[error("no supervisor answers at {}", socket.display())]
    Absent {
        /// The control socket.
        socket: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The socket is somebody else's.
    #[error("the control socket {} may not be used by this user", socket.display())]
    Forbidden {
        /// The control socket.
        socket: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The answer did not come in time.
    #[error("the supervisor at {} did not answer within the time limit", socket.display())]
    Silent {
        /// The control socket.
        socket: PathBuf,
    },
    /// The connection ended in the middle of an answer.
    #[error(
        "the supervisor at {} ended the connection before its answer was complete",
        socket.display()
    )]
    HungUp {
        /// The control socket.
        socket: PathBuf,
    },
    /// The connection broke.
    #[error("the connection to the supervisor at {} broke", socket.display())]
    Broken {
        /// The control socket.
        socket: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// An answer that is none. Peer's fault.
    #[error(
        "what came from {} is no answer of a supervisor of this version: {problem}",
        socket.display()
    )]
    Garbled {
        /// The control socket.
        socket: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The supervisor said no, and what to do.
    #[error("{}", refusal(.0))]
    Refused(ErrorBody),
    /// A file of the command line cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A path that the protocol, which is text, cannot carry.
    #[error("the path {path:?} is not UTF-8")]
    NotText {
        /// Which.
        path: PathBuf,
    },
    /// A request that the supervisor would not read.
    #[error("the request has {bytes} bytes, at most {REQUEST_BYTES_MAX} are allowed")]
    RequestTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The fabric is not open to this command.
    #[error("the supervisor at {} does not let this command in", socket.display())]
    NotSeated {
        /// The socket to attach at.
        socket: PathBuf,
        /// Why.
        #[source]
        why: Refusal,
    },
    /// Words of the command line that do not go together.
    #[error("{0}")]
    Usage(&'static str),
    /// What is to be published is no event.
    #[error("{place} is no event")]
    NoEvent {
        /// Where it stands.
        place: String,
        /// What is wrong with it.
        #[source]
        source: NoEvent,
    },
    /// A record that the layout does not let through.
    #[error(
        "{place} takes {bytes} bytes with its topic; the layout's record_bytes_max allows {most}"
    )]
    RecordTooLarge {
        /// Where it stands.
        place: String,
        /// Its length.
        bytes: usize,
        /// The longest there may be.
        most: usize,
    },
    /// Fewer records came than were asked for.
    #[error("{seen} of {wanted} records came {until}")]
    TooFew {
        /// So many came.
        seen: u64,
        /// So many should have.
        wanted: u64,
        /// Why no more were waited for.
        until: End,
    },
    /// Standard output does not take it.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

/// Why something is no event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoEvent {
    /// No value even.
    #[error("the line is no value")]
    Json(#[from] JsonError),
    /// A value of another shape.
    #[error("the value is no message with an event")]
    Message(#[from] MessageError),
    /// A row whose first member is no name.
    #[error("a row begins with the event's name, a text")]
    Nameless,
    /// Longer than is read.
    #[error("the line is longer than {0} bytes")]
    TooLong(u64),
}

/// Why no more records are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Their time is over.
    TimeLimit,
    /// Somebody interrupted the command.
    Interrupted,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimeLimit => "within the time limit",
            Self::Interrupted => "before the interruption",
        })
    }
}

fn refusal(error: &ErrorBody) -> String {
    match &error.node {
        Some(node) => format!("{node}: {}", error.message),
        None => error.message.clone(),
    }
}

impl ClientError {
    /// What the command ends with.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Absent { .. }
            | Self::HungUp { .. }
            | Self::Broken { .. }
            | Self::Garbled { .. } => Code::Unreachable,
            Self::Forbidden { .. } => Code::Permission,
            Self::Silent { .. } => Code::TimeLimit,
            Self::Refused(error) => refused_code(error),
            Self::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Code::Permission
            }
            Self::File { .. }
            | Self::RequestTooLarge { .. }
            | Self::NoEvent { .. }
            | Self::RecordTooLarge { .. } => Code::Invalid,
            Self::NotText { .. } | Self::Usage(_) => Code::Usage,
            Self::NotSeated { why, .. } => match why {
                Refusal::NotAllowed => Code::Permission,
                Refusal::Version { .. } => Code::Unreachable,
                Refusal::NameTaken(_)
                | Refusal::BoardFull
                | Refusal::TooManyGuests
                | Refusal::NoSuchSeat
                | Refusal::NoSuchPeer
                | Refusal::TooLarge
                | Refusal::System(_)
                | Refusal::Confused(_)
                | Refusal::ToItself
                | Refusal::TooManyRings
                | Refusal::TooMuchMemory => Code::Failed,
            },
            Self::TooFew { until, .. } => match until {
                End::TimeLimit => Code::TimeLimit,
                End::Interrupted => Code::Failed,
            },
            Self::Output(_) => Code::Failed,
        }
    }

    /// What the operator can do about it.
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Absent { .. } => Some(
                "is it running? start it with `supervisor --layout FILE`, or name its run directory with --run-dir DIR",
            ),
            Self::Forbidden { .. } => Some("run the command as the supervisor's user"),
            Self::Silent { .. } => {
                Some("`supervisor status` shows what became of it, --timeout SECS allows more")
            }
            Self::HungUp { .. } => Some("its log says why"),
            Self::Broken { .. } => Some("`supervisor status` shows what became of it"),
            Self::Garbled { .. } => Some("use the client of the same version, or check the path"),
            Self::NotText { .. } => Some("rename it"),
            Self::RequestTooLarge { .. } => Some("create the nodes in several steps"),
            Self::NoEvent { .. } => Some(
                "write [\"name\", ARGUMENT, …], or a line that `supervisor sub --json` printed",
            ),
            Self::Refused(_)
            | Self::File { .. }
            | Self::NotSeated { .. }
            | Self::Usage(_)
            | Self::RecordTooLarge { .. }
            | Self::TooFew { .. }
            | Self::Output(_) => None,
        }
    }

    /// What failed, its causes, and last what to do: as it is shown once.
    pub(crate) fn chain(&self) -> String {
        let what = causes::chain(self);
        match self.hint() {
            Some(hint) => format!("{what}; {hint}"),
            None => what,
        }
    }
}

/// A failure never ends with the code of success, whatever the other side claims.
pub(crate) fn refused_code(error: &ErrorBody) -> Code {
    match error.code {
        Code::Done => Code::Failed,
        Code::Failed
        | Code::Usage
        | Code::Invalid
        | Code::Unreachable
        | Code::TimeLimit
        | Code::Partial
        | Code::Permission
        | Code::Conflict
        | Code::Degraded
        | Code::Broken => error.code,
    }
}

/// The version of an answer differs from ours.
pub(crate) fn other_schema(schema: u32) -> String {
    format!("it speaks schema {schema}, this client {SCHEMA}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_the_code_that_scripts_expect() {
        let socket = PathBuf::from("run/control.sock");
        let source = |kind| io::Error::from(kind);
        for (error, code) in [
            (
                ClientError::Absent {
                    socket: socket.clone(),
                    source: source(io::ErrorKind::NotFound),
                },
                Code::Unreachable,
            ),
            (
                ClientError::Forbidden {
                    socket: socket.clone(),
                    source: source(io::ErrorKind::PermissionDenied),
                },
                Code::Permission,
            ),
            (ClientError::Silent { socket }, Code::TimeLimit),
            (ClientError::RequestTooLarge { bytes: 1 }, Code::Invalid),
            (
                ClientError::File {
                    path: "a".into(),
                    source: source(io::ErrorKind::PermissionDenied),
                },
                Code::Permission,
            ),
        ] {
            assert_eq!(error.code(), code, "{error}");
        }
    }

    #[test]
    fn the_cause_stands_behind_what_failed_and_the_hint_behind_both() {
        let error = ClientError::Absent {
            socket: "/srv/run/control.sock".into(),
            source: io::Error::from_raw_os_error(2),
        };
        assert_eq!(
            error.chain(),
            "no supervisor answers at /srv/run/control.sock: No such file or directory (os error 2); \
             is it running? start it with `supervisor --layout FILE`, or name its run directory \
             with --run-dir DIR"
        );
    }

    #[test]
    fn a_refusal_names_its_node_and_never_ends_with_success() {
        let error = ClientError::Refused(ErrorBody {
            code: Code::Done,
            message: "no such user".to_owned(),
            node: Some("probe".to_owned()),
        });
        assert_eq!(error.chain(), "probe: no such user");
        assert_eq!(error.code(), Code::Failed);
    }
}

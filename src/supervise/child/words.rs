//! The words for a child: the states that `status` shows, and how a process ended.

use serde::{Deserialize, Serialize};

use crate::layout::signals;

/// The states of a child, the words that `status` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It does not run, and should not.
    Stopped,
    /// It should run; its stage waits.
    Pending,
    /// It should run; its delay passes.
    Backoff,
    /// It runs, or is just being born, and is not ready yet.
    Starting,
    /// It runs and is ready.
    Ready,
    /// It was asked to end.
    Stopping,
    /// It ended as its policy wants it.
    Finished,
    /// It was given up.
    Failed,
}

impl State {
    /// The word that `status` shows.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Pending => "pending",
            Self::Backoff => "backoff",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::Finished => "finished",
            Self::Failed => "failed",
        }
    }

    /// Is there a process, or is one just being born?
    #[must_use]
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Starting | Self::Ready | Self::Stopping)
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signaled {
        /// Its number.
        signal: i32,
        /// It left a core.
        core: bool,
    },
    /// It never came to be: the system refused the process (the system's error number).
    NotBorn(i32),
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit {code}"),
            Self::Signaled { signal, core } => {
                f.write_str(&signals::name(*signal))?;
                f.write_str(if *core { " (core)" } else { "" })
            }
            Self::NotBorn(errno) => {
                write!(f, "not born: {}", std::io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

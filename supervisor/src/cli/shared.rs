//! What several client commands take: where the supervisor is, which nodes, how long to wait.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueHint};
use cluster::fabric::ATTACH_SOCKET;

use super::values;

/// The run directory of a supervisor that was told of no other.
pub(crate) const RUN_DIR: &str = "run";
/// The control socket in it.
const SOCKET_NAME: &str = "control.sock";

/// Where the supervisor is.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// The supervisor's run directory [default: run]
    #[arg(
        long,
        value_name = "DIR",
        value_hint = ValueHint::DirPath,
        conflicts_with = "socket",
        help_heading = "Supervisor and output"
    )]
    pub(crate) run_dir: Option<PathBuf>,
    /// The supervisor's control socket [env: SUPERVISOR_SOCKET] [default: control.sock in the run directory]
    #[arg(
        long,
        value_name = "PATH",
        value_hint = ValueHint::FilePath,
        help_heading = "Supervisor and output"
    )]
    pub(crate) socket: Option<PathBuf>,
}

impl Target {
    /// The control socket's path. What was typed wins over the environment's `SUPERVISOR_SOCKET`.
    pub(crate) fn path(&self, environment: Option<OsString>) -> PathBuf {
        if let Some(socket) = &self.socket {
            return socket.clone();
        }
        if let Some(run_dir) = &self.run_dir {
            return run_dir.join(SOCKET_NAME);
        }
        match environment.filter(|value| !value.is_empty()) {
            Some(socket) => socket.into(),
            None => Path::new(RUN_DIR).join(SOCKET_NAME),
        }
    }

    /// The path of the socket at which programs attach to the fabric: it lies beside the control socket.
    pub(crate) fn attach_path(&self, environment: Option<OsString>) -> PathBuf {
        self.path(environment).with_file_name(ATTACH_SOCKET)
    }
}

/// What every client command takes.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Supervisor and output")]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Print the supervisor's answer as JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Wait no longer than this for the answer [default: 10; 60 for commands that wait for nodes]
    #[arg(long, value_name = "SECS", value_parser = values::duration, allow_negative_numbers = true)]
    pub(crate) timeout: Option<Duration>,
    /// Print nothing but failures; the exit code tells the rest
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,
    /// No colours, on a terminal neither
    #[arg(long)]
    pub(crate) no_color: bool,
}

/// Nodes to read from; none is all.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Any {
    /// Names, globs ('worker-*'), roles (@workers), @all or @failed; none means @all
    #[arg(value_name = "SEL")]
    pub(crate) select: Vec<String>,
}

/// Those on the board to read of; none is all. It does not tell who failed.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Present {
    /// Names, globs ('worker-*'), roles (@workers) or @all; none means @all
    #[arg(value_name = "SEL")]
    pub(crate) select: Vec<String>,
}

/// Nodes to change; none is an error.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(required = true, multiple = false)]
pub(crate) struct Those {
    /// Names, globs ('worker-*'), roles (@workers), @all or @failed
    #[arg(value_name = "SEL")]
    pub(crate) select: Vec<String>,
    /// All nodes
    #[arg(long)]
    pub(crate) all: bool,
}

/// Whether to wait.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Come back at once, not when the nodes have got there
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// How many at a time.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rolling {
    /// Restart at most N nodes at a time, each waited for until it is ready [N: 1]
    #[arg(
        id = "rolling",
        long = "rolling",
        value_name = "N",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) at_a_time: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_wins_over_the_environment() {
        let path = |run_dir: Option<&str>, socket: Option<&str>, env: Option<&str>| {
            let target = Target {
                run_dir: run_dir.map(PathBuf::from),
                socket: socket.map(PathBuf::from),
            };
            target.path(env.map(OsString::from)).display().to_string()
        };
        assert_eq!(path(None, None, None), "run/control.sock");
        assert_eq!(path(None, None, Some("")), "run/control.sock");
        assert_eq!(path(None, None, Some("/e")), "/e");
        assert_eq!(path(Some("d"), None, Some("/e")), "d/control.sock");
        assert_eq!(path(None, Some("/s"), Some("/e")), "/s");
    }

    #[test]
    fn the_socket_of_the_fabric_lies_beside_the_control_socket() {
        let target = Target {
            socket: Some("/srv/run/control.sock".into()),
            ..Target::default()
        };
        assert_eq!(target.attach_path(None), Path::new("/srv/run/attach.sock"));
        let attach = Target::default().attach_path(None);
        assert_eq!(attach, Path::new("run/attach.sock"));
    }
}

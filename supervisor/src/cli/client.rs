//! The sub-commands that ask a running supervisor.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::shared::{Any, Common, Rolling, Those, Waiting};
use super::values::{self, Since};

/// The sub-commands that ask a running supervisor.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientCommand {
    /// Show the state of the nodes
    Status(StatusArgs),
    /// Start nodes that are stopped, failed or finished
    Start(StartArgs),
    /// Stop nodes; they stay stopped until they are started again
    Stop(StopArgs),
    /// Stop nodes and start them again
    Restart(RestartArgs),
    /// Add nodes that are not in the layout
    Create(CreateArgs),
    /// Stop nodes and forget them
    Destroy(DestroyArgs),
    /// Stop everything and end the supervisor
    Shutdown(ShutdownArgs),
    /// Show what nodes print
    Logs(LogsArgs),
    /// Show everything that support would ask about a node
    Diag(DiagArgs),
    /// Show what happened: starts, exits, deployments
    Events(EventsArgs),
    /// Wait until nodes are ready, stopped or failed
    Wait(WaitArgs),
    /// Send a signal to nodes
    Signal(SignalArgs),
    /// Show how a layout differs from what runs
    Diff(DiffArgs),
    /// Make a layout what runs, touching only what differs
    Deploy(DeployArgs),
}

/// The options of `status`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Ends with 0 if all selected nodes are in their wanted state, with 10 if some are not, with 11 if a
node failed or too few are ready.

Examples:
  supervisor status
  supervisor status @workers --watch
  supervisor status --json | jq '.nodes[] | select(.state == \"failed\") | .name'")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) nodes: Any,
    /// Show it again every second, until Ctrl-C
    #[arg(long, short)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `start`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Examples:
  supervisor start worker-1
  supervisor start --all --no-wait")]
pub(crate) struct StartArgs {
    #[command(flatten)]
    pub(crate) nodes: Those,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `stop`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Examples:
  supervisor stop worker-1
  supervisor stop 'worker-*' --grace 30     Give them 30 seconds to end by themselves
  supervisor stop worker-1 --kill           Do not ask, kill")]
pub(crate) struct StopArgs {
    #[command(flatten)]
    pub(crate) nodes: Those,
    /// Kill what has not ended after this long [default: the layout's grace]
    #[arg(long, value_name = "SECS", value_parser = values::duration)]
    pub(crate) grace: Option<Duration>,
    /// Kill at once
    #[arg(long, conflicts_with = "grace")]
    pub(crate) kill: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `restart`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
With --rolling, --timeout bounds the whole roll, not each node's turn: who has had no turn by then is
not restarted. The first node that does not become ready ends it too.

Examples:
  supervisor restart worker-1
  supervisor restart @workers --rolling     One after the other
  supervisor restart --all --rolling=2      Two at a time")]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    pub(crate) nodes: Those,
    #[command(flatten)]
    pub(crate) rolling: Rolling,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `create`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
The file holds a map of nodes as in a layout's `nodes`, for example

  { \"probe-2\": (command: [\"/usr/bin/probe\", \"-i\", \"eth1\"]) }

Relative paths in it start at its own directory.

Examples:
  supervisor create --file probe.ron
  supervisor create --file probe.ron --persist     Keep it over a restart of the supervisor")]
pub(crate) struct CreateArgs {
    /// The description of the nodes
    #[arg(long, value_name = "NODE.ron", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Keep the nodes over a restart of the supervisor
    #[arg(long)]
    pub(crate) persist: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `destroy`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Meant for nodes that `create` made. A node of the layout comes back with the next start of the
supervisor or the next `deploy`: take it out of the layout, or `stop` it.

Example:
  supervisor destroy probe-2")]
pub(crate) struct DestroyArgs {
    #[command(flatten)]
    pub(crate) nodes: Those,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `shutdown`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Nodes are stopped in the reverse order of their start.

Examples:
  supervisor shutdown
  supervisor shutdown --grace 0     Kill everything at once")]
pub(crate) struct ShutdownArgs {
    /// Kill what has not ended after this long [default: the layout's grace]
    #[arg(long, value_name = "SECS", value_parser = values::duration)]
    pub(crate) grace: Option<Duration>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Which output stream.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fd {
    /// Standard output
    Out,
    /// Standard error
    Err,
}

/// The options of `logs`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Older output is in RUN_DIR/NODE/stdout.log and stderr.log.

Examples:
  supervisor logs worker-1
  supervisor logs -f @workers --fd err
  supervisor logs --since 10m")]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) nodes: Any,
    /// Go on with what comes, until Ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// The last N lines of each stream of each node, at most 200 [default: 200; 10 with --follow]
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) lines: Option<u32>,
    /// Only lines since then: so long ago (90, 10m), or a date (2026-01-31T12:00:00Z)
    #[arg(long, value_name = "T")]
    pub(crate) since: Option<Since>,
    /// Only one of the two streams
    #[arg(long, value_enum)]
    pub(crate) fd: Option<Fd>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `diag`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Values of environment variables are masked.

Example:
  supervisor diag worker-1 > for-support.txt")]
pub(crate) struct DiagArgs {
    #[command(flatten)]
    pub(crate) nodes: Any,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `events`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Events are numbered without gaps: the number in front of the last line seen goes to --since.

Examples:
  supervisor events
  supervisor events -f --since 120")]
pub(crate) struct EventsArgs {
    /// Go on with what comes, until Ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only events with a larger number
    #[arg(long, value_name = "SEQ")]
    pub(crate) since: Option<u64>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What to wait for.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// All are ready, or finished
    Ready,
    /// All are stopped, finished or failed
    Stopped,
    /// All are failed
    Failed,
}

/// The options of `wait`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Ends with 0 when all have got there, with 5 when the time limit (--timeout, 60 seconds) passed.
If those that did not get there never will, it ends earlier: with 1 if that is all of them, with 6 if
it is some.

Examples:
  supervisor wait --for ready --timeout 30
  supervisor wait job-1 --for stopped")]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    pub(crate) nodes: Any,
    /// For what
    #[arg(long = "for", value_name = "STATE", value_enum)]
    pub(crate) goal: Goal,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `signal`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(
    override_usage = "supervisor signal <SIG> <SEL|--all> [OPTIONS]",
    after_help = "\
A signal that ends a node is no order to stop it: it comes back as its restart policy says.

Examples:
  supervisor signal HUP worker-1
  supervisor signal SIGUSR1 @workers
  supervisor signal 9 --all"
)]
pub(crate) struct SignalArgs {
    /// Number, or name with or without SIG
    #[arg(value_name = "SIG", value_parser = values::signal)]
    pub(crate) signal: String,
    #[command(flatten)]
    pub(crate) nodes: Those,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `diff`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Ends with 0 if nothing differs, with 1 if something does.

Example:
  supervisor diff site.ron")]
pub(crate) struct DiffArgs {
    /// The layout to compare with what runs
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `deploy`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Nodes that do not differ go on untouched. An invalid layout changes nothing. With --rolling,
--timeout bounds the whole roll.

Examples:
  supervisor deploy site.ron --dry-run
  supervisor deploy site.ron --rolling     Restart changed nodes one after the other")]
pub(crate) struct DeployArgs {
    /// The layout to run
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Only say what would change
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) rolling: Rolling,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl ClientCommand {
    /// What every client command takes.
    pub(crate) fn common(&self) -> &Common {
        match self {
            Self::Status(args) => &args.common,
            Self::Start(args) => &args.common,
            Self::Stop(args) => &args.common,
            Self::Restart(args) => &args.common,
            Self::Create(args) => &args.common,
            Self::Destroy(args) => &args.common,
            Self::Shutdown(args) => &args.common,
            Self::Logs(args) => &args.common,
            Self::Diag(args) => &args.common,
            Self::Events(args) => &args.common,
            Self::Wait(args) => &args.common,
            Self::Signal(args) => &args.common,
            Self::Diff(args) => &args.common,
            Self::Deploy(args) => &args.common,
        }
    }
}

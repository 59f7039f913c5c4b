//! The command line: what can be typed, and nothing of what it does.
//!
//! `supervisor --layout FILE` is the daemon, short for `supervisor run --layout FILE`. Every other
//! sub-command but `check` and `completions` is a client of a running one: of its control socket (see
//! [`client`]), of its fabric (see [`fabric`]), or of the files of its loggers (see [`records`]).
//!
//! Pure: opens no file, connects to nothing.

pub(crate) mod client;
pub(crate) mod echo;
pub(crate) mod fabric;
pub(crate) mod records;
pub(crate) mod shared;
pub(crate) mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use client::ClientCommand;
use fabric::FabricCommand;
use records::RecordsCommand;
use shared::Target;

const EXAMPLES: &str = "\
Examples:
  supervisor check site.ron              Is the layout right? Starts nothing
  supervisor --layout site.ron           Boot the cluster, stay in the foreground
  supervisor status                      In another terminal: how is everybody?
  supervisor restart worker-1            Restart one node, wait until it is ready
  supervisor logs -f @workers            Follow the output of all workers
  supervisor deploy site.ron             Apply a changed layout to what runs
  supervisor stats --watch               What became of the records between nodes?
  supervisor records verify              Does every record stand in the log files once?
  supervisor shutdown                    Stop everything

Nodes are selected by name (worker-1), glob ('worker-*'), role (@workers, @loggers, @proxies,
@manager), @all or @failed.

Exit codes of the client commands:
  0 done   1 failed   2 usage   3 invalid layout   4 no supervisor reachable   5 time limit
  6 some nodes failed   7 not permitted   8 another change is under way
  10 status: degraded   11 status: broken";

const RUNNING: &str = "\
Signals:
  SIGTERM, SIGINT  Stop in order; again within 5 seconds: no grace; a third: kill
  SIGQUIT          Stop without grace
  SIGHUP           Read the layout again and apply what differs
  SIGUSR1          Restart all nodes, one after the other
  SIGUSR2          Write all states to supervisor.log; open log files anew

Exit codes:
  0 stopped in order   1 could not start   2 usage   3 invalid layout
  4 another supervisor holds the run directory
  5 nodes had to be killed at the stop deadline   70 the system failed it

SUPERVISOR_LOG in the environment chooses what is logged: error, warn, info
(the default) or debug.";

/// Boots a cluster of nodes from a layout file, keeps it alive, and steers it.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "supervisor",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    after_help = EXAMPLES
)]
pub(crate) struct Cli {
    #[command(flatten)]
    run: Option<RunArgs>,
    #[command(subcommand)]
    command: Option<Command>,
}

impl Cli {
    /// What is to be done; the bare options of the daemon mean `run`.
    pub(crate) fn chosen(self) -> Option<Command> {
        self.command.or_else(|| self.run.map(Command::Run))
    }
}

/// Moves what every client command takes behind the command, for those who write it in front:
/// `supervisor --run-dir DIR status` means `supervisor status --run-dir DIR`.
pub(crate) fn in_order(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let words: Vec<OsString> = words.into_iter().collect();
    let mut at = 1;
    while let Some(word) = words.get(at).and_then(|word| word.to_str()) {
        at += match word {
            "--run-dir" | "--socket" | "--timeout" => 2,
            "--json" | "--quiet" | "-q" | "--no-color" => 1,
            _ if ["--run-dir=", "--socket=", "--timeout="]
                .iter()
                .any(|option| word.starts_with(option)) =>
            {
                1
            }
            _ => break,
        };
    }
    let is_command =
        |word: &OsString| !word.is_empty() && !word.as_encoded_bytes().starts_with(b"-");
    match (words.split_at_checked(at), words.first()) {
        (Some((front, rest @ [command, ..])), Some(program)) if is_command(command) => {
            // Some commands have two words.
            let words = if command == "records" { 2 } else { 1 };
            let (command, rest) = rest.split_at_checked(words).unwrap_or((rest, &[]));
            let moved = front.iter().skip(1);
            let in_order = [program]
                .into_iter()
                .chain(command)
                .chain(moved)
                .chain(rest);
            in_order.cloned().collect()
        }
        _ => words,
    }
}

/// All sub-commands.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// Run the supervisor in the foreground; `run` may be left out
    #[command(after_help = RUNNING)]
    Run(RunArgs),
    /// Check a layout file: starts nothing, needs no running supervisor
    Check(CheckArgs),
    #[command(flatten)]
    Client(ClientCommand),
    #[command(flatten)]
    Fabric(FabricCommand),
    /// Prove, show and rotate the log files that loggers write
    #[command(subcommand)]
    Records(RecordsCommand),
    /// Print a script that teaches a shell to complete these commands
    Completions(CompletionsArgs),
    /// What the supervisor starts itself as, to bear the nodes.
    #[command(hide = true)]
    Stem,
    /// The names of all nodes, for completion scripts: quick, and silent if it fails.
    #[command(name = "__names", hide = true)]
    Names(Target),
}

/// The options of the daemon.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunArgs {
    /// The layout: a RON file that names the nodes of the cluster
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) layout: PathBuf,
    /// Where sockets, output and state are kept [default: the layout's run_dir, else run]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) run_dir: Option<PathBuf>,
    /// Which of the layout's instances this host is [default: found by address]
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<String>,
    /// Check the layout and end, as `supervisor check FILE` does; with --log-format json as
    /// `supervisor check --json FILE`
    #[arg(long)]
    pub(crate) check: bool,
    /// Write the supervisor's process id to this file too
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) pid_file: Option<PathBuf>,
    /// How the supervisor's own log is written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
}

/// How the supervisor's own log is written.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// The options of `check`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Errors and warnings go to standard error, the layout with every default filled in to standard
output. Ends with 0 if the layout can run, with 3 if it cannot.

Examples:
  supervisor check site.ron
  supervisor check --strict --json site.ron | jq .findings")]
pub(crate) struct CheckArgs {
    /// The layout to check
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Take warnings, and keys that this build does not act on, for errors
    #[arg(long)]
    pub(crate) strict: bool,
    /// Check as this instance of the layout [default: found by address]
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<String>,
    /// Check with this run directory [default: the layout's run_dir, else run]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) run_dir: Option<PathBuf>,
    /// Print findings and layout as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

impl From<&RunArgs> for CheckArgs {
    fn from(run: &RunArgs) -> Self {
        Self {
            file: run.layout.clone(),
            strict: false,
            instance: run.instance.clone(),
            run_dir: run.run_dir.clone(),
            json: run.log_format == LogFormat::Json,
        }
    }
}

/// The options of `completions`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Names of nodes are asked from the running supervisor (bash, zsh, fish).

Examples:
  source <(supervisor completions bash)
  supervisor completions zsh > ~/.zfunc/_supervisor
  supervisor completions fish > ~/.config/fish/completions/supervisor.fish")]
pub(crate) struct CompletionsArgs {
    /// For which shell
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: CompletionShell,
}

/// The shells that can be taught.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompletionShell {
    /// GNU Bash
    Bash,
    /// Z shell
    Zsh,
    /// fish
    Fish,
    /// `PowerShell`
    #[value(name = "powershell", help = "PowerShell")]
    PowerShell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.chosen().unwrap())
    }

    #[test]
    fn the_command_line_is_consistent_in_itself() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_daemon_is_started_with_and_without_the_word_run() {
        let expected = RunArgs {
            layout: "site.ron".into(),
            run_dir: Some("r".into()),
            instance: Some("a".to_owned()),
            check: true,
            pid_file: Some("p".into()),
            log_format: LogFormat::Json,
        };
        let options = "--layout site.ron --run-dir r --instance a --check --pid-file p \
                       --log-format json";
        for line in [
            format!("supervisor {options}"),
            format!("supervisor run {options}"),
        ] {
            let Command::Run(args) = parse(&line).unwrap() else {
                panic!("{line}");
            };
            assert_eq!(args, expected, "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_ends_with_the_code_of_usage() {
        for line in [
            "supervisor",
            "supervisor run",
            "supervisor --run-dir run",
            "supervisor fly",
            "supervisor --layout a.ron status",
            "supervisor start",
            "supervisor stop",
            "supervisor restart",
            "supervisor destroy",
            "supervisor signal HUP",
            "supervisor start worker-1 --all",
            "supervisor restart --rolling=0 worker-1",
            "supervisor wait worker-1",
            "supervisor status --timeout -1",
            "supervisor status --json --quiet",
            "supervisor create",
            "supervisor logs --fd in",
            "supervisor pub a/topic",
            "supervisor pub a/topic event word",
            "supervisor pub a/topic event {}",
            "supervisor sub",
            "supervisor sub a/ -n 0",
            "supervisor peers --timeout -0.5",
            "supervisor sub a/ -n many",
            "supervisor records",
            "supervisor records show",
            "supervisor records show conn -n 0",
            "supervisor records show conn --since soon",
        ] {
            let error = Cli::try_parse_from(line.split_whitespace()).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn what_every_command_takes_may_stand_in_front_of_it() {
        for (typed, meant) in [
            (
                "s --run-dir d --json status w",
                "s status --run-dir d --json w",
            ),
            ("s --timeout=3 -q stop w", "s stop --timeout=3 -q w"),
            ("s status --json", "s status --json"),
            (
                "s --run-dir d records show conn",
                "s records show --run-dir d conn",
            ),
            ("s --json records", "s records --json"),
            ("s --run-dir d --layout f", "s --run-dir d --layout f"),
            (
                "s --run-dir d run --layout f",
                "s run --run-dir d --layout f",
            ),
            ("s --run-dir d", "s --run-dir d"),
            ("s --run-dir", "s --run-dir"),
            ("s --help", "s --help"),
            ("s", "s"),
        ] {
            let words = in_order(typed.split(' ').map(OsString::from));
            assert_eq!(words.join(" ".as_ref()), OsString::from(meant));
        }
        assert!(in_order([]).is_empty());
    }

    #[test]
    fn help_is_no_failure_and_hides_what_is_not_for_people() {
        let error = Cli::try_parse_from(["supervisor", "--help"]).unwrap_err();
        assert_eq!(error.exit_code(), 0);
        let text = error.to_string();
        for word in ["stem", "__names"] {
            assert!(!text.contains(&format!("\n  {word}")), "{text}");
        }
    }

    #[test]
    fn a_signal_is_named_before_the_nodes_that_get_it() {
        let error = Cli::try_parse_from(["supervisor", "signal", "--help"]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("signal <SIG> <SEL|--all> [OPTIONS]\n"),
            "{text}"
        );
        let Ok(Command::Client(ClientCommand::Signal(args))) = parse("supervisor signal HUP w v")
        else {
            panic!("not understood");
        };
        assert_eq!((args.signal.as_str(), args.nodes.select.len()), ("HUP", 2));
    }

    /// Shows: the help of what looks at the board names no selector that it refuses, and `sub` says what
    /// its time limit bounds.
    #[test]
    fn the_commands_of_the_fabric_offer_what_they_take() {
        let help = |command: &str| {
            let error = Cli::try_parse_from(["supervisor", command, "--help"]).unwrap_err();
            error
                .to_string()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        for command in ["peers", "stats"] {
            assert!(!help(command).contains("@failed"), "{}", help(command));
        }
        assert!(help("status").contains("@failed"));
        let said = help("sub");
        assert!(said.contains("with -n for the records"), "{said}");
    }

    #[test]
    fn the_stem_takes_no_arguments() {
        assert!(matches!(parse("supervisor stem"), Ok(Command::Stem)));
        assert!(parse("supervisor stem x").is_err());
    }
}

//! The sub-commands for the log files that loggers write.

use std::num::NonZeroUsize;

use clap::{Args, Subcommand};

use super::shared::Common;
use super::values::Since;

/// The sub-commands for the log files that loggers write.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecordsCommand {
    /// Prove that every record stands once; needs no running supervisor
    #[command(mut_arg("timeout", |timeout| timeout.hide(true)), mut_arg("json", |json| json.help(AS_OBJECT)))]
    Verify(VerifyArgs),
    /// Show the records of a log, of all loggers together; needs no running supervisor
    #[command(mut_arg("timeout", |timeout| timeout.hide(true)), mut_arg("json", |json| json.help(AS_RECORDS)))]
    Show(ShowArgs),
    /// Have loggers close their current files, rename them, and go on with fresh ones
    Rotate(RotateArgs),
}

const AS_OBJECT: &str = "Print what was found as one JSON object";
const AS_RECORDS: &str = "Print each record as a JSON object, whatever its file's form";

/// The options of `records verify`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Reads current and rotated files with their indexes, packed ones too, and what the loggers have stored of
them. What is being written meanwhile is no fault. A word that names a logger chooses its files, any other
one a log. A source is a ring between two nodes. Numbers of it that stand nowhere are told if all logs of a
logger are looked at, and are no fault: their records were no lines, or stood in files that are not here.

Ends with 0 if everything is proved, and with 1 if anything is not, or there is nothing.

Examples:
  supervisor records verify
  supervisor records verify logger-1 conn
  supervisor records verify --json | jq '.loggers[].sources'")]
pub(crate) struct VerifyArgs {
    /// Loggers (logger-1), and logs by stream (Conn::LOG) or path (conn); none means all
    #[arg(value_name = "LOGGER|STREAM|PATH")]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `records show`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Records of several loggers are merged by the log's time column (ts, or the first of type time); those of
one file stay in their order. Rotated files come first, packed ones too.

Examples:
  supervisor records show conn
  supervisor records show Conn::LOG -f --since 10m
  supervisor records show dns --json -n 100 | jq .query")]
pub(crate) struct ShowArgs {
    /// The log, by stream (Conn::LOG) or path (conn)
    #[arg(value_name = "STREAM|PATH")]
    pub(crate) log: String,
    /// Go on with what comes, over rotation, until Ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only records since then: so long ago (90, 10m), or a date (2026-01-31T12:00:00Z)
    #[arg(long, value_name = "T")]
    pub(crate) since: Option<Since>,
    /// The last N records [default: all; 10 with --follow and without --since]
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) count: Option<NonZeroUsize>,
    /// Only what this logger wrote
    #[arg(long, value_name = "NAME")]
    pub(crate) logger: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `records rotate`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
A word that names a node or selects nodes ('logger-*', @loggers) chooses loggers, any other one a log. A
logger without a current file of a log has nothing to rotate, which is no failure.

Examples:
  supervisor records rotate
  supervisor records rotate logger-1 conn dns")]
pub(crate) struct RotateArgs {
    /// Loggers (logger-1), and logs by stream (Conn::LOG) or path (conn); none means all
    #[arg(value_name = "LOGGER|STREAM|PATH")]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl RecordsCommand {
    /// What every client command takes.
    pub(crate) fn common(&self) -> &Common {
        match self {
            Self::Verify(args) => &args.common,
            Self::Show(args) => &args.common,
            Self::Rotate(args) => &args.common,
        }
    }
}

//! From the command line to the request that goes over the wire.
//!
//! Reads the file of `create`; asks nothing else of the system.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cluster::control::reply::Stream;
use cluster::control::request::{Envelope, Request, WaitFor};
use cluster::control::select::{Selector, Selectors};
use cluster::control::{Code, REQUEST_BYTES_MAX, SCHEMA, reply::ErrorBody};

use super::failure::ClientError;
use crate::cli::client::{ClientCommand, CreateArgs, Fd, Goal, LogsArgs, StopArgs};
use crate::cli::shared::Those;
use crate::cli::values::milliseconds;

/// How long an answer may take that is there at once.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take that waits for nodes.
const TIMEOUT_NODES: Duration = Duration::from_secs(60);
/// The supervisor keeps so many lines of each stream.
const LINES_KEPT: u32 = 200;
/// So many lines stand before what is followed.
const LINES_BEFORE: u32 = 10;

/// The request of a command, with its time limit.
pub(crate) fn envelope(command: &ClientCommand, now: SystemTime) -> Result<Envelope, ClientError> {
    let timeout = command
        .common()
        .timeout
        .unwrap_or_else(|| default_timeout(command));
    Ok(Envelope {
        schema: SCHEMA,
        timeout_ms: milliseconds(timeout),
        request: request(command, now)?,
    })
}

/// A grace that was asked for must not run into the time limit that nobody chose.
fn default_timeout(command: &ClientCommand) -> Duration {
    let grace = match command {
        ClientCommand::Stop(args) => args.grace,
        ClientCommand::Shutdown(args) => args.grace,
        ClientCommand::Start(_)
        | ClientCommand::Restart(_)
        | ClientCommand::Create(_)
        | ClientCommand::Destroy(_)
        | ClientCommand::Deploy(_)
        | ClientCommand::Wait(_) => None,
        ClientCommand::Status(_)
        | ClientCommand::Logs(_)
        | ClientCommand::Diag(_)
        | ClientCommand::Events(_)
        | ClientCommand::Signal(_)
        | ClientCommand::Diff(_) => return TIMEOUT,
    };
    TIMEOUT_NODES.saturating_add(grace.unwrap_or_default())
}

fn request(command: &ClientCommand, now: SystemTime) -> Result<Request, ClientError> {
    Ok(match command {
        ClientCommand::Status(args) => Request::Status {
            select: selectors(&args.nodes.select),
        },
        ClientCommand::Start(args) => Request::Start {
            select: those(&args.nodes),
            wait: !args.waiting.no_wait,
        },
        ClientCommand::Stop(args) => stop(args),
        ClientCommand::Restart(args) => Request::Restart {
            select: those(&args.nodes),
            rolling: args.rolling.at_a_time,
            wait: !args.waiting.no_wait,
        },
        ClientCommand::Create(args) => create(args)?,
        ClientCommand::Destroy(args) => Request::Destroy {
            select: those(&args.nodes),
            wait: !args.waiting.no_wait,
        },
        ClientCommand::Shutdown(args) => Request::Shutdown {
            grace_ms: args.grace.map(milliseconds),
        },
        ClientCommand::Logs(args) => logs(args, now),
        ClientCommand::Diag(args) => Request::Diag {
            select: selectors(&args.nodes.select),
        },
        ClientCommand::Events(args) => Request::Events {
            since: args.since,
            follow: args.follow,
        },
        ClientCommand::Wait(args) => Request::Wait {
            select: selectors(&args.nodes.select),
            state: match args.goal {
                Goal::Ready => WaitFor::Ready,
                Goal::Stopped => WaitFor::Stopped,
                Goal::Failed => WaitFor::Failed,
            },
        },
        ClientCommand::Signal(args) => Request::Signal {
            select: those(&args.nodes),
            signal: args.signal.clone(),
        },
        ClientCommand::Diff(args) => Request::Diff {
            path: absolute(&args.file)?,
        },
        ClientCommand::Deploy(args) => Request::Deploy {
            path: absolute(&args.file)?,
            dry_run: args.dry_run,
            rolling: args.rolling.at_a_time,
            wait: !args.waiting.no_wait,
        },
    })
}

fn selectors(words: &[String]) -> Selectors {
    words.iter().cloned().map(Selector).collect()
}

fn those(nodes: &Those) -> Selectors {
    if nodes.all {
        vec![Selector("@all".to_owned())]
    } else {
        selectors(&nodes.select)
    }
}

fn stop(args: &StopArgs) -> Request {
    Request::Stop {
        select: those(&args.nodes),
        grace_ms: if args.kill {
            Some(0)
        } else {
            args.grace.map(milliseconds)
        },
        wait: !args.waiting.no_wait,
    }
}

fn logs(args: &LogsArgs, now: SystemTime) -> Request {
    let most = if args.follow && args.since.is_none() {
        LINES_BEFORE
    } else {
        LINES_KEPT
    };
    Request::Logs {
        select: selectors(&args.nodes.select),
        lines: args.lines.unwrap_or(most),
        stream: args.fd.map(|fd| match fd {
            Fd::Out => Stream::Out,
            Fd::Err => Stream::Err,
        }),
        since_ms: args.since.map(|since| since.epoch_ms(now)),
        follow: args.follow,
    }
}

/// The text goes over the wire, not the path: the supervisor need not be able to read the file.
fn create(args: &CreateArgs) -> Result<Request, ClientError> {
    let unreadable = |source| ClientError::File {
        path: args.file.clone(),
        source,
    };
    let size = std::fs::metadata(&args.file).map_err(unreadable)?.len();
    if usize::try_from(size).unwrap_or(usize::MAX) > REQUEST_BYTES_MAX {
        return Err(ClientError::RequestTooLarge {
            bytes: usize::try_from(size).unwrap_or(usize::MAX),
        });
    }
    let nodes = std::fs::read_to_string(&args.file).map_err(unreadable)?;
    let file = std::path::absolute(&args.file).map_err(unreadable)?;
    let base = file.parent().unwrap_or_else(|| Path::new("/"));
    Ok(Request::Create {
        nodes,
        base: text(base)?,
        persist: args.persist,
        wait: !args.waiting.no_wait,
    })
}

/// The supervisor stands in another directory, so it is told an absolute path.
fn absolute(path: &Path) -> Result<String, ClientError> {
    let absolute = std::path::absolute(path).map_err(|source| ClientError::File {
        path: path.to_owned(),
        source,
    })?;
    if !absolute.exists() {
        return Err(ClientError::Refused(ErrorBody {
            code: Code::Invalid,
            message: format!("there is no file {}", absolute.display()),
            node: None,
        }));
    }
    text(&absolute)
}

fn text(path: &Path) -> Result<String, ClientError> {
    match path.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(ClientError::NotText {
            path: PathBuf::from(path),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;
    use serde_json::{Value, json};
    use std::time::UNIX_EPOCH;

    fn command(words: &[&str]) -> ClientCommand {
        let line = std::iter::once("supervisor").chain(words.iter().copied());
        match Cli::try_parse_from(line).unwrap().chosen() {
            Some(Command::Client(command)) => command,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    /// Time limit and request of a command line.
    fn planned(line: &str) -> (u64, Value) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let envelope = envelope(&command(&words), now).unwrap();
        assert_eq!(envelope.schema, SCHEMA);
        (
            envelope.timeout_ms,
            serde_json::to_value(envelope.request).unwrap(),
        )
    }

    #[test]
    fn what_reads_becomes_the_request_that_was_meant() {
        for (line, timeout, request) in [
            ("status", 10_000, json!({"status": {"select": []}})),
            (
                "status @workers p --timeout 0.5",
                500,
                json!({"status": {"select": ["@workers", "p"]}}),
            ),
            (
                "logs",
                10_000,
                json!({"logs": {"select": [], "lines": 200, "stream": null, "since_ms": null,
                       "follow": false}}),
            ),
            (
                "logs w -f --fd err",
                10_000,
                json!({"logs": {"select": ["w"], "lines": 10, "stream": "err", "since_ms": null,
                       "follow": true}}),
            ),
            (
                "logs -n 5 --since 10m --fd out",
                10_000,
                json!({"logs": {"select": [], "lines": 5, "stream": "out", "since_ms": 400_000,
                       "follow": false}}),
            ),
            ("diag w", 10_000, json!({"diag": {"select": ["w"]}})),
            (
                "events -f --since 7",
                10_000,
                json!({"events": {"since": 7, "follow": true}}),
            ),
            (
                "wait w --for stopped --timeout 3",
                3_000,
                json!({"wait": {"select": ["w"], "state": "stopped"}}),
            ),
            (
                "wait --for ready",
                60_000,
                json!({"wait": {"select": [], "state": "ready"}}),
            ),
            (
                "diff /dev/null",
                10_000,
                json!({"diff": {"path": "/dev/null"}}),
            ),
        ] {
            assert_eq!(planned(line), (timeout, request), "{line}");
        }
    }

    #[test]
    fn what_changes_nodes_becomes_the_request_that_was_meant() {
        for (line, timeout, request) in [
            (
                "start w",
                60_000,
                json!({"start": {"select": ["w"], "wait": true}}),
            ),
            (
                "start --all --no-wait",
                60_000,
                json!({"start": {"select": ["@all"], "wait": false}}),
            ),
            (
                "stop w --grace 30",
                90_000,
                json!({"stop": {"select": ["w"], "grace_ms": 30_000, "wait": true}}),
            ),
            (
                "stop w --kill",
                60_000,
                json!({"stop": {"select": ["w"], "grace_ms": 0, "wait": true}}),
            ),
            (
                "restart --rolling w",
                60_000,
                json!({"restart": {"select": ["w"], "rolling": 1, "wait": true}}),
            ),
            (
                "restart --all --rolling=3",
                60_000,
                json!({"restart": {"select": ["@all"], "rolling": 3, "wait": true}}),
            ),
            (
                "destroy w v",
                60_000,
                json!({"destroy": {"select": ["w", "v"], "wait": true}}),
            ),
            (
                "shutdown --grace 0",
                60_000,
                json!({"shutdown": {"grace_ms": 0}}),
            ),
            (
                "signal hup w",
                10_000,
                json!({"signal": {"select": ["w"], "signal": "HUP"}}),
            ),
            (
                "deploy /dev/null --dry-run --rolling=2 --no-wait",
                60_000,
                json!({"deploy": {"path": "/dev/null", "dry_run": true, "rolling": 2,
                       "wait": false}}),
            ),
        ] {
            assert_eq!(planned(line), (timeout, request), "{line}");
        }
    }

    #[test]
    fn create_sends_the_text_and_where_its_paths_start() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("node.ron");
        std::fs::write(&file, "{ \"a\": () }").unwrap();
        let (_, request) = planned(&format!("create --persist --file {}", file.display()));
        assert_eq!(
            request,
            json!({"create": {"nodes": "{ \"a\": () }", "base": directory.path(),
                   "persist": true, "wait": true}})
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_said_before_anybody_is_asked() {
        for line in [
            ["create", "--file=/nowhere/node.ron"],
            ["deploy", "/nowhere/site.ron"],
        ] {
            let error = envelope(&command(&line), UNIX_EPOCH).unwrap_err();
            assert_eq!(error.code(), Code::Invalid);
            assert!(error.chain().contains("/nowhere/"), "{}", error.chain());
        }
    }
}

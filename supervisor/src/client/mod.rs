//! The client: asks a running supervisor over its control socket, and shows what it answers.
//!
//! A command becomes a request ([`plan`]), travels ([`connection`]), and its answer becomes text
//! ([`render`]) and an exit code ([`exit`]). With `--json` the answer is printed as it came.
//!
//! Owns: the client's end of the control socket. Decides nothing about nodes: what a selector
//! means and when a change is done is the supervisor's to say.

mod answer;
pub(crate) mod check;

pub(crate) mod completions;
pub(crate) mod connection;
mod exit;
pub(crate) mod fabric;
mod failure;
mod invisible;
pub(crate) mod out;
mod plan;
pub(crate) mod records;
mod render;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod scripted;
mod stream;
mod watch;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use cluster::control::Code;
use cluster::control::reply::{
    DeployReply, DiagReply, DiffReply, ErrorBody, Event, LogLine, Plain, ResultsReply, StatusReply,
};
use cluster::control::request::{Envelope, Request};

use crate::cli::client::ClientCommand;
use answer::Answer;
use connection::{ANSWER_GRACE, Connection};
use failure::{ClientError, refused_code};
use out::Console;
use render::status::Asked;

/// The variable that names the control socket.
pub(crate) const SOCKET_VARIABLE: &str = "SUPERVISOR_SOCKET";

/// Runs one client command on the process's own standard output and standard error.
pub(crate) fn run(command: &ClientCommand) -> ExitCode {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let mut console = Console::standard(&mut out, &mut err, command.common());
    let socket = command
        .common()
        .target
        .path(std::env::var_os(SOCKET_VARIABLE));
    ExitCode::from(u8::from(perform(command, &socket, &mut console)))
}

/// Runs one client command and says why, if it fails.
fn perform(command: &ClientCommand, socket: &Path, console: &mut Console<'_>) -> Code {
    let done = session(command, socket, console);
    finish(done, console)
}

/// What was printed is flushed, what failed is said.
fn finish(done: Result<Code, ClientError>, console: &mut Console<'_>) -> Code {
    let done = done.and_then(|code| {
        console.flush()?;
        Ok(code)
    });
    match done {
        Ok(code) => code,
        // Who reads us has seen enough.
        Err(ClientError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Code::Done,
        Err(error) => {
            console.fail(&error);
            error.code()
        }
    }
}

fn session(
    command: &ClientCommand,
    socket: &Path,
    console: &mut Console<'_>,
) -> Result<Code, ClientError> {
    let envelope = plan::envelope(command, SystemTime::now())?;
    let limit = Duration::from_millis(envelope.timeout_ms).saturating_add(ANSWER_GRACE);
    let mut connection = Connection::open(socket, limit)?;
    connection.send(&envelope)?;
    let connection = &mut connection;
    match command {
        ClientCommand::Status(args) if args.watch => {
            let asked = Asked::by(&args.nodes.select);
            watch::status(connection, &envelope, limit, asked, console)
        }
        ClientCommand::Status(args) => {
            let asked = Asked::by(&args.nodes.select);
            single(connection, console, |reply: &StatusReply, console| {
                let now = SystemTime::now();
                let text = render::status::text(reply, asked, now, console.paint);
                console.print(&text)?;
                Ok(exit::status(reply))
            })
        }
        ClientCommand::Start(_)
        | ClientCommand::Stop(_)
        | ClientCommand::Restart(_)
        | ClientCommand::Create(_)
        | ClientCommand::Destroy(_)
        | ClientCommand::Wait(_)
        | ClientCommand::Signal(_) => {
            let waits = matches!(command, ClientCommand::Wait(_));
            single(connection, console, |reply: &ResultsReply, console| {
                warn_of(&reply.findings, console);
                let error = reply.error.as_ref();
                let error = error.map(|error| if waits { of_wait(error) } else { error.clone() });
                render::results::show(&reply.results, error.as_ref(), console)?;
                Ok(exit::results(reply))
            })
        }
        ClientCommand::Shutdown(args) => shutdown(connection, console, args.waiting.no_wait),
        ClientCommand::Logs(args) => {
            stream::show::<LogLine>(connection, console, stream_limit(args.follow, limit))
        }
        ClientCommand::Events(args) => {
            stream::show::<Event>(connection, console, stream_limit(args.follow, limit))
        }
        ClientCommand::Diag(_) => single(connection, console, |reply: &DiagReply, console| {
            console.print(&render::diag::text(reply, SystemTime::now(), console.paint))?;
            Ok(Code::Done)
        }),
        ClientCommand::Diff(_) => single(connection, console, |reply: &DiffReply, console| {
            warn_of(&reply.findings, console);
            match &reply.error {
                Some(error) => return Err(ClientError::Refused(error.clone())),
                None => console.print(&render::diff::text(&reply.diff, console.paint))?,
            }
            Ok(exit::diff(reply))
        }),
        ClientCommand::Deploy(_) => deploy(connection, console, &envelope),
    }
}

/// What is doubtful in a layout or description is said before what became of it. A finding says itself
/// that it is a warning, behind its place.
fn warn_of(findings: &[String], console: &mut Console<'_>) {
    for finding in findings {
        console.warn(&out::clean(&finding.replacen(": warning: ", ": ", 1)));
    }
}

/// `wait` has asked for nothing that could go on without it.
fn of_wait(error: &ErrorBody) -> ErrorBody {
    let mut error = error.clone();
    if error.code == Code::TimeLimit {
        error.message = "the time limit passed; --timeout gives more time".to_owned();
    }
    error
}

/// What is followed may be silent for ever; what only lists must go on within the limit.
fn stream_limit(follow: bool, limit: Duration) -> Option<Duration> {
    (!follow).then_some(limit)
}

/// One answer: printed as it came, or shown.
fn single<T: serde::de::DeserializeOwned>(
    connection: &mut Connection,
    console: &mut Console<'_>,
    show: impl FnOnce(&T, &mut Console<'_>) -> Result<Code, ClientError>,
) -> Result<Code, ClientError> {
    let (line, answer) = answer::receive::<T>(connection)?;
    match answer {
        Answer::Refused(error) => console.refused(&line, error),
        Answer::Full(reply) if console.json => {
            console.print_json(&line)?;
            silently(console, |console| show(&reply, console))
        }
        Answer::Full(reply) => show(&reply, console),
    }
}

/// Only the code of what would be shown is wanted.
fn silently(
    console: &Console<'_>,
    show: impl FnOnce(&mut Console<'_>) -> Result<Code, ClientError>,
) -> Result<Code, ClientError> {
    let (mut out, mut err) = (io::sink(), io::sink());
    match show(&mut console.aside(&mut out, &mut err)) {
        Err(ClientError::Refused(error)) => Ok(refused_code(&error)),
        other => other,
    }
}

fn deploy(
    connection: &mut Connection,
    console: &mut Console<'_>,
    envelope: &Envelope,
) -> Result<Code, ClientError> {
    let dry_run = matches!(envelope.request, Request::Deploy { dry_run: true, .. });
    single(connection, console, |reply: &DeployReply, console| {
        warn_of(&reply.findings, console);
        if let (Some(error), true) = (&reply.error, reply.results.is_empty()) {
            return Err(ClientError::Refused(error.clone()));
        }
        console.print(&render::diff::text(&reply.diff, console.paint))?;
        render::results::show(&reply.results, reply.error.as_ref(), console)?;
        if dry_run {
            console.print("nothing was changed (--dry-run)\n")?;
        } else if reply.ok {
            console.print(&format!("generation {} runs\n", reply.generation))?;
        } else {
            console.complain(&render::results::in_force(reply.generation, &reply.results));
        }
        Ok(exit::deploy(reply))
    })
}

/// The supervisor has ended when it lets go of the connection.
fn shutdown(
    connection: &mut Connection,
    console: &mut Console<'_>,
    no_wait: bool,
) -> Result<Code, ClientError> {
    let (line, answer) = answer::receive::<Plain>(connection)?;
    let refused = match answer {
        Answer::Refused(error) => Some(error),
        Answer::Full(plain) => plain.error,
    };
    if let Some(error) = refused {
        return console.refused(&line, error);
    }
    if console.json {
        console.print_json(&line)?;
        console.flush()?;
    }
    if no_wait {
        if !console.json {
            console.print("the supervisor is stopping\n")?;
        }
        return Ok(Code::Done);
    }
    while connection.line()?.is_some() {}
    if !console.json {
        console.print("the supervisor has stopped\n")?;
    }
    Ok(Code::Done)
}

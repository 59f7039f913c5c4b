//! The commands that look at what nodes say to each other, and join in.
//!
//! `pub` and `sub` attach to the fabric as any program may; `peers` and `stats` only look, through
//! memory that they cannot write. None of them asks a node, or goes through the supervisor's loop.
//!
//! Owns: while a command runs, its seat. What it finds becomes a reply ([`replies`]), as if the
//! supervisor had sent it.

mod look;
mod publish;
pub(crate) mod replies;
mod rows;
mod subscribe;

use std::io;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use cluster::control::Code;
use cluster::layout::spec::Role;
use cluster::node::endpoint::{Endpoint, SeatError};
use cluster::sys::clock;

use super::failure::ClientError;
use super::out::Console;
use super::{SOCKET_VARIABLE, finish};
use crate::cli::fabric::FabricCommand;
use crate::cli::shared::Common;

/// So long a seat or a look is waited for, unless the command line says otherwise.
const LIMIT: Duration = Duration::from_secs(10);

/// Where the fabric is, and how long it may take to answer.
struct Place {
    attach: PathBuf,
    control: PathBuf,
    limit: Duration,
}

impl Place {
    fn of(common: &Common) -> Self {
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let variable = || std::env::var_os(SOCKET_VARIABLE);
        Self {
            attach: absolute(common.target.attach_path(variable())),
            control: absolute(common.target.path(variable())),
            limit: common.timeout.unwrap_or(LIMIT),
        }
    }

    /// A seat for this command, under a name that the stem makes up.
    fn attach(&self) -> Result<Endpoint, ClientError> {
        Endpoint::attach_within(self.limit, &self.attach, None, Role::None)
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, error: SeatError) -> ClientError {
        let socket = self.attach.clone();
        match error {
            SeatError::Refused(why) => ClientError::NotSeated { socket, why },
            SeatError::Confused(problem) => ClientError::Garbled {
                socket,
                problem: problem.to_owned(),
            },
            SeatError::NoAnswer => ClientError::Silent { socket },
            SeatError::NoSeat => ClientError::HungUp { socket }, // only a node can lack that
            SeatError::System(source) => {
                let kind = source.kind();
                if kind == io::ErrorKind::PermissionDenied {
                    ClientError::Forbidden { socket, source }
                } else if [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused]
                    .contains(&kind)
                {
                    ClientError::Absent { socket, source }
                } else {
                    ClientError::Broken { socket, source }
                }
            }
        }
    }

    /// The supervisor has let go of us, or is not there any more.
    fn hung_up(&self) -> ClientError {
        ClientError::HungUp {
            socket: self.attach.clone(),
        }
    }
}

/// Runs one of these commands on the process's own standard output and standard error.
pub(crate) fn run(command: &FabricCommand) -> ExitCode {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let mut console = Console::standard(&mut out, &mut err, command.common());
    let place = Place::of(command.common());
    let done = match command {
        FabricCommand::Pub(args) => publish::publish(args, &place, &mut console),
        FabricCommand::Sub(args) => subscribe::subscribe(args, &place, &mut console),
        FabricCommand::Peers(args) => look::peers(args, &place, &mut console),
        FabricCommand::Stats(args) => look::stats(args, &place, &mut console),
    };
    ExitCode::from(u8::from(finish(done, &mut console)))
}

/// What is waited for beside what the endpoint waits for.
struct Watched<'a> {
    on: BorrowedFd<'a>,
    flags: PollFlags,
}

/// Sleeps until one of these is ready, `until` comes, or the endpoint has something to do; says for what
/// each of these is: what was asked for, or that it is broken. `for_records`: records are something to do.
/// What streams have not taken yet always is.
fn sleep(
    endpoint: &mut Endpoint,
    for_records: bool,
    watched: &[Watched<'_>],
    until: Option<Instant>,
) -> io::Result<Vec<PollFlags>> {
    let for_bell = for_records || !endpoint.outbox().flush();
    let has_news = for_bell && !endpoint.doze();
    let until = [until, endpoint.deadline()].into_iter().flatten().min();
    let rest = until.map(|until| until.saturating_duration_since(clock::monotonic()));
    let rest = if has_news { Some(Duration::ZERO) } else { rest };
    let mut on: Vec<PollFd<'_>> = watched
        .iter()
        .map(|watched| PollFd::new(watched.on, watched.flags))
        .collect();
    if for_bell {
        on.extend(endpoint.descriptors().map(readable));
    } else {
        on.extend(endpoint.seat().map(readable));
    }
    let slept = match ppoll(&mut on, rest.map(TimeSpec::from_duration), None) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    };
    let ready = on.iter().take(watched.len());
    let ready = ready
        .map(|on| on.revents().unwrap_or(PollFlags::empty()))
        .collect();
    endpoint.wake()?;
    slept.map(|()| ready)
}

fn readable(on: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(on, PollFlags::POLLIN)
}

/// What a selection that cannot be made is refused with.
fn refused(code: Code, message: String) -> ClientError {
    ClientError::Refused(cluster::control::reply::ErrorBody {
        code,
        message,
        node: None,
    })
}

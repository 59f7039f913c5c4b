//! `records rotate`: a request to the supervisor, which asks the loggers.

use std::time::Duration;

use cluster::control::Code;
use cluster::control::SCHEMA;
use cluster::control::reply::ResultsReply;
use cluster::control::request::{Envelope, Request};

use super::socket;
use crate::cli::records::RotateArgs;
use crate::cli::values::milliseconds;
use crate::client::connection::{ANSWER_GRACE, Connection};
use crate::client::failure::ClientError;
use crate::client::out::Console;
use crate::client::{exit, render, single};

/// A logger writes what waits before it closes a file.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Has files rotated.
pub(super) fn rotate(args: &RotateArgs, console: &mut Console<'_>) -> Result<Code, ClientError> {
    let timeout = args.common.timeout.unwrap_or(TIMEOUT);
    let limit = timeout.saturating_add(ANSWER_GRACE);
    let mut connection = Connection::open(&socket(&args.common), limit)?;
    connection.send(&Envelope {
        schema: SCHEMA,
        timeout_ms: milliseconds(timeout),
        request: Request::Rotate {
            words: args.words.clone(),
        },
    })?;
    single(&mut connection, console, |reply: &ResultsReply, console| {
        render::results::show(&reply.results, reply.error.as_ref(), console)?;
        Ok(exit::results(reply))
    })
}

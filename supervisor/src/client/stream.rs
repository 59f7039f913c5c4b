//! Answers that go on: output of nodes, and events.

use std::time::Duration;

use cluster::control::Code;
use cluster::control::reply::{Event, LogLine};
use serde::de::DeserializeOwned;

use super::answer::{self, Item};
use super::connection::Connection;
use super::failure::ClientError;
use super::out::{Console, Paint};
use super::render;

/// What a stream consists of.
pub(crate) trait Line: DeserializeOwned {
    /// As people read it, with its end of line.
    fn text(&self, paint: Paint) -> String;
}

impl Line for LogLine {
    fn text(&self, paint: Paint) -> String {
        render::lines::log(self, paint)
    }
}

impl Line for Event {
    fn text(&self, paint: Paint) -> String {
        render::lines::event(self, paint)
    }
}

/// Shows everything that comes, until the end mark; each line must come within the limit.
pub(crate) fn show<T: Line>(
    connection: &mut Connection,
    console: &mut Console<'_>,
    limit: Option<Duration>,
) -> Result<Code, ClientError> {
    loop {
        if !connection.has_line() {
            console.flush()?;
            connection.limit(limit);
        }
        let Some(line) = connection.line()? else {
            return Err(connection.hung_up());
        };
        match answer::item::<T>(&line) {
            Ok(Item::One(_)) if console.json => console.print_json(&line)?,
            Ok(Item::One(one)) => console.print(&one.text(console.paint))?,
            Ok(Item::End) => return Ok(Code::Done),
            Ok(Item::Refused(error)) => return console.refused(&line, error),
            Err(problem) => return Err(connection.garbled(&problem)),
        }
    }
}

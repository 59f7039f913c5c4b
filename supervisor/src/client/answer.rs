//! Takes a line for an answer: the one that was asked for, a refusal, or nothing of ours.

use cluster::control::reply::{ErrorBody, Plain};
use cluster::control::{Code, SCHEMA};
use serde::de::DeserializeOwned;

use super::connection::Connection;
use super::failure::{ClientError, other_schema};

/// An answer that was understood.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    /// The one that was asked for.
    Full(T),
    /// Only why not.
    Refused(ErrorBody),
}

/// Waits for one answer; hands back the line too, for `--json`.
pub(crate) fn receive<T: DeserializeOwned>(
    connection: &mut Connection,
) -> Result<(String, Answer<T>), ClientError> {
    let Some(line) = connection.line()? else {
        return Err(connection.hung_up());
    };
    match decode(&line) {
        Ok(answer) => Ok((line, answer)),
        Err(problem) => Err(connection.garbled(&problem)),
    }
}

/// Every answer has the head of [`Plain`]; that is looked at first, so that an answer of another
/// version is told from garbage.
fn decode<T: DeserializeOwned>(line: &str) -> Result<Answer<T>, String> {
    let head: Plain = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if head.schema != SCHEMA {
        return Err(other_schema(head.schema));
    }
    match (serde_json::from_str(line), head.ok) {
        (Ok(reply), _) => Ok(Answer::Full(reply)),
        (Err(_), false) => Ok(Answer::Refused(head.error.unwrap_or_else(|| ErrorBody {
            code: Code::Failed,
            message: "the supervisor refused without saying why".to_owned(),
            node: None,
        }))),
        (Err(error), true) => Err(error.to_string()),
    }
}

/// One line of a stream.
#[derive(Debug)]
pub(crate) enum Item<T> {
    /// One more.
    One(T),
    /// No more will come.
    End,
    /// No more will come, because of this.
    Refused(ErrorBody),
}

/// Takes a line of a stream. What stands in it has no head; the end mark and a refusal have one.
pub(crate) fn item<T: DeserializeOwned>(line: &str) -> Result<Item<T>, String> {
    let unlike = match serde_json::from_str(line) {
        Ok(one) => return Ok(Item::One(one)),
        Err(error) => error.to_string(),
    };
    match decode::<Plain>(line).map_err(|_| unlike)? {
        Answer::Full(mark) => match (mark.ok, mark.error) {
            (true, _) => Ok(Item::End),
            (false, Some(error)) => Ok(Item::Refused(error)),
            (false, None) => Err("a refusal without a reason".to_owned()),
        },
        Answer::Refused(error) => Ok(Item::Refused(error)),
    }
}

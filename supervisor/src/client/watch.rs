//! `status --watch`: the same picture again every second.

use std::io;
use std::time::{Duration, SystemTime};

use nix::poll::{PollTimeout, poll};

use cluster::control::Code;
use cluster::control::reply::StatusReply;
use cluster::control::request::Envelope;

use super::answer::{self, Answer};
use super::connection::Connection;
use super::failure::ClientError;
use super::out::Console;
use super::render;
use super::render::status::Asked;

/// So long one picture stands.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// Shows the state until Ctrl-C, or until the supervisor leaves. The first request is sent already.
pub(crate) fn status(
    connection: &mut Connection,
    envelope: &Envelope,
    limit: Duration,
    asked: Asked,
    console: &mut Console<'_>,
) -> Result<Code, ClientError> {
    loop {
        let (line, answer) = answer::receive::<StatusReply>(connection)?;
        match answer {
            Answer::Refused(error) => return console.refused(&line, error),
            Answer::Full(_) if console.json => console.print_json(&line)?,
            Answer::Full(reply) => {
                let text = render::status::text(&reply, asked, SystemTime::now(), console.paint);
                console.print(&picture(&text, console.terminal))?;
            }
        }
        console.flush()?;
        connection.pause(INTERVAL)?;
        connection.limit(Some(limit));
        connection.send(envelope)?;
    }
}

/// Lets so much time pass.
pub(crate) fn pause(time: Duration) -> io::Result<()> {
    let time = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
    match poll(&mut [], time) {
        Ok(_) | Err(nix::Error::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// On a terminal the new picture is drawn over the old one, without wiping it first: no flicker.
pub(crate) fn picture(text: &str, terminal: bool) -> String {
    if terminal {
        let drawn = text.replace('\n', "\x1b[K\n");
        format!("\x1b[H{drawn}\x1b[J")
    } else {
        format!("{text}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::picture;

    #[test]
    fn a_terminal_is_drawn_over_and_a_file_is_appended_to() {
        assert_eq!(picture("a\nb\n", false), "a\nb\n\n");
        assert_eq!(picture("a\nb\n", true), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    }
}

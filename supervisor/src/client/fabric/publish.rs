//! `pub`: one event, or one for each line of standard input.

use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::PollFlags;

use cluster::control::{Code, SCHEMA};
use cluster::data::Value;
use cluster::data::json;
use cluster::data::message::{Event, EventView};
use cluster::node::endpoint::Endpoint;
use cluster::sys::clock;

use super::replies::PublishReply;
use super::{Place, Watched, sleep};
use crate::cli::fabric::{PubArgs, STANDARD_INPUT};
use crate::client::failure::{ClientError, NoEvent};
use crate::client::out::Console;

/// A longer line of standard input is no event.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// So long it stays until streams have taken what they have queued, which would be lost with it.
const FAREWELL: Duration = Duration::from_secs(2);

/// Publishes, and says how far it came.
pub(super) fn publish(
    args: &PubArgs,
    place: &Place,
    console: &mut Console<'_>,
) -> Result<Code, ClientError> {
    let from_input = args.event == STANDARD_INPUT;
    if from_input && !args.arguments.is_empty() {
        return Err(ClientError::Usage(
            "events that are read from standard input bring their arguments along",
        ));
    }
    let mut publisher = Publisher {
        place,
        topic: &args.topic,
        endpoint: place.attach()?,
        payload: Vec::new(),
        reply: PublishReply {
            schema: SCHEMA,
            ..PublishReply::default()
        },
    };
    if from_input {
        publisher.publish_input()?;
    } else {
        let event = Event::new(args.event.as_str(), args.arguments.clone());
        publisher.publish(&event, &|| "the event".to_owned())?;
    }
    let is_written = publisher
        .endpoint
        .flush_until(clock::monotonic() + FAREWELL)?;
    let reply = &mut publisher.reply;
    let code = match (code(reply), is_written) {
        (Code::Done, false) => Code::Partial,
        (code, _) => code,
    };
    reply.ok = code == Code::Done;
    show(reply, &args.topic, console)?;
    Ok(code)
}

/// Has everybody what he wants, and did anybody want anything?
fn code(reply: &PublishReply) -> Code {
    if reply.taken < reply.wanted {
        Code::Partial
    } else if reply.events > 0 && reply.unwanted == reply.events {
        Code::Failed
    } else {
        Code::Done
    }
}

struct Publisher<'a> {
    place: &'a Place,
    topic: &'a str,
    endpoint: Endpoint,
    payload: Vec<u8>,
    reply: PublishReply,
}

impl Publisher<'_> {
    /// Publishes one event; `at` says where it stands if it cannot be.
    fn publish(&mut self, event: &Event, at: &dyn Fn() -> String) -> Result<(), ClientError> {
        self.payload.clear();
        event.encode(&mut self.payload);
        // Whoever receives it looks at it like this, and has a limit on depth that typing has not.
        EventView::parse(&self.payload).map_err(|error| ClientError::NoEvent {
            place: at(),
            source: error.into(),
        })?;
        let bytes = self.topic.len() + self.payload.len();
        let outbox = self.endpoint.outbox();
        let most = outbox.record_bytes_max();
        if bytes > most {
            return Err(ClientError::RecordTooLarge {
                place: at(),
                bytes,
                most,
            });
        }
        let reach = outbox.reach(self.topic.as_bytes(), &self.payload);
        if self.endpoint.is_lost() {
            return Err(self.place.hung_up());
        }
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.reply.events += 1;
        self.reply.wanted += number(reach.wanted);
        self.reply.taken += number(reach.taken);
        self.reply.unwanted += u64::from(reach.wanted == 0);
        Ok(())
    }

    fn publish_input(&mut self) -> Result<(), ClientError> {
        let mut input = BufReader::new(io::stdin());
        let mut line = Vec::new();
        for number in 1_u64.. {
            if input.buffer().is_empty() {
                self.wait_for_input()?;
            }
            line.clear();
            let mut limited = input.by_ref().take(LINE_BYTES_MAX + 1);
            if limited.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            let before = self.reply.events;
            let at = || format!("line {number} of standard input, after {before} events,");
            let event = event(text).map_err(|source| ClientError::NoEvent {
                place: at(),
                source,
            })?;
            self.publish(&event, &at)?;
        }
        Ok(())
    }

    /// Stays in its seat meanwhile, over the death of stems.
    fn wait_for_input(&mut self) -> Result<(), ClientError> {
        let input = io::stdin();
        let watched = [Watched {
            on: input.as_fd(),
            flags: PollFlags::POLLIN,
        }];
        while sleep(&mut self.endpoint, false, &watched, None)? == [PollFlags::empty()] {}
        Ok(())
    }
}

/// The event of a line: a row of its name and arguments, or the message as Broker writes it.
fn event(text: &[u8]) -> Result<Event, NoEvent> {
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > LINE_BYTES_MAX) {
        return Err(NoEvent::TooLong(LINE_BYTES_MAX));
    }
    if text.starts_with(b"{") {
        return Ok(Event::try_from(json::decode(text)?)?);
    }
    let mut members = json::decode_plain_row(text)?.into_iter();
    let name = members.next();
    match name.as_ref().and_then(Value::as_str) {
        Some(name) if !name.is_empty() => Ok(Event::new(name, members.collect())),
        Some(_) | None => Err(NoEvent::Nameless),
    }
}

fn show(reply: &PublishReply, topic: &str, console: &mut Console<'_>) -> Result<(), ClientError> {
    if console.json {
        let line = serde_json::to_string(reply).map_err(io::Error::from)?;
        return console.print_json(&line);
    }
    let PublishReply {
        events,
        wanted,
        taken,
        unwanted,
        ..
    } = *reply;
    let missed = wanted.saturating_sub(taken);
    if events != 1 {
        console.print(&format!("{events} events published; {taken} times taken\n"))?;
    } else if taken > 0 {
        console.print(&format!("taken by {taken} of {wanted}\n"))?;
    }
    if missed > 0 {
        console.complain(&format!(
            "supervisor: {missed} of {wanted} times it was not taken; `supervisor stats` says why"
        ));
    }
    if unwanted > 0 && unwanted == events {
        console.complain(&format!("supervisor: nobody wants {topic:?}"));
    } else if unwanted > 0 {
        console.warn(&format!("nobody wanted {unwanted} of them"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_row_or_what_sub_has_printed() {
        let expected = Event::new("alarm", vec![Value::from("disk"), Value::from(93_u64)]);
        assert_eq!(event(br#"["alarm", "disk", 93]"#).unwrap(), expected);
        let mut printed = Vec::new();
        json::encode_data_message("a/b", &Value::from(expected.clone()), &mut printed);
        assert_eq!(event(&printed).unwrap(), expected);
        for (text, wrong) in [
            ("", "is no value"),
            ("alarm", "is no value"),
            ("[]", "begins with the event's name"),
            ("[1]", "begins with the event's name"),
            (r#"["", 1]"#, "begins with the event's name"),
            (r#"{"@data-type":"count","data":1}"#, "no message"),
        ] {
            let said = event(text.as_bytes()).unwrap_err().to_string();
            assert!(said.contains(wrong), "{text}: {said}");
        }
    }

    #[test]
    fn the_code_tells_nobody_from_not_everybody() {
        let reply = |events, wanted, taken, unwanted| PublishReply {
            events,
            wanted,
            taken,
            unwanted,
            ..PublishReply::default()
        };
        for (reply, expected) in [
            (reply(1, 2, 2, 0), Code::Done),
            (reply(1, 2, 1, 0), Code::Partial),
            (reply(1, 2, 0, 0), Code::Partial),
            (reply(1, 0, 0, 1), Code::Failed),
            (reply(0, 0, 0, 0), Code::Done),
            (reply(2, 1, 1, 1), Code::Done),
        ] {
            assert_eq!(code(&reply), expected, "{reply:?}");
        }
    }
}

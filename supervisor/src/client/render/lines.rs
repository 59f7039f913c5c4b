//! One line each: output of nodes, and events.

use cluster::control::reply::{Event, LogLine, Stream};

use super::figures::or_unknown;
use crate::client::out::{Paint, Tone, clean};

/// `2026-01-01T00:00:01.250Z [worker-1] text`; standard error in the colour of trouble.
pub(crate) fn log(line: &LogLine, paint: Paint) -> String {
    let tone = match line.stream {
        Stream::Out => Tone::Plain,
        Stream::Err => Tone::Bad,
    };
    format!(
        "{} {} {}\n",
        paint.tone(Tone::Faint, &clean(&line.at)),
        paint.tone(Tone::Strong, &format!("[{}]", clean(&line.node))),
        paint.tone(tone, &clean(&line.text)),
    )
}

/// A line of output below the node it belongs to.
pub(crate) fn indented(line: &LogLine) -> String {
    let stream = match line.stream {
        Stream::Out => "out",
        Stream::Err => "err",
    };
    format!("    {stream} | {}\n", clean(&line.text))
}

/// `17 2026-01-01T00:00:01Z node_exited worker-1 signal=SIGSEGV`.
pub(crate) fn event(event: &Event, paint: Paint) -> String {
    let mut text = format!(
        "{} {} {}",
        event.seq,
        paint.tone(Tone::Faint, &clean(&event.at)),
        paint.tone(Tone::Strong, &clean(&event.kind)),
    );
    text.push(' ');
    text.push_str(&or_unknown(event.node.as_deref().map(clean)));
    for (key, value) in &event.detail {
        text.push_str(&format!(" {}={}", clean(key), quoted(value)));
    }
    text.push('\n');
    text
}

/// A value as it is, or in quotes where a reader of `key=value` pairs could lose its way.
fn quoted(value: &str) -> String {
    let value = clean(value);
    if value.is_empty() || value.contains([' ', '\t', '"', '=']) {
        format!("\"{}\"", value.replace('"', "\\\""))
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::sample;

    #[test]
    fn a_line_of_output_says_when_and_whose() {
        assert_eq!(
            log(&sample::line(Stream::Err, "no\x07 device"), Paint(false)),
            "2026-01-01T00:00:01.250Z [worker-1] no\\u{7} device\n"
        );
    }

    #[test]
    fn an_event_is_one_line_that_can_be_taken_apart_again() {
        let mut happened = Event {
            seq: 17,
            at: "2026-01-01T00:00:01Z".to_owned(),
            kind: "node_exited".to_owned(),
            node: Some("worker-1".to_owned()),
            detail: [
                ("signal", "SIGSEGV"),
                ("reason", "it said \"no\""),
                ("status", ""),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        };
        assert_eq!(
            event(&happened, Paint(false)),
            "17 2026-01-01T00:00:01Z node_exited worker-1 reason=\"it said \\\"no\\\"\" \
             signal=SIGSEGV status=\"\"\n"
        );
        happened.node = None;
        happened.detail.clear();
        assert_eq!(
            event(&happened, Paint(false)),
            "17 2026-01-01T00:00:01Z node_exited -\n"
        );
    }
}

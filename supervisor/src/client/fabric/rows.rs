//! A record as `sub` shows it. Pure.

use std::time::SystemTime;

use serde::Serialize;

use cluster::control::reply::moment;
use cluster::data::message::Event;
use cluster::data::{Value, View, hex, json};

use crate::client::out::{Paint, Tone, clean};

/// So many bytes of what is no value are shown to people.
const SHOWN_BYTES_MAX: usize = 256;

/// A record, and what is to be told beside it.
pub(super) struct Row<'a> {
    pub(super) time: SystemTime,
    /// Who published it, if that is still known.
    pub(super) from: Option<&'a str>,
    pub(super) topic: &'a [u8],
    pub(super) payload: &'a [u8],
}

/// What stands in front of every line of JSON.
#[derive(Serialize)]
struct Head<'a> {
    time: String,
    from: Option<&'a str>,
}

/// A record that is no value.
#[derive(Serialize)]
struct Raw<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    r#type: &'static str,
    topic: &'a str,
    payload_hex: String,
}

impl Row<'_> {
    fn value(&self) -> Option<Value> {
        View::parse(self.payload).ok()?.decode().ok()
    }

    /// Appends the line for people.
    pub(super) fn write_text(&self, out: &mut Vec<u8>, paint: Paint) {
        let what = match self.value() {
            Some(value) => match Event::try_from(value.clone()) {
                Ok(event) => called(&event),
                Err(_) => value.to_string(),
            },
            None => bytes(self.payload),
        };
        let line = format!(
            "{} {} {} {}\n",
            paint.tone(Tone::Faint, &moment(self.time)),
            paint.tone(Tone::Strong, &clean(self.from.unwrap_or("?"))),
            clean(&String::from_utf8_lossy(self.topic)),
            clean(&what),
        );
        out.extend_from_slice(line.as_bytes());
    }

    /// Appends the line of JSON: what Broker makes of the record, and before it when it came and whose it
    /// is.
    pub(super) fn write_json(&self, out: &mut Vec<u8>) {
        let topic = String::from_utf8_lossy(self.topic);
        let head = Head {
            time: moment(self.time),
            from: self.from,
        };
        let mut line = Vec::new();
        match self.value() {
            Some(value) => {
                json::encode_data_message(&topic, &value, &mut line);
                // The two objects become one.
                let mut begin = serde_json::to_vec(&head).unwrap_or_default();
                begin.pop();
                begin.push(b',');
                line.splice(..1, begin);
            }
            None => {
                let raw = Raw {
                    head,
                    r#type: "raw",
                    topic: &topic,
                    payload_hex: hex(self.payload),
                };
                line = serde_json::to_vec(&raw).unwrap_or_default();
            }
        }
        out.append(&mut line);
        out.push(b'\n');
    }
}

/// `name(1, text, T)`.
fn called(event: &Event) -> String {
    let arguments: Vec<String> = event.args.iter().map(Value::to_string).collect();
    format!("{}({})", event.name, arguments.join(", "))
}

fn bytes(payload: &[u8]) -> String {
    let shown = payload.get(..SHOWN_BYTES_MAX).unwrap_or(payload);
    let more = if shown.len() < payload.len() {
        "…"
    } else {
        ""
    };
    format!("{} bytes \"{}\"{more}", payload.len(), shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn lines(payload: &[u8]) -> (String, serde_json::Value) {
        let row = Row {
            time: UNIX_EPOCH + Duration::from_millis(1500),
            from: Some("worker-1"),
            topic: b"a/b",
            payload,
        };
        let (mut text, mut json) = (Vec::new(), Vec::new());
        row.write_text(&mut text, Paint(false));
        row.write_json(&mut json);
        assert_eq!(json.iter().filter(|byte| **byte == b'\n').count(), 1);
        let text = String::from_utf8(text).unwrap();
        let (head, what) = text.split_once(" a/b ").unwrap();
        assert!(head.ends_with("worker-1"), "{head}");
        (what.to_owned(), serde_json::from_slice(&json).unwrap())
    }

    #[test]
    fn an_event_a_value_and_bytes_are_shown_as_what_they_are() {
        let mut payload = Vec::new();
        let args = vec![Value::from("x\x1b"), Value::from(7_u64)];
        Event::new("alarm", args).encode(&mut payload);
        let (text, json) = lines(&payload);
        assert_eq!(text, "alarm(x\\u{1b}, 7)\n");
        assert_eq!(
            (&json["from"], &json["topic"]),
            (&"worker-1".into(), &"a/b".into())
        );
        assert_eq!(json["data"][2]["data"][0]["data"], "alarm");

        payload.clear();
        cluster::data::binary::encode(&Value::from(7_u64), &mut payload);
        let (text, json) = lines(&payload);
        assert_eq!((text.as_str(), &json["data"]), ("7\n", &7.into()));

        let (text, json) = lines(b"\xffraw\n");
        assert_eq!(text, "5 bytes \"\\xffraw\\n\"\n");
        assert_eq!(json["payload_hex"], "ff7261770a");
        let (text, _) = lines(&[b'x'; 300]);
        assert!(
            text.starts_with("300 bytes") && text.ends_with("x\"…\n"),
            "{text}"
        );
    }
}

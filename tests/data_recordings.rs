//! Our encodings against recorded ones of real Broker endpoints and Zeek nodes: every value that they
//! sent, every message and every JSON text, and what they accepted and refused.

#![cfg(test)]

mod recorded;

use cluster::data::binary::{Reason, decode, encode};
use cluster::data::json::{self, JsonError};
use cluster::data::message::{Event, EventView, Message};
use cluster::data::{Value, View};
use recorded::{data_frame, folder, recording, recordings, rows, unescape, unhex};
use serde_json::Value as Json;

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode(value, &mut out);
    out
}

fn text_of(topic: &str, value: &Value) -> String {
    let mut out = Vec::new();
    json::encode_data_message(topic, value, &mut out);
    String::from_utf8(out).unwrap()
}

fn comment(row: &Json) -> &str {
    row["comment"].as_str().unwrap_or_default()
}

/// Remarks on what real Broker reads but writes in another form.
fn is_unusual(comment: &str) -> bool {
    let remarks = [
        "in the order of section",
        "boolean byte",
        "non-minimal",
        "not masked",
        // A subnormal number: we write zero, Broker garbage.
        "real 2.2250738585072004e-308",
    ];
    remarks.iter().any(|remark| comment.contains(remark))
}

/// Every recorded frame with data decodes, and encodes to the same bytes again; if it was unusual, to
/// bytes of the same meaning. Frames that Broker dropped are refused.
#[test]
fn every_recorded_value_is_read_and_written_as_broker_does() {
    let Some(folder) = folder() else { return };
    let (mut same, mut unusual, mut duplicates, mut malformed) = (0, 0, 0, 0);
    for folder in [folder.clone(), folder.join("zeek")] {
        for (name, recording) in recordings(&folder) {
            for row in rows(&recording, "events") {
                let Some((_, payload)) = data_frame(row) else {
                    continue;
                };
                let comment = comment(row);
                match decode(&payload) {
                    Ok(value) if is_unusual(comment) => {
                        assert_eq!(decode(&encoded(&value)), Ok(value), "{name}: {comment}");
                        unusual += 1;
                    }
                    Ok(value) => {
                        assert!(comment.starts_with("data "), "{name}: {comment}");
                        assert_eq!(encoded(&value), payload, "{name}: {comment}");
                        same += 1;
                    }
                    Err(error) if error.reason == Reason::Duplicate => {
                        assert!(is_unusual(comment), "{name}: {comment}: {error}");
                        duplicates += 1;
                    }
                    Err(error) => {
                        let expected = comment.starts_with("malformed: ");
                        assert!(expected, "{name}: {comment}: {error}");
                        malformed += 1;
                    }
                }
            }
        }
    }
    assert!(same > 300, "only {same} values compared");
    assert!(unusual >= 6, "only {unusual} unusual values");
    assert_eq!(duplicates, 3, "two sets and a table with duplicates");
    assert!(malformed >= 9, "only {malformed} malformed values");
}

/// Every message to a topic of Zeek's is one for us, and an event is written as it came.
#[test]
fn every_recorded_message_is_read_and_events_are_written_alike() {
    let Some(folder) = folder() else { return };
    let mut payloads = Vec::new();
    let mut files = recordings(&folder.join("zeek"));
    files.push((
        "15".to_owned(),
        recording(&folder.join("15-zeek-messages.json")),
    ));
    for (_, recording) in &files {
        let frames = rows(recording, "events").iter().filter_map(data_frame);
        payloads.extend(frames.filter(|(topic, _)| topic.starts_with("zeek")));
    }
    for (name, recording) in &files {
        for row in rows(recording, "messages") {
            if row["format"] == "broker-bin-v1" {
                payloads.push((name.clone(), unhex(row["frames"][3].as_str().unwrap())));
            }
        }
    }
    let (mut events, mut others) = (0, 0);
    for (topic, payload) in &payloads {
        match Message::parse(payload) {
            Ok(Message::Event(view)) => {
                let event = view.decode().unwrap();
                let mut again = Vec::new();
                event.encode(&mut again);
                assert_eq!(again, *payload, "{topic}: {}", event.name);
                let value = View::parse(payload).unwrap().decode().unwrap();
                assert_eq!(Event::try_from(value), Ok(event));
                events += 1;
            }
            Ok(_) => others += 1,
            Err(error) => panic!("{topic}: {error}: {payload:02x?}"),
        }
    }
    assert!(events > 50, "only {events} events");
    assert!(others > 20, "only {others} other messages");
}

/// A value that a native peer sent, and the text that Broker made of it for a WebSocket client.
#[test]
fn every_value_has_the_text_that_broker_gives_it() {
    let Some(folder) = folder() else { return };
    let recording = recording(&folder.join("62-ws-data-from-native.json"));
    let rows = rows(&recording, "events");
    let frames = rows.iter().filter_map(data_frame);
    let texts = rows.iter().filter(|row| row["from"] == "server");
    let texts = texts.filter_map(|row| row["text"].as_str());
    let texts = texts.filter(|text| text.contains("data-message"));
    let pairs: Vec<_> = frames.zip(texts).collect();
    assert_eq!(pairs.len(), 84);
    let mut repaired = 0;
    for ((topic, payload), text) in pairs {
        let value = decode(&payload).unwrap();
        let ours = text_of(&topic, &value);
        if ours == text {
            continue;
        }
        // Broker's text is no JSON, or no UTF-8.
        let theirs = unescape(text);
        assert!(
            json::decode_data_message(&theirs).is_err(),
            "{text}: {ours}"
        );
        let is_number = matches!(value, Value::Real(_));
        assert_eq!(
            json::decode_data_message(ours.as_bytes()).is_err(),
            is_number
        );
        repaired += 1;
    }
    // Three numbers, raw bytes, control characters alone and in three log messages.
    assert!((5..=10).contains(&repaired), "{repaired} texts differ");
}

/// A text that a WebSocket client sent, and the value that a native peer got.
#[test]
fn every_text_has_the_value_that_broker_takes_from_it() {
    let Some(folder) = folder() else { return };
    let recording = recording(&folder.join("61-ws-data-types.json"));
    let rows = rows(&recording, "events");
    let texts = rows.iter().filter(|row| row["from"] == "client");
    let texts = texts.filter_map(|row| row["text"].as_str());
    let texts = texts.filter(|text| text.contains("data-message"));
    let pairs: Vec<_> = texts.zip(rows.iter().filter_map(data_frame)).collect();
    assert_eq!(pairs.len(), 45);
    for (text, (topic, payload)) in pairs {
        let (our_topic, ours) = json::decode_data_message(text.as_bytes()).unwrap();
        let theirs = decode(&payload).unwrap();
        assert_eq!(our_topic, topic);
        if let (Value::Real(ours), Value::Real(theirs)) = (&ours, &theirs) {
            // Broker's reading is off by one in the last place.
            assert!(ours.to_bits().abs_diff(theirs.to_bits()) <= 1, "{text}");
        } else {
            assert_eq!(ours, theirs, "{text}");
        }
    }
}

/// What Broker's own WebSocket server said to each text after the subscription.
#[test]
fn texts_that_broker_refused_are_refused_and_the_others_are_not() {
    let Some(folder) = folder() else { return };
    let recording = recording(&folder.join("63-ws-errors.json"));
    let rows = rows(&recording, "events");
    let said: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row["conn"].as_u64()?, &row["from"], row["text"].as_str()?)))
        .collect();
    let (mut refused, mut taken) = (0, 0);
    for pair in said.windows(2) {
        let ((conn, from, text), (to, _, answer)) = (pair[0], pair[1]);
        if from != "client" || conn == 1 || answer.contains("\"ack\"") {
            continue;
        }
        let ours = json::decode_data_message(text.as_bytes());
        if answer.contains("\"error\"") {
            assert_eq!(to, conn);
            assert!(ours.is_err(), "{text}: {ours:?}");
            assert!(!matches!(ours, Err(JsonError::NoTopic)), "{text}");
            refused += 1;
        } else if answer.starts_with("{\"type\":\"data-message\"") && to == 1 {
            let (topic, value) = ours.unwrap_or_else(|error| panic!("{text}: {error:?}"));
            // Broker reads `\/` as a question mark.
            let expected = answer.replace("a?b", "a/b");
            assert_eq!(text_of(&topic, &value), expected);
            taken += 1;
        }
    }
    assert!(refused >= 25, "only {refused} texts were refused");
    assert!(taken >= 6, "only {taken} texts were taken");
}

/// What Zeek's own WebSocket server said to each text: it could not decode it, it missed the topic, or
/// it went on to look for an event in it.
#[test]
fn texts_that_zeek_refused_are_refused_and_its_own_are_written_alike() {
    let Some(folder) = folder() else { return };
    let (mut undecodable, mut without_topic, mut alike) = (0, 0, 0);
    for name in ["websocket-broker.json", "websocket-zeromq.json"] {
        let recording = recording(&folder.join("zeek").join(name));
        for session in rows(&recording, "sessions") {
            let texts: Vec<_> = rows(session, "frames")
                .iter()
                .filter_map(|row| Some((&row["from"], row["text"].as_str()?)))
                .collect();
            for (from, text) in &texts {
                if *from != "server" || !text.contains("data-message") {
                    continue;
                }
                match json::decode_data_message(text.as_bytes()) {
                    Ok((topic, value)) => {
                        assert_eq!(text_of(&topic, &value), *text);
                        alike += 1;
                    }
                    // Zeek copies control characters as they are.
                    Err(error) => assert!(text.contains('\0'), "{text}: {error:?}"),
                }
            }
            for pair in texts.windows(2) {
                let ((from, text), (to, answer)) = (pair[0], pair[1]);
                if from != "client" || to != "server" {
                    continue;
                }
                let ours = json::decode_data_message(text.as_bytes());
                if answer.contains("failed to decode JSON object") {
                    assert!(ours.is_err(), "{text}: {ours:?}");
                    undecodable += 1;
                } else if answer.contains("no topic in top-level") {
                    assert!(matches!(ours, Err(JsonError::NoTopic)), "{text}: {ours:?}");
                    without_topic += 1;
                } else if answer.contains("failed to create Zeek event") {
                    assert!(ours.is_ok(), "{text}: {ours:?}");
                }
            }
        }
    }
    assert!(undecodable >= 20, "only {undecodable} could not be decoded");
    assert!(without_topic >= 4, "only {without_topic} had no topic");
    assert!(alike >= 10, "only {alike} texts of Zeek's");
}

/// Events between Zeek nodes that were told to speak JSON.
#[test]
fn every_event_of_zeeks_in_json_is_read_and_written_alike() {
    let Some(folder) = folder() else { return };
    let recording = recording(&folder.join("zeek/zeromq-two-nodes-json.json"));
    let mut events = 0;
    for row in rows(&recording, "messages") {
        if row["format"] != "broker-json-v1" {
            continue;
        }
        let text = unhex(row["frames"][3].as_str().unwrap());
        if text.contains(&0) {
            // Zeek writes a zero byte as it is, and its own receiver drops the event.
            assert!(json::decode(&text).is_err());
            continue;
        }
        let value = json::decode(&text).unwrap();
        let event = Event::try_from(value.clone()).unwrap();
        let binary = encoded(&value);
        assert_eq!(EventView::parse(&binary).unwrap().name(), event.name);
        let mut again = Vec::new();
        json::encode(&value, &mut again);
        assert_eq!(
            String::from_utf8_lossy(&again),
            String::from_utf8_lossy(&text)
        );
        events += 1;
    }
    assert!(events >= 5, "only {events} events in JSON");
}

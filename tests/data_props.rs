//! What holds for any value, any bytes and any text.

#![cfg(test)]

mod data_samples;

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};

use cluster::data::binary::{DecodeError, Reason, decode, encode};
use cluster::data::json::JsonError;
use cluster::data::message::{Event, EventView, Message, Metadata};
use cluster::data::typed::{from_value, to_value};
use cluster::data::{Duplicate, Parts, Set, Table, Value, View, json};
use data_samples::{any_bytes, any_value, json_value};
use proptest::collection::vec;
use proptest::prelude::*;

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode(value, &mut out);
    out
}

fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Builds the value out of what a view shows, on another way than the decoder.
fn rebuilt(view: View<'_>) -> Result<Value, Duplicate> {
    let all = |items: cluster::data::Items<'_>| items.map(rebuilt).collect::<Result<Vec<_>, _>>();
    Ok(match view.parts() {
        Parts::None => Value::None,
        Parts::Boolean(content) => content.into(),
        Parts::Count(content) => content.into(),
        Parts::Integer(content) => content.into(),
        Parts::Real(content) => content.into(),
        Parts::String(content) => content.into(),
        Parts::Address(content) => content.into(),
        Parts::Subnet(content) => content.into(),
        Parts::Port(content) => content.into(),
        Parts::Timestamp(content) => content.into(),
        Parts::Timespan(content) => content.into(),
        Parts::EnumValue(content) => Value::enum_value(content),
        Parts::Set(items) => Set::try_from(all(items)?)?.into(),
        Parts::Vector(items) => Value::Vector(all(items)?),
        Parts::Table(entries) => {
            let entries = entries.map(|(key, value)| Ok((rebuilt(key)?, rebuilt(value)?)));
            Table::try_from(entries.collect::<Result<Vec<_>, _>>()?)?.into()
        }
    })
}

proptest! {
    #[test]
    fn a_value_survives_its_bytes(value in any_value()) {
        let bytes = encoded(&value);
        let again = decode(&bytes);
        prop_assert_eq!(again.as_ref(), Ok(&value));
        prop_assert_eq!(encoded(&again.unwrap()), bytes);
    }

    #[test]
    fn a_value_survives_serde(value in any_value()) {
        let passed = to_value(&value);
        prop_assert_eq!(passed.as_ref(), Ok(&value));
        prop_assert_eq!(from_value::<Value>(&value), Ok(value));
    }

    #[test]
    fn the_order_is_total_and_agrees_with_equality(
        a in any_value(),
        b in any_value(),
        c in any_value(),
    ) {
        prop_assert_eq!(a.cmp(&a), Ordering::Equal);
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a == b, a.cmp(&b) == Ordering::Equal);
        let mut sorted = [a, b, c];
        sorted.sort();
        prop_assert!(sorted[0] <= sorted[2]);
        if sorted[0] == sorted[2] {
            prop_assert_eq!(hash(&sorted[0]), hash(&sorted[2]));
        }
    }

    #[test]
    fn values_that_differ_here_differ_in_their_bytes(a in any_value(), b in any_value()) {
        if encoded(&a) == encoded(&b) {
            prop_assert_eq!(a, b);
        }
    }

    #[test]
    fn a_set_is_the_same_in_any_order(members in vec(any_value(), 0..12)) {
        let set: Set = members.into_iter().collect();
        let mut backwards = vec![12, u8::try_from(set.len()).unwrap()];
        for member in set.iter().rev() {
            encode(member, &mut backwards);
        }
        prop_assert_eq!(decode(&backwards), Ok(set.into()));
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error_within_them(bytes in any_bytes()) {
        match decode(&bytes) {
            Ok(value) => prop_assert_eq!(decode(&encoded(&value)), Ok(value)),
            Err(error) => prop_assert!(error.offset <= bytes.len()),
        }
    }

    #[test]
    fn a_view_shows_what_decoding_gives(bytes in any_bytes()) {
        match (View::parse(&bytes), decode(&bytes)) {
            (Ok(view), Ok(value)) => {
                prop_assert_eq!(view.kind(), value.kind());
                prop_assert_eq!(rebuilt(view), Ok(value));
            }
            (Ok(view), Err(DecodeError { reason, .. })) => {
                prop_assert_eq!(reason, Reason::Duplicate);
                prop_assert_eq!(rebuilt(view), Err(Duplicate));
            }
            (view, value) => prop_assert_eq!(view.err(), value.err()),
        }
    }

    #[test]
    fn a_message_in_any_bytes_is_read_without_a_panic(bytes in any_bytes()) {
        let mut message = vec![14, 3, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0];
        for number in 1..=5 {
            message.truncate(11);
            message.push(number);
            message.extend_from_slice(&bytes);
            let is_event = matches!(Message::parse(&message), Ok(Message::Event(_)));
            prop_assert_eq!(EventView::parse(&message).is_ok(), is_event);
            prop_assert!(!is_event || number == 1);
        }
    }

    #[test]
    fn an_event_survives_its_bytes_and_its_value(
        name in ".{0,20}",
        args in vec(any_value(), 0..4),
        entries in proptest::option::of(vec((2..300_u64, any_value()), 0..3)),
    ) {
        let metadata = entries.map(|entries| {
            let mut metadata = Metadata::new();
            for (key, value) in entries {
                metadata.push(key, value).unwrap();
            }
            metadata
        });
        let event = Event { name, args, metadata };
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        let view = EventView::parse(&bytes).unwrap();
        let decoded = view.decode();
        prop_assert_eq!(decoded.as_ref(), Ok(&event));
        let value = Value::from(event.clone());
        prop_assert_eq!(encoded(&value), bytes);
        prop_assert_eq!(Event::try_from(value), Ok(event));
    }

    #[test]
    fn a_value_survives_json_if_json_has_room_for_it(value in json_value()) {
        let mut text = Vec::new();
        json::encode(&value, &mut text);
        prop_assert_eq!(json::decode(&text).unwrap(), value);
    }

    #[test]
    fn every_value_is_written_as_json(value in any_value()) {
        let mut text = Vec::new();
        json::encode_data_message("/t", &value, &mut text);
        let parsed: serde_json::Value = serde_json::from_slice(&text).unwrap();
        prop_assert_eq!(&parsed["@data-type"], value.kind().name());
    }

    #[test]
    fn any_text_is_a_value_or_an_error(pieces in vec(prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"@data-type\":", "\"data\":", "\"vector\"", "\"table\"",
        "\"set\"", "\"count\"", "\"real\"", "\"key\":", "\"value\":", "\"timespan\"", "\"subnet\"",
        "\"timestamp\"", "\"port\"", "1", "-1.5e3", "null", "\"1ns\"", "\"::/200\"", "\"-/tcp\"",
        "\"2022-04-10T16:07:00.5+02:00\"", "{\"@data-type\":\"count\",\"data\":1}", "\"other\":",
        "\"\\ud800\"", "1e999",
    ]), 0..30)) {
        let text = pieces.concat();
        let malformed = matches!(json::decode(text.as_bytes()), Err(JsonError::Malformed(_)));
        prop_assert_eq!(malformed, serde_json::from_str::<serde_json::Value>(&text).is_err());
        if let Ok(value) = json::decode(text.as_bytes()) {
            prop_assert_eq!(decode(&encoded(&value)), Ok(value));
        }
    }

    #[test]
    fn any_time_as_text_is_read_without_a_panic(text in "[-+0-9.eTZ:nsumih]{0,30}") {
        for kind in ["timestamp", "timespan"] {
            let object = format!("{{\"@data-type\":\"{kind}\",\"data\":\"{text}\"}}");
            if let Ok(value) = json::decode(object.as_bytes()) {
                prop_assert_eq!(value.kind().name(), kind);
            }
        }
    }
}

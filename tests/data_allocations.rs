//! What encoding and decoding take from the heap: nothing, where it is promised, and never more than
//! a bound that the sender pays for in bytes. The counter counts for the thread that asks.

#![cfg(test)]

mod data_samples;

use allocation_counter::measure;
use cluster::data::binary::{decode, encode};
use cluster::data::message::{EventView, Message, Metadata, encode_batch_head, encode_event};
use cluster::data::{Parts, Port, Timestamp, Value, View, json};
use data_samples::any_bytes;
use proptest::prelude::*;

/// The most that decoding may hold for so many bytes of input.
fn bound(bytes: usize) -> u64 {
    u64::try_from(4096 + 64 * bytes).unwrap()
}

fn assert_bounded(bytes: &[u8]) {
    let taken = measure(|| drop(decode(bytes))).bytes_max;
    let len = bytes.len();
    assert!(taken <= bound(len), "{taken} bytes for {len} of input");
}

/// What makes a decoder take most: the smallest members, and lengths that promise more than there is.
#[test]
fn the_worst_input_takes_no_more_than_its_length_allows() {
    const MEMBERS: [u8; 3] = [0x80, 0x80, 0x04]; // 65536
    let row = |tag, member: &[u8]| {
        let mut bytes = vec![tag];
        bytes.extend_from_slice(&MEMBERS);
        bytes.extend_from_slice(&member.repeat(65536));
        bytes
    };
    let small_members: [&[u8]; 6] = [
        &[0],
        &[5, 0],
        &[0x0e, 0],
        &[0x0e, 1, 0],
        &[0x0c, 1, 0],
        &[0x0d, 1, 0, 0],
    ];
    for member in small_members {
        let bytes = row(0x0e, member);
        assert!(decode(&bytes).is_ok());
        assert_bounded(&bytes);
    }
    // Two keys in turn: refused, but only when all of them are there.
    let duplicates = row(0x0d, &[0, 0]);
    assert!(decode(&duplicates).is_err());
    assert_bounded(&duplicates);
    let promises = [0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f].repeat(60);
    assert_bounded(&promises);
    // Unsorted members have to be sorted.
    let mut unsorted = vec![0x0c, 0x80, 0x80, 0x04];
    for number in (0..65536_u64).rev() {
        encode(&Value::from(number), &mut unsorted);
    }
    assert!(decode(&unsorted).is_ok());
    assert_bounded(&unsorted);
}

/// What makes a reader of JSON take most: the smallest members, rows of them that had to grow, and what
/// is read and then not kept.
#[test]
fn the_worst_text_takes_no_more_than_its_length_allows() {
    let nested = "[".repeat(60) + &"]".repeat(60);
    let fives = format!("[{}]", ["0"; 5].join(","));
    for item in [
        "0",
        "\"\"",
        "\"\\n\"",
        "{}",
        "[]",
        "[0]",
        "[[[0]]]",
        &fives,
        &nested,
        "{\"\":0}",
        "{\"\":[0]}",
        "{\"key\":0}",
        "{\"key\":{\"key\":0}}",
        "{\"data\":0,\"data\":0,\"data\":0}",
        "{\"@data-type\":\"none\"}",
        "{\"@data-type\":\"vector\",\"data\":[]}",
        "{\"@data-type\":\"vector\",\"data\":[{\"@data-type\":\"none\"}]}",
    ] {
        let row = format!("[{}]", vec![item; 4097].join(","));
        for text in [
            format!("{{\"@data-type\":\"vector\",\"data\":{row}}}"),
            format!("{{\"data\":{row},\"other\":{row}}}"),
            row,
        ] {
            assert_text_bounded(&text, item);
        }
    }
    let deep = "[0,0,0,0,0,".repeat(120) + &"]".repeat(120);
    assert_text_bounded(&deep, "as deep as it goes");
}

fn assert_text_bounded(text: &str, what: &str) {
    let text = text.as_bytes();
    let len = text.len();
    for (reader, taken) in [
        ("decode", measure(|| drop(json::decode(text)))),
        (
            "decode_data_message",
            measure(|| drop(json::decode_data_message(text))),
        ),
        ("decode_plain", measure(|| drop(json::decode_plain(text)))),
        (
            "decode_plain_row",
            measure(|| drop(json::decode_plain_row(text))),
        ),
    ] {
        let taken = taken.bytes_max;
        assert!(
            taken <= bound(len),
            "{reader}, {what}: {taken} bytes for {len}"
        );
    }
}

proptest! {
    #[test]
    fn any_input_takes_no_more_than_its_length_allows(bytes in any_bytes()) {
        let taken = measure(|| drop(decode(&bytes))).bytes_max;
        prop_assert!(taken <= bound(bytes.len()));
    }

    #[test]
    fn looking_takes_nothing_whatever_there_is(bytes in any_bytes()) {
        let taken = measure(|| {
            if let Ok(view) = View::parse(&bytes) {
                look(view);
            }
            let _ = Message::parse(&bytes);
        });
        prop_assert_eq!(taken.count_total, 0);
    }
}

/// Looks at all there is.
fn look(view: View<'_>) {
    let parts = view.parts();
    if let Parts::Set(items) | Parts::Vector(items) = parts {
        items.for_each(look);
    } else if let Parts::Table(entries) = parts {
        entries.for_each(|(key, value)| {
            look(key);
            look(value);
        });
    }
}

#[test]
fn an_event_is_written_and_read_without_the_heap() {
    let args = [
        Value::from(42_i64),
        Value::from("test"),
        Value::from(Port::tcp(80)),
        Value::Vector(vec![Value::from(1_u64), Value::None]),
    ];
    let metadata = Metadata::of_network_timestamp(Timestamp::from_nanos(5));
    let mut buffer = Vec::with_capacity(4096);
    let taken = measure(|| {
        encode_batch_head(2, &mut buffer);
        encode_event("Test::event", &args, Some(&metadata), &mut buffer);
        encode_event("Test::event", &args, None, &mut buffer);
    });
    assert_eq!(taken.count_total, 0, "writing");
    let taken = measure(|| {
        let Ok(Message::Batch(batch)) = Message::parse(&buffer) else {
            panic!("no batch");
        };
        for message in batch.messages() {
            let Message::Event(event) = message else {
                panic!("no event");
            };
            assert_eq!(event.name(), "Test::event");
            assert_eq!(event.arg(1).unwrap().as_str(), Some("test"));
            let field = event.arg(3).and_then(|record| record.field(0));
            assert_eq!(field.and_then(View::as_count), Some(1));
            let time = event.metadata().and_then(|all| all.network_timestamp());
            assert!(time.is_none_or(|time| time.nanos() == 5));
        }
        assert!(EventView::parse(&buffer).is_err());
    });
    assert_eq!(taken.count_total, 0, "reading");
}

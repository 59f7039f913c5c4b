//! Any text that a person may type is a value or an error; and a row is what a vector of it holds.

#![no_main]

use cluster::data::json::{JsonError, decode_plain, decode_plain_row};
use cluster::data::{Value, binary};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let value = decode_plain(text);
    match (&value, decode_plain_row(text)) {
        (Ok(Value::Vector(members)), Ok(row)) => assert_eq!(*members, row),
        // An object of Broker's own may be a vector, too.
        (_, Err(JsonError::NotAnArray)) => assert_ne!(first(text), Some(b'[')),
        // A row may hold as many containers in one another as its vector.
        (Err(JsonError::NoValue { .. }), Ok(row)) => assert!(!row.is_empty()),
        (Ok(value), row) => panic!("{value}, but of a row {row:?}"),
        (Err(_), row) => assert!(row.is_err()),
    }
    if let Ok(value) = value {
        let mut bytes = Vec::new();
        binary::encode(&value, &mut bytes);
        assert_eq!(binary::decode(&bytes), Ok(value));
    }
});

/// What a text begins with.
fn first(text: &[u8]) -> Option<u8> {
    text.trim_ascii_start().first().copied()
}

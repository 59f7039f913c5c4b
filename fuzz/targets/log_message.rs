//! Any payload is a message to a logger or none; and a writer that is described is described again.

#![no_main]

use cluster::logging::message::{Message, WriterId, is_for_logger};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    if Message::decode(payload).is_ok() {
        assert!(is_for_logger(payload));
    }
    // An id that fits is not found by chance.
    let id = WriterId::of(payload).0.to_le_bytes();
    let described = [&[0x81], id.as_slice(), payload].concat();
    if let Ok(Message::Create(_, create)) = Message::decode(&described) {
        // Numbers can be written longer than they need be: the bytes, and so the id, may be others.
        let (id, message) = create.encode().expect("it was taken");
        assert_eq!(Message::decode(&message), Ok(Message::Create(id, create)));
    }
});

//! Any bytes are a message or none; and an event that can be taken whole survives its own bytes.

#![no_main]

use cluster::data::message::{EventView, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let message = Message::parse(bytes);
    let event = EventView::parse(bytes);
    assert_eq!(event.is_ok(), matches!(message, Ok(Message::Event(_))));
    if let Ok(Message::Batch(batch)) = message {
        assert_eq!(batch.messages().count(), batch.len());
    }
    let Ok(Ok(event)) = event.map(|view| view.decode()) else {
        return;
    };
    let mut again = Vec::new();
    event.encode(&mut again);
    let view = EventView::parse(&again).expect("an event was written");
    assert_eq!(view.decode(), Ok(event));
});

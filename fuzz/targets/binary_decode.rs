//! Any bytes are a value, which survives its own bytes, or an error; and a view agrees.

#![no_main]

use cluster::data::View;
use cluster::data::binary::{Reason, decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let view = View::parse(bytes);
    match decode(bytes) {
        Ok(value) => {
            assert_eq!(view.map(View::kind), Ok(value.kind()));
            let mut again = Vec::new();
            encode(&value, &mut again);
            assert_eq!(decode(&again), Ok(value));
        }
        Err(error) if error.reason == Reason::Duplicate => assert!(view.is_ok()),
        Err(error) => {
            assert!(error.offset <= bytes.len());
            assert_eq!(view.err(), Some(error));
        }
    }
});

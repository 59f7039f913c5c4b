//! Any text is a value or an error; and a value is written as text that is JSON again. (Not always the
//! same value: the text has six decimals.)

#![no_main]

use cluster::data::json::{JsonError, decode, decode_data_message, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let message = decode_data_message(text);
    let Ok(value) = decode(text) else {
        assert!(message.is_err());
        return;
    };
    assert!(matches!(message, Ok(_) | Err(JsonError::NoTopic)));
    let mut again = Vec::new();
    encode(&value, &mut again);
    match decode(&again) {
        Ok(value) => {
            let mut third = Vec::new();
            encode(&value, &mut third);
            assert_eq!(third, again, "what was read once loses nothing more");
        }
        // Two reals of a set, or two points in time, may come to the same text.
        Err(error) => assert!(matches!(error, JsonError::NoValue { .. }), "{error:?}"),
    }
});

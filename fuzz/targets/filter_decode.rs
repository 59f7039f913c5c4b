//! Any bytes on the board are a filter or none; and a filter has one form only, the one it is written in.

#![no_main]

use cluster::topic::Filter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(filter) = Filter::decode(bytes) else {
        return;
    };
    let mut again = Vec::new();
    filter.encode_into(&mut again);
    assert_eq!(again, bytes);
    // What it matches is what one of its prefixes begins.
    let linear = filter.iter().any(|prefix| bytes.starts_with(prefix));
    assert_eq!(filter.matches(bytes), linear);
});

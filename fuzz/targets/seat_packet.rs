//! What a guest at `attach.sock` sends, and what a stem answers: any bytes are a packet or none, and a
//! packet that is one survives its own bytes.

#![no_main]

use std::fmt::Debug;

use cluster::fabric::{Answer, Ask};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(packet) = postcard::from_bytes::<T>(bytes) else {
        return;
    };
    let again = postcard::to_stdvec(&packet).expect("a packet was written");
    assert_eq!(postcard::from_bytes(&again), Ok(packet));
}

fuzz_target!(|bytes: &[u8]| {
    survives::<Ask>(bytes);
    survives::<Answer>(bytes);
});

//! Any words on the board are an entry or none; and one that is survives its own words.

#![no_main]

use cluster::shm::board::{Entry, EntryWords};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut words: EntryWords = Entry::encode(None);
    assert_eq!(Entry::decode(&words), None);
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(size_of::<u64>())) {
        *word = u64::from_le_bytes(bytes.try_into().expect("a chunk is a word"));
    }
    let Some(entry) = Entry::decode(&words) else {
        return;
    };
    let again = Entry::encode(Some(&entry));
    assert_eq!(Entry::decode(&again), Some(entry));
    // Nothing but what means nothing is different: an id and a pid have one form.
    assert_eq!(again[1..5], words[1..5]);
});

//! Any bytes are a log batch or none; and a batch that is one survives its own bytes.

#![no_main]

use cluster::logging::batch::{Batch, BatchEncoder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let batch = match Batch::decode(bytes) {
        Ok(batch) => batch,
        Err(error) => return assert!(error.offset <= bytes.len()),
    };
    assert_eq!(batch.records().count(), batch.len());
    let written = |batch: &Batch| {
        let mut encoder = BatchEncoder::new(batch.destination(), batch.schema().clone());
        for record in batch.records() {
            encoder.push(record.values()).expect("it was a record");
        }
        encoder.bytes().to_vec()
    };
    let once = written(&batch);
    let again = Batch::decode(&once).expect("a batch was written");
    // Nanoseconds of large numbers of seconds are lost once; what is left stays.
    assert_eq!(written(&again).len(), once.len());
    let third = Batch::decode(&written(&again)).expect("a batch was written");
    assert_eq!(third, again);
});

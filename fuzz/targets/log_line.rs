//! Any bytes are a log file of lines, or lines that are refused; and a record that was read is written as
//! a line that is read again.

#![no_main]

use cluster::logging::tsv::{Line, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let values = match reader.line(line) {
            Ok(Line::Record(values)) => values.to_vec(),
            Ok(Line::Meta) | Err(_) => continue,
        };
        let schema = reader.schema().expect("a record has columns");
        let format = reader.format().expect("a record has a format");
        let written = |values: &[_]| {
            let mut out = Vec::new();
            format.record(schema.record(values).expect("it was a record"), &mut out);
            assert_eq!(out.pop(), Some(b'\n'));
            assert!(!out.contains(&b'\n'));
            out
        };
        let read = |line: &[u8]| {
            let mut values = Vec::new();
            let outcome = format.parse(schema, line, &mut values);
            outcome.expect("a record was written");
            values
        };
        // Members of a set that come to the same text are one from then on.
        let text = written(&read(&written(&values)));
        assert_eq!(written(&read(&text)), text, "what was read loses no more");
    }
});

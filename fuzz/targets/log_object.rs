//! Any bytes are a record of one column of each type, or none; and a record that was read is written as an
//! object that is read again.

#![no_main]

use std::sync::LazyLock;

use cluster::logging::json::{self, Format, Times};
use cluster::logging::{Atom, Column, Schema, Type};
use libfuzzer_sys::fuzz_target;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let types = Atom::ALL
        .into_iter()
        .flat_map(|atom| [Type::Atom(atom), Type::Set(atom), Type::Vector(atom)]);
    let columns = types.map(|type_| Column::new(type_.to_string(), type_, true));
    let columns = columns.collect::<Result<_, _>>().expect("types are names");
    Schema::new(columns).expect("no two types have one name")
});

fuzz_target!(|line: &[u8]| {
    let mut values = Vec::new();
    if json::parse(&SCHEMA, line, &mut values).is_err() {
        return;
    }
    for times in [Times::Epoch, Times::Millis, Times::Iso8601] {
        let format = Format {
            times,
            unset_fields: false,
        };
        let written = |values: &[_]| {
            let mut out = Vec::new();
            format.record(SCHEMA.record(values).expect("it was a record"), &mut out);
            out
        };
        let read = |object: &[u8]| {
            let mut values = Vec::new();
            json::parse(&SCHEMA, object, &mut values).expect("a record was written");
            values
        };
        // Members of a set that come to the same text are one from then on.
        let text = written(&read(&written(&values)));
        assert_eq!(written(&read(&text)), text, "what was read loses no more");
    }
});

//! What holds for any records of any columns, and for any bytes.

#![cfg(test)]

mod logging_samples;

use cluster::data::Timestamp;
use cluster::data::Value;
use cluster::logging::batch::{Batch, BatchEncoder, Destination, decode_serial, encode_serial};
use cluster::logging::json::{self, Times};
use cluster::logging::tsv::{Format, Line, Reader, Settings};
use cluster::logging::{LogPath, Schema, StreamId};
use logging_samples::{Keeps, any_log};
use proptest::collection::vec;
use proptest::prelude::*;

/// Lines have six decimals.
const TSV: Keeps = Keeps {
    real: 1.0 / 1024.0 / 1024.0 * 16384.0,
    protocol: false,
    special: true,
};

const JSON: Keeps = Keeps {
    real: 0.0,
    protocol: false,
    special: false,
};

const BATCH: Keeps = Keeps {
    real: 0.0,
    protocol: true,
    special: true,
};

fn destination() -> Destination {
    Destination {
        stream: StreamId::parse("Test::LOG").unwrap(),
        writer: "Log::WRITER_ASCII".to_owned(),
        filter: "default".to_owned(),
        path: LogPath::parse("test").unwrap(),
    }
}

fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.strip_suffix(b"\n")
        .unwrap_or(file)
        .split(|byte| *byte == b'\n')
}

fn file(format: &Format, schema: &Schema, records: &[Vec<Value>]) -> Vec<u8> {
    let mut file = Vec::new();
    let time = Timestamp::from_nanos(0);
    format.header(schema, &destination().path, time, &mut file);
    for values in records {
        format.record(schema.record(values).unwrap(), &mut file);
    }
    format.close(time, &mut file);
    file
}

proptest! {
    /// The reader learns the separators from the header.
    #[test]
    fn records_survive_a_file_of_lines_with_any_separators(
        (schema, records) in any_log(TSV),
        separator in prop::sample::select(b"\t |;\x01".to_vec()),
        unset_field in prop::sample::select(vec!["-", "(unset)", "*"]),
    ) {
        let settings = Settings { separator, unset_field: unset_field.to_owned(), ..Settings::default() };
        let format = Format::new(settings).unwrap();
        let file = file(&format, &schema, &records);
        let mut reader = Reader::new();
        let mut read = Vec::new();
        for line in lines(&file) {
            if let Line::Record(values) = reader.line(line).unwrap() {
                read.push(values.to_vec());
            }
        }
        prop_assert_eq!(read, records);
        prop_assert!(reader.is_closed());
        prop_assert_eq!(reader.path(), b"test");
        let names: Vec<_> = reader.schema().unwrap().columns().iter().map(|c| (c.name(), c.type_())).collect();
        let expected: Vec<_> = schema.columns().iter().map(|c| (c.name(), c.type_())).collect();
        prop_assert_eq!(names, expected);
    }

    #[test]
    fn records_survive_objects(
        (schema, records) in any_log(JSON),
        times in prop::sample::select(vec![Times::Epoch, Times::Iso8601]),
        unset_fields: bool,
    ) {
        let format = json::Format { times, unset_fields };
        let (mut line, mut read) = (Vec::new(), Vec::new());
        for values in &records {
            line.clear();
            format.record(schema.record(values).unwrap(), &mut line);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&line).is_ok());
            json::parse(&schema, &line, &mut read).unwrap();
            prop_assert_eq!(&read, values);
        }
    }

    #[test]
    fn records_survive_a_batch((schema, records) in any_log(BATCH)) {
        let mut encoder = BatchEncoder::new(&destination(), schema.clone());
        let (mut serial, mut read) = (Vec::new(), Vec::new());
        for values in &records {
            encoder.push(values).unwrap();
            serial.clear();
            encode_serial(schema.record(values).unwrap(), &mut serial);
            decode_serial(&schema, &serial, &mut read).unwrap();
            prop_assert_eq!(&read, values);
        }
        let batch = Batch::decode(encoder.bytes()).unwrap();
        prop_assert_eq!(batch.destination(), &destination());
        prop_assert_eq!(batch.schema(), &schema);
        let read: Vec<_> = batch.records().map(|record| record.values().to_vec()).collect();
        prop_assert_eq!(read, records);
    }

    /// What was read and written is read as the same, once digits are lost that a line has no room for.
    #[test]
    fn any_line_is_a_record_or_an_error(
        (schema, _) in any_log(TSV),
        line in vec(prop::sample::select(b"\t,-1.e9T\\x4a(empty)#\xff/:".to_vec()), 0..40),
    ) {
        let format = Format::default();
        let (mut values, mut again) = (Vec::new(), Vec::new());
        if format.parse(&schema, &line, &mut values).is_ok() {
            let written = |values: &[Value]| {
                let mut out = Vec::new();
                format.record(schema.record(values).unwrap(), &mut out);
                out.pop();
                out
            };
            // Members of a set that come to the same text are one from then on.
            format.parse(&schema, &written(&values), &mut again).unwrap();
            let text = written(&again);
            format.parse(&schema, &text, &mut again).unwrap();
            prop_assert_eq!(written(&again), text);
        }
    }

    /// A batch in which a few bytes changed.
    #[test]
    fn any_bytes_are_a_batch_or_an_error(
        (schema, records) in any_log(BATCH),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut encoder = BatchEncoder::new(&destination(), schema);
        for values in &records {
            encoder.push(values).unwrap();
        }
        let mut bytes = encoder.bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        match Batch::decode(&bytes) {
            Ok(batch) => prop_assert_eq!(batch.records().count(), batch.len()),
            Err(error) => prop_assert!(error.offset <= bytes.len()),
        }
    }
}

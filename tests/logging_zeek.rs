//! Our formats against log files and batches of real Zeek nodes.

#![cfg(test)]

mod logging_samples;
mod recorded;

use std::path::Path;

use cluster::data::Value;
use cluster::data::message::{LogCreateView, LogWriteView, Message};
use cluster::logging::Schema;
use cluster::logging::batch::{
    Batch, BatchEncoder, decode_serial, encode_serial, from_fields, to_fields,
};
use cluster::logging::json::{self, Times};
use cluster::logging::tsv::{Line, Reader};
use logging_samples::{packed, unpacked, zeek_logs};
use recorded::{data_frame, folder, recording, rows, unhex};

fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split_inclusive(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\n").expect("a line ends"))
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

/// Every line of every file is read, and written again to the same bytes.
#[test]
fn zeeks_own_files_of_lines_are_written_again_byte_for_byte() {
    let Some(folder) = zeek_logs() else { return };
    let mut records = 0;
    for (name, path) in packed(&folder.join("tsv")) {
        let mut reader = Reader::new();
        let mut written = Vec::new();
        for line in lines(&unpacked(&path)) {
            let read = reader
                .line(line)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let Line::Record(values) = read else { continue };
            let values = values.to_vec();
            let (schema, format) = (reader.schema().unwrap(), reader.format().unwrap());
            written.clear();
            format.record(schema.record(&values).unwrap(), &mut written);
            assert_eq!(shown(&written), shown(line) + "\n", "{name}");
            records += 1;
        }
        assert!(reader.is_closed(), "{name}");
        assert_eq!(reader.path(), name.as_bytes());
    }
    println!("{records} records compared");
    assert!(records > 80_000, "{records}");
}

/// The header of each file, but for its time, is what we write for its columns.
#[test]
fn zeeks_own_headers_are_written_again_byte_for_byte() {
    let Some(folder) = zeek_logs() else { return };
    for (name, path) in packed(&folder.join("tsv")) {
        let file = unpacked(&path);
        let header: Vec<&[u8]> = lines(&file).take(8).collect();
        let mut reader = Reader::new();
        for line in &header {
            assert_eq!(reader.line(line).unwrap(), Line::Meta);
        }
        let path = cluster::logging::LogPath::parse(reader.path()).unwrap();
        let mut written = Vec::new();
        let time = cluster::data::Timestamp::from_nanos(0);
        let (schema, format) = (reader.schema().unwrap(), reader.format().unwrap());
        format.header(schema, &path, time, &mut written);
        for (ours, zeeks) in lines(&written).zip(header) {
            if !zeeks.starts_with(b"#open") {
                assert_eq!(shown(ours), shown(zeeks), "{name}");
            }
        }
    }
}

/// The same events, written as objects by the same Zeek: as lines they are the same lines. And each
/// survives our own objects.
#[test]
fn zeeks_own_objects_are_the_records_of_its_lines() {
    let Some(folder) = zeek_logs() else { return };
    let (mut compared, mut near) = (0, 0);
    for (name, path) in packed(&folder.join("tsv")) {
        let (lines_file, mut reader) = (unpacked(&path), Reader::new());
        let mut expected: Vec<&[u8]> = Vec::new();
        for line in lines(&lines_file) {
            match reader.line(line).unwrap() {
                Line::Meta => {}
                Line::Record(_) => expected.push(line),
            }
        }
        let (schema, format) = (reader.schema().unwrap(), reader.format().unwrap());
        let objects = unpacked(&folder.join("json").join(format!("{name}.json.gz")));
        let mut found = Vec::new();
        for object in lines(&objects) {
            let mut values = Vec::new();
            json::parse(schema, object, &mut values).unwrap_or_else(|error| {
                panic!("{name}: {error:?} in {}", shown(object));
            });
            survives(schema, &values);
            let mut line = Vec::new();
            format.record(schema.record(&values).unwrap(), &mut line);
            line.pop();
            found.push(line);
        }
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(expected) {
            if found != expected {
                assert_near(found, expected);
                near += 1;
            }
            compared += 1;
        }
    }
    println!("{compared} records compared");
    assert!(compared > 80_000, "{compared}");
    assert_eq!(near, 2);
}

/// Lines give times beyond 2^31 seconds all digits, dates have microseconds.
fn assert_near(found: &[u8], expected: &[u8]) {
    let (found, expected) = (shown(found), shown(expected));
    for (found, expected) in found.split('\t').zip(expected.split('\t')) {
        if found != expected {
            let seconds = |text: &str| text.parse::<f64>().unwrap();
            assert!(expected.contains("e+"), "{found} {expected}");
            assert!(
                (seconds(found) - seconds(expected)).abs() < 1e-6,
                "{found} {expected}"
            );
        }
    }
}

fn survives(schema: &Schema, values: &[Value]) {
    for times in [Times::Epoch, Times::Iso8601] {
        let format = json::Format {
            times,
            unset_fields: false,
        };
        let (mut object, mut again) = (Vec::new(), Vec::new());
        format.record(schema.record(values).unwrap(), &mut object);
        json::parse(schema, &object, &mut again).unwrap();
        assert_eq!(again, values, "{}", shown(&object));
    }
}

/// Has a record a set whose order Zeek chose by chance?
fn has_order(values: &[Value]) -> bool {
    values
        .iter()
        .all(|value| !matches!(value, Value::Set(set) if set.len() > 1))
}

/// Every recorded batch is read to its last byte, and written again to the same bytes; where Zeek chose
/// the order of a set, to as many.
#[test]
fn recorded_batches_are_read_to_the_last_byte_and_written_again() {
    let Some(folder) = folder() else { return };
    let recording = recording(&folder.join("zeek/zeromq-log-batches.json"));
    let (mut batches, mut records) = (0, 0);
    for row in rows(&recording, "messages") {
        let bytes = unhex(rows(row, "frames")[3].as_str().unwrap());
        let batch = Batch::decode(&bytes).unwrap();
        let decoded = &row["decoded"];
        assert_eq!(decoded["stream"], batch.destination().stream.as_str());
        assert_eq!(decoded["path"], batch.destination().path.as_str());
        for (column, field) in batch.schema().columns().iter().zip(rows(decoded, "fields")) {
            assert_eq!(field["name"], column.name());
            assert_eq!(field["optional"], column.is_optional());
        }
        assert_eq!(batch.len(), rows(decoded, "records").len());
        let mut encoder = BatchEncoder::new(batch.destination(), batch.schema().clone());
        for record in batch.records() {
            encoder.push(record.values()).unwrap();
        }
        if batch.records().all(|record| has_order(record.values())) {
            assert_eq!(encoder.bytes(), bytes);
        } else {
            assert_eq!(encoder.bytes().len(), bytes.len());
            assert_eq!(Batch::decode(encoder.bytes()), Ok(batch.clone()));
        }
        batches += 1;
        records += batch.len();
    }
    assert_eq!((batches, records), (6, 11));
}

/// The columns of a LogCreate message, which are announced again in the same way.
fn schema_of(create: LogCreateView<'_>) -> Schema {
    let fields = create.fields.decode().unwrap();
    let schema = from_fields(&fields).unwrap();
    assert_eq!(to_fields(&schema), fields);
    schema
}

fn record(write: LogWriteView<'_>, schema: &Schema) {
    let (mut values, mut again) = (Vec::new(), Vec::new());
    decode_serial(schema, write.serial, &mut values).unwrap();
    encode_serial(schema.record(&values).unwrap(), &mut again);
    assert_eq!(again.len(), write.serial.len());
    if has_order(&values) {
        assert_eq!(again, write.serial);
    }
}

/// Every record that went over Broker's native protocol has the columns that were announced for its
/// stream, and the same form as the records of batches.
#[test]
fn recorded_records_of_brokers_protocol_are_read_and_written_again() {
    let Some(folder) = folder() else { return };
    let mut records = 0;
    for name in [
        "broker-two-nodes",
        "broker-two-nodes-timestamps",
        "broker-cluster-manager-worker",
    ] {
        records += conversation(&folder.join("zeek").join(format!("{name}.json")));
    }
    assert!(records > 10, "{records}");
}

fn conversation(path: &Path) -> usize {
    let mut schemas: Vec<(Vec<u8>, Schema)> = Vec::new();
    let mut records = 0;
    for row in rows(&recording(path), "events") {
        let Some((_, payload)) = data_frame(row) else {
            continue;
        };
        match Message::parse(&payload) {
            Ok(Message::LogCreate(create)) => {
                schemas.push((create.stream.to_vec(), schema_of(create)));
            }
            Ok(Message::Batch(batch)) => {
                for message in batch.messages() {
                    let Message::LogWrite(write) = message else {
                        continue;
                    };
                    let announced = schemas.iter().rfind(|(stream, _)| stream == write.stream);
                    record(write, &announced.expect("it was announced").1);
                    records += 1;
                }
            }
            _ => {}
        }
    }
    records
}

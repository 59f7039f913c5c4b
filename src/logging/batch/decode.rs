//! Batches into records.

use crate::data::{Set, Value};
use crate::logging::{Column, LogPath, RECORD_BYTES_MAX, Record, Schema, StreamId, Type};

use super::reader::{Reader, VALUE_BYTES_MIN};
use super::{DecodeError, Destination, Reason};

/// The longest name of a writer or a filter, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Records of one log that travelled together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    destination: Destination,
    schema: Schema,
    /// The fields of all records, one after the other.
    values: Vec<Value>,
}

impl Batch {
    /// Reads a batch, all of it.
    ///
    /// # Errors
    /// [`DecodeError`] says what is wrong, and at which byte.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if bytes.len() > RECORD_BYTES_MAX {
            let bytes = bytes.len();
            return Err(reader.error(Reason::TooLong { bytes }));
        }
        let destination = destination(&mut reader)?;
        let schema = schema(&mut reader)?;
        let begin = reader;
        let records = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        let fields = records.saturating_mul(schema.columns().len());
        if fields > reader.rest().len() / VALUE_BYTES_MIN {
            return Err(begin.error(Reason::Truncated));
        }
        let mut values = Vec::with_capacity(fields);
        for _ in 0..records {
            record(&mut reader, &schema, &mut values)?;
        }
        finish(&reader)?;
        Ok(Self {
            destination,
            schema,
            values,
        })
    }

    /// Whose records they are, and where they go.
    #[must_use]
    pub const fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The columns of their log, as the sender has them.
    #[must_use]
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Its records in order.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        // Each of them was checked when it was read.
        let rows = self.values.chunks(self.schema.columns().len().max(1));
        rows.map(|row| self.schema.checked(row))
    }

    /// How many records it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.schema.columns().len().max(1)
    }

    /// Has it no records?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// Reads a record as Broker's LogWrite message has it. `values` has nothing but its fields afterwards,
/// whatever it had before; after an error, some of them.
///
/// # Errors
/// [`DecodeError`] says what is wrong, and at which byte.
pub fn decode_serial(
    schema: &Schema,
    serial: &[u8],
    values: &mut Vec<Value>,
) -> Result<(), DecodeError> {
    values.clear();
    let mut reader = Reader::new(serial);
    if serial.len() > RECORD_BYTES_MAX {
        let bytes = serial.len();
        return Err(reader.error(Reason::TooLong { bytes }));
    }
    let begin = reader;
    let got = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    let wanted = schema.columns().len();
    if got != wanted {
        return Err(begin.error(crate::logging::RecordError::Fields { got, wanted }));
    }
    values.reserve(wanted);
    record(&mut reader, schema, values)?;
    finish(&reader)
}

fn finish(reader: &Reader<'_>) -> Result<(), DecodeError> {
    match reader.rest().len() {
        0 => Ok(()),
        bytes => Err(reader.error(Reason::Surplus { bytes })),
    }
}

fn destination(reader: &mut Reader<'_>) -> Result<Destination, DecodeError> {
    let begin = *reader;
    let stream = StreamId::parse(reader.text()?).map_err(|reason| begin.error(reason))?;
    let writer = name(reader, "writer")?;
    let filter = name(reader, "filter")?;
    let begin = *reader;
    let path = LogPath::parse(reader.text()?).map_err(|reason| begin.error(reason))?;
    Ok(Destination {
        stream,
        writer,
        filter,
        path,
    })
}

fn name(reader: &mut Reader<'_>, what: &'static str) -> Result<String, DecodeError> {
    let begin = *reader;
    let text = std::str::from_utf8(reader.text()?).ok();
    text.filter(|text| text.len() <= NAME_BYTES_MAX && !text.contains(char::is_control))
        .map(str::to_owned)
        .ok_or_else(|| begin.error(Reason::Name { what }))
}

fn schema(reader: &mut Reader<'_>) -> Result<Schema, DecodeError> {
    let begin = *reader;
    let mut columns = Vec::new();
    for _ in 0..reader.u32()? {
        // Each takes 14 bytes at least, so that a count alone makes no memory.
        columns.push(column(reader)?);
    }
    Schema::new(columns).map_err(|reason| begin.error(reason))
}

fn column(reader: &mut Reader<'_>) -> Result<Column, DecodeError> {
    if reader.flag()? {
        reader.text()?;
    }
    let begin = *reader;
    let name = String::from_utf8_lossy(reader.text()?).into_owned();
    let (tag, subtag) = (reader.u32()?, reader.u32()?);
    let type_ = Type::from_tags(tag, subtag);
    let type_ = type_.ok_or_else(|| begin.error(Reason::Type { tag, subtag }))?;
    Column::new(name, type_, reader.flag()?).map_err(|reason| begin.error(reason))
}

/// Appends the fields of a record.
fn record(
    reader: &mut Reader<'_>,
    schema: &Schema,
    values: &mut Vec<Value>,
) -> Result<(), DecodeError> {
    let (begin, start) = (*reader, values.len());
    for column in schema.columns() {
        let type_ = column.type_();
        let value = if reader.head(type_.tag())? {
            match type_ {
                Type::Atom(atom) => reader.content(atom)?,
                Type::Set(_) => Value::Set(elements(reader, type_)?.into_iter().collect::<Set>()),
                Type::Vector(_) => Value::Vector(elements(reader, type_)?),
            }
        } else {
            Value::None
        };
        values.push(value);
    }
    let row = values.get(start..).unwrap_or_default();
    match schema.record(row) {
        Ok(_) => Ok(()),
        Err(reason) => Err(begin.error(reason)),
    }
}

fn elements(reader: &mut Reader<'_>, type_: Type) -> Result<Vec<Value>, DecodeError> {
    let count = reader.count()?;
    let mut elements = Vec::with_capacity(count);
    for _ in 0..count {
        let begin = *reader;
        if !reader.head(type_.subtag())? {
            return Err(begin.error(Reason::UnsetElement));
        }
        elements.push(reader.content(type_.atom())?);
    }
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Timestamp;
    use crate::logging::RecordError;
    use crate::logging::batch::BatchEncoder;

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pairs = digits.chunks(2).map(|pair| str::from_utf8(pair).unwrap());
        pairs
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect()
    }

    /// The example of the format: two records of one time each.
    fn example() -> Vec<u8> {
        unhex(
            "0000000c 4c6f673a3a554e4b4e4f574e 00000010 4c6f673a3a5752495445525f4e4f4e45
             00000007 64656661756c74 00000007 6d792d70617468
             00000001 00 00000002 7473 00000005 00000016 00 00000002
             00000005 00000016 01 3ff0000000000000 00000005 00000016 01 4000000000000000",
        )
    }

    fn reason(bytes: &[u8]) -> Reason {
        Batch::decode(bytes).unwrap_err().reason
    }

    /// The example with other bytes in one place.
    fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut changed = example();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    }

    #[test]
    fn the_example_of_the_format_is_two_records() {
        let bytes = example();
        assert_eq!(bytes.len(), 116);
        let batch = Batch::decode(&bytes).unwrap();
        let destination = batch.destination();
        assert_eq!(destination.stream.as_str(), "Log::UNKNOWN");
        assert_eq!(destination.writer, "Log::WRITER_NONE");
        assert_eq!(destination.filter, "default");
        assert_eq!(destination.path.as_str(), "my-path");
        let column = &batch.schema().columns()[0];
        assert_eq!((column.name(), column.is_optional()), ("ts", false));
        let times: Vec<_> = batch
            .records()
            .map(|record| record.values()[0].clone())
            .collect();
        let time = |nanos| Value::Timestamp(Timestamp::from_nanos(nanos));
        assert_eq!(times, [time(1_000_000_000), time(2_000_000_000)]);
        assert_eq!(batch.len(), 2);

        // Ours says nothing of elements where there are none; Zeek's own senders do the same.
        let mut encoder = BatchEncoder::new(destination, batch.schema().clone());
        for record in batch.records() {
            encoder.push(record.values()).unwrap();
        }
        let mut ours = example();
        for at in [73, 86, 103] {
            assert_eq!(ours[at..at + 4], [0, 0, 0, 22]);
            ours[at..at + 4].fill(0);
        }
        assert_eq!(encoder.bytes(), ours);
        encoder.clear();
        assert!(Batch::decode(encoder.bytes()).unwrap().is_empty());
    }

    #[test]
    fn a_batch_that_claims_too_much_is_refused() {
        let bytes = example();
        for length in 0..bytes.len() {
            assert_eq!(reason(&bytes[..length]), Reason::Truncated, "{length}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(reason(&longer), Reason::Surplus { bytes: 1 });
        assert_eq!(reason(&changed(0, &[0xff; 4])), Reason::Truncated);
        assert_eq!(reason(&changed(58, &[0xff; 4])), Reason::Truncated);
        assert_eq!(reason(&changed(78, &[0xff; 4])), Reason::Truncated);
    }

    #[test]
    fn a_batch_that_zeek_would_believe_is_refused() {
        let path = reason(&changed(51, b"../file"));
        assert!(matches!(path, Reason::Path(_)), "{path}");
        let stream = reason(&changed(4, b"Log UNKNOWN!"));
        assert!(matches!(stream, Reason::Stream(_)), "{stream}");
        assert_eq!(reason(&changed(20, b"\n")), Reason::Name { what: "writer" });
        assert_eq!(
            reason(&changed(69, &[0, 0, 0, 8])),
            Reason::Type { tag: 8, subtag: 22 }
        );
        assert_eq!(
            reason(&changed(82, &[0, 0, 0, 6])),
            Reason::ValueType { got: 6, wanted: 5 }
        );
        // The first value is not there: then its eight bytes are the next value's.
        let unset = changed(90, &[0]);
        assert!(Batch::decode(&unset).is_err());
        let only = [&unset[..78], &[0, 0, 0, 1], &unset[82..91]].concat();
        let refused = reason(&only);
        assert!(
            matches!(refused, Reason::Record(RecordError::Unset { .. })),
            "{refused}"
        );
        let optional = [&only[..77], &[1], &only[78..]].concat();
        assert_eq!(Batch::decode(&optional).unwrap().records().count(), 1);
    }
}

//! Records into batches.

use std::net::IpAddr;

use crate::data::{Address, Value};
use crate::logging::{Atom, Record, RecordError, Schema, Type, seconds};

use super::Destination;

/// Puts records of one log together. Its memory is used again for the next batch.
#[derive(Clone, Debug)]
pub struct BatchEncoder {
    schema: Schema,
    bytes: Vec<u8>,
    /// Where the number of records stands.
    count_at: usize,
    records: u32,
}

impl BatchEncoder {
    /// A batch without records.
    #[must_use]
    pub fn new(destination: &Destination, schema: Schema) -> Self {
        let mut bytes = Vec::new();
        let texts = [
            destination.stream.as_str(),
            &destination.writer,
            &destination.filter,
            destination.path.as_str(),
        ];
        for part in texts {
            text(part.as_bytes(), &mut bytes);
        }
        number(schema.columns().len(), &mut bytes);
        for column in schema.columns() {
            // No second name.
            bytes.push(0);
            text(column.name().as_bytes(), &mut bytes);
            bytes.extend_from_slice(&column.type_().tag().to_be_bytes());
            bytes.extend_from_slice(&column.type_().subtag().to_be_bytes());
            bytes.push(u8::from(column.is_optional()));
        }
        let count_at = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        Self {
            schema,
            bytes,
            count_at,
            records: 0,
        }
    }

    /// Adds a record. Does not allocate as long as the buffer has room.
    ///
    /// # Errors
    /// [`RecordError`], and nothing was added: the values do not fit the columns.
    pub fn push(&mut self, values: &[Value]) -> Result<(), RecordError> {
        fields(self.schema.record(values)?, &mut self.bytes);
        self.records += 1;
        let count = self.bytes.get_mut(self.count_at..self.count_at + 4);
        if let Some(count) = count {
            count.copy_from_slice(&self.records.to_be_bytes());
        }
        Ok(())
    }

    /// How many records it has.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.records
    }

    /// Has it no records?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The batch as it travels, with the records so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes all records out, and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.truncate(self.count_at);
        self.bytes.extend_from_slice(&[0; 4]);
        self.records = 0;
    }
}

/// Appends a record as Broker's LogWrite message has it.
pub fn encode_serial(record: Record<'_>, out: &mut Vec<u8>) {
    number(record.values().len(), out);
    fields(record, out);
}

/// Appends the fields of a record.
fn fields(record: Record<'_>, out: &mut Vec<u8>) {
    for (column, field) in record.fields() {
        let type_ = column.type_();
        head(type_.tag(), !field.is_none(), out);
        match (type_, field) {
            (_, Value::None) => {}
            (Type::Atom(atom), field) => content(atom, field, out),
            (Type::Set(atom), Value::Set(set)) => elements(atom, set.as_slice(), out),
            (Type::Vector(atom), Value::Vector(items)) => elements(atom, items, out),
            (_, field) => debug_assert!(false, "{field} does not fit; the record was checked"),
        }
    }
}

/// Appends what stands before a value: its type, which says nothing of elements, and whether it is there.
fn head(tag: u32, is_set: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(&tag.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.push(u8::from(is_set));
}

fn elements(atom: Atom, items: &[Value], out: &mut Vec<u8>) {
    out.extend_from_slice(&u64::try_from(items.len()).unwrap_or(u64::MAX).to_be_bytes());
    for item in items {
        head(atom.tag(), true, out);
        content(atom, item, out);
    }
}

fn content(atom: Atom, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Boolean(content) => out.extend_from_slice(&i64::from(*content).to_be_bytes()),
        Value::Count(content) => out.extend_from_slice(&content.to_be_bytes()),
        Value::Integer(content) => out.extend_from_slice(&content.to_be_bytes()),
        Value::Real(content) => out.extend_from_slice(&content.to_bits().to_be_bytes()),
        Value::Timestamp(content) => span(content.nanos(), out),
        Value::Timespan(content) => span(content.nanos(), out),
        Value::String(content) | Value::EnumValue(content) => text(content, out),
        Value::Port(port) => {
            out.extend_from_slice(&u64::from(port.number).to_be_bytes());
            out.extend_from_slice(&u32::from(port.protocol.number()).to_be_bytes());
        }
        Value::Address(content) => address(*content, content.is_v4(), out),
        Value::Subnet(content) => {
            let length = content.stored_length();
            out.push(length);
            // A network of version 4 has all of the first 96 bits.
            address(
                content.address(),
                length >= 96 && content.address().is_v4(),
                out,
            );
        }
        Value::None | Value::Set(_) | Value::Table(_) | Value::Vector(_) => {
            debug_assert!(false, "{value} is no {atom}; the record was checked");
        }
    }
}

fn span(nanos: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&seconds::from_nanos(nanos).to_bits().to_be_bytes());
}

fn address(address: Address, is_v4: bool, out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) if is_v4 => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V4(_) | IpAddr::V6(_) => {
            out.push(6);
            out.extend_from_slice(&address.bytes());
        }
    }
}

/// Appends a text with its length. One of 4 GiB or more is cut; no record that large is taken on.
fn text(bytes: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    let kept = bytes.get(..usize::try_from(length).unwrap_or(usize::MAX));
    out.extend_from_slice(kept.unwrap_or(bytes));
}

fn number(count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

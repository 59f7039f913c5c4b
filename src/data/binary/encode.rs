//! Values into bytes.

use super::real;
use crate::data::{Address, Kind, Port, Subnet, Timespan, Timestamp, Value};

/// The longest string, and the most members of a container, that the format can say. What is longer
/// is cut to this; no frame of any transport holds as much.
const LENGTH_MAX: usize = u32::MAX as usize;

/// Appends a value to a buffer. Format v1.
///
/// Recurses as deep as the value is. A value deeper than [`DEPTH_MAX`](crate::data::DEPTH_MAX) is
/// written, and refused by those who read it.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    Encoder::new(out).value(value);
}

/// Appends values to a buffer piece by piece, without a [`Value`] in between. After
/// [`vector`](Self::vector) and its like the caller owes as many values as it said. Format v1.
#[derive(Debug)]
pub struct Encoder<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Encoder<'a> {
    /// An encoder that appends to a buffer.
    #[must_use]
    pub const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// A whole value.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::None => self.none(),
            Value::Boolean(content) => self.boolean(*content),
            Value::Count(content) => self.count(*content),
            Value::Integer(content) => self.integer(*content),
            Value::Real(content) => self.real(*content),
            Value::String(content) => self.string(content),
            Value::Address(content) => self.address(*content),
            Value::Subnet(content) => self.subnet(*content),
            Value::Port(content) => self.port(*content),
            Value::Timestamp(content) => self.timestamp(*content),
            Value::Timespan(content) => self.timespan(*content),
            Value::EnumValue(content) => self.enum_value(content),
            Value::Set(content) => {
                self.set(content.len());
                self.values(content.as_slice());
            }
            Value::Table(content) => {
                self.table(content.len());
                for (key, value) in content.iter().take(LENGTH_MAX) {
                    self.value(key);
                    self.value(value);
                }
            }
            Value::Vector(content) => {
                self.vector(content.len());
                self.values(content);
            }
        }
    }

    /// Values one after the other, the members of a container.
    pub fn values(&mut self, values: &[Value]) {
        for value in values.iter().take(LENGTH_MAX) {
            self.value(value);
        }
    }

    /// A value that is encoded already.
    pub fn view(&mut self, view: crate::data::View<'_>) {
        self.out.extend_from_slice(view.bytes());
    }

    /// Nothing. Format v1, none.
    pub fn none(&mut self) {
        self.tag(Kind::None);
    }

    /// A boolean. Format v1, boolean.
    pub fn boolean(&mut self, content: bool) {
        self.tag(Kind::Boolean);
        self.out.push(u8::from(content));
    }

    /// A count. Format v1, count.
    pub fn count(&mut self, content: u64) {
        self.fixed(Kind::Count, content.to_be_bytes());
    }

    /// An integer. Format v1, integer.
    pub fn integer(&mut self, content: i64) {
        self.fixed(Kind::Integer, content.to_be_bytes());
    }

    /// A real, as Broker packs it. Format v1, real.
    pub fn real(&mut self, content: f64) {
        self.fixed(Kind::Real, real::pack(content).to_be_bytes());
    }

    /// A string. Format v1, string.
    pub fn string(&mut self, content: &[u8]) {
        self.tag(Kind::String);
        self.bytes(content);
    }

    /// An address. Format v1, address.
    pub fn address(&mut self, content: Address) {
        self.fixed(Kind::Address, content.bytes());
    }

    /// A subnet. Format v1, subnet.
    pub fn subnet(&mut self, content: Subnet) {
        self.fixed(Kind::Subnet, content.address().bytes());
        self.out.push(content.stored_length());
    }

    /// A port. Format v1, port.
    pub fn port(&mut self, content: Port) {
        self.fixed(Kind::Port, content.number.to_be_bytes());
        self.out.push(content.protocol.number());
    }

    /// A timestamp. Format v1, timestamp.
    pub fn timestamp(&mut self, content: Timestamp) {
        self.fixed(Kind::Timestamp, content.nanos().to_be_bytes());
    }

    /// A timespan. Format v1, timespan.
    pub fn timespan(&mut self, content: Timespan) {
        self.fixed(Kind::Timespan, content.nanos().to_be_bytes());
    }

    /// The label of an enum's value. Format v1, enum value.
    pub fn enum_value(&mut self, label: &[u8]) {
        self.tag(Kind::EnumValue);
        self.bytes(label);
    }

    /// The head of a set: so many values follow, in order and unique. Format v1, set.
    pub fn set(&mut self, members: usize) {
        self.tag(Kind::Set);
        self.length(members);
    }

    /// The head of a table: so many pairs of key and value follow, in the order of the keys. Format v1,
    /// table.
    pub fn table(&mut self, entries: usize) {
        self.tag(Kind::Table);
        self.length(entries);
    }

    /// The head of a vector: so many values follow. Format v1, vector.
    pub fn vector(&mut self, members: usize) {
        self.tag(Kind::Vector);
        self.length(members);
    }

    fn tag(&mut self, kind: Kind) {
        self.out.push(kind.tag());
    }

    fn fixed<const N: usize>(&mut self, kind: Kind, content: [u8; N]) {
        self.tag(kind);
        self.out.extend_from_slice(&content);
    }

    fn bytes(&mut self, content: &[u8]) {
        let content = content.get(..LENGTH_MAX).unwrap_or(content);
        self.length(content.len());
        self.out.extend_from_slice(content);
    }

    /// 7 bits a byte, the lowest first, the highest bit while more follow.
    fn length(&mut self, length: usize) {
        let mut rest = length.min(LENGTH_MAX);
        loop {
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                self.out.push(low);
                return;
            }
            self.out.push(low | 0x80);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_takes_as_few_bytes_as_it_can() {
        for (length, expected) in [
            (0, &[0x0e, 0][..]),
            (127, &[0x0e, 0x7f]),
            (128, &[0x0e, 0x80, 0x01]),
            (LENGTH_MAX, &[0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f]),
            (usize::MAX, &[0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            let mut out = Vec::new();
            Encoder::new(&mut out).vector(length);
            assert_eq!(out, expected, "{length}");
        }
    }
}

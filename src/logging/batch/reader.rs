//! Reads the parts of batches off bytes, and never past their end.

use crate::data::cursor::Cursor;
use crate::data::{Address, Port, Protocol, Subnet, Value};
use crate::logging::{Atom, LogPathError, RecordError, SchemaError, StreamIdError, seconds};

/// The fewest bytes that a value takes: two numbers of its type, and whether it is there.
pub(super) const VALUE_BYTES_MIN: usize = 9;

/// Bytes that are no batch, or no record. The sender's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no log record at byte {offset}")]
pub struct DecodeError {
    /// Where reading stopped.
    pub offset: usize,
    /// What is wrong there.
    #[source]
    pub reason: Reason,
}

/// What is wrong with bytes that are no batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// They end too early, or a length is too large.
    #[error("the bytes end in the middle of something")]
    Truncated,
    /// More than is read.
    #[error("{bytes} bytes are more than is read")]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// They go on after the last record.
    #[error("{bytes} bytes follow the last record")]
    Surplus {
        /// How many.
        bytes: usize,
    },
    /// A writer or a filter whose name is no text, has control characters, or more than 255 bytes.
    #[error("the name of the {what} is no short text")]
    Name {
        /// Which of the two.
        what: &'static str,
    },
    /// No stream.
    #[error(transparent)]
    Stream(#[from] StreamIdError),
    /// No path.
    #[error(transparent)]
    Path(#[from] LogPathError),
    /// No columns.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A type that no column has.
    #[error("no column has type {tag} with elements of type {subtag}")]
    Type {
        /// The number of the type.
        tag: u32,
        /// The number of its elements' type.
        subtag: u32,
    },
    /// A value of another type than its column, or element.
    #[error("a value of type {got} stands where one of type {wanted} should")]
    ValueType {
        /// The number of its type.
        got: u32,
        /// The number that should stand there.
        wanted: u32,
    },
    /// An element that is not set.
    #[error("an element of a set or a vector is unset")]
    UnsetElement,
    /// A record that does not fit.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A port's number or protocol out of range.
    #[error("no port has number {number} and protocol {protocol}")]
    Port {
        /// The number.
        number: u64,
        /// The number of the protocol.
        protocol: u32,
    },
    /// An IP version other than 4 and 6.
    #[error("no IP version {version}")]
    Version {
        /// The version.
        version: u8,
    },
    /// A network's length out of range, on the scale of 128 bits.
    #[error("no network has length {length} on the scale of 128 bits")]
    Length {
        /// The length.
        length: u8,
    },
}

/// A position in a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(bytes),
        }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.cursor.rest()
    }

    pub(super) fn error(&self, reason: impl Into<Reason>) -> DecodeError {
        DecodeError {
            offset: self.cursor.offset(),
            reason: reason.into(),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self.cursor.take(length);
        taken.ok_or_else(|| self.error(Reason::Truncated))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.cursor.array();
        taken.ok_or_else(|| self.error(Reason::Truncated))
    }

    /// A truth value: any byte but 0 is a yes.
    pub(super) fn flag(&mut self) -> Result<bool, DecodeError> {
        self.array().map(|[byte]| byte != 0)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn text(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u32()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// The type of a value, which must be this one, and whether it is there. The type of its elements is
    /// not looked at: Zeek writes nothing of use.
    pub(super) fn head(&mut self, wanted: u32) -> Result<bool, DecodeError> {
        let begin = *self;
        let got = self.u32()?;
        if got != wanted {
            return Err(begin.error(Reason::ValueType { got, wanted }));
        }
        self.u32()?;
        self.flag()
    }

    /// How many elements follow: no more than there is room for.
    pub(super) fn count(&mut self) -> Result<usize, DecodeError> {
        let begin = *self;
        let count = usize::try_from(self.u64()?).unwrap_or(usize::MAX);
        if count > self.rest().len() / VALUE_BYTES_MIN {
            return Err(begin.error(Reason::Truncated));
        }
        Ok(count)
    }

    /// The content of a value that is there.
    pub(super) fn content(&mut self, atom: Atom) -> Result<Value, DecodeError> {
        Ok(match atom {
            Atom::Bool => Value::Boolean(self.u64()? != 0),
            Atom::Int => Value::Integer(i64::from_be_bytes(self.array()?)),
            Atom::Count => Value::Count(self.u64()?),
            Atom::Double => Value::Real(f64::from_bits(self.u64()?)),
            Atom::Time | Atom::Interval => seconds::to_value(atom, f64::from_bits(self.u64()?)),
            Atom::String | Atom::Func | Atom::File => Value::String(self.text()?.to_vec()),
            Atom::Enum => Value::EnumValue(self.text()?.to_vec()),
            Atom::Port => Value::Port(self.port()?),
            Atom::Addr => Value::Address(self.address()?.0),
            Atom::Subnet => Value::Subnet(self.subnet()?),
        })
    }

    fn port(&mut self) -> Result<Port, DecodeError> {
        let begin = *self;
        let (number, protocol) = (self.u64()?, self.u32()?);
        let known = u8::try_from(protocol).ok().and_then(Protocol::from_number);
        match (u16::try_from(number), known) {
            (Ok(number), Some(known)) => Ok(Port::new(number, known)),
            _ => Err(begin.error(Reason::Port { number, protocol })),
        }
    }

    /// An address, and whether it was written as one of version 4.
    fn address(&mut self) -> Result<(Address, bool), DecodeError> {
        let begin = *self;
        match self.array()? {
            [4] => {
                let octets: [u8; 4] = self.array()?;
                Ok((std::net::Ipv4Addr::from(octets).into(), true))
            }
            [6] => Ok((Address::from_bytes(self.array()?), false)),
            [version] => Err(begin.error(Reason::Version { version })),
        }
    }

    fn subnet(&mut self) -> Result<Subnet, DecodeError> {
        let begin = *self;
        let [length] = self.array()?;
        let (address, is_v4) = self.address()?;
        let length_min = if is_v4 { 96 } else { 0 };
        Subnet::from_stored(address, length)
            .filter(|_| length >= length_min)
            .ok_or_else(|| begin.error(Reason::Length { length }))
    }
}

//! A position in encoded bytes, and what can be read there. All that is known of the layout of bytes
//! on the reading side stands here.

use super::real;
use crate::data::cursor::Cursor;
use crate::data::{Address, DEPTH_MAX, Kind, Port, Protocol, Subnet, Timespan, Timestamp};

/// Bytes that are no value. The sender's fault: drop the message. Format v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed value at byte {offset}: {reason}")]
pub struct DecodeError {
    /// How many bytes into the input; for a container that cannot be, where it begins.
    pub offset: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with bytes that are no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The input ends inside a value, or is empty.
    #[error("the input ends before the value does")]
    Truncated,
    /// The input goes on behind the value.
    #[error("{bytes} bytes follow the value")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// No kind of value has this tag.
    #[error("unknown tag {tag}")]
    Tag {
        /// The tag.
        tag: u8,
    },
    /// A length of more than 32 bits, or of more than five bytes.
    #[error("a length of more than 32 bits")]
    Length,
    /// A subnet longer than its address.
    #[error("a subnet of {length} bits, at most 128 are possible")]
    Subnet {
        /// The length that it says.
        length: u8,
    },
    /// A port of no protocol that there is.
    #[error("unknown protocol {protocol} of a port")]
    Protocol {
        /// The protocol's number.
        protocol: u8,
    },
    /// Too many containers in one another.
    #[error("more than {DEPTH_MAX} containers in one another")]
    Depth,
    /// The same member of a set, or the same key of a table, twice.
    #[error("a set or a table holds the same value twice")]
    Duplicate,
}

/// A value's own bytes, read; of a container, how much it holds.
#[derive(Clone, Copy, Debug)]
pub(in crate::data) enum Token<'a> {
    None,
    Boolean(bool),
    Count(u64),
    Integer(i64),
    Real(f64),
    String(&'a [u8]),
    Address(Address),
    Subnet(Subnet),
    Port(Port),
    Timestamp(Timestamp),
    Timespan(Timespan),
    EnumValue(&'a [u8]),
    /// With the number of members.
    Set(u32),
    /// With the number of entries, two values each.
    Table(u32),
    /// With the number of members.
    Vector(u32),
}

impl Token<'_> {
    /// How many values follow that belong to this one.
    const fn members(self) -> u64 {
        match self {
            Self::Set(members) | Self::Vector(members) => members as u64,
            Self::Table(entries) => entries as u64 * 2,
            Self::None
            | Self::Boolean(_)
            | Self::Count(_)
            | Self::Integer(_)
            | Self::Real(_)
            | Self::String(_)
            | Self::Address(_)
            | Self::Subnet(_)
            | Self::Port(_)
            | Self::Timestamp(_)
            | Self::Timespan(_)
            | Self::EnumValue(_) => 0,
        }
    }
}

/// A position in encoded bytes.
#[derive(Clone, Copy, Debug)]
pub(in crate::data) struct Reader<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Reader<'a> {
    pub(in crate::data) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(bytes),
        }
    }

    /// How many bytes were read.
    pub(in crate::data) const fn offset(&self) -> usize {
        self.cursor.offset()
    }

    /// The bytes that are not read yet.
    pub(in crate::data) fn rest(&self) -> &'a [u8] {
        self.cursor.rest()
    }

    const fn error(&self, reason: Reason) -> DecodeError {
        DecodeError {
            offset: self.cursor.offset(),
            reason,
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

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    /// A length: 7 bits a byte, the lowest first. Idle groups at the end are fine.
    fn length(&mut self) -> Result<u32, DecodeError> {
        let begin = *self;
        let mut length = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            let group = u32::from(byte & 0x7f);
            if shift == 28 && group > 0x0f {
                break;
            }
            length |= group << shift;
            if byte & 0x80 == 0 {
                return Ok(length);
            }
        }
        Err(begin.error(Reason::Length))
    }

    fn string(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.length()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn subnet(&mut self) -> Result<Subnet, DecodeError> {
        let begin = *self;
        let address = Address::from_bytes(self.array()?);
        let length = self.byte()?;
        Subnet::from_stored(address, length).ok_or_else(|| begin.error(Reason::Subnet { length }))
    }

    fn port(&mut self) -> Result<Port, DecodeError> {
        let begin = *self;
        let number = u16::from_be_bytes(self.array()?);
        let protocol = self.byte()?;
        let known = Protocol::from_number(protocol);
        let known = known.ok_or_else(|| begin.error(Reason::Protocol { protocol }))?;
        Ok(Port::new(number, known))
    }

    /// Reads a value; of a container only its head.
    pub(in crate::data) fn token(&mut self) -> Result<Token<'a>, DecodeError> {
        let begin = *self;
        let tag = self.byte()?;
        let kind = Kind::from_tag(tag).ok_or_else(|| begin.error(Reason::Tag { tag }))?;
        Ok(match kind {
            Kind::None => Token::None,
            Kind::Boolean => Token::Boolean(self.byte()? != 0),
            Kind::Count => Token::Count(u64::from_be_bytes(self.array()?)),
            Kind::Integer => Token::Integer(i64::from_be_bytes(self.array()?)),
            Kind::Real => Token::Real(real::unpack(u64::from_be_bytes(self.array()?))),
            Kind::String => Token::String(self.string()?),
            Kind::Address => Token::Address(Address::from_bytes(self.array()?)),
            Kind::Subnet => Token::Subnet(self.subnet()?),
            Kind::Port => Token::Port(self.port()?),
            Kind::Timestamp => {
                Token::Timestamp(Timestamp::from_nanos(i64::from_be_bytes(self.array()?)))
            }
            Kind::Timespan => {
                Token::Timespan(Timespan::from_nanos(i64::from_be_bytes(self.array()?)))
            }
            Kind::EnumValue => Token::EnumValue(self.string()?),
            Kind::Set => Token::Set(self.length()?),
            Kind::Table => Token::Table(self.length()?),
            Kind::Vector => Token::Vector(self.length()?),
        })
    }

    /// Reads past a value with all that it holds, and so checks it.
    pub(in crate::data) fn skip(&mut self) -> Result<(), DecodeError> {
        match self.token()?.members() {
            0 => Ok(()),
            members => self.skip_members(members),
        }
    }

    /// Reads past the members of a container. Loops instead of recursing: a sender chooses the depth.
    fn skip_members(&mut self, members: u64) -> Result<(), DecodeError> {
        // How many members are still missing, from the outermost container to the innermost.
        let mut missing = [0_u64; DEPTH_MAX];
        let mut depth = 0;
        let mut members = members;
        loop {
            if members > 0 {
                let innermost = missing.get_mut(depth);
                *innermost.ok_or_else(|| self.error(Reason::Depth))? = members;
                depth += 1;
            }
            while let Some(innermost) = missing.get_mut(..depth).and_then(<[u64]>::last_mut) {
                if *innermost > 0 {
                    *innermost -= 1;
                    break;
                }
                depth -= 1;
            }
            if depth == 0 {
                return Ok(());
            }
            members = self.token()?.members();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(bytes: &[u8]) -> Result<u32, Reason> {
        Reader::new(bytes).length().map_err(|error| error.reason)
    }

    #[test]
    fn a_length_may_have_idle_groups_but_no_more_than_32_bits() {
        assert_eq!(length(&[0x81, 0x00]), Ok(1));
        assert_eq!(length(&[0x81, 0x80, 0x80, 0x80, 0x00]), Ok(1));
        assert_eq!(length(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
        assert_eq!(length(&[0xff, 0xff, 0xff, 0xff, 0x10]), Err(Reason::Length));
        assert_eq!(length(&[0x80; 6]), Err(Reason::Length));
        assert_eq!(length(&[0x80]), Err(Reason::Truncated));
    }

    #[test]
    fn a_value_ends_where_its_last_member_does() {
        let bytes = [0x0e, 2, 0x0d, 1, 0, 0x0c, 0, 0x0e, 1, 0, 0xff];
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.skip(), Ok(()));
        assert_eq!(reader.rest(), [0xff]);
    }
}

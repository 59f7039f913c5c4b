//! One value in its binary form, read where it lies. Nothing is copied and nothing is allocated; a
//! member that nobody asks for is only read past.

use std::fmt;
use std::iter::FusedIterator;

use super::binary::{DecodeError, Reader, Reason, Token};
use super::{Address, Kind, Port, Subnet, Timespan, Timestamp};

/// The bytes of exactly one value, checked: its lengths fit and it is not too deep. Whether a set or
/// a table holds the same thing twice is only seen by [`decode`](View::decode). Stands for Broker's
/// `variant`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct View<'a> {
    bytes: &'a [u8],
}

/// What a [`View`] shows: the content of a value, or the members of a container.
#[derive(Clone, Copy, Debug)]
pub enum Parts<'a> {
    /// Nothing.
    None,
    /// True or false.
    Boolean(bool),
    /// An unsigned integer.
    Count(u64),
    /// A signed integer.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Bytes.
    String(&'a [u8]),
    /// An IP address.
    Address(Address),
    /// A network.
    Subnet(Subnet),
    /// A transport port.
    Port(Port),
    /// A point in time.
    Timestamp(Timestamp),
    /// A span of time.
    Timespan(Timespan),
    /// The label of an enum's value.
    EnumValue(&'a [u8]),
    /// The members of a set, in the order in which they were written.
    Set(Items<'a>),
    /// The entries of a table, in the order in which they were written.
    Table(Entries<'a>),
    /// The members of a vector.
    Vector(Items<'a>),
}

impl<'a> View<'a> {
    /// Looks at the one value that the bytes are.
    ///
    /// # Errors
    /// [`DecodeError`] says where the bytes stop to be a value, and why.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.skip()?;
        match reader.rest().len() {
            0 => Ok(Self { bytes }),
            trailing => Err(DecodeError {
                offset: reader.offset(),
                reason: Reason::Trailing { bytes: trailing },
            }),
        }
    }

    /// Its bytes, as they were written: what is to be passed on.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        let tag = self.bytes.first().copied();
        tag.and_then(Kind::from_tag).unwrap_or(Kind::None)
    }

    /// Its content.
    #[must_use]
    pub fn parts(self) -> Parts<'a> {
        let mut reader = Reader::new(self.bytes);
        // It was read before, so it can be read again.
        let token = reader.token().unwrap_or(Token::None);
        let items = |left| Items {
            bytes: reader.rest(),
            left,
        };
        match token {
            Token::None => Parts::None,
            Token::Boolean(content) => Parts::Boolean(content),
            Token::Count(content) => Parts::Count(content),
            Token::Integer(content) => Parts::Integer(content),
            Token::Real(content) => Parts::Real(content),
            Token::String(content) => Parts::String(content),
            Token::Address(content) => Parts::Address(content),
            Token::Subnet(content) => Parts::Subnet(content),
            Token::Port(content) => Parts::Port(content),
            Token::Timestamp(content) => Parts::Timestamp(content),
            Token::Timespan(content) => Parts::Timespan(content),
            Token::EnumValue(content) => Parts::EnumValue(content),
            Token::Set(members) => Parts::Set(items(u64::from(members))),
            Token::Table(entries) => Parts::Table(Entries(items(u64::from(entries) * 2))),
            Token::Vector(members) => Parts::Vector(items(u64::from(members))),
        }
    }

    /// The number of a count.
    #[must_use]
    pub fn as_count(self) -> Option<u64> {
        if let Parts::Count(count) = self.parts() {
            Some(count)
        } else {
            None
        }
    }

    /// The bytes of a string.
    #[must_use]
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        if let Parts::String(bytes) = self.parts() {
            Some(bytes)
        } else {
            None
        }
    }

    /// The text of a string that is UTF-8.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        self.as_bytes()
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The label of an enum's value.
    #[must_use]
    pub fn as_enum_value(self) -> Option<&'a [u8]> {
        if let Parts::EnumValue(label) = self.parts() {
            Some(label)
        } else {
            None
        }
    }

    /// A timestamp.
    #[must_use]
    pub fn as_timestamp(self) -> Option<Timestamp> {
        if let Parts::Timestamp(timestamp) = self.parts() {
            Some(timestamp)
        } else {
            None
        }
    }

    /// The members of a vector: the fields of a record, for one.
    #[must_use]
    pub fn as_vector(self) -> Option<Items<'a>> {
        if let Parts::Vector(items) = self.parts() {
            Some(items)
        } else {
            None
        }
    }

    /// The member of a vector with this index. `None` too if it is no vector.
    #[must_use]
    pub fn field(self, index: usize) -> Option<Self> {
        self.as_vector()?.nth(index)
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.decode() {
            Ok(value) => write!(f, "View({value})"),
            Err(error) => write!(f, "View({error})"),
        }
    }
}

/// Views of a container's members, one after the other. Copy it to begin again.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a> {
    /// The members that are left, and nothing behind them.
    bytes: &'a [u8],
    left: u64,
}

impl<'a> Iterator for Items<'a> {
    type Item = View<'a>;

    fn next(&mut self) -> Option<View<'a>> {
        self.left = self.left.checked_sub(1)?;
        // The last member ends where its container does, and need not be read past: of a message, that
        // is nearly all.
        let length = if self.left == 0 {
            self.bytes.len()
        } else {
            let mut reader = Reader::new(self.bytes);
            reader.skip().ok()?;
            reader.offset()
        };
        let (bytes, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(View { bytes })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Items<'_> {}
impl FusedIterator for Items<'_> {}

/// Views of a table's entries, key and value, one after the other. Copy it to begin again.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a>(Items<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = (View<'a>, View<'a>);

    fn next(&mut self) -> Option<(View<'a>, View<'a>)> {
        Some((self.0.next()?, self.0.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.0.len() / 2;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Entries<'_> {}
impl FusedIterator for Entries<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_a_record_in_a_record_is_read_where_it_lies() {
        // [[], [none, "ab"], {1 -> T}]
        let bytes = [
            0x0e, 3, 0x0e, 0, 0x0e, 2, 0, 5, 2, b'a', b'b', 0x0d, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1,
            1,
        ];
        let view = View::parse(&bytes).unwrap();
        let text = view.field(1).and_then(|record| record.field(1)).unwrap();
        assert_eq!(text.as_str(), Some("ab"));
        assert_eq!(text.bytes(), [5, 2, b'a', b'b']);
        assert_eq!(view.field(1).and_then(|record| record.field(2)), None);
        assert_eq!(text.field(0), None);
        let table = view.field(2).unwrap();
        let Parts::Table(mut entries) = table.parts() else {
            panic!("{table:?} is no table");
        };
        assert_eq!(entries.len(), 1);
        let (key, value) = entries.next().unwrap();
        assert_eq!(key.as_count(), Some(1));
        assert_eq!(value.kind(), Kind::Boolean);
        assert_eq!(entries.next(), None);
    }

    #[test]
    fn a_view_shows_itself_as_its_value() {
        let view = View::parse(&[0x0e, 2, 0, 1, 1]).unwrap();
        assert_eq!(format!("{view:?}"), "View((nil, T))");
    }
}

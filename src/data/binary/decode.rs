//! Bytes into values.

use super::{DecodeError, Reader, Reason, Token};
use crate::data::{Set, Table, Value, View};

/// Decodes the one value that the bytes are. Format v1.
///
/// # Errors
/// [`DecodeError`] says where the bytes stop to be a value, and why.
pub fn decode(bytes: &[u8]) -> Result<Value, DecodeError> {
    View::parse(bytes)?.decode()
}

impl View<'_> {
    /// Builds the value.
    ///
    /// # Errors
    /// [`Reason::Duplicate`], which a view does not look for: a set with the same member twice, or a
    /// table with the same key.
    pub fn decode(self) -> Result<Value, DecodeError> {
        value(&mut Reader::new(self.bytes()))
    }
}

/// Builds the value at the reader's position, in bytes that were read past before: their lengths can
/// be believed, and they are not deeper than the limit.
fn value(reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    let duplicate = DecodeError {
        offset: reader.offset(),
        reason: Reason::Duplicate,
    };
    Ok(match reader.token()? {
        Token::None => Value::None,
        Token::Boolean(content) => Value::Boolean(content),
        Token::Count(content) => Value::Count(content),
        Token::Integer(content) => Value::Integer(content),
        Token::Real(content) => Value::Real(content),
        Token::String(content) => Value::String(content.to_vec()),
        Token::Address(content) => Value::Address(content),
        Token::Subnet(content) => Value::Subnet(content),
        Token::Port(content) => Value::Port(content),
        Token::Timestamp(content) => Value::Timestamp(content),
        Token::Timespan(content) => Value::Timespan(content),
        Token::EnumValue(content) => Value::EnumValue(content.to_vec()),
        Token::Set(members) => {
            let members = row(members, || value(reader))?;
            Value::Set(Set::try_from(members).map_err(|_| duplicate)?)
        }
        Token::Table(entries) => {
            let entries = row(entries, || Ok((value(reader)?, value(reader)?)))?;
            Value::Table(Table::try_from(entries).map_err(|_| duplicate)?)
        }
        Token::Vector(members) => Value::Vector(row(members, || value(reader))?),
    })
}

fn row<T>(
    length: u32,
    mut read: impl FnMut() -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut row = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    for _ in 0..length {
        row.push(read()?);
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DEPTH_MAX;
    use crate::data::binary::encode;

    fn refused(bytes: &[u8]) -> (usize, Reason) {
        let error = decode(bytes).unwrap_err();
        (error.offset, error.reason)
    }

    #[test]
    fn an_error_says_where_and_why() {
        assert_eq!(refused(&[]), (0, Reason::Truncated));
        assert_eq!(refused(&[0, 0, 0]), (1, Reason::Trailing { bytes: 2 }));
        assert_eq!(refused(&[0x0e, 2, 0, 15]), (3, Reason::Tag { tag: 15 }));
        assert_eq!(refused(&[0x05, 3, b'a']), (2, Reason::Truncated));
        assert_eq!(
            refused(&[0x08, 0, 1, 4]),
            (1, Reason::Protocol { protocol: 4 })
        );
        assert_eq!(refused(&[0x0e, 1, 0x0c, 2, 0, 0]), (2, Reason::Duplicate));
        assert_eq!(refused(&[0x0d, 2, 0, 0, 0, 1, 1]), (0, Reason::Duplicate));
        let mut subnet = [0; 18];
        (subnet[0], subnet[17]) = (7, 129);
        assert_eq!(refused(&subnet), (1, Reason::Subnet { length: 129 }));
        assert_eq!(
            decode(&[0, 0]).unwrap_err().to_string(),
            "malformed value at byte 1: 1 bytes follow the value"
        );
    }

    #[test]
    fn as_many_containers_in_one_another_as_allowed_are_read_and_no_more() {
        let nest = |depth| [0x0e, 1].repeat(depth).into_iter().chain([0]).collect();
        let deep: Vec<u8> = nest(DEPTH_MAX);
        let mut again = Vec::new();
        encode(&decode(&deep).unwrap(), &mut again);
        assert_eq!(again, deep);
        let deeper: Vec<u8> = nest(DEPTH_MAX + 1);
        let beyond = 2 * (DEPTH_MAX + 1);
        assert_eq!(refused(&deeper), (beyond, Reason::Depth));
        // One that overflows the stack of whoever recurses.
        let deepest: Vec<u8> = nest(1_000_000);
        assert_eq!(refused(&deepest), (beyond, Reason::Depth));
    }

    #[test]
    fn a_length_is_not_believed_before_the_members_are_there() {
        let bytes = [0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        assert_eq!(refused(&bytes), (7, Reason::Truncated));
        let bytes = [0x0d, 0xff, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(refused(&bytes), (6, Reason::Truncated));
    }

    /// What Broker delivers to its subscribers is read here, too, in its normal form.
    #[test]
    fn what_broker_accepts_is_accepted_and_put_right() {
        let normal = |bytes: &[u8]| {
            let mut out = Vec::new();
            encode(&decode(bytes).unwrap(), &mut out);
            out
        };
        assert_eq!(normal(&[0x01, 7]), [0x01, 1]);
        assert_eq!(normal(&[0x05, 0x81, 0x00, b'a']), [0x05, 1, b'a']);
        assert_eq!(normal(&[0x0c, 2, 1, 1, 1, 0]), [0x0c, 2, 1, 0, 1, 1]);
        assert_eq!(normal(&[0x0d, 2, 1, 1, 0, 0, 0]), [0x0d, 2, 0, 0, 1, 1, 0]);
        let mut subnet = [
            7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3, 104,
        ];
        let unmasked = subnet;
        subnet[14..17].fill(0);
        assert_eq!(normal(&unmasked), subnet);
    }
}

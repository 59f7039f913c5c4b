//! The messages that are not events, read where they lie.

use super::{Message, MessageError, MessageType};
use crate::data::{Items, View};

/// The announcement of a stream of log records; Broker's `zeek::LogCreate`.
#[derive(Clone, Copy, Debug)]
pub struct LogCreateView<'a> {
    /// The label of the stream, `Conn::LOG`.
    pub stream: &'a [u8],
    /// The label of the writer, `Log::WRITER_ASCII`.
    pub writer: &'a [u8],
    /// Path, rotation and settings of the writer.
    pub writer_info: View<'a>,
    /// Names and types of the fields.
    pub fields: View<'a>,
}

impl<'a> LogCreateView<'a> {
    pub(super) fn from_content(mut content: Items<'a>) -> Result<Self, MessageError> {
        let mut read = || {
            Some(Self {
                stream: content.next()?.as_enum_value()?,
                writer: content.next()?.as_enum_value()?,
                writer_info: content.next()?,
                fields: content.next()?,
            })
        };
        read().ok_or(MessageError::Content {
            message: MessageType::LogCreate,
            expected: "two enum labels, writer info and fields",
        })
    }
}

/// A log record; Broker's `zeek::LogWrite`.
#[derive(Clone, Copy, Debug)]
pub struct LogWriteView<'a> {
    /// The label of the stream, `Conn::LOG`.
    pub stream: &'a [u8],
    /// The label of the writer, `Log::WRITER_ASCII`.
    pub writer: &'a [u8],
    /// The path of the log, without its ending.
    pub path: &'a [u8],
    /// The record, in Zeek's own serialization.
    pub serial: &'a [u8],
}

impl<'a> LogWriteView<'a> {
    pub(super) fn from_content(mut content: Items<'a>) -> Result<Self, MessageError> {
        let mut read = || {
            Some(Self {
                stream: content.next()?.as_enum_value()?,
                writer: content.next()?.as_enum_value()?,
                path: content.next()?.as_bytes()?,
                serial: content.next()?.as_bytes()?,
            })
        };
        read().ok_or(MessageError::Content {
            message: MessageType::LogWrite,
            expected: "two enum labels, a path and a record",
        })
    }
}

/// The new value of a global identifier; Broker's `zeek::IdentifierUpdate`.
#[derive(Clone, Copy, Debug)]
pub struct IdentifierUpdateView<'a> {
    /// The identifier.
    pub name: &'a [u8],
    /// Its value.
    pub value: View<'a>,
}

impl<'a> IdentifierUpdateView<'a> {
    pub(super) fn from_content(mut content: Items<'a>) -> Result<Self, MessageError> {
        let mut read = || {
            Some(Self {
                name: content.next()?.as_bytes()?,
                value: content.next()?,
            })
        };
        read().ok_or(MessageError::Content {
            message: MessageType::IdentifierUpdate,
            expected: "a name and a value",
        })
    }
}

/// Messages in a row, all of them valid. A batch may lie in a batch, as deep as data may be. Broker's
/// `zeek::Batch`.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a>(Items<'a>);

impl<'a> BatchView<'a> {
    pub(super) fn from_content(content: Items<'a>) -> Result<Self, MessageError> {
        for item in content {
            Message::try_from(item)?;
        }
        Ok(Self(content))
    }

    /// Its messages, one after the other.
    pub fn messages(self) -> impl Iterator<Item = Message<'a>> {
        self.0.filter_map(|item| Message::try_from(item).ok())
    }

    /// How many messages it has.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Has it no messages?
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::message::{
        encode_batch_head, encode_event, encode_identifier_update, encode_log_create,
        encode_log_write,
    };
    use crate::data::{DEPTH_MAX, Value};

    fn write(out: &mut Vec<u8>) {
        encode_log_write("Conn::LOG", "Log::WRITER_ASCII", "conn", &[1, 2], out);
    }

    #[test]
    fn every_message_shows_what_went_into_it() {
        let mut bytes = Vec::new();
        let fields = Value::Vector(vec![Value::from("ts")]);
        encode_log_create("S::LOG", "W", &Value::None, &fields, &mut bytes);
        let Ok(Message::LogCreate(create)) = Message::parse(&bytes) else {
            panic!("no LogCreate");
        };
        assert_eq!((create.stream, create.writer), (&b"S::LOG"[..], &b"W"[..]));
        assert_eq!(create.fields.decode(), Ok(fields));
        assert_eq!(create.writer_info.decode(), Ok(Value::None));

        bytes.clear();
        encode_batch_head(3, &mut bytes);
        write(&mut bytes);
        encode_identifier_update("Test::x", &Value::from(3_u64), &mut bytes);
        encode_batch_head(1, &mut bytes);
        encode_event("e", &[], None, &mut bytes);
        let Ok(Message::Batch(batch)) = Message::parse(&bytes) else {
            panic!("no Batch");
        };
        assert_eq!(batch.len(), 3);
        let messages: Vec<Message<'_>> = batch.messages().collect();
        let [
            Message::LogWrite(log),
            Message::IdentifierUpdate(update),
            Message::Batch(inner),
        ] = messages[..]
        else {
            panic!("{messages:?}");
        };
        assert_eq!((log.path, log.serial), (&b"conn"[..], &[1, 2][..]));
        assert_eq!(update.name, b"Test::x");
        assert_eq!(update.value.as_count(), Some(3));
        assert!(matches!(inner.messages().next(), Some(Message::Event(_))));
        assert!(!inner.is_empty());
    }

    #[test]
    fn one_invalid_message_spoils_its_batch() {
        let mut bytes = Vec::new();
        encode_batch_head(2, &mut bytes);
        write(&mut bytes);
        let valid_so_far = bytes.len();
        write(&mut bytes);
        assert!(Message::parse(&bytes).is_ok());
        bytes.truncate(valid_so_far);
        bytes.push(0);
        let refused = Message::parse(&bytes).unwrap_err();
        assert_eq!(refused, MessageError::NotAMessage);
    }

    #[test]
    fn batches_in_one_another_end_where_data_does() {
        let nest = |depth| {
            let mut bytes = Vec::new();
            for _ in 0..depth {
                encode_batch_head(1, &mut bytes);
            }
            write(&mut bytes);
            bytes
        };
        // Each batch is two vectors, and so is the record in the innermost.
        assert!(Message::parse(&nest(DEPTH_MAX / 2 - 1)).is_ok());
        let too_deep = nest(DEPTH_MAX / 2);
        let refused = Message::parse(&too_deep);
        assert!(matches!(refused, Err(MessageError::Malformed(_))));
    }
}

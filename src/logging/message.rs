//! What crosses a ring to a node that writes logs: who is going to write what, and lines.
//!
//! The writing node forms the lines; a logger numbers them, indexes them and appends them, without a
//! look inside. A message begins with a byte that no value of Broker's binary form begins with, so that
//! it is told from an event by its first byte.
//!
//! | kind | bytes |
//! | --- | --- |
//! | create | `0x81`, the id (8 bytes, little-endian), a [`Create`] in postcard |
//! | lines | `0x82`, the id, lines, each with its line feed |
//!
//! A [`WriterId`] is a digest of the content of its create message, so whoever writes the same names it
//! the same: all workers of a cluster, and the successors of the dead.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{LogPath, Schema, StreamId, json, tsv};

const CREATE: u8 = 0x81;
const LINES: u8 = 0x82;

/// Values of Broker's binary form begin with a tag below this.
const KINDS: u8 = 0x80;

/// The kind and the id.
const HEAD_BYTES: usize = 9;

/// The longest name of a filter, in bytes.
const FILTER_BYTES_MAX: usize = 255;

/// Who writes lines: a digest of what its [`Create`] says, FNV-1a of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriterId(pub u64);

/// In which form the lines are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Zeek's tab-separated values, which have a header and a footer.
    Tsv(tsv::Settings),
    /// An object a line.
    Json(json::Format),
}

/// The shortest interval between two rotations.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// A writer: what it is going to write, and where to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// The stream whose records it writes.
    pub stream: StreamId,
    /// The name of its filter.
    pub filter: String,
    /// The file that it wants.
    pub path: LogPath,
    /// The form of its lines.
    pub format: Format,
    /// Their columns.
    pub schema: Schema,
    /// The file is rotated at every multiple of this; `None`: as the layout says.
    pub interval: Option<Duration>,
}

/// What a node that writes logs is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Lines of this writer are going to come.
    Create(WriterId, Create),
    /// One record of a writer: its line or lines, each with its line feed.
    Lines(WriterId, &'a [u8]),
}

/// A payload that is no message, by the fault of who sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Of another kind.
    #[error("a payload that begins with {kind:#04x} is no message to a logger")]
    Kind {
        /// Its first byte; 0 if it has none.
        kind: u8,
    },
    /// Shorter than its head.
    #[error("a message to a logger has {bytes} bytes, less than its head")]
    Short {
        /// How many.
        bytes: usize,
    },
    /// Something that describes no writer, or more than that.
    #[error("a message to a logger describes no writer")]
    Content(#[from] postcard::Error),
    /// Bytes behind the description.
    #[error("a message to a logger has {bytes} bytes behind its writer")]
    Excess {
        /// How many.
        bytes: usize,
    },
    /// A name of a filter that is too long.
    #[error("the name of a filter has {bytes} bytes, at most {FILTER_BYTES_MAX} are allowed")]
    Filter {
        /// How many.
        bytes: usize,
    },
    /// Files would hardly be open before they are rotated.
    #[error("a writer's file cannot be rotated more often than each second")]
    Interval,
    /// Marks with which nothing could be read back.
    #[error("a writer's format cannot be read back")]
    Format(#[from] tsv::FormatError),
    /// Another id than that of what is described.
    #[error("a writer calls itself {:016x} and is {:016x}", said.0, is.0)]
    Id {
        /// What the head says.
        said: WriterId,
        /// What follows from the content.
        is: WriterId,
    },
    /// No whole lines.
    #[error("a record for a log has no lines, or ends in the midst of one")]
    Line,
}

impl WriterId {
    /// The id of the writer whose [`Create`] has these bytes in postcard.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        const START: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let digest = content.iter().fold(START, |digest, byte| {
            (digest ^ u64::from(*byte)).wrapping_mul(PRIME)
        });
        Self(digest)
    }
}

impl Create {
    /// The message as it travels, and the id that its lines are to bear.
    ///
    /// # Errors
    /// The name of the filter is too long, or the format could not be read back: what
    /// [`Message::decode`] would refuse.
    pub fn encode(&self) -> Result<(WriterId, Vec<u8>), MessageError> {
        self.check()?;
        let mut message = vec![0; HEAD_BYTES];
        message = postcard::to_extend(self, message)?;
        let id = WriterId::of(message.get(HEAD_BYTES..).unwrap_or_default());
        if let Some(place) = message.first_chunk_mut() {
            *place = head(CREATE, id);
        }
        Ok((id, message))
    }

    fn check(&self) -> Result<(), MessageError> {
        let bytes = self.filter.len();
        if bytes > FILTER_BYTES_MAX {
            return Err(MessageError::Filter { bytes });
        }
        if self.interval.is_some_and(|time| time < INTERVAL_MIN) {
            return Err(MessageError::Interval);
        }
        if let Format::Tsv(settings) = &self.format {
            tsv::Format::new(settings.clone())?;
        }
        Ok(())
    }

    fn decode(said: WriterId, content: &[u8]) -> Result<Self, MessageError> {
        let is = WriterId::of(content);
        if said != is {
            return Err(MessageError::Id { said, is });
        }
        let (create, rest): (Self, _) = postcard::take_from_bytes(content)?;
        if !rest.is_empty() {
            return Err(MessageError::Excess { bytes: rest.len() });
        }
        create.check()?;
        Ok(create)
    }
}

impl<'a> Message<'a> {
    /// What a payload is. Lines are borrowed from it.
    ///
    /// # Errors
    /// [`MessageError`] says why it is no message.
    pub fn decode(payload: &'a [u8]) -> Result<Self, MessageError> {
        let bytes = payload.len();
        let kind = payload.first().copied().unwrap_or(0);
        if kind != CREATE && kind != LINES {
            return Err(MessageError::Kind { kind });
        }
        let short = MessageError::Short { bytes };
        let Some((head, content)) = payload.split_first_chunk::<HEAD_BYTES>() else {
            return Err(short);
        };
        let [_, id @ ..] = *head;
        let writer = WriterId(u64::from_le_bytes(id));
        if kind == CREATE {
            return Ok(Message::Create(writer, Create::decode(writer, content)?));
        }
        if content.last() != Some(&b'\n') {
            return Err(MessageError::Line);
        }
        Ok(Message::Lines(writer, content))
    }
}

/// Is the payload for whoever writes logs, rather than an event?
#[must_use]
pub fn is_for_logger(payload: &[u8]) -> bool {
    payload.first().is_some_and(|kind| *kind >= KINDS)
}

/// What stands in front of the lines of one record, which follow as they are to stand in the file.
#[must_use]
pub fn lines_head(writer: WriterId) -> [u8; HEAD_BYTES] {
    head(LINES, writer)
}

fn head(kind: u8, writer: WriterId) -> [u8; HEAD_BYTES] {
    let [a, b, c, d, e, f, g, h] = writer.0.to_le_bytes();
    [kind, a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::{Atom, Column, Type};
    use proptest::prelude::*;

    fn create(format: Format) -> Create {
        let column = |name: &str, type_| Column::new(name, type_, true).unwrap();
        let columns = vec![
            column("ts", Type::Atom(Atom::Time)),
            column("id.orig_h", Type::Atom(Atom::Addr)),
            column("tags", Type::Set(Atom::String)),
        ];
        Create {
            stream: StreamId::parse("Conn::LOG").unwrap(),
            filter: "default".to_owned(),
            path: LogPath::parse("conn").unwrap(),
            format,
            schema: Schema::new(columns).unwrap(),
            interval: None,
        }
    }

    fn tsv() -> Format {
        Format::Tsv(tsv::Settings::default())
    }

    fn refused(content: impl Serialize) -> MessageError {
        let content = postcard::to_allocvec(&content).unwrap();
        let head = head(CREATE, WriterId::of(&content));
        Message::decode(&[&head, content.as_slice()].concat()).unwrap_err()
    }

    #[test]
    fn what_was_sent_is_what_comes_and_the_same_writer_has_the_same_id() {
        let json = Format::Json(json::Format {
            times: json::Times::Iso8601,
            unset_fields: true,
        });
        let mut ids = Vec::new();
        for format in [tsv(), json] {
            let create = create(format);
            let (id, message) = create.encode().unwrap();
            assert_eq!(create.clone().encode().unwrap().0, id);
            let expected = Message::Create(id, create);
            assert_eq!(Message::decode(&message).unwrap(), expected);
            assert!(is_for_logger(&message));
            ids.push(id);
        }
        assert_ne!(ids[0], ids[1]);
        let lines = [&lines_head(ids[0]), b"1\ta\n".as_slice()].concat();
        let expected = Message::Lines(ids[0], b"1\ta\n");
        assert_eq!(Message::decode(&lines).unwrap(), expected);
        assert!(is_for_logger(&lines));
    }

    #[test]
    fn an_event_is_not_taken_for_a_message() {
        for first in 0..KINDS {
            assert!(!is_for_logger(&[first, 0]));
            let error = Message::decode(&[first, 0]).unwrap_err();
            assert_eq!(error, MessageError::Kind { kind: first });
        }
        assert_eq!(
            Message::decode(b"").unwrap_err(),
            MessageError::Kind { kind: 0 }
        );
    }

    #[test]
    fn half_a_record_is_refused() {
        let head = lines_head(WriterId(7));
        assert_eq!(
            Message::decode(&head[..8]).unwrap_err(),
            MessageError::Short { bytes: 8 }
        );
        assert_eq!(Message::decode(&head).unwrap_err(), MessageError::Line);
        let cut = [&head, b"1\ta\n2".as_slice()].concat();
        assert_eq!(Message::decode(&cut).unwrap_err(), MessageError::Line);
    }

    #[test]
    fn a_writer_that_says_what_it_is_not_is_refused() {
        let (id, mut message) = create(tsv()).encode().unwrap();
        message[1] ^= 1;
        let said = WriterId(id.0 ^ 1);
        assert_eq!(
            Message::decode(&message).unwrap_err(),
            MessageError::Id { said, is: id }
        );
        let excess = (create(tsv()), 0_u8);
        assert_eq!(refused(&excess), MessageError::Excess { bytes: 1 });
    }

    /// Shows: the parts are checked where they come in, not only where they are made.
    #[test]
    fn a_writer_with_impossible_parts_is_refused() {
        let Create { schema, .. } = create(tsv());
        let with = |stream: &str, filter: &str, path: &str, format: &Format, schema: &Schema| {
            refused((stream, filter, path, format, schema, None::<Duration>))
        };
        let short = (
            "C::L",
            "default",
            "conn",
            tsv(),
            &schema,
            Some(Duration::from_millis(10)),
        );
        assert_eq!(refused(short), MessageError::Interval);
        let content = |error| matches!(error, MessageError::Content(_));
        assert!(content(with("Conn::", "default", "conn", &tsv(), &schema)));
        assert!(content(with("C::L", "default", "../conn", &tsv(), &schema)));
        let long = "f".repeat(FILTER_BYTES_MAX + 1);
        let bytes = long.len();
        assert_eq!(
            with("C::L", &long, "conn", &tsv(), &schema),
            MessageError::Filter { bytes }
        );
        let mistaken = Format::Tsv(tsv::Settings {
            separator: b'\n',
            ..tsv::Settings::default()
        });
        let error = with("C::L", "default", "conn", &mistaken, &schema);
        assert!(matches!(error, MessageError::Format(_)), "{error:?}");
        for columns in [
            vec![],
            vec![("a", "int", true); 2],
            vec![("a b", "int", true)],
        ] {
            let error = refused(("C::L", "default", "conn", tsv(), &columns));
            assert!(content(error), "{columns:?}");
        }
        assert!(content(refused((
            "C::L",
            "default",
            "conn",
            tsv(),
            [("a", "pattern", true)].as_slice()
        ))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_none(
            kind in prop_oneof![Just(CREATE), Just(LINES), any::<u8>()],
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let payload = [&[kind], bytes.as_slice()].concat();
            if let Ok(Message::Lines(_, lines)) = Message::decode(&payload) {
                prop_assert_eq!(lines, &payload[HEAD_BYTES..]);
            }
            let digest = head(CREATE, WriterId::of(&bytes));
            let _ = Message::decode(&[&digest, bytes.as_slice()].concat());
        }
    }
}

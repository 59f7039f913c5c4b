//! Zeek's messages: events, log records and identifiers, as values of a fixed shape.
//!
//! A message is the vector of a version, a type and a content, and the content a vector by type.
//! [`Message`] and what hangs below it read a message where it lies, without allocating; [`Event`]
//! owns what an event says. The `encode_…` functions append a message to a buffer, without a
//! [`Value`](super::Value) in between.
//!
//! What Broker calls an invalid message is a [`MessageError`] here. Neither the version nor members
//! behind the content are looked at, as in Zeek.

mod encode;
mod event;
mod metadata;
mod others;

pub use encode::{
    encode_batch_head, encode_event, encode_identifier_update, encode_log_create, encode_log_write,
};
pub use event::{Event, EventView};
pub use metadata::{Metadata, MetadataView};
pub use others::{BatchView, IdentifierUpdateView, LogCreateView, LogWriteView};

use super::binary::DecodeError;
use super::{Items, View};

/// The version that messages carry.
pub const VERSION: u64 = 1;

/// What a message is for; Broker's `zeek::Message::Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageType {
    /// An event with its arguments.
    Event = 1,
    /// A stream of log records is to be expected.
    LogCreate = 2,
    /// A log record.
    LogWrite = 3,
    /// A global identifier has a new value.
    IdentifierUpdate = 4,
    /// Messages in a row.
    Batch = 5,
}

impl MessageType {
    /// Its number in a message.
    #[must_use]
    pub const fn number(self) -> u64 {
        self as u64
    }

    /// The type with this number in a message.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Event),
            2 => Some(Self::LogCreate),
            3 => Some(Self::LogWrite),
            4 => Some(Self::IdentifierUpdate),
            5 => Some(Self::Batch),
            _ => None,
        }
    }
}

/// Data that is no message of Zeek's, or not the one that was asked for. The sender's fault: count it
/// and drop it; Broker's `zeek::Invalid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The bytes are not even a value.
    #[error("cannot read a message")]
    Malformed(#[from] DecodeError),
    /// Not the outer vector.
    #[error("a message is a vector of version, type and content")]
    NotAMessage,
    /// No message has this type.
    #[error("unknown message type {number}")]
    Type {
        /// The type's number.
        number: u64,
    },
    /// The content does not have the shape that goes with the type.
    #[error("{message:?} message with another content than {expected}")]
    Content {
        /// The message's type.
        message: MessageType,
        /// What its content should be.
        expected: &'static str,
    },
    /// A message, but no event.
    #[error("expected an event, found a {found:?} message")]
    NotAnEvent {
        /// What it is.
        found: MessageType,
    },
}

/// A message, read where it lies; Broker's `zeek::Message`.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// An event with its arguments.
    Event(EventView<'a>),
    /// A stream of log records is to be expected.
    LogCreate(LogCreateView<'a>),
    /// A log record.
    LogWrite(LogWriteView<'a>),
    /// A global identifier has a new value.
    IdentifierUpdate(IdentifierUpdateView<'a>),
    /// Messages in a row; all of them are valid.
    Batch(BatchView<'a>),
}

impl<'a> Message<'a> {
    /// Looks at the one message that the bytes are.
    ///
    /// # Errors
    /// [`MessageError`] says what it lacks.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        View::parse(bytes)?.try_into()
    }
}

impl<'a> TryFrom<View<'a>> for Message<'a> {
    type Error = MessageError;

    fn try_from(view: View<'a>) -> Result<Self, MessageError> {
        let (message, content) = open(view)?;
        Ok(match message {
            MessageType::Event => Self::Event(EventView::from_content(content)?),
            MessageType::LogCreate => Self::LogCreate(LogCreateView::from_content(content)?),
            MessageType::LogWrite => Self::LogWrite(LogWriteView::from_content(content)?),
            MessageType::IdentifierUpdate => {
                Self::IdentifierUpdate(IdentifierUpdateView::from_content(content)?)
            }
            MessageType::Batch => Self::Batch(BatchView::from_content(content)?),
        })
    }
}

/// The type and the content of a message.
fn open(view: View<'_>) -> Result<(MessageType, Items<'_>), MessageError> {
    let mut members = view.as_vector().ok_or(MessageError::NotAMessage)?;
    let (Some(_version), Some(number), Some(content)) =
        (members.next(), members.next(), members.next())
    else {
        return Err(MessageError::NotAMessage);
    };
    let number = number.as_count().ok_or(MessageError::NotAMessage)?;
    let message = MessageType::from_number(number).ok_or(MessageError::Type { number })?;
    let content = content.as_vector().ok_or(MessageError::NotAMessage)?;
    Ok((message, content))
}

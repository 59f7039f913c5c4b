//! Events: a name, arguments, and perhaps metadata.

use super::{MessageError, MessageType, Metadata, MetadataView, VERSION, encode_event, open};
use crate::data::binary::DecodeError;
use crate::data::{Items, Value, View};

/// An event; Broker's `zeek::Event`, the seeds' `Cluster::Event`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// Its name, with its module's: `Cluster::hello`.
    pub name: String,
    /// Its arguments.
    pub args: Vec<Value>,
    /// What it says beside them. `None` and empty differ in how they travel, not in meaning.
    pub metadata: Option<Metadata>,
}

impl Event {
    /// An event without metadata.
    #[must_use]
    pub fn new(name: impl Into<String>, args: Vec<Value>) -> Self {
        Self {
            name: name.into(),
            args,
            metadata: None,
        }
    }

    /// Appends it to a buffer, as a message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_event(&self.name, &self.args, self.metadata.as_ref(), out);
    }
}

/// The content of an event's message is not what it should be.
const WRONG: MessageError = MessageError::Content {
    message: MessageType::Event,
    expected: "a name, arguments and perhaps metadata",
};

impl From<Event> for Value {
    /// The event as a message.
    fn from(event: Event) -> Self {
        let mut content = vec![event.name.into(), Self::Vector(event.args)];
        content.extend(event.metadata.map(Self::from));
        let head = [VERSION, MessageType::Event.number()].map(Self::from);
        let [version, message] = head;
        Self::Vector(vec![version, message, Self::Vector(content)])
    }
}

impl TryFrom<Value> for Event {
    type Error = MessageError;

    /// Takes the event out of a message, which came as JSON perhaps. From bytes, [`EventView`] is the
    /// shorter way.
    fn try_from(value: Value) -> Result<Self, MessageError> {
        let Value::Vector(members) = value else {
            return Err(MessageError::NotAMessage);
        };
        let mut members = members.into_iter().skip(1);
        let (Some(Value::Count(number)), Some(Value::Vector(content))) =
            (members.next(), members.next())
        else {
            return Err(MessageError::NotAMessage);
        };
        let message = MessageType::from_number(number).ok_or(MessageError::Type { number })?;
        if message != MessageType::Event {
            return Err(MessageError::NotAnEvent { found: message });
        }
        let mut content = content.into_iter();
        let (Some(Value::String(name)), Some(Value::Vector(args))) =
            (content.next(), content.next())
        else {
            return Err(WRONG);
        };
        Ok(Self {
            name: String::from_utf8(name).map_err(|_| WRONG)?,
            args,
            metadata: content.next().map(Metadata::try_from).transpose()?,
        })
    }
}

/// An event, read where it lies; Broker's `zeek::Event`.
///
/// A name that is not UTF-8, which Broker lets pass, is refused: nobody can have declared it.
#[derive(Clone, Copy, Debug)]
pub struct EventView<'a> {
    name: &'a str,
    args: Items<'a>,
    metadata: Option<MetadataView<'a>>,
}

impl<'a> EventView<'a> {
    /// Looks at the one event that the bytes are.
    ///
    /// # Errors
    /// [`MessageError`] says what it lacks; another message is [`MessageError::NotAnEvent`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        match open(View::parse(bytes)?)? {
            (MessageType::Event, content) => Self::from_content(content),
            (found, _) => Err(MessageError::NotAnEvent { found }),
        }
    }

    pub(super) fn from_content(mut content: Items<'a>) -> Result<Self, MessageError> {
        let name = content.next().and_then(View::as_str).ok_or(WRONG)?;
        let args = content.next().and_then(View::as_vector).ok_or(WRONG)?;
        let metadata = content.next().map(MetadataView::from_view).transpose()?;
        Ok(Self {
            name,
            args,
            metadata,
        })
    }

    /// Its name, with its module's.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// Its arguments.
    #[must_use]
    pub const fn args(&self) -> Items<'a> {
        self.args
    }

    /// The argument with this index. The ones before it are only read past.
    #[must_use]
    pub fn arg(&self, index: usize) -> Option<View<'a>> {
        self.args().nth(index)
    }

    /// What it says beside its arguments.
    #[must_use]
    pub const fn metadata(&self) -> Option<MetadataView<'a>> {
        self.metadata
    }

    /// Takes all of it.
    ///
    /// # Errors
    /// A set or table with a duplicate, which a view does not look for.
    pub fn decode(&self) -> Result<Event, DecodeError> {
        Ok(Event {
            name: self.name.to_owned(),
            args: self.args.map(View::decode).collect::<Result<_, _>>()?,
            metadata: self.metadata.map(MetadataView::decode).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Timestamp;
    use crate::data::binary::encode;

    fn message(number: u64, content: Vec<Value>) -> Value {
        Value::Vector(vec![VERSION.into(), number.into(), Value::Vector(content)])
    }

    fn sample() -> Event {
        let mut event = Event::new("Cluster::hello", vec!["worker-1".into(), true.into()]);
        let mut metadata = Metadata::of_network_timestamp(Timestamp::from_nanos(7));
        metadata.push(200, Value::from("x")).unwrap();
        event.metadata = Some(metadata);
        event
    }

    /// The value and the bytes are two ways to the same event, or to the same refusal.
    fn read(value: &Value) -> Result<Event, MessageError> {
        let mut bytes = Vec::new();
        encode(value, &mut bytes);
        let seen = EventView::parse(&bytes).map(|view| view.decode().unwrap());
        assert_eq!(seen, Event::try_from(value.clone()));
        seen
    }

    #[test]
    fn an_event_survives_either_form() {
        let event = sample();
        assert_eq!(read(&Value::from(event.clone())), Ok(event.clone()));
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        let view = EventView::parse(&bytes).unwrap();
        assert_eq!(view.name(), "Cluster::hello");
        assert_eq!(view.args().len(), 2);
        assert_eq!(view.arg(0).and_then(View::as_str), Some("worker-1"));
        assert!(view.arg(2).is_none());
        let metadata = view.metadata().unwrap();
        let time = metadata.network_timestamp();
        assert_eq!(time, Some(Timestamp::from_nanos(7)));
        assert_eq!(metadata.get(200).and_then(View::as_str), Some("x"));
        assert!(metadata.get(201).is_none());
    }

    #[test]
    fn version_and_members_behind_the_content_are_not_looked_at() {
        let Value::Vector(mut members) = Value::from(sample()) else {
            panic!("a message is a vector");
        };
        members[0] = Value::from(2_u64);
        members.push(Value::None);
        assert_eq!(read(&Value::Vector(members)), Ok(sample()));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let name = Value::from("e");
        let none = Value::Vector(Vec::new());
        let entry = |members: &[Value]| Value::Vector(vec![Value::Vector(members.to_vec())]);
        for content in [
            vec![],
            vec![name.clone()],
            vec![Value::from(&[0xff_u8][..]), none.clone()],
            vec![Value::enum_value("e"), none.clone()],
            vec![name.clone(), Value::None],
            vec![name.clone(), none.clone(), Value::None],
            vec![
                name.clone(),
                none.clone(),
                Value::Vector(vec![1_u64.into()]),
            ],
            vec![name.clone(), none.clone(), entry(&[200_u64.into()])],
            vec![
                name.clone(),
                none.clone(),
                entry(&[200_i64.into(), Value::None]),
            ],
            vec![
                name.clone(),
                none.clone(),
                entry(&[1_u64.into(), 5_u64.into()]),
            ],
        ] {
            let refused = read(&message(1, content.clone()));
            assert!(
                matches!(refused, Err(MessageError::Content { .. })),
                "{content:?}: {refused:?}"
            );
        }
        for number in [0, 6, u64::MAX] {
            let refused = read(&message(number, vec![name.clone(), none.clone()]));
            assert_eq!(refused, Err(MessageError::Type { number }));
        }
        let found = MessageType::Batch;
        let refused = read(&message(5, vec![]));
        assert_eq!(refused, Err(MessageError::NotAnEvent { found }));
        let too_short = Value::Vector(vec![VERSION.into(), 1_u64.into()]);
        for value in [Value::None, none, too_short] {
            assert_eq!(read(&value), Err(MessageError::NotAMessage));
        }
    }
}

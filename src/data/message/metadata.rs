//! What an event says beside its arguments: values under numbers.

use super::{MessageError, MessageType};
use crate::data::binary::DecodeError;
use crate::data::{Items, Timestamp, Value, View};

/// The number of the time at which an event happened, in the network's time. Numbers below 200 are
/// Zeek's, the others are for users.
const NETWORK_TIMESTAMP: u64 = 1;

/// The metadata of an event, in the order in which it travels. A number may be there twice; the
/// first one counts; the third member of `zeek::Event`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Metadata(Vec<(u64, Value)>);

impl Metadata {
    /// No metadata, but the field for it.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// `EventMetadata::NETWORK_TIMESTAMP`: the time of an event, and nothing else.
    #[must_use]
    pub fn of_network_timestamp(time: Timestamp) -> Self {
        Self(vec![(NETWORK_TIMESTAMP, time.into())])
    }

    /// Adds a value under a number.
    ///
    /// # Errors
    /// Gives the value back if it is not a timestamp though the number is that of the network's time:
    /// receivers would drop the whole event.
    pub fn push(&mut self, key: u64, value: Value) -> Result<(), Value> {
        if key == NETWORK_TIMESTAMP && !matches!(value, Value::Timestamp(_)) {
            return Err(value);
        }
        self.0.push((key, value));
        Ok(())
    }

    /// The first value under a number.
    #[must_use]
    pub fn get(&self, key: u64) -> Option<&Value> {
        let found = self.0.iter().find(|(other, _)| *other == key);
        found.map(|(_, value)| value)
    }

    /// `EventMetadata::NETWORK_TIMESTAMP`: the network's time at which the event happened.
    #[must_use]
    pub fn network_timestamp(&self) -> Option<Timestamp> {
        if let Some(Value::Timestamp(time)) = self.get(NETWORK_TIMESTAMP) {
            Some(*time)
        } else {
            None
        }
    }

    /// Numbers and values, in the order in which they travel.
    pub fn iter(&self) -> std::slice::Iter<'_, (u64, Value)> {
        self.0.iter()
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is there nothing?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Metadata {
    type Item = &'a (u64, Value);
    type IntoIter = std::slice::Iter<'a, (u64, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<Metadata> for Value {
    fn from(metadata: Metadata) -> Self {
        let entries = metadata.0.into_iter();
        Self::Vector(
            entries
                .map(|(key, value)| Self::Vector(vec![key.into(), value]))
                .collect(),
        )
    }
}

/// The content of the message is not what it should be.
const WRONG: MessageError = MessageError::Content {
    message: MessageType::Event,
    expected: "metadata as pairs of a count and a value, a timestamp for 1",
};

impl TryFrom<Value> for Metadata {
    type Error = MessageError;

    fn try_from(value: Value) -> Result<Self, MessageError> {
        let Value::Vector(entries) = value else {
            return Err(WRONG);
        };
        let mut metadata = Self::new();
        for entry in entries {
            let entry = Vec::try_from(entry).map_err(|_| WRONG)?;
            let [Value::Count(key), value] = <[Value; 2]>::try_from(entry).map_err(|_| WRONG)?
            else {
                return Err(WRONG);
            };
            metadata.push(key, value).map_err(|_| WRONG)?;
        }
        Ok(metadata)
    }
}

/// The metadata of an event, read where it lies; the third member of `zeek::Event`.
#[derive(Clone, Copy, Debug)]
pub struct MetadataView<'a>(Items<'a>);

impl<'a> MetadataView<'a> {
    pub(super) fn from_view(view: View<'a>) -> Result<Self, MessageError> {
        let entries = view.as_vector().ok_or(WRONG)?;
        for entry in entries {
            let (key, value) = pair(entry).ok_or(WRONG)?;
            if key == NETWORK_TIMESTAMP && value.as_timestamp().is_none() {
                return Err(WRONG);
            }
        }
        Ok(Self(entries))
    }

    /// Numbers and values, in the order in which they were written.
    pub fn iter(self) -> impl Iterator<Item = (u64, View<'a>)> {
        self.0.filter_map(pair)
    }

    /// The first value under a number.
    #[must_use]
    pub fn get(self, key: u64) -> Option<View<'a>> {
        let mut entries = self.iter();
        entries
            .find(|(other, _)| *other == key)
            .map(|(_, value)| value)
    }

    /// The network's time at which the event happened.
    #[must_use]
    pub fn network_timestamp(self) -> Option<Timestamp> {
        self.get(NETWORK_TIMESTAMP)?.as_timestamp()
    }

    /// Takes all of it.
    ///
    /// # Errors
    /// A set or table with a duplicate, which a view does not look for.
    pub fn decode(self) -> Result<Metadata, DecodeError> {
        let entries = self.iter();
        let entries: Result<_, _> = entries
            .map(|(key, view)| Ok((key, view.decode()?)))
            .collect();
        entries.map(Metadata)
    }
}

/// A number and its value.
fn pair(entry: View<'_>) -> Option<(u64, View<'_>)> {
    let mut members = entry.as_vector()?;
    let (key, value) = (members.next()?.as_count()?, members.next()?);
    members.next().is_none().then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_under_a_number_counts() {
        let mut metadata = Metadata::of_network_timestamp(Timestamp::from_nanos(5));
        let later = Value::Timestamp(Timestamp::from_nanos(6));
        assert_eq!(metadata.push(NETWORK_TIMESTAMP, later), Ok(()));
        let time = metadata.network_timestamp();
        assert_eq!(time, Some(Timestamp::from_nanos(5)));
        assert_eq!(metadata.len(), 2);
    }

    #[test]
    fn what_receivers_would_drop_is_not_taken_as_a_time() {
        let mut metadata = Metadata::new();
        let refused = metadata.push(NETWORK_TIMESTAMP, Value::from(5_u64));
        assert_eq!(refused, Err(Value::from(5_u64)));
        assert!(metadata.is_empty());
        assert_eq!(metadata.push(200, Value::from(5_u64)), Ok(()));
    }
}

//! Publishing: to a topic, or to one of a pool.

use std::collections::VecDeque;

use super::{Accepted, Cluster, PublishError};
use crate::data::message::{Event, Metadata, encode_event};
use crate::data::{Timestamp, Value};
use crate::framework::{EventError, EventType};
use crate::pool::{HashKey, KeyError};
use crate::sys::clock;
use crate::topic::check_length;

/// Bytes of topics and payloads of events that this node gave to itself and has not handled: with more, the
/// newest is dropped. One is taken whatever its size.
const OWN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// An event whose turn in a pool was this node's own.
#[derive(Debug)]
pub(super) struct OwnTurn {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
}

/// Events whose turns were this node's own, in the order in which it gave them to itself.
#[derive(Debug, Default)]
pub(super) struct OwnTurns {
    turns: VecDeque<OwnTurn>,
    bytes: usize,
    dropped: u64,
}

impl OwnTurns {
    /// Takes an event, or drops and counts it where there is no room. Returns whether it was taken.
    fn push(&mut self, topic: &str, payload: &[u8]) -> bool {
        let bytes = self.bytes.saturating_add(topic.len() + payload.len());
        if bytes > OWN_BYTES_MAX && !self.turns.is_empty() {
            self.dropped += 1;
            return false;
        }
        self.bytes = bytes;
        self.turns.push_back(OwnTurn {
            topic: topic.to_owned(),
            payload: payload.to_owned(),
        });
        true
    }

    pub(super) fn pop(&mut self) -> Option<OwnTurn> {
        let own = self.turns.pop_front()?;
        self.bytes -= own.topic.len() + own.payload.len();
        Some(own)
    }

    pub(super) fn len(&self) -> usize {
        self.turns.len()
    }
}

impl Cluster {
    /// `Cluster::make_event`: as [`EventType::event`], but what does not fit is reported, and gives an
    /// event without a name, which no `publish` accepts.
    #[must_use]
    pub fn make_event(&self, what: &EventType, args: Vec<Value>) -> Event {
        what.event(args).unwrap_or_else(|error| {
            log::error!("event=no_event error=\"{error}\"");
            Event::new("", Vec::new())
        })
    }

    /// `Cluster::publish`: sends an event to every other node that subscribed the topic. One that was
    /// [declared](Cluster::declare) has to fit its declaration.
    ///
    /// May wait as [`crate::node::endpoint::Outbox::publish`] does.
    ///
    /// # Errors
    /// [`PublishError`]; nothing was sent then. [`super::OrReport`] makes the seeds' T and F of it.
    pub fn publish(&mut self, topic: &str, event: &Event) -> Result<Accepted, PublishError> {
        self.encode(event)?;
        self.fit(topic)?;
        Ok(self.send(topic))
    }

    /// `Cluster::publish_rr`: sends an event to the next member of the pool that is alive. Keys take turns
    /// independently of one another. If it is this node's own turn, the event comes to its own handler, in
    /// the next turn; [`Cluster::own_turns_dropped`] counts those for which there was no room till then.
    ///
    /// # Errors
    /// As [`Cluster::publish`]; [`PublishError::NobodyAlive`], too, which is no fault.
    pub fn publish_rr(
        &mut self,
        pool: &str,
        key: &str,
        event: &Event,
    ) -> Result<Accepted, PublishError> {
        self.check_pool(pool)?;
        self.encode(event)?;
        let key = key.as_bytes();
        let topic = self.membership.pools().next_rr_topic(pool, key);
        let topic = topic.map(str::to_owned).ok_or_else(|| nobody(pool))?;
        // A turn is not spent on what cannot be sent.
        self.fit(&topic)?;
        self.membership.pools_mut().rr_topic(pool, key);
        Ok(self.send_to(&topic))
    }

    /// `Cluster::publish_hrw`: sends an event to the member of the pool that the key belongs to, the same
    /// from whichever node. A key can be a text, a [`Value`], or a [`HashKey`].
    ///
    /// # Errors
    /// As [`Cluster::publish_rr`], and [`PublishError::Key`].
    pub fn publish_hrw<'k, K>(
        &mut self,
        pool: &str,
        key: K,
        event: &Event,
    ) -> Result<Accepted, PublishError>
    where
        K: TryInto<HashKey<'k>>,
        K::Error: Into<KeyError>,
    {
        self.check_pool(pool)?;
        let key = key.try_into().map_err(Into::into)?;
        self.encode(event)?;
        let topic = self.membership.pools().hrw_topic(pool, &key)?;
        let topic = topic.map(str::to_owned).ok_or_else(|| nobody(pool))?;
        self.fit(&topic)?;
        Ok(self.send_to(&topic))
    }

    /// `add_network_timestamp`: events that this node publishes carry the time at which they happened:
    /// that of the event which is being handled, else now. Off by default.
    pub fn add_network_timestamp(&mut self, add: bool) {
        self.stamps.add = add;
    }

    /// `add_missing_remote_network_timestamp`: events that come without a time get that of their arrival.
    /// Off by default, and without effect where [`Cluster::add_network_timestamp`] is off.
    pub fn add_missing_remote_network_timestamp(&mut self, add: bool) {
        self.stamps.add_missing = add;
    }

    fn check_pool(&self, pool: &str) -> Result<(), PublishError> {
        match self.membership.pools().get(pool) {
            Some(_) => Ok(()),
            None => Err(PublishError::NoSuchPool {
                pool: pool.to_owned(),
            }),
        }
    }

    /// Encodes an event, once for whatever topic it goes to.
    fn encode(&mut self, event: &Event) -> Result<(), PublishError> {
        if event.name.is_empty() {
            return Err(EventError::Unset.into());
        }
        if let Err(error) = self.declared.check(event) {
            if matches!(error, EventError::Holes { .. } | EventError::TooDeep { .. }) {
                self.trouble(format!("cannot serialize: {error}"));
            }
            return Err(error.into());
        }
        let metadata = self.metadata_of(event);
        let metadata = metadata.as_ref().or(event.metadata.as_ref());
        self.buffer.clear();
        encode_event(&event.name, &event.args, metadata, &mut self.buffer);
        Ok(())
    }

    /// Can what is encoded go to this topic?
    fn fit(&mut self, topic: &str) -> Result<(), PublishError> {
        check_length(topic.as_bytes())?;
        let bytes = self.buffer.len() + topic.len();
        let max = self.endpoint.outbox().record_bytes_max();
        if bytes > max {
            return Err(PublishError::TooLarge { bytes, max });
        }
        Ok(())
    }

    /// The metadata of an event that is to be given its time.
    fn metadata_of(&self, event: &Event) -> Option<Metadata> {
        let own = event.metadata.as_ref();
        if !self.stamps.add || own.and_then(Metadata::network_timestamp).is_some() {
            return None;
        }
        let time = self.stamps.current.unwrap_or_else(now);
        let mut metadata = Metadata::of_network_timestamp(time);
        for (key, value) in own.into_iter().flatten() {
            // Only a second time of the event is refused, and it has none.
            let _ = metadata.push(*key, value.clone());
        }
        Some(metadata)
    }

    /// Sends what is encoded.
    fn send(&mut self, topic: &str) -> Accepted {
        let outbox = self.endpoint.outbox();
        if outbox.publish(topic.as_bytes(), &self.buffer) {
            Accepted::ByAll
        } else {
            Accepted::WithDrops
        }
    }

    /// Sends what is encoded to a node, which may be this one.
    fn send_to(&mut self, topic: &str) -> Accepted {
        let local = self.membership.roster().local();
        let own = local.map(|name| self.membership.topics().node_topic(name.as_str()));
        let is_own = own.as_deref() == Some(topic);
        let is_taken = !is_own || self.own_turns.push(topic, &self.buffer);
        let sent = self.send(topic);
        if is_taken { sent } else { Accepted::WithDrops }
    }

    /// Events whose turn was this node's own and for which it had no room: it gave itself more than it
    /// handled.
    #[must_use]
    pub fn own_turns_dropped(&self) -> u64 {
        self.own_turns.dropped
    }
}

pub(super) fn now() -> Timestamp {
    clock::wall().into()
}

fn nobody(pool: &str) -> PublishError {
    PublishError::NobodyAlive {
        pool: pool.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_gives_itself_has_a_bound_and_what_is_beyond_is_counted() {
        let mut own = OwnTurns::default();
        let half = vec![0; OWN_BYTES_MAX / 2 - 1];
        // One alone may be larger than all together.
        assert!(own.push("t", &vec![0; OWN_BYTES_MAX]));
        assert!(!own.push("t", &[]));
        assert_eq!(own.pop().unwrap().payload.len(), OWN_BYTES_MAX);
        assert!(own.push("t", &half) && own.push("t", &half));
        assert!(!own.push("", &[0]));
        assert_eq!((own.len(), own.dropped), (2, 2));
        assert_eq!(own.pop().unwrap().payload, half);
        assert!(own.push("t", &[0]));
    }
}

//! Lines on their way: which logger gets them, and what has to reach it before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::LocalSink;
use crate::fabric::Slot;
use crate::framework::Membership;
use crate::logging::message::WriterId;
use crate::logging::spec::{LogSpec, Turn};
use crate::logging::streams::Line;
use crate::logging::{LogPath, StreamId};
use crate::names::LifeId;
use crate::node::endpoint::{Before, Outbox, again};

/// Topics that are remembered. With more of them, made by a program's function, all are forgotten, and
/// their readers told anew.
const WAYS_MAX: usize = 256;

/// `Broker::log_topic`: where a line of a stream goes that is to be written to this path.
pub(super) type LogTopic = Box<dyn FnMut(&StreamId, &LogPath) -> String + Send>;

/// The state of sending.
#[derive(Default)]
pub(super) struct Sending {
    topic_by: Option<LogTopic>,
    /// Of the last line.
    topic: String,
    /// So many more lines go there before the next logger has its turn.
    left: u32,
    ways: BTreeMap<String, Way>,
    sink: Option<Box<dyn LocalSink>>,
    /// The writers that the sink knows.
    told: BTreeSet<WriterId>,
    /// Lines that are not safe.
    pub(super) dropped: u64,
    /// The bytes of a line, or of what has to come before it, that never will be: it is too large.
    pub(super) too_large: Option<usize>,
}

/// A topic, and who gets what is published there.
#[derive(Debug, Default)]
struct Way {
    /// The outbox's count of changes when it was looked who they are.
    version: Option<u64>,
    receivers: Vec<(Slot, LifeId)>,
    /// The writers that all of them know.
    told: BTreeSet<WriterId>,
}

/// What sending needs of the node.
pub(super) struct Around<'a, 'b> {
    pub(super) membership: &'a mut Membership,
    pub(super) outbox: &'a mut Outbox,
    pub(super) spec: &'a LogSpec,
    /// Is told before a ring accepts a line; whoever wants that tries again with what is not safe.
    pub(super) before: Before<'b>,
}

impl Sending {
    /// Lines go where this function says, and not to one logger after the other.
    pub(super) fn set_topic(&mut self, topic_by: LogTopic) {
        self.topic_by = Some(topic_by);
        self.turn_over();
    }

    pub(super) fn set_sink(&mut self, sink: Box<dyn LocalSink>) {
        self.sink = Some(sink);
        self.told.clear();
    }

    /// The next line goes to the next logger: there are others than before.
    pub(super) fn turn_over(&mut self) {
        self.left = 0;
    }

    pub(super) fn flush_sink(&mut self) {
        if let Some(sink) = &mut self.sink {
            sink.flush();
        }
    }

    /// Sends a line. Returns whether it is safe with everybody who is to have it.
    pub(super) fn send(&mut self, line: &Line<'_>, around: &mut Around<'_, '_>) -> bool {
        let writes = around.membership.writes_logs();
        let is_kept = !line.filter.log_local.unwrap_or(writes) || self.keep(line);
        let is_sent = !line.filter.log_remote.unwrap_or(!writes) || {
            self.choose_topic(line, around);
            self.publish(line, around.outbox, again(&mut around.before))
        };
        let is_safe = is_kept && is_sent;
        self.dropped += u64::from(!is_safe && around.before.is_none());
        is_safe
    }

    /// Hands a line to this node's own writer thread.
    fn keep(&mut self, line: &Line<'_>) -> bool {
        let (sink, id) = (self.sink.as_mut(), line.writer.id());
        sink.is_some_and(|sink| {
            if !self.told.contains(&id) {
                if !sink.take(line.writer.message()) {
                    return false;
                }
                self.told.insert(id);
            }
            sink.take(line.message)
        })
    }

    fn choose_topic(&mut self, line: &Line<'_>, around: &mut Around<'_, '_>) {
        let stream = &line.writer.create().stream;
        if let Some(topic_by) = &mut self.topic_by {
            self.topic = topic_by(stream, line.writer.path());
            return;
        }
        if around.spec.round_robin {
            if self.left > 0 {
                self.left -= 1;
                return;
            }
            if let Some(topic) = around.membership.rr_log_topic_of_any() {
                topic.clone_into(&mut self.topic);
                self.left = match around.spec.per {
                    Turn::Record => 0,
                    Turn::Batch => around.spec.batch_records.saturating_sub(1),
                };
                return;
            }
        }
        let topics = around.membership.topics();
        self.topic = topics.default_log_topic(stream.as_str());
    }

    fn publish(&mut self, line: &Line<'_>, outbox: &mut Outbox, before: Before<'_>) -> bool {
        let version = outbox.look();
        if !self.ways.contains_key(&self.topic) {
            if self.ways.len() >= WAYS_MAX {
                self.ways.clear();
            }
            self.ways.insert(self.topic.clone(), Way::default());
        }
        let Some(way) = self.ways.get_mut(&self.topic) else {
            return false;
        };
        let topic = self.topic.as_bytes();
        if way.version != Some(version) {
            way.version = Some(version);
            way.meet(outbox.receivers(topic));
        }
        let id = line.writer.id();
        // Who has come since the look knows no writers yet, so it is not to get lines.
        let bytes_max = outbox.record_bytes_max().saturating_sub(topic.len());
        let too_large = &mut self.too_large;
        let mut publish = |message: &[u8], before: Before<'_>| {
            if message.len() > bytes_max {
                *too_large = Some(message.len());
                // Who tries again does not count it at each try.
                if before.is_some() {
                    return false;
                }
            }
            let reach = outbox.reach_bulk_as_seen(topic, message, before);
            reach.wanted > 0 && reach.is_whole()
        };
        if !way.told.contains(&id) {
            if !publish(line.writer.message(), None) {
                return false;
            }
            way.told.insert(id);
        }
        publish(line.message, before)
    }
}

impl Way {
    /// They get what is published there from now on. A newcomer knows no writers.
    fn meet(&mut self, receivers: Vec<(Slot, LifeId)>) {
        let mut news = receivers.iter().filter(|it| !self.receivers.contains(it));
        if news.next().is_some() {
            self.told.clear();
        }
        self.receivers = receivers;
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("ways", &self.ways)
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_are_told_anew_when_somebody_comes_and_not_when_somebody_leaves() {
        let who = |slot, life| (Slot(slot), LifeId([life; 16]));
        let mut way = Way::default();
        way.meet(vec![who(1, 1), who(2, 2)]);
        way.told.insert(WriterId(7));
        way.meet(vec![who(1, 1)]);
        assert_eq!(way.told.len(), 1);
        // The successor in the same place is somebody else.
        way.meet(vec![who(1, 3)]);
        assert!(way.told.is_empty());
    }
}

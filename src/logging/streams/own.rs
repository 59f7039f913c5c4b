//! The streams that every node has, and their records.

use serde::Serialize;

use super::StreamSpec;
use crate::data::Timestamp;
use crate::logging::{Atom, Column, LogPath, Schema, SchemaError, StreamId, Type};

/// A stream that every node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnStream {
    /// `Cluster::LOG`, `cluster.log`: what nodes see of one another.
    Cluster,
    /// `Reporter::LOG`, `reporter.log`: what went wrong.
    Reporter,
    /// `Lifecycle::LOG`, `lifecycle.log`: who came and went, as the manager saw it.
    Lifecycle,
    /// `NodeStats::LOG`, `node_stats.log`: what every node uses and does, if the layout wants to know.
    NodeStats,
}

/// A record of [`OwnStream::Cluster`]: `Cluster::Info`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterLogInfo {
    /// `ts`: when it was written.
    pub ts: Timestamp,
    /// `node`: who writes.
    pub node: String,
    /// `message`
    pub message: String,
}

/// A record of [`OwnStream::Reporter`]: `Reporter::Info`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReporterInfo {
    /// `ts`: when it was written.
    pub ts: Timestamp,
    /// `level`
    pub level: ReporterLevel,
    /// `message`
    pub message: String,
    /// `location`: where; here the node's name, for it is not a script that reports.
    pub location: String,
}

/// How bad it is: `Reporter::Level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ReporterLevel {
    /// It is the course of life.
    #[serde(rename = "Reporter::INFO")]
    Info,
    /// It healed itself.
    #[serde(rename = "Reporter::WARNING")]
    Warning,
    /// Somebody has to act.
    #[serde(rename = "Reporter::ERROR")]
    Error,
}

/// A record of [`OwnStream::Lifecycle`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LifecycleInfo {
    /// When the manager saw it.
    pub ts: Timestamp,
    /// Who.
    pub node: String,
    /// As which process.
    pub id: String,
    /// What happened.
    pub event: LifecycleEvent,
    /// Why a node went down.
    pub cause: Option<DownCause>,
}

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum LifecycleEvent {
    /// It can be published to.
    #[serde(rename = "Lifecycle::UP")]
    Up,
    /// It is gone.
    #[serde(rename = "Lifecycle::DOWN")]
    Down,
}

/// Why a node went down, as far as the others can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum DownCause {
    /// It died, and is to come back.
    #[serde(rename = "Lifecycle::DIED")]
    Died,
    /// It was stopped, has done its work, or was given up.
    #[serde(rename = "Lifecycle::STOPPED")]
    Stopped,
    /// Another process has its name already.
    #[serde(rename = "Lifecycle::REPLACED")]
    Replaced,
    /// It is not in the layout any more.
    #[serde(rename = "Lifecycle::REMOVED")]
    Removed,
}

/// A record of [`OwnStream::NodeStats`]: a node at one time. Counts and rates are since the last one, and
/// unset in the first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeStatsInfo {
    /// When it was looked at.
    pub ts: Timestamp,
    /// Who.
    pub node: String,
    /// Its process, if it has one.
    pub pid: Option<u64>,
    /// Processors that it used on average; 1: all of one.
    pub cpu: Option<f64>,
    /// Its resident memory, in bytes.
    pub rss: Option<u64>,
    /// Its open descriptors; unset if they are another user's.
    pub descriptors: Option<u64>,
    /// Records that it published, a second.
    pub published: Option<f64>,
    /// Records that were delivered to it, a second.
    pub delivered: Option<f64>,
    /// Records that wait for it.
    pub queued: Option<u64>,
    /// Records that were to get to it and do not.
    pub dropped: Option<u64>,
    /// How often it was born again.
    pub restarts: u64,
}

impl OwnStream {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Cluster,
        Self::Reporter,
        Self::Lifecycle,
        Self::NodeStats,
    ];

    /// Its id.
    #[must_use]
    pub fn id(self) -> StreamId {
        StreamId::known(match self {
            Self::Cluster => "Cluster::LOG",
            Self::Reporter => "Reporter::LOG",
            Self::Lifecycle => "Lifecycle::LOG",
            Self::NodeStats => "NodeStats::LOG",
        })
    }

    /// What its records are, and where its default filter writes to.
    ///
    /// # Errors
    /// None: a test makes them all.
    pub fn spec(self) -> Result<StreamSpec, SchemaError> {
        let (path, columns): (_, &[(&str, Atom, bool)]) = match self {
            Self::Cluster => (
                "cluster",
                &[
                    ("ts", Atom::Time, false),
                    ("node", Atom::String, false),
                    ("message", Atom::String, false),
                ],
            ),
            Self::Reporter => (
                "reporter",
                &[
                    ("ts", Atom::Time, false),
                    ("level", Atom::Enum, false),
                    ("message", Atom::String, false),
                    ("location", Atom::String, true),
                ],
            ),
            Self::Lifecycle => (
                "lifecycle",
                &[
                    ("ts", Atom::Time, false),
                    ("node", Atom::String, false),
                    ("id", Atom::String, false),
                    ("event", Atom::Enum, false),
                    ("cause", Atom::Enum, true),
                ],
            ),
            Self::NodeStats => (
                "node_stats",
                &[
                    ("ts", Atom::Time, false),
                    ("node", Atom::String, false),
                    ("pid", Atom::Count, true),
                    ("cpu", Atom::Double, true),
                    ("rss", Atom::Count, true),
                    ("descriptors", Atom::Count, true),
                    ("published", Atom::Double, true),
                    ("delivered", Atom::Double, true),
                    ("queued", Atom::Count, true),
                    ("dropped", Atom::Count, true),
                    ("restarts", Atom::Count, false),
                ],
            ),
        };
        let columns = columns
            .iter()
            .map(|(name, atom, optional)| Column::new(*name, Type::Atom(*atom), *optional));
        let schema = Schema::new(columns.collect::<Result<_, _>>()?)?;
        Ok(StreamSpec::new(schema, LogPath::known(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::message::{Format, Message};
    use crate::logging::streams::Streams;
    use crate::logging::tsv;

    /// What a stream makes of a record: path and line.
    fn written(own: OwnStream, record: &impl Serialize) -> (String, String) {
        let mut streams = Streams::new(Format::Tsv(tsv::Settings::default()));
        streams
            .create_stream(own.id(), own.spec().unwrap())
            .unwrap();
        let mut all = Vec::new();
        let mut take = |line: crate::logging::streams::Line<'_>| {
            let Message::Lines(_, lines) = Message::decode(line.message).unwrap() else {
                panic!("no lines");
            };
            let lines = String::from_utf8(lines.to_vec()).unwrap();
            all.push((line.writer.path().to_string(), lines));
        };
        streams.write_row(&own.id(), record, &mut take).unwrap();
        all.pop().unwrap()
    }

    #[test]
    fn ids_and_paths_are_what_they_are_trusted_to_be() {
        for own in OwnStream::ALL {
            assert_eq!(StreamId::parse(own.id().as_str()), Ok(own.id()));
            let path = own.spec().unwrap().path;
            assert_eq!(LogPath::parse(path.as_str()), Ok(path.clone()));
        }
    }

    #[test]
    fn a_record_of_a_node_fits_its_stream() {
        let info = NodeStatsInfo {
            ts: Timestamp::from_nanos(1_500_000_000),
            node: "worker-1".to_owned(),
            pid: Some(412),
            cpu: Some(0.25),
            rss: Some(4096),
            descriptors: None,
            published: Some(10.5),
            delivered: Some(0.0),
            queued: Some(3),
            dropped: None,
            restarts: 1,
        };
        let expected = "1.500000\tworker-1\t412\t0.25\t4096\t-\t10.5\t0.0\t3\t-\t1\n".to_owned();
        assert_eq!(
            written(OwnStream::NodeStats, &info),
            ("node_stats".to_owned(), expected)
        );
    }

    #[test]
    fn records_of_our_own_fit_their_streams() {
        let (ts, node) = (Timestamp::from_nanos(1_500_000_000), "worker-1".to_owned());
        let message = "got hello from manager (id)".to_owned();
        let info = ClusterLogInfo { ts, node, message };
        let expected = "1.500000\tworker-1\tgot hello from manager (id)\n".to_owned();
        assert_eq!(
            written(OwnStream::Cluster, &info),
            ("cluster".to_owned(), expected)
        );
        let info = ReporterInfo {
            ts,
            level: ReporterLevel::Error,
            message: "no".to_owned(),
            location: "worker-1".to_owned(),
        };
        let expected = "1.500000\tReporter::ERROR\tno\tworker-1\n".to_owned();
        assert_eq!(
            written(OwnStream::Reporter, &info),
            ("reporter".to_owned(), expected)
        );
        let mut info = LifecycleInfo {
            ts,
            node: "worker-1".to_owned(),
            id: "a".to_owned(),
            event: LifecycleEvent::Down,
            cause: Some(DownCause::Died),
        };
        let expected = "1.500000\tworker-1\ta\tLifecycle::DOWN\tLifecycle::DIED\n".to_owned();
        assert_eq!(
            written(OwnStream::Lifecycle, &info),
            ("lifecycle".to_owned(), expected)
        );
        (info.event, info.cause) = (LifecycleEvent::Up, None);
        let expected = "1.500000\tworker-1\ta\tLifecycle::UP\t-\n".to_owned();
        assert_eq!(
            written(OwnStream::Lifecycle, &info),
            ("lifecycle".to_owned(), expected)
        );
    }
}

//! Logging: from `Log::write` to the ring of a logger.
//!
//! The node's [`Streams`] form lines; each goes to one logger after the other, or where the program says.
//! Before its first line a logger is told of the writer; so is the successor of one that died. A line is
//! safe when it lies in the logger's ring, and waits there if the logger is dead. Loggers are not woken
//! for each line, but for a batch of them.

mod own;
mod sending;
mod sink;

pub use sink::LocalSink;

use std::fmt;

use serde::Serialize;

use super::{Cluster, OrReport};
use crate::causes;
use crate::data::Value;
use crate::logging::spec::LogSpec;
use crate::logging::streams::{Line, LogError, OwnStream, Policy, ReporterLevel, Streams};
use crate::logging::{LogPath, Record, StreamId};
use crate::node::endpoint::Before;
use crate::shm::ring::RingId;

use own::OwnIds;
use sending::{Around, Sending};

/// A node's streams, and their way out.
pub(super) struct Logs {
    streams: Streams,
    sending: Sending,
    own: OwnIds,
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs")
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

impl Logs {
    /// With the streams that every node has.
    pub(super) fn new(spec: &LogSpec) -> Self {
        let mut streams = Streams::new(spec.file_format());
        let own = OwnIds::create(&mut streams);
        Self {
            streams,
            sending: Sending::default(),
            own,
        }
    }

    /// There are other loggers than before.
    pub(super) fn turn_over(&mut self) {
        self.sending.turn_over();
    }
}

impl Cluster {
    /// The log streams of this node: `Log::create_stream`, `Log::remove_stream`, `Log::enable_stream`,
    /// `Log::disable_stream`, `Log::add_filter`, `Log::remove_filter`, `Log::get_filter` under these
    /// names. Every node has `Cluster::LOG`, `Reporter::LOG`, `Lifecycle::LOG` and
    /// `NodeStats::LOG`.
    pub fn log_streams(&mut self) -> &mut Streams {
        &mut self.logs.streams
    }

    /// `Log::write`: gives a record to a stream. True: every line that its filters make of it is safe, in
    /// the ring of its logger, or in the files of this node if it writes them. There may be no line, as
    /// with a stream that is disabled. False: at least one line is lost, which
    /// [`Cluster::log_lines_dropped`] counts: there is no logger, or one that lives has had no room for
    /// as long as the layout waits.
    ///
    /// ```no_run
    /// use cluster::data::Value;
    /// use cluster::logging::streams::StreamSpec;
    /// use cluster::logging::{Column, LogPath, Schema, StreamId};
    /// use cluster::node::Cluster;
    ///
    /// let mut cluster = Cluster::take_seat()?;
    /// cluster.init()?;
    /// let visits = StreamId::parse("Visits::LOG")?;
    /// let columns = vec![
    ///     Column::new("host", "string".parse()?, false)?,
    ///     Column::new("hits", "count".parse()?, true)?,
    /// ];
    /// let spec = StreamSpec::new(Schema::new(columns)?, LogPath::parse("visits")?);
    /// cluster.log_streams().create_stream(visits.clone(), spec)?;
    /// let is_safe = cluster.log_write(&visits, &["a.example".into(), Value::Count(7)])?;
    /// assert!(is_safe);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// See [`Streams::write`].
    pub fn log_write(&mut self, stream: &StreamId, values: &[Value]) -> Result<bool, LogError> {
        self.log_lines(None, |streams, take| streams.write(stream, values, take))
    }

    /// As [`Cluster::log_write`], for who has the record elsewhere, too, and writes it again where this is
    /// false. `before` is told by which ring and with which number a line is accepted, when nothing but a
    /// death can keep it from that: after one, [`Outbox::accepted_by`] says whether it was. It is told
    /// nothing of a line that no ring has to accept.
    ///
    /// # Errors
    /// See [`Streams::write`].
    ///
    /// [`Outbox::accepted_by`]: crate::node::endpoint::Outbox::accepted_by
    pub fn log_write_with(
        &mut self,
        stream: &StreamId,
        values: &[Value],
        before: &mut dyn FnMut(RingId, u64),
    ) -> Result<bool, LogError> {
        let before: Before<'_> = Some(before);
        self.log_lines(before, |streams, take| streams.write(stream, values, take))
    }

    /// As [`Cluster::log_write`], of a Rust struct.
    ///
    /// # Errors
    /// See [`Streams::write_row`].
    pub fn log_write_row<T>(&mut self, stream: &StreamId, content: &T) -> Result<bool, LogError>
    where
        T: Serialize + ?Sized,
    {
        self.log_lines(None, |streams, take| {
            streams.write_row(stream, content, take)
        })
    }

    /// Why the last [`Cluster::log_write_with`] was false, if trying again does not help: a line of the
    /// record, or its writer's columns, has so many bytes, which are more than are published.
    pub(in crate::node) fn log_line_too_large(&self) -> Option<usize> {
        self.logs.sending.too_large
    }

    fn log_lines<F>(&mut self, before: Before<'_>, write: F) -> Result<bool, LogError>
    where
        F: FnOnce(&mut Streams, &mut dyn FnMut(Line<'_>)) -> Result<usize, LogError>,
    {
        let Logs {
            streams, sending, ..
        } = &mut self.logs;
        sending.too_large = None;
        let mut around = Around {
            membership: &mut self.membership,
            outbox: self.endpoint.outbox(),
            spec: &self.logging,
            before,
        };
        let mut is_safe = true;
        let written = write(streams, &mut |line| {
            is_safe &= sending.send(&line, &mut around);
        });
        for taken in streams.take_paths_taken() {
            log::warn!("event=log_path_taken error={:?}", taken.to_string());
            self.report(ReporterLevel::Warning, &taken.to_string());
        }
        written.map(|_| is_safe)
    }

    /// `Log::flush` of all streams, and `Broker::flush_logs`: loggers are woken for what they were not
    /// woken for yet. Returns for how many records.
    pub fn flush_logs(&mut self) -> u64 {
        self.logs.sending.flush_sink();
        self.endpoint.outbox().ring_delayed_now()
    }

    /// `Broker::log_topic`, redefined: lines go where the function says, told their stream and path, and
    /// neither to one logger after the other nor to the default topic.
    pub fn set_log_topic(
        &mut self,
        topic: impl FnMut(&StreamId, &LogPath) -> String + Send + 'static,
    ) {
        self.logs.sending.set_topic(Box::new(topic));
    }

    /// `Cluster::log_policy`: is asked about each record of `Cluster::LOG`, told the filter's name. With
    /// false the filter does not write it.
    ///
    /// # Errors
    /// [`LogError::NoStream`], if the program has removed that stream.
    pub fn set_log_policy(
        &mut self,
        policy: impl FnMut(&StreamId, &str, Record<'_>) -> bool + Send + 'static,
    ) -> Result<(), LogError> {
        let policy: Policy = Box::new(policy);
        let id = OwnStream::Cluster.id();
        self.logs.streams.set_policy(&id, policy)
    }

    /// Where lines go if this node writes log files itself, as a logger does, or a manager without
    /// loggers. Without one they are dropped.
    pub fn keep_logs(&mut self, sink: Box<dyn LocalSink>) {
        self.logs.sending.set_sink(sink);
    }

    /// Lines that were not safe when [`Cluster::log_write`] returned.
    #[must_use]
    pub fn log_lines_dropped(&self) -> u64 {
        self.logs.sending.dropped
    }

    /// Does what the layout says of logs, which may be another one.
    pub(super) fn log_as_laid_out(&mut self) {
        self.logs.streams.set_form(self.logging.file_format());
        self.logs.turn_over();
        let (records, time) = (self.logging.batch_records, self.logging.batch_interval);
        self.endpoint.outbox().delay_bells(records, time);
    }
}

/// The seeds' result of `Log::write`: F for what was refused.
impl OrReport for Result<bool, LogError> {
    fn or_report(self) -> bool {
        self.unwrap_or_else(|error| {
            log::error!("event=not_logged error=\"{}\"", causes::chain(&error));
            false
        })
    }
}

//! Streams that used to speak and do not any more.
//!
//! Pure: whoever has a clock says when a record came, and asks again when [`Silence::next`] has come.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{LogPath, StreamId};
use crate::logging::streams::OwnStream;

/// What is known of the streams of a logger.
#[derive(Debug, Default)]
pub struct Silence {
    /// A stream that is silent for so long is reported; `None`: none is.
    after: Option<Duration>,
    heard: BTreeMap<LogPath, Heard>,
}

#[derive(Debug)]
struct Heard {
    stream: StreamId,
    at: Instant,
    /// It was reported since it spoke last.
    is_told: bool,
}

/// A stream that has fallen silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    /// Which.
    pub stream: StreamId,
    /// The path whose file gets no lines any more.
    pub path: LogPath,
    /// How long it has been silent.
    pub lasts: Duration,
}

impl Silence {
    /// Reports streams that are silent for so long.
    #[must_use]
    pub fn new(after: Option<Duration>) -> Self {
        Self {
            after,
            heard: BTreeMap::new(),
        }
    }

    /// Reports streams after another time from now on, or none.
    pub fn set(&mut self, after: Option<Duration>) {
        self.after = after;
        if after.is_none() {
            self.heard.clear();
        }
    }

    /// Does anybody want to know?
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        self.after.is_some()
    }

    /// A stream has spoken. Those in which nodes tell of what happens to them are left out: where all goes
    /// well they are silent, and a report of it would break its own silence.
    pub fn spoke(&mut self, stream: &StreamId, path: &LogPath, now: Instant) {
        let tells_of_events = [
            OwnStream::Cluster,
            OwnStream::Reporter,
            OwnStream::Lifecycle,
        ];
        if self.after.is_none() || tells_of_events.iter().any(|own| own.id() == *stream) {
            return;
        }
        match self.heard.get_mut(path) {
            Some(heard) => {
                (heard.at, heard.is_told) = (now, false);
                if heard.stream != *stream {
                    heard.stream = stream.clone();
                }
            }
            None => {
                let heard = Heard {
                    stream: stream.clone(),
                    at: now,
                    is_told: false,
                };
                self.heard.insert(path.clone(), heard);
            }
        }
    }

    /// When there may be something to report; `None`: not before a stream speaks.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let after = self.after?;
        let waiting = self.heard.values().filter(|heard| !heard.is_told);
        let first = waiting.map(|heard| heard.at).min()?;
        first.checked_add(after)
    }

    /// Those that have fallen silent by now, each once until it speaks again.
    pub fn fallen(&mut self, now: Instant) -> Vec<Silent> {
        let Some(after) = self.after else {
            return Vec::new();
        };
        let mut fallen = Vec::new();
        for (path, heard) in &mut self.heard {
            let lasts = now.saturating_duration_since(heard.at);
            if !heard.is_told && lasts >= after {
                heard.is_told = true;
                fallen.push(Silent {
                    stream: heard.stream.clone(),
                    path: path.clone(),
                    lasts,
                });
            }
        }
        fallen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;

    const AFTER: Duration = Duration::from_secs(10);

    fn names(stream: &str, path: &str) -> (StreamId, LogPath) {
        (
            StreamId::parse(stream).unwrap(),
            LogPath::parse(path).unwrap(),
        )
    }

    #[test]
    fn a_stream_is_reported_once_until_it_speaks_again() {
        let mut silence = Silence::new(Some(AFTER));
        let begun = clock::monotonic();
        let (conn, conn_path) = names("Conn::LOG", "conn");
        let (dns, dns_path) = names("DNS::LOG", "dns");
        assert_eq!(silence.next(), None);
        silence.spoke(&conn, &conn_path, begun);
        silence.spoke(&dns, &dns_path, begun + AFTER / 2);
        assert_eq!(silence.next(), Some(begun + AFTER));
        assert!(silence.fallen(begun + AFTER / 2).is_empty());
        let fallen = silence.fallen(begun + AFTER);
        let expected = Silent {
            stream: conn.clone(),
            path: conn_path.clone(),
            lasts: AFTER,
        };
        assert_eq!(fallen, [expected]);
        assert_eq!(silence.next(), Some(begun + AFTER / 2 + AFTER));
        assert_eq!(silence.fallen(begun + 2 * AFTER).len(), 1);
        assert_eq!(silence.next(), None);
        assert!(silence.fallen(begun + 9 * AFTER).is_empty());
        silence.spoke(&conn, &conn_path, begun + 9 * AFTER);
        assert_eq!(silence.fallen(begun + 10 * AFTER).len(), 1);
    }

    #[test]
    fn nobody_is_reported_who_is_not_wanted_or_speaks_of_events_only() {
        let now = clock::monotonic();
        let (conn, path) = names("Conn::LOG", "conn");
        let mut silence = Silence::default();
        silence.spoke(&conn, &path, now);
        assert_eq!((silence.next(), silence.is_wanted()), (None, false));
        silence.set(Some(AFTER));
        for own in [
            OwnStream::Cluster,
            OwnStream::Reporter,
            OwnStream::Lifecycle,
        ] {
            silence.spoke(&own.id(), &own.spec().unwrap().path, now);
        }
        assert_eq!(silence.next(), None);
        silence.spoke(&OwnStream::NodeStats.id(), &path, now);
        assert_eq!(silence.next(), Some(now + AFTER));
        silence.set(None);
        assert!(silence.fallen(now + AFTER).is_empty());
    }
}

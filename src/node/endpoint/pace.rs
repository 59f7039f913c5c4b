//! How many bytes a stream lets gather before it writes them. Pure.
//!
//! A call of the system for each of many small records would cost more than all the rest. So in a flood,
//! while the reader is awake, it takes a few together, and more of them the longer that goes on. The first
//! records of a flood, one that comes alone, and one that meets a reader that sleeps are written at once.
//!
//! What has gathered is written with the next records, or when this node drains, waits, ends a batch or
//! flushes: one that does none of these behind a flood keeps at most `GATHERED_BYTES_MAX` to itself.

use std::time::{Duration, Instant};

/// No more bytes than these gather, nor more than a part of the queue.
const GATHERED_BYTES_MAX: usize = 16 * 1024;

/// That part of the queue.
const PARTS_OF_QUEUE: usize = 4;

/// So much gathers the first time.
const GATHERED_BYTES_MIN: usize = 256;

/// So many records that follow one another are a flood.
const FLOOD: u32 = 256;

/// A record that comes later after the last one comes alone.
const FOLLOWS_WITHIN: Duration = Duration::from_micros(20);

/// No record waits longer for others, as long as others come.
const GATHERS_FOR: Duration = Duration::from_micros(200);

#[derive(Debug)]
pub(super) struct Pace {
    /// So many bytes may gather now.
    allowed: usize,
    allowed_max: usize,
    /// Bytes that the socket did not take when it was last tried.
    left: usize,
    last: Option<Instant>,
    /// Records that have followed one another, up to [`FLOOD`].
    followers: u32,
    /// When the first of those came that have gathered.
    since: Option<Instant>,
}

impl Pace {
    /// Of a stream whose queue takes so many bytes.
    pub(super) fn new(queue_bytes: usize) -> Self {
        Self {
            allowed: 0,
            allowed_max: GATHERED_BYTES_MAX.min(queue_bytes / PARTS_OF_QUEUE),
            left: 0,
            last: None,
            followers: 0,
            since: None,
        }
    }

    /// A record was queued, which makes `unsent` bytes. May they wait for the next one? If not, they are
    /// to be written now.
    pub(super) fn may_gather(&mut self, unsent: usize, now: Instant, reader_sleeps: bool) -> bool {
        let within = |since: Option<Instant>, limit| {
            since.is_some_and(|since| now.saturating_duration_since(since) <= limit)
        };
        let follows = within(self.last.replace(now), FOLLOWS_WITHIN);
        if !follows {
            (self.allowed, self.followers) = (0, 0);
        } else if self.followers < FLOOD {
            self.followers += 1;
        }
        if self.followers < FLOOD || reader_sleeps {
            return false;
        }
        self.since.get_or_insert(now);
        if unsent.saturating_sub(self.left) < self.allowed && within(self.since, GATHERS_FOR) {
            return true;
        }
        self.allowed =
            (self.allowed * 2).clamp(GATHERED_BYTES_MIN, self.allowed_max.max(GATHERED_BYTES_MIN));
        false
    }

    /// They were written, but for `left` bytes.
    pub(super) fn has_tried(&mut self, left: usize) {
        (self.left, self.since) = (left, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first moment, and those that follow it by so many microseconds.
    fn at(begin: Instant, micros: u64) -> Instant {
        begin + Duration::from_micros(micros)
    }

    fn begin() -> Instant {
        crate::sys::clock::monotonic()
    }

    #[test]
    fn records_that_follow_one_another_gather_more_and_more_up_to_a_bound() {
        let (mut pace, begin) = (Pace::new(256 * 1024), begin());
        let (mut gathered, mut unsent) = (Vec::new(), 0);
        for record in 0..10_000 {
            unsent += 100;
            // Ten in a microsecond.
            if !pace.may_gather(unsent, at(begin, record / 10), false) {
                gathered.push(unsent);
                unsent = 0;
                pace.has_tried(0);
            }
        }
        let first = gathered.iter().take_while(|bytes| **bytes == 100).count();
        assert_eq!(first, FLOOD as usize + 1, "the first are written at once");
        assert!(gathered.is_sorted(), "{gathered:?}");
        let most = *gathered.last().unwrap();
        assert!((16 * 1024..16 * 1024 + 100).contains(&most), "{most}");
    }

    #[test]
    fn nothing_gathers_that_comes_alone_or_meets_a_sleeper() {
        let (mut pace, begin) = (Pace::new(256 * 1024), begin());
        for record in 0..1000 {
            pace.may_gather(100, at(begin, record), false);
        }
        pace.has_tried(0);
        assert!(pace.may_gather(100, at(begin, 1000), false));
        assert!(!pace.may_gather(200, at(begin, 1001), true), "it sleeps");
        assert!(
            pace.may_gather(200, at(begin, 1002), false),
            "it is awake again"
        );
        assert!(
            !pace.may_gather(300, at(begin, 10_000), false),
            "it was alone"
        );
    }

    /// Shows: slow ones that follow wait no longer than said, and what a full socket has left does not
    /// count as gathered.
    #[test]
    fn what_gathers_is_written_in_time() {
        let (mut pace, begin) = (Pace::new(1 << 20), begin());
        for record in 0..1000 {
            if !pace.may_gather(1, at(begin, record), false) {
                pace.has_tried(0);
            }
        }
        pace.has_tried(0);
        let waits =
            (1..).take_while(|record| pace.may_gather(1, at(begin, 1000 + 15 * record), false));
        assert_eq!(waits.count(), 14, "200 µs");
        pace.has_tried(100_000);
        assert!(pace.may_gather(100_001, at(begin, 1240), false));
    }
}

//! How many bytes a stream lets gather before it writes them. Pure.
//!
//! A call of the system for each of many small records would cost more than all the rest. So in a flood,
//! while the reader is awake, it takes a few together, and more of them the longer that goes on. A flood
//! is many records within one tick of the system's timer: a clock that is finer would cost more than the
//! record. The first records of each tick, and one that meets a reader that sleeps, are written at once.
//!
//! What has gathered is written with the next records, or when this node drains, waits, ends a batch or
//! flushes: one that does none of these behind a flood keeps at most `GATHERED_BYTES_MAX` to itself.

use std::time::Duration;

/// So many records in one tick are a flood.
const FLOOD: u32 = 256;

/// In the tick after a flood so many are a flood.
const FLOOD_GOES_ON: u32 = 16;

/// The longest tick of any system, and a little.
const TICK_MAX: Duration = Duration::from_millis(12);

/// So much gathers the first time.
const GATHERED_BYTES_MIN: usize = 256;

/// No more bytes than these gather, nor more than a part of the queue.
const GATHERED_BYTES_MAX: usize = 16 * 1024;

/// That part of the queue.
const PARTS_OF_QUEUE: usize = 4;

#[derive(Debug)]
pub(super) struct Pace {
    /// When the last record came.
    tick: Duration,
    /// Records that came then.
    records: u32,
    /// So many are a flood now.
    flood: u32,
    /// So many bytes may gather in a flood.
    allowed: usize,
    allowed_max: usize,
    /// Bytes that the socket did not take when it was last tried.
    left: usize,
}

impl Pace {
    /// Of a stream whose queue takes so many bytes.
    pub(super) fn new(queue_bytes: usize) -> Self {
        let most = GATHERED_BYTES_MAX.min(queue_bytes / PARTS_OF_QUEUE);
        Self {
            tick: Duration::ZERO,
            records: 0,
            flood: FLOOD,
            allowed: GATHERED_BYTES_MIN,
            allowed_max: most.max(GATHERED_BYTES_MIN),
            left: 0,
        }
    }

    /// A record was queued in this tick, which makes `unsent` bytes. May they wait for the next one? If
    /// not, they are to be written now.
    #[inline]
    pub(super) fn may_gather(
        &mut self,
        unsent: usize,
        tick: Duration,
        reader_sleeps: bool,
    ) -> bool {
        if tick != self.tick {
            self.begin(tick);
        }
        self.records = self.records.saturating_add(1);
        if self.records <= self.flood || reader_sleeps {
            return false;
        }
        if unsent.saturating_sub(self.left) < self.allowed {
            return true;
        }
        self.allowed = (self.allowed * 2).min(self.allowed_max);
        false
    }

    /// Another tick.
    #[cold]
    fn begin(&mut self, tick: Duration) {
        let follows = tick.saturating_sub(self.tick) <= TICK_MAX;
        if follows && self.records > FLOOD {
            self.flood = FLOOD_GOES_ON;
        } else {
            (self.flood, self.allowed) = (FLOOD, GATHERED_BYTES_MIN);
        }
        (self.tick, self.records) = (tick, 0);
    }

    /// They were written, but for `left` bytes.
    pub(super) fn has_tried(&mut self, left: usize) {
        self.left = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(4);

    /// What is written at a time when records of 100 bytes come, so many in each tick.
    fn written(pace: &mut Pace, ticks: std::ops::Range<u32>, records: u32) -> Vec<usize> {
        let (mut all, mut unsent) = (Vec::new(), 0);
        for tick in ticks {
            for _ in 0..records {
                unsent += 100;
                if !pace.may_gather(unsent, TICK * tick, false) {
                    all.push(std::mem::take(&mut unsent));
                    pace.has_tried(0);
                }
            }
        }
        all
    }

    #[test]
    fn a_flood_gathers_more_and_more_up_to_a_bound() {
        let mut pace = Pace::new(256 * 1024);
        let first = written(&mut pace, 1..2, 10_000);
        let alone = first.iter().take_while(|bytes| **bytes == 100).count();
        assert_eq!(alone, FLOOD as usize, "the first are written at once");
        assert!(first.is_sorted(), "{first:?}");
        let most = *first.last().unwrap();
        assert!((16 * 1024..16 * 1024 + 100).contains(&most), "{most}");
        let next = written(&mut pace, 2..3, 10_000);
        let alone = next.iter().take_while(|bytes| **bytes == 100).count();
        assert_eq!((alone, next[alone]), (FLOOD_GOES_ON as usize, most));
    }

    #[test]
    fn what_is_no_flood_is_written_record_by_record() {
        let mut pace = Pace::new(256 * 1024);
        for records in [1, 10, FLOOD] {
            assert!(
                written(&mut pace, 1..50, records)
                    .iter()
                    .all(|it| *it == 100)
            );
        }
        written(&mut pace, 50..51, 2 * FLOOD);
        // A pause behind a flood, and the flood is over.
        assert!(
            written(&mut pace, 60..61, FLOOD)
                .iter()
                .all(|it| *it == 100)
        );
    }

    /// Shows: nothing is held back from a sleeper; and what a full socket has left does not count as
    /// gathered.
    #[test]
    fn a_sleeper_gets_all_and_a_full_socket_is_not_tried_at_once() {
        let mut pace = Pace::new(1 << 20);
        written(&mut pace, 1..2, 2 * FLOOD);
        assert!(!pace.may_gather(100, TICK, true));
        assert!(pace.may_gather(100, TICK, false));
        pace.has_tried(100_000);
        assert!(pace.may_gather(100_100, TICK, false));
        assert!(!pace.may_gather(200_000, TICK, false));
    }
}

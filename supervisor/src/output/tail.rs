//! The last lines of one stream, with the moment each was read.
//!
//! Pure. A stream that never spoke costs one pointer; one that did, at most [`TAIL_BYTES_MAX`] and a
//! little for each line.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cluster::names::Incarnation;

/// So many lines of a stream are kept.
pub(crate) const TAIL_LINES_MAX: usize = 200;

/// So many bytes of a stream are kept; the oldest lines make room. Of a longer line the beginning.
pub(crate) const TAIL_BYTES_MAX: usize = 64 * 1024;

/// The ring of one stream's last lines.
#[derive(Debug, Default)]
pub(super) struct Tail(Option<Box<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    bytes: VecDeque<u8>,
    lines: VecDeque<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at_micros: u64,
    incarnation: Incarnation,
    length: usize,
}

/// One kept line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeptLine {
    /// When it was read.
    pub(super) at: SystemTime,
    /// By which birth of the node it was said.
    pub(super) incarnation: Incarnation,
    /// Its text; bytes that are not UTF-8 are replaced.
    pub(super) text: String,
}

impl Tail {
    /// Keeps a line given in parts, without its newline.
    pub(super) fn push(&mut self, at: SystemTime, incarnation: Incarnation, parts: [&[u8]; 2]) {
        let ring = self.0.get_or_insert_default();
        let length = parts
            .iter()
            .map(|part| part.len())
            .sum::<usize>()
            .min(TAIL_BYTES_MAX);
        while ring.lines.len() >= TAIL_LINES_MAX || ring.bytes.len() + length > TAIL_BYTES_MAX {
            let Some(oldest) = ring.lines.pop_front() else {
                break;
            };
            ring.bytes.drain(..oldest.length.min(ring.bytes.len()));
        }
        let wanted = (ring.bytes.len() + length).next_power_of_two();
        let more = wanted.min(TAIL_BYTES_MAX) - ring.bytes.len();
        ring.bytes.reserve_exact(more); // left to itself it could grow to twice the bound
        let mut room = length;
        for part in parts {
            let taken = part.get(..room).unwrap_or(part);
            ring.bytes.extend(taken);
            room -= taken.len();
        }
        ring.lines.push_back(Entry {
            at_micros: micros(at),
            incarnation,
            length,
        });
    }

    /// The last `count` lines that are not older than `since`, oldest first.
    pub(super) fn last(&self, count: usize, since: Option<SystemTime>) -> Vec<KeptLine> {
        let Some(ring) = &self.0 else {
            return Vec::new();
        };
        let mut end = ring.bytes.len();
        let mut lines = Vec::new();
        for entry in ring.lines.iter().rev().take(count) {
            let start = end.saturating_sub(entry.length);
            if since.is_some_and(|since| entry.at_micros < micros(since)) {
                break;
            }
            let bytes: Vec<u8> = ring.bytes.range(start..end).copied().collect();
            lines.push(KeptLine {
                at: UNIX_EPOCH + Duration::from_micros(entry.at_micros),
                incarnation: entry.incarnation,
                text: String::from_utf8_lossy(&bytes).into_owned(),
            });
            end = start;
        }
        lines.reverse();
        lines
    }
}

fn micros(at: SystemTime) -> u64 {
    let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Incarnation = Incarnation(1);

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn a_silent_stream_costs_a_pointer() {
        assert_eq!(size_of::<Tail>(), size_of::<usize>());
        assert!(Tail::default().last(10, None).is_empty());
    }

    #[test]
    fn only_the_last_lines_are_kept_in_order() {
        let mut tail = Tail::default();
        for number in 0..500_u64 {
            tail.push(at(number), FIRST, [b"line ", number.to_string().as_bytes()]);
        }
        let kept = tail.last(usize::MAX, None);
        assert_eq!(kept.len(), TAIL_LINES_MAX);
        assert_eq!(kept[0].text, "line 300");
        assert_eq!(kept[199].text, "line 499");
        assert_eq!(tail.last(2, None)[0].text, "line 498");
        assert_eq!(tail.last(100, Some(at(497))).len(), 3);
    }

    #[test]
    fn bytes_are_bounded_and_a_huge_line_keeps_its_beginning() {
        let mut tail = Tail::default();
        for _ in 0..100 {
            tail.push(at(1), FIRST, [&[b'x'; 3000], b""]);
        }
        assert_eq!(tail.last(usize::MAX, None).len(), TAIL_BYTES_MAX / 3000);
        tail.push(at(2), FIRST, [b"ab", &vec![b'y'; 2 * TAIL_BYTES_MAX]]);
        let kept = tail.last(usize::MAX, None);
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].text.len(), TAIL_BYTES_MAX);
        assert!(kept[0].text.starts_with("aby"));
        let ring = tail.0.as_ref().unwrap();
        assert!(ring.bytes.capacity() <= TAIL_BYTES_MAX);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let mut tail = Tail::default();
        tail.push(at(1), FIRST, [b"\xff", b""]);
        tail.push(at(1), FIRST, [b"", b""]);
        let kept = tail.last(5, None);
        assert_eq!(kept[0].text, "\u{fffd}");
        assert_eq!(kept[1].text, "");
    }
}

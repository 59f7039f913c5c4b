//! Those who read along: `logs --follow`.
//!
//! Pure but for the flag a reader is held back by. A reader who does not keep up loses lines, and
//! is told how many; nobody else waits for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cluster::control::reply::{LogLine, Stream};
use cluster::names::NodeName;

/// So many bytes wait for one reader; full: the newest lines are dropped and counted.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// Counted for each waiting line besides its text.
const LINE_OVERHEAD_BYTES: usize = 128;

/// So many lines travel in one notice.
const BATCH_LINES_MAX: usize = 512;

/// A number the main loop gives to one who reads along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FollowerId(pub(crate) u64);

/// Which lines are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Of which nodes; `None`: of all, also those that come later.
    pub(crate) nodes: Option<BTreeSet<NodeName>>,
    /// Of which stream; `None`: of both.
    pub(crate) stream: Option<Stream>,
}

impl Wanted {
    /// Is a line of this node and stream wanted?
    pub(super) fn takes(&self, node: &NodeName, stream: Stream) -> bool {
        self.stream.is_none_or(|only| only == stream)
            && self.nodes.as_ref().is_none_or(|nodes| nodes.contains(node))
    }
}

#[derive(Debug)]
struct Follower {
    id: FollowerId,
    wanted: Wanted,
    held: Arc<AtomicBool>,
    waiting: Vec<LogLine>,
    waiting_bytes: usize,
    dropped: u64,
}

/// All who read along.
#[derive(Debug, Default)]
pub(super) struct Followers(Vec<Follower>);

impl Followers {
    /// One more, to whom `first` goes first. While `held` is true nothing is sent to it.
    pub(super) fn add(
        &mut self,
        id: FollowerId,
        wanted: Wanted,
        held: Arc<AtomicBool>,
        first: Vec<LogLine>,
    ) {
        self.remove(id);
        self.0.push(Follower {
            id,
            wanted,
            held,
            waiting_bytes: first.iter().map(cost).sum(),
            waiting: first,
            dropped: 0,
        });
    }

    pub(super) fn remove(&mut self, id: FollowerId) {
        self.0.retain(|follower| follower.id != id);
    }

    /// Nobody reads along: nothing needs to be made ready for them.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A line was read; it is made only if somebody wants it.
    pub(super) fn line(&mut self, node: &NodeName, stream: Stream, make: impl Fn() -> LogLine) {
        for follower in &mut self.0 {
            if !follower.wanted.takes(node, stream) {
                continue;
            }
            // Once lines are missing, none goes before the reader was told.
            if follower.dropped > 0 || follower.waiting_bytes >= WAITING_BYTES_MAX {
                follower.dropped += 1;
                continue;
            }
            let line = make();
            follower.waiting_bytes += cost(&line);
            follower.waiting.push(line);
        }
    }

    /// Hands out what waits; `false` from `send` means: no more for now.
    pub(super) fn flush(&mut self, mut send: impl FnMut(FollowerId, Vec<LogLine>, u64) -> bool) {
        for follower in &mut self.0 {
            while follower.could_take() {
                let count = follower.waiting.len().min(BATCH_LINES_MAX);
                let rest = follower.waiting.split_off(count);
                let lines = std::mem::replace(&mut follower.waiting, rest);
                follower.waiting_bytes -= lines.iter().map(cost).sum::<usize>();
                let dropped = if follower.waiting.is_empty() {
                    std::mem::take(&mut follower.dropped)
                } else {
                    0
                };
                if !send(follower.id, lines, dropped) {
                    return;
                }
            }
        }
    }

    /// Does something wait for one who is not held back?
    pub(super) fn could_send(&self) -> bool {
        self.0.iter().any(Follower::could_take)
    }
}

impl Follower {
    fn could_take(&self) -> bool {
        let news = !self.waiting.is_empty() || self.dropped > 0;
        news && !self.held.load(Ordering::Relaxed)
    }
}

fn cost(line: &LogLine) -> usize {
    line.text.len() + LINE_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> LogLine {
        LogLine {
            at: String::new(),
            node: "worker-1".to_owned(),
            stream: Stream::Out,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_reader_who_is_held_back_learns_how_much_it_missed_after_what_it_got() {
        let node = NodeName::parse("worker-1").unwrap();
        let held = Arc::new(AtomicBool::new(true));
        let mut followers = Followers::default();
        let all = Wanted {
            nodes: None,
            stream: None,
        };
        let id = FollowerId(7);
        followers.add(id, all, Arc::clone(&held), vec![line("before")]);
        let text = "x".repeat(1000);
        for _ in 0..5000 {
            followers.line(&node, Stream::Out, || line(&text));
        }
        followers.flush(|_, _, _| unreachable!("it is held back"));
        assert!(!followers.could_send());
        held.store(false, Ordering::Relaxed);
        let (mut got, mut missed) = (0, Vec::new());
        followers.flush(|to, lines, dropped| {
            assert_eq!(to, id);
            got += lines.len() as u64;
            missed.push(dropped);
            true
        });
        let last = missed.pop().unwrap();
        assert!(missed.iter().all(|dropped| *dropped == 0));
        assert_eq!(got + last, 5001);
        assert!(last > 0 && !followers.could_send());
        followers.remove(id);
        assert!(followers.is_empty());
    }

    #[test]
    fn only_what_was_asked_for_is_handed_over() {
        let node = NodeName::parse("worker-1").unwrap();
        let wanted = Wanted {
            nodes: Some([node.clone()].into()),
            stream: Some(Stream::Err),
        };
        assert!(wanted.takes(&node, Stream::Err));
        assert!(!wanted.takes(&node, Stream::Out));
        assert!(!wanted.takes(&NodeName::parse("worker-2").unwrap(), Stream::Err));
    }
}

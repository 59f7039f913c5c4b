//! What happened, numbered, for the log and for those who follow.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::time::SystemTime;

use cluster::control::reply::{Event, moment};
use cluster::names::NodeName;

/// So many events are kept for those who come later.
const KEPT_MAX: usize = 4096;

/// All events that are kept.
#[derive(Debug, Default)]
pub(super) struct Events {
    kept: VecDeque<Kept>,
    last: u64,
}

/// An event as it is kept: a thousand nodes have a few of them each.
#[derive(Debug)]
struct Kept {
    seq: u64,
    at: SystemTime,
    kind: &'static str,
    node: Option<NodeName>,
    /// Keys and values in one piece, as [`pack`] makes it.
    detail: Box<[u8]>,
}

impl Kept {
    fn told(&self) -> Event {
        Event {
            seq: self.seq,
            at: moment(self.at),
            kind: self.kind.to_owned(),
            node: self.node.as_ref().map(ToString::to_string),
            detail: unpack(&self.detail),
        }
    }
}

/// Four pieces of memory for two short words would be most of what an event costs.
fn pack(detail: &[(&'static str, String)]) -> Box<[u8]> {
    match detail {
        [] => Box::default(),
        // Text can always be encoded.
        some => postcard::to_stdvec(some).unwrap_or_default().into(),
    }
}

fn unpack(packed: &[u8]) -> BTreeMap<String, String> {
    let pairs: Vec<(String, String)> = postcard::from_bytes(packed).unwrap_or_default();
    pairs.into_iter().collect()
}

/// How loud an event is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// Life cycle.
    Info,
    /// It healed, or will heal, itself.
    Warn,
    /// Somebody must act.
    Error,
}

impl Events {
    /// Numbers an event, keeps it and logs it.
    pub(super) fn add(
        &mut self,
        weight: Weight,
        kind: &'static str,
        node: Option<&NodeName>,
        detail: &[(&'static str, String)],
    ) {
        self.last += 1;
        log_line(weight, kind, node, detail);
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(Kept {
            seq: self.last,
            at: cluster::sys::clock::wall(),
            kind,
            node: node.cloned(),
            detail: pack(detail),
        });
    }

    /// The one that was added last.
    pub(super) fn newest(&self) -> Option<Event> {
        self.kept.back().map(Kept::told)
    }

    /// Those with a larger number, oldest first.
    pub(super) fn since(&self, seq: u64) -> impl Iterator<Item = Event> {
        let new = self.kept.iter().filter(move |event| event.seq > seq);
        new.map(Kept::told)
    }

    /// The last ones about a node, oldest first.
    pub(super) fn about(&self, node: &NodeName, most: usize) -> Vec<Event> {
        let own = self.kept.iter().rev();
        let own = own.filter(|event| event.node.as_ref() == Some(node));
        let mut found: Vec<Event> = own.take(most).map(Kept::told).collect();
        found.reverse();
        found
    }
}

fn log_line(
    weight: Weight,
    kind: &str,
    node: Option<&NodeName>,
    detail: &[(&'static str, String)],
) {
    let mut line = String::new();
    if let Some(node) = node {
        let _ = write!(line, "node={node} ");
    }
    let _ = write!(line, "event={kind}");
    for (key, value) in detail {
        let plain = !value.is_empty() && !value.contains([' ', '"', '=', '\n']);
        let _ = match plain {
            true => write!(line, " {key}={value}"),
            false => write!(line, " {key}={value:?}"),
        };
    }
    match weight {
        Weight::Info => log::info!("{line}"),
        Weight::Warn => log::warn!("{line}"),
        Weight::Error => log::error!("{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again_key_by_key() {
        assert!(pack(&[]).is_empty() && unpack(&[]).is_empty());
        let detail = [("pid", "412".to_owned()), ("why", "a \"b\"\n".to_owned())];
        let out = unpack(&pack(&detail));
        assert_eq!(out.len(), 2);
        assert_eq!(out["pid"], "412");
        assert_eq!(out["why"], "a \"b\"\n");
    }
}

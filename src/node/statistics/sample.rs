//! Two looks at all nodes, and what lies between them. Pure: whoever looks brings the times.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::data::Timestamp;
use crate::fabric::Slot;
use crate::logging::streams::NodeStatsInfo;
use crate::names::{Incarnation, NodeName};
use crate::node::observer::{Account, Peer, Snapshot};
use crate::sys::procfs::ProcessUsage;

/// What a process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) process: ProcessUsage,
    /// How many it has open; `None`: it is another user's.
    pub(super) descriptors: Option<u64>,
}

/// What was seen of a node.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    /// Its process, by the time of its birth, and the processor time it had used.
    process: Option<(u64, Duration)>,
    published: u64,
    delivered: u64,
    dropped: u64,
}

/// Keeps the last look.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    last: BTreeMap<NodeName, Seen>,
}

impl Sampler {
    /// A record of each node of the layout, in the order of their places. `usages`: by process, of those
    /// that have one. Rates are since the last look, so the first one tells none.
    pub(super) fn records(
        &mut self,
        snapshot: &Snapshot,
        usages: &BTreeMap<u32, Usage>,
        (ts, now): (Timestamp, Instant),
    ) -> Vec<NodeStatsInfo> {
        let nodes = snapshot.peers.iter().filter(|peer| !peer.entry.attached);
        let before = std::mem::take(&mut self.last);
        let mut records = Vec::new();
        for peer in nodes {
            let name = &peer.entry.name;
            let usage = usages.get(&peer.entry.pid);
            let (seen, queued) = look(snapshot, peer.slot, usage, now);
            records.push(record(peer, usage, &seen, before.get(name), (ts, queued)));
            self.last.insert(name.clone(), seen);
        }
        records
    }
}

/// What it published, what was delivered to it, and what waits for it.
fn look(
    snapshot: &Snapshot,
    slot: Slot,
    usage: Option<&Usage>,
    now: Instant,
) -> (Seen, Option<u64>) {
    let mut out = Account::default();
    let mut within = Account::default();
    let mut is_sound = true;
    for link in &snapshot.links {
        match link.account {
            Ok(account) => {
                if link.from == slot {
                    out.add(&account);
                }
                if link.to == slot {
                    within.add(&account);
                }
            }
            // A ring that contradicts itself tells nothing, and the others not enough.
            Err(_) => is_sound &= link.from != slot && link.to != slot,
        }
    }
    let ringless = snapshot.without_ring.iter();
    let ringless = ringless.filter(|(_, to, _)| *to == slot);
    let unsent: u64 = ringless.map(|(_, _, count)| count).sum();
    let seen = Seen {
        at: now,
        process: usage.map(|usage| (usage.process.start_ticks, usage.process.cpu)),
        published: out.published(),
        delivered: within.delivered,
        dropped: within.dropped_in_all().saturating_add(unsent),
    };
    (seen, is_sound.then_some(within.in_flight))
}

fn record(
    peer: &Peer,
    usage: Option<&Usage>,
    seen: &Seen,
    before: Option<&Seen>,
    (ts, queued): (Timestamp, Option<u64>),
) -> NodeStatsInfo {
    let seconds = before.map(|before| (seen.at - before.at).as_secs_f64());
    let seconds = seconds.filter(|seconds| *seconds > 0.0);
    let rate = |count: fn(&Seen) -> u64| {
        let more = count(seen).saturating_sub(count(before?));
        Some(more as f64 / seconds?)
    };
    let cpu = before.and_then(|before| {
        let ((born, used), (known, used_before)) = (seen.process?, before.process?);
        let used = used.checked_sub(used_before).filter(|_| born == known)?;
        Some(used.as_secs_f64() / seconds?)
    });
    let Incarnation(births) = peer.entry.incarnation;
    NodeStatsInfo {
        ts,
        node: peer.entry.name.to_string(),
        pid: usage.map(|_| u64::from(peer.entry.pid)),
        cpu,
        rss: usage.map(|usage| usage.process.rss_bytes),
        descriptors: usage.and_then(|usage| usage.descriptors),
        published: rate(|seen| seen.published),
        delivered: rate(|seen| seen.delivered),
        queued,
        dropped: before.map(|before| seen.dropped.saturating_sub(before.dropped)),
        restarts: births.saturating_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fabric::Class;
    use crate::layout::spec::Role;
    use crate::names::LifeId;
    use crate::node::observer::Link;
    use crate::shm::board::{Entry, State};
    use crate::shm::ring::DropReason;

    fn peer(slot: u32, name: &str, pid: u32, births: u64) -> Peer {
        let entry = Entry {
            state: State::Up,
            name: NodeName::parse(name).unwrap(),
            role: Role::Worker,
            attached: name == "guest",
            incarnation: Incarnation(births),
            id: LifeId([0; 16]),
            pid,
        };
        Peer {
            slot: Slot(slot),
            entry,
            filter: None,
        }
    }

    fn link(from: u32, to: u32, delivered: u64, in_flight: u64, full: u64) -> Link {
        let dropped = DropReason::ALL.map(|reason| match reason == DropReason::Full {
            true => full,
            false => 0,
        });
        let account = Account {
            accepted: delivered + in_flight,
            delivered,
            in_flight,
            dropped,
            ..Account::default()
        };
        Link {
            from: Slot(from),
            to: Slot(to),
            class: Class::Bulk,
            successions: 0,
            capacity: 4096,
            account: Ok(account),
        }
    }

    fn usage(cpu: u64, born: u64) -> Usage {
        Usage {
            process: ProcessUsage {
                cpu: Duration::from_millis(cpu),
                rss_bytes: 1 << 20,
                start_ticks: born,
            },
            descriptors: Some(9),
        }
    }

    #[test]
    fn rates_are_between_two_looks_and_of_one_process() {
        let mut sampler = Sampler::default();
        let begun = crate::sys::clock::monotonic();
        let ts = Timestamp::from_nanos(7);
        let mut snapshot = Snapshot {
            peers: vec![
                peer(0, "a", 10, 1),
                peer(1, "b", 11, 3),
                peer(2, "guest", 12, 1),
            ],
            links: vec![link(0, 1, 100, 5, 2), link(2, 0, 7, 0, 0)],
            without_ring: vec![(Slot(2), Slot(1), 4)],
        };
        let usages = BTreeMap::from([(10, usage(500, 1)), (11, usage(100, 1))]);
        let first = sampler.records(&snapshot, &usages, (ts, begun));
        let [a, b] = first.as_slice() else {
            panic!("{first:?}");
        };
        assert_eq!((a.node.as_str(), a.pid, a.restarts), ("a", Some(10), 0));
        assert_eq!(
            (a.rss, a.descriptors, a.queued),
            (Some(1 << 20), Some(9), Some(0))
        );
        assert_eq!((a.cpu, a.published, a.dropped), (None, None, None));
        assert_eq!((b.queued, b.restarts), (Some(5), 2));

        snapshot.links = vec![link(0, 1, 140, 1, 4), link(2, 0, 7, 0, 0)];
        let usages = BTreeMap::from([(10, usage(2500, 1)), (11, usage(50, 2))]);
        let later = begun + Duration::from_secs(4);
        let second = sampler.records(&snapshot, &usages, (ts, later));
        let [a, b] = second.as_slice() else {
            panic!("{second:?}");
        };
        assert_eq!((a.cpu, a.published), (Some(0.5), Some(38.0 / 4.0)));
        assert_eq!((a.delivered, a.dropped), (Some(0.0), Some(0)));
        assert_eq!(b.cpu, None, "another process");
        assert_eq!((b.delivered, b.dropped), (Some(10.0), Some(2)));
    }

    #[test]
    fn a_node_without_a_process_has_a_record_all_the_same() {
        let snapshot = Snapshot {
            peers: vec![peer(0, "a", 10, 1)],
            ..Snapshot::default()
        };
        let now = crate::sys::clock::monotonic();
        let at = (Timestamp::from_nanos(7), now);
        let records = Sampler::default().records(&snapshot, &BTreeMap::new(), at);
        let [a] = records.as_slice() else {
            panic!("{records:?}");
        };
        assert_eq!((a.pid, a.rss, a.descriptors), (None, None, None));
    }
}

//! From the board to greetings and losses: what has changed since the last look.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cluster, Handler};
use crate::fabric::Slot;
use crate::framework::{ClusterEvent, Membership, NodeId, Roster};
use crate::names::{self, NodeName};
use crate::shm::board::{Entry, State};

/// The nodes that were up at the last look.
#[derive(Debug, Default)]
pub(super) struct Seen {
    up: BTreeMap<Slot, Up>,
    /// The endpoint's count of changes at that look.
    version: Option<u64>,
}

#[derive(Debug)]
struct Up {
    on_board: names::LifeId,
    id: NodeId,
}

/// What has happened, in this order.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Left(NodeId),
    Came(NodeName, NodeId),
}

impl Seen {
    pub(super) fn is_old(&self, version: u64) -> bool {
        self.version != Some(version)
    }

    /// Forgets whom another layout has made leave: of them the loss is told. The next look is at
    /// everybody, for the layout may have new names.
    pub(super) fn forget_lost(&mut self, membership: &Membership) {
        self.up
            .retain(|_, was| membership.nodeid_to_node(&was.id).is_some());
        self.version = None;
    }

    /// What is to be done about who is up now: all losses first, for a name may have a new process.
    fn steps<'a>(
        &mut self,
        roster: &Roster,
        spared: &BTreeSet<NodeName>,
        board: impl Iterator<Item = (Slot, &'a Entry)>,
    ) -> Vec<Step> {
        let is_up = |entry: &Entry| {
            let is_other = roster.local() != Some(&entry.name);
            let is_node = !entry.attached && roster.node(&entry.name).is_some();
            entry.state == State::Up && is_node && is_other && !spared.contains(&entry.name)
        };
        let now: BTreeMap<Slot, &Entry> = board.filter(|(_, entry)| is_up(entry)).collect();
        let mut steps = Vec::new();
        self.up.retain(|slot, was| {
            let stays = now.get(slot).is_some_and(|entry| entry.id == was.on_board);
            if !stays {
                steps.push(Step::Left(was.id.clone()));
            }
            stays
        });
        for (slot, entry) in now {
            self.up.entry(slot).or_insert_with(|| {
                let id = NodeId::from(entry.id);
                steps.push(Step::Came(entry.name.clone(), id.clone()));
                Up {
                    on_board: entry.id,
                    id,
                }
            });
        }
        steps
    }
}

impl Cluster {
    /// Tells the handler who came and who left, each when the pools know it.
    pub(super) fn meet(&mut self, handler: &mut dyn Handler) {
        let outbox = self.endpoint.outbox();
        if !self.is_announced || !self.seen.is_old(outbox.peers_version()) {
            return;
        }
        self.seen.version = Some(outbox.peers_version());
        let (roster, spared) = (self.membership.roster(), self.connections.spared());
        let steps = self.seen.steps(roster, spared, outbox.peers());
        for step in steps {
            let events = match &step {
                Step::Left(id) => self.membership.left(id),
                Step::Came(name, id) => {
                    let events = self.membership.hello(name.as_str(), id);
                    handler.hello(self, name, id);
                    events
                }
            };
            self.raise(events, handler);
        }
    }

    /// Hands events of the framework to the handler, and draws its own conclusions.
    pub(super) fn raise(&mut self, events: Vec<ClusterEvent>, handler: &mut dyn Handler) {
        for event in events {
            match event {
                ClusterEvent::NodeUp { name, id } => {
                    let starts = self.progress.node_up(&name);
                    handler.node_up(self, &name, &id);
                    if starts {
                        self.start_cluster(handler);
                    }
                }
                ClusterEvent::NodeDown { name, id } => handler.node_down(self, &name, &id),
                ClusterEvent::Log(message) => handler.log(self, &message),
                ClusterEvent::Error(error) => handler.error(self, &error.into()),
                ClusterEvent::BackendError(error) => handler.backend_error(self, &error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framework::sample::{name, roster};
    use crate::layout::spec::Role;
    use crate::names::Incarnation;

    fn entry(text: &str, state: State, id: u8) -> Entry {
        Entry {
            state,
            name: name(text),
            role: Role::Worker,
            attached: false,
            incarnation: Incarnation(1),
            id: names::LifeId([id; 16]),
            pid: 1,
        }
    }

    fn steps(seen: &mut Seen, board: &[Entry]) -> Vec<Step> {
        let board = (0..).map(Slot).zip(board);
        seen.steps(&roster("manager"), &BTreeSet::new(), board)
    }

    fn id(byte: u8) -> NodeId {
        names::LifeId([byte; 16]).into()
    }

    #[test]
    fn a_node_comes_when_it_is_up_and_leaves_when_it_is_not() {
        let mut seen = Seen::default();
        let worker = |state| entry("worker-1", state, 7);
        for state in [State::Born, State::Down, State::Away] {
            assert_eq!(steps(&mut seen, &[worker(state)]), []);
        }
        let came = [Step::Came(name("worker-1"), id(7))];
        assert_eq!(steps(&mut seen, &[worker(State::Up)]), came);
        assert_eq!(steps(&mut seen, &[worker(State::Up)]), []);
        assert_eq!(
            steps(&mut seen, &[worker(State::Down)]),
            [Step::Left(id(7))]
        );
        assert_eq!(steps(&mut seen, &[worker(State::Away)]), []);
    }

    #[test]
    fn a_successor_that_is_up_at_the_next_look_comes_after_its_predecessors_loss() {
        let mut seen = Seen::default();
        let both = |one, other| {
            [
                entry("worker-1", State::Up, one),
                entry("worker-2", State::Up, other),
            ]
        };
        assert_eq!(steps(&mut seen, &both(1, 2)).len(), 2);
        let expected = [
            Step::Left(id(1)),
            Step::Left(id(2)),
            Step::Came(name("worker-1"), id(3)),
            Step::Came(name("worker-2"), id(4)),
        ];
        assert_eq!(steps(&mut seen, &both(3, 4)), expected);
    }

    #[test]
    fn neither_this_node_nor_strangers_nor_programs_that_attached_come() {
        let mut seen = Seen::default();
        let mut attached = entry("worker-1", State::Up, 1);
        attached.attached = true;
        let own = entry("manager", State::Up, 2);
        let stranger = entry("worker-99", State::Up, 3);
        assert_eq!(steps(&mut seen, &[attached, own, stranger]), []);
    }
}

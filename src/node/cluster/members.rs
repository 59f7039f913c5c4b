//! From the board to greetings and losses: what has changed since the last look.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cluster, Handler};
use crate::fabric::Slot;
use crate::framework::{ClusterEvent, Membership, NodeId, Roster};
use crate::logging::streams::{DownCause, LifecycleEvent};
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
    Left(NodeId, DownCause),
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
        let all: BTreeMap<Slot, &Entry> = board.collect();
        let mut steps = Vec::new();
        self.up.retain(|slot, was| {
            let now = all.get(slot).copied();
            let stays = now.is_some_and(|entry| entry.id == was.on_board && is_up(entry));
            if !stays {
                steps.push(Step::Left(was.id.clone(), cause(now)));
            }
            stays
        });
        for (slot, entry) in all.into_iter().filter(|(_, entry)| is_up(entry)) {
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

/// Why the node that was in a place is no longer up.
fn cause(now: Option<&Entry>) -> DownCause {
    match now.map(|entry| entry.state) {
        Some(State::Up) => DownCause::Replaced,
        Some(State::Away | State::Left) | None => DownCause::Stopped,
        Some(State::Born | State::Down) => DownCause::Died,
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
            let why = match &step {
                Step::Left(_, why) => *why,
                Step::Came(..) => DownCause::Replaced,
            };
            let events = match &step {
                Step::Left(id, _) => self.membership.left(id),
                Step::Came(name, id) => {
                    let events = self.membership.hello(name.as_str(), id);
                    handler.hello(self, name, id);
                    events
                }
            };
            self.logs.turn_over();
            self.raise(events, why, handler);
        }
    }

    /// Hands events of the framework to the handler, and draws its own conclusions. `why`: why nodes that
    /// are down among them are.
    pub(super) fn raise(
        &mut self,
        events: Vec<ClusterEvent>,
        why: DownCause,
        handler: &mut dyn Handler,
    ) {
        for event in events {
            match event {
                ClusterEvent::NodeUp { name, id } => {
                    let starts = self.progress.node_up(&name);
                    self.log_lifecycle((&name, &id), LifecycleEvent::Up, None);
                    handler.node_up(self, &name, &id);
                    if starts {
                        self.start_cluster(handler);
                    }
                }
                ClusterEvent::NodeDown { name, id } => {
                    self.log_lifecycle((&name, &id), LifecycleEvent::Down, Some(why));
                    handler.node_down(self, &name, &id);
                }
                ClusterEvent::Log(message) => {
                    self.log(&message);
                    handler.log(self, &message);
                }
                ClusterEvent::Error(error) => self.raise_error(&error.into(), handler),
                ClusterEvent::BackendError(error) => self.raise_trouble(&error, handler),
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
            [Step::Left(id(7), DownCause::Died)]
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
            Step::Left(id(1), DownCause::Replaced),
            Step::Left(id(2), DownCause::Replaced),
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

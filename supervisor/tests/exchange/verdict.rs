//! What is found when all is quiet: every record in its place, and every account exact.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use cluster::fabric::{Class, RingKey, Slot, Transport};
use cluster::names::NodeName;
use cluster::node::endpoint::TURN_RECORDS;
use cluster::shm::board::BoardView;
use cluster::shm::ring::{Accounting, DropReason, Observer};

use super::Exchange;
use super::marks::{Fate, Marks, Phase};
use super::records::{NODES, Plan};
use crate::common::Cluster;

/// Figures of a run, for whoever reads its output.
#[derive(Debug, Default)]
pub struct Figures {
    pub attempted: u64,
    pub accepted: u64,
    pub dropped: u64,
    pub unknown: u64,
    pub received: u64,
    pub repeated: u64,
    pub repeated_at_once_max: u64,
    /// Of those that streams accepted.
    pub lost: u64,
    pub rings: usize,
    pub takeovers: u32,
}

/// What there is to say of one sender and one receiver.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    /// Records that came to be published toward it.
    aimed: u64,
    /// Those of them of which nobody remembers what became.
    unknown: u64,
    received: u64,
    /// Those that were accepted and did not come.
    missing: u64,
    /// So many more than it released its reader may have handled, over all its deaths.
    unreleased_max: u64,
}

/// Accounts of what stands, by sender, receiver and class.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    accepted: u64,
    delivered: u64,
    in_flight: u64,
    dead_letters: u64,
    dropped: u64,
    /// Those of the dropped that had been accepted before.
    lost: u64,
}

type Flows = BTreeMap<(usize, usize, bool), Flow>;

impl Exchange {
    /// Waits until nobody publishes and nothing is in flight.
    pub fn come_to_rest(&self) {
        self.enter(Phase::Rest);
        self.wait("nobody publishes", || {
            self.marks.iter().all(Marks::is_quiet).then_some(())
        });
        self.wait("nothing is in flight", || {
            let (_, rings) = self.cluster.observe();
            let mut all = rings
                .into_values()
                .map(|memory| account_of(memory).in_flight);
            all.all(|in_flight| in_flight == 0).then_some(())
        });
    }

    /// # Panics
    /// Something is missing, was invented, or is not accounted for.
    pub fn judge(&self) -> Figures {
        self.expect_no_complaint();
        let mut figures = Figures::default();
        let mut flows = Flows::new();
        for sender in 0..NODES {
            self.judge_sender(sender, &mut figures, &mut flows);
        }
        for marks in &self.marks {
            let (all, at_once) = marks.repeats();
            figures.received += marks.fresh();
            figures.repeated += all;
            figures.repeated_at_once_max = figures.repeated_at_once_max.max(at_once);
        }
        self.judge_accounts(&flows, &mut figures);
        figures
    }

    /// Each record of one sender is where it has to be and nowhere else.
    fn judge_sender(&self, sender: usize, figures: &mut Figures, flows: &mut Flows) {
        let marks = &self.marks[sender];
        let mut unknown = 0;
        for number in 0..marks.attempts() {
            let (plan, fate) = (Plan::of(sender, number), marks.fate(number));
            figures.attempted += 1;
            match fate {
                Fate::Accepted => figures.accepted += 1,
                Fate::Dropped => figures.dropped += 1,
                Fate::Unknown => unknown += 1,
            }
            for place in (0..NODES).filter(|place| plan.is_for(sender, *place)) {
                let has_come = self.marks[place].is_received(sender, number);
                let who = (Self::name(sender), Self::name(place));
                match fate {
                    Fate::Accepted if self.transport == Transport::Ring => {
                        assert!(has_come, "lost: {who:?} {number} {plan:?}");
                    }
                    Fate::Dropped if plan.to.is_some() => {
                        assert!(!has_come, "came though dropped: {who:?} {number} {plan:?}");
                    }
                    Fate::Accepted | Fate::Dropped | Fate::Unknown => {}
                }
                let flow = flows.entry((sender, place, plan.class == Class::Bulk));
                let flow = flow.or_default();
                flow.aimed += 1;
                flow.unknown += u64::from(fate == Fate::Unknown);
                flow.received += u64::from(has_come);
                flow.missing += u64::from(fate == Fate::Accepted && !has_come);
                flow.unreleased_max = self.marks[place].births() * TURN_RECORDS as u64;
            }
        }
        assert!(
            unknown < marks.births(),
            "each death costs one mark at most: {unknown}, {marks}"
        );
        figures.unknown += unknown;
    }

    /// What the rings and the board count is what the nodes know.
    fn judge_accounts(&self, flows: &Flows, figures: &mut Figures) {
        let (board, rings) = self.cluster.observe();
        let board = BoardView::map(board.as_fd()).unwrap();
        let slots: Vec<Slot> = (0..NODES)
            .map(|place| {
                let name = NodeName::parse(Self::name(place)).unwrap();
                board.find_by_name(&name).unwrap()
            })
            .collect();
        let place = |slot: Slot| slots.iter().position(|it| *it == slot).unwrap();
        let mut accounts: BTreeMap<(usize, usize, bool), Account> = BTreeMap::new();
        for (key, memory) in rings {
            let RingKey {
                from,
                to,
                class,
                index,
            } = key;
            let link = (place(from), place(to), class == Class::Bulk);
            let known = accounts.insert(link, account_of(memory));
            assert!(
                known.is_none(),
                "a ring that was drained still stands: {key:?}"
            );
            figures.rings += 1;
            figures.takeovers += index;
        }
        for sender in 0..NODES {
            for receiver in (0..NODES).filter(|place| *place != sender) {
                let no_ring = board.no_ring(slots[sender], slots[receiver]);
                let of = |is_bulk| (sender, receiver, is_bulk);
                let links = [false, true].map(of);
                let flow = |link| flows.get(&link).copied().unwrap_or_default();
                let account = |link| accounts.get(&link).copied().unwrap_or_default();
                for link in links {
                    judge_link(link, account(link), flow(link), self.transport);
                }
                let sum =
                    |of: fn(Flow) -> u64| links.map(|link| of(flow(link))).iter().sum::<u64>();
                let dropped = links.map(|link| account(link).dropped).iter().sum::<u64>() + no_ring;
                let lost: u64 = links.map(|link| account(link).lost).iter().sum();
                let not_received = sum(|flow| flow.aimed) - sum(|flow| flow.received);
                // Some of what was lost had been handled, and its reader died before it said so.
                let handled = lost.min(sum(|flow| flow.unreleased_max));
                let counted = dropped - handled..=dropped + sum(|flow| flow.unknown);
                figures.lost += lost;
                assert!(
                    counted.contains(&not_received),
                    "{sender} to {receiver}: {not_received} did not come, {counted:?} are dropped"
                );
            }
        }
    }
}

/// Everything that was accepted was delivered, or counted as lost by a stream; and the reader has a mark
/// for it.
fn judge_link(link: (usize, usize, bool), account: Account, flow: Flow, transport: Transport) {
    let what = format!("{link:?}: {account:?} {flow:?}");
    assert_eq!(account.in_flight, 0, "{what}");
    assert_eq!(account.dead_letters, 0, "{what}");
    assert_eq!(account.delivered + account.lost, account.accepted, "{what}");
    if transport == Transport::Unix {
        let handled = account.delivered..=account.delivered + account.lost.min(flow.unreleased_max);
        assert!(handled.contains(&flow.received), "{what}");
        assert!(flow.missing <= account.lost, "{what}");
        return;
    }
    assert_eq!((account.lost, flow.missing), (0, 0), "{what}");
    assert_eq!(account.accepted, flow.received, "{what}");
}

fn account_of(memory: std::os::fd::OwnedFd) -> Account {
    let seen = Observer::map(memory).unwrap().accounting().unwrap();
    let seen = Accounting::default().and_of_next(&seen);
    Account {
        accepted: seen.accepted,
        delivered: seen.delivered,
        in_flight: seen.in_flight,
        dead_letters: seen.dead_letters,
        dropped: DropReason::ALL.iter().map(|why| seen.dropped(*why)).sum(),
        lost: seen.dropped(DropReason::Lost),
    }
}

/// No node has said that it failed.
pub fn expect_no_panic(cluster: &Cluster) {
    for place in 0..NODES {
        let said = cluster.read(&format!("{}/stderr.log", Exchange::name(place)));
        assert!(
            !said.contains("panicked"),
            "{}: {said}",
            Exchange::name(place)
        );
        let letters = cluster
            .run_dir()
            .join(Exchange::name(place))
            .join("dead-letter");
        assert!(!letters.exists(), "{letters:?}");
    }
}

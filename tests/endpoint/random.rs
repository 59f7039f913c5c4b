//! Long random stories: who publishes, drains, is killed and comes back, in any order, against a plain
//! model of what each reader must see.
//!
//! `SIM_SEED=42 cargo test --test endpoint random` plays one story.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use cluster::fabric::{Slot, Transport};
use cluster::layout::spec::Role;
use cluster::node::endpoint::{Endpoint, TURN_RECORDS};
use cluster::sys::clock;

use super::stem::HandStem;
use super::stories::{Dice, only_seed, seeds};
use super::{TRANSPORT, spec};

const STORIES: u64 = 60;
const STEPS: u32 = 250;
const NODES: usize = 4;

/// What a link has promised, and what came of it.
#[derive(Default)]
struct Link {
    /// Numbers whose publish was true for this reader, in order.
    promised: Vec<u64>,
    /// How many of them came at least once.
    came: usize,
    /// How many before the last one did not.
    missing: u64,
    refused: u64,
}

struct Story {
    dice: Dice,
    stem: HandStem,
    slots: Vec<Slot>,
    endpoints: Vec<Option<Endpoint>>,
    /// By writer and reader.
    links: BTreeMap<(usize, usize), Link>,
    numbers: u64,
}

impl Story {
    fn new(seed: u64) -> Self {
        let stem = HandStem::new(spec());
        let slots: Vec<Slot> = (0..NODES)
            .map(|at| stem.add(&format!("worker-{at}"), Role::Worker))
            .collect();
        let mut story = Self {
            dice: Dice::new(seed),
            stem,
            slots,
            endpoints: (0..NODES).map(|_| None).collect(),
            links: BTreeMap::new(),
            numbers: 0,
        };
        for at in 0..NODES {
            story.sit(at);
        }
        story
    }

    fn sit(&mut self, at: usize) {
        // The last one is dead before its successor sits.
        self.endpoints[at] = None;
        let own = format!("to/{at}/");
        self.endpoints[at] = Some(self.stem.endpoint(self.slots[at], &[&own]));
        // Those who write streams send to it anew what was not released.
        for endpoint in self.endpoints.iter_mut().flatten() {
            endpoint.wake().unwrap();
        }
    }

    fn step(&mut self) {
        let at = self.dice.below(NODES);
        match self.dice.below(20) {
            0 => self.endpoints[at] = None,
            1 | 2 => self.sit(at),
            3 => self.drain(at, true),
            4..=8 => self.drain(at, false),
            _ => {
                for _ in 0..self.dice.below(30) {
                    self.publish(at);
                }
            }
        }
    }

    fn publish(&mut self, from: usize) {
        let to = self.dice.below(NODES);
        // Now and then one that no ring takes as yet.
        let padding = if self.dice.below(600) == 0 {
            self.dice.below(30_000)
        } else {
            self.dice.below(200)
        };
        let Some(endpoint) = self.endpoints[from].as_mut().filter(|_| from != to) else {
            return;
        };
        let number = self.numbers;
        self.numbers += 1;
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(8 + padding, 0x55);
        let link = self.links.entry((from, to)).or_default();
        if endpoint.publish(format!("to/{to}/"), &payload) {
            link.promised.push(number);
        } else {
            link.refused += 1;
        }
    }

    /// `dies`: somewhere in it.
    fn drain(&mut self, at: usize, dies: bool) {
        let budget = 1 + self.dice.below(300);
        let fatal = dies.then(|| self.dice.below(budget));
        let Some(mut endpoint) = self.endpoints[at].take() else {
            return;
        };
        endpoint.wake().unwrap();
        let mut came = Vec::new();
        let slots = &self.slots;
        let drained = catch_unwind(AssertUnwindSafe(|| {
            endpoint.drain(budget, |_, record| {
                let from = slots
                    .iter()
                    .position(|slot| *slot == record.receipt.from)
                    .unwrap();
                let number = u64::from_le_bytes(record.payload[..8].try_into().unwrap());
                assert!(record.payload[8..].iter().all(|byte| *byte == 0x55));
                assert_eq!(record.topic, format!("to/{at}/").as_bytes());
                if Some(came.len()) == fatal {
                    resume_unwind(Box::new("killed"));
                }
                came.push((from, number));
            })
        }));
        if drained.is_ok() {
            self.endpoints[at] = Some(endpoint);
        }
        self.check(at, &came);
    }

    /// Nothing that was not promised, nothing out of order, and little again.
    fn check(&mut self, to: usize, came: &[(usize, u64)]) {
        let senders: BTreeSet<usize> = came.iter().map(|(from, _)| *from).collect();
        for from in senders {
            let numbers = came
                .iter()
                .filter(|(sender, _)| *sender == from)
                .map(|(_, number)| *number);
            let numbers: Vec<u64> = numbers.collect();
            let link = self.links.get_mut(&(from, to)).unwrap();
            let begin = link
                .promised
                .iter()
                .position(|number| *number == numbers[0]);
            let begin = begin.unwrap();
            let again = link.came.saturating_sub(begin);
            assert!(again <= TURN_RECORDS, "too many come again");
            let mut next = link.came.min(begin);
            for number in numbers {
                let rest = &link.promised[next..];
                let missing = rest.iter().position(|promised| *promised == number);
                let missing = missing.expect("in order, and what was promised");
                link.missing += u64::try_from(missing).unwrap();
                next += missing + 1;
            }
            link.came = link.came.max(next);
        }
    }

    /// Is nothing on its way?
    fn is_quiet(&self) -> bool {
        let mut links = self.links.keys();
        links.all(|(from, to)| {
            let accounts = self.stem.accounts(self.slots[*from], self.slots[*to]);
            accounts.in_flight == 0
        })
    }

    /// Everybody is there again and reads all there is; then every record is accounted for.
    fn end(&mut self) {
        for at in 0..NODES {
            self.sit(at);
        }
        // A program that another test starts has copies of all sockets for a moment, so the end of one that
        // nobody here has any more can come late.
        let until = super::until();
        while !self.is_quiet() {
            assert!(clock::monotonic() < until, "something stays in flight");
            (0..NODES).for_each(|at| self.drain(at, false));
        }
        for ((from, to), link) in &self.links {
            let accounts = self.stem.accounts(self.slots[*from], self.slots[*to]);
            assert_eq!((accounts.in_flight, accounts.dead_letters), (0, 0));
            let lost = accounts.lost;
            assert_eq!(accounts.accepted, accounts.delivered + accounts.lost);
            let promised = u64::try_from(link.promised.len()).unwrap();
            // Rings that others took over from took their counts along.
            if TRANSPORT.get() == Transport::Unix {
                assert_eq!(accounts.accepted, promised);
            }
            // Of what a stream has lost some was handled, and its reader died before saying so.
            let missing = link.missing + promised - u64::try_from(link.came).unwrap();
            assert!(missing <= lost, "{from} to {to}: {missing} {accounts:?}");
            assert!(
                lost == 0 || TRANSPORT.get() == Transport::Unix,
                "rings lose nothing"
            );
            assert_eq!(
                accounts.dropped(),
                link.refused,
                "{from} to {to}: {accounts:?}"
            );
        }
    }
}

fn what_was_promised_comes_in_order_whoever_dies_when() {
    let (mut promised, mut refused) = (0, 0);
    for seed in seeds(STORIES) {
        println!("story {seed}");
        let mut story = Story::new(seed);
        for _ in 0..STEPS {
            story.step();
        }
        story.end();
        for link in story.links.values() {
            promised += link.promised.len();
            refused += link.refused;
        }
    }
    assert!(
        only_seed().is_some() || (promised > 10_000 && refused > 1_000),
        "{promised} {refused}"
    );
}

super::over_both! {
    what_was_promised_comes_in_order_whoever_dies_when
}

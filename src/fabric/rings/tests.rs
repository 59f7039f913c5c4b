//! A made-up supervisor, stem, writer and reader, and every way in which they can interleave and die.

use std::collections::{BTreeMap, VecDeque};

use super::*;
use proptest::prelude::*;

const WRITER: Slot = Slot(3);
const READER: Slot = Slot(5);
const LINK: (Slot, Slot, Class) = (WRITER, READER, Class::Bulk);
const SMALL: u32 = 100;
const LARGE: u32 = 100_000;

fn needs(record_bytes: u32) -> u32 {
    (record_bytes * 2).next_power_of_two()
}

pub(super) fn sizes() -> Sizes {
    Sizes::new(&FabricSpec::default(), needs)
}

fn key(index: u32) -> RingKey {
    RingKey {
        from: WRITER,
        to: READER,
        class: Class::Bulk,
        index,
    }
}

pub(super) const OVER: Seen = Seen {
    is_empty: true,
    has_successor: true,
};

#[test]
fn an_ask_makes_one_ring_and_tells_the_reader_before_the_writer_once_it_is_held() {
    let mut rings = Rings::default();
    let made = rings
        .ask(LINK, SMALL, Tenant::Here, &sizes(), None)
        .unwrap();
    let bytes = FabricSpec::default().bulk_bytes;
    let key = key(0);
    assert_eq!(made, Some(Deed::Make { key, bytes }));
    assert_eq!(
        rings.ask(LINK, SMALL, Tenant::Here, &sizes(), None),
        Ok(None)
    );
    assert_eq!(rings.usable().count(), 0);
    let tell = |whom| Deed::Tell { key, whom };
    assert_eq!(rings.held(key), [tell(READER), tell(WRITER)]);
    assert_eq!(rings.held(key), []);
    let again = rings
        .ask(LINK, SMALL, Tenant::Here, &sizes(), None)
        .unwrap();
    assert_eq!(again, Some(tell(WRITER)), "its ask was under way meanwhile");
}

#[test]
fn a_larger_record_gets_the_next_ring_and_the_small_one_goes_when_it_is_drained() {
    let mut rings = Rings::default();
    rings
        .ask(LINK, SMALL, Tenant::Here, &sizes(), None)
        .unwrap();
    rings.held(key(0));
    let here = Tenant::Here;
    let only = rings.drained(key(0), READER, here, OVER);
    assert!(only.is_err(), "nothing takes over from it");
    let made = rings.ask(LINK, 1 << 20, here, &sizes(), None).unwrap();
    let bytes = 1 << 21;
    assert_eq!(made, Some(Deed::Make { key: key(1), bytes }));
    rings.held(key(1));
    assert!(rings.drained(key(0), WRITER, here, OVER).is_err());
    for (is_empty, has_successor) in [(true, false), (false, true)] {
        let seen = Seen {
            is_empty,
            has_successor,
        };
        assert!(rings.drained(key(0), READER, here, seen).is_err());
    }
    let gone = rings.drained(key(0), READER, here, OVER);
    assert_eq!(gone, Ok(Some(Deed::LetGo(key(0)))));
    assert_eq!(rings.drained(key(0), READER, here, OVER), Ok(None));
    assert_eq!(rings.of(READER).collect::<Vec<_>>(), [key(1)]);
}

#[test]
fn what_is_too_large_or_for_nobody_is_refused() {
    let mut rings = Rings::default();
    let max = FabricSpec::default().record_bytes_max;
    let too_large = rings.ask(
        LINK,
        max + RECORD_HEADER_BYTES + 1,
        Tenant::Here,
        &sizes(),
        None,
    );
    assert_eq!(too_large, Err(Refusal::TooLarge));
    for nobody in [Tenant::Left, Tenant::Nobody] {
        let refused = rings.ask(LINK, 1, nobody, &sizes(), None);
        assert_eq!(refused, Err(Refusal::NoSuchPeer));
    }
    let to_itself = rings.ask(
        (WRITER, WRITER, Class::Bulk),
        1,
        Tenant::Here,
        &sizes(),
        None,
    );
    assert_eq!(to_itself, Err(Refusal::ToItself));
    let largest = rings.ask(LINK, max, Tenant::Here, &sizes(), None).unwrap();
    let bytes = max * 2;
    assert_eq!(largest, Some(Deed::Make { key: key(0), bytes }));
    assert!(!rings.is_free(READER));
    rings.not_made(key(0));
    assert!(rings.is_free(READER));
}

/// Shows: the answer to a ring that went cannot be taken for one about the next of its name.
#[test]
fn a_ring_nobody_needs_any_more_keeps_its_name_until_the_supervisor_has_answered() {
    let mut rings = Rings::default();
    rings
        .ask(LINK, SMALL, Tenant::Here, &sizes(), None)
        .unwrap();
    assert_eq!(rings.left(WRITER, |_| true), []);
    assert!(!rings.is_free(WRITER) && !rings.is_usable(key(0)));
    assert_eq!(rings.held(key(0)), [Deed::LetGo(key(0))]);
    assert!(rings.is_free(WRITER));
}

#[test]
fn a_leaver_takes_what_was_for_it_and_leaves_what_it_wrote() {
    let mut rings = Rings::default();
    let back = (READER, WRITER, Class::Control);
    for link in [LINK, back] {
        rings
            .ask(link, SMALL, Tenant::Here, &sizes(), None)
            .unwrap();
    }
    let back = RingKey {
        from: READER,
        to: WRITER,
        class: Class::Control,
        index: 0,
    };
    rings.held(key(0));
    rings.held(back);
    assert_eq!(rings.left(WRITER, |_| false), [Deed::LetGo(back)]);
    assert!(!rings.is_free(WRITER));
    let unread = Seen {
        is_empty: false,
        has_successor: false,
    };
    let left = Tenant::Left;
    assert!(rings.drained(key(0), READER, left, unread).is_err());
    let read = Seen {
        is_empty: true,
        ..unread
    };
    let gone = rings.drained(key(0), READER, left, read);
    assert_eq!(gone, Ok(Some(Deed::LetGo(key(0)))));
    assert!(rings.is_free(WRITER) && rings.is_free(READER));
}

/// What happens next in the made-up world.
#[derive(Clone, Copy, Debug)]
enum Turn {
    AskSmall,
    AskLarge,
    /// The supervisor reads one report.
    Report,
    /// The stem reads one order.
    Order,
    Write,
    Read,
    Drained,
    /// The stem dies, and all nodes with it; the next one finds what the supervisor holds.
    Death,
    /// The writer alone dies and comes back.
    Rebirth,
}

const TURNS: [Turn; 9] = [
    Turn::AskSmall,
    Turn::AskLarge,
    Turn::Report,
    Turn::Order,
    Turn::Write,
    Turn::Read,
    Turn::Drained,
    Turn::Death,
    Turn::Rebirth,
];

#[derive(Clone, Copy, Debug)]
enum Word {
    Escrow(RingKey),
    Released(RingKey),
}

/// A ring's memory: shared by all who hold it, gone when nobody does.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    bytes: u32,
    written: u32,
    read: u32,
    has_successor: bool,
}

#[derive(Debug, Default)]
struct World {
    memory: BTreeMap<RingKey, Memory>,
    /// What the supervisor holds.
    escrow: Vec<RingKey>,
    rings: Rings,
    reports: VecDeque<Word>,
    orders: VecDeque<RingKey>,
    /// What the writer may write to, and the reader reads.
    writers: Vec<RingKey>,
    readers: Vec<RingKey>,
    accepted: u32,
    delivered: u32,
}

impl World {
    fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::AskSmall => self.ask(SMALL),
            Turn::AskLarge => self.ask(LARGE * 3),
            Turn::Report => self.report(),
            Turn::Order => {
                if let Some(key) = self.orders.pop_front() {
                    let deeds = self.rings.held(key);
                    self.carry_out(deeds);
                }
            }
            Turn::Write => {
                if let Some(newest) = self.writers.iter().max().copied() {
                    let older = self.writers.iter().filter(|key| **key < newest);
                    for key in older {
                        self.memory.get_mut(key).unwrap().has_successor = true;
                    }
                    self.memory.get_mut(&newest).unwrap().written += 1;
                    self.accepted += 1;
                }
            }
            Turn::Read => {
                let memory = &mut self.memory;
                let unread = |key: &RingKey| memory[key].read < memory[key].written;
                if let Some(key) = self.readers.iter().copied().filter(unread).min() {
                    memory.get_mut(&key).unwrap().read += 1;
                    self.delivered += 1;
                }
            }
            Turn::Drained => self.drained(),
            Turn::Death => self.death(),
            Turn::Rebirth => self.writers = self.rings.of(WRITER).collect(),
        }
        self.check();
    }

    fn ask(&mut self, record_bytes: u32) {
        let asked = self
            .rings
            .ask(LINK, record_bytes, Tenant::Here, &sizes(), None);
        self.carry_out(asked.unwrap().into_iter().collect());
    }

    fn report(&mut self) {
        match self.reports.pop_front() {
            Some(Word::Escrow(key)) => {
                self.escrow.push(key);
                self.orders.push_back(key);
            }
            Some(Word::Released(key)) => self.escrow.retain(|held| *held != key),
            None => {}
        }
    }

    fn drained(&mut self) {
        for key in self.readers.clone() {
            let Memory {
                written,
                read,
                has_successor,
                ..
            } = self.memory[&key];
            let seen = Seen {
                is_empty: written == read,
                has_successor,
            };
            if let Ok(gone) = self.rings.drained(key, READER, Tenant::Here, seen) {
                self.readers.retain(|known| *known != key);
                self.writers.retain(|known| *known != key);
                self.carry_out(gone.into_iter().collect());
            }
        }
    }

    fn carry_out(&mut self, deeds: Vec<Deed>) {
        for deed in deeds {
            match deed {
                Deed::Make { key, bytes } => {
                    let memory = Memory {
                        bytes,
                        ..Memory::default()
                    };
                    assert!(self.memory.insert(key, memory).is_none(), "made twice");
                    self.reports.push_back(Word::Escrow(key));
                }
                Deed::Tell { key, whom } => {
                    assert!(self.escrow.contains(&key), "told before it was held");
                    let known = match whom {
                        WRITER => &mut self.writers,
                        _ => &mut self.readers,
                    };
                    if !known.contains(&key) {
                        known.push(key);
                    }
                }
                Deed::LetGo(key) => self.reports.push_back(Word::Released(key)),
            }
        }
    }

    fn death(&mut self) {
        // Reports under way are read to the end; the last one was still in the stem, and is lost.
        while self.reports.len() > 1 {
            self.report();
        }
        self.reports.clear();
        self.orders.clear();
        self.memory.retain(|key, _| self.escrow.contains(key));
        self.rings = Rings::default();
        for key in &self.escrow {
            self.rings.restore(*key, self.memory[key].bytes, false);
        }
        self.writers = self.rings.of(WRITER).collect();
        self.readers = self.rings.of(READER).collect();
    }

    fn check(&self) {
        let in_flight: u32 = self.memory.values().map(|m| m.written - m.read).sum();
        assert_eq!(
            self.accepted,
            self.delivered + in_flight,
            "a record is lost"
        );
        for key in &self.writers {
            assert!(self.readers.contains(key), "written where nobody reads");
        }
    }

    /// Everything that is under way arrives, and what is read is drained.
    fn quiet(&mut self) {
        for _ in 0..16 {
            for turn in [Turn::Report, Turn::Order, Turn::Read, Turn::Drained] {
                self.turn(turn);
            }
        }
        for _ in self.delivered..self.accepted {
            self.turn(Turn::Read);
        }
    }

    /// Shows: whatever happened, a record of any size finds a ring in the end.
    fn expect_a_ring_in_the_end(&mut self) {
        self.turn(Turn::AskLarge);
        self.quiet();
        let newest = self.writers.iter().max().unwrap();
        assert!(self.memory[newest].bytes >= needs(LARGE * 3));
        self.turn(Turn::Write);
        self.quiet();
        assert_eq!(self.accepted, self.delivered);
    }
}

fn play(turns: &[Turn]) {
    let mut world = World::default();
    for turn in turns {
        world.turn(*turn);
    }
    world.expect_a_ring_in_the_end();
}

/// Shows: in every order of five turns, behind each beginning that matters, no record is lost.
#[test]
fn every_short_story_keeps_every_record() {
    let beginnings: [&[Turn]; 4] = [
        &[],
        &[Turn::AskSmall, Turn::Report],
        &[Turn::AskSmall, Turn::Report, Turn::Order, Turn::Write],
        &[
            Turn::AskSmall,
            Turn::Report,
            Turn::Order,
            Turn::Write,
            Turn::AskLarge,
            Turn::Report,
            Turn::Order,
        ],
    ];
    for beginning in beginnings {
        for mut number in 0..TURNS.len().pow(4) {
            let mut turns = beginning.to_vec();
            for _ in 0..4 {
                turns.push(TURNS[number % TURNS.len()]);
                number /= TURNS.len();
            }
            play(&turns);
        }
    }
}

proptest! {
    #[test]
    fn every_long_story_keeps_every_record(
        story in proptest::collection::vec(0..TURNS.len(), 0..200),
    ) {
        let turns: Vec<Turn> = story.into_iter().map(|index| TURNS[index]).collect();
        play(&turns);
    }
}

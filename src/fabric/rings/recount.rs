//! The tally of what guests have had made, against a recount of all rings.

use super::tests::{OVER, sizes};
use super::*;
use crate::fabric::quota::Usage;
use proptest::prelude::*;

/// What can happen to the rings of several writers, by the number of a link.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Asked(u32, u32),
    NotMade(u32),
    Held(u32),
    Drained(u32),
    Left(u32),
    Restored,
}

const WRITERS: u32 = 4;

/// Every second writer is a guest.
fn is_guest(writer: Slot) -> bool {
    writer.0.is_multiple_of(2)
}

fn happening() -> impl Strategy<Value = Happening> {
    let link = 0..WRITERS * WRITERS;
    prop_oneof![
        4 => (link.clone(), 0..1000u32).prop_map(|(link, bytes)| Happening::Asked(link, bytes * 1000)),
        1 => link.clone().prop_map(Happening::NotMade),
        2 => link.clone().prop_map(Happening::Held),
        2 => link.clone().prop_map(Happening::Drained),
        1 => link.prop_map(Happening::Left),
        1 => Just(Happening::Restored),
    ]
}

fn happens(rings: &mut Rings, happening: Happening, quota: &Quota) {
    let link = |number: u32| (Slot(number / WRITERS), Slot(number % WRITERS));
    let newest = |rings: &Rings, number| {
        let (from, to) = link(number);
        rings.newest(from, to, Class::Bulk).map(|(key, _)| key)
    };
    match happening {
        Happening::Asked(number, bytes) => {
            let (from, to) = link(number);
            let quota = is_guest(from).then_some(quota);
            let link = (from, to, Class::Bulk);
            let _ = rings.ask(link, bytes, Tenant::Here, &sizes(), quota);
        }
        Happening::NotMade(number) => {
            if let Some(key) = newest(rings, number) {
                rings.not_made(key);
            }
        }
        Happening::Held(number) => {
            newest(rings, number).map(|key| rings.held(key));
        }
        Happening::Drained(number) => {
            let gone = newest(rings, number);
            gone.map(|key| rings.drained(key, key.to, Tenant::Left, OVER));
        }
        Happening::Left(number) => {
            rings.left(link(number).0, |key| key.index.is_multiple_of(2));
        }
        Happening::Restored => {
            let held: Vec<(RingKey, u32)> = rings
                .usable()
                .map(|key| (key, rings.rings[&key].bytes))
                .collect();
            *rings = Rings::default();
            for (key, bytes) in held {
                rings.restore(key, bytes, is_guest(key.from));
            }
        }
    }
}

proptest! {
    /// Shows: what the quota is checked against is what a walk over all rings counts.
    #[test]
    fn the_tally_of_guests_is_what_a_recount_finds(
        story in proptest::collection::vec(happening(), 0..200),
    ) {
        let quota = Quota {
            each: Usage { rings: 6, bytes: 4 << 20 },
            all: Usage { rings: 10, bytes: 6 << 20 },
            besides_each: 0,
        };
        let mut rings = Rings::default();
        for happening in story {
            happens(&mut rings, happening, &quota);
            let recount = |is_meant: &dyn Fn(Slot) -> bool| {
                let meant = rings.rings.iter().filter(|(key, _)| is_meant(key.from));
                meant.fold(Usage::default(), |usage, (_, ring)| usage.and(ring.bytes))
            };
            prop_assert_eq!(rings.guests.all(), recount(&is_guest));
            for writer in (0..WRITERS).map(Slot) {
                let own = recount(&|slot| slot == writer && is_guest(slot));
                prop_assert_eq!(rings.guests.of(writer), own);
                prop_assert!(own.rings <= quota.each.rings && own.bytes <= quota.each.bytes);
            }
            prop_assert!(rings.guests.all().rings <= quota.all.rings);
        }
    }
}

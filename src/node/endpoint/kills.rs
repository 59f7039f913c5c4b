//! Deaths at every instruction of a publish and of a drain that changes anything others can see.
//!
//! As in the ring's own (`shm::ring`), one layer up: what two endpoints have between them is the ring,
//! their bells, and what they remember. Successors sit down in the dead one's place and go on.

mod site;

use std::os::fd::OwnedFd;

use super::{Delivery, Endpoint};
use crate::shm::ring::{DropReason, Writer};
use crate::sys::alone::alone;
use crate::sys::traced::Traced;

use site::{LARGE, READER, Rings, SMALL, Site, WRITER, number_at_a_glance, payload};

/// An endpoint, and the stem's end of its socket.
type Seated = (Endpoint, OwnedFd);

/// So many records later, one has begun in every part of the ring.
const PLACES: u64 = 4;

/// A record that begins there goes over the ring's end.
const OVER_THE_END: u64 = 3;

/// Numbers of records to die at: the one over the ring's end; or, with `KILLS=1` in the environment, one
/// at each place.
fn places() -> impl Iterator<Item = u64> {
    let every = std::env::var_os("KILLS").is_some();
    (0..PLACES).filter(move |place| every || *place == OVER_THE_END)
}

fn publish((writer, _): &mut Seated, number: u64) -> bool {
    writer.publish("x", &payload(number, SMALL))
}

/// So many records go through.
fn pass(site: &Site, records: u64) {
    for number in 0..records {
        assert!(publish(&mut site.writer(), number));
        assert_eq!(site.drain(Delivery::default(), Rings::One), [number]);
    }
}

/// Kills a publisher behind each instruction of a publish, while its reader sleeps or is awake.
fn kill_publishers(sleeps: bool) {
    for place in places() {
        let site = Site::new();
        pass(&site, place);
        assert!(publish(&mut site.writer(), place));
        if sleeps {
            site.fall_asleep(READER);
        }
        let act = |site: &Site| {
            let bytes = payload(place + 1, SMALL);
            let act = move |(writer, _): &mut Seated| assert!(writer.publish("x", &bytes));
            Traced::new(|| site.writer(), act)
        };
        let led = site.copy();
        let changes = act(&led).changes(|| led.look());
        let least = if sleeps { 8 } else { 6 };
        assert!(changes >= least, "ring, count, bell: {changes}");
        let mut published = 0;
        for behind in 0..=changes {
            let left = site.copy();
            act(&left).kill_behind(behind, || left.look());
            let accounts = left.accounts()[0];
            let accepted = accounts.accepted;
            assert_eq!(
                (accounts.delivered, accounts.in_flight),
                (place, accepted - place)
            );
            published += accepted - place - 1;
            let mut successor = left.writer();
            assert_eq!(left.is_rung(READER), sleeps, "asleep beside a record");
            assert!(publish(&mut successor, accepted));
            let expected: Vec<u64> = (place..=accepted).collect();
            assert_eq!(left.drain(Delivery::default(), Rings::One), expected);
        }
        assert!(published > 0, "behind the deciding instruction, too");
    }
}

/// Shows: a publisher that dies has published the record or not, never half, and its successor goes on
/// with the next.
#[test]
fn a_publisher_may_die_at_any_instruction() {
    alone(move || kill_publishers(false));
}

/// Shows: a reader that slept is woken for what was published, by its publisher or the successor.
#[test]
fn a_publisher_may_die_before_it_has_woken_its_reader() {
    alone(move || kill_publishers(true));
}

/// A site with a full ring, whose writer sleeps until there is room.
fn full(place: u64) -> Site {
    let site = Site::new();
    pass(&site, place);
    let mut writer = site.writer();
    let all = (place..).take_while(|number| publish(&mut writer, *number));
    assert!(all.count() >= 2);
    drop(writer);
    let mut waiting = Writer::map(site.ring()).unwrap();
    assert_eq!(waiting.want_room(40), Ok(false));
    site.handled.beat(place);
    site.fall_asleep(WRITER);
    site
}

/// Kills a reader behind each instruction of a drain, and hands what it left to `judge`: how many
/// records it had handled, how many had gone from the ring, and how many there were.
fn kill_readers(delivery: Delivery, mut judge: impl FnMut(u64, u64, u64)) {
    for place in places() {
        let site = full(place);
        let end = site.accounts()[0].accepted;
        let act = |site: &Site| {
            let handled = site.handled();
            let act = move |(reader, _): &mut Seated| {
                reader.drain(usize::MAX, |_, record| {
                    handled.beat(number_at_a_glance(record.payload) + 1)
                });
            };
            Traced::new(|| site.sit(READER, delivery, Rings::One), act)
        };
        let led = site.copy();
        let changes = act(&led).changes(|| led.look());
        assert!(led.is_rung(WRITER) && led.accounts()[0].delivered == end);
        for behind in 0..=changes {
            let left = site.copy();
            act(&left).kill_behind(behind, || left.look());
            let accounts = left.accounts()[0];
            assert_eq!(
                (accounts.accepted, accounts.in_flight),
                (end, end - accounts.delivered)
            );
            judge(
                left.handled.last() - place,
                accounts.delivered - place,
                end - place,
            );
            let expected: Vec<u64> = (accounts.delivered..end).collect();
            assert_eq!(left.drain(delivery, Rings::One), expected);
            assert!(left.is_rung(WRITER), "the writer sleeps beside room");
            assert_eq!(left.accounts()[0].delivered, end);
        }
    }
}

/// Shows: of a reader that dies no record is gone that it had not handled; its successor has all others,
/// and a writer that slept for want of room is woken by the one or the other.
#[test]
fn a_reader_may_die_at_any_instruction_of_a_drain() {
    alone(move || {
        let (mut repeats, mut done) = (0, 0);
        kill_readers(Delivery::AtLeastOnce, |handled, gone, all| {
            assert!(
                handled >= gone,
                "{gone} of {all} are gone, and {handled} were handled"
            );
            repeats += u64::from(handled > gone);
            done += u64::from(gone == all);
        });
        assert!(repeats > 0 && done > 0, "{repeats} {done}");
    });
}

/// Shows: none comes twice to whoever wants each once at most, and a death costs one at most.
#[test]
fn a_reader_that_wants_each_once_at_most_may_die_at_any_instruction() {
    alone(move || {
        let mut lost = 0;
        kill_readers(Delivery::AtMostOnce, |handled, gone, all| {
            let in_hand = gone.checked_sub(handled);
            assert!(
                in_hand.is_some_and(|count| count <= 1),
                "{handled} {gone} {all}"
            );
            lost += u64::from(in_hand == Some(1));
        });
        assert!(lost > 0);
    });
}

/// A frame of a stream: a record of this number, or the word that what comes before it is lost.
fn frame(number: u64, record: &[u8]) -> Vec<u8> {
    let length = u32::try_from(record.len()).unwrap();
    [&length.to_le_bytes()[..], &number.to_le_bytes(), record].concat()
}

/// Shows: whatever instruction a reader dies at that releases what a stream has lost, each of those records
/// counts as lost once, and each of the others as delivered.
#[test]
fn a_reader_may_die_at_any_instruction_of_releasing_what_is_lost() {
    const LOST: u64 = 2;
    const ALL: u64 = LOST + 1;
    alone(move || {
        let site = Site::new();
        let mut writer = Writer::map(site.ring()).unwrap();
        for _ in 0..ALL {
            writer.count_queued();
            writer.try_push(&[]).unwrap();
        }
        drop(writer);
        let record = [&1_u16.to_le_bytes()[..], b"x", &payload(0, SMALL)].concat();
        let bytes = [frame(0, &record), frame(ALL, &[])].concat();
        let drain = |(reader, _): &mut Seated| {
            reader.drain(usize::MAX, |_, _| ());
        };
        // What is in the socket is read unwatched: nobody sees that, and it takes long.
        let sit = |site: &Site| {
            let mut seated = site.sit_at_stream(&bytes);
            while !seated.0.inbox.has_work(&seated.0.outbox) {}
            seated
        };
        let act = |site: &Site| Traced::new(|| sit(site), drain);
        let led = site.copy();
        let changes = act(&led).changes(|| led.look());
        let mut fates = vec![0; usize::try_from(LOST + 1).unwrap()];
        for behind in 0..=changes {
            let left = site.copy();
            act(&left).kill_behind(behind, || left.look());
            let at_once = left.accounts()[0];
            let lost = at_once.dropped(DropReason::Lost);
            let sum = at_once.delivered + at_once.in_flight + lost;
            assert_eq!((at_once.accepted, sum), (ALL, ALL));
            assert!(lost == 0 || at_once.delivered > 0, "in their order");
            fates[usize::try_from(lost).unwrap()] += 1;
            drain(&mut left.sit_at_stream(&bytes));
            let accounts = left.accounts()[0];
            assert_eq!(accounts.dropped(DropReason::Lost), LOST);
            assert_eq!((accounts.delivered, accounts.in_flight), (ALL - LOST, 0));
        }
        assert!(fates.iter().all(|deaths| *deaths > 0), "{fates:?}");
    });
}

/// Shows: a record that a full stream drops costs no call of the system, but for one look in each tick of the
/// clock.
#[test]
fn what_a_full_stream_drops_costs_next_to_nothing() {
    const DROPS: u64 = 20_000;
    alone(|| {
        let site = Site::new();
        let record = payload(0, 4096);
        let sit = || {
            let mut seated = site.writer_at_stream();
            let (writer, _) = &mut seated.0;
            while writer.publish("x", &record) {}
            seated
        };
        let act = |((writer, _), _): &mut (Seated, OwnedFd)| {
            (0..DROPS).for_each(|_| assert!(!writer.publish("x", &record)));
        };
        let calls = Traced::new(sit, act).calls();
        assert_eq!(site.accounts()[0].dropped(DropReason::Full), DROPS + 1);
        assert!(
            (calls as u64) < DROPS / 10,
            "{calls} calls for {DROPS} drops"
        );
    });
}

/// A site whose small ring is full, with a record dropped; how many records it holds.
fn full_with_a_drop() -> (Site, u64) {
    let site = Site::new();
    let mut writer = site.writer();
    let end = (0..).find(|number| !publish(&mut writer, *number)).unwrap();
    (site, end)
}

/// Shows: a publisher that dies while a larger ring takes over leaves both so that its successor goes on
/// in the larger one, its reader finds all records in their order, and no drop is forgotten or counted
/// twice.
#[test]
fn a_publisher_may_die_at_any_instruction_of_going_on_to_a_larger_ring() {
    alone(move || {
        let (site, end) = full_with_a_drop();
        let act = |site: &Site| {
            let prepare = || site.sit(WRITER, Delivery::default(), Rings::OneThenLarger);
            let bytes = payload(end, LARGE);
            Traced::new(prepare, move |(writer, _)| {
                assert!(writer.publish("x", &bytes));
            })
        };
        let led = site.copy();
        let changes = act(&led).changes(|| led.look());
        assert!(changes >= 9, "drops, mark, record: {changes}");
        let mut published = 0;
        for behind in 0..=changes {
            let left = site.copy();
            act(&left).kill_behind(behind, || left.look());
            let there = left.accounts()[1].accepted;
            published += there;
            let next = end + there;
            let (mut successor, _stem) = left.sit(WRITER, Delivery::default(), Rings::Both);
            assert!(successor.publish("x", &payload(next, SMALL)));
            let [small, larger] = left.accounts();
            assert_eq!((small.accepted, larger.accepted), (end, there + 1));
            assert_eq!(larger.dropped(DropReason::Full), 1);
            let expected: Vec<u64> = (0..=next).collect();
            assert_eq!(left.drain(Delivery::default(), Rings::Both), expected);
        }
        assert!(published > 0, "behind the deciding instruction, too");
    });
}

/// Shows: a reader that dies while it goes on to the larger ring leaves what it has not handled to its
/// successor, in its order; whether the stem tells of the small ring again or not.
#[test]
fn a_reader_may_die_at_any_instruction_of_going_on_to_a_larger_ring() {
    alone(move || {
        let (site, last) = full_with_a_drop();
        let (mut writer, _stem) = site.sit(WRITER, Delivery::default(), Rings::Both);
        assert!(writer.publish("x", &payload(last, LARGE)));
        site.fall_asleep(WRITER);
        let act = |site: &Site| {
            let handled = site.handled();
            let prepare = || site.sit(READER, Delivery::default(), Rings::Both);
            Traced::new(prepare, move |(reader, _)| {
                reader.drain(usize::MAX, |_, record| {
                    handled.beat(number_at_a_glance(record.payload) + 1)
                });
            })
        };
        let led = site.copy();
        let changes = act(&led).changes(|| led.look());
        let mut on_the_way = 0;
        for behind in 0..=changes {
            let left = site.copy();
            act(&left).kill_behind(behind, || left.look());
            let gone: u64 = left.accounts().iter().map(|it| it.delivered).sum();
            assert!(left.handled.last() >= gone);
            on_the_way += u64::from(gone == last);
            let expected: Vec<u64> = (gone..=last).collect();
            assert_eq!(left.drain(Delivery::default(), Rings::Both), expected);
            let [small, larger] = left.accounts();
            assert_eq!((small.in_flight, larger.in_flight), (0, 0));
        }
        assert!(on_the_way > 0, "between the rings, too");
    });
}

//! One thread, both ends: over the heap, so that Miri can run them, and over a memory file.

use std::io;
use std::num::NonZeroU64;

use proptest::prelude::*;

use super::heap::Block;
use super::*;
use crate::sys::memory::create_fixed;

fn next(reader: &mut Reader) -> Option<(u64, Vec<u8>)> {
    let mut record = vec![0xEE; 3];
    let delivery = reader.drain(&mut record).unwrap()?;
    Some((delivery.number(), record))
}

#[test]
fn records_come_out_whole_and_in_order_at_every_place_of_the_ring() {
    let block = Block::new(64);
    let (mut writer, mut reader) = (block.writer(), block.reader());
    let mut record = Vec::new();
    for number in 0..200 {
        let bytes: Vec<u8> = (0..=255).cycle().skip(number).take(number % 57).collect();
        let (one, two) = bytes.split_at(bytes.len() / 3);
        assert_eq!(writer.try_push(&[one, &[], two]), Ok(number as u64));
        let delivery = reader.drain(&mut record).unwrap().unwrap();
        assert_eq!((delivery.number(), &record), (number as u64, &bytes));
        assert_eq!(reader.drain(&mut record), Ok(None));
        assert_eq!(record, bytes, "what is not drained is not touched");
        reader.release(delivery);
    }
    assert_eq!((writer.accepted(), reader.released()), (200, 200));
}

#[test]
fn a_full_ring_says_so_until_something_is_released() {
    let block = Block::new(64);
    let (mut writer, mut reader) = (block.writer(), block.reader());
    for _ in 0..4 {
        writer.try_push(&[b"12345678"]).unwrap();
    }
    assert_eq!(writer.try_push(&[b""]), Err(PushError::Full));
    let delivery = reader.drain(&mut Vec::new()).unwrap().unwrap();
    assert_eq!(writer.try_push(&[b""]), Err(PushError::Full));
    reader.release(delivery);
    assert_eq!(writer.try_push(&[b"1"]), Ok(4));
    assert_eq!(writer.try_push(&[b""]), Err(PushError::Full));
}

#[test]
fn more_than_a_quarter_that_is_drained_and_held_is_much_room() {
    let block = Block::new(64);
    let (mut writer, mut reader) = (block.writer(), block.reader());
    for _ in 0..4 {
        writer.try_push(&[b"12345678"]).unwrap();
    }
    reader.drain(&mut Vec::new()).unwrap().unwrap();
    assert!(!reader.owes_much_room());
    let second = reader.drain(&mut Vec::new()).unwrap().unwrap();
    assert!(reader.owes_much_room());
    reader.release(second);
    assert!(!reader.owes_much_room());
}

#[test]
fn what_is_published_after_a_look_is_seen_by_the_next_one() {
    let block = Block::new(128);
    let (mut writer, mut reader) = (block.writer(), block.reader());
    writer.try_push(&[b"1"]).unwrap();
    writer.try_push(&[b"2"]).unwrap();
    assert!(!reader.holds_more());
    assert_eq!(next(&mut reader), Some((0, b"1".to_vec())));
    writer.try_push(&[b"3"]).unwrap();
    assert!(reader.holds_more());
    assert_eq!(next(&mut reader), Some((1, b"2".to_vec())));
    assert!(!reader.holds_more(), "the third was not looked for");
    reader.look_at_tail().unwrap();
    assert!(reader.holds_more());
    assert_eq!(next(&mut reader), Some((2, b"3".to_vec())));
}

#[test]
fn a_record_may_take_all_of_the_ring_and_no_more() {
    let block = Block::new(128);
    let (mut writer, mut reader) = (block.writer(), block.reader());
    assert_eq!(writer.record_bytes_max(), 120);
    for number in 0..3 {
        assert_eq!(writer.try_push(&[&[7; 121]]), Err(PushError::TooLarge));
        assert_eq!(writer.try_push(&[&[7; 120]]), Ok(number));
        let mut record = Vec::new();
        let delivery = reader.drain(&mut record).unwrap().unwrap();
        assert_eq!(record, [7; 120]);
        reader.release(delivery);
        // So that the next one begins elsewhere.
        assert_eq!(capacity_for(120), 128);
        assert_eq!(capacity_for(121), 256);
    }
    assert_eq!(capacity_for(0), CAPACITY_MIN);
}

#[test]
fn what_was_not_released_comes_again_to_a_successor() {
    let block = Block::new(256);
    let (mut writer, mut reader) = (block.writer(), block.reader());
    for byte in 0..4 {
        writer.try_push(&[&[byte]]).unwrap();
    }
    let first = reader.drain(&mut Vec::new()).unwrap().unwrap();
    let second = reader.drain(&mut Vec::new()).unwrap().unwrap();
    reader.release(second);
    reader.release(first);
    assert_eq!(next(&mut reader), Some((2, vec![2])));
    let mut successor = block.reader();
    assert_eq!(successor.released(), 2);
    assert_eq!(next(&mut successor), Some((2, vec![2])));
    assert_eq!(next(&mut successor), Some((3, vec![3])));
    assert_eq!(next(&mut successor), None);
}

#[test]
fn a_successor_of_the_writer_goes_on_with_the_next_number() {
    let block = Block::new(64);
    let mut reader = block.reader();
    for number in 0..9 {
        let mut writer = block.writer();
        assert_eq!(writer.accepted(), number);
        assert_eq!(writer.try_push(&[b"a", b"b"]), Ok(number));
        drop(writer);
        let delivery = reader.drain(&mut Vec::new()).unwrap().unwrap();
        reader.release(delivery);
    }
}

#[test]
fn a_record_that_kills_its_readers_is_known_by_name() {
    let block = Block::new(256);
    let mut writer = block.writer();
    for byte in 0..3 {
        writer.try_push(&[&[byte]]).unwrap();
    }
    assert_eq!(block.reader().in_hand(), None);
    for deaths in 1..=3 {
        let mut reader = block.reader();
        let first = reader.drain(&mut Vec::new()).unwrap().unwrap();
        reader.take_in_hand(first);
        let second = reader.drain(&mut Vec::new()).unwrap().unwrap();
        reader.take_in_hand(second);
        drop(reader);
        let blamed = block.reader().count_death();
        assert_eq!(blamed, Some(InHand { number: 1, deaths }));
        assert_eq!(block.reader().in_hand(), blamed);
    }
    let mut reader = block.reader();
    let first = reader.drain(&mut Vec::new()).unwrap().unwrap();
    reader.release(first);
    let second = reader.drain(&mut Vec::new()).unwrap().unwrap();
    reader.release_as_dead_letter(second);
    assert_eq!(reader.in_hand(), None);
    let third = reader.drain(&mut Vec::new()).unwrap().unwrap();
    reader.take_in_hand(third);
    assert_eq!(
        block.reader().in_hand(),
        Some(InHand {
            number: 2,
            deaths: 0
        })
    );
    reader.release(third);
    assert_eq!(reader.count_death(), None);
    let accounting = block.observer().accounting().unwrap();
    assert_eq!((accounting.delivered, accounting.dead_letters), (2, 1));
}

#[test]
fn an_observer_counts_what_stands_in_the_ring() {
    let block = Block::new(256);
    let (mut writer, mut reader, observer) = (block.writer(), block.reader(), block.observer());
    assert_eq!(observer.accounting(), Ok(Accounting::default()));
    for length in 0..5 {
        writer.try_push(&[&[1; 9][..length]]).unwrap();
    }
    for (reason, times) in DropReason::ALL.into_iter().zip(1..) {
        (0..times).for_each(|_| writer.count_drop(reason));
    }
    let delivery = reader.drain(&mut Vec::new()).unwrap().unwrap();
    reader.release(delivery);
    let _ = reader.drain(&mut Vec::new()).unwrap().unwrap();
    let accounting = observer.accounting().unwrap();
    // What a stream drops from its queue or loses with its writer had been accepted: six and seven.
    assert_eq!((accounting.accepted, accounting.delivered), (5 + 6 + 7, 1));
    assert_eq!((accounting.in_flight, accounting.in_flight_bytes), (4, 64));
    let drops = DropReason::ALL.map(|reason| accounting.dropped(reason));
    assert_eq!(drops, [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_writer_that_waits_is_told_when_there_is_enough_room() {
    let block = Block::new(64);
    let (mut writer, mut reader) = (block.writer(), block.reader());
    assert_eq!(writer.want_room(56), Ok(true));
    for _ in 0..4 {
        writer.try_push(&[b"12345678"]).unwrap();
    }
    assert!(!reader.room_is_wanted());
    assert_eq!(writer.want_room(24), Ok(false));
    for expected in [false, true] {
        let delivery = reader.drain(&mut Vec::new()).unwrap().unwrap();
        reader.release(delivery);
        assert_eq!(reader.room_is_wanted(), expected);
    }
    assert_eq!(writer.want_room(24), Ok(true));
    assert_eq!(writer.try_push(&[&[0; 24]]), Ok(4));
    assert!(!reader.room_is_wanted());
    assert_eq!(writer.want_room(24), Ok(false));
    writer.stop_waiting();
    assert_eq!(writer.want_room(24), Ok(false));
    let mut successor = block.writer();
    let delivery = reader.drain(&mut Vec::new()).unwrap().unwrap();
    reader.release(delivery);
    assert!(!reader.room_is_wanted(), "the one that waited is dead");
    assert_eq!(successor.try_push(&[b""]), Ok(5));
}

#[test]
fn a_reader_follows_the_writer_when_it_has_drained_what_is_left() {
    let block = Block::new(64);
    let (mut writer, mut reader) = (block.writer(), block.reader());
    assert_eq!(reader.moved_on(), Ok(None));
    let larger = NonZeroU64::new(2).unwrap();
    writer.try_push(&[b"last"]).unwrap();
    writer.move_on(larger);
    assert_eq!(reader.moved_on(), Ok(None));
    assert_eq!(next(&mut reader), Some((0, b"last".to_vec())));
    assert_eq!(reader.moved_on(), Ok(Some(larger)));
    assert_eq!(writer.try_push(&[b""]), Err(PushError::MovedOn(larger)));
    let mut successor = block.writer();
    assert_eq!(successor.moved_on(), Some(larger));
    assert_eq!(successor.try_push(&[b""]), Err(PushError::MovedOn(larger)));
}

/// Shows: two threads at once, each at its own pace, over many laps of the ring.
#[test]
fn records_cross_from_thread_to_thread() {
    const RECORDS: u64 = if cfg!(miri) { 100 } else { 50_000 };
    let block = Block::new(256);
    let (mut writer, mut reader) = (block.writer(), block.reader());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..RECORDS {
                let bytes = number.to_le_bytes().repeat(3);
                let length = usize::try_from(number % 25).unwrap();
                while let Err(error) = writer.try_push(&[&bytes[..length]]) {
                    assert_eq!(error, PushError::Full);
                    std::thread::yield_now();
                }
            }
        });
        let (mut number, mut record) = (0, Vec::new());
        while number < RECORDS {
            let Some(drained) = reader.drain(&mut record).unwrap() else {
                std::thread::yield_now();
                continue;
            };
            let length = usize::try_from(number % 25).unwrap();
            assert_eq!(drained.number(), number);
            assert_eq!(record, number.to_le_bytes().repeat(3)[..length]);
            reader.release(drained);
            number += 1;
        }
    });
    let accounting = block.observer().accounting().unwrap();
    assert_eq!((accounting.delivered, accounting.in_flight), (RECORDS, 0));
}

#[test]
#[cfg_attr(miri, ignore = "no memory files there")]
fn a_memory_file_is_a_ring_for_all_who_map_it() {
    let file = create(100).unwrap();
    let copy = || file.try_clone().unwrap();
    let mut writer = Writer::map(copy()).unwrap();
    let mut reader = Reader::map(copy()).unwrap();
    let observer = Observer::map(copy()).unwrap();
    assert_eq!(observer.capacity(), 128);
    writer.try_push(&[b"over", b" there"]).unwrap();
    assert_eq!(observer.accounting().unwrap().in_flight, 1);
    assert_eq!(next(&mut reader), Some((0, b"over there".to_vec())));
}

#[test]
#[cfg_attr(miri, ignore = "no memory files there")]
fn each_ring_has_an_id_of_its_own_for_ever() {
    let [file, other] = [(); 2].map(|()| create(100).unwrap());
    let id = |file: &OwnedFd| Reader::map(file.try_clone().unwrap()).unwrap().id();
    assert_eq!(id(&file), id(&file));
    assert!(id(&file) != id(&other) && id(&other) != RingId::default());
}

/// Shows: safe code cannot have two writers or two readers over one memory, and can have the next one when
/// the last is gone, or was none.
#[test]
#[cfg_attr(miri, ignore = "no memory files there")]
fn an_end_is_mapped_once_at_a_time_in_a_process() {
    let [file, other] = [(); 2].map(|()| create(100).unwrap());
    let copy = || file.try_clone().unwrap();
    let writer = Writer::map(copy()).unwrap();
    let reader = Reader::map(copy()).unwrap();
    let busy = [Writer::map(copy()).map(drop), Reader::map(copy()).map(drop)];
    for refused in busy {
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    }
    Writer::map(other).unwrap();
    drop(writer);
    Writer::map(copy()).unwrap();
    assert!(Reader::map(copy()).is_err());
    drop(reader);
    Reader::map(copy()).unwrap();
    let bare = create_fixed("ring", 768 + 64).unwrap();
    for _ in 0..2 {
        let error = Writer::map(bare.try_clone().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
#[cfg_attr(miri, ignore = "no memory files there")]
fn what_is_no_ring_is_refused() {
    let bare = create_fixed("ring", 768 + 64).unwrap();
    let crooked = create_fixed("ring", 768 + 65).unwrap();
    let short = create_fixed("ring", 767).unwrap();
    for file in [bare, crooked, short] {
        let error = Observer::map(file.try_clone().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(Writer::map(file.try_clone().unwrap()).is_err());
        assert!(Reader::map(file).is_err());
    }
    let error = create(CAPACITY_MAX + 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[derive(Clone, Debug)]
enum Deed {
    Push(usize),
    Drain,
    Release,
    ReplaceWriter,
    ReplaceReader,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (0..90_usize).prop_map(Deed::Push),
        4 => Just(Deed::Drain),
        3 => Just(Deed::Release),
        1 => Just(Deed::ReplaceWriter),
        1 => Just(Deed::ReplaceReader),
    ];
    prop::collection::vec(deed, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 10 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Shows: whatever both ends and their successors do, the reader gets what a queue would give it,
    /// and the accounts add up after each deed.
    #[test]
    fn a_ring_behaves_like_a_queue_with_successors(deeds in deeds()) {
        let block = Block::new(256);
        let (mut writer, mut reader) = (block.writer(), block.reader());
        let mut accepted: Vec<usize> = Vec::new();
        let (mut released, mut drained) = (0, Vec::new());
        for deed in deeds {
            match deed {
                Deed::Push(length) => {
                    let [byte, ..] = accepted.len().to_le_bytes();
                    let filled: usize = accepted[released..].iter().map(|l| 8 + l.next_multiple_of(8)).sum();
                    let fits = filled + 8 + length.next_multiple_of(8) <= 256;
                    let pushed = writer.try_push(&[&vec![byte; length]]);
                    prop_assert_eq!(pushed.is_ok(), fits);
                    if fits {
                        accepted.push(length);
                    }
                }
                Deed::Drain => {
                    let mut record = Vec::new();
                    let number = released + drained.len();
                    let delivery = reader.drain(&mut record).unwrap();
                    prop_assert_eq!(delivery.is_some(), number < accepted.len());
                    if let Some(delivery) = delivery {
                        prop_assert_eq!(delivery.number(), number as u64);
                        let [byte, ..] = number.to_le_bytes();
                        prop_assert_eq!(record, vec![byte; accepted[number]]);
                        drained.push(delivery);
                    }
                }
                Deed::Release => {
                    if let Some(last) = drained.pop() {
                        released += drained.len() + 1;
                        drained.clear();
                        reader.release(last);
                    }
                }
                Deed::ReplaceWriter => writer = block.writer(),
                Deed::ReplaceReader => {
                    reader = block.reader();
                    drained.clear();
                }
            }
            let accounting = block.observer().accounting().unwrap();
            prop_assert_eq!(accounting.accepted, accepted.len() as u64);
            prop_assert_eq!(accounting.delivered, released as u64);
            prop_assert_eq!(accounting.in_flight, (accepted.len() - released) as u64);
        }
    }
}

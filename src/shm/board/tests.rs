//! Boards, whole and spoiled.

use std::os::fd::AsFd;

use proptest::prelude::*;

use super::*;

const SLOT: Slot = Slot(3);

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

fn id(byte: u8) -> LifeId {
    LifeId(std::array::from_fn(|index| {
        byte ^ u8::try_from(index).unwrap()
    }))
}

fn spoil(board: &Board, from: usize, words: &[u64]) {
    for (index, value) in words.iter().enumerate() {
        let word = board.memory.at(from + index * WORD).unwrap();
        word.store(*value, Ordering::Relaxed);
    }
}

#[test]
fn what_the_stem_writes_is_what_an_observer_reads() {
    let (board, file) = Board::create(10).unwrap();
    let view = BoardView::map(file.as_fd()).unwrap();
    assert_eq!((view.entries().count(), view.slots().count()), (0, 10));
    let longest = name(&"n".repeat(crate::names::NAME_BYTES_MAX));
    board.occupy(SLOT, &longest, Role::Logger, true);
    board.born(SLOT, Incarnation(7), id(9), 4711);
    board.set_state(SLOT, State::Up);
    let entry = Entry {
        state: State::Up,
        name: longest.clone(),
        role: Role::Logger,
        attached: true,
        incarnation: Incarnation(7),
        id: id(9),
        pid: 4711,
    };
    assert_eq!(view.entries().collect::<Vec<_>>(), [(SLOT, entry)]);
    assert_eq!(view.find_by_name(&longest), Some(SLOT));
    assert_eq!(view.find_by_name(&name("n")), None);
    board.free(SLOT);
    assert_eq!(view.entry(SLOT), None);
}

#[test]
fn every_state_and_role_comes_back_as_it_went() {
    let (board, _) = Board::create(4).unwrap();
    for role in [
        Role::None,
        Role::Control,
        Role::Logger,
        Role::Manager,
        Role::Proxy,
        Role::Worker,
        Role::Controller,
    ] {
        board.occupy(SLOT, &name("a"), role, false);
        for state in [
            State::Born,
            State::Up,
            State::Down,
            State::Away,
            State::Left,
        ] {
            board.set_state(SLOT, state);
            let entry = board.entry(SLOT).unwrap();
            assert_eq!((entry.role, entry.state), (role, state));
        }
    }
}

#[test]
fn the_filter_of_the_dead_stands_until_its_successor_declares_its_own() {
    let (board, _) = Board::create(4).unwrap();
    board.occupy(SLOT, &name("worker-1"), Role::Worker, false);
    board.born(SLOT, Incarnation(1), id(1), 10);
    assert_eq!(board.filter(SLOT), None);
    board
        .declare_filter(SLOT, Incarnation(1), b"nine bytes")
        .unwrap();
    let version = board.filter_version(SLOT);
    board.set_state(SLOT, State::Down);
    board.born(SLOT, Incarnation(2), id(2), 11);
    let stands = Some((Incarnation(1), b"nine bytes".to_vec()));
    assert_eq!(
        (board.filter(SLOT), board.filter_version(SLOT)),
        (stands, version)
    );
    board.declare_filter(SLOT, Incarnation(2), b"").unwrap();
    assert_eq!(board.filter(SLOT), Some((Incarnation(2), Vec::new())));
    assert_ne!(board.filter_version(SLOT), version);
}

#[test]
fn the_next_one_in_a_place_inherits_nothing() {
    let (board, _) = Board::create(4).unwrap();
    board.occupy(SLOT, &name("probe"), Role::None, true);
    board.declare_filter(SLOT, Incarnation(1), b"x").unwrap();
    board.count_no_ring(SLOT, Slot(0));
    board.count_no_ring(Slot(0), SLOT);
    board.free(SLOT);
    board.occupy(SLOT, &name("other"), Role::None, true);
    assert_eq!(
        (board.filter(SLOT), board.no_ring(SLOT, Slot(0))),
        (None, 0)
    );
    // The other end's count is the other end's to begin anew.
    assert_eq!(board.no_ring(Slot(0), SLOT), 1);
    board.reset_no_ring(Slot(0), SLOT);
    assert_eq!(board.no_ring(Slot(0), SLOT), 0);
}

#[test]
fn the_longest_filter_fits_and_a_longer_one_changes_nothing() {
    let (board, _) = Board::create(4).unwrap();
    let longest: Vec<u8> = (0..=255).cycle().take(FILTER_BYTES_MAX).collect();
    board
        .declare_filter(SLOT, Incarnation(1), &longest)
        .unwrap();
    let longer = vec![0; FILTER_BYTES_MAX + 1];
    let refused = board.declare_filter(SLOT, Incarnation(1), &longer);
    assert_eq!(refused, Err(FilterTooLong(FILTER_BYTES_MAX + 1)));
    assert_eq!(board.filter(SLOT), Some((Incarnation(1), longest)));
    assert_eq!((board.filter(Slot(2)), board.entry(Slot(2))), (None, None));
}

#[test]
fn every_pair_has_a_count_of_its_own() {
    let (board, _) = Board::create(5).unwrap();
    for writer in board.slots() {
        for reader in board.slots() {
            for _ in 0..=writer.0 * 5 + reader.0 {
                board.count_no_ring(writer, reader);
            }
        }
    }
    for writer in board.slots() {
        for reader in board.slots() {
            let counted = u64::from(writer.0 * 5 + reader.0) + 1;
            assert_eq!(board.no_ring(writer, reader), counted);
        }
    }
    assert_eq!((board.entries().count(), board.change()), (0, 0));
}

#[test]
fn a_bump_is_seen_by_everybody() {
    let (board, file) = Board::create(1).unwrap();
    let view = BoardView::map(file.as_fd()).unwrap();
    let other = Board::map(file.as_fd()).unwrap();
    other.bump();
    board.bump();
    assert_eq!(view.change(), 2);
}

#[test]
fn places_that_do_not_exist_have_nobody_and_take_nothing() {
    let (board, _) = Board::create(2).unwrap();
    for slot in [Slot(2), Slot(u32::MAX)] {
        board.occupy(slot, &name("a"), Role::Worker, false);
        board.declare_filter(slot, Incarnation(1), b"x").unwrap();
        board.count_no_ring(slot, Slot(0));
        board.count_no_ring(Slot(0), slot);
        let seen = (
            board.entry(slot),
            board.filter(slot),
            board.no_ring(slot, Slot(0)),
        );
        assert_eq!(seen, (None, None, 0));
    }
    assert_eq!(
        (board.find_empty(), board.no_ring(Slot(0), Slot(1))),
        (Some(Slot(0)), 0)
    );
}

#[test]
fn a_file_that_is_no_board_or_another_size_is_refused() {
    assert!(Board::create(0).is_err() && Board::create(SLOTS_MAX + 1).is_err());
    let spoiled = [
        (MAGIC_AT, 1),
        (VERSION_AT, 2),
        (SLOTS_AT, 5),
        (SLOTS_AT, u64::MAX),
    ];
    for (at, value) in spoiled {
        let (board, file) = Board::create(4).unwrap();
        spoil(&board, at, &[value]);
        let error = BoardView::map(file.as_fd()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

proptest! {
    #[test]
    fn nonsense_on_a_place_is_read_without_harm(
        entry in prop::collection::vec(any::<u64>(), 1 + 2 * entry::WORDS),
        filter in prop::collection::vec(any::<u64>(), 16),
        small in any::<bool>(),
    ) {
        let (board, _) = Board::create(4).unwrap();
        let begin = SLOTS_BEGIN + 3 * SLOT_BYTES;
        spoil(&board, begin + ENTRY_SEQUENCE_AT, &entry[..1]);
        let kind = if small { entry[1] & 0x3f01_0707 } else { entry[1] };
        spoil(&board, begin + ENTRY_AT, &entry[1..]);
        spoil(&board, begin + ENTRY_AT, &[kind]);
        spoil(&board, begin + FILTER_SEQUENCE_AT, &filter[..1]);
        spoil(&board, begin + FILTER_AT, &filter[1..]);
        // Either it can be read and written back, or it is nobody's.
        if let Some(entry) = board.entry(SLOT) {
            board.write(SLOT, Some(&entry));
            prop_assert_eq!(board.entry(SLOT), Some(entry));
        }
        if let Some((incarnation, bytes)) = board.filter(SLOT) {
            prop_assert!(bytes.len() <= FILTER_BYTES_MAX && incarnation.0 != 0);
        }
        board.occupy(SLOT, &name("fresh"), Role::Worker, false);
        prop_assert_eq!(board.entry(SLOT).unwrap().name, name("fresh"));
        prop_assert_eq!(board.filter(SLOT), None);
    }
}

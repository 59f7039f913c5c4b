use super::*;
use crate::shm::ring::{self, Writer};
use crate::sys::alone::alone;
use crate::sys::traced::Traced;
use std::os::unix::fs::FileExt;

fn new_file() -> File {
    let file = tempfile::tempfile().unwrap();
    file.set_len(POSITIONS_BYTES as u64).unwrap();
    file
}

fn behind(offset: u64) -> Position {
    Position {
        file: Identity(7 << 70 | 3),
        header: 5,
        offset,
    }
}

fn note(ring: u128, number: u64) -> Note {
    Note {
        ring: RingId(ring),
        number,
        behind: behind(100 + number),
    }
}

#[test]
fn the_newest_note_counts_if_its_record_was_accepted_else_the_one_before() {
    let file = new_file();
    let mut positions = Positions::map(&file).unwrap();
    let mut entry = positions.entry(9).unwrap();
    assert_eq!(positions.resume(&mut entry, |_| None), None);
    for number in 0..5 {
        positions.note(&mut entry, &note(1, number));
        // Another process finds the same.
        let positions = Positions::map(&file).unwrap();
        let resume = |accepted| {
            let mut entry = Entry { index: 0, turn: 0 };
            positions.resume(&mut entry, |ring| {
                assert_eq!(ring, RingId(1));
                accepted
            })
        };
        assert_eq!(resume(Some(number + 1)), Some(behind(100 + number)));
        let before = number.checked_sub(1).map(|number| behind(100 + number));
        assert_eq!(resume(Some(number)), before);
        // That ring is gone.
        assert_eq!(resume(None), before);
        positions.settle(&entry);
        assert_eq!(resume(None), Some(behind(100 + number)));
    }
}

#[test]
fn a_successor_keeps_the_note_that_it_goes_on_from() {
    let mut positions = Positions::map(&new_file()).unwrap();
    let mut entry = positions.entry(9).unwrap();
    positions.note(&mut entry, &note(1, 0));
    positions.settle(&entry);
    positions.note(&mut entry, &note(1, 1));
    for _ in 0..3 {
        let mut entry = positions.entry(9).unwrap();
        let resumed = positions.resume(&mut entry, |_| Some(1));
        assert_eq!(resumed, Some(behind(100)));
        positions.note(&mut entry, &note(1, 1));
    }
}

#[test]
fn names_have_entries_of_their_own_until_they_are_forgotten() {
    let mut positions = Positions::map(&new_file()).unwrap();
    let mut entries: Vec<Entry> = (1..).map_while(|key| positions.entry(key)).collect();
    assert_eq!(entries.len(), FILES_MAX);
    let last = entries.pop().unwrap();
    positions.note(&mut entries[0], &note(1, 0));
    assert_eq!(positions.entry(1).unwrap().index, 0);
    positions.forget(last);
    let mut last = positions.entry(u128::MAX).unwrap();
    assert_eq!(positions.resume(&mut last, |_| Some(9)), None);
    assert_eq!(positions.keys().count(), FILES_MAX);
    assert_eq!(positions.keys().last(), Some(u128::MAX));
    let resumed = positions.resume(&mut entries[0], |_| Some(9));
    assert_eq!(resumed, Some(behind(100)));
}

#[test]
fn who_stands_in_a_file_is_known_by_what_was_accepted() {
    let mut positions = Positions::map(&new_file()).unwrap();
    let mut entry = positions.entry(9).unwrap();
    let other = Note {
        behind: Position {
            file: Identity(4),
            ..behind(1)
        },
        ..note(1, 1)
    };
    positions.note(&mut entry, &note(1, 0));
    positions.note(&mut entry, &other);
    let standing = |file, key, count| positions.standing_in(file, key, |_| Some(count));
    assert_eq!(standing(behind(0).file, 1, 1), Some((9, note(1, 0))));
    assert_eq!(standing(Identity(4), 1, 1), None);
    assert_eq!(standing(Identity(4), 1, 2), Some((9, other)));
    assert_eq!(standing(behind(0).file, 1, 2), None);
    assert_eq!(standing(Identity(4), 9, 2), None);
}

#[test]
fn a_file_that_is_something_else_is_refused() {
    let short = tempfile::tempfile().unwrap();
    let other = new_file();
    other.write_all_at(b"something", 0).unwrap();
    for file in [short, other] {
        let error = Positions::map(&file).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

/// What a reader of a file has: its positions, and the ring that it pushes into.
struct Reader {
    positions: Positions,
    entry: Entry,
    ring: Writer,
}

/// Goes on where the one before has left: the number of the next line.
fn sit_down(positions: &File, ring: &File) -> (Reader, u64) {
    let positions = Positions::map(positions);
    let mut positions = positions.unwrap();
    let ring = Writer::map(ring.try_clone().unwrap().into()).unwrap();
    let mut entry = positions.entry(9).unwrap();
    let (id, accepted) = (ring.id(), ring.accepted());
    let place = positions.resume(&mut entry, |asked| (asked == id).then_some(accepted));
    let reader = Reader {
        positions,
        entry,
        ring,
    };
    (reader, place.map_or(0, |place| place.offset))
}

/// Pushes a line, which its number stands for.
fn push(reader: &mut Reader, line: u64) {
    let Reader {
        positions,
        entry,
        ring,
    } = reader;
    let id = ring.id();
    let pushed = ring.try_push_with(&[&line.to_le_bytes()], |number| {
        let behind = behind(line + 1);
        let note = Note {
            ring: id,
            number,
            behind,
        };
        positions.note(entry, &note);
    });
    pushed.unwrap();
    positions.settle(entry);
}

fn copy(file: &File, bytes: usize) -> File {
    let copy = crate::sys::memory::create_fixed("copy", bytes as u64).unwrap();
    let copy = File::from(copy);
    copy.write_all_at(&read(file, bytes), 0).unwrap();
    copy
}

fn read(file: &File, bytes: usize) -> Vec<u8> {
    let mut read = vec![0; bytes];
    file.read_exact_at(&mut read, 0).unwrap();
    read
}

/// Shows: whoever is killed behind any instruction that changes the ring or the positions leaves them so
/// that its successor goes on with the line behind the last one in the ring; or, if the ring is gone,
/// with that or the last one.
#[test]
fn a_reader_may_die_at_any_instruction_and_no_line_is_missed_or_repeated() {
    /// What of the positions changes.
    const LOOK: usize = (HEAD_WORDS + FILE_WORDS) * WORD;
    alone(|| {
        // Both slots have a note.
        let begun = 2;
        let (positions, ring) = (new_file(), File::from(ring::create(1024).unwrap()));
        let ring_bytes = usize::try_from(ring.metadata().unwrap().len()).unwrap();
        for line in 0..begun {
            let (mut reader, next) = sit_down(&positions, &ring);
            assert_eq!(next, line);
            push(&mut reader, line);
        }
        let act = |positions: &File, ring: &File| {
            Traced::new(|| sit_down(positions, ring).0, move |it| push(it, begun))
        };
        let copies = || {
            let copied = new_file();
            let all = read(&positions, POSITIONS_BYTES);
            copied.write_all_at(&all, 0).unwrap();
            (copied, copy(&ring, ring_bytes))
        };
        let look =
            |(positions, ring): &(File, File)| (read(positions, LOOK), read(ring, ring_bytes));
        let led = copies();
        let changes = act(&led.0, &led.1).changes(|| look(&led));
        assert!(changes >= 8, "{changes}");
        let mut accepted_in = 0;
        for behind in 0..=changes {
            let left = copies();
            act(&left.0, &left.1).kill_behind(behind, || look(&left));
            let (mut reader, next) = sit_down(&left.0, &left.1);
            assert_eq!(next, reader.ring.accepted(), "behind {behind} changes");
            accepted_in += next - begun;
            let mut entry = reader.positions.entry(9).unwrap();
            let without = reader.positions.resume(&mut entry, |_| None);
            let without = without.map_or(0, |place| place.offset);
            assert!(without == next || without + 1 == next, "{without} {next}");
            push(&mut reader, next);
            drop(reader);
            assert_eq!(sit_down(&left.0, &left.1).1, next + 1);
        }
        assert!(accepted_in > 0);
    });
}

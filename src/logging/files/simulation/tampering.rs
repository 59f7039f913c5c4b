//! Files that were changed behind the logger's back: told, never cut or lost, and it goes on.

use super::world::{World, settings};
use crate::logging::files::{Damage, Event};

const CURRENT: &str = "a.log";

fn prepared() -> World {
    let mut world = World::new(settings());
    world.add_ring();
    world.rings[0].records = vec![vec!["a".to_owned()]; 8];
    world.deliver(0, 4);
    world.files.flush(world.time());
    world.run().unwrap();
    // So that the state knows of the lines.
    world.settings.checkpoint_bytes = 1;
    world
}

/// Changes the files while a logger lives, or while none does; then four more records come. Returns
/// what was told, and the lines of all files.
fn tampered(alive: bool, tamper: impl FnOnce(&mut World)) -> (Vec<Damage>, String) {
    let mut world = prepared();
    // A checkpoint behind all lines.
    world.reborn();
    world.deliver(0, 1);
    world.files.flush(world.time());
    world.run().unwrap();
    tamper(&mut world);
    if alive {
        world.files.look(world.time());
    } else {
        world.reborn();
    }
    world.run().unwrap();
    world.deliver(0, 4);
    world.files.flush(world.time());
    world.run().unwrap();
    assert_eq!(world.rings[0].head, 8);
    let mut damages = Vec::new();
    for event in &world.events {
        if let Event::SetAside { damage, .. } = event {
            damages.push(*damage);
        }
    }
    let files = world.disk.files();
    let logs = files.iter().filter(|(name, _)| !name.ends_with(".idx"));
    let texts: Vec<_> = logs
        .map(|(_, bytes)| String::from_utf8_lossy(bytes))
        .collect();
    (damages, texts.concat())
}

fn count(text: &str, number: u64) -> usize {
    let begin = format!("a 0 {number} ");
    text.lines().filter(|line| line.starts_with(&begin)).count()
}

fn both(tamper: impl Fn(&mut World)) -> [(Vec<Damage>, String); 2] {
    [true, false].map(|alive| tampered(alive, &tamper))
}

/// All records that were left stand once, and all later ones.
fn all_stand_once(text: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        assert_eq!(count(text, number), 1, "{number} in\n{text}");
    }
}

#[test]
fn a_file_that_was_removed_is_missed_and_a_fresh_one_begun() {
    for (damages, text) in both(|world| world.disk.remove(CURRENT)) {
        assert_eq!(damages, [Damage::Missing]);
        all_stand_once(&text, 5..8);
    }
}

#[test]
fn a_file_that_another_one_replaced_leaves_that_one_whole() {
    let replace = |world: &mut World| {
        world.disk.rename(CURRENT, "moved.log");
        world.disk.make(CURRENT, b"somebody else's\n");
    };
    for (damages, text) in both(replace) {
        assert_eq!(damages, [Damage::Replaced]);
        all_stand_once(&text, 0..8);
        assert!(text.contains("somebody else's\n"));
    }
}

#[test]
fn a_file_that_was_cut_is_set_aside() {
    let cut = |world: &mut World| world.disk.bytes(CURRENT).unwrap().truncate(30);
    for (damages, text) in both(cut) {
        assert!(matches!(damages[..], [Damage::Shorter { found: 30, .. }]));
        all_stand_once(&text, 5..8);
    }
}

#[test]
fn bytes_that_somebody_appended_are_kept() {
    let append = |world: &mut World| {
        let file = world.disk.bytes(CURRENT).unwrap();
        file.extend_from_slice(b"somebody's\n");
    };
    for (damages, text) in both(append) {
        assert!(matches!(
            damages[..],
            [Damage::Longer { .. } | Damage::NotIndexed { .. }]
        ));
        all_stand_once(&text, 0..8);
        assert!(text.contains("somebody's\n"));
    }
}

#[test]
fn a_file_without_its_index_is_set_aside_whole() {
    for (damages, text) in both(|world| world.disk.remove("a.log.idx")) {
        assert_eq!(damages, [Damage::IndexMissing]);
        all_stand_once(&text, 0..8);
    }
    let cut = |world: &mut World| world.disk.bytes("a.log.idx").unwrap().truncate(64);
    for (damages, text) in both(cut) {
        assert!(matches!(
            damages[..],
            [Damage::IndexShorter { found: 64, .. }]
        ));
        all_stand_once(&text, 0..8);
    }
}

#[test]
fn a_foreign_file_under_a_new_paths_name_is_set_aside() {
    let mut world = World::new(settings());
    world.disk.make(CURRENT, b"older\n");
    world.add_ring();
    world.rings[0].records = vec![vec!["a".to_owned()]; 2];
    world.finish().unwrap_err();
    let aside = world
        .disk
        .files()
        .iter()
        .any(|(name, bytes)| name.starts_with("log-queue/a__") && *bytes == b"older\n");
    assert!(aside && world.rings[0].head == 2);
    assert!(matches!(
        world.events[..],
        [Event::SetAside {
            damage: Damage::IndexMissing,
            ..
        }]
    ));
}

#[test]
fn without_its_state_a_logger_goes_by_the_indexes() {
    let mut world = prepared();
    *world.disk.slot(0) = Some(b"damaged".to_vec());
    *world.disk.slot(1) = Some(Vec::new());
    world.rings[0].head = 0;
    world.reborn();
    world.finish().unwrap();
    assert_eq!(world.events[0], Event::StateLost);
    // What its lines consist of is not known any more: others begin another file.
    assert!(matches!(
        world.events[1..],
        [Event::Recovered { cut: 0, .. }, Event::Rotated { .. }]
    ));
    assert_eq!(world.files.skipped(), 4);
}

#[test]
fn a_file_that_cannot_be_renamed_is_gone_on_with() {
    let mut world = prepared();
    world.disk.refuses_renames = true;
    world.now += 61_000_000_000;
    world.files.tick(world.time());
    world.finish().unwrap();
    let refused = |event: &&Event| matches!(event, Event::CannotRename { .. });
    // In its directory, then in place; and not again before the next interval.
    assert_eq!(world.events.iter().filter(refused).count(), 2);
    world.disk.refuses_renames = false;
    world.now += 61_000_000_000;
    world.files.tick(world.time());
    world.finish().unwrap();
    assert!(matches!(world.events.last(), Some(Event::Rotated { .. })));
}

#[test]
fn what_cannot_be_set_aside_holds_its_lines_and_releases_nothing() {
    let mut world = World::new(settings());
    world.disk.refuses_renames = true;
    world.disk.make(CURRENT, b"older\n");
    world.add_ring();
    world.rings[0].records = vec![vec!["a".to_owned()]; 2];
    world.finish().unwrap_err();
    assert_eq!(world.rings[0].head, 0);
    assert!(world.files.waiting_bytes() > 0);
    world.disk.refuses_renames = false;
    world.files.flush(world.time());
    world.run().unwrap();
    assert_eq!((world.rings[0].head, world.files.waiting_bytes()), (2, 0));
}

/// As a host that crashed leaves them: lengths are right, and the last bytes never came to the disk.
#[test]
fn bytes_that_a_host_lost_are_found_by_their_checksum() {
    let mut settings = settings();
    settings.checkpoint_bytes = 1_000_000;
    let mut world = World::new(settings);
    world.add_ring();
    world.rings[0].records = vec![vec!["a".to_owned()]; 8];
    world.deliver(0, 4);
    world.files.flush(world.time());
    world.run().unwrap();
    let file = world.disk.bytes(CURRENT).unwrap();
    let lost = file.len() - 5;
    file[lost..].fill(0);
    world.reborn();
    world.run().unwrap();
    world.deliver(0, 4);
    world.files.flush(world.time());
    world.run().unwrap();
    assert!(matches!(
        world.events[..],
        [Event::SetAside {
            damage: Damage::Altered { .. },
            ..
        }]
    ));
    let files = world.disk.files();
    let logs = files.iter().filter(|(name, _)| !name.ends_with(".idx"));
    let texts: Vec<_> = logs
        .map(|(_, bytes)| String::from_utf8_lossy(bytes))
        .collect();
    all_stand_once(&texts.concat(), 4..8);
    all_stand_once(&texts.concat(), 0..3);
}

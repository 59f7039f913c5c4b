//! A real directory under what the files' core asks for.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;

fn place() -> (tempfile::TempDir, PathBuf, Disk) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().canonicalize().unwrap().join("logger");
    let disk = Disk::open(&path).unwrap();
    (place, path, disk)
}

fn name(name: &str) -> String {
    name.to_owned()
}

fn create(disk: &mut Disk, file: &str) -> Identity {
    let outcome = disk.act(&Action::Create { name: name(file) }).unwrap();
    let Outcome::Created(identity) = outcome else {
        panic!("{outcome:?}");
    };
    identity
}

fn inspect(disk: &mut Disk, file: &str) -> Found {
    let outcome = disk.act(&Action::Inspect { name: name(file) }).unwrap();
    let Outcome::Found(found) = outcome else {
        panic!("{outcome:?}");
    };
    found
}

fn write(disk: &mut Disk, file: &str, at: u64, bytes: &[u8]) {
    let (name, bytes) = (name(file), bytes.to_vec());
    let done = disk.act(&Action::Write { name, at, bytes }).unwrap();
    assert_eq!(done, Outcome::Done);
}

fn rename(disk: &mut Disk, from: &str, to: &str) -> Outcome {
    let (from, to) = (name(from), name(to));
    disk.act(&Action::Rename { from, to }).unwrap()
}

#[test]
fn a_file_is_made_written_looked_at_read_and_cut() {
    let (_place, path, mut disk) = place();
    assert_eq!(inspect(&mut disk, "a.log"), Found::default());
    let identity = create(&mut disk, "a.log");
    let index = create(&mut disk, "a.log.idx");
    assert_ne!(identity, index);
    write(&mut disk, "a.log", 0, b"one\n");
    write(&mut disk, "a.log", 4, b"two\n");
    let found = inspect(&mut disk, "a.log");
    let (file, beside) = (found.file.unwrap(), found.index.unwrap());
    assert_eq!((file.identity, file.length), (identity, 8));
    assert_eq!((beside.identity, beside.length), (index, 0));
    let read = |disk: &mut Disk, at, bytes| {
        let name = name("a.log");
        disk.act(&Action::Read { name, at, bytes }).unwrap()
    };
    assert_eq!(read(&mut disk, 2, 4), Outcome::Bytes(b"e\ntw".to_vec()));
    assert_eq!(read(&mut disk, 6, 9), Outcome::Bytes(b"o\n".to_vec()));
    let cut = Action::Truncate {
        name: name("a.log"),
        length: 4,
    };
    assert_eq!(disk.act(&cut).unwrap(), Outcome::Done);
    assert_eq!(fs::read(path.join("a.log")).unwrap(), b"one\n");
    let sync = Action::Sync {
        name: name("a.log"),
    };
    assert_eq!(disk.act(&sync).unwrap(), Outcome::Done);
    assert_eq!(create(&mut disk, "a.log"), identity, "what is there stays");
}

#[test]
fn a_file_moves_below_and_never_over_another_one() {
    let (_place, path, mut disk) = place();
    create(&mut disk, "a.log");
    create(&mut disk, "b.log");
    write(&mut disk, "a.log", 0, b"a");
    assert_eq!(rename(&mut disk, "a.log", "log-queue/x.log"), Outcome::Done);
    assert_eq!(
        rename(&mut disk, "b.log", "log-queue/x.log"),
        Outcome::Exists
    );
    assert_eq!(
        rename(&mut disk, "a.log", "log-queue/y.log"),
        Outcome::Missing
    );
    assert_eq!(fs::read(path.join("log-queue/x.log")).unwrap(), b"a");
    // What has the name now is another file.
    create(&mut disk, "a.log");
    write(&mut disk, "a.log", 0, b"second");
    assert_eq!(fs::read(path.join("log-queue/x.log")).unwrap(), b"a");
    assert_eq!(disk.act(&Action::SyncDirectories).unwrap(), Outcome::Done);
}

/// Shows: links that somebody put there lead nowhere, and nothing beyond them is touched.
#[test]
fn no_link_is_followed() {
    let (place, path, mut disk) = place();
    let precious = place.path().join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("a.log"), "mine").unwrap();
    symlink(precious.join("a.log"), path.join("a.log")).unwrap();
    symlink(&precious, path.join("log-queue")).unwrap();
    let refused = disk.act(&Action::Create {
        name: name("a.log"),
    });
    assert_eq!(refused.unwrap(), Outcome::Refused);
    create(&mut disk, "b.log");
    assert_eq!(
        rename(&mut disk, "b.log", "log-queue/b.log"),
        Outcome::Refused
    );
    assert_eq!(inspect(&mut disk, "log-queue/a.log"), Found::default());
    assert_eq!(fs::read_dir(&precious).unwrap().count(), 1);
    assert_eq!(fs::read(precious.join("a.log")).unwrap(), b"mine");
    // The link itself can be set aside.
    assert!(inspect(&mut disk, "a.log").file.is_some());
    assert_eq!(rename(&mut disk, "a.log", "aside.log"), Outcome::Done);
    create(&mut disk, "a.log");
}

#[test]
fn the_state_is_what_was_stored_last_in_each_slot() {
    let (_place, path, mut disk) = place();
    assert_eq!(disk.slots().unwrap(), [None, None]);
    let store = |slot, bytes: &[u8]| Action::Store {
        slot,
        bytes: bytes.to_vec(),
        sync: true,
    };
    for (slot, bytes) in [(1, b"first".as_slice()), (0, b"second"), (1, b"third")] {
        assert_eq!(disk.act(&store(slot, bytes)).unwrap(), Outcome::Done);
    }
    let slots = Disk::open(&path).unwrap().slots().unwrap();
    assert_eq!(slots, [Some(b"second".to_vec()), Some(b"third".to_vec())]);
    assert_eq!(disk.writers().unwrap(), None);
    for table in [b"table one".as_slice(), b"two"] {
        disk.store_writers(table, true).unwrap();
        assert_eq!(disk.writers().unwrap().unwrap(), table);
    }
}

/// Shows: a directory that was taken away is there again at the next attempt, and files that were open
/// in the old one are not written any more.
#[test]
fn a_directory_that_vanished_is_made_again() {
    let (_place, path, mut disk) = place();
    create(&mut disk, "a.log");
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(inspect(&mut disk, "a.log"), Found::default());
    let create_again = Action::Create {
        name: name("a.log"),
    };
    let error = disk.act(&create_again).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    create(&mut disk, "a.log");
    write(&mut disk, "a.log", 0, b"again");
    assert_eq!(fs::read(path.join("a.log")).unwrap(), b"again");
}

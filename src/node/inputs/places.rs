//! How far each name was read, and which files are done with, so that a successor knows.
//!
//! Owns: the mapping of the positions, a file in the node's directory. Beside the entries of names there
//! are those of files that were read to their end and have lost the name that they were followed by. If
//! such a file comes back under a name that is followed, too, it is not begun anew.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::fcntl::{FallocateFlags, fallocate};

use crate::follow::{Identity, Position};
use crate::layout::inputs::{Inputs, Origin};
use crate::node::logger::identity_of;
use crate::node::say::say;
use crate::shm::positions::{Entry, Note, POSITIONS_BYTES, Positions};
use crate::shm::ring::RingId;

/// `None`: there is no place to remember anything.
#[derive(Debug)]
pub(super) struct Places(Option<Positions>);

impl Places {
    /// Those of the predecessor, if there was one.
    pub(super) fn open(place: &Path) -> Self {
        Self(match map(place) {
            Ok(positions) => Some(positions),
            Err(error) => {
                // Better once more after the next death than not at all.
                let (file, text) = (place.display(), error.to_string());
                say("no_positions", &format_args!("file={file} error={text:?}"));
                None
            }
        })
    }

    pub(super) const fn positions(&self) -> Option<&Positions> {
        self.0.as_ref()
    }

    /// Where a successor of the name of this key goes on.
    pub(super) fn place_of(
        &mut self,
        key: u128,
        accepted: impl FnOnce(RingId) -> Option<u64>,
    ) -> Option<Position> {
        let mut entry = self.known(key)?;
        self.0.as_ref()?.resume(&mut entry, accepted)
    }

    /// The entry of a key, which stays when all are taken, as do those that are `used`. `None`: there is
    /// no place for it.
    pub(super) fn entry(
        &mut self,
        key: u128,
        used: impl FnOnce() -> io::Result<BTreeSet<u128>>,
    ) -> Option<Entry> {
        let positions = self.0.as_mut()?;
        if let Some(entry) = positions.entry(key) {
            return Some(entry);
        }
        // Who cannot say what is there lets go of nothing.
        let used = used().ok()?;
        let known: Vec<u128> = positions.keys().collect();
        for key in known.into_iter().filter(|key| !used.contains(key)) {
            self.forget(key);
        }
        self.0.as_mut()?.entry(key)
    }

    pub(super) fn forget(&mut self, key: u128) {
        if let Some(entry) = self.known(key)
            && let Some(positions) = &mut self.0
        {
            positions.forget(entry);
        }
    }

    fn known(&mut self, key: u128) -> Option<Entry> {
        let positions = self.0.as_mut()?;
        let is_known = positions.keys().any(|known| known == key);
        if is_known { positions.entry(key) } else { None }
    }

    /// Was this file read to its end, under a name that it has no more?
    pub(super) fn is_done(&self, file: Identity) -> bool {
        let (key, positions) = (key_of_file(file), self.0.as_ref());
        positions.is_some_and(|positions| positions.keys().any(|known| known == key))
    }

    /// This file was. It has to be said before the first line of another one under that name is noted.
    pub(super) fn set_done(
        &mut self,
        file: Identity,
        used: impl FnOnce() -> io::Result<BTreeSet<u128>>,
    ) {
        // Without a place for it, it comes once more if it comes back.
        let _ = self.entry(key_of_file(file), used);
    }

    /// The key of another name that a successor would read this file by, and how far it was read.
    pub(super) fn holder(
        &self,
        file: Identity,
        key: u128,
        accepted: impl FnMut(RingId) -> Option<u64>,
    ) -> Option<(u128, Note)> {
        self.0.as_ref()?.standing_in(file, key, accepted)
    }

    /// The file of another name, which nobody has any more, is read on by this entry's.
    pub(super) fn take_over(&mut self, entry: &mut Entry, (other, note): (u128, Note)) {
        if let Some(positions) = &self.0 {
            positions.note(entry, &note);
            positions.settle(entry);
        }
        // A death before this leaves both in the same place, and one of them goes on from there.
        self.forget(other);
    }
}

/// What stands for a path: never 0.
pub(super) fn key_of(path: &Path) -> u128 {
    key(path.as_os_str().as_bytes())
}

/// What stands for a file that is done with: no path begins so.
fn key_of_file(file: Identity) -> u128 {
    key(&[b"file ", file.0.to_be_bytes().as_slice()].concat())
}

/// FNV-1a of 128 bits.
fn key(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let key = bytes.iter().fold(BASIS, |key, byte| {
        (key ^ u128::from(*byte)).wrapping_mul(PRIME)
    });
    key.max(1)
}

/// The keys of these names, and of everything that lies where this node follows files.
///
/// # Errors
/// The system's, if a directory cannot be looked through: there may be more.
pub(super) fn used<'a>(
    inputs: &Inputs,
    names: impl Iterator<Item = &'a Path>,
) -> io::Result<BTreeSet<u128>> {
    let mut used: BTreeSet<u128> = names.map(key_of).collect();
    let mut looked = BTreeSet::new();
    for input in &inputs.all {
        let Origin::Files(wanted) = &input.from else {
            continue;
        };
        let folder = wanted.parent().unwrap_or_else(|| Path::new("/"));
        if !looked.insert(folder) {
            continue;
        }
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if inputs.of_file(&path).is_some() && inputs.is_own(&path) {
                used.insert(key_of(&path));
                let facts = fs::metadata(&path);
                used.extend(facts.map(|facts| key_of_file(identity_of(&facts))));
            }
        }
    }
    Ok(used)
}

/// With room on the disk for all positions: there must be no need for more when they are written.
fn map(place: &Path) -> io::Result<Positions> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false);
    let file = file.open(place)?;
    if file.metadata()?.len() < POSITIONS_BYTES as u64 {
        let bytes = i64::try_from(POSITIONS_BYTES).unwrap_or(i64::MAX);
        fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
    }
    Positions::map(&file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::inputs::{Form, Input};
    use crate::shm::positions::FILES_MAX;
    use std::path::PathBuf;

    fn note(offset: u64) -> Note {
        Note {
            ring: RingId(1),
            number: 0,
            behind: Position {
                file: Identity(7),
                header: 0,
                offset,
            },
        }
    }

    fn inputs(folder: &Path) -> Inputs {
        Inputs {
            all: vec![Input {
                from: Origin::Files(folder.join("*.log")),
                form: Form::Json,
                stream: None,
                path: None,
            }],
            shares: 1,
            share: 0,
        }
    }

    /// Shows: when all places are taken, files that lie there keep theirs, though nobody follows them yet.
    #[test]
    fn only_what_is_nowhere_any_more_loses_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = tempfile::tempdir().unwrap();
        let mut places = Places::open(&file.path().join("positions"));
        let path = |number: usize| folder.path().join(format!("{number}.log"));
        for number in 0..FILES_MAX {
            let entry = places.entry(key_of(&path(number)), || panic!("there is room"));
            let (mut entry, positions) = (entry.unwrap(), places.positions().unwrap());
            positions.note(&mut entry, &note(number as u64));
            positions.settle(&entry);
        }
        let there = [3, FILES_MAX - 1].map(path);
        for path in &there {
            fs::write(path, "").unwrap();
        }
        let (inputs, followed) = (inputs(folder.path()), path(5));
        let used = || used(&inputs, [followed.as_path()].into_iter());
        assert!(places.entry(key_of(&path(FILES_MAX)), used).is_some());
        for path in there.iter().chain([&followed]) {
            assert!(places.place_of(key_of(path), |_| None).is_some());
        }
        assert_eq!(places.positions().unwrap().keys().count(), 4);
        let gone = self::inputs(Path::new("/gone"));
        let used = || super::used(&gone, std::iter::empty());
        for number in 0..FILES_MAX {
            places.entry(key_of(&path(number)), used);
        }
        assert_eq!(places.positions().unwrap().keys().count(), FILES_MAX);
        assert!(places.place_of(key_of(&there[0]), |_| None).is_some());
    }

    #[test]
    fn a_file_that_is_done_with_is_known_to_the_successor() {
        let file = tempfile::tempdir().unwrap();
        let place = file.path().join("positions");
        let nothing = || Ok(BTreeSet::new());
        {
            let mut places = Places::open(&place);
            assert!(!places.is_done(Identity(7)));
            places.set_done(Identity(7), nothing);
        }
        let places = Places::open(&place);
        assert!(places.is_done(Identity(7)));
        assert!(!places.is_done(Identity(8)));
    }

    #[test]
    fn one_name_reads_on_what_another_one_left() {
        let file = tempfile::tempdir().unwrap();
        let mut places = Places::open(&file.path().join("positions"));
        let [old, new] = ["/a.log", "/a-1.log"].map(|path| key_of(&PathBuf::from(path)));
        let nothing = || Ok(BTreeSet::new());
        let mut entry = places.entry(old, nothing).unwrap();
        places.positions().unwrap().note(&mut entry, &note(9));
        assert_eq!(places.holder(Identity(7), old, |_| Some(1)), None);
        assert_eq!(places.holder(Identity(7), new, |_| Some(0)), None);
        let held = places.holder(Identity(7), new, |_| Some(1)).unwrap();
        let mut entry = places.entry(new, nothing).unwrap();
        places.take_over(&mut entry, held);
        assert_eq!(places.place_of(new, |_| None), Some(note(9).behind));
        assert_eq!(places.place_of(old, |_| None), None);
    }
}

//! A file system in memory, which dies in the middle of an action.

use std::collections::BTreeMap;

use crate::data::Timestamp;
use crate::logging::files::{Action, Found, Identity, Look, Outcome};

/// How far an action comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// To its end.
    Whole,
    /// Of bytes that it writes, so many are written; anything else is not done.
    Bytes(usize),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    /// Inodes count up, so that they tell the order in which files were made.
    names: BTreeMap<String, u128>,
    inodes: BTreeMap<u128, Vec<u8>>,
    made: u128,
    slots: [Option<Vec<u8>>; 2],
    pub(super) refuses_renames: bool,
}

impl Disk {
    pub(super) fn slots(&self) -> [Option<Vec<u8>>; 2] {
        self.slots.clone()
    }

    pub(super) fn slot(&mut self, slot: usize) -> &mut Option<Vec<u8>> {
        &mut self.slots[slot]
    }

    /// The files, in the order in which they were made.
    pub(super) fn files(&self) -> Vec<(&str, &[u8])> {
        let mut files: Vec<_> = self.names.iter().collect();
        files.sort_by_key(|(_, inode)| **inode);
        let with_bytes = files.into_iter();
        with_bytes
            .map(|(name, inode)| (name.as_str(), self.inodes[inode].as_slice()))
            .collect()
    }

    pub(super) fn bytes(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        self.inodes.get_mut(self.names.get(name)?)
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.names.remove(name);
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        if let Some(inode) = self.names.remove(from) {
            self.names.insert(to.to_owned(), inode);
        }
    }

    pub(super) fn make(&mut self, name: &str, bytes: &[u8]) {
        self.made += 1;
        self.names.insert(name.to_owned(), self.made);
        self.inodes.insert(self.made, bytes.to_vec());
    }

    fn look(&self, name: &str) -> Option<Look> {
        let inode = *self.names.get(name)?;
        Some(Look {
            identity: Identity(inode),
            length: u64::try_from(self.inodes[&inode].len()).unwrap(),
            modified: Timestamp::from_nanos(0),
        })
    }

    pub(super) fn act(&mut self, action: &Action, reach: Reach) -> Outcome {
        let cut = |bytes: &[u8]| match reach {
            Reach::Whole => bytes.len(),
            Reach::Bytes(count) => count.min(bytes.len()),
        };
        if let Action::Write { name, at, bytes } = action {
            let at = usize::try_from(*at).unwrap();
            let file = self.bytes(name).expect("written files are open");
            let written = &bytes[..cut(bytes)];
            if !written.is_empty() {
                file.resize(file.len().max(at + written.len()), 0);
                file[at..at + written.len()].copy_from_slice(written);
            }
            return Outcome::Done;
        }
        if let Action::Store { slot, bytes, .. } = action {
            let kept = self.slots[*slot].take().unwrap_or_default();
            let behind = kept.get(cut(bytes)..).unwrap_or_default();
            self.slots[*slot] = Some([&bytes[..cut(bytes)], behind].concat());
            return Outcome::Done;
        }
        match reach {
            Reach::Whole => self.act_whole(action),
            Reach::Bytes(_) => Outcome::Done,
        }
    }

    fn act_whole(&mut self, action: &Action) -> Outcome {
        match action {
            Action::Inspect { name } => Outcome::Found(Found {
                file: self.look(name),
                index: self.look(&format!("{name}.idx")),
            }),
            Action::Read { name, at, bytes } => {
                let at = usize::try_from(*at).unwrap();
                let file = self.bytes(name).expect("read files are there");
                let rest = file.get(at..).unwrap_or_default();
                Outcome::Bytes(rest[..rest.len().min(*bytes)].to_vec())
            }
            Action::Create { name } => {
                if !self.names.contains_key(name) {
                    self.make(name, b"");
                }
                Outcome::Created(Identity(self.names[name]))
            }
            Action::Truncate { name, length } => {
                let length = usize::try_from(*length).unwrap();
                let file = self.bytes(name).expect("files that are cut are there");
                file.truncate(length);
                Outcome::Done
            }
            Action::Rename { .. } if self.refuses_renames => Outcome::Refused,
            Action::Rename { from, to } => match (self.look(from), self.look(to)) {
                (None, _) => Outcome::Missing,
                (Some(_), Some(_)) => Outcome::Exists,
                (Some(_), None) => {
                    self.rename(from, to);
                    Outcome::Done
                }
            },
            Action::Sync { .. }
            | Action::SyncDirectories
            | Action::Release { .. }
            | Action::Report(_)
            | Action::Write { .. }
            | Action::Store { .. } => Outcome::Done,
        }
    }
}

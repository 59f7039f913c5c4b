//! Pid files: written when a burst of births is over, removed at a death.
//!
//! A file is for people and their scripts, and a start of a thousand nodes has better things to do
//! than to wait for a thousand of them: they are written once nobody was born for a moment, and after
//! a second at the latest. A process that is gone by then leaves none.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cluster::names::NodeName;
use nix::fcntl::OFlag;

use super::place::{self, Owner};

/// A burst is over when nobody was born for so long.
const QUIET: Duration = Duration::from_millis(10);

/// Nobody waits longer for the end of a burst.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pid files of all nodes.
#[derive(Debug, Default)]
pub(super) struct PidFiles {
    due: BTreeMap<NodeName, (PathBuf, i32)>,
    /// Users of those that have one of their own.
    owners: BTreeMap<NodeName, (u32, u32)>,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl PidFiles {
    /// A process was born.
    pub(super) fn born(
        &mut self,
        node: &NodeName,
        (path, owner): (PathBuf, Owner),
        pid: i32,
        now: Instant,
    ) {
        match owner {
            Some(owner) => self.owners.insert(node.clone(), owner),
            None => self.owners.remove(node),
        };
        self.due.insert(node.clone(), (path, pid));
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    /// It is gone; its file goes too.
    pub(super) fn gone(&mut self, node: &NodeName, path: &Path) {
        let owner = self.owners.remove(node);
        if self.due.remove(node).is_none() {
            // Missing is as good as removed.
            let _ = remove(path, owner);
        }
    }

    /// When [`PidFiles::write_due`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let (first, last) = self.first.zip(self.last)?;
        Some((last + QUIET).min(first + PATIENCE))
    }

    /// Writes those that are due; what could not be written comes back.
    pub(super) fn write_due(&mut self, now: Instant) -> Vec<(NodeName, io::Error)> {
        if self.next_deadline().is_none_or(|at| now < at) {
            return Vec::new();
        }
        (self.first, self.last) = (None, None);
        let due = std::mem::take(&mut self.due).into_iter();
        due.filter_map(|(node, (path, pid))| {
            let owner = self.owners.get(&node).copied();
            let error = write(&path, owner, pid).err()?;
            Some((node, error))
        })
        .collect()
    }
}

/// The directory belongs to the node's user, who may have put a link in the way: what is there is taken
/// away, and the file is made anew, never opened. As a rule nothing is there.
fn write(path: &Path, owner: Owner, pid: i32) -> io::Result<()> {
    let (directory, name) = (place::directory_of(path, owner)?, place::name_of(path)?);
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
    let mut file = match directory.open_file(name, flags, 0o644) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            directory.remove(name)?;
            directory.open_file(name, flags, 0o644)?
        }
        made => made?,
    };
    file.write_all(format!("{pid}\n").as_bytes())
}

fn remove(path: &Path, owner: Owner) -> io::Result<()> {
    place::directory_of(path, owner)?.remove(place::name_of(path)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{lchown, symlink};

    use super::*;
    use cluster::sys::clock;

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).unwrap()
    }

    #[test]
    fn files_are_written_when_a_burst_is_over_and_removed_at_a_death() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let start = clock::monotonic();
        let mut files = PidFiles::default();
        files.born(&name("a"), (a.clone(), None), 11, start);
        files.born(&name("b"), (b.clone(), None), 12, start + QUIET / 2);
        files.gone(&name("b"), &b);
        assert!(files.write_due(start + QUIET).is_empty());
        assert!(!a.exists(), "the burst is not over");
        let at = files.next_deadline().unwrap();
        assert!(files.write_due(at).is_empty());
        assert_eq!(fs::read_to_string(&a).unwrap(), "11\n");
        assert!(!b.exists(), "it was gone by then");
        assert_eq!(files.next_deadline(), None);
        files.gone(&name("a"), &a);
        assert!(!a.exists());
    }

    #[test]
    fn an_endless_burst_does_not_put_them_off_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let start = clock::monotonic();
        let mut files = PidFiles::default();
        for step in 0..300 {
            files.born(
                &name("a"),
                (path.clone(), None),
                step,
                start + QUIET / 2 * step.unsigned_abs(),
            );
        }
        assert_eq!(files.next_deadline(), Some(start + PATIENCE));
    }

    #[test]
    fn a_link_in_the_way_is_replaced_and_what_it_points_to_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (path, prey) = (dir.path().join("pid"), dir.path().join("prey"));
        fs::write(&prey, "mine").unwrap();
        symlink(&prey, &path).unwrap();
        write(&path, None, 7).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "7\n");
        assert_eq!(fs::read_to_string(&prey).unwrap(), "mine");
    }

    /// Shows: a home that its user can exchange for a link, because an operator put it elsewhere, leads to
    /// no file behind that link.
    #[test]
    fn nothing_is_written_or_removed_behind_a_link_of_the_user() {
        if !nix::unistd::geteuid().is_root() {
            return; // only root can give something away
        }
        let dir = tempfile::tempdir().unwrap();
        let (treasury, home) = (dir.path().join("treasury"), dir.path().join("home"));
        fs::create_dir(&treasury).unwrap();
        symlink(&treasury, &home).unwrap();
        lchown(&home, Some(4242), Some(4243)).unwrap();
        let path = home.join("pid");
        let mut files = PidFiles::default();
        for owner in [Some((4242, 4243)), None] {
            files.born(&name("a"), (path.clone(), owner), 7, clock::monotonic());
            let at = files.next_deadline().unwrap();
            assert_eq!(files.write_due(at).is_empty(), owner.is_none());
            assert_eq!(treasury.join("pid").exists(), owner.is_none());
            fs::write(treasury.join("pid"), "").unwrap();
            files.gone(&name("a"), &path);
            assert_eq!(treasury.join("pid").exists(), owner.is_some());
        }
    }
}

//! The names of append-only files: opening, making the directory again, shifting old ones aside.
//!
//! A node's directory belongs to its user, who may be another one than the supervisor's and may put
//! anything there, at any moment. So where there is an owner, links that the user could have made are
//! not followed, neither in the place of the file nor on the way to it, and a file with a second name
//! is refused.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, fchown};
use std::path::Path;
#[cfg(test)]
use std::path::PathBuf;

use cluster::sys::directory::{Directory, Links};
use nix::fcntl::OFlag;

/// Old files beyond those kept (from a time when more were) are removed, so many at a time.
const LEFTOVERS_MAX: u32 = 100;

/// User and group.
pub(super) type Owner = Option<(u32, u32)>;

/// Modes of what is made.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// Opens `path` to append to it; makes it, and its directory, where there is none.
pub(super) fn open(path: &Path, owner: Owner) -> io::Result<File> {
    let name = name_of(path)?;
    let directory = match directory_of(path, owner) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_directory(path, owner)?,
        found => found?,
    };
    // Non-blocking: should a fifo lie there, its reader must not hold up everybody's output.
    let flags = OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    match directory.open_file(name, flags, 0) {
        Ok(file) => return if_plain(file, owner),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let new = flags | OFlag::O_CREAT | OFlag::O_EXCL;
    let file = directory.open_file(name, new, FILE_MODE)?;
    if let Some((user, group)) = owner {
        fchown(&file, Some(user), Some(group))?;
    }
    Ok(file)
}

/// What `path` names now.
pub(super) fn facts(path: &Path, owner: Owner) -> io::Result<Metadata> {
    directory_of(path, owner)?.entry(name_of(path)?)?.metadata()
}

/// The last part of a path.
pub(super) fn name_of(path: &Path) -> io::Result<&OsStr> {
    path.file_name()
        .ok_or_else(|| io::ErrorKind::IsADirectory.into())
}

/// The directory in which a path's last part is.
pub(super) fn directory_of(path: &Path, owner: Owner) -> io::Result<Directory> {
    let directory = path.parent().ok_or(io::ErrorKind::NotFound)?;
    let links = match owner {
        Some(_) => Links::Ours,
        None => Links::Followed,
    };
    Directory::open(directory, links)
}

fn if_plain(file: File, owner: Owner) -> io::Result<File> {
    let facts = file.metadata()?;
    if owner.is_some() && facts.is_file() && facts.nlink() > 1 {
        return Err(io::Error::other(
            "the file has a second name; remove it, so that a new one can be made",
        ));
    }
    Ok(file)
}

fn make_directory(path: &Path, owner: Owner) -> io::Result<Directory> {
    let directory = path.parent().ok_or(io::ErrorKind::NotFound)?;
    let Some(owner) = owner else {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)?;
        return directory_of(path, None);
    };
    let (made, is_new) = Directory::make(directory, DIRECTORY_MODE)?;
    if is_new {
        made.give(owner)?;
    }
    Ok(made)
}

/// `path` becomes `path.1`, that `path.2`, and so on; beyond `keep` they are removed.
pub(super) fn shift(path: &Path, owner: Owner, keep: u32) -> io::Result<()> {
    let directory = directory_of(path, owner)?;
    let name = name_of(path)?;
    for number in keep.max(1)..keep.saturating_add(LEFTOVERS_MAX) {
        match directory.remove(&old_name(name, number)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
    }
    if keep == 0 {
        return directory.remove(name);
    }
    for number in (1..keep).rev() {
        match directory.rename(&old_name(name, number), &old_name(name, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    directory.rename(name, &old_name(name, 1))
}

fn old_name(name: &OsStr, number: u32) -> OsString {
    let mut name = name.to_owned();
    name.push(format!(".{number}"));
    name
}

/// The path of the old file number `number`.
#[cfg(test)]
pub(super) fn numbered(path: &Path, number: u32) -> PathBuf {
    path.with_file_name(old_name(path.file_name().unwrap_or_default(), number))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    const SOMEBODY: Owner = Some((0, 0));

    #[test]
    fn old_files_are_shifted_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stdout.log");
        for (name, text) in [
            ("", "d"),
            (".1", "c"),
            (".2", "b"),
            (".3", "a"),
            (".4", "z"),
        ] {
            fs::write(dir.path().join(format!("stdout.log{name}")), text).unwrap();
        }
        shift(&path, None, 3).unwrap();
        assert!(!path.exists() && !numbered(&path, 4).exists());
        for (number, text) in [(1, "d"), (2, "c"), (3, "b")] {
            assert_eq!(fs::read_to_string(numbered(&path, number)).unwrap(), text);
        }
        fs::write(&path, "e").unwrap();
        shift(&path, None, 0).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_that_was_deleted_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/stdout.log");
        open(&path, None).unwrap();
        let mode = fs::metadata(&path).unwrap().mode() & 0o777;
        assert_eq!(mode & !0o640, 0);
    }

    #[test]
    fn where_there_is_an_owner_links_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let precious = dir.path().join("precious");
        fs::write(&precious, "").unwrap();
        symlink(&precious, dir.path().join("soft")).unwrap();
        fs::hard_link(&precious, dir.path().join("hard")).unwrap();
        for name in ["soft", "hard"] {
            assert!(open(&dir.path().join(name), SOMEBODY).is_err(), "{name}");
            assert!(open(&dir.path().join(name), None).is_ok(), "{name}");
        }
    }

    /// Shows: a user who puts a link in the place of a directory of the user's own gets no file made,
    /// looked at or renamed behind it; a link that root made there leads where it says.
    #[test]
    fn where_there_is_an_owner_the_owners_links_on_the_way_are_refused() {
        if !nix::unistd::geteuid().is_root() {
            return; // only root can give something away
        }
        const THEIRS: (u32, u32) = (4242, 4243);
        let dir = tempfile::tempdir().unwrap();
        let treasury = dir.path().join("treasury");
        fs::create_dir(&treasury).unwrap();
        fs::write(treasury.join("old.log"), "").unwrap();
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        lchown(&home, Some(THEIRS.0), Some(THEIRS.1)).unwrap();
        symlink(&treasury, home.join("logs")).unwrap();
        lchown(home.join("logs"), Some(THEIRS.0), Some(THEIRS.1)).unwrap();
        for file in ["logs/new.log", "logs/deep/er/new.log", "logs/old.log"] {
            let file = home.join(file);
            assert!(open(&file, Some(THEIRS)).is_err());
            assert!(facts(&file, Some(THEIRS)).is_err());
            assert!(shift(&file, Some(THEIRS), 3).is_err());
        }
        let left = fs::read_dir(&treasury).unwrap().map(|e| e.unwrap());
        let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["old.log"]);

        symlink(&home, dir.path().join("ours")).unwrap();
        let file = dir.path().join("ours/fresh/new.log");
        open(&file, Some(THEIRS)).unwrap();
        for made in [&file, file.parent().unwrap()] {
            assert_eq!(fs::metadata(made).unwrap().uid(), THEIRS.0);
        }
        shift(&file, Some(THEIRS), 3).unwrap();
        assert!(home.join("fresh/new.log.1").exists());
    }
}

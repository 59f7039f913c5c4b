//! A directory that stays the one it was found to be, whatever becomes of its path.
//!
//! Owns: a descriptor of the directory. For a process with privileges that works where users without
//! them may rename things and put links at any moment: a path says something else from one call to the
//! next, a descriptor does not.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, openat, readlinkat, renameat, renameat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, geteuid, unlinkat};

/// A path with more links on its way is taken for a loop, as the kernel does.
const LINKS_MAX: u32 = 40;

const LOOK: OFlag = OFlag::O_PATH
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// Which links are followed: on the way to a directory, and where one of its entries is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// All of them.
    Followed,
    /// Those of root and of our own user, in directories of root and of our own user. Another one is an
    /// error: its owner may point it anywhere. And none in the place of an entry.
    Ours,
}

/// A directory.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    links: Links,
}

impl Directory {
    /// The directory of that path.
    ///
    /// # Errors
    /// A link that is not to be followed, or the system's answer.
    pub fn open(path: &Path, links: Links) -> io::Result<Self> {
        match links {
            Links::Followed => {
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
                let fd = openat(AT_FDCWD, path, flags, Mode::empty())?;
                Ok(Self { fd, links })
            }
            Links::Ours => Walk::to(path, None).map(|(directory, _)| directory),
        }
    }

    /// The directory of that path, made with its parents if need be. True: it is new, and empty. Links as
    /// [`Links::Ours`].
    ///
    /// # Errors
    /// A link that is not to be followed, or the system's answer.
    pub fn make(path: &Path, mode: u32) -> io::Result<(Self, bool)> {
        Walk::to(path, Some(Mode::from_bits_truncate(mode)))
    }

    /// Opens an entry, with `mode` if that makes it.
    ///
    /// # Errors
    /// The entry is a link that is not to be followed, or the system's answer.
    pub fn open_file(&self, name: &OsStr, flags: OFlag, mode: u32) -> io::Result<File> {
        let mut flags = flags | OFlag::O_CLOEXEC;
        flags.set(OFlag::O_NOFOLLOW, self.links == Links::Ours);
        let fd = openat(&self.fd, name, flags, Mode::from_bits_truncate(mode))?;
        Ok(fd.into())
    }

    /// An entry to look at, of whatever kind: its metadata can be asked for, and nothing else. That of a
    /// link if that is not to be followed.
    ///
    /// # Errors
    /// The system's answer.
    pub fn entry(&self, name: &OsStr) -> io::Result<File> {
        self.open_file(name, OFlag::O_PATH, 0)
    }

    /// Renames an entry, in place of one that has the new name.
    ///
    /// # Errors
    /// The system's answer.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Removes an entry that is no directory.
    ///
    /// # Errors
    /// The system's answer.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Renames an entry into a directory, provided that nothing has the new name there.
    ///
    /// # Errors
    /// `AlreadyExists`: something has. Else the system's answer.
    pub fn rename_into(&self, from: &OsStr, target: &Self, to: &OsStr) -> io::Result<()> {
        let flags = RenameFlags::RENAME_NOREPLACE;
        Ok(renameat2(&self.fd, from, &target.fd, to, flags)?)
    }

    /// The directory of that name in this one, made with `mode` if it is missing. No link is followed.
    ///
    /// # Errors
    /// `NotADirectory`: it is something else. Else the system's answer.
    pub fn enter(&self, name: &OsStr, mode: u32) -> io::Result<Self> {
        let flags = LOOK | OFlag::O_DIRECTORY;
        let links = self.links;
        match mkdirat(&self.fd, name, Mode::from_bits_truncate(mode)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let fd = openat(&self.fd, name, flags, Mode::empty())?;
        Ok(Self { fd, links })
    }

    /// The names of all entries.
    ///
    /// # Errors
    /// The system's answer.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let mut names = Vec::new();
        for entry in Dir::openat(&self.fd, ".", flags, Mode::empty())?.iter() {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Bytes of its file system that are free for its user.
    ///
    /// # Errors
    /// The system's answer.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let facts = fstatvfs(&self.fd)?;
        Ok(facts
            .blocks_available()
            .saturating_mul(facts.fragment_size()))
    }

    /// Waits until its names are on the disk.
    ///
    /// # Errors
    /// The system's answer.
    pub fn sync(&self) -> io::Result<()> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY;
        self.open_file(OsStr::new("."), flags, 0)?.sync_all()
    }

    /// Gives the directory itself to a user and group.
    ///
    /// # Errors
    /// The system's answer.
    pub fn give(&self, (user, group): (u32, u32)) -> io::Result<()> {
        give(&self.fd, (user, group))
    }

    /// Gives a socket in it to a user and group, provided that it is ours and has no second name: it is
    /// the one we made, then, or one that its new owner could have had anyway.
    ///
    /// # Errors
    /// There is something else by now, or the system's answer.
    pub fn give_socket(&self, name: &OsStr, owner: (u32, u32)) -> io::Result<()> {
        let entry: File = openat(&self.fd, name, LOOK, Mode::empty())?.into();
        let facts = entry.metadata()?;
        let is_socket = facts.mode() & SFlag::S_IFMT.bits() == SFlag::S_IFSOCK.bits();
        if !is_socket || facts.nlink() != 1 || facts.uid() != geteuid().as_raw() {
            return Err(io::Error::other(
                "something else was put in the place of the new socket",
            ));
        }
        give(&entry.into(), owner)
    }

    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.names()?.is_empty())
    }
}

fn give(fd: &OwnedFd, (user, group): (u32, u32)) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
    Ok(fchownat(
        fd,
        "",
        Some(user),
        Some(group),
        AtFlags::AT_EMPTY_PATH,
    )?)
}

fn is_ours(facts: &FileStat) -> bool {
    facts.st_uid == 0 || facts.st_uid == geteuid().as_raw()
}

/// One component after the other, each below the one that was found before.
struct Walk {
    /// From the root to where we are, so that `..` leads back the way we came.
    trail: Vec<OwnedFd>,
    links_left: u32,
    /// What is missing is made, with this mode.
    make: Option<Mode>,
    /// Where we are has just been made.
    is_new: bool,
}

impl Walk {
    fn to(path: &Path, make: Option<Mode>) -> io::Result<(Directory, bool)> {
        let mut walk = Self {
            trail: Vec::new(),
            links_left: LINKS_MAX,
            make,
            is_new: false,
        };
        walk.along(&std::path::absolute(path)?)?;
        let fd = walk.trail.pop().ok_or(io::ErrorKind::InvalidInput)?;
        let directory = Directory {
            fd,
            links: Links::Ours,
        };
        if walk.is_new && !(is_ours(&fstat(&directory.fd)?) && directory.is_empty()?) {
            return Err(io::Error::other(
                "something else was put in the place of the new directory",
            ));
        }
        Ok((directory, walk.is_new))
    }

    fn along(&mut self, path: &Path) -> io::Result<()> {
        for component in path.components() {
            match component {
                Component::RootDir => {
                    let flags = LOOK | OFlag::O_DIRECTORY;
                    let root = openat(AT_FDCWD, "/", flags, Mode::empty())?;
                    self.trail = vec![root];
                    self.is_new = false;
                }
                Component::ParentDir => {
                    if self.trail.len() > 1 {
                        self.trail.pop();
                    }
                    self.is_new = false;
                }
                Component::Normal(name) => self.enter(name)?,
                Component::CurDir | Component::Prefix(_) => {}
            }
        }
        Ok(())
    }

    fn enter(&mut self, name: &OsStr) -> io::Result<()> {
        let here = self.trail.last().ok_or(io::ErrorKind::InvalidInput)?;
        self.is_new = false;
        let flags = LOOK | OFlag::O_DIRECTORY;
        let mut found = openat(here, name, flags, Mode::empty());
        if let (Err(Errno::ENOENT), Some(mode)) = (&found, self.make) {
            match mkdirat(here, name, mode) {
                Ok(()) => self.is_new = true,
                Err(Errno::EEXIST) => {}
                Err(error) => return Err(error.into()),
            }
            found = openat(here, name, flags, Mode::empty());
        }
        match found {
            Ok(fd) => self.trail.push(fd),
            Err(Errno::ENOTDIR | Errno::ELOOP) => {
                let target = self.follow(name)?;
                self.along(&target)?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Where the link of that name leads, if that is for us to follow.
    fn follow(&mut self, name: &OsStr) -> io::Result<PathBuf> {
        let here = self.trail.last().ok_or(io::ErrorKind::InvalidInput)?;
        let link = openat(here, name, LOOK, Mode::empty())?;
        let facts = fstat(&link)?;
        if facts.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFLNK.bits() {
            return Err(Errno::ENOTDIR.into());
        }
        let around = fstat(here)?;
        for owner in [&facts, &around] {
            if !is_ours(owner) {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    format!(
                        "{name:?} on the way there is a link that user {} can change; put a directory \
                         in its place, or name the directory that is meant",
                        owner.st_uid
                    ),
                ));
            }
        }
        self.links_left = self.links_left.checked_sub(1).ok_or(Errno::ELOOP)?;
        Ok(readlinkat(&link, "")?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{lchown, symlink};
    use std::os::unix::net::UnixListener;

    const STRANGER: (u32, u32) = (4242, 4243);

    /// A place whose path has no link of its own.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().canonicalize().unwrap();
        (place, path)
    }

    fn same(directory: &Directory, path: &Path) -> bool {
        let (found, named) = (fstat(&directory.fd).unwrap(), fs::metadata(path).unwrap());
        (found.st_dev, found.st_ino) == (named.dev(), named.ino())
    }

    #[test]
    fn a_path_leads_where_the_kernel_says() {
        let (_place, place) = place();
        fs::create_dir_all(place.join("a/b/c")).unwrap();
        symlink(place.join("a/b"), place.join("absolute")).unwrap();
        symlink("../a/b", place.join("a/relative")).unwrap();
        symlink("absolute", place.join("twice")).unwrap();
        for way in [
            "a/b",
            "a/./b/c/..",
            "absolute/c/../../b",
            "a/relative/c",
            "a/relative/..",
            "twice/c",
            "../../../../../../../../../..",
        ] {
            let path = place.join(way);
            for links in [Links::Ours, Links::Followed] {
                let found = Directory::open(&path, links).unwrap();
                assert!(same(&found, &path), "{way}");
            }
        }
    }

    #[test]
    fn what_is_missing_is_made_and_told_from_what_was_there() {
        let (_place, place) = place();
        let deep = place.join("a/b/c");
        let missing = Directory::open(&deep, Links::Ours).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let (made, is_new) = Directory::make(&deep, 0o700).unwrap();
        assert!(is_new && same(&made, &deep));
        assert_eq!(fs::metadata(&deep).unwrap().mode() & 0o777, 0o700);
        assert!(!Directory::make(&deep, 0o700).unwrap().1);
        assert!(!Directory::make(&deep.join(".."), 0o700).unwrap().1);
        fs::write(deep.join("file"), "").unwrap();
        for below in ["file", "file/d"] {
            let error = Directory::make(&deep.join(below), 0o700).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotADirectory, "{below}");
        }
    }

    #[test]
    fn a_loop_of_links_ends() {
        let (_place, place) = place();
        symlink("b", place.join("a")).unwrap();
        symlink("a", place.join("b")).unwrap();
        let error = Directory::open(&place.join("a"), Links::Ours).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
    }

    #[test]
    fn entries_are_renamed_and_removed_and_links_among_them_are_followed_only_if_wanted() {
        let (_place, place) = place();
        fs::write(place.join("precious"), "mine").unwrap();
        symlink("precious", place.join("link")).unwrap();
        let directory = Directory::open(&place, Links::Ours).unwrap();
        let name = OsStr::new;
        let flags = OFlag::O_RDWR | OFlag::O_CREAT;
        let refused = directory.open_file(name("link"), flags, 0o600);
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::ELOOP));
        let entry = directory.entry(name("link")).unwrap();
        assert!(entry.metadata().unwrap().is_symlink());
        let follower = Directory::open(&place, Links::Followed).unwrap();
        assert!(follower.open_file(name("link"), flags, 0).is_ok());
        let entry = follower.entry(name("link")).unwrap();
        assert!(entry.metadata().unwrap().is_file());
        directory.rename(name("link"), name("other")).unwrap();
        directory.remove(name("other")).unwrap();
        assert_eq!(fs::read_to_string(place.join("precious")).unwrap(), "mine");
        assert!(directory.remove(name("other")).is_err());
    }

    #[test]
    fn an_entry_moves_below_and_never_in_place_of_another() {
        let (_place, place) = place();
        let directory = Directory::open(&place, Links::Ours).unwrap();
        let name = OsStr::new;
        fs::write(place.join("a"), "a").unwrap();
        fs::write(place.join("b"), "b").unwrap();
        let below = directory.enter(name("below"), 0o700).unwrap();
        directory.rename_into(name("a"), &below, name("a")).unwrap();
        let taken = directory.rename_into(name("b"), &below, name("a"));
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(place.join("below/a")).unwrap(), "a");
        let again = directory.enter(name("below"), 0o700).unwrap();
        assert_eq!(again.names().unwrap(), ["a"]);
        again.sync().unwrap();
        symlink("below", place.join("link")).unwrap();
        for no_directory in ["link", "b"] {
            let error = directory.enter(name(no_directory), 0o700).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
        }
    }

    /// Shows: a stranger's link, and any link in a stranger's directory, is refused, with a word on whose
    /// it is; nothing is made behind it.
    #[test]
    fn links_of_others_are_refused() {
        if !geteuid().is_root() {
            return; // only root can make somebody else's
        }
        let (_place, place) = place();
        let treasury = place.join("treasury");
        let home = place.join("home");
        fs::create_dir(&treasury).unwrap();
        fs::create_dir(&home).unwrap();
        symlink(&treasury, place.join("theirs")).unwrap();
        symlink(&treasury, home.join("ours")).unwrap();
        Directory::open(&home.join("ours"), Links::Ours).unwrap();
        lchown(place.join("theirs"), Some(STRANGER.0), Some(STRANGER.1)).unwrap();
        Directory::open(&home, Links::Ours)
            .unwrap()
            .give(STRANGER)
            .unwrap();
        assert_eq!(fs::metadata(&home).unwrap().uid(), STRANGER.0);
        for link in [place.join("theirs"), home.join("ours")] {
            for path in [link.clone(), link.join("deep/er")] {
                let error = Directory::make(&path, 0o700).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                assert!(error.to_string().contains("user 4242"), "{error}");
            }
            Directory::open(&link, Links::Followed).unwrap();
        }
        assert_eq!(fs::read_dir(&treasury).unwrap().count(), 0);
    }

    #[test]
    fn only_a_socket_of_ours_with_one_name_is_given_away() {
        let (_place, place) = place();
        let _listener = UnixListener::bind(place.join("socket")).unwrap();
        fs::write(place.join("file"), "").unwrap();
        symlink("socket", place.join("link")).unwrap();
        let me = (geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let directory = Directory::open(&place, Links::Ours).unwrap();
        directory.give_socket(OsStr::new("socket"), me).unwrap();
        fs::hard_link(place.join("socket"), place.join("second")).unwrap();
        for name in ["file", "link", "socket", "second", "nothing"] {
            assert!(
                directory.give_socket(OsStr::new(name), me).is_err(),
                "{name}"
            );
        }
    }
}

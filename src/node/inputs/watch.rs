//! What wakes who follows: changes in directories, and pipes that have something to read.
//!
//! Owns: an inotify descriptor, and the epoll descriptor around it and the pipes, which becomes readable
//! with any of them. Borrows: the pipes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// The inotify descriptor among the pipes.
const FOLDERS: u64 = u64::MAX;

/// Pipes that are told of in one look; of the others the next tells.
const PIPES_A_LOOK: usize = 64;

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// To the file of this name.
    File(PathBuf),
    /// To more than is known.
    Anything,
    /// The pipe of this number can be read, or its other end was closed.
    Pipe(u64),
}

#[derive(Debug)]
pub(super) struct Watch {
    all: Epoll,
    inotify: Inotify,
    folders: Vec<(WatchDescriptor, PathBuf)>,
}

impl Watch {
    pub(super) fn new() -> io::Result<Self> {
        let all = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        all.add(&inotify, EpollEvent::new(EpollFlags::EPOLLIN, FOLDERS))?;
        Ok(Self {
            all,
            inotify,
            folders: Vec::new(),
        })
    }

    /// Becomes readable when something has happened.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.all.0.as_fd()
    }

    /// Tells of what happens to the files of this directory from now on.
    pub(super) fn add_folder(&mut self, folder: &Path) -> io::Result<()> {
        if self.folders.iter().any(|(_, known)| known == folder) {
            return Ok(());
        }
        let changes = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_ONLYDIR;
        let watch = self.inotify.add_watch(folder, changes)?;
        self.folders.push((watch, folder.to_owned()));
        Ok(())
    }

    /// Tells when there is something to read; once, until it was read to its end.
    pub(super) fn add_pipe(&self, pipe: BorrowedFd<'_>, number: u64) -> io::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        Ok(self.all.add(pipe, EpollEvent::new(flags, number))?)
    }

    /// Tells what has happened since the last look.
    pub(super) fn look(&mut self, mut tell: impl FnMut(Change)) -> io::Result<()> {
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                    // The directory is gone; another one of its name is another one.
                    self.folders.retain(|(watch, _)| *watch != event.wd);
                }
                let folder = self.folders.iter().find(|(watch, _)| *watch == event.wd);
                tell(match (folder, event.name) {
                    (Some((_, folder)), Some(name)) => Change::File(folder.join(name)),
                    (Some(_) | None, _) => Change::Anything,
                });
            }
        }
        // After that, or what was read still counts as ready.
        let mut events = [EpollEvent::empty(); PIPES_A_LOOK];
        let count = match self.all.wait(&mut events, EpollTimeout::ZERO) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in events.iter().take(count) {
            if event.data() != FOLDERS {
                tell(Change::Pipe(event.data()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    fn changes(watch: &mut Watch) -> Vec<Change> {
        let mut all = Vec::new();
        watch.look(|change| all.push(change)).unwrap();
        all.dedup();
        all
    }

    #[test]
    fn changes_of_files_and_pipes_are_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::new().unwrap();
        watch.add_folder(folder.path()).unwrap();
        watch.add_folder(folder.path()).unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        watch.add_pipe(reader.as_fd(), 7).unwrap();
        assert_eq!(changes(&mut watch), []);
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&a, "1").unwrap();
        assert_eq!(changes(&mut watch), [Change::File(a.clone())]);
        fs::rename(&a, &b).unwrap();
        let expected = [Change::File(a), Change::File(b)];
        assert_eq!(changes(&mut watch), expected);
        writer.write_all(b"x").unwrap();
        assert_eq!(changes(&mut watch), [Change::Pipe(7)]);
        assert_eq!(changes(&mut watch), []);
        drop(writer);
        assert_eq!(changes(&mut watch), [Change::Pipe(7)]);
        drop(folder);
        assert!(changes(&mut watch).contains(&Change::Anything));
        assert!(watch.folders.is_empty());
    }
}

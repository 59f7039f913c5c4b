//! Waits until files of loggers change, or nobody reads what is shown.
//!
//! Owns: an inotify descriptor.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::files;

/// Directories that are watched.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: Inotify,
}

impl Watch {
    /// Watches the directory of the loggers' directories.
    pub(super) fn new(logs: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let watch = Self { inotify };
        watch.add(logs)?;
        Ok(watch)
    }

    /// Watches a logger's directories too; those that are watched already stay so.
    pub(super) fn logger(&self, logs: &Path, logger: &str) -> io::Result<()> {
        for directory in files::directories(logs, logger) {
            match self.add(&directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn add(&self, directory: &Path) -> io::Result<()> {
        let names = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        let events = names | AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_ONLYDIR;
        self.inotify.add_watch(directory, events)?;
        Ok(())
    }

    /// Waits for a change. Says whether names have changed, too.
    ///
    /// # Errors
    /// `BrokenPipe`: standard output was closed by whoever read it.
    pub(super) fn wait(&self, with_output: bool) -> io::Result<bool> {
        let output = io::stdout();
        let mut watched = vec![PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
        if with_output {
            watched.push(PollFd::new(output.as_fd(), PollFlags::empty()));
        }
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let closed = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        let output = watched.get(1).and_then(PollFd::revents);
        if output.is_some_and(|events| events.intersects(closed)) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let content = AddWatchFlags::IN_MODIFY;
        match self.inotify.read_events() {
            Ok(events) => Ok(events.iter().any(|event| event.mask != content)),
            Err(Errno::EAGAIN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

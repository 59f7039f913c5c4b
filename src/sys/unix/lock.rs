//! The file that says that somebody is at work here.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::sys::checked;

/// Each attempt in vain means that somebody has just let go and taken the file away: more than so many
/// in a row is not an accident.
const ATTEMPTS_MAX: u32 = 100;

/// A file that is locked as long as this value, or a copy of its descriptor in another process, lives.
///
/// It is never unlocked by a call: that would also take the lock from the others that share it, and a
/// forked child shares it. The last close ends it, so a killed process leaves nothing behind but the
/// file. A lock counts only while the path names the locked file: see [`LockedFile::remove`].
#[derive(Debug)]
pub struct LockedFile {
    file: File,
}

/// Locks this file, which is made if need be, for its owner only: whoever can open it can lock it. A link
/// in its place is not followed. `None`: somebody else holds it, and what they wrote can be read.
///
/// # Errors
/// The system's answer.
pub fn lock_file(path: &Path) -> io::Result<Option<LockedFile>> {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.read(true).write(true).create(true).truncate(false);
    for _ in 0..ATTEMPTS_MAX {
        let file = options.open(path)?;
        // SAFETY: numbers only; the descriptor is open, it is `file`'s.
        match checked(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
            // Else its last holder took it away after we had opened it: it holds nobody up any more.
            Ok(_) if is_named(&file, path)? => return Ok(Some(LockedFile { file })),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("the file is removed again and again"))
}

fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let locked = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (locked.dev(), locked.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl LockedFile {
    /// Replaces what the file says, for whoever finds it locked.
    ///
    /// # Errors
    /// The system's answer.
    pub fn write(&self, text: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(text.as_bytes(), 0)
    }

    /// Takes the file away, if the path still names it. From now on somebody else can make and lock
    /// another one: let it be the last thing that is done under this lock.
    ///
    /// # Errors
    /// The system's answer.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        if is_named(&self.file, path)? {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::alone::alone;
    use crate::sys::process::{Forked, exit_now, fork, reap};

    #[test]
    fn a_locked_file_is_refused_to_others_and_says_what_was_written() {
        alone(|| {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("lock");
            let held = lock_file(&path).unwrap().unwrap();
            held.write("a longer text\n").unwrap();
            held.write("412\n").unwrap();
            assert!(lock_file(&path).unwrap().is_none());
            assert_eq!(fs::read_to_string(&path).unwrap(), "412\n");
            drop(held);
            assert!(lock_file(&path).unwrap().is_some());
            assert!(lock_file(&path.join("no folder")).is_err());
        });
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let (path, prey) = (place.path().join("lock"), place.path().join("prey"));
        std::os::unix::fs::symlink(&prey, &path).unwrap();
        let error = lock_file(&path).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
        assert!(!prey.exists());
    }

    #[test]
    fn only_the_file_that_is_locked_is_removed() {
        alone(|| {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("lock");
            let first = lock_file(&path).unwrap().unwrap();
            first.remove(&path).unwrap();
            assert!(!path.exists());
            let second = lock_file(&path).unwrap().unwrap();
            first.remove(&path).unwrap();
            assert!(path.exists());
            drop(first);
            assert!(lock_file(&path).unwrap().is_none());
            second.remove(&path).unwrap();
        });
    }

    /// Shows: of many who lock, remove and let go at the same time, each that holds the lock holds the
    /// file of that name, from the first to the last moment: two never do.
    #[test]
    fn a_lock_that_is_got_is_on_the_file_that_the_path_names() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        // Others may win against us more often than is ever tried.
                        if let Ok(Some(held)) = lock_file(&path) {
                            assert!(is_named(&held.file, &path).unwrap());
                            held.remove(&path).unwrap();
                        }
                    }
                });
            }
        });
    }

    #[test]
    fn a_child_that_drops_the_lock_does_not_take_it_from_its_parent() {
        alone(|| {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("lock");
            let held = lock_file(&path).unwrap().unwrap();
            let Forked::Parent(_) = fork().unwrap() else {
                drop(held);
                exit_now(0);
            };
            while reap().unwrap().is_none() {
                std::thread::yield_now();
            }
            assert!(lock_file(&path).unwrap().is_none());
        });
    }
}

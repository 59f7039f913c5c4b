//! Control groups, version 2, where a part of the tree is delegated to us.
//!
//! Owns: no descriptor; the folders made here are files of the kernel, and a group outlives who made
//! it. The supervisor makes and removes them, a newborn enters its own.
//!
//! A group that has processes of its own may not hand controllers down, so the supervisor steps into a
//! leaf first ([`Groups::enter_leaf`]).

use std::path::{Path, PathBuf};
use std::{fs, io};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use crate::layout::spec::GroupLimit;

/// What is asked of the kernel in a delegated folder.
const WRITTEN: [&str; 3] = ["", "cgroup.procs", "cgroup.subtree_control"];

/// How deep the groups are cleared that a child has made below its own.
const DEPTH_MAX: u32 = 16;

/// The part of the tree that is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    directory: PathBuf,
    controllers: Vec<String>,
}

/// Why limits of control groups cannot be had here. System's or configuration's fault.
#[derive(Debug, thiserror::Error)]
pub enum WhyNot {
    /// The kernel's account of mounts and groups could not be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Version 2 is not mounted where we could reach our own group.
    #[error("no control groups of version 2 are mounted here")]
    NoMount,
    /// We may not change our own group.
    #[error("the control group {} is not delegated to this user; with systemd, say Delegate=yes", path.display())]
    NotWritable {
        /// What may not be written.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A controller that is needed is not handed down to us.
    #[error("the control group {} has no controller \"{controller}\"", directory.display())]
    ControllerMissing {
        /// Which; `any`, if there is none at all.
        controller: String,
        /// Our group.
        directory: PathBuf,
    },
}

impl Groups {
    /// Finds the group this process is in, and whether it is ours to divide.
    ///
    /// # Errors
    /// [`WhyNot`].
    pub fn delegated() -> Result<Self, WhyNot> {
        Self::delegated_by(
            Path::new("/proc/self/mountinfo"),
            Path::new("/proc/self/cgroup"),
        )
    }

    fn delegated_by(mounts: &Path, own: &Path) -> Result<Self, WhyNot> {
        let directory = locate(&read(mounts)?, &read(own)?).ok_or(WhyNot::NoMount)?;
        for name in WRITTEN {
            let path = directory.join(name);
            faccessat(AT_FDCWD, &path, AccessFlags::W_OK, AtFlags::AT_EACCESS).map_err(
                |error| WhyNot::NotWritable {
                    path,
                    source: error.into(),
                },
            )?;
        }
        let controllers = read(&directory.join("cgroup.controllers"))?;
        let controllers: Vec<_> = controllers
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect();
        if controllers.is_empty() {
            return Err(WhyNot::ControllerMissing {
                controller: "any".to_owned(),
                directory,
            });
        }
        Ok(Self {
            directory,
            controllers,
        })
    }

    /// The folder of our part of the tree.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Can this limit be set here?
    ///
    /// # Errors
    /// [`WhyNot::ControllerMissing`] names what is not handed down.
    pub fn offers(&self, limit: &GroupLimit) -> Result<(), WhyNot> {
        let (controller, _) = limit.file.split_once('.').unwrap_or((&limit.file, ""));
        if controller == "cgroup" || self.controllers.iter().any(|known| known == controller) {
            return Ok(());
        }
        Err(WhyNot::ControllerMissing {
            controller: controller.to_owned(),
            directory: self.directory.clone(),
        })
    }

    /// Steps into a group of this name, and hands all controllers down to it and its siblings.
    ///
    /// # Errors
    /// The system's answer; `ResourceBusy` if other processes are still in our own group.
    pub fn enter_leaf(&self, name: &str) -> io::Result<()> {
        enter(&self.make(name, &[])?)?;
        for controller in &self.controllers {
            write(
                &self.directory.join("cgroup.subtree_control"),
                &format!("+{controller}"),
            )?;
        }
        Ok(())
    }

    /// Makes a group of this name, or takes the one that is there, and sets its limits.
    ///
    /// # Errors
    /// A name that is none, or the system's answer with the file it was about.
    pub fn make(&self, name: &str, limits: &[GroupLimit]) -> io::Result<PathBuf> {
        let directory = self.directory.join(word(name)?);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(about(&directory, &error));
            }
            Ok(()) | Err(_) => {}
        }
        for limit in limits {
            write(&directory.join(word(&limit.file)?), &limit.value)?;
        }
        Ok(directory)
    }
}

/// The calling process enters this group.
///
/// # Errors
/// The system's answer.
pub fn enter(directory: &Path) -> io::Result<()> {
    write(&directory.join("cgroup.procs"), "0")
}

/// Kills everybody in this group and below it.
///
/// # Errors
/// The system's answer; `NotFound` if there is no such group, or the kernel is older than 5.14.
pub fn kill(directory: &Path) -> io::Result<()> {
    write(&directory.join("cgroup.kill"), "1")
}

/// Removes this group and those below it. One that is not there is no error.
///
/// # Errors
/// The system's answer; `ResourceBusy` while there are processes in it, dying ones too.
pub fn remove(directory: &Path) -> io::Result<()> {
    remove_below(directory, DEPTH_MAX)
}

fn remove_below(directory: &Path, depth: u32) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries.flatten() {
        if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_below(&entry.path(), depth - 1)?;
        }
    }
    match fs::remove_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        answer => answer.map_err(|error| about(directory, &error)),
    }
}

/// How many processes of this group were killed for want of memory; 0 where nobody counts.
#[must_use]
pub fn oom_kills(directory: &Path) -> u64 {
    let text = fs::read_to_string(directory.join("memory.events")).unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

/// Our group's folder: the mount that shows it, and our path below that mount's root.
fn locate(mounts: &str, own: &str) -> Option<PathBuf> {
    // "0::" is version 2; a path with ".." lies outside what this namespace shows.
    let own = Path::new(own.lines().find_map(|line| line.strip_prefix("0::"))?);
    if own.components().any(|part| part.as_os_str() == "..") {
        return None;
    }
    mounts.lines().rev().find_map(|line| {
        // id, parent, device, root, mount point, options, any optional fields, "-", kind, …
        let (place, kind) = line.split_once(" - ")?;
        let mut fields = place.split(' ').skip(3);
        let (root, point) = (unescape(fields.next()?), unescape(fields.next()?));
        let below = own.strip_prefix(root).ok()?;
        kind.starts_with("cgroup2 ").then(|| {
            let below = below.as_os_str();
            if below.is_empty() {
                PathBuf::from(&point)
            } else {
                Path::new(&point).join(below)
            }
        })
    })
}

/// Blanks and the like stand in the account of mounts as a backslash and three octal digits.
fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (code, part.get(3..)) {
            (Some(code), Some(rest)) => {
                text.push(char::from(code));
                text.push_str(rest);
            }
            _ => text.push_str(part),
        }
    }
    text
}

fn word(name: &str) -> io::Result<&str> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name:?} cannot be the name of a control group or of a file in it"),
        ));
    }
    Ok(name)
}

fn read(path: &Path) -> Result<String, WhyNot> {
    fs::read_to_string(path).map_err(|source| WhyNot::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// Writes to a file of the kernel; never makes one.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let file = fs::OpenOptions::new().write(true).open(path);
    file.and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()))
        .map_err(|error| about(path, &error))
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;

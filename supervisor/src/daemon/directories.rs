//! The run directory: made, locked, and left as it should be found.
//!
//! Owns: the lock on `supervisor.pid`, which is held as long as this process lives.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cluster::fabric::ATTACH_SOCKET;
use cluster::layout::spec::{ChildSpec, Identity};
use cluster::sys;
use cluster::sys::directory::{Directory, Links};
use cluster::sys::unix::LockedFile;

/// Directories are for their owner, and readable by its group.
const DIRECTORY_MODE: u32 = 0o750;

/// The lock, and who holds it.
const PID_FILE: &str = "supervisor.pid";

/// Clients that connect at one moment wait in a line this long.
const BACKLOG: i32 = 64;

/// As many wait at `attach.sock` while there is no stem: all that were attached may come back at once.
const GUESTS_BACKLOG: i32 = 256;

/// Why the run directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum DirectoryError {
    /// Another supervisor lives there.
    #[error("another supervisor runs in {}{}; `supervisor --run-dir {} status` shows it", path.display(), holder_words(holder), path.display())]
    Held { path: PathBuf, holder: String },
    /// Its owner can exchange anything in it at any moment, and we could not tell.
    #[error("the run directory {} belongs to user {owner}; run as that user, give it to root, or name another with --run-dir", path.display())]
    Foreign { path: PathBuf, owner: u32 },
    /// The system refused.
    #[error("cannot {what} {}", path.display())]
    System {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

fn holder_words(holder: &str) -> String {
    match holder.trim() {
        "" => String::new(),
        pid => format!(" (process {pid})"),
    }
}

/// The run directory of this supervisor.
#[derive(Debug)]
pub(super) struct RunDirectory {
    path: PathBuf,
    lock: LockedFile,
    extra_pid_file: Option<PathBuf>,
}

impl RunDirectory {
    /// Makes and locks it.
    ///
    /// # Errors
    /// Another supervisor holds it, we are root and it is another user's, or the system refuses.
    pub(super) fn take(path: &Path, extra: Option<PathBuf>) -> Result<Self, DirectoryError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| DirectoryError::System { what, path, source }
        };
        make(path).map_err(failed("make the run directory", path))?;
        let owner = path.metadata().map_err(failed("look at", path))?.uid();
        if nix::unistd::geteuid().is_root() && owner != 0 {
            let path = path.to_owned();
            return Err(DirectoryError::Foreign { path, owner });
        }
        let pid_file = path.join(PID_FILE);
        let lock = sys::unix::lock_file(&pid_file)
            .map_err(failed("lock", &pid_file))?
            .ok_or_else(|| DirectoryError::Held {
                path: path.to_owned(),
                holder: fs::read_to_string(&pid_file).unwrap_or_default(),
            })?;
        let pid = format!("{}\n", sys::process::id());
        lock.write(&pid).map_err(failed("write", &pid_file))?;
        for name in ["state", "crash"] {
            let path = path.join(name);
            make(&path).map_err(failed("make", &path))?;
        }
        if let Some(extra) = &extra {
            fs::write(extra, &pid).map_err(failed("write", extra))?;
        }
        Ok(Self {
            path: path.to_owned(),
            lock,
            extra_pid_file: extra,
        })
    }

    /// Makes the control socket, in place of one that a dead supervisor left.
    pub(super) fn listen(&self) -> Result<OwnedFd, DirectoryError> {
        let path = self.path.join("control.sock");
        sys::unix::listen(&path, 0o600, BACKLOG).map_err(|source| DirectoryError::System {
            what: "listen on",
            path,
            source,
        })
    }

    /// Makes the socket to which programs come that want a seat. The stem serves it; it stands here so
    /// that it outlives the stem.
    /// A group that is given may come too.
    pub(super) fn listen_for_guests(&self, group: Option<u32>) -> Result<OwnedFd, DirectoryError> {
        let path = self.path.join(ATTACH_SOCKET);
        let mode = if group.is_some() { 0o660 } else { 0o600 };
        let owner = group.map(|group| (nix::unistd::geteuid().as_raw(), group));
        let listener =
            sys::unix::listen_packets(&path, mode, owner, GUESTS_BACKLOG).and_then(|listener| {
                if group.is_some() {
                    let_through(&self.path)?;
                }
                Ok(listener)
            });
        listener.map_err(|source| DirectoryError::System {
            what: "listen on",
            path,
            source,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.path.join("supervisor.log")
    }

    pub(super) fn state_dir(&self) -> PathBuf {
        self.path.join("state")
    }

    pub(super) fn crash_dir(&self) -> PathBuf {
        self.path.join("crash")
    }

    /// Takes away what only a running supervisor has, but for the lock.
    pub(super) fn clear(&self) {
        for socket in ["control.sock", ATTACH_SOCKET] {
            let _ = fs::remove_file(self.path.join(socket));
        }
        if let Some(extra) = &self.extra_pid_file {
            let _ = fs::remove_file(extra);
        }
    }
}

/// The last act: whoever finds no pid file is alone here.
impl Drop for RunDirectory {
    fn drop(&mut self) {
        self.clear();
        let _ = self.lock.remove(&self.path.join(PID_FILE));
    }
}

/// Makes a node's directories, owned by its user. A pid file of a former life goes away.
///
/// # Errors
/// The system's, with what was made.
pub(super) fn make_for(spec: &ChildSpec) -> Result<(), DirectoryError> {
    let made = make_all(spec);
    // Even where nothing can be made, a process that is gone has none.
    if !made.as_ref().is_ok_and(|home_is_new| *home_is_new) {
        let links = match spec.identity {
            Some(_) => Links::Ours,
            None => Links::Followed,
        };
        let _ = Directory::open(&spec.home, links).and_then(|home| home.remove("pid".as_ref()));
    }
    made.map(drop)
}

/// As [`make_for`], for a node that may be running just now.
///
/// # Errors
/// The system's, with what was made.
pub(super) fn make_for_running(spec: &ChildSpec) -> Result<(), DirectoryError> {
    make_all(spec).map(drop)
}

/// Makes what is missing. True when the node's home is new.
fn make_all(spec: &ChildSpec) -> Result<bool, DirectoryError> {
    let logs = [spec.stdout_file(), spec.stderr_file()];
    let mut paths = vec![spec.home.as_path(), spec.directory()];
    paths.extend(logs.iter().filter_map(|file| file.parent()));
    let records = spec.logs();
    paths.extend(records.as_deref());
    paths.dedup(); // they are all the same, as a rule
    let mut home_is_new = false;
    for path in paths {
        let made = make_of(path, spec.identity.as_deref());
        let is_new = made.map_err(|source| DirectoryError::System {
            what: "make",
            path: path.to_owned(),
            source,
        })?;
        home_is_new |= is_new && path == spec.home;
    }
    if let Some(who) = &spec.identity {
        let above = [Some(spec.home.as_path()), records.as_deref()];
        for path in above.into_iter().flatten().filter_map(Path::parent) {
            let_through(path).map_err(|source| DirectoryError::System {
                what: "let the users of nodes through",
                path: path.to_owned(),
                source,
            })?;
        }
        // Its own directories are its user's even if they were made by another layout. Nobody but us can
        // exchange them: they lie in the run directory.
        for path in [Some(spec.home.as_path()), records.as_deref()]
            .into_iter()
            .flatten()
        {
            let _ = std::os::unix::fs::lchown(path, Some(who.uid), Some(who.gid));
        }
    }
    Ok(home_is_new)
}

/// Makes a directory of a node; what is new belongs to its user. That user may be at work there already,
/// so no link of the user's is followed. True when it is new.
fn make_of(path: &Path, user: Option<&Identity>) -> io::Result<bool> {
    let Some(user) = user else {
        return make(path);
    };
    let (directory, is_new) = Directory::make(path, DIRECTORY_MODE)?;
    if is_new {
        directory.give((user.uid, user.gid))?;
    }
    Ok(is_new)
}

/// Lets every user walk through a directory, to what it owns below, without seeing what else is there.
fn let_through(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o011 == 0o011 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777 | 0o011))
}

/// Makes a directory with its parents. True when it is new.
pub(super) fn make(path: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(path)
            .map(|()| true),
        Err(error) => Err(error),
    }
}

//! Users, programs and ports that tests need from the machine they run on.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// A user and a group without any privilege.
pub const NOBODY: u32 = 65534;

/// Executes what follows as [`NOBODY`].
pub const AS_NOBODY: [&str; 4] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// # Panics
/// Without root: a test of what only root can do says so instead of passing.
pub fn need_root(for_what: &str) {
    assert!(is_root(), "run the tests as root: {for_what} needs it");
}

/// Makes a test's directory [`NOBODY`]'s, reachable by everybody.
pub fn give_to_nobody(directory: &Path) {
    chown(directory, Some(NOBODY), Some(NOBODY)).unwrap();
    open_to_all(directory);
}

/// Lets everybody walk through a directory.
pub fn open_to_all(directory: &Path) {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The program under test under a path that every user can reach if it can reach this directory.
pub fn reachable_program(directory: &Path) -> PathBuf {
    let here = directory.join("supervisor");
    if !here.exists() {
        let program = env!("CARGO_BIN_EXE_supervisor");
        if fs::hard_link(program, &here).is_err() {
            fs::copy(program, &here).unwrap();
        }
    }
    here
}

/// A port of the loopback address that is free just now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

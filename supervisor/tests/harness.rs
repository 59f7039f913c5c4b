//! The harness itself: what it starts goes with the test that started it, even if that one is killed.

#![cfg(test)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::layouts::{self, IDLE};
use common::processes;
use common::{PATIENCE, Start, places, wait_for, wait_or_tell};

/// Where a test that is to be killed says that its clusters are up.
const UP: &str = "HARNESS_UP";

/// What the test does in the binary that it starts.
fn wait_to_be_killed(up: &Path) {
    let nodes = layouts::nodes(&[("manager", "node_type: Manager"), ("idle", IDLE)]);
    let direct = Start::with(&nodes).start_ready();
    let through = Start::with(&nodes).unprivileged().start_ready();
    let mounted = Start::with(&nodes).in_own_mounts("true").start_ready();
    let pids = [&direct, &through, &mounted].map(|cluster| cluster.pid().to_string());
    fs::write(up, pids.join(" ")).unwrap();
    wait_for("SIGKILL", 2 * PATIENCE, || None)
}

/// Shows: a test binary that is killed, and so cleans up nothing, leaves no supervisor and nobody below
/// one, in whatever way it was started. The test binary is this one once more.
#[test]
fn a_killed_test_leaves_no_supervisor() {
    if let Some(up) = std::env::var_os(UP) {
        return wait_to_be_killed(up.as_ref());
    }
    let directory = tempfile::tempdir().unwrap();
    places::open_to_all(directory.path());
    let up = directory.path().join("up");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_test_leaves_no_supervisor"])
        .env(UP, &up)
        // It cannot remove its directories either.
        .env("TMPDIR", directory.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let supervisors = wait_or_tell(
        "its clusters are up",
        PATIENCE,
        || {
            let text = fs::read_to_string(&up).unwrap_or_default();
            let pids = text.split(' ').map(|pid| pid.parse().ok());
            pids.collect::<Option<Vec<i32>>>().filter(|p| p.len() == 3)
        },
        || "see above for what it says".to_owned(),
    );
    let tree = processes::tree(i32::try_from(child.id()).unwrap());
    for pid in supervisors {
        assert!(tree.iter().any(|process| process.pid == pid), "{tree:?}");
        assert!(processes::tree(pid).len() >= 4, "{tree:?}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let gone = std::panic::catch_unwind(|| processes::expect_gone(&tree, PATIENCE));
    // Whoever should not be there must not stay there.
    for process in tree.iter().filter(|process| process.is_alive()) {
        processes::signal(process.pid, nix::sys::signal::Signal::SIGKILL);
    }
    gone.unwrap_or_else(|left| std::panic::resume_unwind(left));
}

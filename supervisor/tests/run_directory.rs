//! The run directory: what the supervisor says when it cannot have it, and what it finds there.

#![cfg(test)]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use common::processes::{ProcessId, signal};
use common::{Start, places};
use nix::sys::signal::Signal;

const IDLE: &str = r#"Layout(nodes: { "idle": (command: ["sleep", "infinity"]) })"#;

/// Shows: a place where nothing can be made is refused, with its name and the system's reason.
#[test]
fn a_run_directory_that_cannot_be_made_is_refused() {
    let start = Start::with(IDLE).run_dir("locked/run");
    let locked = start.directory().join("locked");
    let start = start.in_own_mounts("mkdir $DIR/locked; mount -t tmpfs -o ro none $DIR/locked");
    let (code, said) = start.refused();
    assert_eq!(code, 1, "{said}");
    let path = locked.join("run");
    let expected = format!("cannot make the run directory {}", path.display());
    assert!(said.contains(&expected), "{said}");
    assert!(said.contains("writable"), "{said}");
    assert!(said.contains("Read-only"), "{said}");
}

/// Shows: a full disk at the start is an error with the file's name, not a supervisor without a lock.
#[test]
fn a_run_directory_on_a_full_disk_is_refused() {
    let start = Start::with(IDLE).run_dir("full/run").in_own_mounts(
        "mkdir $DIR/full; mount -t tmpfs -o size=4k none $DIR/full
         head -c 4096 /dev/zero > $DIR/full/ballast",
    );
    let path = start.directory().join("full/run/supervisor.pid");
    let (code, said) = start.refused();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(path.to_str().unwrap()), "{said}");
    assert!(said.contains("No space left"), "{said}");
}

/// Shows: a file where the directory should be is refused, and stays as it was.
#[test]
fn a_file_in_the_place_of_the_run_directory_is_refused() {
    let start = Start::with(IDLE);
    let path = start.directory().join("run");
    fs::write(&path, "precious").unwrap();
    let (code, said) = start.refused();
    assert_eq!(code, 1, "{said}");
    let expected = format!("cannot make the run directory {}", path.display());
    assert!(said.contains(&expected), "{said}");
}

/// Shows: with a file where its directory should be a node is failed and says why, and no other; the file
/// stays. Once it is out of the way the node can be started.
#[test]
fn a_file_in_the_place_of_a_nodes_directory_fails_that_node() {
    let start = Start::with(
        r#"Layout(nodes: {
            "idle": (command: ["sleep", "infinity"]),
            "doomed": (command: ["sleep", "infinity"]),
            "other": (command: ["sleep", "infinity"]),
        })"#,
    );
    fs::create_dir(start.directory().join("run")).unwrap();
    let path = start.directory().join("run/idle");
    fs::write(&path, "precious").unwrap();
    fs::write(path.with_file_name("doomed"), "precious").unwrap();
    let cluster = start.start();
    let node = cluster.wait_state("idle", "failed");
    let expected = format!("cannot make {}", path.display());
    let reason = node["reason"].as_str().unwrap();
    assert!(reason.contains(&expected), "{reason}");
    cluster.wait_state("other", "ready");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    for order in [&["start"][..], &["restart"], &["restart", "--rolling"]] {
        let args = [order, &["idle", "--timeout", "10"]].concat();
        let (out, err, code) = cluster.run(&args);
        assert_eq!(code, 1, "{args:?}\n{out}{err}");
        assert!(err.contains(&expected), "{args:?}\n{err}");
    }
    cluster.ok(&["destroy", "doomed", "--timeout", "10"]);
    cluster.ok(&["stop", "idle", "--timeout", "10"]);
    assert_eq!(cluster.node("idle")["state"], "stopped");
    fs::remove_file(&path).unwrap();
    cluster.ok(&["start", "idle", "--timeout", "5"]);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a run directory whose socket's path would not fit is refused before anything is made.
#[test]
fn a_run_directory_too_deep_for_its_sockets_is_refused() {
    let deep = format!("{}/run", "deep/".repeat(20));
    let start = Start::with(IDLE).run_dir(&deep);
    let path = start.directory().join("deep");
    let (code, said) = start.refused();
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("more than the system takes"), "{said}");
    assert!(said.contains("choose a shorter run directory"), "{said}");
    assert!(!path.exists());
}

/// Shows: a second supervisor on the same run directory is refused and names the first, which notices
/// nothing.
#[test]
fn a_second_supervisor_is_refused_and_the_first_is_unharmed() {
    let first = Start::with(IDLE).start_ready();
    let tree = first.tree();
    let second = Start::with(IDLE).run_dir(first.run_dir());
    let (code, said) = second.refused();
    assert_eq!(code, 4, "{said}");
    assert!(
        said.contains(&format!("(process {})", first.pid())),
        "{said}"
    );
    assert_eq!(first.read("supervisor.pid").trim(), first.pid().to_string());
    assert_eq!(first.tree(), tree);
    assert!(tree.iter().all(ProcessId::is_alive));
    first.ok(&["status"]);
    first.stop_and_expect_nobody_left();
}

/// Shows: what a killed supervisor left, its socket, its pid file and those of its nodes, is in nobody's
/// way.
#[test]
fn what_a_killed_supervisor_left_is_in_nobodys_way() {
    let first = Start::with(IDLE).start_ready();
    let (old, old_node) = (first.pid(), first.node_pid("idle").unwrap());
    let socket = first.socket();
    let again = first.kill_and_prepare_another();
    assert!(socket.exists());
    let second = again.start_ready();
    assert_ne!(second.pid(), old);
    assert_eq!(
        second.read("supervisor.pid").trim(),
        second.pid().to_string()
    );
    let node = second.node_pid("idle").unwrap();
    assert_ne!(node, old_node);
    common::wait_for("the node's pid file says so too", common::PATIENCE, || {
        (second.read("idle/pid").trim() == node.to_string()).then_some(())
    });
    second.stop_and_expect_nobody_left();
}

/// Shows: only a lock holds the run directory, not what a file says, even if that process lives.
#[test]
fn a_pid_file_without_its_lock_holds_nobody_up() {
    let start = Start::with(IDLE);
    fs::create_dir(start.directory().join("run")).unwrap();
    let pid = format!("{}\n", std::process::id());
    fs::write(start.directory().join("run/supervisor.pid"), pid).unwrap();
    let cluster = start.start_ready();
    assert_eq!(
        cluster.read("supervisor.pid").trim(),
        cluster.pid().to_string()
    );
    cluster.stop_and_expect_nobody_left();
}

/// Shows: whoever makes the log anew, the log itself or a stem that is started between two of its files,
/// it is not for everybody, whatever the umask.
#[test]
fn a_log_made_at_the_start_of_a_stem_is_not_for_everybody() {
    let wide = ["sh", "-c", "umask 0; exec \"$@\"", "sh"];
    let cluster = Start::with(IDLE).through(&wide).start_ready();
    let log = cluster.run_dir().join("supervisor.log");
    for birth in 2..5 {
        fs::remove_file(&log).unwrap();
        signal(cluster.stem_pid().unwrap(), Signal::SIGKILL);
        cluster.wait_node("idle", "in the next stem", |node| {
            node["incarnation"] == birth && node["state"] == "ready"
        });
        let mode = fs::metadata(&log).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: root does not work in a run directory whose owner could exchange anything in it, and touches
/// nothing there; given to root, it is taken.
#[test]
fn root_refuses_the_run_directory_of_another_user() {
    places::need_root("giving a directory away");
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run");
    fs::create_dir(&path).unwrap();
    chown(&path, Some(places::NOBODY), None).unwrap();
    let (code, said) = Start::with(IDLE).run_dir(&path).refused();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("belongs to user 65534"), "{said}");
    assert!(said.contains("--run-dir"), "{said}");
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    chown(&path, Some(0), None).unwrap();
    let cluster = Start::with(IDLE).run_dir(&path).start_ready();
    cluster.stop_and_expect_nobody_left();
}

/// Shows: the pid file is there until the log is written to its end, so that nobody else begins while a
/// supervisor still ends.
#[test]
fn the_lock_is_the_last_that_goes() {
    let mut cluster = Start::with(IDLE).start_ready();
    let log = cluster.run_dir().join("supervisor.log");
    let pid_file = cluster.run_dir().join("supervisor.pid");
    let socket = cluster.run_dir().join("control.sock");
    cluster.signal(Signal::SIGTERM);
    common::wait_for("the pid file goes", common::PATIENCE, || {
        (!pid_file.exists()).then_some(())
    });
    assert!(!socket.exists());
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.contains("event=down"), "{said}");
    assert!(cluster.wait_end().success());
    assert_eq!(fs::read_to_string(&log).unwrap(), said);
}

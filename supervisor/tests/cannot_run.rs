//! Commands that pass the check and cannot be run all the same: what is said, and what happens then.

#![cfg(test)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use common::processes;
use common::{Cluster, Start};
use nix::sys::signal::Signal;

const LAYOUT: &str = r#"Layout(
    nodes: {
        "job": (command: ["$DIR/program"], directory: "$DIR/work", ready: Notify),
        "idle": (command: ["sleep", "infinity"]),
    },
    restart: (floor: "20ms", give_up: (deaths: 3, within: "60s")),
)"#;

/// A cluster whose job is a script with this text.
fn start_with_program(text: &str) -> Cluster {
    let start = Start::with(LAYOUT);
    write_program(&start.directory().join("program"), text);
    start.start()
}

fn write_program(path: &std::path::Path, text: &str) {
    // Written beside and renamed: a program that is being written cannot be run.
    let fresh = path.with_extension("new");
    fs::write(&fresh, text).unwrap();
    fs::set_permissions(&fresh, Permissions::from_mode(0o755)).unwrap();
    fs::rename(fresh, path).unwrap();
}

const GOOD: &str = "#!/bin/sh\necho >&$NOTIFY_FD; exec sleep infinity\n";

fn kill_job(cluster: &Cluster) {
    let pid = cluster.wait_state("job", "ready")["pid"].as_i64().unwrap();
    processes::signal(i32::try_from(pid).unwrap(), Signal::SIGKILL);
}

/// The job could not be set up, is tried again, then given up; everywhere the reason is told.
fn expect_given_up(cluster: Cluster, reason: &str) {
    let node = cluster.wait_state("job", "failed");
    let event = cluster.wait_event("node_not_set_up", Some("job"));
    let why = event["detail"]["error"].as_str().unwrap();
    assert!(why.contains(reason), "{why}");
    cluster.wait_event("node_backoff", Some("job"));
    let told = node["reason"].as_str().unwrap();
    assert!(told.contains(reason), "{told}");
    let failed = cluster.wait_event("node_failed", Some("job"));
    let told = failed["detail"]["reason"].as_str().unwrap();
    assert!(told.contains("3 deaths"), "{told}");
    cluster.wait_text("job/stderr.log", reason);
    let (out, err, code) = cluster.run(&["start", "job"]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains(reason), "{err}");
    assert_eq!(cluster.node("idle")["restarts"], 0);
    cluster.stop_and_expect_nobody_left();
}

#[test]
fn a_file_that_is_no_program_is_given_up() {
    let cluster = start_with_program("\u{7f}ELF is what this is not\n");
    expect_given_up(cluster, "Exec format error");
}

#[test]
fn a_script_without_its_interpreter_is_given_up() {
    let cluster = start_with_program(GOOD);
    cluster.wait_state("job", "ready");
    let program = cluster.directory().join("program");
    write_program(&program, "#!/no/such/interpreter\n");
    kill_job(&cluster);
    expect_given_up(cluster, "No such file");
}

#[test]
fn a_program_that_may_no_longer_be_run_is_given_up() {
    let cluster = start_with_program(GOOD);
    let path = cluster.directory().join("program");
    cluster.wait_state("job", "ready");
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    kill_job(&cluster);
    expect_given_up(cluster, "Permission denied");
}

#[test]
fn a_program_that_vanished_is_given_up() {
    let cluster = start_with_program(GOOD);
    cluster.wait_state("job", "ready");
    fs::remove_file(cluster.directory().join("program")).unwrap();
    kill_job(&cluster);
    expect_given_up(cluster, "No such file");
}

/// Shows: the same for what comes before the program: the directory it is to run in.
#[test]
fn a_node_whose_directory_vanished_is_given_up() {
    let cluster = start_with_program(GOOD);
    cluster.wait_state("job", "ready");
    fs::remove_dir(cluster.directory().join("work")).unwrap();
    kill_job(&cluster);
    expect_given_up(cluster, "cannot enter");
}

/// Shows: a program that comes back before it was given up is run again, and nobody had to ask.
#[test]
fn a_program_that_comes_back_is_run_again() {
    let start = Start::with(&LAYOUT.replace("deaths: 3", "deaths: 1000"));
    let path = start.directory().join("program");
    write_program(&path, GOOD);
    let cluster = start.start();
    cluster.wait_state("job", "ready");
    fs::remove_file(&path).unwrap();
    kill_job(&cluster);
    cluster.wait_event("node_not_set_up", Some("job"));
    write_program(&path, GOOD);
    cluster.wait_state("job", "ready");
    cluster.stop_and_expect_nobody_left();
}

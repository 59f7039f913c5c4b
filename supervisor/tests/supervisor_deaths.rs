//! The supervisor is killed: whatever it was doing, nobody below it outlives it for long.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test owns its clock")]

mod common;

use std::time::{Duration, Instant};

use common::layouts::{self, GATED, IDLE, LONG_GRACE, STUBBORN};
use common::processes::{self, ProcessId};
use common::{Cluster, Start};
use nix::sys::signal::Signal;
use serde_json::json;

/// Everybody but built-in loggers is gone by then; the rest is for a loaded machine.
const GONE: Duration = Duration::from_secs(3);

/// A command with a child in its process group and two in sessions of their own, one of which has a
/// child too.
const FAMILY: &str = r#"command: ["sh", "-c", "sleep infinity & setsid sleep infinity & setsid sh -c 'sleep infinity & wait' & wait"]"#;

/// How many processes [`FAMILY`] comes to.
const FAMILY_SIZE: usize = 5;

fn expect_nobody(cluster: &Cluster) {
    common::wait_for("nobody is left", GONE, || {
        let left = cluster.everybody();
        left.iter().all(|process| !process.is_alive()).then_some(())
    });
}

/// Shows: children, and children's children in whatever group or session, go with the supervisor.
#[test]
fn descendants_in_groups_and_sessions_of_their_own_go_with_the_supervisor() {
    let cluster = Start::with(&layouts::nodes(&[("one", FAMILY), ("two", FAMILY)])).start_ready();
    common::wait_for("both families", common::PATIENCE, || {
        (cluster.everybody().len() == 2 + 2 * FAMILY_SIZE).then_some(())
    });
    let tree = cluster.tree();
    cluster.signal(Signal::SIGKILL);
    processes::expect_gone(&tree, GONE);
    expect_nobody(&cluster);
}

/// Shows: the same while nodes are being born, at many moments of the start.
#[test]
fn nobody_is_left_of_a_supervisor_killed_during_its_start() {
    for step in 0..10 {
        let cluster = Start::with(&layouts::nodes(&[
            ("family", FAMILY),
            ("gated", GATED),
            ("idle", IDLE),
            ("stubborn", STUBBORN),
        ]))
        .launch();
        // No event tells these moments apart; each is a place in the start as good as any other.
        let moment = Instant::now() + Duration::from_millis(4 * step);
        common::wait_for("the moment", common::PATIENCE, || {
            (Instant::now() >= moment).then_some(())
        });
        cluster.signal(Signal::SIGKILL);
        expect_nobody(&cluster);
    }
}

/// Shows: the same while a stop is under way and a node refuses to go.
#[test]
fn nobody_is_left_of_a_supervisor_killed_during_its_stop() {
    let stubborn = layouts::entry(&[STUBBORN, LONG_GRACE]);
    let entries = [
        ("family", FAMILY),
        ("stubborn", stubborn.as_str()),
        ("idle", IDLE),
    ];
    for request in [
        json!({"stop": {"select": ["stubborn", "family"], "wait": false}}),
        json!({"restart": {"select": ["stubborn", "idle"], "wait": false}}),
        json!({"shutdown": {}}),
    ] {
        let cluster = Start::with(&layouts::nodes(&entries)).start_ready();
        cluster.ask(&request);
        cluster.wait_state("stubborn", "stopping");
        cluster.signal(Signal::SIGKILL);
        expect_nobody(&cluster);
    }
}

/// Shows: the same while it clears what a dead stem left.
#[test]
fn nobody_is_left_of_a_supervisor_killed_just_after_its_stem() {
    for _ in 0..4 {
        let cluster = Start::with(&layouts::nodes(&[("one", IDLE), ("two", IDLE)])).start_ready();
        let stem = cluster.stem_pid().unwrap();
        processes::signal(stem, Signal::SIGKILL);
        cluster.signal(Signal::SIGKILL);
        expect_nobody(&cluster);
    }
}

/// Shows: built-in nodes of every role go too, loggers within their own grace.
#[test]
fn built_in_nodes_of_every_role_go_with_the_supervisor() {
    let cluster = Start::with(&layouts::nodes(&[
        ("manager", "node_type: Manager"),
        ("logger", "node_type: Logger"),
        ("worker", "node_type: Worker"),
    ]))
    .start_ready();
    let tree = cluster.tree();
    cluster.signal(Signal::SIGKILL);
    processes::expect_gone(&tree, Duration::from_secs(6));
}

/// Shows: loggers have time to write what they hold when everybody else is gone already, and the stem
/// waits for them, a built-in one that stands still and a command that would rather not go.
#[test]
fn loggers_outlive_everybody_else_and_the_stem_waits_for_them() {
    let reluctant = layouts::entry(&["node_type: Logger", STUBBORN]);
    let cluster = Start::with(&layouts::nodes(&[
        ("manager", "node_type: Manager"),
        ("worker", "node_type: Worker"),
        ("idle", IDLE),
        ("logger", "node_type: Logger"),
        ("reluctant", &reluctant),
    ]))
    .start_ready();
    let process = |name| ProcessId::of(cluster.node_pid(name).unwrap()).unwrap();
    let others = ["manager", "worker", "idle"].map(process);
    let [logger, reluctant] = ["logger", "reluctant"].map(process);
    let stem = ProcessId::of(cluster.stem_pid().unwrap()).unwrap();
    let tree = cluster.tree();
    processes::halt(logger.pid);
    cluster.signal(Signal::SIGKILL);
    processes::expect_gone(&others, GONE);
    for process in [&logger, &reluctant, &stem] {
        assert!(process.is_alive(), "{process:?} went too early");
    }
    processes::signal(reluctant.pid, Signal::SIGKILL);
    processes::signal(logger.pid, Signal::SIGCONT);
    processes::expect_gone(&tree, GONE);
}

/// Shows: nodes are no reason for whoever reads the supervisor's output to wait: the pipe ends.
#[test]
fn the_end_of_the_supervisor_ends_its_standard_output() {
    let (mut read, write) = std::io::pipe().unwrap();
    let cluster = Start::with(&layouts::nodes(&[("family", FAMILY)]))
        .stdout(write.into())
        .start_ready();
    let tree = cluster.tree();
    cluster.signal(Signal::SIGKILL);
    let mut shown = String::new();
    // Returns at the end of file, which comes when nobody holds the other end.
    std::io::Read::read_to_string(&mut read, &mut shown).unwrap();
    processes::expect_gone(&tree, GONE);
}

/// Shows: after a death by SIGKILL the next supervisor takes the same run directory.
#[test]
fn a_killed_supervisors_run_directory_serves_the_next_one() {
    let mut cluster = Start::with(&layouts::nodes(&[("node", IDLE)])).start_ready();
    let pid = cluster.node_pid("node");
    cluster.signal(Signal::SIGKILL);
    cluster.wait_end();
    cluster.start_again();
    cluster.wait_ready();
    assert_ne!(cluster.node_pid("node"), pid);
    cluster.stop_and_expect_nobody_left();
}

//! Deaths by SIGKILL: nodes, the stem, the supervisor; who comes back, and who is left.

#![cfg(test)]

mod common;

use std::time::Duration;

use common::processes;
use common::{Cluster, Start};
use nix::sys::signal::Signal;

const SITE: &str = r#"Layout(
    nodes: {
        "manager": (node_type: Manager),
        "logger": (node_type: Logger, count: 2),
        "worker": (node_type: Worker, manager: "manager", count: 2),
        "idle": (command: ["sleep", "infinity"]),
    },
)"#;

fn pids(cluster: &Cluster) -> Vec<(String, i64)> {
    let status = cluster.status();
    let nodes = status["nodes"].as_array().unwrap();
    nodes
        .iter()
        .map(|node| {
            (
                node["name"].as_str().unwrap().to_owned(),
                node["pid"].as_i64().unwrap_or(0),
            )
        })
        .collect()
}

/// Shows: every node, killed alone, comes back under its name with another pid; the others stay.
#[test]
fn a_killed_node_comes_back_and_nobody_else_is_touched() {
    let cluster = Start::with(SITE).start_ready();
    for (name, _) in pids(&cluster) {
        let before = pids(&cluster);
        cluster.replace(&name);
        for (other, other_pid) in before.iter().filter(|(other, _)| *other != name) {
            assert_eq!(
                cluster.node(other)["pid"].as_i64(),
                Some(*other_pid),
                "{other}"
            );
        }
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: the supervisor outlives its stem, and no old node lives when a new one runs. The stem is
/// killed twice (A7).
#[test]
fn a_killed_stem_comes_back_with_all_its_nodes() {
    let cluster = Start::with(SITE).start_ready();
    for _ in 0..2 {
        cluster.kill_stem();
        cluster.wait_ready();
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: nobody survives the supervisor.
#[test]
fn when_the_supervisor_is_killed_nobody_is_left() {
    let cluster = Start::with(SITE).start_ready();
    let tree = cluster.tree();
    assert!(tree.len() >= 8, "{tree:?}");
    cluster.signal(Signal::SIGKILL);
    processes::expect_gone(&tree, Duration::from_millis(1000));
}

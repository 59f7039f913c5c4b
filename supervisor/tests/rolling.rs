//! Rolling restarts: one after the other, stopped by the first failure, one at a time.

#![cfg(test)]

mod common;

use std::fs;

use common::{Cluster, Start};
use nix::sys::signal::Signal;

/// Three nodes in a row that are ready only while there is a file, `may-1` for the first.
const ROW: &str = r#"Layout(
    nodes: {
        "row": (
            command: ["sleep", "infinity"],
            count: 3,
            ready: Exec(["test", "-e", "$DIR/may-{index}"]),
        ),
    },
    ready_timeout: "TIMEOUT",
)"#;

fn allow(cluster: &Cluster, number: u32, may: bool) {
    let path = cluster.directory().join(format!("may-{number}"));
    if may {
        fs::write(path, "").unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

fn start_row(timeout: &str) -> Cluster {
    let cluster = Start::with(&ROW.replace("TIMEOUT", timeout)).start();
    for number in 1..=3 {
        allow(&cluster, number, true);
    }
    cluster.wait_ready();
    cluster
}

fn incarnations(cluster: &Cluster) -> [u64; 3] {
    [1, 2, 3].map(|number| {
        let node = cluster.node(&format!("row-{number}"));
        node["incarnation"].as_u64().unwrap()
    })
}

/// The numbers of the events of a kind about each node of the row, in the order of the row.
fn at(cluster: &Cluster, kind: &str, since: u64) -> Vec<u64> {
    let events = cluster.events();
    let of = |name: String| {
        let found = events.iter().find(|event| {
            event["kind"] == kind && event["node"] == name && event["seq"].as_u64() > Some(since)
        });
        found.map(|event| event["seq"].as_u64().unwrap())
    };
    (1..=3)
        .filter_map(|number| of(format!("row-{number}")))
        .collect()
}

/// Shows: SIGUSR1 restarts all nodes, the next one only when the one before is ready again; a second
/// SIGUSR1 meanwhile is ignored, and a deployment refused.
#[test]
fn sigusr1_restarts_one_after_the_other() {
    let cluster = start_row("60s");
    allow(&cluster, 2, false);
    cluster.signal(Signal::SIGUSR1);
    let begun = cluster.wait_event("rolling_restart", None)["seq"]
        .as_u64()
        .unwrap();
    cluster.wait_node("row-2", "being restarted", |node| {
        node["incarnation"] == 2 && node["state"] == "starting"
    });
    cluster.signal(Signal::SIGUSR1);
    cluster.wait_text("supervisor.log", "rolling_restart ignored=");
    let layout = cluster.layout_path();
    let (out, err, code) = cluster.run(&["deploy", layout.to_str().unwrap()]);
    assert_eq!(code, 8, "{out}{err}");
    let (out, err, code) = cluster.run(&["restart", "--rolling", "row-1"]);
    assert_eq!(code, 8, "{out}{err}");
    assert_eq!(incarnations(&cluster), [2, 2, 1]);
    allow(&cluster, 2, true);
    cluster.wait_event("rolling_restart_done", None);
    assert_eq!(incarnations(&cluster), [2, 2, 2]);
    let (exits, readies) = (
        at(&cluster, "node_exited", begun),
        at(&cluster, "node_ready", begun),
    );
    assert_eq!((exits.len(), readies.len()), (3, 3));
    assert!(
        readies[0] < exits[1] && readies[1] < exits[2],
        "{exits:?} {readies:?}"
    );
    cluster.ok(&["status"]);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: the first node that does not become ready stops a rolling restart; those behind it go on as
/// they were.
#[test]
fn a_rolling_restart_stops_at_the_first_that_does_not_become_ready() {
    let cluster = start_row("400ms");
    let last = cluster.node_pid("row-3");
    allow(&cluster, 2, false);
    cluster.signal(Signal::SIGUSR1);
    let stopped = cluster.wait_event("rolling_restart_stopped", None);
    assert_eq!(stopped["detail"]["at"], "row-2");
    assert_eq!(cluster.node("row-1")["incarnation"], 2);
    assert_eq!(cluster.node_pid("row-3"), last);
    allow(&cluster, 2, true);
    cluster.wait_ready();
    assert_eq!(cluster.node_pid("row-3"), last);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: the same asked by a client: it is told who was restarted, who failed and who was spared.
#[test]
fn a_client_is_told_how_far_a_rolling_restart_came() {
    let cluster = start_row("400ms");
    allow(&cluster, 2, false);
    let (out, err, code) = cluster.run(&["restart", "--rolling", "row-*"]);
    assert_eq!(code, 6, "{out}{err}");
    assert!(out.contains("row-1") && !out.contains("row-3"), "{out}");
    assert!(
        err.contains("row-2") && err.contains("not ready in time"),
        "{err}"
    );
    assert!(
        err.contains("the rolling restart stopped before it"),
        "{err}"
    );
    allow(&cluster, 2, true);
    cluster.wait_ready();
    cluster.ok(&["restart", "--rolling=3", "row-*"]);
    cluster.stop_and_expect_nobody_left();
}

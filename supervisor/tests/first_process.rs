//! The supervisor as process 1 of a namespace, as it is in a container.

#![cfg(test)]

mod common;

use std::process::{Command, Stdio};
use std::time::Duration;

use common::processes::{self, ProcessId, Stat};
use common::{Cluster, Start, places};
use nix::sys::signal::Signal;

/// Started as process 1. Without root it becomes root of a namespace of users, where that is allowed.
fn start(site: &str) -> Cluster {
    let mut words = vec!["unshare"];
    if !places::is_root() {
        words.extend(["--user", "--map-root-user"]);
    }
    words.extend(["--pid", "--fork", "--mount-proc", "--kill-child"]);
    Start::with(site).through(&words).start_ready()
}

/// The supervisor's number outside of the namespace.
fn supervisor(cluster: &Cluster) -> i32 {
    let children = cluster.tree();
    let first = children
        .iter()
        .find(|process| Stat::of(process.pid).is_some_and(|stat| stat.parent == cluster.pid()));
    first.unwrap().pid
}

fn expect_no_zombies(cluster: &Cluster) {
    common::wait_for("no zombie is left", Duration::from_secs(5), || {
        let tree = cluster.tree();
        let zombie =
            |process: &ProcessId| Stat::of(process.pid).is_some_and(|stat| stat.state == 'Z');
        (!tree.iter().any(zombie)).then_some(())
    });
}

/// Shows: strangers that end as orphans are reaped, whoever started them; an orderly stop ends with 0,
/// and the namespace with it.
#[test]
fn process_one_reaps_strangers_and_stops_in_order() {
    let mut cluster = start(
        r#"Layout(
            nodes: {
                "idle": (command: ["sleep", "infinity"]),
                "parent": (command: ["sh", "-c", "(sleep 0.1 & sleep 0.1 &) ; exec sleep infinity"]),
            },
        )"#,
    );
    assert_eq!(cluster.status()["instance"]["pid"], 1);
    let supervisor = supervisor(&cluster);
    expect_no_zombies(&cluster);

    // Somebody comes in from outside and leaves children behind.
    let target = supervisor.to_string();
    let go = cluster.directory().join("go");
    let wait = format!("until [ -e {} ]; do sleep 0.02; done", go.display());
    let strangers = format!("({wait}; exit 3) & (({wait}) & {wait}) & exit 0");
    let mut enter = Command::new("nsenter");
    if !places::is_root() {
        enter.args(["--user", "--preserve-credentials"]);
    }
    let entered = enter
        .args(["--target", &target, "--pid", "--mount", "--"])
        .args(["sh", "-c", &strangers])
        .stdout(Stdio::null())
        .status()
        .unwrap_or_else(|error| panic!("this test needs nsenter: {error}"));
    assert!(entered.success(), "{entered}");
    let left = |cluster: &Cluster| {
        cluster
            .tree()
            .into_iter()
            .filter(|process| Stat::of(process.pid).is_some_and(|stat| stat.parent == supervisor))
            .collect::<Vec<_>>()
    };
    common::wait_for("strangers came", common::PATIENCE, || {
        (left(&cluster).len() > 1).then_some(())
    });
    std::fs::write(&go, "").unwrap();
    common::wait_for("strangers are reaped", common::PATIENCE, || {
        (left(&cluster).len() == 1).then_some(())
    });
    expect_no_zombies(&cluster);
    assert_eq!(cluster.node("idle")["restarts"], 0);

    let tree = cluster.tree();
    processes::signal(supervisor, Signal::SIGTERM);
    assert_eq!(cluster.wait_end().code(), Some(0), "{}", cluster.console());
    processes::expect_gone(&tree, Duration::from_secs(5));
    cluster.expect_tidy();
}

/// Shows: the exit code tells a container's runtime the truth: somebody had to be killed at the deadline.
#[test]
fn process_one_says_when_survivors_had_to_be_killed() {
    let mut cluster = start(
        r#"Layout(
            nodes: {
                "deaf": (command: ["sh", "-c", "trap '' TERM; echo >&$NOTIFY_FD; while :; do sleep 60; done"],
                    ready: Notify),
                "idle": (command: ["sleep", "infinity"]),
            },
            stop: (grace: "20s", deadline: "500ms"),
        )"#,
    );
    let tree = cluster.tree();
    processes::signal(supervisor(&cluster), Signal::SIGTERM);
    assert_eq!(cluster.wait_end().code(), Some(5), "{}", cluster.console());
    processes::expect_gone(&tree, Duration::from_secs(5));
    cluster.expect_tidy();
}

/// Shows: a stem that dies under process 1 is replaced like any other.
#[test]
fn process_one_revives_its_stem() {
    let cluster = start(r#"Layout(nodes: { "manager": (node_type: Manager) })"#);
    let supervisor = supervisor(&cluster);
    let stems = |cluster: &Cluster| -> Vec<ProcessId> {
        let tree = cluster.tree();
        let of_supervisor = tree
            .into_iter()
            .filter(|process| Stat::of(process.pid).is_some_and(|stat| stat.parent == supervisor));
        of_supervisor
            .filter(|process| process.name == "stem")
            .collect()
    };
    let stem = stems(&cluster).pop().unwrap();
    processes::signal(stem.pid, Signal::SIGKILL);
    common::wait_for("another stem", common::PATIENCE, || {
        stems(&cluster).pop().filter(|other| *other != stem)
    });
    cluster.wait_node("manager", "in the next stem", |node| {
        node["incarnation"] == 2 && node["state"] == "ready"
    });
    expect_no_zombies(&cluster);
}

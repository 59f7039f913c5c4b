//! What upstream's own tests ask of a supervisor, asked of this one.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test owns its clock")]

mod common;

use std::time::{Duration, Instant};

use common::layouts;
use common::processes;
use common::{Cluster, Start};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Says that it goes when it is asked to.
const POLITE: &str = r#"command: ["sh", "-c", "trap 'echo going; exit 0' TERM; echo >&${{NOTIFY_FD}}; sleep infinity & wait"], ready: Notify"#;

/// Shows: a node can end the supervisor with SIGTERM; the node ends first, and its last words
/// are kept (A1).
#[test]
fn a_node_can_end_the_supervisor_and_ends_before_it() {
    let deputy = r#"command: ["sh", "-c", "trap 'echo going; exit 0' TERM; until test -e $DIR/go; do sleep 0.02; done; kill -TERM $(cat $DIR/run/supervisor.pid); sleep infinity & wait"]"#;
    let mut cluster = Start::with(&layouts::nodes(&[("node", deputy)])).start_ready();
    let tree = cluster.tree();
    std::fs::write(cluster.directory().join("go"), "").unwrap();
    assert_eq!(cluster.wait_end().code(), Some(0));
    processes::expect_gone(&tree, Duration::from_secs(1));
    // On the console the two speak through threads of their own; the log has one order.
    let shown = cluster.console();
    assert!(
        shown.contains("going") && shown.contains("event=down"),
        "{shown}"
    );
    let log = cluster.read("supervisor.log");
    let place = |words: &str| {
        log.find(words)
            .unwrap_or_else(|| panic!("no {words} in\n{log}"))
    };
    assert!(
        place("event=shutdown") < place("event=node_exited"),
        "{log}"
    );
    assert!(place("event=node_exited") < place("event=down"), "{log}");
    assert_eq!(cluster.read("node/stdout.log"), "going\n");
    cluster.expect_tidy();
}

/// Shows: a destroyed node runs its end handler and is gone from `status`; then the supervisor ends (A2).
#[test]
fn a_destroyed_node_ends_in_order_and_is_forgotten() {
    let cluster =
        Start::with(&layouts::nodes(&[("node", POLITE), ("other", POLITE)])).start_ready();
    let answer = cluster.ask(&json!({"destroy": {"select": ["node"], "wait": true}}));
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(cluster.node("node"), Value::Null);
    let exit = cluster.wait_event("node_exited", Some("node"));
    assert_eq!(exit["detail"]["ending"], "exit 0");
    cluster.wait_event("node_destroyed", Some("node"));
    common::wait_for("its last words", common::PATIENCE, || {
        (cluster.read("node/stdout.log") == "going\n").then_some(())
    });
    assert_eq!(cluster.node("other")["state"], "ready");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a node made at run time shows its process in `status` (A3).
#[test]
fn a_created_node_shows_its_process() {
    let cluster = Start::with(&layouts::nodes(&[("other", POLITE)])).start_ready();
    let answer = cluster.ask(&json!({"create": {
        "nodes": r#"{ "node": (command: ["sleep", "infinity"]) }"#,
        "base": "/", "persist": false, "wait": true,
    }}));
    assert_eq!(answer["ok"], true, "{answer}");
    let pid = cluster.node_pid("node").unwrap();
    assert_eq!(answer["results"][0]["pid"], pid);
    assert_eq!(
        processes::Stat::of(pid).unwrap().parent,
        cluster.stem_pid().unwrap()
    );
    cluster.stop_and_expect_nobody_left();
}

fn restart(cluster: &Cluster, names: &[&str]) {
    let answer = cluster.ask(&json!({"restart": {"select": names, "wait": true}}));
    assert_eq!(answer["ok"], true, "{answer}");
}

/// Shows: a restart of all and one by name give new processes to the old names, and nobody else (A4);
/// each birth is an event that names the process which `status` shows (A5).
#[test]
fn restarts_change_processes_but_not_names_and_each_is_an_event() {
    let head = layouts::NO_CONTROLLER;
    let names = ["one", "two"];
    let nodes = names.map(|name| (name, "node_type: Worker"));
    let cluster = Start::with(&layouts::layout(head, &nodes)).start_ready();
    let pids = || names.map(|name| cluster.node_pid(name).unwrap());
    let mut seen = vec![pids()];
    restart(&cluster, &names);
    seen.push(pids());
    restart(&cluster, &["one"]);
    seen.push(pids());
    assert!(
        seen[0][0] != seen[1][0] && seen[0][1] != seen[1][1],
        "{seen:?}"
    );
    assert!(
        seen[1][0] != seen[2][0] && seen[1][1] == seen[2][1],
        "{seen:?}"
    );
    let told = |name: &str| -> Vec<i32> {
        let events = cluster.events_of("node_started", name);
        let pid = |event: &Value| event["detail"]["pid"].as_str().unwrap().parse().unwrap();
        events.iter().map(pid).collect()
    };
    assert_eq!(told("one"), [seen[0][0], seen[1][0], seen[2][0]]);
    assert_eq!(told("two"), [seen[0][1], seen[1][1]]);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a supervisor that is told to end while a node of its own says so too ends once, and well.
#[test]
fn two_ends_at_once_are_one_end() {
    let mut cluster = Start::with(&layouts::nodes(&[("node", POLITE)])).start_ready();
    let tree = cluster.tree();
    let answer = cluster.ask(&json!({"shutdown": {"grace_ms": null}}));
    assert_eq!(answer["ok"], true, "{answer}");
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.wait_end().code(), Some(0));
    processes::expect_gone(&tree, Duration::from_secs(1));
    cluster.expect_tidy();
}

/// Shows: 32 nodes of a layout with 1024 entries, the others on another instance: all become ready,
/// and all end (A21).
#[test]
fn a_large_layout_starts_its_own_share_and_ends() {
    let head = r#"instances: { "here": (ip: "127.0.0.1"), "there": (ip: "192.0.2.1") }, controller: (enabled: false)"#;
    let layout = layouts::layout(
        head,
        &[
            (
                "worker",
                r#"node_type: Worker, instance: "here", count: 32"#,
            ),
            (
                "remote",
                r#"node_type: Worker, instance: "there", count: 992"#,
            ),
        ],
    );
    let cluster = Start::with(&layout)
        .arg("--instance")
        .arg("here")
        .start_ready();
    let status = cluster.status();
    let nodes = status["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 32);
    assert!(
        nodes
            .iter()
            .all(|node| node["state"] == "ready" && node["restarts"] == 0)
    );
    assert_eq!(cluster.tree().len(), 1 + 32);
    let asked = Instant::now();
    cluster.stop_and_expect_nobody_left();
    assert!(
        asked.elapsed() < Duration::from_secs(8),
        "{:?}",
        asked.elapsed()
    );
}

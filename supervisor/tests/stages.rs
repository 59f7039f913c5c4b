//! Stages, seen from outside: who starts after whom, who ends before whom, and what a late one does.

#![cfg(test)]

mod common;

use common::Start;
use common::layouts::{self, GATED, IDLE, NEVER_READY};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Where in the supervisor's log this happens to this node for the last time.
fn place(log: &str, node: &str, event: &str) -> usize {
    let found = log.rfind(&format!("node={node} event={event}"));
    found.unwrap_or_else(|| panic!("no {event} of {node} in\n{log}"))
}

/// Shows: each stage starts when the one before is ready, and each ends when the one after is gone:
/// loggers and the controller last.
#[test]
fn stages_start_in_order_and_end_in_reverse() {
    let mut cluster = Start::with(&layouts::nodes(&[
        ("command", IDLE),
        ("worker", r#"node_type: Worker, manager: "manager""#),
        ("proxy", r#"node_type: Proxy, manager: "manager""#),
        ("manager", "node_type: Manager"),
        ("logger", "node_type: Logger"),
    ]))
    .start_ready();
    let controller = cluster.status()["nodes"][0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let order = [
        controller.as_str(),
        "logger",
        "manager",
        "proxy",
        "worker",
        "command",
    ];
    let number = |kind: &str, node: &str| {
        let events = cluster.events_of(kind, node);
        assert_eq!(events.len(), 1, "{kind} of {node}");
        events[0]["seq"].as_u64().unwrap()
    };
    for pair in order.windows(2) {
        let (ready, started) = (
            number("node_ready", pair[0]),
            number("node_started", pair[1]),
        );
        assert!(ready < started, "{pair:?}: {ready} and {started}");
    }
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.wait_end().code(), Some(0));
    let log = cluster.read("supervisor.log");
    for pair in order.windows(2) {
        let gone = place(&log, pair[1], "node_exited");
        assert!(
            gone < place(&log, pair[0], "node_stopping"),
            "{pair:?} in\n{log}"
        );
    }
    cluster.expect_tidy();
}

/// Shows: two of three are enough for the next stage to start.
#[test]
fn a_quorum_lets_the_next_stage_start() {
    let cluster = Start::with(&layouts::layout(
        r#"stages: { "first": (number: 1, quorum: 2, time_limit: "300s"), "second": (number: 2) }"#,
        &[
            ("one", &layouts::entry(&[IDLE, "stage: \"first\""])),
            ("two", &layouts::entry(&[GATED, "stage: \"first\""])),
            ("three", &layouts::entry(&[NEVER_READY, "stage: \"first\""])),
            ("next", &layouts::entry(&[IDLE, "stage: \"second\""])),
        ],
    ))
    .start();
    cluster.wait_state("one", "ready");
    cluster.wait_state("two", "starting");
    assert_eq!(cluster.node("next")["state"], "pending");
    std::fs::write(cluster.directory().join("go"), "").unwrap();
    cluster.wait_state("next", "ready");
    assert_eq!(cluster.node("three")["state"], "starting");
    assert_eq!(
        cluster.events_of("node_ready", "three"),
        Vec::<Value>::new()
    );
    assert!(
        cluster
            .events()
            .iter()
            .all(|event| event["kind"] != "stage_late")
    );
    cluster.stop_and_expect_nobody_left();
}

/// Shows: when a stage's time is over the next one starts all the same, and everybody is told who is
/// missing; when that one comes after all, the cluster is ready.
#[test]
fn a_late_stage_is_named_and_waited_for_no_longer() {
    let cluster = Start::with(&layouts::layout(
        r#"stages: { "first": (number: 1, time_limit: "300ms"), "second": (number: 2) }"#,
        &[
            ("one", &layouts::entry(&[IDLE, "stage: \"first\""])),
            ("two", &layouts::entry(&[GATED, "stage: \"first\""])),
            ("next", &layouts::entry(&[IDLE, "stage: \"second\""])),
        ],
    ))
    .start();
    cluster.wait_state("next", "ready");
    let late = cluster.wait_event("stage_late", None);
    assert_eq!(late["detail"]["stage"], "first");
    assert_eq!(late["detail"]["missing"], "two");
    assert!(
        late["seq"].as_u64() < cluster.events_of("node_started", "next")[0]["seq"].as_u64(),
        "the next stage started before this one was late"
    );
    cluster.wait_cluster("degraded");
    let told = cluster.events();
    let degraded = told
        .iter()
        .rfind(|event| event["kind"] == "cluster_degraded");
    assert_eq!(degraded.unwrap()["detail"]["missing"], "two");
    let (_, _, code) = cluster.run(&["status"]);
    assert_eq!(code, 10);
    std::fs::write(cluster.directory().join("go"), "").unwrap();
    cluster.wait_ready();
    cluster.wait_event("cluster_ready", None);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: one that failed is not waited for.
#[test]
fn a_failed_node_does_not_hold_up_the_next_stage() {
    let cluster = Start::with(&layouts::layout(
        r#"stages: { "first": (number: 1, time_limit: "300s"), "second": (number: 2) }"#,
        &[
            ("one", r#"command: ["sh", "-c", "exit 78"], stage: "first""#),
            ("next", &layouts::entry(&[IDLE, "stage: \"second\""])),
        ],
    ))
    .start();
    cluster.wait_state("next", "ready");
    cluster.wait_cluster("broken");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a node that is started later waits for nobody, as its stage has been open before.
#[test]
fn a_stage_that_was_open_stays_open() {
    let cluster = Start::with(&layouts::layout(
        r#"stages: { "first": (number: 1), "second": (number: 2) }"#,
        &[
            ("one", &layouts::entry(&[IDLE, "stage: \"first\""])),
            ("next", &layouts::entry(&[IDLE, "stage: \"second\""])),
            ("other", &layouts::entry(&[IDLE, "stage: \"second\""])),
        ],
    ))
    .start_ready();
    let stop = json!({"stop": {"select": ["one", "next"], "wait": true}});
    assert_eq!(cluster.ask(&stop)["ok"], true);
    let start = json!({"start": {"select": ["next"], "wait": true}});
    assert_eq!(cluster.ask(&start)["ok"], true);
    assert_eq!(cluster.node("one")["state"], "stopped");
    cluster.stop_and_expect_nobody_left();
}

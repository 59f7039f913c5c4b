//! How nodes are ended: grace, SIGKILL after it, and requests that meet one another on the way.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test owns its clock")]

mod common;

use std::time::{Duration, Instant};

use common::client::Connection;
use common::layouts::{self, CRASHING, GATED, IDLE, LONG_DELAY, LONG_GRACE, NEVER_READY, STUBBORN};
use common::{Cluster, Start};
use serde_json::{Value, json};

fn one(entry: &[&str]) -> Cluster {
    Start::with(&layouts::nodes(&[("node", &layouts::entry(entry))])).start()
}

fn send(cluster: &Cluster, request: &Value) -> Connection {
    let mut connection = cluster.connect();
    connection.send(request);
    connection
}

fn ok(answer: Option<Value>) -> Value {
    let answer = answer.expect("an answer");
    assert_eq!(answer["ok"], true, "{answer}");
    answer
}

fn request(verb: &str) -> Value {
    json!({verb: {"select": ["node"], "wait": true}})
}

/// Shows: twenty that ignore SIGTERM are killed side by side, one grace after they were asked; their
/// siblings die and come back meanwhile, which neither shortens the grace nor is held up by it (W1, W2).
#[test]
fn many_that_ignore_sigterm_are_killed_together_while_siblings_live_on() {
    const GRACE: Duration = Duration::from_millis(1000);
    let stubborn = layouts::entry(&[STUBBORN, r#"stop: (grace: "1s")"#, "count: 20"]);
    let sibling = layouts::entry(&[
        IDLE,
        r#"restart: (floor: "0s", ceiling: "0s", give_up: "off")"#,
    ]);
    let cluster = Start::with(&layouts::nodes(&[
        ("stubborn", &stubborn),
        ("sibling", &sibling),
    ]))
    .start_ready();
    let names: Vec<String> = (1..=20)
        .map(|number| format!("stubborn-{number}"))
        .collect();
    let asked = Instant::now();
    let mut waiting = send(&cluster, &json!({"stop": {"select": names, "wait": true}}));
    let mut revived = 0;
    while cluster.node("stubborn-1")["state"] != "stopped" {
        let killed = Instant::now();
        cluster.replace("sibling");
        assert!(killed.elapsed() < GRACE, "it waited for the others");
        revived += 1;
    }
    ok(waiting.receive());
    let took = asked.elapsed();
    assert!(
        took >= GRACE && took < 3 * GRACE,
        "all were stopped after {took:?}"
    );
    assert!(revived > 1, "siblings came back {revived} times");
    for name in &names {
        assert_eq!(
            cluster.node(name)["last_exit"]["signal"],
            "SIGKILL",
            "{name}"
        );
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a second stop with a shorter grace is obeyed; zero kills at once.
#[test]
fn a_second_stop_can_shorten_the_grace() {
    let cluster = one(&[STUBBORN, LONG_GRACE]);
    cluster.wait_ready();
    let mut first = send(&cluster, &request("stop"));
    cluster.wait_state("node", "stopping");
    let now = json!({"stop": {"select": ["node"], "grace_ms": 0, "wait": true}});
    ok(cluster.ask(&now).into());
    ok(first.receive());
    assert_eq!(cluster.node("node")["last_exit"]["signal"], "SIGKILL");
}

/// Shows: a restart does not wait for the delay of a node that crashes.
#[test]
fn a_restart_ends_the_delay() {
    let cluster = one(&[CRASHING, LONG_DELAY]);
    let before = cluster.wait_state("node", "backoff")["incarnation"].as_u64();
    let again = json!({"restart": {"select": ["node"], "wait": false}});
    ok(cluster.ask(&again).into());
    cluster.wait_node("node", "born at once", |node| {
        node["incarnation"].as_u64() > before && node["state"] == "backoff"
    });
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a stop during the delay is final: nothing is born when the delay would have passed.
#[test]
fn a_stop_during_the_delay_is_final() {
    let cluster = one(&[CRASHING, r#"restart: (floor: "300ms", ceiling: "300ms")"#]);
    cluster.wait_state("node", "backoff");
    ok(cluster.ask(&request("stop")).into());
    let stopped = cluster.node("node");
    assert_eq!(
        (&stopped["state"], &stopped["next_attempt_in_ms"]),
        (&json!("stopped"), &Value::Null)
    );
    // Another delay of the same length, measured by a node that has one.
    let late = r#"{ "late": (command: ["true"], restart: (policy: Every("500ms"))) }"#;
    ok(cluster
        .ask(&json!({"create": {"nodes": late, "base": "/", "persist": false, "wait": true}}))
        .into());
    cluster.wait_node("late", "born twice", |node| {
        node["incarnation"].as_u64() > Some(1)
    });
    assert_eq!(cluster.node("node")["incarnation"], stopped["incarnation"]);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a stop during the start ends the process and fails the start that waits.
#[test]
fn a_stop_during_the_start_ends_it_and_answers_who_waits_for_it() {
    let cluster = one(&[NEVER_READY]);
    cluster.wait_state("node", "starting");
    let mut start = send(&cluster, &request("start"));
    ok(cluster.ask(&request("stop")).into());
    let answer = start.receive().expect("an answer");
    assert_eq!(answer["ok"], false, "{answer}");
    assert_eq!(cluster.node("node")["state"], "stopped");
    assert_eq!(cluster.tree().len(), 1, "{:?}", cluster.tree());
    cluster.stop_and_expect_nobody_left();
}

/// Shows: destroyed in the middle of a restart it goes and does not come back.
#[test]
fn a_node_destroyed_during_its_restart_is_gone() {
    let cluster = one(&[STUBBORN, r#"stop: (grace: "300ms")"#]);
    cluster.wait_ready();
    let mut restart = send(&cluster, &request("restart"));
    cluster.wait_state("node", "stopping");
    ok(cluster.ask(&request("destroy")).into());
    let answer = restart.receive().expect("an answer");
    assert_eq!(answer["ok"], false, "{answer}");
    assert_eq!(cluster.node("node"), Value::Null);
    assert_eq!(cluster.tree().len(), 1, "{:?}", cluster.tree());
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a restart of one that restarts already is the same restart, and both who asked are answered.
#[test]
fn a_restart_while_it_restarts_makes_one_birth() {
    let cluster = one(&[STUBBORN, r#"stop: (grace: "200ms")"#]);
    cluster.wait_ready();
    let mut waiting = [
        send(&cluster, &request("restart")),
        send(&cluster, &request("restart")),
    ];
    for connection in &mut waiting {
        ok(connection.receive());
    }
    assert_eq!(cluster.node("node")["restarts"], 1);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a restart while the new birth is not ready yet makes another one.
#[test]
fn a_restart_while_it_starts_makes_another_birth() {
    let cluster = one(&[GATED]);
    cluster.wait_node("node", "born", |node| node["pid"].is_i64());
    let pid = cluster.node_pid("node");
    let mut waiting = send(&cluster, &request("restart"));
    cluster.wait_other_pid("node", "starting", pid);
    std::fs::write(cluster.directory().join("go"), "").unwrap();
    ok(waiting.receive());
    assert_eq!(cluster.node("node")["restarts"], 1);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a start while it stops is born again after the end, and whoever waits for the stop is told.
#[test]
fn a_start_while_it_stops_follows_the_stop() {
    let cluster = one(&[STUBBORN, r#"stop: (grace: "300ms")"#]);
    cluster.wait_ready();
    let pid = cluster.node_pid("node");
    let mut stop = send(&cluster, &request("stop"));
    cluster.wait_state("node", "stopping");
    ok(cluster.ask(&request("start")).into());
    let stopped = stop.receive().expect("an answer");
    let why = stopped["results"][0]["error"].as_str().unwrap();
    assert!(why.contains("started again"), "{stopped}");
    assert_ne!(cluster.node_pid("node"), pid);
    cluster.stop_and_expect_nobody_left();
}

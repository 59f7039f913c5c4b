//! What follows a node's own end: policies, growing delays, and giving up.

#![cfg(test)]

mod common;

use common::layouts::{self, CRASHING, ENDING};
use common::{Cluster, Start};
use serde_json::{Value, json};

fn one(entry: &[&str]) -> Cluster {
    Start::with(&layouts::nodes(&[("node", &layouts::entry(entry))])).start()
}

fn kinds(cluster: &Cluster) -> Vec<String> {
    let events = cluster.events();
    events
        .iter()
        .filter(|event| event["node"] == "node")
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect()
}

/// Shows: delays double; after the budget it is failed, says why, and stays so until it is started.
#[test]
fn a_crash_loop_slows_down_and_ends_in_failed() {
    let cluster = one(&[
        r#"command: ["sh", "-c", "test -e $DIR/good || {{ echo no; exit 3; }}; echo >&${{NOTIFY_FD}}; exec sleep infinity"], ready: Notify"#,
        r#"restart: (floor: "40ms", ceiling: "1s", give_up: (deaths: 4, within: "60s"))"#,
    ]);
    let failed = cluster.wait_state("node", "failed");
    let reason = failed["reason"].as_str().unwrap();
    assert!(
        reason.contains('4') && reason.contains("exit 3"),
        "{reason}"
    );
    assert_eq!(
        (&failed["restarts"], &failed["pid"]),
        (&json!(3), &Value::Null)
    );
    let delays: Vec<u64> = cluster
        .events_of("node_backoff", "node")
        .iter()
        .map(|event| {
            event["detail"]["next_in_ms"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert_eq!(delays.len(), 3, "{delays:?}");
    assert!(delays.is_sorted_by(|one, next| one < next), "{delays:?}");
    assert!(delays[2] >= 3 * delays[0], "{delays:?}");
    cluster.wait_cluster("broken");
    let (_, _, code) = cluster.run(&["status"]);
    assert_eq!(code, 11);

    let refused = cluster.ask(&json!({"start": {"select": ["node"], "wait": true}}));
    assert_eq!(refused["ok"], false, "{refused}");
    assert!(
        cluster.node("node")["restarts"].as_u64() > Some(3),
        "it was not even tried: {refused}"
    );
    let lines = refused["results"][0]["last_lines"].to_string();
    assert!(lines.contains("\"no\""), "{refused}");
    cluster.wait_state("node", "failed");
    std::fs::write(cluster.directory().join("good"), "").unwrap();
    let started = cluster.ask(&json!({"start": {"select": ["node"], "wait": true}}));
    assert_eq!(started["ok"], true, "{started}");
    let node = cluster.wait_state("node", "ready");
    assert_eq!(node["reason"], Value::Null);
    cluster.wait_ready();
    cluster.stop_and_expect_nobody_left();
}

/// Shows: two exit codes mean that another birth is no use.
#[test]
fn the_permanent_exit_codes_fail_at_once() {
    let cluster = Start::with(&layouts::nodes(&[
        ("permission", r#"command: ["sh", "-c", "exit 77"]"#),
        (
            "config",
            r#"command: ["sh", "-c", "exit 78"], restart: (policy: Finish)"#,
        ),
    ]))
    .start();
    for (name, code) in [("permission", 77), ("config", 78)] {
        let node = cluster.wait_state(name, "failed");
        assert!(node["reason"].is_string(), "{node}");
        assert_eq!(node["last_exit"]["code"], code);
        assert_eq!(node["restarts"], 0);
        assert_eq!(cluster.events_of("node_backoff", name), Vec::<Value>::new());
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: with `Always` an end with 0 is an end like any other (A17).
#[test]
fn always_starts_again_what_ended_well() {
    let cluster = one(&[
        ENDING,
        r#"restart: (floor: "20ms", ceiling: "20ms", give_up: "off")"#,
    ]);
    cluster.wait_node("node", "born thrice", |node| {
        node["restarts"].as_u64() >= Some(2)
    });
    let started = cluster.events_of("node_started", "node");
    assert!(started.len() >= 3);
    assert_eq!(cluster.node("node")["last_exit"]["code"], 0);
    assert_eq!(cluster.crash_reports("node"), Vec::<Value>::new());
    cluster.stop_and_expect_nobody_left();
}

/// Shows: what `OnFailure`, `Never` and `Finish` make of an end with 0 and of one with 1.
#[test]
fn policies_tell_good_ends_from_bad_ones() {
    let entry = |program: &str, policy: &str| {
        let restart = format!(r#"restart: (policy: {policy}, floor: "300s", ceiling: "300s")"#);
        layouts::entry(&[program, &restart])
    };
    let cases = [
        ("on-failure-good", entry(ENDING, "OnFailure"), "finished"),
        ("on-failure-bad", entry(CRASHING, "OnFailure"), "backoff"),
        ("never-good", entry(ENDING, "Never"), "finished"),
        ("never-bad", entry(CRASHING, "Never"), "failed"),
        ("finish-good", entry(ENDING, "Finish"), "finished"),
        ("finish-bad", entry(CRASHING, "Finish"), "backoff"),
        ("every-bad", entry(CRASHING, r#"Every("1s")"#), "backoff"),
    ];
    let entries: Vec<(&str, &str)> = cases
        .iter()
        .map(|(name, entry, _)| (*name, entry.as_str()))
        .collect();
    let cluster = Start::with(&layouts::nodes(&entries)).start();
    for (name, _, state) in &cases {
        let node = cluster.wait_state(name, state);
        assert_eq!(node["restarts"], 0, "{name}");
        let has_reason = node["reason"].is_string();
        assert_eq!(has_reason, *state != "finished", "{name}: {node}");
    }
    let waited = cluster.ask(&json!({"wait": {"select": ["*-good"], "state": "ready"}}));
    assert_eq!(waited["ok"], true, "{waited}");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: `Every` finishes, waits its period, is born again, and a stop ends that.
#[test]
fn every_is_born_again_after_its_period() {
    let cluster = one(&[ENDING, r#"restart: (policy: Every("300ms"))"#]);
    let rest = cluster.wait_state("node", "finished");
    assert!(rest["next_attempt_in_ms"].as_u64() <= Some(300), "{rest}");
    cluster.wait_node("node", "born thrice", |node| {
        node["restarts"].as_u64() >= Some(2)
    });
    let stopped = cluster.ask(&json!({"stop": {"select": ["node"], "wait": true}}));
    assert_eq!(stopped["ok"], true, "{stopped}");
    let node = cluster.node("node");
    assert_eq!(
        (&node["state"], &node["next_attempt_in_ms"]),
        (&json!("stopped"), &Value::Null)
    );
    cluster.stop_and_expect_nobody_left();
}

/// Shows: the events of one short life, in their order, with nothing said twice.
#[test]
fn the_events_of_a_life_come_once_and_in_order() {
    let command = r#"command: ["sh", "-c", "echo >&${{NOTIFY_FD}}; until test -e $DIR/go; do sleep 0.02; done"], ready: Notify"#;
    let cluster = one(&[command, "restart: (policy: Finish)"]);
    cluster.wait_state("node", "ready");
    std::fs::write(cluster.directory().join("go"), "").unwrap();
    cluster.wait_state("node", "finished");
    assert_eq!(
        kinds(&cluster),
        ["node_started", "node_ready", "node_exited", "node_finished"]
    );
    let events = cluster.events();
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect();
    assert!(
        numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{numbers:?}"
    );
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a program that goes missing is a failure with the system's own words.
#[test]
fn a_program_that_has_gone_says_so() {
    let restart =
        r#"restart: (floor: "10ms", ceiling: "10ms", give_up: (deaths: 2, within: "60s"))"#;
    let entry = layouts::entry(&[r#"command: ["$DIR/program"]"#, restart]);
    let start = Start::with(&layouts::nodes(&[("node", &entry)]));
    let program = start.directory().join("program");
    std::fs::copy("/bin/sleep", &program).unwrap();
    let cluster = start.start();
    cluster.wait_state("node", "failed");
    std::fs::remove_file(program).unwrap();
    cluster.ask(&json!({"start": {"select": ["node"], "wait": true}}));
    let node = cluster.wait_state("node", "failed");
    let reason = node["reason"].as_str().unwrap();
    assert!(
        reason.contains("program") && reason.contains("No such file"),
        "{reason}"
    );
    assert_eq!(node["last_exit"]["code"], 127);
    cluster.stop_and_expect_nobody_left();
}

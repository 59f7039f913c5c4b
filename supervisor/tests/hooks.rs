//! Hooks: when each runs, what it reads, where its words go, and what ends it.

#![cfg(test)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::processes;
use common::{Cluster, PATIENCE, Start, wait_for};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Keeps what it reads, and says so on both streams.
const HOOK: &str = r#"#!/bin/sh
cat >> "$(dirname "$0")/$1.json"
echo "told of $1"
echo "sorry about $1" >&2
"#;

const ALL: [&str; 5] = ["on_start", "on_ready", "on_exit", "on_crash", "on_failed"];

/// A node with all five hooks.
fn start_with_hooks(node: &str) -> Cluster {
    let hooks = ALL
        .map(|hook| format!("{hook}: [\"$DIR/hook\", \"{hook}\"]"))
        .join(", ");
    let start = Start::with(&format!(
        "Layout(nodes: {{ \"job\": ({node}, hooks: ({hooks})) }})"
    ));
    let path = start.directory().join("hook");
    fs::write(&path, HOOK).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    start.start()
}

/// What a hook read, one object a run; waits for so many runs to have ended.
fn facts(cluster: &Cluster, hook: &str, runs: usize) -> Vec<Value> {
    wait_for(&format!("{runs} runs of {hook}"), PATIENCE, || {
        let events = cluster.events();
        let ended = events
            .iter()
            .filter(|event| event["kind"] == "hook_ended" && event["detail"]["hook"] == hook);
        (ended.count() >= runs).then_some(())
    });
    let text = fs::read_to_string(cluster.directory().join(format!("{hook}.json"))).unwrap();
    let facts: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(facts.len(), runs, "{text}");
    for fact in &facts {
        assert_eq!(
            (&fact["hook"], &fact["node"]),
            (&hook.into(), &"job".into()),
            "{fact}"
        );
    }
    facts
}

fn never_ran(cluster: &Cluster, hook: &str) -> bool {
    !cluster.directory().join(format!("{hook}.json")).exists()
}

/// Shows: a crash for good runs all five hooks, each with the facts of its moment; their words are in
/// the node's stderr file, and on the console behind the hook's name.
#[test]
fn each_hook_runs_at_its_moment_with_the_facts() {
    let cluster = start_with_hooks(
        r#"command: ["sh", "-c", "
            until test -e $DIR/go; do sleep 0.01; done
            echo own words >&2; exit 3
        "], restart: (policy: Never)"#,
    );
    facts(&cluster, "on_ready", 1);
    assert!(never_ran(&cluster, "on_exit") && never_ran(&cluster, "on_crash"));
    fs::write(cluster.directory().join("go"), "").unwrap();
    cluster.wait_state("job", "failed");
    for hook in ALL {
        let fact = facts(&cluster, hook, 1).remove(0);
        assert_eq!(fact["incarnation"], 1, "{fact}");
        assert_eq!(fact["role"], "none", "{fact}");
    }
    let failed = &facts(&cluster, "on_failed", 1)[0];
    assert!(
        failed["reason"].as_str().unwrap().contains("exit 3"),
        "{failed}"
    );
    for hook in ALL {
        for words in [format!("told of {hook}\n"), format!("sorry about {hook}\n")] {
            cluster.wait_text("job/stderr.log", &words);
            let shown = format!("[job/{hook}] {words}");
            wait_for(&shown, PATIENCE, || {
                cluster.console().contains(&shown).then_some(())
            });
        }
    }
    assert!(cluster.read("job/stderr.log").contains("own words\n"));
    assert_eq!(cluster.read("job/stdout.log"), "");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: an end that was asked for is an exit and no crash; every birth has its start.
#[test]
fn an_end_that_was_asked_for_is_no_crash() {
    let cluster = start_with_hooks(r#"command: ["sleep", "infinity"]"#);
    cluster.wait_state("job", "ready");
    cluster.ok(&["restart", "job"]);
    cluster.ok(&["stop", "job"]);
    let starts = facts(&cluster, "on_start", 2);
    let mut births: Vec<u64> = starts
        .iter()
        .map(|fact| fact["incarnation"].as_u64().unwrap())
        .collect();
    births.sort_unstable(); // hooks of two births run beside one another
    assert_eq!(births, [1, 2]);
    facts(&cluster, "on_ready", 2);
    facts(&cluster, "on_exit", 2);
    assert!(never_ran(&cluster, "on_crash") && never_ran(&cluster, "on_failed"));
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a hook that hangs is killed at its time limit with all it started, and holds up nobody.
#[test]
fn a_hook_that_hangs_is_killed_with_all_it_started() {
    let cluster = Start::with(
        r#"Layout(nodes: { "job": (
            command: ["sleep", "infinity"],
            hooks: (on_ready: (
                command: ["sh", "-c", "trap '' TERM; sleep infinity & echo child $!; wait; wait"],
                timeout: "400ms",
            )),
        ) })"#,
    )
    .start_ready();
    let said = cluster.wait_text("job/stderr.log", "child ");
    let child: i32 = said.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let child = processes::ProcessId::of(child).unwrap();
    let ended = cluster.wait_event("hook_ended", Some("job"));
    assert_eq!(ended["detail"]["hook"], "on_ready");
    assert!(
        ended["detail"]["ending"]
            .as_str()
            .unwrap()
            .contains("SIGKILL"),
        "{ended}"
    );
    processes::expect_gone(&[child], Duration::from_secs(5));
    let node = cluster.node("job");
    assert_eq!(
        (&node["state"], &node["restarts"]),
        (&"ready".into(), &0.into())
    );
    cluster.stop_and_expect_nobody_left();
}

/// Shows: leaving its process group does not save it.
#[test]
fn a_hook_that_leaves_its_group_is_killed_at_its_time_limit() {
    let cluster = Start::with(
        r#"Layout(nodes: { "job": (
            command: ["sleep", "infinity"],
            hooks: (on_ready: (
                command: ["python3", "-c", "
import os, signal
os.setpgid(0, os.getpgid(os.getppid()))
print('left', os.getpid(), flush=True)
signal.pause()
"],
                timeout: "1s",
            )),
        ) })"#,
    )
    .start_ready();
    let said = cluster.wait_text("job/stderr.log", "left ");
    let hook: i32 = said.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let ended = cluster.wait_event("hook_ended", Some("job"));
    assert_eq!(ended["detail"]["ending"], "SIGKILL", "{ended}");
    assert!(processes::ProcessId::of(hook).is_none());
    cluster.stop_and_expect_nobody_left();
}

/// Shows: hooks have their time when everything stops, but no more than the stop as a whole has.
#[test]
fn a_hook_does_not_hold_up_the_end_beyond_its_deadline() {
    let mut cluster = Start::with(
        r#"Layout(
            nodes: { "job": (
                command: ["sleep", "infinity"],
                hooks: (
                    on_ready: (command: ["sleep", "infinity"], timeout: "1h"),
                    on_exit: ["sh", "-c", "cat > $DIR/exit.json"],
                ),
            ) },
            stop: (grace: "1s", deadline: "1s"),
        )"#,
    )
    .start_ready();
    let tree = cluster.tree();
    cluster.signal(Signal::SIGTERM);
    // A second for the deadline; the rest is for a loaded machine.
    cluster.wait_end_within(Duration::from_secs(5));
    assert!(
        !cluster.console().contains("stem_stuck"),
        "{}",
        cluster.console()
    );
    let told = fs::read_to_string(cluster.directory().join("exit.json")).unwrap();
    assert!(told.contains("\"on_exit\""), "{told}");
    processes::expect_gone(&tree, Duration::from_secs(5));
}

/// Shows: a hook that fails, or cannot be run, is told of and changes nothing for its node.
#[test]
fn a_hook_that_fails_is_told_of() {
    let cluster = start_with_hooks(r#"command: ["sleep", "infinity"]"#);
    for hook in ["on_start", "on_ready"] {
        facts(&cluster, hook, 1);
    }
    fs::remove_file(cluster.directory().join("hook")).unwrap();
    cluster.ok(&["restart", "job"]);
    let failed = wait_for("a hook that failed", PATIENCE, || {
        cluster
            .events()
            .into_iter()
            .find(|event| event["kind"] == "hook_ended" && event["detail"]["ending"] != "exit 0")
    });
    assert!(
        failed["detail"]["ending"].as_str().unwrap().contains("127"),
        "{failed}"
    );
    cluster.wait_text("job/stderr.log", "No such file");
    assert_eq!(cluster.node("job")["state"], "ready");
    cluster.stop_and_expect_nobody_left();
}

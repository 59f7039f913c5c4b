//! Nodes are killed from outside in every state of the table, and by every signal that kills.

#![cfg(test)]

mod common;

use std::time::Duration;

use common::client::Connection;
use common::layouts::{
    self, AT_ONCE, CRASHING, ENDING, IDLE, LONG_DELAY, LONG_GRACE, NEVER_READY, STUBBORN,
};
use common::processes::{self, ProcessId};
use common::{Cluster, Start};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

fn one(entry: &[&str]) -> Start {
    Start::with(&layouts::nodes(&[("node", &layouts::entry(entry))]))
}

/// Kills the node's process and waits until the supervisor knows of its end; gives its exit event.
fn end_by(cluster: &Cluster, signal: Signal) -> Value {
    let pid = cluster.node_pid("node").unwrap();
    let before = cluster.events_of("node_exited", "node").len();
    processes::signal(pid, signal);
    common::wait_for("its end is reported", common::PATIENCE, || {
        let exits = cluster.events_of("node_exited", "node");
        exits.get(before).cloned()
    })
}

/// Shows: who was not ready yet when it was killed waits its delay, and starts again.
#[test]
fn a_node_killed_while_it_starts_waits_and_starts_again() {
    let quick = r#"restart: (floor: "50ms", ceiling: "60ms")"#;
    let cluster = one(&[NEVER_READY, quick]).start();
    cluster.wait_state("node", "starting");
    let before = cluster.node_pid("node");
    let exit = end_by(&cluster, Signal::SIGKILL);
    assert_eq!(exit["detail"]["ending"], "SIGKILL");
    assert_eq!(exit["detail"]["asked"], "false");
    cluster.wait_other_pid("node", "starting", before);
    assert_eq!(cluster.events_of("node_backoff", "node").len(), 1);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: killed while a restart waits for its end, it is born again, and the request is answered;
/// killed while a stop waits, it stays down.
#[test]
fn a_node_killed_while_it_stops_ends_as_it_was_asked_to() {
    let cluster = one(&[STUBBORN, LONG_GRACE]).start_ready();
    let ask = |request: &Value| {
        let mut connection: Connection = cluster.connect();
        connection.send(request);
        cluster.wait_state("node", "stopping");
        let exit = end_by(&cluster, Signal::SIGKILL);
        assert_eq!(exit["detail"]["asked"], "true");
        let answer = connection.receive().expect("an answer");
        assert_eq!(answer["ok"], true, "{answer}");
        answer["results"][0]["state"].clone()
    };
    let restart = json!({"restart": {"select": ["node"], "wait": true}});
    assert_eq!(ask(&restart), "ready");
    let stop = json!({"stop": {"select": ["node"], "wait": true}});
    assert_eq!(ask(&stop), "stopped");
    assert_eq!(cluster.node("node")["pid"], Value::Null);
    assert_eq!(cluster.crash_reports("node"), Vec::<Value>::new());
    cluster.stop_and_expect_nobody_left();
}

/// Shows: in every state without a process there is no pid, neither in `status` nor in its file.
#[test]
fn no_pid_is_shown_of_a_node_that_has_no_process() {
    let finish = layouts::entry(&[ENDING, "restart: (policy: Finish)"]);
    let backoff = layouts::entry(&[CRASHING, LONG_DELAY]);
    let cluster = Start::with(&layouts::nodes(&[
        ("finished", &finish),
        ("failed", r#"command: ["sh", "-c", "exit 77"]"#),
        ("backoff", &backoff),
        ("stopped", IDLE),
    ]))
    .start();
    cluster.wait_state("stopped", "ready");
    let pid = common::wait_for("its pid file", common::PATIENCE, || {
        cluster.read("stopped/pid").trim().parse().ok()
    });
    assert_eq!(Some(pid), cluster.node_pid("stopped"));
    cluster.ask(&json!({"stop": {"select": ["stopped"], "wait": true}}));
    for name in ["finished", "failed", "backoff", "stopped"] {
        let node = cluster.wait_state(name, name);
        assert_eq!(node["pid"], Value::Null, "{name}");
        assert_eq!(node["started_at"], Value::Null, "{name}");
        common::wait_for("no pid file", common::PATIENCE, || {
            let pid = cluster.read(&format!("{name}/pid"));
            pid.is_empty().then_some(())
        });
    }
}

/// Shows: once its end is reported, a pid is not seen again, however fast births follow deaths.
#[test]
fn a_pid_is_not_shown_after_its_end_was_reported() {
    let cluster = one(&[r#"command: ["sleep", "0.02"]"#, AT_ONCE]).start();
    common::wait_for("twenty deaths", common::PATIENCE, || {
        let ended: Vec<String> = cluster
            .events_of("node_exited", "node")
            .iter()
            .map(|event| event["detail"]["pid"].as_str().unwrap().to_owned())
            .collect();
        let shown = cluster.node("node")["pid"].to_string();
        assert!(!ended.contains(&shown), "{shown} ended before");
        (ended.len() >= 20).then_some(())
    });
}

/// Shows: each deadly signal from outside ends in a revival, and is named in what `status` shows.
#[test]
fn a_node_is_revived_after_any_deadly_signal() {
    let cluster = one(&[IDLE, AT_ONCE, r#"limits: (core: "0")"#]).start_ready();
    let deadly = [
        "SIGTERM", "SIGSEGV", "SIGABRT", "SIGKILL", "SIGHUP", "SIGUSR1",
    ];
    for name in deadly {
        let signal: Signal = name.parse().unwrap();
        let pid = cluster.node_pid("node");
        let exit = end_by(&cluster, signal);
        assert_eq!(exit["detail"]["ending"], name);
        let node = cluster.wait_other_pid("node", "ready", pid);
        assert_eq!(node["last_exit"]["signal"], name);
        assert_eq!(node["last_exit"]["asked"], false);
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a built-in node that gets SIGTERM from outside leaves well, and is revived twice (A6).
#[test]
fn a_built_in_node_that_is_asked_to_end_from_outside_comes_back_twice() {
    let worker = layouts::entry(&["node_type: Worker", AT_ONCE]);
    let head = layouts::NO_CONTROLLER;
    let cluster = Start::with(&layouts::layout(head, &[("node", &worker)])).start_ready();
    for _ in 0..2 {
        let pid = cluster.node_pid("node");
        let exit = end_by(&cluster, Signal::SIGTERM);
        assert_eq!(exit["detail"]["ending"], "exit 0");
        cluster.wait_other_pid("node", "ready", pid);
    }
    let count = |said: &str, word: &str| said.matches(word).count();
    // It may be ready before its words are written.
    cluster.wait_content("node/stdout.log", "three births, two ends", |said| {
        (count(said, "event=up"), count(said, "event=down")) == (3, 2)
    });
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a stopped process can be killed, and is revived.
#[test]
fn a_node_that_is_stopped_and_then_killed_is_revived() {
    let cluster = one(&[IDLE, AT_ONCE]).start_ready();
    let pid = cluster.node_pid("node");
    processes::halt(pid.unwrap());
    let exit = end_by(&cluster, Signal::SIGKILL);
    assert_eq!(exit["detail"]["ending"], "SIGKILL");
    cluster.wait_other_pid("node", "ready", pid);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: one that stands still goes on when it is asked to end, so that it can do so by itself; its
/// grace is too long for SIGKILL to be what ends it.
#[test]
fn a_node_that_stands_still_hears_that_it_is_to_stop() {
    let cluster = one(&[IDLE, LONG_GRACE]).start_ready();
    processes::halt(cluster.node_pid("node").unwrap());
    let answer = cluster.ask(&json!({"stop": {"select": ["node"], "wait": true}}));
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(cluster.node("node")["last_exit"]["signal"], "SIGTERM");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: one that stands still and would not listen is killed after its grace.
#[test]
fn a_stubborn_node_that_stands_still_is_killed_after_its_grace() {
    let cluster = one(&[STUBBORN, r#"stop: (grace: "200ms")"#]).start_ready();
    processes::halt(cluster.node_pid("node").unwrap());
    let answer = cluster.ask(&json!({"stop": {"select": ["node"], "wait": true}}));
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(cluster.node("node")["last_exit"]["signal"], "SIGKILL");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a crash leaves a report with the signal and the last lines; an end that was asked for none.
#[test]
fn a_crash_is_reported_with_its_signal_and_last_words_and_a_stop_is_not() {
    let script = r#"command: ["sh", "-c", "echo one; echo two >&2; echo last; echo >&${{NOTIFY_FD}}; exec sleep infinity"], ready: Notify, limits: (core: "0")"#;
    let cluster = one(&[script, AT_ONCE]).start_ready();
    let pid = cluster.node_pid("node");
    end_by(&cluster, Signal::SIGSEGV);
    cluster.wait_other_pid("node", "ready", pid);
    let report = common::wait_for("a report", common::PATIENCE, || {
        cluster.crash_reports("node").first().cloned()
    });
    assert_eq!(report["status"]["kind"], "signal", "{report}");
    assert_eq!(report["status"]["signal"], "SIGSEGV", "{report}");
    assert_eq!(report["pid"].as_i64(), pid.map(i64::from));
    assert_eq!(
        (&report["asked"], &report["cause"]),
        (&json!(false), &json!("crash"))
    );
    let said = |stream: &str| report[stream].to_string();
    assert!(said("stdout").contains("one") && said("stdout").contains("last"));
    assert!(said("stderr").contains("two"), "{report}");
    for request in ["restart", "stop"] {
        let answer = cluster.ask(&json!({request: {"select": ["node"], "wait": true}}));
        assert_eq!(answer["ok"], true, "{answer}");
    }
    assert_eq!(cluster.crash_reports("node").len(), 1);
    cluster.stop_and_expect_nobody_left();
}

/// A node's files are made when it first speaks, which of these only the built-in one does.
fn wait_has_spoken(cluster: &Cluster) {
    common::wait_for("the worker has spoken", common::PATIENCE, || {
        let said = cluster.read("worker/stdout.log");
        said.contains("event=ready").then_some(())
    });
}

/// Shows: the stem holds the same descriptors after many deaths as before them, whatever kind of
/// readiness its nodes have.
#[test]
fn nothing_gathers_in_the_stem_when_its_nodes_die_again_and_again() {
    let short = r#"stop: (grace: "100ms")"#;
    let says = layouts::entry(&[STUBBORN, AT_ONCE, short]);
    let probed = layouts::entry(&[IDLE, r#"ready: Exec(["true"])"#, AT_ONCE]);
    let worker = layouts::entry(&[
        "node_type: Worker",
        r#"watchdog: (stale_after: "60s")"#,
        AT_ONCE,
    ]);
    let entries = [
        ("says", says.as_str()),
        ("probed", &probed),
        ("worker", &worker),
    ];
    let head = layouts::NO_CONTROLLER;
    let cluster = Start::with(&layouts::layout(head, &entries)).start_ready();
    let (supervisor, stem) = (cluster.pid(), cluster.stem_pid().unwrap());
    let before = [supervisor, stem].map(processes::descriptor_kinds);
    cluster.wait_pid_files();
    wait_has_spoken(&cluster);
    let files = cluster.files();
    for _ in 0..10 {
        let victims: Vec<ProcessId> = entries
            .iter()
            .filter_map(|(name, _)| ProcessId::of(cluster.node_pid(name)?))
            .collect();
        for victim in &victims {
            processes::signal(victim.pid, Signal::SIGKILL);
        }
        processes::expect_gone(&victims, Duration::from_secs(10));
        cluster.wait_ready();
    }
    assert_eq!(cluster.stem_pid(), Some(stem));
    cluster.wait_no_more_descriptors(supervisor, &before[0]);
    cluster.wait_no_more_descriptors(stem, &before[1]);
    let more: Vec<_> = cluster.files().difference(&files).cloned().collect();
    let reports = cluster.run_dir().join("crash");
    assert!(
        more.iter().all(|path| path.starts_with(&reports)),
        "{more:?}"
    );
    cluster.stop_and_expect_nobody_left();
}

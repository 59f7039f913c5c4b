//! SIGHUP and SIGUSR2: the layout read again, the state told, log files opened again.

#![cfg(test)]

mod common;

use std::fs;

use common::{Cluster, PATIENCE, Start, wait_for};
use nix::sys::signal::Signal;
use serde_json::Value;

const PAIR: &str = r#"Layout(nodes: {
    "one": (command: ["sleep", "infinity"]),
    "two": (command: ["sleep", "infinity"]),
})"#;

fn events_of(cluster: &Cluster, kind: &str) -> Vec<Value> {
    let mut events = cluster.events();
    events.retain(|event| event["kind"] == kind);
    events
}

/// Waits for the next event of a kind, beside those that are known.
fn next_event(cluster: &Cluster, kind: &str, known: usize) -> Value {
    wait_for(kind, PATIENCE, || {
        events_of(cluster, kind).into_iter().nth(known)
    })
}

fn pids(cluster: &Cluster) -> [Option<i32>; 2] {
    ["one", "two"].map(|name| cluster.node_pid(name))
}

/// Shows: SIGHUP with the layout as it was touches nobody.
#[test]
fn sighup_with_an_unchanged_layout_touches_nobody() {
    let cluster = Start::with(PAIR).start_ready();
    let (before, generation) = (pids(&cluster), cluster.status()["generation"].clone());
    cluster.signal(Signal::SIGHUP);
    cluster.wait_event("layout_unchanged", None);
    assert_eq!(cluster.status()["generation"], generation);
    assert_eq!(pids(&cluster), before);
    assert_eq!(cluster.status()["cluster"], "ready");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: SIGHUP restarts the changed node, starts the new one, ends the removed one, and leaves the
/// rest as it is.
#[test]
fn sighup_touches_only_what_changed() {
    let cluster = Start::with(PAIR).start_ready();
    let before = pids(&cluster);
    cluster.write_layout(
        r#"Layout(nodes: {
            "one": (command: ["sleep", "infinity"], env: { "NEW": "yes" }),
            "two": (command: ["sleep", "infinity"]),
            "three": (command: ["sleep", "infinity"]),
        })"#,
    );
    cluster.signal(Signal::SIGHUP);
    cluster.wait_node("one", "restarted", |node| {
        node["state"] == "ready" && node["incarnation"] == 2
    });
    cluster.wait_state("three", "ready");
    let [one, two] = pids(&cluster);
    assert_ne!(one, before[0]);
    assert_eq!(two, before[1]);
    let environ = fs::read(format!("/proc/{}/environ", one.unwrap())).unwrap();
    assert!(String::from_utf8_lossy(&environ).contains("NEW=yes\0"));
    cluster.write_layout(r#"Layout(nodes: { "two": (command: ["sleep", "infinity"]) })"#);
    cluster.signal(Signal::SIGHUP);
    for name in ["one", "three"] {
        cluster.wait_node(name, "forgotten", Value::is_null);
    }
    assert_eq!(cluster.node_pid("two"), before[1]);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: SIGHUP with an invalid layout changes nothing, and an event says what is wrong and where; so
/// does one without any layout.
#[test]
fn sighup_with_an_invalid_layout_changes_nothing_and_says_why() {
    let cluster = Start::with(PAIR).start_ready();
    let before = (pids(&cluster), cluster.status()["generation"].clone());
    cluster.write_layout("Layout(nodes: {\n\"one\": (comand: [\"sleep\", \"infinity\"])})");
    cluster.signal(Signal::SIGHUP);
    let refused = next_event(&cluster, "layout_refused", 0);
    let why = refused["detail"]["error"].as_str().unwrap();
    assert!(
        why.contains("site.ron:2:") && why.contains("did you mean"),
        "{why}"
    );
    fs::remove_file(cluster.layout_path()).unwrap();
    cluster.signal(Signal::SIGHUP);
    let refused = next_event(&cluster, "layout_refused", 1);
    let why = refused["detail"]["error"].as_str().unwrap();
    assert!(why.contains("cannot read the layout"), "{why}");
    assert_eq!(
        (pids(&cluster), cluster.status()["generation"].clone()),
        before
    );
    cluster.stop_and_expect_nobody_left();
}

/// Shows: `status` says when the layout on disk is no longer the one that runs, until it is again.
#[test]
fn status_tells_that_the_layout_changed_on_disk() {
    let cluster = Start::with(PAIR).start_ready();
    assert_eq!(cluster.status()["layout_changed"], false);
    let changed = PAIR.replace("\"two\"", "\"second\"");
    cluster.write_layout(&changed);
    wait_for("status tells of the change", PATIENCE, || {
        (cluster.status()["layout_changed"] == true).then_some(())
    });
    let (out, err, _) = cluster.run(&["status"]);
    assert!(format!("{out}{err}").contains("changed"), "{out}{err}");
    cluster.signal(Signal::SIGHUP);
    cluster.wait_state("second", "ready");
    wait_for("status is content", PATIENCE, || {
        (cluster.status()["layout_changed"] == false).then_some(())
    });
    cluster.stop_and_expect_nobody_left();
}

/// Shows: SIGUSR2 writes down how everybody is, and log files that were moved away are made anew, while
/// what is written before stays in the moved ones.
#[test]
fn sigusr2_dumps_the_state_and_opens_log_files_again() {
    let cluster = Start::with(
        r#"Layout(nodes: { "talker": (command: ["sh", "-c", "
            trap 'echo again' USR1
            echo once
            while :; do sleep infinity & wait; done
        "]) })"#,
    )
    .start_ready();
    cluster.wait_text("talker/stdout.log", "once\n");
    let run = cluster.run_dir();
    fs::rename(run.join("supervisor.log"), run.join("supervisor.old")).unwrap();
    fs::rename(run.join("talker/stdout.log"), run.join("talker/stdout.old")).unwrap();
    cluster.signal(Signal::SIGUSR2);
    cluster.wait_text("supervisor.log", "event=dump_queues");
    let log = cluster.read("supervisor.log");
    assert!(
        log.contains("event=dump ") && log.contains("event=dump_node"),
        "{log}"
    );
    assert!(log.contains("\"name\":\"talker\""), "{log}");
    assert!(!log.contains("event=up"), "{log}");
    assert!(cluster.read("supervisor.old").contains("event=up"));
    wait_for("a new output file", PATIENCE, || {
        run.join("talker/stdout.log").exists().then_some(())
    });
    cluster.ok(&["signal", "USR1", "talker"]);
    assert_eq!(cluster.wait_text("talker/stdout.log", "again"), "again\n");
    assert_eq!(cluster.read("talker/stdout.old"), "once\n");
    cluster.stop_and_expect_nobody_left();
}

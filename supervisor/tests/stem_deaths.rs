//! The stem is killed while its nodes are in every state of the table, while somebody waits for them,
//! and again before its successor has done its work.

#![cfg(test)]

mod common;

use std::time::Duration;

use common::client::Connection;
use common::layouts::{self, CRASHING, ENDING, GATED, IDLE, LONG_DELAY, LONG_GRACE, STUBBORN};
use common::processes::{self, ProcessId};
use common::{Cluster, Start};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// One node in each state: the first stage settles, the second never does, the third waits for it.
fn every_state() -> String {
    let early = "stage: 1";
    let late = "stage: 2";
    let never_ready = layouts::entry(&[layouts::NEVER_READY, late]);
    let stubborn = layouts::entry(&[STUBBORN, LONG_GRACE, early]);
    layouts::layout(
        r#"stages: { "one": (number: 1), "two": (number: 2, time_limit: "300s"), "three": (number: 3) }"#,
        &[
            ("ready", &layouts::entry(&[IDLE, early])),
            ("stopped", &layouts::entry(&[IDLE, early])),
            ("stopping", &stubborn),
            ("restarting", &stubborn),
            (
                "finished",
                &layouts::entry(&[ENDING, early, "restart: (policy: Finish)"]),
            ),
            (
                "resting",
                &layouts::entry(&[ENDING, early, r#"restart: (policy: Every("300s"))"#]),
            ),
            ("failed", r#"command: ["sh", "-c", "exit 78"], stage: 1"#),
            ("starting", &never_ready),
            ("backoff", &layouts::entry(&[CRASHING, late, LONG_DELAY])),
            ("pending", &layouts::entry(&[IDLE, "stage: 3"])),
        ],
    )
}

/// Brings every node into the state that it is named after. Gives the connections that wait for the
/// two that are on their way down.
fn settle(cluster: &Cluster) -> (Connection, Connection) {
    for name in ["ready", "stopped", "stopping", "restarting"] {
        cluster.wait_state(name, "ready");
    }
    for name in ["finished", "failed", "starting", "backoff", "pending"] {
        cluster.wait_state(name, name);
    }
    cluster.wait_state("resting", "finished");
    let stopped = cluster.ask(&json!({"stop": {"select": ["stopped"], "wait": true}}));
    assert_eq!(stopped["ok"], true, "{stopped}");
    let mut stopping = cluster.connect();
    stopping.send(&json!({"stop": {"select": ["stopping"], "wait": true}}));
    let mut restarting = cluster.connect();
    restarting.send(&json!({"restart": {"select": ["restarting"], "wait": true}}));
    for name in ["stopping", "restarting"] {
        cluster.wait_state(name, "stopping");
    }
    (stopping, restarting)
}

fn answer(connection: &mut Connection) -> Value {
    let answer = connection.receive().expect("an answer");
    assert_eq!(answer["ok"], true, "{answer}");
    answer["results"][0].clone()
}

/// Shows: after the stem's death each node is where the table puts it, and whoever waited is answered.
#[test]
fn a_killed_stem_leaves_every_node_in_the_state_that_it_had_or_wants() {
    let cluster = Start::with(&every_state()).start();
    let (mut stopping, mut restarting) = settle(&cluster);
    let before = |name| cluster.node(name);
    let (ready, starting, failed) = (before("ready"), before("starting"), before("failed"));
    let (finished, resting) = (before("finished"), before("resting"));
    cluster.kill_stem();

    let again = cluster.wait_node("ready", "ready again", |node| {
        node["state"] == "ready" && node["pid"] != ready["pid"]
    });
    assert_eq!(again["restarts"], 1);
    cluster.wait_node("starting", "starting again", |node| {
        node["state"] == "starting" && node["pid"].is_i64() && node["pid"] != starting["pid"]
    });
    assert_eq!(answer(&mut stopping)["state"], "stopped");
    assert_eq!(answer(&mut restarting)["state"], "ready");
    cluster.wait_state("backoff", "backoff");
    for name in ["stopped", "stopping"] {
        let node = cluster.wait_state(name, "stopped");
        assert_eq!(
            (&node["pid"], &node["wanted"]),
            (&Value::Null, &json!("stopped"))
        );
    }
    for (name, before) in [("finished", &finished), ("failed", &failed)] {
        let node = cluster.node(name);
        for key in ["state", "reason", "incarnation", "restarts", "pid"] {
            assert_eq!(node[key], before[key], "{name}: {key}");
        }
    }
    let still_due = cluster.node("resting");
    assert_eq!(still_due["state"], "finished");
    assert_eq!(still_due["incarnation"], resting["incarnation"]);
    let (left, had) = (
        &still_due["next_attempt_in_ms"],
        &resting["next_attempt_in_ms"],
    );
    assert!(
        left.as_u64().unwrap() <= had.as_u64().unwrap(),
        "due in {left} ms, and before in {had} ms"
    );
    let pending = cluster.node("pending");
    assert_eq!(
        (&pending["state"], &pending["incarnation"]),
        (&json!("pending"), &json!(0))
    );
}

/// Shows: deaths by the stem's death cost neither delay nor budget, and are no crashes.
#[test]
fn deaths_that_came_with_the_stem_are_not_charged() {
    let budget =
        r#"restart: (floor: "300s", ceiling: "300s", give_up: (deaths: 2, within: "300s"))"#;
    let entry = layouts::entry(&[IDLE, budget]);
    let cluster = Start::with(&layouts::nodes(&[("node", &entry)])).start_ready();
    for deaths in 1..=4 {
        cluster.kill_stem();
        let node = cluster.wait_state("node", "ready");
        assert_eq!(node["restarts"], deaths);
    }
    for kind in ["node_backoff", "node_failed"] {
        assert_eq!(cluster.events_of(kind, "node"), Vec::<Value>::new());
    }
    assert_eq!(cluster.crash_reports("node"), Vec::<Value>::new());
    cluster.stop_and_expect_nobody_left();
}

/// Shows: `Every` comes due in the new stem when it would have in the old one.
#[test]
fn a_periodic_node_is_born_on_time_after_the_stem_died() {
    let entry = layouts::entry(&[ENDING, r#"restart: (policy: Every("1s"))"#]);
    let cluster = Start::with(&layouts::nodes(&[("node", &entry)])).start();
    let rest = cluster.wait_state("node", "finished");
    cluster.kill_stem();
    cluster.wait_node("node", "born again", |node| {
        node["incarnation"].as_u64() > rest["incarnation"].as_u64()
    });
    cluster.stop_and_expect_nobody_left();
}

/// A node's files are made when it first speaks, which only those of ours do.
fn wait_has_spoken(cluster: &Cluster) {
    let built_in = ["manager", "worker"];
    common::wait_for("built-in nodes have spoken", common::PATIENCE, || {
        let said = built_in.map(|name| cluster.read(&format!("{name}/stdout.log")));
        said.iter()
            .all(|said| said.contains("event=ready"))
            .then_some(())
    });
}

/// Shows: neither descriptors in the supervisor nor files in the run directory grow with the stem's
/// deaths.
#[test]
fn nothing_gathers_in_the_supervisor_when_its_stem_dies_again_and_again() {
    let layout = r#"Layout(
        nodes: {
            "manager": (node_type: Manager),
            "worker": (node_type: Worker, manager: "manager", watchdog: (stale_after: "60s")),
            "idle": (command: ["sleep", "infinity"]),
            "said": (command: ["sh", "-c", "echo >&${{NOTIFY_FD}}; exec sleep infinity"], ready: Notify),
        },
    )"#;
    let cluster = Start::with(layout).start_ready();
    cluster.wait_pid_files();
    wait_has_spoken(&cluster);
    let files = cluster.files();
    let descriptors = processes::descriptor_kinds(cluster.pid());
    for _ in 0..4 {
        cluster.kill_stem();
        cluster.wait_ready();
    }
    cluster.wait_no_more_descriptors(cluster.pid(), &descriptors);
    cluster.wait_pid_files();
    assert_eq!(cluster.files(), files);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a successor that is killed while it still bears its nodes has a successor too.
#[test]
fn a_stem_that_is_killed_twice_in_a_row_comes_back() {
    let names: Vec<String> = (1..=8).map(|number| format!("node-{number}")).collect();
    let entries: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), IDLE)).collect();
    let cluster = Start::with(&layouts::nodes(&entries)).start_ready();
    for _ in 0..3 {
        cluster.kill_stem();
        cluster.kill_stem();
        cluster.wait_ready();
    }
    assert_eq!(cluster.tree().len(), 1 + names.len());
    cluster.stop_and_expect_nobody_left();
}

/// Shows: start, restart and deploy that wait while the stem dies are answered when it is done.
#[test]
fn requests_that_wait_while_the_stem_dies_are_answered() {
    let layout =
        |text: &str| layouts::nodes(&[("gated", GATED), ("changed", text), ("idle", IDLE)]);
    let cluster = Start::with(&layout(IDLE)).start();
    cluster.wait_state("gated", "starting");
    cluster.wait_state("changed", "ready");
    cluster.write_layout(&layout(GATED));
    let path = cluster.layout_path();
    let requests = [
        json!({"start": {"select": ["gated"], "wait": true}}),
        json!({"restart": {"select": ["gated"], "wait": true}}),
        json!({"deploy": {"path": path, "dry_run": false, "wait": true}}),
        json!({"wait": {"select": ["gated", "changed"], "state": "ready"}}),
    ];
    let mut waiting: Vec<Connection> = Vec::new();
    for request in &requests {
        let mut connection = cluster.connect();
        connection.send(request);
        waiting.push(connection);
    }
    cluster.wait_state("changed", "starting");
    cluster.kill_stem();
    cluster.wait_state("changed", "starting");
    std::fs::write(cluster.directory().join("go"), "").unwrap();
    for (connection, request) in waiting.iter_mut().zip(&requests) {
        let answer = connection.receive().expect("an answer");
        assert_eq!(answer["ok"], true, "{request}: {answer}");
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: what is asked in the moment of the stem's death is done all the same.
#[test]
fn requests_sent_in_the_moment_of_the_stems_death_are_done() {
    let names = ["stopped", "restarted", "destroyed", "idle"];
    let entries: Vec<(&str, &str)> = names.iter().map(|name| (*name, IDLE)).collect();
    let cluster = Start::with(&layouts::nodes(&entries)).start_ready();
    let old = cluster.node("restarted")["incarnation"].as_u64();
    let requests = [
        json!({"stop": {"select": ["stopped"], "wait": true}}),
        json!({"restart": {"select": ["restarted"], "wait": true}}),
        json!({"destroy": {"select": ["destroyed"], "wait": true}}),
        json!({"create": {"nodes": r#"{ "created": (command: ["sleep", "infinity"]) }"#,
            "base": "/", "persist": false, "wait": true}}),
    ];
    let mut waiting: Vec<Connection> = requests.iter().map(|_| cluster.connect()).collect();
    let before = cluster.tree();
    processes::signal(cluster.stem_pid().unwrap(), Signal::SIGKILL);
    for (connection, request) in waiting.iter_mut().zip(&requests) {
        connection.send(request);
    }
    for (connection, request) in waiting.iter_mut().zip(&requests) {
        let answer = connection.receive().expect("an answer");
        assert_eq!(answer["ok"], true, "{request}: {answer}");
    }
    processes::expect_gone(&before, Duration::from_secs(5));
    assert_eq!(cluster.wait_state("stopped", "stopped")["pid"], Value::Null);
    assert!(cluster.wait_state("restarted", "ready")["incarnation"].as_u64() > old);
    assert_eq!(cluster.node("destroyed"), Value::Null);
    cluster.wait_state("created", "ready");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a node that dies in the same moment as the stem comes back like the others.
#[test]
fn stem_and_node_killed_together_both_come_back() {
    let cluster = Start::with(&layouts::nodes(&[("one", IDLE), ("other", IDLE)])).start_ready();
    for node_first in [true, false, true, false] {
        let old = cluster.tree();
        let (stem, node) = (cluster.wait_stem(None), cluster.node_pid("one").unwrap());
        let victims = if node_first {
            [node, stem]
        } else {
            [stem, node]
        };
        for victim in victims {
            processes::signal(victim, Signal::SIGKILL);
        }
        cluster.wait_stem(Some(stem));
        let left: Vec<&ProcessId> = old.iter().filter(|process| process.is_alive()).collect();
        assert!(left.is_empty(), "a new stem beside the old {left:?}");
        cluster.wait_ready();
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: what nodes left outside their process group dies with the stem, before there is another.
#[test]
fn descendants_in_sessions_of_their_own_do_not_outlive_the_stem() {
    let entry =
        r#"command: ["sh", "-c", "setsid sleep infinity & sleep infinity & exec sleep infinity"]"#;
    let cluster = Start::with(&layouts::nodes(&[("parent", entry)])).start_ready();
    let all = || cluster.everybody().len() == 5;
    common::wait_for("two children", common::PATIENCE, || all().then_some(()));
    let before = cluster.everybody();
    let stem = cluster.wait_stem(None);
    processes::signal(stem, Signal::SIGKILL);
    cluster.wait_stem(Some(stem));
    let own = cluster.pid();
    let left: Vec<_> = before
        .iter()
        .filter(|p| p.pid != own && p.is_alive())
        .collect();
    assert!(left.is_empty(), "beside the new stem: {left:?}");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a rolling restart goes on to its end over the stem's death.
#[test]
fn a_rolling_restart_goes_on_after_the_stem_died() {
    let names = ["one", "two", "three"];
    let nodes = names.map(|name| (name, GATED));
    let start = Start::with(&layouts::nodes(&nodes));
    let gate = start.directory().join("go");
    std::fs::write(&gate, "").unwrap();
    let cluster = start.start_ready();
    std::fs::remove_file(&gate).unwrap();
    let old = names.map(|name| cluster.node_pid(name));
    let mut rolling = cluster.connect();
    rolling.send(&json!({"restart": {"select": names, "rolling": 1, "wait": true}}));
    common::wait_for("the first is on its way", common::PATIENCE, || {
        names
            .iter()
            .any(|name| cluster.node(name)["state"] == "starting")
            .then_some(())
    });
    cluster.kill_stem();
    std::fs::write(&gate, "").unwrap();
    let answer = rolling.receive().expect("an answer");
    assert_eq!(answer["ok"], true, "{answer}");
    cluster.wait_ready();
    for (name, old) in names.iter().zip(old) {
        assert_ne!(cluster.node_pid(name), old, "{name}");
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: when the stem dies while everything stops, everything is stopped and the supervisor ends.
#[test]
fn a_stem_that_dies_during_the_shutdown_is_not_replaced() {
    let stubborn = layouts::entry(&[STUBBORN, LONG_GRACE]);
    let mut cluster =
        Start::with(&layouts::nodes(&[("node", &stubborn), ("idle", IDLE)])).start_ready();
    let tree = cluster.tree();
    cluster.signal(Signal::SIGTERM);
    cluster.wait_state("node", "stopping");
    processes::signal(cluster.wait_stem(None), Signal::SIGKILL);
    let status = cluster.wait_end();
    assert!(status.code().is_some(), "{status}");
    processes::expect_gone(&tree, Duration::from_secs(1));
    assert_eq!(
        cluster
            .read("supervisor.log")
            .matches("event=stem_started")
            .count(),
        1
    );
    cluster.expect_tidy();
}

/// Shows: what a node said last is read even when the stem died with it.
#[test]
fn last_words_are_read_when_the_stem_dies_with_the_speaker() {
    let speaker = r#"command: ["sh", "-c", "test -e $DIR/go && exit 0; touch $DIR/up; until test -e $DIR/go; do sleep 0.02; done; echo last words; kill -9 $PPID & wait"], restart: (policy: Finish)"#;
    let cluster = Start::with(&layouts::nodes(&[("node", speaker)])).start();
    // Before its birth is reported nobody but the stem knows of its output.
    cluster.wait_state("node", "ready");
    common::wait_for("it is about to wait", common::PATIENCE, || {
        cluster.directory().join("up").exists().then_some(())
    });
    std::fs::write(cluster.directory().join("go"), "").unwrap();
    cluster.wait_state("node", "finished");
    common::wait_for("its words", common::PATIENCE, || {
        (cluster.read("node/stdout.log") == "last words\n").then_some(())
    });
    cluster.stop_and_expect_nobody_left();
}

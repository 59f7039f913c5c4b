//! `diff` and `deploy`: what changes, what does not, and what is said when it fails.

#![cfg(test)]

mod common;

use std::fs;

use common::{Cluster, Start};
use serde_json::Value;

const FIRST: &str = r#"Layout(nodes: {
    "stays": (command: ["sleep", "infinity"]),
    "changes": (command: ["sleep", "infinity"]),
    "leaves": (command: ["sleep", "infinity"]),
})"#;

const SECOND: &str = r#"Layout(nodes: {
    "stays": (command: ["sleep", "infinity"], restart: (ceiling: "7s"), stop: (grace: "3s"),
              hooks: (on_exit: ["true"])),
    "changes": (command: ["sleep", "infinity"], env: { "SECRET": "hunter2" }),
    "joins": (command: ["sleep", "infinity"]),
})"#;

/// Runs `diff` or `deploy` on a layout that lies elsewhere than the one that runs.
fn with_layout(cluster: &Cluster, args: &[&str], layout: &str) -> (String, String, i32) {
    let path = cluster.directory().join("next.ron");
    fs::write(&path, layout).unwrap();
    let mut all = vec![args[0], path.to_str().unwrap()];
    all.extend(&args[1..]);
    cluster.run(&all)
}

fn pids(cluster: &Cluster) -> Vec<(String, i64)> {
    let status = cluster.status();
    let nodes = status["nodes"].as_array().unwrap().iter();
    nodes
        .map(|node| {
            let name = node["name"].as_str().unwrap().to_owned();
            (name, node["pid"].as_i64().unwrap_or(0))
        })
        .collect()
}

fn generations(cluster: &Cluster) -> Vec<String> {
    let directory = cluster.run_dir().join("state/generations");
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Shows: `diff` and a dry run say what would change, and change nothing.
#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let cluster = Start::with(FIRST).start_ready();
    let before = (pids(&cluster), generations(&cluster));
    let (out, err, code) = with_layout(&cluster, &["diff"], SECOND);
    assert_eq!(code, 1, "{out}{err}");
    for line in [
        "+ joins\n",
        "- leaves\n",
        "~ changes\n",
        "nodes.stays.life.stop_grace",
    ] {
        assert!(out.contains(line), "{line} is missing in {out}");
    }
    assert!(!out.contains("hunter2"), "{out}");
    assert!(
        out.contains("1 added, 1 removed, 1 changed, 1 unchanged"),
        "{out}"
    );
    let (dry, err, code) = with_layout(&cluster, &["deploy", "--dry-run"], SECOND);
    assert_eq!(code, 0, "{dry}{err}");
    assert!(
        dry.contains("+ joins\n") && dry.contains("- leaves\n"),
        "{dry}"
    );
    let (out, _, code) = with_layout(&cluster, &["diff"], FIRST);
    assert_eq!(code, 0, "{out}");
    assert_eq!((pids(&cluster), generations(&cluster)), before);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a deployment starts what is new, ends what is gone, restarts what changed, takes changes of
/// policy over without a restart, and keeps the layout as a generation.
#[test]
fn a_deployment_touches_only_what_differs() {
    let cluster = Start::with(FIRST).start_ready();
    let (stays, changes) = (cluster.node_pid("stays"), cluster.node_pid("changes"));
    let before = cluster.status()["generation"].as_u64().unwrap();
    let (out, err, code) = with_layout(&cluster, &["deploy"], SECOND);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(cluster.node_pid("stays"), stays);
    assert_ne!(cluster.node_pid("changes"), changes);
    assert_eq!(cluster.node("changes")["state"], "ready");
    assert_eq!(cluster.node("joins")["state"], "ready");
    cluster.wait_node("leaves", "forgotten", Value::is_null);
    assert_eq!(cluster.status()["generation"], before + 1);
    let kept = cluster.read(&format!("state/generations/{}.ron", before + 1));
    assert_eq!(kept, SECOND);
    // The new policy holds for the node that was not restarted.
    cluster.ok(&["stop", "stays"]);
    let hook = cluster.wait_event("hook_ended", Some("stays"));
    assert_eq!(hook["detail"]["hook"], "on_exit");
    let (out, _, code) = with_layout(&cluster, &["diff"], SECOND);
    assert_eq!(code, 0, "{out}");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: an invalid layout ends with 3, says where, and changes nothing.
#[test]
fn an_invalid_layout_is_not_deployed() {
    let cluster = Start::with(FIRST).start_ready();
    let before = (pids(&cluster), generations(&cluster), cluster.tree());
    for args in [&["deploy"][..], &["deploy", "--rolling"], &["diff"]] {
        let layout = FIRST.replace("\"sleep\"", "\"/no/such/program\"");
        let (out, err, code) = with_layout(&cluster, args, &layout);
        assert_eq!(code, 3, "{out}{err}");
        assert!(
            err.contains("next.ron:2:") && err.contains("cannot be run"),
            "{err}"
        );
    }
    assert_eq!(
        (pids(&cluster), generations(&cluster), cluster.tree()),
        before
    );
    cluster.stop_and_expect_nobody_left();
}

/// Shows: nodes that fail are shown with their last lines; 6 if others did not, 1 if all did.
#[test]
fn a_node_that_fails_is_shown_with_its_last_lines() {
    let cluster = Start::with(FIRST).start_ready();
    let bad = r#"(command: ["sh", "-c", "echo opening; echo no such device >&2; exit 78"],
                   ready: Notify)"#;
    let some = SECOND.replacen("(command: [\"sleep\", \"infinity\"])", bad, 1);
    assert!(some.contains("no such device"));
    let (out, err, code) = with_layout(&cluster, &["deploy"], &some);
    assert_eq!(code, 6, "{out}{err}");
    assert!(out.contains("changes"), "{out}");
    for words in [
        "joins  failed",
        "opening",
        "no such device",
        "failed for 1 of 2 nodes",
    ] {
        assert!(err.contains(words), "{words} is missing in {err}");
    }
    let all = format!("Layout(nodes: {{ \"last\": {bad} }})");
    let (_, err, code) = with_layout(&cluster, &["deploy"], &all);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("no such device"), "{err}");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a rolling deployment restarts changed nodes one by one, and stops where one does not become
/// ready.
#[test]
fn a_rolling_deployment_stops_at_the_first_failure() {
    let layout =
        |command: &str| format!("Layout(nodes: {{ \"row\": (command: {command}, count: 3) }})");
    let cluster = Start::with(&layout(r#"["sleep", "infinity"]"#)).start_ready();
    let (out, err, code) = with_layout(
        &cluster,
        &["deploy", "--rolling"],
        &layout(r#"["sleep", "1000"]"#),
    );
    assert_eq!(code, 0, "{out}{err}");
    let before = pids(&cluster);
    let bad = r#"["sh", "-c", "
        test $SUPERVISOR_NODE != row-2 || exit 78
        echo >&$NOTIFY_FD; exec sleep infinity
    "], ready: Notify"#;
    let bad = layout(bad);
    let (out, err, code) = with_layout(&cluster, &["deploy", "--rolling"], &bad);
    assert_eq!(code, 6, "{out}{err}");
    let after = pids(&cluster);
    assert_ne!(after[0], before[0]);
    assert_eq!(cluster.node("row-2")["state"], "failed");
    assert_eq!(after[2], before[2], "{out}{err}");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a layout may not take the name of a node that was made at run time.
#[test]
fn a_layout_that_takes_the_name_of_a_created_node_is_a_conflict() {
    let cluster = Start::with(FIRST).start_ready();
    let file = cluster.directory().join("node.ron");
    fs::write(&file, r#"{ "joins": (command: ["sleep", "infinity"]) }"#).unwrap();
    cluster.ok(&["create", "--file", file.to_str().unwrap()]);
    let before = pids(&cluster);
    let (out, err, code) = with_layout(&cluster, &["deploy"], SECOND);
    assert_eq!(code, 8, "{out}{err}");
    assert!(err.contains("supervisor destroy joins"), "{err}");
    assert_eq!(pids(&cluster), before);
    cluster.ok(&["destroy", "joins"]);
    let (out, err, code) = with_layout(&cluster, &["deploy"], SECOND);
    assert_eq!(code, 0, "{out}{err}");
    cluster.stop_and_expect_nobody_left();
}

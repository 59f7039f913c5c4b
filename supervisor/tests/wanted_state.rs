//! What outlives the supervisor: who was stopped, and who was made at run time.

#![cfg(test)]

mod common;

use std::fs;

use common::{Cluster, Start};

const PAIR: &str = r#"Layout(nodes: {
    "one": (command: ["sleep", "infinity"]),
    "two": (command: ["sleep", "infinity"]),
})"#;

fn create(cluster: &Cluster, name: &str, options: &[&str]) {
    let file = cluster.directory().join(format!("{name}.ron"));
    fs::write(
        &file,
        format!(r#"{{ "{name}": (command: ["sleep", "infinity"]) }}"#),
    )
    .unwrap();
    let mut args = vec!["create", "--file", file.to_str().unwrap()];
    args.extend(options);
    cluster.ok(&args);
    fs::remove_file(file).unwrap();
}

/// Shows: a node that an operator stopped stays stopped over an orderly restart of the supervisor and
/// over its sudden death, until somebody starts it.
#[test]
fn a_stopped_node_stays_stopped_over_restarts_of_the_supervisor() {
    let first = Start::with(PAIR).start_ready();
    first.ok(&["stop", "two"]);
    let second = first.stop_and_prepare_another().start_ready();
    let node = second.wait_state("two", "stopped");
    assert_eq!(node["wanted"], "stopped");
    assert!(node["pid"].is_null());
    let third = second.kill_and_prepare_another().start_ready();
    assert_eq!(third.node("two")["wanted"], "stopped");
    third.ok(&["start", "two"]);
    let fourth = third.kill_and_prepare_another().start_ready();
    fourth.wait_state("two", "ready");
    fourth.stop_and_expect_nobody_left();
}

/// Shows: the orderly end of the supervisor stops every node, and is no wish that they stay stopped.
#[test]
fn the_end_of_the_supervisor_is_not_remembered_as_a_stop() {
    let first = Start::with(PAIR).start_ready();
    let second = first.stop_and_prepare_another().start_ready();
    for name in ["one", "two"] {
        assert_eq!(second.node(name)["state"], "ready");
    }
    second.stop_and_expect_nobody_left();
}

/// Shows: a created node is gone with the supervisor, unless it was to persist; then it is back, and
/// gone for good once it is destroyed.
#[test]
fn only_persistent_nodes_survive_the_supervisor() {
    let first = Start::with(PAIR).start_ready();
    create(&first, "passing", &[]);
    create(&first, "lasting", &["--persist"]);
    create(&first, "resting", &["--persist"]);
    for name in ["passing", "lasting", "resting"] {
        assert_eq!(first.node(name)["state"], "ready");
        assert_eq!(first.node(name)["in_layout"], false);
    }
    first.ok(&["stop", "resting"]);
    let second = first.stop_and_prepare_another().start_ready();
    assert!(second.node("passing").is_null());
    let node = second.wait_state("lasting", "ready");
    assert_eq!(node["in_layout"], false);
    assert_eq!(second.node("resting")["state"], "stopped");
    second.ok(&["destroy", "lasting", "resting"]);
    // Pid files go a little later than their nodes, and none would go after the supervisor's death.
    second.wait_content("lasting/pid", "no pid file", str::is_empty);
    let third = second.kill_and_prepare_another().start_ready();
    assert!(third.node("lasting").is_null());
    assert!(third.node("resting").is_null());
    third.stop_and_expect_nobody_left();
}

/// Shows: a state file that cannot be understood is moved aside with a warning, and keeps nobody down.
#[test]
fn a_broken_state_file_is_moved_aside_and_everybody_starts() {
    let first = Start::with(PAIR).start_ready();
    first.ok(&["stop", "two"]);
    let state = first.run_dir().join("state/wanted.json");
    let whole = fs::read_to_string(&state).unwrap();
    let again = first.stop_and_prepare_another();
    let torn = &whole[..whole.len() / 2];
    fs::write(&state, torn).unwrap();
    let second = again.start_ready();
    assert_eq!(second.node("two")["state"], "ready");
    let problem = second.wait_event("problem", None);
    let text = problem["detail"]["error"].as_str().unwrap();
    assert!(
        text.contains("wanted.json") && text.contains("moved"),
        "{text}"
    );
    assert_eq!(second.read("state/wanted.json.bad"), torn);
    second.stop_and_expect_nobody_left();
}

/// Shows: a persistent node whose name the layout has taken meanwhile is left out with an event that says
/// why; the others start.
#[test]
fn a_persistent_node_that_cannot_be_made_again_is_told_of() {
    let first = Start::with(PAIR).start_ready();
    let file = first.directory().join("lasting.ron");
    fs::write(&file, r#"{ "lasting": (command: ["sleep", "infinity"]) }"#).unwrap();
    first.ok(&["create", "--persist", "--file", file.to_str().unwrap()]);
    let again = first.stop_and_prepare_another();
    let taken = PAIR.replacen(
        "nodes: {",
        "nodes: { \"lasting\": (command: [\"sleep\", \"1000\"]),",
        1,
    );
    assert_ne!(taken, PAIR);
    let second = again.layout(&taken).start_ready();
    let event = second.wait_event("node_not_recreated", None);
    assert_eq!(event["detail"]["created"], "lasting");
    let why = event["detail"]["error"].as_str().unwrap();
    assert!(why.contains("the layout has a node of its name"), "{why}");
    assert_eq!(second.node("lasting")["in_layout"], true);
    second.stop_and_expect_nobody_left();
}

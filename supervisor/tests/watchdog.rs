//! The watchdog: nodes whose heartbeat stops are told apart from those that live, and dealt with as
//! the layout says.

#![cfg(test)]

mod common;

use common::layouts;
use common::processes;
use common::{Cluster, Start};
use nix::sys::signal::Signal;

/// Time enough for a heart to beat on a busy machine, and little enough to wait for.
const STALE: &str = "1s";

/// Serves, and says so ten times a second, until the file `hang` comes; then it says nothing more.
const BEATS: &str = r#"
import os, signal, socket, time
said = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
said.connect(os.environ["NOTIFY_SOCKET"])
said.send(b"READY=1\nSTATUS=at work")
hang = os.path.join(os.environ["TEST_DIRECTORY"], "hang")
while not os.path.exists(hang):
    said.send(b"WATCHDOG=1")
    time.sleep(0.1)
os.remove(hang)
while True:
    signal.pause()
"#;

fn worker(action: &str, grace: &str) -> Cluster {
    let watchdog = format!(r#"watchdog: (stale_after: "{STALE}", action: {action})"#);
    let entry = layouts::entry(&[
        "node_type: Worker",
        &watchdog,
        &format!("stop: (grace: {grace:?})"),
        r#"limits: (core: "0")"#,
    ]);
    let head = layouts::NO_CONTROLLER;
    Start::with(&layouts::layout(head, &[("node", &entry)])).start_ready()
}

fn command(action: &str) -> Cluster {
    let watchdog = format!(r#"watchdog: (stale_after: "{STALE}", action: {action})"#);
    let entry = layouts::entry(&[
        r#"command: ["python3", "$DIR/beats.py"], ready: SdNotify"#,
        &watchdog,
        r#"limits: (core: "0")"#,
    ]);
    let start = Start::with(&layouts::nodes(&[("node", &entry)]));
    std::fs::write(start.directory().join("beats.py"), BEATS).unwrap();
    start.start_ready()
}

/// Shows: `Report` shows a node that stands still as degraded, and as ready when it goes on.
#[test]
fn a_hung_node_is_shown_as_degraded_until_it_goes_on() {
    let cluster = worker("Report", "300ms");
    let pid = cluster.node_pid("node").unwrap();
    processes::halt(pid);
    let node = cluster.wait_state("node", "degraded");
    assert_eq!(node["pid"], pid);
    let hung = cluster.wait_event("node_hung", Some("node"));
    assert_eq!(hung["detail"]["action"], "report");
    assert_eq!(hung["detail"]["stale_after_ms"], "1000");
    // The only one of its stage: without it there is no quorum.
    cluster.wait_cluster("broken");
    processes::signal(pid, Signal::SIGCONT);
    let node = cluster.wait_state("node", "ready");
    assert_eq!(
        (&node["restarts"], node["pid"].as_i64()),
        (&0.into(), Some(pid.into()))
    );
    cluster.wait_event("node_alive", Some("node"));
    cluster.wait_ready();
    cluster.stop_and_expect_nobody_left();
}

/// Shows: `Restart` asks it to end, and makes it go on if it stands still, so that it leaves well.
#[test]
fn a_hung_node_is_restarted_where_the_layout_says_so() {
    let cluster = worker("Restart", "300s");
    let pid = cluster.node_pid("node").unwrap();
    processes::halt(pid);
    let hung = cluster.wait_event("node_hung", Some("node"));
    assert_eq!(hung["detail"]["action"], "restart");
    let node = cluster.wait_other_pid("node", "ready", Some(pid));
    assert_eq!(node["last_exit"]["code"], 0);
    assert_eq!(node["last_exit"]["asked"], false);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: `Abort` sends SIGABRT. One that stands still is made to go on and dies of it, with a
/// report why; its grace is too long for SIGKILL to be what ends it.
#[test]
fn a_hung_node_is_aborted_where_the_layout_says_so() {
    let cluster = worker("Abort", "300s");
    let pid = cluster.node_pid("node").unwrap();
    processes::halt(pid);
    cluster.wait_event("node_hung", Some("node"));
    let node = cluster.wait_other_pid("node", "ready", Some(pid));
    assert_eq!(node["last_exit"]["signal"], "SIGABRT");
    let report = common::wait_for("a report", common::PATIENCE, || {
        cluster.crash_reports("node").first().cloned()
    });
    assert_eq!(report["cause"], "liveness", "{report}");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a command that says `WATCHDOG=1` lives; when it falls silent it is aborted and revived.
#[test]
fn a_command_that_falls_silent_is_aborted_and_revived() {
    let cluster = command("Abort");
    let pid = cluster.node_pid("node").unwrap();
    cluster.wait_node("node", "what it says of itself", |node| {
        node["status_text"] == "at work"
    });
    std::fs::write(cluster.directory().join("hang"), "").unwrap();
    let hung = cluster.wait_event("node_hung", Some("node"));
    assert_eq!(hung["detail"]["action"], "abort");
    let node = cluster.wait_other_pid("node", "ready", Some(pid));
    assert_eq!(node["last_exit"]["signal"], "SIGABRT");
    let report = common::wait_for("a report", common::PATIENCE, || {
        cluster.crash_reports("node").first().cloned()
    });
    assert_eq!(report["cause"], "liveness", "{report}");
    assert_eq!(cluster.events_of("node_hung", "node").len(), 1);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: the same with `Report`: it is shown, and left alone.
#[test]
fn a_command_that_falls_silent_is_only_shown_where_the_layout_says_so() {
    let cluster = command("Report");
    std::fs::write(cluster.directory().join("hang"), "").unwrap();
    let node = cluster.wait_state("node", "degraded");
    assert_eq!((&node["restarts"], node["pid"].is_i64()), (&0.into(), true));
    cluster.stop_and_expect_nobody_left();
}

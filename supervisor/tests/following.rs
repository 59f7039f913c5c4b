//! `logs -f` and `events -f`: what comes, as it comes, over deaths.

#![cfg(test)]

mod common;

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver};

use common::{Cluster, Start, processes};
use nix::sys::signal::Signal;
use serde_json::Value;

const SITE: &str = r#"Layout(nodes: {
    "speaker": (command: ["sh", "-c", "echo born as $$; echo trouble >&2; exec sleep infinity"]),
    "idle": (command: ["sleep", "infinity"]),
})"#;

/// A client that goes on until it is ended.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn start(cluster: &Cluster, args: &[&str]) -> Self {
        let mut child = common::program()
            .args(args)
            .arg("--run-dir")
            .arg(cluster.run_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let output: Lines<BufReader<ChildStdout>> =
            BufReader::new(child.stdout.take().unwrap()).lines();
        let read = move || {
            for line in output.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("follower".to_owned());
        thread.spawn(read).unwrap();
        Self { child, lines }
    }

    /// The next line that holds this text.
    fn next_with(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(common::PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("in vain for a line with {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Shows: a follower sees the old words of a node, those of its successor, and of the one after the stem
/// died; and it ends with the supervisor.
#[test]
fn logs_are_followed_over_the_deaths_of_node_and_stem() {
    let mut cluster = Start::with(SITE).start_ready();
    let mut follower = Follower::start(&cluster, &["logs", "-f", "speaker", "--fd", "out"]);
    let pid = |cluster: &Cluster| cluster.node_pid("speaker").unwrap();
    let mut before = pid(&cluster);
    follower.next_with(&format!("born as {before}"));
    for victim in ["node", "stem"] {
        let target = match victim {
            "node" => before,
            _ => cluster.stem_pid().unwrap(),
        };
        processes::signal(target, Signal::SIGKILL);
        let line = follower.next_with("born as ");
        assert!(!line.contains(&format!("born as {before}")), "{line}");
        cluster.wait_node("speaker", "is back", |node| {
            node["state"] == "ready" && node["pid"] != i64::from(before)
        });
        before = pid(&cluster);
        assert!(line.contains(&before.to_string()), "{line}");
    }
    cluster.signal(Signal::SIGTERM);
    cluster.wait_end();
    let child = &mut follower.child;
    common::wait_for("the follower ends", common::PATIENCE, || {
        child.try_wait().unwrap()
    });
    assert!(!follower.lines.iter().any(|line| line.contains("trouble")));
}

/// Shows: events are numbered without a gap, also over the death of a node and the stem, and go on where
/// `--since` says.
#[test]
fn events_are_followed_without_a_gap_over_deaths() {
    let cluster = Start::with(SITE).start_ready();
    let follower = Follower::start(&cluster, &["events", "-f", "--since", "0", "--json"]);
    processes::signal(cluster.node_pid("idle").unwrap(), Signal::SIGKILL);
    cluster.wait_node("idle", "is back", |node| {
        node["state"] == "ready" && node["restarts"] == 1
    });
    processes::signal(cluster.stem_pid().unwrap(), Signal::SIGKILL);
    cluster.wait_node("idle", "is back", |node| {
        node["state"] == "ready" && node["incarnation"] == 3
    });
    let mut kinds = Vec::new();
    let mut last = 0;
    while !(kinds.iter().any(|kind| kind == "stem_died")
        && kinds.iter().filter(|kind| *kind == "cluster_ready").count() >= 2)
    {
        let line = follower.lines.recv_timeout(common::PATIENCE).unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["seq"].as_u64().unwrap(), last + 1, "{event}");
        last += 1;
        kinds.push(event["kind"].as_str().unwrap().to_owned());
    }
    for kind in [
        "up",
        "stem_started",
        "node_started",
        "node_ready",
        "node_exited",
    ] {
        assert!(kinds.iter().any(|seen| seen == kind), "{kind} in {kinds:?}");
    }
    drop(follower);
    let since = cluster.ok(&["events", "--json", "--since", &(last - 1).to_string()]);
    let first: Value = serde_json::from_str(since.lines().next().unwrap()).unwrap();
    assert_eq!(first["seq"], last);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: `wait` comes back when the last node got there, not before and not much later.
#[test]
fn wait_comes_back_when_all_are_ready() {
    let cluster = Start::with(
        r#"Layout(nodes: { "patient": (
            command: ["sh", "-c", "until [ -e $DIR/go ]; do sleep 0.02; done; echo >&$NOTIFY_FD; exec sleep infinity"],
            ready: Notify,
        ) })"#,
    )
    .start();
    let mut waiting = Follower::start(&cluster, &["wait", "--for", "ready"]);
    cluster.wait_state("patient", "starting");
    assert_eq!(waiting.child.try_wait().unwrap(), None);
    std::fs::write(cluster.directory().join("go"), "").unwrap();
    let child = &mut waiting.child;
    let status = common::wait_for("it comes back", common::PATIENCE, || {
        child.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(0));
    assert_eq!(cluster.node("patient")["state"], "ready");
    cluster.stop_and_expect_nobody_left();
}

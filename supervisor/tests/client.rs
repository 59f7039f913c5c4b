//! The sub-commands of the real client: exit codes, selectors, columns, JSON.

#![cfg(test)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{Cluster, Start, processes};
use nix::sys::signal::Signal;
use serde_json::Value;

const SITE: &str = r#"Layout(
    controller: (enabled: false),
    nodes: {
        "manager": (node_type: Manager),
        "worker": (node_type: Worker, manager: "manager", count: 2),
        "idle": (command: ["sleep", "infinity"], env: { "PASSWORD": "swordfish" }),
    },
)"#;

fn code(cluster: &Cluster, args: &[&str], expected: i32) -> String {
    let (stdout, stderr, code) = cluster.run(args);
    assert_eq!(code, expected, "{args:?}\n{stdout}{stderr}");
    format!("{stdout}{stderr}")
}

/// The incarnations of all nodes: they tell what was touched.
fn incarnations(cluster: &Cluster) -> Vec<u64> {
    let status = cluster.status();
    let nodes = status["nodes"].as_array().unwrap();
    nodes
        .iter()
        .map(|node| node["incarnation"].as_u64().unwrap())
        .collect()
}

/// Shows: 0, 1, 2, 3, 4, 5, 6, 8, 10, 11 each where a script expects it.
#[test]
fn exit_codes_tell_what_became_of_a_command() {
    let cluster = Start::with(
        r#"Layout(
            nodes: {
                "idle": (command: ["sleep", "infinity"]),
                "spare": (command: ["sleep", "infinity"]),
                "never": (command: ["sleep", "infinity"], ready: Notify, ready_timeout: "off", stage: "last"),
            },
            stages: { "last": (number: 50, quorum: 0, time_limit: "50ms") },
        )"#,
    )
    .start();
    cluster.wait_state("idle", "ready");
    cluster.wait_state("spare", "ready");
    cluster.wait_cluster("degraded");
    code(&cluster, &["status", "idle"], 0);
    code(&cluster, &["status"], 10);
    code(
        &cluster,
        &["wait", "never", "--for", "ready", "--timeout", "0.1"],
        5,
    );
    code(&cluster, &["stop", "idle"], 0);
    code(&cluster, &["signal", "HUP", "idle"], 1);
    code(&cluster, &["signal", "CONT", "idle", "spare"], 6);
    let absent = cluster.directory().join("absent.ron");
    code(&cluster, &["create", "--file", absent.to_str().unwrap()], 3);
    fs::write(&absent, "{ \"new\": (command: [").unwrap();
    code(&cluster, &["create", "--file", absent.to_str().unwrap()], 3);
    code(&cluster, &["deploy", absent.to_str().unwrap()], 3);
    code(&cluster, &["check", absent.to_str().unwrap()], 3);
    code(
        &cluster,
        &["check", cluster.layout_path().to_str().unwrap()],
        0,
    );
    code(
        &cluster,
        &["diff", cluster.layout_path().to_str().unwrap()],
        0,
    );
    let text = fs::read_to_string(cluster.layout_path()).unwrap();
    let other = cluster.directory().join("other.ron");
    fs::write(
        &other,
        text.replace("\"spare\": (", "\"spare\": (nice: 3, "),
    )
    .unwrap();
    let told = code(&cluster, &["diff", other.to_str().unwrap()], 1);
    assert!(told.contains("spare"), "{told}");
    code(&cluster, &["frobnicate"], 2);

    // A change that waits for a node keeps another one off.
    code(
        &cluster,
        &["restart", "never", "spare", "--rolling", "--no-wait"],
        0,
    );
    let told = code(&cluster, &["deploy", other.to_str().unwrap()], 8);
    assert!(told.contains("under way"), "{told}");
    code(&cluster, &["shutdown"], 0);
    code(&cluster, &["status"], 4);
    code(&cluster, &["restart", "--all"], 4);
}

/// Shows: a failed node, or too few, are 11; a second supervisor in the same run directory is 4.
#[test]
fn a_failed_node_and_a_second_supervisor_have_their_codes() {
    let cluster = Start::with(
        r#"Layout(nodes: {
            "broken": (command: ["sh", "-c", "echo no luck; exit 78"], ready: Notify),
            "idle": (command: ["sleep", "infinity"]),
        })"#,
    )
    .start();
    cluster.wait_state("broken", "failed");
    code(&cluster, &["wait", "@failed", "--for", "failed"], 0);
    code(&cluster, &["status"], 11);
    code(&cluster, &["status", "idle"], 0);
    let told = code(&cluster, &["start", "broken"], 1);
    assert!(told.contains("no luck"), "its last words: {told}");
    cluster.wait_state("broken", "failed");
    let told = code(&cluster, &["start", "broken", "idle"], 6);
    assert!(told.contains("broken"), "{told}");
    let second = common::program()
        .arg("--layout")
        .arg(cluster.layout_path())
        .arg("--run-dir")
        .arg(cluster.run_dir())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(4));
    assert_eq!(cluster.node("idle")["restarts"], 0);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: names, globs, roles; a word that names nobody does nothing, not even to those named beside it;
/// and what writes needs to be told to whom.
#[test]
fn selectors_choose_and_unknown_ones_do_nothing() {
    let cluster = Start::with(SITE).start_ready();
    let names = |select: &[&str]| {
        let text = cluster.ok(&[&["status", "--json"], select].concat());
        let status: Value = serde_json::from_str(&text).unwrap();
        let nodes = status["nodes"].as_array().unwrap();
        let names: Vec<_> = nodes.iter().map(|n| n["name"].as_str().unwrap()).collect();
        names.join(" ")
    };
    assert_eq!(names(&["@workers"]), "worker-1 worker-2");
    assert_eq!(names(&["w*-2"]), "worker-2");
    assert_eq!(names(&["@manager", "idle"]).split(' ').count(), 2);
    assert_eq!(names(&["@all"]).split(' ').count(), 4);
    assert_eq!(names(&["@failed"]), "");
    assert_eq!(names(&["worker-1", "@workers"]), "worker-1 worker-2");

    let before = incarnations(&cluster);
    for args in [
        &["restart", "idle", "nobody"][..],
        &["stop", "@wokers"],
        &["restart", "z*"],
        &["destroy", "idle", "worker-3"],
        &["restart"],
        &["stop"],
        &["destroy"],
        &["signal", "HUP"],
        &["start"],
        &["status", "nobody"],
        &["logs", "nobody"],
    ] {
        code(&cluster, args, 2);
    }
    assert_eq!(incarnations(&cluster), before);
    cluster.wait_cluster("ready");
    code(&cluster, &["restart", "--all", "--rolling=2"], 0);
    let after: Vec<u64> = before.iter().map(|number| number + 1).collect();
    assert_eq!(incarnations(&cluster), after);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: the columns of `status`, and that its JSON never leaves a field out.
#[test]
fn status_has_its_columns_and_all_its_fields() {
    let cluster = Start::with(SITE).start_ready();
    cluster.ok(&["stop", "idle"]);
    let text = cluster.ok(&["status"]);
    let head: Vec<&str> = text
        .lines()
        .find(|line| line.starts_with("NAME"))
        .unwrap()
        .split_ascii_whitespace()
        .collect();
    let columns = "NAME ROLE STATE PID UPTIME RESTARTS LAST-EXIT CPU RSS QUEUE DROPS";
    assert_eq!(head.join(" "), columns);
    let status: Value = serde_json::from_str(&cluster.ok(&["status", "--json"])).unwrap();
    for field in ["schema", "ok", "generation", "cluster", "instance", "nodes"] {
        assert!(status.get(field).is_some(), "{field}");
    }
    let fields = [
        "name",
        "role",
        "state",
        "wanted",
        "reason",
        "pid",
        "incarnation",
        "stage",
        "started_at",
        "ready_at",
        "restarts",
        "next_attempt_in_ms",
        "last_exit",
        "cpu_pct",
        "rss_bytes",
        "queue",
        "drops",
        "output_lost_bytes",
        "status_text",
        "in_layout",
    ];
    for node in status["nodes"].as_array().unwrap() {
        let node = node.as_object().unwrap();
        for field in fields {
            assert!(node.contains_key(field), "{field} of {node:?}");
        }
        let stopped = node["name"] == "idle";
        for field in ["pid", "started_at", "ready_at", "cpu_pct", "rss_bytes"] {
            assert_eq!(node[field].is_null(), stopped, "{field} of {node:?}");
        }
        assert_eq!(node["last_exit"].is_null(), !stopped);
    }
    let refused = cluster.run(&["status", "--json", "nobody"]);
    let refused: Value = serde_json::from_str(&refused.0).unwrap();
    assert_eq!(
        (&refused["ok"], &refused["schema"]),
        (&false.into(), &1.into())
    );
    assert_eq!(refused["error"]["code"], 2);
    assert!(refused["error"]["message"].is_string());
    let started: Value = serde_json::from_str(&cluster.ok(&["start", "idle", "--json"])).unwrap();
    let result = &started["results"][0];
    assert_eq!(
        (&result["node"], &result["ok"]),
        (&"idle".into(), &true.into())
    );
    assert!(
        result["pid"].is_i64() && result["error"].is_null(),
        "{started}"
    );
    cluster.stop_and_expect_nobody_left();
}

/// Shows: what support is shown names variables and hides their values.
#[test]
fn diag_masks_the_values_of_variables() {
    let cluster = Start::with(SITE).start_ready();
    for args in [&["diag", "idle"][..], &["diag", "idle", "--json"]] {
        let text = cluster.ok(args);
        assert!(text.contains("PASSWORD"), "{text}");
        assert!(!text.contains("swordfish"), "{text}");
    }
    let checked = cluster.ok(&["diff", cluster.layout_path().to_str().unwrap(), "--json"]);
    assert!(!checked.contains("swordfish"), "{checked}");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a signal reaches the node; one that ends it is no order to stop.
#[test]
fn a_signal_reaches_the_node() {
    let cluster = Start::with(SITE).start_ready();
    let pid = cluster.node_pid("idle").unwrap();
    code(&cluster, &["signal", "STOP", "idle"], 0);
    common::wait_for("it stands still", common::PATIENCE, || {
        processes::status(pid, "State")
            .starts_with('T')
            .then_some(())
    });
    code(&cluster, &["signal", "18", "idle"], 0);
    code(&cluster, &["signal", "SIGKILL", "idle"], 0);
    cluster.wait_node("idle", "is back", |node| {
        node["state"] == "ready" && node["pid"] != i64::from(pid)
    });
    code(&cluster, &["signal", "SPAM", "idle"], 2);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: `shutdown` comes back when everything has ended.
#[test]
fn shutdown_waits_for_the_end() {
    let mut cluster = Start::with(SITE).start_ready();
    let tree = cluster.tree();
    cluster.ok(&["shutdown"]);
    processes::expect_gone(&tree, std::time::Duration::ZERO);
    assert_eq!(cluster.wait_end().code(), Some(0));
    cluster.expect_tidy();
}

/// Shows: the completion script is one, names come from who runs, and quickly nothing from who does not.
#[test]
fn completions_are_scripts_that_know_the_names() {
    let cluster = Start::with(SITE).start_ready();
    let script = cluster.directory().join("completions");
    let output = common::program()
        .args(["completions", "bash"])
        .output()
        .unwrap();
    fs::write(&script, output.stdout).unwrap();
    let parsed = Command::new("bash")
        .arg("-n")
        .arg(&script)
        .output()
        .unwrap();
    assert!(parsed.status.success(), "{parsed:?}");
    let mut names: Vec<String> = cluster
        .ok(&["__names"])
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    names.sort();
    assert_eq!(names, ["idle", "manager", "worker-1", "worker-2"]);
    cluster.signal(Signal::SIGSTOP);
    let (stdout, stderr, _) = cluster.run(&["__names"]);
    cluster.signal(Signal::SIGCONT);
    assert_eq!((stdout.as_str(), stderr.as_str()), ("", ""));
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a reader that has seen enough is no failure, and the options may stand in front.
#[test]
fn output_may_be_cut_off() {
    let cluster = Start::with(SITE).start_ready();
    let line = format!(
        "set -o pipefail; {program} --run-dir {run} events | head -1; {program} --run-dir {run} status | head -1",
        program = env!("CARGO_BIN_EXE_supervisor"),
        run = cluster.run_dir().display(),
    );
    let output = Command::new("bash").args(["-c", &line]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a run directory may be as long as the system takes a socket's path; a longer one is refused with
/// what to do; and a client reaches a socket by any path that leads to it.
#[test]
fn paths_of_the_run_directory_may_be_long() {
    const SOCKET_PATH_MAX: usize = 107;
    let site = r#"Layout(nodes: { "idle": (command: ["sleep", "infinity"]) })"#;
    let directory = tempfile::tempdir().unwrap();
    let room = SOCKET_PATH_MAX - directory.path().as_os_str().len() - "//control.sock".len();
    let longest = directory.path().join("l".repeat(room));
    let layout = directory.path().join("site.ron");
    fs::write(&layout, site).unwrap();
    let words = |run_dir: &Path| {
        let run_dir = run_dir.to_str().unwrap().to_owned();
        let layout = layout.to_str().unwrap().to_owned();
        [
            "--layout".to_owned(),
            layout,
            "--run-dir".to_owned(),
            run_dir,
        ]
    };
    let refused = common::program()
        .args(words(&directory.path().join("l".repeat(room + 1))))
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(3));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("shorter run directory"), "{text}");

    // The client's own path may be longer than an address holds.
    let start = Start::with(site);
    let deep = start
        .directory()
        .join("d".repeat(100))
        .join("e".repeat(100));
    fs::create_dir_all(&deep).unwrap();
    let link = deep.join("run");
    let cluster = start.start_ready();
    std::os::unix::fs::symlink(cluster.run_dir(), &link).unwrap();
    let status = common::program()
        .args(["status", "--run-dir"])
        .arg(&link)
        .output()
        .unwrap();
    assert_eq!(status.status.code(), Some(0), "{status:?}");
    cluster.stop_and_expect_nobody_left();

    let mut daemon = Daemon(
        common::program()
            .args(words(&longest))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let ask = |words: &[&str]| {
        let mut command = common::program();
        command.args(words).arg("--run-dir").arg(&longest);
        command.output().unwrap().status.code()
    };
    common::wait_for("it is ready", common::PATIENCE, || {
        (ask(&["wait", "--for", "ready"]) == Some(0)).then_some(())
    });
    assert_eq!(ask(&["restart", "idle"]), Some(0));
    assert_eq!(ask(&["shutdown"]), Some(0));
    assert_eq!(daemon.0.wait().unwrap().code(), Some(0));
}

/// A supervisor that does not outlive its test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

//! Commands that leave processes behind, or do odd things to their output.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test owns its clock")]

mod common;

use std::time::{Duration, Instant};

use common::layouts::{self, AT_ONCE, IDLE};
use common::processes::{self, ProcessId, Stat};
use common::{Cluster, Start};
use serde_json::{Value, json};

/// Makes a daemon in a session of its own, in the manner of old: its parent has ended when it begins.
/// `up` in the test's directory says that it is there.
const DAEMONISES: &str = r#"setsid -f sh -c 'touch $DIR/up; exec sleep infinity'; until test -e $DIR/up; do sleep 0.02; done"#;

/// Its first thread ends, another goes on; then it writes its number to `$DIR/up`.
const HEADLESS: &str = r#"
import ctypes, os, sys, threading, time
def go_on():
    stat = "/proc/self/task/%d/stat" % os.getpid()
    while open(stat).read().rsplit(")", 1)[1].split()[0] != "Z":
        time.sleep(0.01)
    with open(sys.argv[1] + ".part", "w") as file:
        file.write(str(os.getpid()))
    os.rename(sys.argv[1] + ".part", sys.argv[1])
    time.sleep(600)
threading.Thread(target=go_on).start()
ctypes.CDLL(None).pthread_exit(None)
"#;

fn one(entry: &[&str]) -> Start {
    Start::with(&layouts::nodes(&[("node", &layouts::entry(entry))]))
}

fn shell(script: &str) -> String {
    format!(r#"command: ["sh", "-c", {script:?}]"#)
}

/// Everybody but the supervisor, the stem and the nodes that `status` shows.
fn strays(cluster: &Cluster) -> Vec<ProcessId> {
    let status = cluster.status();
    let nodes = status["nodes"].as_array().unwrap();
    let known: Vec<Option<i64>> = nodes.iter().map(|node| node["pid"].as_i64()).collect();
    let own = [Some(cluster.pid()), cluster.stem_pid()];
    let mut all = cluster.everybody();
    all.retain(|p| !own.contains(&Some(p.pid)) && !known.contains(&Some(i64::from(p.pid))));
    all
}

/// The daemon that [`DAEMONISES`] makes, which leads a session of its own.
fn daemon_of(cluster: &Cluster) -> ProcessId {
    common::wait_for("a daemon", common::PATIENCE, || {
        let leads = |pid| Stat::of(pid).is_some_and(|stat| stat.session == pid);
        let mut all = strays(cluster).into_iter();
        all.find(|process| process.name == "sleep" && leads(process.pid))
    })
}

/// The pipes that the supervisor reads; not those that everybody here has inherited.
fn pipes(cluster: &Cluster) -> Vec<String> {
    let test = i32::try_from(std::process::id()).unwrap();
    let inherited = processes::channels(test);
    let mut own: Vec<String> = processes::channels(cluster.pid()).into_values().collect();
    own.retain(|name| name.starts_with("pipe") && !inherited.values().any(|other| other == name));
    own
}

/// Shows: what a command puts into the background does not outlive it, is reported, and does not hide
/// that the command itself ends again and again.
#[test]
fn a_command_that_makes_itself_a_daemon_ends_as_failed_and_leaves_nobody() {
    let command = shell(DAEMONISES);
    let restart =
        r#"restart: (floor: "20ms", ceiling: "20ms", give_up: (deaths: 3, within: "60s"))"#;
    let cluster = one(&[&command, restart]).start();
    let node = cluster.wait_state("node", "failed");
    let reason = node["reason"].as_str().unwrap();
    assert!(
        reason.contains('3') && reason.contains("exit 0"),
        "{reason}"
    );
    let left = cluster.events_of("node_left_processes", "node");
    assert!(!left.is_empty(), "{:?}", cluster.events());
    assert_eq!(left[0]["detail"]["killed"], "1");
    common::wait_for("nobody is left", common::PATIENCE, || {
        strays(&cluster).is_empty().then_some(())
    });
    cluster.stop_and_expect_nobody_left();
}

/// Shows: no successor is born beside what its predecessor left.
#[test]
fn a_successor_is_born_when_the_last_stray_is_gone() {
    let command = shell(&format!("{DAEMONISES}; exec sleep infinity"));
    let cluster = one(&[&command, AT_ONCE]).start_ready();
    let stray = daemon_of(&cluster);
    cluster.replace("node");
    assert!(!stray.is_alive(), "{stray:?} lives beside the successor");
    cluster.wait_event("node_left_processes", Some("node"));
    cluster.stop_and_expect_nobody_left();
}

/// The process whose number a node wrote to a file in the test's directory.
fn written(cluster: &Cluster, file: &str) -> ProcessId {
    common::wait_for(file, common::PATIENCE, || {
        let text = std::fs::read_to_string(cluster.directory().join(file)).ok()?;
        ProcessId::of(text.trim().parse().ok()?)
    })
}

/// Has it a thread that has not ended? Its first one may have.
fn has_threads(process: &ProcessId) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.pid));
    tasks.is_ok_and(|tasks| tasks.count() > 1) || process.is_alive()
}

/// Shows: a stray whose first thread has ended is found by the marker of another one.
#[test]
fn a_stray_without_its_first_thread_is_ended_too() {
    let script = "setsid -f python3 $DIR/headless.py $DIR/up; \
                  until test -e $DIR/up; do sleep 0.02; done; exec sleep infinity";
    let start = one(&[&shell(script), AT_ONCE]);
    std::fs::write(start.directory().join("headless.py"), HEADLESS).unwrap();
    let cluster = start.start();
    let stray = written(&cluster, "up");
    assert_eq!(Stat::of(stray.pid).unwrap().state, 'Z');
    assert!(has_threads(&stray));
    cluster.replace("node");
    assert!(!has_threads(&stray), "it lives beside the successor");
    cluster.wait_event("node_left_processes", Some("node"));
    cluster.stop_and_expect_nobody_left();
}

/// Shows: what a stray leaves behind when it is killed is waited for as well.
#[test]
fn a_successor_is_born_when_the_last_strays_child_is_gone() {
    let script = "setsid -f sh -c 'setsid sleep infinity & echo $! > $DIR/inner; wait'; \
                  until test -s $DIR/inner; do sleep 0.02; done; exec sleep infinity";
    let cluster = one(&[&shell(script), AT_ONCE]).start_ready();
    for _ in 0..5 {
        let inner = written(&cluster, "inner");
        std::fs::remove_file(cluster.directory().join("inner")).unwrap();
        cluster.replace("node");
        assert!(!inner.is_alive(), "{inner:?} lives beside the successor");
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a daemon without any environment, which nobody can know, holds up one birth, not each.
#[test]
fn a_daemon_without_an_environment_holds_up_one_birth_only() {
    let script = "test -e $DIR/daemon || \
                  setsid -f sh -c 'echo $$ > $DIR/daemon; exec env -i sleep infinity'; \
                  exec sleep infinity";
    let cluster = one(&[&shell(script), AT_ONCE]).start_ready();
    let daemon = written(&cluster, "daemon");
    common::wait_for("a daemon", common::PATIENCE, || {
        let name = Stat::of(daemon.pid)?.name;
        (name == "sleep" && processes::environment(daemon.pid).is_empty()).then_some(())
    });
    cluster.replace("node");
    let fastest = (0..10).map(|_| {
        let begun = Instant::now();
        cluster.replace("node");
        begun.elapsed()
    });
    let fastest = fastest.min().unwrap();
    assert!(fastest < Duration::from_millis(90), "{fastest:?}");
    assert!(daemon.is_alive());
    cluster.stop_and_expect_nobody_left();
}

/// Shows: what a living node put into the background is its own, whoever else dies.
#[test]
fn a_living_nodes_daemon_is_left_alone_when_others_die() {
    let keeper = shell(&format!("{DAEMONISES}; exec sleep infinity"));
    let other = layouts::entry(&[IDLE, AT_ONCE]);
    let cluster =
        Start::with(&layouts::nodes(&[("keeper", &keeper), ("other", &other)])).start_ready();
    let daemon = daemon_of(&cluster);
    for _ in 0..5 {
        cluster.replace("other");
    }
    assert!(daemon.is_alive());
    let answer = cluster.ask(&json!({"stop": {"select": ["keeper"], "wait": true}}));
    assert_eq!(answer["ok"], true, "{answer}");
    processes::expect_gone(&[daemon], Duration::from_secs(5));
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a child that holds the output open does not keep its parent from being over.
#[test]
fn a_child_that_keeps_the_output_open_holds_up_nothing() {
    let command = shell("sleep infinity & setsid sleep infinity & echo said");
    let cluster = one(&[&command, "restart: (policy: Finish)"]).start();
    let node = cluster.wait_state("node", "finished");
    assert_eq!(node["last_exit"]["code"], 0);
    common::wait_for("its words", common::PATIENCE, || {
        (cluster.read("node/stdout.log") == "said\n").then_some(())
    });
    common::wait_for("nobody is left", common::PATIENCE, || {
        strays(&cluster).is_empty().then_some(())
    });
    // Its pipes are closed when the last who held them is gone.
    common::wait_for("no pipe is left", common::PATIENCE, || {
        pipes(&cluster).is_empty().then_some(())
    });
    cluster.stop_and_expect_nobody_left();
}

/// Shows: closing its output is no end: it stays ready, and is revived with new pipes.
#[test]
fn a_command_that_closes_its_output_lives_on() {
    let command = shell("echo before; exec >&- 2>&-; exec sleep infinity");
    let cluster = one(&[&command, AT_ONCE]).start_ready();
    common::wait_for("its pipes are closed", common::PATIENCE, || {
        pipes(&cluster).is_empty().then_some(())
    });
    let before = cluster.node("node");
    assert_eq!(
        (&before["state"], &before["restarts"]),
        (&json!("ready"), &json!(0))
    );
    cluster.replace("node");
    common::wait_for("both births have spoken", common::PATIENCE, || {
        (cluster.read("node/stdout.log") == "before\nbefore\n").then_some(())
    });
    assert_eq!(cluster.events_of("problem", "node"), Vec::<Value>::new());
    cluster.stop_and_expect_nobody_left();
}

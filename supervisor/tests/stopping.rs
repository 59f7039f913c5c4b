//! The end of the supervisor by signals: orderly, impatient, without grace, from a terminal.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test owns its clock")]

mod common;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::processes::{self, Stat};
use common::{Cluster, PATIENCE, Start, program, wait_for};
use nix::sys::signal::Signal;

/// Nodes that take no notice of SIGTERM, and would have a minute to think about it.
const STUBBORN: &str = r#"Layout(
    nodes: {
        "stubborn": (
            command: ["sh", "-c", "trap 'echo no' TERM; echo here; while :; do sleep infinity & wait; done"],
            count: 2,
        ),
        "worker": (node_type: Worker),
    },
    stop: (grace: "60s", deadline: "90s"),
    controller: (enabled: false),
)"#;

fn start_stubborn() -> Cluster {
    let cluster = Start::with(STUBBORN).start_ready();
    for number in [1, 2] {
        cluster.wait_text(&format!("stubborn-{number}/stdout.log"), "here\n");
    }
    cluster
}

/// The stubborn ones have heard SIGTERM, and are there all the same.
fn wait_refused(cluster: &Cluster) {
    for number in [1, 2] {
        cluster.wait_text(&format!("stubborn-{number}/stdout.log"), "no\n");
    }
    for number in [1, 2] {
        let node = cluster.node(&format!("stubborn-{number}"));
        assert_eq!(node["state"], "stopping");
    }
}

/// What the supervisor said of each request to stop.
fn shutdowns(cluster: &Cluster) -> Vec<String> {
    let log = cluster.read("supervisor.log");
    // The last line may still be being written.
    let lines = log
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let said = lines.filter(|line| line.contains("event=shutdown "));
    said.map(str::to_owned).collect()
}

fn expect_ended(mut cluster: Cluster, tree: &[processes::ProcessId], codes: &[i32]) {
    let code = cluster.wait_end().code().unwrap();
    assert!(
        codes.contains(&code),
        "ended with {code}\n{}",
        cluster.console()
    );
    processes::expect_gone(tree, Duration::from_secs(5));
    cluster.expect_tidy();
}

/// Shows: nodes that end when they are asked to are not waited for any longer than that. Many rounds,
/// because a lost wake-up shows only now and then.
#[test]
fn an_orderly_stop_takes_no_longer_than_the_nodes_do() {
    for _ in 0..12 {
        let mut cluster =
            Start::with(r#"Layout(nodes: { "idle": (command: ["sleep", "infinity"], count: 2) })"#)
                .start_ready();
        let begun = Instant::now();
        cluster.signal(Signal::SIGTERM);
        assert_eq!(cluster.wait_end().code(), Some(0));
        let took = begun.elapsed();
        assert!(
            took < Duration::from_secs(3),
            "{took:?}\n{}",
            cluster.console()
        );
        cluster.expect_tidy();
    }
}

/// Shows: SIGTERM stops in the reverse order of the start, and the supervisor ends with 0.
#[test]
fn sigterm_stops_in_reverse_order() {
    let mut cluster = Start::with(
        r#"Layout(
            nodes: {
                "logger": (node_type: Logger),
                "manager": (node_type: Manager),
                "worker": (node_type: Worker, manager: "manager"),
            },
            controller: (enabled: false),
        )"#,
    )
    .start_ready();
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.wait_end().code(), Some(0));
    let log = cluster.read("supervisor.log");
    let at = |node: &str| log.find(&format!("node={node} event=node_exited")).unwrap();
    assert!(
        at("worker") < at("manager") && at("manager") < at("logger"),
        "{log}"
    );
}

/// Shows: after one SIGTERM nodes that ignore it have their grace; a second one ends the patience.
#[test]
fn a_second_sigterm_ends_the_grace() {
    let cluster = start_stubborn();
    let tree = cluster.tree();
    cluster.signal(Signal::SIGTERM);
    wait_refused(&cluster);
    // One that comes after five seconds, on a machine so slow, is a first one again.
    wait_for("a second request counts as one", PATIENCE, || {
        let before = shutdowns(&cluster).len();
        cluster.signal(Signal::SIGTERM);
        let said = wait_for("the signal is read", PATIENCE, || {
            shutdowns(&cluster).into_iter().nth(before)
        });
        (!said.contains("grace=layout")).then_some(())
    });
    expect_ended(cluster, &tree, &[0, 5]);
}

/// Shows: three SIGTERMs, whatever they meet, leave nobody.
#[test]
fn a_third_sigterm_leaves_nobody() {
    let cluster = start_stubborn();
    let tree = cluster.tree();
    for asked in 1..=3 {
        cluster.signal(Signal::SIGTERM);
        // Signals that come together count as one; each has to have been read before the next.
        wait_for("the signal is read, or all is over", PATIENCE, || {
            let read = shutdowns(&cluster).len();
            (read >= asked || Stat::of(cluster.pid()).is_none_or(|stat| stat.state == 'Z'))
                .then_some(())
        });
    }
    expect_ended(cluster, &tree, &[0, 5]);
}

/// Shows: SIGQUIT asks nobody twice.
#[test]
fn sigquit_stops_without_grace() {
    let cluster = start_stubborn();
    let tree = cluster.tree();
    cluster.signal(Signal::SIGQUIT);
    expect_ended(cluster, &tree, &[0, 5]);
}

/// Shows: the deadline of the whole stop ends those who ignore SIGTERM and have a longer grace, and the
/// exit code tells of it.
#[test]
fn the_deadline_of_the_stop_ends_whoever_is_left() {
    let layout = STUBBORN
        .replace("\"60s\"", "\"50s\"")
        .replace("\"90s\"", "\"500ms\"");
    let mut cluster = Start::with(&layout).start_ready();
    let tree = cluster.tree();
    for number in [1, 2] {
        cluster.wait_text(&format!("stubborn-{number}/stdout.log"), "here\n");
    }
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.wait_end().code(), Some(5), "{}", cluster.console());
    processes::expect_gone(&tree, Duration::from_secs(5));
}

/// Shows: a Ctrl-C typed into the supervisor's terminal reaches nobody but the supervisor, which then
/// stops its nodes with the signal of the layout; they have no way to the terminal either.
#[test]
fn ctrl_c_in_a_terminal_reaches_the_supervisor_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(
        path.join("site.ron"),
        r#"Layout(nodes: { "ears": (command: ["sh", "-c", "
            trap 'echo interrupted' INT; trap 'echo terminated; exit 0' TERM
            echo listening
            while :; do sleep infinity & wait; done
        "]) })"#,
    )
    .unwrap();
    let supervisor = program().get_program().to_str().unwrap().to_owned();
    let mut terminal = Command::new("script")
        .args(["-qec", &format!("exec {supervisor} --layout site.ron")])
        .arg("/dev/null")
        .current_dir(path)
        .stdin(Stdio::piped())
        .stdout(fs::File::create(path.join("terminal")).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = || fs::read_to_string(path.join("run/ears/stdout.log")).unwrap_or_default();
    wait_for("the node listens", PATIENCE, || {
        said().contains("listening").then_some(())
    });
    let ears: i32 = wait_for("its pid file", PATIENCE, || {
        let text = fs::read_to_string(path.join("run/ears/pid")).ok()?;
        text.trim().parse().ok()
    });
    let pid: i32 = fs::read_to_string(path.join("run/supervisor.pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let tree = processes::tree(pid);
    let stem = Stat::of(ears).unwrap().parent;
    for below in [stem, ears] {
        let stat = Stat::of(below).unwrap();
        assert_eq!((stat.group, stat.session, stat.terminal), (below, stem, 0));
    }
    assert_ne!(Stat::of(pid).unwrap().terminal, 0);
    terminal.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    let status = wait_for("the supervisor ends", PATIENCE, || {
        terminal.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(0));
    assert_eq!(said(), "listening\nterminated\n");
    processes::expect_gone(&tree, Duration::from_secs(5));
    let shown = fs::read_to_string(path.join("terminal")).unwrap();
    assert!(shown.contains("[ears] terminated"), "{shown}");
}

//! What people type at the commands of the fabric who do not mean well, or are in a hurry.

#![cfg(test)]

mod common;

use std::io::{BufRead, BufReader};

use common::terminals::wait_up;
use common::{Cluster, PATIENCE, Start, wait_for};

const SITE: &str = r#"(
    nodes: { "manager": (node_type: Manager), "worker": (node_type: Worker) },
)"#;

fn start() -> Cluster {
    Start::with(SITE).start_ready()
}

/// Shows: `sub | head -1` is over when head is, and not at the next record.
#[test]
fn sub_ends_quietly_when_nobody_reads_it_any_more() {
    let cluster = start();
    let (mut sub, out) = cluster.piped("sub", &["sub", "odd/"]);
    wait_up(&cluster, &sub);
    cluster.ok(&["pub", "odd/one", "first"]);
    let mut head = BufReader::new(out);
    let mut line = String::new();
    head.read_line(&mut line).unwrap();
    assert!(line.contains("first()"), "{line}");
    drop(head);
    assert_eq!((sub.wait_end(), sub.err()), (0, String::new()));
    cluster.stop_and_expect_nobody_left();
}

#[test]
fn sub_without_standard_output_fails_at_once_and_says_why() {
    let cluster = start();
    let program = common::program().get_program().to_owned();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "exec \"$0\" \"$@\" >&-"]).arg(program);
    let output = shell
        .args(["sub", "odd/", "--run-dir"])
        .arg(cluster.run_dir())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("standard output is closed"), "{said}");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a name that cannot be meant is a matter of usage, with the code of that, and nothing is published.
#[test]
fn what_cannot_be_meant_is_refused_with_a_hint() {
    let cluster = start();
    for (words, hint) in [
        (vec!["pub", "", "event"], "a topic cannot be empty"),
        (vec!["pub", "odd/", ""], "an event's name cannot be empty"),
        (vec!["pub", "odd/\n", "event"], "no control characters"),
        (vec!["peers", "--timeout", "nan"], "give seconds from 0 up"),
        (vec!["peers", "--timeout", "-1"], "give seconds from 0 up"),
        (vec!["peers", "--timeout", "inf"], "a year at most"),
        (vec!["peers", "@failed"], "supervisor status @failed"),
    ] {
        let (out, said, code) = cluster.run(&words);
        assert_eq!((out.as_str(), code), ("", 2), "{words:?}: {said}");
        assert!(said.contains(hint), "{words:?}: {said}");
    }
    let huge = "x".repeat(100_000);
    for words in [
        vec!["peers", &huge],
        vec!["status", &huge],
        vec!["check", &huge],
        vec!["pub", "odd/", "event", &huge],
    ] {
        let (out, said, code) = cluster.run(&words);
        assert!(
            code != 0 && out.is_empty() && said.len() < 4000,
            "{code} {}",
            said.len()
        );
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: what a node prints cannot turn the line around in which it is shown.
#[test]
fn what_a_node_prints_does_not_turn_the_terminals_text_around() {
    let site = r#"(nodes: { "talker": (command: ["sh", "-c", "printf 'a\\342\\200\\256b\\n'; exec sleep 1000"]) })"#;
    let cluster = Start::with(site).start_ready();
    let shown = wait_for("its line", PATIENCE, || {
        Some(cluster.ok(&["logs", "talker"])).filter(|shown| shown.contains('b'))
    });
    assert!(shown.contains("a\\u{202e}b"), "{shown}");
    cluster.stop_and_expect_nobody_left();
}

//! Output that cannot be written or shown: a full disk, a console that nobody reads.

#![cfg(test)]

mod common;

use std::fs;
use std::io::{Read, pipe};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;

use common::{Cluster, Start, wait_for};
use nix::sys::signal::Signal;

/// A path as the supervisor's own mounts show it.
fn in_mounts_of(cluster: &Cluster, path: &str) -> PathBuf {
    let path = cluster.directory().join(path);
    PathBuf::from(format!("/proc/{}/root{}", cluster.pid(), path.display()))
}

/// Shows: what a full disk costs is counted and told, the node goes on, and when there is room again its
/// file says how much is missing. The disk is a small one that only this supervisor sees.
#[test]
fn a_full_disk_is_counted_and_told_and_the_node_goes_on() {
    let cluster = Start::with(
        r#"Layout(nodes: { "writer": (
            command: ["sh", "-c", "
                i=0
                while :; do
                    i=$((i+1)); echo $i $(seq -s, 60)
                    sleep 0.01
                done
            "],
            stdout_file: "$DIR/small/writer.log",
        ) })"#,
    )
    .in_own_mounts(
        "mkdir $DIR/small
         mount -t tmpfs -o size=160k none $DIR/small
         head -c 140k /dev/zero > $DIR/small/ballast",
    )
    .start_ready();
    let pid = cluster.node_pid("writer");
    let lost = cluster.wait_event("output_lost", Some("writer"));
    assert_eq!(lost["detail"]["stream"], "out");
    let why = lost["detail"]["error"].as_str().unwrap();
    assert!(why.contains("No space left"), "{why}");
    let node = cluster.wait_node("writer", "lost bytes are counted", |node| {
        node["output_lost_bytes"].as_u64() > Some(0)
    });
    assert_eq!(node["state"], "ready");
    fs::remove_file(in_mounts_of(&cluster, "small/ballast")).unwrap();
    let back = cluster.wait_event("output_back", Some("writer"));
    assert_ne!(back["detail"]["lost_bytes"], "0");
    let text = fs::read_to_string(in_mounts_of(&cluster, "small/writer.log")).unwrap();
    let (_, behind) = text
        .split_once("bytes of output could not be written")
        .expect("the file tells of the loss");
    assert!(behind.lines().count() > 1, "nothing came after the loss");
    assert_eq!(cluster.node_pid("writer"), pid, "it was not born again");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a file that takes nothing at all costs its lines and no more; the last lines are still known.
#[test]
fn a_file_that_takes_nothing_costs_its_lines_and_no_more() {
    let cluster = Start::with(
        r#"Layout(nodes: { "writer": (
            command: ["sh", "-c", "echo twelve bytes; exec sleep infinity"],
            stdout_file: "/dev/full",
        ) })"#,
    )
    .start_ready();
    cluster.wait_event("output_lost", Some("writer"));
    let node = cluster.wait_node("writer", "lost bytes are counted", |node| {
        node["output_lost_bytes"].as_u64() > Some(0)
    });
    assert_eq!(node["output_lost_bytes"], "twelve bytes\n".len());
    assert_eq!(node["state"], "ready");
    let (shown, _, _) = cluster.run(&["logs", "writer"]);
    assert!(shown.contains("twelve bytes"), "{shown}");
    cluster.stop_and_expect_nobody_left();
}

const CHATTER: &str = r#"Layout(
    nodes: {
        "chatter": (command: ["sh", "-c", "yes $(seq -s, 300) | head -c 4000000"],
                    restart: (policy: Finish)),
        "idle": (command: ["sleep", "infinity"]),
    },
)"#;

/// All of the chatter is in its file, though the console did not take it, and everything else works.
fn expect_unharmed(cluster: &Cluster) {
    cluster.wait_state("chatter", "finished");
    let path = cluster.run_dir().join("chatter/stdout.log");
    wait_for("all bytes are in the file", common::PATIENCE, || {
        (fs::metadata(&path).unwrap().len() == 4_000_000).then_some(())
    });
    wait_for("lost lines are counted", common::PATIENCE, || {
        let lost = cluster.status()["instance"]["console_lines_lost"].as_u64();
        lost.filter(|lines| *lines > 0)
    });
    cluster.ok(&["restart", "idle"]);
    assert_eq!(cluster.node("chatter")["output_lost_bytes"], 0);
}

/// Shows: a console that nobody reads holds up neither nodes nor clients nor the end.
#[test]
fn a_stalled_console_costs_lines_on_the_console_only() {
    let (mut reader, writer) = pipe().unwrap();
    let mut cluster = Start::with(CHATTER)
        .stdout(Stdio::from(OwnedFd::from(writer)))
        .start();
    expect_unharmed(&cluster);
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.wait_end().code(), Some(0));
    let mut shown = Vec::new();
    reader.read_to_end(&mut shown).unwrap();
    assert!(shown.starts_with(b"[chatter] 1,2,3,"));
}

/// Shows: a reader who takes a while, then reads on, is told how many lines it missed.
#[test]
fn a_console_that_is_read_again_tells_what_was_missed() {
    let (mut reader, writer) = pipe().unwrap();
    let cluster = Start::with(CHATTER)
        .stdout(Stdio::from(OwnedFd::from(writer)))
        .start();
    expect_unharmed(&cluster);
    let notice = b"lines were not shown here\n";
    let mut shown = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while !shown.windows(notice.len()).any(|window| window == notice) {
        let count = reader.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "the console ended without a notice");
        let tail = shown.len().saturating_sub(notice.len());
        shown.drain(..tail);
        shown.extend_from_slice(&buffer[..count]);
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a console whose reader has gone harms nobody either.
#[test]
fn a_closed_console_costs_lines_on_the_console_only() {
    let (reader, writer) = pipe().unwrap();
    let cluster = Start::with(CHATTER).stdout(Stdio::from(OwnedFd::from(writer)));
    drop(reader);
    let cluster = cluster.start();
    expect_unharmed(&cluster);
    cluster.stop_and_expect_nobody_left();
}

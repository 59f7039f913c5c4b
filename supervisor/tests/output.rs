//! What nodes say: in their files, on the supervisor's console, and to whoever follows a file.

#![cfg(test)]

mod common;

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::process::{Child, Command, Stdio};

use common::{Start, wait_for};
use nix::sys::signal::Signal;

const LAST_WORDS: &str = r#"Layout(
    nodes: {
        "talker": (
            command: ["sh", "-c", "
                trap 'echo last word; echo last complaint >&2; exit 0' TERM
                echo word; echo complaint >&2
                sleep infinity & wait
            "],
            directory: "$DIR/some/where",
            stdout_file: "$DIR/some/where/words",
            stderr_file: "$DIR/some/where/complaints",
        ),
    },
)"#;

/// Shows: the files in a node's directory hold its own lines and nothing else, one birth after the
/// other (A12).
#[test]
fn output_files_hold_exactly_the_lines_of_the_node_over_restarts() {
    let cluster = Start::with(LAST_WORDS).start_ready();
    cluster.wait_text("../some/where/words", "word\n");
    cluster.wait_text("../some/where/complaints", "complaint\n");
    cluster.ok(&["restart", "talker"]);
    let twice = |one: &str| format!("{one}\nlast {one}\n{one}\n");
    for (file, one) in [("words", "word"), ("complaints", "complaint")] {
        let path = format!("../some/where/{file}");
        let all =
            cluster.wait_content(&path, "both births", |text| text.matches('\n').count() == 3);
        assert_eq!(all, twice(one));
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: both streams stand on the console behind the node's name, the words of its end among them
/// (A13).
#[test]
fn both_streams_are_shown_on_the_console_last_words_included() {
    let start = Start::with(LAST_WORDS);
    let shown = start.directory().join("shown");
    let shown_to = fs::File::create(&shown).unwrap();
    let mut cluster = start.stdout(Stdio::from(shown_to)).start_ready();
    cluster.wait_text("../some/where/words", "word\n");
    cluster.wait_text("../some/where/complaints", "complaint\n");
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.wait_end().code(), Some(0));
    assert_eq!(
        fs::read_to_string(shown).unwrap(),
        "[talker] word\n[talker] last word\n"
    );
    let console = cluster.console();
    let complaints: Vec<&str> = console
        .lines()
        .filter(|line| line.starts_with("[talker] "))
        .collect();
    let expected = ["[talker] complaint", "[talker] last complaint"];
    assert_eq!(complaints, expected, "{console}");
}

/// Shows: a line longer than `line_max` is cut with a mark; without the marks nothing is missing.
#[test]
fn a_long_line_is_cut_with_a_mark_and_loses_nothing() {
    let cluster = Start::with(
        r#"Layout(
            nodes: { "long": (
                command: ["sh", "-c", "head -c 10000 /dev/zero | tr '\\000' x; echo; echo end"],
                restart: (policy: Finish),
            ) },
            output: (line_max: "1KiB", rotate: "1MiB"),
        )"#,
    )
    .start();
    cluster.wait_state("long", "finished");
    let text = cluster.wait_text("long/stdout.log", "end\n");
    let mark = " …[line goes on]\n";
    assert_eq!(text.matches(mark).count(), 9, "{text}");
    assert!(text.lines().all(|line| line.len() <= 1024 + mark.len()));
    assert_eq!(
        text.replace(mark, ""),
        format!("{}\nend\n", "x".repeat(10_000))
    );
    let (shown, _, _) = cluster.run(&["logs", "long"]);
    assert_eq!(shown.matches('x').count(), 10_000);
    cluster.stop_and_expect_nobody_left();
}

/// A `tail -F`, with what it showed in a file.
struct Follower {
    tail: Child,
    seen: std::path::PathBuf,
}

impl Follower {
    fn of(cluster: &common::Cluster, file: &str) -> Self {
        let seen = cluster.directory().join("seen");
        let tail = Command::new("tail")
            .args(["-s", "0.02", "-n", "+1", "-F"])
            .arg(cluster.run_dir().join(file))
            .stdout(fs::File::create(&seen).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { tail, seen }
    }

    fn seen(&self) -> String {
        fs::read_to_string(&self.seen).unwrap()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.tail.kill();
        let _ = self.tail.wait();
    }
}

/// Shows: `tail -F` on a node's file sees every line of several births, while the file is rotated.
#[test]
fn a_follower_of_a_file_sees_every_line_over_restarts_and_rotations() {
    let cluster = Start::with(
        r#"Layout(
            nodes: { "counter": (command: ["sh", "-c", "
                for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
                    echo $SUPERVISOR_INCARNATION/$i is a line of some length, so that files fill
                    sleep 0.05
                done
                echo $SUPERVISOR_INCARNATION/end
                exec sleep infinity
            "]) },
            output: (rotate: "1KiB", line_max: "256B", keep: 5),
        )"#,
    )
    .start();
    cluster.wait_text("counter/stdout.log", "/1 is");
    let follower = Follower::of(&cluster, "counter/stdout.log");
    let mut births = Vec::new();
    for _ in 0..2 {
        let node = cluster.wait_state("counter", "ready");
        let birth = node["incarnation"].as_u64().unwrap();
        wait_for("the follower sees the end", common::PATIENCE, || {
            follower
                .seen()
                .contains(&format!("{birth}/end\n"))
                .then_some(())
        });
        births.push(birth);
        cluster.ok(&["restart", "counter"]);
    }
    let seen = follower.seen();
    for birth in births {
        for i in 1..=16 {
            let line = format!("{birth}/{i} is a line of some length, so that files fill\n");
            assert_eq!(seen.matches(&line).count(), 1, "{line}{seen}");
        }
    }
    assert!(!cluster.read("counter/stdout.log.1").is_empty());
    cluster.stop_and_expect_nobody_left();
}

/// Shows: fifty million bytes, written as fast as the program can, are in the file to the last one.
#[test]
fn a_flood_is_in_the_file_to_the_last_byte() {
    const BYTES: u64 = 50_000_000;
    let cluster = Start::with(
        r#"Layout(
            nodes: { "flood": (
                command: ["sh", "-c", "yes $(seq -s, 500) | head -c 50000000"],
                restart: (policy: Finish),
            ) },
            output: (rotate: "100MiB"),
        )"#,
    )
    .stdout(Stdio::null())
    .start();
    cluster.wait_state("flood", "finished");
    let path = cluster.run_dir().join("flood/stdout.log");
    wait_for("all bytes are in the file", common::PATIENCE, || {
        (fs::metadata(&path).unwrap().len() == BYTES).then_some(())
    });
    let words: Vec<String> = (1..=500).map(|number| number.to_string()).collect();
    let line = format!("{}\n", words.join(","));
    let block = line.repeat(1_000);
    let mut file = fs::File::open(&path).unwrap();
    let mut read = vec![0; block.len()];
    let mut left = usize::try_from(BYTES).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    while left > 0 {
        let now = left.min(block.len());
        file.read_exact(&mut read[..now]).unwrap();
        assert!(
            read[..now] == block.as_bytes()[..now],
            "{left} bytes before the end"
        );
        left -= now;
    }
    assert_eq!(cluster.node("flood")["output_lost_bytes"], 0);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: while one node floods, the words of a quiet one arrive, and the supervisor answers.
#[test]
fn a_flood_does_not_drown_a_quiet_neighbour() {
    let cluster = Start::with(
        r#"Layout(
            nodes: {
                "flood": (command: ["yes", "I have nothing to say, and I say it all the time"]),
                "quiet": (command: ["sh", "-c", "
                    trap 'echo called' USR1
                    echo listening
                    while :; do sleep infinity & wait; done
                "]),
            },
            output: (rotate: "1MiB", keep: 1),
        )"#,
    )
    .stdout(Stdio::null())
    .start_ready();
    cluster.wait_text("quiet/stdout.log", "listening\n");
    wait_for("the flood runs", common::PATIENCE, || {
        let path = cluster.run_dir().join("flood/stdout.log.1");
        path.exists().then_some(())
    });
    for calls in 1..=3 {
        cluster.ok(&["signal", "USR1", "quiet"]);
        wait_for("the quiet one is heard", common::PATIENCE, || {
            let text = cluster.read("quiet/stdout.log");
            (text.matches("called\n").count() == calls).then_some(())
        });
    }
    assert_eq!(cluster.node("quiet")["restarts"], 0);
    assert_eq!(cluster.node("flood")["restarts"], 0);
    cluster.stop_and_expect_nobody_left();
}

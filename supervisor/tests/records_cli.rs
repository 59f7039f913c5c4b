//! `records verify`, `show` and `rotate`: over files that the core of loggers wrote, and by way of a
//! supervisor.

#![cfg(test)]

mod common;
mod written;

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use serde_json::Value;

use common::{PATIENCE, Start, layouts, program, wait_for};
use written::{Logger, OTHER, WORKER};

fn run(run_dir: &Path, args: &[&str]) -> (String, String, i32) {
    let mut command = program();
    command
        .arg("records")
        .args(args)
        .arg("--run-dir")
        .arg(run_dir);
    let output = command.stdin(Stdio::null()).output().unwrap();
    (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
        output.status.code().unwrap(),
    )
}

fn ok(run_dir: &Path, args: &[&str]) -> String {
    let (out, err, code) = run(run_dir, args);
    assert_eq!(code, 0, "{args:?}: {out}{err}");
    out
}

/// What is wrong, as it is said; something is.
fn wrong(run_dir: &Path, args: &[&str]) -> String {
    let (out, err, code) = run(run_dir, args);
    assert_eq!(code, 1, "{args:?}: {out}{err}");
    err
}

fn json(run_dir: &Path, args: &[&str]) -> Value {
    let (out, _, _) = run(run_dir, args);
    serde_json::from_str(&out).unwrap()
}

/// Two loggers with rotated and current files, two sources, and numbers that go to two logs in turn.
fn site(run_dir: &Path) -> [Logger; 2] {
    let mut first = Logger::begin(run_dir, "logger-1");
    first.write("conn", WORKER, 0..4).write("dns", WORKER, 4..6);
    first.rotate("conn").write("conn", WORKER, 6..9);
    first.write("conn", OTHER, 10..12);
    let mut second = Logger::begin(run_dir, "logger-2");
    second.wait(1).write("conn", WORKER, 0..2);
    [first, second]
}

/// Puts other bytes in the place of some in a file.
fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

fn index_of(file: &Path) -> PathBuf {
    PathBuf::from(format!("{}.idx", file.display()))
}

/// Shows: whole files of several loggers, rotated ones too, are proved; of each path and source numbers and
/// counts are told, and a number that another log has is no gap.
#[test]
fn what_loggers_have_written_is_proved() {
    let directory = tempfile::tempdir().unwrap();
    let run_dir = directory.path();
    let [_first, _second] = site(run_dir);
    let told = ok(run_dir, &["verify"]);
    assert!(told.ends_with("proved: 13 records in 4 files\n"), "{told}");
    assert!(!told.contains("stand nowhere"), "{told}");
    let row = format!(
        "logger-1  conn  {:032x}      0     8        7         0\n",
        WORKER.0
    );
    assert!(told.contains(&row), "{told}");
    let reply = json(run_dir, &["verify", "--json"]);
    assert_eq!(reply["ok"], true);
    let sources = &reply["loggers"][0]["sources"];
    assert_eq!(sources[0]["last"], 8);
    assert_eq!(sources[0]["missing"], 0);
    assert_eq!(sources[1]["first"], 10);
    let told = ok(run_dir, &["verify", "logger-1", "Conn::LOG"]);
    assert!(told.ends_with("proved: 9 records in 2 files\n"), "{told}");
    // With one log alone the numbers of the other are not missed.
    assert!(!told.contains("stand nowhere"), "{told}");
}

/// Shows: numbers that stand nowhere are told, and are no fault.
#[test]
fn numbers_that_stand_nowhere_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut logger = Logger::begin(directory.path(), "logger");
    logger
        .write("conn", WORKER, 0..2)
        .write("conn", WORKER, 5..6);
    let told = ok(directory.path(), &["verify"]);
    assert!(told.contains("3 numbers of"), "{told}");
    assert!(told.contains("stand nowhere (2-4)"), "{told}");
}

/// Shows: each thing that somebody can do to a file is found, named with its file, and ends with 1.
#[test]
fn whatever_was_done_to_a_file_is_found_and_named() {
    type Tampering = fn(&Path);
    let current: [(&str, Tampering, &str); 6] = [
        (
            "a line changed",
            |file| change(file, |bytes| *bytes.iter_mut().rev().nth(1).unwrap() ^= 1),
            "is not what was written there",
        ),
        (
            "a line repeated",
            |file| {
                change(file, |bytes| {
                    let line = bytes.split_inclusive(|b| *b == b'\n').next_back();
                    let line = line.unwrap().to_vec();
                    bytes.extend(line);
                });
            },
            "nothing tells of what stands from byte",
        ),
        (
            "a file cut",
            |file| change(file, |bytes| bytes.truncate(bytes.len() - 3)),
            "is not whole",
        ),
        (
            "an index removed",
            |file| fs::remove_file(index_of(file)).unwrap(),
            "there is no index beside it",
        ),
        (
            "an index changed",
            |file| change(&index_of(file), |bytes| bytes[70] ^= 1),
            "its index cannot be read from byte 64 on",
        ),
        (
            "a file removed",
            |file| fs::remove_file(file).unwrap(),
            "the file is not here",
        ),
    ];
    for (what, tamper, expected) in current {
        let directory = tempfile::tempdir().unwrap();
        let [logger, _second] = site(directory.path());
        tamper(&logger.file("conn.log"));
        let told = wrong(directory.path(), &["verify"]);
        let place = "logger-1/conn.log: ";
        let named = told
            .lines()
            .any(|line| line.starts_with(place) && line.contains(expected));
        assert!(named, "{what}: {told}");
        assert!(told.contains("not proved: "), "{what}: {told}");
        // Whoever asks for the other logger hears nothing of it.
        ok(directory.path(), &["verify", "logger-2"]);
    }
}

/// Shows: a file that was cut together with its index is found by what its logger has stored, and one that
/// is missing between others by those behind it.
#[test]
fn what_files_and_indexes_agree_on_is_found_too() {
    let directory = tempfile::tempdir().unwrap();
    let [logger, _second] = site(directory.path());
    let file = logger.file("conn.log");
    change(&file, |bytes| {
        let last = bytes.split_inclusive(|b| *b == b'\n').next_back();
        let last = last.unwrap().len();
        bytes.truncate(bytes.len() - last);
    });
    change(&index_of(&file), |bytes| bytes.truncate(bytes.len() - 32));
    let told = wrong(directory.path(), &["verify"]);
    assert!(
        told.contains("did when its logger stored its state"),
        "{told}"
    );

    let directory = tempfile::tempdir().unwrap();
    let mut logger = Logger::begin(directory.path(), "logger");
    for first in [0, 3, 6] {
        logger.write("conn", WORKER, first..first + 3);
        logger.rotate("conn").wait(60);
    }
    logger.write("conn", WORKER, 9..10);
    let files = logger.rotated("conn");
    let remove = |file: &Path| {
        fs::remove_file(file).unwrap();
        fs::remove_file(index_of(file)).unwrap();
    };
    remove(&files[0]);
    let told = ok(directory.path(), &["verify"]);
    assert!(
        told.contains("below 3 stood in files of conn that are not here"),
        "{told}"
    );
    remove(&files[2]);
    let told = wrong(directory.path(), &["verify"]);
    assert!(told.contains("record 8 of"), "{told}");
}

/// Shows: a record that stands in two files is named.
#[test]
fn a_record_that_stands_twice_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut logger = Logger::begin(directory.path(), "logger");
    logger.write("conn", WORKER, 0..3).rotate("conn");
    // One that has forgotten what stands, as no logger does.
    for slot in cluster::logging::files::state::SLOT_NAMES {
        let _ = fs::remove_file(logger.file(slot));
    }
    let mut forgetful = Logger::begin(directory.path(), "logger");
    forgetful.wait(60).write("conn", WORKER, 2..5);
    let told = wrong(directory.path(), &["verify"]);
    let record = format!(
        "logger/conn.log: record 2 of {:032x} stands twice",
        WORKER.0
    );
    assert!(told.contains(&record), "{told}");
}

/// Shows: a packed file is proved as it was before, and shown; one that was cut is not whole.
#[test]
fn packed_files_are_read_as_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let [logger, _second] = site(directory.path());
    let file = logger.rotated("conn").remove(0);
    let status = Command::new("gzip").arg(&file).status().unwrap();
    assert!(status.success());
    let told = ok(directory.path(), &["verify"]);
    assert!(told.ends_with("proved: 13 records in 4 files\n"), "{told}");
    let shown = ok(directory.path(), &["show", "conn", "--logger", "logger-1"]);
    assert_eq!(
        shown.lines().filter(|line| !line.starts_with('#')).count(),
        9
    );
    let packed = PathBuf::from(format!("{}.gz", file.display()));
    change(&packed, |bytes| bytes.truncate(bytes.len() / 2));
    let told = wrong(directory.path(), &["verify"]);
    assert!(told.contains("is not whole"), "{told}");
}

/// The numbers of the records that are shown.
fn numbers(shown: &str) -> Vec<u64> {
    let records = shown.lines().filter(|line| !line.starts_with('#'));
    records
        .map(|line| line.rsplit('\t').next().unwrap().parse().unwrap())
        .collect()
}

/// Shows: the records of two loggers come in the order of their times, under one header, as they stand or
/// as objects; the last ones alone, those since a moment, those of one logger.
#[test]
fn a_log_is_shown_as_all_loggers_wrote_it() {
    let directory = tempfile::tempdir().unwrap();
    let run_dir = directory.path();
    let [_first, _second] = site(run_dir);
    let shown = ok(run_dir, &["show", "Conn::LOG"]);
    assert_eq!(
        numbers(&shown),
        [0, 1, 0, 2, 1, 3, 6, 7, 8, 10, 11],
        "{shown}"
    );
    assert_eq!(shown.matches("#fields\tts\tn\n").count(), 1, "{shown}");
    assert_eq!(shown.matches("#close").count(), 0, "{shown}");
    assert_eq!(
        numbers(&ok(run_dir, &["show", "conn", "-n", "2"])),
        [10, 11]
    );
    let since = ok(
        run_dir,
        &["show", "conn", "--since", "2023-11-14T22:13:28Z"],
    );
    assert_eq!(numbers(&since), [8, 10, 11]);
    let one = ok(run_dir, &["show", "conn", "--logger", "logger-2"]);
    assert_eq!(numbers(&one), [0, 1]);
    let objects = ok(run_dir, &["show", "dns", "--json"]);
    let object: Value = serde_json::from_str(objects.lines().next().unwrap()).unwrap();
    assert_eq!(object, serde_json::json!({"ts": 1_700_000_004.0, "n": 4}));
    assert_eq!(objects.lines().count(), 2);
    let told = wrong(run_dir, &["show", "http"]);
    assert!(told.contains("there is no such log in"), "{told}");
}

/// A command that goes on, and what it shows.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn start(run_dir: &Path, args: &[&str]) -> Self {
        let mut command = program();
        command
            .arg("records")
            .args(args)
            .arg("--run-dir")
            .arg(run_dir);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let read = move || {
            // Whoever drops the receiver has seen enough: the pipe is closed.
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

    /// The numbers of so many records.
    fn next(&self, count: usize) -> Vec<u64> {
        let mut seen = Vec::new();
        while seen.len() < count {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no more came than {seen:?}"));
            seen.extend(numbers(&line));
        }
        seen
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Shows: what comes is shown once, over rotation, half lines, and loggers that were not there before.
#[test]
fn a_log_is_followed_over_rotation_and_new_loggers() {
    let directory = tempfile::tempdir().unwrap();
    let run_dir = directory.path();
    let mut first = Logger::begin(run_dir, "logger-1");
    first.write("conn", WORKER, 0..20);
    let follower = Follower::start(run_dir, &["show", "conn", "-f", "-n", "3"]);
    assert_eq!(follower.next(3), [17, 18, 19]);
    first.write("conn", WORKER, 20..22).rotate("conn");
    first.wait(60).write("conn", WORKER, 22..24);
    assert_eq!(follower.next(4), [20, 21, 22, 23]);
    first.rotate("conn").write("conn", WORKER, 24..25);
    first.wait(60).rotate("conn").write("conn", WORKER, 25..26);
    assert_eq!(follower.next(2), [24, 25]);
    let mut second = Logger::begin(run_dir, "logger-2");
    second.write("conn", OTHER, 90..92);
    assert_eq!(follower.next(2), [90, 91]);
    // Another log is nobody's concern, and half a line is none.
    second.write("dns", OTHER, 92..93);
    let mut file = OpenOptions::new()
        .append(true)
        .open(first.file("conn.log"))
        .unwrap();
    file.write_all(b"1700000500.0000").unwrap();
    file.write_all(b"00\t26\n").unwrap();
    assert_eq!(follower.next(1), [26]);
}

/// Shows: whoever follows ends when nobody reads what it shows, though nothing comes.
#[test]
fn a_closed_output_ends_who_follows() {
    let directory = tempfile::tempdir().unwrap();
    let mut logger = Logger::begin(directory.path(), "logger");
    logger.write("conn", WORKER, 0..1);
    let mut command = program();
    command.args(["records", "show", "conn", "-f", "--run-dir"]);
    command.arg(directory.path()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("1700000000") {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0);
    }
    drop(output);
    let status = wait_for("it ends", PATIENCE, || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

/// Shows: words that name nobody who writes logs, or no log, are refused before anybody is asked, and every
/// logger's own answer is told.
#[test]
fn a_rotation_is_asked_of_loggers_alone_and_their_answers_are_told() {
    let nodes = [
        ("manager", "node_type: Manager"),
        ("logger", "node_type: Logger, count: 2"),
        ("idle", layouts::IDLE),
    ];
    let cluster = Start::with(&layouts::nodes(&nodes)).start_ready();
    for (words, expected) in [
        (&["records", "rotate", "manager"][..], "writes no logs"),
        (&["records", "rotate", "idle"], "writes no logs"),
        (&["records", "rotate", "logger-9*"], "matches no node"),
        (&["records", "rotate", ".."], "dot"),
    ] {
        let (_, err, code) = cluster.run(words);
        assert_eq!(code, 2, "{words:?}: {err}");
        assert!(err.contains(expected), "{words:?}: {err}");
    }
    let told = cluster.ok(&["records", "rotate", "logger-2", "conn"]);
    assert!(told.starts_with("logger-2  ready"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    // What nodes say of one another has been logged by now, since they were ready: it is closed, and proved.
    let queued =
        |logger: &str| fs::read_dir(cluster.run_dir().join(format!("logs/{logger}/log-queue")));
    wait_for("something was logged, and rotated", PATIENCE, || {
        cluster.ok(&["records", "rotate"]);
        ["logger-1", "logger-2"]
            .iter()
            .any(|logger| queued(logger).is_ok())
            .then_some(())
    });
    let proved = cluster.ok(&["records", "verify"]);
    assert!(proved.contains("proved: "), "{proved}");
    cluster.ok(&["records", "show", "Cluster::LOG", "--json"]);
    cluster.ok(&["stop", "logger-1"]);
    let reply = cluster.ask(&serde_json::json!({"rotate": {"words": []}}));
    let results = reply["results"].as_array().unwrap();
    assert_eq!(results.len(), 2, "{reply}");
    assert_eq!(results[0]["error"], "it has no process");
}

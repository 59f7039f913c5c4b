//! Which files there are in the end: who writes them, what stands above their lines, and how rotated ones
//! are named.

#![cfg(test)]

mod common;
mod numbers;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cluster::logging::files::naming::Naming;

use common::{Cluster, Start, layouts, program, wait_or_tell};
use numbers::Notes;

const MANAGER: (&str, &str) = ("manager", "node_type: Manager");
const WORKER: (&str, &str) = ("worker-1", r#"node_type: Worker, manager: "manager""#);
const LOGGER: (&str, &str) = ("logger-1", "node_type: Logger");
const LOGGERS: [&str; 2] = ["logger-1", "logger-2"];

/// Records that are enough to see who gets which.
const RECORDS: u64 = 2000;

fn layout(logging: &str, nodes: &[(&str, &str)]) -> String {
    let head = format!("controller: (enabled: false), logging: ({logging})");
    layouts::layout(&head, nodes)
}

/// The log files in a node's directory, by name.
fn log_files(run_dir: &Path, node: &str) -> Vec<PathBuf> {
    let mut files = common::walk(&run_dir.join("logs").join(node));
    files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    files
}

fn wait<T>(cluster: &Cluster, what: &str, done: impl FnMut() -> Option<T>) -> T {
    let tell = || format!("{}\n{}", cluster.status(), cluster.console());
    wait_or_tell(what, common::PATIENCE, done, tell)
}

/// Waits until a file has lines, and gives its text.
fn wait_lines(cluster: &Cluster, path: &str) -> String {
    wait(cluster, path, || {
        let text = cluster.read(path);
        let mut lines = text.lines();
        lines.any(|line| !line.starts_with('#')).then_some(text)
    })
}

/// Shows: without a logger the manager writes the files, with Zeek's header above them; and rotated, they
/// name nobody.
#[test]
fn without_a_logger_the_manager_writes_the_files() {
    let site = layout(r#"rotate_interval: "1h""#, &[MANAGER, WORKER]);
    let cluster = Start::with(&site).start_ready();
    let text = wait_lines(&cluster, "logs/manager/cluster.log");
    let (header, _) = text.split_at(text.find("\n1").unwrap());
    let header: Vec<&str> = header.lines().collect();
    let opened = header[5];
    let date = opened.strip_prefix("#open\t").unwrap();
    assert_eq!(date.len(), "2026-01-31-12-00-00".len(), "{date}");
    let expected = [
        "#separator \\x09",
        "#set_separator\t,",
        "#empty_field\t(empty)",
        "#unset_field\t-",
        "#path\tcluster",
        opened,
        "#fields\tts\tnode\tmessage",
        "#types\ttime\tstring\tstring",
    ];
    assert_eq!(header, expected);
    let run_dir = cluster.run_dir().to_owned();
    assert_eq!(log_files(&run_dir, "worker-1"), [""; 0].map(PathBuf::from));
    let _kept = cluster.stop_and_prepare_another();
    expect_rotated(&run_dir, "manager", None);
}

/// All files of a node are rotated, and each name says who wrote it, if several do.
fn expect_rotated(run_dir: &Path, node: &str, suffix: Option<&str>) {
    let files = log_files(run_dir, node);
    assert!(!files.is_empty());
    for path in files {
        assert_eq!(path.parent().unwrap().file_name().unwrap(), "log-queue");
        let name = path.file_name().unwrap().to_str().unwrap();
        let said = Naming::supervised(suffix).parse(name);
        let said = said.unwrap_or_else(|| panic!("{name}"));
        let mut metadata = said.metadata.iter();
        let found = metadata.find(|(key, _)| key == "log_suffix");
        assert_eq!(found.map(|(_, value)| value.as_str()), suffix, "{name}");
        assert!(said.closed >= Some(said.opened), "{name}");
    }
}

/// Shows: where there is a logger the manager writes no file, and the only logger's names name nobody.
#[test]
fn with_a_logger_the_manager_writes_none() {
    let site = layout(r#"rotate_interval: "1h""#, &[MANAGER, LOGGER, WORKER]);
    let cluster = Start::with(&site).start_ready();
    wait_lines(&cluster, "logs/logger-1/cluster.log");
    let run_dir = cluster.run_dir().to_owned();
    let _kept = cluster.stop_and_prepare_another();
    assert_eq!(log_files(&run_dir, "manager"), [""; 0].map(PathBuf::from));
    expect_rotated(&run_dir, "logger-1", None);
}

/// Shows: of two loggers each says in the names of its files who it is.
#[test]
fn several_loggers_name_themselves_in_the_names_of_files() {
    let second = ("logger-2", "node_type: Logger");
    let site = layout(
        r#"rotate_interval: "1h""#,
        &[MANAGER, LOGGER, second, WORKER],
    );
    let cluster = Start::with(&site).start_ready();
    for logger in LOGGERS {
        wait_lines(&cluster, &format!("logs/{logger}/cluster.log"));
    }
    let run_dir = cluster.run_dir().to_owned();
    let _kept = cluster.stop_and_prepare_another();
    for logger in LOGGERS {
        expect_rotated(&run_dir, logger, Some(logger));
    }
}

/// Shows: files that a cluster left whose state is gone are rotated at the next start, as they were left;
/// and proved.
#[test]
fn what_a_dead_cluster_left_is_rotated_at_the_next_start() {
    let nodes = [MANAGER, LOGGER, WORKER];
    let cluster = Start::with(&layout("", &nodes)).start_ready();
    wait_lines(&cluster, "logs/logger-1/cluster.log");
    let start = cluster.kill_and_prepare_another();
    let start = start.layout(&layout(r#"rotate_interval: "1h""#, &nodes));
    let directory = start.directory().join("run/logs/logger-1");
    let left = fs::read_to_string(directory.join("cluster.log")).unwrap();
    for state in [".state.0", ".state.1"] {
        // Of the second one there may be none yet.
        let _ = fs::remove_file(directory.join(state));
    }
    fs::write(directory.join("stray.log"), "somebody else's\n").unwrap();
    let cluster = start.start_ready();
    let run_dir = cluster.run_dir().to_owned();
    let texts = || -> Vec<String> {
        let rotated = log_files(&run_dir, "logger-1/log-queue").into_iter();
        rotated
            .filter_map(|path| fs::read_to_string(path).ok())
            .collect()
    };
    wait(&cluster, "what was left is rotated", || {
        texts()
            .iter()
            .any(|text| text.starts_with(&left))
            .then_some(())
    });
    assert!(!directory.join("stray.log").exists());
    let strays = common::walk(&directory).into_iter();
    let strays = strays.filter(|path| path.to_str().unwrap().contains("/stray"));
    let strays: Vec<String> = strays
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    assert_eq!(strays, ["somebody else's\n"]);
    let _kept = cluster.stop_and_prepare_another();
    let run_dir = run_dir.to_str().unwrap();
    let mut verify = program();
    verify.args([
        "records",
        "verify",
        "--run-dir",
        run_dir,
        "logger-1",
        "cluster",
    ]);
    assert!(verify.status().unwrap().success());
}

/// The numbers in a logger's files.
fn numbers_of(run_dir: &Path, logger: &str) -> BTreeSet<u64> {
    let mut numbers = BTreeSet::new();
    let files = log_files(run_dir, logger).into_iter();
    for path in files.filter(|path| path.ends_with("numbers.log")) {
        let text = fs::read_to_string(path).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines().filter(|line| !line.starts_with('#')) {
            let (_, number) = line.split_once('\t').unwrap();
            assert!(
                numbers.insert(number.parse().unwrap()),
                "{line} stands twice"
            );
        }
    }
    numbers
}

/// The numbers that each of two loggers has of a worker, from one on that was written when both were there.
/// Together they have all.
fn share(test: &str, logging: &str) -> [BTreeSet<u64>; 2] {
    let worker = format!(
        "{}, {}, env: {{{:?}: \"$DIR\"}}",
        WORKER.1,
        layouts::this_binary(test),
        numbers::VARIABLE
    );
    let second = ("logger-2", "node_type: Logger");
    let nodes = [MANAGER, LOGGER, second, (WORKER.0, worker.as_str())];
    let cluster = Start::with(&layout(logging, &nodes)).start_ready();
    let run_dir = cluster.run_dir().to_owned();
    let notes = Notes::open(cluster.directory(), WORKER.0);
    wait(&cluster, "both loggers write", || {
        let mut shares = LOGGERS
            .map(|logger| numbers_of(&run_dir, logger))
            .into_iter();
        shares.all(|share| !share.is_empty()).then_some(())
    });
    let first = notes.accepted();
    wait(&cluster, "records are accepted", || {
        (notes.accepted() >= first + RECORDS).then_some(())
    });
    numbers::stop(cluster.directory());
    let shares = wait(&cluster, "all that was accepted stands", || {
        let shares = LOGGERS.map(|logger| numbers_of(&run_dir, logger));
        let all: usize = shares.iter().map(BTreeSet::len).sum();
        (all as u64 == notes.accepted()).then_some(shares)
    });
    assert!(shares[0].is_disjoint(&shares[1]));
    shares.map(|share| {
        share
            .into_iter()
            .filter(|number| *number >= first)
            .collect()
    })
}

/// Shows: record by record, one logger has the even numbers and the other the odd ones.
#[test]
fn two_loggers_share_records_by_turns() {
    if numbers::live() {
        return;
    }
    let shares = share("two_loggers_share_records_by_turns", "per: Record");
    for share in shares {
        let first = share.first().unwrap();
        assert!(
            share.iter().all(|number| number % 2 == first % 2),
            "{share:?}"
        );
        assert!(share.len() as u64 >= RECORDS / 2);
    }
}

/// Shows: batch by batch, each logger has runs of as many numbers as a batch has records.
#[test]
fn two_loggers_share_records_by_batches() {
    const BATCH: u64 = 100;
    if numbers::live() {
        return;
    }
    let test = "two_loggers_share_records_by_batches";
    let shares = share(test, "per: Batch, batch_records: 100");
    for share in shares {
        let begins = share
            .iter()
            .filter(|number| !share.contains(&(*number - 1)));
        let begins: Vec<u64> = begins.copied().collect();
        // The first and the last run may have their other part elsewhere.
        let inner = begins.iter().skip(1).rev().skip(1);
        for begin in inner {
            assert!((*begin..begin + BATCH).all(|number| share.contains(&number)));
            assert!(!share.contains(&(begin + BATCH)));
        }
        assert!(share.len() as u64 > BATCH && begins.len() > 3, "{begins:?}");
    }
}

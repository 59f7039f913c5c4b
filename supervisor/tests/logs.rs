//! Log files of real loggers: every record that was accepted stands in them once, whoever is killed and
//! whatever the disk does; and what an operator sees of it.
//!
//! The workers are this test program once more. They number their records, and when they are told to
//! stop, each says how many were accepted. `KILLS=300 cargo test --test logs` kills that often.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test measures by the clock")]

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cluster::logging::files::verify::{Input, Verifier};
use cluster::logging::message::{Create, Format, lines_head};
use cluster::logging::{Atom, Column, LogPath, Schema, StreamId, Type, tsv};
use cluster::node::Cluster as Seat;
use cluster::node::endpoint::{Outbox, Reach};
use nix::sys::signal::Signal;

use common::{Cluster, PATIENCE, Start, layouts, number_of, processes, wait_or_tell};

/// Names the directory by which a worker is steered. A test program that finds it in its environment is
/// a worker.
const VARIABLE: &str = "LOGS_WORKER";

/// Records of a worker in a row, between two looks whether it is to stop.
const BURST: u64 = 500;

/// So many kills, unless `KILLS` says another number.
const KILLS: u64 = 12;

/// So much is written between two kills.
const BYTES_BETWEEN: u64 = 64 * 1024;

const WORKERS: [&str; 2] = ["worker-1", "worker-2"];
const LOGGERS: [&str; 2] = ["logger-1", "logger-2"];

fn create() -> Create {
    let column = |name: &str, atom| Column::new(name, Type::Atom(atom), false).unwrap();
    let columns = vec![
        column("worker", Atom::String),
        column("number", Atom::Count),
    ];
    Create {
        stream: StreamId::parse("Test::LOG").unwrap(),
        filter: "default".to_owned(),
        path: LogPath::parse("test").unwrap(),
        format: Format::Tsv(tsv::Settings::default()),
        schema: Schema::new(columns).unwrap(),
        interval: None,
    }
}

/// A worker: publishes numbered records by turns to the loggers until the file `stop` is there, and
/// leaves the number of those that were accepted. False: this process is none.
fn live() -> bool {
    let Ok(directory) = std::env::var(VARIABLE) else {
        return false;
    };
    let directory = PathBuf::from(directory);
    let mut seat = Seat::take_seat().unwrap();
    seat.init().unwrap();
    let name = seat.node().unwrap().to_string();
    let outbox: &mut Outbox = seat.as_mut();
    outbox.delay_bells(1000, Duration::from_millis(100));
    let (id, create) = create().encode().unwrap();
    let mut line = Vec::new();
    let mut known = [None; LOGGERS.len()];
    let mut number = 0_u64;
    loop {
        let goes_on = !directory.join("stop").exists();
        if !goes_on {
            let said = directory.join(format!("{name}.new"));
            fs::write(&said, number.to_string()).unwrap();
            fs::rename(said, directory.join(&name)).unwrap();
        }
        for _ in 0..if goes_on { BURST } else { 0 } {
            let at = usize::try_from(number).unwrap() % LOGGERS.len();
            let topic = seat.membership().topics().node_topic(LOGGERS[at]);
            let outbox: &mut Outbox = seat.as_mut();
            let mut peers = outbox.peers();
            let logger = peers.find(|(_, entry)| entry.name.as_str() == LOGGERS[at]);
            let life = logger.map(|(_, entry)| entry.incarnation);
            drop(peers);
            let whole = Reach {
                wanted: 1,
                taken: 1,
            };
            if life != known[at] {
                if outbox.reach_bulk(topic.as_bytes(), &create) != whole {
                    break;
                }
                known[at] = life;
            }
            line.clear();
            line.extend_from_slice(&lines_head(id));
            line.extend_from_slice(format!("{name}\t{number}\n").as_bytes());
            if outbox.reach_bulk(topic.as_bytes(), &line) != whole {
                break;
            }
            number += 1;
        }
        let until = Instant::now() + Duration::from_millis(if goes_on { 1 } else { 50 });
        if seat.turn(&mut (), Some(until)).is_err() {
            return true;
        }
    }
}

/// A cluster of such workers and loggers. `logging`: what the layout says of logs.
struct Site {
    cluster: Cluster,
}

impl Site {
    fn start(test: &str, logging: &str) -> Self {
        Self::begin(test, logging, |start| start)
    }

    fn begin(test: &str, logging: &str, prepare: impl FnOnce(Start) -> Start) -> Self {
        let worker = format!(
            "node_type: Worker, manager: \"manager\", {}, env: {{{VARIABLE:?}: \"$DIR\"}}, {}",
            layouts::this_binary(test),
            layouts::AT_ONCE
        );
        let logger = format!("node_type: Logger, {}", layouts::AT_ONCE);
        let mut nodes = vec![("manager", "node_type: Manager")];
        nodes.extend(WORKERS.map(|name| (name, worker.as_str())));
        nodes.extend(LOGGERS.map(|name| (name, logger.as_str())));
        let head =
            format!("controller: (enabled: false), fabric: (block: \"20s\"), logging: ({logging})");
        let start = prepare(Start::with(&layouts::layout(&head, &nodes)));
        Self {
            cluster: start.start_ready(),
        }
    }

    /// A logger's directory as the supervisor sees it, which may have mounts of its own.
    fn logs(&self, logger: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.cluster.pid());
        let run_dir = self.cluster.run_dir().strip_prefix("/").unwrap();
        Path::new(&root).join(run_dir).join("logs").join(logger)
    }

    /// Bytes that a logger has written.
    fn written(&self, logger: &str) -> u64 {
        let files = common::walk(&self.logs(logger));
        files
            .iter()
            .filter_map(|path| Some(path.metadata().ok()?.len()))
            .sum()
    }

    fn wait<T>(&self, what: &str, done: impl FnMut() -> Option<T>) -> T {
        wait_or_tell(what, 2 * PATIENCE, done, || {
            format!("{}\n{}", self.cluster.status(), self.cluster.console())
        })
    }

    /// Waits until a logger has written so much more.
    fn wait_written(&self, logger: &str, bytes: u64) {
        let before = self.written(logger);
        self.wait("records are written", || {
            (self.written(logger) >= before + bytes).then_some(())
        });
    }

    /// Stops the workers, waits until all stands, and gives how many records each of them had accepted.
    fn stop_workers(&self) -> BTreeMap<&'static str, u64> {
        fs::write(self.cluster.directory().join("stop"), "").unwrap();
        let accepted = WORKERS.map(|name| {
            let path = self.cluster.directory().join(name);
            let said = self.wait("a worker stops", || fs::read_to_string(&path).ok());
            (name, said.parse().unwrap())
        });
        BTreeMap::from(accepted)
    }

    /// Waits until so many records stand.
    fn wait_all(&self, accepted: &BTreeMap<&str, u64>) {
        let all: u64 = accepted.values().sum();
        self.wait("all that was accepted stands", || {
            let stand: u64 = LOGGERS
                .map(|logger| standing(&self.logs(logger)).len() as u64)
                .iter()
                .sum();
            (stand >= all).then_some(())
        });
    }

    /// Stops everything in order, and checks all files by both counts. They are there as long as what it
    /// returns.
    fn verify(self, accepted: &BTreeMap<&str, u64>) -> Start {
        let logs = LOGGERS.map(|logger| self.cluster.run_dir().join("logs").join(logger));
        let directory = self.cluster.stop_and_prepare_another();
        expect_each_once(&logs, accepted);
        let proved: u64 = logs.iter().map(|logs| prove(logs)).sum();
        assert_eq!(proved, accepted.values().sum::<u64>());
        directory
    }
}

/// Every record that was accepted stands once, and no other does.
fn expect_each_once(logs: &[PathBuf], accepted: &BTreeMap<&str, u64>) {
    let mut counts: BTreeMap<(String, u64), u64> = BTreeMap::new();
    for record in logs.iter().flat_map(|logs| standing(logs)) {
        *counts.entry(record).or_default() += 1;
    }
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "these stand more than once: {twice:?}");
    for (worker, count) in accepted {
        let missing: Vec<u64> = (0..*count)
            .filter(|number| !counts.contains_key(&((*worker).to_owned(), *number)))
            .collect();
        assert!(missing.is_empty(), "{worker} misses {missing:?}");
    }
    assert_eq!(counts.len() as u64, accepted.values().sum::<u64>());
}

/// The log files of the workers' stream in a directory, in no order.
fn unordered(directory: &Path) -> Vec<PathBuf> {
    let mut files = common::walk(directory);
    files.retain(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("test") && name.ends_with(".log")
    });
    files
}

/// The same, the oldest first.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = unordered(directory);
    // They are made one after the other.
    files.sort_by_key(|path| {
        let facts = path.metadata().unwrap();
        (facts.created().unwrap(), facts.ino())
    });
    files
}

/// Every record in a directory's files: its worker and number.
fn standing(directory: &Path) -> Vec<(String, u64)> {
    let mut records = Vec::new();
    for path in unordered(directory) {
        // It may be renamed just now.
        let text = fs::read_to_string(path).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines().filter(|line| !line.starts_with('#')) {
            let (worker, number) = line.split_once('\t').unwrap();
            records.push((worker.to_owned(), number.parse().unwrap()));
        }
    }
    records
}

/// Looks at files and indexes, finds no fault, and gives how many records they prove.
fn prove(directory: &Path) -> u64 {
    let mut verifier = Verifier::default();
    let mut records = 0;
    for path in files(directory) {
        let mut index = path.clone().into_os_string();
        index.push(".idx");
        let input = Input {
            path: "test",
            index: Some(File::open(index).unwrap()),
            file: File::open(&path).unwrap(),
            until: None,
        };
        let report = verifier.add(input).unwrap();
        assert_eq!(report.fault_count, 0, "{path:?}: {:?}", report.faults);
        records += report.records;
    }
    let sources = verifier.sources();
    assert!(sources.len() >= WORKERS.len());
    records
}

/// Shows: nobody who kills a logger, at whatever moment, makes a record vanish or stand twice; not across
/// rotations either.
#[test]
fn a_killed_logger_loses_and_repeats_no_accepted_record() {
    if live() {
        return;
    }
    let test = "a_killed_logger_loses_and_repeats_no_accepted_record";
    let site = Site::start(test, r#"rotate_bytes: "256KiB""#);
    for kill in 0..number_of("KILLS").unwrap_or(KILLS) {
        let victim = LOGGERS[usize::try_from(kill).unwrap() % LOGGERS.len()];
        site.wait_written(victim, BYTES_BETWEEN);
        let pid = site.cluster.node_pid(victim);
        processes::signal(pid.unwrap(), Signal::SIGKILL);
        site.cluster.wait_other_pid(victim, "ready", pid);
    }
    let accepted = site.stop_workers();
    assert!(
        accepted.values().all(|count| *count > BURST),
        "{accepted:?}"
    );
    site.wait_all(&accepted);
    drop(site.verify(&accepted));
}

/// Shows: files go on after an orderly end, and with rotation none is left open; all that lay in the
/// rings is in them.
#[test]
fn an_orderly_end_leaves_nothing_in_the_rings() {
    if live() {
        return;
    }
    let test = "an_orderly_end_leaves_nothing_in_the_rings";
    let site = Site::start(test, r#"rotate_interval: "1h", batch_interval: "60s""#);
    site.wait_written(LOGGERS[0], BYTES_BETWEEN);
    let accepted = site.stop_workers();
    let directory = site.cluster.run_dir().join("logs").join(LOGGERS[0]);
    let _kept = site.verify(&accepted);
    assert!(!directory.join("test.log").exists());
    let rotated = files(&directory);
    assert!(!rotated.is_empty());
    for path in rotated {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name.contains("__log_suffix=logger-1__"), "{name}");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("#separator \\x09\n"), "{name}");
        assert!(
            text.lines().last().unwrap().starts_with("#close\t"),
            "{name}"
        );
    }
}

/// Shows: a disk without room stops nobody but the records, which wait in their rings and stand when
/// there is room again; and that this is said once.
#[test]
fn a_full_disk_loses_nothing() {
    if live() {
        return;
    }
    let test = "a_full_disk_loses_nothing";
    let site = Site::begin(test, "", |start| {
        start.in_own_mounts(
            "mkdir -p $DIR/run/logs
             mount -t tmpfs -o size=64m none $DIR/run/logs
             head -c 63m /dev/zero > $DIR/run/logs/ballast",
        )
    });
    let said = |site: &Site, event: &str| {
        let event = format!("event={event}");
        let said = site.cluster.read("logger-1/stdout.log");
        said.lines().filter(|line| line.contains(&event)).count()
    };
    site.wait("the disk is full", || {
        (said(&site, "log_disk_failing") > 0).then_some(())
    });
    let ballast = site.logs("ballast");
    fs::remove_file(ballast).unwrap();
    site.wait("there is room", || {
        (said(&site, "log_disk_works") > 0).then_some(())
    });
    assert_eq!(said(&site, "log_disk_failing"), 1);
    site.wait("it is reported", || {
        let reported = fs::read_to_string(site.logs(LOGGERS[0]).join("reporter.log")).ok()?;
        reported
            .contains("log files are written again")
            .then_some(())
    });
    let accepted = site.stop_workers();
    assert!(accepted.values().all(|count| *count > 0), "{accepted:?}");
    site.wait_all(&accepted);
    expect_each_once(&LOGGERS.map(|logger| site.logs(logger)), &accepted);
}

//! SIGKILL to any process that is ready, while four workers write numbered records to two loggers: every
//! record that was accepted stands in a log file once.
//!
//! `KILLS=300 cargo test --test log_kills` kills that often; `KILLS_SEED=7` chooses other victims.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test measures by the clock")]

mod common;
mod numbers;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use cluster::fabric::Class;
use cluster::shm::ring::Observer;
use nix::sys::signal::Signal;

use common::{
    Cluster, PATIENCE, Start, layouts, levels, mix, number_of, processes, program, wait_or_tell,
    waiting,
};
use numbers::Notes;

/// So many kills, unless `KILLS` says another number.
const KILLS: u64 = 16;

/// So many records are accepted between two deaths, which may be of two processes: more than 5 million in
/// 300 kills.
const RECORDS_BETWEEN: u64 = 22_000;

/// Kills of loggers while somebody proves their files, unless `KILLS` says another number.
const KILLS_OF_LOGGERS: u64 = 10;

/// At each of these kills somebody looks at files that nobody has taken over yet.
const LOOKS: usize = 5;

const WORKERS: [&str; 4] = ["worker-1", "worker-2", "worker-3", "worker-4"];
const LOGGERS: [&str; 2] = ["logger-1", "logger-2"];

/// All nodes; the stem is the one victim more.
const NODES: [&str; 7] = [
    "manager", "logger-1", "logger-2", "worker-1", "worker-2", "worker-3", "worker-4",
];

struct Site {
    cluster: Cluster,
    notes: [Notes; 4],
}

impl Site {
    fn start(test: &str) -> Self {
        let worker = format!(
            "node_type: Worker, manager: \"manager\", {}, env: {{{:?}: \"$DIR\"}}, {}",
            layouts::this_binary(test),
            numbers::VARIABLE,
            layouts::AT_ONCE
        );
        let nodes = NODES.map(|name| {
            let entry = match name {
                "manager" => format!("node_type: Manager, {}", layouts::AT_ONCE),
                logger if LOGGERS.contains(&logger) => {
                    format!("node_type: Logger, {}", layouts::AT_ONCE)
                }
                _ => worker.clone(),
            };
            (name, entry)
        });
        let nodes = nodes
            .each_ref()
            .map(|(name, entry)| (*name, entry.as_str()));
        let head = r#"controller: (enabled: false), fabric: (block: "20s"),
            logging: (rotate_bytes: "256KiB", batch_interval: "100ms")"#;
        let cluster = Start::with(&layouts::layout(head, &nodes)).start_ready();
        let notes = WORKERS.map(|name| Notes::open(cluster.directory(), name));
        Self { cluster, notes }
    }

    /// How many records of each worker were accepted.
    fn accepted(&self) -> [u64; 4] {
        self.notes.each_ref().map(Notes::accepted)
    }

    fn wait(&self, what: &str, mut done: impl FnMut() -> bool) {
        wait_or_tell(
            what,
            2 * PATIENCE,
            || done().then_some(()),
            || {
                let accepted = self.accepted();
                let cluster = &self.cluster;
                format!("{accepted:?}\n{}\n{}", cluster.status(), cluster.console())
            },
        );
    }

    /// Waits until so many more records are accepted, some of each worker.
    fn wait_records(&self, records: u64) {
        let before = self.accepted();
        self.wait("records are accepted", || {
            let now = self.accepted();
            let is_going_on = now.iter().zip(&before).all(|(now, before)| now > before);
            is_going_on && now.iter().sum::<u64>() >= before.iter().sum::<u64>() + records
        });
    }

    /// The process of a victim, which is ready.
    fn ready_pid(&self, victim: usize) -> i32 {
        let Some(name) = NODES.get(victim) else {
            self.cluster.wait_ready();
            return self.cluster.wait_stem(None);
        };
        let node = self.cluster.wait_state(name, "ready");
        i32::try_from(node["pid"].as_i64().unwrap()).unwrap()
    }

    /// Kills a victim, or now and then two at once, at a moment that follows from nothing, and waits until
    /// others have their places. Says how many it has killed.
    fn kill(&self, dice: u64) -> u64 {
        self.wait_records(RECORDS_BETWEEN);
        let all = NODES.len() as u64 + 1;
        let are_two = (dice >> 24).is_multiple_of(4);
        let chosen = [Some(dice % all), are_two.then_some((dice >> 8) % all)];
        let chosen: BTreeSet<u64> = chosen.into_iter().flatten().collect();
        let chosen = chosen.into_iter().map(|it| usize::try_from(it).unwrap());
        let victims: Vec<(usize, i32)> = chosen.map(|it| (it, self.ready_pid(it))).collect();
        waiting::spin(moment(dice));
        for (_, pid) in &victims {
            processes::signal(*pid, Signal::SIGKILL);
        }
        for (victim, pid) in &victims {
            match NODES.get(*victim) {
                Some(name) => drop(self.cluster.wait_other_pid(name, "ready", Some(*pid))),
                None => {
                    self.cluster.wait_stem(Some(*pid));
                    self.cluster.wait_ready();
                }
            }
        }
        victims.len() as u64
    }

    /// Has the workers write no more, and waits until no record is left in a ring.
    fn come_to_rest(&self) -> BTreeMap<&'static str, u64> {
        numbers::stop(self.cluster.directory());
        let mut last = None;
        self.wait("all that was accepted is written", || {
            let (_, rings) = self.cluster.observe();
            let bulk = rings
                .into_iter()
                .filter(|(key, _)| key.class == Class::Bulk);
            let mut accounts = bulk.map(|(_, ring)| Observer::map(ring).unwrap().accounting());
            let is_empty = accounts.all(|account| account.unwrap().in_flight == 0);
            let before = last.replace(self.accepted());
            is_empty && before == last
        });
        self.cluster.wait_ready();
        WORKERS.into_iter().zip(self.accepted()).collect()
    }

    /// Stops everything in order, and checks the files by both counts.
    fn expect_each_once(self, accepted: &BTreeMap<&'static str, u64>) {
        let run_dir = self.cluster.run_dir().to_owned();
        let _kept = self.cluster.stop_and_prepare_another();
        let run_dir = run_dir.to_str().unwrap();
        println!("{}", verify(run_dir));
        let script = "find \"$0\" -name 'numbers*.log' -exec grep -hv '^#' {} + \
            | LC_ALL=C sort -S 128M | uniq -c";
        let mut sorted = Command::new("sh")
            .args(["-c", script, &format!("{run_dir}/logs")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut standing: BTreeMap<String, u64> = BTreeMap::new();
        for line in BufReader::new(sorted.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let (count, record) = line.trim_start().split_once(' ').unwrap();
            let (worker, number) = record.split_once('\t').unwrap();
            assert_eq!(count, "1", "{record} stands more than once");
            let number: u64 = number.parse().unwrap();
            assert!(number < accepted[worker], "{record} was not accepted");
            *standing.entry(worker.to_owned()).or_default() += 1;
        }
        assert!(sorted.wait().unwrap().success());
        // Different numbers below so many, and so many of them.
        let standing = standing.iter().map(|(name, count)| (name.as_str(), *count));
        assert_eq!(standing.collect::<BTreeMap<_, _>>(), *accepted);
    }
}

/// Up to 2 ms.
fn moment(dice: u64) -> Duration {
    Duration::from_nanos(dice >> 32 & 0x1f_ffff)
}

/// `records verify`, which finds no fault; what it says at last.
fn verify(run_dir: &str) -> String {
    let mut verify = program();
    verify.args(["records", "verify", "--run-dir", run_dir]);
    let output = verify.stdin(Stdio::null()).output().unwrap();
    let [said, told] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    assert!(output.status.success(), "a fault was found: {told}{said}");
    said.lines().last().unwrap_or_default().to_owned()
}

/// Shows: whoever is killed, and whenever, every record that was accepted stands once; everybody goes on;
/// and nothing gathers anywhere.
#[test]
fn every_accepted_record_stands_once_whoever_is_killed() {
    if numbers::live() {
        return;
    }
    let (kills, seed) = (
        number_of("KILLS").unwrap_or(KILLS),
        number_of("KILLS_SEED").unwrap_or(1),
    );
    let site = Site::start("every_accepted_record_stands_once_whoever_is_killed");
    site.wait_records(2 * RECORDS_BETWEEN);
    let before = levels::of(&site.cluster, &NODES);
    let began = Instant::now();
    let mut killed = 0;
    for round in 0.. {
        if killed >= kills {
            break;
        }
        killed += site.kill(mix(seed << 32 | round));
    }
    site.wait_records(RECORDS_BETWEEN);
    let time = began.elapsed();
    let accepted = site.come_to_rest();
    println!("kills={killed} seed={seed} time={time:?} accepted={accepted:?}");
    levels::expect_no_more(&site.cluster, &NODES, &before);
    site.expect_each_once(&accepted);
}

/// Shows: files of a logger that is being killed and comes back are proved at any moment; nobody is alarmed
/// by what its successor puts in order.
#[test]
fn a_death_is_no_fault_to_whoever_proves_the_files() {
    if numbers::live() {
        return;
    }
    let site = Site::start("a_death_is_no_fault_to_whoever_proves_the_files");
    let run_dir = site.cluster.run_dir().to_str().unwrap().to_owned();
    let (stop, stopped) = mpsc::channel::<()>();
    let prover = thread::Builder::new().name("prover".to_owned());
    let prover = prover.spawn(move || {
        let mut looks = 0;
        while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
            verify(&run_dir);
            looks += 1;
        }
        looks
    });
    for kill in 0..number_of("KILLS").unwrap_or(KILLS_OF_LOGGERS) {
        site.wait_records(RECORDS_BETWEEN / 2);
        let victim = LOGGERS[usize::try_from(kill).unwrap() % LOGGERS.len()];
        site.cluster.replace(victim);
    }
    drop(stop);
    let looks = prover.unwrap().join().unwrap();
    assert!(looks >= LOOKS, "it was looked {looks} times only");
    let accepted = site.come_to_rest();
    site.expect_each_once(&accepted);
}

//! Logging in a cluster of one process, around a stem made by hand: what reaches a logger, in which order,
//! and when it is woken.

#![cfg(test)]

#[path = "membership/diary.rs"]
#[allow(dead_code, reason = "shared with another program, which uses the rest")]
mod diary;
#[path = "logs/logger.rs"]
mod logger;
#[path = "endpoint/stem.rs"]
mod stem;

use std::sync::{Arc, Mutex};

use cluster::data::Value;
use cluster::fabric::{FabricSpec, Slot};
use cluster::layout::spec::Role;
use cluster::logging::spec::{LogSpec, Turn};
use cluster::logging::streams::{Filter, LogError, StreamSpec};
use cluster::logging::{Column, LogPath, Schema, StreamId};
use cluster::node::Cluster;
use cluster::node::cluster::LocalSink;
use cluster::node::endpoint::Outbox;
use cluster::shm::board::State;
use cluster::sys::clock;
use diary::{Diary, PATIENCE, layout_with, sit, until_last};
use logger::{Logger, Wrote, decode};
use stem::HandStem;

/// A manager, a worker and two loggers.
const NODES: [(&str, Role); 4] = [
    ("logger-1", Role::Logger),
    ("logger-2", Role::Logger),
    ("manager", Role::Manager),
    ("worker-1", Role::Worker),
];

/// A stem, and the places of these nodes.
fn cluster_of(nodes: &[(&str, Role)], spec: LogSpec) -> (HandStem, Vec<Slot>) {
    let stem = HandStem::new(FabricSpec::default());
    stem.lay_out(&layout_with(nodes, spec));
    let places = nodes.iter().map(|(name, role)| stem.add(name, *role));
    let places = places.collect();
    (stem, places)
}

fn stream() -> StreamId {
    StreamId::parse("Test::LOG").unwrap()
}

/// A node with a stream of one column.
fn writer(stem: &HandStem, place: Slot) -> Cluster {
    let mut node = sit(stem, place);
    let column = Column::new("n", "count".parse().unwrap(), false).unwrap();
    let schema = Schema::new(vec![column]).unwrap();
    let spec = StreamSpec::new(schema, LogPath::parse("test").unwrap());
    let streams = node.log_streams();
    streams.create_stream(stream(), spec).unwrap();
    node
}

fn write(node: &mut Cluster, n: u64) -> bool {
    node.log_write(&stream(), &[Value::Count(n)]).unwrap()
}

/// The numbers that came in the stream of the tests.
fn numbers(logger: &Logger) -> Vec<u64> {
    let lines = logger.lines("test");
    lines.iter().map(|line| line.parse().unwrap()).collect()
}

/// What belongs to the stream of the tests: a line, or that the writer was told.
fn of_test(wrote: &Wrote) -> Option<&str> {
    match wrote {
        Wrote::Create(create) => (create.path.as_str() == "test").then_some("create"),
        Wrote::Line(path, line) => (path == "test").then_some(line),
    }
}

/// Shows: two loggers have turns record by record; each is told of the writer before its lines, and once.
#[test]
fn records_go_to_the_loggers_in_turn_after_the_writer() {
    let (stem, places) = cluster_of(&NODES, LogSpec::default());
    let mut one = Logger::sit(&stem, places[0]);
    let mut two = Logger::sit(&stem, places[1]);
    let mut worker = writer(&stem, places[3]);
    worker.init().unwrap();
    until_last(
        &mut worker,
        &mut Diary::default(),
        "up logger-2 active=0 known=true",
    );
    assert!((0..10).all(|n| write(&mut worker, n)));
    worker.flush_logs();
    one.until("five records", |logger| numbers(logger).len() == 5);
    two.until("five records", |logger| numbers(logger).len() == 5);
    let (ours, theirs) = (numbers(&one), numbers(&two));
    assert!(ours.iter().all(|n| n % 2 == ours[0] % 2), "{ours:?}");
    assert!(theirs.iter().all(|n| n % 2 != ours[0] % 2), "{theirs:?}");
    assert!(ours.is_sorted() && theirs.is_sorted());
    for logger in [&one, &two] {
        let wrote: Vec<&str> = logger.wrote.iter().filter_map(of_test).collect();
        assert_eq!((wrote[0], wrote.len()), ("create", 6));
    }
    assert_eq!(worker.log_lines_dropped(), 0);
}

/// Shows: a record costs its writer no memory, whichever logger has its turn.
#[test]
fn a_record_takes_no_memory() {
    let (stem, places) = cluster_of(&NODES, LogSpec::default());
    let _loggers = [0, 1].map(|at| Logger::sit(&stem, places[at]));
    let mut worker = writer(&stem, places[3]);
    worker.init().unwrap();
    let last = "up logger-2 active=0 known=true";
    until_last(&mut worker, &mut Diary::default(), last);
    assert!((0..10).all(|n| write(&mut worker, n)));
    let (stream, values) = (stream(), [Value::Count(7)]);
    let taken = allocation_counter::measure(|| {
        for _ in 0..100 {
            assert_eq!(worker.log_write(&stream, &values), Ok(true));
        }
    });
    assert_eq!(taken.count_total, 0);
}

/// Shows: by batch, one logger has so many records before the other has its turn.
#[test]
fn records_go_to_the_loggers_batch_by_batch_if_the_layout_says_so() {
    let spec = LogSpec {
        per: Turn::Batch,
        batch_records: 4,
        ..LogSpec::default()
    };
    let (stem, places) = cluster_of(&NODES, spec);
    let mut one = Logger::sit(&stem, places[0]);
    let mut two = Logger::sit(&stem, places[1]);
    let mut worker = writer(&stem, places[3]);
    worker
        .log_streams()
        .remove_stream(&StreamId::parse("Cluster::LOG").unwrap());
    worker.init().unwrap();
    until_last(
        &mut worker,
        &mut Diary::default(),
        "up logger-2 active=0 known=true",
    );
    assert!((0..8).all(|n| write(&mut worker, n)));
    worker.flush_logs();
    one.until("its batch", |logger| numbers(logger).len() == 4);
    two.until("its batch", |logger| numbers(logger).len() == 4);
    let mut batches = [numbers(&one), numbers(&two)];
    batches.sort();
    assert_eq!(batches, [[0, 1, 2, 3], [4, 5, 6, 7]]);
}

/// Shows: a record for a logger that is dead is safe in its ring; its successor is told of the writer
/// before what is written to it then, and nothing comes twice or not.
#[test]
fn a_successor_gets_what_waited_and_is_told_of_the_writers() {
    let nodes = [NODES[0], NODES[2], NODES[3]];
    let (stem, places) = cluster_of(&nodes, LogSpec::default());
    let mut first = Logger::sit(&stem, places[0]);
    let mut worker = writer(&stem, places[2]);
    worker.init().unwrap();
    let mut diary = Diary::default();
    until_last(&mut worker, &mut diary, "up logger-1 active=0 known=true");
    assert!(write(&mut worker, 0));
    worker.flush_logs();
    first.until("the first", |logger| numbers(logger) == [0]);
    let known = first.die();
    stem.set_state(places[0], State::Down);
    until_last(&mut worker, &mut diary, "down logger-1 active=0");
    assert!(write(&mut worker, 1));
    let mut second = Logger::sit(&stem, places[0]).knowing(known);
    until_last(&mut worker, &mut diary, "up logger-1 active=0 known=true");
    assert!(write(&mut worker, 2));
    worker.flush_logs();
    second.until("the others", |logger| numbers(logger) == [1, 2]);
    let wrote: Vec<&str> = second.wrote.iter().filter_map(of_test).collect();
    assert_eq!(wrote, ["1", "create", "2"]);
}

/// Shows: without a logger that ever lived a record is refused by false, and counted.
#[test]
fn a_record_that_nobody_takes_is_not_safe() {
    let (stem, places) = cluster_of(&NODES, LogSpec::default());
    let mut worker = writer(&stem, places[3]);
    worker.init().unwrap();
    assert!(!write(&mut worker, 0));
    assert_eq!(worker.log_lines_dropped(), 1);
    let stream = stream();
    assert!(worker.log_streams().disable_stream(&stream));
    assert!(write(&mut worker, 1), "nothing was to be written");
    assert!(worker.log_streams().remove_stream(&stream));
    let error = worker.log_write(&stream, &[Value::Count(2)]).unwrap_err();
    assert_eq!(error, LogError::NoStream { stream });
}

/// Shows: a function of the program's decides where lines go, and without round robin the default topic.
#[test]
fn topics_are_what_layout_and_program_say() {
    let spec = LogSpec {
        round_robin: false,
        ..LogSpec::default()
    };
    let (stem, places) = cluster_of(&NODES, spec);
    let mut one = Logger::sit(&stem, places[0]);
    let mut two = Logger::sit(&stem, places[1]);
    let mut worker = writer(&stem, places[3]);
    worker.init().unwrap();
    until_last(
        &mut worker,
        &mut Diary::default(),
        "up logger-2 active=0 known=true",
    );
    assert!(write(&mut worker, 0));
    worker.set_log_topic(|stream, path| {
        assert_ne!(stream.as_str(), path.as_str());
        "zeek/cluster/node/logger-2/".to_owned()
    });
    assert!(write(&mut worker, 1));
    worker.flush_logs();
    two.until("both", |logger| numbers(logger) == [0, 1]);
    one.until("the first", |logger| numbers(logger) == [0]);
    assert!(two.topics.contains("zeek/logs/Test::LOG"));
}

/// Shows: the writer's own loop wakes the logger when the time of a batch is over, and a full batch wakes
/// it at once.
#[test]
fn a_logger_is_woken_by_a_full_batch_and_by_time() {
    let spec = LogSpec {
        batch_records: 3,
        batch_interval: std::time::Duration::from_millis(100),
        ..LogSpec::default()
    };
    let (stem, places) = cluster_of(&[NODES[0], NODES[3]], spec);
    let mut logger = Logger::sit(&stem, places[0]);
    let mut worker = writer(&stem, places[1]);
    worker.init().unwrap();
    let mut diary = Diary::default();
    until_last(&mut worker, &mut diary, "up logger-1 active=0 known=true");
    worker.flush_logs();
    assert_eq!(worker.deadline(), None);
    assert!(write(&mut worker, 0));
    let due = worker.deadline().unwrap();
    assert!(due <= clock::monotonic() + std::time::Duration::from_millis(100));
    while worker.deadline().is_some() {
        let until = Some(clock::monotonic() + PATIENCE);
        worker.turn(&mut diary, until).unwrap();
    }
    assert!(clock::monotonic() >= due);
    logger.until("the record", |logger| numbers(logger) == [0]);
    assert!(write(&mut worker, 1) && write(&mut worker, 2));
    assert_eq!(worker.flush_logs(), 2);
    assert!((3..6).all(|n| write(&mut worker, n)));
    assert_eq!(worker.flush_logs(), 0, "the third has woken it");
    logger.until("all", |logger| numbers(logger) == [0, 1, 2, 3, 4, 5]);
}

/// Shows: nodes write what they see of one another to `cluster.log`, the manager who comes and goes to
/// `lifecycle.log`, and a policy can keep lines out.
#[test]
fn nodes_log_what_they_see() {
    let nodes = [NODES[0], NODES[2], NODES[3]];
    let (stem, places) = cluster_of(&nodes, LogSpec::default());
    let mut logger = Logger::sit(&stem, places[0]);
    let mut manager = sit(&stem, places[1]);
    manager
        .set_log_policy(|stream, filter, record| {
            assert_eq!((stream.as_str(), filter), ("Cluster::LOG", Filter::DEFAULT));
            record.field("message") != Some(&Value::from("secret"))
        })
        .unwrap();
    manager.init().unwrap();
    let mut worker = sit(&stem, places[2]);
    worker.init().unwrap();
    let mut diary = Diary::default();
    until_last(&mut manager, &mut diary, "up worker-1 active=1 known=true");
    manager.log("secret");
    manager.log("open");
    drop(worker);
    stem.set_state(places[2], State::Away);
    until_last(&mut manager, &mut diary, "down worker-1 active=0");
    manager.flush_logs();
    let has = |logger: &Logger, path: &str, end: &str| {
        let lines = logger.lines(path);
        lines.iter().any(|line| line.ends_with(end))
    };
    logger.until("the loss", |logger| {
        has(logger, "lifecycle", "Lifecycle::DOWN\tLifecycle::STOPPED")
    });
    assert!(has(&logger, "cluster", "\tmanager\topen"));
    assert!(has(&logger, "cluster", "\tmanager\tnode down: worker-1"));
    assert!(!has(&logger, "cluster", "secret"));
    let lines = logger.lines("cluster");
    assert!(
        lines
            .iter()
            .any(|line| line.contains("\tgot hello from worker-1 ("))
    );
    let lines = logger.lines("lifecycle");
    assert!(
        lines
            .iter()
            .any(|line| line.contains("\tworker-1\t") && line.ends_with("UP\t-"))
    );
}

/// Shows: trouble that a handler is told of stands in `reporter.log`, and so does a path that was taken.
#[test]
fn what_goes_wrong_is_in_the_reporters_log() {
    let nodes = [NODES[0], NODES[2], NODES[3]];
    let (stem, places) = cluster_of(&nodes, LogSpec::default());
    let mut logger = Logger::sit(&stem, places[0]);
    let mut manager = writer(&stem, places[1]);
    manager.subscribe("raw").unwrap();
    manager.init().unwrap();
    let mut worker = sit(&stem, places[2]);
    worker.init().unwrap();
    let mut diary = Diary::default();
    until_last(&mut manager, &mut diary, "up worker-1 active=1 known=true");
    assert!(AsMut::<Outbox>::as_mut(&mut worker).publish(b"raw", b"\xff\xff"));
    until_last(&mut manager, &mut diary, "trouble local_error");
    let mut filter = Filter::new("second");
    filter.path = Some(LogPath::parse("cluster").unwrap());
    manager.log_streams().add_filter(&stream(), filter).unwrap();
    assert!(write(&mut manager, 1));
    manager.flush_logs();
    logger.until("the path", |logger| logger.lines("cluster-2") == ["1"]);
    logger.until("both", |logger| logger.lines("reporter").len() == 2);
    let [trouble, taken] = logger.lines("reporter").try_into().unwrap();
    assert!(
        trouble.contains("\tReporter::ERROR\tlocal_error: what came on \"raw\" cannot be read"),
        "{trouble}"
    );
    assert!(
        taken.contains("\tReporter::WARNING\tthe filter \"second\""),
        "{taken}"
    );
    assert!(taken.ends_with("\tmanager"), "{taken}");
}

/// Remembers what it took.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Vec<Wrote>>>);

impl LocalSink for Shelf {
    fn take(&mut self, message: &[u8]) -> bool {
        self.0
            .lock()
            .unwrap()
            .push(decode(message, |_| "test".to_owned()));
        true
    }

    fn flush(&mut self) {}
}

/// Shows: a node that writes log files keeps its own lines; without a writer thread they are lost.
#[test]
fn a_node_that_writes_logs_keeps_its_own() {
    let (stem, places) = cluster_of(&[NODES[2], NODES[3]], LogSpec::default());
    let mut manager = writer(&stem, places[0]);
    manager.init().unwrap();
    assert!(!write(&mut manager, 0));
    let shelf = Shelf::default();
    manager.keep_logs(Box::new(shelf.clone()));
    assert!(write(&mut manager, 1) && write(&mut manager, 2));
    let wrote = shelf.0.lock().unwrap();
    let [
        Wrote::Create(create),
        Wrote::Line(_, one),
        Wrote::Line(_, two),
    ] = wrote.as_slice()
    else {
        panic!("{wrote:?}");
    };
    assert_eq!(create.path.as_str(), "test");
    assert_eq!([one, two], ["1", "2"]);
}

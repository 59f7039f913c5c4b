//! The writer thread on a real directory, with this test in the place of the loop.

use super::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::logging::files::state::{SLOT_NAMES, State};
use crate::logging::files::verify::{Input, Verifier};
use crate::logging::message::{Create, Format, WriterId, lines_head};
use crate::logging::spec::{Fsync, LogSpec, Names};
use crate::logging::{Atom, Column, LogPath, Schema, StreamId, Type, json};
use crate::sys::clock;

const PATIENCE: Duration = Duration::from_secs(20);
const OWN: SourceId = SourceId(99);
const RING: SourceId = SourceId(1);

fn node(source: SourceId) -> LogSender {
    LogSender {
        source,
        is_guest: false,
    }
}

struct Loop {
    commands: Sender<Command>,
    replies: Receiver<Reply>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _poll: mio::Poll,
}

impl Loop {
    fn start(directory: &Path, spec: LogSpec) -> Self {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let (commands, inbox) = crossbeam_channel::bounded(BATCHES_MAX);
        let (sender, replies) = crossbeam_channel::unbounded();
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let retry = Retry::new(Replies { sender, waker }, stopped);
        let config = Config {
            directory: directory.to_owned(),
            spec,
            name: None,
        };
        let thread = Builder::new().spawn(move || {
            let nudge = crossbeam_channel::bounded(1).0;
            let thread = Thread::begin(&config, OWN, (inbox, nudge), retry);
            let _ = thread.and_then(Thread::turns);
        });
        Self {
            commands,
            replies,
            stop: Some(stop),
            thread: Some(thread.unwrap()),
            _poll: poll,
        }
    }

    fn send(&self, records: &[(SourceId, u64, Vec<u8>)]) {
        let mut batch = Batch::default();
        for (source, number, payload) in records {
            batch.push(node(*source), *number, payload);
        }
        self.commands.send(Command::Batch(batch)).unwrap();
    }

    fn next(&self) -> Reply {
        self.replies.recv_timeout(PATIENCE).unwrap()
    }

    /// Waits until the source's records below this number are released; what else was said.
    fn wait_released(&self, source: SourceId, below: u64) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            let reply = self.next();
            let is_it = matches!(reply, Reply::Released { source: of, below: to }
                if (of, to) == (source, below));
            if is_it {
                return said;
            }
            said.push(format!("{reply:?}"));
        }
    }

    fn finish(self) {
        self.commands.send(Command::Finish).unwrap();
        while !matches!(self.next(), Reply::Finished) {}
    }
}

/// The thread is not killed as a process is: it leaves its work where it is.
impl Drop for Loop {
    fn drop(&mut self) {
        self.stop = None;
        self.commands = crossbeam_channel::bounded(0).0;
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn writer(stream: &str, path: &str) -> (WriterId, Vec<u8>) {
    writer_every(stream, path, None)
}

fn writer_every(stream: &str, path: &str, interval: Option<Duration>) -> (WriterId, Vec<u8>) {
    let column = Column::new("n", Type::Atom(Atom::Count), false).unwrap();
    let create = Create {
        stream: StreamId::parse(stream).unwrap(),
        filter: "default".to_owned(),
        path: LogPath::parse(path).unwrap(),
        format: Format::Json(json::Format::default()),
        schema: Schema::new(vec![column]).unwrap(),
        interval,
    };
    create.encode().unwrap()
}

fn line(id: WriterId, text: &str) -> Vec<u8> {
    [lines_head(id).as_slice(), text.as_bytes()].concat()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().canonicalize().unwrap().join("logger");
    (place, path)
}

fn text(directory: &Path, name: &str) -> String {
    fs::read_to_string(directory.join(name)).unwrap()
}

#[test]
fn lines_stand_when_they_are_released_and_a_repetition_is_skipped() {
    let (_place, path) = place();
    let (id, create) = writer("A::LOG", "conn");
    let records = [
        (RING, 0, create),
        (RING, 1, line(id, "one\n")),
        (RING, 2, line(id, "two\n")),
    ];
    let first = Loop::start(&path, LogSpec::default());
    first.send(&records);
    first.wait_released(RING, 3);
    assert_eq!(text(&path, "conn.log"), "one\ntwo\n");
    drop(first);
    // Its successor does not know that they were released; and knows the writer without its word.
    let second = Loop::start(&path, LogSpec::default());
    let three = (RING, 3, line(id, "three\n"));
    second.send(&[records[1].clone(), records[2].clone(), three]);
    second.wait_released(RING, 4);
    second.finish();
    assert_eq!(text(&path, "conn.log"), "one\ntwo\nthree\n");
    let [index, file] = ["conn.log.idx", "conn.log"].map(|name| fs::read(path.join(name)).unwrap());
    let input = Input {
        path: "conn",
        index: Some(index.as_slice()),
        file: file.as_slice(),
        until: None,
    };
    let report = Verifier::default().add(input).unwrap();
    assert_eq!((report.records, report.fault_count), (3, 0));
}

#[test]
fn streams_of_one_path_have_files_of_their_own() {
    let (_place, path) = place();
    let [(one, first), (other, second)] = ["A::LOG", "B::LOG"].map(|stream| writer(stream, "same"));
    let run = Loop::start(&path, LogSpec::default());
    let source = SourceId(2);
    run.send(&[
        (RING, 0, first),
        (source, 0, second),
        (RING, 1, line(one, "a\n")),
        (source, 1, line(other, "b\n")),
        (RING, 2, line(one, "c\n")),
    ]);
    run.wait_released(RING, 3);
    run.finish();
    assert_eq!(text(&path, "same.log"), "a\nc\n");
    assert_eq!(text(&path, "same-2.log"), "b\n");
}

#[test]
fn what_is_no_message_is_told_and_lines_of_nobody_stand_by_themselves() {
    let (_place, path) = place();
    let (id, _) = writer("A::LOG", "conn");
    let run = Loop::start(&path, LogSpec::default());
    let stray = |number| (RING, number, line(id, "stray\n"));
    run.send(&[stray(0), stray(1), (RING, 2, vec![0xff])]);
    run.wait_released(RING, 3);
    let reply = run.next();
    let Reply::Refused(why) = reply else {
        panic!("{reply:?}");
    };
    assert!(why.ends_with("records=1"), "{why}");
    let reply = run.next();
    let Reply::Aside {
        path: aside,
        records,
    } = reply
    else {
        panic!("{reply:?}");
    };
    assert_eq!(records, 2);
    assert_eq!(text(&path, &format!("{aside}.log")), "stray\nstray\n");
    // A successor does not forget it, nor does whoever verifies the files.
    let slots = SLOT_NAMES.map(|name| fs::read(path.join(name)).ok());
    let state = State::newest(slots.each_ref().map(Option::as_deref)).unwrap();
    assert_eq!((state.losses.refused, state.losses.aside), (1, 2));
    assert!(!path.join("conn.log").exists());
}

#[test]
fn a_nodes_own_record_stands_when_its_write_returns() {
    let (_place, path) = place();
    let (id, create) = writer("A::LOG", "cluster");
    let run = Loop::start(&path, LogSpec::default());
    let mut own = OwnRecords::new(run.commands.clone(), PATIENCE);
    assert!(own.take(&create));
    assert!(own.take(&line(id, "mine\n")));
    assert_eq!(text(&path, "cluster.log"), "mine\n");
    assert!(!own.take(b"nonsense"));
    assert!(own.take(&line(id, "again\n")));
    drop(own);
}

/// Shows: a disk that is stuck holds a node up for one record, and not for each.
#[test]
fn only_one_late_record_of_a_node_is_waited_for() {
    let (_place, path) = place();
    fs::write(&path, "in the way").unwrap();
    let (id, create) = writer("A::LOG", "cluster");
    let run = Loop::start(&path, LogSpec::default());
    assert!(matches!(run.next(), Reply::Failing(_)));
    let mut own = OwnRecords::new(run.commands.clone(), Duration::from_millis(20));
    assert!(!own.take(&create));
    own.within = PATIENCE;
    let began = clock::monotonic();
    assert!(!own.take(&create));
    assert!(clock::monotonic() - began < PATIENCE / 2);
    fs::remove_file(&path).unwrap();
    let until = clock::monotonic() + PATIENCE;
    while !own.take(&line(id, "mine\n")) {
        assert!(clock::monotonic() < until, "nothing is taken any more");
        std::thread::yield_now();
    }
    assert_eq!(text(&path, "cluster.log"), "mine\n");
    drop(own);
}

#[test]
fn an_orderly_end_rotates_if_the_layout_rotates() {
    let (_place, path) = place();
    let spec = LogSpec {
        rotate_interval: Some(Duration::from_secs(3600)),
        naming: Names::Classic,
        ..LogSpec::default()
    };
    fs::create_dir(&path).unwrap();
    fs::write(path.join("left.log"), "of somebody else\n").unwrap();
    let (id, create) = writer("A::LOG", "conn");
    let run = Loop::start(&path, spec);
    run.send(&[(RING, 0, create), (RING, 1, line(id, "one\n"))]);
    run.wait_released(RING, 2);
    run.finish();
    let names = fs::read_dir(&path).unwrap().map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.split('.').next().unwrap().to_owned()
    });
    let names: BTreeSet<String> = names.filter(|name| !name.is_empty()).collect();
    assert_eq!(
        names,
        BTreeSet::from(["conn".to_owned(), "left".to_owned()])
    );
    assert!(!path.join("conn.log").exists() && !path.join("left.log").exists());
}

/// Shows: a directory that cannot be had is said once, tried again, and had at last; and who gives it up
/// is not held up by it.
#[test]
fn what_the_disk_refuses_is_tried_until_it_is_done_or_given_up() {
    let (_place, path) = place();
    fs::write(&path, "in the way").unwrap();
    let (id, create) = writer("A::LOG", "conn");
    let run = Loop::start(&path, LogSpec::default());
    assert!(matches!(run.next(), Reply::Failing(_)));
    run.send(&[(RING, 0, create), (RING, 1, line(id, "one\n"))]);
    fs::remove_file(&path).unwrap();
    assert!(matches!(run.next(), Reply::Works));
    run.wait_released(RING, 2);
    assert_eq!(text(&path, "conn.log"), "one\n");
    drop(run);
    let file = path.join("conn.log");
    let stuck = Loop::start(&file, LogSpec::default());
    assert!(matches!(stuck.next(), Reply::Failing(_)));
    drop(stuck);
}

/// Shows: a ring that began while the word of which rings are there was on its way is not forgotten by it,
/// nor is who writes there.
#[test]
fn a_ring_that_is_younger_than_the_list_of_rings_stays() {
    let (_place, path) = place();
    fs::write(&path, "in the way").unwrap();
    let (id, create) = writer("A::LOG", "conn");
    let run = Loop::start(&path, LogSpec::default());
    assert!(matches!(run.next(), Reply::Failing(_)));
    // The thread comes to them all at once.
    let other = SourceId(2);
    run.commands.send(Command::Rings(vec![other])).unwrap();
    run.send(&[(RING, 0, create), (RING, 1, line(id, "one\n"))]);
    fs::remove_file(&path).unwrap();
    run.wait_released(RING, 2);
    run.send(&[(RING, 2, line(id, "two\n"))]);
    run.wait_released(RING, 3);
    // A second ring of a writer who is known, and whose first one is over.
    run.send(&[(other, 0, line(id, "three\n"))]);
    run.wait_released(other, 1);
    run.commands
        .send(Command::Rings(vec![RING, other]))
        .unwrap();
    run.send(&[(other, 1, line(id, "four\n"))]);
    run.wait_released(other, 2);
    run.commands.send(Command::Rings(vec![other])).unwrap();
    run.send(&[(other, 2, line(id, "five\n"))]);
    run.wait_released(other, 3);
    run.send(&[(other, 3, line(id, "six\n"))]);
    run.wait_released(other, 4);
    run.finish();
    assert_eq!(
        text(&path, "conn.log"),
        "one\ntwo\nthree\nfour\nfive\nsix\n"
    );
}

/// Shows: what is due by time is done though there is always something to write.
#[test]
fn files_are_synced_in_time_whatever_comes() {
    let (_place, path) = place();
    let poll = mio::Poll::new().unwrap();
    let waker = Arc::new(Waker::new(poll.registry(), mio::Token(0)).unwrap());
    let (commands, inbox) = crossbeam_channel::unbounded();
    let (sender, _replies) = crossbeam_channel::unbounded();
    let (_stop, stopped) = crossbeam_channel::bounded(0);
    let retry = Retry::new(Replies { sender, waker }, stopped);
    let config = Config {
        directory: path.clone(),
        spec: LogSpec {
            fsync: Fsync::Interval(Duration::from_nanos(1)),
            ..LogSpec::default()
        },
        name: None,
    };
    let (id, create) = writer("A::LOG", "conn");
    let nudge = crossbeam_channel::bounded(1).0;
    let mut thread = Thread::begin(&config, OWN, (inbox, nudge), retry).unwrap();
    for (number, payload) in (0..).zip([create, line(id, "one\n"), line(id, "two\n")]) {
        let mut batch = Batch::default();
        batch.push(node(RING), number, &payload);
        commands.send(Command::Batch(batch)).unwrap();
        assert!(thread.turn().unwrap());
        assert_eq!(thread.files.next_tick(), None, "something is not synced");
    }
    assert_eq!(text(&path, "conn.log"), "one\ntwo\n");
}

/// Shows: what a guest sends stands in no file of somebody else's, and only as what it said it was.
#[test]
fn a_guest_writes_records_of_its_own_writers_only() {
    let (_place, path) = place();
    let [(conn, create), (dns, other)] = ["conn", "dns"].map(|path| writer("A::LOG", path));
    let run = Loop::start(&path, LogSpec::default());
    run.send(&[(RING, 0, create), (RING, 1, line(conn, "mine\n"))]);
    let guest = LogSender {
        source: SourceId(2),
        is_guest: true,
    };
    let mut batch = Batch::default();
    let sent = [
        line(conn, "{\"n\":1}\n"),
        other,
        line(dns, "{\"n\":2}\n"),
        line(dns, "\x1b[2J\n"),
    ];
    for (number, payload) in (0..).zip(sent) {
        batch.push(guest, number, &payload);
    }
    run.commands.send(Command::Batch(batch)).unwrap();
    run.wait_released(guest.source, 4);
    run.finish();
    assert_eq!(text(&path, "conn.log"), "mine\n");
    assert_eq!(text(&path, "dns.log"), "{\"n\":2}\n");
    let aside = format!("unknown-{:016x}.log", conn.0);
    assert_eq!(text(&path, &aside), "{\"n\":1}\n");
}

/// Shows: what somebody else did to an open file is found, and what comes next stands in a fresh one.
#[test]
fn a_file_that_was_taken_away_is_made_anew() {
    let (_place, path) = place();
    let (id, create) = writer("A::LOG", "conn");
    let run = Loop::start(&path, LogSpec::default());
    run.send(&[(RING, 0, create), (RING, 1, line(id, "one\n"))]);
    run.wait_released(RING, 2);
    fs::remove_dir_all(&path).unwrap();
    let until = clock::monotonic() + PATIENCE;
    let mut number = 2;
    while !path.join("conn.log").exists() {
        assert!(clock::monotonic() < until, "it writes to nowhere");
        run.send(&[(RING, number, line(id, "more\n"))]);
        number += 1;
        run.wait_released(RING, number);
    }
    run.finish();
    assert!(text(&path, "conn.log").ends_with("more\n"));
    // Who the writer is was said to the first one alone, and before the directory went.
    let second = Loop::start(&path, LogSpec::default());
    second.send(&[(RING, number, line(id, "last\n"))]);
    second.wait_released(RING, number + 1);
    second.finish();
    assert!(text(&path, "conn.log").ends_with("more\nlast\n"));
}

/// Shows: the file of a filter with an interval of its own is rotated by it, though the layout has none, and
/// that of another one is not.
#[test]
fn a_filter_has_an_interval_of_its_own() {
    let (_place, path) = place();
    let run = Loop::start(&path, LogSpec::default());
    let (often, create) = writer_every("Often::LOG", "often", Some(Duration::from_secs(1)));
    let (never, other) = writer("Never::LOG", "never");
    run.send(&[
        (RING, 0, create),
        (RING, 1, other),
        (RING, 2, line(often, "1\n")),
        (RING, 3, line(never, "1\n")),
    ]);
    let rotated = loop {
        if let Reply::Told(crate::logging::files::Event::Rotated { path, .. }) = run.next() {
            break path;
        }
    };
    assert_eq!(rotated.as_str(), "often");
    run.finish();
    assert!(path.join("never.log").exists() && !path.join("often.log").exists());
}

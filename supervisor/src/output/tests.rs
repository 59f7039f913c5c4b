//! The thread with real pipes and real files.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test waits for one kind of note and passes over the others"
)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam_channel::Receiver;
use tempfile::TempDir;

use super::*;

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// The thread under test, its run directory, and the ends of what it writes and reads.
struct Bench {
    run: TempDir,
    output: Option<Output>,
    notes: Receiver<Note>,
    console: Console,
    /// What the operator would see.
    screen: File,
    errors: File,
}

fn pipe() -> (File, OwnedFd) {
    let (read, write) = nix::unistd::pipe().unwrap();
    (File::from(write), read)
}

#[expect(clippy::disallowed_methods, reason = "a test's own patience")]
fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

fn everybody() -> Wanted {
    Wanted {
        nodes: None,
        stream: None,
    }
}

const SETTINGS: Settings = Settings {
    rotation: Rotation {
        bytes: 16 << 20,
        keep: 10,
    },
    line_bytes_max: 64 * 1024,
    crash_keep: 10,
};

impl Bench {
    fn new(settings: Settings) -> Self {
        let (out_write, out_read) = pipe();
        let (err_write, err_read) = pipe();
        let console = Console::on(out_write.into(), err_write.into()).unwrap();
        let run = tempfile::tempdir().unwrap();
        let (sender, notes) = crossbeam_channel::unbounded();
        let output = Output::start(Config {
            settings,
            crash_dir: run.path().join("crash"),
            console: console.clone(),
            notes: sender,
            notify: Box::new(|| {}),
        });
        Self {
            run,
            output: Some(output.unwrap()),
            notes,
            console,
            screen: File::from(out_read),
            errors: File::from(err_read),
        }
    }

    fn path(&self, node: &str, file: &str) -> PathBuf {
        self.run.path().join(node).join(file)
    }

    fn send(&self, command: Command) {
        let output = self.output.as_ref().unwrap();
        output.send(command);
        output.kick();
    }

    /// A node is born; the ends it would write to.
    fn birth(&self, node: &str, incarnation: u64) -> (File, File) {
        self.birth_with_file(node, incarnation, self.path(node, "stdout.log"))
    }

    fn birth_with_file(&self, node: &str, incarnation: u64, stdout_file: PathBuf) -> (File, File) {
        let ((out, stdout), (err, stderr)) = (pipe(), pipe());
        self.send(Command::Attach {
            node: name(node),
            incarnation: Incarnation(incarnation),
            stdout,
            stderr,
            stdout_file,
            stderr_file: self.path(node, "stderr.log"),
            owner: None,
            pid: 1,
            pid_file: self.path(node, "pid"),
        });
        (out, err)
    }

    fn gone(&self, node: &str, incarnation: u64, crash: Option<CrashFacts>) {
        self.send(Command::Gone {
            node: name(node),
            incarnation: Incarnation(incarnation),
            pid_file: Some(self.path(node, "pid")),
            crash: crash.map(Box::new),
        });
    }

    /// The next note that fits; others are passed over.
    fn wait<T>(&self, pick: impl Fn(Note) -> Option<T>) -> T {
        let deadline = soon();
        loop {
            let note = self.notes.recv_deadline(deadline).unwrap();
            if let Some(found) = pick(note) {
                return found;
            }
        }
    }

    /// All that was asked for before is done.
    fn drained(&self) {
        self.tail(0);
    }

    fn tail(&self, lines: usize) -> Vec<LogLine> {
        self.send(Command::Tail {
            request: 5,
            wanted: everybody(),
            lines,
            since: None,
        });
        self.wait(|note| match note {
            Note::Tail { request: 5, lines } => Some(lines),
            _ => None,
        })
    }

    fn finish(&mut self) -> usize {
        self.send(Command::Finish { within: PATIENCE });
        let unread = self.wait(|note| match note {
            Note::Finished { unread } => Some(unread),
            _ => None,
        });
        self.output.take().unwrap().join();
        unread
    }

    /// All that was shown, when nothing more is to come.
    fn shown(mut self) -> (String, String) {
        self.finish();
        assert!(self.console.flush(soon()));
        drop(self.console);
        let (mut out, mut err) = (String::new(), String::new());
        self.screen.read_to_string(&mut out).unwrap();
        self.errors.read_to_string(&mut err).unwrap();
        (out, err)
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn crash_facts() -> CrashFacts {
    CrashFacts {
        pid: 1,
        ending: cluster::supervise::child::Ending::Exited(3),
        asked: false,
        cause: "crash".to_owned(),
        started: SystemTime::UNIX_EPOCH,
        ended: SystemTime::UNIX_EPOCH + Duration::from_secs(9),
        usage: cluster::supervise::vocabulary::Usage::default(),
        restarts: 0,
        strays: 0,
    }
}

#[test]
fn both_streams_are_kept_bare_and_shown_behind_the_name() {
    let bench = Bench::new(SETTINGS);
    let (mut out, mut err) = bench.birth("worker-1", 1);
    out.write_all(b"one\n\ntwo").unwrap();
    err.write_all(b"oh\n").unwrap();
    drop((out, err));
    bench.gone("worker-1", 1, None);
    bench.drained();
    assert_eq!(read(&bench.path("worker-1", "stdout.log")), "one\n\ntwo");
    assert_eq!(read(&bench.path("worker-1", "stderr.log")), "oh\n");
    let texts: Vec<_> = bench.tail(10).into_iter().map(|line| line.text).collect();
    assert_eq!(texts.len(), 4);
    bench.console.supervisor_line("all is well");
    let (shown, errors) = bench.shown();
    assert_eq!(shown, "[worker-1] one\n[worker-1] \n[worker-1] two\n");
    assert!(errors.contains("[worker-1] oh\n") && errors.contains("[supervisor] all is well\n"));
}

/// Shows: 64 MiB written as fast as the pipe takes them are in the files, byte for byte, across
/// rotations, while the console, which nobody reads, stands still.
#[test]
fn a_flood_is_kept_whole_across_rotation_while_the_console_stands_still() {
    const FLOOD_BYTES: usize = 64 << 20;
    let mut settings = SETTINGS;
    settings.rotation.bytes = 10_000_001;
    let mut bench = Bench::new(settings);
    let (mut out, err) = bench.birth("worker-1", 1);
    let writer = std::thread::Builder::new();
    let writer = writer.spawn(move || {
        let mut sum = Vec::with_capacity(FLOOD_BYTES);
        let mut number = 0_u64;
        while sum.len() < FLOOD_BYTES {
            let begin = sum.len();
            for _ in 0..500 {
                number += 1;
                writeln!(
                    sum,
                    "{number} {}",
                    "-".repeat(usize::try_from(number % 97).unwrap())
                )
                .unwrap();
            }
            out.write_all(&sum[begin..]).unwrap();
        }
        sum
    });
    let wanted = writer.unwrap().join().unwrap();
    drop(err);
    assert_eq!(bench.finish(), 0);
    let log = bench.path("worker-1", "stdout.log");
    let mut rest = wanted.as_slice();
    for number in (0..=6).rev() {
        let path = match number {
            0 => log.clone(),
            old => place::numbered(&log, old),
        };
        let bytes = fs::read(path).unwrap();
        assert!(number == 0 || bytes.ends_with(b"\n"));
        rest = rest.strip_prefix(bytes.as_slice()).expect("the same bytes");
    }
    assert!(rest.is_empty());
    assert!(bench.console.dropped().load(Ordering::Relaxed) > 0);
}

#[test]
fn a_console_that_goes_on_says_how_many_lines_it_missed_and_a_closed_one_is_left_alone() {
    let mut bench = Bench::new(SETTINGS);
    let (mut out, _err) = bench.birth("worker-1", 1);
    let line = "x".repeat(1000);
    for _ in 0..4000 {
        writeln!(out, "{line}").unwrap();
    }
    drop(out);
    assert_eq!(bench.finish(), 0);
    let missed = bench.console.dropped().load(Ordering::Relaxed);
    assert!(missed > 0);
    let (mut shown, mut told) = (0, 0);
    let mut lines = BufReader::new(&bench.screen).lines();
    while shown + told < 4000 {
        let line = lines.next().unwrap().unwrap();
        let notice = line.strip_prefix("[supervisor] ");
        match notice.and_then(|notice| notice.strip_suffix(" lines were not shown here")) {
            Some(count) => told += count.parse::<u64>().unwrap(),
            None => shown += 1,
        }
    }
    assert_eq!(told, missed);
    drop((bench.screen, bench.errors));
    bench.console.supervisor_line("nobody reads this");
    assert!(bench.console.flush(soon()));
    bench.console.supervisor_line("nor this");
    assert!(bench.console.flush(soon()));
}

#[test]
fn a_successor_goes_on_in_the_same_file_on_a_fresh_line() {
    let bench = Bench::new(SETTINGS);
    let (mut out, _) = bench.birth("worker-1", 1);
    out.write_all(b"cut off").unwrap();
    drop(out);
    bench.gone("worker-1", 1, None);
    let (mut out, _) = bench.birth("worker-1", 2);
    out.write_all(b"hello\n").unwrap();
    bench.gone("worker-1", 2, None);
    bench.drained();
    bench.drained();
    assert_eq!(
        read(&bench.path("worker-1", "stdout.log")),
        "cut off\nhello\n"
    );
}

#[test]
fn a_crash_report_holds_the_last_words_of_that_birth_though_a_descendant_holds_the_pipe() {
    let bench = Bench::new(SETTINGS);
    let (mut out, _) = bench.birth("worker-1", 1);
    out.write_all(b"of the first\n").unwrap();
    drop(out);
    bench.gone("worker-1", 1, None);
    let (out, mut err) = bench.birth("worker-1", 2);
    err.write_all(b"first line\nno newline").unwrap();
    bench.gone("worker-1", 2, Some(crash_facts()));
    let dir = bench.wait(|note| match note {
        Note::CrashWritten { dir, .. } => Some(dir),
        _ => None,
    });
    assert!(dir.ends_with("worker-1/19700101T000009Z-2"));
    assert_eq!(read(&dir.join("stderr.tail")), "first line\nno newline\n");
    assert_eq!(read(&dir.join("stdout.tail")), "");
    err.write_all(b", still here\n").unwrap();
    drop((out, err));
    let log = bench.path("worker-1", "stderr.log");
    let (shown, errors) = bench.shown();
    assert_eq!(shown, "[worker-1] of the first\n");
    assert!(errors.ends_with("[worker-1] , still here\n"));
    assert!(!log.exists(), "the run directory went with the test");
}

#[test]
fn a_report_that_cannot_be_written_is_told_and_nothing_else_suffers() {
    let bench = Bench::new(SETTINGS);
    fs::write(bench.run.path().join("crash"), "in the way").unwrap();
    let _ends = bench.birth("worker-1", 1);
    bench.gone("worker-1", 1, Some(crash_facts()));
    bench.wait(|note| matches!(note, Note::CrashLost { .. }).then_some(()));
    bench.drained();
}

#[test]
fn a_full_disk_costs_counted_bytes_and_holds_nobody_up() {
    let bench = Bench::new(SETTINGS);
    let (mut out, _err) = bench.birth_with_file("worker-1", 1, "/dev/full".into());
    let flood = vec![b'\n'; 1 << 20];
    out.write_all(&flood).unwrap();
    let lost = |wanted| {
        bench.wait(|note| match note {
            Note::Lost {
                state, bytes_total, ..
            } if state == wanted => Some(bytes_total),
            _ => None,
        })
    };
    assert!(lost(LossState::Began) <= 1 << 20);
    drop(out);
    bench.send(Command::Finish { within: PATIENCE });
    assert_eq!(lost(LossState::Continues), 1 << 20);
}

#[test]
fn who_reads_along_gets_the_last_lines_and_then_all_that_come() {
    let bench = Bench::new(SETTINGS);
    let (mut out, mut err) = bench.birth("worker-1", 1);
    out.write_all(b"a\nb\n").unwrap();
    err.write_all(b"not asked for\n").unwrap();
    while bench.tail(10).len() < 3 {}
    bench.send(Command::Follow {
        id: FollowerId(1),
        wanted: Wanted {
            nodes: None,
            stream: Some(Stream::Out),
        },
        lines: 1,
        since: None,
        held: Arc::default(),
    });
    out.write_all(b"c\nd\n").unwrap();
    let mut got = Vec::new();
    while got.len() < 3 {
        got.extend(bench.wait(|note| match note {
            Note::Lines { lines, dropped, .. } => {
                assert_eq!(dropped, 0);
                Some(lines)
            }
            _ => None,
        }));
    }
    let texts: Vec<_> = got.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["b", "c", "d"]);
}

#[test]
fn a_hook_speaks_in_the_file_of_its_node_and_under_its_own_name() {
    let bench = Bench::new(SETTINGS);
    let _ends = bench.birth("worker-1", 1);
    let (mut hook, output) = pipe();
    bench.send(Command::AttachHelper {
        node: name("worker-1"),
        label: "on_crash".to_owned(),
        output,
        stderr_file: bench.path("worker-1", "stderr.log"),
        owner: None,
    });
    hook.write_all(b"cleaned up\n").unwrap();
    drop(hook);
    while bench.tail(1).is_empty() {}
    assert_eq!(read(&bench.path("worker-1", "stderr.log")), "cleaned up\n");
    let (_, errors) = bench.shown();
    assert_eq!(errors, "[worker-1/on_crash] cleaned up\n");
}

#[test]
fn lines_that_are_too_long_are_cut_with_a_mark_everywhere() {
    let mut settings = SETTINGS;
    settings.line_bytes_max = 20;
    let bench = Bench::new(settings);
    let (mut out, err) = bench.birth("worker-1", 1);
    out.write_all(b"0123456789").unwrap();
    out.write_all(b"0123456789abc\nend\n").unwrap();
    drop((out, err));
    bench.gone("worker-1", 1, None);
    bench.drained();
    let wanted = "01234567890123456789 …[line goes on]\nabc\nend\n";
    assert_eq!(read(&bench.path("worker-1", "stdout.log")), wanted);
    let shown: String = wanted
        .lines()
        .map(|line| format!("[worker-1] {line}\n"))
        .collect();
    assert_eq!(bench.shown().0, shown);
}

#[test]
fn a_forgotten_node_leaves_its_files_and_no_descriptor() {
    let bench = Bench::new(SETTINGS);
    let (mut out, mut err) = bench.birth("worker-1", 1);
    out.write_all(b"last\n").unwrap();
    bench.send(Command::Forget(name("worker-1")));
    assert!(bench.tail(10).is_empty());
    assert_eq!(read(&bench.path("worker-1", "stdout.log")), "last\n");
    assert!(err.write_all(b"x").is_err(), "nobody reads it any more");
}

#[test]
fn our_own_log_goes_into_its_file_and_onto_the_console() {
    let bench = Bench::new(SETTINGS);
    let path = bench.run.path().join("supervisor.log");
    let log = SupervisorLog::open(path.clone(), SETTINGS.rotation).unwrap();
    let mut writer = ConsoleLog {
        log: Some(log.clone()),
        console: bench.console.clone(),
    };
    writer.write_all(b"node=worker-1 event=ready\n").unwrap();
    assert!(log.flush(soon()));
    assert_eq!(read(&path), "node=worker-1 event=ready\n");
    fs::rename(&path, bench.run.path().join("moved")).unwrap();
    log.reopen();
    writer.write_all(b"second\n").unwrap();
    assert!(log.flush(soon()));
    assert_eq!(read(&path), "second\n");
    assert_eq!(log.dropped().load(Ordering::Relaxed), 0);
    drop(writer);
    let (_, errors) = bench.shown();
    assert!(errors.ends_with("[supervisor] second\n"));
}

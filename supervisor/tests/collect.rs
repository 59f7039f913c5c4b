//! `layouts/collect.ron` with real workers and loggers: what is collected equals its source, record for
//! record, whoever is killed meanwhile.
//!
//! Zeek's own logs are collected where `ZEEK_LOGS` or `../shared/data/zeek-logs` has them, else a few lines
//! of their form.
//! `KILLS=300 cargo test --test collect` kills that often.

#![cfg(test)]

mod common;

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use common::{Cluster, PATIENCE, Start, layouts, number_of, processes, wait_for, wait_or_tell};

/// So many kills, unless `KILLS` says another number.
const KILLS: u64 = 15;

/// Files that lie there at a time; a node follows at most 1024.
const FILES: usize = 500;

/// Records of a file between two kills.
const BURST: u64 = 400;

const VICTIMS: [&str; 6] = [
    "worker-1", "logger-1", "worker-2", "worker-3", "logger-2", "worker-4",
];

fn layouts_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../layouts")
}

/// The layout that ships, with deaths that cost no time.
fn start(inputs: &Path, logging: &str) -> Cluster {
    let text = fs::read_to_string(layouts_folder().join("collect.ron")).unwrap();
    let at_once = layouts::AT_ONCE;
    let head = format!("Layout(\n    controller: (enabled: false), logging: ({logging}),\n");
    let text = text
        .replace("Layout(\n", &head)
        .replace(
            "node_type: Worker,",
            &format!("node_type: Worker, {at_once},"),
        )
        .replace(
            "node_type: Logger,",
            &format!("node_type: Logger, {at_once},"),
        );
    let start = Start::with(&text).env("INPUT_DIR", inputs.to_str().unwrap());
    start.start_ready()
}

fn is_record(line: &&[u8]) -> bool {
    !line.is_empty() && line.first() != Some(&b'#')
}

fn records_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(is_record);
    lines.map(<[u8]>::to_vec).collect()
}

/// What stands in the logs of a path, of all loggers, in order.
fn collected(run_dir: &Path, path: &str) -> Vec<Vec<u8>> {
    let name = format!("{path}.log");
    let files = common::walk(&run_dir.join("logs"));
    let files = files.into_iter().filter(|file| file.ends_with(&name));
    let mut records: Vec<_> = files
        .filter_map(|file| fs::read(file).ok())
        .flat_map(|bytes| records_of(&bytes))
        .collect();
    records.sort_unstable();
    records
}

fn wait_collected(cluster: &Cluster, path: &str, count: usize) {
    let tell = || format!("{}\n{}", cluster.status(), cluster.console());
    let what = format!("{count} records of {path} stand");
    wait_or_tell(
        &what,
        2 * PATIENCE,
        || (collected(cluster.run_dir(), path).len() >= count).then_some(()),
        tell,
    );
}

/// Collects every log, and holds each against its source after an orderly end.
fn collect_all(inputs: &Path) {
    let cluster = start(inputs, "");
    let mut sources = BTreeMap::new();
    for file in common::walk(inputs) {
        let name = file.file_name().unwrap().to_str().unwrap();
        if let Some(path) = name.strip_suffix(".log") {
            let mut records = records_of(&fs::read(&file).unwrap());
            records.sort_unstable();
            sources.insert(path.to_owned(), records);
        }
    }
    assert!(!sources.is_empty());
    for (path, records) in &sources {
        wait_collected(&cluster, path, records.len());
    }
    let run_dir = cluster.run_dir().to_owned();
    let _kept = cluster.stop_and_prepare_another();
    for (path, records) in sources {
        let collected = collected(&run_dir, &path);
        assert_eq!(collected.len(), records.len(), "{path}");
        for (is, was) in collected.iter().zip(&records) {
            let [is, was] = [is, was].map(|line| line.escape_ascii().to_string());
            assert_eq!(is, was, "{path}");
        }
    }
}

/// An object, without the members that say nothing.
fn object(line: &[u8]) -> BTreeMap<String, Value> {
    let mut object: BTreeMap<String, Value> = serde_json::from_slice(line).unwrap();
    object.retain(|_, value| !value.is_null());
    object
}

/// Collects every log of objects as objects, and holds each against its source by value.
fn collect_objects(inputs: &Path, times: &str) {
    let logging = format!("format: Json, json_timestamps: {times}");
    let cluster = start(inputs, &logging);
    let mut sources = BTreeMap::new();
    for file in common::walk(inputs) {
        let name = file.file_name().unwrap().to_str().unwrap();
        if let Some(path) = name.strip_suffix(".json") {
            let records = records_of(&fs::read(&file).unwrap());
            wait_collected(&cluster, path, records.len());
            sources.insert(path.to_owned(), records);
        }
    }
    assert!(!sources.is_empty());
    let run_dir = cluster.run_dir().to_owned();
    let _kept = cluster.stop_and_prepare_another();
    for (path, records) in sources {
        let sorted = |lines: Vec<Vec<u8>>| {
            let objects = lines.iter().map(|line| object(line));
            let mut objects: Vec<_> = objects.map(|it| format!("{it:?}")).collect();
            objects.sort_unstable();
            objects
        };
        assert_eq!(
            sorted(collected(&run_dir, &path)),
            sorted(records),
            "{path}"
        );
    }
}

#[test]
fn the_sample_is_collected_as_it_is() {
    collect_all(&layouts_folder().join("sample"));
}

#[test]
fn the_samples_objects_are_collected_by_value() {
    collect_objects(&layouts_folder().join("sample"), "Epoch");
}

/// Zeek's own logs, unpacked. Where there are none, which is said past the capture of tests' output, a few
/// lines of the same form do.
fn zeek_logs(kind: &str, ending: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let said = env::var_os("ZEEK_LOGS").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/zeek-logs");
    let logs = said.unwrap_or(beside).join(kind);
    if !logs.is_dir() {
        let line =
            format!("A FEW LINES ONLY: name the folder of Zeek's logs in ZEEK_LOGS ({kind})\n");
        io::stderr().write_all(line.as_bytes()).unwrap();
        let text = if kind == "tsv" {
            A_FEW_LINES
        } else {
            A_FEW_OBJECTS
        };
        fs::write(folder.path().join(format!("few{ending}")), text).unwrap();
        return folder;
    }
    for packed in common::walk(&logs) {
        let name = packed.file_name().unwrap().to_str().unwrap();
        let Some(name) = name.strip_suffix(".gz") else {
            continue;
        };
        assert!(name.ends_with(ending), "{name}");
        let unpack = Command::new("gzip")
            .arg("-dc")
            .stdin(File::open(&packed).unwrap())
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        assert!(unpack.status.success());
        fs::write(folder.path().join(name), unpack.stdout).unwrap();
    }
    folder
}

/// What is hard about Zeek's lines: nothing, no elements, one that looks like nothing, bytes that are no
/// text, numbers at the ends of their ranges.
const A_FEW_LINES: &str = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n\
    #unset_field\t-\n#path\tfew\n#open\t2026-01-31-12-00-00\n\
    #fields\tts\thost\tport\ttags\tnote\tbytes\n#types\ttime\taddr\tport\tset[string]\tstring\tcount\n\
    1521911721.255387\t2001:db8::1\t53\t(empty)\t-\t18446744073709551615\n\
    1521911722.000001\t10.0.0.1\t0\ta,b\t\\x2d\t-\n\
    1521911723.100000\t10.0.0.2\t65535\t-\t\\xff\\x09\\\\\t0\n#close\t2026-01-31-13-00-00\n";

const A_FEW_OBJECTS: &str = r#"{"ts":"2018-03-24T17:16:20.600725Z","uid":"C1","n":1,"tags":["a","b"]}
{"ts":"2018-03-24T17:16:21.000001Z","uid":"\u00e9\"","ok":true,"x":-0.5}
{"ts":"2018-03-24T17:16:22.999999Z","n":0,"tags":[]}
"#;

#[test]
fn zeeks_own_logs_are_collected_byte_for_byte() {
    collect_all(zeek_logs("tsv", ".log").path());
}

#[test]
fn zeeks_own_objects_are_collected_by_value() {
    collect_objects(zeek_logs("json", ".json").path(), "Iso8601");
}

/// What the worker of this name has told.
fn said(cluster: &Cluster) -> String {
    let all = common::walk(&cluster.run_dir().join("worker")).into_iter();
    let out = all.filter(|file| file.file_name().is_some_and(|name| name == "stdout.log"));
    out.filter_map(|file| fs::read_to_string(file).ok())
        .collect()
}

/// A worker that follows these inputs, and a logger.
fn one_worker(head: &str, inputs: &str) -> Cluster {
    let worker = format!("node_type: Worker, manager: \"manager\", inputs: [{inputs}]");
    let nodes = [
        ("manager", "node_type: Manager"),
        ("logger", "node_type: Logger"),
        ("worker", worker.as_str()),
    ];
    let head = format!("controller: (enabled: false){head}");
    Start::with(&layouts::layout(&head, &nodes)).start_ready()
}

/// Shows: a line whose record is too large holds nothing up, and is told.
#[test]
fn a_record_that_is_too_large_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines");
    let long = "x".repeat(40_000);
    // Each of these stands as four bytes.
    let escaped = "\u{1}".repeat(20_000);
    fs::write(&file, format!("a\n{long}\nb\n{escaped}\nc\n")).unwrap();
    let input = format!("(file: {file:?}, form: Lines, stream: \"Few::LOG\", path: \"few\")");
    let cluster = one_worker(", fabric: (record_bytes_max: \"32KiB\")", &input);
    wait_collected(&cluster, "few", 3);
    let lines = collected(cluster.run_dir(), "few");
    let last: Vec<_> = lines.iter().filter_map(|line| line.last()).collect();
    assert_eq!(last, [&b'a', &b'b', &b'c']);
    let said = said(&cluster);
    assert!(said.contains("event=line_too_long"), "{said}");
    assert!(said.contains("event=bad_line"), "{said}");
}

/// Shows: names that are gone make room for others, though a node follows no more than so many.
#[test]
fn files_that_are_gone_make_room_for_others() {
    let folder = tempfile::tempdir().unwrap();
    let input = format!(
        "(file: \"{}/*.txt\", form: Lines, stream: \"Few::LOG\", path: \"few\")",
        folder.path().display()
    );
    let cluster = one_worker("", &input);
    for round in 0..3 {
        let path = |number: usize| folder.path().join(format!("{round}-{number}.txt"));
        for number in 0..FILES {
            fs::write(path(number), "a line\n").unwrap();
        }
        wait_collected(&cluster, "few", (round + 1) * FILES);
        (0..FILES).for_each(|number| fs::remove_file(path(number)).unwrap());
    }
    assert_eq!(collected(cluster.run_dir(), "few").len(), 3 * FILES);
    assert!(!said(&cluster).contains("event=too_many_inputs"));
}

/// Shows: what is written into a pipe and into a socket is collected; across writers that come and go.
#[test]
fn a_pipe_and_a_socket_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, path) = (folder.path().join("pipe"), folder.path().join("socket"));
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let socket = UnixListener::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let worker = format!(
        "node_type: Worker, manager: \"manager\", inputs: [
            (fifo: {pipe:?}, form: Lines, stream: \"Pipe::LOG\", path: \"pipe\"),
            (socket: {path:?}, form: Json, stream: \"Socket::LOG\", path: \"socket\")]"
    );
    let nodes = [
        ("manager", "node_type: Manager"),
        ("logger", "node_type: Logger"),
        ("worker", worker.as_str()),
    ];
    let layout = layouts::layout("controller: (enabled: false)", &nodes);
    let cluster = Start::with(&layout).start_ready();
    for (count, text) in [(2, "a\nb\n"), (3, "c\n")] {
        fs::write(&pipe, text).unwrap();
        wait_collected(&cluster, "pipe", count);
    }
    // Who closes without a word is asked again, and that is told once.
    for _ in 0..4 {
        wait_for("the worker connects", PATIENCE, || socket.accept().ok());
    }
    for (count, text) in [(1, "{\"n\":1}\n"), (3, "{\"n\":2}\n{\"n\":3}")] {
        let accepted = wait_for("the worker connects", PATIENCE, || socket.accept().ok());
        accepted.0.set_nonblocking(false).unwrap();
        { accepted.0 }.write_all(text.as_bytes()).unwrap();
        wait_collected(&cluster, "socket", count);
    }
    assert_eq!(collected(cluster.run_dir(), "socket"), [b"1", b"2", b"3"]);
    let told = format!("event=following file={}", path.display());
    let said = said(&cluster);
    assert!(said.matches(&told).count() <= 3, "{said}");
    let lines = collected(cluster.run_dir(), "pipe");
    let last: Vec<_> = lines.iter().filter_map(|line| line.last()).collect();
    assert_eq!(last, [&b'a', &b'b', &b'c']);
}

/// Shows: the layout of docs/inputs.md collects a command's output, over the command's and the worker's
/// deaths.
#[test]
fn the_output_of_a_command_is_collected_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/inputs.md");
    let docs = fs::read_to_string(docs).unwrap();
    let (_, behind) = docs.split_once("```ron\n").unwrap();
    let (layout, _) = behind.split_once("```").unwrap();
    assert!(layout.contains("vmstat -n 1") && layout.contains("/run/site"));
    let counts = "sh -c 'while echo line; do sleep 0.1; done'";
    let layout = layout
        .replace("Layout(", "Layout(controller: (enabled: false),")
        .replace("vmstat -n 1", counts)
        .replace("/run/site", folder.path().to_str().unwrap());
    let cluster = Start::with(&layout).start_ready();
    let mut count = 3;
    wait_collected(&cluster, "probe", count);
    for name in ["probe", "worker"] {
        processes::signal(cluster.node_pid(name).unwrap(), Signal::SIGKILL);
        count = collected(cluster.run_dir(), "probe").len() + 10;
        wait_collected(&cluster, "probe", count);
    }
}

/// Files of numbered records, which are rotated.
struct Numbers {
    folder: tempfile::TempDir,
    written: Vec<Vec<u8>>,
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

impl Numbers {
    fn new() -> Self {
        let numbers = Self {
            folder: tempfile::tempdir().unwrap(),
            written: Vec::new(),
        };
        NAMES.iter().for_each(|file| numbers.begin(file));
        numbers
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(format!("{file}.log"))
    }

    fn begin(&self, file: &str) {
        let header = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n\
            #path\tnumbers\n#fields\tfile\tnumber\n#types\tstring\tcount\n";
        fs::write(self.path(file), header).unwrap();
    }

    /// A burst into each file, in pieces that end in the midst of a line.
    fn append(&mut self) {
        for file in NAMES {
            let from = self.written.len() as u64;
            let lines: Vec<String> = (from..from + BURST)
                .map(|it| format!("{file}\t{it}"))
                .collect();
            let text = lines.join("\n") + "\n";
            let path = self.path(file);
            let mut open = OpenOptions::new().append(true).open(path).unwrap();
            for piece in text.as_bytes().chunks(1000) {
                open.write_all(piece).unwrap();
            }
            self.written
                .extend(lines.into_iter().map(String::into_bytes));
        }
    }

    /// The old names fit the layout's pattern, too: as Zeek makes them in place, and as anybody may.
    fn rotate(&self, round: u64) {
        for (number, file) in NAMES.iter().enumerate() {
            let old = match number % 3 {
                0 => format!("{file}-{round}.log"),
                1 => format!("{file}-26-01-31_12.00.{round:02}.log"),
                _ => format!("{file}.{round}.log"),
            };
            let old = self.folder.path().join(old);
            fs::rename(self.path(file), old).unwrap();
            self.begin(file);
        }
    }
}

/// Shows: no record is missed or comes twice though files are written and rotated while workers, loggers
/// and the stem are killed.
#[test]
fn nobody_who_kills_makes_a_record_vanish_or_come_twice() {
    let mut numbers = Numbers::new();
    let cluster = start(numbers.folder.path(), "");
    for kill in 0..number_of("KILLS").unwrap_or(KILLS) {
        numbers.append();
        if kill % 7 == 6 {
            let stem = cluster.stem_pid();
            processes::signal(stem.unwrap(), Signal::SIGKILL);
        } else {
            let victim = VICTIMS[usize::try_from(kill).unwrap() % VICTIMS.len()];
            if let Some(pid) = cluster.node_pid(victim) {
                processes::signal(pid, Signal::SIGKILL);
            }
        }
        if kill % 3 == 1 {
            numbers.rotate(kill);
        }
        numbers.append();
        wait_collected(&cluster, "numbers", numbers.written.len());
    }
    let run_dir = cluster.run_dir().to_owned();
    let _kept = cluster.stop_and_prepare_another();
    let collected = collected(&run_dir, "numbers");
    numbers.written.sort_unstable();
    assert_eq!(collected.len(), numbers.written.len());
    assert!(collected == numbers.written);
}

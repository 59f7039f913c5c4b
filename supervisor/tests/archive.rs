//! What becomes of log files once they are closed, and what a cluster logs of itself: as an operator sees it.

#![cfg(test)]

mod common;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use cluster::data::Timestamp;
use cluster::logging::LogPath;
use cluster::logging::files::closed::{Closed, NOTES_DIRECTORY};
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use common::{Cluster, PATIENCE, Start, layouts, wait_or_tell};
use nix::sys::signal::Signal;

/// A cluster of a manager, a worker and these loggers, which says this of logs.
fn layout(loggers: &[&str], logging: &str) -> String {
    let at_once = layouts::AT_ONCE;
    let logger = format!("node_type: Logger, {at_once}");
    let worker = format!("node_type: Worker, manager: \"manager\", {at_once}");
    let mut nodes = vec![
        ("manager", "node_type: Manager"),
        ("worker", worker.as_str()),
    ];
    nodes.extend(loggers.iter().map(|name| (*name, logger.as_str())));
    let head = format!("{}, logging: ({logging})", layouts::NO_CONTROLLER);
    layouts::layout(&head, &nodes)
}

fn start(loggers: &[&str], logging: &str) -> Cluster {
    Start::with(&layout(loggers, logging)).start_ready()
}

fn deploy(cluster: &Cluster, layout: &str) {
    cluster.write_layout(layout);
    cluster.ok(&["deploy", cluster.layout_path().to_str().unwrap()]);
}

/// Waits, and shows what the nodes said if it does not come.
fn wait<T>(cluster: &Cluster, what: &str, done: impl FnMut() -> Option<T>) -> T {
    wait_or_tell(what, PATIENCE, done, || {
        format!(
            "{}\n{}\n{:?}",
            cluster.console(),
            cluster.read("logger/stdout.log"),
            common::walk(&logs(cluster, "logger"))
        )
    })
}

fn logs(cluster: &Cluster, logger: &str) -> PathBuf {
    cluster.run_dir().join("logs").join(logger)
}

/// The records of a log in JSON, as far as they are whole.
fn records(cluster: &Cluster, logger: &str, log: &str) -> Vec<Value> {
    let path = logs(cluster, logger).join(format!("{log}.log"));
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The names of a node's threads.
fn threads(cluster: &Cluster, node: &str) -> Vec<String> {
    let pid = cluster.node_pid(node).unwrap();
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")));
    names
        .filter_map(|name| Some(name.ok()?.trim_end().to_owned()))
        .collect()
}

/// Shows: nobody looks at nodes as long as the layout does not want it; once it does there is a record of
/// each node and interval, right as far as this test can tell, and again none when it wants it no more.
#[test]
fn nodes_are_looked_at_for_as_long_as_the_layout_wants() {
    let looks = |cluster: &Cluster| threads(cluster, "manager").contains(&"node-stats".to_owned());
    let cluster = start(&["logger"], "format: Json");
    assert!(!looks(&cluster));
    deploy(
        &cluster,
        &layout(&["logger"], r#"format: Json, node_stats: "100ms""#),
    );
    let of = |node: &str, wanted: &dyn Fn(&Value) -> bool| {
        let what = format!("a record of {node}");
        wait(&cluster, &what, || {
            let records = records(&cluster, "logger", "node_stats");
            records
                .into_iter()
                .rev()
                .find(|record| record["node"] == node && wanted(record))
        })
    };
    for node in ["manager", "worker", "logger"] {
        let record = of(node, &|record| record.get("cpu").is_some());
        assert_eq!(record["pid"], cluster.node_pid(node).unwrap(), "{record}");
        assert!(record["rss"].as_u64().unwrap() > 100_000, "{record}");
        assert!(record["descriptors"].as_u64().unwrap() > 3, "{record}");
        assert_eq!(record["restarts"], 0, "{record}");
    }
    // Its own records get to the logger by a ring.
    of("manager", &|record| {
        record["published"].as_f64() > Some(0.0)
    });
    of("logger", &|record| record["delivered"].as_f64() > Some(0.0));
    let pid = cluster.node_pid("worker").unwrap();
    common::processes::signal(pid, Signal::SIGKILL);
    let record = of("worker", &|record| {
        record["restarts"] == 1 && record.get("pid").is_some()
    });
    assert_ne!(record["pid"], pid);
    deploy(&cluster, &layout(&["logger"], "format: Json"));
    wait(&cluster, "nobody looks any more", || {
        (!looks(&cluster)).then_some(())
    });
}

/// The names in a directory, sorted; none if it is not there.
fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}

/// The names of rotated files without those of their indexes.
fn rotated(logs: &Path) -> Vec<String> {
    let mut names = names(&logs.join("log-queue"));
    names.retain(|name| !name.ends_with(".idx"));
    names
}

fn unpacked(file: &Path) -> String {
    let mut text = String::new();
    let mut packed = MultiGzDecoder::new(fs::File::open(file).unwrap());
    packed.read_to_string(&mut text).unwrap();
    text
}

/// A log that is written often, and rotated each second.
const BUSY: &str = r#"format: Json, node_stats: "20ms", rotate_interval: "1s""#;

/// Shows: rotated files are packed, those of an orderly end too, each with its index beside it; of two
/// loggers no two have one name, and all that was written is proved.
#[test]
fn rotated_files_are_packed_and_proved_at_an_orderly_end_too() {
    let loggers = ["logger", "second"];
    let cluster = start(&loggers, &format!("{BUSY}, gzip: true"));
    for logger in loggers {
        wait(&cluster, "a packed file", || {
            let names = rotated(&logs(&cluster, logger));
            names
                .iter()
                .any(|name| name.ends_with(".log.gz"))
                .then_some(())
        });
    }
    let logs = loggers.map(|logger| logs(&cluster, logger));
    let start = cluster.stop_and_prepare_another();
    let mut all = Vec::new();
    for logs in &logs {
        assert_eq!(names(&logs.join(NOTES_DIRECTORY)), [""; 0]);
        let current = names(logs);
        assert!(
            !current.iter().any(|name| name.ends_with(".log")),
            "{current:?}"
        );
        for name in rotated(logs) {
            let plain = name
                .strip_suffix(".gz")
                .unwrap_or_else(|| panic!("{name} is not packed"));
            let queue = logs.join("log-queue");
            assert!(queue.join(format!("{plain}.idx")).exists(), "{name}");
            let text = unpacked(&queue.join(&name));
            assert!(
                text.lines()
                    .all(|line| serde_json::from_str::<Value>(line).is_ok())
            );
            all.push(name);
        }
    }
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
    let cluster = start.start_ready();
    cluster.ok(&["records", "verify"]);
}

/// Shows: what a logger had begun with its rotated files when it died is done by its successor, wherever it
/// was; and a file that nobody has a state of is rotated out of the way.
#[test]
fn what_is_left_over_is_packed_at_the_next_start() {
    let cluster = start(&["logger"], r#"format: Json, node_stats: "20ms""#);
    wait(&cluster, "records", || {
        (records(&cluster, "logger", "node_stats").len() > 3).then_some(())
    });
    let logs = logs(&cluster, "logger");
    let again = cluster.stop_and_prepare_another();
    for slot in [".state.0", ".state.1"] {
        fs::remove_file(logs.join(slot)).unwrap();
    }
    let (queue, notes) = (logs.join("log-queue"), logs.join(NOTES_DIRECTORY));
    fs::create_dir(&queue).unwrap();
    fs::create_dir(&notes).unwrap();
    // Noted only; half packed; packed, and the plain one still there; packed, and only the note still there.
    for (at, (name, is_half, is_packed, is_plain)) in [
        ("a", false, false, true),
        ("b", true, false, true),
        ("c", false, true, true),
        ("d", false, true, false),
    ]
    .into_iter()
    .enumerate()
    {
        let file = format!("{name}__2023-11-14-22-13-20__2023-11-14-23-00-00__.log");
        let closed = Closed {
            path: LogPath::parse(name).unwrap(),
            name: format!("log-queue/{file}"),
            opened: Timestamp::from_nanos(1),
            closed: Timestamp::from_nanos(i64::try_from(at).unwrap()),
        };
        fs::write(notes.join(closed.note()), closed.encode()).unwrap();
        if is_plain {
            fs::write(queue.join(&file), format!("{name}\n").repeat(1000)).unwrap();
        }
        if is_half {
            fs::write(notes.join(format!("{}.gz", closed.note())), "half").unwrap();
        }
        if is_packed {
            let packed = fs::File::create(queue.join(format!("{file}.gz"))).unwrap();
            let mut packer = flate2::write::GzEncoder::new(packed, flate2::Compression::best());
            let text = format!("{name}\n").repeat(1000);
            std::io::Write::write_all(&mut packer, text.as_bytes()).unwrap();
            packer.finish().unwrap();
        }
    }
    let cluster = again.layout(&layout(&["logger"], r#"rotate_interval: "1h", gzip: true"#));
    let cluster = cluster.start_ready();
    wait(&cluster, "all is packed", || {
        let rotated = rotated(&logs);
        let is_packed = |path: &&str| {
            let mut of_path = rotated.iter().filter(|name| name.starts_with(*path));
            of_path.next().is_some_and(|name| name.ends_with(".gz")) && of_path.next().is_none()
        };
        let all = ["a__", "b__", "c__", "d__", "node_stats__"];
        (names(&notes).is_empty() && all.iter().all(is_packed)).then_some(())
    });
    for name in rotated(&logs) {
        let text = unpacked(&queue.join(&name));
        match name.split("__").next().unwrap() {
            "node_stats" => assert!(text.lines().count() > 3),
            "cluster" | "lifecycle" | "reporter" => {}
            other => assert_eq!(text, format!("{other}\n").repeat(1000)),
        }
    }
}

/// Shows: rotated files go when they are too old, or too many, with their indexes; newer ones stay.
#[test]
fn rotated_files_go_as_the_layout_says() {
    for keep in [r#"age: "3s""#, r#"bytes: "8KiB""#] {
        let cluster = start(&["logger"], &format!("{BUSY}, gzip: true, keep: ({keep})"));
        let logs = logs(&cluster, "logger");
        let first = wait(&cluster, "a packed file", || {
            rotated(&logs)
                .into_iter()
                .find(|name| name.ends_with(".gz"))
        });
        let index = first.replace(".gz", ".idx");
        wait(&cluster, "it goes", || {
            let left = names(&logs.join("log-queue"));
            (!left.contains(&first) && !left.contains(&index)).then_some(())
        });
        wait(&cluster, "another one", || {
            rotated(&logs)
                .into_iter()
                .find(|name| name.ends_with(".gz"))
        });
    }
}

/// Shows: the layout's command is run once for each rotated file, packed by then, with upstream's arguments,
/// those of the orderly end too; how it ended is told.
#[test]
fn a_command_is_run_once_for_each_rotated_file() {
    let command = r#"postprocess: ["sh", "-c", "echo $@ >> $DIR/seen; exit 3", "archive", "-v"]"#;
    let cluster = start(&["logger"], &format!("{BUSY}, gzip: true, {command}"));
    let ended = cluster.wait_event("postprocess_ended", Some("logger"));
    assert_eq!(ended["detail"]["ending"], "exit 3", "{ended}");
    let logs = logs(&cluster, "logger");
    let seen = cluster.directory().join("seen");
    let _kept = cluster.stop_and_prepare_another();
    let mut seen: Vec<String> = fs::read_to_string(seen)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let mut last = 0;
    for line in &seen {
        let words: Vec<&str> = line.split(' ').collect();
        let [verbose, file, path, opened, closed, is_ending, writer] = words.as_slice() else {
            panic!("{line}");
        };
        assert_eq!((*verbose, *writer), ("-v", "ascii"), "{line}");
        assert!(
            Path::new(file).starts_with(&logs) && file.ends_with(".log.gz"),
            "{line}"
        );
        assert!(Path::new(file).exists(), "{line}");
        assert!(file.contains(&format!("/{path}__20")), "{line}");
        for date in [opened, closed] {
            let form: String = date
                .chars()
                .map(|c| if c.is_ascii_digit() { '0' } else { c })
                .collect();
            assert_eq!(form, "00-00-00_00.00.00", "{line}");
        }
        last += usize::from(*is_ending == "1");
    }
    assert!(last > 0, "{seen:?}");
    let files = rotated(&logs).len();
    assert_eq!(names(&logs.join(NOTES_DIRECTORY)), [""; 0]);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), files, "{seen:?}");
}

/// Shows: a command that hangs is killed and told, the next file's is run all the same, and writing goes on.
#[test]
fn a_command_that_hangs_is_killed() {
    let command = r#"postprocess: ["sh", "-c", "echo $1 >> $DIR/seen; exec sleep 1000", "hang"],
        postprocess_timeout: "300ms""#;
    let cluster = start(&["logger"], &format!("{BUSY}, {command}"));
    let ended = cluster.wait_event("postprocess_ended", Some("logger"));
    assert_eq!(ended["detail"]["ending"], "SIGKILL", "{ended}");
    wait(&cluster, "other files' commands", || {
        (fs::read_to_string(cluster.directory().join("seen"))
            .unwrap_or_default()
            .lines()
            .count()
            > 3)
        .then_some(())
    });
    let written = records(&cluster, "logger", "node_stats").len();
    wait(&cluster, "another record", || {
        (records(&cluster, "logger", "node_stats").len() != written).then_some(())
    });
}

/// Shows: a command that a death has interrupted is run again for the same file.
#[test]
fn a_death_has_the_command_run_again() {
    let command = r#"postprocess: ["sh", "-c", "echo $1 >> $DIR/seen; test -e $DIR/go || exec sleep 1000", "wait"]"#;
    let cluster = start(&["logger"], &format!("{BUSY}, {command}"));
    let seen = || {
        let text = fs::read_to_string(cluster.directory().join("seen")).unwrap_or_default();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let first = wait(&cluster, "a command", || seen().into_iter().next());
    let pid = cluster.node_pid("logger").unwrap();
    common::processes::signal(pid, Signal::SIGKILL);
    wait(&cluster, "the same again", || {
        (seen().iter().filter(|file| **file == first).count() > 1).then_some(())
    });
    fs::write(cluster.directory().join("go"), "").unwrap();
}

/// What `reporter.log` of a logger says.
fn reported(cluster: &Cluster, text: &str) -> Option<()> {
    let records = records(cluster, "logger", "reporter");
    let mut messages = records
        .iter()
        .filter_map(|record| record["message"].as_str());
    messages.any(|message| message.contains(text)).then_some(())
}

/// Shows: a stream that used to speak and has not for as long as the layout says is told of, once.
#[test]
fn a_stream_that_falls_silent_is_told_of_once() {
    let silent = r#"format: Json, silent_after: "1s""#;
    let cluster = start(&["logger"], &format!(r#"{silent}, node_stats: "50ms""#));
    wait(&cluster, "records", || {
        (records(&cluster, "logger", "node_stats").len() > 3).then_some(())
    });
    assert!(cluster.events_of("stream_silent", "logger").is_empty());
    deploy(&cluster, &layout(&["logger"], silent));
    let told = cluster.wait_event("stream_silent", Some("logger"));
    assert_eq!(told["detail"]["stream"], "NodeStats::LOG", "{told}");
    wait(&cluster, "a record of it", || {
        reported(&cluster, "NodeStats::LOG has been silent for 1s")
    });
    // Once it speaks again there is nothing more to tell of the time before.
    deploy(
        &cluster,
        &layout(&["logger"], &format!(r#"{silent}, node_stats: "50ms""#)),
    );
    wait(&cluster, "it speaks again", || {
        let count = records(&cluster, "logger", "node_stats").len();
        (count > 10).then_some(())
    });
    assert_eq!(cluster.events_of("stream_silent", "logger").len(), 1);
}

/// Shows: rotations, and files that somebody has taken away, are told in `reporter.log`.
#[test]
fn what_becomes_of_files_is_reported() {
    let cluster = start(&["logger"], r#"format: Json, node_stats: "50ms""#);
    wait(&cluster, "records", || {
        (!records(&cluster, "logger", "node_stats").is_empty()).then_some(())
    });
    cluster.ok(&["records", "rotate", "logger", "node_stats", "reporter"]);
    wait(&cluster, "a record of it", || {
        reported(&cluster, "node_stats was rotated: log-queue/node_stats__")
    });
    wait(&cluster, "the next file", || {
        (!records(&cluster, "logger", "node_stats").is_empty()).then_some(())
    });
    fs::remove_file(logs(&cluster, "logger").join("node_stats.log")).unwrap();
    wait(&cluster, "a record of that", || {
        reported(
            &cluster,
            "the file of node_stats is not as it was left (Missing)",
        )
    });
}

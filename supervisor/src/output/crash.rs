//! The evidence of a crash: `crash/<node>/<time>-<incarnation>/` with a report and the last lines.
//!
//! Written beside its place and renamed, so that a report that can be seen is whole. Copies, never
//! moves: the node's own directory stays as it is.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cluster::control::reply::moment;
use cluster::layout::signals;
use cluster::names::{Incarnation, NodeName};
use cluster::supervise::child::Ending;
use cluster::supervise::vocabulary::Usage;
use serde_json::{Value, json};

use super::tail::KeptLine;

/// Reports under way begin with this, so that they are told from finished ones.
const UNFINISHED: &str = ".unfinished-";

/// Two reports of one birth in one second: more than so many is a bug elsewhere.
const NAMESAKES_MAX: u32 = 9;

/// What the supervisor knows of a crash.
#[derive(Clone, Debug)]
pub(crate) struct CrashFacts {
    /// The process.
    pub(crate) pid: i32,
    /// How it ended.
    pub(crate) ending: Ending,
    /// Was the end asked for?
    pub(crate) asked: bool,
    /// Why it counts as a crash, in a few words: `crash`, `oom`, `liveness`, …
    pub(crate) cause: String,
    /// When it was born.
    pub(crate) started: SystemTime,
    /// When it ended.
    pub(crate) ended: SystemTime,
    /// What it used.
    pub(crate) usage: Usage,
    /// Births beyond the first, before this end.
    pub(crate) restarts: u64,
    /// Processes it left behind.
    pub(crate) strays: u32,
}

/// A crash with its last words.
#[derive(Debug)]
pub(super) struct Crash<'a> {
    pub(super) node: &'a NodeName,
    pub(super) incarnation: Incarnation,
    pub(super) facts: &'a CrashFacts,
    pub(super) out: &'a [KeptLine],
    pub(super) err: &'a [KeptLine],
}

/// Writes the report below `base` and removes all but the newest `keep` of this node. Answers with
/// the report's directory.
pub(super) fn write(base: &Path, crash: &Crash<'_>, keep: u32) -> io::Result<PathBuf> {
    let home = base.join(crash.node.as_str());
    let made = DirBuilder::new().recursive(true).mode(0o750).create(&home);
    made?;
    remove_unfinished(&home);
    let name = format!("{}-{}", stamp(crash.facts.ended), crash.incarnation);
    let unfinished = home.join(format!("{UNFINISHED}{name}"));
    let written = fill(&unfinished, crash).and_then(|()| settle(&unfinished, &home, &name));
    if written.is_err() {
        // On a full disk half a report would only take the room of what comes next.
        let _ = fs::remove_dir_all(&unfinished);
    }
    let place = written?;
    prune(&home, keep.max(1))?;
    Ok(place)
}

fn fill(dir: &Path, crash: &Crash<'_>) -> io::Result<()> {
    DirBuilder::new().mode(0o750).create(dir)?;
    let mut report = serde_json::to_string_pretty(&report(crash))?;
    report.push('\n');
    put(&dir.join("report.json"), report.as_bytes())?;
    for (name, lines) in [("stdout.tail", crash.out), ("stderr.tail", crash.err)] {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.text);
            text.push('\n');
        }
        put(&dir.join(name), text.as_bytes())?;
    }
    Ok(())
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o640);
    options.open(path)?.write_all(bytes)
}

fn settle(unfinished: &Path, home: &Path, name: &str) -> io::Result<PathBuf> {
    let mut place = home.join(name);
    for number in 2..=NAMESAKES_MAX {
        if !place.exists() {
            break;
        }
        place = home.join(format!("{name}.{number}"));
    }
    fs::rename(unfinished, &place)?;
    Ok(place)
}

fn report(crash: &Crash<'_>) -> Value {
    let facts = crash.facts;
    let uptime = facts.ended.duration_since(facts.started);
    json!({
        "schema": 1,
        "node": crash.node,
        "incarnation": crash.incarnation,
        "pid": facts.pid,
        "status": status(facts.ending),
        "asked": facts.asked,
        "cause": facts.cause,
        "started_at": moment(facts.started),
        "ended_at": moment(facts.ended),
        "uptime_s": uptime.unwrap_or_default().as_secs_f64(),
        "usage": {
            "user_s": facts.usage.user.as_secs_f64(),
            "system_s": facts.usage.system.as_secs_f64(),
            "peak_bytes": facts.usage.peak_bytes,
        },
        "restarts": facts.restarts,
        "strays": facts.strays,
        "stdout": lines(crash.out),
        "stderr": lines(crash.err),
    })
}

fn status(ending: Ending) -> Value {
    match ending {
        Ending::Exited(code) => json!({ "kind": "exit", "code": code }),
        Ending::Signaled { signal, core } => {
            json!({ "kind": "signal", "signal": signals::name(signal), "core": core })
        }
        Ending::NotBorn(errno) => json!({
            "kind": "not_born",
            "errno": errno,
            "text": io::Error::from_raw_os_error(errno).to_string(),
        }),
    }
}

fn lines(kept: &[KeptLine]) -> Value {
    kept.iter()
        .map(|line| json!({ "at": moment(line.at), "text": line.text }))
        .collect()
}

/// A moment as part of a file's name: `20261120T093001Z`.
fn stamp(at: SystemTime) -> String {
    let mut text = humantime::format_rfc3339_seconds(at).to_string();
    text.retain(|c| !matches!(c, '-' | ':'));
    text
}

/// Keeps the newest reports: by time, then by incarnation as a number.
fn prune(home: &Path, keep: u32) -> io::Result<()> {
    let mut reports = Vec::new();
    for entry in fs::read_dir(home)? {
        let name = entry?.file_name();
        if let Some(age) = name.to_str().and_then(age) {
            reports.push((age, name));
        }
    }
    reports.sort_unstable();
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    let too_many = reports.len().saturating_sub(keep);
    for (_, name) in reports.into_iter().take(too_many) {
        fs::remove_dir_all(home.join(name))?;
    }
    Ok(())
}

/// Time, incarnation and number among namesakes; `None`: not one of our directories.
fn age(name: &str) -> Option<(String, u64, u32)> {
    let (time, rest) = name.split_once('-')?;
    let (incarnation, namesake) = rest.split_once('.').unwrap_or((rest, "1"));
    let ours = time.ends_with('Z') && !time.starts_with('.');
    let parsed = (incarnation.parse().ok()?, namesake.parse().ok()?);
    ours.then(|| (time.to_owned(), parsed.0, parsed.1))
}

/// What a supervisor that was killed in the middle of a report left behind.
fn remove_unfinished(home: &Path) {
    let Ok(entries) = fs::read_dir(home) else {
        return;
    };
    for entry in entries.flatten() {
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(UNFINISHED.as_bytes())
        {
            let _ = fs::remove_dir_all(entry.path()); // left alone if it cannot be removed
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn facts(second: u64) -> CrashFacts {
        CrashFacts {
            pid: 412,
            ending: Ending::Signaled {
                signal: 11,
                core: true,
            },
            asked: false,
            cause: "crash".to_owned(),
            started: UNIX_EPOCH + Duration::from_secs(second - 5),
            ended: UNIX_EPOCH + Duration::from_secs(second),
            usage: Usage::default(),
            restarts: 3,
            strays: 1,
        }
    }

    fn crash_at(base: &Path, second: u64, incarnation: u64, keep: u32) -> PathBuf {
        let last = KeptLine {
            at: UNIX_EPOCH,
            incarnation: Incarnation(incarnation),
            text: "last words".to_owned(),
        };
        let crash = Crash {
            node: &NodeName::parse("worker-1").unwrap(),
            incarnation: Incarnation(incarnation),
            facts: &facts(second),
            out: &[],
            err: &[last],
        };
        write(base, &crash, keep).unwrap()
    }

    #[test]
    fn a_report_names_the_signal_and_carries_the_last_words() {
        let base = tempfile::tempdir().unwrap();
        let dir = crash_at(base.path(), 1_795_080_601, 4, 10);
        assert!(dir.ends_with("worker-1/20261119T093001Z-4"), "{dir:?}");
        let text = fs::read_to_string(dir.join("report.json")).unwrap();
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["status"]["signal"], "SIGSEGV");
        assert_eq!(report["uptime_s"], 5.0);
        assert_eq!(report["stderr"][0]["text"], "last words");
        let tail = fs::read_to_string(dir.join("stderr.tail")).unwrap();
        assert_eq!(tail, "last words\n");
    }

    #[test]
    fn a_signal_is_called_what_status_calls_it() {
        for signal in [nix::libc::SIGSEGV, nix::libc::SIGRTMIN() + 1] {
            let ending = Ending::Signaled {
                signal,
                core: false,
            };
            assert_eq!(status(ending)["signal"], signals::name(signal));
        }
        assert_eq!(signals::name(nix::libc::SIGRTMIN() + 1), "SIGRTMIN+1");
    }

    #[test]
    fn only_the_newest_reports_are_kept_and_foreign_files_stay() {
        let base = tempfile::tempdir().unwrap();
        let home = base.path().join("worker-1");
        fs::create_dir_all(home.join(".unfinished-x")).unwrap();
        fs::create_dir_all(home.join("notes")).unwrap();
        for incarnation in 8..=12 {
            crash_at(base.path(), 1_795_080_601, incarnation, 3);
        }
        crash_at(base.path(), 1_795_080_601, 12, 3);
        let mut names: Vec<_> = fs::read_dir(&home)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let stamp = "20261119T093001Z";
        let wanted = ["-11", "-12", "-12.2"].map(|tail| format!("{stamp}{tail}"));
        assert_eq!(names[..3], wanted);
        assert_eq!(names[3..], ["notes"]);
    }
}

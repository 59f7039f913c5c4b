//! Processes, seen from outside through `/proc`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process, told from others that had or will have its number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessId {
    pub pid: i32,
    /// When it was born, in ticks since boot.
    pub born: u64,
    pub name: String,
}

impl ProcessId {
    pub fn of(pid: i32) -> Option<Self> {
        let stat = Stat::of(pid)?;
        Some(Self {
            pid,
            born: stat.born,
            name: stat.name,
        })
    }

    /// Is it there, and no zombie?
    pub fn is_alive(&self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.born == self.born && stat.state != 'Z')
    }
}

/// What `/proc/<pid>/stat` says.
pub struct Stat {
    pub name: String,
    pub state: char,
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    /// The terminal that controls it, or 0.
    pub terminal: i32,
    pub born: u64,
}

impl Stat {
    pub fn of(pid: i32) -> Option<Self> {
        let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let text = String::from_utf8_lossy(&text);
        let (before, after) = text.rsplit_once(')')?;
        let fields: Vec<&str> = after.split_ascii_whitespace().collect();
        Some(Self {
            name: before.split_once('(')?.1.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            terminal: fields.get(4)?.parse().ok()?,
            born: fields.get(19)?.parse().ok()?,
        })
    }
}

/// Every process there is.
fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// All descendants of a process, without itself.
pub fn tree(root: i32) -> Vec<ProcessId> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for pid in pids() {
        if let Some(stat) = Stat::of(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut waiting = vec![root];
    while let Some(pid) = waiting.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            waiting.push(*child);
            found.extend(ProcessId::of(*child));
        }
    }
    found
}

/// Every process whose environment holds this text.
pub fn with_environment(text: &str) -> Vec<ProcessId> {
    let mut found = Vec::new();
    for pid in pids() {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if String::from_utf8_lossy(&environment).contains(text) {
            found.extend(ProcessId::of(pid));
        }
    }
    found
}

/// None of these is alive after so long.
pub fn expect_gone(processes: &[ProcessId], within: Duration) {
    let left = || {
        let left = processes.iter().filter(|process| process.is_alive());
        left.collect::<Vec<_>>()
    };
    super::wait_or_tell(
        "all of them are gone",
        within,
        || left().is_empty().then_some(()),
        || format!("still alive: {:?}", left()),
    );
}

/// Signals a process that a test started.
pub fn signal(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Halts a process that a test started, and waits until it stands still.
pub fn halt(pid: i32) {
    signal(pid, Signal::SIGSTOP);
    super::wait_for("it stands still", super::PATIENCE, || {
        Stat::of(pid).filter(|stat| stat.state == 'T').map(drop)
    });
}

/// A line of `/proc/<pid>/status`, without its name.
pub fn status(pid: i32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

/// A set of signals or capabilities in `/proc/<pid>/status`.
pub fn bits(pid: i32, name: &str) -> u64 {
    let text = status(pid, name);
    u64::from_str_radix(&text, 16).unwrap_or_else(|_| panic!("{pid} has no {name}: {text:?}"))
}

/// The environment that a process was executed with.
pub fn environment(pid: i32) -> BTreeMap<String, String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.split('\0')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Soft and hard value of a line of `/proc/<pid>/limits`.
pub fn limits(pid: i32, name: &str) -> (String, String) {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let mut words = line.unwrap().split_ascii_whitespace().map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap())
}

/// The sockets and pipes that a process holds, each by its own number in the system.
pub fn channels(pid: i32) -> BTreeMap<i32, String> {
    let mut found = BTreeMap::new();
    for number in descriptors(pid).into_keys() {
        let target = fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap_or_default();
        let target = target.display().to_string();
        if target.starts_with("socket:") || target.starts_with("pipe:") {
            found.insert(number, target);
        }
    }
    found
}

/// The open descriptors of a process: what each number refers to. Sockets and pipes by kind only; what is
/// the process's own in `/proc`, under `self`.
pub fn descriptors(pid: i32) -> BTreeMap<i32, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let Some(number) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let target: PathBuf = fs::read_link(entry.path()).unwrap_or_default();
        let target = target.display().to_string();
        let target = target.replace(&format!("/{pid}/"), "/self/");
        let kind = match target.split_once(":[") {
            Some((kind @ ("socket" | "pipe"), _)) => kind,
            Some(_) | None => target.as_str(),
        };
        found.insert(number, kind.to_owned());
    }
    found
}

/// How many rings a process holds the memory of.
pub fn rings_held_by(pid: i32) -> usize {
    let kinds = descriptor_kinds(pid);
    let of_rings = kinds.iter().filter(|(kind, _)| kind.contains("memfd:ring"));
    of_rings.map(|(_, count)| count).sum()
}

/// The memory files that a process maps: by address, the kind and the file's own number in the system.
fn mapped_files(pid: i32) -> BTreeMap<String, (String, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        // Address, access, offset, device, number, name.
        let Some((words, kind)) = line.split_once("/memfd:") else {
            continue;
        };
        let words: Vec<&str> = words.split_ascii_whitespace().collect();
        let number = words[4].parse().unwrap();
        found.insert(words[0].to_owned(), (format!("/memfd:{kind}"), number));
    }
    found
}

/// How many memory files of each kind a process maps; one that it maps twice counts twice.
pub fn mapping_kinds(pid: i32) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for (kind, _) in mapped_files(pid).into_values() {
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

/// The rings that a process keeps the memory of, by a descriptor or a mapping: each by its file's number
/// in the system.
pub fn rings_kept_by(pid: i32) -> BTreeSet<u64> {
    let is_ring = |kind: &str| kind.contains("memfd:ring");
    let mapped = mapped_files(pid).into_values();
    let mapped = mapped.filter(|(kind, _)| is_ring(kind));
    let held = descriptors(pid).into_iter();
    let held = held
        .filter(|(_, kind)| is_ring(kind))
        .filter_map(|(fd, _)| {
            let file = fs::metadata(format!("/proc/{pid}/fd/{fd}")).ok()?; // it may be closed by now
            Some(file.ino())
        });
    mapped.map(|(_, number)| number).chain(held).collect()
}

/// The memory of a process that is in use, in KiB.
pub fn resident_kib(pid: i32) -> u64 {
    let text = status(pid, "VmRSS");
    let number = text.split_ascii_whitespace().next();
    number.and_then(|number| number.parse().ok()).unwrap()
}

/// How many descriptors a process has of each kind.
pub fn descriptor_kinds(pid: i32) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for kind in descriptors(pid).into_values() {
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

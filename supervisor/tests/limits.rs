//! What a node may use: limits, niceness, processors, control groups.

#![cfg(test)]

mod common;

use std::fs;
use std::path::PathBuf;

use common::{Cluster, Start, places, processes};

fn pid(cluster: &Cluster, name: &str) -> i32 {
    cluster.node_pid(name).unwrap()
}

/// Shows: every limit of the layout holds for command and built-in node, and for no other.
#[test]
fn limits_hold_for_the_nodes_that_have_them() {
    let cluster = Start::with(
        r#"Layout(
            controller: (enabled: false),
            nodes: {
                "bound": (command: ["sleep", "infinity"], nice: 7, limits: (
                    nofile: 99, core: 0, nproc: 1234, memlock: "64KiB", address_space: "256MiB",
                    file_size: "10MiB", stack: "1MiB",
                )),
                "manager": (node_type: Manager, nice: 3, limits: (file_size: "1MiB")),
                "free": (command: ["sleep", "infinity"]),
            },
        )"#,
    )
    .start_ready();
    let bound = pid(&cluster, "bound");
    for (name, value) in [
        ("Max open files", "99"),
        ("Max core file size", "0"),
        ("Max processes", "1234"),
        ("Max locked memory", "65536"),
        ("Max address space", "268435456"),
        ("Max file size", "10485760"),
        ("Max stack size", "1048576"),
    ] {
        let both = (value.to_owned(), value.to_owned());
        assert_eq!(processes::limits(bound, name), both, "{name}");
    }
    let manager = pid(&cluster, "manager");
    let file_size = |pid| processes::limits(pid, "Max file size").0;
    assert_eq!(file_size(manager), "1048576");
    assert_eq!(file_size(pid(&cluster, "free")), file_size(cluster.pid()));
    assert_eq!(niceness(bound), 7);
    assert_eq!(niceness(manager), 3);
    assert_eq!(niceness(pid(&cluster, "free")), niceness(cluster.pid()));
    cluster.stop_and_expect_nobody_left();
}

fn niceness(pid: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after) = stat.rsplit_once(')').unwrap();
    after
        .split_ascii_whitespace()
        .nth(16)
        .unwrap()
        .parse()
        .unwrap()
}

/// The processors that this test may run on, as the kernel lists them: `0-2,4`.
fn own_processors() -> (String, Vec<u32>) {
    let own = i32::try_from(std::process::id()).unwrap();
    let list = processes::status(own, "Cpus_allowed_list");
    let numbers = list.split(',').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.parse::<u32>().unwrap()..=last.parse().unwrap()
    });
    let numbers = numbers.collect();
    (list, numbers)
}

/// Shows: nodes of a group are dealt one processor each, in turn, and keep it over a restart. The third
/// begins anew; on a machine with one processor each of them does.
#[test]
fn processors_are_dealt_out_and_pinned() {
    let (own, mut dealt) = own_processors();
    dealt.truncate(2);
    let cluster = Start::with(&format!(
        r#"Layout(
            nodes: {{
                "pinned": (command: ["sleep", "infinity"], cpus: {dealt:?}, count: 3),
                "free": (command: ["sleep", "infinity"]),
            }},
        )"#
    ))
    .start_ready();
    let allowed = |name: &str| processes::status(pid(&cluster, name), "Cpus_allowed_list");
    for _ in 0..2 {
        for (number, cpu) in (1..=3).zip(dealt.iter().cycle()) {
            let name = format!("pinned-{number}");
            assert_eq!(allowed(&name), cpu.to_string(), "{name}");
        }
        assert_eq!(allowed("free"), own);
        cluster.ok(&["restart", "--all"]);
    }
    cluster.stop_and_expect_nobody_left();
}

/// The group of version 2 that this test is in, if it may be divided and has these controllers.
fn delegated_group() -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mount = mounts.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        (words.get(2) == Some(&"cgroup2")).then(|| PathBuf::from(words[1]))
    })?;
    let group = mount.join(own);
    let controllers = fs::read_to_string(group.join("cgroup.controllers")).ok()?;
    let all = ["memory", "pids", "cpu"]
        .iter()
        .all(|wanted| controllers.split_ascii_whitespace().any(|c| c == *wanted));
    let writable = fs::OpenOptions::new()
        .write(true)
        .open(group.join("cgroup.subtree_control"))
        .is_ok();
    (all && writable && places::is_root()).then_some(group)
}

/// Shows: limits that need control groups hold where a group is delegated to us; elsewhere everything
/// runs without them, and one warning says for whom they do not hold, and why.
#[test]
fn limits_of_control_groups_hold_or_are_reported_once() {
    let cluster = Start::with(
        r#"Layout(
            nodes: {
                "big": (command: ["sleep", "infinity"], count: 2,
                    limits: (memory_max: "64MiB", pids_max: 20, cpu_weight: 50)),
                "free": (command: ["sleep", "infinity"]),
            },
        )"#,
    )
    .start_ready();
    let events = cluster.events();
    let warnings: Vec<_> = events
        .iter()
        .filter(|event| event["kind"] == "no_control_groups")
        .collect();
    match delegated_group() {
        Some(_) => {
            assert!(warnings.is_empty(), "{warnings:?}");
            let own = fs::read_to_string(format!("/proc/{}/cgroup", pid(&cluster, "big-1")));
            assert!(own.unwrap().contains("big-1"));
        }
        None => {
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            let text = warnings[0]["detail"]["error"].as_str().unwrap();
            assert!(text.contains("big-1, big-2"), "{text}");
            assert!(!text.contains("free"), "{text}");
            assert!(text.contains("control group"), "{text}");
            assert!(cluster.console().contains("event=no_control_groups"));
        }
    }
    cluster.stop_and_expect_nobody_left();
}

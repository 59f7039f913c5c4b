//! What a node is born with: its own descriptors, signals, group and environment, and nothing of the
//! stem's or the supervisor's; after a revival of the stem as before.

#![cfg(test)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::time::Duration;

use common::processes::{self, ProcessId, Stat};
use common::{Cluster, Start, places};
use nix::sys::signal::Signal;

const NODES: [&str; 4] = ["manager", "plain", "told", "notifier"];

/// Variables of the supervisor's own that nobody below it may take for its own.
const OURS_ALONE: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "SUPERVISOR_SOCKET",
];

fn site() -> String {
    let port = places::free_port();
    format!(
        r#"Layout(
    controller: (enabled: false),
    manager_is_logger: false, // a writer of logs has a thread and a directory besides
    nodes: {{
        "manager": (node_type: Manager),
        "plain": (command: ["sleep", "infinity"], env: {{ "COLOUR": "blue" }}),
        "told": (
            command: ["sh", "-c", "echo >&$NOTIFY_FD; exec sleep infinity"], ready: Notify, p: {port},
        ),
        "notifier": (
            command: ["/usr/bin/python3", "-S", "-c", "
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
s.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])
os.execvp('sleep', ['sleep', 'infinity'])
"],
            ready: SdNotify,
        ),
    }},
)"#
    )
}

fn pid(cluster: &Cluster, name: &str) -> i32 {
    cluster.node_pid(name).unwrap()
}

/// Starts it, and waits until everybody has become what it is to be.
fn settled(start: Start) -> Cluster {
    let cluster = start.start_ready();
    expect_executed(&cluster);
    cluster
}

/// A command may count as ready before it is executed, and has the stem's things until then. The kernel
/// gives it its name first and shows its environment last; in between that is empty.
fn expect_executed(cluster: &Cluster) {
    for name in ["plain", "told", "notifier"] {
        common::wait_for("the command is executed", common::PATIENCE, || {
            let pid = cluster.node_pid(name)?;
            let is_named = Stat::of(pid)?.name == "sleep";
            (is_named && !processes::environment(pid).is_empty()).then_some(())
        });
    }
}

/// Kills the stem and waits for all nodes of the next one.
fn revive_stem(cluster: &Cluster) {
    cluster.kill_stem();
    cluster.wait_ready();
    expect_executed(cluster);
}

fn kinds(kinds: &[(i32, &str)]) -> BTreeMap<i32, String> {
    kinds
        .iter()
        .map(|(number, kind)| (*number, (*kind).to_owned()))
        .collect()
}

/// A program that was just executed holds its libraries' files for a moment.
fn expect_to_hold<T: PartialEq + Debug>(name: &str, own: &T, held: impl Fn() -> T) {
    common::wait_or_tell(
        &format!("{name} holds what is its own, and nothing else: {own:?}"),
        common::PATIENCE,
        || (held() == *own).then_some(()),
        || format!("it holds {:?}", held()),
    );
}

fn expect_own_descriptors(cluster: &Cluster) {
    let standard = [(0, "/dev/null"), (1, "pipe"), (2, "pipe")];
    let told = [&standard[..], &[(3, "socket"), (4, "pipe")]].concat();
    for (name, own) in [
        ("plain", &standard[..]),
        ("notifier", &standard),
        ("told", &told),
    ] {
        expect_to_hold(name, &kinds(own), || {
            processes::descriptors(pid(cluster, name))
        });
    }
    expect_own_poller(pid(cluster, "manager"));
    expect_nothing_shared(cluster);
}

/// A built-in node was forked from the stem: it has one poller, its own, that watches its own.
fn expect_own_poller(manager: i32) {
    let descriptors = processes::descriptors(manager);
    assert_eq!(descriptors[&0], "/dev/null");
    let pollers: Vec<i32> = descriptors
        .iter()
        .filter(|(_, kind)| *kind == "anon_inode:[eventpoll]")
        .map(|(number, _)| *number)
        .collect();
    assert_eq!(pollers.len(), 1, "{descriptors:?}");
    let info = fs::read_to_string(format!("/proc/{manager}/fdinfo/{}", pollers[0])).unwrap();
    for line in info.lines().filter(|line| line.starts_with("tfd:")) {
        let number: i32 = line
            .split_ascii_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        assert!(
            descriptors.contains_key(&number),
            "{line} in {descriptors:?}"
        );
    }
    let foreign: Vec<_> = descriptors
        .values()
        .filter(|kind| {
            ["[signalfd]", "[pidfd]", "supervisor.log", "supervisor.pid"]
                .iter()
                .any(|foreign| kind.contains(foreign))
        })
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    assert!(descriptors.len() <= 13, "{descriptors:?}");
}

/// No socket and no pipe is held by two nodes, or by a node and the stem; but a listener, by design.
fn expect_nothing_shared(cluster: &Cluster) {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let stem = processes::channels(cluster.stem_pid().unwrap());
    for channel in stem.into_values() {
        seen.insert(channel, "stem".to_owned());
    }
    for name in NODES {
        let mut own: BTreeMap<i32, String> = processes::channels(pid(cluster, name));
        if name == "told" {
            own.remove(&3);
        }
        for channel in own.into_values().collect::<BTreeSet<_>>() {
            let other = seen.insert(channel.clone(), name.to_owned());
            assert_eq!(other, None, "{name} shares {channel}");
        }
    }
}

/// Shows: a node holds its standard streams and what it was promised, and shares none of it with
/// another one, with the stem's and the supervisor's descriptors gone.
#[test]
fn a_newborn_holds_its_own_descriptors_and_no_other() {
    let cluster = settled(Start::with(&site()));
    expect_own_descriptors(&cluster);
    revive_stem(&cluster);
    expect_own_descriptors(&cluster);
    for name in NODES {
        let before = processes::descriptor_kinds(pid(&cluster, name));
        cluster.ok(&["restart", name]);
        expect_executed(&cluster);
        expect_to_hold(name, &before, || {
            processes::descriptor_kinds(pid(&cluster, name))
        });
    }
    cluster.stop_and_expect_nobody_left();
}

fn expect_own_signals(cluster: &Cluster) {
    for name in ["plain", "told"] {
        for set in ["SigBlk", "SigIgn", "SigCgt"] {
            assert_eq!(processes::bits(pid(cluster, name), set), 0, "{name} {set}");
        }
    }
    let bit = |signal: Signal| 1_u64 << (signal as i32 - 1);
    let manager = pid(cluster, "manager");
    assert_eq!(processes::bits(manager, "SigBlk"), 0);
    assert_eq!(processes::bits(manager, "SigIgn"), bit(Signal::SIGPIPE));
    assert_eq!(
        processes::bits(manager, "SigCgt"),
        bit(Signal::SIGTERM) | bit(Signal::SIGINT)
    );
}

/// Shows: whatever signals the supervisor was started with as ignored or blocked, and whatever stem and
/// supervisor do with theirs, a node starts with none blocked and none ignored.
#[test]
fn a_newborn_has_no_signal_blocked_or_ignored() {
    let cluster = Start::with(&site())
        .through(&[
            "env",
            "--ignore-signal=USR2",
            "--ignore-signal=QUIT",
            "--block-signal=WINCH",
            "--block-signal=RTMIN",
        ])
        .start_ready();
    expect_executed(&cluster);
    expect_own_signals(&cluster);
    revive_stem(&cluster);
    expect_own_signals(&cluster);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: process group, parent, thread and name of the newborn.
#[test]
fn a_newborn_leads_its_own_group_with_one_thread_below_the_stem() {
    let cluster = settled(Start::with(&site()));
    for revived in [false, true] {
        if revived {
            revive_stem(&cluster);
        }
        let stem = cluster.stem_pid().unwrap();
        for name in NODES {
            let pid = pid(&cluster, name);
            let stat = Stat::of(pid).unwrap();
            assert_eq!(stat.group, pid, "{name}");
            assert_eq!(stat.parent, stem, "{name}");
            assert_eq!(processes::status(pid, "Threads"), "1", "{name}");
        }
        let manager = Stat::of(pid(&cluster, "manager")).unwrap();
        assert_eq!(manager.name, "manager");
        assert_ne!(Stat::of(stem).unwrap().group, cluster.pid());
    }
    cluster.stop_and_expect_nobody_left();
}

fn expected_environment(cluster: &Cluster, name: &str) -> BTreeMap<String, String> {
    let mut expected = processes::environment(cluster.pid());
    expected.retain(|name, _| !OURS_ALONE.contains(&name.as_str()));
    let incarnation = cluster.node(name)["incarnation"].to_string();
    expected.insert("SUPERVISOR_NODE".to_owned(), name.to_owned());
    expected.insert("SUPERVISOR_INCARNATION".to_owned(), incarnation);
    if name == "plain" {
        expected.insert("COLOUR".to_owned(), "blue".to_owned());
    }
    expected
}

/// Shows: what speaks to the supervisor alone (its service manager's sockets, its watchdog) is nobody
/// else's, in no life of the stem.
#[test]
fn no_variable_of_the_supervisors_own_reaches_a_node() {
    let start = Start::with(&site());
    let socket = start.directory().join("notify.sock");
    let _manager = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    let cluster = start
        .env("NOTIFY_SOCKET", socket.to_str().unwrap())
        .env("WATCHDOG_USEC", "30000000")
        .env("LISTEN_FDS", "7")
        .env("LISTEN_PID", "7")
        .env("LISTEN_FDNAMES", "seven")
        .env("SUPERVISOR_SOCKET", "/nowhere")
        .env("CARRIED", "over")
        .start_ready();
    expect_executed(&cluster);
    for revived in [false, true] {
        if revived {
            revive_stem(&cluster);
        }
        let plain = processes::environment(pid(&cluster, "plain"));
        assert_eq!(plain, expected_environment(&cluster, "plain"));
        assert_eq!(plain["CARRIED"], "over");
        let told = processes::environment(pid(&cluster, "told"));
        assert_eq!(told["LISTEN_FDS"], "1");
        assert_eq!(told["LISTEN_PID"], pid(&cluster, "told").to_string());
        assert_eq!(told["NOTIFY_FD"], "4");
        assert_eq!(told.get("NOTIFY_SOCKET"), None);
        let notifier = processes::environment(pid(&cluster, "notifier"));
        let own = cluster.run_dir().join("notifier/notify.sock");
        assert_eq!(notifier["NOTIFY_SOCKET"], own.to_str().unwrap());
        assert_eq!(notifier.get("WATCHDOG_USEC"), None);
        for process in [cluster.stem_pid().unwrap(), pid(&cluster, "manager")] {
            let environment = processes::environment(process);
            let leaked: Vec<_> = OURS_ALONE
                .iter()
                .filter(|name| environment.contains_key(**name))
                .collect();
            assert!(leaked.is_empty(), "{leaked:?}");
        }
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: supervisor and stem raise their limit of descriptors for themselves only.
#[test]
fn a_command_has_the_limit_of_descriptors_that_the_supervisor_was_started_with() {
    let cluster = Start::with(&site())
        .through(&[
            "sh",
            "-c",
            "ulimit -Sn 123; ulimit -Hn 4567; exec \"$@\"",
            "sh",
        ])
        .start_ready();
    expect_executed(&cluster);
    let limit = |pid| processes::limits(pid, "Max open files");
    let both = |soft: &str| (soft.to_owned(), "4567".to_owned());
    for revived in [false, true] {
        if revived {
            revive_stem(&cluster);
        }
        assert_eq!(limit(cluster.pid()), both("4567"));
        assert_eq!(limit(cluster.stem_pid().unwrap()), both("4567"));
        for name in ["plain", "told", "notifier"] {
            assert_eq!(limit(pid(&cluster, name)), both("123"), "{name}");
        }
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: the kernel ends the nodes of a dead stem. The supervisor stands still, so it is not it.
#[test]
fn nodes_of_a_dead_stem_are_gone_without_the_supervisors_help() {
    let cluster = settled(Start::with(&site()));
    for _ in 0..2 {
        let stem = cluster.stem_pid().unwrap();
        let nodes: Vec<ProcessId> = NODES
            .iter()
            .map(|name| ProcessId::of(pid(&cluster, name)).unwrap())
            .collect();
        cluster.signal(Signal::SIGSTOP);
        processes::signal(stem, Signal::SIGKILL);
        processes::expect_gone(&nodes, Duration::from_secs(5));
        cluster.signal(Signal::SIGCONT);
        cluster.wait_node("plain", "in the next stem", |node| {
            node["state"] == "ready" && node["pid"] != i64::from(nodes[1].pid)
        });
        cluster.wait_ready();
    }
    cluster.stop_and_expect_nobody_left();
}

//! Users, privileges and the places that belong to them: a supervisor without any, and one of root that
//! gives nodes to others.

#![cfg(test)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use std::time::Duration;

use common::processes::{self, ProcessId};
use common::{Cluster, Start, places};
use nix::sys::signal::Signal;

const NET_BIND_SERVICE: u64 = 1 << 10;

fn pid(cluster: &Cluster, name: &str) -> i32 {
    cluster.node_pid(name).unwrap()
}

/// Real, effective, saved and file-system id, all the same.
fn four(id: u32) -> String {
    [(); 4].map(|()| id.to_string()).join("\t")
}

/// Shows: without root everything works that needs no root: built-in nodes, commands, a revival, the
/// client, an orderly stop.
#[test]
fn a_supervisor_needs_no_privilege() {
    let site = r#"Layout(
        nodes: {
            "manager": (node_type: Manager),
            "idle": (command: ["sleep", "infinity"]),
        },
    )"#;
    let cluster = Start::with(site).unprivileged().start_ready();
    let uid = if places::is_root() {
        places::NOBODY
    } else {
        nix::unistd::geteuid().as_raw()
    };
    for process in cluster.tree() {
        assert_eq!(
            processes::status(process.pid, "Uid"),
            four(uid),
            "{process:?}"
        );
    }
    assert_eq!(
        fs::metadata(cluster.run_dir().join("idle")).unwrap().uid(),
        uid
    );
    let stem = cluster.stem_pid().unwrap();
    processes::signal(stem, Signal::SIGKILL);
    cluster.wait_node("idle", "in the next stem", |node| node["incarnation"] == 2);
    cluster.wait_ready();
    cluster.ok(&["restart", "--all"]);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: another user in the layout needs root; without it nothing is started, and the hint says so.
#[test]
fn a_layout_with_users_is_refused_without_root() {
    let site = r#"Layout(nodes: { "probe": (command: ["sleep", "infinity"], user: "daemon") })"#;
    let mut cluster = Start::with(site).unprivileged().launch();
    let status = cluster.wait_end();
    let console = cluster.console();
    assert_eq!(status.code(), Some(3), "{console}");
    assert!(console.contains("\"probe\""), "{console}");
    assert!(console.contains("root"), "{console}");
    assert!(!cluster.run_dir().exists());
}

/// The layout of a node of nobody's, and what it is started with.
fn of_nobody(command: &str, extra: &str) -> Cluster {
    places::need_root("a node of another user");
    let site = format!(
        r#"Layout(
            nodes: {{ "probe": (
                command: {command}, user: "nobody", {extra}
                restart: (floor: "20ms", ceiling: "100ms"),
            ) }},
        )"#
    );
    let start = Start::with(&site);
    places::open_to_all(start.directory());
    // A group of root's that nobody must not keep.
    let start = start.through(&["setpriv", "--groups=0,4,5"]);
    start.start_ready()
}

/// Shows: user, groups, capabilities, home and directory of a node of another user, and that the kernel
/// would end it with the stem although the change of user clears that.
#[test]
fn a_node_of_another_user_has_nothing_of_roots() {
    let cluster = of_nobody(r#"["sleep", "infinity"]"#, "");
    let probe = pid(&cluster, "probe");
    assert_eq!(processes::status(probe, "Uid"), four(places::NOBODY));
    let group = nix::unistd::User::from_name("nobody").unwrap().unwrap().gid;
    assert_eq!(processes::status(probe, "Gid"), four(group.as_raw()));
    let groups = processes::status(probe, "Groups");
    for root in ["0", "4", "5"] {
        assert!(
            !groups.split_ascii_whitespace().any(|group| group == root),
            "{groups}"
        );
    }
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(processes::bits(probe, set), 0, "{set}");
    }
    let home = cluster.run_dir().join("probe");
    let owner = fs::metadata(&home).unwrap();
    assert_eq!((owner.uid(), owner.gid()), (places::NOBODY, group.as_raw()));
    assert_eq!(fs::read_link(format!("/proc/{probe}/cwd")).unwrap(), home);
    let environment = processes::environment(probe);
    assert_eq!(environment["USER"], "nobody");
    assert_eq!(environment["LOGNAME"], "nobody");
    let user = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    assert_eq!(environment["HOME"], user.dir.to_str().unwrap());
    expect_gone_with_the_stem(&cluster);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: of all privileges the node keeps the one that the layout names, over exec.
#[test]
fn a_kept_capability_is_the_only_one() {
    let cluster = of_nobody(
        r#"["sleep", "infinity"]"#,
        r#"capabilities: ["net_bind_service"],"#,
    );
    let probe = pid(&cluster, "probe");
    assert_eq!(processes::status(probe, "Uid"), four(places::NOBODY));
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(processes::bits(probe, set), NET_BIND_SERVICE, "{set}");
    }
    expect_gone_with_the_stem(&cluster);
    cluster.stop_and_expect_nobody_left();
}

/// Kills the stem while the supervisor stands still: only the kernel can end the node.
fn expect_gone_with_the_stem(cluster: &Cluster) {
    let probe = ProcessId::of(pid(cluster, "probe")).unwrap();
    let stem = cluster.stem_pid().unwrap();
    cluster.signal(Signal::SIGSTOP);
    processes::signal(stem, Signal::SIGKILL);
    processes::expect_gone(&[probe], Duration::from_secs(5));
    cluster.signal(Signal::SIGCONT);
    cluster.wait_ready();
}

/// A program that takes more privileges when it is executed, and with that loses its parent-death signal.
fn privileged_sleep(cluster: &Start, mark: &[&str]) {
    let sleep = cluster.directory().join("sleep");
    fs::copy("/bin/sleep", &sleep).unwrap();
    fs::set_permissions(&sleep, fs::Permissions::from_mode(0o755)).unwrap();
    let (program, words) = mark.split_first().unwrap();
    let marked = Command::new(program)
        .args(words)
        .arg(&sleep)
        .output()
        .unwrap_or_else(|error| panic!("this test needs {program}: {error}"));
    assert!(marked.status.success(), "{marked:?}");
}

/// Shows: nobody survives the stem or the supervisor, though no parent-death signal is set.
#[test]
fn programs_that_lose_their_parent_death_signal_do_not_survive() {
    places::need_root("a program with privileges");
    for mark in [&["chmod", "u+s"][..], &["setcap", "cap_net_raw+ep"]] {
        let site = r#"Layout(
            nodes: { "probe": (
                command: ["$DIR/sleep", "infinity"], user: "nobody",
                restart: (floor: "20ms", ceiling: "100ms"),
            ) },
        )"#;
        let start = Start::with(site);
        places::open_to_all(start.directory());
        privileged_sleep(&start, mark);
        let mut cluster = start.start_ready();
        let probe = ProcessId::of(pid(&cluster, "probe")).unwrap();
        assert_ne!(
            processes::bits(probe.pid, "CapEff"),
            0,
            "{mark:?} did nothing"
        );

        processes::signal(cluster.stem_pid().unwrap(), Signal::SIGKILL);
        processes::expect_gone(&[probe], Duration::from_secs(5));
        cluster.wait_node("probe", "in the next stem", |node| {
            node["incarnation"] == 2 && node["state"] == "ready"
        });

        let tree = cluster.tree();
        assert_eq!(tree.len(), 2, "{tree:?}");
        cluster.signal(Signal::SIGKILL);
        cluster.wait_end();
        processes::expect_gone(&tree, Duration::from_secs(5));
    }
}

//! Where a node runs and what it is told: its directory, its environment, what `create` refuses.

#![cfg(test)]

mod common;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use common::{Start, wait_for};

/// Shows: a directory that is not there is made with its parents, and is where the node runs (A8).
#[test]
fn the_directory_of_a_node_is_made_and_used() {
    let cluster = Start::with(
        r#"Layout(
            nodes: {
                "command": (command: ["sh", "-c", "pwd; exec sleep infinity"],
                            directory: "$DIR/one/command"),
                "worker": (node_type: Worker, directory: "relative/worker"),
                "home": (command: ["sh", "-c", "pwd; exec sleep infinity"]),
            },
            controller: (enabled: false),
        )"#,
    )
    .start_ready();
    let directory = cluster.directory().to_owned();
    for (name, expected) in [
        ("command", directory.join("one/command")),
        ("worker", directory.join("relative/worker")),
        ("home", cluster.run_dir().join("home")),
    ] {
        let pid = cluster.node_pid(name).unwrap();
        let actual = fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
        assert_eq!(actual, expected, "{name}");
    }
    let said = cluster.wait_text("command/stdout.log", "\n");
    assert_eq!(
        said.trim_end(),
        directory.join("one/command").to_str().unwrap()
    );
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a command sees the layout's variables, with templates filled in, and those it inherits; the
/// layout's win; none of another node's are there (A9).
#[test]
fn a_command_sees_its_environment_and_what_it_inherits() {
    let cluster = Start::with(
        r#"Layout(nodes: {
            "pair": (
                command: ["env"],
                count: 2,
                env: { "GREETING": "hello {name}", "OVERRIDDEN": "{index} of 2", "EMPTY": "" },
                restart: (policy: Finish),
            ),
            "other": (command: ["env"], restart: (policy: Finish)),
        })"#,
    )
    .env("INHERITED", "from the shell")
    .env("OVERRIDDEN", "from the shell")
    .start();
    cluster.wait_ready();
    for number in [1, 2] {
        let name = format!("pair-{number}");
        let said = cluster.wait_text(&format!("{name}/stdout.log"), "SUPERVISOR_INCARNATION=");
        for expected in [
            format!("GREETING=hello {name}"),
            format!("OVERRIDDEN={number} of 2"),
            "EMPTY=".to_owned(),
            "INHERITED=from the shell".to_owned(),
            format!("SUPERVISOR_NODE={name}"),
        ] {
            let times = said.lines().filter(|line| *line == expected).count();
            assert_eq!(times, 1, "{expected}\n{said}");
        }
        assert!(!said.contains("NOTIFY_"), "{said}");
    }
    let said = cluster.wait_text("other/stdout.log", "SUPERVISOR_INCARNATION=");
    assert!(said.contains("OVERRIDDEN=from the shell\n"), "{said}");
    assert!(!said.contains("GREETING"), "{said}");
    cluster.stop_and_expect_nobody_left();
}

/// The heap of a process, as far as it can be read.
fn heap_of(pid: i32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = Vec::new();
    for line in maps.lines().filter(|line| line.ends_with("[heap]")) {
        let range = line.split_once(' ').unwrap().0;
        let (from, to) = range.split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        let mut bytes = vec![0; usize::try_from(address(to) - address(from)).unwrap()];
        let count = memory.read_at(&mut bytes, address(from)).unwrap_or(0);
        found.extend_from_slice(&bytes[..count]);
    }
    found
}

/// Shows: a built-in node has its variables in its own environment. That was set after its birth, where
/// `/proc` does not show it, so its memory is looked at (A9).
#[test]
fn a_builtin_node_has_its_environment() {
    let cluster = Start::with(
        r#"Layout(
            nodes: { "worker": (node_type: Worker, count: 2, env: { "NUMBER_OF_ITS_OWN": "{index}" }) },
            controller: (enabled: false),
        )"#,
    )
    .start_ready();
    for number in [1, 2] {
        let name = format!("worker-{number}");
        let pid = cluster.node_pid(&name).unwrap();
        let has = |text: String| {
            let heap = heap_of(pid);
            heap.windows(text.len())
                .any(|window| window == text.as_bytes())
        };
        wait_for("its variable is set", common::PATIENCE, || {
            has(format!("NUMBER_OF_ITS_OWN={number}\0")).then_some(())
        });
        assert!(has(format!("SUPERVISOR_NODE={name}\0")), "{name}");
        assert!(!has(format!("NUMBER_OF_ITS_OWN={}\0", 3 - number)));
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a node that is to read from an interface and from a file is refused with that text, and
/// nothing of it is made (A15).
#[test]
fn a_node_with_interface_and_capture_file_is_not_created() {
    let cluster =
        Start::with(r#"Layout(nodes: { "idle": (command: ["sleep", "infinity"]) })"#).start_ready();
    let tree = cluster.tree();
    let file = cluster.directory().join("node.ron");
    fs::write(
        &file,
        r#"{ "both": (command: ["sleep", "infinity"],
                     interface: "eth0", pcap_file: "trace.pcap") }"#,
    )
    .unwrap();
    let (out, err, code) = cluster.run(&["create", "--file", file.to_str().unwrap()]);
    assert_eq!(code, 3, "{out}{err}");
    let expected = "interface and pcap_file are both given";
    assert!(err.contains(expected), "{out}{err}");
    assert!(cluster.node("both").is_null());
    assert!(!cluster.run_dir().join("both").exists());
    assert_eq!(cluster.tree(), tree);
    cluster.stop_and_expect_nobody_left();
}

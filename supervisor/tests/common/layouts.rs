//! Layouts made of commands that each behave in one certain way.
//!
//! Each constant is the inside of a node's entry; `, restart: (…)` and the like may follow it.

/// Ready at once, and leaves when it is asked.
pub const IDLE: &str = r#"command: ["sleep", "infinity"]"#;

/// Never says that it is ready.
pub const NEVER_READY: &str =
    r#"command: ["sleep", "infinity"], ready: Notify, ready_timeout: "300s""#;

/// Becomes ready when the file `go` is in the test's directory.
pub const GATED: &str = r#"command: ["sh", "-c", "until test -e $DIR/go; do sleep 0.02; done; echo >&${{NOTIFY_FD}}; exec sleep infinity"], ready: Notify, ready_timeout: "300s""#;

/// Ignores SIGTERM, and is ready when it does.
pub const STUBBORN: &str = r#"command: ["sh", "-c", "trap '' TERM; echo >&${{NOTIFY_FD}}; exec sleep infinity"], ready: Notify"#;

/// A grace that no test waits for.
pub const LONG_GRACE: &str = r#"stop: (grace: "300s")"#;

/// Ends at once, as a failure.
pub const CRASHING: &str = r#"command: ["sh", "-c", "exit 1"]"#;

/// Ends at once, as it should.
pub const ENDING: &str = r#"command: ["true"]"#;

/// Born again without any delay, as often as it takes.
pub const AT_ONCE: &str = r#"restart: (floor: "0s", ceiling: "0s", give_up: "off")"#;

/// A cluster of three members, and a command.
pub const SMALL: &str = r#"Layout(
    controller: (enabled: false),
    nodes: {
        "manager": (node_type: Manager),
        "worker": (node_type: Worker, manager: "manager", count: 2),
        "idle": (command: ["sleep", "infinity"]),
    },
)"#;

/// The head of a layout whose nodes stay among themselves.
pub const NO_CONTROLLER: &str = "controller: (enabled: false)";

/// A delay that no test waits for.
pub const LONG_DELAY: &str = r#"restart: (floor: "300s", ceiling: "300s")"#;

/// The command of a node that is this test binary once more, with one test chosen.
pub fn this_binary(test: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let command = [program.to_str().unwrap(), "--exact", test, "--nocapture"];
    format!("command: {command:?}")
}

/// A layout: `head` is what it says beside its nodes.
pub fn layout(head: &str, nodes: &[(&str, &str)]) -> String {
    let mut text = format!("Layout({head}{}nodes: {{\n", separator(head));
    for (name, entry) in nodes {
        text.push_str(&format!("    {name:?}: ({entry}),\n"));
    }
    text.push_str("})\n");
    text
}

/// A layout with nothing but its nodes.
pub fn nodes(nodes: &[(&str, &str)]) -> String {
    layout("", nodes)
}

/// Several parts of one entry.
pub fn entry(parts: &[&str]) -> String {
    parts.join(", ")
}

fn separator(head: &str) -> &'static str {
    if head.is_empty() { "" } else { ", " }
}

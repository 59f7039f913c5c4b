//! `supervisor check`: what it says of good and bad layouts, and that it touches nothing.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test owns its clock")]

mod common;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use common::program;
use serde_json::Value;

/// A directory with a layout in it.
struct Site {
    directory: tempfile::TempDir,
}

impl Site {
    fn with(layout: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("site.ron"), layout).unwrap();
        Self { directory }
    }

    fn check(&self, options: &[&str]) -> Output {
        program()
            .args(["check", "site.ron"])
            .args(options)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn listing(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The code and the complaints of a check that prints nothing else.
fn complaints(layout: &str) -> String {
    let output = Site::with(layout).check(&[]);
    let said = words(&output.stderr);
    assert_eq!(code(&output), 3, "{said}");
    assert_eq!(words(&output.stdout), "");
    said
}

/// Shows: every layout that comes with the program can run.
#[test]
fn every_shipped_layout_is_good() {
    let layouts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../layouts");
    let mut names = Vec::new();
    for entry in fs::read_dir(layouts).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue; // what `collect.ron` collects
        }
        for options in [&["--strict"][..], &["--json"]] {
            let output = program()
                .arg("check")
                .arg(&path)
                .args(options)
                .output()
                .unwrap();
            let said = words(&output.stderr);
            assert_eq!(
                (code(&output), said.as_str()),
                (0, ""),
                "{}",
                path.display()
            );
        }
        names.push(path.file_name().unwrap().to_owned());
    }
    assert!(names.len() >= 3, "{names:?}");
}

/// Shows: each kind of mistake ends with code 3 and names file, line and column, and what is wrong.
#[test]
fn every_kind_of_mistake_is_named_with_its_place() {
    for (layout, place, text) in [
        (
            "(nodes: {\n  \"a\" (command: [\"true\"]),\n})",
            "site.ron:2:6",
            "expected colon",
        ),
        (
            "(nodes: {\n\"a\": (comand: [\"true\"])})",
            "site.ron:2:7",
            "did you mean \"command\"?",
        ),
        (
            "(ndoes: {\"a\": (command: [\"true\"])})",
            "site.ron:1:2",
            "did you mean \"nodes\"?",
        ),
        (
            "(nodes: {\n\"a\": (command: [\"true\"]),\n\"b\": (command: [\"true\"], after: [\"c\"])})",
            "site.ron:3:26",
            "there is no node \"c\"",
        ),
        (
            "(nodes: {\n\"a\": (command: [\"true\"]),\n\"a\": (command: [\"true\"])})",
            "site.ron:3:1",
            "already at 2:1",
        ),
        (
            "(nodes: {\n\"a\": (command: [\"true\"], p: 4000),\n\"b\": (command: [\"true\"], p: 4000)})",
            "site.ron:3:26",
            "\"a\" listens on 4000 already",
        ),
        (
            "(nodes: {\n\"a\": (command: [\"true\"], after: [\"b\"]),\n\"b\": (command: [\"true\"], after: [\"a\"])})",
            "site.ron:2:26",
            "a circle: a → b → a",
        ),
        (
            "(nodes: {\n\"a\": (command: [\"/no/such/program\"])})",
            "site.ron:2:7",
            "\"/no/such/program\" cannot be run",
        ),
        (
            "(nodes: {\n\"a b\": (command: [\"true\"])})",
            "site.ron:2:1",
            "' '",
        ),
        (
            "(nodes: {\n\"../a\": (command: [\"true\"])})",
            "site.ron:2:1",
            "'.'",
        ),
        (
            "(nodes: {\n\"state\": (command: [\"true\"])})",
            "site.ron:2:1",
            "run directory",
        ),
    ] {
        let said = complaints(layout);
        assert!(
            said.contains(place),
            "{place} is missing in:\n{said}{layout}"
        );
        assert!(said.contains(text), "{text} is missing in:\n{said}{layout}");
    }
}

/// Shows: a script without its interpreter is refused, and it is the interpreter that is named.
#[test]
fn a_script_needs_its_interpreter() {
    let site = Site::with("(nodes: {\n\"a\": (command: [\"./tool\"])})");
    let tool = site.directory.path().join("tool");
    fs::write(&tool, "#!/no/such/interp\n").unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let output = site.check(&[]);
    let said = words(&output.stderr);
    assert_eq!(code(&output), 3, "{said}");
    assert!(said.contains("site.ron:2:7"), "{said}");
    let expected = "its interpreter /no/such/interp does not exist";
    assert!(said.contains(expected), "{said}");
}

/// Shows: several mistakes are told at once, each with its place.
#[test]
fn several_mistakes_are_told_at_once() {
    for layout in [
        "(nodes: {\n\"a\": (comand: [\"true\"]),\n\"b\": (command: 7),\n\"c\": (cont: 2)})",
        "(nodes: {\n\"a\": (command: [\"/no/such\"]),\n\"b\": (command: [\"true\"], nice: 40),\n\"c\": ()})",
    ] {
        let said = complaints(layout);
        for place in ["site.ron:2:", "site.ron:3:", "site.ron:4:"] {
            assert!(said.contains(place), "{said}");
        }
    }
}

/// Shows: nodes pinned to the same processor are warned of; `--strict` makes that an error.
#[test]
fn a_clash_of_processors_is_a_warning() {
    let first = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = first
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .unwrap();
    let cpu = allowed.trim().split([',', '-']).next().unwrap();
    let site = Site::with(&format!(
        "(nodes: {{\n\"a\": (command: [\"true\"], cpus: [{cpu}]),\n\"b\": (command: [\"true\"], cpus: [{cpu}])}})"
    ));
    let output = site.check(&[]);
    let said = words(&output.stderr);
    assert_eq!(code(&output), 0, "{said}");
    assert!(said.contains("site.ron:3:"), "{said}");
    assert!(
        said.contains("\"a\" is pinned to the same processors"),
        "{said}"
    );
    assert_eq!(code(&site.check(&["--strict"])), 3);
}

/// Shows: a check binds nothing and writes nothing. The layout's port is taken by this test, and the
/// directory is the same afterwards.
#[test]
fn a_check_binds_nothing_and_writes_nothing() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let site = Site::with(&format!(
        "(nodes: {{
            \"server\": (command: [\"true\"], ip: \"127.0.0.1\", p: {port}),
            \"job\": (command: [\"true\"], directory: \"work\", stdout_file: \"logs/job.log\"),
        }})"
    ));
    let before = (
        site.listing(),
        fs::metadata(site.directory.path())
            .unwrap()
            .modified()
            .unwrap(),
    );
    for options in [
        &[][..],
        &["--json"],
        &["--strict"],
        &["--run-dir", "elsewhere"],
    ] {
        let output = site.check(options);
        assert_eq!(code(&output), 0, "{}", words(&output.stderr));
    }
    let after = (
        site.listing(),
        fs::metadata(site.directory.path())
            .unwrap()
            .modified()
            .unwrap(),
    );
    assert_eq!(before, after);
    taken.set_nonblocking(true).unwrap();
    assert!(taken.accept().is_err(), "somebody connected");
}

/// Shows: `--check` of the daemon is the same check, and starts nothing.
#[test]
fn the_daemons_own_check_starts_nothing() {
    let site = Site::with("(nodes: {\"a\": (command: [\"true\"])})");
    let output = program()
        .args(["--layout", "site.ron", "--check"])
        .current_dir(site.directory.path())
        .output()
        .unwrap();
    assert_eq!(code(&output), 0);
    assert_eq!(output.stdout, site.check(&[]).stdout);
    assert_eq!(site.listing().len(), 1);
}

/// Shows: with `--json` the findings are one object, with file, line, column, node and field.
#[test]
fn findings_can_be_had_as_json() {
    let site = Site::with("(nodes: {\n\"a\": (command: [\"true\"], nice: 40)})");
    let output = site.check(&["--json"]);
    assert_eq!(code(&output), 3);
    assert_eq!(words(&output.stderr), "");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["schema"], 1);
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["error"]["code"], 3);
    let finding = &answer["findings"][0];
    assert_eq!(finding["severity"], "error");
    assert_eq!(finding["line"], 2);
    assert_eq!(finding["column"], 26);
    assert_eq!(finding["node"], "a");
    assert_eq!(finding["field"], "nice");
    let good = Site::with("(nodes: {\"a\": (command: [\"true\"])})").check(&["--json"]);
    let answer: Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!((code(&good), &answer["ok"]), (0, &Value::Bool(true)));
}

/// Shows: settings as they hold are told, also those that nobody wrote, once for a thousand nodes, and
/// no value of a variable.
#[test]
fn settings_are_told_as_they_hold() {
    let site = Site::with(
        "(nodes: {\"n\": (command: [\"true\"], count: 1000, nice: 5, env: {\"TOKEN\": \"hidden\"})})",
    );
    let said = words(&site.check(&[]).stdout);
    for part in [
        "n-1 … n-1000: env=TOKEN  nice=5",
        "crash_keep            10 reports",
        "restart.ceiling       30s",
    ] {
        assert!(said.contains(part), "{part} is missing in:\n{said}");
    }
    assert!(said.lines().count() < 60, "{said}");
    let answer = site.check(&["--json"]).stdout;
    assert!(!said.contains("hidden") && !words(&answer).contains("hidden"));
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let child = &answer["layout"]["stages"][0]["children"][999];
    assert_eq!(child["env"][0], "TOKEN");
    assert_eq!(child["life"]["ceiling_ms"], 30_000);
}

/// Shows: what is not acted on is no error, and JSON says so in a word of its own.
#[test]
fn what_is_not_acted_on_has_a_severity_of_its_own() {
    let site = Site::with("(nodes: {\n\"m\": (node_type: Manager, p: 4000)})");
    let output = site.check(&["--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(code(&output), 0);
    assert_eq!(answer["findings"][0]["severity"], "not_acted_on");
    assert_eq!(answer["findings"][0]["field"], "p");
}

/// Shows: a thousand nodes are checked in no time.
#[test]
fn a_thousand_nodes_are_checked_quickly() {
    let one_by_one: String = (0..1000)
        .map(|number| {
            format!("\"n{number}\": (command: [\"true\"], env: {{\"N\": \"{{name}}\"}}),\n")
        })
        .collect();
    let counted = "(nodes: {\"n\": (command: [\"true\"], count: 1000)})".to_owned();
    for (layout, all) in [
        (counted, "n-1 … n-1000 (1000)"),
        (format!("(nodes: {{{one_by_one}}})"), "n0 … n999 (1000)"),
    ] {
        let begun = Instant::now();
        let output = Site::with(&layout).check(&[]);
        assert_eq!(code(&output), 0, "{}", words(&output.stderr));
        let described = words(&output.stdout);
        assert!(described.contains(all), "{described}");
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
    }
}

/// Shows: ten thousand nodes are accepted, or refused because of the machine's limit, which is named.
#[test]
fn ten_thousand_nodes_get_a_clear_answer() {
    let output = Site::with("(nodes: {\"n\": (command: [\"true\"], count: 10000)})").check(&[]);
    let said = words(&output.stderr);
    match code(&output) {
        0 => assert_eq!(said, ""),
        3 => assert!(said.contains("10000 children need about"), "{said}"),
        other => panic!("ended with {other}: {said}"),
    }
    let said = complaints("(nodes: {\"n\": (command: [\"true\"], count: 4000000000)})");
    assert!(said.contains("more than 20000 nodes"), "{said}");
}

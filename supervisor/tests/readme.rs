//! What the guides promise, held against the program: `README.md` and `ARCHITECTURE.md`.
//!
//! Nothing of a cluster is started here; the program is asked for its help, and checks layouts.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cluster::control::Code;

const README: &str = include_str!("../../README.md");
const ARCHITECTURE: &str = include_str!("../../ARCHITECTURE.md");
const FABRIC: &str = include_str!("../../docs/fabric.md");
const LOGS: &str = include_str!("../../docs/logs.md");
const SIGNALS: &str = include_str!("../src/daemon/signals.rs");

/// The supervisor's own code for a system that fails it; no command ends with it.
const DEAF: u8 = 70;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What the program prints, and whether it was content.
fn run(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_supervisor"))
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// The contents of the fenced blocks of one kind.
fn blocks(text: &str, kind: &str) -> Vec<String> {
    let opening = format!("```{kind}\n");
    text.split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// The shell commands of the guide, without comments.
fn commands() -> Vec<String> {
    blocks(README, "sh")
        .concat()
        .lines()
        .map(|line| line.split(" #").next().unwrap().trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// The words behind the program's name, for those commands that start it.
fn calls() -> Vec<Vec<String>> {
    let starts = ["supervisor", "target/release/supervisor"];
    let mut calls = Vec::new();
    for command in commands() {
        let command = command.replace("cargo run --release --", "supervisor");
        let mut words = command.split_whitespace().map(str::to_owned);
        if words.by_ref().any(|word| starts.contains(&word.as_str())) {
            calls.push(words.collect());
        }
    }
    calls
}

/// The rows of the table whose heading begins so, cell by cell.
fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, rest) = text.split_once(heading).unwrap();
    rest.lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

/// Words in code style.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The names of signals in a text.
fn signals(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| word.starts_with("SIG") && word.len() > 4)
        .map(str::to_owned)
        .collect()
}

/// Shows: each command line of the guide is one that the program's help knows, options included.
#[test]
fn every_command_of_the_guide_is_one_the_program_knows() {
    let calls = calls();
    assert!(calls.len() > 10, "{calls:?}");
    for call in calls {
        let command = match call.first().map(String::as_str) {
            Some(word) if !word.starts_with("--") => word,
            _ => "run",
        };
        let (known, help) = run(&[command, "--help"]);
        assert!(known, "{call:?}: {help}");
        let spelled: BTreeSet<&str> = help
            .split(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | '=' | '<'))
            .collect();
        for option in call.iter().filter(|word| word.starts_with('-')) {
            let name = option.split('=').next().unwrap();
            assert!(spelled.contains(name), "{call:?}: no {name} in\n{help}");
        }
    }
}

/// Shows: no command in the text, outside blocks, is one the program does not have.
#[test]
fn every_command_the_text_speaks_of_is_listed_by_the_help() {
    let (_, help) = run(&["--help"]);
    let mut seen = 0;
    for phrase in quoted(&README.replace("```", "")) {
        let Some(rest) = phrase.strip_prefix("supervisor ") else {
            continue;
        };
        let word = rest.split_whitespace().next().unwrap();
        if word.starts_with('-') || phrase.contains('\n') {
            continue;
        }
        seen += 1;
        assert!(help.contains(&format!("\n  {word} ")), "`{phrase}`");
    }
    assert!(seen > 3, "{seen} seen");
}

/// Shows: the layouts that are named exist, and all that are shipped or shown can run.
#[test]
fn every_layout_that_is_named_or_shown_can_run() {
    let named: Vec<String> = commands()
        .iter()
        .flat_map(|command| command.split_whitespace())
        .filter(|word| word.ends_with(".ron"))
        .map(str::to_owned)
        .collect();
    assert!(named.iter().any(|file| file == "layouts/site.ron"));
    for file in named {
        assert!(root().join(&file).is_file(), "{file}");
    }
    for entry in fs::read_dir(root().join("layouts")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue; // what `collect.ron` collects
        }
        let (can_run, said) = run(&["check", path.to_str().unwrap()]);
        assert!(can_run, "{said}");
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(README.contains(name), "{name} is not in the guide");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shown.ron");
    let shown = blocks(README, "ron");
    assert_eq!(shown.len(), 1);
    // The program it names need not be installed where this test runs.
    fs::write(&path, shown[0].replace("python3", "sh")).unwrap();
    let (can_run, said) = run(&["check", path.to_str().unwrap()]);
    assert!(can_run, "{said}");
}

/// Shows: the guide to log files has a layout that can run, commands that the program knows, and the faults
/// that they name.
#[test]
fn the_guide_to_log_files_is_about_this_program() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shown.ron");
    let [shown] = blocks(LOGS, "ron").try_into().unwrap();
    fs::write(&path, shown).unwrap();
    let (can_run, said) = run(&["check", "--strict", path.to_str().unwrap()]);
    assert!(can_run, "{said}");
    let mut seen = 0;
    for line in blocks(LOGS, "sh").concat().lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["supervisor", "records", command, options @ ..] = words.as_slice() else {
            panic!("{line}");
        };
        let (known, help) = run(&["records", command, "--help"]);
        assert!(known, "{line}: {help}");
        for option in options.iter().filter(|word| word.starts_with('-')) {
            let mut words = help.split(|c: char| c.is_whitespace() || c == ',');
            assert!(words.any(|word| word == *option), "{line}: no {option}");
        }
        seen += 1;
    }
    assert!(seen > 5, "{seen} seen");
    const REPLIES: &str = include_str!("../src/client/records/replies.rs");
    let rows = table(LOGS, "| `kind` in JSON | what it means |");
    let told: BTreeSet<&str> = rows.iter().flat_map(|row| quoted(&row[0])).collect();
    assert_eq!(told.len(), 11);
    for fault in told {
        assert!(REPLIES.contains(&format!("\"{fault}\"")), "{fault}");
    }
}

/// Shows: the exit codes are those of the code, no more and no fewer, here and in `--help`.
#[test]
fn the_exit_codes_are_those_of_the_program() {
    let known: BTreeSet<u8> = (0..=u8::MAX)
        .filter(|number| Code::try_from(*number).is_ok())
        .collect();
    let rows = table(README, "| code | of a command | of the supervisor itself |");
    let (mut of_commands, mut of_itself) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        let number: u8 = row[0].parse().unwrap();
        if !row[1].is_empty() {
            of_commands.insert(number);
        }
        if !row[2].is_empty() {
            of_itself.insert(number);
        }
    }
    assert_eq!(of_commands, known);
    let (_, help) = run(&["--help"]);
    assert_eq!(numbers(&help, "Exit codes of the client commands:"), known);
    let (_, help) = run(&["run", "--help"]);
    assert_eq!(numbers(&help, "Exit codes:"), of_itself);
    assert!(of_itself.contains(&DEAF));
}

/// The numbers that stand as words of their own in the paragraph below a heading.
fn numbers(help: &str, heading: &str) -> BTreeSet<u8> {
    let (_, rest) = help.split_once(heading).unwrap();
    let paragraph = rest.split("\n\n").next().unwrap();
    paragraph
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// Shows: guide, help and program name the same signals.
#[test]
fn the_signals_are_those_the_supervisor_reads() {
    let (_, list) = SIGNALS.split_once("const ALL").unwrap();
    let mut read = signals(list.split(';').nth(1).unwrap());
    assert!(read.remove("SIGCHLD"), "it is nobody's to send");
    let rows = table(README, "| signal to the supervisor | what it does |");
    let told = rows.iter().flat_map(|row| signals(&row[0])).collect();
    assert_eq!(read, told);
    let (_, help) = run(&["run", "--help"]);
    let (_, rest) = help.split_once("Signals:").unwrap();
    assert_eq!(read, signals(rest.split("\n\n").next().unwrap()));
}

/// Shows: every file and directory that the map names is there.
#[test]
fn every_path_of_the_map_exists() {
    let prose = [ARCHITECTURE, FABRIC, LOGS].concat().replace("```", "");
    let paths: Vec<&str> = quoted(&prose)
        .into_iter()
        .filter(|word| {
            ["src/", "supervisor/", "tests/", "docs/"]
                .iter()
                .any(|p| word.starts_with(p))
        })
        .collect();
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        let path = root().join(path);
        assert!(
            path.exists() || path.with_extension("rs").exists(),
            "{path:?}"
        );
    }
}

/// Shows: the limits of the map are the constants of the code, with their values.
#[test]
fn every_limit_of_the_map_is_a_constant_with_that_value() {
    let rows = table(ARCHITECTURE, "| what | constant | value | in |");
    assert!(rows.len() > 10);
    for row in rows {
        let [constant, value, file] = [1, 2, 3].map(|cell| row[cell].trim_matches('`'));
        let text = fs::read_to_string(root().join(file)).unwrap();
        let defined = text.lines().any(|line| {
            line.contains(&format!("const {constant}: ")) && line.ends_with(&format!(" = {value};"))
        });
        assert!(defined, "{constant} = {value} in {file}");
    }
}

/// Shows: the guides stay short enough to be read.
#[test]
fn the_guides_are_short() {
    assert!(README.lines().count() <= 200);
    assert!(ARCHITECTURE.lines().count() <= 400);
    assert!(FABRIC.lines().count() <= 200);
    assert!(LOGS.lines().count() <= 200);
}

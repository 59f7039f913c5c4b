//! House rules that no compiler knows, held against the repository's own files.
//!
//! A rule looks at all files and returns complaints. Each rule is also shown made-up files that
//! break it: a rule that cannot fail is decoration. Comments and literals do not count as code.

#![cfg(test)]

mod tidy_shown;
mod tidy_source;

use tidy_source::{Source, idents, repository, unit_test_files, without_tests};

/// A longer file is two ideas.
const LINES_MAX: usize = 500;

/// The modules of the library from the bottom up, those of one rank side by side. A module may name
/// others of its own rank and of lower ones.
const RANKS: [&[&str]; 5] = [
    &[
        "names", "causes", "data", "topic", "pool", "layout", "fabric", "logging",
    ],
    &[
        "framework",
        "supervise",
        "control",
        "controller",
        "follow",
        "broker",
        "zeromq",
        "websocket",
        "store",
    ],
    &["shm", "sys"],
    &["net"],
    &["node", "script", "telemetry"],
];

/// The ranks whose modules open nothing, ask no clock and start nothing.
const PURE_RANKS: usize = 2;

/// What a pure module must not name.
const IMPURE: [&str; 16] = [
    "std::fs",
    "std::process",
    "std::thread",
    "std::env",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "ToSocketAddrs",
    "mio",
    "nix",
    "signal_hook",
    "Instant::now",
    "SystemTime::now",
];

/// Names that say nothing of what is inside.
const FORBIDDEN_NAMES: [&str; 7] = [
    "utils", "util", "helpers", "helper", "common", "misc", "manager",
];

type Rule = fn(&[Source]) -> Vec<String>;

const RULES: [(&str, Rule); 9] = [
    ("length", length),
    ("whitespace", whitespace),
    ("parents", parents),
    ("unfinished", unfinished),
    ("islands", islands),
    ("purity", purity),
    ("sleep", sleep),
    ("names", names),
    ("direction", direction),
];

fn rust(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| source.path.ends_with(".rs"))
}

/// The module of the library that a file belongs to.
fn module(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/")?;
    let first = below.split('/').next()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib").then_some(name)
}

fn rank(module: &str) -> Option<usize> {
    RANKS.iter().position(|rank| rank.contains(&module))
}

fn length(sources: &[Source]) -> Vec<String> {
    rust(sources)
        .map(|source| (source, source.text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(source, lines)| {
            format!(
                "{}: {lines} lines, at most {LINES_MAX}; split it where its ideas part",
                source.path
            )
        })
        .collect()
}

fn whitespace(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for Source { path, text, .. } in sources {
        for (index, line) in text.split('\n').enumerate() {
            let number = index + 1;
            if line.contains('\t') {
                complaints.push(format!("{path}:{number}: a tab; use spaces"));
            }
            if line.ends_with([' ', '\t', '\r']) {
                complaints.push(format!("{path}:{number}: space at the end of the line"));
            }
        }
        if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
            complaints.push(format!("{path}: end it with exactly one line feed"));
        }
    }
    complaints
}

/// A file that no parent names is not compiled; a module that `lib.rs` does not explain is not
/// found.
fn parents(sources: &[Source]) -> Vec<String> {
    let tests = unit_test_files(sources);
    let mut complaints = Vec::new();
    for source in rust(sources) {
        let Some((directory, file)) = source.path.rsplit_once('/') else {
            continue;
        };
        let in_tests = source.path.starts_with("tests/");
        let in_sources = ["src/", "supervisor/src/"]
            .iter()
            .any(|root| source.path.starts_with(root));
        let is_root = matches!(file, "lib.rs" | "main.rs")
            || directory == "tests"
            || directory.ends_with("/bin");
        // Its parent declared it, perhaps from another place.
        let is_test = tests.contains(&source.path);
        if is_root || is_test || !(in_tests || in_sources) {
            continue;
        }
        let (directory, name) = match file.strip_suffix(".rs") {
            Some("mod") => directory.rsplit_once('/').unwrap_or(("", directory)),
            Some(stem) => (directory, stem),
            None => continue,
        };
        let files = ["mod", "lib", "main"].map(|stem| format!("{directory}/{stem}.rs"));
        let beside = format!("{directory}.rs");
        let is_parent = |path: &str| {
            files.iter().any(|file| file == path)
                || path == beside
                || (directory == "tests" && !path[6..].contains('/'))
        };
        let named = rust(sources)
            .filter(|other| other.path.starts_with(directory) && is_parent(&other.path))
            .any(|parent| parent.code.contains(&format!("mod {name};")));
        if !named {
            complaints.push(format!("{}: no parent says `mod {name};`", source.path));
        }
        let lib = sources.iter().find(|other| other.path == "src/lib.rs");
        if directory == "src" && !lib.is_some_and(|lib| lib.text.contains(&format!("[`{name}`]"))) {
            complaints.push(format!("src/lib.rs: give `{name}` a line in the map"));
        }
    }
    complaints
}

/// Complains wherever one of the patterns stands in the code.
fn search<'a>(
    sources: impl Iterator<Item = &'a Source>,
    patterns: &[&str],
    code: impl Fn(&'a Source) -> &'a str,
    advice: &str,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        for (index, line) in code(source).lines().enumerate() {
            for pattern in patterns.iter().filter(|pattern| has_word(line, pattern)) {
                let number = index + 1;
                complaints.push(format!("{}:{number}: `{pattern}`; {advice}", source.path));
            }
        }
    }
    complaints
}

/// Does the pattern stand in the line, and not as a piece of a longer word?
fn has_word(line: &str, pattern: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(pattern).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(joins);
        let after = line[at + pattern.len()..].chars().next().is_some_and(joins);
        let (starts, ends) = (pattern.starts_with(joins), pattern.ends_with(joins));
        !(starts && before || ends && after)
    })
}

fn unfinished(sources: &[Source]) -> Vec<String> {
    let code = ["todo!", "unimplemented!", "#[ignore"];
    let mut complaints = search(
        rust(sources),
        &code,
        |source| source.code.as_str(),
        "finish it",
    );
    // Put together here, so that this file does not hold what it looks for.
    let marks = [concat!("FIX", "ME"), concat!("X", "XX")];
    complaints.extend(search(
        sources.iter(),
        &marks,
        |source| source.text.as_str(),
        "do it, or open an issue",
    ));
    complaints
}

fn islands(sources: &[Source]) -> Vec<String> {
    let others = rust(sources).filter(|source| {
        !["src/sys/", "src/shm/"]
            .iter()
            .any(|i| source.path.starts_with(i))
    });
    let advice = "it has two places, src/sys and src/shm";
    search(others, &["unsafe"], |source| source.code.as_str(), advice)
}

fn purity(sources: &[Source]) -> Vec<String> {
    let tests = unit_test_files(sources);
    let is_pure = |source: &&Source| {
        let rank = module(&source.path).and_then(rank);
        rank.is_some_and(|rank| rank < PURE_RANKS) && !tests.contains(&source.path)
    };
    let advice = "this module is pure; take it as an argument";
    let mut complaints = search(
        rust(sources).filter(is_pure),
        &IMPURE,
        |source| without_tests(&source.code),
        advice,
    );
    // `use std::{fs, …}` names them too.
    let members = IMPURE.iter().filter_map(|path| path.strip_prefix("std::"));
    for member in members {
        for source in rust(sources).filter(is_pure) {
            let code = without_tests(&source.code);
            if idents(code, "std::").any(|found| found == member) {
                let complaint = format!("{}: `std::{member}`; {advice}", source.path);
                complaints.push(complaint);
            }
        }
    }
    complaints.sort();
    complaints.dedup();
    complaints
}

fn sleep(sources: &[Source]) -> Vec<String> {
    let advice = "wait for what you wait for, with a deadline";
    search(
        rust(sources),
        &["thread::sleep"],
        |source| source.code.as_str(),
        advice,
    )
}

fn names(sources: &[Source]) -> Vec<String> {
    rust(sources)
        // Cargo's own convention; and the manager is a role of a node.
        .filter(|source| !source.path.contains("tests/common/"))
        .filter(|source| source.path != "src/node/manager.rs")
        .flat_map(|source| {
            let parts = source.path.split('/');
            parts
                .map(|part| part.strip_suffix(".rs").unwrap_or(part))
                .filter(|part| FORBIDDEN_NAMES.contains(part))
                .map(|part| format!("{}: `{part}` says nothing of what is inside", source.path))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn direction(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    let tests = unit_test_files(sources);
    for source in rust(sources).filter(|source| !tests.contains(&source.path)) {
        let Some(own) = module(&source.path) else {
            continue;
        };
        let Some(own_rank) = rank(own) else {
            complaints.push(format!(
                "{}: give module `{own}` its rank in tests/tidy.rs",
                source.path
            ));
            continue;
        };
        let code = without_tests(&source.code);
        for used in idents(code, "crate::") {
            if rank(used).is_some_and(|rank| rank > own_rank) {
                complaints.push(format!(
                    "{}: `crate::{used}` stands above `{own}`; dependencies point down",
                    source.path
                ));
            }
        }
        if code.contains("super::super::") {
            complaints.push(format!(
                "{}: `super::super::`; say `crate::…`, so that one sees where it points",
                source.path
            ));
        }
    }
    complaints
}

#[test]
fn the_repository_keeps_its_rules() {
    let sources = repository();
    for path in [
        "Cargo.toml",
        "src/lib.rs",
        "supervisor/src/main.rs",
        "tests/tidy.rs",
    ] {
        assert!(sources.iter().any(|s| s.path == path), "{path} not found");
    }
    let complaints: Vec<String> = RULES
        .iter()
        .flat_map(|(name, rule)| {
            rule(&sources)
                .into_iter()
                .map(move |complaint| format!("{name}: {complaint}"))
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

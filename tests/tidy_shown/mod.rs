//! Made-up files that break each rule of the tidy test, and such that keep it.

use super::tidy_source::Source;
use super::{
    LINES_MAX, Rule, direction, islands, length, names, parents, purity, sleep, unfinished,
    whitespace,
};

/// The rule must complain of these files, and of nothing in those.
#[track_caller]
fn shown(rule: Rule, bad: &[&[(&str, &str)]], good: &[(&str, &str)]) {
    let made_up = |files: &[(&str, &str)]| -> Vec<Source> {
        let source = |(path, text): &(&str, &str)| Source::new(path, text);
        files.iter().map(source).collect()
    };
    for files in bad {
        assert!(!rule(&made_up(files)).is_empty(), "not seen: {files:?}");
    }
    assert_eq!(rule(&made_up(good)), Vec::<String>::new());
}

#[test]
fn a_file_that_is_too_long_is_seen() {
    let (long, enough) = ("x\n".repeat(LINES_MAX + 1), "x\n".repeat(LINES_MAX));
    shown(
        length,
        &[&[("src/a.rs", &long)]],
        &[("a.rs", &enough), ("a.md", &long)],
    );
}

#[test]
fn tabs_and_space_at_the_end_are_seen() {
    shown(
        whitespace,
        &[
            &[("a.rs", "\tx\n")],
            &[("a.md", "x \n")],
            &[("a.md", "x\r\n")],
            &[("a.toml", "x")],
            &[("a.toml", "x\n\n")],
        ],
        &[("a.rs", "fn a() {}\n\n    // b\n"), ("empty.rs", "")],
    );
}

#[test]
fn a_file_without_a_parent_and_a_module_without_a_line_are_seen() {
    let lib = ("src/lib.rs", "//! [`a`]\nmod a;\n");
    shown(
        parents,
        &[
            &[("src/lib.rs", "//! [`a`]\n// mod a;\n"), ("src/a.rs", "")],
            &[("src/lib.rs", "mod a;\n"), ("src/a.rs", "")],
            &[lib, ("src/a/mod.rs", "mod c;"), ("src/a/b.rs", "")],
            &[("supervisor/src/main.rs", ""), ("supervisor/src/a.rs", "")],
            &[("tests/a.rs", ""), ("tests/common/mod.rs", "")],
        ],
        &[
            lib,
            ("src/a/mod.rs", "pub mod b;"),
            ("src/a/b.rs", ""),
            ("supervisor/src/main.rs", "mod c;"),
            (
                "supervisor/src/c.rs",
                "mod d;\n#[cfg(test)]\n#[path = \"c_tests.rs\"]\nmod tests;\n",
            ),
            ("supervisor/src/c_tests.rs", ""),
            ("supervisor/src/c/d.rs", ""),
            ("tests/x.rs", "mod common;"),
            ("tests/common/mod.rs", "mod e;"),
            ("tests/common/e.rs", ""),
        ],
    );
}

#[test]
fn what_is_unfinished_is_seen() {
    shown(
        unfinished,
        &[
            &[("a.rs", "fn a() { todo!() }")],
            &[("a.rs", "fn a() { unimplemented!() }")],
            &[("a.rs", "#[ignore = \"slow\"]")],
            &[("a.md", concat!("FIX", "ME: later"))],
            &[("a.rs", concat!("// X", "XX"))],
        ],
        &[("a.rs", "// todo!() is forbidden\nlet a = \"todo!\";")],
    );
}

#[test]
fn a_bridge_from_the_unsafe_islands_is_seen() {
    let line = "fn a() { unsafe { b() } }";
    shown(
        islands,
        &[&[("src/node/mod.rs", line)], &[("tests/a.rs", line)]],
        &[
            ("src/sys/fork.rs", line),
            ("src/shm/ring.rs", line),
            ("src/node/a.rs", "#![forbid(unsafe_code)] // unsafe\n"),
        ],
    );
}

#[test]
fn an_impure_word_in_a_pure_module_is_seen() {
    shown(
        purity,
        &[
            &[("src/names.rs", "use std::fs::File;")],
            &[("src/layout/mod.rs", "use std::{fmt, fs};")],
            &[("src/control/a.rs", "use std::net::{IpAddr, TcpListener};")],
            &[("src/controller/a.rs", "let now = Instant::now();")],
            &[("src/supervise/a.rs", "use nix::unistd;")],
            &[("src/layout/mod.rs", "#[cfg(test)]\nmod a;\nuse std::fs;")],
            &[("src/supervise/a.rs", "fn a(p: mio::Poll) {}")],
        ],
        &[
            ("src/names.rs", "use std::{fmt, net::IpAddr}; // std::fs\n"),
            ("src/layout/a.rs", "let unix = Unix::Nix; fn of(fs: Fs) {}"),
            (
                "src/control/a.rs",
                "#[cfg(test)]\nmod tests { fn a() { Instant::now(); } }",
            ),
            ("src/sys/a.rs", "use std::fs;"),
            ("src/layout/mod.rs", "#[cfg(test)]\npub(crate) mod trial;\n"),
            ("src/layout/trial.rs", "use std::fs;"),
        ],
    );
}

#[test]
fn a_sleeping_test_is_seen() {
    shown(
        sleep,
        &[&[(
            "tests/a.rs",
            "use std::thread;\nfn a() { thread::sleep(D); }",
        )]],
        &[("tests/a.rs", "// thread::sleep\nfn sleep() {}")],
    );
}

#[test]
fn a_name_that_says_nothing_is_seen() {
    shown(
        names,
        &[
            &[("src/utils.rs", "")],
            &[("src/node/helpers/mod.rs", "")],
            &[("src/common/a.rs", "")],
        ],
        &[("tests/common/mod.rs", ""), ("src/node/manager.rs", "")],
    );
}

#[test]
fn a_dependency_that_points_up_is_seen() {
    shown(
        direction,
        &[
            &[("src/names.rs", "use crate::supervise::child;")],
            &[("src/control/a.rs", "fn a() { crate::sys::fork() }")],
            &[("src/sys/a.rs", "use crate::{names::NodeName, node};")],
            &[(
                "src/shm/a.rs",
                "use crate::{\n    names,\n    net::Loop,\n};",
            )],
            &[("src/layout/a.rs", "use super::super::node;")],
            &[("src/novelty.rs", "")],
        ],
        &[
            (
                "src/sys/a.rs",
                "use crate::{layout::{node, spec}, supervise};",
            ),
            (
                "src/control/a.rs",
                "use crate::controller; // crate::node\n",
            ),
            ("src/node/a.rs", "use crate::net;"),
            ("src/supervise/a.rs", "#[cfg(test)]\nmod tests;\n"),
            ("src/supervise/a/tests.rs", "use crate::sys::clock;"),
            (
                "src/names.rs",
                "#[cfg(test)]\nmod tests { use crate::node; }",
            ),
        ],
    );
}

//! What a test waits for, and what it expects to find: states, events, files, and nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::processes::{self, ProcessId};
use super::{Cluster, MARK, PATIENCE, wait_for, wait_or_tell, walk};

pub fn wait_no_more(
    what: &str,
    once: &BTreeMap<String, usize>,
    now: impl Fn() -> BTreeMap<String, usize>,
) {
    let more = |(kind, count): (&String, &usize)| count > once.get(kind).unwrap_or(&0);
    wait_or_tell(
        &format!("no more {what} than once"),
        Duration::from_secs(5),
        || (!now().iter().any(more)).then_some(()),
        || format!("once {once:?} and now {:?}", now()),
    );
}

impl Cluster {
    /// Waits until a node satisfies a condition; gives it as `status` shows it.
    pub fn wait_node(&self, name: &str, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        wait_or_tell(
            &format!("{name}: {what}"),
            PATIENCE,
            || Some(self.node(name)).filter(|node| done(node)),
            || format!("it is {}\n{}", self.node(name), self.console()),
        )
    }

    /// Waits until a node is in this state with another process than that one.
    pub fn wait_other_pid(&self, name: &str, state: &str, pid: Option<i32>) -> Value {
        let pid = pid.map(i64::from);
        self.wait_node(name, &format!("{state} with another pid"), |node| {
            node["state"] == state && node["pid"].is_i64() && node["pid"].as_i64() != pid
        })
    }

    /// Kills a node's process and waits until the node is ready with another one.
    pub fn replace(&self, name: &str) -> Value {
        let pid = self.node_pid(name).unwrap();
        processes::signal(pid, nix::sys::signal::Signal::SIGKILL);
        self.wait_other_pid(name, "ready", Some(pid))
    }

    pub fn wait_state(&self, name: &str, state: &str) -> Value {
        self.wait_node(name, state, |node| node["state"] == state)
    }

    /// Waits until the cluster is ready.
    pub fn wait_ready(&self) {
        self.wait_cluster("ready");
    }

    pub fn wait_cluster(&self, state: &str) {
        wait_or_tell(
            &format!("the cluster is {state}"),
            PATIENCE,
            || (self.status()["cluster"] == state).then_some(()),
            || format!("it is {}\n{}", self.status(), self.console()),
        );
    }

    /// Waits for an event of this kind, about this node if one is given.
    pub fn wait_event(&self, kind: &str, node: Option<&str>) -> Value {
        let what = format!("event {kind} of {node:?}");
        wait_for(&what, PATIENCE, || {
            self.events()
                .into_iter()
                .find(|e| e["kind"] == kind && node.is_none_or(|node| e["node"] == node))
        })
    }

    /// The events of this kind about this node, oldest first.
    pub fn events_of(&self, kind: &str, node: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| event["kind"] == kind && event["node"] == node);
        events
    }

    /// All events that are kept.
    pub fn events(&self) -> Vec<Value> {
        self.connect()
            .stream(&serde_json::json!({"events": {"since": null, "follow": false}}))
    }

    /// Waits until a file of the run directory holds a text; gives all it holds.
    pub fn wait_text(&self, path: &str, text: &str) -> String {
        self.wait_content(path, text, |content| content.contains(text))
    }

    /// Waits until a file of the run directory is as wanted; gives all it holds.
    pub fn wait_content(&self, path: &str, what: &str, done: impl Fn(&str) -> bool) -> String {
        wait_or_tell(
            &format!("{path}: {what}"),
            PATIENCE,
            || Some(self.read(path)).filter(|content| done(content)),
            || format!("it holds:\n{}\n{}", self.read(path), self.console()),
        )
    }

    /// The supervisor and everybody who was born below it, wherever in the tree he may be by now.
    pub fn everybody(&self) -> Vec<ProcessId> {
        let mark = format!("{MARK}={}\0", self.directory().display());
        processes::with_environment(&mark)
    }

    /// Kills the stem and waits for another; nobody of the old one's tree lives beside the new one.
    pub fn kill_stem(&self) -> i32 {
        let before = self.tree();
        let old = self.wait_stem(None);
        processes::signal(old, nix::sys::signal::Signal::SIGKILL);
        let new = self.wait_stem(Some(old));
        let left: Vec<_> = before.iter().filter(|process| process.is_alive()).collect();
        assert!(left.is_empty(), "a new stem beside the old {left:?}");
        new
    }

    /// Waits for a stem, another one than this.
    pub fn wait_stem(&self, other_than: Option<i32>) -> i32 {
        wait_for("a stem", PATIENCE, || {
            self.stem_pid().filter(|pid| Some(*pid) != other_than)
        })
    }

    /// Waits until a process has no more descriptors of any kind than it had once. What it had may have
    /// held a passing one or two: a leak shows when something happens many times.
    pub fn wait_no_more_descriptors(&self, pid: i32, once: &BTreeMap<String, usize>) {
        wait_no_more("descriptors", once, || processes::descriptor_kinds(pid));
    }

    /// The same of memory files that it maps, which need no descriptor.
    pub fn wait_no_more_mappings(&self, pid: i32, once: &BTreeMap<String, usize>) {
        wait_no_more("mappings", once, || processes::mapping_kinds(pid));
    }

    /// Waits until every process that `status` shows has its pid file; they are written a little later.
    pub fn wait_pid_files(&self) {
        wait_for("all pid files", PATIENCE, || {
            let status = self.status();
            let mut nodes = status["nodes"].as_array().unwrap().iter();
            let written = nodes.all(|node| {
                let path = format!("{}/pid", node["name"].as_str().unwrap());
                self.read(&path).trim().parse().ok() == node["pid"].as_i64()
            });
            written.then_some(())
        });
    }

    /// Every file in the run directory.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        walk(&self.run_dir).into_iter().collect()
    }

    /// The crash reports of a node, oldest first.
    pub fn crash_reports(&self, node: &str) -> Vec<Value> {
        let home = self.run_dir.join("crash").join(node);
        let mut reports: Vec<PathBuf> = walk(&home)
            .into_iter()
            .filter(|path| path.ends_with("report.json"))
            // One that is still being written stands in a hidden directory.
            .filter(|path| {
                !path
                    .strip_prefix(&home)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with('.')
            })
            .collect();
        reports.sort();
        let read = |path: &PathBuf| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        reports.iter().map(read).collect()
    }

    /// Stops it in order, and finds nobody left, and nothing in the run directory that belongs to a
    /// running supervisor only.
    pub fn stop_and_expect_nobody_left(mut self) {
        let tree = self.tree();
        self.signal(nix::sys::signal::Signal::SIGTERM);
        let status = self.wait_end();
        assert_eq!(status.code(), Some(0), "{}", self.console());
        processes::expect_gone(&tree, Duration::from_secs(5));
        self.expect_tidy();
    }

    /// Nothing is left in the run directory that only a running supervisor has.
    pub fn expect_tidy(&self) {
        for entry in walk(&self.run_dir) {
            let name = entry.file_name().unwrap().to_str().unwrap().to_owned();
            let leftover = name.ends_with(".sock")
                || name == "pid"
                || name == "supervisor.pid"
                || name.ends_with(".new")
                || name.ends_with(".tmp");
            assert!(
                !leftover,
                "{} was left behind\n{}",
                entry.display(),
                self.console()
            );
        }
    }
}

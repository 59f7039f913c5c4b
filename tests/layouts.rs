//! Every file of `layouts/` is loaded, with a machine made up for the purpose, and starts what its
//! comments say in the order they say. A new file there needs a line here.

#![cfg(test)]

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster::fabric::{Policy, Transport};
use cluster::layout::host::Host;
use cluster::layout::inputs::fits;
use cluster::layout::spec::{Identity, Program, Ready, RestartPolicy, Role};
use cluster::layout::{Layout, Overrides, read};
use cluster::names::NodeName;

struct Machine;

impl Host for Machine {
    fn hostname(&self) -> String {
        "alpha".to_owned()
    }
    fn addresses(&self) -> Vec<IpAddr> {
        vec![IpAddr::from([127, 0, 0, 1])]
    }
    fn processors(&self) -> Vec<u32> {
        vec![0, 1]
    }
    fn descriptors_max(&self) -> u64 {
        1024
    }
    fn effective_uid(&self) -> u32 {
        1000
    }
    fn identity(&self, user: &str, _group: Option<&str>) -> Result<Identity, String> {
        Err(format!("there is no user \"{user}\""))
    }
    fn group(&self, name: &str) -> Result<u32, String> {
        Err(format!("there is no group \"{name}\""))
    }
    fn program(&self, word: &str) -> Result<(), String> {
        match word {
            "sleep" | "sh" | "true" => Ok(()),
            other => Err(format!("{other} is not on every machine")),
        }
    }
    fn exists(&self, _path: &Path) -> bool {
        true
    }
    fn variable(&self, _name: &str) -> Option<String> {
        None
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("layouts")
}

fn load(file: &str) -> Layout {
    let path = folder().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let overrides = Overrides {
        default_run_dir: PathBuf::from("/work/run"),
        ..Overrides::default()
    };
    let (layout, findings) = read(&text, &path, &overrides, &Machine).unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
    layout
}

/// The stages in start order, each with its children.
fn order(layout: &Layout) -> Vec<String> {
    layout
        .stages
        .iter()
        .map(|stage| {
            let children = layout.children.iter().filter(|c| c.stage == stage.number);
            let names: Vec<&str> = children.map(|c| c.name.as_str()).collect();
            format!("{}: {}", stage.name, names.join(" "))
        })
        .collect()
}

#[test]
fn every_file_of_layouts_has_a_test_here() {
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "sample")
        .collect();
    files.sort();
    let expected = [
        "collect.ron",
        "commands.ron",
        "minimal.ron",
        "site.ron",
        "streams.ron",
    ];
    assert_eq!(files, expected);
}

#[test]
fn collect_follows_the_sample_with_four_workers_and_two_loggers() {
    let layout = load("collect.ron");
    assert_eq!(
        order(&layout),
        [
            "controller: controller-alpha",
            "loggers: logger-1 logger-2",
            "manager: manager",
            "workers: worker-1 worker-2 worker-3 worker-4"
        ]
    );
    let inputs = layout
        .children
        .iter()
        .filter_map(|child| child.inputs.as_ref());
    let inputs: Vec<_> = inputs.collect();
    let sample = folder().join("sample");
    for entry in std::fs::read_dir(&sample).unwrap() {
        let path = entry.unwrap().path();
        let own = inputs.iter().filter(|inputs| inputs.is_own(&path));
        assert_eq!(own.count(), 1, "{}", path.display());
        let name = path.file_name().unwrap().as_encoded_bytes();
        let is_followed = inputs[0].all.iter().any(|input| {
            let pattern = input.from.path();
            let wanted = pattern.file_name().unwrap().as_encoded_bytes();
            pattern.parent() == Some(&sample) && fits(wanted, name)
        });
        assert!(is_followed, "{}", path.display());
    }
}

#[test]
fn minimal_is_a_manager_a_worker_and_the_controller() {
    let layout = load("minimal.ron");
    assert_eq!(
        order(&layout),
        [
            "controller: controller-alpha",
            "manager: manager",
            "workers: worker"
        ]
    );
    let controller = layout.children.first().unwrap();
    assert_eq!(
        controller.env,
        [("ZEEK_MANAGEMENT_NODE".to_owned(), "CONTROLLER".to_owned())]
    );
    assert_eq!(layout.nodes.len(), 2);
}

#[test]
fn streams_drop_the_oldest_where_only_the_newest_count() {
    let layout = load("streams.ron");
    let fabric = &layout.settings.fabric;
    assert_eq!(fabric.transport, Transport::Unix);
    let end = |name: &str, role| (NodeName::parse(name).unwrap(), role);
    let worker = end("worker-1", Role::Worker);
    let logger = end("logger", Role::Logger);
    let manager = end("manager", Role::Manager);
    for (topic, to, policy) in [
        ("measured/x", &manager, Some(Policy::DropOldest)),
        (
            "measured/x",
            &logger,
            Some(Policy::Block(Duration::from_millis(200))),
        ),
        ("story/x", &manager, Some(Policy::Disconnect)),
        ("story/x", &logger, None),
    ] {
        let found = fabric.policy(topic.as_bytes(), (&worker.0, worker.1), (&to.0, to.1));
        assert_eq!(found, policy, "{topic} to {}", to.0);
    }
}

#[test]
fn site_starts_in_the_order_of_the_roles() {
    let layout = load("site.ron");
    assert_eq!(
        order(&layout),
        [
            "controller: controller-alpha",
            "loggers: logger-1 logger-2",
            "manager: manager",
            "proxies: proxy",
            "workers: worker-1 worker-2 worker-3 worker-4",
            "commands: idle",
        ]
    );
    let worker = layout
        .children
        .iter()
        .find(|c| c.name.as_str() == "worker-3");
    let worker = worker.unwrap();
    assert_eq!(
        worker.env,
        [
            ("WORKER_NUMBER".to_owned(), "3 of 4".to_owned()),
            ("CLUSTER_NODE".to_owned(), "worker-3".to_owned())
        ]
    );
    assert_eq!(worker.home, Path::new("/work/run/worker-3"));
    assert_eq!(
        worker.stdout_file(),
        Path::new("/work/run/worker-3/stdout.log")
    );
    assert_eq!(worker.ready, Ready::Notify);
    assert!(!layout.nodes.contains_key("idle"));
}

#[test]
fn commands_has_no_controller_and_waits_for_what_comes_first() {
    let layout = load("commands.ron");
    assert_eq!(
        order(&layout),
        ["commands: once pair-1 pair-2 service", "commands+1: client"]
    );
    assert!(layout.nodes.is_empty());
    let pair = layout.children.iter().find(|c| c.name.as_str() == "pair-2");
    let pair = pair.unwrap();
    let Program::Command(words) = &pair.program else {
        panic!("a pair is a command");
    };
    assert_eq!(words[2], "echo >&${NOTIFY_FD}; exec sleep infinity");
    assert_eq!(pair.env, [("NUMBER".to_owned(), "2".to_owned())]);
    let once = layout.children.first().unwrap();
    assert_eq!(once.life.restart, RestartPolicy::Finish);
}

//! What becomes of log files once they are closed, and what a cluster logs of itself: as an operator sees it.

#![cfg(test)]

mod common;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use common::{Cluster, PATIENCE, Start, layouts, wait_or_tell};
use nix::sys::signal::Signal;

/// A cluster of a manager, a worker and these loggers, which says this of logs.
fn layout(loggers: &[&str], logging: &str) -> String {
    let at_once = layouts::AT_ONCE;
    let logger = format!("node_type: Logger, {at_once}");
    let worker = format!("node_type: Worker, manager: \"manager\", {at_once}");
    let mut nodes = vec![
        ("manager", "node_type: Manager"),
        ("worker", worker.as_str()),
    ];
    nodes.extend(loggers.iter().map(|name| (*name, logger.as_str())));
    let head = format!("{}, logging: ({logging})", layouts::NO_CONTROLLER);
    layouts::layout(&head, &nodes)
}

fn start(loggers: &[&str], logging: &str) -> Cluster {
    Start::with(&layout(loggers, logging)).start_ready()
}

fn deploy(cluster: &Cluster, layout: &str) {
    cluster.write_layout(layout);
    cluster.ok(&["deploy", cluster.layout_path().to_str().unwrap()]);
}

/// Waits, and shows what the nodes said if it does not come.
fn wait<T>(cluster: &Cluster, what: &str, done: impl FnMut() -> Option<T>) -> T {
    wait_or_tell(what, PATIENCE, done, || {
        format!(
            "{}\n{}\n{:?}",
            cluster.console(),
            cluster.read("logger/stdout.log"),
            common::walk(&logs(cluster, "logger"))
        )
    })
}

fn logs(cluster: &Cluster, logger: &str) -> PathBuf {
    cluster.run_dir().join("logs").join(logger)
}

/// The records of a log in JSON, as far as they are whole.
fn records(cluster: &Cluster, logger: &str, log: &str) -> Vec<Value> {
    let path = logs(cluster, logger).join(format!("{log}.log"));
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The names of a node's threads.
fn threads(cluster: &Cluster, node: &str) -> Vec<String> {
    let pid = cluster.node_pid(node).unwrap();
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")));
    names
        .filter_map(|name| Some(name.ok()?.trim_end().to_owned()))
        .collect()
}

/// Shows: nobody looks at nodes as long as the layout does not want it; once it does there is a record of
/// each node and interval, right as far as this test can tell, and again none when it wants it no more.
#[test]
fn nodes_are_looked_at_for_as_long_as_the_layout_wants() {
    let looks = |cluster: &Cluster| threads(cluster, "manager").contains(&"node-stats".to_owned());
    let cluster = start(&["logger"], "format: Json");
    assert!(!looks(&cluster));
    deploy(
        &cluster,
        &layout(&["logger"], r#"format: Json, node_stats: "100ms""#),
    );
    let of = |node: &str, wanted: &dyn Fn(&Value) -> bool| {
        let what = format!("a record of {node}");
        wait(&cluster, &what, || {
            let records = records(&cluster, "logger", "node_stats");
            records
                .into_iter()
                .rev()
                .find(|record| record["node"] == node && wanted(record))
        })
    };
    for node in ["manager", "worker", "logger"] {
        let record = of(node, &|record| record.get("cpu").is_some());
        assert_eq!(record["pid"], cluster.node_pid(node).unwrap(), "{record}");
        assert!(record["rss"].as_u64().unwrap() > 100_000, "{record}");
        assert!(record["descriptors"].as_u64().unwrap() > 3, "{record}");
        assert_eq!(record["restarts"], 0, "{record}");
    }
    // Its own records get to the logger by a ring.
    of("manager", &|record| {
        record["published"].as_f64() > Some(0.0)
    });
    of("logger", &|record| record["delivered"].as_f64() > Some(0.0));
    let pid = cluster.node_pid("worker").unwrap();
    common::processes::signal(pid, Signal::SIGKILL);
    let record = of("worker", &|record| {
        record["restarts"] == 1 && record.get("pid").is_some()
    });
    assert_ne!(record["pid"], pid);
    deploy(&cluster, &layout(&["logger"], "format: Json"));
    wait(&cluster, "nobody looks any more", || {
        (!looks(&cluster)).then_some(())
    });
}

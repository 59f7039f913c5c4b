//! The example of a cluster of one's own, run as its first lines say.

#![cfg(test)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Cluster, PATIENCE, Start, layouts, wait_or_tell};

/// Where cargo puts the examples of this package when it builds its tests.
fn examples() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let examples = test.parent().unwrap().parent().unwrap().join("examples");
    let program = examples.join("weather");
    assert!(
        program.exists(),
        "build the examples first: cargo build -p supervisor --examples"
    );
    examples
}

fn layout() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/weather.ron");
    std::fs::read_to_string(path).unwrap()
}

/// What both archives hold: how often each station was summed up, and all means.
fn archived(cluster: &Cluster) -> BTreeMap<String, Vec<String>> {
    let mut stations: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for archive in ["archive-1", "archive-2"] {
        let text = cluster.read(&format!("{archive}/archive"));
        for line in text
            .split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'))
        {
            let (station, mean) = line.split_once(' ').unwrap();
            let means = stations.entry(station.to_owned()).or_default();
            means.push(mean.to_owned());
        }
    }
    stations
}

/// Shows: programs that link the library take their seats by the environment, find one another, and
/// share the work; the readings of a station meet in one aggregator, and go on after a death.
#[test]
fn three_roles_of_ones_own_work_together() {
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", examples().display());
    let cluster = Start::with(&layout()).env("PATH", &path).start_ready();
    cluster.wait_said(&["manager"], "cluster_started");
    let has = |count: usize| {
        wait_or_tell(
            &format!("{count} summaries of each sensor"),
            PATIENCE,
            || {
                let found = archived(&cluster);
                let all = (1..=3).all(|sensor| {
                    let means = found.get(&format!("sensor-{sensor}"));
                    means.is_some_and(|means| means.len() >= count)
                });
                all.then_some(found)
            },
            || format!("{:?}\n{}", archived(&cluster), cluster.console()),
        )
    };
    // Readings repeat every ten, and a summary is of five: two means, if all of them meet.
    for means in has(2).values() {
        assert!(
            means.iter().all(|mean| mean == "22" || mean == "27"),
            "{means:?}"
        );
    }
    let both =
        ["archive-1", "archive-2"].map(|archive| cluster.read(&format!("{archive}/archive")));
    assert!(
        both.iter().all(|text| !text.is_empty()),
        "turns are taken: {both:?}"
    );
    cluster.replace("aggregator-1");
    let before = archived(&cluster).values().map(Vec::len).max().unwrap();
    has(before + 1);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a program that is to be a node ends with an error that names it, where nobody gave it a seat, and
/// where it has another node's.
#[test]
fn a_program_that_is_not_whom_it_is_to_be_ends() {
    let mut alone = Command::new(examples().join("weather"));
    let alone = alone.arg("sensor").env_remove("CLUSTER_SEAT");
    for (name, said) in [
        (
            "stranger",
            "weather: this program is to be \"stranger\", and has no seat; let the supervisor start it, or check CLUSTER_NODE\n",
        ),
        (
            "no node",
            "weather: this program is to be \"no node\"; check CLUSTER_NODE: ",
        ),
        ("", "weather: this program has no seat in the cluster: "),
    ] {
        let output = alone.env("CLUSTER_NODE", name).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(err.starts_with(said), "{err}");
    }
    let program = examples().join("weather");
    let other = format!(
        r#"node_type: Worker, command: ["env", "CLUSTER_NODE=stranger", {program:?}, "sensor"], restart: (policy: Never)"#
    );
    let layout = layouts::nodes(&[("manager", "node_type: Manager"), ("sensor-1", &other)]);
    let cluster = Start::with(&layout).start();
    let said = "weather: this program is to be \"stranger\", and has the seat of \"sensor-1\"; check CLUSTER_NODE\n";
    cluster.wait_node("sensor-1", "given up", |node| node["state"] == "failed");
    assert_eq!(cluster.node("sensor-1")["last_exit"]["code"], 1);
    assert_eq!(cluster.read("sensor-1/stderr.log"), said);
    cluster.stop_and_expect_nobody_left();
}

//! Who sees whom come and go, over every death, and when the cluster has started.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test owns its clock")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use cluster::framework::{BackendError, PeerError};
use cluster::names::NodeName;
use cluster::node::Cluster as Member;
use cluster::node::cluster::{ClusterError, Handler};
use cluster::node::endpoint::Outbox;
use common::{Cluster, PATIENCE, Start, layouts, number_of, processes, wait_for};
use nix::sys::signal::Signal;
use serde_json::Value;

const NODES: [&str; 8] = [
    "logger-1", "logger-2", "manager", "proxy", "worker-1", "worker-2", "worker-3", "worker-4",
];

/// The layout that comes with the program, with quick restarts and without an end to them.
fn site() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../layouts/site.ron");
    let text = std::fs::read_to_string(path).unwrap();
    let mended = text
        .replace(r#"floor: "250ms""#, r#"floor: "10ms""#)
        .replace(r#"ceiling: "30s""#, r#"ceiling: "10ms""#)
        .replace(
            r#"give_up: (deaths: 10, within: "60s")"#,
            r#"give_up: "off""#,
        );
    assert_ne!(text, mended);
    mended
}

fn start() -> Cluster {
    let cluster = Start::with(&site()).start_ready();
    cluster.wait_views(&NODES);
    cluster
}

/// Kills a node; waits until all others have seen its loss and its successor.
fn kill(cluster: &Cluster, name: &str, signal: Signal) {
    let life = cluster.life(name);
    let old = life.id().unwrap();
    processes::signal(life.pid, signal);
    let new = wait_for("its successor", PATIENCE, || {
        let id = cluster.life(name).id().map(str::to_owned);
        id.filter(|id| id != old)
    });
    cluster.wait_views(&NODES);
    for other in NODES.iter().filter(|other| **other != name) {
        let history = cluster.life(other).history(name);
        let expected = [format!("+{old}"), format!("-{old}"), format!("+{new}")];
        assert!(
            history.ends_with(&expected),
            "{other} saw of {name}: {history:?}"
        );
    }
}

/// Shows: of N nodes on a host each sees all others come, once, as the process that they are, and
/// nobody sees itself.
#[test]
fn every_node_sees_every_other_come_once() {
    let cluster = start();
    let mut arrivals = 0;
    for node in NODES {
        let life = cluster.life(node);
        assert_eq!(life.count("node_down"), 0, "{node}");
        assert_eq!(life.history(node), [] as [&str; 0]);
        arrivals += life.count("node_up");
    }
    assert_eq!(arrivals, NODES.len() * (NODES.len() - 1));
    cluster.stop_and_expect_nobody_left();
}

/// Shows: four roles from one layout come to "cluster started", each says so once, and all end in order
/// (A16).
#[test]
fn a_cluster_of_all_roles_starts_and_ends() {
    let cluster = start();
    cluster.wait_said(&NODES, "cluster_started");
    cluster.wait_said(&NODES, "fully_connected");
    processes::signal(cluster.pid(), Signal::SIGTERM);
    let mut cluster = cluster;
    assert_eq!(cluster.wait_end().code(), Some(0), "{}", cluster.console());
    for node in NODES {
        let life = cluster.life(node);
        for event in ["fully_connected", "cluster_started", "ready", "down"] {
            assert_eq!(life.count(event), 1, "{node} said {event}: {life:?}");
        }
    }
}

/// Shows: a node that ends itself twice comes three times, and its losses lie between (A6).
#[test]
fn a_node_that_ends_twice_comes_three_times() {
    let cluster = start();
    for _ in 0..2 {
        kill(&cluster, "worker-1", Signal::SIGTERM);
    }
    let ids: Vec<String> = cluster
        .lives("worker-1")
        .iter()
        .map(|life| life.id().unwrap().to_owned())
        .collect();
    let [one, two, three] = &ids[..] else {
        panic!("three lives: {ids:?}");
    };
    let expected = [
        format!("+{one}"),
        format!("-{one}"),
        format!("+{two}"),
        format!("-{two}"),
        format!("+{three}"),
    ];
    assert_eq!(cluster.life("manager").history("worker-1"), expected);
    cluster.stop_and_expect_nobody_left();
}

/// Reports that reached the manager's topic.
#[derive(Default)]
struct Reports(BTreeSet<String>);

impl Handler for Reports {
    fn node_fully_connected(
        &mut self,
        _: &mut Member,
        report: &cluster::framework::FullyConnected,
    ) {
        if report.resending {
            self.0.insert(report.name.to_string());
        }
    }
}

/// Shows: who is restarted, the manager too, does not start the cluster a second time (A22).
#[test]
fn a_cluster_starts_once_whoever_is_restarted() {
    let cluster = start();
    cluster.wait_said(&NODES, "cluster_started");
    kill(&cluster, "worker-1", Signal::SIGKILL);
    kill(&cluster, "worker-1", Signal::SIGKILL);
    let mut witness = Member::attach(&cluster.attach_socket(), None).unwrap();
    let topic = witness.topics().manager.clone();
    witness.subscribe(&topic).unwrap();
    witness.init().unwrap();
    kill(&cluster, "manager", Signal::SIGKILL);
    // All who were there at the start tell the new manager that it is over.
    let mut reports = Reports::default();
    let until = Instant::now() + PATIENCE;
    while reports.0.len() < NODES.len() - 2 {
        assert!(Instant::now() < until, "only {:?} told it", reports.0);
        witness.turn(&mut reports, Some(until)).unwrap();
    }
    cluster.wait_said(&["manager"], "fully_connected");
    // An order that the manager carries out after what it was told.
    kill(&cluster, "worker-2", Signal::SIGKILL);
    for node in NODES {
        for (number, life) in cluster.lives(node).iter().enumerate() {
            let expected = usize::from(number == 0);
            assert_eq!(
                life.count("cluster_started"),
                expected,
                "{node}, life {number}"
            );
        }
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a loss is known everywhere within a second.
#[test]
fn a_killed_worker_is_missed_within_a_second() {
    let cluster = start();
    let pid = cluster.node_pid("worker-3").unwrap();
    let others = NODES.iter().filter(|node| **node != "worker-3");
    let killed = Instant::now();
    processes::signal(pid, Signal::SIGKILL);
    for other in others {
        wait_for(other, PATIENCE, || {
            let history = cluster.life(other).history("worker-3");
            history
                .iter()
                .any(|line| line.starts_with('-'))
                .then_some(())
        });
    }
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(1), "after {took:?}");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: whoever is killed, all others see exactly that loss and that arrival. `KILLS` sets
/// how many are killed, and lets manager and loggers be among them.
#[test]
fn every_kill_is_seen_by_everybody_once() {
    let kills = number_of("KILLS");
    let victims = match kills {
        Some(_) => &NODES[..],
        None => &NODES[3..],
    };
    let cluster = start();
    let count = usize::try_from(kills.unwrap_or(20)).unwrap();
    for name in victims.iter().cycle().take(count) {
        kill(&cluster, name, Signal::SIGKILL);
    }
    let mut deaths = 0;
    for node in NODES {
        let lives = cluster.lives(node);
        deaths += lives.len() - 1;
        for life in &lives {
            life.view();
            assert_eq!(life.history(node), [] as [&str; 0], "{node} saw itself");
        }
    }
    assert_eq!(deaths, count);
    expect_no_errors(&cluster, &NODES);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: bytes that are no message are told of by the node that they reach, which goes on.
#[test]
fn what_cannot_be_read_is_told_of_and_the_node_goes_on() {
    let cluster = start();
    let mut tester = Member::attach(&cluster.attach_socket(), None).unwrap();
    tester.init().unwrap();
    let topic = tester.node_topic("worker-1");
    let outbox: &mut Outbox = tester.as_mut();
    assert!(outbox.publish(topic.as_bytes(), b"\xff\xff"));
    cluster.wait_said(&["worker-1"], "backend_error");
    let said = cluster.read("worker-1/stdout.log");
    let line = said.lines().find(|line| line.contains("backend_error"));
    let told = "local_error: what came on \\\"zeek/cluster/node/worker-1/\\\" cannot be read: ";
    assert!(line.unwrap().contains(told), "{said}");
    kill(&cluster, "worker-2", Signal::SIGKILL);
    let lives = cluster.lives("worker-1");
    assert_eq!((lives.len(), lives[0].count("backend_error")), (1, 1));
    for other in NODES.iter().filter(|node| **node != "worker-1") {
        expect_no_errors(&cluster, &[other]);
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a second process of a node's name is refused, and nobody notices it.
#[test]
fn a_second_process_of_a_name_is_refused_and_the_cluster_goes_on() {
    let cluster = start();
    let name = NodeName::parse("worker-1").unwrap();
    let refused = Member::attach(&cluster.attach_socket(), Some(name));
    let error = refused.unwrap_err();
    assert!(matches!(error, ClusterError::Seat(_)), "{error:?}");
    kill(&cluster, "worker-1", Signal::SIGKILL);
    for node in NODES {
        assert_eq!(cluster.life(node).count("membership_error"), 0);
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a node that is made at run time is a node of the cluster, and one that is destroyed is none.
#[test]
fn a_node_that_is_made_at_run_time_is_seen_and_sees() {
    let cluster = start();
    let file = cluster.directory().join("more.ron");
    let more = r#"{ "worker-9": (node_type: Worker, manager: "manager") }"#;
    std::fs::write(&file, more).unwrap();
    cluster.ok(&["create", "--file", file.to_str().unwrap()]);
    let mut nodes = NODES.to_vec();
    nodes.push("worker-9");
    cluster.wait_views(&nodes);
    cluster.ok(&["destroy", "worker-9"]);
    cluster.wait_views(&NODES);
    cluster.stop_and_expect_nobody_left();
}

/// What a node wants, as everybody can see.
fn filter_of(cluster: &Cluster, name: &str) -> Vec<String> {
    let peers: Value = serde_json::from_str(&cluster.ok(&["peers", "--json"])).unwrap();
    let mut all = peers["peers"].as_array().unwrap().iter();
    let peer = all.find(|peer| peer["name"] == name).unwrap();
    serde_json::from_value(peer["filter"].clone()).unwrap()
}

/// Shows: built-in roles call topics as the layout does, and come to "cluster started" by them; another
/// layout's names hold without a restart.
#[test]
fn topics_are_called_as_the_layout_says() {
    let named = |topics: &str| site().replacen("nodes: {", &format!("{topics}, nodes: {{"), 1);
    let layout = named(
        r#"topics: (scheme: Dot, started: "site/started"), worker_topic: "site/worker",
        pools: {"half": (node_type: Worker, max_nodes: 2, topic: "site/half")}"#,
    );
    let cluster = Start::with(&layout).start_ready();
    cluster.wait_views(&NODES);
    cluster.wait_said(&NODES, "cluster_started");
    let has = |node: &str, topic: &str| filter_of(&cluster, node).contains(&topic.to_owned());
    for (node, topic) in [
        ("worker-1", "site/worker"),
        ("worker-1", "zeek.cluster.node.worker-1."),
        ("worker-1", "zeek.cluster.pool.worker"),
        ("worker-2", "site/half"),
        ("manager", "zeek.cluster.manager"),
        ("logger-2", "site/started"),
    ] {
        assert!(has(node, topic), "{node}: {:?}", filter_of(&cluster, node));
    }
    assert!(!has("worker-3", "site/half"));

    cluster.write_layout(&named(r#"topics: (proxy: "site/proxies")"#));
    cluster.signal(Signal::SIGHUP);
    for (node, topic) in [
        ("worker-1", "zeek/cluster/worker"),
        ("proxy", "site/proxies"),
    ] {
        wait_for(topic, PATIENCE, || has(node, topic).then_some(()));
    }
    assert!(!has("worker-1", "site/worker") && !has("worker-2", "site/half"));
    for node in NODES {
        assert_eq!(cluster.lives(node).len(), 1, "{node}");
    }
    cluster.stop_and_expect_nobody_left();
}

/// Sees who is up.
#[derive(Default)]
struct Witness {
    up: BTreeSet<String>,
    downs: usize,
    errors: Vec<BackendError>,
    faults: Vec<PeerError>,
}

impl Handler for Witness {
    fn node_up(&mut self, member: &mut Member, name: &NodeName, id: &cluster::framework::NodeId) {
        let known = member.nodeid_to_node(id).map(|(name, _)| name.clone());
        assert_eq!(known.as_ref(), Some(name), "recorded before it is told");
        self.up.insert(name.to_string());
    }

    fn node_down(&mut self, member: &mut Member, name: &NodeName, id: &cluster::framework::NodeId) {
        assert_eq!(member.nodeid_to_node(id), None);
        assert!(self.up.remove(name.as_str()));
        self.downs += 1;
    }

    fn backend_error(&mut self, _: &mut Member, error: &BackendError) {
        self.errors.push(error.clone());
    }

    fn error(&mut self, _: &mut Member, error: &PeerError) {
        self.faults.push(error.clone());
    }
}

/// No node had anything to say against another one.
fn expect_no_errors(cluster: &Cluster, nodes: &[&str]) {
    for node in nodes {
        for life in cluster.lives(node) {
            for error in ["membership_error", "event_error", "backend_error"] {
                assert_eq!(life.count(error), 0, "{node}: {life:?}");
            }
        }
    }
}

/// Shows: a node that joins by a new layout is seen by all who were there before, and one that leaves
/// it is missed, once and without a word of error.
#[test]
fn a_node_of_a_new_layout_is_seen_by_those_who_were_there() {
    let cluster = start();
    let mut witness = Member::attach(&cluster.attach_socket(), None).unwrap();
    let mut seen = Witness::default();
    witness.init().unwrap();
    let mut wait = |what: &str, done: &dyn Fn(&Witness) -> bool| {
        let until = Instant::now() + PATIENCE;
        while !done(&seen) {
            assert!(Instant::now() < until, "{what}: {:?}", seen.up);
            witness.turn(&mut seen, Some(until)).unwrap();
        }
    };
    wait("all come", &|seen| seen.up.len() == NODES.len());
    let more = site().replace("count: 4", "count: 5");
    cluster.write_layout(&more);
    cluster.signal(Signal::SIGHUP);
    wait("worker-5 comes", &|seen| seen.up.contains("worker-5"));
    let mut nodes = NODES.to_vec();
    nodes.push("worker-5");
    cluster.wait_views(&nodes);
    cluster.write_layout(&site());
    cluster.signal(Signal::SIGHUP);
    wait("worker-5 leaves", &|seen| seen.downs == 1);
    cluster.wait_views(&NODES);
    // An order that everybody carries out after the new layout.
    kill(&cluster, "worker-1", Signal::SIGKILL);
    wait("worker-1 is missed", &|seen| seen.downs == 2);
    assert_eq!(seen.errors, []);
    assert_eq!(seen.faults, []);
    expect_no_errors(&cluster, &NODES);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a node that the layout gives up before it has come is waited for no longer: the cluster
/// starts without it.
#[test]
fn a_cluster_starts_without_a_node_that_was_given_up() {
    // It has a seat, and never takes it.
    let mute = layouts::entry(&["node_type: Worker", layouts::IDLE]);
    let all = [
        ("manager", "node_type: Manager"),
        ("worker-1", "node_type: Worker"),
        ("worker-2", mute.as_str()),
    ];
    let nodes = ["manager", "worker-1"];
    let cluster = Start::with(&layouts::nodes(&all)).start_ready();
    cluster.wait_views(&nodes);
    for node in nodes {
        assert_eq!(cluster.life(node).count("fully_connected"), 0, "{node}");
    }
    cluster.write_layout(&layouts::nodes(&all[..2]));
    cluster.signal(Signal::SIGHUP);
    cluster.wait_said(&nodes, "cluster_started");
    for node in nodes {
        assert_eq!(cluster.life(node).count("fully_connected"), 1, "{node}");
    }
    expect_no_errors(&cluster, &nodes);
    cluster.stop_and_expect_nobody_left();
}

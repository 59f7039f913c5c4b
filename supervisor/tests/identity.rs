//! Who a node is, in its own process: its topics in every scheme, its type, and what it counts.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test owns its clock")]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use cluster::data::message::Event;
use cluster::framework::{TopicScheme, Topics};
use cluster::layout::spec::Role;
use cluster::names::NodeName;
use cluster::node::Cluster as Member;
use cluster::node::cluster::Accepted;
use common::scripted::{ASK, PING, RR, am_i_a_node, node};
use common::{Cluster, PATIENCE, Start, layouts};

/// A cluster whose nodes all see one another, and a program that sees them all.
fn start(nodes: &[(&str, &str)], topics: Topics) -> (Cluster, Member) {
    let cluster = Start::with(&layouts::nodes(nodes)).start_ready();
    for (name, _) in nodes {
        cluster.printed(name, "up=", nodes.len() - 1);
    }
    let mut tester = Member::attach(&cluster.attach_socket(), None).unwrap();
    tester.use_topics(topics).unwrap();
    tester.init().unwrap();
    let until = Instant::now() + PATIENCE;
    while tester.membership().connected().count() < nodes.len() {
        tester.turn(&mut (), Some(until)).unwrap();
        assert!(Instant::now() < until);
    }
    (cluster, tester)
}

fn ping(text: &str) -> Event {
    PING.event(vec![text.into()]).unwrap()
}

fn tell(tester: &mut Member, name: &str, event: &Event) {
    let topic = tester.node_topic(name);
    assert_eq!(tester.publish(&topic, event), Ok(Accepted::ByAll));
}

/// Shows: in the scheme with dots, too, what is for one node, one process, one type or one of a pool
/// reaches exactly those.
#[test]
fn a_topic_with_dots_reaches_whom_it_names() {
    if am_i_a_node() {
        return;
    }
    let entry = |role| node(role, "a_topic_with_dots_reaches_whom_it_names", "dot");
    let (logger, manager, worker) = (entry("Logger"), entry("Manager"), entry("Worker"));
    let nodes = [
        ("logger-1", logger.as_str()),
        ("manager", &manager),
        ("worker-1", &worker),
        ("worker-10", &worker),
    ];
    let (cluster, mut tester) = start(&nodes, Topics::of(TopicScheme::Dot));
    tell(&mut tester, "worker-1", &ping("to-node"));
    let name = NodeName::parse("worker-1").unwrap();
    let id = tester.membership().id_of(&name).unwrap().clone();
    let to_process = tester.nodeid_topic(&id);
    tester.publish(&to_process, &ping("to-process")).unwrap();
    let args = vec!["worker".into(), "key".into(), 2_u64.into()];
    tell(&mut tester, "manager", &RR.event(args).unwrap());
    cluster.printed("manager", "rr=1 sent=true", 1);
    for topic in tester.broadcast_topics().map(str::to_owned) {
        tester.publish(&topic, &ping("to-all")).unwrap();
    }
    let of = |name: &str, count: usize| {
        let mut lines = cluster.printed(name, "ping=", count);
        lines.sort();
        let cut = |line: &str| line.replace(" time=-1", "").replace(id.as_str(), "ID");
        lines.iter().map(|line| cut(line)).collect::<Vec<_>>()
    };
    let expected = [
        "0 topic=zeek.cluster.node.worker-1.",
        "to-all topic=zeek.cluster.worker",
        "to-node topic=zeek.cluster.node.worker-1.",
        "to-process topic=zeek.cluster.nodeid.ID.",
    ];
    assert_eq!(of("worker-1", 4), expected);
    let expected = [
        "1 topic=zeek.cluster.node.worker-10.",
        "to-all topic=zeek.cluster.worker",
    ];
    assert_eq!(of("worker-10", 2), expected);
    assert_eq!(of("logger-1", 1), ["to-all topic=zeek.cluster.logger"]);
    assert_eq!(of("manager", 1), ["to-all topic=zeek.cluster.manager"]);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: what a node is told of itself and of the others: counts with and without a dead node, never
/// itself; its type and its port, if it has one. Who is attached is no node.
#[test]
fn a_node_knows_itself_and_counts_the_others() {
    if am_i_a_node() {
        return;
    }
    let entry = |role| node(role, "a_node_knows_itself_and_counts_the_others", "plain");
    let (manager, worker) = (entry("Manager"), entry("Worker"));
    let with_port = layouts::entry(&[&worker, "metrics_port: 9911"]);
    let nodes = [
        ("manager", manager.as_str()),
        ("worker-1", &with_port),
        ("worker-2", &worker),
    ];
    let (cluster, mut tester) = start(&nodes, Topics::default());
    assert!(!tester.is_enabled());
    assert_eq!(tester.local_node_type(), Role::None);
    assert_eq!(tester.local_node_metrics_port(), None);
    assert_eq!(tester.get_node_count(Role::Worker), 2);
    let mut ask = |name: &str, count: usize| {
        tell(&mut tester, name, &ASK.event(vec![]).unwrap());
        cluster.printed(name, "ask ", count).pop().unwrap()
    };
    let nobody = "own=\"\"@0.0.0.0";
    assert_eq!(
        ask("manager", 1),
        format!("workers=2/2 enabled=true type=Manager port=None {nobody}")
    );
    assert_eq!(
        ask("worker-1", 1),
        format!("workers=1/2 enabled=true type=Worker port=Some(9911) {nobody}")
    );
    cluster.ok(&["stop", "worker-2"]);
    for name in ["manager", "worker-1"] {
        cluster.printed(name, "down=worker-2", 1);
    }
    assert!(ask("manager", 2).starts_with("workers=1/2 "));
    assert!(ask("worker-1", 2).starts_with("workers=0/2 "));
    cluster.stop_and_expect_nobody_left();
}

/// Shows: an event that a node has declared otherwise does not reach its handler and is told of, and the
/// node goes on.
#[test]
fn an_event_that_does_not_fit_is_dropped_and_told_of() {
    if am_i_a_node() {
        return;
    }
    let entry = node(
        "Worker",
        "an_event_that_does_not_fit_is_dropped_and_told_of",
        "plain",
    );
    let (cluster, mut tester) = start(&[("worker-1", &entry)], Topics::default());
    let topic = tester.node_topic("worker-1");
    let unfit = Event::new(PING.name(), Vec::new());
    tester.publish(&topic, &unfit).unwrap();
    tell(&mut tester, "worker-1", &ping("fits"));
    let told = format!(
        "dropped an event on \"{topic}\"; let all nodes declare it alike: \"Test::ping\" takes 1 arguments, and got 0"
    );
    cluster.printed("worker-1", "ping=fits ", 1);
    assert_eq!(cluster.printed("worker-1", "error=", 1), [told]);
    assert_eq!(cluster.printed("worker-1", "ping=", 0).len(), 1);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a CONTROL node wants its own two topics, and nothing else by itself.
#[test]
fn a_control_node_subscribes_its_own_topics_only() {
    if am_i_a_node() {
        return;
    }
    let test = "a_control_node_subscribes_its_own_topics_only";
    let (manager, steering) = (
        node("Manager", test, "plain"),
        node("Control", test, "plain"),
    );
    let nodes = [("manager", manager.as_str()), ("steering", &steering)];
    let (cluster, mut tester) = start(&nodes, Topics::default());
    tell(&mut tester, "steering", &ping("steer"));
    tester
        .publish("zeek/cluster/manager", &ping("rule"))
        .unwrap();
    cluster.printed("manager", "ping=rule ", 1);
    cluster.printed(
        "steering",
        "ping=steer topic=zeek/cluster/node/steering/",
        1,
    );
    let hooks = cluster.printed("steering", "hook=subscribe topic=", 0);
    // The script's own come first.
    let [early, again, id, own] = &hooks[..] else {
        panic!("{hooks:?}");
    };
    assert_eq!([early, again], ["early/", "early/"]);
    assert_eq!(own, "zeek/cluster/node/steering/");
    let id = id.strip_prefix("zeek/cluster/nodeid/").unwrap();
    assert_eq!(id.strip_suffix('/').map(str::len), Some(36), "{id}");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a program that attaches, and is to be a node that the layout does not have, ends with an error
/// that names it; who is started below a node of this layout, or is to be nobody, attaches.
#[test]
fn who_attaches_to_another_cluster_than_its_own_ends() {
    const ATTACH: &str = "TEST_ATTACH";
    if let Ok(path) = std::env::var(ATTACH) {
        if let Err(error) = Member::attach(Path::new(&path), None) {
            panic!("{}", cluster::causes::chain(&error));
        }
        return;
    }
    let cluster = Start::with(&layouts::nodes(&[("manager", "node_type: Manager")])).start_ready();
    let refused =
        "this node is to be \"stranger\", and the layout has no such node; check CLUSTER_NODE";
    for (name, code, said) in [("stranger", 101, refused), ("manager", 0, ""), ("", 0, "")] {
        let test = "who_attaches_to_another_cluster_than_its_own_ends";
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", test, "--nocapture"]);
        program.env(ATTACH, cluster.attach_socket());
        let output = program.env("CLUSTER_NODE", name).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{err}");
        assert!(err.contains(said), "{err}");
    }
    cluster.stop_and_expect_nobody_left();
}

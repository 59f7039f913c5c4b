//! The cluster framework over endpoints of one process, around a stem made by hand.

#![cfg(test)]

#[path = "endpoint/stem.rs"]
mod stem;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use cluster::data::Timestamp;
use cluster::data::message::{Event, Metadata};
use cluster::fabric::{FabricSpec, Slot};
use cluster::framework::{
    BackendError, FrameworkSpec, NodeId, PROXY_POOL, RosterError, TopicScheme, Topics, WORKER_POOL,
};
use cluster::layout::Node;
use cluster::layout::seats::SeatLayout;
use cluster::layout::spec::Role;
use cluster::names::{InstanceName, NodeName};
use cluster::node::Cluster;
use cluster::node::cluster::{ClusterError, Handler, OrReport, Received};
use cluster::node::endpoint::Endpoint;
use cluster::shm::board::State;
use cluster::sys::clock;
use stem::HandStem;

/// What must come comes within this time on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn layout(nodes: &[(&str, Role)]) -> String {
    layout_of(nodes, FrameworkSpec::default())
}

fn layout_of(nodes: &[(&str, Role)], framework: FrameworkSpec) -> String {
    let nodes: BTreeMap<NodeName, Node> = nodes
        .iter()
        .map(|(name, node_type)| {
            let node = Node {
                node_type: *node_type,
                ip: std::net::Ipv4Addr::LOCALHOST.into(),
                zone_id: String::new(),
                p: None,
                manager: None,
                metrics_port: None,
                instance: InstanceName::parse("here").unwrap(),
                interface: None,
                pcap_file: None,
            };
            (NodeName::parse(name).unwrap(), node)
        })
        .collect();
    let layout = SeatLayout {
        nodes: Cow::Owned(nodes),
        framework: Cow::Owned(framework),
    };
    String::from_utf8(layout.to_json().unwrap()).unwrap()
}

/// A stem with a manager and a worker.
fn pair() -> (HandStem, Slot, Slot) {
    let stem = HandStem::new(FabricSpec::default());
    stem.lay_out(&layout(&[
        ("manager", Role::Manager),
        ("worker-1", Role::Worker),
    ]));
    let manager = stem.add("manager", Role::Manager);
    let worker = stem.add("worker-1", Role::Worker);
    (stem, manager, worker)
}

fn sit(stem: &HandStem, slot: Slot) -> Cluster {
    Cluster::over(Endpoint::on(stem.seat(slot, false)).unwrap()).unwrap()
}

/// Writes down what happens, and answers an event with another one.
#[derive(Default)]
struct Diary {
    lines: Vec<String>,
    stamps: Vec<Option<Timestamp>>,
}

impl Handler for Diary {
    fn event(&mut self, cluster: &mut Cluster, event: &Received<'_>) {
        self.lines.push(event.name().to_owned());
        self.stamps.push(event.network_timestamp());
        if event.name() == "ask" {
            let answer = Event::new("answer", Vec::new());
            cluster.publish("answers", &answer).or_report();
        }
    }

    fn hello(&mut self, _: &mut Cluster, name: &NodeName, _: &NodeId) {
        self.lines.push(format!("hello {name}"));
    }

    fn node_up(&mut self, cluster: &mut Cluster, name: &NodeName, id: &NodeId) {
        let active = cluster.get_active_node_count(Role::Worker);
        let known = cluster.nodeid_to_node(id).is_some();
        self.lines
            .push(format!("up {name} active={active} known={known}"));
    }

    fn node_down(&mut self, cluster: &mut Cluster, name: &NodeName, _: &NodeId) {
        let active = cluster.get_active_node_count(Role::Worker);
        self.lines.push(format!("down {name} active={active}"));
    }

    fn cluster_started(&mut self, _: &mut Cluster) {
        self.lines.push("started".to_owned());
    }

    fn backend_error(&mut self, _: &mut Cluster, error: &BackendError) {
        self.lines.push(format!("trouble {}", error.tag));
    }
}

/// Gives turns until the diary ends with this line.
fn until_last(cluster: &mut Cluster, diary: &mut Diary, last: &str) {
    let until = clock::monotonic() + PATIENCE;
    while diary.lines.last().is_none_or(|line| line != last) {
        cluster.turn(diary, Some(until)).unwrap();
        assert!(clock::monotonic() < until, "no {last}: {:?}", diary.lines);
    }
}

/// Shows: pools and counts are up to date when a handler is told; two nodes that see each other start
/// the cluster; and a successor comes after its predecessor's loss, though both were missed.
#[test]
fn a_handler_is_told_what_is_so() {
    let (stem, manager, worker) = pair();
    let mut boss = sit(&stem, manager);
    let mut diary = Diary::default();
    assert_eq!(boss.get_node_count(Role::Worker), 1);
    assert_eq!(boss.get_active_node_count(Role::Worker), 0);
    assert!(boss.is_enabled() && boss.local_node_type() == Role::Manager);
    boss.init().unwrap();
    assert!(matches!(boss.init(), Err(ClusterError::Announced)));
    let mut first = sit(&stem, worker);
    first.init().unwrap();
    let mut other = Diary::default();
    until_last(&mut first, &mut other, "up manager active=0 known=true");
    until_last(&mut boss, &mut diary, "started");
    until_last(&mut first, &mut other, "started");
    let expected = [
        "hello worker-1",
        "up worker-1 active=1 known=true",
        "started",
    ];
    assert_eq!(diary.lines, expected);
    drop(first);
    stem.set_state(worker, State::Down);
    let mut second = sit(&stem, worker);
    second.init().unwrap();
    until_last(&mut boss, &mut diary, "up worker-1 active=1 known=true");
    let expected = [
        "down worker-1 active=0",
        "hello worker-1",
        "up worker-1 active=1 known=true",
    ];
    assert_eq!(diary.lines[3..], expected);
    // The old manager's word is not repeated for the new worker, which is told by nobody.
    until_last(
        &mut second,
        &mut Diary::default(),
        "up manager active=0 known=true",
    );
}

/// Shows: topics, pools and who writes logs are what the layout says, unless the program says otherwise;
/// then pools without a topic of their own follow its topics. Nothing of it can be said too late.
#[test]
fn a_program_can_say_otherwise_than_its_layout() {
    let (stem, manager, worker) = pair();
    let mut agreed = FrameworkSpec::of(Topics {
        worker: "site/worker".to_owned(),
        ..Topics::of(TopicScheme::Dot)
    });
    agreed.pools.get_mut(PROXY_POOL).unwrap().max_nodes = Some(3);
    agreed.manager_is_logger = Some(false);
    let nodes = [("manager", Role::Manager), ("worker-1", Role::Worker)];
    stem.lay_out(&layout_of(&nodes, agreed.clone()));

    let mut boss = sit(&stem, manager);
    boss.init().unwrap();
    assert_eq!(*boss.membership().spec(), agreed);
    assert_eq!(boss.node_topic("worker-1"), "zeek.cluster.node.worker-1.");
    assert!(!boss.membership().writes_logs());
    let mut first = sit(&stem, worker);
    first.init().unwrap();
    let mut diary = Diary::default();
    until_last(&mut boss, &mut diary, "up worker-1 active=1 known=true");
    let event = Event::new("by type", Vec::new());
    boss.publish("site/worker", &event).unwrap();
    until_last(&mut first, &mut Diary::default(), "by type");

    drop(first);
    stem.set_state(worker, State::Down);
    let mut other = sit(&stem, worker);
    let topics = Topics {
        node_prefix: "own/".to_owned(),
        ..Topics::default()
    };
    other.use_topics(topics.clone()).unwrap();
    other.manager_is_logger(true).unwrap();
    other.init().unwrap();
    let spec = other.membership().spec();
    assert_eq!(spec.topics, topics);
    assert_eq!(spec.manager_is_logger, Some(true));
    let proxy = &spec.pools[PROXY_POOL];
    assert_eq!(proxy.topic, "zeek/cluster/pool/proxy");
    assert_eq!(proxy.max_nodes, Some(3));
    assert!(other.use_topics(topics).is_err());
    // Its own word holds: whoever keeps to the layout does not reach it, who says the same does.
    diary.lines.clear();
    until_last(&mut boss, &mut diary, "up worker-1 active=1 known=true");
    boss.publish("site/worker", &event).unwrap();
    boss.publish("own/worker-1/", &Event::new("by name", Vec::new()))
        .unwrap();
    let mut heard = Diary::default();
    until_last(&mut other, &mut heard, "by name");
    assert!(!heard.lines.contains(&"by type".to_owned()));
    assert!(other.pools().get(WORKER_POOL).is_some());
}

/// Shows: a node that its layout does not name ends with a word that says so, and one that is told of
/// no layout does, too.
#[test]
fn a_node_that_the_layout_does_not_name_is_refused() {
    let (stem, _, worker) = pair();
    stem.lay_out(&layout(&[("manager", Role::Manager)]));
    let error = sit(&stem, worker).init().unwrap_err();
    let ClusterError::Roster(RosterError::UnknownNode { name }) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(name.as_str(), "worker-1");
    assert!(
        cluster::causes::chain(&error).contains("\"worker-1\""),
        "{error}"
    );
}

/// Shows: what is published inside a handler carries the handled event's time; a missing one is the
/// arrival's if that is asked for; and without being asked nothing is stamped.
#[test]
fn an_answer_carries_the_time_of_what_it_answers() {
    let (stem, manager, worker) = pair();
    let (mut boss, mut first) = (sit(&stem, manager), sit(&stem, worker));
    boss.subscribe("answers").unwrap();
    first.subscribe("questions").unwrap();
    boss.init().unwrap();
    first.init().unwrap();
    let (mut diary, mut other) = (Diary::default(), Diary::default());
    let mut ask = Event::new("ask", Vec::new());
    ask.metadata = Some(Metadata::of_network_timestamp(Timestamp::from_nanos(7)));
    let mut answered = |boss: &mut Cluster, first: &mut Cluster, ask: &Event| {
        let before = diary.stamps.len();
        boss.publish("questions", ask).unwrap();
        until_last(first, &mut other, "ask");
        other.lines.clear();
        let until = clock::monotonic() + PATIENCE;
        while diary.stamps.len() == before {
            boss.turn(&mut diary, Some(until)).unwrap();
            assert!(clock::monotonic() < until);
        }
        diary.stamps[before]
    };
    assert_eq!(answered(&mut boss, &mut first, &ask), None);
    first.add_network_timestamp(true);
    let seven = Some(Timestamp::from_nanos(7));
    assert_eq!(answered(&mut boss, &mut first, &ask), seven);
    ask.metadata = None;
    let start: Timestamp = clock::wall().into();
    assert!(answered(&mut boss, &mut first, &ask) >= Some(start));
    first.add_network_timestamp(false);
    boss.add_missing_remote_network_timestamp(true);
    assert_eq!(answered(&mut boss, &mut first, &ask), None);
}

/// Shows: bytes that are no message raise `Backend::error`, and what comes behind them is handled.
#[test]
fn what_cannot_be_read_is_an_error_and_no_end() {
    let (stem, manager, worker) = pair();
    let (mut boss, mut first) = (sit(&stem, manager), sit(&stem, worker));
    boss.subscribe("raw").unwrap();
    boss.init().unwrap();
    first.init().unwrap();
    let outbox: &mut cluster::node::endpoint::Outbox = first.as_mut();
    assert!(outbox.publish(b"raw", b"\xff\xff"));
    first
        .publish("raw", &Event::new("fine", Vec::new()))
        .unwrap();
    let mut diary = Diary::default();
    let until = clock::monotonic() + PATIENCE;
    let has = |diary: &Diary, line: &str| diary.lines.iter().any(|l| l == line);
    while !(has(&diary, "trouble local_error") && has(&diary, "fine")) {
        boss.turn(&mut diary, Some(until)).unwrap();
        assert!(clock::monotonic() < until, "{:?}", diary.lines);
    }
}

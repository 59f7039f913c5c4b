//! The cluster framework over endpoints of one process, around a stem made by hand.

#![cfg(test)]

#[path = "membership/diary.rs"]
mod diary;
#[path = "membership/pools.rs"]
mod pools;
#[path = "endpoint/stem.rs"]
mod stem;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use cluster::data::message::{Event, Metadata};
use cluster::data::{DEPTH_MAX, Timestamp, Value};
use cluster::fabric::FabricSpec;
use cluster::framework::{
    EventError, EventType, FrameworkSpec, PROXY_POOL, Param, RosterError, TopicFunction,
    TopicScheme, Topics, WORKER_POOL,
};
use cluster::layout::spec::Role;
use cluster::node::Cluster;
use cluster::node::cluster::{Accepted, ClusterError, Handler, PublishError, Received};
use cluster::node::endpoint::{Delivery, Outbox};
use cluster::shm::board::State;
use cluster::sys::clock;
use diary::{Diary, PATIENCE, layout, layout_of, pair, pair_with, sit, until_last};
use stem::HandStem;

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
    let mut unknown = sit(&stem, worker);
    assert!(unknown.is_enabled());
    assert_eq!(unknown.local_node_type(), Role::None);
    assert_eq!(unknown.local_node_metrics_port(), None);
    let error = unknown.init().unwrap_err();
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

/// Shows: an event that this node has declared comes as it is declared or not at all, and what is dropped
/// is counted and told; one that it has not comes as it is.
#[test]
fn an_event_comes_as_it_is_declared_or_not_at_all() {
    let (stem, manager, worker) = pair();
    let (mut boss, mut first) = (sit(&stem, manager), sit(&stem, worker));
    boss.declare(EventType::new("declared", &[Param::Count]));
    boss.subscribe("topic").unwrap();
    boss.init().unwrap();
    first.init().unwrap();
    for args in [vec![], vec!["text".into()], vec![7_u64.into()]] {
        first
            .publish("topic", &Event::new("declared", args))
            .unwrap();
    }
    // The framework's own are declared, too, also here: only bytes get through.
    let own = Event::new("Cluster::Experimental::cluster_started", vec![1_u64.into()]);
    let refused = first.publish("topic", &own);
    assert!(matches!(
        refused,
        Err(PublishError::Event(EventError::Count { .. }))
    ));
    let mut bytes = Vec::new();
    own.encode(&mut bytes);
    let outbox: &mut Outbox = first.as_mut();
    assert!(outbox.publish(b"topic", &bytes));
    first
        .publish("topic", &Event::new("other", vec![]))
        .unwrap();
    let mut diary = Diary::default();
    until_last(&mut boss, &mut diary, "other");
    let lines = diary.lines.iter().map(String::as_str);
    let lines: Vec<&str> = lines.filter(|line| !line.contains("worker-1")).collect();
    let dropped = "dropped an event on \"topic\"; let all nodes declare it alike";
    let of_own = "\"Cluster::Experimental::cluster_started\" takes 0 arguments, and got 1";
    let expected = [
        format!("error 1 {dropped}: \"declared\" takes 1 arguments, and got 0"),
        format!(
            "error 2 {dropped}: argument 1 of \"declared\" is to be of type count, and got string"
        ),
        "declared".to_owned(),
        format!("error 3 {dropped}: {of_own}"),
        "other".to_owned(),
    ];
    assert_eq!(lines, expected);
}

/// Shows: what no reader could read is refused by its reason and raises a backend's error, however the
/// event was made; below the framework it is not published.
#[test]
fn what_nobody_could_read_is_not_published() {
    let (stem, manager, worker) = pair();
    let (mut boss, mut first) = (sit(&stem, manager), sit(&stem, worker));
    boss.subscribe("raw").unwrap();
    boss.init().unwrap();
    first.init().unwrap();
    let nested = |depth| (0..depth).fold(Value::None, |inner, _| Value::Vector(vec![inner]));
    let (fine, deep) = (nested(DEPTH_MAX - 3), nested(DEPTH_MAX - 2));
    let holes = Value::Vector(vec![1_u64.into(), Value::None]);
    first.declare(EventType::new("whole", &[Param::Vector]));
    let mut refused = |name: &str, arg: &Value| {
        let event = Event::new(name, vec![arg.clone()]);
        match first.publish("raw", &event) {
            Err(PublishError::Event(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let (event, index) = ("whole".to_owned(), 1);
    assert_eq!(refused("whole", &holes), EventError::Holes { event, index });
    let event = "deep".to_owned();
    let too_deep = EventError::TooDeep { event, index };
    assert_eq!(refused("deep", &deep), too_deep);
    let mut diary = Diary::default();
    first.dispatch(&mut diary);
    diary.lines.retain(|line| line.starts_with("trouble"));
    assert_eq!(diary.lines, ["trouble local_error"; 2]);

    let outbox: &mut Outbox = first.as_mut();
    assert!(!outbox.publish_event(b"raw", "below", &[deep]));
    assert!(outbox.publish_event(b"raw", "fine", &[fine]));
    let mut diary = Diary::default();
    until_last(&mut boss, &mut diary, "fine");
    let events = diary.lines.iter().filter(|line| !line.contains("worker-1"));
    assert_eq!(events.collect::<Vec<_>>(), ["fine"]);
}

/// Shows: a layout that came with the ring for a record, and so wakes nobody, is not slept over.
#[test]
fn no_node_sleeps_over_a_layout() {
    let (stem, boss, worker) = pair();
    let mut other = stem.endpoint(worker, &["news"]);
    let mut cluster = sit(&stem, boss);
    cluster.init().unwrap();
    let mut diary = Diary::default();
    while !cluster.doze() {
        cluster.wake().unwrap();
        cluster.dispatch(&mut diary);
    }
    cluster.wake().unwrap();
    stem.tell_of_layout(boss, &layout(&[("manager", Role::Manager)]));
    let outbox: &mut Outbox = cluster.as_mut();
    assert!(outbox.publish(b"news", b"first"));
    while cluster.membership().roster().nodes().len() > 1 {
        assert!(!cluster.doze(), "it sleeps over its layout");
        cluster.wake().unwrap();
        cluster.dispatch(&mut diary);
    }
    other.drain(1, |_, _| ());
}

/// Shows: whom the hook keeps this node from, it neither waits for nor sees; it is asked of each other
/// node once.
#[test]
fn a_hook_keeps_a_node_from_another() {
    let stem = HandStem::new(FabricSpec::default());
    stem.lay_out(&layout(&[
        ("manager", Role::Manager),
        ("worker-1", Role::Worker),
        ("worker-2", Role::Worker),
    ]));
    let add = |name, role| stem.add(name, role);
    let slots = [
        add("worker-1", Role::Worker),
        add("worker-2", Role::Worker),
        add("manager", Role::Manager),
    ];
    let [one, two, mut boss] = slots.map(|slot| sit(&stem, slot));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&asked);
    boss.on_connect_node(move |name, node| {
        assert_eq!(node.node_type, Role::Worker);
        told.lock().unwrap().push(name.to_string());
        name.as_str() != "worker-2"
    });
    boss.init().unwrap();
    let mut workers = [two, one];
    for worker in &mut workers {
        worker.init().unwrap();
    }
    let mut diary = Diary::default();
    let until = clock::monotonic() + PATIENCE;
    while diary.lines.last().is_none_or(|line| line != "started") {
        assert!(clock::monotonic() < until, "{:?}", diary.lines);
        for worker in &mut workers {
            worker.turn(&mut (), Some(clock::monotonic())).unwrap();
        }
        boss.turn(&mut diary, Some(clock::monotonic())).unwrap();
    }
    assert_eq!(asked.lock().unwrap()[..], ["worker-1", "worker-2"]);
    let expected = [
        "hello worker-1",
        "up worker-1 active=1 known=true",
        "started",
    ];
    assert_eq!(diary.lines, expected);
}

/// Shows: topics of the other scheme, and of a program's own functions, reach whom they name over an
/// endpoint, and nobody whose name only begins the same.
#[test]
fn topics_of_every_scheme_reach_whom_they_name() {
    let own = Topics {
        node_by: Some(TopicFunction(|name| format!("site/{name}/"))),
        nodeid_by: Some(TopicFunction(|id| format!("process/{id}/"))),
        worker: "all/workers".to_owned(),
        ..Topics::default()
    };
    for (topics, node_topic, type_topic) in [
        (
            Topics::of(TopicScheme::Dot),
            "zeek.cluster.node.worker-1.",
            "zeek.cluster.worker",
        ),
        (own, "site/worker-1/", "all/workers"),
    ] {
        let stem = HandStem::new(FabricSpec::default());
        let names = ["manager", "worker-1", "worker-10"];
        let roles = [Role::Manager, Role::Worker, Role::Worker];
        stem.lay_out(&layout(&[0, 1, 2].map(|at| (names[at], roles[at]))));
        let slots = [0, 1, 2].map(|at| stem.add(names[at], roles[at]));
        let mut nodes = slots.map(|slot| sit(&stem, slot));
        for node in &mut nodes {
            node.use_topics(topics.clone()).unwrap();
            node.init().unwrap();
        }
        let [boss, first, other] = &mut nodes;
        assert_eq!(boss.node_topic("worker-1"), node_topic);
        assert!(boss.broadcast_topics().contains(&type_topic));
        let to_process = boss.nodeid_topic(&first.node_id().clone());
        let mut tell = |topic: &str, name: &str| {
            let event = Event::new(name, Vec::new());
            assert_eq!(boss.publish(topic, &event), Ok(Accepted::ByAll));
        };
        tell(node_topic, "to-node");
        tell(&to_process, "to-process");
        tell(type_topic, "to-type");
        let heard = |node: &mut Cluster| {
            let mut diary = Diary::default();
            until_last(node, &mut diary, "to-type");
            diary.lines.retain(|line| line.starts_with("to-"));
            diary.lines
        };
        assert_eq!(heard(first), ["to-node", "to-process", "to-type"]);
        assert_eq!(heard(other), ["to-type"]);
    }
}

/// Shows: a record of exactly the bytes that the layout allows, topic and payload together, arrives; one
/// more is refused by its reason, and below the framework dropped and counted.
#[test]
fn the_largest_record_is_as_large_as_the_layout_says() {
    const MAX: usize = 4096;
    let spec = FabricSpec {
        record_bytes_max: u32::try_from(MAX).unwrap(),
        ..FabricSpec::default()
    };
    let (stem, manager, worker) = pair_with(spec);
    let (mut boss, mut first) = (sit(&stem, manager), sit(&stem, worker));
    boss.subscribe("raw").unwrap();
    boss.init().unwrap();
    first.init().unwrap();
    let of = |bytes: usize| Event::new("large", vec![vec![0_u8; bytes].into()]);
    let mut around = Vec::new();
    of(1000).encode(&mut around);
    let around = around.len() - 1000 + "raw".len();
    assert_eq!(first.publish("raw", &of(MAX - around)), Ok(Accepted::ByAll));
    let (bytes, max) = (MAX + 1, MAX);
    assert_eq!(
        first.publish("raw", &of(MAX - around + 1)),
        Err(PublishError::TooLarge { bytes, max })
    );
    let outbox: &mut Outbox = first.as_mut();
    assert!(!outbox.publish(b"raw", &[0; MAX - 2]));
    assert_eq!(stem.accounts(worker, manager).too_large, 1);
    let outbox: &mut Outbox = first.as_mut();
    assert!(outbox.publish(b"raw", &[0; MAX - 3]));
    until_last(&mut boss, &mut Diary::default(), "trouble local_error");
}

/// Shows: an event that is wanted at most once does not come again after a death in its handler, and one
/// that is wanted at least once does. The hooks see both calls.
#[test]
fn an_event_that_is_wanted_at_most_once_does_not_come_again() {
    let (stem, manager, worker) = pair();
    let mut boss = sit(&stem, manager);
    boss.init().unwrap();
    let sit_down = |hooked: &Arc<Mutex<Vec<String>>>| {
        let mut cluster = sit(&stem, worker);
        let told = Arc::clone(hooked);
        cluster.on_subscribe(move |topic| told.lock().unwrap().push(topic.to_owned()));
        cluster.subscribe_as("once/", Delivery::AtMostOnce).unwrap();
        cluster.subscribe("again/").unwrap();
        cluster.init().unwrap();
        cluster
    };
    let hooked = Arc::default();
    let mut first = sit_down(&hooked);
    assert_eq!(hooked.lock().unwrap()[..2], ["once/", "again/"]);
    for topic in ["once/x", "again/x"] {
        boss.publish(topic, &Event::new(topic, Vec::new())).unwrap();
    }
    // It dies in the handler of the second one.
    let died = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let until = clock::monotonic() + PATIENCE;
        while clock::monotonic() < until {
            first.turn(&mut Fragile, Some(until)).unwrap();
        }
    }));
    assert!(died.is_err());
    std::mem::forget(first);
    stem.set_state(worker, State::Down);
    let mut second = sit_down(&hooked);
    boss.publish("again/last", &Event::new("last", Vec::new()))
        .unwrap();
    let mut diary = Diary::default();
    until_last(&mut second, &mut diary, "last");
    diary
        .lines
        .retain(|line| !line.starts_with("hello") && !line.starts_with("up "));
    diary.lines.retain(|line| line != "started");
    assert_eq!(diary.lines, ["again/x", "last"]);
}

/// Dies of an event that is wanted at least once.
struct Fragile;

impl Handler for Fragile {
    fn event(&mut self, _: &mut Cluster, event: &Received<'_>) {
        assert_eq!(event.topic(), b"once/x", "the end");
    }
}

/// Shows: bytes that are no message raise `Backend::error`, and what comes behind them is handled.
#[test]
fn what_cannot_be_read_is_an_error_and_no_end() {
    let (stem, manager, worker) = pair();
    let (mut boss, mut first) = (sit(&stem, manager), sit(&stem, worker));
    boss.subscribe("raw").unwrap();
    boss.init().unwrap();
    first.init().unwrap();
    let outbox: &mut Outbox = first.as_mut();
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

//! What nodes publish and who gets it: topics, broadcasts, pools, errors.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test owns its clock")]

mod common;

use std::time::Instant;

use cluster::data::message::Event;
use cluster::data::{DEPTH_MAX, Set, Value};
use cluster::framework::{EventError, EventType, Param};
use cluster::node::Cluster as Member;
use cluster::node::cluster::{Accepted, OrReport, PublishError};
use cluster::topic::TOPIC_BYTES_MAX;
use common::scripted::{HRW, PING, RR, UNSUBSCRIBE, am_i_a_node, node};
use common::{Cluster, PATIENCE, Start, layouts, processes};
use nix::sys::signal::Signal;

const NODES: [&str; 5] = ["manager", "proxy-1", "proxy-2", "worker-1", "worker-2"];

/// A manager, two proxies and two workers that do what the test says, and a worker whose name goes on
/// where another one's ends.
fn start(test: &str, pools: &str) -> (Cluster, Member) {
    start_with("", test, pools)
}

/// The same in a layout that says this first.
fn start_with(head: &str, test: &str, pools: &str) -> (Cluster, Member) {
    let entry = |role| node(role, test, pools);
    let (proxy, worker) = (entry("Proxy"), entry("Worker"));
    let layout = layouts::layout(
        &format!("{head}restart: (floor: \"10ms\", give_up: \"off\")"),
        &[
            ("manager", &entry("Manager")),
            ("proxy-1", &proxy),
            ("proxy-2", &proxy),
            ("worker-1", &worker),
            ("worker-2", &worker),
        ],
    );
    let cluster = Start::with(&layout).start_ready();
    for node in NODES {
        cluster.printed(node, "up=", NODES.len() - 1);
    }
    let mut tester = Member::attach(&cluster.attach_socket(), None).unwrap();
    tester.init().unwrap();
    let until = Instant::now() + PATIENCE;
    while tester.membership().connected().count() < NODES.len() {
        tester.turn(&mut (), Some(until)).unwrap();
        assert!(Instant::now() < until);
    }
    (cluster, tester)
}

fn ping(text: &str) -> Event {
    PING.event(vec![text.into()]).unwrap()
}

/// Publishes to one node, and everybody it is for gets it.
fn tell(tester: &mut Member, name: &str, event: &Event) {
    let topic = tester.node_topic(name);
    assert_eq!(tester.publish(&topic, event), Ok(Accepted::ByAll));
}

/// Tells a node to choose by these keys; who got which, by the last letter of their names.
fn chosen(cluster: &Cluster, tester: &mut Member, pool: &str, keys: &[Value]) -> String {
    let before = cluster.printed("manager", "hrw=", 0).len();
    let keys_value = Value::Vector(keys.to_vec());
    tell(
        tester,
        "manager",
        &HRW.event(vec![pool.into(), keys_value]).unwrap(),
    );
    let said = cluster.printed("manager", "hrw=", before + keys.len());
    let said = &said[before..];
    // A key may have gone to a member of the other type before.
    let members = if pool == "worker" {
        "worker-"
    } else {
        "proxy-"
    };
    let gets = |name: &str, key: &Value| {
        let beginning = format!("ping={key} ");
        name.starts_with(members) && !cluster.printed(name, &beginning, 0).is_empty()
    };
    let mut letters = String::new();
    for (key, said) in keys.iter().zip(said) {
        if said.ends_with("sent=false") {
            letters.push('-');
            continue;
        }
        let what = format!("somebody gets {key}");
        let name = common::wait_for(&what, PATIENCE, || {
            NODES.iter().find(|name| gets(name, key))
        });
        letters.push(name.chars().last().unwrap());
    }
    letters
}

fn texts(numbers: std::ops::Range<u64>) -> Vec<Value> {
    numbers.map(|number| number.to_string().into()).collect()
}

/// Shows: keys go where Zeek's own tests say, and turns are taken for each key by itself; this node's
/// own turn comes to its own handler.
#[test]
fn pools_choose_as_zeeks_do() {
    if am_i_a_node() {
        return;
    }
    let (cluster, mut tester) = start("pools_choose_as_zeeks_do", "plain");
    assert_eq!(
        chosen(&cluster, &mut tester, "worker", &texts(0..10)),
        "2121121211"
    );
    // A set of one is a key; of one with two, nodes would not agree on the digest.
    let set = |members: std::ops::Range<u64>| Value::Set(members.map(Value::from).collect());
    let sets = [set(50..51), set(50..52)];
    let chose = chosen(&cluster, &mut tester, "worker", &sets);
    assert!(["1-", "2-"].contains(&chose.as_str()), "{chose}");
    let why = "a set or table of 2 elements cannot be a key: nodes would not agree on its digest";
    assert_eq!(cluster.printed("manager", "refused=", 1), [why]);
    let counts = [0_u64, 1, 2, 3, 13, 37, 42, 101].map(Value::from);
    assert_eq!(chosen(&cluster, &mut tester, "proxy", &counts), "21221111");

    for (publisher, key) in [("manager", "one"), ("manager", "two"), ("worker-1", "own")] {
        let had = |name: &str| {
            cluster
                .printed(name, "topic=zeek/cluster/node/worker-", 0)
                .len()
        };
        let before = ["worker-1", "worker-2"].map(had);
        let args = vec!["worker".into(), key.into(), 3_u64.into()];
        tell(&mut tester, publisher, &RR.event(args).unwrap());
        let [one, two] = before;
        // The first of three turns is worker-1's, whoever publishes, and so is the third.
        let topic = "topic=zeek/cluster/node/worker-";
        assert_eq!(cluster.printed("worker-1", topic, one + 2).len(), one + 2);
        assert_eq!(cluster.printed("worker-2", topic, two + 1).len(), two + 1);
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: an exclusive pool keeps its node to itself, and the rest is the other's.
#[test]
fn an_exclusive_pool_keeps_its_node_to_itself() {
    if am_i_a_node() {
        return;
    }
    let (cluster, mut tester) = start("an_exclusive_pool_keeps_its_node_to_itself", "exclusive");
    assert_eq!(
        chosen(&cluster, &mut tester, "proxy", &texts(0..6)),
        "111111"
    );
    assert_eq!(
        chosen(&cluster, &mut tester, "custom", &texts(10..16)),
        "222222"
    );
    cluster.stop_and_expect_nobody_left();
}

/// Shows: what the layout says of pools and topics holds in programs that say nothing of them.
#[test]
fn pools_and_topics_are_those_of_the_layout() {
    if am_i_a_node() {
        return;
    }
    let head = r#"topics: (scheme: Dot),
        pools: {"proxy": (max_nodes: 1, exclusive: true), "custom": (node_type: Proxy)}, "#;
    let test = "pools_and_topics_are_those_of_the_layout";
    let (cluster, mut tester) = start_with(head, test, "plain");
    assert_eq!(
        chosen(&cluster, &mut tester, "proxy", &texts(0..6)),
        "111111"
    );
    assert_eq!(
        chosen(&cluster, &mut tester, "custom", &texts(10..16)),
        "222222"
    );
    for ping in cluster.printed("proxy-1", "ping=", 6) {
        assert!(
            ping.contains(" topic=zeek.cluster.node.proxy-1. "),
            "{ping}"
        );
    }
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a limited pool has its first node only, and nobody when that one is gone.
#[test]
fn a_limited_pool_has_nobody_when_its_node_is_gone() {
    if am_i_a_node() {
        return;
    }
    let (cluster, mut tester) = start("a_limited_pool_has_nobody_when_its_node_is_gone", "limited");
    let both = chosen(&cluster, &mut tester, "custom", &texts(0..10));
    assert!(both.contains('1') && both.contains('2'), "{both}");
    assert_eq!(
        chosen(&cluster, &mut tester, "proxy", &texts(10..16)),
        "111111"
    );
    cluster.ok(&["stop", "proxy-1"]);
    cluster.printed("manager", "down=proxy-1", 1);
    assert_eq!(
        chosen(&cluster, &mut tester, "proxy", &texts(20..26)),
        "------"
    );
    assert_eq!(
        chosen(&cluster, &mut tester, "custom", &texts(30..36)),
        "222222"
    );
    cluster.stop_and_expect_nobody_left();
}

/// Shows: what is for one node, one process or one type reaches exactly those.
#[test]
fn a_topic_reaches_whom_it_names() {
    if am_i_a_node() {
        return;
    }
    let entry = node("Worker", "a_topic_reaches_whom_it_names", "plain");
    let manager = node("Manager", "a_topic_reaches_whom_it_names", "plain");
    let workers = ["worker-1", "worker-10", "worker-2", "worker-20"];
    let nodes = workers.map(|name| (name, entry.as_str()));
    let mut nodes = nodes.to_vec();
    nodes.push(("manager", &manager));
    let layout = layouts::layout("restart: (floor: \"10ms\")", &nodes);
    let cluster = Start::with(&layout).start_ready();
    for name in workers {
        cluster.printed(name, "up=", workers.len());
    }
    let mut tester = Member::attach(&cluster.attach_socket(), None).unwrap();
    tester.init().unwrap();
    let all_up = |tester: &mut Member| {
        let until = Instant::now() + PATIENCE;
        while tester.membership().connected().count() < nodes.len() {
            tester.turn(&mut (), Some(until)).unwrap();
            assert!(Instant::now() < until);
        }
    };
    all_up(&mut tester);
    for name in workers {
        tell(&mut tester, name, &ping(&format!("to-{name}")));
    }
    // The old process's topic reaches nobody, the new one's it alone.
    let name = cluster::names::NodeName::parse("worker-2").unwrap();
    let old = tester.membership().id_of(&name).unwrap().clone();
    processes::signal(cluster.node_pid("worker-2").unwrap(), Signal::SIGKILL);
    let until = Instant::now() + PATIENCE;
    while tester.membership().id_of(&name).is_none_or(|id| *id == old) {
        tester.turn(&mut (), Some(until)).unwrap();
        assert!(Instant::now() < until);
    }
    let new = tester.membership().id_of(&name).unwrap().clone();
    for (id, text) in [(&old, "to-old"), (&new, "to-new")] {
        let topic = tester.nodeid_topic(id);
        tester.publish(&topic, &ping(text)).unwrap();
    }
    let topics = tester.broadcast_topics().map(str::to_owned);
    for topic in topics {
        tester.publish(&topic, &ping("to-all")).unwrap();
    }
    for name in workers {
        cluster.printed(name, "ping=to-all ", 1);
        let pings: Vec<String> = cluster.printed(name, "ping=", 0);
        let mut texts: Vec<&str> = pings
            .iter()
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        if name == "worker-2" {
            // Whoever is killed before it has released a record gets it again.
            texts.dedup();
        }
        let own = format!("to-{name}");
        let expected = match name {
            "worker-2" => vec![own.as_str(), "to-new", "to-all"],
            _ => vec![own.as_str(), "to-all"],
        };
        assert_eq!(texts, expected, "{name}");
    }
    cluster.printed("manager", "ping=to-all ", 1);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: what is subscribed before the announcement is in force after it, each call is seen by the
/// hooks, and nothing comes after an unsubscription.
#[test]
fn hooks_see_every_call_and_early_subscriptions_hold() {
    if am_i_a_node() {
        return;
    }
    let (cluster, mut tester) = start("hooks_see_every_call_and_early_subscriptions_hold", "plain");
    tester.publish("early/bird", &ping("worm")).unwrap();
    for node in NODES {
        assert_eq!(
            cluster.printed(node, "ping=worm topic=early/bird", 1).len(),
            1
        );
        let hooks = cluster.printed(node, "hook=subscribe topic=early/", 2);
        assert_eq!(hooks.len(), 2, "{node}");
        let own = format!("hook=subscribe topic=zeek/cluster/node/{node}/");
        assert_eq!(cluster.printed(node, &own, 1).len(), 1);
    }
    for _ in 0..2 {
        let event = UNSUBSCRIBE.event(vec!["early/".into()]).unwrap();
        tell(&mut tester, "worker-1", &event);
    }
    assert_eq!(cluster.printed("worker-1", "was=", 2), ["true", "false"]);
    assert_eq!(
        cluster
            .printed("worker-1", "hook=unsubscribe topic=early/", 2)
            .len(),
        2
    );
    tester.publish("early/bird", &ping("late")).unwrap();
    tell(&mut tester, "worker-1", &ping("last"));
    cluster.printed("worker-1", "ping=last ", 1);
    assert_eq!(
        cluster.printed("worker-1", "ping=late ", 0),
        [] as [&str; 0]
    );
    cluster.printed("worker-2", "ping=late ", 1);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: each way to publish what cannot be published says which it is, and sends nothing; and that
/// what is accepted is true even if nobody wants it.
#[test]
fn what_cannot_be_published_is_refused_by_its_reason() {
    let cluster = Start::with(&layouts::nodes(&[("manager", "node_type: Manager")])).start_ready();
    let mut tester = Member::attach(&cluster.attach_socket(), None).unwrap();
    tester.init().unwrap();
    let two = EventType::new("Test::two", &[Param::Count, Param::Set]);
    let event = "Test::two".to_owned();
    let refused = |args: Vec<Value>| two.event(args).unwrap_err();
    let (got, expected) = (1, 2);
    assert_eq!(
        refused(vec![1_u64.into()]),
        EventError::Count {
            event,
            got,
            expected
        }
    );
    let error = refused(vec![1_u64.into(), "x".into()]);
    assert!(
        matches!(error, EventError::Type { index: 2, .. }),
        "{error}"
    );
    let error = refused(vec![Value::None, Value::Set(Set::default())]);
    assert!(
        matches!(error, EventError::Type { index: 1, .. }),
        "{error}"
    );
    // What make_event refuses is an event that nobody publishes, without another word.
    let none = tester.make_event(&two, Vec::new());
    let unset = PublishError::Event(EventError::Unset);
    assert!(unset.is_silent());
    assert_eq!(tester.publish("topic", &none), Err(unset));
    assert!(!tester.publish("topic", &none).or_report());

    let long = "x".repeat(TOPIC_BYTES_MAX + 1);
    let error = tester.publish(&long, &ping("x")).unwrap_err();
    assert!(matches!(error, PublishError::Topic(_)), "{error}");
    let large = PING.event(vec![vec![0_u8; 17 << 20].into()]).unwrap();
    let error = tester.publish("topic", &large).unwrap_err();
    assert!(matches!(error, PublishError::TooLarge { .. }), "{error}");
    let deep = (0..=DEPTH_MAX).fold(Value::None, |inner, _| Value::Vector(vec![inner]));
    let error = PING.event(vec![deep]).unwrap_err();
    assert!(matches!(error, EventError::TooDeep { .. }), "{error}");
    let no_pool = PublishError::NoSuchPool {
        pool: "nowhere".to_owned(),
    };
    assert_eq!(
        tester.publish_rr("nowhere", "", &ping("x")),
        Err(no_pool.clone())
    );
    assert_eq!(
        tester.publish_hrw("nowhere", "key", &ping("x")),
        Err(no_pool)
    );
    assert!(!tester.publish_rr("nowhere", "", &ping("x")).or_report());

    assert_eq!(
        tester.publish("nobody/wants/this", &ping("x")),
        Ok(Accepted::ByAll)
    );
    assert!(tester.publish("nobody/wants/this", &ping("x")).or_report());
    cluster.stop_and_expect_nobody_left();
}

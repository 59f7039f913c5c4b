//! The controller's table: snapshots, states, readiness; a long random story held against a plain
//! model. `SIM_SEED=… cargo test` replays one seed.

#![cfg(test)]

mod stories;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cluster::control::reply::ClusterState;
use cluster::controller::config::Config;
use cluster::controller::fact::{Fact, NodeFact};
use cluster::controller::log::Level;
use cluster::controller::request::{Kind, RequestId};
use cluster::controller::table::{AgentsReady, NODES_MAX, Table, TableError, api_state, status};
use cluster::controller::types::{ClusterRole, Instance, Role, State};
use cluster::controller::{Controller, Effect};
use cluster::layout::spec;
use cluster::names::{Incarnation, InstanceName, NodeName};
use cluster::supervise::child;
use stories::{Dice, origin, seeds};

/// So many seeds are tried on every run.
const SEEDS: u64 = 64;

const STATES: [Option<child::State>; 9] = [
    None,
    Some(child::State::Stopped),
    Some(child::State::Pending),
    Some(child::State::Backoff),
    Some(child::State::Starting),
    Some(child::State::Ready),
    Some(child::State::Stopping),
    Some(child::State::Finished),
    Some(child::State::Failed),
];

fn instance(name: &str) -> Instance {
    Instance {
        name: name.into(),
        host: "127.0.0.1".parse().unwrap(),
        listen_port: None,
    }
}

fn instances(generation: u64, names: &[&str]) -> Fact {
    Fact::Instances {
        generation,
        instances: names.iter().copied().map(instance).collect(),
    }
}

fn node(name: &str, instance: &str, state: Option<child::State>) -> NodeFact {
    NodeFact {
        name: NodeName::parse(name).unwrap(),
        instance: InstanceName::parse(instance).unwrap(),
        role: spec::Role::Worker,
        state,
        wanted: true,
        pid: Some(100),
        incarnation: Incarnation(1),
        p: None,
        metrics_port: None,
    }
}

fn ready(name: &str, instance: &str) -> NodeFact {
    node(name, instance, Some(child::State::Ready))
}

fn starting(name: &str, instance: &str) -> NodeFact {
    node(name, instance, Some(child::State::Starting))
}

/// A table after a complete snapshot of these.
fn told(facts: Vec<Fact>) -> Table {
    let mut table = Table::default();
    table.take(Fact::SnapshotBegin).unwrap();
    for fact in facts {
        table.take(fact).unwrap();
    }
    table.take(Fact::SnapshotEnd).unwrap();
    table
}

fn names_of(table: &Table) -> Vec<&str> {
    table.nodes().map(|node| node.name.as_str()).collect()
}

#[test]
fn every_kind_of_fact_fits_a_packet_of_json_and_of_postcard() {
    let facts = [
        Fact::SnapshotBegin,
        Fact::SnapshotEnd,
        instances(3, &["a", "b"]),
        Fact::Node(ready("worker-1", "a")),
        Fact::Node(node("worker-2", "b", None)),
        Fact::NodeGone(NodeName::parse("worker-1").unwrap()),
        Fact::Cluster(ClusterState::Degraded),
    ];
    for fact in facts {
        let json = serde_json::to_vec(&fact).unwrap();
        assert_eq!(serde_json::from_slice::<Fact>(&json).unwrap(), fact);
        let packet = postcard::to_stdvec(&fact).unwrap();
        assert_eq!(postcard::from_bytes::<Fact>(&packet).unwrap(), fact);
    }
}

#[test]
fn nothing_is_shown_before_the_first_snapshot_is_complete() {
    let mut table = Table::default();
    table.take(instances(1, &["a"])).unwrap();
    table.take(Fact::SnapshotBegin).unwrap();
    table.take(Fact::Node(ready("worker-1", "a"))).unwrap();
    assert!(!table.is_complete() && names_of(&table).is_empty());
    assert_eq!((table.generation(), table.cluster()), (None, None));
    table.take(Fact::SnapshotEnd).unwrap();
    assert_eq!(names_of(&table), ["worker-1"]);
    assert_eq!(table.instances().count(), 0, "told before the snapshot");
}

#[test]
fn a_new_snapshot_replaces_everything_at_its_end_and_not_before() {
    let mut table = told(vec![
        instances(7, &["b", "a"]),
        Fact::Node(ready("old", "a")),
        Fact::Cluster(ClusterState::Ready),
    ]);
    table.take(Fact::SnapshotBegin).unwrap();
    table.take(Fact::Node(starting("new", "a"))).unwrap();
    assert_eq!(names_of(&table), ["old"]);
    // The supervisor broke off and begins again: the first attempt leaves nothing behind.
    table.take(Fact::SnapshotBegin).unwrap();
    table.take(Fact::Node(starting("newer", "a"))).unwrap();
    table.take(Fact::SnapshotEnd).unwrap();
    assert_eq!(names_of(&table), ["newer"]);
    assert_eq!((table.generation(), table.cluster()), (Some(0), None));
    assert_eq!(table.take(Fact::SnapshotEnd), Err(TableError::NoSnapshot));
}

#[test]
fn old_facts_and_removals_of_strangers_are_refused() {
    let newer = NodeFact {
        incarnation: Incarnation(4),
        ..ready("worker-1", "a")
    };
    let mut table = told(vec![instances(7, &["a"]), Fact::Node(newer.clone())]);
    let older = table.take(Fact::Node(ready("worker-1", "a"))).unwrap_err();
    assert_eq!(
        older.to_string(),
        "ignored incarnation 1 of node \"worker-1\": incarnation 4 is known already"
    );
    assert_eq!(
        table.take(instances(6, &[])),
        Err(TableError::OldGeneration { told: 6, known: 7 })
    );
    let stranger = NodeName::parse("x").unwrap();
    assert_eq!(
        table.take(Fact::NodeGone(stranger.clone())),
        Err(TableError::NoSuchNode { node: stranger })
    );
    assert_eq!(table.node("worker-1"), Some(&newer));
    assert_eq!(table.instances().count(), 1);
}

#[test]
fn the_table_is_bounded_and_says_what_it_left_out() {
    let mut table = told(Vec::new());
    for number in 0..NODES_MAX {
        table
            .take(Fact::Node(ready(&format!("n{number}"), "a")))
            .unwrap();
    }
    assert!(matches!(
        table.take(Fact::Node(ready("late", "a"))),
        Err(TableError::TooManyNodes { .. })
    ));
    table.take(Fact::Node(starting("n0", "a"))).unwrap();
    let many: Vec<String> = (0..1030).map(|number| format!("i{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        table.take(instances(1, &many)),
        Err(TableError::TooManyInstances { left_out: 6 })
    );
}

#[test]
fn the_states_of_a_child_show_as_the_words_of_the_api() {
    // In the order of STATES: wanted, then not wanted.
    let words = [
        (State::Unknown, State::Unknown),
        (State::Pending, State::Stopped),
        (State::Pending, State::Pending),
        (State::Crashed, State::Crashed),
        (State::Pending, State::Pending),
        (State::Running, State::Running),
        (State::Pending, State::Stopped),
        (State::Stopped, State::Stopped),
        (State::Failed, State::Failed),
    ];
    for (state, (up, down)) in STATES.into_iter().zip(words) {
        let mut fact = node("n", "a", state);
        assert_eq!(api_state(&fact), up, "{state:?}");
        fact.wanted = false;
        assert_eq!(api_state(&fact), down, "{state:?}");
    }
}

#[test]
fn statuses_are_sorted_and_show_roles_and_no_port_zero() {
    let boss = NodeFact {
        role: spec::Role::Controller,
        p: Some(0),
        ..ready("controller-a", "a")
    };
    let logger = NodeFact {
        role: spec::Role::Logger,
        p: Some(2201),
        metrics_port: Some(9001),
        ..ready("logger", "a")
    };
    let table = told(vec![
        Fact::Node(logger.clone()),
        Fact::Node(ready("elsewhere", "b")),
        Fact::Node(boss.clone()),
    ]);
    let shown: Vec<_> = table.statuses("a").collect();
    assert_eq!(shown, [status(&boss), status(&logger)]);
    assert_eq!(shown[0].mgmt_role, Role::Controller);
    assert_eq!(
        (shown[0].p, shown[0].cluster_role),
        (None, ClusterRole::None)
    );
    assert_eq!(shown[1].cluster_role, ClusterRole::Logger);
    assert_eq!(
        (shown[1].p, shown[1].metrics_port),
        (Some(2201), Some(9001))
    );
}

#[test]
fn agents_ready_is_raised_once_for_each_change_that_makes_the_sets_equal() {
    let mut table = told(vec![
        instances(1, &["b", "a"]),
        Fact::Node(ready("worker-1", "a")),
        Fact::Node(starting("worker-2", "b")),
    ]);
    assert_eq!(table.ready_instances().collect::<Vec<_>>(), ["a"]);
    assert_eq!(table.agents_ready(), None);
    let both = |generation| {
        Some(AgentsReady {
            generation,
            instances: BTreeSet::from(["a".to_owned(), "b".to_owned()]),
        })
    };
    table.take(Fact::Node(ready("worker-2", "b"))).unwrap();
    assert_eq!(table.agents_ready(), both(1));
    assert_eq!(table.agents_ready(), None, "once");
    // A repeated fact and a snapshot of the same are no change.
    table.take(Fact::Node(ready("worker-2", "b"))).unwrap();
    assert_eq!(table.agents_ready(), None);
    table.take(Fact::SnapshotBegin).unwrap();
    assert_eq!(table.agents_ready(), None, "half a snapshot");
    table.take(instances(1, &["a", "b"])).unwrap();
    table.take(Fact::SnapshotEnd).unwrap();
    assert_eq!(table.agents_ready(), None);
    // Lost and regained is a change; so is another configuration.
    table.take(Fact::Node(starting("worker-1", "a"))).unwrap();
    assert_eq!(table.agents_ready(), None);
    table.take(Fact::Node(ready("worker-1", "a"))).unwrap();
    assert_eq!(table.agents_ready(), both(1));
    table.take(instances(2, &["a", "b"])).unwrap();
    assert_eq!(table.agents_ready(), both(2));
    table.take(instances(3, &[])).unwrap();
    assert_eq!(table.agents_ready(), None, "nothing configured");
}

#[test]
fn only_nodes_that_should_run_are_waited_for_and_never_the_controller() {
    let table = told(vec![
        instances(1, &["a", "b", "c", "d"]),
        Fact::Node(NodeFact {
            role: spec::Role::Controller,
            ..starting("controller-a", "a")
        }),
        Fact::Node(NodeFact {
            wanted: false,
            ..node("off", "b", Some(child::State::Stopped))
        }),
        Fact::Node(node("far", "c", None)),
        Fact::Node(node("done", "d", Some(child::State::Finished))),
    ]);
    assert_eq!(table.ready_instances().collect::<Vec<_>>(), ["a", "b", "d"]);
}

/// One random story: the table must show what a plain map of maps shows, and raise the notification
/// exactly when the model's sets become equal.
fn one_story(seed: u64) {
    let mut random = Dice::new(seed);
    let mut table = told(Vec::new());
    let mut configured: BTreeSet<String> = BTreeSet::new();
    let mut nodes: BTreeMap<String, NodeFact> = BTreeMap::new();
    let mut generation = 0;
    let mut last: Option<(u64, BTreeSet<String>)> = None;
    for _ in 0..400 {
        match random.below(8) {
            0 => {
                generation += 1;
                configured = (0..random.below(3)).map(|n| format!("i{n}")).collect();
                let names: Vec<&str> = configured.iter().map(String::as_str).collect();
                table.take(instances(generation, &names)).unwrap();
            }
            1 => {
                let name = format!("n{}", random.below(4));
                let gone = table.take(Fact::NodeGone(NodeName::parse(&name).unwrap()));
                assert_eq!(gone.is_ok(), nodes.remove(&name).is_some());
            }
            _ => {
                let mut fact = ready(
                    &format!("n{}", random.below(4)),
                    &format!("i{}", random.below(3)),
                );
                if random.below(2) == 0 {
                    fact.state = STATES[random.below(STATES.len())];
                }
                fact.wanted = random.below(4) != 0;
                fact.incarnation = Incarnation(random.below(3) as u64);
                let old = nodes
                    .get(fact.name.as_str())
                    .is_some_and(|known| fact.incarnation < known.incarnation);
                assert_eq!(table.take(Fact::Node(fact.clone())).is_err(), old);
                if !old {
                    nodes.insert(fact.name.to_string(), fact);
                }
            }
        }
        let waiting: BTreeSet<&str> = nodes
            .values()
            .filter(|n| n.wanted && !matches!(api_state(n), State::Running))
            .filter(|n| n.state != Some(child::State::Finished))
            .map(|n| n.instance.as_str())
            .collect();
        let equal = !configured.is_empty()
            && configured
                .iter()
                .all(|name| !waiting.contains(name.as_str()));
        let now = equal.then(|| (generation, configured.clone()));
        let raised = table.agents_ready().map(|r| (r.generation, r.instances));
        assert_eq!(raised, now.clone().filter(|_| now != last));
        last = now;
        assert!(table.nodes().eq(nodes.values()));
        assert!(table.instances().map(|i| &i.name).eq(configured.iter()));
    }
}

#[test]
fn random_stories_agree_with_a_plain_model() {
    for seed in seeds(SEEDS) {
        println!("SIM_SEED={seed}");
        one_story(seed);
    }
}

fn controller() -> Controller {
    Controller::new(Config::read(|_| None, "testbox").unwrap(), 1)
}

#[test]
fn the_controller_logs_facts_and_raises_readiness() {
    let (mut controller, now, mut out) = (controller(), origin(), Vec::new());
    for fact in [
        Fact::SnapshotBegin,
        instances(1, &["a"]),
        Fact::Node(ready("worker-1", "a")),
        Fact::SnapshotEnd,
        Fact::Cluster(ClusterState::Ready),
        Fact::SnapshotEnd,
    ] {
        controller.on_fact(fact, now, &mut out);
    }
    let lines: Vec<(Level, &str)> = out
        .iter()
        .filter_map(|effect| match effect {
            Effect::Log { level, message } => Some((*level, message.as_str())),
            Effect::AgentsReady(_) | Effect::Expired(_) => None,
        })
        .collect();
    assert_eq!(
        lines,
        [
            (Level::Debug, "rx snapshot begins"),
            (Level::Info, "rx instances generation=1 count=1"),
            (
                Level::Info,
                "rx node worker-1 state=RUNNING incarnation=1 pid=100"
            ),
            (Level::Info, "rx snapshot complete"),
            (Level::Info, "notify_agents_ready a"),
            (Level::Info, "rx cluster ready"),
            (
                Level::Warning,
                "ignored the end of a snapshot that had not begun"
            ),
        ]
    );
    let raised = out.iter().filter(|e| matches!(e, Effect::AgentsReady(_)));
    assert_eq!(raised.count(), 1);
    assert_eq!(controller.table().cluster(), Some(ClusterState::Ready));
}

#[test]
fn the_controller_expires_requests_at_their_deadline() {
    let (mut controller, now, mut out) = (controller(), origin(), Vec::new());
    assert_eq!(controller.next_deadline(), None);
    let (id, table) = (RequestId::from("R1"), controller.requests_mut());
    table.open(id.clone(), Kind::Configuration, now).unwrap();
    table
        .open_parts(&id, &["b".to_owned(), "a".to_owned()])
        .unwrap();
    let due = now + Duration::from_secs(10);
    assert_eq!(controller.next_deadline(), Some(due));
    controller.on_deadline(due - Duration::from_millis(1), &mut out);
    assert_eq!(out, []);
    controller.on_deadline(due, &mut out);
    assert_eq!(
        out[0],
        Effect::Log {
            level: Level::Warning,
            message: "request R1 timed out, no answer from a, b".into()
        }
    );
    assert!(matches!(&out[1], Effect::Expired(expired) if expired.id == id));
    assert!(controller.requests().is_empty());
}

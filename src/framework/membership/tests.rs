//! Greetings and losses in order, out of order, and at random.

use super::*;
use crate::framework::sample::{id, membership, name, node, nodes};
use crate::framework::{TopicScheme, WORKER_POOL};
use crate::pool::HashKey;
use proptest::prelude::*;

/// The events but for lines of the log, in short.
fn short(events: Vec<ClusterEvent>) -> Vec<String> {
    let shorten = |event| match event {
        ClusterEvent::NodeUp { name, id } => Some(format!("up {name} {id}")),
        ClusterEvent::NodeDown { name, id } => Some(format!("down {name} {id}")),
        ClusterEvent::Log(_) => None,
        ClusterEvent::Error(error) => Some(format!("error: {error}")),
        ClusterEvent::BackendError(error) => panic!("{error}"),
    };
    events.into_iter().filter_map(shorten).collect()
}

#[test]
fn a_node_comes_up_once_goes_down_once_and_comes_up_again() {
    let mut manager = membership("manager");
    let events = manager.hello("worker-1", &id("a"));
    assert_eq!(
        events,
        [
            ClusterEvent::Log("got hello from worker-1 (a)".to_owned()),
            ClusterEvent::NodeUp {
                name: name("worker-1"),
                id: id("a")
            },
        ]
    );
    assert!(short(manager.hello("worker-1", &id("a"))).is_empty());
    assert_eq!(
        manager.left(&id("a")),
        [
            ClusterEvent::Log("node down: worker-1".to_owned()),
            ClusterEvent::NodeDown {
                name: name("worker-1"),
                id: id("a")
            },
        ]
    );
    // Greeted by the same process, as after an unpeering.
    assert_eq!(
        short(manager.hello("worker-1", &id("a"))),
        ["up worker-1 a"]
    );
}

#[test]
fn a_successor_whose_predecessor_was_not_missed_comes_after_its_loss() {
    let mut manager = membership("manager");
    let _ = manager.hello("worker-1", &id("a"));
    assert_eq!(
        short(manager.hello("worker-1", &id("b"))),
        [
            "error: got hello from \"worker-1\" (b), which was a; is there another node of its name?",
            "down worker-1 a",
            "up worker-1 b",
        ]
    );
    assert_eq!(manager.get_active_node_count(Role::Worker), 1);
    assert_eq!(
        short(manager.left(&id("a"))),
        ["error: a is gone, which was no node of the cluster"]
    );
    assert_eq!(manager.id_of(&name("worker-1")), Some(&id("b")));
}

#[test]
fn names_that_are_not_in_the_layout_and_stolen_ones_change_nothing() {
    let mut manager = membership("manager");
    let _ = manager.hello("worker-1", &id("a"));
    for (greeting, process, expected) in [
        (
            "worker-3",
            "c",
            "error: got hello from \"worker-3\" (c), which the layout does not name; give its nodes \
             one layout",
        ),
        (
            "manager",
            "c",
            "error: got hello from another \"manager\" (c), as this node is called; start each name \
             once",
        ),
        (
            "worker-2",
            "a",
            "error: got hello from \"worker-2\" (a), which is \"worker-1\" already",
        ),
    ] {
        assert_eq!(short(manager.hello(greeting, &id(process))), [expected]);
    }
    assert!(manager.hello("manager", &id("own")).is_empty());
    assert_eq!(manager.ids.len(), 1);
    assert_eq!(manager.names.len(), 1);
}

#[test]
fn nodes_are_counted_by_type_without_this_one() {
    let mut worker = membership("worker-1");
    assert_eq!(worker.get_active_node_count(Role::Worker), 0);
    let _ = worker.hello("worker-2", &id("b"));
    let _ = worker.hello("logger-1", &id("l"));
    assert_eq!(worker.get_active_node_count(Role::Worker), 1);
    assert_eq!(worker.get_active_node_count(Role::Logger), 1);
    assert_eq!(worker.get_active_node_count(Role::Manager), 0);
    let (found, node) = worker.nodeid_to_node(&id("l")).unwrap();
    assert_eq!((found, node.node_type), (&name("logger-1"), Role::Logger));
    let _ = worker.left(&id("l"));
    assert_eq!(worker.nodeid_to_node(&id("l")), None);
    assert_eq!(worker.node_id(), &id("own"));
}

#[test]
fn pools_follow_who_is_there() {
    let mut manager = membership("manager");
    let key = HashKey::from("alpha");
    let topic = |manager: &Membership| {
        let topic = manager.pools().hrw_topic(WORKER_POOL, &key).unwrap();
        topic.map(str::to_owned)
    };
    assert_eq!(topic(&manager), None);
    let _ = manager.hello("worker-10", &id("a"));
    let expected = Some("zeek/cluster/node/worker-10/".to_owned());
    assert_eq!(topic(&manager), expected);
    let _ = manager.left(&id("a"));
    assert_eq!(topic(&manager), None);
}

#[test]
fn log_records_go_to_a_logger_and_without_one_to_the_default_topic() {
    let mut worker = membership("worker-1");
    assert_eq!(worker.rr_log_topic("Conn::LOG"), "zeek/logs/Conn::LOG");
    let logger = "zeek/cluster/node/logger-1/";
    assert_eq!(worker.rr_log_topic_of_any(), Some(logger));
    let _ = worker.hello("logger-1", &id("l"));
    assert_eq!(worker.rr_log_topic("Conn::LOG"), logger);
    assert_eq!(worker.rr_log_topic_of_any(), Some(logger));
}

#[test]
fn another_layout_keeps_who_stays_and_takes_down_who_is_gone() {
    let mut manager = membership("manager");
    let _ = manager.hello("worker-1", &id("a"));
    let _ = manager.hello("worker-2", &id("b"));
    let mut nodes = nodes();
    nodes.remove(&name("worker-2"));
    nodes.insert(name("worker-3"), node(Role::Worker));
    let events = manager.relayout(nodes, FrameworkSpec::default()).unwrap();
    assert_eq!(short(events), ["down worker-2 b"]);
    let pool = manager.pools().get(WORKER_POOL).unwrap();
    let alive = pool.members().iter().filter(|member| member.alive);
    let alive: Vec<&str> = alive.map(|member| member.name.as_str()).collect();
    assert_eq!(alive, ["worker-1"]);
    assert_eq!(
        short(manager.hello("worker-3", &id("c"))),
        ["up worker-3 c"]
    );
}

#[test]
fn what_all_agree_on_can_change_while_nodes_are_up() {
    let mut manager = membership("manager");
    let _ = manager.hello("worker-1", &id("a"));
    let mut spec = FrameworkSpec::of(Topics::of(TopicScheme::Dot));
    spec.manager_is_logger = Some(true);
    let events = manager.relayout(nodes(), spec).unwrap();
    assert_eq!(short(events), [] as [&str; 0]);
    assert!(manager.writes_logs());
    let topic = manager.pools_mut().rr_topic(WORKER_POOL, b"");
    assert_eq!(topic, Some("zeek.cluster.node.worker-1."));
    let mut spec = FrameworkSpec::default();
    spec.pools.get_mut(WORKER_POOL).unwrap().exclusive = true;
    assert!(manager.relayout(nodes(), spec).is_err());
    assert!(manager.writes_logs(), "nothing has changed");
}

#[test]
fn a_node_in_no_cluster_has_no_pools_and_needs_none() {
    let mut spec = FrameworkSpec::default();
    for pool in spec.pools.values_mut() {
        pool.exclusive = true;
    }
    let new = |roster| Membership::new(roster, id("own"), spec.clone());
    let nobody = new(Roster::new(None, nodes())).unwrap();
    assert_eq!(nobody.pools().iter().count(), 0);
    assert!(new(Roster::new(Some(name("manager")), nodes())).is_err());
}

proptest! {
    /// Whatever is greeted and lost, ups and downs of a name take turns and name the same process, and
    /// every answer agrees with them.
    #[test]
    fn ups_and_downs_take_turns(
        steps in proptest::collection::vec((any::<bool>(), 0usize..8, 0u8..6), 0..80),
    ) {
        let mut manager = membership("manager");
        let names: Vec<NodeName> = nodes().into_keys().chain([name("stranger")]).collect();
        let mut up: BTreeMap<NodeName, NodeId> = BTreeMap::new();
        for (is_hello, who, process) in steps {
            let process = id(&process.to_string());
            let events = if is_hello {
                manager.hello(names[who].as_str(), &process)
            } else {
                manager.left(&process)
            };
            for event in events {
                match event {
                    ClusterEvent::NodeUp { name, id } => {
                        prop_assert!(name.as_str() != "manager" && name.as_str() != "stranger");
                        prop_assert_eq!(up.insert(name, id), None);
                    }
                    ClusterEvent::NodeDown { name, id } => {
                        prop_assert_eq!(up.remove(&name), Some(id));
                    }
                    ClusterEvent::Log(_) | ClusterEvent::Error(_) => {}
                    ClusterEvent::BackendError(error) => prop_assert!(false, "{}", error),
                }
            }
            prop_assert_eq!(&manager.ids, &up);
            let back: BTreeMap<NodeName, NodeId> =
                manager.names.iter().map(|(id, name)| (name.clone(), id.clone())).collect();
            prop_assert_eq!(&back, &up);
            let workers = up.keys().filter(|name| name.as_str().starts_with("worker")).count();
            prop_assert_eq!(manager.get_active_node_count(Role::Worker), workers);
            prop_assert_eq!(manager.pools().get(WORKER_POOL).unwrap().alive_count(), workers);
        }
    }
}

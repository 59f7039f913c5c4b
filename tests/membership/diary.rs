//! Nodes around a stem made by hand, and a handler that writes down what happens to them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use cluster::data::Timestamp;
use cluster::data::message::Event;
use cluster::fabric::{FabricSpec, Slot};
use cluster::framework::{BackendError, FrameworkSpec, NodeId, PeerError};
use cluster::layout::Node;
use cluster::layout::seats::SeatLayout;
use cluster::layout::spec::Role;
use cluster::logging::spec::LogSpec;
use cluster::names::{InstanceName, NodeName};
use cluster::node::Cluster;
use cluster::node::cluster::{Handler, OrReport, Received};
use cluster::node::endpoint::Endpoint;
use cluster::sys::clock;

use super::stem::HandStem;

/// What must come comes within this time on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn layout(nodes: &[(&str, Role)]) -> String {
    layout_of(nodes, FrameworkSpec::default())
}

pub(crate) fn layout_of(nodes: &[(&str, Role)], framework: FrameworkSpec) -> String {
    layout_json(nodes, framework, LogSpec::default())
}

#[allow(dead_code, reason = "for the tests of logs, which share this file")]
pub(crate) fn layout_with(nodes: &[(&str, Role)], logging: LogSpec) -> String {
    layout_json(nodes, FrameworkSpec::default(), logging)
}

fn layout_json(nodes: &[(&str, Role)], framework: FrameworkSpec, logging: LogSpec) -> String {
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
        logging: Cow::Owned(logging),
    };
    String::from_utf8(layout.to_json().unwrap()).unwrap()
}

/// A stem with a manager and a worker.
pub(crate) fn pair() -> (HandStem, Slot, Slot) {
    pair_with(FabricSpec::default())
}

pub(crate) fn pair_with(spec: FabricSpec) -> (HandStem, Slot, Slot) {
    let stem = HandStem::new(spec);
    stem.lay_out(&layout(&[
        ("manager", Role::Manager),
        ("worker-1", Role::Worker),
    ]));
    let manager = stem.add("manager", Role::Manager);
    let worker = stem.add("worker-1", Role::Worker);
    (stem, manager, worker)
}

pub(crate) fn sit(stem: &HandStem, slot: Slot) -> Cluster {
    Cluster::over(Endpoint::on(stem.seat(slot, false)).unwrap()).unwrap()
}

/// Writes down what happens, and answers an event with another one.
#[derive(Default)]
pub(crate) struct Diary {
    pub(crate) lines: Vec<String>,
    pub(crate) stamps: Vec<Option<Timestamp>>,
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

    fn error(&mut self, cluster: &mut Cluster, error: &PeerError) {
        let (refused, why) = (cluster.events_refused(), cluster::causes::chain(error));
        self.lines.push(format!("error {refused} {why}"));
    }
}

/// Gives turns until the diary ends with this line.
pub(crate) fn until_last(cluster: &mut Cluster, diary: &mut Diary, last: &str) {
    let until = clock::monotonic() + PATIENCE;
    while diary.lines.last().is_none_or(|line| line != last) {
        cluster.turn(diary, Some(until)).unwrap();
        assert!(clock::monotonic() < until, "no {last}: {:?}", diary.lines);
    }
}

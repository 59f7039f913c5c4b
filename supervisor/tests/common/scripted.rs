//! Nodes of a cluster that do what a test tells them by events, and print what they see. A test binary
//! runs them: it starts itself once more, as a node.

use std::io::Write;

use cluster::data::{Value, View};
use cluster::framework::{EventType, NamedNode, Param, PeerError, TopicScheme, Topics};
use cluster::layout::spec::Role;
use cluster::names::NodeName;
use cluster::node::Cluster as Member;
use cluster::node::cluster::{Handler, OrReport, Received};
use cluster::pool::{HashKey, KeyType, PoolSpec};

use super::{Cluster, PATIENCE, layouts, wait_or_tell};

/// To be printed.
pub const PING: EventType = EventType::new("Test::ping", &[Param::Any]);
/// Publish a ping to the pool for each of these keys.
pub const HRW: EventType = EventType::new("Test::hrw", &[Param::String, Param::Vector]);
/// Publish so many pings to the pool in turn, with this key.
pub const RR: EventType = EventType::new("Test::rr", &[Param::String, Param::String, Param::Count]);
/// Unsubscribe.
pub const UNSUBSCRIBE: EventType = EventType::new("Test::unsubscribe", &[Param::String]);

/// Say what the seeds' functions answer.
pub const ASK: EventType = EventType::new("Test::ask", &[]);

/// Says to a process of the test binary that it is a node, and which pools it defines: `plain`,
/// `exclusive` or `limited`; or, as `dot`, that topics have dots.
const NODE: &str = "TEST_NODE";

/// An entry of a layout: a node of this type, which runs the test `test` of this binary.
pub fn node(node_type: &str, test: &str, pools: &str) -> String {
    let command = layouts::this_binary(test);
    format!(r#"node_type: {node_type}, {command}, env: {{"{NODE}": "{pools}"}}"#)
}

/// Runs the node if this process is to be one.
pub fn am_i_a_node() -> bool {
    let Ok(pools) = std::env::var(NODE) else {
        return false;
    };
    let mut member = Member::take_seat().unwrap();
    member.on_subscribe(|topic| say(&format!("hook=subscribe topic={topic}")));
    member.on_unsubscribe(|topic| say(&format!("hook=unsubscribe topic={topic}")));
    member.subscribe("early/").unwrap();
    member.subscribe("early/").unwrap();
    if pools == "dot" {
        member.use_topics(Topics::of(TopicScheme::Dot)).unwrap();
    }
    member.declare(PING);
    for (name, spec) in specs(&pools, &member) {
        member.register_pool(name, spec).unwrap();
    }
    member.run(&mut Script).unwrap();
    true
}

fn specs(pools: &str, member: &Member) -> Vec<(&'static str, PoolSpec)> {
    let proxy = member.topics().pool_specs()["proxy"].clone();
    if pools == "plain" || pools == "dot" {
        return Vec::new();
    }
    let limited = PoolSpec {
        max_nodes: Some(1),
        exclusive: pools == "exclusive",
        ..proxy.clone()
    };
    let custom = PoolSpec {
        topic: "zeek/cluster/pool/custom".to_owned(),
        ..proxy
    };
    vec![("proxy", limited), ("custom", custom)]
}

/// One write a line, past the test harness.
fn say(line: &str) {
    let line = format!("{line}\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

/// A key as it is; a set is one of counts.
fn hash_key(key: &Value) -> HashKey<'_> {
    let Value::Set(set) = key else {
        return key.try_into().unwrap();
    };
    let elements = set.iter().map(|count| vec![count.try_into().unwrap()]);
    HashKey::Set {
        index: vec![KeyType::Count],
        elements: elements.collect(),
    }
}

struct Script;

impl Handler for Script {
    fn event(&mut self, member: &mut Member, event: &Received<'_>) {
        let text = |index| event.arg(index).and_then(View::as_str).unwrap_or_default();
        match event.name() {
            "Test::ping" => {
                let topic = String::from_utf8_lossy(event.topic());
                let what = event.arg(0).unwrap().decode().unwrap();
                let time = event.network_timestamp().map_or(-1, |time| time.nanos());
                say(&format!("ping={what} topic={topic} time={time}"));
            }
            "Test::hrw" => {
                let keys = event.arg(1).unwrap().decode().unwrap();
                for key in keys.as_vector().unwrap() {
                    let ping = PING.event(vec![key.clone()]).unwrap();
                    let sent = member.publish_hrw(text(0), hash_key(key), &ping);
                    if let Err(error) = &sent {
                        say(&format!("refused={error}"));
                    }
                    say(&format!("hrw={key} sent={}", sent.or_report()));
                }
            }
            "Test::rr" => {
                let count = event.arg(2).and_then(View::as_count).unwrap();
                for turn in 0..count {
                    let ping = PING.event(vec![Value::from(turn)]).unwrap();
                    let sent = member.publish_rr(text(0), text(1), &ping).or_report();
                    say(&format!("rr={turn} sent={sent}"));
                }
            }
            "Test::unsubscribe" => say(&format!("was={}", member.unsubscribe(text(0)))),
            "Test::ask" => {
                let (all, active) = (
                    member.get_node_count(Role::Worker),
                    member.get_active_node_count(Role::Worker),
                );
                let (enabled, node_type) = (member.is_enabled(), member.local_node_type());
                let port = member.local_node_metrics_port();
                let own = member.node_id().clone();
                let nobody = NamedNode::from(member.nodeid_to_node(&own));
                let (name, address) = (nobody.name(), nobody.ip());
                say(&format!(
                    "ask workers={active}/{all} enabled={enabled} type={node_type:?} port={port:?} own={name:?}@{address}"
                ));
            }
            other => panic!("{other}"),
        }
    }

    fn error(&mut self, _: &mut Member, error: &PeerError) {
        say(&format!("error={}", cluster::causes::chain(error)));
    }

    fn node_up(&mut self, _: &mut Member, name: &NodeName, _: &cluster::framework::NodeId) {
        say(&format!("up={name}"));
    }

    fn node_down(&mut self, _: &mut Member, name: &NodeName, _: &cluster::framework::NodeId) {
        say(&format!("down={name}"));
    }

    fn cluster_started(&mut self, _: &mut Member) {
        say("started");
    }
}

impl Cluster {
    /// What a node printed with this beginning, without it; waits for so many lines of the kind.
    pub fn printed(&self, node: &str, beginning: &str, count: usize) -> Vec<String> {
        let now = || -> Vec<String> {
            let text = self.read(&format!("{node}/stdout.log"));
            let lines = text
                .split_inclusive('\n')
                .filter_map(|line| line.strip_suffix('\n'));
            // The first one stands behind the harness's own words.
            let found = lines.filter_map(|line| Some(line.split_once(beginning)?.1.to_owned()));
            found.collect()
        };
        wait_or_tell(
            &format!("{node}: {count} times {beginning}"),
            PATIENCE,
            || Some(now()).filter(|lines| lines.len() >= count),
            || {
                format!(
                    "{}\n{}",
                    self.read(&format!("{node}/stdout.log")),
                    self.console()
                )
            },
        )
    }
}

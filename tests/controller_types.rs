//! The records of the management API keep every field through JSON and RON, fill in what is left
//! out, and speak the words of both forms.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use cluster::controller::types::{
    API_VERSION, ApiOption, ApiResult, ClusterRole, Configuration, Data, Form, Instance, Node,
    NodeOutputs, NodeStatus, Role, State,
};
use cluster::layout::spec;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// There and back through both, and each named field stands in the JSON with the value given.
fn travels<T>(value: &T, fields: &serde_json::Value)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let json = serde_json::to_value(value).unwrap();
    assert_eq!(&json, fields);
    assert_eq!(&serde_json::from_value::<T>(json).unwrap(), value);
    let text = ron::to_string(value).unwrap();
    assert_eq!(&ron::from_str::<T>(&text).unwrap(), value, "{text}");
}

fn instance() -> Instance {
    Instance {
        name: "agent-a".into(),
        host: "192.0.2.7".parse().unwrap(),
        listen_port: Some(2151),
    }
}

fn node() -> Node {
    Node {
        name: "worker-1".into(),
        instance: "agent-a".into(),
        role: ClusterRole::Worker,
        state: State::Running,
        p: Some(2204),
        scripts: Some(vec!["site.lua".into()]),
        options: Some(BTreeSet::from([ApiOption {
            name: "quiet".into(),
            value: "T".into(),
        }])),
        interface: Some("eth0".into()),
        cpu_affinity: Some(3),
        env: BTreeMap::from([("LANG".into(), "C".into())]),
        metrics_port: Some(9004),
    }
}

fn node_json() -> serde_json::Value {
    serde_json::json!({
        "name": "worker-1", "instance": "agent-a", "role": "WORKER", "state": "RUNNING",
        "p": 2204, "scripts": ["site.lua"], "options": [{"name": "quiet", "value": "T"}],
        "interface": "eth0", "cpu_affinity": 3, "env": {"LANG": "C"}, "metrics_port": 9004,
    })
}

#[test]
fn the_api_has_version_one() {
    assert_eq!(API_VERSION, 1);
}

#[test]
fn an_instance_travels_field_by_field() {
    travels(
        &instance(),
        &serde_json::json!({"name": "agent-a", "host": "192.0.2.7", "listen_port": 2151}),
    );
    travels(
        &Instance {
            host: "2001:db8::1".parse().unwrap(),
            listen_port: None,
            ..instance()
        },
        &serde_json::json!({"name": "agent-a", "host": "2001:db8::1", "listen_port": null}),
    );
}

#[test]
fn a_node_travels_field_by_field() {
    travels(&node(), &node_json());
}

#[test]
fn a_configuration_travels_and_keeps_two_different_nodes_of_one_name() {
    let other = Node { p: None, ..node() };
    let mut other_json = node_json();
    other_json["p"] = serde_json::Value::Null;
    travels(
        &Configuration {
            id: "0f".into(),
            instances: BTreeSet::from([instance()]),
            nodes: BTreeSet::from([node(), other, node()]),
        },
        &serde_json::json!({
            "id": "0f",
            "instances": [{"name": "agent-a", "host": "192.0.2.7", "listen_port": 2151}],
            "nodes": [other_json, node_json()],
        }),
    );
}

#[test]
fn a_result_travels_with_every_kind_of_data() {
    let status = NodeStatus {
        node: "worker-1".into(),
        state: State::Crashed,
        mgmt_role: Role::Node,
        cluster_role: ClusterRole::Worker,
        pid: Some(4711),
        p: Some(2204),
        metrics_port: Some(9004),
    };
    let status_json = serde_json::json!({
        "node": "worker-1", "state": "CRASHED", "mgmt_role": "NODE", "cluster_role": "WORKER",
        "pid": 4711, "p": 2204, "metrics_port": 9004,
    });
    let kinds = [
        (Data::Text("c1".into()), serde_json::json!({"Text": "c1"})),
        (
            Data::Instances(vec![instance()]),
            serde_json::json!({"Instances": [instance()]}),
        ),
        (
            Data::Configuration(Configuration::default()),
            serde_json::json!({"Configuration": {"id": "", "instances": [], "nodes": []}}),
        ),
        (
            Data::Nodes(vec![status]),
            serde_json::json!({"Nodes": [status_json]}),
        ),
        (
            Data::Outputs(NodeOutputs {
                stdout: "o".into(),
                stderr: "e".into(),
            }),
            serde_json::json!({"Outputs": {"stdout": "o", "stderr": "e"}}),
        ),
    ];
    for (data, json) in kinds {
        travels(
            &ApiResult {
                instance: Some("agent-a".into()),
                data: Some(data),
                node: Some("worker-1".into()),
                ..ApiResult::failed("R1", "request timed out")
            },
            &serde_json::json!({
                "reqid": "R1", "success": false, "instance": "agent-a", "data": json,
                "error": "request timed out", "node": "worker-1",
            }),
        );
    }
}

#[test]
fn what_is_left_out_is_filled_in_and_a_result_succeeds_unless_it_says_otherwise() {
    let short: ApiResult = serde_json::from_str(r#"{"reqid": "R1"}"#).unwrap();
    assert_eq!(short, ApiResult::done("R1"));
    let short: ApiResult = ron::from_str(r#"(reqid: "R1")"#).unwrap();
    assert_eq!(short, ApiResult::done("R1"));
    let short: Node = ron::from_str(r#"(name: "n", instance: "i", role: MANAGER)"#).unwrap();
    assert_eq!(
        short,
        Node {
            name: "n".into(),
            instance: "i".into(),
            role: ClusterRole::Manager,
            state: State::Unknown,
            p: None,
            scripts: None,
            options: None,
            interface: None,
            cpu_affinity: None,
            env: BTreeMap::new(),
            metrics_port: None,
        }
    );
}

#[test]
fn states_are_read_in_the_words_of_both_forms() {
    let all = [
        (State::Pending, "PENDING", "Unknown"),
        (State::Running, "RUNNING", "Running"),
        (State::Stopped, "STOPPED", "Stopped"),
        (State::Failed, "FAILED", "Failed"),
        (State::Crashed, "CRASHED", "Crashed"),
        (State::Unknown, "UNKNOWN", "Unknown"),
    ];
    for (state, current, old) in all {
        assert_eq!(state.word(Form::Current), current);
        assert_eq!(state.word(Form::Old), old);
        assert_eq!(state.to_string(), current);
        travels(&state, &serde_json::json!(current));
        if state != State::Pending {
            assert_eq!(
                serde_json::from_value::<State>(serde_json::json!(old)).unwrap(),
                state
            );
        }
    }
    assert!(serde_json::from_str::<State>("\"Pending\"").is_err());
}

#[test]
fn roles_show_the_words_of_the_api() {
    for (role, word) in [
        (Role::None, "NONE"),
        (Role::Agent, "AGENT"),
        (Role::Controller, "CONTROLLER"),
        (Role::Node, "NODE"),
    ] {
        assert_eq!(role.to_string(), word);
        travels(&role, &serde_json::json!(word));
    }
    for (role, cluster_role, word) in [
        (spec::Role::None, ClusterRole::None, "NONE"),
        (spec::Role::Control, ClusterRole::None, "NONE"),
        (spec::Role::Controller, ClusterRole::None, "NONE"),
        (spec::Role::Logger, ClusterRole::Logger, "LOGGER"),
        (spec::Role::Manager, ClusterRole::Manager, "MANAGER"),
        (spec::Role::Proxy, ClusterRole::Proxy, "PROXY"),
        (spec::Role::Worker, ClusterRole::Worker, "WORKER"),
    ] {
        assert_eq!(ClusterRole::from(role), cluster_role);
        assert_eq!(cluster_role.to_string(), word);
        travels(&cluster_role, &serde_json::json!(word));
    }
}

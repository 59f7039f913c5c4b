//! Nodes that join a running layout: what they take from it, and what it refuses them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::finding::{Finding, Severity};
use super::sample::{Machine, layout, only, same};
use super::spec::{ChildSpec, RestartPolicy};
use super::{Layout, More, Overrides, read_more};

const RUNNING: &str = r#"(
    instances: {"a": (ip: "127.0.0.1"), "b": (ip: "10.0.0.2")},
    controller: (instance: "a"),
    restart: (policy: OnFailure, floor: "1s"),
    stop: (grace: "3s"),
    watchdog: (stale_after: "7s"),
    stages: {"late": (number: 60, quorum: 1, time_limit: "5s"), "workers": (quorum: 1)},
    run_dir: "/run/site",
    nodes: {
        "manager": (node_type: Manager, instance: "a", p: 4000),
        "worker": (node_type: Worker, instance: "a", manager: "manager", count: 2, cpus: [1, 2]),
        "far": (node_type: Worker, instance: "b", manager: "manager"),
        "tool": (command: ["true"], instance: "a", ip: "0.0.0.0", p: 5000, stdout_file: "/log/tool"),
    },
)"#;

fn join_on(
    text: &str,
    running: &Layout,
    machine: &Machine,
) -> Result<(More, Vec<Finding>), Vec<Finding>> {
    let overrides = Overrides {
        default_run_dir: PathBuf::from("/work/run"),
        ..Overrides::default()
    };
    let path = Path::new("/etc/site/a.ron");
    read_more(text, path, running, &overrides, machine)
}

fn join(text: &str) -> Result<(More, Vec<Finding>), Vec<Finding>> {
    join_on(text, &layout(RUNNING), &Machine::default())
}

fn joined(text: &str) -> More {
    join(text).unwrap().0
}

fn refused(text: &str) -> String {
    let mut findings = join(text).unwrap_err();
    findings.retain(|f| f.severity == Severity::Error);
    only(&findings)
}

fn names(children: &[ChildSpec]) -> Vec<&str> {
    children.iter().map(|c| c.name.as_str()).collect()
}

#[test]
fn what_joins_is_what_it_would_be_in_the_layout() {
    let nodes = r#""worker-9": (node_type: Worker, manager: "manager", instance: "a", pcap_file: "x.pcap"),
        "probe": (command: ["./bin/probe", "{index}"], count: 2, instance: "a", after: ["manager"], restart: (policy: Never)),
        "last": (command: ["true"], instance: "a", stage: "late"),"#;
    let more = joined(&format!("{{{nodes}}}"));
    let whole = layout(&RUNNING.replacen("nodes: {", &format!("nodes: {{{nodes}"), 1));
    let running = layout(RUNNING);
    let new = |c: &ChildSpec| !running.children.iter().any(|old| old.name == c.name);
    let expected: Vec<ChildSpec> = whole.children.iter().filter(|c| new(c)).cloned().collect();
    assert_eq!(more.children, expected);
    assert_eq!(
        names(&more.children),
        ["worker-9", "probe-1", "probe-2", "last"]
    );
    assert_eq!(more.stages, whole.stages);
    assert_eq!(more.nodes["worker-9"], whole.nodes["worker-9"]);
    assert_eq!(more.nodes.len(), 1);
}

#[test]
fn the_defaults_the_run_directory_and_the_instance_are_the_running_ones() {
    let more = joined(r#"{"w": (node_type: Worker), "x": (command: ["true"], directory: "d")}"#);
    let [worker, command] = more.children.as_slice() else {
        panic!("{:?}", more.children);
    };
    assert_eq!(worker.life.restart, RestartPolicy::OnFailure);
    assert_eq!(worker.life.stop_grace, Duration::from_secs(3));
    assert_eq!(worker.watchdog.unwrap().stale_after, Duration::from_secs(7));
    assert_eq!(command.watchdog, None);
    assert_eq!(worker.home, Path::new("/run/site/w"));
    assert_eq!(command.directory(), Path::new("/etc/site/d"));
    assert_eq!(more.nodes["w"].instance.as_str(), "a");
}

#[test]
fn running_stages_stay_as_they_are_and_new_ones_find_their_place() {
    let running = layout(RUNNING);
    let more = joined(
        r#"{"y": (command: ["true"], after: ["worker-2"]), "z": (command: ["true"], after: ["y"]), "early": (command: ["true"], stage: 5), "x": (node_type: Proxy, after: ["worker-1"])}"#,
    );
    let stages: Vec<(u16, &str)> = more
        .stages
        .iter()
        .map(|s| (s.number, s.name.as_str()))
        .collect();
    assert_eq!(
        stages,
        [
            (0, "controller"),
            (5, "controller+5"),
            (20, "manager"),
            (40, "workers"),
            (41, "workers+1"),
            (50, "commands"),
            (51, "commands+1"),
        ]
    );
    assert!(running.stages.iter().all(|s| more.stages.contains(s)));
    assert_eq!(names(&more.children), ["early", "x", "y", "z"]);
}

#[test]
fn no_name_is_given_twice() {
    for taken in ["manager", "worker-2", "far", "tool", "controller-alpha"] {
        same(
            refused(&format!("{{\n \"{taken}\": (command: [\"true\"])}}")),
            &format!(
                "2:2|{taken}|-|duplicate name: there is a node \"{taken}\" already|choose another name, or destroy that node first"
            ),
        );
    }
    same(
        refused("{\"worker\": (command: [\"true\"], count: 1)}"),
        r#"1:2|worker|-|duplicate name: there is a node "worker-1" already|choose another name, or destroy that node first"#,
    );
    same(
        refused("{\"x\": (command: [\"true\"]),\n\"x\": (command: [\"true\"])}"),
        r#"2:1|x|-|"x" stands here and already at 1:2|give one of them another name, or take it away"#,
    );
}

#[test]
fn a_name_given_twice_does_not_clash_with_itself() {
    for again in [
        "\"tool\": (command: [\"true\"], ip: \"0.0.0.0\", p: 5000)",
        "\"manager\": (node_type: Proxy, p: 4000)",
    ] {
        let found = refused(&format!("{{\n{again}}}"));
        assert!(found.contains("|duplicate name"), "{found}");
    }
}

#[test]
fn what_runs_keeps_what_it_has() {
    same(
        refused("{\n\"x\": (node_type: Worker, p: 4000)}"),
        r#"2:26|x|p|"manager" listens on 4000 already|give each node a port of its own"#,
    );
    same(
        refused("{\n\"x\": (command: [\"true\"], ip: \"10.9.9.9\", p: 5000)}"),
        r#"2:42|x|p|"tool" listens on 5000 already|give each node a port of its own"#,
    );
    same(
        refused("{\n\"x\": (command: [\"true\"], stderr_file: \"/log/tool\")}"),
        r#"2:26|x|stderr_file|"tool" writes to /log/tool too|add {name} to the path, so that each node has its own"#,
    );
    same(
        refused("{\n\"x\": (node_type: Manager)}"),
        r#"2:1|x|-|it is a second manager, beside "manager"|a cluster has one manager; give the others another role"#,
    );
    let (more, findings) = join("{\n\"x\": (command: [\"true\"], cpus: [2, 3])}").unwrap();
    assert_eq!(findings[0].severity, Severity::Warning);
    same(
        only(&findings),
        r#"2:26|x|cpus|"worker-2" is pinned to the same processors: 2|give each its own where they are to run at the same time"#,
    );
    assert_eq!(more.children[0].cpus, [2, 3]);
    let machine = Machine {
        descriptors: 110,
        ..Machine::default()
    };
    let text = "{\"x\": (command: [\"true\"])}";
    same(
        only(&join_on(text, &layout(RUNNING), &machine).unwrap_err()),
        "1:1|-|nodes|6 children and their 8 rings need about 132 descriptors, and the limit is 110|raise the hard limit (ulimit -Hn, LimitNOFILE=), or start fewer",
    );
}

#[test]
fn who_and_what_is_named_has_to_be_there() {
    same(
        refused("{\"x\": (node_type: Worker, manager: \"manger\")}"),
        r#"1:27|x|manager|there is no node "manger"|did you mean "manager"?"#,
    );
    same(
        refused("{\"x\": (node_type: Worker, manager: \"tool\")}"),
        r#"1:27|x|manager|"tool" is no manager|did you mean "manager"?"#,
    );
    same(
        refused("{\"x\": (command: [\"true\"], after: [\"worker-3\"])}"),
        r#"1:27|x|after|there is no node "worker-3" to start after|did you mean "worker-1"?"#,
    );
    same(
        refused("{\"x\": (command: [\"true\"], after: [\"far\"])}"),
        r#"1:27|x|after|"far" does not run on this instance|the order of starting holds within one instance; take it away"#,
    );
    same(
        refused("{\"x\": (command: [\"true\"], instance: \"b\")}"),
        r#"1:27|x|instance|it would not run here: this is the instance "a"|take instance away, or add the node on "b""#,
    );
    same(
        refused("{\"x\": (command: [\"true\"], instance: \"c\")}"),
        r#"1:27|x|instance|the instance "c" is not known|known are a, b"#,
    );
    same(
        refused("{\"x\": (node_type: Worker, interface: \"i\", pcap_file: \"p\")}"),
        "1:43|x|pcap_file|interface and pcap_file are both given|a node reads from one of them; take the other away",
    );
    same(
        refused("{\n  \"x\": (commnad: [\"true\"])}"),
        r#"2:9|x|commnad|the key "commnad" is not known here|did you mean "command"?"#,
    );
}

#[test]
fn a_text_that_is_no_map_of_nodes_is_refused() {
    for text in ["", "(nodes: {})", "[]", "\"a\": (command: [\"true\"])"] {
        let findings = join(text).unwrap_err();
        assert_eq!(findings[0].message, "this is no map of nodes", "{text}");
    }
    same(
        refused(" {}"),
        r#"1:2|-|-|no node is named|write { "name": (command: ["program"]) }"#,
    );
    let found = refused("{\"x\" (command: [\"true\"])}");
    assert!(found.starts_with("1:5|"), "{found}");
    assert!(found.contains("expected colon"), "{found}");
}

#[test]
fn a_cluster_that_grows_from_commands_gets_no_controller() {
    let running = layout("(nodes: {\"a\": (command: [\"true\"])})");
    let text = "{\"m\": (node_type: Manager), \"w\": (node_type: Worker, manager: \"m\")}";
    let (more, findings) = join_on(text, &running, &Machine::default()).unwrap();
    assert_eq!(names(&more.children), ["m", "w"]);
    assert_eq!(more.nodes["w"].manager.as_ref().unwrap().as_str(), "m");
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(more.stages.len(), 3);
}

proptest::proptest! {
    #[test]
    fn any_pieces_are_read_without_a_panic(pieces in proptest::collection::vec(
        proptest::sample::select(vec![
            "{", "}", "(", ")", "[", "]", ":", ",", "\"a\"", "\"manager\"", "\"b\": (", "command: [\"true\"]", "count: 3",
            "after: [\"worker-1\"]", "manager: \"a\"", "node_type: Manager", "p: 4000", "// x\n", "ß", "\u{0}",
        ]), 0..40,
    )) {
        let _ = join(&pieces.concat());
    }
}

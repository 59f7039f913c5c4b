//! What is understood, doubted or set aside: whole layouts, and texts that are none.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::finding::Severity;
use super::sample::{Machine, layout, on, only, refused, refused_on, same, with};
use super::spec::{Program, Ready, Role, WatchdogAction};
use super::suggest::COMPARED;
use super::{Layout, Overrides, read};

#[test]
fn processors_shared_by_two_entries_are_a_warning() {
    let text = "(nodes: {\n\"a\": (command: [\"true\"], cpus: \"0-3:2\", count: 3),\n\"b\": (command: [\"true\"], cpu_affinity: 2)})";
    let (layout, findings) = on(text, &Machine::default()).unwrap();
    assert_eq!(findings[0].severity, Severity::Warning);
    same(
        only(&findings),
        r#"3:26|b|cpu_affinity|"a" is pinned to the same processors: 2|give each its own where they are to run at the same time"#,
    );
    let cpus: Vec<_> = layout.children.iter().map(|c| c.cpus.clone()).collect();
    assert_eq!(cpus, [[0], [2], [0], [2]]);
    let (layout, findings) = on(
        &with("command: [\"true\"], cpus: [1, 99]"),
        &Machine::default(),
    )
    .unwrap();
    same(
        only(&findings),
        "3:26|x|cpus|not online on this host, and left out: 99|online are 0, 1, 2, 3, 4, 5, 6, 7",
    );
    assert_eq!(layout.children.last().unwrap().cpus, [1]);
}

/// Each entry's search alone would come to as many comparisons as there are names.
#[test]
fn a_fault_that_thousands_of_entries_share_is_not_looked_up_for_each() {
    const ENTRIES: usize = 2_000;
    let machine = Machine {
        descriptors: 1 << 20,
        ..Machine::default()
    };
    for fault in [
        "node_type: Worker, manager: \"loger\"",
        "node_type: Worker, manager: \"w{}x\"",
        "command: [\"true\"], after: [\"loger\"]",
        "command: [\"true\"], after: [\"w{}x\"]",
        "command: [\"true\"], stage: \"wrokers\"",
        "command: [\"true\"], instance: \"hree\"",
        "comand: [\"true\"]",
    ] {
        let mut text = "(nodes: {\"logger\": (node_type: Logger)".to_owned();
        for number in 0..ENTRIES {
            let fault = fault.replace("{}", &number.to_string());
            let _ = write!(text, ",\n\"w{number}\": ({fault})");
        }
        text.push_str("})");
        let before = COMPARED.get();
        let found = refused_on(&text, &machine);
        let compared = COMPARED.get() - before;
        assert!(compared <= 100 * ENTRIES, "{fault}: {compared}");
        assert_eq!(found.len(), 501, "{fault}");
        assert_eq!(found[500].message, "1500 more findings are not shown");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a bound on the time it takes")]
fn ten_thousand_nodes_are_a_matter_of_descriptors_and_take_no_time() {
    let machine = |descriptors| Machine {
        descriptors,
        ..Machine::default()
    };
    let text = "(nodes: {\n\"a\": (command: [\"true\", \"{index}\"], count: 10000)})";
    let begin = Instant::now();
    let (layout, _) = on(text, &machine(1 << 20)).unwrap();
    assert_eq!(layout.children.len(), 10_000);
    assert_eq!(layout.children[9_999].name.as_str(), "a-10000");
    same(
        only(&refused_on(text, &machine(4096))),
        "1:2|-|nodes|10000 children need about 80064 descriptors, and the limit is 4096|raise the hard limit (ulimit -Hn, LimitNOFILE=), or start fewer",
    );
    let mut text = "(nodes: {\"m\": (node_type: Manager),".to_owned();
    for number in 0..10_000 {
        let _ = writeln!(
            text,
            "\"w{number}\": (node_type: Worker, manager: \"m\", after: [\"m\"]),"
        );
    }
    text.push_str("})");
    assert_eq!(
        on(&text, &machine(1 << 20)).unwrap().0.children.len(),
        10_002
    );
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn several_errors_are_all_told_in_the_order_of_the_text() {
    let text =
        "(nodes: {\n\"b\": (node_type: Worker, manager: \"m\"),\n\"a\": (command: [\"gone\"]),\n})";
    let lines: Vec<usize> = refused_on(text, &Machine::default())
        .iter()
        .map(|f| f.line)
        .collect();
    assert_eq!(lines, [2, 3]);
}

#[test]
fn several_instances_have_to_be_told_apart() {
    let text = |more: &str| {
        format!(
            "(instances: {{\"a\": (ip: \"127.0.0.1\"), \"b\": (ip: \"10.0.0.2\")}}, {more}\nnodes: {{\n\"m\": (node_type: Manager, instance: \"a\"),\n\"w\": (node_type: Worker, instance: \"b\", manager: \"m\")}})"
        )
    };
    same(
        refused(&text("")),
        r#"1:1|-|controller.instance|with several instances the layout has to say which one has the controller|add controller: (instance: "..") with one of a, b"#,
    );
    let good = layout(&text("controller: (instance: \"a\"),"));
    let names: Vec<&str> = good.children.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["controller-alpha", "m"]);
    assert_eq!(good.nodes.len(), 2);
    assert_eq!(
        layout(&text("controller: (instance: \"b\"),"))
            .children
            .len(),
        1
    );
    let nowhere = Machine {
        addresses: Vec::new(),
        ..Machine::default()
    };
    let text = text("controller: (enabled: false),");
    same(
        only(&refused_on(&text, &nowhere)),
        "1:2|-|instances|no instance has an address of this host|say which one this is with --instance: a, b",
    );
    let both = Machine {
        addresses: vec!["127.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()],
        ..Machine::default()
    };
    same(
        only(&refused_on(&text, &both)),
        "1:2|-|instances|several instances have an address of this host: a, b|say which one this is with --instance",
    );
}

#[test]
fn nothing_that_is_not_acted_on_passes_in_silence() {
    let text = "(websocket: (listen_addr: \"::1\", listen_port: 9, tls_options: (cert_file: \"c\")), stores: (default_backend: Memory), transport: Rings, broker: (port: 1),\nnodes: {\"w\": (node_type: Worker, interface: \"eth0\", scripts: [\"a.lua\"], metrics_port: 1)}, controller: (port: 2150))";
    let machine = Machine {
        variables: vec![
            ("ZEEK_CONTROLLER_NAME", "boss"),
            ("ZEEK_CONTROLLER_PORT", "1"),
        ],
        ..Machine::default()
    };
    let (layout, findings) = on(text, &machine).unwrap();
    assert!(findings.iter().all(|f| f.severity == Severity::NotActedOn));
    let fields: Vec<&str> = findings.iter().filter_map(|f| f.field.as_deref()).collect();
    assert_eq!(
        fields,
        [
            "websocket",
            "stores",
            "transport",
            "broker",
            "interface",
            "scripts",
            "metrics_port",
            "controller",
            "controller.port"
        ]
    );
    assert_eq!(layout.children[0].name.as_str(), "boss");
    assert_eq!(layout.children[0].role, Role::Controller);
    same(
        refused("(websocket: (listen_adr: 1), nodes: {})"),
        r#"1:14|-|websocket.listen_adr|the key "listen_adr" is not known here|did you mean "listen_addr"?"#,
    );
}

#[test]
fn a_port_of_a_role_of_our_own_is_held_and_not_served() {
    let port_of = |x: &str| on(&with(x), &Machine::default()).unwrap();
    let (layout, findings) = port_of("node_type: Proxy, p: 4000");
    assert_eq!(findings[0].severity, Severity::NotActedOn);
    same(
        only(&findings),
        "3:25|x|p|the port is held open; nothing serves it in this build: callers are let go at once|-",
    );
    let proxy = layout.children.iter().find(|c| c.name.as_str() == "x");
    assert_eq!(proxy.unwrap().listen.len(), 1);
    for served in [
        "node_type: Proxy, p: 0",
        "command: [\"true\"], node_type: Proxy, p: 4000",
    ] {
        assert!(port_of(served).1.is_empty(), "{served}");
    }
}

#[test]
fn births_without_pause_or_end_are_allowed_with_a_warning() {
    let found = |top: &str, restart: &str| {
        let nodes = format!("nodes: {{\n\"x\": (command: [\"true\"], restart: ({restart}))}}");
        let text = format!("(restart: ({top}),\n{nodes})");
        on(&text, &Machine::default()).unwrap().1
    };
    let findings = found("", "floor: \"0s\", give_up: \"off\"");
    assert_eq!(findings[0].severity, Severity::Warning);
    same(
        only(&findings),
        r#"3:36|x|restart.floor|a program that ends at once is started again without pause|give it a floor, as in floor: "250ms", or a give_up"#,
    );
    let top = "give_up: \"off\", floor: \"0s\"";
    assert_eq!(found(top, "").len(), 1, "told once, where it stands");
    assert_eq!(found("give_up: \"off\"", "floor: \"0s\"").len(), 1);
    for (top, restart) in [
        ("give_up: \"off\"", ""),
        ("floor: \"0s\"", ""),
        ("policy: Never, give_up: \"off\", floor: \"0s\"", ""),
    ] {
        assert!(found(top, restart).is_empty(), "{top} {restart}");
    }
}

#[test]
fn everything_a_command_can_say_arrives() {
    let layout = layout(
        "(output: (rotate: \"1MiB\"), nodes: {\"x\": (command: [\"./bin/probe\", \"-i{index0}\"], node_type: Worker, cpus: [3], directory: \"work/{name}\", ready: Tcp(\"127.0.0.1:80\"), restart: (policy: Every(\"1h\"), give_up: \"off\"), ready_timeout: \"off\", limits: (nofile: 9, core: \"unlimited\", memory_max: \"1GiB\"), capabilities: [\"CAP_NET_RAW\"], hooks: (on_exit: (command: [\"true\"], timeout: \"3s\"), on_crash: [\"true\"]), watchdog: (action: Abort), zone_id: \"eth0\", p: 0)})",
    );
    let child = layout.children.last().unwrap();
    assert_eq!(
        child.program,
        Program::Command(vec!["/etc/site/bin/probe".to_owned(), "-i0".to_owned()])
    );
    assert_eq!(child.directory().to_str(), Some("/etc/site/work/x"));
    assert_eq!(child.ready, Ready::Tcp("127.0.0.1:80".parse().unwrap()));
    assert_eq!(child.life.give_up, None);
    assert_eq!(child.life.ready_timeout, None);
    assert_eq!(child.rlimits.len(), 2);
    assert_eq!(child.group_limits[0].value, "1073741824");
    assert_eq!(child.capabilities, [13]);
    assert_eq!(child.hooks[0].timeout, Duration::from_secs(3));
    assert_eq!(child.watchdog.unwrap().stale_after, Duration::from_secs(10));
    assert_eq!(child.env, [("CLUSTER_NODE".to_owned(), "x".to_owned())]);
    assert!(child.listen.is_empty());
    assert_eq!(
        layout.nodes.len(),
        1,
        "a command with a role is in the topology"
    );
    assert_eq!(layout.children.len(), 1, "and alone it needs no controller");
}

/// Heartbeats wake an idle machine, so nobody shows them unasked.
#[test]
fn only_those_are_watched_whom_the_layout_wants_watched() {
    let watched = |top: &str| -> Vec<(String, u64, WatchdogAction)> {
        let text = format!(
            "({top} nodes: {{\"m\": (node_type: Manager), \"w\": (node_type: Worker, watchdog: (stale_after: \"3s\")), \"off\": (node_type: Proxy, watchdog: \"off\"), \"c\": (command: [\"true\"]), \"d\": (command: [\"true\"], watchdog: ())}})"
        );
        let children = layout(&text).children.into_iter();
        children
            .filter_map(|c| {
                let watchdog = c.watchdog?;
                let seconds = watchdog.stale_after.as_secs();
                Some((c.name.to_string(), seconds, watchdog.action))
            })
            .collect()
    };
    let expected = |list: &[(&str, u64, WatchdogAction)]| -> Vec<(String, u64, WatchdogAction)> {
        list.iter()
            .map(|(n, s, a)| ((*n).to_owned(), *s, *a))
            .collect()
    };
    use WatchdogAction::{Report, Restart};
    for off in ["", "watchdog: \"off\","] {
        assert_eq!(
            watched(off),
            expected(&[("w", 3, Report), ("d", 10, Report)])
        );
    }
    assert_eq!(
        watched("watchdog: (stale_after: \"20s\", action: Restart),"),
        expected(&[
            ("controller-alpha", 20, Restart),
            ("m", 20, Restart),
            ("w", 3, Restart),
            ("d", 20, Restart),
        ])
    );
    same(
        refused(&with(
            "node_type: Worker, watchdog: (stale_after: \"10ms\")",
        )),
        r#"3:37|x|watchdog.stale_after|so short a silence says nothing|use "1s" or more; a busy machine is late now and then"#,
    );
    same(
        refused(&with("node_type: Worker, watchdog: (acton: Report)")),
        r#"3:37|x|watchdog.acton|the key "acton" is not known here|did you mean "action"?"#,
    );
}

#[test]
fn the_command_line_goes_before_the_layout() {
    let text = "(run_dir: \"../run\", nodes: {\"a\": (command: [\"true\"])})";
    let mut overrides = Overrides {
        default_run_dir: PathBuf::from("/work/run"),
        ..Overrides::default()
    };
    let run_dir = |overrides: &Overrides| {
        let path = Path::new("sites/a.ron");
        let (layout, _) = read(text, path, overrides, &Machine::default()).unwrap();
        assert_eq!(layout.path, Path::new("/work/sites/a.ron"));
        layout.settings.run_dir
    };
    assert_eq!(run_dir(&overrides), Path::new("/work/sites/../run"));
    overrides.run_dir = Some(PathBuf::from("/var/run"));
    assert_eq!(run_dir(&overrides), Path::new("/var/run"));
    overrides.instance = Some("hree".to_owned());
    let path = Path::new("/etc/site/a.ron");
    let findings = read(text, path, &overrides, &Machine::default()).unwrap_err();
    same(
        only(&findings),
        r#"1:1|-|instances|the layout has no instance "hree", which --instance asks for|did you mean "here"?"#,
    );
}

#[test]
fn a_layout_travels_as_json() {
    let layout = layout(
        "(instances: {\"a\": ()}, nodes: {\"m\": (node_type: Manager), \"x\": (command: [\"true\"], p: 80)})",
    );
    let text = serde_json::to_string(&layout).unwrap();
    assert_eq!(serde_json::from_str::<Layout>(&text).unwrap(), layout);
}

#[test]
fn an_interface_is_a_template_too() {
    let text = "(nodes: {\"w\": (node_type: Worker, interface: \"eth{index0}.{cpu}\", count: 2, cpus: [4, 5])})";
    let interfaces: Vec<_> = layout(text)
        .nodes
        .into_values()
        .filter_map(|node| node.interface)
        .collect();
    assert_eq!(interfaces, ["eth0.4", "eth1.5"]);
}

/// Another host's processors are not known here, so what is written of them stands.
#[test]
fn an_interface_is_named_after_the_processor_that_its_node_is_pinned_to() {
    let text = r#"(instances: {"a": (ip: "127.0.0.1"), "b": (ip: "10.0.0.2")}, controller: (enabled: false), nodes: {
        "here": (node_type: Worker, instance: "a", interface: "eth.{cpu}", count: 2, cpus: [99, 4]),
        "there": (node_type: Worker, instance: "b", interface: "eth.{cpu}", cpus: [99]),
    })"#;
    let (layout, _) = on(text, &Machine::default()).unwrap();
    let pins: Vec<_> = layout.children.iter().map(|c| c.cpus.clone()).collect();
    assert_eq!(pins, [[4], [4]]);
    let nodes = layout.nodes.values();
    let interfaces: Vec<_> = nodes.filter_map(|n| n.interface.as_deref()).collect();
    assert_eq!(interfaces, ["eth.4", "eth.4", "eth.99"]);
}

#[test]
fn commands_of_hooks_and_of_readiness_and_captured_files_are_templates_too() {
    let layout = layout(
        "(nodes: {\"x\": (command: [\"true\"], node_type: Worker, count: 2, pcap_file: \"{name}.pcap\", ready: Exec([\"sh\", \"-c\", \"echo {index} ${{HOME}}\"]), hooks: (on_exit: [\"sh\", \"{name}\"]))})",
    );
    let child = layout.children.last().unwrap();
    assert_eq!(
        child.ready,
        Ready::Exec(["sh", "-c", "echo 2 ${HOME}"].map(str::to_owned).to_vec())
    );
    assert_eq!(child.hooks[0].command, ["sh", "x-2"]);
    assert_eq!(
        layout.nodes["x-2"].pcap_file.as_deref(),
        Some(Path::new("/etc/site/x-2.pcap"))
    );
    same(
        refused(&with(
            "command: [\"true\"], hooks: (on_exit: [\"true\", \"{nmae}\"]), count: 2",
        )),
        "3:34|x|hooks.on_exit|the template {nmae} is not known|known are {name}, {index}, {index0}, {cpu} and {env:VARIABLE}; write {{ for a brace",
    );
    same(
        refused(&with(
            "command: [\"true\"], ready: Exec([\"{name}\"]), count: 2",
        )),
        r#"3:26|x|ready|the program "x-1" cannot be run: no such file|install it, or write its path; a relative path starts at the layout"#,
    );
}

#[test]
fn a_captured_file_that_is_not_there_is_a_warning_and_only_here() {
    let text = "(instances: {\"a\": (ip: \"127.0.0.1\"), \"b\": (ip: \"10.0.0.2\")}, controller: (enabled: false), nodes: {\n\"w\": (node_type: Worker, count: 2, pcap_file: \"/gone/{name}\", instance: \"a\"),\n\"v\": (node_type: Worker, pcap_file: \"/gone/v\", instance: \"b\"),\n})";
    let (_, mut findings) = on(text, &Machine::default()).unwrap();
    findings.retain(|f| f.severity == Severity::Warning);
    same(
        only(&findings),
        "2:36|w|pcap_file|there is no file /gone/w-1|write another path, or see that it is there before the node starts",
    );
}

#[test]
fn warnings_without_number_hide_no_error() {
    let mut text = "(nodes: {".to_owned();
    for number in 0..2000 {
        let _ = writeln!(text, "\"w{number}\": (node_type: Worker, metrics_port: 1),");
    }
    text.push_str("\"x\": (command: [\"gone\"])})");
    let machine = Machine {
        descriptors: 1 << 20,
        ..Machine::default()
    };
    let findings = on(&text, &machine).unwrap_err();
    assert_eq!(findings.len(), 502);
    assert!(findings.iter().any(|f| f.node.as_deref() == Some("x")));
    assert_eq!(findings[501].message, "1500 more findings are not shown");
}

#[test]
fn depth_without_end_is_refused() {
    for piece in [
        "[",
        "(",
        "{",
        "Some(",
        "/*",
        "(nodes: {\"a\": ",
        "r#",
        "\"",
        "(a: ",
    ] {
        refused_on(&piece.repeat(50_000), &Machine::default());
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in ".{0,200}") {
        let _ = on(&text, &Machine::default());
    }

    #[test]
    fn any_pieces_of_a_layout_are_read_without_a_panic(pieces in proptest::collection::vec(
        proptest::sample::select(vec![
            "(", ")", "{", "}", "[", "]", ":", ",", "\"", "nodes", "\"a\"", "\"b\"", "(nodes: {", "\"a\": (",
            "command", "[\"true\"]", "count: 3", "after: [\"a\"]", "manager: \"b\"", "node_type: Manager",
            "cpus: \"0-3:2\"", "ready: Exec(", "restart: (policy: Every(\"1s\"))", "// x\n", "ß", "\u{0}",
        ]), 0..40,
    )) {
        let _ = on(&pieces.concat(), &Machine::default());
    }
}

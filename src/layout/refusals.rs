//! Every mistake that a layout can hold, each with line, column, node, field and hint.

use super::sample::{Machine, layout, on, only, refused, refused_on, same, with};

#[test]
fn broken_ron_has_a_place() {
    same(
        refused("(nodes: {\n  \"a\": (node_type: Manager,\n})"),
        "3:1|a|node_type|expected identifier|look for a bracket, quote or comma that is missing here or just before",
    );
    same(
        refused("Layuot(nodes: {})"),
        r#"1:1|-|-|a layout begins with "Layout(", not with "Layuot"|write Layout(...) or (...)"#,
    );
    for missing in ["\"a\" (command: [\"true\"])", "\"a\" 5", "\"a\""] {
        let found = refused(&format!("(nodes: {{\n  {missing}}})"));
        assert!(found.starts_with("2:"), "{found}");
        assert!(found.contains("|a|-|expected colon"), "{found}");
    }
}

#[test]
fn a_file_that_is_something_else_is_told_so() {
    for empty in ["", " \n\t", "// (nodes: {})\n/* */"] {
        same(
            refused(empty),
            "1:1|-|-|the file is empty|a layout begins with Layout(nodes: {…})",
        );
    }
    same(
        refused("// more\n {\"a\": (command: [\"true\"])}"),
        "2:2|-|-|this is a map and no layout|this looks like a file for `supervisor create`; a layout begins with Layout(nodes: {…})",
    );
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_one() {
    same(
        refused(&with("node_typ: Worker")),
        r#"3:7|x|node_typ|the key "node_typ" is not known here|did you mean "node_type"?"#,
    );
    same(
        refused("(nodes: {},\n  stagse: {})"),
        r#"2:3|-|stagse|the key "stagse" is not known here|did you mean "stages"?"#,
    );
    same(
        refused(&with("node_type: Wroker")),
        r#"3:18|x|node_type|the word "Wroker" is not known here|did you mean "Worker"?"#,
    );
    same(
        refused(&with("command: [\"true\"], restart: (police: Never)")),
        r#"3:36|x|restart.police|the key "police" is not known here|did you mean "policy"?"#,
    );
}

#[test]
fn each_entry_has_its_own_error_of_shape() {
    let text = "(nodes: {\n\"a\": (commnad: []),\n\"b\": (count: \"x\"),\n \"c\": (ready_timeout: \"5 parsecs\")})";
    let found: Vec<String> = refused_on(text, &Machine::default())
        .iter()
        .map(|f| only(std::slice::from_ref(f)))
        .collect();
    assert_eq!(
        found,
        [
            r#"2:7|a|commnad|the key "commnad" is not known here|did you mean "command"?"#,
            "3:13|b|count|expected integer|the value has another form than this key takes",
            r#"4:24|c|ready_timeout|"5 parsecs" is no duration|write a number and a unit, as in "250ms", "10s" or "2m""#,
        ]
    );
}

#[test]
fn a_name_written_twice_is_shown_with_both_places() {
    same(
        refused("(nodes: {\n\"a\": (command: [\"true\"]),\n\"a\": (command: [\"true\"])})"),
        r#"3:1|a|-|"a" stands here and already at 2:1|give one of them another name, or take it away"#,
    );
    same(
        refused(
            "(nodes: {\n\"a\": (command: [\"true\"], count: 2),\n\"a-2\": (command: [\"true\"])})",
        ),
        r#"3:1|a-2|-|the name "a-2" is taken by the entry "a" at 2:1|count makes numbered names; give one of the entries another name"#,
    );
    same(
        refused(&with("command: [\"true\"], nice: 1, nice: 2")),
        r#"3:35|x|nice|"nice" stands here and already at 3:26|give one of them another name, or take it away"#,
    );
}

#[test]
fn names_that_cannot_stand_are_refused() {
    for (name, part) in [
        ("a b", "' '"),
        ("a/b", "'/'"),
        ("", "empty"),
        ("crash", "run directory"),
    ] {
        let found = refused(&format!("(nodes: {{\n\"{name}\": (command: [\"true\"])}})"));
        assert!(found.starts_with(&format!("2:1|{name}|-|")), "{found}");
        assert!(found.contains(part), "{found}");
    }
}

#[test]
fn who_is_named_has_to_be_there() {
    same(
        refused(&with("node_type: Worker, manager: \"manger\"")),
        r#"3:26|x|manager|there is no node "manger"|did you mean "manager"?"#,
    );
    same(
        refused(&with("node_type: Worker, manager: \"x\"")),
        r#"3:26|x|manager|"x" is no manager|did you mean "manager"?"#,
    );
    same(
        refused(&with("command: [\"true\"], after: [\"y\"]")),
        r#"3:26|x|after|there is no node "y" to start after|known are manager"#,
    );
    same(
        refused(&with("command: [\"true\"], stage: \"wrokers\"")),
        r#"3:26|x|stage|the stage "wrokers" is not known|did you mean "workers"?"#,
    );
    same(
        refused(&with("command: [\"true\"], instance: \"b\"")),
        r#"3:26|x|instance|the instance "b" is not known|known are here"#,
    );
}

#[test]
fn circles_are_named() {
    let text = "(nodes: {\n\"a\": (command: [\"true\"], after: [\"b\"]),\n\"b\": (command: [\"true\"], after: [\"a\"])})";
    same(
        refused(text),
        "2:26|a|after|a circle: a → b → a|one of them has to start without waiting for the others",
    );
    let text = "(nodes: {\n\"m\": (node_type: Manager, manager: \"m\")})";
    same(
        refused(text),
        "2:27|m|manager|a circle: m → m|a manager needs no manager; take it away",
    );
}

#[test]
fn a_cluster_has_one_manager() {
    same(
        refused(&with("node_type: Manager")),
        r#"3:1|x|-|it is a second manager, beside "manager"|a cluster has one manager; give the others another role"#,
    );
    same(
        refused("(nodes: {\n\"m\": (node_type: Manager, count: 2)})"),
        "2:27|m|count|count makes 2 managers of it|a cluster has one manager; give the others another role",
    );
}

#[test]
fn ports_clash_also_through_wildcards() {
    for (one, other) in [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("10.0.0.1", "::"),
    ] {
        let text = format!(
            "(nodes: {{\n\"a\": (command: [\"true\"], ip: \"{one}\", p: 80),\n\"b\": (command: [\"true\"], ip: \"{other}\", p: 80)}})"
        );
        let found = refused(&text);
        assert!(found.starts_with("3:"), "{found}");
        assert!(
            found.contains(r#"|b|p|"a" listens on 80 already (2:4"#),
            "{found}"
        );
    }
    let apart = "(nodes: {\"a\": (command: [\"true\"], ip: \"127.0.0.1\", p: 80), \"b\": (command: [\"true\"], ip: \"127.0.0.2\", p: 80)})";
    assert_eq!(layout(apart).children[0].listen[0].port(), 80);
    same(
        refused("(nodes: {\n\"a\": (command: [\"true\"], count: 2, p: 80)})"),
        "2:36|a|p|all 2 nodes would listen on 80|a port cannot be shared; take p away, or write one entry for each",
    );
}

#[test]
fn the_machine_must_have_what_is_named() {
    same(
        refused(&with("command: [\"prboe\"]")),
        r#"3:7|x|command|the program "prboe" cannot be run: no such file|install it, or write its path; a relative path starts at the layout"#,
    );
    same(
        refused(&with("command: []")),
        r#"3:7|x|command|no program is named|write ["program", "argument"]"#,
    );
    same(
        refused(&with("command: [\"true\"], hooks: (on_exit: [\"mali\"])")),
        r#"3:34|x|hooks.on_exit|the program "mali" cannot be run: no such file|install it, or write its path; a relative path starts at the layout"#,
    );
    same(
        refused(&with("command: [\"true\"], user: \"nobdy\"")),
        r#"3:26|x|user|there is no user "nobdy"|users and groups are looked up on this host; create them first"#,
    );
    let machine = Machine {
        uid: 1000,
        ..Machine::default()
    };
    same(
        only(&refused_on(
            &with("command: [\"true\"], user: \"root\""),
            &machine,
        )),
        r#"3:26|x|user|only root can start a node as "root", and the supervisor runs as user 1000|start the supervisor as root, or take user away"#,
    );
    let own = on(&with("command: [\"true\"], user: \"watch\""), &machine).unwrap();
    assert_eq!(own.0.children.last().unwrap().identity, None);
    let group = on(&with("command: [\"true\"], group: \"staff\""), &machine).unwrap();
    assert_eq!(
        group
            .0
            .children
            .last()
            .unwrap()
            .identity
            .as_ref()
            .unwrap()
            .gid,
        7
    );
}

#[test]
fn values_that_cannot_be_are_refused() {
    same(
        refused(&with(
            "node_type: Worker, interface: \"a\", pcap_file: \"b\"",
        )),
        "3:42|x|pcap_file|interface and pcap_file are both given|a node reads from one of them; take the other away",
    );
    same(
        refused(&with("command: [\"true\"], count: 0")),
        "3:26|x|count|a count of 0 makes no node|write 1 or more, or take the entry away",
    );
    same(
        refused(&with("command: [\"true\"], nice: 20")),
        "3:26|x|nice|no such niceness|write a number from -20 (first) to 19 (last)",
    );
    same(
        refused(&with("command: [\"true\"], stop: (signal: \"SIGTREM\")")),
        r#"3:33|x|stop.signal|"SIGTREM" is no signal|did you mean "TERM"?"#,
    );
    same(
        refused(&with(
            "command: [\"true\"], capabilities: [\"cap_net_rav\"]",
        )),
        r#"3:26|x|capabilities|"cap_net_rav" is no capability|did you mean "net_raw"?"#,
    );
    same(
        refused(&with("command: [\"true\"], restart: (ceiling: \"1ms\")")),
        "3:36|x|restart.ceiling|the ceiling 1ms is below the floor 250ms|raise the ceiling or lower the floor",
    );
    same(
        refused(&with("command: [\"true\", \"{nmae}\"]")),
        "3:7|x|command|the template {nmae} is not known|known are {name}, {index}, {index0}, {cpu} and {env:VARIABLE}; write {{ for a brace",
    );
    same(
        refused(&with("command: [\"true\"], env: {\"A\": \"{cpu}\"}")),
        "3:26|x|env|{cpu} is asked for, and the node is pinned to no processor|add cpus: [..] to the node",
    );
    same(
        refused(&with(
            "command: [\"true\"], stdout_file: \"o\", stderr_file: \"o\", count: 2",
        )),
        r#"3:26|x|stdout_file|"x-1" writes to /etc/site/o too|add {name} to the path, so that each node has its own"#,
    );
    same(
        refused(&with("node_type: Worker, id: \"1\"")),
        "3:26|x|id|a node's id is made when it runs|take it away",
    );
    same(
        refused(&with("node_type: Worker, cluster: {\"a\": (role: Worker)}")),
        "3:26|x|cluster|the topology is not written into a node|take it away; every node learns the topology from nodes",
    );
    same(
        refused(&with("node_type: Worker, ready: AtOnce")),
        "3:26|x|ready|a built-in role says itself when it is ready|take ready away; it is for commands",
    );
    same(
        refused(&with("node_type: None")),
        "3:1|x|-|it has neither a role nor a command|add node_type: Worker (or another role), or command: [..]",
    );
    same(
        refused(&with("")),
        "3:1|x|-|it has neither a role nor a command|add node_type: Worker (or another role), or command: [..]",
    );
    same(
        refused("(nodes: {})"),
        r#"1:2|-|nodes|the layout has no nodes|add nodes: {"name": (command: ["program"])}"#,
    );
    same(
        refused("(controller: (enabled: true), nodes: {\"a\": (command: [\"true\"])})"),
        "1:15|-|controller.enabled|there is no cluster to control: the layout has commands only|add a node with a role, or take enabled away",
    );
}

#[test]
fn a_period_that_is_no_pause_is_refused() {
    for short in ["0s", "99ms"] {
        same(
            refused(&with(&format!(
                "command: [\"true\"], restart: (policy: Every(\"{short}\"))"
            ))),
            r#"3:36|x|restart.policy|so short a period is no pause|write "100ms" or more, as in Every("10s"), or use Always"#,
        );
    }
    layout(&with(
        "command: [\"true\"], restart: (policy: Every(\"100ms\"))",
    ));
}

#[test]
fn what_is_too_large_is_refused() {
    let deep = format!(
        "(run_dir: \"/{}\", nodes: {{\"a\": (command: [\"true\"])}})",
        "d".repeat(100)
    );
    same(
        refused(&deep),
        &format!(
            "1:2|-|run_dir|the socket /{}/control.sock has a path of 114 bytes, 7 more than the system takes|choose a shorter run directory, with --run-dir or run_dir",
            "d".repeat(100)
        ),
    );
    let deep = format!(
        "(run_dir: \"/{}\", nodes: {{\n\"a\": (command: [\"true\"], ready: SdNotify)}})",
        "d".repeat(93)
    );
    same(
        refused(&deep),
        &format!(
            "2:1|a|-|the socket /{}/a/notify.sock has a path of 108 bytes, 1 more than the system takes|choose a shorter run directory, with --run-dir or run_dir",
            "d".repeat(93)
        ),
    );
    let long = format!(
        "command: [\"true\", \"{}\"], count: 2",
        "x".repeat(128 * 1024)
    );
    same(
        refused(&with(&long)),
        "3:1|x|-|its description has 131140 bytes, at most 130048 are allowed|put long texts of env or command into a file",
    );
    same(
        refused(&with("command: [\"true\"], count: 4000000000")),
        "3:26|x|count|the layout would have more than 20000 nodes|lower the count",
    );
}

/// The controller would refuse to start with them, after a check that found nothing.
#[test]
fn the_controllers_variables_have_a_form() {
    let set = |name, value| Machine {
        variables: vec![(name, value)],
        ..Machine::default()
    };
    let text = with("node_type: Proxy");
    for (name, value, what) in [
        ("ZEEK_CONTROLLER_ADDR", "localhost", "IP address"),
        ("ZEEK_CONTROLLER_WEBSOCKET_ADDR", "127.0.0", "IP address"),
        ("ZEEK_CONTROLLER_PORT", "65536", "port"),
        ("ZEEK_CONTROLLER_PORT", "2150/udp", "port"),
        ("ZEEK_CONTROLLER_PORT", "/tcp", "port"),
        ("ZEEK_CONTROLLER_WEBSOCKET_PORT", "+2149", "port"),
    ] {
        let machine = set(name, value);
        let found = only(&refused_on(&text, &machine));
        let expected = format!(
            "1:1|-|controller|the environment sets {name} to \"{value}\", which is no {what}|set it to one"
        );
        assert!(found.starts_with(&expected), "{found}");
        let off = text.replacen("nodes", "controller: (enabled: false), nodes", 1);
        assert!(on(&off, &machine).unwrap().1.is_empty());
    }
    for (name, value, findings) in [
        ("ZEEK_CONTROLLER_PORT", "2150", 1),
        ("ZEEK_CONTROLLER_PORT", "2150/tcp", 1),
        ("ZEEK_CONTROLLER_WEBSOCKET_ADDR", "::1", 1),
        ("ZEEK_CONTROLLER_WEBSOCKET_PORT", "", 0),
    ] {
        let found = on(&text, &set(name, value)).unwrap().1;
        assert_eq!(found.len(), findings, "{found:?}");
    }
}

#[test]
fn a_fault_of_the_defaults_is_told_once_and_where_it_stands() {
    let text = "(restart: (give_up: (deaths: 0, within: \"1s\")),\nnodes: {\"a\": (command: [\"true\"], count: 9)})";
    same(
        refused(text),
        r#"1:12|-|restart.give_up|it would give up before the first death|count from one death in some time, or write give_up: "off""#,
    );
}

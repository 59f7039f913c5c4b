//! Events that people publish, and what they see of those of others.

#![cfg(test)]

mod common;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use common::terminals::{json_of, lines, subscribed, ticks, wait_up};
use common::{PATIENCE, Start, layouts, wait_for};

const EVERY_KIND: [&str; 15] = [
    "null",
    "true",
    "7",
    "-7",
    "1.5",
    r#""a \"text\"""#,
    r#"[1, ["x"]]"#,
    r#"{"@data-type": "address", "data": "10.0.0.1"}"#,
    r#"{"@data-type": "subnet", "data": "10.0.0.0/8"}"#,
    r#"{"@data-type": "port", "data": "80/tcp"}"#,
    r#"{"@data-type": "timestamp", "data": "2026-01-31T12:00:00.000"}"#,
    r#"{"@data-type": "timespan", "data": "1500ms"}"#,
    r#"{"@data-type": "enum-value", "data": "Log::INFO"}"#,
    r#"{"@data-type": "set", "data": [{"@data-type": "count", "data": 1}]}"#,
    r#"{"@data-type": "table", "data": [{"key": {"@data-type": "string", "data": "k"}, "value": {"@data-type": "none", "data": {}}}]}"#,
];

/// Shows: every kind of value crosses from one terminal to another, and comes back through a third.
#[test]
fn an_event_with_every_kind_of_value_crosses_from_terminal_to_terminal() {
    let cluster = Start::with(layouts::SMALL).start_ready();
    let mut people = subscribed(&cluster, &["site/", "-n", "1"]);
    let mut programs = cluster.terminal("json", &["sub", "sit", "elsewhere", "--json", "-n", "2"]);
    wait_up(&cluster, &programs);
    let words = [&["pub", "site/alarm", "Site::alarm"], &EVERY_KIND[..]].concat();
    let told = cluster.ok(&words);
    assert_eq!(told, "taken by 2 of 2\n");
    assert_eq!(people.wait_end(), 0);
    let shown = people.out();
    let arguments = "nil, T, 7, -7, 1.500000, a \"text\", (1, (x)), 10.0.0.1, 10.0.0.0/8, 80/tcp, ";
    assert!(
        shown.contains(&format!(" site/alarm Site::alarm({arguments}")),
        "{shown}"
    );
    assert_eq!(shown.lines().count(), 1);

    let first = programs.wait_out("a line", |text| text.ends_with('\n'));
    let line = &lines(&first)[0];
    assert_eq!(line["type"], "data-message");
    assert_eq!(line["topic"], "site/alarm");
    assert!(
        line["from"].is_string() && line["time"].is_string(),
        "{line}"
    );
    let event = &line["data"][2]["data"];
    assert_eq!(
        event[0],
        json!({"@data-type": "string", "data": "Site::alarm"})
    );
    let sent = event[1]["data"].as_array().unwrap();
    let kinds: Vec<&str> = sent
        .iter()
        .map(|value| value["@data-type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "none",
            "boolean",
            "count",
            "integer",
            "real",
            "string",
            "vector",
            "address",
            "subnet",
            "port",
            "timestamp",
            "timespan",
            "enum-value",
            "set",
            "table",
        ]
    );
    for (typed, found) in EVERY_KIND.iter().zip(sent).skip(7) {
        assert_eq!(serde_json::from_str::<Value>(typed).unwrap(), *found);
    }

    // What it has printed can be published again, under another topic.
    let (said, _, code) = cluster.run_with_input(&["pub", "elsewhere/copy", "-"], first.as_bytes());
    assert_eq!((said.as_str(), code), ("taken by 1 of 1\n", 0));
    assert_eq!(programs.wait_end(), 0);
    let again = &lines(&programs.out())[1];
    assert_eq!(
        (&again["topic"], &again["data"]),
        (&json!("elsewhere/copy"), &line["data"])
    );
    cluster.stop_and_expect_nobody_left();
}

#[test]
fn nobody_wants_it_is_told_from_everybody_has_it() {
    let cluster = Start::with(layouts::SMALL).start_ready();
    let (said, complained, code) = cluster.run(&["pub", "site/alarm", "alarm"]);
    assert_eq!((said.as_str(), code), ("", 1));
    assert_eq!(complained, "supervisor: nobody wants \"site/alarm\"\n");
    let reply = json_of(&cluster, &["pub", "site/alarm", "alarm", "--json"]);
    let expected =
        json!({"schema": 1, "ok": false, "events": 1, "wanted": 0, "taken": 0, "unwanted": 1});
    assert_eq!(reply, expected);
    let _sub = subscribed(&cluster, &["site/"]);
    let input = ticks(3);
    let (said, _, code) = cluster.run_with_input(&["pub", "site/a", "-", "--json"], &input);
    let expected =
        json!({"schema": 1, "ok": true, "events": 3, "wanted": 3, "taken": 3, "unwanted": 0});
    assert_eq!(
        (serde_json::from_str::<Value>(&said).unwrap(), code),
        (expected, 0)
    );
    let quiet = cluster.run(&["pub", "site/a", "alarm", "--quiet"]);
    assert_eq!(quiet, (String::new(), String::new(), 0));
    cluster.stop_and_expect_nobody_left();
}

/// Shows each way in which `sub` ends.
#[test]
fn sub_ends_after_so_many_in_time_when_told_or_with_the_supervisor() {
    let mut cluster = Start::with(layouts::SMALL).start_ready();
    let (_, said, code) = cluster.run(&["sub", "site/", "-n", "1", "--timeout", "0.2"]);
    assert_eq!(code, 5);
    assert!(
        said.contains("0 of 1 records came within the time limit"),
        "{said}"
    );

    let mut interrupted = subscribed(&cluster, &["site/", "-n", "2"]);
    cluster.ok(&["pub", "site/a", "alarm"]);
    interrupted.wait_out("a line", |text| text.ends_with('\n'));
    interrupted.signal(Signal::SIGINT);
    assert_eq!(interrupted.wait_end(), 1);
    assert!(
        interrupted
            .err()
            .contains("1 of 2 records came before the interruption")
    );

    let mut content = subscribed(&cluster, &[""]);
    content.signal(Signal::SIGINT);
    assert_eq!((content.wait_end(), content.err().as_str()), (0, ""));

    let mut left = subscribed(&cluster, &["site/"]);
    let before = cluster.stem_pid();
    cluster.kill_stem();
    cluster.wait_stem(before);
    wait_for(
        "it sits again, and gets what is published",
        PATIENCE,
        || {
            let (_, _, code) = cluster.run(&["pub", "site/a", "after"]);
            (code == 0).then_some(())
        },
    );
    left.wait_out("what came after the stem's death", |text| {
        text.contains("after()")
    });
    cluster.ok(&["shutdown"]);
    cluster.wait_end();
    assert_eq!(left.wait_end(), 4);
    assert!(
        left.err().contains("attach.sock ended the connection"),
        "{}",
        left.err()
    );
}

#[test]
fn without_a_supervisor_each_says_where_it_looked() {
    let directory = tempfile::tempdir().unwrap();
    for words in [
        &["pub", "a", "b"][..],
        &["sub", "a"],
        &["peers"],
        &["stats", "--watch"],
    ] {
        let output = common::program()
            .args(words)
            .arg("--run-dir")
            .arg(directory.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(4), "{words:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let place = directory.path().join("attach.sock");
        let expected = format!("supervisor: no supervisor answers at {}", place.display());
        assert!(
            said.starts_with(&expected) && said.contains("--run-dir DIR"),
            "{said}"
        );
    }
}

/// Shows: bad input has its code and is told with its place, and nothing of it is published.
#[test]
fn bad_input_is_refused_with_what_to_write() {
    let cluster = Start::with(layouts::SMALL).start_ready();
    let long = "t".repeat(65_536);
    for (words, code, said) in [
        (
            &["pub", "a", "event", "word"][..],
            2,
            "a text has quotes of its own",
        ),
        (&["pub", "a", "event", "{\"k\": 1}"], 2, "@data-type"),
        (&["pub", "a", "event", "[1"], 2, "the text is no JSON"),
        (
            &["pub", &long, "event"],
            2,
            "a topic of 65536 bytes; at most 65535",
        ),
        (&["sub", &long], 2, "a topic of 65536 bytes; at most 65535"),
        (&["pub", "a", "-", "1"], 2, "bring their arguments along"),
        (&["peers", "nobody"], 2, "matches nobody on the board"),
        (&["stats", "@failed"], 2, "supervisor status @failed"),
    ] {
        let (out, err, found) = cluster.run(words);
        assert_eq!(found, code, "{words:.60?}\n{err}");
        assert!(err.contains(said) && out.is_empty(), "{words:.60?}\n{err}");
    }
    let sub = subscribed(&cluster, &["a"]);
    let deep = format!("[\"x\", {}{}]", "[".repeat(63), "]".repeat(63));
    let large = format!("[\"x\", \"{}\"]", "x".repeat(16 * 1024 * 1024));
    for (line, said) in [
        (
            "{",
            "line 2 of standard input, after 1 events, is no event: the line is no value",
        ),
        ("{}", "it has no @data-type"),
        ("[]", "a row begins with the event's name"),
        (
            "{\"@data-type\": \"count\", \"data\": 1}",
            "a message is a vector of version",
        ),
        (deep.as_str(), "is no event"),
        (
            large.as_str(),
            "the layout's record_bytes_max allows 16777216",
        ),
    ] {
        let input = format!("[\"good\"]\n{line}\n[\"never\"]\n");
        let (_, err, code) = cluster.run_with_input(&["pub", "a", "-"], input.as_bytes());
        assert_eq!(code, 3, "{line:.60}\n{err}");
        assert!(err.contains(said), "{line:.60}\n{err}");
    }
    cluster.ok(&["pub", "a", "last"]);
    let shown = sub.wait_out("the last", |text| text.contains("last()"));
    let names: Vec<&str> = shown
        .lines()
        .map(|line| line.rsplit(' ').next().unwrap())
        .collect();
    let expected = [vec!["good()"; 6], vec!["last()"]].concat();
    assert_eq!(names, expected);
    cluster.stop_and_expect_nobody_left();
}

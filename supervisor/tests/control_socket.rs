//! The control socket against clients that are foreign, broken, hostile, slow, or many.

#![cfg(test)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use common::{Cluster, Start, places, processes};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const SITE: &str = r#"Layout(
    nodes: {
        "idle": (command: ["sleep", "infinity"], stop: (grace: "300ms")),
        "slow": (command: ["sh", "-c", "until [ -e $DIR/go ]; do sleep 0.02; done; echo >&$NOTIFY_FD; exec sleep infinity"],
            ready: Notify),
        "deaf": (command: ["sh", "-c", "trap '' TERM; echo >&$NOTIFY_FD; while :; do sleep 0.2; done"],
            ready: Notify, stop: (grace: "60s")),
    },
    stop: (deadline: "500ms"),
)"#;

fn start() -> Cluster {
    let cluster = Start::with(SITE).start();
    cluster.wait_state("idle", "ready");
    cluster.wait_state("deaf", "ready");
    cluster
}

fn expect_alive(cluster: &Cluster, pid: Option<i32>) {
    assert!(pid.is_some());
    assert_eq!(cluster.node_pid("idle"), pid);
    assert_eq!(cluster.status()["ok"], true);
}

fn connect(cluster: &Cluster) -> UnixStream {
    let stream = UnixStream::connect(cluster.socket()).unwrap();
    stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
    stream.set_write_timeout(Some(common::PATIENCE)).unwrap();
    stream
}

/// What comes until the other side closes.
fn rest(mut stream: UnixStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8(bytes).unwrap()
}

/// Shows: the socket is its owner's alone; and who reaches it all the same is asked for credentials.
#[test]
fn another_user_is_refused() {
    let cluster = start();
    let mode = fs::metadata(cluster.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    places::need_root("asking as another user");
    let program = places::reachable_program(cluster.directory());
    let ask = || {
        let (first, words) = places::AS_NOBODY.split_first().unwrap();
        let output = Command::new(first)
            .args(words)
            .arg(&program)
            .args(["stop", "idle", "--socket"])
            .arg(cluster.socket())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), text)
    };
    places::open_to_all(cluster.directory());
    places::open_to_all(cluster.run_dir());
    let (code, text) = ask();
    assert_eq!(code, Some(7), "{text}");
    assert!(text.contains("may not be used by this user"), "{text}");

    fs::set_permissions(cluster.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    let (code, text) = ask();
    assert_eq!(code, Some(7), "{text}");
    assert!(text.contains("user 65534 may not steer"), "{text}");
    assert_eq!(cluster.node("idle")["state"], "ready");
}

/// Shows: whatever is no request is answered with what is wrong with it, or with the end of the
/// connection, and harms nobody.
#[test]
fn what_is_no_request_is_refused_and_harms_nobody() {
    let cluster = start();
    let pid = cluster.node_pid("idle");
    let deep = format!("{}{}\n", "[".repeat(200_000), "]".repeat(200_000));
    let wrong: [(&[u8], &str); 8] = [
        (b"\n", "no request"),
        (b"hello\n", "no request"),
        (b"\x00\xff\xfe\x80\n", "no request"),
        (b"{\"schema\":1}\n", "no request"),
        (
            b"{\"schema\":9,\"timeout_ms\":1,\"request\":{\"names\":{}}}\n",
            "schema 9",
        ),
        (
            b"{\"schema\":1,\"timeout_ms\":1,\"request\":{\"dance\":{}}}\n",
            "dance",
        ),
        (
            b"{\"schema\":1,\"timeout_ms\":-1,\"request\":{\"names\":{}}}\n",
            "no request",
        ),
        (deep.as_bytes(), "no request"),
    ];
    for (bytes, word) in wrong {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let mut stream = connect(&cluster);
        stream.write_all(bytes).unwrap();
        let answer: Value = serde_json::from_str(&rest(stream)).unwrap();
        assert_eq!(answer["ok"], false, "{shown}");
        assert_eq!(answer["error"]["code"], 2, "{shown}: {answer}");
        let text = answer["error"]["message"].as_str().unwrap();
        assert!(text.contains(word), "{shown}: {text}");
        expect_alive(&cluster, pid);
    }
    // Half a request, and gone.
    let mut stream = connect(&cluster);
    stream.write_all(b"{\"schema\":1,\"timeout_ms\":1").unwrap();
    drop(stream);
    expect_alive(&cluster, pid);
}

/// Shows: a line without end is bounded.
#[test]
fn a_line_without_end_is_cut_off() {
    let cluster = start();
    let pid = cluster.node_pid("idle");
    let mut stream = connect(&cluster);
    let chunk = vec![b'x'; 64 * 1024];
    for _ in 0..32 {
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    let answer = rest(stream);
    assert!(answer.is_empty() || answer.contains("at most"), "{answer}");
    expect_alive(&cluster, pid);
    cluster.wait_state("idle", "ready");
}

/// Shows: a client that asks and asks and never reads costs what its queue may hold, not more, and holds
/// up nobody.
#[test]
fn a_client_that_never_reads_is_bounded() {
    let cluster = start();
    let pid = cluster.node_pid("idle");
    let before = processes::resident_kib(cluster.pid());
    let mut stream = connect(&cluster);
    stream
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let line = "{\"schema\":1,\"timeout_ms\":1000,\"request\":{\"status\":{\"select\":[]}}}\n";
    let hundred = line.repeat(100);
    for _ in 0..100 {
        if stream.write_all(hundred.as_bytes()).is_err() {
            break; // no more is taken from it, or it was let go
        }
    }
    expect_alive(&cluster, pid);
    let grown = processes::resident_kib(cluster.pid()).saturating_sub(before);
    assert!(grown < 96 * 1024, "{grown} KiB");
    drop(stream);
    expect_alive(&cluster, pid);
}

/// Shows: requests sent in one go are all answered, in order, however late the answers are read.
#[test]
fn many_requests_in_one_go_are_all_answered() {
    let cluster = start();
    let stream = connect(&cluster);
    let status = "{\"schema\":1,\"timeout_ms\":1000,\"request\":{\"status\":{\"select\":[]}}}\n";
    let names = "{\"schema\":1,\"timeout_ms\":1000,\"request\":{\"names\":{}}}\n";
    (&stream).write_all(status.repeat(1000).as_bytes()).unwrap();
    (&stream).write_all(names.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines();
    for number in 0..1000 {
        let line = lines.next().unwrap().unwrap();
        assert!(line.contains("\"instance\""), "{number}: {line}");
    }
    assert!(lines.next().unwrap().unwrap().contains("\"names\""));
}

/// Shows: everybody is served, though there is a place for 64 at a time: one more takes that of the one
/// that has been idle for longest, which is let go.
#[test]
fn seventy_clients_at_once() {
    let cluster = start();
    let names = json!({"names": {}});
    let request = format!(
        "{}\n",
        json!({"schema": 1, "timeout_ms": 1000, "request": names})
    );
    let mut served = Vec::new();
    for _ in 0..70 {
        let stream = connect(&cluster);
        (&stream).write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        let mut stream = BufReader::new(stream);
        stream.read_line(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["ok"], true, "{answer}");
        served.push(stream);
    }
    for mut evicted in served.drain(..6) {
        let mut nothing = String::new();
        assert_eq!(evicted.read_line(&mut nothing).unwrap_or(0), 0, "{nothing}");
    }
    for stream in &mut served {
        stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_line(&mut answer).unwrap();
        assert!(answer.contains("idle"), "{answer}");
    }
    drop(served);
    common::wait_for("places are free again", common::PATIENCE, || {
        let stream = connect(&cluster);
        let _ = (&stream).write_all(request.as_bytes());
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).ok()?;
        answer.contains("idle").then_some(())
    });
    assert_eq!(cluster.node("idle")["restarts"], 0);
}

/// Shows: somebody who follows a node that floods, and stops reading, harms nobody; when it reads again,
/// it is told how much it missed.
#[test]
fn a_follower_that_stops_reading_is_told_what_it_missed() {
    let cluster = Start::with(
        r#"Layout(nodes: {
            "idle": (command: ["sleep", "infinity"]),
            "flood": (command: ["sh", "-c", "exec head -c 25000000 /dev/zero | tr '\\0' 'x' | fold -w 99; exec sleep infinity"]),
        })"#,
    )
    .start_ready();
    let pid = cluster.node_pid("idle");
    let stream = connect(&cluster);
    let line = json!({"schema": 1, "timeout_ms": 1000, "request": {"logs": {
        "select": ["flood"], "lines": 1, "stream": null, "since_ms": null, "follow": true,
    }}});
    (&stream).write_all(format!("{line}\n").as_bytes()).unwrap();
    // It does not read until the flood is over.
    common::wait_for("the flood is over", common::PATIENCE, || {
        let flood = cluster.node_pid("flood")?;
        let bytes: u64 = ["stdout.log", "stdout.log.1", "stdout.log.2", "stdout.log.3"]
            .iter()
            .filter_map(|file| fs::metadata(cluster.run_dir().join("flood").join(file)).ok())
            .map(|file| file.len())
            .sum();
        let children = processes::tree(flood);
        (bytes > 24_000_000 && children.iter().all(|child| child.name == "sleep")).then_some(())
    });
    expect_alive(&cluster, pid);
    let memory = processes::resident_kib(cluster.pid());
    assert!(memory < 160 * 1024, "{memory} KiB");
    let mut lines = BufReader::new(stream).lines();
    let missed = lines.find_map(|line| {
        let line = line.unwrap();
        line.contains("were not shown").then_some(line)
    });
    let missed: Value = serde_json::from_str(&missed.unwrap()).unwrap();
    let count: u64 = missed["text"]
        .as_str()
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(count > 1000, "{missed}");
    expect_alive(&cluster, pid);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: time limits hold for who waits on a node that does not get there, and what was asked for goes
/// on.
#[test]
fn requests_end_at_their_time_limit() {
    let cluster = start();
    let (_, text, code) = cluster.run(&["wait", "slow", "--for", "ready", "--timeout", "0.2"]);
    assert_eq!(code, 5, "{text}");
    let (_, text, code) = cluster.run(&["stop", "deaf", "--timeout", "0.2"]);
    assert_eq!(code, 5, "{text}");
    assert_eq!(cluster.node("deaf")["state"], "stopping");
    let (_, text, code) = cluster.run(&["restart", "slow", "--timeout", "0.2"]);
    assert_eq!(code, 5, "{text}");
    fs::write(cluster.directory().join("go"), "").unwrap();
    cluster.ok(&["wait", "slow", "--for", "ready"]);
    cluster.ok(&["stop", "deaf", "--kill"]);
    assert_eq!(cluster.node("deaf")["state"], "stopped");
}

/// Shows: a node that stands still and a stem that is being revived hold up no request.
#[test]
fn requests_are_answered_while_a_node_stands_still_and_while_the_stem_is_revived() {
    let cluster = start();
    let pid = cluster.node_pid("idle").unwrap();
    processes::signal(pid, Signal::SIGSTOP);
    for args in [
        &["status", "idle"][..],
        &["diag", "idle"],
        &["logs", "idle"],
        &["events"],
        &["signal", "CONT", "idle"],
        &["__names"],
    ] {
        cluster.ok(&[args, &[]].concat());
    }
    processes::signal(pid, Signal::SIGSTOP);
    cluster.ok(&["restart", "idle", "--timeout", "30"]);

    let stem = cluster.stem_pid().unwrap();
    processes::signal(stem, Signal::SIGKILL);
    for _ in 0..20 {
        let mut connection = cluster.connect();
        assert_eq!(
            connection.ask(&json!({"status": {"select": []}}))["ok"],
            true
        );
        let events = json!({"events": {"since": null, "follow": false}});
        assert!(!connection.stream(&events).is_empty());
    }
    let restarted = cluster
        .connect()
        .ask(&json!({"restart": {"select": ["idle"], "rolling": null, "wait": true}}));
    assert_eq!(restarted["ok"], true, "{restarted}");
    assert_ne!(cluster.stem_pid(), Some(stem));
}

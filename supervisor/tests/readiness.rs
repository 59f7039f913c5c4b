//! When a node counts as ready: each kind of `ready`, late, never, and wrongly.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test owns its clock")]

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::processes::{self, ProcessId};
use common::{PATIENCE, Start, places, wait_for};
use nix::sys::signal::Signal;

/// Says that it is ready, but only when there is a file, its first argument. The second is the port it
/// then listens on; without one it speaks to `NOTIFY_SOCKET`.
const LATE: &str = r#"
import os, signal, socket, sys, time
def tell(words):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.sendto(words, os.environ["NOTIFY_SOCKET"])
if len(sys.argv) < 3:
    tell(b"STATUS=warming up\nREADY=0\n")
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
if len(sys.argv) < 3:
    tell(b"STATUS=two of three\nMAINPID=1\nREADY=1\n")
else:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))
signal.pause()
"#;

/// Speaks to `NOTIFY_SOCKET` without end, eight times at once.
const FLOOD: &str = r#"
import os, socket
for _ in range(3):
    os.fork()
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
n = 0
while True:
    n += 1
    s.send(b"READY=1\nSTATUS=%d" % n)
"#;

/// Shows: nodes are starting until they say that they are ready, each in its own way, and who comes
/// after them waits.
#[test]
fn a_node_is_ready_when_it_says_so() {
    let layout = r#"Layout(nodes: {
        "at-once": (command: ["sleep", "infinity"], ready: AtOnce),
        "notify": (
            command: ["sh", "-c", "
                printf 'no newline yet' >&$NOTIFY_FD
                until test -e $DIR/go; do sleep 0.01; done
                echo >&$NOTIFY_FD; exec sleep infinity
            "],
            ready: Notify,
        ),
        "sd-notify": (command: ["python3", "$DIR/late.py", "$DIR/go"], ready: SdNotify),
        "tcp": (command: ["python3", "$DIR/late.py", "$DIR/go", "PORT"], ready: Tcp("127.0.0.1:PORT")),
        "exec": (command: ["sleep", "infinity"], ready: Exec(["test", "-e", "$DIR/go"])),
        "waits": (command: ["sleep", "infinity"], after: ["notify", "sd-notify", "tcp", "exec"]),
    })"#;
    let start = Start::with(&layout.replace("PORT", &places::free_port().to_string()));
    fs::write(start.directory().join("late.py"), LATE).unwrap();
    let cluster = start.start();
    cluster.wait_state("at-once", "ready");
    cluster.wait_node("sd-notify", "says how it is", |node| {
        node["status_text"] == "warming up"
    });
    for name in ["notify", "sd-notify", "tcp", "exec"] {
        let node = cluster.node(name);
        assert_eq!(node["state"], "starting", "{node}");
        assert!(node["ready_at"].is_null(), "{node}");
    }
    assert_eq!(cluster.node("waits")["state"], "pending");
    assert_eq!(cluster.status()["cluster"], "starting");
    fs::write(cluster.directory().join("go"), "").unwrap();
    cluster.wait_ready();
    for name in ["notify", "sd-notify", "tcp", "exec", "waits"] {
        let node = cluster.node(name);
        assert_eq!(node["state"], "ready", "{node}");
        assert!(node["ready_at"].is_string(), "{node}");
        assert_eq!(node["incarnation"], 1, "{node}");
    }
    assert_eq!(cluster.node("sd-notify")["status_text"], "two of three");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a node that is not ready in time is ended and counts as a failed start, whatever it was
/// waited for; in the end it is given up, with the reason.
#[test]
fn a_node_that_is_never_ready_is_given_up_with_the_reason() {
    let layout = r#"Layout(
        nodes: {
            "notify": (command: ["sh", "-c", "printf words >&$NOTIFY_FD; exec sleep infinity"],
                       ready: Notify),
            "closes": (command: ["sh", "-c", "eval \"exec $NOTIFY_FD>&-\"; exec sleep infinity"],
                       ready: Notify),
            "sd-notify": (command: ["sleep", "infinity"], ready: SdNotify),
            "tcp": (command: ["sleep", "infinity"], ready: Tcp("127.0.0.1:PORT")),
            "exec": (command: ["sleep", "infinity"], ready: Exec(["false"])),
            "hangs": (command: ["sleep", "infinity"], ready: Exec(["sleep", "infinity"])),
        },
        ready_timeout: "300ms",
        restart: (floor: "10ms", give_up: (deaths: 2, within: "60s")),
    )"#;
    let cluster = Start::with(&layout.replace("PORT", &places::free_port().to_string())).start();
    for name in ["notify", "closes", "sd-notify", "tcp", "exec", "hangs"] {
        let node = cluster.wait_state(name, "failed");
        assert_eq!(node["restarts"], 1, "{node}");
        let backoff = cluster.wait_event("node_backoff", Some(name));
        let why = backoff["detail"]["reason"].as_str().unwrap();
        assert!(why.contains("it was not ready in time"), "{why}");
        let failed = cluster.wait_event("node_failed", Some(name));
        let why = failed["detail"]["reason"].as_str().unwrap();
        assert!(why.contains("it was not ready in time"), "{why}");
        assert_eq!(node["reason"], why);
    }
    let (_, _, code) = cluster.run(&["status"]);
    assert_eq!(code, 11);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: what asks whether a node is ready ends with the birth it asks about, and the next birth is not
/// taken for ready by its answer.
#[test]
fn an_answer_about_one_birth_does_not_count_for_the_next() {
    let cluster = Start::with(
        r#"Layout(nodes: { "job": (
            command: ["sleep", "infinity"],
            ready: Exec(["sh", "-c", "
                echo $SUPERVISOR_INCARNATION $$ >> $DIR/asked
                test $SUPERVISOR_INCARNATION = 1 || exec sleep infinity
                until test -e $DIR/go; do sleep 0.01; done
            "]),
            restart: (floor: "10ms"),
        ) })"#,
    )
    .start();
    let asked = || fs::read_to_string(cluster.directory().join("asked")).unwrap_or_default();
    wait_for("the first question", PATIENCE, || {
        asked().starts_with("1 ").then_some(())
    });
    let first: i32 = asked().trim().split_once(' ').unwrap().1.parse().unwrap();
    let first = ProcessId::of(first).unwrap();
    processes::signal(cluster.node_pid("job").unwrap(), Signal::SIGKILL);
    cluster.wait_node("job", "born again", |node| {
        node["incarnation"] == 2 && node["state"] == "starting"
    });
    processes::expect_gone(&[first], PATIENCE);
    fs::write(cluster.directory().join("go"), "").unwrap();
    wait_for("the second question", PATIENCE, || {
        asked().contains("\n2 ").then_some(())
    });
    assert_eq!(cluster.node("job")["state"], "starting");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a node that is not ready yet can be stopped and started again, and the new birth has to say
/// for itself that it is ready.
#[test]
fn a_node_can_be_stopped_before_it_is_ready() {
    let cluster = Start::with(
        r#"Layout(nodes: { "slow": (
            command: ["sh", "-c", "test -e $DIR/go && echo >&$NOTIFY_FD; exec sleep infinity"],
            ready: Notify,
        ) })"#,
    )
    .start();
    cluster.wait_state("slow", "starting");
    cluster.ok(&["stop", "slow"]);
    assert_eq!(cluster.node("slow")["state"], "stopped");
    fs::write(cluster.directory().join("go"), "").unwrap();
    cluster.ok(&["start", "slow"]);
    assert_eq!(cluster.node("slow")["state"], "ready");
    fs::remove_file(cluster.directory().join("go")).unwrap();
    let (_, err, code) = cluster.run(&["restart", "slow", "--timeout", "0.3"]);
    assert_eq!(code, 5, "{err}");
    assert_eq!(cluster.node("slow")["state"], "starting");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: who never stops talking keeps the stem neither from a neighbour's death nor from its leash.
#[test]
fn a_flood_of_notices_holds_up_nobody() {
    let start = Start::with(
        r#"Layout(nodes: {
            "flood": (command: ["python3", "$DIR/flood.py"], ready: SdNotify),
            "neighbour": (command: ["sleep", "infinity"],
                          restart: (floor: "0s", ceiling: "0s", give_up: "off")),
        })"#,
    );
    fs::write(start.directory().join("flood.py"), FLOOD).unwrap();
    let mut cluster = start.start_ready();
    for _ in 0..3 {
        let begun = Instant::now();
        cluster.replace("neighbour");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(4), "{took:?}");
    }
    let first = cluster.node("flood")["status_text"].clone();
    cluster.wait_node("flood", "goes on", |node| node["status_text"] != first);
    let tree = cluster.tree();
    cluster.signal(Signal::SIGKILL);
    cluster.wait_end();
    processes::expect_gone(&tree, Duration::from_secs(4));
}

/// Shows: what never ends its line on the notification pipe is not read without end; it is not ready.
#[test]
fn a_flood_without_a_newline_is_cut_off() {
    let cluster = Start::with(
        r#"Layout(nodes: { "zeros": (
            command: ["sh", "-c", "cat /dev/zero >&$NOTIFY_FD; echo cut off; exec sleep infinity"],
            ready: Notify, ready_timeout: "300s",
        ) })"#,
    )
    .start();
    cluster.wait_text("zeros/stdout.log", "cut off\n");
    let problem = cluster.wait_event("problem", Some("zeros"));
    assert!(problem.to_string().contains("NOTIFY_FD"), "{problem}");
    assert_eq!(cluster.node("zeros")["state"], "starting");
    cluster.stop_and_expect_nobody_left();
}

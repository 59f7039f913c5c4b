//! Listening sockets outlive who serves them: a connection made while a node or the stem is dead is
//! served by the successor, and the port is never closed in between.

#![cfg(test)]

mod common;

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::processes::{self, ProcessId};
use common::{Cluster, Start, places};
use nix::sys::signal::Signal;

/// Tells every caller its own process id, and how many sockets it was given.
const SERVER: &str = r#"
import os, socket, sys
assert os.environ["LISTEN_PID"] == str(os.getpid())
server = socket.socket(fileno=3)
server.setblocking(True)
os.write(int(os.environ["NOTIFY_FD"]), b"\n")
while True:
    caller, _ = server.accept()
    caller.sendall(b"%s %d" % (os.environ["LISTEN_FDS"].encode(), os.getpid()))
    caller.close()
"#;

fn site(port: u16) -> String {
    format!(
        r#"Layout(
    nodes: {{
        "server": (
            command: ["/usr/bin/python3", "-S", "$DIR/server.py"], ready: Notify, p: {port},
            restart: (floor: "20ms", ceiling: "100ms", give_up: "off"),
        ),
        "idle": (command: ["sleep", "infinity"]),
    }},
)"#
    )
}

fn start(port: u16) -> Cluster {
    let start = Start::with(&site(port));
    std::fs::write(start.directory().join("server.py"), SERVER).unwrap();
    start.start()
}

fn call(port: u16) -> TcpStream {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let stream = TcpStream::connect_timeout(&address, common::PATIENCE).unwrap();
    stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
    stream
}

/// The process that served a call.
fn served_by(mut call: TcpStream) -> i32 {
    let mut answer = String::new();
    call.read_to_string(&mut answer).unwrap();
    let (sockets, pid) = answer.split_once(' ').unwrap();
    assert_eq!(sockets, "1");
    pid.parse().unwrap()
}

/// Shows: calls wait for a node that is stopped, and for one that was killed; each is served by who
/// comes next.
#[test]
fn a_connection_made_while_the_node_is_dead_is_served_by_its_successor() {
    let port = places::free_port();
    let cluster = start(port);
    cluster.wait_ready();
    let first = cluster.node_pid("server").unwrap();
    assert_eq!(served_by(call(port)), first);

    cluster.ok(&["stop", "server"]);
    let calls: Vec<TcpStream> = (0..3).map(|_| call(port)).collect();
    assert_eq!(cluster.node("server")["state"], "stopped");
    cluster.ok(&["start", "server"]);
    let second = cluster.node_pid("server").unwrap();
    for call in calls {
        assert_eq!(served_by(call), second);
    }

    let killed = ProcessId::of(second).unwrap();
    processes::signal(second, Signal::SIGKILL);
    processes::expect_gone(&[killed], Duration::from_secs(5));
    let server = served_by(call(port));
    assert_ne!(server, second);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: the supervisor alone holds the port open. It stands still while stem and node are dead.
#[test]
fn a_connection_made_while_the_stem_is_dead_is_served_by_the_next_stems_node() {
    let port = places::free_port();
    let cluster = start(port);
    cluster.wait_ready();
    for _ in 0..2 {
        let stem = ProcessId::of(cluster.stem_pid().unwrap()).unwrap();
        let node = ProcessId::of(cluster.node_pid("server").unwrap()).unwrap();
        cluster.signal(Signal::SIGSTOP);
        processes::signal(stem.pid, Signal::SIGKILL);
        processes::expect_gone(&[stem, node.clone()], Duration::from_secs(5));
        let waiting = call(port);
        cluster.signal(Signal::SIGCONT);
        assert_ne!(served_by(waiting), node.pid);
        cluster.wait_ready();
    }
    cluster.stop_and_expect_nobody_left();
}

struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Shows: somebody who calls again and again, while the node dies four times and the stem twice, is never
/// refused.
#[test]
fn the_port_never_closes_while_node_and_stem_die() {
    let port = places::free_port();
    let cluster = start(port);
    cluster.wait_ready();
    let (over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        // Also when something here fails: the scope waits for the caller.
        let _end = OnDrop(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let mut answer = String::new();
                match call(port).read_to_string(&mut answer) {
                    Ok(0) => {} // taken by a server that was killed before it spoke
                    Ok(_) => {
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
                }
            }
        });
        for round in 0..6 {
            let before = served.load(Ordering::Relaxed);
            let victim = common::wait_for("a victim", common::PATIENCE, || match round % 3 {
                2 => cluster.stem_pid(),
                _ => cluster.node_pid("server"),
            });
            processes::signal(victim, Signal::SIGKILL);
            common::wait_for("another one serves", common::PATIENCE, || {
                (served.load(Ordering::Relaxed) > before + 1).then_some(())
            });
        }
    });
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a node that is forgotten takes its port along, and so does one that the layout has no more.
#[test]
fn the_port_is_free_when_the_node_is_destroyed() {
    let port = places::free_port();
    let cluster = start(port);
    cluster.wait_ready();
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    cluster.ok(&["destroy", "server"]);
    expect_free(port);

    // A former stem's escrow is let go as well.
    cluster.ok(&["deploy", cluster.layout_path().to_str().unwrap()]);
    assert_eq!(served_by(call(port)), cluster.node_pid("server").unwrap());
    let server = ProcessId::of(cluster.node_pid("server").unwrap()).unwrap();
    processes::signal(cluster.stem_pid().unwrap(), Signal::SIGKILL);
    processes::expect_gone(&[server], Duration::from_secs(5));
    served_by(call(port));
    cluster.wait_ready();
    let without = site(port).replace(&format!(", p: {port}"), "");
    cluster.write_layout(&without.replace("server.py", "absent.py"));
    cluster.ok(&[
        "deploy",
        "--no-wait",
        cluster.layout_path().to_str().unwrap(),
    ]);
    expect_free(port);
    cluster.stop_and_expect_nobody_left();
}

fn expect_free(port: u16) {
    common::wait_for("the port is free", Duration::from_secs(5), || {
        TcpListener::bind(("127.0.0.1", port)).ok()
    });
}

/// Shows: a port that somebody else holds is an event and a delay, not a death of anything; when it is
/// freed, the node comes up by itself.
#[test]
fn a_port_in_use_is_reported_and_taken_when_it_is_freed() {
    let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = other.local_addr().unwrap().port();
    let cluster = start(port);
    let problem = cluster.wait_event("problem", Some("server"));
    let text = problem["detail"]["error"].as_str().unwrap().to_owned();
    assert!(text.contains(&port.to_string()), "{text}");
    cluster.wait_state("idle", "ready");
    cluster.wait_node("server", "is delayed", |node| {
        node["state"] == "backoff" && node["pid"].is_null()
    });
    drop(other);
    cluster.wait_state("server", "ready");
    assert_eq!(served_by(call(port)), cluster.node_pid("server").unwrap());
    cluster.stop_and_expect_nobody_left();
}

//! What a service manager is told, and when. The test plays the service manager: it binds the socket
//! that the supervisor is told of, and reads.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test owns its clock")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Cluster, Start, places, processes};
use nix::sys::signal::Signal;

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/supervisor.service");

/// One node that is ready when the file `go` is there.
const SITE: &str = r#"Layout(
    nodes: {
        "patient": (
            command: ["sh", "-c", "until [ -e $DIR/go ]; do sleep 0.02; done; echo >&$NOTIFY_FD; exec sleep infinity"],
            ready: Notify,
        ),
    },
)"#;

/// The service manager's end of the protocol.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    fn listen(start: Start) -> (Self, Start) {
        let path = start.directory().join("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        socket.set_read_timeout(Some(common::PATIENCE)).unwrap();
        let start = start.env("NOTIFY_SOCKET", path.to_str().unwrap());
        (Self { socket }, start)
    }

    /// The assignments of the next message.
    fn next(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        text.lines().map(str::to_owned).collect()
    }

    /// Messages up to one that holds this assignment.
    fn up_to(&self, assignment: &str) -> Vec<String> {
        let mut seen = Vec::new();
        while !seen.iter().any(|line| line == assignment) {
            seen.extend(self.next());
        }
        seen
    }

    /// Everything that was said so far.
    fn said(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        let mut seen = Vec::new();
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            seen.extend(text.lines().map(str::to_owned));
        }
        self.socket.set_nonblocking(false).unwrap();
        seen
    }
}

fn go(cluster: &Cluster) {
    fs::write(cluster.directory().join("go"), "").unwrap();
}

fn count(lines: &[String], assignment: &str) -> usize {
    lines.iter().filter(|line| *line == assignment).count()
}

/// Shows: ready when the nodes are, once; a status with every change; a reload and the stop announced.
#[test]
fn the_service_manager_is_told_of_start_reload_and_stop() {
    let (manager, start) = Manager::listen(Start::with(SITE));
    let mut cluster = start.start();
    cluster.wait_state("patient", "starting");
    assert_eq!(count(&manager.said(), "READY=1"), 0);
    go(&cluster);
    let said = manager.up_to("READY=1");
    assert!(
        said.iter().any(|line| line.starts_with("STATUS=")),
        "{said:?}"
    );

    // A node that dies and comes back changes the status and nothing else.
    processes::signal(cluster.node_pid("patient").unwrap(), Signal::SIGKILL);
    cluster.wait_node("patient", "back", |node| {
        node["restarts"] == 1 && node["state"] == "ready"
    });
    cluster.wait_ready();
    let said = manager.said();
    assert_eq!(count(&said, "READY=1"), 0, "{said:?}");
    assert!(
        said.iter().all(|line| line.starts_with("STATUS=")),
        "{said:?}"
    );

    cluster.signal(Signal::SIGHUP);
    let said = manager.up_to("RELOADING=1");
    let rest = manager.up_to("READY=1");
    let all = [said, rest].concat();
    assert!(
        all.iter().any(|line| line.starts_with("MONOTONIC_USEC=")),
        "{all:?}"
    );

    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.wait_end().code(), Some(0));
    let said = manager.said();
    assert_eq!(count(&said, "STOPPING=1"), 1, "{said:?}");
    assert_eq!(count(&said, "READY=1"), 0, "{said:?}");
}

/// Shows: a layout that cannot be read is refused, and the service manager does not wait for ever for the
/// end of the reload.
#[test]
fn a_refused_reload_is_over_too() {
    let (manager, start) = Manager::listen(Start::with(SITE));
    let cluster = start.start();
    go(&cluster);
    manager.up_to("READY=1");
    cluster.write_layout("Layout(");
    cluster.signal(Signal::SIGHUP);
    manager.up_to("RELOADING=1");
    manager.up_to("READY=1");
    cluster.wait_event("layout_refused", None);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: with a quorum the start is over when it is met, though a node of the stage never becomes ready:
/// the service manager would else end what works.
#[test]
fn a_quorum_is_enough_to_be_ready() {
    let (manager, start) = Manager::listen(Start::with(
        r#"Layout(
            nodes: {
                "idle": (command: ["sleep", "infinity"], count: 2),
                "never": (command: ["sleep", "infinity"], ready: Notify, ready_timeout: "off"),
            },
            stages: { "commands": (number: 50, quorum: 2) },
        )"#,
    ));
    let cluster = start.start();
    manager.up_to("READY=1");
    cluster.wait_cluster("degraded");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: signs of life at half of the interval, while nodes start, run, and while the stem is dead: none
/// is so late that a service manager would act, and none comes for nothing.
#[test]
fn signs_of_life_come_at_half_of_the_watchdogs_interval() {
    // So long that half of it is time enough for a loaded machine.
    const INTERVAL: Duration = Duration::from_secs(3);
    let (manager, start) = Manager::listen(Start::with(SITE));
    let interval = INTERVAL.as_micros().to_string();
    let cluster = start.env("WATCHDOG_USEC", &interval).start();
    manager.up_to("WATCHDOG=1");
    let first = Instant::now();
    let mut last = first;
    for number in 1..=4 {
        match number {
            2 => go(&cluster),
            3 => processes::signal(cluster.stem_pid().unwrap(), Signal::SIGKILL),
            _ => {}
        }
        manager.up_to("WATCHDOG=1");
        let now = Instant::now();
        assert!(now - last < INTERVAL, "silent for {:?}", now - last);
        last = now;
    }
    // Four more at half of the interval; the first may have lain in the socket for a while.
    assert!(last - first > INTERVAL, "a flood: {:?}", last - first);
    cluster.wait_ready();
    cluster.stop_and_expect_nobody_left();
}

/// Shows: signs of life that were asked of another process are not given.
#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let (manager, start) = Manager::listen(Start::with(SITE));
    let cluster = start
        .env("WATCHDOG_USEC", "20000")
        .env("WATCHDOG_PID", "1")
        .start();
    go(&cluster);
    cluster.wait_ready();
    cluster.signal(Signal::SIGHUP);
    manager.up_to("READY=1");
    let said = manager.up_to("READY=1");
    assert_eq!(count(&said, "WATCHDOG=1"), 0, "{said:?}");
    let node = processes::environment(cluster.node_pid("patient").unwrap());
    assert!(!node.contains_key("NOTIFY_SOCKET"), "{node:?}");
    cluster.stop_and_expect_nobody_left();
}

fn keys(unit: &str, section: &str) -> Vec<(String, String)> {
    let mut inside = false;
    let mut keys = Vec::new();
    for line in unit.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == format!("[{section}]");
        } else if inside
            && !line.starts_with('#')
            && let Some((key, value)) = line.split_once('=')
        {
            keys.push((key.to_owned(), value.to_owned()));
        }
    }
    keys
}

/// Shows: the unit file says what the supervisor does, and systemd, where it is installed, understands it.
#[test]
fn the_unit_file_fits_the_protocol_and_is_understood_by_systemd() {
    let unit = fs::read_to_string(UNIT).unwrap();
    let service = keys(&unit, "Service");
    for (key, value) in [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("KillMode", "mixed"),
        ("Delegate", "yes"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
    ] {
        let pair = (key.to_owned(), value.to_owned());
        assert!(service.contains(&pair), "{key}={value}");
    }
    assert!(service.iter().any(|(key, _)| key == "WatchdogSec"));
    let stop = service.iter().find(|(key, _)| key == "TimeoutStopSec");
    let seconds: u32 = stop.unwrap().1.parse().unwrap();
    assert!(seconds > 30, "systemd would kill before the stop deadline");

    let directory = tempfile::tempdir().unwrap();
    let program = places::reachable_program(directory.path());
    let copy = directory.path().join("supervisor.service");
    let installed = unit.replace("/usr/local/bin/supervisor", program.to_str().unwrap());
    fs::write(&copy, installed).unwrap();
    match Command::new("systemd-analyze")
        .arg("verify")
        .arg(&copy)
        .output()
    {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{text}");
            let about_ours: Vec<_> = text
                .lines()
                .filter(|line| line.contains("supervisor.service"))
                .collect();
            assert!(about_ours.is_empty(), "{about_ours:?}");
        }
        Err(error) => {
            println!("systemd-analyze is not here ({error}): only the keys were looked at")
        }
    }
}

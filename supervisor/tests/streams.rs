//! A cluster whose records go by Unix streams, as its operator sees it, and as `check` does.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test owns its clock")]

mod common;

use std::time::Instant;

use cluster::layout::spec::Role;
use cluster::node::endpoint::Endpoint;
use nix::sys::signal::Signal;
use serde_json::Value;

use common::terminals::{json_of, ticks, wait_up};
use common::{Cluster, PATIENCE, Start, layouts, processes, program, wait_for};

const FABRIC: &str = r#"controller: (enabled: false),
    fabric: (transport: Unix, policies: [(topic: "latest/", policy: DropOldest)])"#;

fn site() -> String {
    let worker = r#"node_type: Worker, manager: "manager""#;
    layouts::layout(
        FABRIC,
        &[("manager", "node_type: Manager"), ("worker", worker)],
    )
}

/// The sum for one subscriber; it adds up.
fn sum_for(cluster: &Cluster, name: &str) -> Value {
    let reply = json_of(cluster, &["stats", "--json", name]);
    assert_eq!(reply["ok"], true, "{reply}");
    let sums = reply["subscribers"].as_array().unwrap();
    let sum = sums.iter().find(|sum| sum["to"] == name).cloned();
    let sum = sum.unwrap_or_else(|| panic!("{reply}"));
    let parts = ["delivered", "dead_letters", "in_flight"].map(|key| count(&sum[key]));
    assert_eq!(
        count(&sum["published"]),
        parts.iter().sum::<u64>() + dropped(&sum),
        "{sum}"
    );
    sum
}

fn count(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no count"))
}

fn dropped(sum: &Value) -> u64 {
    sum["dropped"]
        .as_object()
        .unwrap()
        .values()
        .map(count)
        .sum()
}

/// Shows: what a publisher leaves in the queue toward one that hangs is lost with it; that and what did not
/// fit is counted and told; the rest comes, in order.
#[test]
fn a_halted_subscriber_gets_what_its_socket_holds_and_the_rest_is_counted() {
    const EVENTS: u64 = 60_000;
    let cluster = Start::with(&site()).start_ready();
    let mut sub = cluster.terminal("sub", &["sub", "flood/"]);
    let name = wait_up(&cluster, &sub);
    cluster.ok(&["pub", "flood/a", "first"]);
    sub.wait_out("the first", |text| text.contains("first()"));

    processes::halt(sub.pid());
    let (_, told, code) = cluster.run_with_input(&["pub", "flood/a", "-"], &ticks(EVENTS));
    assert_eq!(code, 6, "{told}");
    assert!(told.contains("`supervisor stats` says why"), "{told}");
    let sum = wait_for("the publishers have left", PATIENCE, || {
        let sum = sum_for(&cluster, &name);
        (count(&sum["published"]) == EVENTS).then_some(sum)
    });
    assert!(count(&sum["dropped"]["full"]) > 1000, "{sum}");
    let taken = count(&sum["in_flight"]);
    assert!(taken > 100, "{sum}");
    let table = cluster.ok(&["stats"]);
    let full = count(&sum["dropped"]["full"]);
    assert!(table.contains(&format!("{full} full")), "{table}");
    let status = json_of(&cluster, &["status", "--json"]);
    assert_eq!(status["ok"], true, "{status}");

    sub.signal(Signal::SIGCONT);
    sub.wait_out("what its socket held, in order", |text| {
        let came = text.lines().count() - 1;
        came > 100 && text.ends_with(&format!(" tick({came})\n"))
    });
    sub.signal(Signal::SIGINT);
    assert_eq!(sub.wait_end(), 0);
    assert!(sub.err().contains("records were dropped"), "{}", sub.err());
    cluster.stop_and_expect_nobody_left();
}

/// Shows: everything that `pub` says was taken comes, however much it is, and its end costs nothing.
#[test]
fn a_publisher_that_leaves_has_written_what_it_queued() {
    const EVENTS: u64 = 20_000;
    let cluster = Start::with(&site()).start_ready();
    let sub = cluster.terminal("sub", &["sub", "flood/"]);
    wait_up(&cluster, &sub);
    let (said, told, _) =
        cluster.run_with_input(&["pub", "--json", "flood/a", "-"], &ticks(EVENTS));
    let reply: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said} {told}"));
    let taken = count(&reply["taken"]);
    assert!(taken > 1000, "{reply}");
    sub.wait_out("what was taken", |text| {
        text.lines().count() as u64 == taken
    });
    let peers = cluster.ok(&["peers"]);
    assert!(peers.contains("manager") && peers.contains("up"), "{peers}");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: who hangs gets the newest when it goes on, and the stem's death changes nothing of it.
#[test]
fn the_oldest_make_room_for_the_newest_over_the_death_of_the_stem() {
    const EVENTS: u32 = 20_000;
    let cluster = Start::with(&site()).start_ready();
    let sub = cluster.terminal("sub", &["sub", "latest/"]);
    let name = wait_up(&cluster, &sub);
    let mut publisher = Endpoint::attach(&cluster.attach_socket(), None, Role::None).unwrap();
    processes::halt(sub.pid());
    for number in 1..=EVENTS {
        assert!(publisher.publish_event("latest/a", "tick", &[u64::from(number).into()]));
    }
    let sum = sum_for(&cluster, &name);
    assert_eq!(count(&sum["published"]), u64::from(EVENTS));
    assert!(count(&sum["dropped"]["oldest"]) > 1000, "{sum}");
    sub.signal(Signal::SIGCONT);

    let stem = cluster.wait_stem(None);
    processes::signal(stem, Signal::SIGKILL);
    cluster.wait_stem(Some(stem));
    let until = Instant::now() + PATIENCE;
    wait_for("the newest comes", PATIENCE, || {
        publisher.flush_until(until).unwrap();
        sub.out().contains(&format!("tick({EVENTS})")).then_some(())
    });
    let sum = wait_for("all of it is released", PATIENCE, || {
        let sum = sum_for(&cluster, &name);
        (count(&sum["in_flight"]) == 0).then_some(sum)
    });
    assert_eq!(count(&sum["dropped"]["lost"]), 0, "{sum}");
    let numbers = sub
        .out()
        .lines()
        .map(|line| {
            let (_, number) = line.rsplit_once("tick(").unwrap();
            number.trim_end_matches(')').parse::<u32>().unwrap()
        })
        .collect::<Vec<_>>();
    assert!(
        numbers.is_sorted_by(|one, next| one < next),
        "in order, each once"
    );
    assert_eq!(numbers.len() as u64, count(&sum["delivered"]));
    drop(publisher);
    cluster.stop_and_expect_nobody_left();
}

fn check(layout: &str) -> (i32, String) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("site.ron"), layout).unwrap();
    let mut check = program();
    let check = check
        .args(["check", "site.ron"])
        .current_dir(directory.path());
    let output = check.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

#[test]
fn check_knows_the_transport_and_refuses_what_rings_cannot() {
    let (code, said) = check(&site());
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("not acted on"), "{said}");
    assert!(
        said.contains("unix") && said.contains("drop oldest"),
        "{said}"
    );
    let (code, said) = check(&site().replace("Unix", "Ring"));
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("\"latest/\" is to drop its oldest records"),
        "{said}"
    );
    assert!(
        said.contains("write transport: Unix, or use DropNewest"),
        "{said}"
    );
    let (code, said) = check(&site().replace("Unix", "Unicks"));
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("Unix"), "{said}");
}

/// Shows: what the transport in use cannot do is named by `diff` and refused by `deploy` and at SIGHUP,
/// though the layout would do at a start; and another transport alone is no hindrance.
#[test]
fn a_cluster_of_rings_does_not_take_policies_of_streams_over() {
    let rings = layouts::layout(
        layouts::NO_CONTROLLER,
        &[("manager", "node_type: Manager"), ("idle", layouts::IDLE)],
    );
    let streams = rings.replace(layouts::NO_CONTROLLER, FABRIC);
    let cluster = Start::with(&rings).start_ready();
    let generation = cluster.status()["generation"].clone();
    let next = cluster.directory().join("next.ron");
    let run = |args: &[&str], layout: &str| {
        std::fs::write(&next, layout).unwrap();
        cluster.run(&[args, &[next.to_str().unwrap()]].concat())
    };
    let cannot =
        "\"latest/\" is to drop its oldest records, which the transport in use, ring, cannot";
    let (out, err, code) = run(&["diff"], &streams);
    assert_eq!(code, 1, "{out}{err}");
    assert!(
        out.contains("fabric.transport (at the next start)"),
        "{out}"
    );
    for args in [&["diff"][..], &["deploy"], &["deploy", "--dry-run"]] {
        let (out, err, code) = run(args, &streams);
        assert_ne!(code, 0, "{out}{err}");
        assert!(err.contains(cannot), "{args:?}: {out}{err}");
        assert!(err.contains("`supervisor shutdown`"), "{args:?}: {err}");
    }
    std::fs::write(cluster.layout_path(), &streams).unwrap();
    cluster.signal(Signal::SIGHUP);
    let refused = cluster.wait_event("layout_refused", None);
    assert!(refused.to_string().contains("ring, cannot"), "{refused}");
    assert_eq!(cluster.status()["generation"], generation);
    let (out, err, code) = run(&["deploy"], &streams.replace("DropOldest", "DropNewest"));
    assert_eq!(code, 0, "{out}{err}");
    cluster.stop_and_expect_nobody_left();
}

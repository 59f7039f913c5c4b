//! What became of every record, and who is there, as anybody sees it who only looks.

#![cfg(test)]

mod common;

use std::io::Read;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use common::terminals::{json_of, lines, peer, subscribed, ticks, wait_up};
use common::{Cluster, PATIENCE, Start, layouts, processes, wait_for};

/// The sum for one subscriber.
fn sum_for(cluster: &Cluster, name: &str) -> Value {
    let reply = json_of(cluster, &["stats", "--json", name]);
    assert_eq!(reply["ok"], true, "{reply}");
    let sums = reply["subscribers"].as_array().unwrap();
    let sum = sums.iter().find(|sum| sum["to"] == name).cloned();
    sum.unwrap_or_else(|| panic!("{reply}"))
}

fn count(sum: &Value, key: &str) -> u64 {
    sum[key]
        .as_u64()
        .unwrap_or_else(|| panic!("no {key} in {sum}"))
}

fn dropped(sum: &Value) -> u64 {
    let reasons = sum["dropped"].as_object().unwrap();
    reasons.values().map(|count| count.as_u64().unwrap()).sum()
}

/// Shows: everything that was published is delivered, dropped or in flight, by figures that are added up
/// here again.
fn expect_account(sum: &Value, published: u64) {
    assert_eq!(count(sum, "published"), published, "{sum}");
    assert_eq!(count(sum, "accepted") + dropped(sum), published, "{sum}");
    let found = count(sum, "delivered") + count(sum, "dead_letters") + count(sum, "in_flight");
    assert_eq!(found, count(sum, "accepted"), "{sum}");
}

/// Shows: who publishes to one that hangs goes on; what does not fit is counted and told; and the account
/// holds at every step, over the deaths of the stem and of the reader.
#[test]
fn a_halted_subscriber_costs_nobody_anything_but_its_own_records() {
    const EVENTS: u64 = 60_000;
    let cluster = Start::with(layouts::SMALL).start_ready();
    let mut sub = cluster.terminal("sub", &["sub", "flood/"]);
    let name = wait_up(&cluster, &sub);
    cluster.ok(&["pub", "flood/a", "first"]);
    sub.wait_out("the first", |text| text.contains("first()"));
    let before = processes::resident_kib(sub.pid());

    processes::halt(sub.pid());
    let (_, told, code) = cluster.run_with_input(&["pub", "flood/a", "-"], &ticks(EVENTS));
    assert_eq!(code, 6, "{told}");
    assert!(told.contains("`supervisor stats` says why"), "{told}");
    // Both publishers have left; the rings stand, for there are records in one of them.
    let sum = sum_for(&cluster, &name);
    expect_account(&sum, EVENTS);
    let (taken, lost) = (count(&sum, "in_flight"), dropped(&sum));
    assert!(taken > 1000 && lost > 1000, "{sum}");
    assert_eq!(sum["dropped"]["full"], lost);
    let table = cluster.ok(&["stats"]);
    assert!(table.contains(&format!("dropped: {lost} full")), "{table}");
    let grown = processes::resident_kib(sub.pid()).saturating_sub(before);
    assert!(grown < 2048, "{grown} KiB more");

    sub.signal(Signal::SIGCONT);
    let shown = sub.wait_out("all that was accepted", |text| {
        text.lines().count() as u64 == taken + 1
    });
    assert!(shown.ends_with(&format!(" tick({taken})\n")), "in order");
    sub.signal(Signal::SIGINT);
    assert_eq!(sub.wait_end(), 0);
    let warned = format!("warning: {lost} records were dropped");
    assert!(sub.err().contains(&warned), "{}", sub.err());
    cluster.stop_and_expect_nobody_left();
}

#[test]
fn the_account_holds_over_the_deaths_of_the_stem_and_of_the_reader() {
    let cluster = Start::with(layouts::SMALL).start_ready();
    let sub = cluster.terminal("sub", &["sub", "flood/"]);
    let name = wait_up(&cluster, &sub);
    let publish = |count| {
        let (_, said, code) = cluster.run_with_input(&["pub", "flood/a", "-"], &ticks(count));
        assert_eq!(code, 0, "{said}");
    };
    publish(100);
    sub.wait_out("all", |text| text.lines().count() == 100);
    processes::halt(sub.pid());
    publish(50);
    let sum = sum_for(&cluster, &name);
    expect_account(&sum, 50);
    assert_eq!(count(&sum, "in_flight"), 50);
    let before = cluster.stem_pid();
    sub.signal(Signal::SIGCONT);
    cluster.kill_stem();
    cluster.wait_stem(before);
    sub.wait_out("what was in flight", |text| text.lines().count() == 150);
    wait_for("it sits again", PATIENCE, || peer(&cluster, sub.pid()));
    publish(10);
    sub.wait_out("what came after", |text| text.lines().count() == 160);

    processes::halt(sub.pid());
    publish(20);
    sub.signal(Signal::SIGKILL);
    wait_for("nothing of it is left", PATIENCE, || {
        let reply = json_of(&cluster, &["stats", "--json"]);
        assert_eq!(reply["ok"], true, "{reply}");
        let links = reply["links"].as_array().unwrap();
        links.iter().all(|link| link["to"] != name).then_some(())
    });
    assert!(!cluster.ok(&["stats"]).contains(&name));
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a reader of the output that reads nothing holds up `sub` alone, which can still be ended.
#[test]
fn a_stalled_terminal_holds_up_nobody_and_can_be_interrupted() {
    let cluster = Start::with(layouts::SMALL).start_ready();
    let (mut sub, mut pipe) = cluster.piped("sub", &["sub", "flood/", "--json"]);
    let name = wait_up(&cluster, &sub);
    let (_, _, code) = cluster.run_with_input(&["pub", "flood/a", "-"], &ticks(60_000));
    assert_eq!(code, 6);
    let sum = sum_for(&cluster, &name);
    expect_account(&sum, 60_000);
    sub.signal(Signal::SIGINT);
    assert_eq!(sub.wait_end(), 0);
    let warned = format!("warning: {} records were dropped", dropped(&sum));
    assert!(sub.err().contains(&warned), "{}\n{sum}", sub.err());
    let mut shown = String::new();
    pipe.read_to_string(&mut shown).unwrap();
    let whole = shown.rsplit_once('\n').unwrap().0;
    assert!(lines(whole).len() > 10);
    cluster.stop_and_expect_nobody_left();
}

#[test]
fn peers_shows_the_nodes_of_the_layout_and_whoever_is_attached() {
    let cluster = Start::with(layouts::SMALL).start_ready();
    let sub = subscribed(&cluster, &["site/b", "site/a", "site/a/more"]);
    cluster.ok(&["stop", "worker-2"]);
    let reply = json_of(&cluster, &["peers", "--json"]);
    assert_eq!((&reply["schema"], &reply["ok"]), (&json!(1), &json!(true)));
    let peers = reply["peers"].as_array().unwrap();
    let of = |name: &str| peers.iter().find(|peer| peer["name"] == name).unwrap();
    for (name, role) in [("manager", "manager"), ("worker-1", "worker")] {
        let peer = of(name);
        assert_eq!(peer["role"], role);
        assert_eq!(peer["pid"], json!(cluster.node_pid(name)));
        assert_eq!(
            (&peer["attached"], &peer["incarnation"]),
            (&json!(false), &json!(1))
        );
        assert_eq!(peer["id"].as_str().unwrap().len(), 36);
    }
    let stopped = of("worker-2");
    assert_eq!(
        (&stopped["state"], &stopped["pid"]),
        (&json!("away"), &Value::Null)
    );
    assert!(
        !peers.iter().any(|peer| peer["name"] == "idle"),
        "it has no seat"
    );
    let attached = peers.iter().find(|peer| peer["pid"] == sub.pid()).unwrap();
    assert_eq!(attached["attached"], true);
    assert_eq!(attached["filter"], json!(["site/a", "site/b"]));

    let table = cluster.ok(&["peers", "@workers"]);
    let names: Vec<&str> = table
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(names, ["NAME", "worker-1", "worker-2"]);
    let everybody = cluster.ok(&["peers"]);
    let line = everybody
        .lines()
        .find(|line| line.contains(" site/a site/b"))
        .unwrap();
    assert!(line.contains(" up ") && line.contains(" yes "), "{line}");
    cluster.stop_and_expect_nobody_left();
}

fn rates_of(picture: &Value, name: &str) -> Value {
    let subscribers = picture["subscribers"].as_array().unwrap();
    let found = subscribers
        .iter()
        .find(|subscriber| subscriber["to"] == name);
    found.unwrap()["rates"].clone()
}

/// Shows: one picture has the rates of a moment; of those that are watched, the second has the rates of what
/// came since the first.
#[test]
fn stats_show_rates() {
    let cluster = Start::with(layouts::SMALL).start_ready();
    let sub = subscribed(&cluster, &["site/"]);
    let name = wait_up(&cluster, &sub);
    // The rings of a publisher that has left stand as long as there is something in them.
    processes::halt(sub.pid());
    cluster.ok(&["pub", "site/a", "alarm"]);
    let once = lines(&cluster.ok(&["stats", "--json"]))[0].clone();
    let still = json!({"published": 0.0, "delivered": 0.0, "dropped": 0.0});
    assert_eq!(rates_of(&once, &name), still);
    let watch = cluster.terminal("watch", &["stats", "-f", "--json"]);
    let first = watch.wait_out("a picture", |text| text.contains('\n'));
    let first = &lines(first.lines().next().unwrap())[0];
    assert_eq!(rates_of(first, &name), Value::Null);
    cluster.ok(&["pub", "site/a", "alarm"]);
    watch.wait_out("a rate", |text| {
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        lines(whole).iter().any(|picture| {
            let rates = rates_of(picture, &name);
            rates["published"].as_f64() > Some(0.0) && rates["delivered"] == 0.0
        })
    });
    sub.signal(Signal::SIGCONT);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: QUEUE and DROPS of a node, as the supervisor itself sees them; a seatless command has neither.
#[test]
fn status_shows_what_waits_for_a_node_and_what_was_dropped() {
    let cluster = Start::with(layouts::SMALL).start_ready();
    // After this no node has anything to tell the manager.
    cluster.wait_content("manager/stdout.log", "it has started", |text| {
        text.contains("event=cluster_started")
    });
    assert_eq!(cluster.node("manager")["queue"], 0);
    assert_eq!(cluster.node("manager")["drops"], 0);
    assert_eq!(cluster.node("idle")["queue"], Value::Null);
    // So that it leaves in its ring what comes.
    let reader = cluster.node_pid("manager").unwrap();
    processes::halt(reader);
    let mut writer = cluster.attach("writer");
    let name = cluster::names::NodeName::parse("manager").unwrap();
    let manager = writer.board.find_by_name(&name).unwrap();
    let key = writer.ring_to(manager, 100);
    let mut ring = writer.writer(key);
    for _ in 0..3 {
        ring.try_push(&[b"record"]).unwrap();
    }
    ring.count_drop(cluster::shm::ring::DropReason::Full);
    writer.board.count_no_ring(writer.slot, manager);
    let node = cluster.node("manager");
    assert_eq!((&node["queue"], &node["drops"]), (&json!(3), &json!(2)));
    assert_eq!(cluster.node("worker-1")["drops"], 0);
    let sum = sum_for(&cluster, "manager");
    assert_eq!((count(&sum, "in_flight"), dropped(&sum)), (3, 2));
    processes::signal(reader, Signal::SIGCONT);
    cluster.stop_and_expect_nobody_left();
}

//! What becomes of records whose reader dies over them, or does not read: put aside, passed over, dropped.

#![cfg(test)]

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write;

use cluster::data::hex;
use cluster::layout::spec::Role;
use cluster::names::NodeName;
use cluster::node::endpoint::{Delivery, Endpoint};
use nix::sys::signal::Signal;
use serde_json::Value;

use common::terminals::{json_of, peer};
use common::{Cluster, PATIENCE, Start, layouts, processes, program, wait_for, wait_or_tell};

/// Says to a process of the test binary that it is the reader.
const READER: &str = "TEST_READER";

/// In the reader's directory: its process and a record in each line, written before it is handled.
const TAKEN: &str = "taken";

/// Its reader aborts when it takes this, and each other time waits to be killed instead.
const POISON: &str = "poison";

/// Behind a record that begins so, its reader waits to be killed.
const PARK: &str = "park";

/// Reads, if this process is to. False: it is not.
fn am_i_the_reader() -> bool {
    if std::env::var_os(READER).is_none() {
        return false;
    }
    let mut endpoint = Endpoint::from_environment().unwrap();
    for (prefix, delivery) in [
        ("often/", Delivery::AtLeastOnce),
        ("once/", Delivery::AtMostOnce),
    ] {
        endpoint.subscribe(prefix, delivery).unwrap();
    }
    endpoint.announce();
    let mut taken = OpenOptions::new();
    let mut taken = taken.append(true).create(true).open(TAKEN).unwrap();
    loop {
        endpoint.drain(usize::MAX, |_, record| {
            let text = std::str::from_utf8(record.payload).unwrap();
            let line = format!("{} {text}\n", std::process::id());
            taken.write_all(line.as_bytes()).unwrap();
            handle(text);
        });
        endpoint.wait(None).unwrap();
    }
}

fn handle(text: &str) {
    let is_odd_poison = || {
        let taken = fs::read_to_string(TAKEN).unwrap();
        let poisons = taken.lines().filter(|line| line.ends_with(POISON));
        poisons.count() % 2 == 1
    };
    if text == POISON && is_odd_poison() {
        std::process::abort();
    }
    while text == POISON || text.starts_with(PARK) {
        std::thread::park();
    }
}

/// A cluster of the reader alone, which runs this test, in a layout that says this first.
fn start(head: &str, test: &str) -> Cluster {
    let command = layouts::this_binary(test);
    let env = format!(r#"env: {{"{READER}": "yes"}}"#);
    let reader = layouts::entry(&["node_type: Worker", &command, &env, layouts::AT_ONCE]);
    let cluster = Start::with(&layouts::layout(head, &[("reader", &reader)])).start_ready();
    wait_reader(&cluster, None);
    cluster
}

/// Waits until the reader has said what it wants, in another process than this.
fn wait_reader(cluster: &Cluster, other_than: Option<i32>) -> i32 {
    wait_for("the reader is up", PATIENCE, || {
        let pid = cluster.node_pid("reader")?;
        let is_up = peer(cluster, pid)?["state"] == "up";
        (is_up && Some(pid) != other_than).then_some(pid)
    })
}

fn attach(cluster: &Cluster, name: &str, role: Role) -> Endpoint {
    let name = NodeName::parse(name).unwrap();
    Endpoint::attach(&cluster.attach_socket(), Some(name), role).unwrap()
}

fn publish_all(publisher: &mut Endpoint, topic: &str, texts: &[&str]) {
    for text in texts {
        assert!(publisher.publish(topic, text.as_bytes()), "{text}");
    }
}

/// What the reader took so far, each with the process that did.
fn taken(cluster: &Cluster) -> Vec<(i32, String)> {
    let text = cluster.read(&format!("reader/{TAKEN}"));
    let lines = text.lines().map(|line| {
        let (pid, text) = line.split_once(' ').unwrap();
        (pid.parse().unwrap(), text.to_owned())
    });
    lines.collect()
}

/// Waits until the reader took these and no others, in this order; gives the process that took the last.
fn wait_taken(cluster: &Cluster, expected: &[&str]) -> i32 {
    let look = || {
        let taken = taken(cluster);
        let texts = taken.iter().map(|(_, text)| text.as_str());
        let (last, _) = taken.last()?;
        texts.eq(expected.iter().copied()).then_some(*last)
    };
    let tell = || format!("{:?} and not {expected:?}", taken(cluster));
    wait_or_tell("the reader takes", PATIENCE, look, tell)
}

/// The account of what this publisher sent to the reader.
fn account(cluster: &Cluster, publisher: &str) -> Value {
    let reply = json_of(cluster, &["stats", "--json", "reader"]);
    assert_eq!(reply["ok"], true, "{reply}");
    let mut links = reply["links"].as_array().unwrap().iter();
    let link = links.find(|link| link["from"] == publisher && link["to"] == "reader");
    link.cloned().unwrap_or_else(|| panic!("{reply}"))
}

/// Waits until the reader is through with everything, of which it handled so much.
fn wait_delivered(cluster: &Cluster, publisher: &str, count: usize) -> Value {
    let look = || {
        let account = account(cluster, publisher);
        (account["in_flight"] == 0 && account["delivered"] == count).then_some(account)
    };
    let tell = || account(cluster, publisher).to_string();
    wait_or_tell(&format!("{count} are delivered"), PATIENCE, look, tell)
}

fn wait_restarts(cluster: &Cluster, count: usize) {
    let what = format!("was born again {count} times");
    cluster.wait_node("reader", &what, |node| node["restarts"] == count);
}

/// Shows: a record that the reader dies of thrice by its own fault is put aside, whole, and the rest
/// comes, each once and in order; deaths by another's hand in between cost it nothing.
#[test]
fn a_record_that_kills_its_reader_thrice_is_put_aside() {
    if am_i_the_reader() {
        return;
    }
    let cluster = start("", "a_record_that_kills_its_reader_thrice_is_put_aside");
    let mut publisher = attach(&cluster, "publisher", Role::None);
    publish_all(&mut publisher, "often/a", &["first"]);
    // Not released, it would come again.
    wait_delivered(&cluster, "publisher", 1);
    let behind = ["one", "two", "three"];
    publish_all(&mut publisher, "often/a", &[POISON]);
    publish_all(&mut publisher, "often/a", &behind);
    let letters = cluster.run_dir().join("reader/dead-letter");
    for poisons in [2, 4] {
        let parked = wait_taken(&cluster, &[&["first"], &[POISON; 4][..poisons]].concat());
        assert!(!letters.exists(), "after {poisons} deaths at most");
        processes::signal(parked, Signal::SIGKILL);
    }
    let all = [&["first"], &[POISON; 5][..], &behind].concat();
    let last = wait_taken(&cluster, &all);
    wait_delivered(&cluster, "publisher", 1 + behind.len());
    let letters = fs::read_to_string(&letters).unwrap();
    let letter: Value = serde_json::from_str(&letters).unwrap();
    assert_eq!(letter["from"], "publisher");
    assert_eq!(letter["topic"], "often/a");
    assert_eq!((&letter["ring"], &letter["number"]), (&0.into(), &1.into()));
    assert_eq!(letter["payload_hex"], hex(POISON.as_bytes()));

    publish_all(&mut publisher, "often/a", &["last"]);
    assert_eq!(wait_taken(&cluster, &[&all[..], &["last"]].concat()), last);
    let account = wait_delivered(&cluster, "publisher", 2 + behind.len());
    assert_eq!(account["dead_letters"], 1, "{account}");
    assert_eq!(account["published"], 3 + behind.len(), "{account}");
    wait_restarts(&cluster, 5);
    drop(publisher);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: what is wanted at most once does not come to the successor of a reader that was handling it,
/// however that died; what is behind it does.
#[test]
fn what_is_wanted_at_most_once_does_not_come_again() {
    if am_i_the_reader() {
        return;
    }
    let cluster = start("", "what_is_wanted_at_most_once_does_not_come_again");
    let mut publisher = attach(&cluster, "publisher", Role::None);
    let rounds = ["park-1", "park-2", "park-3", POISON];
    let mut all = Vec::new();
    for deadly in rounds {
        publish_all(&mut publisher, "once/a", &["before", deadly, "behind"]);
        all.extend(["before", deadly]);
        if deadly != POISON {
            let parked = wait_taken(&cluster, &all);
            processes::signal(parked, Signal::SIGKILL);
        }
        all.push("behind");
        wait_taken(&cluster, &all);
    }
    let account = wait_delivered(&cluster, "publisher", all.len());
    assert_eq!(account["dead_letters"], 0, "{account}");
    wait_restarts(&cluster, rounds.len());
    drop(publisher);
    cluster.stop_and_expect_nobody_left();
}

/// Publishes until something does not fit, and this much more in vain: how many were accepted.
fn flood(publisher: &mut Endpoint, more: usize) -> usize {
    const RECORDS_MAX: usize = 1000;
    let record = "x".repeat(1000);
    let mut goes = || publisher.publish("often/cut/a", record.as_bytes());
    let accepted = (0..RECORDS_MAX).take_while(|_| goes()).count();
    assert!((1..RECORDS_MAX).contains(&accepted), "{accepted}");
    assert!((0..more).all(|_| !goes()));
    accepted
}

/// Shows: where the layout says so, a full ring cuts the link, and room mends nothing: its reader has to
/// declare itself anew. On another link the same topic drops what is newest, and goes on when there is room.
#[test]
fn a_link_that_was_cut_carries_again_when_its_reader_is_born_again() {
    if am_i_the_reader() {
        return;
    }
    let fabric = r#"fabric: (bulk: "16KiB",
        policies: [(topic: "often/cut/", from: Type(Logger), to: Node("reader"), policy: Disconnect)],
        waits: [(node: Type(Worker), wait: Spin("50us"))])"#;
    let test = "a_link_that_was_cut_carries_again_when_its_reader_is_born_again";
    let cluster = start(fabric, test);
    let mut cut = attach(&cluster, "cut", Role::Logger);
    let mut other = attach(&cluster, "other", Role::None);
    let reader = wait_reader(&cluster, None);
    processes::halt(reader);
    let taken_of_cut = flood(&mut cut, 3);
    let taken_of_other = flood(&mut other, 4);
    processes::signal(reader, Signal::SIGCONT);
    wait_delivered(&cluster, "cut", taken_of_cut);
    wait_delivered(&cluster, "other", taken_of_other);
    assert!(!cut.publish("often/cut/a", b"in vain"));
    publish_all(&mut other, "often/cut/a", &["room"]);
    wait_delivered(&cluster, "other", taken_of_other + 1);
    for (publisher, reason, count) in [("cut", "disconnected", 5), ("other", "full", 5)] {
        let account = account(&cluster, publisher);
        for (other, dropped) in account["dropped"].as_object().unwrap() {
            let expected = if other == reason { count } else { 0 };
            assert_eq!(*dropped, expected, "{other}: {account}");
        }
        assert_eq!(account["dropped"][reason], count, "{account}");
    }
    let table = cluster.ok(&["stats", "reader"]);
    assert!(
        table.contains("5 disconnected") && table.contains("5 full"),
        "{table}"
    );

    processes::signal(reader, Signal::SIGKILL);
    let successor = wait_reader(&cluster, Some(reader));
    publish_all(&mut cut, "often/cut/a", &["mended"]);
    wait_delivered(&cluster, "cut", taken_of_cut + 1);
    assert_eq!(
        taken(&cluster).last().unwrap(),
        &(successor, "mended".to_owned())
    );
    drop((cut, other));
    cluster.stop_and_expect_nobody_left();
}

/// Shows: `check` says of each link what becomes of its records, and of each type how it waits.
#[test]
fn check_shows_what_holds_of_single_links_and_nodes() {
    let directory = tempfile::tempdir().unwrap();
    let layout = directory.path().join("site.ron");
    let fabric = r#"fabric: (
        policies: [(topic: "x/", from: Type(Logger), to: Node("reader"), policy: Disconnect)],
        waits: [(node: Type(Worker), wait: Spin("50us"))])"#;
    let reader = layouts::entry(&["node_type: Worker", layouts::IDLE]);
    fs::write(&layout, layouts::layout(fabric, &[("reader", &reader)])).unwrap();
    let output = program().arg("check").arg(&layout).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    for words in [
        "every worker: spin 50us",
        "the topic \"x/\" from every logger to reader: disconnect",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

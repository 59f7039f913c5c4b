//! SIGKILL at any moment, to any node and the stem, while records cross at full speed: none that was
//! accepted is lost, and afterwards everything is as it was.
//!
//! `KILLS=2000 cargo test --test kills` kills that often; `KILLS_SEED=7` chooses other victims.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test measures by the clock")]

mod common;
mod exchange;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use cluster::fabric::Transport;
use nix::sys::signal::Signal;

use common::{Cluster, levels, mix, number_of, processes, wait_or_tell, waiting};
use exchange::records::NODES;
use exchange::{Exchange, node, verdict};

/// So many kills, unless `KILLS` says another number.
const KILLS: u64 = 100;

/// The same, over streams.
const KILLS_OF_STREAMS: u64 = 40;

/// Of records; each has links of its own.
const CLASSES: usize = 2;

/// A kill counts only when so many records were received since the last.
const RECORDS_BETWEEN: u64 = 10_000;

fn names() -> Vec<&'static str> {
    (0..NODES).map(Exchange::name).collect()
}

/// Do all ends of all links stand that there will ever be? Less is no level to measure by.
fn has_every_link(cluster: &Cluster, transport: Transport) -> bool {
    let ends = CLASSES * 2 * (NODES - 1);
    let (_, rings) = cluster.observe();
    // Those that stand are mapped a moment later.
    let holds_all = |place| {
        let pid = cluster.node_pid(Exchange::name(place)).unwrap();
        let kinds = processes::descriptor_kinds(pid);
        let has_sockets = kinds.get("socket").is_some_and(|sockets| *sockets > ends);
        let has_sockets = transport == Transport::Ring || has_sockets;
        has_sockets && processes::rings_kept_by(pid).len() >= ends
    };
    rings.len() == ends * NODES / 2 && (0..NODES).all(holds_all)
}

/// Nobody keeps the memory of a ring that does not stand any more, whenever it came to that.
fn expect_no_memory_of_former_rings(cluster: &Cluster) {
    let former = || -> Vec<(String, Vec<u64>)> {
        let (_, rings) = cluster.observe();
        let stand = rings.into_values().map(|memory| {
            let file = File::from(memory);
            file.metadata().unwrap().ino()
        });
        let stand: BTreeSet<u64> = stand.collect();
        let kept = |pid| {
            processes::rings_kept_by(pid)
                .difference(&stand)
                .copied()
                .collect()
        };
        let everybody = levels::everybody(cluster, &names()).into_iter();
        let kept = everybody.map(|(name, pid)| (name, kept(pid)));
        kept.filter(|(_, rings): &(_, Vec<_>)| !rings.is_empty())
            .collect()
    };
    wait_or_tell(
        "nobody keeps a ring that does not stand",
        Duration::from_secs(5),
        || former().is_empty().then_some(()),
        || format!("{:?}", former()),
    );
}

/// Kills a victim that is ready, at a moment that follows from nothing; waits until another process has
/// its place, and everybody goes on.
fn kill_one(exchange: &Exchange, dice: u64) {
    let cluster = &exchange.cluster;
    let before = exchange.received();
    exchange.wait("records pass", || {
        (exchange.received() >= before + RECORDS_BETWEEN).then_some(())
    });
    let victim = usize::try_from(dice % (NODES as u64 + 1)).unwrap();
    let is_stem = victim == NODES;
    let pid = if is_stem {
        cluster.wait_stem(None)
    } else {
        exchange.wait("the victim is ready", || {
            let node = cluster.node(Exchange::name(victim));
            let pid = exchange.marks[victim].pid()?;
            (node["state"] == "ready" && node["pid"].as_i64() == Some(pid.into())).then_some(pid)
        })
    };
    waiting::spin(Duration::from_nanos(dice >> 32 & 0x1f_ffff));
    let pids: Vec<_> = exchange.marks.iter().map(|marks| marks.pid()).collect();
    processes::signal(pid, Signal::SIGKILL);
    for (place, before) in pids.into_iter().enumerate() {
        if is_stem || place == victim {
            let what = format!("{} takes part again", Exchange::name(place));
            exchange.wait(&what, || {
                (exchange.marks[place].pid() != before).then_some(())
            });
        }
    }
    exchange.wait_progress(&exchange.progress());
}

/// Shows: whoever is killed, and whenever, no record that was accepted is missing, torn, or out of
/// order; none comes twice but after a death, and then a turn of them at most; everybody goes on; every
/// account is exact; and nothing gathers anywhere.
#[test]
fn no_kill_loses_a_record() {
    kill_at_full_speed("no_kill_loses_a_record", Transport::Ring, KILLS);
}

/// Shows, of streams, whose queues die with their writers: the same, but that some records that were
/// accepted are missing; they are counted, and no more are missing than that.
#[test]
fn what_kills_cost_streams_is_counted() {
    let test = "what_kills_cost_streams_is_counted";
    kill_at_full_speed(test, Transport::Unix, KILLS_OF_STREAMS);
}

fn kill_at_full_speed(test: &str, transport: Transport, kills: u64) {
    if node::live() {
        return;
    }
    let (kills, seed) = (
        number_of("KILLS").unwrap_or(kills),
        number_of("KILLS_SEED").unwrap_or(1),
    );
    let exchange = Exchange::start(test, transport);
    exchange.wait_progress(&exchange.progress());
    exchange.wait("every link is in use", || {
        let much = exchange.received() > 20 * RECORDS_BETWEEN;
        (much && has_every_link(&exchange.cluster, transport)).then_some(())
    });
    let before = levels::of(&exchange.cluster, &names());
    let began = Instant::now();
    for kill in 0..kills {
        kill_one(&exchange, mix(seed << 32 | kill));
    }
    let time = began.elapsed();
    exchange.come_to_rest();
    let figures = exchange.judge();
    println!("kills={kills} seed={seed} time={time:?} {figures:?}");
    verdict::expect_no_panic(&exchange.cluster);
    levels::expect_no_more(&exchange.cluster, &names(), &before);
    expect_no_memory_of_former_rings(&exchange.cluster);
    exchange.cluster.stop_and_expect_nobody_left();
}

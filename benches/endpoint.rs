//! What it costs to publish a record to another process and to receive it there, through the public
//! interface: topic, filter and accounts included. `README.md` beside this file says what the figures
//! mean. Ends with 1 if a bar is missed.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "it measures and prints; what goes wrong ends it"
)]

#[path = "../tests/endpoint/stem.rs"]
mod stem;

use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

use cluster::fabric::{CLUSTER_SEAT, FabricSpec, LinkPolicy, Policy, Wait};
use cluster::layout::spec::Role;
use cluster::node::endpoint::{Delivery, Endpoint};
use cluster::sys::{clock, limits, process};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use stem::HandStem;

const RECORDS: u64 = 20_000_000;
const ROUND_TRIPS: usize = 200_000;
const ROUNDS: usize = 3;
const PAYLOAD: [u8; 64] = [0x55; 64];

/// Three tenths of what a bare ring carries on the machine that the bar was set for, in records a second.
const RATE_MIN: f64 = 15e6;

/// The most that half a round trip may take while both sides look all the time, in nanoseconds.
const LATENCY_MAX: u64 = 250;

fn main() -> ExitCode {
    if std::env::var(CLUSTER_SEAT).is_ok() {
        receive();
        return ExitCode::SUCCESS;
    }
    let stem = HandStem::new(FabricSpec {
        wait: Wait::Busy,
        policies: vec![LinkPolicy::of_topic(
            "flood",
            Policy::Block(Duration::from_secs(10)),
        )],
        ..FabricSpec::default()
    });
    let (worker, logger) = (
        stem.add("worker-1", Role::Worker),
        stem.add("logger-1", Role::Logger),
    );
    let mut child = spawn(stem.seat(logger, false));
    let mut endpoint = stem.endpoint(worker, &["pong"]);
    limits::pin(&[0]).unwrap();
    while !endpoint
        .outbox()
        .peers()
        .any(|(_, peer)| peer.state == cluster::shm::board::State::Up)
    {
        endpoint.wait(None).unwrap();
    }
    let rate = (0..ROUNDS)
        .map(|_| flood(&mut endpoint))
        .fold(0.0, f64::max);
    let latency = ping_pong(&mut endpoint);
    assert!(endpoint.publish("end", b""));
    assert!(child.wait().unwrap().success());
    let accounts = stem.accounts(worker, logger);
    assert_eq!((accounts.dropped(), accounts.in_flight), (0, 0));
    if rate >= RATE_MIN && latency <= LATENCY_MAX {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn spawn(seat: OwnedFd) -> Child {
    fcntl(&seat, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(CLUSTER_SEAT, seat.as_raw_fd().to_string());
    command.spawn().unwrap()
}

/// Records a second, from the first publish until the reader has seen them all.
fn flood(endpoint: &mut Endpoint) -> f64 {
    let begin = clock::monotonic();
    for _ in 0..RECORDS {
        assert!(endpoint.publish("flood/records", &PAYLOAD));
    }
    let published = begin.elapsed();
    assert!(endpoint.publish("flood/end", b""));
    pong(endpoint);
    let seconds = begin.elapsed().as_secs_f64();
    let rate = RECORDS as f64 / seconds;
    println!(
        "flood: {:.1} M records/s, {:.1} ns each ({:.1} ns in publish)",
        rate / 1e6,
        seconds * 1e9 / RECORDS as f64,
        published.as_secs_f64() * 1e9 / RECORDS as f64
    );
    rate
}

/// Half of the median round trip, in nanoseconds.
fn ping_pong(endpoint: &mut Endpoint) -> u64 {
    let mut halves: Vec<u64> = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let begin = clock::monotonic_ns();
        assert!(endpoint.publish("ping", &PAYLOAD));
        pong(endpoint);
        halves.push((clock::monotonic_ns() - begin) / 2);
    }
    halves.sort_unstable();
    let at = |share: usize| halves[halves.len() * share / 1000];
    println!(
        "latency: p50 {} ns, p99 {} ns, p99.9 {} ns",
        at(500),
        at(990),
        at(999)
    );
    at(500)
}

fn pong(endpoint: &mut Endpoint) {
    let mut came = 0;
    while came == 0 {
        endpoint.wait(None).unwrap();
        endpoint.drain(usize::MAX, |_, _| came += 1);
    }
    assert_eq!(came, 1);
}

/// The child: answers, and counts the flood.
fn receive() {
    process::set_parent_death_signal(libc::SIGKILL).unwrap();
    limits::pin(&[1]).unwrap();
    let mut endpoint = Endpoint::from_environment().unwrap();
    for prefix in ["flood/", "ping", "end"] {
        endpoint.subscribe(prefix, Delivery::AtLeastOnce).unwrap();
    }
    endpoint.announce();
    let (mut count, mut over) = (0, false);
    while !over {
        endpoint.wait(None).unwrap();
        endpoint.drain(usize::MAX, |outbox, record| match record.topic {
            b"flood/records" => {
                assert_eq!(record.payload.len(), PAYLOAD.len());
                count += 1;
            }
            b"flood/end" => {
                assert_eq!(std::mem::take(&mut count), RECORDS);
                assert!(outbox.publish(b"pong", b""));
            }
            b"ping" => assert!(outbox.publish(b"pong", record.payload)),
            _ => over = true,
        });
    }
}

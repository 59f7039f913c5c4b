//! Real processes, killed at any instruction: what a publish has promised comes, in order.
//!
//! The children are this test program again, told by the environment what to do. Each writes what it has
//! done into a pipe, which survives it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use cluster::fabric::{CLUSTER_SEAT, FabricSpec, Slot, Transport};
use cluster::layout::spec::Role;
use cluster::node::endpoint::{Delivery, Endpoint, TURN_RECORDS};
use cluster::sys::{descriptors, process};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

use super::stem::HandStem;
use super::{TRANSPORT, eventually, spec};

/// One of the tests here: as a child it works, whatever the transport.
const TEST: &str =
    "kills::over_rings::what_was_promised_survives_kills_of_writers_and_readers_anywhere";
/// Says to a writer with which number it begins.
const FIRST: &str = "ENDPOINT_TEST_FIRST";
const KILLS: u64 = 40;

/// Works as writer or reader if this process was started as one: it is this test program once more, with
/// the same test chosen.
fn am_i_a_child() -> bool {
    if std::env::var(CLUSTER_SEAT).is_err() {
        return false;
    }
    // However the test ends, it leaves nobody behind.
    process::set_parent_death_signal(libc::SIGKILL).unwrap();
    match std::env::var(FIRST) {
        Ok(first) => write_numbers(first.parse().unwrap()),
        Err(_) => read_numbers(),
    }
    true
}

fn write_numbers(first: u64) {
    let mut endpoint = Endpoint::from_environment().unwrap();
    endpoint.announce();
    let mut out = std::io::stderr();
    for number in first.. {
        // Now and then a record that needs a larger ring.
        let padding = if number % 1_000 == 999 {
            number * 7 % 50_000
        } else {
            number % 100
        };
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(8 + usize::try_from(padding).unwrap(), 0x55);
        while !endpoint.publish("x", &payload) {
            std::thread::yield_now();
        }
        out.write_all(&number.to_le_bytes()).unwrap();
    }
}

fn read_numbers() {
    let mut endpoint = Endpoint::from_environment().unwrap();
    endpoint.subscribe("x", Delivery::AtLeastOnce).unwrap();
    endpoint.announce();
    let mut out = std::io::stderr();
    loop {
        endpoint.wait(None).unwrap();
        endpoint.drain(1_000, |_, record| {
            assert!(record.payload[8..].iter().all(|byte| *byte == 0x55));
            out.write_all(&record.payload[..8]).unwrap();
        });
    }
}

struct Running {
    child: Child,
    done: File,
    /// All numbers of this child, as they come.
    numbers: Vec<u64>,
    rest: Vec<u8>,
}

impl Running {
    fn spawn(stem: &HandStem, slot: Slot, first: Option<u64>) -> Self {
        let seat = stem.seat(slot, false);
        fcntl(&seat, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let (done, theirs): (OwnedFd, OwnedFd) = descriptors::pipe().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", TEST, "--nocapture", "--test-threads=1"]);
        command.env(CLUSTER_SEAT, seat.as_raw_fd().to_string());
        if let Some(first) = first {
            command.env(FIRST, first.to_string());
        }
        for end in [done.as_raw_fd(), theirs.as_raw_fd()] {
            assert!(end > 2);
        }
        // The pipe's reading end does not wait; the child's may.
        fcntl(&done, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        fcntl(&theirs, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        let command = command.stdout(Stdio::null()).stderr(theirs);
        Self {
            child: command.spawn().unwrap(),
            done: done.into(),
            numbers: Vec::new(),
            rest: Vec::new(),
        }
    }

    fn look(&mut self) {
        let mut buffer = [0; 64 * 1024];
        while let Ok(length @ 1..) = self.done.read(&mut buffer) {
            self.rest.extend_from_slice(&buffer[..length]);
        }
        let whole = self.rest.len() / 8 * 8;
        for number in self.rest.drain(..whole).collect::<Vec<u8>>().chunks(8) {
            self.numbers
                .push(u64::from_le_bytes(number.try_into().unwrap()));
        }
    }

    fn kill(mut self) -> Vec<u64> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.look();
        std::mem::take(&mut self.numbers)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came to the readers, all in all.
#[derive(Default)]
struct Seen {
    next: u64,
    missing: u64,
}

impl Seen {
    /// One reader's numbers: each one or again, at the beginning only; what is passed over is counted. A number
    /// that a writer died with may come twice: it was published, and its successor does not know.
    fn check(&mut self, numbers: &[u64]) {
        let Some(first) = numbers.first() else {
            return;
        };
        let again = self.next.saturating_sub(*first);
        let turn = u64::try_from(TURN_RECORDS).unwrap();
        assert!(again <= turn + KILLS, "{first} after {}", self.next);
        self.missing += first.saturating_sub(self.next);
        for (last, number) in numbers.iter().zip(&numbers[1..]) {
            assert!(number >= last, "{number} after {last}");
            self.missing += number.saturating_sub(last + 1);
        }
        self.next = self.next.max(numbers.last().unwrap() + 1);
    }
}

fn what_was_promised_survives_kills_of_writers_and_readers_anywhere() {
    if am_i_a_child() {
        return;
    }
    let stem = HandStem::new(FabricSpec {
        bulk_bytes: 16 * 1024,
        ..spec()
    });
    let (from, to) = (
        stem.add("worker-1", Role::Worker),
        stem.add("manager", Role::Manager),
    );
    // Somebody has to want it before the first writer begins.
    let mut reader = Running::spawn(&stem, to, None);
    let up = || stem.state_of(to) == Some(cluster::shm::board::State::Up);
    eventually("the reader is up", up);
    let mut writer = Running::spawn(&stem, from, Some(0));
    let (mut promised, mut seen) = (0, Seen::default());
    for kill in 0..KILLS {
        // So many more, and then somewhere behind that: the length of a step is no multiple of anything.
        let goal = 1 + kill * 37 % 300;
        let victim = if kill % 2 == 0 {
            &mut writer
        } else {
            &mut reader
        };
        eventually("it works", || {
            victim.look();
            u64::try_from(victim.numbers.len()).unwrap() >= goal
        });
        if kill % 2 == 0 {
            let numbers = writer.kill();
            promised = numbers.last().unwrap() + 1;
            writer = Running::spawn(&stem, from, Some(promised));
        } else {
            let numbers = reader.kill();
            seen.check(&numbers);
            reader = Running::spawn(&stem, to, None);
        }
        for running in [&mut writer, &mut reader] {
            running.look();
        }
    }
    promised = writer.kill().last().map_or(promised, |last| last + 1);
    let read_before = seen.next;
    // Who sits down last finds out what a stream has lost with its writer.
    let _last = stem.endpoint(from, &[]);
    eventually("all of it comes", || {
        reader.look();
        let read = reader.numbers.last().map_or(0, |last| last + 1);
        let is_ring = TRANSPORT.get() == Transport::Ring;
        (!is_ring || read.max(read_before) >= promised) && stem.accounts(from, to).in_flight == 0
    });
    seen.check(&reader.kill());
    let accounts = stem.accounts(from, to);
    assert_eq!(
        accounts.accepted,
        accounts.delivered + accounts.in_flight + accounts.lost,
        "{accounts:?}"
    );
    let lost = accounts.lost;
    // A writer's death costs a stream its queue; a ring nothing ever.
    assert!(
        lost == 0 || TRANSPORT.get() == Transport::Unix,
        "{accounts:?}"
    );
    assert!(seen.missing <= lost, "{} {accounts:?}", seen.missing);
    assert!(
        seen.next + lost >= promised && promised > 1_000,
        "{} {promised}",
        seen.next
    );
}

super::over_both! {
    what_was_promised_survives_kills_of_writers_and_readers_anywhere
}

//! The stem, led from one system call to the next while it makes a ring, and killed at each of them: all
//! that others can see of its steps happens there.
//!
//! With `KILLS=1` in the environment it is killed at every one; else where each of its steps begins and in its midst.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test measures by the clock")]

mod common;

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::Instant;

use cluster::layout::spec::Role;
use cluster::names::NodeName;
use cluster::node::endpoint::{Delivery, Endpoint};
use cluster::node::observer::Snapshot;
use cluster::shm::board::{BoardView, State};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use common::{Cluster, PATIENCE, Start, layouts, processes, wait_for};

/// The way is shorter, by far.
const STOPS_MAX: usize = 1000;

/// What is published.
const RECORD: &[u8] = b"record";

/// What somebody else can see of a ring that is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// Nothing.
    Asked,
    /// The stem has the memory.
    Made,
    /// The supervisor has it too.
    Reported,
    /// The reader was told.
    ReaderTold,
    /// The writer was told, and went on.
    WriterTold,
}

const STEPS: [Step; 5] = [
    Step::Asked,
    Step::Made,
    Step::Reported,
    Step::ReaderTold,
    Step::WriterTold,
];

/// Where a stem is to be killed: so many stops behind the one where this could be seen.
#[derive(Clone, Copy, Debug)]
struct Target {
    step: Step,
    behind: usize,
}

/// What the publisher does whose stem dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Publisher {
    /// It waits for as long as the next stem needs.
    WaitsOn,
    /// It has given up before the stem dies, which stood still until then.
    GivesUp,
}

impl Publisher {
    /// How long it waits for a ring, as the layout says it.
    fn ring_wait(self) -> &'static str {
        match self {
            Self::WaitsOn => "20s",
            Self::GivesUp => "20ms",
        }
    }
}

/// The stem on a leash, which belongs to this thread.
struct Tracer(Pid);

/// How a stem came to its next stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Stopped,
    /// It waits for something, and nobody waits for it.
    Idle,
}

impl Tracer {
    fn attach(pid: i32) -> Self {
        let pid = Pid::from_raw(pid);
        ptrace::attach(pid).unwrap();
        let stopped = WaitStatus::Stopped(pid, Signal::SIGSTOP);
        assert_eq!(waitpid(pid, None).unwrap(), stopped);
        let options = ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(pid, options).unwrap();
        Self(pid)
    }

    /// On to where the next system call begins or ends; or until `is_over`.
    fn go_on(&self, is_over: impl Fn() -> bool) -> Way {
        ptrace::syscall(self.0, None).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match waitpid(self.0, Some(WaitPidFlag::WNOHANG)).unwrap() {
                WaitStatus::PtraceSyscall(_) => return Way::Stopped,
                WaitStatus::StillAlive if is_over() => return Way::Idle,
                WaitStatus::StillAlive => std::thread::yield_now(),
                WaitStatus::Stopped(pid, signal) => ptrace::syscall(pid, signal).unwrap(),
                other @ (WaitStatus::Exited(..)
                | WaitStatus::Signaled(..)
                | WaitStatus::PtraceEvent(..)
                | WaitStatus::Continued(_)) => panic!("{other:?}"),
            }
            assert!(Instant::now() < deadline, "the stem stands still");
        }
    }

    /// Kills it, and lets its parent know.
    fn kill(self) {
        processes::signal(self.0.as_raw(), Signal::SIGKILL);
        let killed = WaitStatus::Signaled(self.0, Signal::SIGKILL, false);
        // It may have been about to stop once more.
        while waitpid(self.0, None).unwrap() != killed {}
    }
}

fn is_readable(endpoint: &Endpoint) -> bool {
    let mut all = endpoint.descriptors();
    // The bell comes first, and the seat's socket after it.
    let socket = all.nth(1).unwrap();
    let mut wait = [PollFd::new(socket, PollFlags::POLLIN)];
    poll(&mut wait, PollTimeout::ZERO).unwrap() > 0
}

fn attach(cluster: &Cluster, name: &str) -> Endpoint {
    let path = cluster.attach_socket();
    let mut endpoint =
        Endpoint::attach(&path, Some(NodeName::parse(name).unwrap()), Role::Worker).unwrap();
    if name == "reader" {
        endpoint.subscribe("x/", Delivery::AtLeastOnce).unwrap();
    }
    endpoint.announce();
    let slot = endpoint.identity().slot;
    wait_board(cluster, name, |board| {
        board
            .entry(slot)
            .is_some_and(|entry| entry.state == State::Up)
    });
    endpoint
}

fn wait_board(cluster: &Cluster, what: &str, done: impl Fn(&BoardView) -> bool) {
    let (board, _) = cluster.observe();
    let board = BoardView::map(board.as_fd()).unwrap();
    wait_for(what, PATIENCE, || done(&board).then_some(()));
}

/// What was counted of the records from the writer to the reader: released and dropped. Nobody else has
/// published any.
fn accounts(cluster: &Cluster) -> (u64, u64) {
    let seen = Snapshot::take(&cluster.attach_socket(), PATIENCE).unwrap();
    let is_named = |slot, name| seen.name(slot).is_some_and(|found| found.as_str() == name);
    assert!(seen.links.iter().all(|link| is_named(link.from, "writer")));
    let readers: Vec<_> = seen.by_reader().into_iter().collect();
    let [(reader, Ok(account))] = &readers[..] else {
        panic!("one reader, and not {readers:?}");
    };
    assert!(is_named(*reader, "reader"));
    assert_eq!(account.in_flight, 0);
    (account.delivered, account.dropped_in_all())
}

/// Leads the stem on from the writer's ask for a ring, and kills it at its target, or where it has
/// answered. Gives what could be seen at each stop, and whether the record was accepted.
fn lead(
    cluster: &Cluster,
    reader: &Endpoint,
    writer: &mut Endpoint,
    target: Option<Target>,
    what_it_does: Publisher,
) -> (Vec<Step>, bool) {
    let stem = cluster.wait_stem(None);
    let tracer = Tracer::attach(stem);
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| writer.publish("x/y", RECORD));
        let is_over = || publisher.is_finished();
        let mut steps = vec![Step::Asked];
        let is_there = |steps: &[Step]| {
            let beyond = |target: Target| steps.iter().filter(|step| **step >= target.step).count();
            target.is_some_and(|target| beyond(target) > target.behind)
        };
        while !is_there(&steps) && tracer.go_on(is_over) == Way::Stopped {
            steps.push(if is_over() {
                Step::WriterTold
            } else if is_readable(reader) {
                Step::ReaderTold
            } else if processes::rings_held_by(cluster.pid()) > 0 {
                Step::Reported
            } else if processes::rings_held_by(stem) > 0 {
                Step::Made
            } else {
                Step::Asked
            });
            let count = steps.len();
            assert!(count < STOPS_MAX, "it does not get through: {steps:?}");
        }
        // It waits for the next ask, which is no stop.
        if is_over() {
            steps.push(Step::WriterTold);
        }
        if what_it_does == Publisher::GivesUp {
            wait_for("the publisher gives up", PATIENCE, || {
                is_over().then_some(())
            });
        }
        tracer.kill();
        (steps, publisher.join().unwrap())
    })
}

/// Lets the stem die at its target, and finds that the record came if it was accepted, and was counted
/// if not. Gives the same as [`lead`].
fn kill_at(
    cluster: &Cluster,
    target: Option<Target>,
    what_it_does: Publisher,
) -> (Vec<Step>, bool) {
    let (mut reader, mut writer) = (attach(cluster, "reader"), attach(cluster, "writer"));
    let (from, to) = (writer.identity().slot, reader.identity().slot);
    assert_eq!(processes::rings_held_by(cluster.pid()), 0);
    let stem = cluster.wait_stem(None);
    let (steps, accepted) = lead(cluster, &reader, &mut writer, target, what_it_does);
    let last = (steps.len(), steps.last().copied());
    let mut records = Vec::new();
    let until = Instant::now() + PATIENCE;
    while accepted && records.is_empty() {
        reader.wait(Some(until)).unwrap();
        reader.drain(usize::MAX, |_, record| {
            records.push(record.payload.to_vec())
        });
        assert!(Instant::now() < until, "lost at {last:?}");
    }
    cluster.wait_stem(Some(stem));
    let counted = accounts(cluster);
    assert_eq!(
        counted,
        (u64::from(accepted), u64::from(!accepted)),
        "{last:?}"
    );
    reader.drain(usize::MAX, |_, record| {
        records.push(record.payload.to_vec())
    });
    let expected = vec![RECORD.to_vec(); usize::from(accepted)];
    assert_eq!(records, expected, "at {last:?}");
    drop((reader, writer));
    wait_board(cluster, "both places are free", |board| {
        board.entry(from).is_none() && board.entry(to).is_none()
    });
    wait_for("no ring is left", PATIENCE, || {
        let held = [cluster.pid(), cluster.stem_pid()?].map(processes::rings_held_by);
        (held == [0, 0]).then_some(())
    });
    (steps, accepted)
}

/// Kills the stem at its stops. Gives for each step at which it was killed how often that was, and how
/// many of the records were accepted.
fn kill_at_each_step(what_it_does: Publisher) -> BTreeMap<Step, (usize, usize)> {
    let head = format!("fabric: (ring_wait: {:?})", what_it_does.ring_wait());
    let cluster = Start::with(&layouts::layout(&head, &[("idle", layouts::IDLE)])).start_ready();
    let (way, _) = kill_at(&cluster, None, what_it_does);
    let before = processes::descriptor_kinds(cluster.pid());
    let every = std::env::var_os("KILLS").is_some();
    let mut seen: BTreeMap<Step, (usize, usize)> = BTreeMap::new();
    for step in STEPS {
        let stops = way.iter().filter(|it| **it == step).count();
        let chosen = (0..stops).filter(|behind| every || [0, stops / 2].contains(behind));
        for behind in chosen {
            let target = Some(Target { step, behind });
            let (steps, accepted) = kill_at(&cluster, target, what_it_does);
            let (kills, accepted_there) = seen.entry(steps[steps.len() - 1]).or_default();
            *kills += 1;
            *accepted_there += usize::from(accepted);
        }
    }
    println!("stops={} kills and accepted by step: {seen:?}", way.len());
    cluster.wait_no_more_descriptors(cluster.pid(), &before);
    cluster.stop_and_expect_nobody_left();
    seen
}

/// Shows: wherever on its way from an ask to its answer the stem dies, the next one brings both ends
/// together, the record arrives once, and nothing of it gathers.
#[test]
fn a_stem_may_die_at_any_step_of_making_a_ring() {
    let seen = kill_at_each_step(Publisher::WaitsOn);
    for step in STEPS {
        assert!(
            seen.contains_key(&step),
            "never killed at {step:?}: {seen:?}"
        );
    }
    assert!(
        seen.values().all(|(kills, accepted)| kills == accepted),
        "{seen:?}"
    );
}

/// Shows: a publisher that does not wait for the next stem knows that its record did not go, and it is
/// counted.
#[test]
fn a_record_whose_ring_the_stem_took_along_is_counted() {
    let seen = kill_at_each_step(Publisher::GivesUp);
    for step in [Step::Asked, Step::Made, Step::Reported] {
        if let Some((kills, accepted)) = seen.get(&step) {
            assert_eq!(*accepted, 0, "{kills} kills at {step:?}: {seen:?}");
        }
    }
    assert!(seen.contains_key(&Step::Asked), "{seen:?}");
}

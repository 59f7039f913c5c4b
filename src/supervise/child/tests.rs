//! The table of a child's life, cell by cell, and the stories that take more than one cell.

use std::collections::BTreeSet;

use super::*;
use crate::layout::spec::Budget;
use crate::sys::clock;

const TERM: i32 = 15;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn policy(restart: RestartPolicy) -> LifePolicy {
    LifePolicy {
        restart,
        ..LifePolicy::default()
    }
}

/// A child and the moment at which it is.
struct Life {
    child: Child,
    now: Instant,
}

impl Life {
    fn new(policy: LifePolicy) -> Self {
        Self::after(policy, &Past::default())
    }

    fn after(policy: LifePolicy, past: &Past) -> Self {
        let now = clock::monotonic();
        let child = Child::new(policy, past, 7, now);
        Self { child, now }
    }

    fn step(&mut self, event: Event) -> Option<Deed> {
        self.child.step(event, true, self.now)
    }

    fn state(&self) -> State {
        self.child.state()
    }

    /// Several events; what is to be done about them is of no interest.
    fn steps(mut self, events: &[Event]) -> Self {
        for event in events {
            self.step(*event);
        }
        self
    }

    fn pass(mut self, time: Duration) -> Self {
        self.now += time;
        self
    }

    fn until_deadline(&mut self) -> Option<Deed> {
        self.now = self.child.deadline().expect("it has a deadline");
        self.step(Event::Deadline)
    }

    /// How long from now until its deadline.
    fn wait(&self) -> Option<Duration> {
        self.child.deadline().map(|deadline| deadline - self.now)
    }
}

const DIES: Event = Event::Exited(Ending::Exited(1));
const ENDS_WELL: Event = Event::Exited(Ending::Exited(0));
const UNBORN: Event = Event::Exited(Ending::NotBorn(11));
const UP: [Event; 3] = [Event::Start, Event::Born, Event::Ready];

/// A child in each of the situations that the table tells apart.
fn situation(word: &str) -> Life {
    use Event::{Born, Deadline, Ready, Restart, Start, Stop};
    let life = Life::new(policy(RestartPolicy::Always));
    match word {
        "stopped" => life,
        "pending" => {
            let mut life = life;
            life.child.step(Start, false, life.now);
            life
        }
        "backoff" => life.steps(&[Start, Born, DIES]),
        "unborn" => life.steps(&[Start]),
        "starting" => life.steps(&[Start, Born]),
        "ready" => life.steps(&UP),
        "proven" => life.steps(&UP).pass(ms(1_000)),
        "relapsed" => {
            let mut life = life.steps(&[Start, Born, DIES]);
            life.until_deadline();
            life.steps(&[Born, Ready])
        }
        "leaving" => life.steps(&UP).steps(&[Stop(None)]),
        "again" => life.steps(&UP).steps(&[Restart(RestartCause::Asked)]),
        "hung" => life.steps(&UP).steps(&[Restart(RestartCause::Hung)]),
        "late" => life
            .steps(&[Start, Born])
            .pass(ms(30_000))
            .steps(&[Deadline]),
        "finished" => Life::new(policy(RestartPolicy::Finish))
            .steps(&UP)
            .steps(&[ENDS_WELL]),
        "resting" => Life::new(policy(RestartPolicy::Every(ms(3_600_000))))
            .steps(&UP)
            .steps(&[ENDS_WELL]),
        "failed" => life.steps(&UP).steps(&[Event::Exited(Ending::Exited(78))]),
        other => panic!("no situation \"{other}\""),
    }
}

/// An event by its word. "shut" is said of a stage; "due" runs the deadline when it comes, "stale" before.
fn event(word: &str, life: &mut Life) -> (Event, bool) {
    let event = match word {
        "start" | "start,shut" => Event::Start,
        "stop" => Event::Stop(None),
        "stop,1s" => Event::Stop(Some(ms(1_000))),
        "stop,now" => Event::Stop(Some(Duration::ZERO)),
        "restart" | "restart,shut" => Event::Restart(RestartCause::Asked),
        "hung" => Event::Restart(RestartCause::Hung),
        "abort" => Event::Restart(RestartCause::HungAbort),
        "born" => Event::Born,
        "exit" => DIES,
        "notborn" => UNBORN,
        "ready" => Event::Ready,
        "stage" => Event::StageOpen,
        "due" | "due,shut" => {
            life.now = life.child.deadline().unwrap_or(life.now);
            Event::Deadline
        }
        "stale" => Event::Deadline,
        other => panic!("no event \"{other}\""),
    };
    (event, !word.ends_with(",shut"))
}

const SITUATIONS: &str = "stopped pending backoff unborn starting ready proven relapsed leaving again \
     hung late finished resting failed";
const EVENTS: &str = "start start,shut stop stop,1s stop,now restart restart,shut hung abort born exit \
     notborn ready stage due due,shut stale";

/// Situation, event, what follows: `-` is nothing at all, `bug` is a debug assertion; else the next
/// state, `due` where a birth is, the deed, and the milliseconds until the deadline.
const TABLE: &str = include_str!("table.txt");

fn table() -> Vec<(&'static str, &'static str, &'static str)> {
    TABLE
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .flat_map(|line| {
            let (head, outcome) = line.split_once(':').expect("situation and events: outcome");
            let mut words = head.split_whitespace();
            let situation = words.next().expect("a situation");
            words.map(move |event| (situation, event, outcome.trim()))
        })
        .collect()
}

fn outcome(life: &Life, deed: Option<Deed>) -> String {
    let mut words = vec![life.state().word().to_owned()];
    if life.child.is_due() {
        words.push("due".to_owned());
    }
    words.extend(deed.map(|deed| match deed {
        Deed::Signal(TERM) => "term".to_owned(),
        Deed::Signal(signal) => format!("signal {signal}"),
        Deed::Kill => "kill".to_owned(),
    }));
    words.extend(life.wait().map(|wait| {
        let backoff = life.state() == State::Backoff;
        if backoff && wait >= ms(250) && wait <= ms(275) {
            "delay".to_owned()
        } else if backoff && wait >= ms(450) && wait <= ms(550) {
            "delay2".to_owned()
        } else {
            wait.as_millis().to_string()
        }
    }));
    words.join(" ")
}

#[test]
fn the_table_has_every_cell_once() {
    let cells = table();
    let once: BTreeSet<_> = cells.iter().map(|(a, b, _)| (*a, *b)).collect();
    assert_eq!(once.len(), cells.len(), "a cell stands twice");
    for situation in SITUATIONS.split_whitespace() {
        for event in EVENTS.split_whitespace() {
            assert!(once.contains(&(situation, event)), "{situation} {event}");
        }
    }
}

/// Shows: each cell leads where the table says, with that deed and that deadline.
#[test]
fn every_cell_of_the_table_holds() {
    for (from, word, expected) in table() {
        if expected == "bug" {
            continue;
        }
        let mut life = situation(from);
        let (event, open) = event(word, &mut life);
        let before = outcome(&life, None);
        let deed = life.child.step(event, open, life.now);
        let expected = if expected == "-" { &before } else { expected };
        assert_eq!(outcome(&life, deed), expected, "{from}: {word}");
    }
}

/// Shows: the cells that only a mistake in the shell can reach are debug assertions.
#[cfg(debug_assertions)]
#[test]
fn the_cells_that_only_a_bug_can_reach_are_asserted() {
    for (from, word, _) in table().into_iter().filter(|cell| cell.2 == "bug") {
        let done = std::panic::catch_unwind(|| {
            let mut life = situation(from);
            let (event, open) = event(word, &mut life);
            life.child.step(event, open, life.now);
        });
        assert!(done.is_err(), "{from}: {word}");
    }
}

/// Shows: in release the same cells do nothing.
#[cfg(not(debug_assertions))]
#[test]
fn the_cells_that_only_a_bug_can_reach_do_nothing_in_release() {
    for (from, word, _) in table().into_iter().filter(|cell| cell.2 == "bug") {
        let mut life = situation(from);
        let before = outcome(&life, None);
        let (event, open) = event(word, &mut life);
        let deed = life.child.step(event, open, life.now);
        assert_eq!(outcome(&life, deed), before, "{from}: {word}");
    }
}

#[cfg(debug_assertions)]
#[test]
#[should_panic(expected = "an end (exit 1) in state Stopped")]
fn an_end_without_a_process_is_a_bug_and_says_so() {
    situation("stopped").step(DIES);
}

#[cfg(debug_assertions)]
#[test]
#[should_panic(expected = "born in state Stopped")]
fn a_birth_that_was_not_due_is_a_bug_and_says_so() {
    situation("stopped").step(Event::Born);
}

#[cfg(debug_assertions)]
#[test]
#[should_panic(expected = "an end (SIGKILL) in state Starting")]
fn a_second_end_of_one_process_is_a_bug_even_while_the_next_birth_is_due() {
    let mut life = situation("proven");
    life.step(DIES);
    assert!(life.child.is_due());
    let signal = 9;
    let core = false;
    life.step(Event::Exited(Ending::Signaled { signal, core }));
}

mod stories;

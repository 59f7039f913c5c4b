//! Stages, order of stopping, deadlines: many children under one fleet.

use super::*;
use crate::layout::spec::{Budget, RestartPolicy, StageSpec};
use crate::sys::clock;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

/// A fleet, the time, and a shell that does nothing but note what it was told.
struct Shell {
    fleet: Fleet,
    now: Instant,
    told: Vec<Action>,
}

impl Shell {
    /// Stages by number and quorum, each with a time limit of ten seconds.
    fn new(stages: &[(u16, Option<u32>)]) -> Self {
        let mut shell = Self {
            fleet: Fleet::new(1),
            now: clock::monotonic(),
            told: Vec::new(),
        };
        shell.stages(stages);
        shell
    }

    fn stages(&mut self, stages: &[(u16, Option<u32>)]) {
        let spec = |&(number, quorum)| StageSpec {
            number,
            name: format!("stage {number}"),
            quorum,
            time_limit: ms(10_000),
        };
        self.fleet.set_stages(stages.iter().map(spec).collect());
    }

    /// Loggers, manager, workers in three stages, all wanted and ready.
    fn cluster() -> Self {
        let mut shell = Self::new(&[(1, None), (2, None), (3, None)]);
        shell.add(1, &["logger-1", "logger-2"]);
        shell.add(2, &["manager"]);
        shell.add(3, &["worker-1", "worker-2"]);
        shell.all_ready();
        shell.told.clear();
        shell
    }

    fn know(&mut self, stage: u16, text: &str, life: LifePolicy, past: &Past) {
        self.fleet.know(name(text), stage, life, past, self.now);
    }

    /// Children of a stage, known and wanted.
    fn add(&mut self, stage: u16, names: &[&str]) {
        for text in names {
            self.know(stage, text, LifePolicy::default(), &Past::default());
            self.want(text);
        }
    }

    fn want(&mut self, text: &str) {
        self.fleet.want(&name(text), true, None, self.now);
    }

    fn stop(&mut self, text: &str, grace: Option<Duration>) {
        self.fleet.want(&name(text), false, grace, self.now);
    }

    fn restart(&mut self, text: &str) {
        let cause = RestartCause::Asked;
        let (fleet, told) = (&mut self.fleet, &mut self.told);
        fleet.restart(&name(text), cause, self.now, told);
    }

    fn dies(&mut self, text: &str, code: i32) {
        let ending = Ending::Exited(code);
        self.fleet.exited(&name(text), ending, self.now);
    }

    fn shut_down(&mut self, grace: Option<Duration>, within: Duration) {
        self.fleet.shut_down(grace, self.now + within);
    }

    /// The end of a turn, with its births; says who was born.
    fn turn(&mut self) -> Vec<String> {
        self.fleet.run_deadlines(self.now, &mut self.told);
        self.fleet.settle(self.now, &mut self.told);
        let mut born = Vec::new();
        while let Some(next) = self.fleet.next_due(|_| false).cloned() {
            self.fleet.born(&next, Ok(()), self.now);
            born.push(next.to_string());
        }
        self.fleet.settle(self.now, &mut self.told);
        born
    }

    fn ready(&mut self, names: &[&str]) {
        for text in names {
            self.fleet.ready(&name(text), self.now);
        }
    }

    /// Turns until nobody is born any more; everybody born is ready at once.
    fn all_ready(&mut self) {
        loop {
            let born = self.turn();
            if born.is_empty() {
                return;
            }
            for text in born {
                self.ready(&[&text]);
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn state(&self, text: &str) -> State {
        self.fleet.child(&name(text)).unwrap().state()
    }

    /// Who got a signal or was killed since the last look.
    fn signals(&mut self) -> Vec<String> {
        let told = std::mem::take(&mut self.told);
        let words = told.into_iter().filter_map(|action| match action {
            Action::Signal { name, signal } => Some(format!("{name} {signal}")),
            Action::Kill { name } => Some(format!("{name} kill")),
            Action::Report(_) | Action::StageLate { .. } | Action::Forgotten(_) => None,
        });
        words.collect()
    }

    fn late(&self) -> Vec<(u16, Vec<String>)> {
        let late = self.told.iter().filter_map(|action| match action {
            Action::StageLate { stage, missing } => {
                Some((*stage, missing.iter().map(NodeName::to_string).collect()))
            }
            Action::Signal { .. } | Action::Kill { .. } => None,
            Action::Report(_) | Action::Forgotten(_) => None,
        });
        late.collect()
    }

    fn forgotten(&self, text: &str) -> bool {
        let gone = self.told.contains(&Action::Forgotten(name(text)));
        assert_eq!(gone, self.fleet.child(&name(text)).is_none());
        gone
    }
}

#[test]
fn stages_open_in_order_each_when_the_one_before_is_ready() {
    let mut shell = Shell::new(&[(1, None), (2, None), (3, None)]);
    shell.add(3, &["worker-1"]);
    shell.add(2, &["manager"]);
    shell.add(1, &["logger-1", "logger-2"]);
    assert_eq!(shell.turn(), ["logger-1", "logger-2"]);
    assert_eq!(shell.state("manager"), State::Pending);
    shell.ready(&["logger-1"]);
    assert!(shell.turn().is_empty());
    shell.ready(&["logger-2"]);
    assert_eq!(shell.turn(), ["manager"]);
    assert_eq!(shell.state("worker-1"), State::Pending);
    shell.ready(&["manager"]);
    assert_eq!(shell.turn(), ["worker-1"]);
    assert!(shell.late().is_empty());
}

#[test]
fn a_quorum_of_28_of_30_lets_the_next_stage_start() {
    let mut shell = Shell::new(&[(1, Some(28)), (2, None)]);
    let workers: Vec<String> = (1..=30).map(|n| format!("worker-{n}")).collect();
    let workers: Vec<&str> = workers.iter().map(String::as_str).collect();
    shell.add(1, &workers);
    shell.add(2, &["next"]);
    assert_eq!(shell.turn().len(), 30);
    shell.ready(&workers[..27]);
    assert!(shell.turn().is_empty());
    shell.ready(&workers[27..28]);
    assert_eq!(shell.turn(), ["next"]);
}

#[test]
fn a_quorum_larger_than_the_stage_means_all_of_it() {
    let mut shell = Shell::new(&[(1, Some(9)), (2, None)]);
    shell.add(1, &["a", "b"]);
    shell.add(2, &["next"]);
    shell.turn();
    shell.ready(&["a"]);
    assert!(shell.turn().is_empty());
    shell.ready(&["b"]);
    assert_eq!(shell.turn(), ["next"]);
}

/// Shows: the time limit opens the next stage, names who is missing, once, and not who is to stop.
#[test]
fn a_late_stage_lets_the_next_start_and_names_who_is_missing() {
    let mut shell = Shell::new(&[(1, None), (2, None)]);
    shell.add(1, &["a", "b", "c", "d"]);
    shell.add(2, &["next"]);
    shell.turn();
    shell.ready(&["b"]);
    assert!(shell.turn().is_empty());
    shell.pass(ms(9_999));
    assert!(shell.turn().is_empty());
    assert_eq!(shell.fleet.next_deadline(), Some(shell.now + ms(1)));
    shell.dies("d", 78);
    shell.add(2, &["leaver"]);
    shell.stop("leaver", None);
    shell.pass(ms(1));
    assert_eq!(shell.turn(), ["next"]);
    let missing = ["a", "c", "d"].map(str::to_owned).to_vec();
    assert_eq!(shell.late(), [(1, missing)]);
    shell.pass(ms(1_000));
    shell.turn();
    assert_eq!(shell.late().len(), 1);
}

#[test]
fn who_waits_to_be_let_go_is_not_missing() {
    let mut shell = Shell::new(&[(1, None), (2, None)]);
    shell.add(1, &["a", "b"]);
    shell.add(2, &["later"]);
    shell.turn();
    shell.pass(ms(10_000));
    shell.turn(); // "later" was born
    shell.stages(&[(1, None), (2, None), (0, None)]);
    shell.add(0, &["first", "leaver"]);
    shell.turn();
    shell.told.clear();
    shell.stop("later", None);
    shell.stop("leaver", None); // waits for "later"
    shell.pass(ms(10_000));
    shell.turn();
    assert_eq!(shell.late(), [(0, vec!["first".to_owned()])]);
}

#[test]
fn a_stage_in_which_everybody_failed_does_not_hold_up_the_next() {
    let mut shell = Shell::new(&[(1, None), (2, None)]);
    shell.add(1, &["a", "b"]);
    shell.add(2, &["next"]);
    shell.turn();
    shell.dies("a", 78);
    assert!(shell.turn().is_empty());
    shell.dies("b", 77);
    assert_eq!(shell.turn(), ["next"]);
    assert!(shell.late().is_empty());
}

#[test]
fn a_finished_child_counts_as_ready() {
    let mut shell = Shell::new(&[(1, None), (2, None)]);
    let once = LifePolicy {
        restart: RestartPolicy::Finish,
        ..LifePolicy::default()
    };
    shell.know(1, "migrate", once, &Past::default());
    shell.want("migrate");
    shell.add(2, &["next"]);
    shell.turn();
    shell.dies("migrate", 0);
    assert_eq!(shell.turn(), ["next"]);
}

#[test]
fn stages_without_anybody_wanted_are_skipped() {
    let mut shell = Shell::new(&[(1, None), (2, None), (3, None)]);
    shell.know(2, "unwanted", LifePolicy::default(), &Past::default());
    shell.add(3, &["worker"]);
    assert_eq!(shell.turn(), ["worker"]);
}

/// Shows: stages, once open, stay open: a crash of the manager holds up no worker.
#[test]
fn a_crash_of_the_manager_does_not_close_the_later_stages() {
    let mut shell = Shell::cluster();
    shell.dies("manager", 1);
    shell.dies("worker-1", 1);
    assert!(shell.turn().is_empty(), "both wait for their delay");
    shell.add(3, &["worker-3"]);
    assert_eq!(shell.turn(), ["worker-3"]);
    shell.restart("worker-1");
    assert_eq!(shell.turn(), ["worker-1"]);
    assert_eq!(shell.state("manager"), State::Backoff);
}

#[test]
fn when_all_are_down_the_next_start_goes_through_the_stages_again() {
    let mut shell = Shell::cluster();
    let all = ["logger-1", "logger-2", "manager", "worker-1", "worker-2"];
    for text in all {
        shell.stop(text, None);
    }
    for text in ["worker-1", "worker-2", "manager", "logger-1", "logger-2"] {
        shell.turn();
        shell.dies(text, 0);
    }
    shell.turn();
    for text in all {
        assert_eq!(shell.state(text), State::Stopped);
        shell.want(text);
    }
    assert_eq!(shell.turn(), ["logger-1", "logger-2"]);
    assert_eq!(shell.state("worker-1"), State::Pending);
}

#[test]
fn replaced_stages_that_are_open_stay_open() {
    let mut shell = Shell::cluster();
    shell.stages(&[(1, None), (2, Some(1)), (3, None), (4, None)]);
    shell.dies("manager", 1);
    shell.add(3, &["worker-3"]);
    shell.add(4, &["late"]);
    assert_eq!(shell.turn(), ["late", "worker-3"]);
}

/// Shows: nobody waits for a stage that is open: not after a new description, not after the stage went.
#[test]
fn who_waits_is_born_when_its_stage_goes_or_it_moves_to_an_open_one() {
    let mut shell = Shell::new(&[(1, None), (2, None), (3, None)]);
    shell.add(1, &["first"]);
    shell.add(2, &["moved"]);
    shell.add(3, &["orphan"]);
    assert_eq!(shell.turn(), ["first"]);
    shell.know(1, "moved", LifePolicy::default(), &Past::default());
    assert_eq!(shell.turn(), ["moved"]);
    shell.stages(&[(1, None), (2, None)]);
    assert_eq!(shell.turn(), ["orphan"]);
}

/// Shows: a job that was finished before its stem died is born again when due, but not before its stage.
#[test]
fn a_finished_job_of_a_former_stem_is_due_again_and_waits_for_its_stage() {
    let mut shell = Shell::new(&[(1, None), (2, None)]);
    let hourly = || LifePolicy {
        restart: RestartPolicy::Every(ms(3_600_000)),
        ..LifePolicy::default()
    };
    let past = Past {
        rest: Some(State::Finished),
        due: Some(ms(2_000)),
        ..Past::default()
    };
    shell.know(1, "early", hourly(), &past);
    shell.know(2, "job", hourly(), &past);
    shell.add(1, &["logger"]);
    assert_eq!(shell.turn(), ["logger"]);
    assert_eq!(shell.fleet.next_deadline(), Some(shell.now + ms(2_000)));
    shell.pass(ms(2_000));
    assert_eq!(shell.turn(), ["early"]);
    assert_eq!(shell.state("job"), State::Pending);
    shell.ready(&["logger", "early"]);
    assert_eq!(shell.turn(), ["job"]);
}

/// Shows: what the supervisor shows follows what the stem knows, the forgotten failures too.
#[test]
fn forgotten_failures_are_reported() {
    let mut shell = Shell::new(&[(1, None)]);
    shell.add(1, &["a"]);
    shell.turn();
    shell.dies("a", 1);
    shell.turn();
    shell.pass(ms(300));
    assert_eq!(shell.turn(), ["a"]);
    shell.ready(&["a"]);
    shell.turn();
    shell.told.clear();
    shell.pass(ms(30_000));
    shell.turn();
    let failures: Vec<u32> = shell.told.iter().filter_map(failures_of).collect();
    assert_eq!(failures, [0]);
}

fn failures_of(action: &Action) -> Option<u32> {
    match action {
        Action::Report(change) => Some(change.failures),
        Action::Signal { .. } | Action::Kill { .. } => None,
        Action::StageLate { .. } | Action::Forgotten(_) => None,
    }
}

#[test]
fn a_budget_spent_on_refused_births_ends_in_failed_with_the_systems_words() {
    let mut shell = Shell::new(&[(1, None)]);
    let strict = LifePolicy {
        give_up: Some(Budget {
            deaths: 2,
            within: ms(60_000),
        }),
        ..LifePolicy::default()
    };
    shell.know(1, "a", strict, &Past::default());
    shell.want("a");
    for _ in 0..2 {
        shell.fleet.settle(shell.now, &mut shell.told);
        shell.fleet.born(&name("a"), Err(11), shell.now);
        shell.now = shell.fleet.next_deadline().unwrap_or(shell.now);
        shell.fleet.run_deadlines(shell.now, &mut shell.told);
    }
    assert_eq!(shell.state("a"), State::Failed);
    let why = shell.fleet.child(&name("a")).unwrap().reason().unwrap();
    assert!(
        why.contains("2 deaths") && why.contains("not born"),
        "{why}"
    );
}

mod stopping;

//! Stopping: one child, some, all; the order, the deadlines, and orders that cross each other.

use super::*;

/// Shows: workers first, loggers last, and nobody of a stage before the later one is gone.
#[test]
fn a_shutdown_goes_through_the_stages_in_reverse_and_loggers_end_last() {
    let mut shell = Shell::cluster();
    shell.shut_down(None, ms(30_000));
    shell.turn();
    assert_eq!(shell.signals(), ["worker-1 15", "worker-2 15"]);
    shell.dies("worker-2", 0);
    shell.turn();
    assert!(shell.signals().is_empty(), "worker-1 still runs");
    shell.dies("worker-1", 0);
    shell.turn();
    assert_eq!(shell.signals(), ["manager 15"]);
    assert_eq!(shell.state("logger-1"), State::Ready);
    shell.dies("manager", 0);
    shell.turn();
    assert_eq!(shell.signals(), ["logger-1 15", "logger-2 15"]);
    assert_eq!(shell.fleet.is_done(), None);
    shell.dies("logger-1", 0);
    shell.dies("logger-2", 0);
    shell.turn();
    assert_eq!(shell.fleet.is_done(), Some(0));
}

#[test]
fn a_stop_of_some_keeps_the_order_among_them_and_leaves_the_others_alone() {
    let mut shell = Shell::cluster();
    shell.stop("logger-1", None);
    shell.stop("worker-1", None);
    shell.turn();
    assert_eq!(shell.signals(), ["worker-1 15"]);
    shell.dies("worker-1", 0);
    shell.turn();
    assert_eq!(shell.signals(), ["logger-1 15"]);
    assert_eq!(shell.state("manager"), State::Ready);
    assert_eq!(shell.state("worker-2"), State::Ready);
}

/// Shows: a hundred children that ignore SIGTERM are all killed at one and the same deadline.
#[test]
fn kills_run_in_parallel_against_their_deadlines() {
    let mut shell = Shell::new(&[(1, None)]);
    let names: Vec<String> = (0..100).map(|n| format!("w{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    shell.add(1, &names);
    shell.all_ready();
    for text in &names {
        shell.stop(text, None);
    }
    shell.turn();
    assert_eq!(shell.signals().len(), 100);
    shell.pass(ms(9_999));
    shell.turn();
    assert!(shell.signals().is_empty());
    shell.pass(ms(1));
    assert_eq!(shell.fleet.next_deadline(), Some(shell.now));
    shell.turn();
    let kills = shell.signals();
    assert_eq!(kills.len(), 100);
    assert!(kills.iter().all(|kill| kill.ends_with(" kill")));
}

/// Shows: at the overall deadline all that live are killed at once, are counted once, and are killed
/// again each second until they are gone.
#[test]
fn at_the_overall_deadline_everybody_left_is_killed_and_counted_once() {
    let mut shell = Shell::cluster();
    shell.shut_down(None, ms(5_000));
    shell.turn();
    shell.dies("worker-2", 0);
    shell.turn();
    shell.signals();
    assert_eq!(shell.fleet.next_deadline(), Some(shell.now + ms(5_000)));
    shell.pass(ms(5_000));
    shell.turn();
    let left = ["logger-1", "logger-2", "manager", "worker-1"];
    let kills: Vec<String> = left.iter().map(|text| format!("{text} kill")).collect();
    assert_eq!(shell.signals(), kills);
    assert_eq!(shell.fleet.next_deadline(), Some(shell.now + ms(1_000)));
    shell.dies("worker-1", 9);
    shell.pass(ms(1_000));
    shell.turn();
    assert_eq!(shell.signals(), kills[..3]);
    shell.shut_down(Some(ms(0)), ms(0));
    shell.turn();
    for text in &left[..3] {
        shell.dies(text, 9);
    }
    shell.turn();
    assert_eq!(shell.fleet.is_done(), Some(4));
}

/// Shows: the second signal to the supervisor shortens the grace, the third ends it at once; none
/// gives more time.
#[test]
fn a_shutdown_can_be_hurried_once_and_twice() {
    let mut shell = Shell::cluster();
    shell.shut_down(None, ms(30_000));
    shell.turn();
    shell.signals();
    shell.pass(ms(1_000));
    shell.shut_down(Some(ms(2_000)), ms(3_000));
    shell.turn();
    assert!(shell.signals().is_empty());
    assert_eq!(shell.fleet.next_deadline(), Some(shell.now + ms(2_000)));
    shell.shut_down(Some(ms(60_000)), ms(60_000));
    shell.turn();
    assert_eq!(shell.fleet.next_deadline(), Some(shell.now + ms(2_000)));
    shell.shut_down(Some(ms(0)), ms(0));
    shell.turn();
    let all = ["logger-1", "logger-2", "manager", "worker-1", "worker-2"];
    assert_eq!(shell.signals(), all.map(|text| format!("{text} kill")));
    for text in all {
        shell.dies(text, 9);
    }
    shell.turn();
    assert_eq!(shell.fleet.is_done(), Some(5));
}

#[test]
fn a_shutdown_during_the_start_waits_for_nobody_who_is_not_born() {
    let mut shell = Shell::new(&[(1, None), (2, None)]);
    shell.add(1, &["logger"]);
    shell.add(2, &["worker"]);
    shell.shut_down(None, ms(1_000));
    assert!(shell.turn().is_empty());
    assert_eq!(shell.fleet.is_done(), Some(0));
    assert_eq!(shell.state("worker"), State::Stopped);
}

/// Shows: a shutdown ends delays, restarts under way and jobs that rest, and begins nothing.
#[test]
fn nobody_is_born_during_a_shutdown() {
    let mut shell = Shell::cluster();
    shell.dies("logger-2", 1);
    shell.restart("worker-1");
    shell.turn();
    assert_eq!(shell.state("logger-2"), State::Backoff);
    shell.shut_down(None, ms(30_000));
    let due = Past {
        rest: Some(State::Finished),
        due: Some(ms(10)),
        ..Past::default()
    };
    shell.know(3, "job", LifePolicy::default(), &due);
    shell.add(3, &["created"]);
    shell.want("manager");
    shell.restart("worker-2");
    assert!(shell.turn().is_empty());
    shell.add(1, &["created-later"]);
    shell.know(1, "job-later", LifePolicy::default(), &due);
    shell.pass(ms(20));
    for text in ["worker-1", "worker-2", "manager", "logger-1"] {
        shell.turn();
        shell.dies(text, 1);
        assert!(shell.turn().is_empty());
    }
    assert_eq!(shell.fleet.is_done(), Some(0));
}

#[test]
fn a_child_is_forgotten_when_it_is_gone_and_not_before() {
    let mut shell = Shell::cluster();
    shell.fleet.forget(&name("worker-1"));
    shell.turn();
    assert!(!shell.forgotten("worker-1"));
    assert_eq!(shell.signals(), ["worker-1 15"]);
    shell.dies("worker-1", 0);
    shell.turn();
    assert!(shell.forgotten("worker-1"));
    shell.know(3, "still", LifePolicy::default(), &Past::default());
    shell.fleet.forget(&name("still"));
    shell.turn();
    assert!(shell.forgotten("still"), "it never ran");
}

/// Shows: orders that were on their way when a child was forgotten do not bring it back.
#[test]
fn stale_orders_do_not_bring_a_forgotten_child_back() {
    let mut shell = Shell::cluster();
    shell.fleet.forget(&name("worker-1"));
    shell.want("worker-1");
    shell.turn();
    shell.restart("worker-1");
    shell.want("worker-1");
    shell.dies("worker-1", 0);
    assert!(shell.turn().is_empty());
    assert!(shell.forgotten("worker-1"));
    shell.want("worker-1");
    shell.stop("worker-1", None);
    shell.restart("worker-1");
    shell.fleet.forget(&name("worker-1"));
    shell.fleet.ready(&name("worker-1"), shell.now);
    assert!(shell.turn().is_empty());
    assert!(shell.fleet.child(&name("worker-1")).is_none());
}

#[test]
fn a_child_that_is_known_anew_while_it_ends_is_kept() {
    let mut shell = Shell::cluster();
    shell.fleet.forget(&name("worker-1"));
    shell.turn();
    shell.add(3, &["worker-1"]);
    shell.dies("worker-1", 0);
    assert_eq!(shell.turn(), ["worker-1"]);
    assert!(!shell.forgotten("worker-1"));
}

/// Shows: of a stop that still waits for later stages and a restart or start after it, the last counts.
#[test]
fn a_restart_or_start_after_a_waiting_stop_counts() {
    for start in [true, false] {
        let mut shell = Shell::cluster();
        shell.stop("worker-1", None);
        shell.stop("logger-1", None);
        shell.turn();
        if start {
            shell.want("logger-1");
        } else {
            shell.restart("logger-1");
            shell.dies("logger-1", 0);
            assert_eq!(shell.turn(), ["logger-1"]);
            shell.ready(&["logger-1"]);
        }
        shell.dies("worker-1", 0);
        shell.turn();
        assert_eq!(shell.state("logger-1"), State::Ready);
        assert_eq!(shell.state("worker-1"), State::Stopped);
    }
}

/// Shows: a hung child's restart is no order of an operator: it does not undo a stop that waits.
#[test]
fn a_waiting_stop_outlives_the_restart_of_a_hung_child() {
    let mut shell = Shell::cluster();
    shell.stop("worker-1", None);
    shell.stop("logger-1", None);
    shell.turn();
    let hung = RestartCause::Hung;
    let (fleet, told) = (&mut shell.fleet, &mut shell.told);
    fleet.restart(&name("logger-1"), hung, shell.now, told);
    shell.dies("logger-1", 0);
    assert!(shell.turn().is_empty());
    assert_eq!(shell.state("logger-1"), State::Stopped);
}

/// Shows: a grace that was named for a stop that waits is kept, and only a shorter one replaces it.
#[test]
fn a_waiting_stop_keeps_the_shortest_grace_that_was_named() {
    let mut shell = Shell::cluster();
    shell.stop("worker-1", None);
    shell.stop("logger-1", Some(ms(700)));
    shell.turn();
    shell.stop("logger-1", None);
    shell.stop("logger-1", Some(ms(900)));
    shell.fleet.forget(&name("logger-1"));
    shell.dies("worker-1", 0);
    shell.turn();
    let deadline = shell.fleet.child(&name("logger-1")).unwrap().deadline();
    assert_eq!(deadline, Some(shell.now + ms(700)));
}

/// Shows: a stop without grace kills in the same turn, also one that follows a stop with grace.
#[test]
fn a_stop_without_grace_kills_at_once() {
    let mut shell = Shell::cluster();
    shell.stop("worker-1", Some(ms(0)));
    shell.stop("worker-2", None);
    shell.turn();
    assert_eq!(shell.signals(), ["worker-1 kill", "worker-2 15"]);
    shell.stop("worker-2", Some(ms(0)));
    shell.turn();
    assert_eq!(shell.signals(), ["worker-2 kill"]);
}

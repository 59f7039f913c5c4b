//! Stories of a child's life that take more than one cell of the table.

use super::*;

const SIGNALED: Ending = Ending::Signaled {
    signal: 11,
    core: true,
};

/// Shows: each policy with each kind of end, of a child that was ready for a second.
#[test]
fn each_policy_decides_each_end_in_its_own_way() {
    use RestartPolicy::{Always, Every, Finish, Never, OnFailure};
    let hour = Every(ms(3_600_000));
    let born_again = |policy, ending| (policy, ending, State::Starting);
    let rows = [
        born_again(Always, Ending::Exited(0)),
        born_again(Always, Ending::Exited(1)),
        born_again(Always, SIGNALED),
        (OnFailure, Ending::Exited(0), State::Finished),
        born_again(OnFailure, Ending::Exited(1)),
        born_again(OnFailure, SIGNALED),
        (Never, Ending::Exited(0), State::Finished),
        (Never, Ending::Exited(1), State::Failed),
        (Never, SIGNALED, State::Failed),
        (Finish, Ending::Exited(0), State::Finished),
        born_again(Finish, Ending::Exited(1)),
        born_again(Finish, SIGNALED),
        (hour, Ending::Exited(0), State::Finished),
        born_again(hour, Ending::Exited(1)),
        born_again(hour, SIGNALED),
    ];
    for (restart, ending, expected) in rows {
        let mut life = Life::new(policy(restart)).steps(&UP).pass(ms(1_000));
        life.step(Event::Exited(ending));
        assert_eq!(life.state(), expected, "{restart:?} {ending}");
        let again = (expected == State::Finished && restart == hour).then(|| ms(3_600_000));
        assert_eq!(life.wait(), again, "{restart:?} {ending}");
        assert_eq!(life.child.next_birth().is_some(), again.is_some());
        if expected == State::Failed {
            let why = life.child.reason().expect("it says why");
            assert!(why.starts_with(&ending.to_string()), "{why}");
        }
    }
}

/// Shows: 77 and 78 end it under every policy, however long it was ready, and the reason tells what to do.
#[test]
fn exit_77_and_78_are_failures_for_good_under_every_policy() {
    use RestartPolicy::{Always, Every, Finish, Never, OnFailure};
    for restart in [Always, OnFailure, Never, Finish, Every(ms(10))] {
        for (code, cure) in [(77, "permissions"), (78, "configuration")] {
            for ready_for in [0, 60_000] {
                let mut life = Life::new(policy(restart)).steps(&UP).pass(ms(ready_for));
                life.step(Event::Exited(Ending::Exited(code)));
                assert_eq!(life.state(), State::Failed, "{restart:?} {code}");
                assert_eq!(life.wait(), None);
                let why = life.child.reason().expect("it says why");
                assert!(why.contains(cure) && why.contains("start it"), "{why}");
            }
        }
    }
}

#[test]
fn an_exit_with_78_after_being_late_is_for_good_too() {
    let mut life = situation("late");
    life.step(Event::Exited(Ending::Exited(78)));
    assert_eq!(life.state(), State::Failed);
}

#[test]
fn a_stopped_child_that_ends_with_78_is_stopped_and_not_failed() {
    let mut life = situation("leaving");
    life.step(Event::Exited(Ending::Exited(78)));
    assert_eq!(life.state(), State::Stopped);
    assert_eq!(life.child.reason(), None);
}

/// Shows: a child that is never to be started again is not, when it was ended for being late or hung.
#[test]
fn never_means_never_even_for_a_late_or_hung_child() {
    let never = || policy(RestartPolicy::Never);
    let mut late = Life::new(never()).steps(&[Event::Start, Event::Born]);
    late.until_deadline();
    let mut hung = Life::new(never()).steps(&UP);
    hung.step(Event::Restart(RestartCause::Hung));
    for (mut life, why) in [(late, "not ready in time"), (hung, "heartbeat")] {
        assert_eq!(life.state(), State::Stopping);
        life.step(ENDS_WELL);
        assert_eq!(life.state(), State::Failed, "{why}");
        assert!(life.child.reason().is_some_and(|text| text.contains(why)));
    }
}

/// Shows: an end with 0 of a child that had to be ended is a failure and no success.
#[test]
fn a_late_job_that_ends_with_0_when_told_to_end_has_not_finished() {
    for restart in [RestartPolicy::Finish, RestartPolicy::Every(ms(5))] {
        let mut life = Life::new(policy(restart)).steps(&[Event::Start, Event::Born]);
        life.until_deadline();
        life.step(ENDS_WELL);
        assert_eq!(life.state(), State::Backoff);
        assert_eq!(life.child.reason(), Some("it was not ready in time"));
        assert_eq!(life.child.failures(), 1);
    }
}

/// Shows: the tenth death within a minute makes it failed, with number, period and last cause; a start
/// gives it all its tries again.
#[test]
fn a_spent_budget_fails_the_child_which_says_why() {
    let mut life = Life::new(policy(RestartPolicy::Always)).steps(&UP);
    for death in 1..=10 {
        life = life.pass(ms(1_000));
        life.step(Event::Exited(SIGNALED));
        if death < 10 {
            assert!(life.child.is_due(), "death {death}");
            life = life.steps(&[Event::Born, Event::Ready]);
        }
    }
    assert_eq!(life.state(), State::Failed);
    let why = life.child.reason().expect("it says why");
    assert_eq!(why, "10 deaths within 60 s, the last: SIGSEGV (core)");
    life = life.steps(&UP);
    life.step(DIES);
    assert_eq!(life.state(), State::Backoff);
}

#[test]
fn deaths_that_are_far_apart_never_spend_the_budget() {
    let mut life = Life::new(policy(RestartPolicy::Always)).steps(&UP);
    for _ in 0..50 {
        life = life.pass(ms(7_000));
        life.step(DIES);
        life = life.steps(&[Event::Born, Event::Ready]);
    }
    assert_eq!(life.state(), State::Ready);
}

#[test]
fn a_child_without_a_budget_is_never_given_up() {
    let endless = LifePolicy {
        give_up: None,
        ..LifePolicy::default()
    };
    let mut life = Life::new(endless).steps(&[Event::Start]);
    for _ in 0..500 {
        life.step(UNBORN);
        assert_eq!(life.state(), State::Backoff);
        life.until_deadline();
    }
    assert_eq!(life.child.failures(), 500);
}

/// Shows: delays double while it dies early, up to the ceiling; 29 s ready do not change that, 30 s do.
#[test]
fn delays_double_and_are_forgotten_after_a_stable_time() {
    let patient = LifePolicy {
        give_up: None,
        ..LifePolicy::default()
    };
    let mut life = Life::new(patient).steps(&[Event::Start]);
    let delay = |life: &mut Life| {
        life.step(Event::Born);
        life.step(DIES);
        let delay = life.wait().expect("a delay");
        life.until_deadline();
        delay
    };
    for plain in [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        let delay = delay(&mut life);
        assert!(delay >= ms(plain).mul_f64(0.899), "{plain}: {delay:?}");
        assert!(delay <= ms(plain).mul_f64(1.101), "{plain}: {delay:?}");
    }
    life = life.steps(&[Event::Born, Event::Ready]);
    assert_eq!(life.wait(), Some(ms(30_000)));
    life = life.pass(ms(29_000)).steps(&[DIES]);
    assert_eq!(life.child.failures(), 9, "not yet forgotten");
    life = life.steps(&[Event::Born, Event::Ready]);
    life.until_deadline();
    assert_eq!(life.child.failures(), 0, "forgotten");
    life.step(DIES);
    assert!(life.child.is_due(), "it was ready for long enough");
    assert!(delay(&mut life) <= ms(275), "the first delay again");
}

/// Shows: ready a second or more: no delay. A millisecond less: a delay.
#[test]
fn a_child_that_was_ready_for_a_second_is_born_again_at_once() {
    let mut quick = situation("ready").pass(ms(1_000));
    quick.step(DIES);
    assert!(quick.child.is_due());
    assert_eq!(quick.child.failures(), 0);
    let mut slow = situation("ready").pass(ms(999));
    slow.step(DIES);
    assert_eq!(slow.state(), State::Backoff);
}

/// Shows: even with a floor of nothing a birth that the system refuses waits, so that a turn can end.
#[test]
fn a_refused_birth_is_not_due_again_in_the_same_turn() {
    let hasty = LifePolicy {
        floor: Duration::ZERO,
        give_up: None,
        ..LifePolicy::default()
    };
    let mut life = Life::new(hasty).steps(&[Event::Start]);
    life.step(UNBORN);
    assert!(!life.child.is_due());
    assert!(life.wait().is_some_and(|wait| wait >= ms(10)));
    life.until_deadline();
    life = life.steps(&[Event::Born, DIES]);
    assert!(life.child.is_due(), "a death may be followed at once");
}

#[test]
fn a_child_that_is_not_ready_in_time_is_ended_and_tried_again() {
    let mut life = situation("starting");
    assert_eq!(life.until_deadline(), Some(Deed::Signal(TERM)));
    assert_eq!(life.state(), State::Stopping);
    assert_ne!(life.child.end_cause(), Cause::Asked);
    assert_eq!(
        life.until_deadline(),
        Some(Deed::Kill),
        "it ignores SIGTERM"
    );
    assert_eq!(
        life.until_deadline(),
        Some(Deed::Kill),
        "it hangs in the kernel"
    );
    life.step(Event::Ready); // late
    assert_eq!(life.state(), State::Stopping);
    life.step(DIES);
    assert_eq!(life.state(), State::Backoff);
    assert_eq!(life.child.reason(), Some("it was not ready in time"));
    life.until_deadline();
    assert!(life.child.is_due());
    assert_eq!(life.child.incarnation(), Incarnation(2));
}

#[test]
fn a_restart_during_the_delay_ends_the_delay() {
    let mut life = situation("backoff");
    assert_eq!(life.step(Event::Restart(RestartCause::Asked)), None);
    assert!(life.child.is_due());
    assert_eq!(life.wait(), None);
}

/// Shows: stop before the birth needs no signal, stop after it does; neither comes back.
#[test]
fn a_stop_during_a_start_stops_it_before_and_after_the_birth() {
    let mut unborn = situation("unborn");
    assert_eq!(unborn.step(Event::Stop(None)), None);
    assert_eq!(unborn.state(), State::Stopped);
    assert!(!unborn.child.is_due());
    let mut born = situation("starting");
    assert_eq!(born.step(Event::Stop(None)), Some(Deed::Signal(TERM)));
    assert_eq!(born.child.end_cause(), Cause::Asked);
    born.step(DIES);
    assert_eq!(born.state(), State::Stopped);
    assert!(!born.child.wanted());
}

/// Shows: of stop, start and restart given while it ends, the last one counts.
#[test]
fn the_last_order_counts_while_a_child_ends() {
    const STOP: Event = Event::Stop(None);
    const RESTART: Event = Event::Restart(RestartCause::Asked);
    let rows: [(&[Event], State); 6] = [
        (&[RESTART, STOP], State::Stopped),
        (&[STOP, Event::Start], State::Starting),
        (&[STOP, RESTART], State::Starting),
        (&[RESTART, STOP, RESTART], State::Starting),
        (&[STOP, Event::Start, STOP], State::Stopped),
        (&[Event::Restart(RestartCause::Hung), STOP], State::Stopped),
    ];
    for (orders, expected) in rows {
        let mut life = situation("ready").steps(orders);
        assert_eq!(life.wait(), Some(ms(10_000)), "one grace");
        life.step(DIES);
        assert_eq!(life.state(), expected, "{orders:?}");
        assert_eq!(life.child.wanted(), expected == State::Starting);
    }
}

#[test]
fn a_second_stop_can_shorten_the_grace_but_not_lengthen_it() {
    let mut life = situation("leaving").steps(&[Event::Stop(Some(ms(60_000)))]);
    assert_eq!(life.wait(), Some(ms(10_000)));
    life.step(Event::Stop(Some(ms(500))));
    assert_eq!(life.wait(), Some(ms(500)));
    assert_eq!(life.step(Event::Stop(Some(ms(0)))), Some(Deed::Kill));
    assert_eq!(
        life.wait(),
        Some(ms(1_000)),
        "and again, if that does not help"
    );
}

#[test]
fn a_hung_child_counts_as_a_failure_and_says_so() {
    for (cause, signal) in [(RestartCause::Hung, TERM), (RestartCause::HungAbort, 6)] {
        let mut life = situation("ready");
        assert_eq!(life.step(Event::Restart(cause)), Some(Deed::Signal(signal)));
        assert_ne!(life.child.end_cause(), Cause::Asked);
        life.step(Event::Exited(SIGNALED));
        assert_eq!(life.state(), State::Backoff);
        assert_eq!(life.child.reason(), Some("its heartbeat stopped"));
        assert_eq!(life.child.failures(), 1);
    }
}

/// Shows: what a former stem knew stays: rest, reason, next birth, failures, incarnation.
#[test]
fn a_stems_death_changes_nothing_that_was_decided() {
    let past = |rest| Past {
        incarnation: Incarnation(41),
        rest,
        reason: Some("because".to_owned()),
        due: Some(ms(500)),
        failures: 4,
    };
    let every = || policy(RestartPolicy::Every(ms(9_000)));
    let failed = Life::after(every(), &past(Some(State::Failed)));
    assert_eq!(failed.state(), State::Failed);
    assert_eq!(failed.child.reason(), Some("because"));
    assert_eq!(failed.wait(), None);
    let mut finished = Life::after(every(), &past(Some(State::Finished)));
    assert_eq!(finished.wait(), Some(ms(500)));
    finished.until_deadline();
    assert!(finished.child.is_due());
    assert_eq!(finished.child.incarnation(), Incarnation(42));
    let mut crashing = Life::after(every(), &past(None)).steps(&[Event::Start, Event::Born]);
    assert_eq!(crashing.child.incarnation(), Incarnation(42));
    crashing.step(DIES);
    assert_eq!(crashing.child.failures(), 5, "the delays go on doubling");
}

#[test]
fn an_absurd_grace_or_time_limit_does_not_end_the_stem() {
    let absurd = LifePolicy {
        ready_timeout: Some(Duration::MAX),
        stop_grace: Duration::MAX,
        stable_after: Duration::MAX,
        floor: Duration::MAX,
        ceiling: Duration::MAX,
        give_up: Some(Budget {
            deaths: 9,
            within: Duration::MAX,
        }),
        ..policy(RestartPolicy::Every(Duration::MAX))
    };
    let mut life = Life::new(absurd).steps(&[Event::Start, Event::Born, DIES]);
    assert_eq!(life.state(), State::Backoff);
    life.step(Event::Restart(RestartCause::Asked));
    life = life.steps(&[Event::Born, Event::Ready, Event::Stop(Some(Duration::MAX))]);
    assert_eq!(life.state(), State::Stopping);
}

//! What a world is made of: policies, stages, and the fates of processes. All times are shrunk.

use std::time::Duration;

use cluster::layout::spec::{Budget, LifePolicy, RestartPolicy, StageSpec};
use cluster::supervise::child::Ending;

use crate::stories::Dice;

/// A policy. What the checker measures delays by is the same for one child for ever; see [`change`].
pub(crate) fn policy(dice: &mut Dice) -> LifePolicy {
    let floor = dice.ticks(0, 3) * 5;
    let mut policy = LifePolicy {
        floor,
        ceiling: floor * dice.number(1, 12),
        quick_after: dice.ticks(5, 20),
        stable_after: dice.ticks(20, 100),
        ..LifePolicy::default()
    };
    change(dice, &mut policy);
    policy
}

/// Another policy for a known child: everything but delays.
pub(crate) fn change(dice: &mut Dice, policy: &mut LifePolicy) {
    policy.restart = match dice.number(0, 9) {
        0..=4 => RestartPolicy::Always,
        5 | 6 => RestartPolicy::OnFailure,
        7 => RestartPolicy::Never,
        8 => RestartPolicy::Finish,
        _ => RestartPolicy::Every(dice.ticks(1, 150)),
    };
    policy.give_up = dice.chance(60).then(|| Budget {
        deaths: dice.number(2, 8),
        within: dice.ticks(20, 300),
    });
    policy.ready_timeout = dice.chance(80).then(|| dice.ticks(5, 60));
    policy.stop_grace = dice.ticks(0, 60);
}

/// From one stage to six, not all of them of consecutive numbers.
pub(crate) fn stages(dice: &mut Dice) -> Vec<StageSpec> {
    let mut number = 0;
    (0..dice.number(1, 6))
        .map(|_| {
            number += u16::try_from(dice.number(1, 2)).unwrap_or(1);
            StageSpec {
                number,
                name: format!("stage {number}"),
                quorum: dice.chance(40).then(|| dice.number(0, 6)),
                time_limit: dice.ticks(5, 80),
            }
        })
        .collect()
}

/// What will become of a process, as far as it is left alone.
#[derive(Debug)]
pub(crate) struct Fate {
    pub(crate) ready: Option<Duration>,
    pub(crate) end: Option<(Duration, Ending)>,
    /// It ignores every signal but SIGKILL.
    pub(crate) deaf: bool,
    /// It hangs in the kernel: the first SIGKILL does nothing.
    pub(crate) wedged: bool,
}

pub(crate) fn wild_fate(dice: &mut Dice) -> Fate {
    Fate {
        ready: dice.chance(75).then(|| dice.ticks(0, 30)),
        end: dice
            .chance(45)
            .then(|| (dice.ticks(1, 80), wild_ending(dice))),
        deaf: dice.chance(15),
        wedged: dice.chance(10),
    }
}

/// In a friendly world everybody gets ready, and only those end whose policy expects it.
pub(crate) fn friendly_fate(dice: &mut Dice, restart: RestartPolicy) -> Fate {
    let ends = restart != RestartPolicy::Always && dice.chance(50);
    Fate {
        ready: Some(dice.ticks(0, 4)),
        end: ends.then(|| (dice.ticks(1, 20), Ending::Exited(0))),
        deaf: false,
        wedged: false,
    }
}

pub(crate) fn wild_ending(dice: &mut Dice) -> Ending {
    match dice.number(0, 99) {
        0..=34 => Ending::Exited(0),
        35..=64 => Ending::Exited(1),
        65..=68 => Ending::Exited(77),
        69..=72 => Ending::Exited(78),
        _ => Ending::Signaled {
            signal: *dice.one_of(&[9, 11, 15]),
            core: dice.chance(50),
        },
    }
}

//! The stages of the start: which of them are open, which the start still waits for.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Action, Event, Fleet, Member, State};
use crate::layout::spec::StageSpec;
use crate::names::NodeName;
use crate::supervise::delay;

#[derive(Debug)]
pub(super) struct Stage {
    spec: StageSpec,
    open_since: Option<Instant>,
    /// The start need not wait for it any more.
    settled: bool,
}

impl Fleet {
    /// Replaces the stages. Those that are open stay open.
    pub fn set_stages(&mut self, specs: Vec<StageSpec>) {
        let mut old = std::mem::take(&mut self.stages);
        for spec in specs {
            let (open_since, settled) = old
                .remove(&spec.number)
                .map_or((None, false), |stage| (stage.open_since, stage.settled));
            let number = spec.number;
            let stage = Stage {
                spec,
                open_since,
                settled,
            };
            self.stages.insert(number, stage);
        }
        self.unsettled = true;
    }

    /// Stages from this number on have members that are not known yet: their members are born, but they
    /// cannot settle. `None`: everybody is known.
    pub fn expect_more_from(&mut self, stage: Option<u16>) {
        self.incomplete_from = stage;
        self.unsettled = true;
    }

    fn is_complete(&self, stage: u16) -> bool {
        self.incomplete_from.is_none_or(|from| stage < from)
    }

    pub(super) fn stage_is_open(&self, name: &NodeName) -> bool {
        let Some(member) = self.members.get(name) else {
            return false;
        };
        self.stages
            .get(&member.stage)
            .is_none_or(|stage| stage.open_since.is_some())
    }

    pub(super) fn open_stages(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.closing.is_some() {
            return;
        }
        let idle = self
            .members
            .values()
            .all(|m| !m.child.wanted() && !m.child.state().is_alive());
        if idle {
            for stage in self.stages.values_mut() {
                stage.open_since = None;
                stage.settled = false;
            }
            return;
        }
        if self.stages.values().all(|stage| stage.settled) {
            return;
        }
        let tally = self.tally();
        let incomplete_from = self.incomplete_from;
        for (number, stage) in &mut self.stages {
            let since = *stage.open_since.get_or_insert(now);
            if incomplete_from.is_some_and(|from| *number >= from) {
                break;
            }
            let count = tally.get(number).copied().unwrap_or_default();
            let quorum = stage.spec.quorum.unwrap_or(count.wanted).min(count.wanted);
            if stage.settled || count.well >= quorum || count.trying == 0 {
                stage.settled = true;
                continue;
            }
            if now < delay::later(since, stage.spec.time_limit) {
                break; // later stages wait
            }
            stage.settled = true;
            out.push(Action::StageLate {
                stage: *number,
                missing: missing_in(&self.members, *number),
            });
        }
    }

    /// Nobody waits for an open stage: it may have opened just now, or have come to them by a new
    /// description, or be no stage any more.
    pub(super) fn bear_pending(&mut self, now: Instant, out: &mut Vec<Action>) {
        let waiting: Vec<NodeName> = self
            .pending
            .iter()
            .filter(|name| self.stage_is_open(name))
            .cloned()
            .collect();
        for name in waiting {
            self.step(&name, Event::StageOpen, now, out);
        }
    }

    /// The time limit of the stage that the start waits for.
    pub(super) fn stage_deadline(&self) -> Option<Instant> {
        let (number, waits) = self.stages.iter().find(|(_, stage)| !stage.settled)?;
        let counts = self.closing.is_none() && self.is_complete(*number);
        let since = waits.open_since.filter(|_| counts)?;
        Some(delay::later(since, waits.spec.time_limit))
    }

    fn tally(&self) -> BTreeMap<u16, Count> {
        let mut tally: BTreeMap<u16, Count> = BTreeMap::new();
        for member in self.members.values() {
            let count = tally.entry(member.stage).or_default();
            if !member.child.wanted() || member.leaving.is_some() {
                continue;
            }
            count.wanted += 1;
            match member.child.state() {
                State::Ready | State::Finished => count.well += 1,
                State::Failed => {}
                State::Stopped
                | State::Pending
                | State::Backoff
                | State::Starting
                | State::Stopping => count.trying += 1,
            }
        }
        tally
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    wanted: u32,
    well: u32,
    trying: u32,
}

fn missing_in(members: &BTreeMap<NodeName, Box<Member>>, stage: u16) -> Vec<NodeName> {
    members
        .iter()
        .filter(|(_, m)| m.stage == stage && m.child.wanted() && m.leaving.is_none())
        .filter(|(_, m)| !matches!(m.child.state(), State::Ready | State::Finished))
        .map(|(name, _)| name.clone())
        .collect()
}

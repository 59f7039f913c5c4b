//! Deaths: every process that ended is reaped, and nothing it left behind outlives it for long.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cluster::layout::spec::HookPoint;
use cluster::names::{Incarnation, NodeName};
use cluster::supervise::child::{Child, Ending};
use cluster::supervise::vocabulary::{Cause, Death, Report};
use cluster::sys;
use cluster::sys::process::Reaped;
use cluster::sys::signals::Pending;

use super::{Hold, Stem, Who};

/// What shows no marker is looked at again after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// So often, for each process and for each death: one that goes on without any environment is nobody's
/// that we know, and may not hold up every birth there is.
const LOOKS_MAX: u32 = 20;

impl Stem {
    pub(super) fn on_signals(&mut self, now: Instant) {
        while let Ok(Some(Pending { signal, from })) = self.signals.read() {
            match signal {
                nix::libc::SIGCHLD => {
                    self.reap_one(from, now);
                    self.reap_more = true;
                }
                nix::libc::SIGTERM => self.on_term(now),
                _ => {} // none other is read
            }
        }
    }

    /// The parent-death signal, unless somebody else sent it: only the supervisor's orders count.
    fn on_term(&mut self, now: Instant) {
        if sys::process::parent_id() != self.supervisor {
            self.become_orphan(now);
        } else if self.orphaned.is_none() {
            self.problem(
                None,
                "SIGTERM to the stem does nothing; send it to the supervisor",
            );
        }
    }

    /// The end of a turn. Signals merge, so more may have ended than were named; to look for them among
    /// a thousand children takes its time, and a successor need not wait for that.
    pub(super) fn reap_the_rest(&mut self, now: Instant) {
        if !std::mem::take(&mut self.reap_more) {
            return;
        }
        while let Ok(Some(pid)) = sys::process::peek() {
            if !self.reap_one(pid, now) {
                break;
            }
        }
    }

    fn reap_one(&mut self, pid: i32, now: Instant) -> bool {
        if !self.processes.contains_key(&pid) {
            return self.reap_stranger(pid);
        }
        // Its number, and its group's, are its own until it is reaped: now is the time to end what is
        // left of the group. It may live on: a signal of an earlier end may name its number.
        if !matches!(sys::process::has_ended(pid), Ok(true)) {
            return false;
        }
        let _ = sys::process::kill_group(pid, nix::libc::SIGKILL);
        match self.reap(pid) {
            Some(reaped) => {
                self.on_reaped(&reaped, now);
                true
            }
            None => false,
        }
    }

    fn reap_stranger(&mut self, pid: i32) -> bool {
        let reaped = matches!(sys::process::has_ended(pid), Ok(true)) && self.reap(pid).is_some();
        if reaped {
            self.on_stranger_gone(pid);
        }
        reaped
    }

    /// Reaps a child that has ended. What it leaves behind came to us when it ended, and is noted before.
    fn reap(&mut self, pid: i32) -> Option<Reaped> {
        self.strangers_known &= self.look_at_newcomers();
        let reaped = sys::process::reap_one(pid).ok().flatten()?;
        self.children.one_is_gone();
        self.strangers.remove(&pid);
        Some(reaped)
    }

    fn on_reaped(&mut self, reaped: &Reaped, now: Instant) {
        match self.processes.remove(&reaped.pid) {
            Some(Who::Child(name)) => self.on_child_gone(name, reaped, now),
            Some(Who::Helper) => self.on_helper_gone(reaped.pid, reaped.ending, now),
            None => {}
        }
    }

    fn on_child_gone(&mut self, name: NodeName, reaped: &Reaped, now: Instant) {
        // Its last words come first, whichever of the two the poller named first.
        self.hear_last_words(&name, now);
        self.close_notices(&name);
        self.end_probe(&name);
        self.helpers.end_questions(&name);
        let cause = self
            .fleet
            .child(&name)
            .map_or(Cause::Itself, Child::end_cause);
        let record = self.records.get_mut(&name);
        let live = record.and_then(|record| record.live.take());
        let facts = [("ending", reaped.ending.to_string())];
        self.run_hook(&name, HookPoint::OnExit, &facts);
        if cause != Cause::Asked && reaped.ending != Ending::Exited(0) {
            self.run_hook(&name, HookPoint::OnCrash, &facts);
        }
        self.fleet.exited(&name, reaped.ending, now);
        self.leave_seat(&name, reaped.ending, cause);
        self.bereaved.push(Death {
            name,
            incarnation: live.map_or_else(Incarnation::default, |live| live.incarnation),
            pid: reaped.pid,
            ending: reaped.ending,
            cause,
            usage: reaped.usage,
            strays: 0,
        });
    }

    fn on_stranger_gone(&mut self, pid: i32) {
        self.unmarked.remove(&pid);
        for hold in self.held.values_mut() {
            if let Hold::Strays(strays) = hold {
                strays.ours.remove(&pid);
                strays.unmarked.remove(&pid);
                // Its own children come to light now.
                self.stranger_gone = true;
            }
        }
    }

    /// Ends what the dead of this turn left behind, and lets no successor be born beside it.
    pub(super) fn clear_strays(&mut self, now: Instant) {
        let bereaved = std::mem::take(&mut self.bereaved);
        let again = self.look_again.take_if(|at| *at <= now).is_some();
        let stranger_gone = std::mem::take(&mut self.stranger_gone);
        if bereaved.is_empty() && !stranger_gone && !again {
            return;
        }
        let mut waiting: Vec<(NodeName, Strays)> = Vec::new();
        self.held.retain(|name, hold| match hold {
            Hold::Strays(strays) => {
                strays.looks_left = strays.looks_left.saturating_sub(u32::from(again));
                waiting.push((name.clone(), std::mem::take(strays)));
                false
            }
            Hold::Escrow | Hold::Retry(_) => true,
        });
        let remnants = self.look_at_remnants(again);
        for dead in bereaved {
            let before = waiting
                .iter()
                .position(|(name, _)| *name == dead.name)
                .map(|index| waiting.swap_remove(index).1);
            let strays =
                self.strays_of(&dead.name, &remnants, before.unwrap_or_default().renewed());
            let death = Death {
                strays: u32::try_from(strays.count()).unwrap_or(u32::MAX),
                ..dead
            };
            self.hold_for(&death.name, strays, now);
            self.link.report(Report::Gone(death), vec![]);
        }
        for (name, before) in waiting {
            let strays = self.strays_of(&name, &remnants, before);
            self.hold_for(&name, strays, now);
        }
    }

    fn hold_for(&mut self, name: &NodeName, strays: Strays, now: Instant) {
        if !strays.unmarked.is_empty() {
            self.look_again.get_or_insert(now + LOOK_AGAIN);
        }
        if strays.count() > 0 {
            self.held.insert(name.clone(), Hold::Strays(strays));
        }
    }

    /// Children that the stem does not know: they were left to it by descendants that died.
    fn remnants(&mut self) -> Vec<i32> {
        if self.strangers_known {
            // If a child was reaped in this turn, who came since is found at the end of it.
            self.look_at_newcomers();
        } else {
            self.look_at_all_children();
        }
        self.strangers.iter().copied().collect()
    }

    /// A short look, before anybody is reaped. False: it takes a long one.
    fn look_at_newcomers(&mut self) -> bool {
        let Ok(Some(newcomers)) = self.children.newcomers() else {
            return false;
        };
        let strange = |pid: &i32| !self.processes.contains_key(pid);
        self.strangers.extend(newcomers.into_iter().filter(strange));
        true
    }

    /// A long look, so that the next can be a short one.
    pub(super) fn look_at_all_children(&mut self) {
        let children = self.children.list().unwrap_or_default();
        let known = self.processes.keys().copied();
        self.strangers = without(&children, known).collect();
        self.strangers_known = true;
    }

    /// The end of a turn, when no birth waits for it: prepares for the next death.
    pub(super) fn follow_children(&mut self) {
        if !self.children.is_followed() {
            self.look_at_all_children();
        }
    }

    /// Whose is each of them? Without those that are known to be nobody's.
    fn look_at_remnants(&mut self, again: bool) -> Vec<(i32, Marker)> {
        let mut seen = Vec::new();
        for pid in self.remnants() {
            let marker = marker(pid);
            match marker {
                Marker::Of(..) => {
                    self.unmarked.remove(&pid);
                }
                Marker::Unmarked => {
                    let looks_left = self.unmarked.entry(pid).or_insert(LOOKS_MAX);
                    *looks_left = looks_left.saturating_sub(u32::from(again));
                    if *looks_left == 0 {
                        continue; // It goes on without any environment.
                    }
                }
                Marker::None => continue,
            }
            seen.push((pid, marker));
        }
        seen
    }

    /// Those among them that belong to a dead incarnation of this node, by the marker in their
    /// environment; they are killed, and waited for until they are reaped. Whoever shows none for the
    /// moment may be one of them: it is waited for too, but only so long.
    fn strays_of(&self, name: &NodeName, remnants: &[(i32, Marker)], before: Strays) -> Strays {
        let alive = self.live(name).map(|live| live.incarnation);
        let mut strays = Strays {
            unmarked: BTreeSet::new(),
            ..before
        };
        for (pid, marker) in remnants {
            if let Marker::Of(node, incarnation) = marker
                && node == name.as_str()
                && alive.is_none_or(|alive| alive != *incarnation)
            {
                let _ = sys::process::kill(*pid, nix::libc::SIGKILL);
                strays.ours.insert(*pid);
                // What it leaves behind in turn is ours to wait for.
                strays.looks_left = LOOKS_MAX;
            }
        }
        if strays.looks_left > 0 {
            let unmarked = remnants
                .iter()
                .filter(|(_, marker)| matches!(marker, Marker::Unmarked))
                .map(|(pid, _)| *pid)
                .filter(|pid| !strays.ours.contains(pid));
            strays.unmarked = unmarked.collect();
        }
        strays
    }

    /// Nobody is wanted any more: whatever is left is ended, whoever it belonged to.
    pub(super) fn end_remnants(&mut self) -> bool {
        self.strangers_known = false;
        let remnants = self.remnants();
        for pid in &remnants {
            end(*pid);
        }
        remnants.is_empty()
    }
}

/// Those of `all` that are not `known`; both are in ascending order.
fn without(all: &[i32], known: impl Iterator<Item = i32>) -> impl Iterator<Item = i32> {
    let mut known = known.peekable();
    all.iter().copied().filter(move |pid| {
        while known.next_if(|other| other < pid).is_some() {}
        known.peek() != Some(pid)
    })
}

/// Ends a child and its group, or the child alone if it has left the group it was born to. Both numbers
/// are its own until we reap it.
pub(super) fn end(pid: i32) {
    let _ = sys::process::kill_group(pid, nix::libc::SIGKILL);
    let _ = sys::process::kill(pid, nix::libc::SIGKILL);
}

/// What a node left behind, as far as its successor has to wait for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Strays {
    /// They bore its marker, and were killed.
    ours: BTreeSet<i32>,
    /// They show no marker just now: one of them may be its.
    unmarked: BTreeSet<i32>,
    /// So often the latter are looked at again; then nobody waits for them.
    looks_left: u32,
}

impl Strays {
    fn renewed(self) -> Self {
        Self {
            looks_left: LOOKS_MAX,
            ..self
        }
    }

    fn count(&self) -> usize {
        self.ours.len() + self.unmarked.len()
    }
}

enum Marker {
    Of(String, Incarnation),
    /// It has no environment: it is just dying, or just executing a program, or was given none.
    Unmarked,
    None,
}

/// Whose process is it? Reads the variables every newborn of ours begins with.
fn marker(pid: i32) -> Marker {
    let Ok(environment) = sys::procfs::environment(pid) else {
        return Marker::None; // it is not ours to see
    };
    let value = |name: &[u8]| {
        environment
            .split(|byte| *byte == 0)
            .find_map(|variable| variable.strip_prefix(name)?.strip_prefix(b"="))
            .and_then(|value| std::str::from_utf8(value).ok())
    };
    let node = value(b"SUPERVISOR_NODE");
    let incarnation = value(b"SUPERVISOR_INCARNATION").and_then(|number| number.parse().ok());
    match (node, incarnation) {
        (Some(node), Some(incarnation)) => Marker::Of(node.to_owned(), Incarnation(incarnation)),
        _ if environment.is_empty() => Marker::Unmarked,
        _ => Marker::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_those_who_are_not_known() {
        let strangers = |all: &[i32], known: &[i32]| -> Vec<i32> {
            without(all, known.iter().copied()).collect()
        };
        assert_eq!(strangers(&[2, 3, 5, 9], &[1, 3, 4, 9]), [2, 5]);
        assert_eq!(strangers(&[2, 3], &[]), [2, 3]);
        assert!(strangers(&[], &[2]).is_empty());
    }
}

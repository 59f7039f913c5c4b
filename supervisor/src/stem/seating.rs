//! Where the stem's loop, its births and its deaths meet the fabric.

use std::os::fd::OwnedFd;
use std::time::Instant;

use cluster::layout::spec::{ChildSpec, Program, Role};
use cluster::names::NodeName;
use cluster::supervise::child::{Child, Ending};
use cluster::supervise::vocabulary::Cause;

use super::fabric::Birth;
use super::{ConnectionId, Edge, Fabric, Stem};

impl Stem {
    pub(super) fn fabric(&mut self) -> (&mut Fabric, Edge<'_>) {
        let Self {
            fabric,
            link,
            poller,
            ..
        } = self;
        (fabric, Edge { link, poller })
    }

    pub(super) fn on_seat(&mut self, id: ConnectionId) {
        let Self {
            fabric,
            link,
            poller,
            records,
            ..
        } = self;
        let is_named = |name: &NodeName| records.contains_key(name);
        fabric.on_seat(id, &is_named, &mut Edge { link, poller });
    }

    pub(super) fn hear_interrupted_seats(&mut self) {
        for id in self.fabric.take_interrupted() {
            self.on_seat(id);
        }
    }

    pub(super) fn on_attach(&mut self, now: Instant) {
        let (fabric, mut edge) = self.fabric();
        fabric.accept(now, &mut edge);
    }

    pub(super) fn settle_fabric(&mut self, now: Instant) {
        let (fabric, mut edge) = self.fabric();
        fabric.settle(now, &mut edge);
    }

    /// A child that is known has a place, and rests or is expected there.
    pub(super) fn place(&mut self, name: &NodeName) {
        let Some(role) = self.records.get(name).map(|record| record.spec.role) else {
            return;
        };
        let state = self.fleet.child(name).map(Child::state);
        let (fabric, mut edge) = self.fabric();
        fabric.know(name, role, &mut edge);
        if let Some(state) = state {
            fabric.rests(name, state);
        }
    }

    pub(super) fn forget_strangers(&mut self) {
        let Self {
            fabric,
            link,
            poller,
            records,
            ..
        } = self;
        let is_known = |name: &NodeName| records.contains_key(name);
        fabric.forget_all_but(is_known, &mut Edge { link, poller });
    }

    /// Seats a newborn at our end of its seat socket.
    pub(super) fn seat(&mut self, birth: &Birth<'_>, socket: OwnedFd) {
        let (fabric, mut edge) = self.fabric();
        if let Err(error) = fabric.seat(birth, socket, &mut edge) {
            let text = format!("cannot seat it: {error}");
            self.problem(Some(birth.name), &text);
        }
    }

    /// It ended, and the fleet knows what follows.
    pub(super) fn leave_seat(&mut self, name: &NodeName, ending: Ending, cause: Cause) {
        let state = self.fleet.child(name).map(Child::state);
        let (fabric, mut edge) = self.fabric();
        fabric.gone(name, is_own_fault(ending, cause), state, &mut edge);
    }
}

/// Does a child of this kind get a seat? Built-in roles do, and commands that count as members.
pub(super) fn has_seat(spec: &ChildSpec) -> bool {
    matches!(spec.program, Program::Builtin(_)) || spec.role != Role::None
}

/// Any end but one that somebody wanted: a signal to end, an ordered stop, the stem's death.
fn is_own_fault(ending: Ending, cause: Cause) -> bool {
    let by_signal = match ending {
        Ending::Signaled { signal, .. } => Some(signal),
        Ending::Exited(_) | Ending::NotBorn(_) => None,
    };
    let was_told = matches!(by_signal, Some(nix::libc::SIGKILL | nix::libc::SIGTERM));
    match cause {
        Cause::Itself => !was_told,
        // Told to end, it may have ended in its own way; only an abort is taken for the hang itself.
        Cause::Hung => by_signal.is_some() && !was_told,
        Cause::Asked | Cause::Late | Cause::Stem => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_was_ordered_is_nobodys_fault() {
        let signaled = |signal| Ending::Signaled {
            signal,
            core: false,
        };
        for (ending, cause, fault) in [
            (signaled(11), Cause::Itself, true),
            (Ending::Exited(1), Cause::Itself, true),
            (Ending::Exited(0), Cause::Itself, true),
            (signaled(9), Cause::Itself, false),
            (signaled(15), Cause::Itself, false),
            (signaled(6), Cause::Hung, true),
            (Ending::Exited(0), Cause::Hung, false),
            (Ending::Exited(1), Cause::Asked, false),
            (signaled(11), Cause::Stem, false),
            (Ending::Exited(0), Cause::Late, false),
        ] {
            assert_eq!(is_own_fault(ending, cause), fault, "{ending:?} {cause:?}");
        }
    }
}

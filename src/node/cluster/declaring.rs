//! What this node has declared of events, and what becomes of those that do not fit.

use std::collections::BTreeMap;

use super::starting::{FULLY_CONNECTED, STARTED};
use super::{Cluster, Handler};
use crate::data::message::{Event, EventView};
use crate::framework::{EventError, EventType, PeerError, check_depth};

/// Events by their names.
#[derive(Debug)]
pub(super) struct Declared {
    types: BTreeMap<String, EventType>,
    refused: u64,
}

impl Default for Declared {
    /// The framework's own.
    fn default() -> Self {
        let own = [FULLY_CONNECTED, STARTED];
        let types = own.map(|what| (what.name().to_owned(), what));
        Self {
            types: types.into(),
            refused: 0,
        }
    }
}

impl Declared {
    /// Finds whether an event can be published: as it is declared, or, undeclared, so that it can be read.
    pub(super) fn check(&self, event: &Event) -> Result<(), EventError> {
        match self.types.get(&event.name) {
            Some(what) => what.check(&event.args),
            None => check_depth(&event.name, &event.args),
        }
    }
}

impl Cluster {
    /// Declares an event: one of its name that comes with other arguments is dropped, counted and told of
    /// by [`Handler::error`], and none is published. Events that were not declared come as they are. A
    /// later declaration of the same name takes the place of an earlier one. Stands for a declaration in
    /// the seeds' scripts.
    ///
    /// What is published is not changed, so an empty set where a table is declared is refused;
    /// [`EventType::event`] mends that. Only a declaration tells a vector with holes, which nobody can
    /// read, from a record with fields that are unset.
    pub fn declare(&mut self, what: EventType) {
        let types = &mut self.declared.types;
        types.insert(what.name().to_owned(), what);
    }

    /// Events that came and were dropped, since they did not fit their declarations. The seeds report each
    /// instead.
    #[must_use]
    pub fn events_refused(&self) -> u64 {
        self.declared.refused
    }

    /// Drops an event that does not fit. Returns whether it did.
    pub(super) fn refuse(
        &mut self,
        topic: &[u8],
        event: EventView<'_>,
        handler: &mut dyn Handler,
    ) -> bool {
        let what = self.declared.types.get(event.name());
        let Some(Err(error)) = what.map(|what| what.check_view(event.args())) else {
            return false;
        };
        self.declared.refused += 1;
        let topic = String::from_utf8_lossy(topic).into_owned();
        self.raise_error(&PeerError::Event { topic, error }, handler);
        true
    }
}

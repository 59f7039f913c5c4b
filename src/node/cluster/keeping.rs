//! For a handler that keeps records until it is done with them: what it tells the endpoint.

use std::time::{Duration, Instant};

use super::Cluster;
use crate::node::endpoint::Receipt;
use crate::shm::ring::RingId;

impl Cluster {
    /// As [`Endpoint::release`](crate::node::endpoint::Endpoint::release). Not from within a handler.
    pub fn release(&mut self, receipt: Receipt) -> bool {
        self.endpoint.release(receipt)
    }

    /// As [`Endpoint::hold_bulk`](crate::node::endpoint::Endpoint::hold_bulk).
    pub fn hold_bulk(&mut self, hold: bool) {
        self.endpoint.hold_bulk(hold);
    }

    /// As [`Endpoint::rings`](crate::node::endpoint::Endpoint::rings). Not from within a handler.
    pub fn rings(&self) -> impl Iterator<Item = RingId> {
        self.endpoint.rings()
    }

    /// As [`Endpoint::rings_version`](crate::node::endpoint::Endpoint::rings_version). Not from within
    /// a handler.
    #[must_use]
    pub fn rings_version(&self) -> u64 {
        self.endpoint.rings_version()
    }

    /// As [`Endpoint::block`](crate::node::endpoint::Endpoint::block).
    #[must_use]
    pub fn block(&self) -> Duration {
        self.endpoint.block()
    }

    /// For a loop with a poller of its own: when [`Cluster::wake`] is to be called though no descriptor
    /// became readable, if at all.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.endpoint.deadline()
    }
}

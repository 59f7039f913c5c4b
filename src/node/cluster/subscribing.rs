//! Subscriptions, and the hooks that see each call.

use super::Cluster;
use crate::node::endpoint::Delivery;
use crate::topic::TooLong;

type Hook = Box<dyn FnMut(&str) + Send>;

/// What is told of subscriptions before the endpoint is.
#[derive(Default)]
pub(super) struct Hooks {
    subscribe: Vec<Hook>,
    unsubscribe: Vec<Hook>,
}

impl Cluster {
    /// `Cluster::subscribe`: wants what is published on topics that begin with `prefix`, all for the empty
    /// one. Before [`Cluster::init`] it is kept and takes effect there. A repetition changes nothing.
    ///
    /// # Errors
    /// [`TooLong`]: no topic can begin with it.
    pub fn subscribe(&mut self, prefix: &str) -> Result<(), TooLong> {
        self.subscribe_as(prefix, Delivery::default())
    }

    /// As [`Cluster::subscribe`], and says how often a record may come if this node dies meanwhile: an
    /// event that must not be handled twice is wanted [`Delivery::AtMostOnce`]. A repetition with another
    /// delivery changes to that.
    ///
    /// # Errors
    /// As [`Cluster::subscribe`].
    pub fn subscribe_as(&mut self, prefix: &str, delivery: Delivery) -> Result<(), TooLong> {
        self.hooks
            .subscribe
            .iter_mut()
            .for_each(|hook| hook(prefix));
        self.endpoint.subscribe(prefix, delivery)
    }

    /// `Cluster::unsubscribe`: nothing more is delivered for that very prefix. False: it was not
    /// subscribed, which the seeds accept.
    pub fn unsubscribe(&mut self, prefix: &str) -> bool {
        self.hooks
            .unsubscribe
            .iter_mut()
            .for_each(|hook| hook(prefix));
        self.endpoint.unsubscribe(prefix)
    }

    /// `Cluster::on_subscribe`: a hook that sees every call of [`Cluster::subscribe`] and
    /// [`Cluster::subscribe_as`], repeated ones too, before anything else does. It has no veto.
    pub fn on_subscribe(&mut self, hook: impl FnMut(&str) + Send + 'static) {
        self.hooks.subscribe.push(Box::new(hook));
    }

    /// `Cluster::on_unsubscribe`: the same for [`Cluster::unsubscribe`], also where nothing was
    /// subscribed.
    pub fn on_unsubscribe(&mut self, hook: impl FnMut(&str) + Send + 'static) {
        self.hooks.unsubscribe.push(Box::new(hook));
    }
}

//! What systemd is told, if it started us: ready, status, reloading, stopping, and that we are alive.

use std::time::{Duration, Instant};

use cluster::control::reply::ClusterState;
use sd_notify::NotifyState;

/// Our side of the `sd_notify` protocol. Without `NOTIFY_SOCKET` it says nothing to nobody.
#[derive(Debug)]
pub(super) struct Systemd {
    announced: bool,
    /// Half of the watchdog's interval, and when the next sign of life is due.
    alive: Option<(Duration, Instant)>,
}

impl Systemd {
    pub(super) fn new(now: Instant) -> Self {
        let interval = sd_notify::watchdog_enabled().map(|interval| interval / 2);
        Self {
            announced: false,
            alive: interval.map(|interval| (interval, now)),
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.alive.map(|(_, at)| at)
    }

    pub(super) fn run_deadline(&mut self, now: Instant) {
        if let Some((interval, at)) = &mut self.alive
            && *at <= now
        {
            *at = now + *interval;
            say(&[NotifyState::Watchdog]);
        }
    }

    /// Ready is said once, when the start is over: with everybody, or after the stages' time limits.
    pub(super) fn on_cluster(&mut self, state: ClusterState, well: usize, missing: usize) {
        let text = format!("{state:?}: {well} nodes well, {missing} missing");
        let over = !matches!(state, ClusterState::Starting | ClusterState::Stopping);
        if over && !std::mem::replace(&mut self.announced, true) {
            say(&[NotifyState::Ready, NotifyState::Status(&text)]);
        } else {
            say(&[NotifyState::Status(&text)]);
        }
    }

    pub(super) fn on_reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(at) => say(&[NotifyState::Reloading, at]),
            Err(_) => say(&[NotifyState::Reloading]),
        }
    }

    pub(super) fn on_reloaded(&self) {
        say(&[NotifyState::Ready]);
    }

    pub(super) fn on_stopping(&self) {
        say(&[NotifyState::Stopping]);
    }
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("event=sd_notify error=\"{error}\"");
    }
}

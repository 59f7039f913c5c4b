//! The watchdog: whose heartbeat has stopped, and what the layout wants done about it.

use std::time::{Duration, Instant};

use cluster::layout::spec::WatchdogAction;
use cluster::names::NodeName;
use cluster::supervise::child::State;
use cluster::supervise::vocabulary::{Order, RestartCause};
use cluster::sys;

use super::Daemon;
use super::events::Weight;
use super::nodes::Node;

/// A hung node that nobody restarts is looked at this often, to see whether it came back.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long the heartbeat has been silent, and how long it may be.
fn silence(node: &Node, now: Instant) -> Option<(Duration, Duration)> {
    let live = node.live.as_ref()?;
    let limit = node.spec.watchdog?.stale_after;
    let ready_at = live.ready_at.filter(|_| node.state == State::Ready)?;
    let last = live.heartbeat.as_ref()?.last();
    let age = Duration::from_nanos(sys::clock::monotonic_ns().saturating_sub(last));
    // Until its first beat a node has the limit from when it became ready.
    Some((age.min(now.saturating_duration_since(ready_at)), limit))
}

impl Daemon {
    pub(super) fn next_heartbeat(&self) -> Option<Instant> {
        let now = sys::clock::monotonic();
        self.watched
            .iter()
            .filter_map(|name| {
                let node = self.nodes.get(name)?;
                let (silent, limit) = silence(node, now)?;
                Some(match node.is_hung() {
                    true => now + LOOK_AGAIN,
                    false => now + limit.saturating_sub(silent),
                })
            })
            .min()
    }

    pub(super) fn check_heartbeats(&mut self, now: Instant) {
        let nodes = &self.nodes;
        self.watched.retain(|name| {
            let live = nodes.get(name).and_then(|node| node.live.as_ref());
            live.is_some_and(|live| live.heartbeat.is_some())
        });
        let changed: Vec<(NodeName, bool)> = self
            .watched
            .iter()
            .filter_map(|name| {
                let node = self.nodes.get(name)?;
                let (silent, limit) = silence(node, now)?;
                let hung = silent >= limit;
                (hung != node.is_hung()).then(|| (name.clone(), hung))
            })
            .collect();
        for (name, hung) in changed {
            self.on_liveness(&name, hung);
        }
    }

    fn on_liveness(&mut self, name: &NodeName, hung: bool) {
        self.dirty = true;
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        let Some((live, watchdog)) = node.live.as_mut().zip(node.spec.watchdog) else {
            return;
        };
        live.hung = hung;
        if !hung {
            self.event(Weight::Info, "node_alive", Some(name), &[]);
            return;
        }
        let cause = match watchdog.action {
            WatchdogAction::Report => None,
            WatchdogAction::Restart => Some(RestartCause::Hung),
            WatchdogAction::Abort => Some(RestartCause::HungAbort),
        };
        let detail = [
            (
                "stale_after_ms",
                watchdog.stale_after.as_millis().to_string(),
            ),
            ("action", format!("{:?}", watchdog.action).to_lowercase()),
        ];
        self.event(Weight::Error, "node_hung", Some(name), &detail);
        if let Some(cause) = cause {
            let name = name.clone();
            self.stem.order(&Order::Restart { name, cause }, None);
        }
    }
}

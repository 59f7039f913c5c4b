//! The whole cluster in one word, and the events when that word changes.

use std::collections::BTreeMap;

use cluster::control::reply::ClusterState;
use cluster::names::NodeName;
use cluster::supervise::child::State;
use cluster::sys;

use super::Daemon;
use super::events::Weight;

/// The cluster's state.
#[derive(Debug)]
pub(super) struct Cluster {
    state: ClusterState,
    /// A stage's time limit has passed: it is not merely starting any more.
    late: bool,
    /// Whom the last event named.
    missing: Vec<String>,
}

impl Cluster {
    pub(super) fn new() -> Self {
        Self {
            state: ClusterState::Starting,
            late: false,
            missing: Vec::new(),
        }
    }

    pub(super) fn state(&self) -> ClusterState {
        self.state
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    wanted: u32,
    well: u32,
    failed: u32,
}

impl Daemon {
    pub(super) fn on_stage_late(&mut self, stage: u16, missing: &[NodeName]) {
        self.cluster.late = true;
        let name = self.stage_name(stage);
        let missing: Vec<&str> = missing.iter().map(NodeName::as_str).collect();
        let detail = [("stage", name), ("missing", missing.join(","))];
        self.event(Weight::Warn, "stage_late", None, &detail);
    }

    fn stage_name(&self, number: u16) -> String {
        let stages = &self.layout.stages;
        stages
            .iter()
            .find(|stage| stage.number == number)
            .map_or_else(|| number.to_string(), |stage| stage.name.clone())
    }

    /// Looks at all nodes and says so when the cluster's state changed.
    pub(super) fn settle_cluster(&mut self) {
        let state = self.judge();
        let same = state == self.cluster.state;
        let worse = matches!(state, ClusterState::Degraded | ClusterState::Broken);
        if same && !worse {
            return;
        }
        let missing: Vec<String> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.wanted && !node.is_well())
            .map(|(name, _)| name.to_string())
            .collect();
        if same && missing == self.cluster.missing {
            return;
        }
        self.cluster.state = state;
        self.cluster.missing.clone_from(&missing);
        let well = self
            .nodes
            .values()
            .filter(|node| node.wanted && node.is_well())
            .count();
        let mut detail = vec![
            ("generation", self.generation.to_string()),
            ("well", well.to_string()),
        ];
        let (weight, kind) = match state {
            ClusterState::Starting => (Weight::Info, "cluster_starting"),
            ClusterState::Ready => (Weight::Info, "cluster_ready"),
            ClusterState::Degraded => (self.weight_of_missing(), "cluster_degraded"),
            ClusterState::Broken => (self.weight_of_missing(), "cluster_broken"),
            ClusterState::Stopping => (Weight::Info, "cluster_stopping"),
        };
        if worse {
            detail.push(("missing", missing.join(",")));
        }
        self.event(weight, kind, None, &detail);
        if state == ClusterState::Ready {
            // What the start needed is not needed again.
            sys::heap::trim();
            sys::text::let_go();
        }
        self.systemd.on_cluster(state, well, missing.len());
        self.tell_controller_of_cluster();
    }

    /// Whoever is merely on the way is no reason to call anybody.
    fn weight_of_missing(&self) -> Weight {
        let missing = || self.nodes.values().filter(|n| n.wanted && !n.is_well());
        let failed = missing().any(|node| node.state == State::Failed);
        let troubled = missing().any(|node| node.state == State::Backoff || node.is_hung());
        match (failed, troubled) {
            (true, _) => Weight::Error,
            (false, true) => Weight::Warn,
            (false, false) => Weight::Info,
        }
    }

    fn judge(&self) -> ClusterState {
        if self.shutdown.is_some() {
            return ClusterState::Stopping;
        }
        let tally = self.tally();
        let all = tally.values().all(|t| t.well >= t.wanted);
        if all {
            return ClusterState::Ready;
        }
        let failed = tally.values().any(|t| t.failed > 0);
        // A stage that is content with fewer than all is started when it has them: nobody says that it
        // is late, however long the others take.
        let started = self.layout.stages.iter().all(|stage| {
            let count = tally.get(&stage.number).copied().unwrap_or_default();
            count.well >= stage.quorum.unwrap_or(count.wanted).min(count.wanted)
        });
        let starting = self.cluster.state == ClusterState::Starting && !self.cluster.late;
        if starting && !failed && !started {
            return ClusterState::Starting;
        }
        let quorum = self.layout.stages.iter().all(|stage| {
            let count = tally.get(&stage.number).copied().unwrap_or_default();
            match stage.quorum {
                Some(quorum) => count.well >= quorum.min(count.wanted),
                None => count.wanted == 0 || count.well > 0,
            }
        });
        if failed || !quorum {
            ClusterState::Broken
        } else {
            ClusterState::Degraded
        }
    }

    fn tally(&self) -> BTreeMap<u16, Tally> {
        let mut tally: BTreeMap<u16, Tally> = BTreeMap::new();
        for node in self.nodes.values().filter(|node| node.wanted) {
            let count = tally.entry(node.spec.stage).or_default();
            count.wanted += 1;
            count.well += u32::from(node.is_well());
            count.failed += u32::from(node.state == State::Failed);
        }
        tally
    }
}

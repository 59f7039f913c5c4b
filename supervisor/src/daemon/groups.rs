//! Control groups of the nodes, where the system delegates them to us; else a warning, once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cluster::layout::spec::ChildSpec;
use cluster::names::NodeName;
use cluster::sys::cgroup::{self, Groups};

/// The groups, if there are any.
#[derive(Debug, Default)]
pub(super) struct ControlGroups {
    groups: Option<Groups>,
    made: BTreeMap<NodeName, PathBuf>,
    /// Out-of-memory kills seen so far, by group.
    kills: BTreeMap<PathBuf, u64>,
}

impl ControlGroups {
    /// Looks for a delegated group if any node needs one. Must come before the stem starts: a group
    /// with members of its own cannot hand controllers down.
    pub(super) fn prepare<'a>(
        specs: impl Iterator<Item = &'a ChildSpec>,
    ) -> (Self, Option<String>) {
        let needy: Vec<&ChildSpec> = specs.filter(|spec| !spec.group_limits.is_empty()).collect();
        if needy.is_empty() {
            return (Self::default(), None);
        }
        match Groups::delegated() {
            Ok(groups) => Self::divide(groups, &needy),
            Err(why) => (Self::default(), Some(warning(&needy, &why.to_string()))),
        }
    }

    /// Steps into a leaf of our part of the tree, if it offers anything of what is needed.
    fn divide(groups: Groups, needy: &[&ChildSpec]) -> (Self, Option<String>) {
        let missing = |spec: &ChildSpec| {
            let mut limits = spec.group_limits.iter();
            limits.find_map(|limit| groups.offers(limit).err())
        };
        let offered = |spec: &&ChildSpec| {
            let mut limits = spec.group_limits.iter();
            limits.any(|limit| groups.offers(limit).is_ok())
        };
        let useful = needy.iter().any(offered);
        let refused: Vec<&ChildSpec> = needy
            .iter()
            .filter(|spec| missing(spec).is_some())
            .copied()
            .collect();
        let why = refused.first().and_then(|spec| missing(spec));
        let warned = why.map(|why| warning(&refused, &why.to_string()));
        if !useful {
            return (Self::default(), warned);
        }
        match groups.enter_leaf("supervisor") {
            Ok(()) => {
                let groups = Self {
                    groups: Some(groups),
                    ..Self::default()
                };
                (groups, warned)
            }
            Err(error) => (Self::default(), Some(warning(needy, &error.to_string()))),
        }
    }

    /// Makes a node's group. The spec is told where it is.
    pub(super) fn make(&mut self, spec: &mut ChildSpec) -> Option<String> {
        let groups = self.groups.as_ref()?;
        let limits: Vec<_> = spec
            .group_limits
            .iter()
            .filter(|limit| groups.offers(limit).is_ok())
            .cloned()
            .collect();
        if limits.is_empty() {
            return None;
        }
        match groups.make(&format!("node-{}", spec.name), &limits) {
            Ok(directory) => {
                self.made.insert(spec.name.clone(), directory.clone());
                spec.cgroup = Some(directory);
                None
            }
            Err(error) => Some(format!("cannot make its control group: {error}")),
        }
    }

    /// Has the system killed something of this group for memory since we looked last?
    pub(super) fn killed_for_memory(&mut self, group: &Path) -> bool {
        let kills = cgroup::oom_kills(group);
        let before = self.kills.insert(group.to_owned(), kills);
        kills > before.unwrap_or(0)
    }

    /// Removes a node's group; it is empty by now.
    pub(super) fn remove(&mut self, name: &NodeName) {
        if let Some(directory) = self.made.remove(name) {
            let _ = cgroup::remove(&directory);
        }
    }

    /// Removes the groups of all nodes; they are empty at the end.
    pub(super) fn clear(&mut self) {
        for directory in std::mem::take(&mut self.made).into_values() {
            let _ = cgroup::remove(&directory);
        }
    }
}

fn warning(nodes: &[&ChildSpec], why: &str) -> String {
    let names: Vec<&str> = nodes.iter().map(|spec| spec.name.as_str()).collect();
    let names = names.join(", ");
    format!("limits of memory, processor weight and processes do not all hold for {names}: {why}")
}

//! What outlives the supervisor in `state/`: who was stopped, who was made at run time, and the layouts
//! that were put into force.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use cluster::layout::spec::{ChildSpec, StageSpec};
use serde::{Deserialize, Serialize};

use super::{Daemon, directories};

/// So many generations of layouts are kept.
const GENERATIONS_KEPT: u64 = 10;

/// The wanted state, as far as the layout does not say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// Nodes that an operator stopped.
    #[serde(default)]
    pub(super) stopped: Vec<String>,
    /// Nodes made at run time that are to be kept.
    #[serde(default)]
    pub(super) created: BTreeMap<String, Created>,
}

/// A node made at run time, as it was understood then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Created {
    /// Its description.
    pub(super) spec: ChildSpec,
    /// Its place in the topology, for a member of the cluster.
    pub(super) node: Option<cluster::layout::Node>,
    /// Its stage.
    pub(super) stage: Option<StageSpec>,
}

impl Wanted {
    /// Reads it. A file that cannot be understood is moved aside: it must not keep the cluster down.
    pub(super) fn read(state: &Path) -> (Self, Option<String>) {
        let path = state.join("wanted.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return (Self::default(), None);
            }
            Err(error) => {
                let warning = format!("cannot read {}: {error}", path.display());
                return (Self::default(), Some(warning));
            }
        };
        match serde_json::from_str(&text) {
            Ok(wanted) => (wanted, None),
            Err(error) => {
                let aside = path.with_extension("json.bad");
                let _ = fs::rename(&path, &aside);
                let warning = format!(
                    "{} cannot be understood ({error}) and was moved to {}; every node is wanted",
                    path.display(),
                    aside.display()
                );
                (Self::default(), Some(warning))
            }
        }
    }
}

/// Writes a file so that a reader finds either the old or the new one, whole.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, bytes)?;
    fs::rename(&fresh, path)
}

/// The last generation that stands in the state directory; 0: none.
pub(super) fn last_generation(state: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(state.join("generations")) else {
        return 0;
    };
    entries
        .filter_map(|entry| number_of(&entry.ok()?.path()))
        .max()
        .unwrap_or(0)
}

fn number_of(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.parse().ok()
}

impl Daemon {
    /// Writes down who is stopped and who was made at run time.
    pub(super) fn save_wanted(&self) {
        let stopped = self
            .nodes
            .iter()
            .filter(|(_, node)| !node.wanted && (node.in_layout || node.persist))
            .map(|(name, _)| name.to_string())
            .collect();
        let created = self
            .nodes
            .iter()
            .filter(|(_, node)| node.persist && !node.doomed)
            .map(|(name, node)| {
                let created = Created {
                    spec: node.spec.clone(),
                    node: self.layout.nodes.get(name).cloned(),
                    stage: self.stage_of(&node.spec).cloned(),
                };
                (name.to_string(), created)
            })
            .collect();
        let wanted = Wanted { stopped, created };
        let path = self.directories.state_dir().join("wanted.json");
        let saved = serde_json::to_vec_pretty(&wanted)
            .map_err(io::Error::from)
            .and_then(|bytes| replace(&path, &bytes));
        if let Err(error) = saved {
            log::error!(
                "event=problem error=\"cannot write {}: {error}\"",
                path.display()
            );
        }
    }

    fn stage_of(&self, spec: &ChildSpec) -> Option<&StageSpec> {
        let mut stages = self.layout.stages.iter();
        stages.find(|stage| stage.number == spec.stage)
    }

    /// Keeps the layout that was put into force as a generation.
    pub(super) fn save_generation(&self, text: &str) {
        let directory = self.directories.state_dir().join("generations");
        let path = directory.join(format!("{}.ron", self.generation));
        let made = directories::make(&directory).map(drop);
        let saved = made.and_then(|()| replace(&path, text.as_bytes()));
        if let Err(error) = saved {
            log::error!(
                "event=problem error=\"cannot write {}: {error}\"",
                path.display()
            );
        }
        if let Some(old) = self.generation.checked_sub(GENERATIONS_KEPT) {
            let _ = fs::remove_file(directory.join(format!("{old}.ron")));
        }
    }
}

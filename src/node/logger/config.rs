//! What the layout says, as a logger's parts want it.

use std::path::{Path, PathBuf};

use crate::layout::spec::Role;
use crate::logging::files::expiry::Expiry;
use crate::logging::files::naming::Naming;
use crate::logging::files::rotation::Rotation;
use crate::logging::files::{Settings, SyncPolicy};
use crate::logging::spec::{Fsync, LogSpec, Names};
use crate::names::NodeName;
use crate::node::cluster::Cluster;

/// The extension of log files.
const EXTENSION: &str = "log";

/// Bytes of a file between two storings of the state: so many a successor reads again.
const CHECKPOINT_BYTES: u64 = 16 << 20;

/// What a logger is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::node) struct Config {
    /// Its directory.
    pub(super) directory: PathBuf,
    pub(super) spec: LogSpec,
    /// Its name, if files are to say which of several loggers wrote them.
    pub(super) name: Option<NodeName>,
}

impl Config {
    /// As the layout in force has it.
    pub(super) fn of(cluster: &Cluster, directory: &Path) -> Self {
        let is_one_of_many = cluster.get_node_count(Role::Logger) > 1;
        Self {
            directory: directory.to_owned(),
            spec: cluster.log_spec().clone(),
            name: cluster.node().filter(|_| is_one_of_many).cloned(),
        }
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            extension: EXTENSION.to_owned(),
            naming: self.naming(),
            rotation: Rotation {
                interval: self.spec.rotate_interval.map(Into::into),
                bytes_max: self.spec.rotate_bytes,
            },
            sync: match self.spec.fsync {
                Fsync::Never => SyncPolicy::Never,
                Fsync::Interval(interval) => SyncPolicy::Interval(interval.into()),
                Fsync::Batch => SyncPolicy::Batch,
            },
            checkpoint_bytes: CHECKPOINT_BYTES,
        }
    }

    pub(super) fn naming(&self) -> Naming {
        match self.spec.naming {
            Names::Supervised => Naming::supervised(self.name.as_ref().map(NodeName::as_str)),
            Names::Classic => Naming::default(),
        }
    }

    pub(super) fn expiry(&self) -> Expiry {
        Expiry {
            age_max: self.spec.keep.age.map(Into::into),
            bytes_max: self.spec.keep.bytes,
            free_min: self.spec.keep.free,
        }
    }

    /// Are files rotated by themselves?
    pub(super) fn rotates(&self) -> bool {
        self.spec.rotate_interval.is_some() || self.spec.rotate_bytes.is_some()
    }

    /// Is anything to outlive the host?
    pub(super) fn syncs(&self) -> bool {
        self.spec.fsync != Fsync::Never
    }

    /// Is something to be done with each rotated file?
    pub(super) fn notes_closed(&self) -> bool {
        self.spec.gzip || !self.spec.postprocess.is_empty()
    }

    /// Do rotated files go at some time?
    pub(super) fn keeps_some(&self) -> bool {
        self.expiry() != Expiry::default()
    }
}

//! What a layout says of logs, for every node: who gets records, in which form, what becomes of the files.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::json::{self, Times};
use super::message::Format;
use super::tsv;

/// What a layout says of logs. Unless it says otherwise, what upstream does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogSpec {
    /// The loggers take turns, instead of all records going to the default topic of their stream:
    /// `enable_round_robin_logging`.
    pub round_robin: bool,
    /// When the next logger has its turn.
    pub per: Turn,
    /// After so many records the logger is woken, and a message to another host is complete:
    /// `log_batch_size`.
    pub batch_records: u32,
    /// No record waits longer for that: `log_batch_interval`.
    pub batch_interval: Duration,
    /// The form of files of whose filters none is said.
    pub format: Form,
    /// How points in time are written as JSON: `json_timestamps`.
    pub json_timestamps: Times,
    /// Files are rotated at every multiple of this; `None`: not by time.
    pub rotate_interval: Option<Duration>,
    /// Files are rotated when they have so many bytes; `None`: not by size.
    pub rotate_bytes: Option<u64>,
    /// How rotated files are named.
    pub naming: Names,
    /// Rotated files are packed.
    pub gzip: bool,
    /// The command that is run for each rotated file; none, if it is empty.
    pub postprocess: Vec<String>,
    /// It is killed after so long.
    pub postprocess_timeout: Duration,
    /// How long rotated files are kept.
    pub keep: Keep,
    /// What of the files survives the host.
    pub fsync: Fsync,
    /// This often there is a record of each node in `node_stats.log`; `None`: never.
    pub node_stats: Option<Duration>,
    /// A stream that used to speak and has not for so long is reported; `None`: none is.
    pub silent_after: Option<Duration>,
}

/// When the next logger has its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Turn {
    /// With the next record.
    #[default]
    Record,
    /// With the next batch of [`LogSpec::batch_records`].
    Batch,
}

/// The form of a log file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// Zeek's tab-separated values.
    #[default]
    Tsv,
    /// An object a line.
    Json,
}

/// How rotated files are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Names {
    /// As those of a supervised Zeek, in `log-queue`:
    /// `conn__2023-11-14-22-13-20__2023-11-14-23-00-00__log_suffix=logger-1__.log`.
    #[default]
    Supervised,
    /// `conn.2023-11-14-22-13-20.log`, beside the current one.
    Classic,
}

/// How long rotated files are kept: for ever without any bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// What was closed longer ago goes.
    pub age: Option<Duration>,
    /// So many bytes of one logger's rotated files stay at most.
    pub bytes: Option<u64>,
    /// So many bytes of their file system are to be free.
    pub free: Option<u64>,
}

/// What of the files survives the death of the host. That of a process costs nothing in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fsync {
    /// What the system has written by itself.
    #[default]
    Never,
    /// What stood in them this long ago.
    Interval(Duration),
    /// Everything that was taken out of the rings.
    Batch,
}

impl LogSpec {
    /// The form of files of whose filters none is said, with its settings.
    #[must_use]
    pub fn file_format(&self) -> Format {
        match self.format {
            Form::Tsv => Format::Tsv(tsv::Settings::default()),
            Form::Json => Format::Json(json::Format {
                times: self.json_timestamps,
                unset_fields: false,
            }),
        }
    }
}

impl Default for LogSpec {
    fn default() -> Self {
        Self {
            round_robin: true,
            per: Turn::default(),
            batch_records: 1000,
            batch_interval: Duration::from_secs(1),
            format: Form::default(),
            json_timestamps: Times::default(),
            rotate_interval: None,
            rotate_bytes: None,
            naming: Names::default(),
            gzip: false,
            postprocess: Vec::new(),
            postprocess_timeout: Duration::from_secs(60),
            keep: Keep::default(),
            fsync: Fsync::default(),
            node_stats: None,
            silent_after: None,
        }
    }
}

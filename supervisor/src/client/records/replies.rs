//! What `records verify --json` prints: as stable as the replies of the supervisor. Pure.

use serde::Serialize;

use cluster::logging::files::SourceId;
use cluster::logging::files::verify::{Fault, FileReport, PathReport, SourceReport};

use super::files::LogFile;

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct VerifyReply {
    pub(crate) schema: u32,
    /// Is everything proved?
    pub(crate) ok: bool,
    pub(crate) loggers: Vec<LoggerRow>,
}

/// One logger's files.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LoggerRow {
    pub(crate) logger: String,
    pub(crate) files: Vec<FileRow>,
    /// One for each path and source.
    pub(crate) paths: Vec<PathRow>,
    /// Each source over all its paths.
    pub(crate) sources: Vec<SourceRow>,
    /// Records that the logger took and could not write.
    pub(crate) refused: u64,
    /// Records that it wrote by themselves, since nobody had said whose they are.
    pub(crate) aside: u64,
}

/// A file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FileRow {
    pub(crate) name: String,
    pub(crate) path: String,
    /// Do the path's lines go to it now?
    pub(crate) current: bool,
    /// Records that stand whole.
    pub(crate) records: u64,
    /// Bytes that the index tells of and that are there.
    pub(crate) bytes: u64,
    pub(crate) fault_count: u64,
    /// The first of them.
    pub(crate) faults: Vec<FaultRow>,
}

/// What is wrong with a file. Null is what does not belong to that kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct FaultRow {
    pub(crate) kind: &'static str,
    /// An offset in the file; of `index_unreadable` in its index.
    pub(crate) at: Option<u64>,
    pub(crate) source: Option<String>,
    pub(crate) number: Option<u64>,
    /// Bytes that stood, and bytes that stand.
    pub(crate) expected: Option<u64>,
    pub(crate) found: Option<u64>,
}

/// A source in the files of one path. Null are the numbers of one that has no file here any more.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PathRow {
    pub(crate) path: String,
    pub(crate) source: String,
    pub(crate) first: Option<u64>,
    pub(crate) last: Option<u64>,
    pub(crate) records: u64,
    pub(crate) repetitions: u64,
    /// Records with numbers below this stood in files that are not here.
    pub(crate) earlier_below: Option<u64>,
    /// This record stood in a file that is not here, though an earlier file is.
    pub(crate) absent: Option<u64>,
}

/// A source in all files of the logger.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SourceRow {
    pub(crate) source: String,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) records: u64,
    /// Numbers in between that stand nowhere.
    pub(crate) missing: u64,
    pub(crate) gap_count: u64,
    /// The first of them: first and last number.
    pub(crate) gaps: Vec<(u64, u64)>,
}

impl LoggerRow {
    /// Does every file hold what its index says, and is none missing in between?
    pub(crate) fn is_proved(&self) -> bool {
        let whole = self.files.iter().all(|file| file.fault_count == 0);
        whole && self.refused == 0 && self.paths.iter().all(|path| path.absent.is_none())
    }
}

impl FileRow {
    pub(super) fn of(file: &LogFile, report: &FileReport) -> Self {
        Self {
            name: file.name.clone(),
            path: file.path.clone(),
            current: file.is_current,
            records: report.records,
            bytes: report.bytes,
            fault_count: report.fault_count,
            faults: report.faults.iter().copied().map(FaultRow::from).collect(),
        }
    }
}

impl From<Fault> for FaultRow {
    fn from(fault: Fault) -> Self {
        let at = |kind, at| Self {
            kind,
            at: Some(at),
            ..Self::default()
        };
        let record = |kind, source, number| Self {
            kind,
            source: Some(hex(source)),
            number: Some(number),
            ..Self::default()
        };
        let alone = |kind| Self {
            kind,
            ..Self::default()
        };
        match fault {
            Fault::Missing => alone("missing"),
            Fault::NoIndex => alone("no_index"),
            Fault::NoHeader => alone("no_header"),
            Fault::OtherPath => alone("other_path"),
            Fault::IndexUnreadable { at: offset } => at("index_unreadable", offset),
            Fault::Torn { at: offset } => at("torn", offset),
            Fault::Altered { at: offset } => at("altered", offset),
            Fault::NotIndexed { at: offset } => at("not_indexed", offset),
            Fault::Shorter { expected, found } => Self {
                kind: "shorter",
                expected: Some(expected),
                found: Some(found),
                ..Self::default()
            },
            Fault::Repeated { source, number } => record("repeated", source, number),
            Fault::OutOfOrder { source, number } => record("out_of_order", source, number),
        }
    }
}

impl From<PathReport> for PathRow {
    fn from(report: PathReport) -> Self {
        let (first, last) = report.bounds.unzip();
        Self {
            path: report.path,
            source: hex(report.source),
            first,
            last,
            records: report.records,
            repetitions: report.repetitions,
            earlier_below: report.earlier,
            absent: report.absent,
        }
    }
}

impl From<SourceReport> for SourceRow {
    fn from(report: SourceReport) -> Self {
        Self {
            source: hex(report.source),
            first: report.first,
            last: report.last,
            records: report.records,
            missing: report.missing,
            gap_count: report.gap_count,
            gaps: report.gaps,
        }
    }
}

/// A source as it is named.
fn hex(source: SourceId) -> String {
    format!("{:032x}", source.0)
}

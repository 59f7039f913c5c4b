//! A filter as it stands in its stream, with the writers that it has made.

use std::collections::BTreeMap;

use super::filter::{Filter, Policy, StreamSpec, Writer};
use super::paths::Paths;
use super::writer::LogWriter;
use super::{Buffers, Line, LogError, PathTaken};
use crate::data::Value;
use crate::logging::message::{Create, Format};
use crate::logging::{LogPath, LogPathError, Record, Schema, StreamId};

/// Paths of one filter that are remembered. With more of them, made by a path function, all are forgotten,
/// and made anew when they are written to: the same writers, which are announced once more.
pub(super) const WRITERS_MAX: usize = 1024;

/// Changed paths that are remembered until somebody asks: with more, the newest are not told.
const TAKEN_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Installed {
    pub(super) filter: Filter,
    schema: Schema,
    /// Which fields it writes; `None`: all.
    places: Option<Vec<usize>>,
    /// By the paths that were asked for.
    writers: BTreeMap<LogPath, LogWriter>,
}

/// What a filter needs to know of everything else.
pub(super) struct Surroundings<'a> {
    pub(super) stream: &'a StreamId,
    pub(super) path: &'a LogPath,
    /// The stream's.
    pub(super) policy: &'a mut Option<Policy>,
    /// Of filters that name none.
    pub(super) form: &'a Format,
    pub(super) paths: &'a mut Paths,
    pub(super) taken: &'a mut Vec<PathTaken>,
    pub(super) buffers: &'a mut Buffers,
}

impl Installed {
    pub(super) fn new(
        id: &StreamId,
        stream: &StreamSpec,
        filter: Filter,
    ) -> Result<Self, LogError> {
        let columns = stream.schema.columns();
        let named = filter.include.iter().flatten().chain(&filter.exclude);
        for name in named {
            if !columns.iter().any(|column| column.name() == name) {
                return Err(LogError::NoColumn {
                    stream: id.clone(),
                    filter: filter.name,
                    column: name.clone(),
                });
            }
        }
        let taken = columns.iter().enumerate();
        let taken = taken.filter(|(_, column)| filter.takes(column.name()));
        let (places, taken): (Vec<usize>, Vec<_>) =
            taken.map(|(place, column)| (place, column.clone())).unzip();
        let takes_all = taken.len() == columns.len();
        // Only that nothing is left can be wrong with some of a schema's columns.
        let Ok(schema) = Schema::new(taken) else {
            return Err(LogError::Nothing {
                stream: id.clone(),
                filter: filter.name,
            });
        };
        Ok(Self {
            filter,
            schema,
            places: (!takes_all).then_some(places),
            writers: BTreeMap::new(),
        })
    }

    /// Hands the record's line to `take`, if the filter writes it. Returns whether it does.
    pub(super) fn write(
        &mut self,
        record: Record<'_>,
        around: &mut Surroundings<'_>,
        take: &mut dyn FnMut(Line<'_>),
    ) -> Result<bool, LogError> {
        let Self {
            filter,
            schema,
            places,
            writers,
        } = self;
        if filter.writer == Writer::None || !wants(filter, record, around) {
            return Ok(false);
        }
        let said = filter.path.as_ref().unwrap_or(around.path);
        let made = filter.path_function.as_mut();
        let made = made.map(|function| LogPath::parse(function(around.stream, said, record)));
        let made = made.transpose();
        let made = made.map_err(|source| around.no_path(&filter.name, source))?;
        let wanted = made.as_ref().unwrap_or(said);
        if !writers.contains_key(wanted) {
            if writers.len() >= WRITERS_MAX {
                forget(writers, around.paths);
            }
            let writer = around.open(wanted, filter, schema)?;
            writers.insert(wanted.clone(), writer);
        }
        let Some(writer) = writers.get(wanted) else {
            return Ok(false);
        };
        let Buffers { row, message } = around.buffers;
        let record = match places {
            None => record,
            Some(places) => schema.checked(choose(record, places, row)),
        };
        writer.line(record, message);
        take(Line {
            filter,
            writer,
            message,
        });
        Ok(true)
    }

    /// Makes all writers anew when they are written to next.
    pub(super) fn close(&mut self, paths: &mut Paths) {
        forget(&mut self.writers, paths);
    }
}

impl Surroundings<'_> {
    /// Makes a writer to a path, or to one like it if that is another filter's.
    fn open(
        &mut self,
        wanted: &LogPath,
        filter: &Filter,
        schema: &Schema,
    ) -> Result<LogWriter, LogError> {
        let path = self.paths.claim(wanted, self.stream, &filter.name);
        let path = path.map_err(|source| self.no_path(&filter.name, source))?;
        if path != *wanted && self.taken.len() < TAKEN_MAX {
            self.taken.push(PathTaken {
                stream: self.stream.clone(),
                filter: filter.name.clone(),
                wanted: wanted.clone(),
                path: path.clone(),
            });
        }
        let format = match &filter.writer {
            Writer::As(format) => format,
            Writer::Ascii | Writer::None => self.form,
        };
        let create = Create {
            stream: self.stream.clone(),
            filter: filter.name.clone(),
            path,
            format: format.clone(),
            schema: schema.clone(),
            interval: filter.interval,
        };
        LogWriter::new(create).map_err(|source| LogError::Writer {
            stream: self.stream.clone(),
            filter: filter.name.clone(),
            source,
        })
    }

    fn no_path(&self, filter: &str, source: LogPathError) -> LogError {
        LogError::Path {
            stream: self.stream.clone(),
            filter: filter.to_owned(),
            source,
        }
    }
}

fn wants(filter: &mut Filter, record: Record<'_>, around: &mut Surroundings<'_>) -> bool {
    match (&mut filter.predicate, &mut around.policy) {
        (Some(predicate), _) => predicate(record),
        (None, Some(policy)) => policy(around.stream, &filter.name, record),
        (None, None) => true,
    }
}

/// The fields in these places.
fn choose<'a>(record: Record<'_>, places: &[usize], row: &'a mut Vec<Value>) -> &'a [Value] {
    row.resize(places.len(), Value::None);
    for (field, place) in row.iter_mut().zip(places) {
        if let Some(value) = record.values().get(*place) {
            field.clone_from(value);
        }
    }
    row
}

fn forget(writers: &mut BTreeMap<LogPath, LogWriter>, paths: &mut Paths) {
    for (_, writer) in std::mem::take(writers) {
        paths.give_back(writer.path());
    }
}

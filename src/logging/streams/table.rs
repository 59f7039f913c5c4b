//! All streams of a node.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::filter::{Filter, StreamPolicy, StreamSpec};
use super::installed::{Installed, Surroundings};
use super::paths::Paths;
use super::row::row;
use super::{Buffers, Line, LogError, PathTaken};
use crate::data::Value;
use crate::logging::StreamId;
use crate::logging::message::Format;

/// Bytes of the buffer for lines that stay for the next record.
const LINE_BYTES_KEPT: usize = 64 * 1024;

/// The log streams of a node, by their ids; the seeds' module `Log`.
pub struct Streams {
    streams: BTreeMap<StreamId, Stream>,
    /// Asked about every record of every stream.
    policies: Vec<StreamPolicy>,
    /// Of filters that name no form.
    form: Format,
    paths: Paths,
    taken: Vec<PathTaken>,
    buffers: Buffers,
}

#[derive(Debug)]
struct Stream {
    spec: StreamSpec,
    is_enabled: bool,
    filters: Vec<Installed>,
}

impl Streams {
    /// No streams. `form`: that of the filters that name none.
    #[must_use]
    pub fn new(form: Format) -> Self {
        Self {
            streams: BTreeMap::new(),
            policies: Vec::new(),
            form,
            paths: Paths::default(),
            taken: Vec::new(),
            buffers: Buffers::default(),
        }
    }

    /// Another form for the filters that name none. Their next records are written in it.
    pub fn set_form(&mut self, form: Format) {
        if form == self.form {
            return;
        }
        self.form = form;
        for stream in self.streams.values_mut() {
            for installed in &mut stream.filters {
                installed.close(&mut self.paths);
            }
        }
    }

    /// `Log::create_stream`: a stream with the filter that every one begins with, enabled. It takes the
    /// place of one of the same id, and of that one's filters.
    ///
    /// # Errors
    /// None that is known: the filter writes every column in a form that was checked.
    pub fn create_stream(&mut self, id: StreamId, spec: StreamSpec) -> Result<(), LogError> {
        let default = Installed::new(&id, &spec, Filter::default())?;
        self.remove_stream(&id);
        let stream = Stream {
            spec,
            is_enabled: true,
            filters: vec![default],
        };
        self.streams.insert(id, stream);
        Ok(())
    }

    /// `Log::remove_stream`. False: there is none of this id.
    pub fn remove_stream(&mut self, id: &StreamId) -> bool {
        let Some(mut stream) = self.streams.remove(id) else {
            return false;
        };
        for installed in &mut stream.filters {
            installed.close(&mut self.paths);
        }
        true
    }

    /// `Log::enable_stream`. False: there is none of this id.
    pub fn enable_stream(&mut self, id: &StreamId) -> bool {
        self.set_enabled(id, true)
    }

    /// `Log::disable_stream`: what is written to it is dropped, and is no error. False: there is none of
    /// this id.
    pub fn disable_stream(&mut self, id: &StreamId) -> bool {
        self.set_enabled(id, false)
    }

    fn set_enabled(&mut self, id: &StreamId, is_enabled: bool) -> bool {
        let stream = self.streams.get_mut(id);
        stream.is_some_and(|stream| {
            stream.is_enabled = is_enabled;
            true
        })
    }

    /// Is there a stream of this id, and is it enabled?
    #[must_use]
    pub fn is_enabled(&self, id: &StreamId) -> bool {
        let stream = self.streams.get(id);
        stream.is_some_and(|stream| stream.is_enabled)
    }

    /// `Log::active_streams`: the ids of all streams, in order.
    pub fn ids(&self) -> impl Iterator<Item = &StreamId> {
        self.streams.keys()
    }

    /// `Log::add_filter`: it takes the place of one of the same name.
    ///
    /// # Errors
    /// [`LogError::NoStream`]; [`LogError::NoColumn`] and [`LogError::Nothing`] if it does not fit the
    /// stream.
    pub fn add_filter(&mut self, id: &StreamId, filter: Filter) -> Result<(), LogError> {
        let Some(stream) = self.streams.get_mut(id) else {
            return Err(no_stream(id));
        };
        let installed = Installed::new(id, &stream.spec, filter)?;
        let name = &installed.filter.name;
        match stream.filters.iter_mut().find(|it| it.filter.name == *name) {
            Some(old) => {
                old.close(&mut self.paths);
                *old = installed;
            }
            None => stream.filters.push(installed),
        }
        Ok(())
    }

    /// `Log::remove_filter`, and `Log::remove_default_filter` by [`Filter::DEFAULT`]. False: the stream
    /// has none of this name, or there is no such stream.
    pub fn remove_filter(&mut self, id: &StreamId, name: &str) -> bool {
        let Some(stream) = self.streams.get_mut(id) else {
            return false;
        };
        let place = stream.filters.iter().position(|it| it.filter.name == name);
        let Some(place) = place else {
            return false;
        };
        stream.filters.remove(place).close(&mut self.paths);
        true
    }

    /// `Log::get_filter`: where the seeds give one named `<not found>`: `None`.
    #[must_use]
    pub fn get_filter(&self, id: &StreamId, name: &str) -> Option<&Filter> {
        let mut filters = self.streams.get(id)?.filters.iter();
        filters
            .find(|installed| installed.filter.name == name)
            .map(|installed| &installed.filter)
    }

    /// `Log::Stream$policy`: what is asked for filters without a predicate, in place of what was before;
    /// `Cluster::log_policy` for `Cluster::LOG`.
    ///
    /// # Errors
    /// [`LogError::NoStream`].
    pub fn set_policy(&mut self, id: &StreamId, policy: super::Policy) -> Result<(), LogError> {
        let stream = self.streams.get_mut(id).ok_or_else(|| no_stream(id))?;
        stream.spec.policy = Some(policy);
        Ok(())
    }

    /// `Log::log_stream_policy`: a hook that is asked about each record of every stream before its
    /// filters are. Of several, the first that says no decides.
    pub fn add_stream_policy(&mut self, policy: StreamPolicy) {
        self.policies.push(policy);
    }

    /// `Log::write`: hands `take` the line that each filter makes of the record. Returns how many there
    /// were; none if the stream is disabled, or nobody wants the record.
    ///
    /// # Errors
    /// [`LogError::NoStream`], and [`LogError::Record`], with which there was no line;
    /// [`LogError::Path`] and [`LogError::Writer`] of the first filter that had no writer for the record:
    /// the others have made their lines.
    pub fn write(
        &mut self,
        id: &StreamId,
        values: &[Value],
        take: &mut dyn FnMut(Line<'_>),
    ) -> Result<usize, LogError> {
        let Some(stream) = self.streams.get_mut(id) else {
            return Err(no_stream(id));
        };
        if !stream.is_enabled {
            return Ok(0);
        }
        let record = stream.spec.schema.record(values);
        let record = record.map_err(|source| LogError::Record {
            stream: id.clone(),
            source,
        })?;
        if !self.policies.iter_mut().all(|policy| policy(id, record)) {
            return Ok(0);
        }
        let mut around = Surroundings {
            stream: id,
            path: &stream.spec.path,
            policy: &mut stream.spec.policy,
            form: &self.form,
            paths: &mut self.paths,
            taken: &mut self.taken,
            buffers: &mut self.buffers,
        };
        let mut lines = Ok(0);
        for installed in &mut stream.filters {
            match (installed.write(record, &mut around, take), &mut lines) {
                (Ok(wrote), Ok(lines)) => *lines += usize::from(wrote),
                (Err(error), Ok(_)) => lines = Err(error),
                (Ok(_) | Err(_), Err(_)) => {}
            }
        }
        self.buffers.message.shrink_to(LINE_BYTES_KEPT);
        lines
    }

    /// As [`Streams::write`], of a Rust struct or tuple: its fields in order, those of a struct inside it
    /// in its place. Which value a type becomes is [`typed`](crate::data::typed)'s to say.
    ///
    /// # Errors
    /// As [`Streams::write`], and [`LogError::Row`].
    pub fn write_row<T>(
        &mut self,
        id: &StreamId,
        content: &T,
        take: &mut dyn FnMut(Line<'_>),
    ) -> Result<usize, LogError>
    where
        T: Serialize + ?Sized,
    {
        let stream = self.streams.get(id).ok_or_else(|| no_stream(id))?;
        let values = row(&stream.spec.schema, content);
        let values = values.map_err(|source| LogError::Row {
            stream: id.clone(),
            source,
        })?;
        self.write(id, &values, take)
    }

    /// The filters that got another path than they asked for, since the last call.
    pub fn take_paths_taken(&mut self) -> Vec<PathTaken> {
        std::mem::take(&mut self.taken)
    }
}

fn no_stream(id: &StreamId) -> LogError {
    LogError::NoStream { stream: id.clone() }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams")
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

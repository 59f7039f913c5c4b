//! A logger that remembers what came.

use std::collections::{BTreeMap, BTreeSet};

use cluster::fabric::Slot;
use cluster::logging::message::{Create, Message, WriterId};
use cluster::node::Cluster;
use cluster::node::cluster::Handler;
use cluster::node::endpoint::{Handling, Record};
use cluster::sys::clock;

use super::diary::{PATIENCE, sit};
use super::stem::HandStem;

/// What came.
#[derive(Clone, Debug)]
pub(crate) enum Wrote {
    Create(Create),
    /// The path of its writer, and the line.
    Line(String, String),
}

pub(crate) struct Logger {
    cluster: Cluster,
    book: Book,
}

#[derive(Default)]
pub(crate) struct Book {
    pub(crate) wrote: Vec<Wrote>,
    pub(crate) topics: BTreeSet<String>,
    writers: Writers,
}

/// The paths of writers.
pub(crate) type Writers = BTreeMap<WriterId, String>;

impl std::ops::Deref for Logger {
    type Target = Book;

    fn deref(&self) -> &Book {
        &self.book
    }
}

/// What a message says; `path_of` knows the writers.
pub(crate) fn decode(message: &[u8], path_of: impl FnOnce(WriterId) -> String) -> Wrote {
    match Message::decode(message).unwrap() {
        Message::Create(_, create) => Wrote::Create(create),
        Message::Lines(writer, lines) => {
            let line = std::str::from_utf8(lines).unwrap().trim_end();
            Wrote::Line(path_of(writer), line.to_owned())
        }
    }
}

impl Logger {
    pub(crate) fn sit(stem: &HandStem, place: Slot) -> Self {
        let mut cluster = sit(stem, place);
        cluster.init().unwrap();
        let book = Book::default();
        Self { cluster, book }
    }

    /// It dies. What it knew of writers is on its disk.
    pub(crate) fn die(self) -> Writers {
        self.book.writers
    }

    /// It has found on its disk what its predecessor knew.
    pub(crate) fn knowing(mut self, writers: Writers) -> Self {
        self.book.writers = writers;
        self
    }

    /// Gives it turns until something is so.
    pub(crate) fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let until = clock::monotonic() + PATIENCE;
        while !is_so(self) {
            self.cluster.turn(&mut self.book, Some(until)).unwrap();
            let wrote = &self.book.wrote;
            assert!(clock::monotonic() < until, "never {what}: {wrote:?}");
        }
    }

    /// The lines of a path.
    pub(crate) fn lines(&self, path: &str) -> Vec<String> {
        let wrote = self.book.wrote.iter();
        let lines = wrote.filter_map(|wrote| match wrote {
            Wrote::Line(of, line) if of == path => Some(line.clone()),
            Wrote::Line(..) | Wrote::Create(_) => None,
        });
        lines.collect()
    }
}

impl Handler for Book {
    fn log_message(&mut self, _: &mut Cluster, record: &Record<'_>) -> Handling {
        let wrote = decode(record.payload, |writer| {
            let path = self.writers.get(&writer);
            path.expect("a writer that was told").clone()
        });
        if let Wrote::Create(create) = &wrote {
            let id = create.encode().unwrap().0;
            self.writers.insert(id, create.path.to_string());
        }
        self.wrote.push(wrote);
        let topic = String::from_utf8_lossy(record.topic).into_owned();
        self.topics.insert(topic);
        Handling::Done
    }
}

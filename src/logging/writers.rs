//! Who writes to a logger, and which file each of them has.
//!
//! A writer keeps its file as long as anything of it may come again, over the logger's death too: what
//! it had written stands there and nowhere else. So the table outlives the logger; it is stored before a
//! writer's first line is taken.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::LogPath;
use super::files::{PATHS_MAX, SourceId, crc32};
use super::message::{Create, WriterId};
use super::strangers::is_reserved;

/// Writers of one logger, those that were and may come again among them.
pub const WRITERS_MAX: usize = PATHS_MAX;

/// All of them.
#[derive(Debug, Default)]
pub struct Writers {
    known: HashMap<WriterId, Writer>,
    /// Who came last to each path.
    holders: BTreeMap<LogPath, WriterId>,
}

#[derive(Debug)]
struct Writer {
    create: Create,
    path: LogPath,
    /// Who writes as it now.
    live: BTreeSet<SourceId>,
    /// Who has, and may do so again after a death.
    seen: BTreeSet<SourceId>,
}

/// A writer as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    id: u64,
    path: LogPath,
    create: Create,
}

/// Why a writer is not taken. Its own fault, or that of there being too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriterRefusal {
    /// There are [`WRITERS_MAX`].
    #[error("a logger has at most {WRITERS_MAX} writers")]
    TooMany,
    /// Two writers with one id.
    #[error("another writer has this one's id")]
    OtherContent,
    /// The path is taken, and so long that nothing can be put behind it.
    #[error("another stream writes to the path, and it is too long for a second one")]
    NoPath,
}

/// What became of a writer that introduced itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Introduced {
    /// It is known, and so is its file.
    Known,
    /// Store the table before anything of it is taken.
    New,
}

impl Writers {
    /// What the table said that these bytes are. `None`: they are none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (sum, stored) = bytes.split_first_chunk()?;
        if crc32(0, stored) != u32::from_le_bytes(*sum) {
            return None;
        }
        let stored: Vec<Stored> = postcard::from_bytes(stored).ok()?;
        let mut writers = Self::default();
        for Stored { id, path, create } in stored {
            let id = WriterId(id);
            writers.holders.insert(path.clone(), id);
            writers.known.insert(
                id,
                Writer {
                    create,
                    path,
                    live: BTreeSet::new(),
                    seen: BTreeSet::new(),
                },
            );
        }
        Some(writers)
    }

    /// The table as it is stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut stored: Vec<Stored> = self
            .known
            .iter()
            .map(|(id, writer)| Stored {
                id: id.0,
                path: writer.path.clone(),
                create: writer.create.clone(),
            })
            .collect();
        // Whoever holds a path comes last of those that have it.
        let holds = |one: &Stored| self.holders.get(&one.path) == Some(&WriterId(one.id));
        stored.sort_by_key(|one| (holds(one), one.id));
        // Into memory, which does not fail.
        let bytes = postcard::to_stdvec(&stored).unwrap_or_default();
        [crc32(0, &bytes).to_le_bytes().as_slice(), &bytes].concat()
    }

    /// A source says what it is going to write. In place of what it wrote for the same filter of the
    /// same stream to the same path, as another version of its program did.
    ///
    /// # Errors
    /// [`WriterRefusal`]: its lines go nowhere.
    pub fn introduce(
        &mut self,
        source: SourceId,
        id: WriterId,
        create: Create,
    ) -> Result<Introduced, WriterRefusal> {
        if let Some(known) = self.known.get(&id) {
            if known.create != create {
                return Err(WriterRefusal::OtherContent);
            }
            self.replace(source, id, &create);
            self.note(source, id);
            return Ok(Introduced::Known);
        }
        if self.known.len() >= WRITERS_MAX {
            return Err(WriterRefusal::TooMany);
        }
        self.replace(source, id, &create);
        let path = self.free_path(&create.path)?;
        self.holders.insert(path.clone(), id);
        let only = BTreeSet::from([source]);
        self.known.insert(
            id,
            Writer {
                create,
                path,
                live: only.clone(),
                seen: only,
            },
        );
        Ok(Introduced::New)
    }

    /// Lines of a writer have come from a source: which file they go to, and what they are. `None`:
    /// nobody introduced it.
    pub fn lines(&mut self, source: SourceId, id: WriterId) -> Option<(&LogPath, &Create)> {
        self.note(source, id);
        let writer = self.known.get(&id)?;
        Some((&writer.path, &writer.create))
    }

    /// A writer that was introduced: which file its lines go to, and what they are.
    #[must_use]
    pub fn known(&self, id: WriterId) -> Option<(&LogPath, &Create)> {
        let writer = self.known.get(&id)?;
        Some((&writer.path, &writer.create))
    }

    /// Nothing will come of any source but those that are kept. True: a writer is forgotten.
    pub fn retain(&mut self, keep: impl Fn(SourceId) -> bool) -> bool {
        let before = self.known.len();
        self.known.retain(|_, writer| {
            let has_come = !writer.seen.is_empty();
            writer.live.retain(|source| keep(*source));
            writer.seen.retain(|source| keep(*source));
            !(has_come && writer.seen.is_empty())
        });
        let known = &self.known;
        self.holders.retain(|_, holder| known.contains_key(holder));
        self.known.len() < before
    }

    fn note(&mut self, source: SourceId, id: WriterId) {
        if let Some(writer) = self.known.get_mut(&id)
            && !writer.live.contains(&source)
        {
            writer.live.insert(source);
            writer.seen.insert(source);
        }
    }

    /// The source does not write any more as it did for this filter and path.
    fn replace(&mut self, source: SourceId, id: WriterId, create: &Create) {
        let same = |other: &Create| {
            (&other.stream, &other.filter, &other.path)
                == (&create.stream, &create.filter, &create.path)
        };
        let others = self.known.iter_mut().filter(|(other, _)| **other != id);
        for (_, writer) in others.filter(|(_, writer)| same(&writer.create)) {
            writer.live.remove(&source);
        }
    }

    /// The path, or the first of `<path>-2`, `<path>-3`… that nobody alive writes to: as Zeek has it for
    /// two streams of one path.
    fn free_path(&self, wanted: &LogPath) -> Result<LogPath, WriterRefusal> {
        let is_free = |path: &LogPath| {
            let holder = self.holders.get(path).and_then(|id| self.known.get(id));
            !is_reserved(path) && holder.is_none_or(|holder| holder.live.is_empty())
        };
        if is_free(wanted) {
            return Ok(wanted.clone());
        }
        for number in 2..=WRITERS_MAX.saturating_add(2) {
            let path = LogPath::parse(format!("{wanted}-{number}"));
            let path = path.map_err(|_| WriterRefusal::NoPath)?;
            if is_free(&path) {
                return Ok(path);
            }
        }
        Err(WriterRefusal::NoPath)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::message::Format;
    use crate::logging::{Atom, Column, LOG_PATH_BYTES_MAX, Schema, StreamId, Type, json};

    const ONE: SourceId = SourceId(1);
    const OTHER: SourceId = SourceId(2);

    fn create(stream: &str, path: &str, column: &str) -> (WriterId, Create) {
        let column = Column::new(column, Type::Atom(Atom::Count), false).unwrap();
        let create = Create {
            stream: StreamId::parse(stream).unwrap(),
            filter: "default".to_owned(),
            path: LogPath::parse(path).unwrap(),
            format: Format::Json(json::Format::default()),
            schema: Schema::new(vec![column]).unwrap(),
            interval: None,
        };
        (create.encode().unwrap().0, create)
    }

    fn introduce(writers: &mut Writers, source: SourceId, writer: &(WriterId, Create)) -> String {
        let (id, create) = writer;
        writers.introduce(source, *id, create.clone()).unwrap();
        path(writers, source, *id).unwrap()
    }

    fn path(writers: &mut Writers, source: SourceId, id: WriterId) -> Option<String> {
        let (path, _) = writers.lines(source, id)?;
        Some(path.to_string())
    }

    #[test]
    fn all_who_write_the_same_share_a_file_and_another_stream_gets_a_second_one() {
        let mut writers = Writers::default();
        let (conn, other) = (create("A::LOG", "conn", "n"), create("B::LOG", "conn", "n"));
        let (id, said) = conn;
        let first = writers.introduce(ONE, id, said.clone());
        assert_eq!(first, Ok(Introduced::New));
        assert_eq!(writers.introduce(OTHER, id, said), Ok(Introduced::Known));
        assert_eq!(introduce(&mut writers, OTHER, &other), "conn-2");
        assert_eq!(
            introduce(&mut writers, OTHER, &create("C::LOG", "conn", "n")),
            "conn-3"
        );
        assert_eq!(path(&mut writers, ONE, id).unwrap(), "conn");
        assert_eq!(path(&mut writers, ONE, WriterId(7)), None);
    }

    /// Shows: a program with other columns takes its path over, once nobody writes the old ones; until
    /// then it does not, or the file would change hands with every record.
    #[test]
    fn another_version_of_a_stream_has_the_path_when_the_old_one_is_gone() {
        let (old, new) = (create("A::LOG", "conn", "n"), create("A::LOG", "conn", "m"));
        let mut writers = Writers::default();
        introduce(&mut writers, ONE, &old);
        assert_eq!(introduce(&mut writers, ONE, &new), "conn", "the only one");
        let mut writers = Writers::default();
        introduce(&mut writers, ONE, &old);
        introduce(&mut writers, OTHER, &old);
        assert_eq!(introduce(&mut writers, ONE, &new), "conn-2");
    }

    /// Shows: what a successor needs is in the table: a writer that has a file keeps it, though others
    /// come first.
    #[test]
    fn a_writer_keeps_its_file_over_a_death() {
        let (one, other) = (create("A::LOG", "conn", "n"), create("B::LOG", "conn", "n"));
        let mut writers = Writers::default();
        introduce(&mut writers, ONE, &one);
        introduce(&mut writers, OTHER, &other);
        let stored = writers.encode();
        let mut writers = Writers::decode(&stored).unwrap();
        assert_eq!(path(&mut writers, OTHER, other.0).unwrap(), "conn-2");
        assert_eq!(introduce(&mut writers, ONE, &one), "conn");
        assert_eq!(Writers::decode(&writers.encode()).unwrap().encode(), stored);
        let mut torn = stored;
        torn.pop();
        assert!(Writers::decode(&torn).is_none() && Writers::decode(b"").is_none());
    }

    #[test]
    fn a_writer_is_forgotten_with_the_last_of_its_sources() {
        let mut writers = Writers::default();
        let (old, new) = (create("A::LOG", "conn", "n"), create("B::LOG", "conn", "n"));
        introduce(&mut writers, ONE, &old);
        introduce(&mut writers, OTHER, &old);
        assert!(!writers.retain(|source| source != ONE));
        assert_eq!(path(&mut writers, OTHER, old.0).unwrap(), "conn");
        assert!(writers.retain(|_| false));
        assert_eq!(path(&mut writers, OTHER, old.0), None);
        assert_eq!(introduce(&mut writers, ONE, &new), "conn");
    }

    #[test]
    fn nobody_has_the_path_of_lines_that_are_nobodys() {
        let mut writers = Writers::default();
        let path = "unknown-0123456789abcdef";
        let said = create("A::LOG", path, "n");
        assert_eq!(introduce(&mut writers, ONE, &said), format!("{path}-2"));
    }

    #[test]
    fn what_cannot_have_a_file_is_refused() {
        let mut writers = Writers::default();
        let long = "p".repeat(LOG_PATH_BYTES_MAX);
        let (one, other) = (create("A::LOG", &long, "n"), create("B::LOG", &long, "n"));
        introduce(&mut writers, ONE, &one);
        let refused = writers.introduce(ONE, other.0, other.1.clone());
        assert_eq!(refused, Err(WriterRefusal::NoPath));
        let refused = writers.introduce(ONE, one.0, other.1);
        assert_eq!(refused, Err(WriterRefusal::OtherContent));
    }
}

//! Who writes to a logger, and which file each of them has.
//!
//! A writer keeps its file as long as anything of it may come again, over the logger's death too: what
//! it had written stands there and nowhere else. So the table outlives the logger; it is stored before a
//! record of a writer is released. When it is full, whoever has not introduced itself for longest has to
//! go; guests only take the places of guests.

mod full;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::LogPath;
use super::files::{SourceId, crc32};
use super::message::{Create, WriterId};
use super::strangers::is_reserved;

pub use full::{GUESTS_BYTES_MAX, GUESTS_MAX, WRITERS_BYTES_MAX, WRITERS_MAX};

/// All of them.
#[derive(Debug, Default)]
pub struct Writers {
    known: HashMap<WriterId, Writer>,
    /// Who came last to each path.
    holders: BTreeMap<LogPath, WriterId>,
    /// Counts what came in.
    turn: u64,
    has_changed: bool,
}

/// Of whom something comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its ring.
    pub source: SourceId,
    /// It is none of the cluster's own nodes.
    pub is_guest: bool,
}

#[derive(Debug)]
struct Writer {
    create: Create,
    path: LogPath,
    /// Who writes as it now.
    live: BTreeSet<SourceId>,
    /// Who has, and may do so again after a death.
    seen: BTreeSet<SourceId>,
    /// Something of it came in this life of the logger.
    has_come: bool,
    /// Nobody but guests has introduced it.
    is_guests: bool,
    /// When a source last joined it.
    turn: u64,
    /// About how much of the table it is.
    bytes: usize,
}

/// A writer as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    id: u64,
    path: LogPath,
    create: Create,
    live: BTreeSet<SourceId>,
    seen: BTreeSet<SourceId>,
    is_guests: bool,
}

/// Why a writer is not taken: its lines stand by themselves then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriterRefusal {
    /// Two writers with one id.
    #[error("another writer has this one's id")]
    OtherContent,
    /// The path is taken, and so long that nothing can be put behind it.
    #[error("another stream writes to the path, and it is too long for a second one")]
    NoPath,
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
        for stored in stored {
            let id = WriterId(stored.id);
            writers.holders.insert(stored.path.clone(), id);
            let writer = Writer {
                bytes: bytes_of(&stored.create),
                create: stored.create,
                path: stored.path,
                live: stored.live,
                seen: stored.seen,
                has_come: false,
                is_guests: stored.is_guests,
                turn: 0,
            };
            writers.known.insert(id, writer);
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
                live: writer.live.clone(),
                seen: writer.seen.clone(),
                is_guests: writer.is_guests,
            })
            .collect();
        // Whoever holds a path comes last of those that have it.
        let holds = |one: &Stored| self.holders.get(&one.path) == Some(&WriterId(one.id));
        stored.sort_by_key(|one| (holds(one), one.id));
        // Into memory, which does not fail.
        let bytes = postcard::to_stdvec(&stored).unwrap_or_default();
        [crc32(0, &bytes).to_le_bytes().as_slice(), &bytes].concat()
    }

    /// Is the table other than it was when this was asked last? Then store it before anything is released.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// A source says what it is going to write. In place of what it wrote for the same filter of the
    /// same stream to the same path, as another version of its program did.
    ///
    /// # Errors
    /// [`WriterRefusal`]: it has no file.
    pub fn introduce(
        &mut self,
        sender: Sender,
        id: WriterId,
        create: Create,
    ) -> Result<(), WriterRefusal> {
        if let Some(known) = self.known.get(&id) {
            if known.create == create {
                self.replace(sender.source, id, &create);
                self.join(sender, id);
                return Ok(());
            }
            // The id is a digest that a guest can find another content for. It keeps no node from its file.
            if sender.is_guest || !known.is_guests {
                return Err(WriterRefusal::OtherContent);
            }
            self.forget(id);
        }
        let bytes = bytes_of(&create);
        self.make_room(sender.is_guest, bytes);
        self.replace(sender.source, id, &create);
        let path = self.free_path(&create.path)?;
        self.holders.insert(path.clone(), id);
        let writer = Writer {
            create,
            path,
            live: BTreeSet::new(),
            seen: BTreeSet::new(),
            has_come: true,
            is_guests: sender.is_guest,
            turn: 0,
            bytes,
        };
        self.known.insert(id, writer);
        self.join(sender, id);
        Ok(())
    }

    /// Lines of a writer have come from a source: which file they go to, and what they are. `None`:
    /// nobody introduced it, or, if a guest sends them, not this one.
    pub fn lines(&mut self, sender: Sender, id: WriterId) -> Option<(&LogPath, &Create)> {
        let writer = self.known.get(&id)?;
        if sender.is_guest && !writer.seen.contains(&sender.source) {
            return None;
        }
        self.join(sender, id);
        let writer = self.known.get(&id)?;
        Some((&writer.path, &writer.create))
    }

    /// A writer that was introduced: which file its lines go to, and what they are.
    #[must_use]
    pub fn known(&self, id: WriterId) -> Option<(&LogPath, &Create)> {
        let writer = self.known.get(&id)?;
        Some((&writer.path, &writer.create))
    }

    /// A ring takes over from another one of the same sender, who does not introduce itself again.
    pub fn take_over(&mut self, from: SourceId, to: SourceId) {
        for writer in self.known.values_mut() {
            for sources in [&mut writer.live, &mut writer.seen] {
                self.has_changed |= sources.contains(&from) && sources.insert(to);
            }
        }
    }

    /// Nothing will come of any source but those that are kept. True: a writer is forgotten.
    pub fn retain(&mut self, keep: impl Fn(SourceId) -> bool) -> bool {
        let before = self.known.len();
        self.known.retain(|_, writer| {
            writer.live.retain(|source| keep(*source));
            writer.seen.retain(|source| keep(*source));
            // What a predecessor knew may be written by rings that it had not seen.
            !(writer.has_come && writer.seen.is_empty())
        });
        let known = &self.known;
        self.holders.retain(|_, holder| known.contains_key(holder));
        self.known.len() < before
    }

    fn join(&mut self, sender: Sender, id: WriterId) {
        self.turn += 1;
        if let Some(writer) = self.known.get_mut(&id) {
            writer.turn = self.turn;
            writer.has_come = true;
            writer.is_guests &= sender.is_guest;
            self.has_changed |= writer.live.insert(sender.source);
            self.has_changed |= writer.seen.insert(sender.source);
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

/// About how many bytes of the table a writer is.
fn bytes_of(create: &Create) -> usize {
    create.file_schema().len() + create.filter.len() + create.path.as_str().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::message::Format;
    use crate::logging::{Atom, Column, LOG_PATH_BYTES_MAX, Schema, StreamId, Type, json};

    pub(super) const ONE: Sender = node(1);
    const OTHER: Sender = node(2);
    pub(super) const GUEST: Sender = Sender {
        source: SourceId(3),
        is_guest: true,
    };

    const fn node(source: u128) -> Sender {
        Sender {
            source: SourceId(source),
            is_guest: false,
        }
    }

    pub(super) fn create(stream: &str, path: &str, column: &str) -> (WriterId, Create) {
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

    pub(super) fn introduce(
        writers: &mut Writers,
        source: Sender,
        writer: &(WriterId, Create),
    ) -> String {
        let (id, create) = writer;
        writers.introduce(source, *id, create.clone()).unwrap();
        path(writers, source, *id).unwrap()
    }

    pub(super) fn path(writers: &mut Writers, source: Sender, id: WriterId) -> Option<String> {
        let (path, _) = writers.lines(source, id)?;
        Some(path.to_string())
    }

    #[test]
    fn all_who_write_the_same_share_a_file_and_another_stream_gets_a_second_one() {
        let mut writers = Writers::default();
        let (conn, other) = (create("A::LOG", "conn", "n"), create("B::LOG", "conn", "n"));
        let (id, said) = conn;
        let first = writers.introduce(ONE, id, said.clone());
        assert_eq!(first, Ok(()));
        assert!(writers.take_changed() && !writers.take_changed());
        assert_eq!(writers.introduce(OTHER, id, said), Ok(()));
        assert!(writers.take_changed(), "a source is part of it");
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
        assert!(!writers.retain(|source| source != ONE.source));
        assert_eq!(path(&mut writers, OTHER, old.0).unwrap(), "conn");
        assert!(writers.retain(|_| false));
        assert_eq!(path(&mut writers, OTHER, old.0), None);
        assert_eq!(introduce(&mut writers, ONE, &new), "conn");
    }

    /// Shows: who has a path keeps it over the logger's death until its rings are known to be gone, so that
    /// it does not change hands with every record.
    #[test]
    fn a_path_is_held_by_whoever_has_it_before_its_first_line_after_a_death() {
        let (old, new) = (create("A::LOG", "conn", "n"), create("A::LOG", "conn", "m"));
        let mut writers = Writers::default();
        introduce(&mut writers, ONE, &old);
        let stored = writers.encode();
        let mut writers = Writers::decode(&stored).unwrap();
        assert_eq!(introduce(&mut writers, OTHER, &new), "conn-2");
        let mut writers = Writers::decode(&stored).unwrap();
        assert!(!writers.retain(|source| source == OTHER.source));
        assert_eq!(introduce(&mut writers, OTHER, &new), "conn");
    }

    /// Shows: a guest's lines go where it said itself that they go, and its word keeps no node from its file.
    #[test]
    fn a_guest_writes_only_as_those_it_has_introduced() {
        let (conn, other) = (create("A::LOG", "conn", "n"), create("B::LOG", "dns", "n"));
        let mut writers = Writers::default();
        introduce(&mut writers, ONE, &conn);
        assert_eq!(path(&mut writers, GUEST, conn.0), None);
        assert_eq!(introduce(&mut writers, GUEST, &conn), "conn");
        // It has found a content with the id of somebody else's.
        let id = create("C::LOG", "http", "n");
        writers.introduce(GUEST, id.0, other.1.clone()).unwrap();
        assert_eq!(path(&mut writers, GUEST, id.0).unwrap(), "dns");
        assert_eq!(introduce(&mut writers, ONE, &id), "http");
        assert_eq!(path(&mut writers, GUEST, id.0), None);
        let again = writers.introduce(GUEST, id.0, other.1);
        assert_eq!(again, Err(WriterRefusal::OtherContent));
        // A larger ring of the guest's.
        let larger = Sender {
            source: SourceId(4),
            ..GUEST
        };
        assert_eq!(path(&mut writers, larger, conn.0), None);
        writers.take_over(GUEST.source, larger.source);
        assert_eq!(path(&mut writers, larger, conn.0).unwrap(), "conn");
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

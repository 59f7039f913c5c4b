//! Which rotated files go, and what of an earlier life lies about.

use std::collections::BTreeSet;

use super::index::INDEX_SUFFIX;
use super::naming::Naming;
use crate::data::{Timespan, Timestamp};
use crate::logging::LogPath;

/// How long rotated files are kept; without any bound for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    /// Files that were closed longer ago go.
    pub age_max: Option<Timespan>,
    /// So many bytes of rotated files are kept at most.
    pub bytes_max: Option<u64>,
    /// So many bytes of the file system are to be free at least.
    pub free_min: Option<u64>,
}

/// A file as it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name, without its directory.
    pub name: String,
    /// Its bytes on the disk, with those of its index.
    pub bytes: u64,
    /// When its content was changed last.
    pub modified: Timestamp,
}

impl Expiry {
    /// Which files go, oldest first. Only those go that have the name of a rotated file, and are none of
    /// the `current` ones. `free` is what is free now, in bytes. Their indexes go with them.
    ///
    /// The age counts from the later of the time in the name and the last change, so that neither a
    /// wrong clock at the rotation nor a copied file makes one look old.
    #[must_use]
    pub fn expired<'a>(
        &self,
        naming: &Naming,
        listed: &'a [Listed],
        current: &BTreeSet<&str>,
        now: Timestamp,
        free: u64,
    ) -> Vec<&'a str> {
        let mut dated: Vec<(Timestamp, &Listed)> = dated(naming, listed, current).collect();
        dated.sort_by(|one, other| (one.0, &one.1.name).cmp(&(other.0, &other.1.name)));
        let mut kept: u64 = dated.iter().map(|(_, file)| file.bytes).sum();
        let mut free = free;
        let goes = |closed: Timestamp, kept: u64, free: u64| {
            let age = now.nanos().saturating_sub(closed.nanos());
            self.age_max.is_some_and(|max| age > max.nanos())
                || self.bytes_max.is_some_and(|max| kept > max)
                || self.free_min.is_some_and(|min| free < min)
        };
        let mut expired = Vec::new();
        for (closed, file) in dated {
            if !goes(closed, kept, free) {
                break;
            }
            kept = kept.saturating_sub(file.bytes);
            free = free.saturating_add(file.bytes);
            expired.push(file.name.as_str());
        }
        expired
    }

    /// When the first of these files is as old as any may be; `None` if none ever is.
    #[must_use]
    pub fn next(
        &self,
        naming: &Naming,
        listed: &[Listed],
        current: &BTreeSet<&str>,
    ) -> Option<Timestamp> {
        let age = self.age_max?.nanos();
        let closed = dated(naming, listed, current)
            .map(|(closed, _)| closed)
            .min()?;
        Some(Timestamp::from_nanos(closed.nanos().saturating_add(age)))
    }
}

/// Those that may go, each with the time from which its age counts.
fn dated<'a>(
    naming: &Naming,
    listed: &'a [Listed],
    current: &BTreeSet<&str>,
) -> impl Iterator<Item = (Timestamp, &'a Listed)> {
    let candidates = listed
        .iter()
        .filter(|file| !current.contains(file.name.as_str()));
    candidates.filter_map(|file| {
        let rotated = naming.parse(&file.name)?;
        let closed = rotated.closed.unwrap_or(rotated.opened);
        Some((closed.max(file.modified), file))
    })
}

/// The paths of current files that nobody knows: of a life whose state is gone, or of another program.
/// Opened, each is taken over if its index can be read, else set aside; rotated then, it is out of the
/// way, as Zeek rotates what is left over. `names` are those of the directory.
pub fn leftovers<'a>(
    names: impl IntoIterator<Item = &'a str>,
    extension: &str,
    naming: &Naming,
    known: &BTreeSet<&str>,
) -> BTreeSet<LogPath> {
    let paths = names.into_iter().filter_map(|name| {
        let name = name.strip_suffix(INDEX_SUFFIX).unwrap_or(name);
        let path = name.strip_suffix(extension)?.strip_suffix('.')?;
        let left = !known.contains(path) && naming.parse(name).is_none();
        left.then(|| LogPath::parse(path).ok()).flatten()
    });
    paths.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn listed(name: &str, bytes: u64, modified: i64) -> Listed {
        Listed {
            name: name.to_owned(),
            bytes,
            modified: at(modified),
        }
    }

    /// Three rotated files, a minute apart, of 10, 20 and 30 bytes; and others.
    fn samples() -> Vec<Listed> {
        let naming = Naming::default();
        let mut files: Vec<_> = [(60, 10), (120, 20), (180, 30)]
            .map(|(time, bytes)| listed(&naming.name("a", at(time), at(time), 0, true), bytes, 0))
            .to_vec();
        files.reverse();
        files.extend([listed("a.log", 1000, 0), listed("notes.txt", 1000, 0)]);
        files
    }

    fn gone(expiry: Expiry, now: i64, free: u64) -> usize {
        let files = samples();
        let expired = expiry.expired(&Naming::default(), &files, &BTreeSet::new(), at(now), free);
        let mut sorted = expired.clone();
        sorted.sort_unstable();
        assert_eq!(expired, sorted, "the oldest first");
        assert!(expired.iter().all(|name| name.starts_with("a.1970")));
        expired.len()
    }

    #[test]
    fn files_go_by_age_by_bytes_and_for_room_the_oldest_first() {
        let none = Expiry::default();
        assert_eq!(gone(none, 1_000_000, 0), 0);
        let age_max = Some(Timespan::from_nanos(100_000_000_000));
        let by_age = Expiry { age_max, ..none };
        assert_eq!(
            [150, 161, 221, 281].map(|now| gone(by_age, now, 0)),
            [0, 1, 2, 3]
        );
        assert_eq!(gone(by_age, -500, 0), 0);
        let next = |expiry: Expiry| expiry.next(&Naming::default(), &samples(), &BTreeSet::new());
        assert_eq!(next(by_age), Some(at(160)));
        assert_eq!(next(none), None);
        for (bytes_max, count) in [(60, 0), (59, 1), (50, 1), (49, 2), (29, 3), (0, 3)] {
            let bytes_max = Some(bytes_max);
            assert_eq!(gone(Expiry { bytes_max, ..none }, 0, 0), count);
        }
        for (free_min, count) in [(5, 0), (6, 1), (15, 1), (16, 2), (1000, 3)] {
            let free_min = Some(free_min);
            assert_eq!(gone(Expiry { free_min, ..none }, 0, 5), count);
        }
    }

    #[test]
    fn a_current_file_never_goes_whatever_its_name_is() {
        let files = [listed("a.1970-01-01-00-00-00.log", 10, 0)];
        let expiry = Expiry {
            bytes_max: Some(0),
            ..Expiry::default()
        };
        let expired = |current: &[&str]| {
            let current = current.iter().copied().collect();
            expiry
                .expired(&Naming::default(), &files, &current, at(0), 0)
                .len()
        };
        assert_eq!(expired(&[]), 1);
        assert_eq!(expired(&["a.1970-01-01-00-00-00.log"]), 0);
    }

    #[test]
    fn a_file_that_was_written_lately_is_young_whatever_its_name_says() {
        let files = [listed("a.1970-01-01-00-00-00.log", 10, 500)];
        let expiry = Expiry {
            age_max: Some(Timespan::from_nanos(1)),
            ..Expiry::default()
        };
        let expired = expiry.expired(&Naming::default(), &files, &BTreeSet::new(), at(500), 0);
        assert!(expired.is_empty());
    }

    #[test]
    fn current_files_that_nobody_knows_are_left_over() {
        let names = [
            "conn.log",
            "conn.log.idx",
            "http.log",
            "dns.log.idx",
            "conn.1970-01-01-00-00-00.log",
            "conn.1970-01-01-00-00-00.log.idx",
            "notes.txt",
            ".log",
            ".shadow.conn.log",
        ];
        let known = BTreeSet::from(["http"]);
        let found = leftovers(names, "log", &Naming::default(), &known);
        let found: Vec<&str> = found.iter().map(LogPath::as_str).collect();
        assert_eq!(found, ["conn", "dns"]);
    }
}

//! The oldest rotated files go, as the layout says.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::time::{Instant, SystemTime};

use super::instant_of;
use super::place::{Place, remove};
use crate::data::Timestamp;
use crate::logging::files::closed::PACKED_SUFFIX;
use crate::logging::files::expiry::Listed;
use crate::logging::files::index::INDEX_SUFFIX;
use crate::node::logger::config::Config;
use crate::sys::clock;
use crate::sys::directory::Directory;

/// Removes what is to go, and tells when the next file is old enough.
pub(super) fn expire(config: &Config, place: &Place) -> io::Result<Option<Instant>> {
    if !config.keeps_some() {
        return Ok(None);
    }
    let listed = list(place)?;
    let noted = noted(place)?;
    let noted = noted.iter().map(String::as_str).collect();
    let naming = config.naming();
    let expiry = config.expiry();
    let now: Timestamp = clock::wall().into();
    let free = place.root.free_bytes()?;
    for name in expiry.expired(&naming, &listed, &noted, now, free) {
        for directory in place.directories() {
            // The index last: alone, it goes the next time.
            for suffix in ["", PACKED_SUFFIX, INDEX_SUFFIX] {
                remove(directory, OsStr::new(&format!("{name}{suffix}")))?;
            }
        }
    }
    let next = expiry.next(&naming, &list(place)?, &noted);
    // A file is too old behind that moment, not in it.
    Ok(next.and_then(|at| instant_of(Timestamp::from_nanos(at.nanos().saturating_add(1)))))
}

/// Files that something is still to be done with, without their directories.
fn noted(place: &Place) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for note in place.notes()? {
        if let Some(closed) = place.read(&note)? {
            let name = closed
                .name
                .rsplit_once('/')
                .map_or(closed.name.as_str(), |(_, name)| name);
            names.insert(name.to_owned());
        }
    }
    Ok(names)
}

/// All that may be rotated files, each with its packed form and its index as one.
fn list(place: &Place) -> io::Result<Vec<Listed>> {
    let mut files: BTreeMap<String, Listed> = BTreeMap::new();
    for directory in place.directories() {
        for name in directory.names()? {
            let Some((plain, bytes, modified)) = look(directory, &name)? else {
                continue;
            };
            let listed = files.entry(plain.clone()).or_insert_with(|| Listed {
                name: plain,
                bytes: 0,
                modified,
            });
            listed.bytes = listed.bytes.saturating_add(bytes);
            listed.modified = listed.modified.max(modified);
        }
    }
    Ok(files.into_values().collect())
}

fn look(directory: &Directory, name: &OsStr) -> io::Result<Option<(String, u64, Timestamp)>> {
    let facts = match directory.entry(name).and_then(|entry| entry.metadata()) {
        Ok(facts) => facts,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(name) = name.to_str().filter(|_| facts.is_file()) else {
        return Ok(None);
    };
    let plain = name
        .strip_suffix(INDEX_SUFFIX)
        .or_else(|| name.strip_suffix(PACKED_SUFFIX))
        .unwrap_or(name);
    let modified = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH).into();
    // What it takes of the disk: a file can have holes.
    let bytes = facts.blocks().saturating_mul(512).max(facts.len());
    Ok(Some((plain.to_owned(), bytes, modified)))
}

//! An opinion of its own on what stands in the files: it reads their lines, and knows nothing of
//! indexes and states.

use std::collections::BTreeMap;

use super::disk::Disk;
use super::world::Ring;

/// Where a line belongs: path, source, number, and which of the record's lines it is.
type Key = (String, u128, u64, usize);

/// The line of a record.
pub(super) fn line(path: &str, source: u128, number: u64, part: usize) -> String {
    let padding = "x".repeat(usize::try_from((number * 7 + 3) % 23).unwrap());
    format!("{path} {source} {number} {part} {padding};\n")
}

fn parse(line: &str) -> Option<Key> {
    let mut words = line.strip_suffix(";\n")?.split(' ');
    let key = (
        words.next()?.to_owned(),
        words.next()?.parse().ok()?,
        words.next()?.parse().ok()?,
        words.next()?.parse().ok()?,
    );
    (line == self::line(&key.0, key.1, key.2, key.3)).then_some(key)
}

/// How much has to hold at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Somebody has just died: the last line of a file may be torn.
    Death,
    /// The files are taken over.
    Quiet,
    /// All records were written and released.
    End,
}

/// Every released record stands exactly once and in order, and nothing stands that was not sent.
pub(super) fn check(disk: &Disk, rings: &[Ring], moment: Moment) -> Result<(), String> {
    let mut stand: BTreeMap<Key, &str> = BTreeMap::new();
    let mut last: BTreeMap<(String, u128), (u64, usize)> = BTreeMap::new();
    for (name, bytes) in disk.files() {
        if !name.ends_with(".log") {
            continue;
        }
        let text = std::str::from_utf8(bytes).map_err(|_| format!("{name} is no text"))?;
        for line in text.split_inclusive('\n').filter(|l| !l.starts_with('#')) {
            let Some(key) = parse(line) else {
                if moment == Moment::Death && !line.ends_with('\n') {
                    continue;
                }
                return Err(format!("{name} has {line:?}"));
            };
            let place = (key.2, key.3);
            let before = last.insert((key.0.clone(), key.1), place);
            if before.is_some_and(|before| before >= place) {
                return Err(format!("{name}: {key:?} stands behind {before:?}"));
            }
            if let Some(other) = stand.insert(key.clone(), name) {
                return Err(format!("{key:?} stands in {other} and {name}"));
            }
        }
    }
    let mut sent = 0;
    for ring in rings {
        for (number, record) in (0..).zip(&ring.records) {
            if moment == Moment::End && number >= ring.head {
                return Err(format!("{number} of {} was not released", ring.id));
            }
            for (part, path) in record.iter().enumerate() {
                let key = (path.clone(), ring.id, number, part);
                let stands = stand.contains_key(&key);
                sent += usize::from(stands);
                if number < ring.head && !stands {
                    return Err(format!("{key:?} was released and does not stand"));
                }
            }
        }
    }
    if sent != stand.len() {
        return Err(format!(
            "{} lines stand, {sent} of them were sent",
            stand.len()
        ));
    }
    Ok(())
}

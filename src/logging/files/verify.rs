//! Proves of files and their indexes what stands in them: each number once, in order, whole.

use std::collections::BTreeMap;

use super::checksum::crc32;
use super::index::{Entry, Extent, Header, SLOT_BYTES, SourceId};

/// Faults of one file, and gaps of one source, that are told; more are counted only.
pub const TOLD_MAX: usize = 100;

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its index does not begin as one.
    NoHeader,
    /// Its index is another path's.
    OtherPath,
    /// The slot at this offset of the index is not an entry of it. Later ones were not looked at.
    IndexUnreadable {
        /// Its offset in the index.
        at: u64,
    },
    /// The bytes that an entry tells of are not all there. Usual only at the end of a file that is
    /// written now, or whose logger was killed and has no successor yet.
    Torn {
        /// Where they should begin.
        at: u64,
    },
    /// The bytes that an entry tells of are others.
    Altered {
        /// Where they begin.
        at: u64,
    },
    /// No entry tells of the last bytes.
    NotIndexed {
        /// Where they begin.
        at: u64,
    },
    /// A record stands twice in the path's files.
    Repeated {
        /// Whose it is.
        source: SourceId,
        /// Its number.
        number: u64,
    },
    /// A record stands behind a later one.
    OutOfOrder {
        /// Whose it is.
        source: SourceId,
        /// Its number.
        number: u64,
    },
}

/// What one file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// Records that stand whole.
    pub records: u64,
    /// The first faults, at most [`TOLD_MAX`].
    pub faults: Vec<Fault>,
    /// All of them.
    pub fault_count: u64,
}

/// What stands of one source, in all files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceReport {
    /// The source.
    pub source: SourceId,
    /// The lowest number.
    pub first: u64,
    /// The highest number.
    pub last: u64,
    /// Different numbers.
    pub records: u64,
    /// The first stretches of numbers between these two that stand nowhere, at most [`TOLD_MAX`]: first
    /// and last number of each. Records without lines are such, and those that were not for this
    /// logger's files.
    pub gaps: Vec<(u64, u64)>,
    /// Numbers in all of them.
    pub missing: u64,
}

/// Looks at one file after the other: of each path the oldest first.
#[derive(Debug, Default)]
pub struct Verifier {
    paths: BTreeMap<String, BTreeMap<SourceId, Numbers>>,
}

/// A set of numbers as stretches: the first of each, and the one behind its last.
#[derive(Clone, Debug, Default)]
struct Numbers {
    stretches: BTreeMap<u64, u64>,
}

impl Verifier {
    /// Looks at a file of a path and its index. Both are empty when a file was made and not written.
    pub fn add(&mut self, path: &str, index: &[u8], file: &[u8]) -> FileReport {
        let mut report = FileReport::default();
        if index.is_empty() && file.is_empty() {
            return report;
        }
        let (slots, torn) = index.as_chunks::<32>();
        let Some((first, slots)) = slots.split_first() else {
            report.fault(Fault::NoHeader);
            return report;
        };
        let Some((header, seed)) = Header::decode(first) else {
            report.fault(Fault::NoHeader);
            return report;
        };
        if header != Header::new(path, header.opened) {
            report.fault(Fault::OtherPath);
        }
        let sources = self.paths.entry(path.to_owned()).or_default();
        let mut table = Vec::new();
        let (mut at, mut end) = (SLOT_BYTES, 0);
        for slot in slots {
            let entry = Entry::decode(slot, seed, at);
            let Some(entry) = entry.filter(|entry| follows(entry, end, table.len())) else {
                report.fault(Fault::IndexUnreadable { at });
                return report;
            };
            at += SLOT_BYTES;
            if let Entry::Source { id, .. } = entry {
                table.push(id);
            }
            let Some(extent) = entry.extent() else {
                continue;
            };
            if !report.stands(file, end, extent) {
                return report;
            }
            end = extent.end;
            if let Entry::Record { source, number, .. } = entry {
                let source = usize::try_from(source).ok().and_then(|at| table.get(at));
                if let Some(source) = source {
                    report.record(*source, number, sources.entry(*source).or_default());
                }
            }
        }
        if !torn.is_empty() {
            report.fault(Fault::IndexUnreadable { at });
        }
        if u64::try_from(file.len()).is_ok_and(|length| length > end) {
            report.fault(Fault::NotIndexed { at: end });
        }
        report
    }

    /// What stands of each source in the files that were looked at.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceReport> {
        let mut all: BTreeMap<SourceId, Numbers> = BTreeMap::new();
        for (source, numbers) in self.paths.values().flatten() {
            all.entry(*source).or_default().join(numbers);
        }
        let reports = all.iter();
        reports
            .filter_map(|(source, numbers)| numbers.report(*source))
            .collect()
    }
}

/// Whether an entry can stand behind so many bytes of the file and so many sources.
fn follows(entry: &Entry, end: u64, sources: usize) -> bool {
    let behind = |extent: &Extent| end.checked_add(u64::from(extent.length)) == Some(extent.end);
    let position = |source: u32| usize::try_from(source).unwrap_or(usize::MAX);
    match entry {
        Entry::Text(extent) => behind(extent),
        Entry::Record { source, extent, .. } => behind(extent) && position(*source) < sources,
        Entry::Source { source, .. } => position(*source) == sources,
    }
}

impl FileReport {
    fn fault(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < TOLD_MAX {
            self.faults.push(fault);
        }
    }

    /// Whether the bytes of an entry are there; whether they are the right ones is told.
    fn stands(&mut self, file: &[u8], begin: u64, extent: Extent) -> bool {
        let range = usize::try_from(begin)
            .ok()
            .zip(usize::try_from(extent.end).ok());
        match range.and_then(|(begin, end)| file.get(begin..end)) {
            Some(bytes) if crc32(0, bytes) != extent.content => {
                self.fault(Fault::Altered { at: begin });
            }
            Some(_) => {}
            None => {
                self.fault(Fault::Torn { at: begin });
                return false;
            }
        }
        true
    }

    fn record(&mut self, source: SourceId, number: u64, numbers: &mut Numbers) {
        let in_order = numbers.end().is_none_or(|end| number >= end);
        if !numbers.add(number) {
            self.fault(Fault::Repeated { source, number });
            return;
        }
        if !in_order {
            self.fault(Fault::OutOfOrder { source, number });
        }
        self.records += 1;
    }
}

impl Numbers {
    /// The number behind the highest.
    fn end(&self) -> Option<u64> {
        self.stretches.last_key_value().map(|(_, end)| *end)
    }

    /// Adds a number; `false` if it was there.
    fn add(&mut self, number: u64) -> bool {
        let before = self.stretches.range(..=number).next_back();
        if before.is_some_and(|(_, end)| *end > number) {
            return false;
        }
        self.join_stretch(number, number.saturating_add(1));
        true
    }

    fn join(&mut self, other: &Self) {
        for (first, end) in &other.stretches {
            self.join_stretch(*first, *end);
        }
    }

    /// Adds a stretch, and joins it with those that it meets.
    fn join_stretch(&mut self, mut first: u64, mut end: u64) {
        while let Some((begin, behind)) = self.stretches.range(..=end).next_back() {
            let (begin, behind) = (*begin, *behind);
            if behind < first {
                break;
            }
            self.stretches.remove(&begin);
            first = first.min(begin);
            end = end.max(behind);
        }
        self.stretches.insert(first, end);
    }

    fn report(&self, source: SourceId) -> Option<SourceReport> {
        let (first, _) = self.stretches.first_key_value()?;
        let end = self.end()?;
        let ends = self.stretches.values();
        let gaps = ends.zip(self.stretches.keys().skip(1));
        let gaps = gaps.map(|(end, next)| (*end, next.saturating_sub(1)));
        let records = self.stretches.iter().map(|(first, end)| end - first).sum();
        Some(SourceReport {
            source,
            first: *first,
            last: end.saturating_sub(1),
            records,
            gaps: gaps.take(TOLD_MAX).collect(),
            missing: (end - first).saturating_sub(records),
        })
    }
}

#[cfg(test)]
mod tests;

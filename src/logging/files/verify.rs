//! Proves of files and their indexes what stands in them: each number once, in order, whole.
//!
//! Files are read from their beginning to their end in small pieces, in whatever order they come. What is
//! kept of them is the set of numbers of each path and source.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::checksum::crc32;
use super::index::{Entry, Extent, Header, SLOT_BYTES, SourceId};
use super::state::OpenFile;
use crate::data::Timestamp;
use numbers::Numbers;

mod numbers;

/// Faults of one file, and gaps of one source, that are told; more are counted only.
pub const TOLD_MAX: usize = 100;

/// Bytes of a file that are read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not there, though the state tells of it.
    Missing,
    /// There is no index beside it.
    NoIndex,
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
    /// Less stands than stood when the state was stored, though its index tells of no more.
    Shorter {
        /// Bytes that stood then.
        expected: u64,
        /// Bytes that stand.
        found: u64,
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
    /// When it was opened, and the checksum of its index's header, which tells it from other files.
    pub header: Option<(Timestamp, u32)>,
    /// Records that stand whole.
    pub records: u64,
    /// Bytes that entries tell of, and that are there.
    pub bytes: u64,
    /// The first faults, at most [`TOLD_MAX`].
    pub faults: Vec<Fault>,
    /// All of them.
    pub fault_count: u64,
}

/// What stands of one source in the files of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathReport {
    /// The path.
    pub path: String,
    /// The source.
    pub source: SourceId,
    /// The lowest and the highest number; `None` if all of it stood in files that were not looked at.
    pub bounds: Option<(u64, u64)>,
    /// Different numbers.
    pub records: u64,
    /// Records that stand once more.
    pub repetitions: u64,
    /// Numbers below this stood in files that were not looked at, and so did all lower ones.
    pub earlier: Option<u64>,
    /// The highest number of a file that was not looked at, though there are lower ones: a file is
    /// missing in between.
    pub absent: Option<u64>,
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
    /// All stretches of them.
    pub gap_count: u64,
    /// Numbers in all of them.
    pub missing: u64,
}

/// A file to look at, with its index.
#[derive(Debug)]
pub struct Input<'a, I, F> {
    /// Whose file it is.
    pub path: &'a str,
    /// The index, if there is one.
    pub index: Option<I>,
    /// The file.
    pub file: F,
    /// Of a file that is being written: its bytes before its index was opened, which have to tell of as
    /// many. Of any other one `None`: they have to tell of all.
    pub until: Option<u64>,
}

/// Looks at one file after the other.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    paths: BTreeMap<String, BTreeMap<SourceId, Stood>>,
}

/// What is known of one source in one path.
#[derive(Clone, Debug, Default)]
struct Stood {
    numbers: Numbers,
    repetitions: u64,
    /// Behind the last number of each file before another one.
    marks: Vec<u64>,
}

impl Verifier {
    /// Looks at a file and its index. Both are empty when a file was made and not written.
    ///
    /// # Errors
    /// What a reader says.
    pub fn add<I: Read, F: Read>(&mut self, input: Input<'_, I, F>) -> io::Result<FileReport> {
        let mut report = FileReport::default();
        let mut file = Lines::new(input.file);
        let Some(index) = input.index else {
            if !file.is_over(0, input.until)? {
                report.fault(Fault::NoIndex);
            }
            return Ok(report);
        };
        let mut slots = io::BufReader::with_capacity(CHUNK_BYTES, index);
        let mut slot = [0; 32];
        let read = read_slot(&mut slots, &mut slot)?;
        if read == 0 && file.is_over(0, input.until)? {
            return Ok(report);
        }
        let header = Some(&slot).filter(|_| read == slot.len());
        let Some((header, seed)) = header.and_then(Header::decode) else {
            report.fault(Fault::NoHeader);
            return Ok(report);
        };
        report.header = Some((header.opened, seed));
        if header != Header::new(input.path, header.opened) {
            report.fault(Fault::OtherPath);
        }
        let sources = self.paths.entry(input.path.to_owned()).or_default();
        // Of each source that the index knows, its last number in this file.
        let mut table: Vec<(SourceId, Option<u64>)> = Vec::new();
        let mut at = SLOT_BYTES;
        loop {
            let read = read_slot(&mut slots, &mut slot)?;
            if read == 0 {
                break;
            }
            let entry = Some(&slot).filter(|_| read == slot.len());
            let entry = entry.and_then(|slot| Entry::decode(slot, seed, at));
            let Some(entry) = entry.filter(|entry| follows(entry, report.bytes, table.len()))
            else {
                report.fault(Fault::IndexUnreadable { at });
                return Ok(report);
            };
            at += SLOT_BYTES;
            if let Entry::Source { id, next, .. } = entry {
                table.push((id, None));
                sources.entry(id).or_default().mark(next);
            }
            let Some(extent) = entry.extent() else {
                continue;
            };
            if !report.stands(&mut file, extent)? {
                return Ok(report);
            }
            if let Entry::Record { source, number, .. } = entry {
                let place = usize::try_from(source)
                    .ok()
                    .and_then(|at| table.get_mut(at));
                if let Some((source, last)) = place {
                    report.record(*source, number, last, sources.entry(*source).or_default());
                }
            }
        }
        if !file.is_over(report.bytes, input.until)? {
            report.fault(Fault::NotIndexed { at: report.bytes });
        }
        Ok(report)
    }

    /// Takes from elsewhere that what stood of a source in a path's files has numbers below `next`, and
    /// the highest of them stood there.
    pub fn stood(&mut self, path: &str, source: SourceId, next: u64) {
        let sources = self.paths.entry(path.to_owned()).or_default();
        sources.entry(source).or_default().mark(next);
    }

    /// What stands of each source in the files of each path that were looked at.
    pub fn paths(&self) -> impl Iterator<Item = PathReport> {
        self.paths.iter().flat_map(|(path, sources)| {
            let known = sources.iter();
            known.map(|(source, stood)| stood.report(path.clone(), *source))
        })
    }

    /// What stands of each source in all files that were looked at.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceReport> {
        let mut all: BTreeMap<SourceId, Vec<&Numbers>> = BTreeMap::new();
        for (source, stood) in self.paths.values().flatten() {
            all.entry(*source).or_default().push(&stood.numbers);
        }
        let reports = all.iter();
        reports
            .filter_map(|(source, paths)| match paths.as_slice() {
                [numbers] => report(*source, numbers),
                paths => {
                    let mut joined = Numbers::default();
                    for numbers in paths {
                        joined.join(numbers);
                    }
                    report(*source, &joined)
                }
            })
            .collect()
    }
}

/// Reads a slot, or what is left of one. Says how many bytes there were.
fn read_slot(from: &mut impl Read, slot: &mut [u8; 32]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = slot.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
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

fn report(source: SourceId, numbers: &Numbers) -> Option<SourceReport> {
    let (first, last) = numbers.bounds()?;
    let (mut gaps, mut gap_count, mut missing) = (Vec::new(), 0, 0);
    let mut behind = first;
    for (begin, end) in numbers.stretches() {
        if begin > behind {
            missing += begin - behind;
            gap_count += 1;
            if gaps.len() < TOLD_MAX {
                gaps.push((behind, begin - 1));
            }
        }
        behind = end.saturating_add(1);
    }
    Some(SourceReport {
        source,
        first,
        last,
        records: numbers.count(),
        gaps,
        gap_count,
        missing,
    })
}

/// The bytes of a file, piece by piece.
struct Lines<F> {
    file: io::BufReader<F>,
}

impl<F: Read> Lines<F> {
    fn new(file: F) -> Self {
        Self {
            file: io::BufReader::with_capacity(CHUNK_BYTES, file),
        }
    }

    /// The checksum of the next bytes; `None` if they are not all there.
    fn checksum(&mut self, length: u32) -> io::Result<Option<u32>> {
        let mut left = usize::try_from(length).unwrap_or(usize::MAX);
        let mut checksum = 0;
        while left > 0 {
            let bytes = match io::BufRead::fill_buf(&mut self.file) {
                Ok([]) => return Ok(None),
                Ok(bytes) => bytes.get(..left).unwrap_or(bytes),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            checksum = crc32(checksum, bytes);
            let read = bytes.len();
            left -= read;
            io::BufRead::consume(&mut self.file, read);
        }
        Ok(Some(checksum))
    }

    /// Whether no bytes follow the first `end`, which were read.
    fn is_over(&mut self, end: u64, until: Option<u64>) -> io::Result<bool> {
        match until {
            Some(until) => Ok(until <= end),
            None => Ok(read_slot(&mut self.file, &mut [0; 32])? == 0),
        }
    }
}

impl FileReport {
    /// Of a file that the state tells of, and that is not there.
    #[must_use]
    pub fn missing() -> Self {
        let mut report = Self::default();
        report.fault(Fault::Missing);
        report
    }

    /// Whether this is the file of a checkpoint. It has to have what it had then.
    pub fn is_of(&mut self, checkpoint: &OpenFile) -> bool {
        let ours = self.header == Some((checkpoint.opened, checkpoint.seed));
        if ours && self.bytes < checkpoint.length {
            self.fault(Fault::Shorter {
                expected: checkpoint.length,
                found: self.bytes,
            });
        }
        ours
    }

    fn fault(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < TOLD_MAX {
            self.faults.push(fault);
        }
    }

    /// Whether the bytes of an entry are there; whether they are the right ones is told.
    fn stands<F: Read>(&mut self, file: &mut Lines<F>, extent: Extent) -> io::Result<bool> {
        let at = self.bytes;
        match file.checksum(extent.length)? {
            Some(content) if content != extent.content => self.fault(Fault::Altered { at }),
            Some(_) => {}
            None => {
                self.fault(Fault::Torn { at });
                return Ok(false);
            }
        }
        self.bytes = extent.end;
        Ok(true)
    }

    fn record(&mut self, source: SourceId, number: u64, last: &mut Option<u64>, stood: &mut Stood) {
        let in_order = last.is_none_or(|last| number > last);
        *last = Some(last.map_or(number, |last| last.max(number)));
        if !stood.numbers.add(number) {
            stood.repetitions += 1;
            self.fault(Fault::Repeated { source, number });
            return;
        }
        if !in_order {
            self.fault(Fault::OutOfOrder { source, number });
        }
        self.records += 1;
    }
}

impl Stood {
    fn mark(&mut self, next: u64) {
        if next > 0 && self.marks.last() != Some(&next) {
            self.marks.push(next);
        }
    }

    fn report(&self, path: String, source: SourceId) -> PathReport {
        let bounds = self.numbers.bounds();
        let begins = |next: u64| bounds.is_none_or(|(first, _)| next <= first);
        let unseen = self.marks.iter().copied();
        let unseen = unseen.filter(|next| !self.numbers.contains(next - 1));
        let (earlier, absent): (Vec<u64>, Vec<u64>) = unseen.partition(|next| begins(*next));
        PathReport {
            path,
            source,
            bounds,
            records: self.numbers.count(),
            repetitions: self.repetitions,
            earlier: earlier.into_iter().max(),
            absent: absent.into_iter().max().map(|next| next - 1),
        }
    }
}

#[cfg(test)]
mod tests;

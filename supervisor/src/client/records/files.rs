//! Which log files lie in a logger's directory, and whose they are: by their indexes, and by their names
//! where there are none.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use flate2::read::MultiGzDecoder;

use cluster::data::Timestamp;
use cluster::logging::LogPath;
use cluster::logging::files::index::{Header, INDEX_SUFFIX};
use cluster::logging::files::naming::{Form, Naming, Rotated};

use crate::client::failure::ClientError;

/// What comes behind the name of a packed file.
const PACKED_SUFFIX: &str = ".gz";

/// Which file it is, under whatever name: device, inode, and time of birth, since inodes are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity(u64, u64, u128);

/// A log file.
#[derive(Clone, Debug)]
pub(super) struct LogFile {
    /// Whose file it is.
    pub(super) path: String,
    /// Its name in the logger's directory.
    pub(super) name: String,
    pub(super) location: PathBuf,
    pub(super) index: PathBuf,
    pub(super) identity: Identity,
    /// Of its index, which goes with it from name to name, and stays when it is packed.
    pub(super) index_identity: Option<Identity>,
    /// The path's lines go to it now.
    pub(super) is_current: bool,
    /// When it was opened, as far as that is known.
    pub(super) opened: Timestamp,
    /// When it was changed last.
    pub(super) modified: Timestamp,
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().ok();
        let born = born.and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        let born = born.map_or(0, |born| born.as_nanos());
        Self(metadata.dev(), metadata.ino(), born)
    }
}

impl LogFile {
    /// The current file of a path that has none, though the state says so.
    pub(super) fn absent(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            name: format!("{path}.{}", Naming::default().extension),
            location: PathBuf::new(),
            index: PathBuf::new(),
            identity: Identity(0, 0, 0),
            index_identity: None,
            is_current: true,
            opened: Timestamp::default(),
            modified: Timestamp::default(),
        }
    }

    /// What it is known by when it has another name, or is packed.
    pub(super) fn identities(&self) -> impl Iterator<Item = Identity> + use<> {
        [Some(self.identity), self.index_identity]
            .into_iter()
            .flatten()
    }

    pub(super) fn is_packed(&self) -> bool {
        self.name.ends_with(PACKED_SUFFIX)
    }

    /// Its bytes as they were written.
    pub(super) fn unpacked(&self, file: File) -> Box<dyn Read> {
        match self.is_packed() {
            true => Box::new(Unpacked(MultiGzDecoder::new(io::BufReader::new(file)))),
            false => Box::new(file),
        }
    }
}

/// What is packed in a file, as far as it can be unpacked: a damaged one ends early.
struct Unpacked(MultiGzDecoder<io::BufReader<File>>);

impl Read for Unpacked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match self.0.read(into) {
            Err(error) if [InvalidData, InvalidInput, UnexpectedEof].contains(&error.kind()) => {
                Ok(0)
            }
            other => other,
        }
    }
}

/// The loggers that have a directory, by name.
pub(super) fn loggers(logs: &Path) -> Result<Vec<String>, ClientError> {
    let mut names = Vec::new();
    for (name, metadata) in entries(logs)? {
        if metadata.is_dir() {
            names.push(name);
        }
    }
    Ok(names)
}

/// The directories in which a logger's files lie; the second one need not be there.
pub(super) fn directories(logs: &Path, logger: &str) -> [PathBuf; 2] {
    let own = logs.join(logger);
    let queue = Naming::supervised(None).directory.unwrap_or_default();
    [own.clone(), own.join(queue)]
}

/// A logger's files, of each path the oldest first.
pub(super) fn files(logs: &Path, logger: &str) -> Result<Vec<LogFile>, ClientError> {
    let mut files: Vec<LogFile> = Vec::new();
    let own = logs.join(logger);
    for directory in directories(logs, logger) {
        let is_queue = directory != own;
        for (name, metadata) in entries(&directory)? {
            let file = metadata.is_file();
            if let Some(file) = file.then(|| log_file(&own, &directory, &name, &metadata, is_queue))
            {
                files.extend(file);
            }
        }
    }
    // While a file is packed it lies there twice.
    let plain: Vec<PathBuf> = files.iter().map(|file| file.location.clone()).collect();
    files.retain(|file| !file.is_packed() || !plain.contains(&file.location.with_extension("")));
    files.sort_by(|a, b| {
        let key = |file: &LogFile| (file.is_current, file.opened, file.modified);
        (&a.path, key(a), &a.name).cmp(&(&b.path, key(b), &b.name))
    });
    Ok(files)
}

/// Everything in a directory; nothing if there is none. What vanishes meanwhile is left out.
fn entries(directory: &Path) -> Result<Vec<(String, Metadata)>, ClientError> {
    let failed = |source| ClientError::File {
        path: directory.to_owned(),
        source,
    };
    let listed = match fs::read_dir(directory) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut entries = Vec::new();
    for entry in listed {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().into_string().ok();
        let name = name.filter(|name| !name.starts_with('.'));
        if let (Some(name), Ok(metadata)) = (name, entry.metadata()) {
            entries.push((name, metadata));
        }
    }
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}

fn log_file(
    own: &Path,
    directory: &Path,
    name: &str,
    metadata: &Metadata,
    is_queue: bool,
) -> Option<LogFile> {
    let unpacked = name.strip_suffix(PACKED_SUFFIX).unwrap_or(name);
    let index = directory.join(format!("{unpacked}{INDEX_SUFFIX}"));
    let (header, index_identity) = match File::open(&index) {
        Ok(mut file) => (header(&mut file), file.metadata().ok()),
        Err(_) => (None, None),
    };
    let is_plain = !is_queue && unpacked == name;
    let (path, rotated) = owner(unpacked, header.as_ref(), is_plain)?;
    let changed = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    let modified = Timestamp::from_nanos(i64::try_from(changed).unwrap_or(i64::MAX));
    let opened = header.map(|header| header.opened);
    let named = rotated.as_ref().map(|rotated| rotated.opened);
    let location = directory.join(name);
    let relative = location.strip_prefix(own).unwrap_or(&location);
    Some(LogFile {
        path,
        name: relative.display().to_string(),
        index,
        identity: Identity::of(metadata),
        index_identity: index_identity.as_ref().map(Identity::of),
        is_current: rotated.is_none(),
        opened: opened.or(named).unwrap_or(modified),
        modified,
        location,
    })
}

fn header(index: &mut File) -> Option<Header> {
    let mut slot = [0; 32];
    index.read_exact(&mut slot).ok()?;
    Some(Header::decode(&slot)?.0)
}

/// Whose file has this name: of several readings that one which the index agrees with. Without one, a name
/// that can be of a rotated file is.
fn owner(name: &str, header: Option<&Header>, is_plain: bool) -> Option<(String, Option<Rotated>)> {
    let naming = Naming::default();
    let stem = name.strip_suffix(&naming.extension)?.strip_suffix('.')?;
    let current = is_plain.then(|| (stem.to_owned(), None));
    let forms = [Form::Archiver, Form::Dotted, Form::Dashed];
    let rotated = forms.into_iter().filter_map(|form| {
        let rotated = Naming {
            form,
            ..Naming::default()
        }
        .parse(name)?;
        Some((rotated.path.clone(), Some(rotated)))
    });
    let readings: Vec<(String, Option<Rotated>)> = rotated
        .chain(current)
        .filter(|(path, _)| LogPath::parse(path).is_ok())
        .collect();
    let agrees = |path: &str| {
        header.is_some_and(|header| header.path == Header::new(path, header.opened).path)
    };
    let found = readings.iter().find(|(path, _)| agrees(path));
    found.or_else(|| readings.first()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(name: &str, written_as: Option<&str>, is_plain: bool) -> Option<(String, bool)> {
        let header = written_as.map(|path| Header::new(path, Timestamp::from_nanos(5)));
        let (path, rotated) = owner(name, header.as_ref(), is_plain)?;
        Some((path, rotated.is_some()))
    }

    #[test]
    fn a_name_tells_whose_file_it_is_and_the_index_knows_better() {
        let is = |path: &str, rotated| Some((path.to_owned(), rotated));
        assert_eq!(owned("conn.log", None, true), is("conn", false));
        let archived = "conn__2023-11-14-22-13-20__2023-11-14-23-00-00__log_suffix=l-1__.log";
        assert_eq!(owned(archived, None, false), is("conn", true));
        let dotted = "conn.2023-11-14-22-13-20.log";
        assert_eq!(owned(dotted, None, true), is("conn", true));
        let odd = "conn.2023-11-14-22-13-20";
        assert_eq!(owned(dotted, Some(odd), true), is(odd, false));
        assert_eq!(owned(dotted, Some("conn"), true), is("conn", true));
        assert_eq!(
            owned("conn-23-11-14_22.13.20.log", None, true),
            is("conn", true)
        );
        assert_eq!(
            owned("conn.log", None, false),
            None,
            "no current file in the queue"
        );
        assert_eq!(owned("conn.log.idx", None, true), None);
        assert_eq!(owned("notes.txt", None, true), None);
    }
}

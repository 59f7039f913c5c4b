//! One node's side of the output: its pipes, its two files, its last lines.
//!
//! Owns: the read ends of its pipes.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use cluster::control::reply::{LogLine, Stream, moment};
use cluster::names::{Incarnation, NodeName};
use mio::unix::pipe::Receiver;
use nix::fcntl::{FcntlArg, fcntl};

use super::Settings;
use super::console::Console;
use super::file::{AppendFile, Appending, FileEvent};
use super::follow::Followers;
use super::lines::{End, MARK, Splitter};
use super::place::Owner;
use super::tail::{KeptLine, Tail};

/// When the system does not say how large a pipe is.
const PIPE_BYTES: usize = 64 * 1024;

/// What a node has beside its pipes.
#[derive(Debug, Default)]
pub(super) struct Node {
    out: Side,
    err: Side,
    /// Numbers of its pipes, oldest first.
    pub(super) pipes: Vec<usize>,
    /// The last one that was attached.
    pub(super) incarnation: Incarnation,
}

#[derive(Debug, Default)]
struct Side {
    /// `None` on the side of standard error: both share one file.
    file: Option<Place>,
    tail: Tail,
}

/// Where a stream is kept. A file is opened at its first byte: a thousand silent nodes cost no files, and
/// their names are all that is known of them.
#[derive(Debug)]
struct Place {
    path: Box<Path>,
    owner: Owner,
    file: Option<Box<AppendFile>>,
}

impl Place {
    fn is(&self, path: &Path, owner: Owner) -> bool {
        *self.path == *path && self.owner == owner
    }

    /// The file, not opened yet if it was not before.
    fn file(&mut self) -> &mut AppendFile {
        self.file
            .get_or_insert_with(|| Box::new(AppendFile::new(self.path.clone(), self.owner)))
    }
}

impl Node {
    /// From now on standard output goes there.
    pub(super) fn set_stdout_file(&mut self, path: PathBuf, owner: Owner) {
        if self
            .err
            .file
            .as_ref()
            .is_some_and(|err| err.is(&path, owner))
        {
            self.out.file = self.err.file.take();
        }
        set_file(&mut self.out.file, path, owner);
    }

    /// From now on standard error goes there.
    pub(super) fn set_stderr_file(&mut self, path: PathBuf, owner: Owner) {
        if self
            .out
            .file
            .as_ref()
            .is_some_and(|out| out.is(&path, owner))
        {
            self.err.file = None;
            return;
        }
        set_file(&mut self.err.file, path, owner);
    }

    /// Its files, and those that it has not written to yet.
    pub(super) fn all_files(&mut self) -> impl Iterator<Item = &mut AppendFile> {
        let places = self.out.file.iter_mut().chain(&mut self.err.file);
        places.map(Place::file)
    }

    /// Its files, as far as it has written to them.
    pub(super) fn files(&mut self) -> impl Iterator<Item = (Stream, &mut AppendFile)> {
        let sides = [
            (Stream::Out, &mut self.out.file),
            (Stream::Err, &mut self.err.file),
        ];
        let sides = sides.into_iter();
        sides.filter_map(|(stream, place)| Some((stream, place.as_mut()?.file.as_deref_mut()?)))
    }

    /// The last lines of one stream.
    pub(super) fn last(
        &self,
        stream: Stream,
        count: usize,
        since: Option<SystemTime>,
    ) -> Vec<KeptLine> {
        match stream {
            Stream::Out => self.out.tail.last(count, since),
            Stream::Err => self.err.tail.last(count, since),
        }
    }

    fn file_and_tail(&mut self, stream: Stream) -> (Option<&mut AppendFile>, &mut Tail) {
        let (out, err) = (&mut self.out, &mut self.err);
        let (place, tail) = match stream {
            Stream::Out => (out.file.as_mut(), &mut out.tail),
            Stream::Err => (err.file.as_mut().or(out.file.as_mut()), &mut err.tail),
        };
        (place.map(Place::file), tail)
    }
}

fn set_file(place: &mut Option<Place>, path: PathBuf, owner: Owner) {
    if let Some(same) = place.as_mut().filter(|place| place.is(&path, owner)) {
        if let Some(file) = &mut same.file {
            file.check();
        }
        return;
    }
    *place = Some(Place {
        path: path.into(),
        owner,
        file: None,
    });
}

/// Where lines go besides the file, and what is known of the moment.
pub(super) struct Desk {
    pub(super) settings: Settings,
    pub(super) console: Console,
    pub(super) followers: Followers,
    /// What happened to files since it was last emptied.
    pub(super) events: Vec<FileEvent>,
    pub(super) now: Instant,
    pub(super) clock: SystemTime,
}

impl Desk {
    /// What a write needs.
    pub(super) fn appending(&mut self) -> Appending<'_> {
        Appending {
            rotation: self.settings.rotation,
            now: self.now,
            events: &mut self.events,
        }
    }

    fn line(&mut self, from: &Speaker, tail: &mut Tail, parts: [&[u8]; 2]) {
        let name = from.node.as_str();
        tail.push(self.clock, from.incarnation, parts);
        self.console
            .node_line(from.stream, name, from.label.as_deref(), parts);
        if self.followers.is_empty() {
            return;
        }
        let at = self.clock;
        self.followers.line(&from.node, from.stream, || LogLine {
            at: moment(at),
            node: name.to_owned(),
            stream: from.stream,
            text: String::from_utf8_lossy(&parts.concat()).into_owned(),
        });
    }
}

/// Whose words come out of a pipe.
#[derive(Debug)]
pub(super) struct Speaker {
    pub(super) node: NodeName,
    pub(super) stream: Stream,
    pub(super) incarnation: Incarnation,
    /// A helper's; `None`: the node's own.
    pub(super) label: Option<Box<str>>,
}

/// One pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) from: Speaker,
    /// The main process has ended; a descendant holds the pipe.
    pub(super) left_behind: bool,
    /// It waits for its turn.
    pub(super) queued: bool,
    end: Receiver,
    splitter: Splitter,
    /// The last line so far, while it has no newline: no memory otherwise.
    partial: Vec<u8>,
}

/// How reading went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing more for now.
    Idle,
    /// There may be more.
    More,
    /// Nobody holds the other end.
    Ended,
}

impl Pipe {
    /// Takes the read end.
    pub(super) fn new(end: OwnedFd, from: Speaker) -> io::Result<Self> {
        let end = Receiver::from(end);
        end.set_nonblocking(true)?;
        Ok(Self {
            from,
            left_behind: false,
            queued: false,
            end,
            splitter: Splitter::default(),
            partial: Vec::new(),
        })
    }

    /// The descriptor, to wait for.
    pub(super) fn end(&mut self) -> &mut Receiver {
        &mut self.end
    }

    /// What it can hold: so much may lie in it.
    pub(super) fn capacity(&self) -> usize {
        let answer = fcntl(self.end.as_fd(), FcntlArg::F_GETPIPE_SZ).ok();
        let bytes = answer.and_then(|bytes| usize::try_from(bytes).ok());
        bytes.unwrap_or(PIPE_BYTES)
    }

    /// Reads at most `bytes_max` and delivers it.
    pub(super) fn turn(
        &mut self,
        number: usize,
        node: &mut Node,
        desk: &mut Desk,
        scratch: &mut [u8],
        bytes_max: usize,
    ) -> Turn {
        let mut left = bytes_max;
        while left > 0 {
            let length = scratch.len().min(left);
            let room = scratch.get_mut(..length).unwrap_or_default();
            match self.end.read(room) {
                Ok(0) => return Turn::Ended,
                Ok(count) => {
                    left -= count;
                    let chunk = room.get(..count).unwrap_or_default();
                    self.deliver(number, chunk, node, desk);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Idle,
                Err(_) => return Turn::Ended, // not a pipe, then: nothing will ever come
            }
        }
        Turn::More
    }

    fn deliver(&mut self, number: usize, chunk: &[u8], node: &mut Node, desk: &mut Desk) {
        let (mut file, tail) = node.file_and_tail(self.from.stream);
        let line_bytes_max = desk.settings.line_bytes_max;
        let (mut written, mut at) = (0, 0);
        for piece in self.splitter.split(chunk, line_bytes_max) {
            at += piece.bytes.len();
            match piece.end {
                End::Open => self.partial.extend_from_slice(piece.bytes),
                End::Newline => {
                    at += 1;
                    desk.line(&self.from, tail, [&self.partial, piece.bytes]);
                    self.partial = Vec::new();
                }
                End::Cut => {
                    if let Some(file) = &mut file {
                        let until_here = chunk.get(written..at).unwrap_or_default();
                        let mut to = desk.appending();
                        file.append(number, until_here, &mut to);
                        file.append_mark(number, MARK, &mut to);
                    }
                    written = at;
                    self.partial.extend_from_slice(piece.bytes);
                    let mark = MARK.trim_end().as_bytes();
                    desk.line(&self.from, tail, [&self.partial, mark]);
                    self.partial = Vec::new();
                }
            }
        }
        let rest = chunk.get(written..).unwrap_or_default();
        if let Some(file) = file.filter(|_| !rest.is_empty()) {
            file.append(number, rest, &mut desk.appending());
        }
    }

    /// Its line ends here, newline or not. It is in the file already.
    pub(super) fn end_line(&mut self, node: &mut Node, desk: &mut Desk) {
        let partial = std::mem::take(&mut self.partial);
        if !partial.is_empty() {
            let (_, tail) = node.file_and_tail(self.from.stream);
            desk.line(&self.from, tail, [&partial, b""]);
        }
    }
}

//! One connection to the supervisor: a request out, lines in, each within a time limit.
//!
//! Owns: the client's end of the control socket. Blocking, for one thread; knows lines, not what
//! they mean.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::stat::Mode;
use nix::sys::time::TimeVal;

use cluster::control::REQUEST_BYTES_MAX;
use cluster::control::request::Envelope;

use super::failure::ClientError;

/// A longer line is no answer.
const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// So much is read at a time.
const READ_BYTES: usize = 64 * 1024;
/// The supervisor keeps the time limit of a request itself; so much later we stop believing in it.
pub(crate) const ANSWER_GRACE: Duration = Duration::from_secs(2);
/// No wait on the socket is shorter: zero would mean for ever.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// One connection to the supervisor.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Where it leads, as it is shown: absolute.
    socket: PathBuf,
    stream: UnixStream,
    /// What was read; the bytes before `taken` were handed out already.
    buffer: Vec<u8>,
    taken: usize,
    /// No line end stands before this index.
    searched: usize,
    deadline: Option<Instant>,
}

impl Connection {
    /// Connects, within `limit`; the same limit holds for the first answer.
    pub(crate) fn open(socket: &Path, limit: Duration) -> Result<Self, ClientError> {
        let shown = std::path::absolute(socket).unwrap_or_else(|_| socket.to_owned());
        let stream = connect(socket, limit).map_err(|source| {
            let socket = shown.clone();
            if is_time_limit(&source) {
                ClientError::Silent { socket }
            } else if source.kind() == io::ErrorKind::PermissionDenied {
                ClientError::Forbidden { socket, source }
            } else {
                ClientError::Absent { socket, source }
            }
        })?;
        let mut connection = Self {
            socket: shown,
            stream,
            buffer: Vec::new(),
            taken: 0,
            searched: 0,
            deadline: None,
        };
        connection.limit(Some(limit));
        Ok(connection)
    }

    /// Sets the time within which what follows must have come; `None`: no limit.
    pub(crate) fn limit(&mut self, limit: Option<Duration>) {
        self.deadline = limit.and_then(|limit| now().checked_add(limit));
    }

    /// Sends a request as one line.
    pub(crate) fn send(&mut self, envelope: &Envelope) -> Result<(), ClientError> {
        let mut line = serde_json::to_vec(envelope).map_err(|error| self.garbled(&error))?;
        if line.len() > REQUEST_BYTES_MAX {
            return Err(ClientError::RequestTooLarge { bytes: line.len() });
        }
        line.push(b'\n');
        let wait = self.remaining()?;
        let sent = self
            .stream
            .set_write_timeout(wait)
            .and_then(|()| self.stream.write_all(&line));
        match sent {
            // The supervisor may have said why before it closed: the answer tells.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(self.failed(error)),
            Ok(()) => Ok(()),
        }
    }

    /// The next line without its end; `None` when the other side has closed after a whole line.
    pub(crate) fn line(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            if let Some(line) = self.take_line() {
                return String::from_utf8(line)
                    .map(Some)
                    .map_err(|error| self.garbled(&error));
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                let problem = format!("a line of more than {LINE_BYTES_MAX} bytes");
                return Err(self.garbled(&problem));
            }
            match self.fill() {
                Ok(0) if self.buffer.is_empty() => return Ok(None),
                Ok(0) => return Err(self.hung_up()),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Is a whole line there already, so that [`Connection::line`] would not wait?
    pub(crate) fn has_line(&self) -> bool {
        self.buffer.iter().skip(self.taken).any(|&b| b == b'\n')
    }

    /// Lets so much time pass; returns early if the other side says something unasked or leaves.
    pub(crate) fn pause(&self, time: Duration) -> Result<(), ClientError> {
        let milliseconds = u16::try_from(time.as_millis()).unwrap_or(u16::MAX);
        let mut watched = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
        match nix::poll::poll(&mut watched, PollTimeout::from(milliseconds)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(self.failed(error.into())),
        }
    }

    /// The other side closed where an answer was due.
    pub(crate) fn hung_up(&self) -> ClientError {
        ClientError::HungUp {
            socket: self.socket.clone(),
        }
    }

    /// What came is no answer.
    pub(crate) fn garbled(&self, problem: &dyn std::fmt::Display) -> ClientError {
        ClientError::Garbled {
            socket: self.socket.clone(),
            problem: problem.to_string(),
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let from = self.searched.max(self.taken);
        let found = self.buffer.iter().skip(from).position(|&b| b == b'\n');
        let Some(length) = found else {
            self.searched = self.buffer.len();
            return None;
        };
        let end = from + length;
        let line = self.buffer.get(self.taken..end).map(<[u8]>::to_vec);
        self.taken = end + 1;
        self.searched = self.taken;
        line
    }

    /// Reads some bytes; 0 at the end.
    fn fill(&mut self) -> Result<usize, ClientError> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.searched = self.buffer.len();
        let mut chunk = [0; READ_BYTES];
        loop {
            let wait = self.remaining()?;
            let read = self
                .stream
                .set_read_timeout(wait)
                .and_then(|()| self.stream.read(&mut chunk));
            match read {
                Ok(count) => {
                    self.buffer.extend(chunk.iter().take(count));
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(0),
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    fn remaining(&self) -> Result<Option<Duration>, ClientError> {
        let Some(deadline) = self.deadline else {
            return Ok(None);
        };
        match deadline.checked_duration_since(now()) {
            Some(left) => Ok(Some(left.max(WAIT_MIN))),
            None => Err(ClientError::Silent {
                socket: self.socket.clone(),
            }),
        }
    }

    fn failed(&self, source: io::Error) -> ClientError {
        let socket = self.socket.clone();
        if is_time_limit(&source) {
            ClientError::Silent { socket }
        } else {
            ClientError::Broken { socket, source }
        }
    }
}

/// A socket with a time limit says that it would block when the limit has passed.
fn is_time_limit(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// The client has no loop whose turn could carry a clock: it waits for one answer.
#[expect(
    clippy::disallowed_methods,
    reason = "the one clock of the client: a deadline for each answer"
)]
fn now() -> Instant {
    Instant::now()
}

/// Connects; a supervisor that accepts nobody must not hold us up longer than the limit.
fn connect(path: &Path, limit: Duration) -> io::Result<UnixStream> {
    let socket = socket::socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let limit = limit.max(WAIT_MIN);
    let microseconds = i64::from(limit.subsec_micros());
    let seconds = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
    let timeout = TimeVal::new(seconds, microseconds);
    socket::setsockopt(&socket, sockopt::SendTimeout, &timeout)?;
    match UnixAddr::new(path) {
        Ok(address) => socket::connect(socket.as_raw_fd(), &address)?,
        Err(Errno::ENAMETOOLONG) => connect_through_directory(&socket, path)?,
        Err(error) => return Err(error.into()),
    }
    Ok(UnixStream::from(socket))
}

/// An address holds about a hundred bytes; a longer path is walked by its directory's descriptor.
fn connect_through_directory(socket: &OwnedFd, path: &Path) -> io::Result<()> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::ENAMETOOLONG.into());
    };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = nix::fcntl::open(directory, flags, Mode::empty())?;
    let short = Path::new("/proc/self/fd")
        .join(directory.as_raw_fd().to_string())
        .join(name);
    socket::connect(socket.as_raw_fd(), &UnixAddr::new(&short)?)?;
    Ok(())
}

//! What the operator sees: every line of every node on our own standard output or error, behind
//! the node's name, and our own log.
//!
//! Owns: duplicates of standard output and error, through an [`Outlet`] each. A terminal that
//! stands still or a reader that left costs lines here and nothing anywhere else.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use cluster::control::reply::Stream;

use super::file::{AppendFile, Rotation};
use super::outlet::{Outlet, QUEUE_BYTES_MAX, QUEUE_BYTES_RESERVE, Target};

const NEVER: Rotation = Rotation { bytes: 0, keep: 0 };

/// The supervisor's standard output and error. Cloned freely.
#[derive(Clone, Debug)]
pub(crate) struct Console {
    out: Outlet,
    err: Outlet,
    dropped: Arc<AtomicU64>,
}

impl Console {
    /// The console of this process.
    ///
    /// # Errors
    /// The system has no more descriptors or threads.
    pub(crate) fn of_this_process() -> io::Result<Self> {
        Self::on(
            io::stdout().as_fd().try_clone_to_owned()?,
            io::stderr().as_fd().try_clone_to_owned()?,
        )
    }

    /// A console on any two descriptors.
    ///
    /// # Errors
    /// The system has no more threads.
    pub(crate) fn on(out: OwnedFd, err: OwnedFd) -> io::Result<Self> {
        let dropped = Arc::new(AtomicU64::new(0));
        let start = |name, descriptor| {
            let target = Target::Stdio(File::from(descriptor));
            Outlet::start(name, target, NEVER, Arc::clone(&dropped))
        };
        Ok(Self {
            out: start("console-out", out)?,
            err: start("console-err", err)?,
            dropped: Arc::clone(&dropped),
        })
    }

    /// Shows a line of a node, given in parts and without its newline, behind `[name] ` or
    /// `[name/label] `. Never waits.
    pub(super) fn node_line(
        &self,
        stream: Stream,
        name: &str,
        label: Option<&str>,
        line: [&[u8]; 2],
    ) {
        let outlet = match stream {
            Stream::Out => &self.out,
            Stream::Err => &self.err,
        };
        let slash: &[u8] = if label.is_some() { b"/" } else { b"" };
        let label = label.unwrap_or_default().as_bytes();
        let [head, tail] = line;
        let parts = [
            b"[",
            name.as_bytes(),
            slash,
            label,
            b"] ",
            head,
            tail,
            b"\n",
        ];
        outlet.push(&parts, QUEUE_BYTES_MAX);
    }

    /// Shows a line of the supervisor itself, on standard error. Never waits.
    pub(crate) fn supervisor_line(&self, text: &str) {
        self.err.push(
            &[b"[supervisor] ", text.as_bytes(), b"\n"],
            QUEUE_BYTES_MAX + QUEUE_BYTES_RESERVE,
        );
    }

    /// The end of a turn: what was said in it is shown.
    pub(crate) fn kick(&self) {
        self.out.kick();
        self.err.kick();
    }

    /// Lines that were not shown because the console did not take them in time.
    pub(crate) fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// Waits until everything is shown or `deadline` has come; true: everything is. For the end
    /// of the process; before, nobody waits for a console.
    pub(crate) fn flush(&self, deadline: Instant) -> bool {
        let out = self.out.flush(deadline);
        self.err.flush(deadline) && out
    }
}

/// `supervisor.log`: our own lines, kept like the output of a node. Cloned freely.
#[derive(Clone, Debug)]
pub(crate) struct SupervisorLog {
    outlet: Outlet,
    dropped: Arc<AtomicU64>,
}

impl SupervisorLog {
    /// Opens the file, so that a run directory that cannot be written is found at start.
    ///
    /// # Errors
    /// The file cannot be opened or made, or the system has no more threads.
    pub(crate) fn open(path: PathBuf, rotation: Rotation) -> io::Result<Self> {
        let mut file = AppendFile::new(path, None);
        file.open()?;
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        Ok(Self {
            outlet: Outlet::start("supervisor-log", Target::Log(file), rotation, counter)?,
            dropped,
        })
    }

    /// Appends one line, without its newline. Never waits.
    pub(crate) fn line(&self, text: &str) {
        self.outlet.push(
            &[text.as_bytes(), b"\n"],
            QUEUE_BYTES_MAX + QUEUE_BYTES_RESERVE,
        );
    }

    /// The end of a turn: what was said in it is written.
    pub(crate) fn kick(&self) {
        self.outlet.kick();
    }

    /// Opens the file again by its name, after somebody moved it away.
    pub(crate) fn reopen(&self) {
        self.outlet.reopen();
    }

    /// Changes when the file is rotated.
    pub(crate) fn set_rotation(&self, rotation: Rotation) {
        self.outlet.set_rotation(rotation);
    }

    /// Lines that did not get into the file because the disk did not take them in time.
    pub(crate) fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// As [`Console::flush`].
    pub(crate) fn flush(&self, deadline: Instant) -> bool {
        self.outlet.flush(deadline)
    }
}

/// Where the logger of this process writes: into `supervisor.log` and onto the console. Writing
/// never blocks and never fails.
#[derive(Clone, Debug)]
pub(crate) struct ConsoleLog {
    /// The file, once the run directory is known.
    pub(crate) log: Option<SupervisorLog>,
    /// The console.
    pub(crate) console: Console,
}

impl Write for ConsoleLog {
    /// Takes one formatted record, as the logger hands it over.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        for line in String::from_utf8_lossy(record).lines() {
            if let Some(log) = &self.log {
                log.line(line);
            }
            self.console.supervisor_line(line);
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

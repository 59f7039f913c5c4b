//! Signals of the supervisor: flags set by handlers, a pipe that wakes the loop.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

use super::Daemon;
use super::events::Weight;

const ALL: [i32; 7] = [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// The signals that came.
#[derive(Debug)]
pub(super) struct Signals {
    pipe: UnixStream,
    flags: Vec<(i32, Arc<AtomicBool>)>,
}

impl Signals {
    /// Installs the handlers.
    ///
    /// # Errors
    /// The system's, when it has no descriptor left.
    pub(super) fn install() -> io::Result<Self> {
        let (pipe, hand) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        let mut flags = Vec::new();
        for signal in ALL {
            let flag = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
            // Registered second: the flag is up when the pipe wakes the loop.
            signal_hook::low_level::pipe::register(signal, hand.try_clone()?)?;
            flags.push((signal, flag));
        }
        Ok(Self { pipe, flags })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    fn take(&mut self) -> Vec<i32> {
        let mut buffer = [0; 64];
        while let Ok(1..) = self.pipe.read(&mut buffer) {}
        self.flags
            .iter()
            // Flags carry nothing but themselves; the pipe orders them.
            .filter(|(_, flag)| flag.swap(false, Ordering::Relaxed))
            .map(|(signal, _)| *signal)
            .collect()
    }
}

impl Daemon {
    pub(super) fn on_signals(&mut self, now: Instant) {
        for signal in self.signals.take() {
            match signal {
                SIGCHLD => self.reap(now),
                SIGTERM | SIGINT => self.ask_to_stop(now),
                SIGQUIT => self.stop_without_grace(now),
                SIGHUP => self.reload(now),
                SIGUSR1 => self.roll_all(now),
                SIGUSR2 => self.dump(now),
                _ => {} // none other is installed
            }
        }
    }

    /// SIGUSR2: state and queues into the log, and fresh files under the old names.
    fn dump(&mut self, now: Instant) {
        self.log.reopen();
        self.output.send(crate::output::Command::Reopen);
        let reply = self.status_reply(None, now);
        let cluster = format!("{:?}", reply.cluster).to_lowercase();
        self.event(Weight::Info, "dump", None, &[("cluster", cluster)]);
        for node in reply.nodes {
            match serde_json::to_string(&node) {
                Ok(text) => log::info!("event=dump_node {text}"),
                Err(error) => log::error!("event=bug error=\"cannot encode a node: {error}\""),
            }
        }
        log::info!(
            "event=dump_queues clients={} operations={} console_lines_lost={} log_lines_lost={}",
            self.clients.count(),
            self.operations.count(),
            self.console.dropped().load(Ordering::Relaxed),
            self.log.dropped().load(Ordering::Relaxed),
        );
    }
}

//! `sub`: shows what is published, and never holds up who publishes.
//!
//! What it has taken out of its rings and not written yet is one record, or a few small ones; while
//! standard output takes nothing it takes nothing more, the rings fill, and publishers drop and count.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::libc::{SIGINT, SIGTERM};
use nix::poll::PollFlags;

use cluster::control::Code;
use cluster::node::endpoint::{Delivery, Endpoint};
use cluster::sys::signals::{self, SignalReader};
use cluster::sys::{clock, standard};

use super::rows::Row;
use super::{Place, Watched, sleep};
use crate::cli::fabric::SubArgs;
use crate::client::failure::{ClientError, End};
use crate::client::out::Console;

/// More than so much is not formatted ahead of what standard output takes, beyond the last record.
const AHEAD_BYTES_MAX: usize = 64 * 1024;

/// A pipe that can be written to takes so much without blocking.
const WRITE_BYTES: usize = 4096;

/// Subscribes, and shows everything until the end.
pub(super) fn subscribe(
    args: &SubArgs,
    place: &Place,
    console: &mut Console<'_>,
) -> Result<Code, ClientError> {
    if standard::output_was_closed() && !console.is_quiet() {
        return Err(io::Error::other("standard output is closed").into());
    }
    let ends = [SIGINT, SIGTERM];
    signals::block(&ends)?;
    let interrupts = SignalReader::new(&ends)?;
    let mut endpoint = place.attach()?;
    for prefix in &args.prefixes {
        endpoint
            .subscribe(prefix, Delivery::AtLeastOnce)
            .map_err(|_| ClientError::Usage("a prefix is longer than any topic"))?;
    }
    endpoint.announce();
    let wanted = args.count.map(u64::from);
    let limited = args.common.timeout.filter(|_| wanted.is_some());
    let mut show = Show {
        place,
        endpoint,
        interrupts,
        until: limited.map(|limit| clock::monotonic() + limit),
        wanted,
        seen: 0,
        pending: Vec::new(),
        written: 0,
    };
    let done = show.run(console);
    let missed = show.endpoint.missed();
    if missed > 0 && !matches!(done, Err(ClientError::Output(_))) {
        console.warn(&format!(
            "{missed} records were dropped, since they were not taken in time"
        ));
    }
    done
}

struct Show<'a> {
    place: &'a Place,
    endpoint: Endpoint,
    interrupts: SignalReader,
    until: Option<Instant>,
    wanted: Option<u64>,
    seen: u64,
    /// What is to be written, and how much of it was.
    pending: Vec<u8>,
    written: usize,
}

impl Show<'_> {
    fn run(&mut self, console: &mut Console<'_>) -> Result<Code, ClientError> {
        let output = io::stdout();
        loop {
            if self.pending.is_empty() {
                self.take(console);
            }
            if self.pending.is_empty() && self.wanted.is_some_and(|wanted| self.seen >= wanted) {
                return Ok(Code::Done);
            }
            let is_behind = !self.pending.is_empty();
            let interrupts = Watched {
                on: self.interrupts.as_fd(),
                flags: PollFlags::POLLIN,
            };
            // Also while there is nothing to write: whoever read us may have seen enough.
            let output = Watched {
                on: output.as_fd(),
                flags: match is_behind {
                    true => PollFlags::POLLOUT,
                    false => PollFlags::empty(),
                },
            };
            let watched = match console.is_quiet() {
                true => vec![interrupts],
                false => vec![interrupts, output],
            };
            let ready = sleep(&mut self.endpoint, !is_behind, &watched, self.until)?;
            if ready.first().is_some_and(|ready| !ready.is_empty()) {
                return self.interrupted();
            }
            let output = ready.get(1).copied().unwrap_or(PollFlags::empty());
            if output.intersects(PollFlags::POLLERR | PollFlags::POLLHUP) {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
            }
            if output.contains(PollFlags::POLLOUT) {
                self.write(console)?;
            }
            self.look_at_the_time()?;
            self.look_at_the_supervisor()?;
        }
    }

    /// Takes a few records, as far as they are wanted and small.
    fn take(&mut self, console: &Console<'_>) {
        loop {
            let left = self.wanted.map_or(1, |wanted| wanted - self.seen).min(1);
            let (pending, quiet, json) = (&mut self.pending, console.is_quiet(), console.json);
            let budget = usize::try_from(left).unwrap_or(1);
            let mut seen = 0;
            let taken = self.endpoint.drain(budget, |outbox, record| {
                seen += 1;
                if quiet {
                    return;
                }
                let mut peers = outbox.peers();
                let from = peers.find(|(slot, _)| *slot == record.receipt.from);
                let row = Row {
                    time: clock::wall(),
                    from: from.map(|(_, entry)| entry.name.as_str()),
                    topic: record.topic,
                    payload: record.payload,
                };
                if json {
                    row.write_json(pending);
                } else {
                    row.write_text(pending, console.paint);
                }
            });
            self.seen += seen;
            if taken == 0 || self.pending.len() > AHEAD_BYTES_MAX {
                return;
            }
        }
    }

    /// Writes as much as does not block.
    fn write(&mut self, console: &mut Console<'_>) -> Result<(), ClientError> {
        let rest = self.pending.get(self.written..).unwrap_or_default();
        let chunk = rest.get(..WRITE_BYTES).unwrap_or(rest);
        console.print_bytes(chunk)?;
        self.written += chunk.len();
        if self.written >= self.pending.len() {
            self.written = 0;
            self.pending.clear();
            self.pending.shrink_to(AHEAD_BYTES_MAX);
        }
        Ok(())
    }

    fn interrupted(&self) -> Result<Code, ClientError> {
        match self.wanted {
            Some(wanted) => Err(self.too_few(wanted, End::Interrupted)),
            None => Ok(Code::Done),
        }
    }

    fn look_at_the_time(&self) -> Result<(), ClientError> {
        match (self.until, self.wanted) {
            (Some(until), Some(wanted)) if clock::monotonic() >= until && self.seen < wanted => {
                Err(self.too_few(wanted, End::TimeLimit))
            }
            _ => Ok(()),
        }
    }

    fn too_few(&self, wanted: u64, until: End) -> ClientError {
        ClientError::TooFew {
            seen: self.seen,
            wanted,
            until,
        }
    }

    /// Stems come and go. Without a supervisor there will be none.
    fn look_at_the_supervisor(&self) -> Result<(), ClientError> {
        let has_stem = self.endpoint.seat().is_some();
        if self.endpoint.is_lost() || !has_stem && UnixStream::connect(&self.place.control).is_err()
        {
            return Err(self.place.hung_up());
        }
        Ok(())
    }
}

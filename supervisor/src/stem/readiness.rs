//! How the stem learns that a child is ready, or alive: notices it gives, and probes that ask.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use cluster::layout::spec::{Program, Ready};
use cluster::names::NodeName;
use cluster::net::poller::Key;
use cluster::supervise::vocabulary::{HelperPurpose, Report};
use cluster::sys;
use mio::net::TcpStream;

use super::helper_processes::Plan;
use super::newborn::NOTIFY_SOCKET;
use super::records::Notice;
use super::{Source, Stem};

/// A probe that failed is repeated after this long.
const PROBE_AGAIN: Duration = Duration::from_millis(100);

/// A readiness command that takes longer is killed, and asked again.
const PROBE_COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest datagram of the `sd_notify` protocol that is read, and as much as a notification pipe may
/// hold before its first newline.
const NOTICE_BYTES_MAX: usize = 4096;

/// So many datagrams of a child are read in one turn, or so many portions of its pipe.
const READS_A_TURN: usize = 16;

/// Who had more to say than that is heard again after this long. Until then its socket is full and it has
/// to wait, so that its talk costs little of the processor.
const HEAR_AGAIN: Duration = Duration::from_millis(10);

/// What a child left unread when it ended; those it leaves behind may still be writing.
const LAST_READS: usize = 1024;

/// Asks from outside whether a child is ready.
#[derive(Debug)]
pub(super) struct Probe {
    kind: Kind,
    /// When to ask (again); `None` while an answer is awaited.
    next: Option<Instant>,
}

#[derive(Debug)]
enum Kind {
    Tcp {
        address: SocketAddr,
        stream: Option<(TcpStream, Key)>,
    },
    Exec(Vec<String>),
}

/// What a datagram of the `sd_notify` protocol says, as far as we act on it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    ready: bool,
    alive: bool,
    status: Option<String>,
}

impl Said {
    fn parse(datagram: &[u8]) -> Self {
        let mut said = Self::default();
        for line in datagram.split(|byte| *byte == b'\n') {
            match line {
                b"READY=1" => said.ready = true,
                b"WATCHDOG=1" => said.alive = true,
                _ => {
                    if let Some(text) = line.strip_prefix(b"STATUS=") {
                        said.status = Some(String::from_utf8_lossy(text).into_owned());
                    } // other words of the protocol ask for nothing that we do
                }
            }
        }
        said
    }

    /// What is said later counts, as far as it says anything.
    fn add(&mut self, later: Self) {
        self.ready |= later.ready;
        self.alive |= later.alive;
        self.status = later.status.or_else(|| self.status.take());
    }
}

/// All that was heard of one child in one turn.
#[derive(Debug, Default)]
struct Heard {
    /// By a pipe; a socket says so in its own words.
    ready: bool,
    /// Too much, and no line among it.
    babble: bool,
    said: Said,
}

/// Is there more to come?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listening {
    /// Nothing more just now.
    GoesOn,
    /// It has had its share of this turn; there may be more.
    Interrupted,
    Over,
}

impl Notice {
    /// Reads what lies there, but only so many times: who never stops talking may not keep the stem from
    /// everybody else.
    fn listen(&mut self, reads: usize, builtin: bool, heard: &mut Heard) -> Listening {
        let mut buffer = [0; NOTICE_BYTES_MAX];
        for _ in 0..reads {
            let read = match self {
                Self::Pipe { fd, .. } | Self::Executed(fd) => nix::unistd::read(fd, &mut buffer),
                Self::Socket(fd) => {
                    let flags = nix::sys::socket::MsgFlags::MSG_DONTWAIT;
                    nix::sys::socket::recv(fd.as_raw_fd(), &mut buffer, flags)
                }
            };
            let Ok(length) = read else {
                return Listening::GoesOn;
            };
            let bytes = buffer.get(..length).unwrap_or_default();
            match self {
                Self::Socket(_) => heard.said.add(Said::parse(bytes)),
                Self::Pipe { .. } if bytes.is_empty() => return Listening::Over,
                Self::Pipe { bytes_heard, .. } => {
                    if builtin || bytes.contains(&b'\n') {
                        heard.ready = true;
                        return Listening::Over;
                    }
                    *bytes_heard = bytes_heard.saturating_add(length);
                    if *bytes_heard > NOTICE_BYTES_MAX {
                        heard.babble = true;
                        return Listening::Over;
                    }
                }
                Self::Executed(_) => {
                    // A byte: it was not executed, and is about to end.
                    heard.ready |= bytes.is_empty();
                    return Listening::Over;
                }
            }
        }
        Listening::Interrupted
    }
}

impl Stem {
    /// One of its notification pipes, or its socket, has something to read.
    pub(super) fn on_notice(&mut self, name: &NodeName, now: Instant) {
        // Who was interrupted has to wait until its turn comes again.
        if !self.interrupted.contains(name) {
            self.hear(name, READS_A_TURN, now);
        }
    }

    /// Hears those out who were interrupted, for another share each.
    pub(super) fn hear_interrupted(&mut self, now: Instant) {
        if self.hear_again.is_none_or(|at| at > now) {
            return;
        }
        self.hear_again = None;
        for name in std::mem::take(&mut self.interrupted) {
            self.hear(&name, READS_A_TURN, now);
        }
    }

    /// It is gone, or about to be: what lies there is its last.
    pub(super) fn hear_last_words(&mut self, name: &NodeName, now: Instant) {
        self.hear(name, LAST_READS, now);
        self.interrupted.remove(name);
    }

    fn hear(&mut self, name: &NodeName, reads: usize, now: Instant) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        let builtin = matches!(record.spec.program, Program::Builtin(_));
        let Some(live) = &mut record.live else {
            return; // it was reaped in this turn
        };
        let mut heard = Heard::default();
        let mut ended = Vec::new();
        for (notice, key) in &mut live.notices {
            match notice.listen(reads, builtin, &mut heard) {
                Listening::GoesOn => {}
                Listening::Interrupted => {
                    self.interrupted.insert(name.clone());
                    self.hear_again.get_or_insert(now + HEAR_AGAIN);
                }
                Listening::Over => ended.push(*key),
            }
        }
        for key in ended {
            self.close_notice(name, key);
        }
        if heard.babble {
            let text = format!(
                "it wrote more than {NOTICE_BYTES_MAX} bytes to NOTIFY_FD without a newline, \
                 and is not listened to any more; a line says that it is ready"
            );
            self.problem(Some(name), &text);
        }
        if heard.ready {
            self.fleet.ready(name, now);
        }
        self.on_said(name, heard.said, now);
    }

    fn on_said(&mut self, name: &NodeName, said: Said, now: Instant) {
        let waits = self
            .records
            .get(name)
            .is_some_and(|record| record.spec.ready == Ready::SdNotify);
        if said.alive
            && let Some(heartbeat) = self.live(name).and_then(|live| live.heartbeat.as_ref())
        {
            heartbeat.beat(sys::clock::monotonic_ns());
        }
        // Words for those who look; facts that the supervisor acts on go first.
        if let Some(text) = said.status.filter(|_| !self.link.is_pressed()) {
            let name = name.clone();
            self.link.report(Report::Status { name, text }, vec![]);
        }
        if said.ready && waits {
            self.fleet.ready(name, now);
        }
    }

    fn close_notice(&mut self, name: &NodeName, key: Key) {
        let notices = self.live_mut(name).map(|live| &mut live.notices);
        let Some(notices) = notices else {
            return;
        };
        let found = notices.iter().position(|(_, own)| *own == key);
        if let Some((notice, key)) = found.map(|index| notices.swap_remove(index)) {
            self.poller.remove(key, notice.fd());
        }
    }

    /// Ends the wait for notices: the child is gone.
    pub(super) fn close_notices(&mut self, name: &NodeName) {
        let notices = self
            .live_mut(name)
            .map(|live| std::mem::take(&mut live.notices));
        for (notice, key) in notices.unwrap_or_default() {
            self.poller.remove(key, notice.fd());
            if matches!(notice, Notice::Socket(_))
                && let Some(record) = self.records.get(name)
            {
                // Nobody may find a socket that no one reads.
                let _ = std::fs::remove_file(record.spec.home.join(NOTIFY_SOCKET));
            }
        }
    }

    pub(super) fn begin_probe(&mut self, name: &NodeName, now: Instant) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        let kind = match &record.spec.ready {
            Ready::Tcp(address) => Kind::Tcp {
                address: *address,
                stream: None,
            },
            Ready::Exec(command) => Kind::Exec(command.clone()),
            Ready::AtOnce | Ready::Notify | Ready::SdNotify => return,
        };
        if let Some(live) = &mut record.live {
            live.probe = Some(Probe {
                kind,
                next: Some(now),
            });
            self.probing.insert(name.clone());
        }
    }

    pub(super) fn next_probe(&self) -> Option<Instant> {
        self.probing
            .iter()
            .filter_map(|name| self.live(name)?.probe.as_ref()?.next)
            .min()
    }

    pub(super) fn run_probes(&mut self, now: Instant) {
        let due: Vec<NodeName> = self
            .probing
            .iter()
            .filter(|name| {
                self.live(name)
                    .and_then(|live| live.probe.as_ref()?.next)
                    .is_some_and(|at| at <= now)
            })
            .cloned()
            .collect();
        for name in due {
            self.ask(&name, now);
        }
    }

    fn ask(&mut self, name: &NodeName, now: Instant) {
        let Some(live) = self.records.get_mut(name).and_then(|r| r.live.as_mut()) else {
            return;
        };
        let Some(probe) = &mut live.probe else {
            return;
        };
        probe.next = None;
        match &mut probe.kind {
            Kind::Exec(command) => {
                let planned = self.helpers.plan(Plan {
                    name: name.clone(),
                    purpose: HelperPurpose::Readiness,
                    command: command.clone(),
                    input: String::new(),
                    timeout: PROBE_COMMAND_TIMEOUT,
                });
                if !planned {
                    probe.next = Some(now + PROBE_AGAIN);
                }
            }
            Kind::Tcp { address, stream } => {
                let begun = TcpStream::connect(*address).and_then(|begun| {
                    let source = Source::Probe(name.clone());
                    let key = self.poller.add(begun.as_fd(), source, true)?;
                    Ok((begun, key))
                });
                match begun {
                    Ok(begun) => *stream = Some(begun),
                    Err(_) => probe.next = Some(now + PROBE_AGAIN),
                }
            }
        }
    }

    /// The connection was made, or refused.
    pub(super) fn on_probe(&mut self, name: &NodeName, now: Instant) {
        let Some(live) = self.records.get_mut(name).and_then(|r| r.live.as_mut()) else {
            return;
        };
        let Some(probe) = &mut live.probe else {
            return;
        };
        let Kind::Tcp { stream, .. } = &mut probe.kind else {
            return;
        };
        let Some((connection, key)) = stream.take() else {
            return;
        };
        let refused = !matches!(connection.take_error(), Ok(None));
        if !refused && connection.peer_addr().is_err() {
            *stream = Some((connection, key)); // still under way
            return;
        }
        self.poller.remove(key, connection.as_fd());
        drop(connection);
        self.on_answer(name, !refused, now);
    }

    /// A probe was answered.
    pub(super) fn on_answer(&mut self, name: &NodeName, yes: bool, now: Instant) {
        if yes {
            self.end_probe(name);
            self.fleet.ready(name, now);
        } else if let Some(probe) = self.live_mut(name).and_then(|live| live.probe.as_mut()) {
            probe.next = Some(now + PROBE_AGAIN);
        }
    }

    pub(super) fn end_probe(&mut self, name: &NodeName) {
        self.probing.remove(name);
        let probe = self.live_mut(name).and_then(|live| live.probe.take());
        if let Some(Probe {
            kind:
                Kind::Tcp {
                    stream: Some((connection, key)),
                    ..
                },
            ..
        }) = probe
        {
            self.poller.remove(key, connection.as_fd());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_says_several_things_line_by_line() {
        let said = Said::parse(b"STATUS=two of three\nREADY=1\nMAINPID=4\nWATCHDOG=1\n");
        assert_eq!(
            said,
            Said {
                ready: true,
                alive: true,
                status: Some("two of three".to_owned())
            }
        );
        assert_eq!(Said::parse(b"READY=0\nXREADY=1\n\xff"), Said::default());
    }

    #[test]
    fn of_many_datagrams_the_last_status_counts() {
        let mut said = Said::default();
        for datagram in [&b"STATUS=one"[..], b"READY=1\nSTATUS=two", b"WATCHDOG=1"] {
            said.add(Said::parse(datagram));
        }
        assert!(said.ready && said.alive);
        assert_eq!(said.status.as_deref(), Some("two"));
    }

    /// Shows: who never stops is interrupted, and who never ends its line is not heard any more.
    #[test]
    fn nobody_is_listened_to_without_end() {
        let (read, write) = sys::descriptors::pipe().unwrap();
        let mut pipe = Notice::Pipe {
            fd: read,
            bytes_heard: 0,
        };
        let mut heard = Heard::default();
        nix::unistd::write(&write, &[0; 3 * NOTICE_BYTES_MAX]).unwrap();
        assert_eq!(pipe.listen(1, false, &mut heard), Listening::Interrupted);
        assert!(!heard.babble);
        assert_eq!(pipe.listen(1, false, &mut heard), Listening::Over);
        assert!(heard.babble && !heard.ready);
    }
}

//! Births: where all processes below the stem begin, and what surrounds that.
//!
//! Everything a child needs is made before. A command that gets nothing but its streams and its
//! environment is born in the nursery; any other child is forked, and returns up through the loop
//! with its share. The parent reports the other share to the supervisor.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use cluster::layout::spec::{ChildSpec, HookPoint, Program, Ready};
use cluster::names::{Incarnation, NodeName};
use cluster::shm::heartbeat::Heartbeat;
use cluster::supervise::vocabulary::Report;
use cluster::sys;
use cluster::sys::process::{ForkError, Forked, Nursling};

use super::fabric::Birth;
use super::newborn::{NOTIFY_SOCKET, Newborn, is_plain};
use super::records::{Live, Notice};
use super::seating::has_seat;
use super::{BIRTH_RETRY, Hold, Source, Stem, Who};

/// So many births in one turn; then the loop looks at its sources again.
const BIRTHS_A_TURN: usize = 16;

/// What is made for one birth, the parent's share and the child's.
struct Parcel {
    parent: ParentShare,
    child: ChildShare,
}

struct ParentShare {
    stdout: OwnedFd,
    stderr: OwnedFd,
    control: Option<OwnedFd>,
    notices: Vec<Notice>,
    heartbeat: Option<Heartbeat>,
    heartbeat_fd: Option<OwnedFd>,
    seat: Option<OwnedFd>,
}

struct ChildShare {
    stdout: OwnedFd,
    stderr: OwnedFd,
    control: Option<OwnedFd>,
    ready: Option<OwnedFd>,
    executed: Option<OwnedFd>,
    heartbeat: Option<Heartbeat>,
    listeners: Vec<OwnedFd>,
    seat: Option<OwnedFd>,
    link: OwnedFd,
}

impl Stem {
    /// Is somebody waiting to be born, and may be?
    pub(super) fn births_wait(&self) -> bool {
        if !self.going || self.orphaned.is_some() || self.link.is_pressed() {
            return false;
        }
        self.helpers.is_waiting() || self.next_due().is_some()
    }

    fn next_due(&self) -> Option<&NodeName> {
        self.fleet.next_due(|name| self.held.contains_key(name))
    }

    /// Bears those who are due. Returns in the child with its share of the world.
    pub(super) fn bear_due(&mut self, now: Instant) -> Option<Newborn> {
        for _ in 0..BIRTHS_A_TURN {
            if !self.births_wait() {
                return None;
            }
            let Some(name) = self.next_due().cloned() else {
                self.bear_helper(now);
                continue;
            };
            let born = self.bear(&name, now);
            if born.is_some() {
                return born;
            }
        }
        None
    }

    fn bear(&mut self, name: &NodeName, now: Instant) -> Option<Newborn> {
        let incarnation = self
            .fleet
            .child(name)
            .map_or_else(Incarnation::default, |c| c.incarnation());
        match self.try_to_bear(name, incarnation, now) {
            Ok(newborn) => newborn,
            Err(error) => {
                let text = format!("cannot make its process: {error}");
                self.problem(Some(name), &text);
                let errno = error.raw_os_error().unwrap_or(nix::libc::EAGAIN);
                self.fleet.born(name, Err(errno), now);
                self.held
                    .insert(name.clone(), Hold::Retry(now + BIRTH_RETRY));
                None
            }
        }
    }

    fn try_to_bear(
        &mut self,
        name: &NodeName,
        incarnation: Incarnation,
        now: Instant,
    ) -> io::Result<Option<Newborn>> {
        let Some(spec) = self
            .records
            .get(name)
            .map(|record| Arc::clone(&record.spec))
        else {
            return Ok(None);
        };
        let Some(listeners) = self.listeners_of(&spec)? else {
            self.held.insert(name.clone(), Hold::Escrow);
            return Ok(None);
        };
        let parcel = self.pack(&spec, listeners)?;
        let newborn = self.newborn(spec, incarnation, parcel.child);
        if let Program::Command(argv) = &newborn.spec.program
            && is_plain(&newborn.spec)
        {
            let born = self.bear_plain(&newborn, argv)?;
            self.on_born(&newborn, born.pid, parcel.parent, now)?;
            if born.executed && newborn.spec.ready == Ready::AtOnce {
                self.fleet.ready(name, now);
            }
            return Ok(None);
        }
        match sys::process::fork().map_err(fork_error)? {
            Forked::Child => Ok(Some(newborn)),
            Forked::Parent(pid) => {
                // The child does the same; whoever comes first, the group exists before a signal does.
                sys::process::set_group(pid);
                // Newborns first: what both would write to is copied by whoever comes first, and the
                // newborn is about to let go of all of it.
                std::thread::yield_now();
                self.on_born(&newborn, pid, parcel.parent, now)?;
                Ok(None)
            }
        }
    }

    /// Bears a command that can be made ready before its birth.
    pub(super) fn bear_plain(
        &mut self,
        newborn: &Newborn,
        argv: &[String],
    ) -> io::Result<Nursling> {
        let prepared = newborn.prepare(argv);
        let mut work = || newborn.live_in_nursery(argv, &prepared);
        self.nursery.bear(&mut work).map_err(fork_error)
    }

    /// In the parent: the child exists. The child's share, in `newborn`, is dropped by the caller.
    fn on_born(
        &mut self,
        newborn: &Newborn,
        pid: i32,
        share: ParentShare,
        now: Instant,
    ) -> io::Result<()> {
        let (spec, incarnation) = (&newborn.spec, newborn.incarnation);
        self.on_birth(spec, incarnation, pid, share, now)
            .inspect_err(|_| {
                // Nobody could steer it: it is reaped as a stranger.
                let _ = sys::process::kill_group(pid, nix::libc::SIGKILL);
            })
    }

    /// Its listening sockets; `None` while the supervisor does not hold all of them.
    fn listeners_of(&mut self, spec: &ChildSpec) -> io::Result<Option<Vec<OwnedFd>>> {
        let mut listeners = Vec::new();
        let mut all_held = true;
        for address in &spec.listen {
            let key = (spec.name.clone(), *address);
            if !self.listeners.contains_key(&key) {
                self.open_listener(key.clone())?;
            }
            match self.listeners.get(&key) {
                Some(escrowed) if escrowed.held => listeners.push(escrowed.fd.try_clone()?),
                Some(_) | None => all_held = false,
            }
        }
        Ok(all_held.then_some(listeners))
    }

    fn pack(&self, spec: &ChildSpec, listeners: Vec<OwnedFd>) -> io::Result<Parcel> {
        let builtin = matches!(spec.program, Program::Builtin(_));
        let (stdout, child_stdout) = sys::descriptors::pipe()?;
        let (stderr, child_stderr) = sys::descriptors::pipe()?;
        let (control, child_control) = pair_if(builtin)?;
        let (seat, child_seat) = pair_if(has_seat(spec))?;
        let mut notices = Vec::new();
        let (mut ready, mut executed) = (None, None);
        let speaks = spec.ready == Ready::SdNotify || (spec.watchdog.is_some() && !builtin);
        if spec.ready == Ready::Notify {
            let (ours, theirs) = sys::descriptors::pipe()?;
            notices.push(Notice::Pipe {
                fd: ours,
                bytes_heard: 0,
            });
            ready = Some(theirs);
        }
        if spec.ready == Ready::AtOnce && !builtin && !is_plain(spec) {
            let (ours, theirs) = sys::descriptors::pipe()?;
            notices.push(Notice::Executed(ours));
            executed = Some(theirs);
        }
        if speaks {
            let owner = spec.identity.as_ref().map(|who| (who.uid, who.gid));
            let path = spec.home.join(NOTIFY_SOCKET);
            let socket = sys::unix::bind_datagram(&path, 0o600, owner)?;
            notices.push(Notice::Socket(socket));
        }
        let (heartbeat, heartbeat_fd) = match spec.watchdog {
            Some(_) => {
                let (heartbeat, fd) = Heartbeat::create()?;
                (Some(heartbeat), Some(fd))
            }
            None => (None, None),
        };
        let (ours, theirs) = if builtin {
            (None, heartbeat)
        } else {
            (heartbeat, None)
        };
        Ok(Parcel {
            parent: ParentShare {
                stdout,
                stderr,
                control,
                notices,
                heartbeat: ours,
                heartbeat_fd,
                seat,
            },
            child: ChildShare {
                stdout: child_stdout,
                stderr: child_stderr,
                control: child_control,
                ready,
                executed,
                heartbeat: theirs,
                listeners,
                seat: child_seat,
                link: self.link.copy()?,
            },
        })
    }

    fn on_birth(
        &mut self,
        spec: &ChildSpec,
        incarnation: Incarnation,
        pid: i32,
        share: ParentShare,
        now: Instant,
    ) -> io::Result<()> {
        let name = &spec.name;
        let pidfd = sys::pidfd::open(pid)?;
        let mut notices = Vec::new();
        for notice in share.notices {
            let source = Source::Notice(name.clone());
            let key = self.poller.add(notice.fd(), source, false)?;
            notices.push((notice, key));
        }
        self.processes.insert(pid, Who::Child(name.clone()));
        let report = Report::Born {
            name: name.clone(),
            incarnation,
            pid,
            control: share.control.is_some(),
            heartbeat: share.heartbeat_fd.is_some(),
        };
        let fds = [Some(pidfd), Some(share.stdout), Some(share.stderr)]
            .into_iter()
            .chain([share.control, share.heartbeat_fd])
            .flatten()
            .collect();
        self.link.report(report, fds);
        let live = Live {
            pid,
            incarnation,
            notices,
            probe: None,
            heartbeat: share.heartbeat,
        };
        if let Some(record) = self.records.get_mut(name) {
            record.live = Some(live);
        }
        self.fleet.born(name, Ok(()), now);
        if let Some(socket) = share.seat {
            let birth = Birth {
                name,
                role: spec.role,
                incarnation,
                pid,
            };
            self.seat(&birth, socket);
        }
        self.run_hook(name, HookPoint::OnStart, &[]);
        self.begin_probe(name, now);
        Ok(())
    }

    fn newborn(
        &self,
        spec: Arc<ChildSpec>,
        incarnation: Incarnation,
        share: ChildShare,
    ) -> Newborn {
        Newborn {
            spec,
            incarnation,
            stem: self.pid,
            soft_limit: self.soft_limit,
            stdin: None,
            stdout: share.stdout,
            stderr: share.stderr,
            control: share.control,
            ready: share.ready,
            executed: share.executed,
            heartbeat: share.heartbeat,
            listeners: share.listeners,
            seat: share.seat,
            link: share.link,
        }
    }
}

/// Both ends of a pair, if it is needed. The node's packets come without descriptors.
fn pair_if(needed: bool) -> io::Result<(Option<OwnedFd>, Option<OwnedFd>)> {
    Ok(match needed {
        true => {
            let (ours, theirs) = sys::packet::pair()?;
            sys::packet::refuse_descriptors(ours.as_fd())?;
            (Some(ours), Some(theirs))
        }
        false => (None, None),
    })
}

/// The system's answer, so that its number can be reported.
fn fork_error(error: ForkError) -> io::Error {
    match error {
        ForkError::System(error) => error,
        ForkError::NotSingleThreaded { .. } => io::Error::other(error),
    }
}

//! What a newborn does between the fork and its work.
//!
//! Owns: its share of the world, and for as long as it is being set up a copy of the link, on which it
//! reports its own failure. The stem's state is leaked by now: nothing of it may be dropped here.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use cluster::fabric::CLUSTER_SEAT;
use cluster::layout::spec::{ChildSpec, Program, Ready, Resource};
use cluster::names::Incarnation;
use cluster::node::{self, Seat};
use cluster::shm::heartbeat::Heartbeat;
use cluster::supervise::vocabulary::Report;
use cluster::sys;
use cluster::sys::process::Prepared;

use super::seating::has_seat;

/// The name of a node's notification socket in its home.
pub(super) const NOTIFY_SOCKET: &str = "notify.sock";

/// The first descriptor after standard input, output and error.
const FIRST_FREE: i32 = 3;

/// Exit codes of a command that could not be executed, as shells use them.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;
/// Exit code of a newborn whose setting up failed.
const NOT_SET_UP: i32 = 125;

/// A child just forked, with its share of the world.
#[derive(Debug)]
pub(crate) struct Newborn {
    pub(super) spec: Arc<ChildSpec>,
    pub(super) incarnation: Incarnation,
    /// The process that must still be its parent once the parent-death signal is set.
    pub(super) stem: i32,
    /// The soft limit of descriptors that the supervisor was started with.
    pub(super) soft_limit: u64,
    /// `None`: nothing to read.
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) control: Option<OwnedFd>,
    pub(super) ready: Option<OwnedFd>,
    /// Closed when its program is executed: it counts as ready then. A byte says that it was not. A plain
    /// command's birth tells that by itself.
    pub(super) executed: Option<OwnedFd>,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) listeners: Vec<OwnedFd>,
    /// Its end of the socket to the stem, by which it comes by its rings.
    pub(super) seat: Option<OwnedFd>,
    pub(super) link: OwnedFd,
}

/// A step of the setting up that failed.
struct Failure {
    step: String,
    error: io::Error,
}

/// Is it a command that gets nothing but its standard streams and its environment? Such a one can be
/// made ready before its birth.
pub(super) fn is_plain(spec: &ChildSpec) -> bool {
    let command = matches!(spec.program, Program::Command(_));
    let silent = spec.ready != Ready::Notify && spec.watchdog.is_none();
    command && silent && spec.listen.is_empty() && !has_seat(spec)
}

fn step<T>(what: &str, result: io::Result<T>) -> Result<T, Failure> {
    result.map_err(|error| Failure {
        step: what.to_owned(),
        error,
    })
}

/// What this node has to report goes to its standard error, a line each: after its birth, for a logger
/// that is set once stays, in every child as well.
fn report_on_stderr() {
    let environment = env_logger::Env::new().filter_or("SUPERVISOR_LOG", "warn");
    let mut builder = env_logger::Builder::from_env(environment);
    builder.target(env_logger::Target::Stderr);
    builder.format(|buffer, record| {
        use std::io::Write;
        let at = humantime::format_rfc3339_millis(sys::clock::wall());
        let (pid, level) = (sys::process::id(), record.level());
        writeln!(buffer, "{at} pid={pid} level={level} {}", record.args())
    });
    // It can only fail if there is one already; then that one goes on.
    let _ = builder.try_init();
}

impl Newborn {
    /// Takes up its work. Returns when a built-in role has ended, with its exit code.
    pub(crate) fn live(self) -> i32 {
        match self.spec.program.clone() {
            Program::Builtin(role) => self.live_as(role),
            Program::Command(argv) => self.live_by(&argv),
        }
    }

    fn live_as(mut self, role: cluster::layout::spec::Role) -> i32 {
        if let Err(failure) = self.set_up_builtin() {
            return self.stillborn(&failure);
        }
        let (Some(control), fabric) = (self.control.take(), self.seat.take()) else {
            let error = io::ErrorKind::InvalidInput.into();
            let step = "take its control socket".to_owned();
            return self.stillborn(&Failure { step, error });
        };
        drop(self.link);
        report_on_stderr();
        node::run(Seat {
            name: self.spec.name.clone(),
            role,
            incarnation: self.incarnation,
            directory: self.spec.directory().to_owned(),
            inputs: self.spec.inputs.clone(),
            logs: self.spec.logs(),
            attach_socket: self.spec.attach_socket(),
            control,
            fabric,
            ready: self.ready,
            listeners: self.listeners,
            heartbeat: self.heartbeat,
            beat_every: self.spec.watchdog.map(|watchdog| watchdog.stale_after / 4),
        })
    }

    fn set_up_builtin(&mut self) -> Result<(), Failure> {
        self.set_up()?;
        // Only for those who look: it lives without.
        let _ = sys::process::set_title(&format!("supervisor: {}", self.spec.name));
        let mut env = self.spec.env.clone();
        env.extend(self.markers());
        step("set its environment", sys::process::set_environment(&env))
    }

    fn live_by(mut self, argv: &[String]) -> i32 {
        match self.set_up_command() {
            Err(failure) => self.stillborn(&failure),
            Ok(env) => self.execute(argv, &sys::process::prepare(argv, &env)),
        }
    }

    /// What a plain command executes, made ready before its birth.
    pub(super) fn prepare(&self, argv: &[String]) -> io::Result<Prepared> {
        sys::process::prepare(argv, &self.environment(0, None, None))
    }

    /// A plain command's way from its birth to its program. It shares the stem's memory meanwhile: it
    /// changes nothing of it, and keeps nothing when it executes.
    pub(super) fn live_in_nursery(&self, argv: &[String], prepared: &io::Result<Prepared>) -> i32 {
        match self.set_up().and_then(|()| self.restore_descriptor_limit()) {
            Err(failure) => self.stillborn(&failure),
            Ok(()) => self.execute(argv, prepared),
        }
    }

    /// Becomes its program. Returns only if that failed, with an exit code.
    fn execute(&self, argv: &[String], prepared: &io::Result<Prepared>) -> i32 {
        let error = match prepared {
            Ok(prepared) => prepared.run(),
            Err(error) => io::Error::new(error.kind(), error.to_string()),
        };
        let program = argv.first().map_or("an empty command", String::as_str);
        self.stillborn(&Failure {
            step: format!("execute {program}"),
            error,
        })
    }

    /// Tells the supervisor, and whoever reads its stderr, why it ends before it began.
    fn stillborn(&self, failure: &Failure) -> i32 {
        let problem = format!("cannot {}: {}", failure.step, failure.error);
        let report = Report::Stillborn {
            name: self.spec.name.clone(),
            incarnation: self.incarnation,
            problem: problem.clone(),
        };
        if let Ok(bytes) = postcard::to_stdvec(&report) {
            // A full link loses it; stderr and the exit code still tell.
            let _ = sys::packet::send(self.link.as_fd(), &bytes, &[]);
        }
        if let Some(executed) = &self.executed {
            let _ = nix::unistd::write(executed, b"!");
        }
        let line = format!("supervisor: {}: {problem}\n", self.spec.name);
        let _ = nix::unistd::write(io::stderr(), line.as_bytes());
        match (failure.step.starts_with("execute"), failure.error.kind()) {
            (true, io::ErrorKind::NotFound) => NOT_FOUND,
            (true, _) => NOT_EXECUTABLE,
            (false, _) => NOT_SET_UP,
        }
    }

    /// What every newborn does, in this order: the parent-death signal comes after the change of user,
    /// which would clear it.
    fn set_up(&self) -> Result<(), Failure> {
        step(
            "take its name",
            sys::process::set_thread_name(self.spec.name.as_str()),
        )?;
        step("make its process group", sys::process::own_process_group())?;
        self.place_standard_streams()?;
        step("close what is not its own", self.keep_only_its_own())?;
        if let Some(group) = &self.spec.cgroup {
            step("enter its control group", sys::cgroup::enter(group))?;
        }
        if let Some(nice) = self.spec.nice {
            step("set its niceness", sys::limits::set_nice(nice))?;
        }
        if !self.spec.cpus.is_empty() {
            let pinned = sys::limits::pin(&self.spec.cpus);
            if let Err(error) = pinned {
                let line = format!("supervisor: cannot pin it to its processors: {error}\n");
                let _ = nix::unistd::write(io::stderr(), line.as_bytes());
            }
        }
        for limit in &self.spec.rlimits {
            let what = format!("limit {:?} to {}", limit.resource, limit.value);
            step(&what, sys::limits::set(limit))?;
        }
        self.change_identity()?;
        let signal = nix::libc::SIGKILL;
        step(
            "set its parent-death signal",
            sys::process::set_parent_death_signal(signal),
        )?;
        if sys::process::parent_id() != self.stem {
            // The stem died before the signal was set: nobody would ever end us.
            sys::process::exit_now(NOT_SET_UP);
        }
        let what = format!("enter {}", self.spec.directory().display());
        step(&what, std::env::set_current_dir(self.spec.directory()))?;
        step("restore its signals", sys::signals::restore_for_child())
    }

    fn restore_descriptor_limit(&self) -> Result<(), Failure> {
        let mut limits = self.spec.rlimits.iter();
        if limits.any(|limit| limit.resource == Resource::Nofile) {
            return Ok(());
        }
        let restored = sys::descriptors::set_soft_limit(self.soft_limit);
        step("restore its limit of descriptors", restored)
    }

    fn set_up_command(&mut self) -> Result<Vec<(OsString, OsString)>, Failure> {
        self.set_up()?;
        self.restore_descriptor_limit()?;
        let notify = FIRST_FREE + i32::try_from(self.listeners.len()).unwrap_or(0);
        let seat_number = notify + i32::from(self.ready.is_some());
        // Out of the way first, so that no number is taken before its turn.
        let aside = |fd: OwnedFd| sys::descriptors::move_above(fd, seat_number + 1);
        let link = step("move its link", self.link.try_clone().and_then(aside))?;
        let old = std::mem::replace(&mut self.link, link);
        drop(old);
        if let Some(executed) = self.executed.take() {
            self.executed = Some(step("move a descriptor", aside(executed))?);
        }
        let mut listeners = Vec::new();
        for listener in self.listeners.drain(..) {
            listeners.push(step("move a listening socket", aside(listener))?);
        }
        let ready = match self.ready.take() {
            Some(ready) => Some(step("move its notification descriptor", aside(ready))?),
            None => None,
        };
        let seat = match self.seat.take() {
            Some(seat) => Some(step("move its seat socket", aside(seat))?),
            None => None,
        };
        for (target, listener) in (FIRST_FREE..).zip(&listeners) {
            let placed = sys::descriptors::place(listener.as_fd(), target);
            step("place a listening socket", placed)?;
        }
        if let Some(ready) = &ready {
            let placed = sys::descriptors::place(ready.as_fd(), notify);
            step("place its notification descriptor", placed)?;
        }
        if let Some(seat) = &seat {
            let placed = sys::descriptors::place(seat.as_fd(), seat_number);
            step("place its seat socket", placed)?;
        }
        let notify = ready.is_some().then_some(notify);
        let seat_number = seat.is_some().then_some(seat_number);
        Ok(self.environment(listeners.len(), notify, seat_number))
    }

    fn place_standard_streams(&self) -> Result<(), Failure> {
        let placed = match &self.stdin {
            Some(stdin) => sys::descriptors::place(stdin.as_fd(), 0),
            None => {
                sys::descriptors::null().and_then(|null| sys::descriptors::place(null.as_fd(), 0))
            }
        };
        step("place its standard input", placed)?;
        step(
            "place its standard output",
            sys::descriptors::place(self.stdout.as_fd(), 1),
        )?;
        step(
            "place its standard error",
            sys::descriptors::place(self.stderr.as_fd(), 2),
        )
    }

    /// Closes whatever is not its own. Its own stay open until it, or exec, closes them.
    fn keep_only_its_own(&self) -> io::Result<()> {
        let mut keep: Vec<i32> = self.listeners.iter().map(AsRawFd::as_raw_fd).collect();
        keep.extend([
            self.link.as_raw_fd(),
            self.stdout.as_raw_fd(),
            self.stderr.as_raw_fd(),
        ]);
        let optional = [
            &self.stdin,
            &self.control,
            &self.ready,
            &self.executed,
            &self.seat,
        ];
        keep.extend(optional.into_iter().flatten().map(AsRawFd::as_raw_fd));
        sys::descriptors::close_all_except(&mut keep)
    }

    fn change_identity(&self) -> Result<(), Failure> {
        let keep = &self.spec.capabilities;
        match &self.spec.identity {
            Some(identity) => {
                let what = format!("become user {}", identity.name);
                step(&what, sys::identity::assume(identity, keep))
            }
            None if keep.is_empty() => Ok(()),
            None => step(
                "keep its capabilities",
                sys::identity::limit_capabilities(keep),
            ),
        }
    }

    /// Variables by which a process tells which birth of which node it belongs to.
    fn markers(&self) -> Vec<(String, String)> {
        vec![
            ("SUPERVISOR_NODE".to_owned(), self.spec.name.to_string()),
            (
                "SUPERVISOR_INCARNATION".to_owned(),
                self.incarnation.to_string(),
            ),
        ]
    }

    /// A command's environment: the supervisor's own, what the layout adds, what we tell it.
    fn environment(
        &self,
        listeners: usize,
        notify: Option<i32>,
        seat: Option<i32>,
    ) -> Vec<(OsString, OsString)> {
        let mut added = Vec::new();
        if let Some(identity) = &self.spec.identity {
            added.push(("USER".to_owned(), identity.name.clone()));
            added.push(("LOGNAME".to_owned(), identity.name.clone()));
            added.push(("HOME".to_owned(), identity.home.display().to_string()));
        }
        added.extend(self.spec.env.iter().cloned());
        added.extend(self.markers());
        let pid = sys::process::id().to_string();
        if listeners > 0 {
            added.push(("LISTEN_FDS".to_owned(), listeners.to_string()));
            added.push(("LISTEN_PID".to_owned(), pid.clone()));
        }
        if let Some(number) = notify {
            added.push(("NOTIFY_FD".to_owned(), number.to_string()));
        }
        if let Some(number) = seat {
            added.push((CLUSTER_SEAT.to_owned(), number.to_string()));
        }
        if self.spec.ready == Ready::SdNotify || self.spec.watchdog.is_some() {
            let socket = self.spec.home.join(NOTIFY_SOCKET);
            added.push(("NOTIFY_SOCKET".to_owned(), socket.display().to_string()));
        }
        if let Some(watchdog) = self.spec.watchdog {
            let limit = watchdog.stale_after.as_micros().to_string();
            added.push(("WATCHDOG_USEC".to_owned(), limit));
            added.push(("WATCHDOG_PID".to_owned(), pid));
        }
        let mut env: Vec<(OsString, OsString)> = std::env::vars_os()
            .filter(|(name, _)| !added.iter().any(|(own, _)| own.as_str() == name))
            .collect();
        env.extend(
            added
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        env
    }
}

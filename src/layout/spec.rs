//! What the stem has to know of a child: how it is born, when it counts as ready, how it lives on.
//!
//! Everything here is resolved: names of users have become numbers, relative paths absolute. The
//! supervisor builds a [`ChildSpec`] from the layout, the stem carries it out.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::inputs::Inputs;
use crate::fabric::ATTACH_SOCKET;
use crate::logging::files::LOGS_DIRECTORY;
use crate::names::NodeName;

/// The largest packet between supervisor and stem, in bytes. A child's description travels in one, so
/// a layout with a longer one is refused.
pub const LINK_PACKET_BYTES_MAX: usize = 128 * 1024;

/// What a child runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Program {
    /// A role of our own: forked, not exec'd.
    Builtin(Role),
    /// Any program: forked and exec'd. The first word is the program, searched in `PATH` when it
    /// holds no slash.
    Command(Vec<String>),
}

/// The built-in roles, the seeds' node types and the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Supervised, but no member of the cluster.
    None,
    /// May look at and steer the others.
    Control,
    /// Writes logs.
    Logger,
    /// Decides for the whole cluster.
    Manager,
    /// Takes load off the others.
    Proxy,
    /// Does the work.
    Worker,
    /// Keeps the table of instances and nodes; booted by the supervisor itself.
    Controller,
}

impl Role {
    /// The word that `status` shows and that selectors take (`@worker`, `@workers`).
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Control => "control",
            Self::Logger => "logger",
            Self::Manager => "manager",
            Self::Proxy => "proxy",
            Self::Worker => "worker",
            Self::Controller => "controller",
        }
    }
}

/// How a child becomes *ready*.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ready {
    /// As soon as it is born; a command: as soon as its program is executed.
    #[default]
    AtOnce,
    /// Built-in roles: one byte on the seat's ready descriptor. Commands: a newline on the
    /// descriptor whose number stands in `NOTIFY_FD`.
    Notify,
    /// `READY=1` on the socket in `NOTIFY_SOCKET` (the `sd_notify` protocol).
    SdNotify,
    /// A TCP connection to this address succeeds.
    Tcp(SocketAddr),
    /// This command, run again and again, ends with 0.
    Exec(Vec<String>),
}

/// What happens after a child's death.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Born again, whatever it died of.
    #[default]
    Always,
    /// Born again unless it ended with 0.
    OnFailure,
    /// Not born again; any end but 0 is *failed*.
    Never,
    /// The end with 0 is what was wanted: *finished*. Anything else is a failure, and it is born again.
    Finish,
    /// As [`RestartPolicy::Finish`], and born again this long after the end with 0.
    Every(Duration),
}

/// So many deaths within so long a time are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The death that makes the child *failed*.
    pub deaths: u32,
    /// The period in which they are counted.
    pub within: Duration,
}

/// How a child is kept alive: data, so that the state machine has no opinion of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifePolicy {
    /// After which deaths it is born again.
    pub restart: RestartPolicy,
    /// The first delay after the death of a child that was not ready for [`LifePolicy::quick_after`].
    pub floor: Duration,
    /// No delay is longer.
    pub ceiling: Duration,
    /// A child that was ready this long is born again without delay.
    pub quick_after: Duration,
    /// A child that was ready this long has its failures forgotten.
    pub stable_after: Duration,
    /// When to give up; `None`: never.
    pub give_up: Option<Budget>,
    /// A child that is not ready after this long counts as a failed start; `None`: wait for ever.
    pub ready_timeout: Option<Duration>,
    /// The signal that asks it to end.
    pub stop_signal: i32,
    /// How long it has before SIGKILL follows.
    pub stop_grace: Duration,
}

impl Default for LifePolicy {
    fn default() -> Self {
        Self {
            restart: RestartPolicy::Always,
            floor: Duration::from_millis(250),
            ceiling: Duration::from_secs(30),
            quick_after: Duration::from_secs(1),
            stable_after: Duration::from_secs(30),
            give_up: Some(Budget {
                deaths: 10,
                within: Duration::from_secs(60),
            }),
            ready_timeout: Some(Duration::from_secs(30)),
            stop_signal: 15,
            stop_grace: Duration::from_secs(10),
        }
    }
}

/// Who a child runs as, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The user's name, for `USER` and `LOGNAME`.
    pub name: String,
    /// The user's home directory, for `HOME`.
    pub home: PathBuf,
}

/// A limit as `setrlimit` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimit {
    /// Which.
    pub resource: Resource,
    /// Soft and hard limit; `u64::MAX` is none.
    pub value: u64,
}

/// The resources a layout can limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Resource {
    /// Open descriptors.
    Nofile,
    /// Bytes of a core dump.
    Core,
    /// Processes of the user.
    Nproc,
    /// Bytes of locked memory.
    Memlock,
    /// Bytes of address space.
    AddressSpace,
    /// Bytes of a file it writes.
    FileSize,
    /// Bytes of stack.
    Stack,
}

/// A file of the child's control group, and what is written into it before the birth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupLimit {
    /// For example `memory.high`.
    pub file: String,
    /// For example `268435456`.
    pub value: String,
}

/// The watchdog a layout asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watchdog {
    /// A child whose heartbeat is older than this is hung.
    pub stale_after: Duration,
    /// What is done about it.
    pub action: WatchdogAction,
}

/// What is done about a hung child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchdogAction {
    /// It is shown as degraded, with an event.
    #[default]
    Report,
    /// It is stopped and born again.
    Restart,
    /// It gets SIGABRT, so that it leaves a core, and is born again by its policy.
    Abort,
}

/// A program run at a turn of a child's life, with the facts as JSON on its standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// When.
    pub on: HookPoint,
    /// Program and arguments.
    pub command: Vec<String>,
    /// SIGKILL follows after this long.
    pub timeout: Duration,
}

/// The turns of a child's life at which a hook can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookPoint {
    /// It was born.
    OnStart,
    /// It became ready.
    OnReady,
    /// It ended, in whatever way.
    OnExit,
    /// It ended in a way that nobody asked for.
    OnCrash,
    /// It was given up.
    OnFailed,
}

impl HookPoint {
    /// Its word in layouts, events and what hooks are told.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::OnStart => "on_start",
            Self::OnReady => "on_ready",
            Self::OnExit => "on_exit",
            Self::OnCrash => "on_crash",
            Self::OnFailed => "on_failed",
        }
    }
}

/// Everything the stem needs to bear one child and to keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildSpec {
    /// Its name.
    pub name: NodeName,
    /// Its role in the cluster; commands may have one too.
    pub role: Role,
    /// What it runs.
    pub program: Program,
    /// Its own directory in the run directory: output files, pid file, sockets.
    pub home: PathBuf,
    /// Its working directory where that is not its home; see [`ChildSpec::directory`].
    pub directory: Option<Box<Path>>,
    /// Its output file where that is not the one in its home; see [`ChildSpec::stdout_file`].
    pub stdout_file: Option<Box<Path>>,
    /// The same of its standard error; see [`ChildSpec::stderr_file`].
    pub stderr_file: Option<Box<Path>>,
    /// Variables set on top of the inherited environment.
    pub env: Vec<(String, String)>,
    /// `None`: as the supervisor.
    pub identity: Option<Box<Identity>>,
    /// Capabilities (by number) it keeps as ambient ones after the change of identity.
    pub capabilities: Vec<u8>,
    /// Processors it may use; empty: all.
    pub cpus: Vec<u32>,
    /// Its niceness; `None`: as the supervisor.
    pub nice: Option<i32>,
    /// Limits of `setrlimit`.
    pub rlimits: Vec<ResourceLimit>,
    /// Limits of its control group; empty: it stays in the supervisor's.
    pub group_limits: Vec<GroupLimit>,
    /// Directory of its control group, made by the supervisor where groups are delegated to it, and
    /// entered by the newborn. The layout leaves it empty.
    pub cgroup: Option<PathBuf>,
    /// Addresses it listens on; the sockets outlive it.
    pub listen: Vec<SocketAddr>,
    /// How it becomes ready.
    pub ready: Ready,
    /// Its stage: 0 starts first and stops last.
    pub stage: u16,
    /// How it is kept alive.
    pub life: LifePolicy,
    /// The watchdog; `None`: the layout asks for none, and the child shows no heartbeat.
    pub watchdog: Option<Watchdog>,
    /// Programs run at turns of its life.
    pub hooks: Vec<Hook>,
    /// What it follows, if anything.
    pub inputs: Option<Box<Inputs>>,
}

impl ChildSpec {
    /// Its working directory; the supervisor makes it, and its user owns it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.as_deref().unwrap_or(&self.home)
    }

    /// Where its standard output is appended.
    #[must_use]
    pub fn stdout_file(&self) -> PathBuf {
        self.in_home(self.stdout_file.as_deref(), "stdout.log")
    }

    /// Where its standard error is appended.
    #[must_use]
    pub fn stderr_file(&self) -> PathBuf {
        self.in_home(self.stderr_file.as_deref(), "stderr.log")
    }

    /// Its directory for log files, if it is of a role that may write any: in the run directory, beside
    /// its home.
    #[must_use]
    pub fn logs(&self) -> Option<PathBuf> {
        let writes = [Role::Logger, Role::Manager].map(Program::Builtin);
        let run_dir = self
            .home
            .parent()
            .filter(|_| writes.contains(&self.program));
        run_dir.map(|run_dir| run_dir.join(LOGS_DIRECTORY).join(self.name.as_str()))
    }

    /// Where whoever may look at the fabric asks the stem for it, if it is of a role that may look for the
    /// others: those that may write logs.
    #[must_use]
    pub fn attach_socket(&self) -> Option<PathBuf> {
        let run_dir = self.home.parent().filter(|_| self.logs().is_some());
        run_dir.map(|run_dir| run_dir.join(ATTACH_SOCKET))
    }

    fn in_home(&self, elsewhere: Option<&Path>, usual: &str) -> PathBuf {
        elsewhere.map_or_else(|| self.home.join(usual), Path::to_owned)
    }

    /// Puts its directory and its two output files there; those that are where they would be anyway are
    /// not kept.
    pub(super) fn put(
        &mut self,
        directory: Option<PathBuf>,
        stdout_file: Option<PathBuf>,
        stderr_file: Option<PathBuf>,
    ) {
        (self.directory, self.stdout_file, self.stderr_file) = (None, None, None);
        let unless = |usual: &Path, place: Option<PathBuf>| {
            let elsewhere = place.filter(|place| place != usual);
            elsewhere.map(PathBuf::into_boxed_path)
        };
        self.directory = unless(&self.home, directory);
        self.stdout_file = unless(&self.stdout_file(), stdout_file);
        self.stderr_file = unless(&self.stderr_file(), stderr_file);
    }
}

/// A stage of the start: its children are born when every earlier stage has settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageSpec {
    /// Its number; stages start in ascending order.
    pub number: u16,
    /// A word for messages: `controller`, `loggers`, `manager`, …
    pub name: String,
    /// How many of its wanted children must be ready; `None`: all.
    pub quorum: Option<u32>,
    /// After this long the next stage starts all the same.
    pub time_limit: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hooks_word_is_what_its_json_says() {
        use HookPoint::*;
        for point in [OnStart, OnReady, OnExit, OnCrash, OnFailed] {
            assert_eq!(serde_json::to_value(point).unwrap(), point.word());
        }
    }
}

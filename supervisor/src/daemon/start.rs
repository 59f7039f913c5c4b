//! The supervisor's start: read the layout, take the run directory, start the threads and the stem.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cluster::control::Code;
use cluster::control::reply::moment;
use cluster::fabric::MEMBERS_MAX;
use cluster::layout::finding::{Finding, Severity};
use cluster::layout::spec::Role;
use cluster::layout::{self, Layout, More, Overrides};
use cluster::net::poller::Poller;
use cluster::shm::board::{Board, SLOTS_MAX};
use cluster::supervise::vocabulary::EscrowKey;
use cluster::sys;
use cluster::sys::host::ThisHost;
use crossbeam_channel::Receiver;

use super::clients::Clients;
use super::cluster::Cluster;
use super::directories::{DirectoryError, RunDirectory};
use super::events::{Events, Weight};
use super::groups::ControlGroups;
use super::nodes::Node;
use super::operations::Operations;
use super::persist::{self, Wanted};
use super::signals::Signals;
use super::stem::Stem;
use super::systemd::Systemd;
use super::{Daemon, Source, outputs};
pub(super) use crate::causes::chain;
use crate::cli::shared::RUN_DIR;
use crate::cli::{LogFormat, RunArgs};
use crate::client::out;
use crate::output::{Config, Console, ConsoleLog, Note, Output, SupervisorLog};

/// Places on the board beyond those that nodes may come to need.
const SLOTS_SPARE: usize = 64;
const _: () = assert!(MEMBERS_MAX + SLOTS_SPARE == SLOTS_MAX as usize);

/// Why the supervisor did not start, and what it ends with.
struct NotStarted {
    code: Code,
    text: String,
}

impl NotStarted {
    fn system(what: &str, error: &dyn Error) -> Self {
        Self {
            code: Code::Failed,
            text: format!("cannot {what}: {error}"),
        }
    }
}

impl From<DirectoryError> for NotStarted {
    fn from(error: DirectoryError) -> Self {
        Self {
            code: match error {
                DirectoryError::Held { .. } => Code::Unreachable,
                DirectoryError::Foreign { .. } | DirectoryError::System { .. } => Code::Failed,
            },
            text: match &error {
                DirectoryError::Held { .. } | DirectoryError::Foreign { .. } => chain(&error),
                DirectoryError::System { .. } => format!(
                    "{}; see that it is writable and its disk has room, or name another with --run-dir",
                    chain(&error)
                ),
            },
        }
    }
}

/// Runs the supervisor until its end. Returns its exit code.
pub(crate) fn run(args: &RunArgs) -> ExitCode {
    match start(args) {
        Ok(daemon) => daemon.turns(),
        Err(NotStarted { code, text }) => {
            out::to_stderr(&format!("supervisor: {text}\n"));
            ExitCode::from(u8::from(code))
        }
    }
}

/// What the command line says on top of a layout.
pub(super) fn overrides(
    run_dir: Option<PathBuf>,
    instance: Option<String>,
    default_run_dir: PathBuf,
) -> Overrides {
    Overrides {
        run_dir,
        instance,
        default_run_dir,
    }
}

/// Reads a layout file.
///
/// # Errors
/// Everything that is wrong with it, a line each.
pub(super) fn read_layout(
    path: &Path,
    overrides: &Overrides,
) -> Result<(Layout, Vec<Finding>, String), String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read the layout {}: {error}", path.display()))?;
    let (layout, findings) =
        layout::read(&text, path, overrides, &ThisHost).map_err(|findings| lines(&findings))?;
    Ok((layout, findings, text))
}

/// Reads the description of nodes that are added to what runs.
///
/// # Errors
/// Everything that is wrong with it, a line each.
pub(super) fn read_more(
    text: &str,
    base: &Path,
    running: &Layout,
) -> Result<(More, Vec<Finding>), String> {
    let path = base.join("node.ron");
    let overrides = overrides(None, None, running.settings.run_dir.clone());
    layout::read_more(text, &path, running, &overrides, &ThisHost)
        .map_err(|findings| lines(&findings))
}

fn lines(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|f| f.severity == Severity::Error);
    errors
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

fn start(args: &RunArgs) -> Result<Daemon, NotStarted> {
    sys::heap::share();
    let here = std::env::current_dir().map_err(|e| NotStarted::system("tell where we are", &e))?;
    let run_dir = args.run_dir.as_ref().map(|run_dir| here.join(run_dir));
    let default_run_dir = here.join(RUN_DIR);
    let overrides = overrides(run_dir, args.instance.clone(), default_run_dir.clone());
    let (layout, findings, text) =
        read_layout(&args.layout, &overrides).map_err(|text| NotStarted {
            code: Code::Invalid,
            text: format!("the layout cannot run:\n{text}"),
        })?;
    let extra = args.pid_file.as_ref().map(|file| here.join(file));
    let directories = RunDirectory::take(&layout.settings.run_dir, extra)?;
    sys::process::become_subreaper().map_err(|e| NotStarted::system("become a sub-reaper", &e))?;
    let soft_limit = sys::descriptors::raise_limit(u64::MAX)
        .map_err(|e| NotStarted::system("raise the limit of descriptors", &e))?;
    let signals =
        Signals::install().map_err(|e| NotStarted::system("install signal handlers", &e))?;
    let mut poller = Poller::new().map_err(|e| NotStarted::system("make a poller", &e))?;
    let clients = Clients::new(directories.listen()?)
        .map_err(|e| NotStarted::system("serve the control socket", &e))?;
    let fabric = fabric(&layout, &directories)?;
    let (console, log) = open_log(&layout, &directories, args.log_format)?;
    let (output, notes) = start_output(&layout, &directories, console.clone(), &mut poller)?;
    for (fd, source) in [
        (signals.fd(), Source::Signals),
        (clients.listener(), Source::Listener),
    ] {
        poller
            .add(fd, source, false)
            .map_err(|e| NotStarted::system("wait for descriptors", &e))?;
    }
    let now = sys::clock::monotonic();
    let mut daemon = Daemon {
        poller,
        generation: persist::last_generation(&directories.state_dir()) + 1,
        nodes: Default::default(),
        stem: Stem::new(soft_limit, fabric),
        clients,
        operations: Operations::default(),
        rolling: None,
        rotation: None,
        loggers: super::loggers::Loggers::default(),
        rotations: 0,
        events: Events::default(),
        signals,
        output,
        notes,
        console,
        log,
        groups: ControlGroups::default(),
        controller: Default::default(),
        systemd: Systemd::new(now),
        directories,
        cluster: Cluster::new(),
        shutdown: None,
        started: now,
        layout,
        default_run_dir,
        run_dir_is_fixed: args.run_dir.is_some(),
        instance_override: args.instance.clone(),
        layout_check: Default::default(),
        watched: Default::default(),
        dirty: true,
        output_finished: false,
        exit: None,
    };
    daemon.begin(&findings, &text)?;
    Ok(daemon)
}

/// What every stem is handed, and none of them makes: the board, and the socket to attach at.
fn fabric(
    layout: &Layout,
    directories: &RunDirectory,
) -> Result<BTreeMap<EscrowKey, OwnedFd>, NotStarted> {
    let members = layout.children.iter().filter(|c| c.role != Role::None);
    let slots = board_slots(members.count());
    let (_, board) =
        Board::create(slots).map_err(|e| NotStarted::system("make the board of nodes", &e))?;
    let guests = directories.listen_for_guests(layout.settings.socket_group)?;
    Ok([(EscrowKey::Board, board), (EscrowKey::AttachSocket, guests)].into())
}

/// Room for as many again as there are, which a later layout may bring, and for who attaches.
fn board_slots(members: usize) -> u32 {
    let wanted = members.saturating_mul(2).saturating_add(SLOTS_SPARE);
    let slots = u32::try_from(wanted.next_power_of_two());
    slots.unwrap_or(SLOTS_MAX).min(SLOTS_MAX)
}

fn start_output(
    layout: &Layout,
    directories: &RunDirectory,
    console: Console,
    poller: &mut Poller<Source>,
) -> Result<(Output, Receiver<Note>), NotStarted> {
    let (notes_in, notes) = crossbeam_channel::unbounded();
    let waker = poller
        .waker(Source::Notes)
        .map_err(|e| NotStarted::system("make a waker", &e))?;
    let output = Output::start(Config {
        settings: outputs::settings(&layout.settings),
        crash_dir: directories.crash_dir(),
        console,
        notes: notes_in,
        notify: Box::new(move || {
            // It fails only when the counter is full, and then the loop is awake.
            let _ = waker.wake();
        }),
    })
    .map_err(|e| NotStarted::system("start the output thread", &e))?;
    Ok((output, notes))
}

/// The supervisor's own log goes to `supervisor.log` and to the console, and never makes anyone wait.
fn open_log(
    layout: &Layout,
    directories: &RunDirectory,
    format: LogFormat,
) -> Result<(Console, SupervisorLog), NotStarted> {
    let console =
        Console::of_this_process().map_err(|e| NotStarted::system("use the console", &e))?;
    let path = directories.log_path();
    let log = SupervisorLog::open(path.clone(), outputs::rotation(&layout.settings))
        .map_err(|e| NotStarted::system(&format!("open {}", path.display()), &e))?;
    let target = ConsoleLog {
        log: Some(log.clone()),
        console: console.clone(),
    };
    let environment = env_logger::Env::new().filter_or("SUPERVISOR_LOG", "info");
    let mut builder = env_logger::Builder::from_env(environment);
    builder.target(env_logger::Target::Pipe(Box::new(target)));
    builder.format(move |buffer, record| {
        use std::io::Write;
        let at = moment(sys::clock::wall());
        match format {
            LogFormat::Text => writeln!(buffer, "{at} {:<5} {}", record.level(), record.args()),
            LogFormat::Json => {
                let line = serde_json::json!({
                    "at": at,
                    "level": record.level().as_str().to_lowercase(),
                    "message": record.args().to_string(),
                });
                writeln!(buffer, "{line}")
            }
        }
    });
    // It can only fail if a logger is set already; then that one goes on.
    let _ = builder.try_init();
    Ok((console, log))
}

impl Daemon {
    /// Everything stands: make the nodes' places, start the stem, tell it what should run.
    fn begin(&mut self, findings: &[Finding], text: &str) -> Result<(), NotStarted> {
        let (state, run_dir) = (
            self.directories.state_dir(),
            self.directories.path().to_owned(),
        );
        let detail = [
            ("pid", sys::process::id().to_string()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("layout", self.layout.path.display().to_string()),
            ("run_dir", run_dir.display().to_string()),
            ("instance", self.layout.instance.to_string()),
            ("generation", self.generation.to_string()),
        ];
        self.event(Weight::Info, "up", None, &detail);
        for finding in findings {
            log::warn!("event=finding {finding}");
        }
        let (wanted, warning) = Wanted::read(&state);
        if let Some(warning) = warning {
            self.event(Weight::Warn, "problem", None, &[("error", warning)]);
        }
        let children = std::mem::take(&mut self.layout.children);
        let (groups, warning) = ControlGroups::prepare(children.iter());
        self.groups = groups;
        if let Some(warning) = warning {
            self.event(
                Weight::Warn,
                "no_control_groups",
                None,
                &[("error", warning)],
            );
        }
        for spec in children {
            let up = !wanted.stopped.iter().any(|name| name == spec.name.as_str());
            let node = Box::new(Node::new(spec, up, true));
            self.nodes.insert(node.spec.name.clone(), node);
        }
        for (name, created) in &wanted.created {
            self.recreate(name, created, &wanted);
        }
        self.save_generation(text);
        let now = sys::clock::monotonic();
        self.start_stem(now);
        Ok(())
    }

    /// A node that was made at run time, in an earlier life of the supervisor.
    fn recreate(&mut self, name: &str, created: &persist::Created, wanted: &Wanted) {
        if self.nodes.contains_key(name) {
            let error = "the layout has a node of its name by now".to_owned();
            let detail = [("created", name.to_owned()), ("error", error)];
            self.event(Weight::Error, "node_not_recreated", None, &detail);
            return;
        }
        let up = !wanted.stopped.iter().any(|stopped| stopped == name);
        let spec = created.spec.clone();
        let name = spec.name.clone();
        self.layout
            .nodes
            .extend(created.node.clone().map(|node| (name.clone(), node)));
        let mut node = Node::new(spec, up, false);
        node.persist = true;
        self.nodes.insert(name, Box::new(node));
        self.keep_stages(created.stage.as_slice());
    }

    /// Numbers, keeps and logs an event, and passes it to those who follow.
    pub(super) fn event(
        &mut self,
        weight: Weight,
        kind: &'static str,
        node: Option<&cluster::names::NodeName>,
        detail: &[(&'static str, String)],
    ) {
        self.events.add(weight, kind, node, detail);
        let followers = self.event_followers();
        if followers.is_empty() {
            return;
        }
        if let Some(event) = self.events.newest() {
            for client in followers {
                self.send(client, &event);
            }
        }
    }
}

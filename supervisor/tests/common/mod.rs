//! The harness of the process tests: a supervisor in a directory of its own, watched from outside.
//!
//! Every wait has a deadline and waits for something; nothing sleeps and hopes. What a test started
//! is ended by pid when the test ends, however it ends, and nobody else is ever signalled.

#![allow(
    dead_code,
    clippy::disallowed_methods,
    missing_debug_implementations,
    unreachable_pub,
    reason = "a harness: each test file uses its share, and a test owns its clock"
)]

pub mod client;
pub mod guests;
pub mod layouts;
pub mod levels;
pub mod places;
pub mod processes;
pub mod scripted;
pub mod terminals;
pub mod views;
pub mod waiting;
pub mod watching;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use client::Connection;
use processes::ProcessId;
pub use waiting::{PATIENCE, pause, wait_for, wait_or_tell};

/// A variable that everybody below a supervisor under test inherits; its value is the test's directory.
const MARK: &str = "TEST_DIRECTORY";

/// The program under test.
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_supervisor"))
}

/// What a variable of the environment says, if it says a number.
pub fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is a number")),
    )
}

/// The finalizer of SplitMix64.
pub fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// A supervisor under test. Dropping it kills it and whatever it left.
pub struct Cluster {
    command: Command,
    child: Child,
    layout: String,
    directory: Arc<tempfile::TempDir>,
    run_dir: PathBuf,
    ended: Option<ExitStatus>,
}

/// Executes what follows so that it dies when the test does, and with it everybody below: a test binary
/// that is killed drops nothing. It hangs on the thread that starts it, which is the test's own.
const LEASH: [&str; 3] = ["setpriv", "--pdeathsig=KILL", "--"];

/// A name space of mounts of one's own; whoever is not root becomes root in it.
const OWN_MOUNTS: [&str; 2] = ["--mount", "--map-root-user"];

/// # Panics
/// Where the machine gives a test no file systems of its own: what needs them says so instead of
/// passing.
fn need_mounts() {
    let mut command = Command::new("unshare");
    command.args(OWN_MOUNTS).args(["sh", "-c"]);
    let output = command.arg("mount -t tmpfs none /mnt").output().unwrap();
    assert!(
        output.status.success(),
        "run the tests where unshare(1) may mount: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// How a supervisor is to be started.
pub struct Start {
    layout: String,
    env: Vec<(String, String)>,
    args: Vec<String>,
    through: Vec<String>,
    directory: Arc<tempfile::TempDir>,
    run_dir: Option<PathBuf>,
    mounts: Option<String>,
    stdout: Option<Stdio>,
}

impl Start {
    /// With this layout, as text.
    pub fn with(layout: &str) -> Self {
        Self {
            layout: layout.to_owned(),
            env: Vec::new(),
            args: Vec::new(),
            through: Vec::new(),
            directory: Arc::new(tempfile::tempdir().unwrap()),
            run_dir: None,
            mounts: None,
            stdout: None,
        }
    }

    /// A directory for the test's own files; the layout may name it `$DIR`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Started through another program, which executes it in its own place or starts it.
    pub fn through(mut self, words: &[&str]) -> Self {
        self.through = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// As [`places::NOBODY`], with everything that this user has to reach. Without root: as we are.
    pub fn unprivileged(self) -> Self {
        if !places::is_root() {
            return self;
        }
        places::give_to_nobody(self.directory.path());
        self.through(&places::AS_NOBODY)
    }

    /// Where its standard output and error go instead of a file.
    pub fn stdout(mut self, stdout: Stdio) -> Self {
        self.stdout = Some(stdout);
        self
    }

    /// Another run directory than `$DIR/run`; a relative one starts at `$DIR`.
    pub fn run_dir(mut self, run_dir: impl AsRef<Path>) -> Self {
        self.run_dir = Some(self.directory().join(run_dir));
        self
    }

    /// Runs this shell script first, with file systems that only the supervisor and its nodes see.
    ///
    /// # Panics
    /// Where that cannot be had.
    pub fn in_own_mounts(mut self, script: &str) -> Self {
        need_mounts();
        self.mounts = Some(self.fill_in(script));
        self
    }

    fn fill_in(&self, text: &str) -> String {
        text.replace("$DIR", self.directory().to_str().unwrap())
    }

    /// Starts it, and finds that it refuses: its exit code, and what it says.
    pub fn refused(self) -> (i32, String) {
        let mut cluster = self.launch();
        let status = cluster.wait_end();
        (status.code().unwrap_or(-1), cluster.console())
    }

    /// With another layout than the one before.
    pub fn layout(mut self, layout: &str) -> Self {
        layout.clone_into(&mut self.layout);
        self
    }

    /// Starts it, and waits until it answers on its control socket.
    pub fn start(self) -> Cluster {
        let mut cluster = self.launch();
        cluster.wait_answers();
        cluster
    }

    /// Starts it, and waits until every node is ready.
    pub fn start_ready(self) -> Cluster {
        let cluster = self.start();
        cluster.wait_ready();
        cluster
    }

    /// Starts it and waits for nothing.
    pub fn launch(self) -> Cluster {
        let path = self.directory.path();
        fs::write(path.join("site.ron"), self.fill_in(&self.layout)).unwrap();
        let run_dir = self.run_dir.clone().unwrap_or_else(|| path.join("run"));
        let mut command = Command::new(LEASH[0]);
        command.args(&LEASH[1..]);
        // Whoever changes user or name space loses the first leash.
        match &self.mounts {
            None if self.through.is_empty() => command.arg(program().get_program()),
            None => command
                .args(&self.through)
                .args(LEASH)
                .arg(places::reachable_program(path)),
            Some(script) => command
                .arg("unshare")
                .args(OWN_MOUNTS)
                .args(["sh", "-ec"])
                .arg(format!("{script}\nexec \"$@\""))
                .arg("sh")
                .args(LEASH)
                .arg(program().get_program()),
        };
        command
            .arg("--layout")
            .arg(path.join("site.ron"))
            .arg("--run-dir")
            .arg(&run_dir)
            .args(&self.args)
            .current_dir(path)
            .env(MARK, path)
            .stdin(Stdio::null());
        for (name, value) in &self.env {
            command.env(name, value);
        }
        let console = fs::File::create(path.join("console")).unwrap();
        match self.stdout {
            Some(stdout) => command.stdout(stdout).stderr(console),
            None => command.stdout(console.try_clone().unwrap()).stderr(console),
        };
        let child = command.spawn().unwrap();
        // Whoever reads the other end of its output waits for the supervisor, not for us.
        command.stdout(Stdio::null());
        Cluster {
            command,
            child,
            layout: self.layout,
            directory: self.directory,
            run_dir,
            ended: None,
        }
    }
}

impl Cluster {
    fn wait_answers(&mut self) {
        wait_for("the control socket answers", PATIENCE, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the supervisor ended with {status}:\n{}", self.console());
            }
            Connection::try_to(&self.socket()).map(drop)
        });
    }

    /// Starts another supervisor in place of one that has ended, and waits until it answers.
    pub fn start_again(&mut self) {
        assert!(self.ended.take().is_some(), "the last one still runs");
        let console = fs::OpenOptions::new()
            .append(true)
            .open(self.directory.path().join("console"))
            .unwrap();
        self.command
            .stdout(console.try_clone().unwrap())
            .stderr(console);
        self.child = self.command.spawn().unwrap();
        self.wait_answers();
    }

    /// The supervisor's own process.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    pub fn socket(&self) -> PathBuf {
        self.run_dir.join("control.sock")
    }

    pub fn layout_path(&self) -> PathBuf {
        self.directory.path().join("site.ron")
    }

    /// Replaces the layout file; nothing happens by that alone.
    pub fn write_layout(&self, text: &str) {
        let text = text.replace("$DIR", self.directory.path().to_str().unwrap());
        fs::write(self.layout_path(), text).unwrap();
    }

    /// What it showed on its console so far.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(
            &fs::read(self.directory.path().join("console")).unwrap_or_default(),
        )
        .into_owned()
    }

    /// A file in the run directory, as text; empty while it is not there.
    pub fn read(&self, path: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.run_dir.join(path)).unwrap_or_default()).into_owned()
    }

    /// A sub-command of the real client. Its output and exit code.
    pub fn run(&self, args: &[&str]) -> (String, String, i32) {
        let output = program()
            .args(args)
            .arg("--run-dir")
            .arg(&self.run_dir)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
            output.status.code().unwrap_or(-1),
        )
    }

    /// A sub-command that has to succeed; its output.
    pub fn ok(&self, args: &[&str]) -> String {
        let (stdout, stderr, code) = self.run(args);
        assert_eq!(
            code,
            0,
            "{args:?} ended with {code}\n{stdout}{stderr}\n{}",
            self.console()
        );
        stdout
    }

    /// A new connection to the control socket.
    pub fn connect(&self) -> Connection {
        Connection::try_to(&self.socket()).unwrap()
    }

    /// `status --json` of all nodes.
    pub fn status(&self) -> Value {
        self.connect()
            .ask(&serde_json::json!({"status": {"select": []}}))
    }

    /// A request on a connection of its own, and its answer.
    pub fn ask(&self, request: &Value) -> Value {
        self.connect().ask(request)
    }

    /// One node of `status`.
    pub fn node(&self, name: &str) -> Value {
        let status = self.status();
        let nodes = status["nodes"].as_array().unwrap();
        nodes
            .iter()
            .find(|node| node["name"] == name)
            .cloned()
            .unwrap_or(Value::Null)
    }

    pub fn node_pid(&self, name: &str) -> Option<i32> {
        self.node(name)["pid"]
            .as_i64()
            .map(|pid| i32::try_from(pid).unwrap())
    }

    pub fn stem_pid(&self) -> Option<i32> {
        let pid = self.status()["instance"]["stem_pid"].as_i64();
        pid.map(|pid| i32::try_from(pid).unwrap())
    }

    /// Sends a signal to the supervisor.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        processes::signal(self.pid(), signal);
    }

    /// Waits for the supervisor's own end.
    pub fn wait_end(&mut self) -> ExitStatus {
        self.wait_end_within(PATIENCE)
    }

    /// Waits for the supervisor's own end, which has to come in this time.
    pub fn wait_end_within(&mut self, within: Duration) -> ExitStatus {
        if let Some(status) = self.ended {
            return status;
        }
        let child = &mut self.child;
        let status = wait_for("the supervisor ends", within, || child.try_wait().unwrap());
        self.ended = Some(status);
        status
    }

    /// Kills the supervisor; gives the start of another one over what it left.
    pub fn kill_and_prepare_another(mut self) -> Start {
        let tree = self.tree();
        self.signal(nix::sys::signal::Signal::SIGKILL);
        self.wait_end();
        processes::expect_gone(&tree, PATIENCE);
        self.prepare_another()
    }

    /// Stops the supervisor in order; gives the start of another one over what it left.
    pub fn stop_and_prepare_another(mut self) -> Start {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        let status = self.wait_end();
        assert_eq!(status.code(), Some(0), "{}", self.console());
        self.prepare_another()
    }

    fn prepare_another(&self) -> Start {
        Start {
            directory: Arc::clone(&self.directory),
            run_dir: Some(self.run_dir.clone()),
            ..Start::with(&self.layout)
        }
    }

    /// Everybody below the supervisor, by process id and birth, so that a reused number is another.
    pub fn tree(&self) -> Vec<ProcessId> {
        processes::tree(self.pid())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let tree = self.tree();
        if self.ended.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // The stem ends them by itself; whoever survives a failed test is ended here.
        let deadline = Instant::now() + Duration::from_secs(2);
        while tree.iter().any(ProcessId::is_alive) && Instant::now() < deadline {
            pause();
        }
        for process in tree.iter().filter(|process| process.is_alive()) {
            processes::signal(process.pid, nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// Every file below a directory.
pub fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}

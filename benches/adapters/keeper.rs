//! The supervisor of one run: started by whoever comes first, ended when the last one has gone.
//!
//! Everybody holds a shared lock for as long as they live, whatever they die of; the keeper waits for an
//! exclusive one.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{Flock, FlockArg};

use crate::Failure;

/// A layout has a node; those that are measured attach beside it. The rings are those of any layout, but
/// whoever publishes waits as long as the harness does.
fn layout(transport: Option<&str>) -> String {
    let transport = transport.map_or(String::new(), |word| format!(", transport: {word}"));
    format!(
        r#"Layout(nodes: {{"idle": (command: ["sleep", "infinity"])}}, fabric: (block: "30s"{transport}))"#
    )
}

/// A place in the run; the run ends when all have been given up.
pub(crate) struct Guest {
    directory: PathBuf,
    _lock: Flock<File>,
}

impl Guest {
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("run/attach.sock")
    }
}

/// Joins the run of this address, and starts it if nobody has. `transport`: a word that its layout has
/// instead of the usual one.
pub(crate) fn visit(address: &str, transport: Option<&str>) -> Result<Guest, Failure> {
    let mut hasher = DefaultHasher::new();
    address.hash(&mut hasher);
    let name = format!("supervisor-bench-{:016x}", hasher.finish());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory)?;
    let _door = lock(&directory.join("door"), FlockArg::LockExclusive)?;
    let guest = Guest {
        _lock: lock(&directory.join("guests"), FlockArg::LockShared)?,
        directory,
    };
    if File::create_new(guest.directory.join("kept")).is_ok() {
        write_layout(&guest.directory, transport)?;
        let mut keeper = Command::new(std::env::current_exe()?)
            .arg("keep")
            .arg(format!("addr={}", guest.directory.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        // Nobody else comes through the door before the cluster is ready.
        let mut word = [0];
        let told = keeper
            .stdout
            .take()
            .map(|mut out| out.read_exact(&mut word));
        if !matches!(told, Some(Ok(()))) {
            return Err("the run's supervisor did not come up".into());
        }
    }
    Ok(guest)
}

fn lock(file: &Path, how: FlockArg) -> io::Result<Flock<File>> {
    Flock::lock(File::create(file)?, how).map_err(|(_, error)| error.into())
}

fn supervisor() -> Command {
    Command::new(std::env::var_os("SUPERVISOR_BIN").unwrap_or_else(|| "supervisor".into()))
}

/// The run's layout, if the supervisor takes all of it: figures of a transport must not be another's.
fn write_layout(directory: &Path, transport: Option<&str>) -> Result<(), Failure> {
    let file = directory.join("layout.ron");
    std::fs::write(&file, layout(transport))?;
    let checked = supervisor()
        .args(["check", "--strict"])
        .arg(&file)
        .output()?;
    let findings = String::from_utf8_lossy(&checked.stderr);
    if !checked.status.success() {
        std::fs::remove_dir_all(directory)?;
        return Err(format!("the supervisor does not take the run's layout: {findings}").into());
    }
    Ok(())
}

/// Runs the supervisor until every guest has gone. Writes one byte when the cluster is ready.
pub(crate) fn keep(directory: &Path) -> Result<(), Failure> {
    let mut supervisor = supervisor()
        .arg("--layout")
        .arg(directory.join("layout.ron"))
        .arg("--run-dir")
        .arg(directory.join("run"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let log = supervisor.stderr.take().map(BufReader::new);
    let mut lines = log.ok_or("the supervisor's log is not ours")?.lines();
    let ready = lines.any(|line| line.is_ok_and(|line| line.contains("event=cluster_ready")));
    if ready {
        nix::unistd::write(io::stdout(), b"!")?;
        // The little that it says from here on fits into the pipe.
        let _gone = lock(&directory.join("guests"), FlockArg::LockExclusive)?;
    }
    let pid = nix::unistd::Pid::from_raw(supervisor.id().try_into()?);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
    supervisor.wait()?;
    Ok(std::fs::remove_dir_all(directory)?)
}

//! Commands that go on, each as if in a terminal of its own.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::sys::signal::Signal;

use serde_json::Value;

use super::{Cluster, LEASH, PATIENCE, processes, program, wait_for, wait_or_tell};

/// A command that runs. Dropping it kills it.
pub struct Terminal {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Cluster {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(LEASH[0]);
        command.args(&LEASH[1..]).arg(program().get_program());
        command.args(args).arg("--run-dir").arg(self.run_dir());
        command
    }

    /// Starts a command, with its output in files.
    pub fn terminal(&self, name: &str, args: &[&str]) -> Terminal {
        let [out, err] = ["out", "err"].map(|end| self.directory().join(format!("{name}.{end}")));
        let mut command = self.command(args);
        command.stdin(Stdio::null());
        command.stdout(File::create(&out).unwrap());
        command.stderr(File::create(&err).unwrap());
        let child = command.spawn().unwrap();
        Terminal { child, out, err }
    }

    /// As [`Cluster::terminal`], with its output in a pipe.
    pub fn piped(&self, name: &str, args: &[&str]) -> (Terminal, ChildStdout) {
        let [out, err] = ["out", "err"].map(|end| self.directory().join(format!("{name}.{end}")));
        let mut command = self.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(File::create(&err).unwrap());
        let mut child = command.spawn().unwrap();
        let pipe = child.stdout.take().unwrap();
        (Terminal { child, out, err }, pipe)
    }

    /// A command that reads this, to its end: its output and exit code.
    pub fn run_with_input(&self, args: &[&str], input: &[u8]) -> (String, String, i32) {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who refuses its input reads no more of it.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
            output.status.code().unwrap_or(-1),
        )
    }
}

impl Terminal {
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        processes::signal(self.pid(), signal);
    }

    pub fn out(&self) -> String {
        fs::read_to_string(&self.out).unwrap_or_default()
    }

    pub fn err(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    pub fn wait_out(&self, what: &str, done: impl Fn(&str) -> bool) -> String {
        let look = || Some(self.out()).filter(|text| done(text));
        let tell = || {
            let out = self.out();
            let last: String = out.chars().rev().take(400).collect();
            last.chars().rev().collect::<String>() + &self.err()
        };
        wait_or_tell(what, PATIENCE, look, tell)
    }

    /// Waits for its end: its exit code.
    pub fn wait_end(&mut self) -> i32 {
        let child = &mut self.child;
        let ended = wait_for("the command ends", PATIENCE, || child.try_wait().unwrap());
        ended.code().unwrap_or(-1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command prints as one object of JSON.
pub fn json_of(cluster: &Cluster, args: &[&str]) -> Value {
    let (stdout, stderr, _) = cluster.run(args);
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{args:?}: {error}\n{stderr}"))
}

pub fn peer(cluster: &Cluster, pid: i32) -> Option<Value> {
    let reply = json_of(cluster, &["peers", "--json"]);
    let peers = reply["peers"].as_array().unwrap();
    peers.iter().find(|peer| peer["pid"] == pid).cloned()
}

/// Waits until everybody knows what it wants; its name.
pub fn wait_up(cluster: &Cluster, sub: &Terminal) -> String {
    wait_for("it has subscribed", PATIENCE, || {
        let peer = peer(cluster, sub.pid())?;
        (peer["state"] == "up").then(|| peer["name"].as_str().unwrap().to_owned())
    })
}

pub fn subscribed(cluster: &Cluster, args: &[&str]) -> Terminal {
    let sub = cluster.terminal("sub", &[&["sub"], args].concat());
    wait_up(cluster, &sub);
    sub
}

pub fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Events `tick(1)` to `tick(count)`, one a line.
pub fn ticks(count: u64) -> Vec<u8> {
    let lines: String = (1..=count).map(|n| format!("[\"tick\", {n}]\n")).collect();
    lines.into_bytes()
}

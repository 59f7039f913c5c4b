//! The client against a supervisor that answers from a script: rightly, wrongly, or not at all.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};

use clap::Parser;
use cluster::control::Code;
use cluster::control::reply::ErrorBody;

use super::out::Console;
use super::{perform, sample};
use crate::cli::client::ClientCommand;
use crate::cli::{Cli, Command};

/// What the other side does with one request.
enum Act {
    /// Write this.
    Say(Vec<u8>),
    /// Wait until the client leaves.
    Silence,
}

/// A supervisor that takes one connection, reads one line for each act and acts.
struct Scripted {
    directory: tempfile::TempDir,
    thread: JoinHandle<Vec<String>>,
}

impl Scripted {
    fn new(acts: Vec<Act>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("control.sock")).unwrap();
        let thread = Builder::new()
            .spawn(move || serve(&listener, acts))
            .unwrap();
        Self { directory, thread }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    /// Runs a command line against it: code, standard output, standard error, requests seen.
    fn run(self, line: &str) -> (Code, String, String, Vec<String>) {
        let (code, out, err) = run(line, &self.socket());
        (code, out, err, self.thread.join().unwrap())
    }
}

fn serve(listener: &UnixListener, acts: Vec<Act>) -> Vec<String> {
    let (stream, _) = listener.accept().unwrap();
    let mut writer: UnixStream = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    let mut seen = Vec::new();
    for act in acts {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        seen.push(line);
        match act {
            Act::Say(bytes) => writer.write_all(&bytes).unwrap(),
            Act::Silence => assert_eq!(reader.read_line(&mut String::new()).unwrap(), 0),
        }
    }
    seen
}

fn command(line: &str) -> ClientCommand {
    let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
    match cli.chosen() {
        Some(Command::Client(command)) => command,
        other => panic!("{line}: {other:?}"),
    }
}

fn run(line: &str, socket: &Path) -> (Code, String, String) {
    let command = command(line);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut console = Console::new(&mut out, &mut err, command.common());
    let code = perform(&command, socket, &mut console);
    (
        code,
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

fn say(text: &str) -> Vec<Act> {
    vec![Act::Say(text.as_bytes().to_vec())]
}

fn json(reply: &impl serde::Serialize) -> String {
    format!("{}\n", serde_json::to_string(reply).unwrap())
}

#[test]
fn status_is_asked_and_shown_and_printed_verbatim_for_machines() {
    let reply = json(&sample::status());
    let (code, out, err, seen) = Scripted::new(say(&reply)).run("supervisor status @workers");
    assert_eq!((code, err.as_str()), (Code::Done, ""));
    assert!(out.starts_with("cluster ready, generation 7; instance here"));
    assert!(out.contains("\n1 of 1 selected nodes ready\n"), "{out}");
    assert_eq!(
        seen,
        [
            "{\"schema\":1,\"timeout_ms\":10000,\"request\":{\"status\":{\"select\":[\"@workers\"]}}}\n"
        ]
    );
    let (code, out, _, _) = Scripted::new(say(&reply)).run("supervisor status --json");
    assert_eq!((code, out), (Code::Done, reply.clone()));
    let (code, out, _, _) = Scripted::new(say(&reply)).run("supervisor status --quiet");
    assert_eq!((code, out.as_str()), (Code::Done, ""));
}

#[test]
fn a_refusal_is_told_once_and_ends_with_its_code() {
    let refusal = json(&cluster::control::reply::Plain::failed(
        Code::Conflict,
        "a deployment is under way",
    ));
    for line in [
        "supervisor restart w",
        "supervisor logs",
        "supervisor shutdown",
        "supervisor diff /dev/null",
        "supervisor deploy /dev/null",
    ] {
        let (code, out, err, _) = Scripted::new(say(&refusal)).run(line);
        assert_eq!(code, Code::Conflict, "{line}");
        assert_eq!(out, "", "{line}");
        assert_eq!(err, "supervisor: a deployment is under way\n", "{line}");
        let (code, out, err, _) = Scripted::new(say(&refusal)).run(&format!("{line} --json"));
        assert_eq!((code, err.as_str()), (Code::Conflict, ""), "{line}");
        assert_eq!(out, refusal, "{line}");
    }
}

#[test]
fn a_failed_change_ends_with_its_code_in_both_forms() {
    let reply = cluster::control::reply::ResultsReply {
        schema: 1,
        ok: false,
        error: None,
        findings: Vec::new(),
        results: vec![sample::result(true), sample::result(false)],
    };
    for option in ["", " --json", " --quiet"] {
        let line = format!("supervisor start --all{option}");
        let (code, _, _, _) = Scripted::new(say(&json(&reply))).run(&line);
        assert_eq!(code, Code::Partial, "{line}");
    }
}

#[test]
fn garbage_half_lines_and_a_quick_goodbye_are_no_answers() {
    let other_version = "{\"schema\":2,\"ok\":true}\n";
    for (said, hint) in [
        (
            "HTTP/1.1 400 Bad Request\r\n\r\n",
            "no answer of a supervisor",
        ),
        ("{\"schema\":1,\"ok\":true}\n", "no answer of a supervisor"),
        (other_version, "it speaks schema 2"),
        ("{\"schema\":1,\"ok\":tr", "ended the connection before"),
        ("", "ended the connection before"),
    ] {
        let (code, out, err, _) = Scripted::new(say(said)).run("supervisor status");
        assert_eq!((code, out.as_str()), (Code::Unreachable, ""), "{said}");
        assert!(err.contains(hint), "{said}: {err}");
    }
    let invalid = vec![Act::Say(b"\xff\xfe\n".to_vec())];
    let (code, _, _, _) = Scripted::new(invalid).run("supervisor logs");
    assert_eq!(code, Code::Unreachable);
}

#[test]
fn for_machines_a_failure_of_the_client_is_json_too() {
    let (code, out, err, _) = Scripted::new(say("")).run("supervisor status --json");
    assert_eq!((code, err.as_str()), (Code::Unreachable, ""));
    let reply: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(reply["ok"], false);
    assert_eq!(reply["error"]["code"], 4);
}

/// The limits are the request's and two seconds of grace; all wait at the same time.
#[test]
fn silence_ends_with_the_time_limit() {
    let lines = [
        "supervisor status --timeout 0",
        "supervisor shutdown --timeout 0",
        "supervisor logs --timeout 0",
    ];
    let waiting = lines.map(|line| {
        let run = move || Scripted::new(vec![Act::Silence]).run(line);
        Builder::new().spawn(run).unwrap()
    });
    for one in waiting {
        let (code, _, err, _) = one.join().unwrap();
        assert_eq!(code, Code::TimeLimit);
        assert!(
            err.contains("did not answer within the time limit"),
            "{err}"
        );
    }
}

#[test]
fn a_stream_is_shown_until_its_end_mark() {
    use cluster::control::reply::{Plain, Stream};
    let line = json(&sample::line(Stream::Out, "hello"));
    let said = format!("{line}{line}{}", json(&Plain::end()));
    let (code, out, _, _) = Scripted::new(say(&said)).run("supervisor logs");
    assert_eq!(code, Code::Done);
    assert_eq!(out, "2026-01-01T00:00:01.250Z [worker-1] hello\n".repeat(2));
    let (code, out, _, _) = Scripted::new(say(&said)).run("supervisor logs -f --json");
    assert_eq!((code, out), (Code::Done, line.repeat(2)));
    let broken_off = line.clone();
    let (code, out, _, _) = Scripted::new(say(&broken_off)).run("supervisor logs -f --json");
    assert_eq!((code, out.starts_with(&line)), (Code::Unreachable, true));
}

#[test]
fn shutdown_waits_until_the_supervisor_has_gone() {
    let done = json(&cluster::control::reply::Plain::done());
    let (code, out, _, _) = Scripted::new(say(&done)).run("supervisor shutdown");
    assert_eq!(code, Code::Done);
    assert_eq!(out, "the supervisor has stopped\n");
    let acts = vec![Act::Say(done.into_bytes()), Act::Silence];
    let (code, out, _) = {
        let scripted = Scripted::new(acts);
        run("supervisor shutdown --no-wait", &scripted.socket())
    };
    assert_eq!(code, Code::Done);
    assert_eq!(out, "the supervisor is stopping\n");
}

#[test]
fn status_is_watched_until_the_supervisor_leaves() {
    let picture = || Act::Say(json(&sample::status()).into_bytes());
    let acts = vec![picture(), picture()];
    let (code, out, _, seen) = Scripted::new(acts).run("supervisor status --watch");
    assert_eq!(code, Code::Unreachable);
    assert_eq!(out.matches("cluster ready").count(), 2);
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_socket_that_nobody_serves_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let gone = directory.path().join("control.sock");
    drop(UnixListener::bind(&gone).unwrap());
    for socket in [&gone, &directory.path().join("never.sock")] {
        let (code, _, err) = run("supervisor status", socket);
        assert_eq!(code, Code::Unreachable);
        assert!(err.contains(&socket.display().to_string()), "{err}");
        assert!(err.contains("is it running?"), "{err}");
    }
}

#[test]
fn a_path_too_long_for_an_address_is_reached_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("d".repeat(100)).join("e".repeat(100));
    std::fs::create_dir_all(&deep).unwrap();
    let scripted = Scripted::new(say(&json(&sample::status())));
    let socket = deep.join("control.sock");
    std::fs::rename(scripted.socket(), &socket).unwrap();
    let (code, _, err) = run("supervisor status", &socket);
    assert_eq!((code, err.as_str()), (Code::Done, ""));
    let never = deep.join("never.sock");
    assert_eq!(run("supervisor status", &never).0, Code::Unreachable);
}

#[test]
fn completion_waits_a_moment_only_and_says_nothing_then() {
    let reply = "{\"schema\":1,\"ok\":true,\"names\":[\"a\",\"b\"]}\n";
    let there = Scripted::new(say(reply));
    assert_eq!(super::completions::names(&there.socket()), "a\nb\n");
    let silent = Scripted::new(vec![Act::Silence]);
    assert_eq!(super::completions::names(&silent.socket()), "");
}

#[test]
fn a_deployment_shows_what_differed_and_what_runs_now() {
    let reply = cluster::control::reply::DeployReply {
        schema: 1,
        ok: true,
        error: None,
        findings: vec!["/site.ron:3:5: warning: scripts: this build runs none".to_owned()],
        generation: 8,
        diff: cluster::layout::diff::Difference {
            added: vec!["worker-1".to_owned()],
            ..Default::default()
        },
        results: vec![sample::result(true)],
    };
    let deployed = |line| Scripted::new(say(&json(&reply))).run(line);
    let (code, out, err, _) = deployed("supervisor deploy /dev/null");
    assert_eq!(code, Code::Done);
    assert_eq!(
        err,
        "warning: /site.ron:3:5: scripts: this build runs none\n"
    );
    assert_eq!(
        out,
        "+ worker-1\n1 added, 0 removed, 0 changed, 0 unchanged\n\
         worker-1  ready  pid 123\ngeneration 8 runs\n"
    );
    let (code, out, err, _) = deployed("supervisor deploy /dev/null --dry-run --quiet");
    assert_eq!((code, out.as_str(), err.as_str()), (Code::Done, "", ""));
    let (code, out, _, _) = deployed("supervisor deploy /dev/null --dry-run");
    assert_eq!(code, Code::Done);
    assert!(out.ends_with("nothing was changed (--dry-run)\n"), "{out}");
}

#[test]
fn a_deployment_that_failed_or_changed_nothing_says_so() {
    let mut reply = cluster::control::reply::DeployReply {
        schema: 1,
        ok: false,
        error: Some(ErrorBody {
            code: Code::Partial,
            message: "failed for 1 of 2 nodes".to_owned(),
            node: None,
        }),
        findings: Vec::new(),
        generation: 3,
        diff: cluster::layout::diff::Difference {
            changed: [("worker-1".to_owned(), Vec::new())].into(),
            ..Default::default()
        },
        results: vec![sample::result(true), sample::result(false)],
    };
    let (code, out, err, _) = Scripted::new(say(&json(&reply))).run("supervisor deploy /dev/null");
    assert_eq!(code, Code::Partial);
    assert!(!out.contains("generation"), "{out}");
    assert!(
        err.ends_with("generation 3 is in force; 1 node did not become ready\n"),
        "{err}"
    );
    reply.ok = true;
    reply.error = None;
    reply.results.clear();
    reply.diff = Default::default();
    let (code, out, _, _) = Scripted::new(say(&json(&reply))).run("supervisor deploy /dev/null");
    assert_eq!(code, Code::Done);
    assert_eq!(out, "nothing differs, 0 unchanged\ngeneration 3 runs\n");
}

#[test]
fn a_wait_that_ends_too_early_does_not_say_that_anything_goes_on() {
    let reply = cluster::control::reply::ResultsReply {
        schema: 1,
        ok: false,
        error: Some(ErrorBody {
            code: Code::TimeLimit,
            message: "the time limit passed; what was asked for goes on".to_owned(),
            node: None,
        }),
        findings: Vec::new(),
        results: vec![],
    };
    for (line, goes_on) in [
        ("supervisor wait --for ready", false),
        ("supervisor restart --all", true),
    ] {
        let (code, _, err, _) = Scripted::new(say(&json(&reply))).run(line);
        assert_eq!(code, Code::TimeLimit);
        assert_eq!(err.contains("goes on"), goes_on, "{err}");
    }
}

/// A reader that went away, or a disk that is full.
struct Refusing(io::ErrorKind);

impl Write for Refusing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure_but_a_full_disk_is() {
    for (kind, code, said) in [
        (io::ErrorKind::BrokenPipe, Code::Done, ""),
        (
            io::ErrorKind::StorageFull,
            Code::Failed,
            "supervisor: cannot write the output: no storage space\n",
        ),
    ] {
        let scripted = Scripted::new(say(&json(&sample::status())));
        let (mut out, mut err) = (Refusing(kind), Vec::new());
        let command = command("supervisor status");
        let mut console = Console::new(&mut out, &mut err, command.common());
        assert_eq!(perform(&command, &scripted.socket(), &mut console), code);
        assert_eq!(String::from_utf8(err).unwrap(), said);
    }
}

//! What the main loop asks of the output thread, carried out.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::SystemTime;

use cluster::control::reply::{LogLine, Stream, moment};
use cluster::names::{Incarnation, NodeName};
use mio::{Interest, Token};

use super::crash::{self, Crash, CrashFacts};
use super::follow::Wanted;
use super::node::{Pipe, Speaker};
use super::place::Owner;
use super::tail::TAIL_LINES_MAX;
use super::thread::Reader;
use super::{Command, Note};

/// So many pipes of one node are read on after their main process ended; the oldest is closed.
const LEFT_BEHIND_MAX: usize = 8;

impl Reader {
    pub(super) fn on_command(&mut self, command: Command, scratch: &mut [u8]) {
        match command {
            Command::Attach {
                node,
                incarnation,
                stdout,
                stderr,
                stdout_file,
                stderr_file,
                owner,
                pid,
                pid_file,
            } => {
                let places = (stdout_file, stderr_file, owner);
                self.pids.born(&node, (pid_file, owner), pid, self.desk.now);
                self.on_attach(node, incarnation, (stdout, stderr), places);
            }
            Command::AttachHelper {
                node,
                label,
                output,
                stderr_file,
                owner,
            } => {
                let entry = self.nodes.entry(node.clone()).or_default();
                let incarnation = entry.incarnation;
                entry.set_stderr_file(stderr_file, owner);
                let label = Some(label.into_boxed_str());
                self.attach(output, speaker(&node, incarnation, Stream::Err, label));
            }
            Command::Gone {
                node,
                incarnation,
                pid_file,
                crash,
            } => {
                if let Some(pid_file) = pid_file {
                    self.pids.gone(&node, &pid_file);
                }
                self.on_gone(node, incarnation, crash.as_deref(), scratch);
            }
            Command::Forget(node) => self.on_forget(&node, scratch),
            Command::Reopen => self.on_reopen(),
            Command::Settings(settings) => self.desk.settings = settings,
            Command::Tail {
                request,
                wanted,
                lines,
                since,
            } => {
                let lines = self.last_lines(&wanted, lines, since);
                self.notes.send(Note::Tail { request, lines });
            }
            Command::Follow {
                id,
                wanted,
                lines,
                since,
                held,
            } => {
                let first = self.last_lines(&wanted, lines, since);
                self.desk.followers.add(id, wanted, held, first);
            }
            Command::Unfollow(id) => self.desk.followers.remove(id),
            Command::Finish { within } => {
                for number in self.pipes.keys().copied().collect::<Vec<_>>() {
                    self.queue(number);
                }
                self.finish_at = Some(self.desk.now + within);
            }
        }
    }

    fn on_attach(
        &mut self,
        node: NodeName,
        incarnation: Incarnation,
        (stdout, stderr): (OwnedFd, OwnedFd),
        (stdout_file, stderr_file, owner): (PathBuf, PathBuf, Owner),
    ) {
        let entry = self.nodes.entry(node.clone()).or_default();
        entry.incarnation = incarnation;
        entry.set_stdout_file(stdout_file, owner);
        entry.set_stderr_file(stderr_file, owner);
        self.attach(stdout, speaker(&node, incarnation, Stream::Out, None));
        self.attach(stderr, speaker(&node, incarnation, Stream::Err, None));
    }

    fn attach(&mut self, end: OwnedFd, from: Speaker) {
        let number = self.next_pipe;
        self.next_pipe += 1;
        let name = from.node.clone();
        let attached = Pipe::new(end, from).and_then(|mut pipe| {
            let registry = self.poll.registry();
            registry.register(pipe.end(), Token(number), Interest::READABLE)?;
            Ok(pipe)
        });
        match attached {
            Ok(pipe) => {
                self.pipes.insert(number, Box::new(pipe));
                if let Some(node) = self.nodes.get_mut(&name) {
                    node.pipes.push(number);
                }
            }
            Err(error) => self.notes.problem(Some(&name), "read output", &error),
        }
    }

    fn on_gone(
        &mut self,
        node: NodeName,
        incarnation: Incarnation,
        crash: Option<&CrashFacts>,
        scratch: &mut [u8],
    ) {
        let mut own = self.pipes_of(&node);
        own.retain(|number| {
            self.pipes.get(number).is_some_and(|pipe| {
                pipe.from.label.is_none() && pipe.from.incarnation == incarnation
            })
        });
        self.drain(&own, scratch);
        let mut left_behind = self.pipes_of(&node);
        left_behind.retain(|number| self.pipes.get(number).is_some_and(|pipe| pipe.left_behind));
        let too_many = left_behind.len().saturating_sub(LEFT_BEHIND_MAX);
        for number in left_behind.into_iter().take(too_many) {
            self.close(number);
        }
        if let Some(facts) = crash.filter(|_| self.desk.settings.crash_keep > 0) {
            self.write_crash(&node, incarnation, facts);
        }
    }

    fn write_crash(&mut self, node: &NodeName, incarnation: Incarnation, facts: &CrashFacts) {
        let last = |stream| {
            let known = self.nodes.get(node);
            let mut lines =
                known.map_or_else(Vec::new, |node| node.last(stream, TAIL_LINES_MAX, None));
            lines.retain(|line| line.incarnation == incarnation);
            lines
        };
        let crash = Crash {
            node,
            incarnation,
            facts,
            out: &last(Stream::Out),
            err: &last(Stream::Err),
        };
        let keep = self.desk.settings.crash_keep;
        let (node, written) = (node.clone(), crash::write(&self.crash_dir, &crash, keep));
        self.notes.send(match written {
            Ok(dir) => Note::CrashWritten { node, dir },
            Err(error) => Note::CrashLost {
                node,
                why: format!("write crash report: {error}"),
            },
        });
    }

    fn on_forget(&mut self, node: &NodeName, scratch: &mut [u8]) {
        let all = self.pipes_of(node);
        self.drain(&all, scratch);
        for number in all {
            self.close(number);
        }
        self.nodes.remove(node);
        self.losing.remove(node);
    }

    fn on_reopen(&mut self) {
        for (name, node) in &mut self.nodes {
            for file in node.all_files() {
                if let Err(error) = file.open() {
                    self.notes
                        .problem(Some(name), "open output file again", &error);
                }
            }
        }
    }

    fn last_lines(&self, wanted: &Wanted, count: usize, since: Option<SystemTime>) -> Vec<LogLine> {
        let mut lines = Vec::new();
        for (name, node) in &self.nodes {
            for stream in [Stream::Out, Stream::Err] {
                if !wanted.takes(name, stream) {
                    continue;
                }
                for line in node.last(stream, count, since) {
                    lines.push((line.at, name, stream, line.text));
                }
            }
        }
        lines.sort_by_key(|(at, ..)| *at); // stable: lines of one stream keep their order
        let as_told = lines.into_iter().map(|(at, name, stream, text)| LogLine {
            at: moment(at),
            node: name.to_string(),
            stream,
            text,
        });
        as_told.collect()
    }
}

pub(super) fn speaker(
    node: &NodeName,
    incarnation: Incarnation,
    stream: Stream,
    label: Option<Box<str>>,
) -> Speaker {
    Speaker {
        node: node.clone(),
        stream,
        incarnation,
        label,
    }
}

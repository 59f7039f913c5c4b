//! Loggers are asked to rotate their files, over their control sockets.
//!
//! Borrows: the control sockets of the nodes that are asked. Their answers come by way of `loggers`. One
//! request is under way at a time.

use std::os::fd::AsFd;
use std::time::Instant;

use cluster::control::Code;
use cluster::control::node::ToNode;
use cluster::control::reply::{ErrorBody, LATE, Plain};
use cluster::control::select::Selector;
use cluster::layout::spec::{LINK_PACKET_BYTES_MAX, Role};
use cluster::logging::LogPath;
use cluster::names::NodeName;
use cluster::sys::packet;

use super::Daemon;
use super::controller::control_of;
use super::operations::{Asker, Form};

/// A request that is under way.
#[derive(Debug)]
pub(super) struct Rotation {
    asker: Asker,
    request: u64,
    nodes: Vec<Asked>,
}

/// A node that was asked.
#[derive(Debug)]
struct Asked {
    name: NodeName,
    pid: i32,
    /// Its answer: why not, if so.
    answer: Option<Option<String>>,
}

impl Rotation {
    pub(super) fn deadline(&self) -> Instant {
        self.asker.deadline
    }
}

impl Daemon {
    /// # Errors
    /// Nobody is asked: another request is under way, or the words name nobody, or nothing.
    pub(super) fn on_rotate(&mut self, asker: Asker, words: &[String]) -> Result<(), Plain> {
        self.may_change()?;
        if self.rotation.is_some() {
            let text = "another rotation is under way; try again";
            return Err(Plain::failed(Code::Conflict, text));
        }
        let (nodes, paths): (Vec<&String>, Vec<&String>) =
            words.iter().partition(|word| self.names_nodes(word));
        let usage = |text: String| Plain::failed(Code::Usage, text);
        let paths = paths.into_iter().map(|word| LogPath::meant(word));
        let paths: Vec<LogPath> = paths
            .collect::<Result<_, _>>()
            .map_err(|error| usage(error.to_string()))?;
        let select: Vec<Selector> = nodes.into_iter().cloned().map(Selector).collect();
        let mut names = self.select(&select, true)?;
        if select.is_empty() {
            names.retain(|name| self.writes_logs(name));
        }
        if let Some(other) = names.iter().find(|name| !self.writes_logs(name)) {
            return Err(usage(format!("node \"{other}\" writes no logs")));
        }
        if names.is_empty() {
            return Err(usage("no node of this layout writes logs".to_owned()));
        }
        self.rotations += 1;
        let request = self.rotations;
        let packet = ToNode::Rotate { request, paths }.encode(LINK_PACKET_BYTES_MAX);
        let Some(packet) = packet else {
            return Err(usage("too many paths; name fewer at a time".to_owned()));
        };
        let nodes = names.into_iter();
        let nodes = nodes
            .map(|name| self.ask_to_rotate(name, &packet))
            .collect();
        self.rotation = Some(Rotation {
            asker,
            request,
            nodes,
        });
        self.dirty = true;
        Ok(())
    }

    /// Whether a word stands for nodes, not for a log.
    fn names_nodes(&self, word: &str) -> bool {
        word.starts_with('@') || word.contains(['*', '?']) || self.nodes.contains_key(word)
    }

    fn writes_logs(&self, name: &NodeName) -> bool {
        let role = self.nodes.get(name).map(|node| node.spec.role);
        let framework = &self.layout.settings.framework;
        match role {
            Some(Role::Logger) => true,
            Some(Role::Manager) => framework.is_manager_logger(&self.layout.nodes),
            Some(Role::None | Role::Control | Role::Proxy | Role::Worker | Role::Controller)
            | None => false,
        }
    }

    fn ask_to_rotate(&mut self, name: NodeName, packet: &[u8]) -> Asked {
        let pid = self.nodes.get(&name).and_then(|node| node.pid());
        let mut asked = Asked {
            pid: pid.unwrap_or_default(),
            name,
            answer: None,
        };
        let Some(control) = control_of(&self.nodes, &asked.name, asked.pid) else {
            asked.answer = Some(Some("it has no process".to_owned()));
            return asked;
        };
        if let Err(error) = packet::send(control.as_fd(), packet, &[]) {
            asked.answer = Some(Some(format!("it cannot be asked: {error}")));
        }
        asked
    }

    /// Somebody who was asked has answered.
    pub(super) fn on_rotated(
        &mut self,
        name: &NodeName,
        pid: i32,
        request: u64,
        files: &Result<u32, String>,
    ) {
        // An answer to a request that is over comes too late.
        let rotation = self.rotation.as_mut().filter(|own| own.request == request);
        let Some(rotation) = rotation else {
            return;
        };
        let mut nodes = rotation.nodes.iter_mut();
        if let Some(asked) = nodes.find(|asked| asked.name == *name && asked.pid == pid) {
            asked.answer = Some(files.as_ref().err().cloned());
            self.dirty = true;
        }
    }

    /// Answers whoever asked, when all have answered or none is waited for any more.
    pub(super) fn settle_rotation(&mut self, now: Instant) {
        let Some(rotation) = &mut self.rotation else {
            return;
        };
        for asked in rotation.nodes.iter_mut().filter(|a| a.answer.is_none()) {
            if control_of(&self.nodes, &asked.name, asked.pid).is_none() {
                asked.answer = Some(Some("it ended meanwhile".to_owned()));
            }
        }
        let is_waiting = rotation.nodes.iter().any(|asked| asked.answer.is_none());
        if is_waiting && now < rotation.deadline() {
            return;
        }
        let Some(rotation) = self.rotation.take() else {
            return;
        };
        let mut results = Vec::new();
        for asked in rotation.nodes {
            let error = asked.answer.unwrap_or_else(|| Some(LATE.to_owned()));
            results.push(self.result_of(&asked.name, error));
        }
        let error = is_waiting.then(|| ErrorBody {
            code: Code::TimeLimit,
            message: "the time limit passed; --timeout gives more time, and the loggers go on"
                .to_owned(),
            node: None,
        });
        self.finish(rotation.asker.client, results, error, Form::results());
    }
}

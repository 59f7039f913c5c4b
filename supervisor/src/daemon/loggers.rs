//! What nodes that write logs say over their control sockets: that files were rotated, as they were asked,
//! that the layout's command is to be run for one, and that a stream has fallen silent.
//!
//! Borrows: their control sockets, as long as their processes live. The command is the layout's: a node
//! says which file it is for, and nothing else. The stem runs it, as it runs hooks, for as long as the
//! layout gives it.

use std::io;
use std::os::fd::AsFd;

use cluster::control::node::{FromNode, ToNode};
use cluster::layout::spec::LINK_PACKET_BYTES_MAX;
use cluster::logging::files::closed::Closed;
use cluster::names::NodeName;
use cluster::net::poller::Key;
use cluster::supervise::child::Ending;
use cluster::supervise::vocabulary::Order;
use cluster::sys::packet;
use std::collections::BTreeMap;

use super::controller::control_of;
use super::events::Weight;
use super::{Daemon, Source};

/// A node runs no more commands at a time; it does not ask for more.
const COMMANDS_MAX: usize = 16;

/// Nodes that write logs, or may come to.
#[derive(Debug, Default)]
pub(super) struct Loggers {
    /// Each process, and how the poller knows its control socket.
    heard: BTreeMap<NodeName, (i32, Key)>,
    /// For which files commands run, by their nodes' requests.
    running: BTreeMap<(NodeName, u64), String>,
}

impl Daemon {
    /// A node was born: if it may write logs, it is listened to.
    pub(super) fn hear(&mut self, name: &NodeName) {
        let Some(node) = self.nodes.get(name) else {
            return;
        };
        if node.spec.logs().is_none() {
            return;
        }
        let Some(pid) = node.pid() else {
            return;
        };
        // What its last incarnation asked for is nobody's.
        self.loggers.running.retain(|(asker, _), _| asker != name);
        if let Some((_, key)) = self.loggers.heard.remove(name) {
            // The descriptor went with the node's process, and epoll forgot it then by itself.
            self.poller.forget(key);
        }
        let Some(control) = control_of(&self.nodes, name, pid) else {
            return;
        };
        match self.poller.add(control.as_fd(), Source::Logger, false) {
            Ok(key) => {
                self.loggers.heard.insert(name.clone(), (pid, key));
            }
            Err(error) => {
                let detail = [("error", format!("it cannot be listened to: {error}"))];
                self.event(Weight::Warn, "problem", Some(name), &detail);
            }
        }
    }

    /// Some of them have said something.
    pub(super) fn on_loggers(&mut self) {
        let mut buffer = vec![0; LINK_PACKET_BYTES_MAX];
        let mut said = Vec::new();
        for (name, (pid, _)) in &self.loggers.heard {
            let Some(control) = control_of(&self.nodes, name, *pid) else {
                continue;
            };
            loop {
                match packet::recv(control.as_fd(), &mut buffer) {
                    Ok(Some((length, _))) => {
                        let packet = buffer.get(..length).unwrap_or_default();
                        said.extend(
                            FromNode::decode(packet).map(|from| (name.clone(), *pid, from)),
                        );
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // There is no more, or it has ended, of which the stem tells.
                    Ok(None) | Err(_) => break,
                }
            }
        }
        for (name, pid, from) in said {
            match from {
                FromNode::Rotated { request, files } => {
                    self.on_rotated(&name, pid, request, &files);
                }
                FromNode::Closed {
                    request,
                    closed,
                    is_ending,
                } => self.process(name, request, &closed, is_ending),
                FromNode::Silent {
                    stream,
                    path,
                    lasts,
                } => {
                    let detail = [
                        ("stream", stream.to_string()),
                        ("path", path.to_string()),
                        ("lasts", humantime::format_duration(lasts).to_string()),
                    ];
                    self.event(Weight::Warn, "stream_silent", Some(&name), &detail);
                }
            }
        }
    }

    /// Has the layout's command run for a rotated file.
    fn process(&mut self, name: NodeName, request: u64, closed: &Closed, is_ending: bool) {
        let logging = &self.layout.settings.logging;
        let mut command = logging.postprocess.clone();
        let timeout = logging.postprocess_timeout;
        let place = self.nodes.get(&name).and_then(|node| node.spec.logs());
        let (Some(place), false) = (place, command.is_empty()) else {
            // The layout wants none any more.
            self.say_processed(&name, request);
            return;
        };
        let mine = self.loggers.running.keys();
        if mine.filter(|(asker, _)| *asker == name).count() >= COMMANDS_MAX {
            log::error!("node={name} event=bug error=\"it asks for more commands than it may\"");
            return;
        }
        command.extend(closed.arguments(&place.to_string_lossy(), is_ending));
        let running = &mut self.loggers.running;
        running.insert((name.clone(), request), closed.name.clone());
        let order = Order::Process {
            name,
            request,
            command,
            timeout,
        };
        self.stem.order(&order, None);
    }

    /// A command has ended, or could not be run.
    pub(super) fn on_processed(&mut self, name: &NodeName, request: u64, ending: Ending) {
        let Some(file) = self.loggers.running.remove(&(name.clone(), request)) else {
            return;
        };
        let weight = match ending {
            Ending::Exited(0) => Weight::Info,
            Ending::Exited(_) | Ending::Signaled { .. } | Ending::NotBorn(_) => Weight::Warn,
        };
        let detail = [("file", file), ("ending", ending.to_string())];
        self.event(weight, "postprocess_ended", Some(name), &detail);
        self.say_processed(name, request);
    }

    /// If it cannot be told it has ended, or does not read: then the command is run again some day.
    fn say_processed(&self, name: &NodeName, request: u64) {
        let heard = self.loggers.heard.get(name);
        let control = heard.and_then(|(pid, _)| control_of(&self.nodes, name, *pid));
        let packet = ToNode::Processed { request }.encode(LINK_PACKET_BYTES_MAX);
        if let (Some(control), Some(packet)) = (control, packet)
            && let Err(error) = packet::send(control.as_fd(), &packet, &[])
        {
            log::warn!("node={name} event=not_told error=\"{error}\"");
        }
    }
}

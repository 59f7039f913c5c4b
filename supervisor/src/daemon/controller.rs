//! What the supervisor tells the controller: facts over the controller node's control socket.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use cluster::controller::fact::{Fact, NodeFact};
use cluster::controller::types::Instance;
use cluster::layout::spec::Role;
use cluster::names::NodeName;
use cluster::net::poller::Key;
use cluster::sys::packet;

use super::nodes::Node;
use super::{Daemon, Source};

/// A controller that does not read for so long gets a fresh snapshot when it does again.
const UNSENT_MAX: usize = 16 * 1024;

/// Facts on their way to the controller.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// The controller that was greeted, and how the poller knows its socket.
    node: Option<(NodeName, i32, Key)>,
    unsent: VecDeque<Vec<u8>>,
}

/// The control socket of a node, while it is the process of that number.
pub(super) fn control_of<'a>(
    nodes: &'a BTreeMap<NodeName, Box<Node>>,
    name: &NodeName,
    pid: i32,
) -> Option<&'a OwnedFd> {
    let live = nodes.get(name)?.live.as_ref()?;
    live.control.as_ref().filter(|_| live.pid == pid)
}

impl Daemon {
    /// A node became ready: if it is the controller, it is told everything.
    pub(super) fn greet_controller(&mut self, name: &NodeName) {
        let Some(node) = self.nodes.get(name) else {
            return;
        };
        if node.spec.role != Role::Controller {
            return;
        }
        let Some(pid) = node.pid() else {
            return;
        };
        self.let_go_of_controller();
        let Some(control) = control_of(&self.nodes, name, pid) else {
            return;
        };
        match self.poller.add(control.as_fd(), Source::Controller, true) {
            Ok(key) => self.controller.node = Some((name.clone(), pid, key)),
            Err(error) => log::error!("node={name} event=problem error=\"{error}\""),
        }
        self.send_snapshot();
    }

    /// Tells the controller nothing more, until one is greeted again.
    fn let_go_of_controller(&mut self) {
        self.controller.unsent.clear();
        let Some((name, pid, key)) = self.controller.node.take() else {
            return;
        };
        match control_of(&self.nodes, &name, pid) {
            Some(control) => self.poller.remove(key, control.as_fd()),
            // The descriptor went with the node's process, and epoll forgot it then by itself.
            None => self.poller.forget(key),
        }
    }

    fn send_snapshot(&mut self) {
        let instances = self
            .layout
            .instances
            .iter()
            .map(|(name, host)| Instance {
                name: name.to_string(),
                host: *host,
                listen_port: None,
            })
            .collect();
        let mut facts = vec![
            Fact::SnapshotBegin,
            Fact::Instances {
                generation: self.generation,
                instances,
            },
        ];
        let here: Vec<NodeName> = self.start_order();
        facts.extend(here.iter().filter_map(|name| self.fact_of(name)));
        facts.extend(
            self.layout
                .nodes
                .iter()
                .filter(|(name, _)| !self.nodes.contains_key(*name))
                .map(|(name, node)| {
                    Fact::Node(NodeFact {
                        name: name.clone(),
                        instance: node.instance.clone(),
                        role: node.node_type,
                        state: None,
                        wanted: true,
                        pid: None,
                        incarnation: cluster::names::Incarnation::default(),
                        p: node.p,
                        metrics_port: node.metrics_port,
                    })
                }),
        );
        facts.push(Fact::Cluster(self.state()));
        facts.push(Fact::SnapshotEnd);
        for fact in facts {
            self.tell_controller(&fact);
        }
    }

    fn fact_of(&self, name: &NodeName) -> Option<Fact> {
        let node = self.nodes.get(name)?;
        let placed = self.layout.nodes.get(name);
        Some(Fact::Node(NodeFact {
            name: name.clone(),
            instance: self.layout.instance.clone(),
            role: node.spec.role,
            state: Some(node.state),
            wanted: node.wanted,
            pid: node.pid(),
            incarnation: node.incarnation,
            p: placed.and_then(|placed| placed.p),
            metrics_port: placed.and_then(|placed| placed.metrics_port),
        }))
    }

    pub(super) fn tell_controller_of(&mut self, name: &NodeName) {
        if self.controller.node.is_some()
            && let Some(fact) = self.fact_of(name)
        {
            self.tell_controller(&fact);
        }
    }

    pub(super) fn tell_controller_of_cluster(&mut self) {
        self.tell_controller(&Fact::Cluster(self.state()));
    }

    pub(super) fn tell_controller_gone(&mut self, name: &NodeName) {
        self.tell_controller(&Fact::NodeGone(name.clone()));
    }

    fn tell_controller(&mut self, fact: &Fact) {
        if self.controller.node.is_none() {
            return;
        }
        if self.controller.unsent.len() >= UNSENT_MAX {
            // It does not read: what it missed comes with the snapshot after its next birth.
            self.let_go_of_controller();
            log::error!("event=controller_silent error=\"it does not read what it is told\"");
            return;
        }
        match postcard::to_stdvec(fact) {
            Ok(bytes) => self.controller.unsent.push_back(bytes),
            Err(error) => log::error!("event=bug error=\"cannot encode {fact:?}: {error}\""),
        }
    }

    pub(super) fn flush_controller(&mut self) {
        let Some((name, pid, _)) = &self.controller.node else {
            return;
        };
        let Some(control) = control_of(&self.nodes, name, *pid) else {
            return self.let_go_of_controller();
        };
        while let Some(bytes) = self.controller.unsent.front() {
            match packet::send(control.as_fd(), bytes, &[]) {
                Ok(()) => {
                    self.controller.unsent.pop_front();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.controller.unsent.clear(), // it is dead; its next birth hears everything
            }
        }
    }
}

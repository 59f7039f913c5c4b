//! Requests that change nodes: start, stop, restart, create, destroy, signal, wait.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use cluster::control::Code;
use cluster::control::reply::Plain;
use cluster::control::request::Request;
use cluster::control::select::Selectors;
use cluster::layout::signals;
use cluster::layout::spec::ChildSpec;
use cluster::names::{Incarnation, NodeName};
use cluster::supervise::child::State;
use cluster::supervise::vocabulary::{Order, Past};

use super::clients::ClientId;
use super::deploy::said;
use super::directories;
use super::events::Weight;
use super::nodes::Node;
use super::operations::{Asker, Form, Goal};
use super::{Daemon, start};

/// A refusal, as the client reads it.
type Refused = Plain;

impl Daemon {
    pub(super) fn change(&mut self, asker: Asker, id: ClientId, request: Request, now: Instant) {
        let done = match request {
            Request::Start { select, wait } => self.on_start(asker, &select, wait),
            Request::Stop {
                select,
                grace_ms,
                wait,
            } => self.on_stop(asker, &select, grace_ms.map(Duration::from_millis), wait),
            Request::Restart {
                select,
                rolling,
                wait,
            } => self.on_restart(asker, &select, rolling, wait),
            Request::Create {
                nodes,
                base,
                persist,
                wait,
            } => self.on_create(asker, nodes, base.into(), persist, wait),
            Request::Destroy { select, wait } => self.on_destroy(asker, &select, wait),
            Request::Wait { select, state } => self.select(&select, true).map(|names| {
                let nodes = self.with_incarnations(names);
                self.await_goal(asker, state.into(), nodes, Form::results(), true);
            }),
            Request::Signal { select, signal } => self.on_signal(asker, &select, &signal),
            Request::Rotate { words } => self.on_rotate(asker, &words),
            Request::Deploy {
                path,
                dry_run,
                rolling,
                wait,
            } => self.on_deploy(asker, PathBuf::from(path), (dry_run, rolling, wait), now),
            Request::Status { .. }
            | Request::Names {}
            | Request::Shutdown { .. }
            | Request::Logs { .. }
            | Request::Diag { .. }
            | Request::Events { .. }
            | Request::Diff { .. } => Err(Plain::failed(Code::Usage, "this changes nothing")),
        };
        self.dirty = true;
        if let Err(refusal) = done {
            self.reply(id, &refusal);
        }
    }

    /// # Errors
    /// Nothing is changed any more.
    pub(super) fn may_change(&self) -> Result<(), Refused> {
        match self.shutdown {
            Some(_) => Err(Plain::failed(Code::Conflict, "the supervisor is stopping")),
            None => Ok(()),
        }
    }

    fn with_incarnations(&self, names: Vec<NodeName>) -> Vec<(NodeName, Incarnation)> {
        names
            .into_iter()
            .map(|name| {
                let node = self.nodes.get(&name);
                let before = node.map_or_else(Incarnation::default, |node| node.incarnation);
                (name, before)
            })
            .collect()
    }

    pub(super) fn order_want(&mut self, name: &NodeName, up: bool, grace: Option<Duration>) {
        let order = Order::Want {
            name: name.clone(),
            up,
            grace,
        };
        self.stem.order(&order, None);
    }

    fn on_start(&mut self, asker: Asker, select: &Selectors, wait: bool) -> Result<(), Refused> {
        self.may_change()?;
        let names = self.select(select, false)?;
        for name in &names {
            let placed = self.find_place(name);
            if let Some(node) = self.nodes.get_mut(name) {
                node.wanted = true;
                if !placed {
                    continue;
                }
                if matches!(node.state, State::Failed | State::Finished) {
                    node.await_birth();
                }
                if node.orphan.is_none() {
                    self.order_want(name, true, None);
                }
            }
        }
        self.save_wanted();
        let nodes = self.with_incarnations(names);
        self.await_goal(asker, Goal::Ready, nodes, Form::results(), wait);
        Ok(())
    }

    fn on_stop(
        &mut self,
        asker: Asker,
        select: &Selectors,
        grace: Option<Duration>,
        wait: bool,
    ) -> Result<(), Refused> {
        self.may_change()?;
        let names = self.select(select, false)?;
        // Later stages first: the stem keeps an earlier one running while a later one still stops.
        for name in names.iter().rev() {
            if let Some(node) = self.nodes.get_mut(name) {
                node.wanted = false;
                if !self.stem.is_up() {
                    node.state = State::Stopped;
                }
                self.order_want(name, false, grace);
            }
        }
        self.save_wanted();
        let nodes = self.with_incarnations(names);
        self.await_goal(asker, Goal::Stopped, nodes, Form::results(), wait);
        Ok(())
    }

    fn on_restart(
        &mut self,
        asker: Asker,
        select: &Selectors,
        rolling: Option<u32>,
        wait: bool,
    ) -> Result<(), Refused> {
        self.may_change()?;
        let names = self.select(select, false)?;
        if let Some(width) = rolling {
            self.roll(
                asker.if_waiting(wait),
                names.clone(),
                width,
                Form::results(),
            )?;
            self.save_wanted();
            if !wait {
                let nodes = self.with_incarnations(names);
                self.await_goal(asker, Goal::Again, nodes, Form::results(), false);
            }
            return Ok(());
        }
        let nodes = self.with_incarnations(names.clone());
        for name in &names {
            self.restart_one(name);
        }
        self.save_wanted();
        self.await_goal(asker, Goal::Again, nodes, Form::results(), wait);
        Ok(())
    }

    fn on_create(
        &mut self,
        asker: Asker,
        text: String,
        base: PathBuf,
        persist: bool,
        wait: bool,
    ) -> Result<(), Refused> {
        self.may_change()?;
        let (names, findings) = self
            .create(&text, &base, persist)
            .map_err(|error| Plain::failed(Code::Invalid, error))?;
        if persist {
            self.save_wanted();
        }
        for name in &names {
            self.order_want(name, true, None);
            let detail = [("persist", persist.to_string())];
            self.event(Weight::Info, "node_created", Some(name), &detail);
        }
        let nodes = self.with_incarnations(names);
        self.await_goal(asker, Goal::Ready, nodes, Form::Results { findings }, wait);
        Ok(())
    }

    /// Gets to know nodes that are not in the layout. They are not started yet.
    ///
    /// # Errors
    /// What is wrong with their description, as `check` would say it.
    pub(super) fn create(
        &mut self,
        text: &str,
        base: &std::path::Path,
        persist: bool,
    ) -> Result<(Vec<NodeName>, Vec<String>), String> {
        let (more, findings) = start::read_more(text, base, &self.everything())?;
        for spec in &more.children {
            directories::make_for(spec).map_err(|error| start::chain(&error))?;
        }
        self.layout.stages = more.stages;
        self.stem
            .order(&Order::Stages(self.layout.stages.clone()), None);
        if !more.nodes.is_empty() {
            self.layout.nodes.extend(more.nodes);
            self.send_layout();
        }
        let mut names = Vec::new();
        for spec in more.children {
            let name = spec.name.clone();
            let mut node = Node::new(spec, true, false);
            node.persist = persist;
            node.placed = true;
            self.nodes.insert(name.clone(), Box::new(node));
            self.tell_of(&name, &Past::default());
            names.push(name);
        }
        Ok((names, said(&findings)))
    }

    /// Tells the stem of a node, with its control group made.
    pub(super) fn tell_of(&mut self, name: &NodeName, past: &Past) {
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        if let Some(warning) = self.groups.make(&mut node.spec) {
            let detail = [("error", warning)];
            self.event(Weight::Warn, "problem", Some(name), &detail);
        }
        let Some(spec) = self.spec_of(name) else {
            return;
        };
        self.stem.let_go(name, &spec.listen);
        let order = Order::Know {
            spec: Box::new(spec),
            past: past.clone(),
        };
        self.stem.order(&order, None);
    }

    /// Its description, as far as the stem has to know it.
    fn spec_of(&self, name: &NodeName) -> Option<ChildSpec> {
        let mut spec = self.nodes.get(name)?.spec.clone();
        // The supervisor's own business, and a thousand copies of it in the stem would be paid for.
        spec.stdout_file = None;
        spec.stderr_file = None;
        spec.group_limits = Vec::new();
        Some(spec)
    }

    fn on_destroy(&mut self, asker: Asker, select: &Selectors, wait: bool) -> Result<(), Refused> {
        self.may_change()?;
        let names = self.select(select, false)?;
        let nodes = self.with_incarnations(names.clone());
        for name in names.iter().rev() {
            self.destroy(name);
        }
        self.save_wanted();
        self.await_goal(asker, Goal::Gone, nodes, Form::results(), wait);
        Ok(())
    }

    /// Stops a node and forgets it when it is gone.
    pub(super) fn destroy(&mut self, name: &NodeName) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.wanted = false;
            node.doomed = true;
        }
        if self.stem.is_up() {
            self.stem.order(&Order::Forget(name.clone()), None);
        } else {
            self.on_forgotten(name);
        }
    }

    /// The stem has forgotten a node.
    pub(super) fn on_forgotten(&mut self, name: &NodeName) {
        if self.nodes.get(name).is_none_or(|node| !node.doomed) {
            return; // it was made anew meanwhile
        }
        let dying = self.nodes.get(name).filter(|node| node.live.is_some());
        if let Some(incarnation) = dying.map(|node| node.incarnation) {
            // It goes with its stem, and when it has gone nobody knows it any more.
            self.output_gone(name, incarnation, None);
        }
        self.nodes.remove(name);
        self.stem.let_go(name, &[]);
        if self.layout.nodes.remove(name.as_str()).is_some() {
            self.send_layout();
        }
        self.groups.remove(name);
        self.output
            .send(crate::output::Command::Forget(name.clone()));
        self.tell_controller_gone(name);
        self.event(Weight::Info, "node_destroyed", Some(name), &[]);
    }

    fn on_signal(&mut self, asker: Asker, select: &Selectors, signal: &str) -> Result<(), Refused> {
        let Some(number) = signals::number(signal) else {
            let text = format!("\"{signal}\" is no signal; write a number or a name such as HUP");
            return Err(Plain::failed(Code::Usage, text));
        };
        let names = self.select(select, false)?;
        let mut results = Vec::new();
        for name in &names {
            let alive = self.nodes.get(name).is_some_and(|node| node.live.is_some());
            let error = (!alive).then(|| "it has no process".to_owned());
            if alive {
                let order = Order::Signal {
                    name: name.clone(),
                    signal: number,
                };
                self.stem.order(&order, None);
            }
            results.push(self.result_of(name, error));
        }
        self.finish(asker.client, results, None, Form::results());
        Ok(())
    }
}

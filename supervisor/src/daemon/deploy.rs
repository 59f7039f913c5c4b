//! Another layout for what runs: the difference, and what is done about it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cluster::control::reply::{DiffReply, Plain};
use cluster::control::{Code, SCHEMA};
use cluster::fabric::{LinkPolicy, Transport};

use cluster::layout::Layout;
use cluster::layout::diff::{self, Difference, FieldChange};
use cluster::layout::finding::{Finding, Severity};
use cluster::layout::spec::{ChildSpec, StageSpec};
use cluster::names::{Incarnation, NodeName};
use cluster::supervise::vocabulary::{Order, Past};

use super::clients::ClientId;
use super::events::Weight;
use super::nodes::Node;
use super::operations::{Asker, Form, Goal};
use super::{Daemon, directories, outputs, start};

/// A layout that was read beside the one that runs.
struct Other {
    layout: Layout,
    findings: Vec<Finding>,
    text: String,
    /// The run directory it asks for.
    run_dir: PathBuf,
    /// The transport that it asks for; it runs with the one that is in use.
    transport: Transport,
    /// What it asks for and the transport in use cannot do: it may be looked at, and not deployed.
    refused: Option<String>,
}

/// Findings as replies carry them.
pub(super) fn said(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

/// A reload by signal waits for nobody; this only bounds how long its outcome is watched.
const RELOAD_LIMIT: Duration = Duration::from_secs(60);

/// The first policy of a layout that its transport, the one in use, cannot keep.
fn beyond_transport(layout: &Layout) -> Option<Finding> {
    let fabric = &layout.settings.fabric;
    let LinkPolicy { topic, .. } = fabric.beyond(fabric.transport)?;
    let in_use = fabric.transport.word();
    Some(Finding {
        severity: Severity::Error,
        file: layout.path.display().to_string(),
        line: 0,
        column: 0,
        node: None,
        field: Some("fabric.policies".to_owned()),
        message: format!(
            "the topic {topic:?} is to drop its oldest records, which the transport in use, {in_use}, cannot"
        ),
        hint: Some(
            "another transport holds from the next start on: `supervisor shutdown` and start with this \
             layout, or use DropNewest"
                .to_owned(),
        ),
    })
}

impl Daemon {
    /// SIGHUP: the same layout file, read again.
    pub(super) fn reload(&mut self, now: Instant) {
        self.systemd.on_reloading();
        let path = self.layout.path.clone();
        let asker = Asker {
            client: None,
            deadline: now + RELOAD_LIMIT,
        };
        if let Err(refusal) = self.on_deploy(asker, path, (false, None, false), now) {
            let why = refusal.error.map(|error| error.message).unwrap_or_default();
            self.event(Weight::Error, "layout_refused", None, &[("error", why)]);
        }
        self.systemd.on_reloaded();
    }

    pub(super) fn on_diff(&mut self, id: ClientId, path: &str) {
        match self.read_other(Path::new(path)) {
            Ok(other) => {
                let reply = DiffReply {
                    schema: SCHEMA,
                    ok: true,
                    error: None,
                    findings: said(&other.findings),
                    diff: self.difference_to(&other),
                };
                self.reply(id, &reply);
            }
            Err(why) => self.reply(id, &Plain::failed(Code::Invalid, why)),
        }
    }

    /// Reads another layout, with the run directory that is in use: that one cannot change meanwhile.
    fn read_other(&self, path: &Path) -> Result<Other, String> {
        let run_dir = self.layout.settings.run_dir.clone();
        let read = |run_dir| {
            let (instance, default) =
                (self.instance_override.clone(), self.default_run_dir.clone());
            start::read_layout(path, &start::overrides(run_dir, instance, default))
        };
        let (mut layout, mut findings, text) = read(Some(run_dir.clone()))?;
        let in_use = self.layout.settings.fabric.transport;
        let transport = std::mem::replace(&mut layout.settings.fabric.transport, in_use);
        let beyond = beyond_transport(&layout);
        let refused = beyond.as_ref().map(ToString::to_string);
        findings.extend(beyond);
        let asked = match self.run_dir_is_fixed {
            true => run_dir,
            false => read(None)?.0.settings.run_dir,
        };
        Ok(Other {
            layout,
            findings,
            text,
            run_dir: asked,
            transport,
            refused,
        })
    }

    fn difference_to(&self, other: &Other) -> Difference {
        let mut difference = diff::between(&self.running_layout(), &other.layout);
        let run_dir = &self.layout.settings.run_dir;
        if other.run_dir != *run_dir {
            difference.settings.push(FieldChange {
                field: "run_dir (at the next start)".to_owned(),
                from: run_dir.display().to_string(),
                to: other.run_dir.display().to_string(),
            });
        }
        let transport = self.layout.settings.fabric.transport;
        if other.transport != transport {
            let word = |transport: Transport| transport.word().to_owned();
            difference.settings.push(FieldChange {
                field: "fabric.transport (at the next start)".to_owned(),
                from: word(transport),
                to: word(other.transport),
            });
        }
        difference
    }

    /// The layout that runs: its children are what the nodes of the layout run by now.
    pub(super) fn running_layout(&self) -> Layout {
        self.layout_of(|node| node.in_layout && !node.doomed)
    }

    /// The same, with the nodes that were made at run time.
    pub(super) fn everything(&self) -> Layout {
        self.layout_of(|_| true)
    }

    fn layout_of(&self, which: impl Fn(&Node) -> bool) -> Layout {
        let mut layout = self.layout.clone();
        layout.children = self
            .start_order()
            .iter()
            .filter_map(|name| self.nodes.get(name))
            .filter(|node| which(node))
            .map(|node| {
                let mut spec = node.spec.clone();
                spec.cgroup = None; // made by us, not by the layout
                spec
            })
            .collect();
        // Nodes of other instances are topology alone, and stay.
        let nodes = &self.nodes;
        let stays = |name: &NodeName| nodes.get(name).is_none_or(|node| which(node));
        layout.nodes.retain(|name, _| stays(name));
        layout
    }

    pub(super) fn on_deploy(
        &mut self,
        asker: Asker,
        path: PathBuf,
        (dry_run, rolling, wait): (bool, Option<u32>, bool),
        now: Instant,
    ) -> Result<(), Plain> {
        self.may_change()?;
        self.may_roll()?;
        let other = self
            .read_other(&path)
            .map_err(|why| Plain::failed(Code::Invalid, why))?;
        if let Some(why) = other.refused {
            return Err(Plain::failed(Code::Conflict, why));
        }
        let difference = self.difference_to(&other);
        let findings = said(&other.findings);
        let (wanted, text) = (other.layout, other.text);
        self.check_clashes(&wanted)?;
        let nothing = difference.is_empty() && wanted.digest == self.layout.digest;
        if dry_run || nothing {
            let form = Form::Deploy {
                generation: self.generation,
                diff: difference,
                findings,
            };
            if !dry_run {
                self.layout.path = wanted.path;
                self.layout_check.forget();
                self.event(Weight::Info, "layout_unchanged", None, &[]);
            }
            self.finish(asker.client, Vec::new(), None, form);
            return Ok(());
        }
        for spec in &wanted.children {
            directories::make_for_running(spec)
                .map_err(|error| Plain::failed(Code::Failed, start::chain(&error)))?;
        }
        self.put_into_force(asker, wanted, (difference, findings), (rolling, wait), now);
        self.save_generation(&text);
        self.save_wanted();
        Ok(())
    }

    /// A node made at run time keeps its name: the layout may not take it.
    fn check_clashes(&self, wanted: &Layout) -> Result<(), Plain> {
        let taken = wanted.children.iter().find(|spec| {
            let node = self.nodes.get(&spec.name);
            node.is_some_and(|node| !node.in_layout && !node.doomed)
        });
        match taken {
            None => Ok(()),
            Some(spec) => Err(Plain::failed(
                Code::Conflict,
                format!(
                    "node \"{0}\" was created at run time and stands in the layout too; `supervisor destroy {0}` first",
                    spec.name
                ),
            )),
        }
    }

    fn put_into_force(
        &mut self,
        asker: Asker,
        mut wanted: Layout,
        (difference, findings): (Difference, Vec<String>),
        (rolling, wait): (Option<u32>, bool),
        now: Instant,
    ) {
        self.generation += 1;
        let children = std::mem::take(&mut wanted.children);
        let created: Vec<_> = self.created_topology();
        let stages = std::mem::take(&mut self.layout.stages);
        self.layout = wanted;
        self.layout.nodes.extend(created);
        self.keep_stages(&stages);
        self.take_over_settings();
        self.send_fabric();
        self.send_layout();
        self.stem
            .order(&Order::Stages(self.layout.stages.clone()), None);
        for name in &difference.removed {
            if let Ok(name) = NodeName::parse(name) {
                self.destroy(&name);
            }
        }
        let (touched, restarts) = self.take_over_all(children, &difference, now);
        let detail = [
            ("generation", self.generation.to_string()),
            ("added", difference.added.join(",")),
            ("removed", difference.removed.join(",")),
            (
                "changed",
                difference
                    .changed
                    .keys()
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(","),
            ),
        ];
        self.event(Weight::Info, "deployed", None, &detail);
        self.dirty = true;
        let form = Form::Deploy {
            generation: self.generation,
            diff: difference,
            findings,
        };
        match rolling {
            Some(width) if !restarts.is_empty() => {
                // Nothing else is under way: it was asked for above.
                let _ = self.roll(asker.if_waiting(wait), restarts, width, form.clone());
                if !wait {
                    self.finish(asker.client, Vec::new(), None, form);
                }
            }
            _ => {
                for name in &restarts {
                    self.restart_one(name);
                }
                self.await_goal(asker, Goal::Again, touched, form, wait);
            }
        }
    }

    /// Takes over the new descriptions. Those that are waited for, and those of them that are restarted.
    fn take_over_all(
        &mut self,
        children: Vec<ChildSpec>,
        difference: &Difference,
        now: Instant,
    ) -> (Vec<(NodeName, Incarnation)>, Vec<NodeName>) {
        let (mut touched, mut restarts) = (Vec::new(), Vec::new());
        for spec in children {
            let name = spec.name.clone();
            let restart = difference.needs_restart(name.as_str());
            match self.take_over(spec, now) {
                Taken::Same => {}
                Taken::New => {
                    self.order_want(&name, true, None);
                    touched.push((name, Incarnation::default()));
                }
                Taken::Revived { before } => {
                    touched.push((name.clone(), before));
                    restarts.push(name);
                }
                Taken::Changed { before, wanted } => {
                    if restart && wanted {
                        touched.push((name.clone(), before));
                        restarts.push(name);
                    }
                }
            }
        }
        (touched, restarts)
    }

    fn take_over(&mut self, spec: ChildSpec, now: Instant) -> Taken {
        let name = spec.name.clone();
        let Some(node) = self.nodes.get_mut(&name) else {
            let mut node = Node::new(spec, true, true);
            node.placed = true;
            self.nodes.insert(name.clone(), Box::new(node));
            self.tell_of(&name, &Past::default());
            return Taken::New;
        };
        if std::mem::replace(&mut node.doomed, false) {
            // It was on its way out: it stays, with the new description from its next birth on.
            let before = node.incarnation;
            (node.spec, node.in_layout, node.wanted) = (spec, true, true);
            let past = node.past(now);
            self.tell_of(&name, &past);
            return Taken::Revived { before };
        }
        let mut same = node.spec.clone();
        same.cgroup = None;
        if same == spec {
            return Taken::Same;
        }
        let before = node.incarnation;
        let wanted = node.wanted;
        node.spec = spec;
        let past = node.past(now);
        self.tell_of(&name, &past);
        Taken::Changed { before, wanted }
    }

    /// The stages of nodes made at run time stay, whatever the new layout needs.
    pub(super) fn keep_stages(&mut self, before: &[StageSpec]) {
        for stage in before {
            let known = self.layout.stages.iter().any(|s| s.number == stage.number);
            let created = self.nodes.values().filter(|node| !node.in_layout);
            let mut created = created.filter(|node| node.spec.stage == stage.number);
            if !known && created.next().is_some() {
                self.layout.stages.push(stage.clone());
            }
        }
        self.layout.stages.sort_by_key(|stage| stage.number);
    }

    /// Topology of nodes made at run time, which the new layout does not know.
    fn created_topology(&self) -> Vec<(NodeName, cluster::layout::Node)> {
        self.layout
            .nodes
            .iter()
            .filter(|(name, _)| self.nodes.get(*name).is_some_and(|node| !node.in_layout))
            .map(|(name, node)| (name.clone(), node.clone()))
            .collect()
    }

    fn take_over_settings(&mut self) {
        let settings = outputs::settings(&self.layout.settings);
        self.output.send(crate::output::Command::Settings(settings));
        self.log
            .set_rotation(outputs::rotation(&self.layout.settings));
        self.layout_check.forget();
    }
}

enum Taken {
    Same,
    New,
    Revived { before: Incarnation },
    Changed { before: Incarnation, wanted: bool },
}

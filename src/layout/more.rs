//! Nodes that join a running layout: read like its own, and held against what runs already.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::context::Context;
use super::finding::Finding;
use super::host::Host;
use super::instances::Instances;
use super::links::{Needs, links};
use super::position::Index;
use super::raw::RawNode;
use super::read::{Overrides, absolute, started};
use super::report::Report;
use super::running::Running;
use super::spec::{ChildSpec, StageSpec};
use super::stages::Stages;
use super::{Layout, Node, clashes, entries, later, parse, topology};
use crate::names::NodeName;

/// What is added to a running layout.
#[derive(Clone, Debug, PartialEq)]
pub struct More {
    /// The new children, in start order.
    pub children: Vec<ChildSpec>,
    /// The new nodes of the topology.
    pub nodes: BTreeMap<NodeName, Node>,
    /// All stages, in order: the running ones as they are, and those that only new children are in.
    pub stages: Vec<StageSpec>,
}

/// Understands nodes that join `running`. `text` is a map of nodes, written as under a layout's `nodes`:
///
/// ```ron
/// { "probe-2": (command: ["probe"]), "worker-9": (node_type: Worker, manager: "manager") }
/// ```
///
/// It means what it would mean in that layout: its defaults, stages and run directory hold, and
/// `manager` and `after` can name running nodes, each by its own name (a running entry with a `count`
/// has no name of its own any more). Differences: a node is on this instance if it names none, and none
/// can join on another; no controller comes along. `path` names the text in findings, and relative paths
/// start at its directory; of `overrides` only the place where a relative `path` starts is used.
///
/// # Errors
/// As for [`read`](super::read()), with lines and columns of `text`.
pub fn read_more(
    text: &str,
    path: &Path,
    running: &Layout,
    overrides: &Overrides,
    host: &dyn Host,
) -> Result<(More, Vec<Finding>), Vec<Finding>> {
    let mut report = Report::new(path.display().to_string(), Index::of_nodes(text));
    let nodes = parse::nodes(text, &mut report);
    if report.has_errors() {
        return Err(report.finish());
    }
    let path = absolute(path, overrides);
    let base = path.parent().map(Path::to_owned).unwrap_or_default();
    let run_dir = running.settings.run_dir.clone();
    let mut ctx = Context::new(report, host, base, run_dir);
    ctx.life = running.defaults.life.clone();
    ctx.watchdog = running.defaults.watchdog;
    ctx.running = Running::of(running);
    let more = understand(&nodes, running, &mut ctx);
    ctx.report.conclude(Some(more))
}

/// Whatever comes of it is good only if the report holds no error.
fn understand(raw: &BTreeMap<String, RawNode>, running: &Layout, ctx: &mut Context<'_>) -> More {
    if raw.is_empty() {
        let hint = "write { \"name\": (command: [\"program\"]) }";
        ctx.report.error(&[], "no node is named", hint);
    }
    let names = raw.keys().map(String::as_str);
    later::report(names, std::iter::empty(), &mut ctx.report);
    let instances = Instances {
        all: running.instances.clone(),
        here: Some(running.instance.clone()),
    };
    let stages = Stages::of(&running.defaults.stages);
    let entries = entries::read(raw, &instances, &stages, ctx);
    let nodes = topology::build(&entries, ctx);
    clashes::ports(&entries, ctx);
    let mut children = started(&entries, ctx);
    let links = links(running.nodes.iter().chain(&nodes), &running.instance);
    let transport = running.settings.fabric.transport;
    let all = running.children.iter().chain(&children);
    Needs::of(all, &links, transport).check(ctx);
    children.sort_by_cached_key(ChildSpec::order_key);
    let known: BTreeSet<u16> = running.stages.iter().map(|s| s.number).collect();
    let numbers = children.iter().map(|child| child.stage);
    let new = numbers.filter(|number| !known.contains(number));
    let mut all = stages.used(new, &mut ctx.report);
    all.extend(running.stages.iter().cloned());
    all.sort_by_key(|stage| stage.number);
    More {
        children,
        nodes,
        stages: all,
    }
}

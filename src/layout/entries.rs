//! The entries of `nodes`: what each one is, before it becomes children.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::context::Context;
use super::instances::Instances;
use super::raw::RawNode;
use super::spec::Role;
use super::stages::{self, Stages};
use super::suggest;
use crate::names::{InstanceName, NodeName};

/// A layout names no more nodes; a `count` with a slip of the finger must not fill the memory.
const NODES_MAX: usize = 20_000;

/// An entry whose names, role and place are known.
#[derive(Debug)]
pub(super) struct Entry<'r> {
    pub(super) name: &'r str,
    pub(super) raw: &'r RawNode,
    pub(super) role: Role,
    pub(super) ip: IpAddr,
    pub(super) instance: InstanceName,
    /// It stands on this host's instance.
    pub(super) local: bool,
    pub(super) stage: u16,
    /// One name, or those that `count` makes.
    pub(super) members: Vec<NodeName>,
}

impl Entry<'_> {
    /// A role of our own, started by us.
    pub(super) fn is_builtin(&self) -> bool {
        self.raw.command.is_none() && !matches!(self.role, Role::None | Role::Control)
    }

    /// Where it listens; port 0 is no port.
    pub(super) fn port(&self) -> Option<u16> {
        self.raw.p.filter(|port| *port != 0)
    }

    /// Does it run on this host?
    pub(super) fn is_started(&self) -> bool {
        self.local && (self.is_builtin() || self.raw.command.is_some())
    }
}

/// Reads all entries.
pub(super) fn read<'r>(
    nodes: &'r BTreeMap<String, RawNode>,
    instances: &Instances,
    stages: &Stages,
    ctx: &mut Context<'_>,
) -> Vec<Entry<'r>> {
    let mut owners: HashMap<String, &str> = HashMap::new();
    let mut entries = Vec::new();
    for (name, raw) in nodes {
        if let Some(mut entry) = entry(name, raw, instances, stages, ctx) {
            let room = NODES_MAX.saturating_sub(owners.len() + ctx.running.names.len());
            entry.members = members(&entry, room, &mut owners, ctx);
            entries.push(entry);
        }
    }
    raise_stages(&mut entries, &owners, ctx);
    entries
}

fn entry<'r>(
    name: &'r str,
    raw: &'r RawNode,
    instances: &Instances,
    stages: &Stages,
    ctx: &mut Context<'_>,
) -> Option<Entry<'r>> {
    let path = |field| ["nodes", name, field];
    let role = match (raw.node_type, &raw.command) {
        (Some(role), _) => role.into(),
        (None, Some(_)) => Role::None,
        (None, None) => {
            let hint = "add node_type: Worker (or another role), or command: [..]";
            ctx.report.error(
                &["nodes", name],
                "it has neither a role nor a command",
                hint,
            );
            return None;
        }
    };
    if role == Role::None && raw.command.is_none() {
        let hint = "add command: [\"program\"], or give it a role";
        ctx.report.error(
            &path("node_type"),
            "a node of type None needs a command",
            hint,
        );
    }
    if role == Role::Control && raw.command.is_none() {
        let message = "it has no command, so it is an entry of the topology and is not started";
        ctx.report.add(
            super::finding::Severity::NotActedOn,
            &path("node_type"),
            message.to_owned(),
            "",
        );
    }
    refuse_runtime_words(name, raw, ctx);
    let (instance, ip) = place(name, raw, instances, ctx)?;
    let own = raw
        .stage
        .as_ref()
        .and_then(|word| stages.number(&word.0, &path("stage"), &mut ctx.report));
    Some(Entry {
        name,
        raw,
        role,
        ip: raw.ip.unwrap_or(ip),
        local: instances.here.as_ref() == Some(&instance),
        instance,
        stage: own.unwrap_or_else(|| stages::of_role(role)),
        members: Vec::new(),
    })
}

fn refuse_runtime_words(name: &str, raw: &RawNode, ctx: &mut Context<'_>) {
    if raw.id.is_some() {
        ctx.report.error(
            &["nodes", name, "id"],
            "a node's id is made when it runs",
            "take it away",
        );
    }
    if raw.cluster.is_some() {
        ctx.report.error(
            &["nodes", name, "cluster"],
            "the topology is not written into a node",
            "take it away; every node learns the topology from nodes",
        );
    }
    if raw.interface.is_some() && raw.pcap_file.is_some() {
        ctx.report.error(
            &["nodes", name, "pcap_file"],
            "interface and pcap_file are both given",
            "a node reads from one of them; take the other away",
        );
    }
}

fn place(
    name: &str,
    raw: &RawNode,
    instances: &Instances,
    ctx: &mut Context<'_>,
) -> Option<(InstanceName, IpAddr)> {
    let found = match &raw.instance {
        Some(word) => instances.named(word, &["nodes", name, "instance"], &mut ctx.report),
        None if ctx.running.here.is_some() => {
            let here = ctx.running.here.map(InstanceName::as_str);
            here.and_then(|here| instances.all.get_key_value(here))
        }
        None if instances.all.len() == 1 => instances.all.first_key_value(),
        None => {
            let hint = suggest::list("add instance: with one of", instances.names());
            ctx.report.error(
                &["nodes", name, "instance"],
                "with several instances a node has to name its own",
                &hint,
            );
            return None;
        }
    };
    if let (Some((instance, _)), Some(here)) = (found, ctx.running.here)
        && instance != here
    {
        let message = format!("it would not run here: this is the instance \"{here}\"");
        let hint = format!("take instance away, or add the node on \"{instance}\"");
        ctx.report
            .error(&["nodes", name, "instance"], message, &hint);
    }
    found.map(|(name, ip)| (name.clone(), *ip))
}

/// The names of an entry's nodes; `owners` learns them.
fn members<'r>(
    entry: &Entry<'r>,
    room: usize,
    owners: &mut HashMap<String, &'r str>,
    ctx: &mut Context<'_>,
) -> Vec<NodeName> {
    let count = entry
        .raw
        .count
        .map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let path = ["nodes", entry.name, "count"];
    if count == Some(0) {
        let hint = "write 1 or more, or take the entry away";
        ctx.report.error(&path, "a count of 0 makes no node", hint);
        return Vec::new();
    }
    if count.unwrap_or(1) > room {
        let message = format!("the layout would have more than {NODES_MAX} nodes");
        ctx.report.error(&path, message, "lower the count");
        return Vec::new();
    }
    let mut members = Vec::new();
    for index in 1..=count.unwrap_or(1) {
        let word = match count {
            Some(_) => format!("{}-{index}", entry.name),
            None => entry.name.to_owned(),
        };
        match NodeName::parse(&word) {
            Ok(name) => members.push(name),
            Err(error) => {
                let hint = "choose another name";
                ctx.report
                    .error(&["nodes", entry.name], error.to_string(), hint);
                return members;
            }
        }
        if ctx.running.holds(&word) {
            let message = format!("duplicate name: there is a node \"{word}\" already");
            let hint = "choose another name, or destroy that node first";
            ctx.report.error(&["nodes", entry.name], message, hint);
        }
        if let Some(owner) = owners.insert(word.clone(), entry.name) {
            let at = ctx.report.index.at(&["nodes", owner]);
            let message = format!(
                "the name \"{word}\" is taken by the entry \"{owner}\" at {}:{}",
                at.line, at.column
            );
            let hint = "count makes numbered names; give one of the entries another name";
            ctx.report.error(&["nodes", entry.name], message, hint);
        }
    }
    members
}

/// Acts on `after`.
fn raise_stages(entries: &mut [Entry<'_>], owners: &HashMap<String, &str>, ctx: &mut Context<'_>) {
    if entries.iter().all(|entry| entry.raw.after.is_empty()) {
        return;
    }
    let mut own: BTreeMap<&str, u16> = ctx.running.stages().collect();
    let mut local: BTreeSet<&str> = own.keys().copied().collect();
    own.extend(entries.iter().map(|e| (e.name, e.stage)));
    local.extend(entries.iter().filter(|e| e.local).map(|e| e.name));
    let mut after: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for entry in entries.iter() {
        let waits_for = after.entry(entry.name).or_default();
        let path = ["nodes", entry.name, "after"];
        for word in &entry.raw.after {
            let known = own.get_key_value(word.as_str()).map(|(name, _)| *name);
            let known = known.or_else(|| owners.get(word.as_str()).copied());
            let running = || ctx.running.names.get_key_value(word.as_str());
            let known = known.or_else(|| running().map(|(name, _)| *name));
            let Some(other) = known else {
                let others = own.keys().copied().filter(|name| *name != entry.name);
                let message = format!("there is no node \"{word}\" to start after");
                ctx.report.unknown(&path, message, ("after", word), others);
                continue;
            };
            if entry.local && !local.contains(other) {
                let message = format!("\"{word}\" does not run on this instance");
                let hint = "the order of starting holds within one instance; take it away";
                ctx.report.error(&path, message, hint);
                continue;
            }
            waits_for.insert(other);
        }
    }
    let raised = stages::raise(&own, &after, &mut ctx.report);
    for entry in entries {
        if let Some(stage) = raised.get(entry.name) {
            entry.stage = *stage;
        }
    }
}

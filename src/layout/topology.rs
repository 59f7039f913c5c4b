//! The topology: the members of the cluster on all instances, and what they say of one another.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::context::Context;
use super::entries::Entry;
use super::spec::Role;
use super::{members, stages, suggest};
use crate::names::NodeName;

/// Builds the topology and checks who names whom.
pub(super) fn build(entries: &[Entry<'_>], ctx: &mut Context<'_>) -> BTreeMap<NodeName, Node> {
    one_manager(entries, ctx);
    let mut managers: BTreeSet<&str> = names(entries, |role| role == Role::Manager);
    managers.extend(ctx.running.manager());
    let mut everybody: BTreeSet<&str> = names(entries, |_| true);
    everybody.extend(ctx.running.names.keys());
    let mut nodes = BTreeMap::new();
    let mut naming: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for entry in entries {
        let manager = manager_of(entry, &managers, &everybody, ctx);
        if let Some(manager) = &manager
            && let Some(named) = managers.get(manager.as_str())
        {
            naming.entry(entry.name).or_default().insert(named);
        }
        if entry.role == Role::None {
            continue;
        }
        let sources = members::sources(entry, ctx);
        for (name, (interface, pcap_file)) in entry.members.iter().zip(sources) {
            let node = Node {
                manager: manager.clone(),
                interface,
                pcap_file,
                ..node(entry)
            };
            nodes.insert(name.clone(), node);
        }
    }
    let (_, circles) = stages::order(&naming);
    let hint = "a manager needs no manager; take it away";
    stages::refuse(&circles, "manager", hint, &mut ctx.report);
    nodes
}

/// An entry's node without what differs from member to member.
fn node(entry: &Entry<'_>) -> Node {
    Node {
        node_type: entry.role,
        ip: entry.ip,
        zone_id: entry.raw.zone_id.clone().unwrap_or_default(),
        p: entry.port(),
        manager: None,
        metrics_port: entry.raw.metrics_port,
        instance: entry.instance.clone(),
        interface: None,
        pcap_file: None,
    }
}

fn names<'a>(entries: &'a [Entry<'_>], wanted: impl Fn(Role) -> bool) -> BTreeSet<&'a str> {
    entries
        .iter()
        .filter(|entry| wanted(entry.role))
        .flat_map(|entry| entry.members.iter().map(NodeName::as_str))
        .collect()
}

fn one_manager(entries: &[Entry<'_>], ctx: &mut Context<'_>) {
    let mut first: Option<&str> = ctx.running.manager();
    for entry in entries.iter().filter(|e| e.role == Role::Manager) {
        let path = ["nodes", entry.name];
        let hint = "a cluster has one manager; give the others another role";
        if let Some(first) = first {
            let message = format!("it is a second manager, beside \"{first}\"");
            ctx.report.error(&path, message, hint);
        } else if entry.members.len() > 1 {
            let message = format!("count makes {} managers of it", entry.members.len());
            ctx.report
                .error(&["nodes", entry.name, "count"], message, hint);
        }
        first.get_or_insert(entry.name);
    }
}

fn manager_of(
    entry: &Entry<'_>,
    managers: &BTreeSet<&str>,
    everybody: &BTreeSet<&str>,
    ctx: &mut Context<'_>,
) -> Option<NodeName> {
    let word = entry.raw.manager.as_deref()?;
    let path = ["nodes", entry.name, "manager"];
    if managers.contains(word) {
        return NodeName::parse(word).ok();
    }
    let message = if everybody.contains(word) {
        format!("\"{word}\" is no manager")
    } else {
        format!("there is no node \"{word}\"")
    };
    let only = managers.first().filter(|_| managers.len() == 1);
    match only {
        Some(manager) => ctx.report.error(&path, message, &suggest::meant(manager)),
        None => {
            let everybody = everybody.iter().copied();
            ctx.report
                .unknown(&path, message, ("manager", word), everybody);
        }
    }
    None
}

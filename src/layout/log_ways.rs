//! Whether log records come to one logger, and whether they come at all: what `logging`, `fabric` and the
//! nodes say together.

use std::collections::BTreeMap;

use super::Node;
use super::Settings;
use super::context::Context;
use super::spec::{ChildSpec, Role};
use crate::fabric::{End, LinkPolicy, Policy};
use crate::names::NodeName;

/// Refuses what loses records or writes them twice against the layout's word, and warns where it is upstream's
/// way.
pub(super) fn check(
    settings: &Settings,
    nodes: &BTreeMap<NodeName, Node>,
    children: &[ChildSpec],
    ctx: &mut Context<'_>,
) {
    let are_followed = children.iter().any(|child| child.inputs.is_some());
    turns(settings, nodes, are_followed, ctx);
    let is_manager_logger = settings.framework.is_manager_logger(nodes);
    let writers: Vec<_> = nodes
        .iter()
        .filter(|(_, node)| match node.node_type {
            Role::Logger => true,
            Role::Manager => is_manager_logger,
            Role::None | Role::Control | Role::Proxy | Role::Worker | Role::Controller => false,
        })
        .collect();
    let mut entries = settings.fabric.policies.iter();
    if let Some(entry) = entries.find(|entry| cuts(entry, settings, nodes, &writers)) {
        let topic = &entry.topic;
        let message =
            format!("the topic {topic:?} takes in records for logs, which are not to be lost so");
        let hint = "a logger that has missed what a stream's columns are refuses all of its records; \
                    use Block or DropNewest for the topics of loggers, or name other topics";
        ctx.report.error(&["fabric", "policies"], message, hint);
    }
}

/// Without turns every logger gets every record.
fn turns(
    settings: &Settings,
    nodes: &BTreeMap<NodeName, Node>,
    are_followed: bool,
    ctx: &mut Context<'_>,
) {
    let all = nodes.values();
    let loggers = all.filter(|node| node.node_type == Role::Logger).count();
    if settings.logging.round_robin || loggers < 2 {
        return;
    }
    let message = format!("without turns each of the {loggers} loggers gets every record");
    let below = ["logging", "round_robin"];
    let top = ["enable_round_robin_logging"];
    let path: &[&str] = if ctx.report.index.holds(&below) {
        &below
    } else {
        &top
    };
    if are_followed {
        let message = message + ", and a line that is followed is written by one";
        let hint = "let them take turns, or have one logger";
        ctx.report.error(path, message, hint);
    } else {
        let hint = "let them take turns, or have one logger, if each record is to stand once";
        ctx.report.warning(path, message, hint);
    }
}

/// Does it cut off a logger, or drop what it is sent first, on a topic that it is sent records by?
fn cuts(
    entry: &LinkPolicy,
    settings: &Settings,
    nodes: &BTreeMap<NodeName, Node>,
    writers: &[(&NodeName, &Node)],
) -> bool {
    let is_cut = |policy| matches!(policy, Policy::DropOldest | Policy::Disconnect);
    if !is_cut(entry.policy) {
        return false;
    }
    let fits = |end: &Option<End>, name: &NodeName, role| {
        end.as_ref().is_none_or(|end| end.fits(name, role))
    };
    let topics = &settings.framework.topics;
    // One of each type does for all that the layout does not name.
    let mut roles = Vec::new();
    let from = nodes.iter().filter(|(name, node)| {
        let is_named = matches!(&entry.from, Some(End::Node(_)));
        let is_new = is_named || !roles.contains(&node.node_type);
        let is_one = is_new && fits(&entry.from, name, node.node_type);
        if is_one {
            roles.push(node.node_type);
        }
        is_one
    });
    let from: Vec<_> = from.collect();
    let mut to = writers
        .iter()
        .filter(|(name, node)| fits(&entry.to, name, node.node_type));
    to.any(|(name, node)| {
        let own = [topics.log_prefix.clone(), topics.node_topic(name.as_str())];
        own.iter().any(|own| {
            let topic = match (own.starts_with(&entry.topic), entry.topic.starts_with(own)) {
                (true, _) => own,
                (_, true) => &entry.topic,
                (false, false) => return false,
            };
            from.iter().any(|(sender, from)| {
                let ends = ((*sender, from.node_type), (*name, node.node_type));
                let holds = settings.fabric.policy(topic.as_bytes(), ends.0, ends.1);
                sender != name && holds.is_some_and(is_cut)
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Machine, layout, on, only, refused, same};

    const NODES: &str = r#"nodes: {"m": (node_type: Manager), "l": (node_type: Logger, count: 2),
        "w": (node_type: Worker"#;

    fn with(words: &str, worker: &str) -> String {
        format!("({words},\n{NODES}{worker})}})")
    }

    #[test]
    fn records_that_every_logger_gets_are_told_of_and_inputs_are_refused() {
        let text = with("logging: (round_robin: false)", "");
        same(
            only(&on(&text, &Machine::default()).unwrap().1),
            "1:12|-|logging.round_robin|without turns each of the 2 loggers gets every record|let them take turns, or have one logger, if each record is to stand once",
        );
        let inputs = r#", inputs: [(file: "a", form: Zeek)]"#;
        same(
            refused(&with("enable_round_robin_logging: false", inputs)),
            "1:2|-|enable_round_robin_logging|without turns each of the 2 loggers gets every record, and a line that is followed is written by one|let them take turns, or have one logger",
        );
        layout(&with("enable_round_robin_logging: false", inputs).replace("count: 2", "count: 1"));
        layout(&with("enable_round_robin_logging: true", inputs));
    }

    #[test]
    fn what_a_logger_must_not_miss_is_not_dropped_by_policy() {
        let policies = |words: &str| {
            with(
                &format!("fabric: (transport: Unix, policies: [{words}])"),
                "",
            )
        };
        for (words, topic) in [
            (
                r#"(topic: "zeek/logs/conn", policy: Disconnect)"#,
                "zeek/logs/conn",
            ),
            (
                r#"(topic: "zeek/cluster/node/l-2", policy: DropOldest)"#,
                "zeek/cluster/node/l-2",
            ),
            (r#"(topic: "", to: Type(Logger), policy: DropOldest)"#, ""),
            (
                r#"(topic: "zeek/", from: Node("w"), to: Node("l-1"), policy: Disconnect)"#,
                "zeek/",
            ),
        ] {
            same(
                refused(&policies(words)),
                &format!(
                    "1:28|-|fabric.policies|the topic {topic:?} takes in records for logs, which are not to be lost so|a logger that has missed what a stream's columns are refuses all of its records; use Block or DropNewest for the topics of loggers, or name other topics"
                ),
            );
        }
        for words in [
            r#"(topic: "measured/", policy: DropOldest)"#,
            r#"(topic: "zeek/", to: Type(Manager), policy: Disconnect)"#,
            r#"(topic: "zeek/", from: Type(Logger), to: Type(Worker), policy: Disconnect)"#,
            r#"(topic: "zeek/", policy: DropOldest), (topic: "zeek/", to: Type(Logger), policy: Block("1s"))"#,
        ] {
            layout(&policies(words));
        }
    }
}

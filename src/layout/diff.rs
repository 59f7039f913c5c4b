//! What differs between two layouts, or between a layout and what runs.
//!
//! Two descriptions are compared field by field, through their JSON: a field that is added to a child
//! later cannot be forgotten here. Each difference either needs a restart of its node or does not:
//!
//! | taken over without a restart | because |
//! | --- | --- |
//! | `life.*` | the policy acts at the next death or stop |
//! | `stage` | it orders the next start and the next stop |
//! | `hooks` | they run at the next turn |
//! | `watchdog.action` | the child shows its heartbeat as before |
//!
//! Such a change stands under [`Difference::settings`] as `nodes.<name>.<field>`, and its node under
//! [`Difference::unchanged`]. Everything else stands under [`Difference::changed`]. Values of variables
//! are never shown: they may be secrets.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Layout;
use super::spec::ChildSpec;

/// A longer value is cut in a difference.
const VALUE_CHARACTERS_MAX: usize = 200;

/// What stands for a value that is not there.
const UNSET: &str = "-";

/// The difference, by name of node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Nodes that would be new.
    pub added: Vec<String>,
    /// Nodes that would be gone.
    pub removed: Vec<String>,
    /// Nodes that would be restarted, with the fields that changed.
    pub changed: BTreeMap<String, Vec<FieldChange>>,
    /// Settings of the supervisor itself, or stages, that would change without a restart.
    pub settings: Vec<FieldChange>,
    /// Nodes that would go on as they are.
    pub unchanged: Vec<String>,
}

/// One field that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Which; a path with dots where it lies deeper (`life.stop_grace`).
    pub field: String,
    /// What runs.
    pub from: String,
    /// What would run.
    pub to: String,
}

impl Difference {
    /// Is there nothing to do?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
            && self.settings.is_empty()
    }

    /// Does this node have to be restarted for its change to hold?
    #[must_use]
    pub fn needs_restart(&self, name: &str) -> bool {
        self.changed.contains_key(name)
    }
}

/// Compares what runs with what is wanted. Nodes come in the order of their layout.
#[must_use]
pub fn between(running: &Layout, wanted: &Layout) -> Difference {
    let mut difference = Difference::default();
    let before: BTreeMap<&str, &ChildSpec> = by_name(running);
    let after: BTreeMap<&str, &ChildSpec> = by_name(wanted);
    for child in &running.children {
        if !after.contains_key(child.name.as_str()) {
            difference.removed.push(child.name.to_string());
        }
    }
    for child in &wanted.children {
        let name = child.name.as_str();
        match before.get(name) {
            None => difference.added.push(name.to_owned()),
            Some(old) => {
                let mut changes = Vec::new();
                for change in child_changes(old, child) {
                    if takes_restart(&change.field) {
                        changes.push(change);
                    } else {
                        difference.settings.push(under("nodes", name, change));
                    }
                }
                changes.extend(topology_of(name, running, wanted));
                if changes.is_empty() {
                    difference.unchanged.push(name.to_owned());
                } else {
                    difference.changed.insert(name.to_owned(), changes);
                }
            }
        }
    }
    difference.settings.extend(setting_changes(running, wanted));
    difference
}

fn by_name(layout: &Layout) -> BTreeMap<&str, &ChildSpec> {
    layout
        .children
        .iter()
        .map(|c| (c.name.as_str(), c))
        .collect()
}

fn takes_restart(field: &str) -> bool {
    let whole = field.split('.').next().unwrap_or_default();
    !matches!(whole, "life" | "stage" | "hooks") && field != "watchdog.action"
}

fn under(word: &str, name: &str, change: FieldChange) -> FieldChange {
    FieldChange {
        field: format!("{word}.{name}.{}", change.field),
        ..change
    }
}

fn child_changes(old: &ChildSpec, new: &ChildSpec) -> Vec<FieldChange> {
    if old == new {
        return Vec::new();
    }
    let mut changes = Vec::new();
    let (mut from, mut to) = (json(old), json(new));
    for value in [&mut from, &mut to] {
        if let Value::Object(fields) = value {
            fields.remove("env");
        }
    }
    compare_json("", &from, &to, &mut changes);
    changes.extend(env_changes(&old.env, &new.env));
    changes
}

fn env_changes(old: &[(String, String)], new: &[(String, String)]) -> Vec<FieldChange> {
    let old: BTreeMap<&str, &str> = old.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let new: BTreeMap<&str, &str> = new.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let keys: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    keys.into_iter()
        .filter(|key| old.get(key) != new.get(key))
        .map(|key| FieldChange {
            field: format!("env.{key}"),
            from: old.get(key).map_or(UNSET, |_| "(a value)").to_owned(),
            to: match (old.contains_key(key), new.contains_key(key)) {
                (_, false) => UNSET,
                (true, true) => "(another value)",
                (false, true) => "(a value)",
            }
            .to_owned(),
        })
        .collect()
}

/// A started node's own line in the topology: it acts on that itself.
fn topology_of(name: &str, running: &Layout, wanted: &Layout) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let (from, to) = (running.nodes.get(name), wanted.nodes.get(name));
    compare("node", &from, &to, &mut changes);
    changes
}

fn setting_changes(running: &Layout, wanted: &Layout) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let (old, new) = (&running.defaults, &wanted.defaults);
    let all = &mut changes;
    compare("settings", &running.settings, &wanted.settings, all);
    compare("defaults.life", &old.life, &new.life, all);
    compare("defaults.watchdog", &old.watchdog, &new.watchdog, all);
    compare("instance", &running.instance, &wanted.instance, all);
    compare("instances", &running.instances, &wanted.instances, all);
    for to in &wanted.stages {
        if let Some(from) = running.stages.iter().find(|s| s.number == to.number) {
            compare(&format!("stages.{}", to.number), from, to, all);
        }
    }
    let local: BTreeSet<&str> = by_name(running)
        .into_keys()
        .chain(by_name(wanted).into_keys())
        .collect();
    let names: BTreeSet<&str> = running
        .nodes
        .keys()
        .chain(wanted.nodes.keys())
        .map(crate::names::NodeName::as_str)
        .filter(|name| !local.contains(name))
        .collect();
    for name in names {
        let (from, to) = (running.nodes.get(name), wanted.nodes.get(name));
        compare(&format!("nodes.{name}"), &from, &to, all);
    }
    changes
}

/// Adds what differs between two values below `path`.
fn compare<T: Serialize + PartialEq>(path: &str, from: &T, to: &T, changes: &mut Vec<FieldChange>) {
    if from != to {
        compare_json(path, &json(from), &json(to), changes);
    }
}

fn json(value: impl Serialize) -> Value {
    // These types hold nothing that JSON cannot; a value that could not be written would equal itself.
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// Adds what differs below `path`. Objects are compared key by key, everything else as a whole;
/// durations are objects of two numbers and are shown as people write them.
fn compare_json(path: &str, from: &Value, to: &Value, changes: &mut Vec<FieldChange>) {
    if from == to {
        return;
    }
    let is_duration = |value: &Value| value.get("secs").is_some() && value.get("nanos").is_some();
    match (from, to) {
        (Value::Object(old), Value::Object(new)) if !is_duration(from) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                let deeper = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                let old = old.get(key).unwrap_or(&Value::Null);
                let new = new.get(key).unwrap_or(&Value::Null);
                compare_json(&deeper, old, new, changes);
            }
        }
        _ => changes.push(FieldChange {
            field: path.to_owned(),
            from: show(from),
            to: show(to),
        }),
    }
}

fn show(value: &Value) -> String {
    let number = |key| value.get(key).and_then(Value::as_u64);
    let text = match (value, number("secs"), number("nanos")) {
        (Value::Null, _, _) => UNSET.to_owned(),
        (Value::String(text), _, _) => text.clone(),
        (_, Some(secs), Some(nanos)) => {
            let nanos = u32::try_from(nanos).unwrap_or(0);
            let duration = std::time::Duration::new(secs, nanos);
            humantime::format_duration(duration).to_string()
        }
        (other, _, _) => other.to_string(),
    };
    match text.char_indices().nth(VALUE_CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::layout;
    use super::*;

    fn fields(changes: &[FieldChange]) -> Vec<(&str, &str, &str)> {
        changes
            .iter()
            .map(|c| (c.field.as_str(), c.from.as_str(), c.to.as_str()))
            .collect()
    }

    #[test]
    fn the_same_layout_differs_in_nothing() {
        let text = "(nodes: {\"a\": (command: [\"sleep\", \"1\"]), \"m\": (node_type: Manager)})";
        let difference = between(&layout(text), &layout(text));
        assert!(difference.is_empty());
        assert_eq!(difference.unchanged.len(), 3);
    }

    #[test]
    fn only_what_needs_a_restart_restarts() {
        let old = layout(
            "(nodes: {\"a\": (command: [\"sleep\", \"1\"], env: {\"KEY\": \"secret\"}), \"b\": (command: [\"sleep\", \"2\"]), \"c\": (command: [\"true\"])})",
        );
        let new = layout(
            "(crash_keep: 3, nodes: {\"a\": (command: [\"sleep\", \"3\"], env: {\"KEY\": \"hidden\"}), \"b\": (command: [\"sleep\", \"2\"], stop: (grace: \"3s\"), stage: 60), \"d\": (command: [\"true\"])})",
        );
        let difference = between(&old, &new);
        assert_eq!(difference.added, ["d"]);
        assert_eq!(difference.removed, ["c"]);
        assert_eq!(difference.unchanged, ["b"]);
        assert!(difference.needs_restart("a") && !difference.needs_restart("b"));
        assert_eq!(
            fields(difference.changed.get("a").unwrap()),
            [
                ("program.Command", "[\"sleep\",\"1\"]", "[\"sleep\",\"3\"]"),
                ("env.KEY", "(a value)", "(another value)"),
            ]
        );
        assert_eq!(
            fields(&difference.settings),
            [
                ("nodes.b.life.stop_grace", "10s", "3s"),
                ("nodes.b.stage", "50", "60"),
                ("settings.crash_keep", "10", "3"),
            ]
        );
    }

    #[test]
    fn a_nodes_own_line_in_the_topology_is_its_own_change() {
        let old = layout(
            "(watchdog: (), nodes: {\"m\": (node_type: Manager), \"w\": (node_type: Worker)})",
        );
        let new = layout(
            "(watchdog: (), nodes: {\"m\": (node_type: Manager), \"w\": (node_type: Worker, manager: \"m\", watchdog: (action: Restart))})",
        );
        let difference = between(&old, &new);
        assert_eq!(
            fields(difference.changed.get("w").unwrap()),
            [("node.manager", "-", "m")]
        );
        assert_eq!(
            fields(&difference.settings),
            [("nodes.w.watchdog.action", "Report", "Restart")]
        );
    }

    /// A node learns at its birth whether and how often it is to show a heartbeat.
    #[test]
    fn a_watchdog_that_comes_or_goes_is_known_from_the_next_birth() {
        let old = layout("(nodes: {\"w\": (node_type: Worker)}, controller: (enabled: false))");
        let new = layout(
            "(nodes: {\"w\": (node_type: Worker, watchdog: ())}, controller: (enabled: false))",
        );
        for difference in [between(&old, &new), between(&new, &old)] {
            let changes = fields(difference.changed.get("w").unwrap());
            assert_eq!(changes.first().unwrap().0, "watchdog");
            assert!(difference.settings.is_empty());
        }
    }
}

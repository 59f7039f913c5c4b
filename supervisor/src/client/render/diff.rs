//! What differs between a layout and what runs.

use std::collections::BTreeSet;
use std::fmt::Write;

use cluster::layout::diff::{Difference, FieldChange};
use serde_json::{Map, Value};

use super::description;
use super::figures::UNKNOWN;
use crate::client::out::{Paint, Tone, clean};

/// `+` new, `-` gone, `~` to be restarted, with the fields that changed below; then the sum.
pub(crate) fn text(diff: &Difference, paint: Paint) -> String {
    let mut text = String::new();
    for name in &diff.added {
        push(
            &mut text,
            &paint.tone(Tone::Good, &format!("+ {}", clean(name))),
        );
    }
    for name in &diff.removed {
        push(
            &mut text,
            &paint.tone(Tone::Bad, &format!("- {}", clean(name))),
        );
    }
    for (name, changes) in &diff.changed {
        push(
            &mut text,
            &paint.tone(Tone::Doubtful, &format!("~ {}", clean(name))),
        );
        push_changes(&mut text, changes);
    }
    if !diff.settings.is_empty() {
        push(&mut text, "settings, without a restart");
        push_changes(&mut text, &diff.settings);
    }
    if diff.is_empty() {
        push(
            &mut text,
            &format!("nothing differs, {} unchanged", diff.unchanged.len()),
        );
    } else {
        push(
            &mut text,
            &format!(
                "{} added, {} removed, {} changed, {} unchanged",
                diff.added.len(),
                diff.removed.len(),
                diff.changed.len(),
                diff.unchanged.len()
            ),
        );
    }
    text
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn push_changes(text: &mut String, changes: &[FieldChange]) {
    for change in changes {
        match (fields(&change.from), fields(&change.to)) {
            (Some(from), Some(to)) => push_fields(text, &clean(&change.field), &from, &to),
            _ => push_change(
                text,
                &clean(&change.field),
                &clean(&change.from),
                &clean(&change.to),
            ),
        }
    }
}

fn push_change(text: &mut String, field: &str, from: &str, to: &str) {
    let _ = writeln!(text, "    {field}: {from} -> {to}");
}

/// A node of another host comes or goes with all its fields in one value. One that is too long to be
/// told is cut, and has none.
fn fields(value: &str) -> Option<Map<String, Value>> {
    if value == UNKNOWN {
        return Some(Map::new());
    }
    match serde_json::from_str(value) {
        Ok(Value::Object(fields)) => Some(fields),
        Ok(_) | Err(_) => None,
    }
}

/// What is set on neither side is left out.
fn push_fields(text: &mut String, path: &str, from: &Map<String, Value>, to: &Map<String, Value>) {
    let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    for key in keys {
        let [from, to] = [from, to].map(|side| side.get(key).unwrap_or(&Value::Null));
        let set = [from, to].into_iter().any(|v| !v.is_null() && v != "");
        if from != to && set {
            push_change(
                text,
                &description::below(path, key),
                &description::value(from),
                &description::value(to),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_has_its_mark() {
        let change = |field: &str, from: &str, to: &str| FieldChange {
            field: field.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
        };
        let diff = Difference {
            added: vec!["worker-5".to_owned()],
            removed: vec!["probe".to_owned()],
            changed: [(
                "worker-1".to_owned(),
                vec![change("life.stop_grace", "10s", "5s")],
            )]
            .into(),
            settings: vec![change("crash_keep", "10", "5")],
            unchanged: vec!["manager".to_owned()],
        };
        assert_eq!(
            text(&diff, Paint(false)),
            "\
+ worker-5
- probe
~ worker-1
    life.stop_grace: 10s -> 5s
settings, without a restart
    crash_keep: 10 -> 5
1 added, 1 removed, 1 changed, 1 unchanged
"
        );
    }

    #[test]
    fn a_node_of_another_host_is_told_field_by_field() {
        let far = "{\"node_type\":\"worker\",\"ip\":\"10.9.9.9\",\"p\":null,\"zone_id\":\"\"}";
        let change = |from: &str, to: &str| FieldChange {
            field: "nodes.far".to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
        };
        let diff = Difference {
            settings: vec![change("-", far), change("{\"cut…", "-")],
            ..Difference::default()
        };
        assert_eq!(
            text(&diff, Paint(false)),
            "\
settings, without a restart
    nodes.far.ip: - -> 10.9.9.9
    nodes.far.node_type: - -> worker
    nodes.far: {\"cut… -> -
0 added, 0 removed, 0 changed, 0 unchanged
"
        );
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        let diff = Difference {
            unchanged: vec!["a".to_owned(), "b".to_owned()],
            ..Difference::default()
        };
        assert_eq!(text(&diff, Paint(false)), "nothing differs, 2 unchanged\n");
    }
}

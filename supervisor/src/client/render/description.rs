//! What a node runs by: a key a line, as `diff` names the keys.
//!
//! Written from the JSON of the description, so that a key which is added to it later is shown too.

use std::time::Duration;

use serde_json::Value;

use super::figures::UNKNOWN;
use crate::client::out::clean;

/// The keys that stand above already.
const KNOWN: [&str; 3] = ["name", "role", "stage"];

/// The description without what is empty or not set.
pub(crate) fn text(description: &Value) -> String {
    let mut keys = Vec::new();
    collect("", description, &mut keys);
    keys.retain(|(key, _)| !KNOWN.contains(&key.as_str()));
    let widest = keys.iter().map(|(key, _)| key.chars().count()).max();
    let width = widest.unwrap_or(0);
    keys.iter()
        .map(|(key, value)| format!("{key:<width$}  {value}\n"))
        .collect()
}

/// A value as people write it: no quotes, durations as `250ms` or `1m 30s`.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Null => UNKNOWN.to_owned(),
        Value::String(text) => clean(text),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            match duration(value) {
                Some(duration) => humantime::format_duration(duration).to_string(),
                None => clean(&value.to_string()),
            }
        }
    }
}

/// A duration's JSON is an object of two numbers.
pub(crate) fn duration(value: &Value) -> Option<Duration> {
    let fields = value.as_object().filter(|fields| fields.len() == 2)?;
    let nanos = u32::try_from(fields.get("nanos")?.as_u64()?).ok()?;
    Some(Duration::new(fields.get("secs")?.as_u64()?, nanos))
}

/// A key below another one.
pub(crate) fn below(path: &str, key: &str) -> String {
    let key = clean(key);
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}

fn collect(path: &str, from: &Value, keys: &mut Vec<(String, String)>) {
    match from {
        Value::Null => {}
        Value::Array(values) if values.is_empty() => {}
        Value::Array(values) => match pairs(values) {
            Some(pairs) => {
                let pairs = pairs.into_iter();
                keys.extend(pairs.map(|(key, text)| (below(path, key), clean(text))));
            }
            None if values.iter().any(Value::is_object) => {
                for (index, value) in values.iter().enumerate() {
                    collect(&below(path, &index.to_string()), value, keys);
                }
            }
            None => keys.push((path.to_owned(), value(from))),
        },
        Value::Object(fields) if duration(from).is_none() => {
            for (key, value) in fields {
                collect(&below(path, key), value, keys);
            }
        }
        Value::Object(_) | Value::String(_) | Value::Number(_) | Value::Bool(_) => {
            keys.push((path.to_owned(), value(from)));
        }
    }
}

/// Variables stand in a list of pairs; no other list has lists in it.
fn pairs(values: &[Value]) -> Option<Vec<(&str, &str)>> {
    let pairs = values
        .iter()
        .map(|value| match value.as_array()?.as_slice() {
            [Value::String(key), Value::String(text)] => Some((key.as_str(), text.as_str())),
            _ => None,
        });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_is_a_line_and_what_is_empty_is_left_out() {
        let description = json!({
            "name": "web",
            "program": {"Command": ["sh", "-c", "exit 3"]},
            "cpus": [0, 1],
            "env": [["PASSWORD", "…"], ["B", "\u{1b}[2J"]],
            "hooks": [{"on": "on_exit", "command": ["true"], "timeout": {"secs": 90, "nanos": 0}}],
            "identity": null,
            "life": {"floor": {"secs": 0, "nanos": 250_000_000}, "restart": "Always"},
            "listen": [],
            "ready": "AtOnce",
        });
        assert_eq!(
            text(&description),
            "\
cpus             [0,1]
env.PASSWORD     …
env.B            \\u{1b}[2J
hooks.0.command  [\"true\"]
hooks.0.on       on_exit
hooks.0.timeout  1m 30s
life.floor       250ms
life.restart     Always
program.Command  [\"sh\",\"-c\",\"exit 3\"]
ready            AtOnce
"
        );
    }
}

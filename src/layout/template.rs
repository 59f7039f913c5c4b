//! Templates: `{name}`, `{index}`, `{index0}` and `{cpu}` in commands (a node's own, those of its
//! hooks and of its readiness), paths, interfaces, inputs and variables; and `{env:NAME}`, or with what
//! stands for it where it is not set, `{env:NAME:/srv/logs}`: a variable of the supervisor's environment.

use super::host::Host;

/// What a template can hold, for one child.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    /// The child's name.
    pub(super) name: &'a str,
    /// Its number among those of its entry, from 1.
    pub(super) index: u32,
    /// The processors it was dealt, if any.
    pub(super) cpu: Option<&'a str>,
    /// The variables of the supervisor's environment.
    pub(super) host: &'a dyn Host,
}

/// Why a template cannot be filled: message and hint.
pub(super) type TemplateError = (String, &'static str);

const KNOWN: &str =
    "known are {name}, {index}, {index0}, {cpu} and {env:VARIABLE}; write {{ for a brace";

/// Fills in a template. `{{` is a brace, and so is `}}`.
pub(super) fn fill(text: &str, values: Values<'_>) -> Result<String, TemplateError> {
    if !text.contains(['{', '}']) {
        return Ok(text.to_owned());
    }
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, tail) = rest.split_at(at);
        filled.push_str(before);
        rest = if let Some(tail) = tail.strip_prefix("{{") {
            filled.push('{');
            tail
        } else if let Some(tail) = tail.strip_prefix("}}").or_else(|| tail.strip_prefix('}')) {
            filled.push('}');
            tail
        } else {
            let Some((word, tail)) = tail.get(1..).and_then(|tail| tail.split_once('}')) else {
                return Err((
                    format!("\"{text}\" holds a brace that is never closed"),
                    KNOWN,
                ));
            };
            filled.push_str(&value(word, values)?);
            tail
        };
    }
    filled.push_str(rest);
    Ok(filled)
}

fn value(word: &str, values: Values<'_>) -> Result<String, TemplateError> {
    if let Some(variable) = word.strip_prefix("env:") {
        return variable_of(variable, values);
    }
    match word {
        "name" => Ok(values.name.to_owned()),
        "index" => Ok(values.index.to_string()),
        "index0" => Ok(values.index.saturating_sub(1).to_string()),
        "cpu" => values.cpu.map(str::to_owned).ok_or_else(|| {
            (
                "{cpu} is asked for, and the node is pinned to no processor".to_owned(),
                "add cpus: [..] to the node",
            )
        }),
        other => Err((format!("the template {{{other}}} is not known"), KNOWN)),
    }
}

/// `NAME`, or `NAME:default`. A variable that is empty counts as set.
fn variable_of(text: &str, values: Values<'_>) -> Result<String, TemplateError> {
    let (name, default) = text
        .split_once(':')
        .map_or((text, None), |(name, default)| (name, Some(default)));
    let value = values.host.variable(name);
    value.or_else(|| default.map(str::to_owned)).ok_or_else(|| {
        let hint = "set it for the supervisor, or write a default, as in {env:LOGS:/srv/logs}";
        (format!("the variable {name} is not set"), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample::Machine;
    use super::*;

    fn filled(text: &str, cpu: Option<&str>) -> Result<String, TemplateError> {
        let variables = vec![("LOGS", "/var/log"), ("EMPTY", "")];
        let host = &Machine {
            variables,
            ..Machine::default()
        };
        let values = Values {
            name: "worker-3",
            index: 3,
            cpu,
            host,
        };
        fill(text, values)
    }

    #[test]
    fn templates_are_filled_and_double_braces_are_braces() {
        let text = filled("{name}/{index}/{index0}/{cpu} {{x}} }", Some("7"));
        assert_eq!(text, Ok("worker-3/3/2/7 {x} }".to_owned()));
    }

    #[test]
    fn what_cannot_be_filled_is_refused() {
        assert!(filled("{cpu}", None).unwrap_err().1.contains("cpus"));
        assert!(filled("{nam}", None).unwrap_err().0.contains("{nam}"));
        assert!(filled("a{", None).unwrap_err().0.contains("closed"));
    }

    #[test]
    fn variables_have_their_value_or_the_default() {
        let text = filled("{env:LOGS}/{env:GONE:a/b}{env:EMPTY:x}{env:GONE:}", None);
        assert_eq!(text, Ok("/var/log/a/b".to_owned()));
        let (message, hint) = filled("{env:GONE}", None).unwrap_err();
        assert_eq!(message, "the variable GONE is not set");
        assert!(hint.contains("default"));
    }
}

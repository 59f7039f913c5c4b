//! The controller: a child that the supervisor adds by itself where there is a cluster.

use std::net::IpAddr;

use super::context::Context;
use super::entries::Entry;
use super::finding::Severity;
use super::instances::Instances;
use super::raw::RawController;
use super::spec::{ChildSpec, LifePolicy, Program, Ready};
use super::template::{self, Values};
use super::{Role, later, suggest};
use crate::names::{InstanceName, NAME_BYTES_MAX, NodeName};

/// The variable that gives the controller its name.
const NAME_VARIABLE: &str = "ZEEK_CONTROLLER_NAME";

/// The variable that tells a process that it is the controller.
pub(super) const ROLE_VARIABLE: (&str, &str) = ("ZEEK_MANAGEMENT_NODE", "CONTROLLER");

/// What a variable has to hold.
#[derive(Clone, Copy)]
enum Form {
    Address,
    Port,
}

impl Form {
    fn takes(self, value: &str) -> bool {
        match self {
            Self::Address => value.parse::<IpAddr>().is_ok(),
            Self::Port => {
                let digits = value.strip_suffix("/tcp").unwrap_or(value);
                // `parse` alone would take "+2150".
                digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok()
            }
        }
    }
}

/// The variables that say where the controller listens. It refuses to start with one that it cannot
/// read, though it listens nowhere in this build.
const VARIABLES: [(&str, Form); 4] = [
    ("ZEEK_CONTROLLER_ADDR", Form::Address),
    ("ZEEK_CONTROLLER_PORT", Form::Port),
    ("ZEEK_CONTROLLER_WEBSOCKET_ADDR", Form::Address),
    ("ZEEK_CONTROLLER_WEBSOCKET_PORT", Form::Port),
];

/// The controller's child, if this instance boots one.
pub(super) fn child(
    raw: &RawController,
    entries: &[Entry<'_>],
    instances: &Instances,
    life: LifePolicy,
    ctx: &mut Context<'_>,
) -> Option<ChildSpec> {
    let is_cluster = entries.iter().any(Entry::is_builtin);
    if raw.enabled == Some(true) && !is_cluster {
        let message = "there is no cluster to control: the layout has commands only";
        let hint = "add a node with a role, or take enabled away";
        ctx.report.error(&["controller", "enabled"], message, hint);
    }
    let place = place(raw, is_cluster, instances, ctx);
    if !is_cluster || raw.enabled == Some(false) {
        return None;
    }
    if instances.here.is_none() || place != instances.here {
        return None;
    }
    variables(ctx);
    let name = name(raw, entries, ctx)?;
    let home = ctx.run_dir.join(name.as_str());
    let mut elsewhere = |field, text: &Option<String>| {
        let text = text.as_ref()?;
        let values = Values {
            name: name.as_str(),
            index: 1,
            cpu: None,
            host: ctx.host,
        };
        let filled = template::fill(text, values).unwrap_or_else(|(message, hint)| {
            ctx.report.error(&["controller", field], message, hint);
            text.clone()
        });
        Some(ctx.absolute(filled))
    };
    let directory = elsewhere("directory", &raw.directory);
    let stdout_file = elsewhere("stdout_file", &raw.stdout_file);
    let stderr_file = elsewhere("stderr_file", &raw.stderr_file);
    let mut spec = ChildSpec {
        home,
        directory: None,
        stdout_file: None,
        stderr_file: None,
        name,
        role: Role::Controller,
        program: Program::Builtin(Role::Controller),
        env: vec![(ROLE_VARIABLE.0.to_owned(), ROLE_VARIABLE.1.to_owned())],
        identity: None,
        capabilities: Vec::new(),
        cpus: Vec::new(),
        nice: None,
        rlimits: Vec::new(),
        group_limits: Vec::new(),
        cgroup: None,
        listen: Vec::new(),
        ready: Ready::Notify,
        stage: super::stages::of_role(Role::Controller),
        life,
        watchdog: ctx.watchdog,
        hooks: Vec::new(),
        inputs: None,
    };
    spec.put(directory, stdout_file, stderr_file);
    Some(spec)
}

/// Holds the variables against their forms; one that is set to nothing counts as not set.
fn variables(ctx: &mut Context<'_>) {
    for (name, form) in VARIABLES {
        let Some(value) = ctx.host.variable(name).filter(|value| !value.is_empty()) else {
            continue;
        };
        if form.takes(&value) {
            let message = format!("the environment sets {name}; {}", later::CONTROLLER);
            ctx.report
                .add(Severity::NotActedOn, &["controller"], message, "");
            continue;
        }
        let (what, hint) = match form {
            Form::Address => ("IP address", "set it to one, as 127.0.0.1, or unset it"),
            Form::Port => ("port", "set it to one, as 2150 or 2150/tcp, or unset it"),
        };
        let message = format!("the environment sets {name} to {value:?}, which is no {what}");
        ctx.report.error(&["controller"], message, hint);
    }
}

/// The instance that has the controller.
fn place(
    raw: &RawController,
    is_cluster: bool,
    instances: &Instances,
    ctx: &mut Context<'_>,
) -> Option<InstanceName> {
    let path = ["controller", "instance"];
    if let Some(word) = &raw.instance {
        let found = instances.named(word, &path, &mut ctx.report);
        return found.map(|(name, _)| name.clone());
    }
    if instances.all.len() > 1 && is_cluster && raw.enabled != Some(false) {
        let lead = "add controller: (instance: \"..\") with one of";
        let hint = suggest::list(lead, instances.names());
        let message = "with several instances the layout has to say which one has the controller";
        ctx.report.error(&path, message, &hint);
        return None;
    }
    instances.all.keys().next().cloned()
}

fn name(raw: &RawController, entries: &[Entry<'_>], ctx: &mut Context<'_>) -> Option<NodeName> {
    let path = ["controller", "name"];
    let given = ctx
        .host
        .variable(NAME_VARIABLE)
        .filter(|word| !word.is_empty());
    let word = given
        .or_else(|| raw.name.clone())
        .unwrap_or_else(|| from_host(&ctx.host.hostname()));
    let name = match NodeName::parse(&word) {
        Ok(name) => name,
        Err(error) => {
            let hint = "choose another, in controller: (name: \"..\") or in ZEEK_CONTROLLER_NAME";
            ctx.report.error(&path, error.to_string(), hint);
            return None;
        }
    };
    if let Some(entry) = entries.iter().find(|e| e.members.contains(&name)) {
        let message = format!("the controller would be called \"{word}\", and so is a node");
        let hint = "name one of them differently";
        ctx.report.error(&["nodes", entry.name], message, hint);
        return None;
    }
    Some(name)
}

/// `controller-<host>`, with what cannot stand in a name replaced.
fn from_host(hostname: &str) -> String {
    let mut name = "controller-".to_owned();
    let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.extend(hostname.chars().map(|c| if usable(c) { c } else { '-' }));
    if hostname.is_empty() {
        name.push_str("host");
    }
    if name.ends_with(".sock") {
        name.push('-');
    }
    name.truncate(NAME_BYTES_MAX);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hostname_makes_a_name() {
        for host in ["alpha", "", "ä b/c", "x.sock", &"long".repeat(99)] {
            assert!(NodeName::parse(&from_host(host)).is_ok(), "{host}");
        }
        assert_eq!(from_host("a b"), "controller-a-b");
    }
}

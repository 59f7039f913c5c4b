//! A child's settings as they hold: in words what differs from the built-in defaults, as JSON all of it.
//!
//! Of variables only the names are told: their values may be secrets.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::inputs::Inputs;
use super::spec::{
    ChildSpec, Hook, LifePolicy, Program, Ready, Resource, ResourceLimit, RestartPolicy, Role,
    Watchdog, WatchdogAction,
};
use super::{capabilities, controller, members, signals};

/// What the child's line in the start order does not tell and no default says.
pub(super) fn words(child: &ChildSpec) -> Vec<String> {
    let mut words = Vec::new();
    let places = [
        ("directory", &child.directory),
        ("stdout_file", &child.stdout_file),
        ("stderr_file", &child.stderr_file),
    ];
    for (key, place) in places {
        if let Some(place) = place {
            words.push(format!("{key}={}", place.display()));
        }
    }
    let said = child.env.iter().map(|(name, _)| name.as_str());
    let said: Vec<&str> = said.filter(|name| !is_own_variable(child, name)).collect();
    if !said.is_empty() {
        words.push(format!("env={}", said.join(",")));
    }
    if let Some(identity) = &child.identity {
        words.push(format!("gid={}", identity.gid));
    }
    if !child.capabilities.is_empty() {
        words.push(format!(
            "capabilities={}",
            capability_names(child).join(",")
        ));
    }
    words.extend(child.nice.map(|nice| format!("nice={nice}")));
    words.extend(child.rlimits.iter().map(|limit| {
        let (word, value) = (resource(limit.resource), limit_value(*limit));
        format!("limits.{word}={value}")
    }));
    let groups = child.group_limits.iter();
    words.extend(groups.map(|limit| format!("limits.{}={}", group_word(&limit.file), limit.value)));
    let usual = life_words(&LifePolicy::default());
    let different = life_words(&child.life).into_iter().zip(usual);
    let different = different.filter(|(own, usual)| own != usual);
    words.extend(different.map(|((key, value), _)| format!("{key}={value}")));
    words.extend(child.hooks.iter().map(hook_words));
    words.extend(child.inputs.iter().map(|inputs| inputs_words(inputs)));
    words
}

fn inputs_words(inputs: &Inputs) -> String {
    let all = inputs.all.iter();
    let paths: Vec<String> = all.map(|it| it.from.path().display().to_string()).collect();
    format!("inputs={}", paths.join(","))
}

/// A variable that we set ourselves, so that a child knows what it is.
fn is_own_variable(child: &ChildSpec, name: &str) -> bool {
    match child.role {
        Role::None => false,
        Role::Controller => name == controller::ROLE_VARIABLE.0,
        Role::Control | Role::Logger | Role::Manager | Role::Proxy | Role::Worker => {
            name == members::CLUSTER_NODE
        }
    }
}

fn capability_names(child: &ChildSpec) -> Vec<String> {
    let names = child.capabilities.iter();
    names.map(|number| capabilities::name(*number)).collect()
}

fn resource(resource: Resource) -> &'static str {
    match resource {
        Resource::Nofile => "nofile",
        Resource::Core => "core",
        Resource::Nproc => "nproc",
        Resource::Memlock => "memlock",
        Resource::AddressSpace => "address_space",
        Resource::FileSize => "file_size",
        Resource::Stack => "stack",
    }
}

/// The layout's word for a file of a control group.
fn group_word(file: &str) -> String {
    file.replace('.', "_")
}

fn limit_value(limit: ResourceLimit) -> String {
    match limit.value {
        u64::MAX => "unlimited".to_owned(),
        value => value.to_string(),
    }
}

fn hook_words(hook: &Hook) -> String {
    let timeout = humantime::format_duration(hook.timeout);
    format!(
        "hooks.{}=[{}] within {timeout}",
        hook.on.word(),
        quoted(&hook.command)
    )
}

/// How a child is kept alive, under the layout's names; the policy of restarts is [`restart`].
pub(super) fn life_words(life: &LifePolicy) -> [(&'static str, String); 8] {
    let time = |time: Duration| humantime::format_duration(time).to_string();
    let off = || "off".to_owned();
    let give_up = life.give_up;
    [
        ("restart.floor", time(life.floor)),
        ("restart.ceiling", time(life.ceiling)),
        ("restart.quick_after", time(life.quick_after)),
        ("restart.stable_after", time(life.stable_after)),
        (
            "restart.give_up",
            give_up.map_or_else(off, |b| format!("{} within {}", b.deaths, time(b.within))),
        ),
        ("ready_timeout", life.ready_timeout.map_or_else(off, time)),
        ("stop.signal", signals::name(life.stop_signal)),
        ("stop.grace", time(life.stop_grace)),
    ]
}

pub(super) fn quoted(words: &[String]) -> String {
    let plain = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c))
    };
    let words: Vec<String> = words
        .iter()
        .map(|word| match plain(word) {
            true => word.clone(),
            false => format!("{word:?}"),
        })
        .collect();
    words.join(" ")
}

pub(super) fn ready(ready: &Ready) -> String {
    match ready {
        Ready::AtOnce => "at once".to_owned(),
        Ready::Notify => "notify".to_owned(),
        Ready::SdNotify => "sd_notify".to_owned(),
        Ready::Tcp(address) => format!("tcp {address}"),
        Ready::Exec(words) => format!("exec {}", quoted(words)),
    }
}

pub(super) fn restart(policy: RestartPolicy) -> String {
    match policy {
        RestartPolicy::Always => "always".to_owned(),
        RestartPolicy::OnFailure => "on failure".to_owned(),
        RestartPolicy::Never => "never".to_owned(),
        RestartPolicy::Finish => "finish".to_owned(),
        RestartPolicy::Every(period) => format!("every {}", humantime::format_duration(period)),
    }
}

pub(super) fn patience(watchdog: Watchdog) -> String {
    let action = match watchdog.action {
        WatchdogAction::Report => "report",
        WatchdogAction::Restart => "restart",
        WatchdogAction::Abort => "abort",
    };
    let stale_after = humantime::format_duration(watchdog.stale_after);
    format!("{action} after {stale_after}")
}

/// A time as a number; longer ones than a number holds are the longest.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How a child is kept alive, all of it.
pub(super) fn life_json(life: &LifePolicy) -> Value {
    let give_up = life
        .give_up
        .map(|budget| json!({"deaths": budget.deaths, "within_ms": milliseconds(budget.within)}));
    json!({
        "restart": restart(life.restart),
        "floor_ms": milliseconds(life.floor),
        "ceiling_ms": milliseconds(life.ceiling),
        "quick_after_ms": milliseconds(life.quick_after),
        "stable_after_ms": milliseconds(life.stable_after),
        "give_up": give_up,
        "ready_timeout_ms": life.ready_timeout.map(milliseconds),
        "stop_signal": signals::name(life.stop_signal),
        "stop_grace_ms": milliseconds(life.stop_grace),
    })
}

/// A child, all of it but the values of its variables.
pub(super) fn child_json(child: &ChildSpec) -> Value {
    let command = match &child.program {
        Program::Builtin(_) => None,
        Program::Command(words) => Some(words),
    };
    let identity = child.identity.as_ref();
    let mut limits: Map<String, Value> = Map::new();
    for limit in &child.rlimits {
        let word = resource(limit.resource).to_owned();
        limits.insert(word, limit_value(*limit).into());
    }
    let groups = child.group_limits.iter();
    limits.extend(groups.map(|limit| (group_word(&limit.file), limit.value.clone().into())));
    let hooks = child.hooks.iter().map(|hook| {
        let timeout = milliseconds(hook.timeout);
        json!({"on": hook.on, "command": hook.command, "timeout_ms": timeout})
    });
    json!({
        "name": child.name,
        "role": child.role.word(),
        "command": command,
        "directory": child.directory(),
        "home": child.home,
        "stdout_file": child.stdout_file(),
        "stderr_file": child.stderr_file(),
        "env": child.env.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "user": identity.map(|i| &i.name),
        "uid": identity.map(|i| i.uid),
        "gid": identity.map(|i| i.gid),
        "groups": identity.map(|i| &i.groups),
        "capabilities": capability_names(child),
        "cpus": child.cpus,
        "nice": child.nice,
        "limits": limits,
        "listen": child.listen,
        "ready": ready(&child.ready),
        "restart": restart(child.life.restart),
        "life": life_json(&child.life),
        "watchdog": child.watchdog.map(patience),
        "hooks": hooks.collect::<Vec<_>>(),
        "inputs": child.inputs.as_ref().map(|inputs| &inputs.all),
    })
}

/// The text with the child's own name, where it stands by itself, as the template that made it.
pub(super) fn by_template(text: &str, name: &str) -> String {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(name) {
        out.push_str(before);
        let begins = !out.ends_with(goes_on) && !behind.starts_with(goes_on);
        out.push_str(if begins { "{name}" } else { name });
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample::layout;
    use super::*;

    fn told(entry: &str) -> (String, Value) {
        let text = format!("(nodes: {{\"x\": (command: [\"true\"], {entry})}})");
        let child = layout(&text).children.remove(0);
        (words(&child).join(" "), child_json(&child))
    }

    #[test]
    fn nothing_is_said_of_defaults_and_of_what_we_set_ourselves() {
        assert_eq!(told("").0, "");
        assert_eq!(told("node_type: Worker").0, "");
        assert_eq!(
            told("restart: (floor: \"250ms\"), stop: (signal: \"15\")").0,
            ""
        );
        let cluster = layout("(nodes: {\"m\": (node_type: Manager)})");
        assert!(cluster.children.iter().all(|child| words(child).is_empty()));
    }

    /// An entry's words, what is told of them, and where which JSON stands.
    const SETTINGS: &[(&str, &str, &str, &str)] = &[
        (
            "directory: \"d\"",
            "directory=/etc/site/d",
            "/directory",
            r#""/etc/site/d""#,
        ),
        (
            "stdout_file: \"/o\"",
            "stdout_file=/o",
            "/stdout_file",
            r#""/o""#,
        ),
        (
            "stderr_file: \"/e\"",
            "stderr_file=/e",
            "/stderr_file",
            r#""/e""#,
        ),
        (
            "env: {\"B\": \"secret\", \"A\": \"\"}",
            "env=A,B",
            "/env",
            r#"["A", "B"]"#,
        ),
        ("user: \"watch\", group: \"g\"", "gid=7", "/gid", "7"),
        (
            "capabilities: [\"NET_RAW\"]",
            "capabilities=net_raw",
            "/capabilities/0",
            r#""net_raw""#,
        ),
        ("nice: 5", "nice=5", "/nice", "5"),
        (
            "limits: (nofile: 9)",
            "limits.nofile=9",
            "/limits/nofile",
            r#""9""#,
        ),
        (
            "limits: (core: \"unlimited\")",
            "limits.core=unlimited",
            "/limits/core",
            r#""unlimited""#,
        ),
        (
            "limits: (pids_max: 3)",
            "limits.pids_max=3",
            "/limits/pids_max",
            r#""3""#,
        ),
        (
            "restart: (floor: \"1s\")",
            "restart.floor=1s",
            "/life/floor_ms",
            "1000",
        ),
        (
            "restart: (ceiling: \"1s\")",
            "restart.ceiling=1s",
            "/life/ceiling_ms",
            "1000",
        ),
        (
            "restart: (quick_after: \"2s\")",
            "restart.quick_after=2s",
            "/life/quick_after_ms",
            "2000",
        ),
        (
            "restart: (stable_after: \"2s\")",
            "restart.stable_after=2s",
            "/life/stable_after_ms",
            "2000",
        ),
        (
            "restart: (give_up: \"off\")",
            "restart.give_up=off",
            "/life/give_up",
            "null",
        ),
        (
            "restart: (give_up: (deaths: 2, within: \"1m\"))",
            "restart.give_up=2 within 1m",
            "/life/give_up/deaths",
            "2",
        ),
        (
            "ready_timeout: \"off\"",
            "ready_timeout=off",
            "/life/ready_timeout_ms",
            "null",
        ),
        (
            "stop: (signal: \"INT\")",
            "stop.signal=SIGINT",
            "/life/stop_signal",
            r#""SIGINT""#,
        ),
        (
            "stop: (grace: \"2s\")",
            "stop.grace=2s",
            "/life/stop_grace_ms",
            "2000",
        ),
        (
            "hooks: (on_exit: [\"sh\", \"-c\", \"a b\"])",
            "hooks.on_exit=[sh -c \"a b\"] within 10s",
            "/hooks/0/timeout_ms",
            "10000",
        ),
    ];

    #[test]
    fn each_setting_is_told_in_words_and_as_json() {
        for (entry, expected, pointer, value) in SETTINGS {
            let (words, json) = told(entry);
            assert_eq!(words, *expected, "{entry}");
            let value: Value = serde_json::from_str(value).unwrap();
            assert_eq!(json.pointer(pointer), Some(&value), "{json}");
            assert!(!json.to_string().contains("secret"), "{json}");
        }
    }

    #[test]
    fn a_name_is_found_where_it_stands_by_itself() {
        assert_eq!(
            by_template("/log/x-1.out x-1", "x-1"),
            "/log/{name}.out {name}"
        );
        assert_eq!(by_template("/max/x-12 ax-1", "x-1"), "/max/x-12 ax-1");
        assert_eq!(by_template("/data/a", "a"), "/data/{name}");
    }
}

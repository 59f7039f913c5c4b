//! An entry's child without the words that differ from member to member.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::context::{Context, LifeWords};
use super::entries::Entry;
use super::finding::Severity;
use super::raw::{RawHook, RawLimits, RawReady};
use super::spec::{
    ChildSpec, GroupLimit, Hook, HookPoint, Identity, Program, Ready, Resource, ResourceLimit,
    Watchdog,
};
use super::values::{ListOr, Size};
use super::{capabilities, suggest};
use crate::names::NodeName;

/// A hook has so long where the layout says nothing.
const HOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// Builds the child that all members of the entry are copies of, with templates as they were written.
/// Called once per entry, so that what is wrong is said once.
pub(super) fn build(entry: &Entry<'_>, name: &NodeName, ctx: &mut Context<'_>) -> ChildSpec {
    let raw = entry.raw;
    let under = ["nodes", entry.name];
    let words = LifeWords {
        restart: &raw.restart,
        signal: raw.stop.signal.as_deref(),
        grace: raw.stop.grace,
        ready_timeout: raw.ready_timeout,
    };
    check_nice(entry, ctx);
    check_port(entry, ctx);
    ChildSpec {
        name: name.clone(),
        role: entry.role,
        program: match &raw.command {
            Some(words) => Program::Command(words.clone()),
            None => Program::Builtin(entry.role),
        },
        home: PathBuf::new(),
        directory: None,
        stdout_file: None,
        stderr_file: None,
        env: Vec::new(),
        identity: identity(entry, ctx).map(Box::new),
        capabilities: capabilities(entry, ctx),
        cpus: Vec::new(),
        nice: raw.nice,
        rlimits: rlimits(&raw.limits),
        group_limits: group_limits(entry, ctx),
        cgroup: None,
        listen: entry
            .port()
            .map(|port| SocketAddr::new(entry.ip, port))
            .into_iter()
            .collect(),
        ready: ready(entry, ctx),
        stage: entry.stage,
        life: ctx.life_policy(&words, &under),
        watchdog: watchdog(entry, ctx),
        hooks: hooks(entry),
        inputs: None,
    }
}

/// Off unless the layout asks for it: a node that nobody watches need not wake up to show itself.
fn watchdog(entry: &Entry<'_>, ctx: &mut Context<'_>) -> Option<Watchdog> {
    match &entry.raw.watchdog {
        Some(words) => ctx.watchdog_of(words, &["nodes", entry.name, "watchdog"]),
        // A command knows nothing of heartbeats unless its own entry says so.
        None => ctx.watchdog.filter(|_| entry.is_builtin()),
    }
}

fn check_nice(entry: &Entry<'_>, ctx: &mut Context<'_>) {
    if entry
        .raw
        .nice
        .is_some_and(|nice| !(-20..=19).contains(&nice))
    {
        let hint = "write a number from -20 (first) to 19 (last)";
        ctx.report
            .error(&["nodes", entry.name, "nice"], "no such niceness", hint);
    }
}

/// A role of our own is born with the socket and never accepts on it.
fn check_port(entry: &Entry<'_>, ctx: &mut Context<'_>) {
    if entry.is_builtin() && entry.port().is_some() {
        let message =
            "the port is held open; nothing serves it in this build: callers are let go at once";
        ctx.report.add(
            Severity::NotActedOn,
            &["nodes", entry.name, "p"],
            message.to_owned(),
            "",
        );
    }
}

fn identity(entry: &Entry<'_>, ctx: &mut Context<'_>) -> Option<Identity> {
    let user = entry.raw.user.as_ref().map(|word| word.0.as_str());
    let group = entry.raw.group.as_ref().map(|word| word.0.as_str());
    if user.is_none() && group.is_none() {
        return None;
    }
    let own = ctx.effective_uid.to_string();
    let field = if user.is_some() { "user" } else { "group" };
    let path = ["nodes", entry.name, field];
    let identity = match ctx.identity(user.unwrap_or(&own), group) {
        Ok(identity) => identity,
        Err(reason) => {
            let hint = "users and groups are looked up on this host; create them first";
            ctx.report.error(&path, reason, hint);
            return None;
        }
    };
    if ctx.effective_uid != 0 && identity.uid != ctx.effective_uid {
        let message = format!(
            "only root can start a node as \"{}\", and the supervisor runs as user {}",
            identity.name, ctx.effective_uid
        );
        let hint = "start the supervisor as root, or take user away";
        ctx.report.error(&path, message, hint);
        return None;
    }
    // Without root and without a group to change to, the child is this user already.
    (ctx.effective_uid == 0 || group.is_some()).then_some(identity)
}

fn capabilities(entry: &Entry<'_>, ctx: &mut Context<'_>) -> Vec<u8> {
    let path = ["nodes", entry.name, "capabilities"];
    let mut numbers = Vec::new();
    for word in &entry.raw.capabilities {
        match capabilities::number(word) {
            Some(number) => numbers.push(number),
            None => {
                let lower = word.to_lowercase();
                let short = lower.strip_prefix("cap_").unwrap_or(&lower);
                let hint = suggest::hint(short, capabilities::names());
                ctx.report
                    .error(&path, format!("\"{word}\" is no capability"), &hint);
            }
        }
    }
    if !numbers.is_empty() && ctx.effective_uid != 0 {
        let hint = "start it as root, or see that it holds these capabilities itself";
        ctx.report.warning(
            &path,
            "the supervisor is not root and may have none to give",
            hint,
        );
    }
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn rlimits(raw: &RawLimits) -> Vec<ResourceLimit> {
    [
        (Resource::Nofile, raw.nofile),
        (Resource::Core, raw.core),
        (Resource::Nproc, raw.nproc),
        (Resource::Memlock, raw.memlock),
        (Resource::AddressSpace, raw.address_space),
        (Resource::FileSize, raw.file_size),
        (Resource::Stack, raw.stack),
    ]
    .into_iter()
    .filter_map(|(resource, value)| value.map(|Size(value)| ResourceLimit { resource, value }))
    .collect()
}

fn group_limits(entry: &Entry<'_>, ctx: &mut Context<'_>) -> Vec<GroupLimit> {
    let raw = &entry.raw.limits;
    let bytes = |size: Size| match size.0 {
        u64::MAX => "max".to_owned(),
        bytes => bytes.to_string(),
    };
    if raw.cpu_weight.is_some_and(|w| !(1..=10_000).contains(&w)) {
        let path = ["nodes", entry.name, "limits", "cpu_weight"];
        let hint = "write a number from 1 to 10000; 100 is the usual share";
        ctx.report.error(&path, "no such weight", hint);
    }
    [
        ("memory.high", raw.memory_high.map(bytes)),
        ("memory.max", raw.memory_max.map(bytes)),
        ("cpu.weight", raw.cpu_weight.map(|w| w.to_string())),
        ("pids.max", raw.pids_max.map(|n| n.to_string())),
    ]
    .into_iter()
    .filter_map(|(file, value)| {
        value.map(|value| GroupLimit {
            file: file.to_owned(),
            value,
        })
    })
    .collect()
}

fn ready(entry: &Entry<'_>, ctx: &mut Context<'_>) -> Ready {
    let path = ["nodes", entry.name, "ready"];
    if entry.is_builtin() {
        if !matches!(entry.raw.ready, None | Some(RawReady::Notify)) {
            let hint = "take ready away; it is for commands";
            ctx.report
                .error(&path, "a built-in role says itself when it is ready", hint);
        }
        return Ready::Notify;
    }
    match &entry.raw.ready {
        None | Some(RawReady::AtOnce) => Ready::AtOnce,
        Some(RawReady::Notify) => Ready::Notify,
        Some(RawReady::SdNotify) => Ready::SdNotify,
        Some(RawReady::Tcp(address)) => Ready::Tcp(*address),
        Some(RawReady::Exec(words)) => Ready::Exec(words.clone()),
    }
}

fn hooks(entry: &Entry<'_>) -> Vec<Hook> {
    let raw = &entry.raw.hooks;
    let points = [
        (HookPoint::OnStart, &raw.on_start),
        (HookPoint::OnReady, &raw.on_ready),
        (HookPoint::OnExit, &raw.on_exit),
        (HookPoint::OnCrash, &raw.on_crash),
        (HookPoint::OnFailed, &raw.on_failed),
    ];
    let mut hooks = Vec::new();
    for (on, hook) in points {
        let (command, timeout) = match hook {
            None => continue,
            Some(ListOr::List(command)) => (command, HOOK_TIMEOUT),
            Some(ListOr::More(RawHook { command, timeout })) => {
                (command, timeout.map_or(HOOK_TIMEOUT, |t| t.0))
            }
        };
        hooks.push(Hook {
            on,
            command: command.clone(),
            timeout,
        });
    }
    hooks
}

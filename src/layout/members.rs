//! From an entry to its children: names, processors, paths and templates of each member.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::context::Context;
use super::entries::Entry;
use super::inputs::{self, Inputs};
use super::prototype;
use super::spec::{ChildSpec, LINK_PACKET_BYTES_MAX, Program, Ready, Role};
use super::template::{self, Values};
use crate::names::NodeName;

/// A child's description leaves so much of a packet to what stands around it.
const PACKET_BYTES_REST: usize = 1024;

/// The variable that tells a member of the cluster its name.
pub(super) const CLUSTER_NODE: &str = "CLUSTER_NODE";

/// The entry's children, one for each member.
pub(super) fn children(entry: &Entry<'_>, ctx: &mut Context<'_>) -> Vec<ChildSpec> {
    let Some(first) = entry.members.first() else {
        return Vec::new();
    };
    let prototype = prototype::build(entry, first, ctx);
    check_pins(entry, ctx);
    check_env(entry, ctx);
    let pins = usable(entry, ctx);
    let mut children = Vec::with_capacity(entry.members.len());
    let mut complaints = Complaints::default();
    for (index0, name) in entry.members.iter().enumerate() {
        let mut member = Member::new(entry, name, index0, &pins, &mut complaints);
        children.push(member.child(prototype.clone(), ctx));
    }
    children
}

/// A field of an entry, and the one below it that is meant, if it has any.
type Field = (&'static str, Option<&'static str>);

/// What was complained of already: every member of an entry has the same faults.
#[derive(Default)]
struct Complaints {
    templates: BTreeSet<Field>,
    programs: BTreeSet<Field>,
    captured: bool,
    socket: bool,
    packet: bool,
}

struct Pins {
    cpus: Vec<u32>,
}

impl Pins {
    /// One processor each where the entry counts its members, else all.
    fn of(&self, index0: usize, dealt: bool) -> Vec<u32> {
        match index0.checked_rem(self.cpus.len()) {
            Some(at) if dealt => self.cpus.get(at).copied().into_iter().collect(),
            Some(_) => self.cpus.clone(),
            None => Vec::new(),
        }
    }
}

/// The processors that the entry's members can be pinned to. Which are online is known of this host
/// only: another instance's are as they are written.
fn usable(entry: &Entry<'_>, ctx: &Context<'_>) -> Pins {
    let mut cpus = listed(entry);
    cpus.retain(|cpu| !entry.local || ctx.online.contains(cpu));
    Pins { cpus }
}

fn listed(entry: &Entry<'_>) -> Vec<u32> {
    match (&entry.raw.cpus, entry.raw.cpu_affinity) {
        (Some(list), _) => list.0.clone(),
        (None, Some(one)) => vec![one],
        (None, None) => Vec::new(),
    }
}

/// Where each of the entry's members captures or reads, templates filled in: interface and file.
pub(super) fn sources(
    entry: &Entry<'_>,
    ctx: &mut Context<'_>,
) -> Vec<(Option<String>, Option<PathBuf>)> {
    let (interface, file) = (&entry.raw.interface, &entry.raw.pcap_file);
    let pins = usable(entry, ctx);
    let mut complaints = Complaints::default();
    let mut sources = Vec::with_capacity(entry.members.len());
    for (index0, name) in entry.members.iter().enumerate() {
        let mut member = Member::new(entry, name, index0, &pins, &mut complaints);
        let interface = interface.as_deref();
        let file = file.as_deref();
        sources.push((
            interface.map(|text| member.fill(text, ("interface", None), ctx)),
            file.map(|text| member.captured(text, ctx)),
        ));
    }
    sources
}

fn check_pins(entry: &Entry<'_>, ctx: &mut Context<'_>) {
    let raw = entry.raw;
    let field = if raw.cpus.is_some() {
        "cpus"
    } else {
        "cpu_affinity"
    };
    let path = ["nodes", entry.name, field];
    if raw.cpus.is_some() && raw.cpu_affinity.is_some() {
        let hint = "cpu_affinity names one processor, cpus any number; keep one of them";
        ctx.report
            .error(&path, "cpus and cpu_affinity are both given", hint);
    }
    if raw.cpus.as_ref().is_some_and(|list| list.0.is_empty()) {
        let hint = "name at least one processor, or take cpus away";
        ctx.report.error(&path, "the list is empty", hint);
    }
    let missing: Vec<String> = listed(entry)
        .iter()
        .filter(|cpu| !ctx.online.contains(cpu))
        .map(u32::to_string)
        .collect();
    if !missing.is_empty() {
        let message = format!(
            "not online on this host, and left out: {}",
            missing.join(", ")
        );
        let online: Vec<String> = ctx.online.iter().map(u32::to_string).collect();
        let online: Vec<&str> = online.iter().map(String::as_str).collect();
        let hint = super::suggest::list("online are", online);
        ctx.report.warning(&path, message, &hint);
    }
}

fn check_env(entry: &Entry<'_>, ctx: &mut Context<'_>) {
    for (key, value) in &entry.raw.env {
        let path = ["nodes", entry.name, "env", key.as_str()];
        if key.is_empty() || key.contains(['=', '\0']) || value.contains('\0') {
            let hint = "a name is not empty and holds no '='; neither part holds a zero byte";
            ctx.report
                .error(&path, "this cannot stand in an environment", hint);
        }
        if key == CLUSTER_NODE && entry.role != Role::None {
            let hint = "take it away";
            ctx.report.warning(
                &path,
                "a member of the cluster gets its own name here",
                hint,
            );
        }
    }
}

struct Member<'a, 'r> {
    entry: &'a Entry<'r>,
    name: &'a NodeName,
    index: u32,
    cpus: Vec<u32>,
    complaints: &'a mut Complaints,
}

impl<'a, 'r> Member<'a, 'r> {
    fn new(
        entry: &'a Entry<'r>,
        name: &'a NodeName,
        index0: usize,
        pins: &Pins,
        complaints: &'a mut Complaints,
    ) -> Self {
        Self {
            entry,
            name,
            index: u32::try_from(index0).unwrap_or(u32::MAX).saturating_add(1),
            cpus: pins.of(index0, entry.raw.count.is_some()),
            complaints,
        }
    }

    fn child(&mut self, mut spec: ChildSpec, ctx: &mut Context<'_>) -> ChildSpec {
        let raw = self.entry.raw;
        spec.name = self.name.clone();
        spec.home = ctx.run_dir.join(self.name.as_str());
        let mut place = |text: &Option<String>, field: Field| {
            let text = text.as_ref()?;
            Some(self.path(text, field, ctx))
        };
        let directory = place(&raw.directory, ("directory", None));
        let stdout_file = place(&raw.stdout_file, ("stdout_file", None));
        let stderr_file = place(&raw.stderr_file, ("stderr_file", None));
        spec.put(directory, stdout_file, stderr_file);
        spec.env = self.env(ctx);
        if let Program::Command(words) = &mut spec.program {
            *words = self.command(words, ("command", None), ctx);
        }
        if let Ready::Exec(words) = &mut spec.ready {
            *words = self.command(words, ("ready", None), ctx);
        }
        for hook in &mut spec.hooks {
            hook.command = self.command(&hook.command, ("hooks", Some(hook.on.word())), ctx);
        }
        spec.inputs = self.inputs(ctx);
        spec.cpus = std::mem::take(&mut self.cpus);
        self.check_size(&spec, ctx);
        spec
    }

    fn inputs(&mut self, ctx: &mut Context<'_>) -> Option<Box<Inputs>> {
        let (entry, index0) = (self.entry, self.index - 1);
        let fill = |text: &str, ctx: &mut Context<'_>| {
            let filled = self.fill(text, ("inputs", None), ctx);
            ctx.absolute(filled)
        };
        inputs::read(entry, index0, fill, ctx)
    }

    fn env(&mut self, ctx: &mut Context<'_>) -> Vec<(String, String)> {
        let entry = self.entry;
        let is_member = entry.role != Role::None;
        let mut env = Vec::with_capacity(entry.raw.env.len() + usize::from(is_member));
        for (key, value) in &entry.raw.env {
            if !(is_member && key == CLUSTER_NODE) {
                env.push((key.clone(), self.fill(value, ("env", None), ctx)));
            }
        }
        if is_member {
            env.push((CLUSTER_NODE.to_owned(), self.name.to_string()));
        }
        env
    }

    /// A command's words. Its program is looked for once, or as often as its name differs.
    fn command(&mut self, words: &[String], field: Field, ctx: &mut Context<'_>) -> Vec<String> {
        let differs = words.first().is_some_and(|program| program.contains('{'));
        let words = words.iter().map(|w| self.fill(w, field, ctx)).collect();
        let words = ctx.command(words);
        let is_due = differs && !self.complaints.programs.contains(&field);
        if (self.index == 1 || is_due) && !ctx.check_command(&words, &self.at(field)) {
            self.complaints.programs.insert(field);
        }
        words
    }

    /// The path of a field, for the report.
    fn at(&self, (field, below): Field) -> Vec<&'a str> {
        let mut path = vec!["nodes", self.entry.name, field];
        path.extend(below);
        path
    }

    fn path(&mut self, text: &str, field: Field, ctx: &mut Context<'_>) -> PathBuf {
        let filled = self.fill(text, field, ctx);
        if (filled.is_empty() || filled.contains('\0')) && self.index == 1 {
            ctx.report.error(
                &self.at(field),
                "this is no path",
                "write a path, or take the key away",
            );
        }
        ctx.absolute(filled)
    }

    /// A file to read packets from, which should be there.
    fn captured(&mut self, text: &str, ctx: &mut Context<'_>) -> PathBuf {
        const FIELD: Field = ("pcap_file", None);
        let path = self.path(text, FIELD, ctx);
        if self.entry.local && !self.complaints.captured && !ctx.host.exists(&path) {
            self.complaints.captured = true;
            let message = format!("there is no file {}", path.display());
            let hint = "write another path, or see that it is there before the node starts";
            ctx.report.warning(&self.at(FIELD), message, hint);
        }
        path
    }

    /// Fills in a template; a fault is said once for the entry.
    fn fill(&mut self, text: &str, field: Field, ctx: &mut Context<'_>) -> String {
        let cpu = match self.cpus.as_slice() {
            [] => None,
            cpus => Some(
                cpus.iter()
                    .map(u32::to_string)
                    .collect::<Vec<_>>()
                    .join(","),
            ),
        };
        let values = Values {
            name: self.name.as_str(),
            index: self.index,
            cpu: cpu.as_deref(),
            host: ctx.host,
        };
        match template::fill(text, values) {
            Ok(filled) => filled,
            Err((message, hint)) => {
                if self.complaints.templates.insert(field) {
                    ctx.report.error(&self.at(field), message, hint);
                }
                text.to_owned()
            }
        }
    }

    fn check_size(&mut self, spec: &ChildSpec, ctx: &mut Context<'_>) {
        let path = ["nodes", self.entry.name];
        let notified = matches!(spec.program, Program::Command(_))
            && (spec.ready == Ready::SdNotify || spec.watchdog.is_some());
        if notified && !self.complaints.socket {
            self.complaints.socket = !ctx.check_socket(&spec.home.join("notify.sock"), &path);
        }
        let room = LINK_PACKET_BYTES_MAX - PACKET_BYTES_REST;
        let bytes = postcard::to_stdvec(spec).map_or(usize::MAX, |bytes| bytes.len());
        if bytes > room && !std::mem::replace(&mut self.complaints.packet, true) {
            let message = format!("its description has {bytes} bytes, at most {room} are allowed");
            let hint = "put long texts of env or command into a file";
            ctx.report.error(&path, message, hint);
        }
    }
}

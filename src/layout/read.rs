//! Reading: the steps from a text to a [`Layout`], one after the other.

use std::path::{Path, PathBuf};

use super::context::Context;
use super::entries::{self, Entry};
use super::finding::Finding;
use super::host::Host;
use super::instances::{self, Instances};
use super::links::{Needs, links};
use super::parse::{self, Parsed};
use super::position::Index;
use super::raw::RawLayout;
use super::report::Report;
use super::spec::ChildSpec;
use super::stages::Stages;
use super::{
    Defaults, Layout, Settings, clashes, controller, fabric, framework, later, log_ways, logging,
    members, topology,
};

/// What the command line says on top of the layout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--run-dir`, absolute.
    pub run_dir: Option<PathBuf>,
    /// `--instance`.
    pub instance: Option<String>,
    /// The run directory where neither the command line nor the layout names one, absolute.
    pub default_run_dir: PathBuf,
}

/// Understands a layout's text. `path` is where it was read from, and only named.
///
/// With the layout come the warnings and what is not acted on.
///
/// # Errors
/// All findings, at least one of them an error, in the order of the text. An error in one entry of
/// `nodes` does not hide those of the others; of several errors in the shape of one entry (not its meaning)
/// only the first is found, and while any shape is wrong the meaning is not looked at.
pub fn read(
    text: &str,
    path: &Path,
    overrides: &Overrides,
    host: &dyn Host,
) -> Result<(Layout, Vec<Finding>), Vec<Finding>> {
    let mut report = Report::new(path.display().to_string(), Index::of(text));
    let parsed = parse::file(text, &mut report);
    if report.has_errors() {
        return Err(report.finish());
    }
    let absolute = absolute(path, overrides);
    let base = absolute.parent().map(Path::to_owned).unwrap_or_default();
    let run_dir = match (&overrides.run_dir, &parsed.layout.run_dir) {
        (Some(run_dir), _) => run_dir.clone(),
        (None, Some(run_dir)) => base.join(run_dir),
        (None, None) => overrides.default_run_dir.clone(),
    };
    let mut ctx = Context::new(report, host, base, run_dir);
    let layout = understand(&parsed, text, absolute, overrides, &mut ctx);
    ctx.report.conclude(layout)
}

/// Where the text stands; a relative path starts where the default run directory is.
pub(super) fn absolute(path: &Path, overrides: &Overrides) -> PathBuf {
    let here = overrides.default_run_dir.parent();
    here.map_or_else(|| path.to_owned(), |here| here.join(path))
}

/// `None` comes with an error in the report.
fn understand(
    parsed: &Parsed,
    text: &str,
    path: PathBuf,
    overrides: &Overrides,
    ctx: &mut Context<'_>,
) -> Option<Layout> {
    let raw = &parsed.layout;
    later::report(
        parsed.nodes.keys().map(String::as_str),
        raw.instances.keys().map(String::as_str),
        &mut ctx.report,
    );
    ctx.take_defaults(raw);
    let mut settings = settings(raw, ctx);
    let wanted = overrides.instance.as_deref();
    let instances = instances::read(&raw.instances, wanted, ctx.host, &mut ctx.report);
    let stages = Stages::read(&raw.stages, &mut ctx.report);
    let entries = entries::read(&parsed.nodes, &instances, &stages, ctx);
    if parsed.nodes.is_empty() {
        let hint = "add nodes: {\"name\": (command: [\"program\"])}";
        ctx.report
            .error(&["nodes"], "the layout has no nodes", hint);
    }
    let nodes = topology::build(&entries, ctx);
    settings.framework = framework::read(raw, &nodes, ctx);
    clashes::ports(&entries, ctx);
    let children = children(raw, &entries, &instances, ctx);
    log_ways::check(&settings, &nodes, &children, ctx);
    let instance = instances.here?;
    let links = links(&nodes, &instance);
    Needs::of(&children, &links, settings.fabric.transport).check(ctx);
    let defaults = Defaults {
        life: ctx.life.clone(),
        watchdog: ctx.watchdog,
        stages: stages.all(),
    };
    let stages = stages.used(children.iter().map(|c| c.stage), &mut ctx.report);
    Some(Layout {
        path,
        digest: digest(text),
        instance,
        instances: instances.all,
        nodes,
        children,
        stages,
        settings,
        defaults,
    })
}

fn children(
    raw: &RawLayout,
    entries: &[Entry<'_>],
    instances: &Instances,
    ctx: &mut Context<'_>,
) -> Vec<ChildSpec> {
    let mut children = started(entries, ctx);
    let life = ctx.life.clone();
    children.extend(controller::child(
        &raw.controller,
        entries,
        instances,
        life,
        ctx,
    ));
    children.sort_by_cached_key(ChildSpec::order_key);
    children
}

/// The children of all entries that are started here, held against one another and against what runs.
pub(super) fn started(entries: &[Entry<'_>], ctx: &mut Context<'_>) -> Vec<ChildSpec> {
    let mut all: Vec<(&str, ChildSpec)> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_started()) {
        let children = members::children(entry, ctx);
        all.extend(children.into_iter().map(|child| (entry.name, child)));
    }
    let pinned = all.iter().map(|(entry, c)| (*entry, c.cpus.as_slice()));
    clashes::processors(pinned, ctx);
    clashes::outputs(&all, ctx);
    all.into_iter().map(|(_, child)| child).collect()
}

fn settings(raw: &RawLayout, ctx: &mut Context<'_>) -> Settings {
    let run_dir = ctx.run_dir.clone();
    // The longest name of a socket there.
    ctx.check_socket(&run_dir.join("control.sock"), &["run_dir"]);
    let defaults = Settings::default();
    let size = |size: Option<super::values::Size>, default| size.map_or(default, |s| s.0);
    let settings = Settings {
        run_dir,
        stop_deadline: raw.stop.deadline.map_or(defaults.stop_deadline, |d| d.0),
        output_rotate_bytes: size(raw.output.rotate, defaults.output_rotate_bytes),
        output_keep: raw.output.keep.unwrap_or(defaults.output_keep),
        output_line_bytes_max: size(raw.output.line_max, defaults.output_line_bytes_max),
        crash_keep: raw.crash_keep.unwrap_or(defaults.crash_keep),
        socket_group: raw
            .socket_group
            .as_ref()
            .and_then(|group| socket_group(&group.0, ctx)),
        fabric: fabric::read(&raw.fabric, ctx),
        logging: logging::read(raw, ctx),
        framework: defaults.framework,
    };
    if !(LINE_BYTES_MIN..=LINE_BYTES_MAX).contains(&settings.output_line_bytes_max) {
        let hint = "write a size from 256B to 1MiB";
        ctx.report
            .error(&["output", "line_max"], "a line cannot be so long", hint);
    }
    if settings.output_rotate_bytes < settings.output_line_bytes_max {
        let hint = "make rotate larger than line_max";
        ctx.report
            .error(&["output", "rotate"], "a file has no room for a line", hint);
    }
    settings
}

fn socket_group(name: &str, ctx: &mut Context<'_>) -> Option<u32> {
    let found = ctx.host.group(name);
    if let Err(reason) = &found {
        let hint = "make the group, or name another";
        ctx.report.error(&["socket_group"], reason.clone(), hint);
    }
    found.ok()
}

/// The bounds of `output.line_max`: each line is held in memory until it ends.
const LINE_BYTES_MIN: u64 = 256;
const LINE_BYTES_MAX: u64 = 1 << 20;

/// FNV-1a of 128 bits: tells texts apart, and guards against nobody.
#[must_use]
pub fn digest(text: &str) -> String {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let hash = text.bytes().fold(START, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_the_bytes() {
        assert_eq!(digest(""), "6c62272e07bb014262b821756295c58d");
        assert_ne!(digest("a"), digest("b"));
    }
}

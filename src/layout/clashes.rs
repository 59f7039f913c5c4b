//! What several nodes cannot share.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use super::context::Context;
use super::entries::Entry;
use super::spec::ChildSpec;

/// Who listens on a port.
#[derive(Default)]
struct Port<'a> {
    any: Option<&'a str>,
    first: Option<&'a str>,
    by_ip: HashMap<IpAddr, &'a str>,
}

impl<'a> Port<'a> {
    /// Who listens already where this one would, if anybody.
    fn clash(&self, ip: IpAddr) -> Option<&'a str> {
        match ip.is_unspecified() {
            true => self.first,
            false => self.any.or_else(|| self.by_ip.get(&ip).copied()),
        }
    }

    fn take(&mut self, ip: IpAddr, name: &'a str) {
        self.first.get_or_insert(name);
        if ip.is_unspecified() {
            self.any.get_or_insert(name);
        }
        self.by_ip.entry(ip).or_insert(name);
    }
}

/// Two nodes of one instance that would listen on the same address, on any instance.
pub(super) fn ports(entries: &[Entry<'_>], ctx: &mut Context<'_>) {
    let mut taken: HashMap<(&str, u16), Port<'_>> = HashMap::new();
    for (instance, address, name) in ctx.running.ports() {
        let port = taken.entry((instance.as_str(), address.port()));
        port.or_default().take(address.ip(), name);
    }
    for entry in entries {
        let Some(port) = entry.port() else {
            continue;
        };
        let path = ["nodes", entry.name, "p"];
        if entry.members.len() > 1 {
            let message = format!("all {} nodes would listen on {port}", entry.members.len());
            let hint = "a port cannot be shared; take p away, or write one entry for each";
            ctx.report.error(&path, message, hint);
        }
        let known = taken.entry((entry.instance.as_str(), port)).or_default();
        // Its name is taken already, then, and that is said.
        let is_itself = |other: &&str| entry.members.iter().any(|m| m.as_str() == *other);
        if let Some(other) = known.clash(entry.ip).filter(|other| !is_itself(other)) {
            let mut message = format!("\"{other}\" listens on {port} already");
            if ctx.report.index.holds(&["nodes", other]) {
                let at = ctx.report.index.at(&["nodes", other, "p"]);
                let _ = write!(message, " ({}:{})", at.line, at.column);
            }
            let hint = "give each node a port of its own";
            ctx.report.error(&path, message, hint);
        }
        known.take(entry.ip, entry.name);
    }
}

/// Two entries that pin the same processor: it works, and is seldom meant.
pub(super) fn processors<'a>(
    pinned: impl Iterator<Item = (&'a str, &'a [u32])>,
    ctx: &mut Context<'_>,
) {
    let mut owners: HashMap<u32, &str> = HashMap::new();
    for child in ctx.running.children {
        owners.extend(child.cpus.iter().map(|cpu| (*cpu, child.name.as_str())));
    }
    let mut shared: BTreeMap<(&str, &str), BTreeSet<u32>> = BTreeMap::new();
    for (entry, cpus) in pinned {
        for cpu in cpus {
            match owners.get(cpu) {
                Some(owner) if *owner != entry => {
                    shared.entry((entry, *owner)).or_default().insert(*cpu);
                }
                Some(_) => {}
                None => {
                    owners.insert(*cpu, entry);
                }
            }
        }
    }
    for ((entry, other), cpus) in shared {
        let words: Vec<String> = cpus.iter().take(8).map(u32::to_string).collect();
        let field = match ctx.report.index.holds(&["nodes", entry, "cpus"]) {
            true => "cpus",
            false => "cpu_affinity",
        };
        let message = format!(
            "\"{other}\" is pinned to the same processors: {}",
            words.join(", ")
        );
        let hint = "give each its own where they are to run at the same time";
        ctx.report.warning(&["nodes", entry, field], message, hint);
    }
}

/// Two children that would write the same output file.
pub(super) fn outputs(children: &[(&str, ChildSpec)], ctx: &mut Context<'_>) {
    let mut writers: HashMap<PathBuf, &str> = HashMap::new();
    for child in ctx.running.children {
        for file in [child.stdout_file(), child.stderr_file()] {
            writers.insert(file, child.name.as_str());
        }
    }
    let mut said: BTreeSet<&str> = BTreeSet::new();
    for (entry, child) in children {
        for (field, file) in [
            ("stdout_file", child.stdout_file()),
            ("stderr_file", child.stderr_file()),
        ] {
            let name = child.name.as_str();
            let other = *writers.entry(file.clone()).or_insert(name);
            if other != name && said.insert(entry) {
                let message = format!("\"{other}\" writes to {} too", file.display());
                let hint = "add {name} to the path, so that each node has its own";
                ctx.report.error(&["nodes", entry, field], message, hint);
            }
        }
    }
}

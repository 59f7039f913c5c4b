//! What follows from a layout, in words and as JSON, for `check`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use super::finding::Finding;
use super::links::{LINKS_LISTED_MAX, Needs, links};
use super::spec::{ChildSpec, Program, Role};
use super::{Defaults, Layout, details, fabric, framework, logging};
use crate::names::{InstanceName, NodeName};

/// So many children that are alike are listed one by one; more share a line.
const RUN_LISTED_MAX: usize = 8;

/// Renders the layout and what was found in it.
#[must_use]
pub fn text(layout: &Layout, findings: &[Finding]) -> String {
    let mut out = String::new();
    // Writing into a string does not fail.
    let _ = write_all(layout, findings, &mut out);
    out
}

fn write_all(layout: &Layout, findings: &[Finding], out: &mut String) -> fmt::Result {
    write_head(layout, out)?;
    write_stages(layout, out)?;
    write_ports(layout, out)?;
    write_links(layout, out)?;
    write_settings(layout, out)?;
    if !findings.is_empty() {
        writeln!(out, "\nfindings")?;
        for finding in findings {
            writeln!(out, "  {finding}")?;
        }
    }
    Ok(())
}

fn write_head(layout: &Layout, out: &mut String) -> fmt::Result {
    writeln!(out, "layout    {}", layout.path.display())?;
    let ip = layout.instances.get(&layout.instance);
    let ip = ip.map(|ip| format!(" ({ip})")).unwrap_or_default();
    writeln!(out, "instance  {}{ip}", layout.instance)?;
    let mut elsewhere: BTreeMap<&InstanceName, usize> = BTreeMap::new();
    for node in layout.nodes.values() {
        if node.instance != layout.instance {
            *elsewhere.entry(&node.instance).or_default() += 1;
        }
    }
    for (instance, nodes) in elsewhere {
        writeln!(out, "elsewhere {instance}: {nodes} nodes, not started here")?;
    }
    let started: BTreeSet<&NodeName> = layout.children.iter().map(|child| &child.name).collect();
    let outside = layout.nodes.iter().filter(|(name, node)| {
        node.node_type == Role::Control
            && node.instance == layout.instance
            && !started.contains(name)
    });
    for (name, _) in outside {
        writeln!(out, "not started {name}: control, an entry of the topology")?;
    }
    Ok(())
}

fn write_stages(layout: &Layout, out: &mut String) -> fmt::Result {
    let wide = layout.children.iter().map(|c| c.name.as_str().len()).max();
    let wide = wide.unwrap_or(0).max(8);
    writeln!(out, "\nstart order")?;
    let mut by_stage = by_stage(layout);
    for stage in &layout.stages {
        let children = by_stage.remove(&stage.number).unwrap_or_default();
        let quorum = match stage.quorum {
            Some(quorum) => format!("{quorum} of {}", children.len()),
            None => format!("all {}", children.len()),
        };
        let limit = humantime::format_duration(stage.time_limit);
        writeln!(
            out,
            "  {:>3} {}: {quorum} ready, or {limit}",
            stage.number, stage.name
        )?;
        for run in runs(&children) {
            write_run(&run, wide, out)?;
        }
    }
    Ok(())
}

/// Children in a row that differ in their names and processors only.
struct Run<'a> {
    first: &'a ChildSpec,
    children: Vec<&'a ChildSpec>,
    /// Their line without processors.
    line: String,
    /// What else is to be told of them.
    words: String,
}

fn runs<'a>(children: &[&'a ChildSpec]) -> Vec<Run<'a>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    for child in children {
        let name = child.name.as_str();
        let line = details::by_template(&line(child, &[]), name);
        let words = details::by_template(&details::words(child).join("  "), name);
        match runs.last_mut() {
            Some(run) if run.line == line && run.words == words => run.children.push(child),
            Some(_) | None => runs.push(Run {
                first: child,
                children: vec![child],
                line,
                words,
            }),
        }
    }
    runs
}

fn write_run(run: &Run<'_>, wide: usize, out: &mut String) -> fmt::Result {
    let first = run.first;
    let Some(last) = run.children.last().filter(|_| run.children.len() > 1) else {
        writeln!(
            out,
            "      {:wide$}  {}",
            first.name.as_str(),
            line(first, &first.cpus)
        )?;
        let words = details::words(first).join("  ");
        return match words.is_empty() {
            true => Ok(()),
            false => writeln!(out, "          {words}"),
        };
    };
    let all = format!("{} … {}", first.name, last.name);
    let is_alike = run.children.iter().all(|child| child.cpus == first.cpus);
    if run.children.len() > RUN_LISTED_MAX && is_alike {
        let cpus = details::by_template(&line(first, &first.cpus), first.name.as_str());
        writeln!(out, "      {all} ({})  {cpus}", run.children.len())?;
    } else {
        for child in &run.children {
            writeln!(
                out,
                "      {:wide$}  {}",
                child.name.as_str(),
                line(child, &child.cpus)
            )?;
        }
    }
    match run.words.is_empty() {
        true => Ok(()),
        false => writeln!(out, "          {all}: {}", run.words),
    }
}

fn by_stage(layout: &Layout) -> BTreeMap<u16, Vec<&ChildSpec>> {
    let mut stages: BTreeMap<u16, Vec<&ChildSpec>> = BTreeMap::new();
    for child in &layout.children {
        stages.entry(child.stage).or_default().push(child);
    }
    stages
}

fn line(child: &ChildSpec, cpus: &[u32]) -> String {
    let program = match &child.program {
        Program::Builtin(_) => "built in".to_owned(),
        Program::Command(words) => details::quoted(words),
    };
    let mut line = format!("{:<10}  {program}", child.role.word());
    if !cpus.is_empty() {
        let cpus: Vec<String> = cpus.iter().map(u32::to_string).collect();
        let _ = write!(line, "  cpus={}", cpus.join(","));
    }
    if let Some(identity) = &child.identity {
        let _ = write!(line, "  user={}", identity.name);
    }
    let _ = write!(line, "  ready={}", details::ready(&child.ready));
    let _ = write!(line, "  restart={}", details::restart(child.life.restart));
    if let Some(watchdog) = child.watchdog {
        let _ = write!(line, "  watchdog={}", details::patience(watchdog));
    }
    line
}

fn write_ports(layout: &Layout, out: &mut String) -> fmt::Result {
    let listening = || layout.children.iter().filter(|c| !c.listen.is_empty());
    if listening().next().is_some() {
        writeln!(out, "\nports")?;
    }
    for child in listening() {
        for address in &child.listen {
            writeln!(out, "  {address}  {}", child.name)?;
        }
    }
    Ok(())
}

fn write_links(layout: &Layout, out: &mut String) -> fmt::Result {
    let links = links(&layout.nodes, &layout.instance);
    let needs = Needs::of(&layout.children, &links, layout.settings.fabric.transport);
    if needs.links > 0 {
        writeln!(out, "\nlinks on this host: {}", needs.links)?;
    }
    for link in &links {
        writeln!(
            out,
            "  {} → {}: {}",
            link.from.word(),
            link.to.word(),
            link.count
        )?;
        if needs.links <= LINKS_LISTED_MAX {
            for (from, to) in &link.pairs {
                writeln!(out, "    {from} → {to}")?;
            }
        }
    }
    writeln!(out, "\nneeds")?;
    writeln!(
        out,
        "  about {} descriptors for {} children",
        needs.descriptors(),
        needs.children
    )?;
    if needs.links > 0 {
        let kib = |rings| Needs::ring_bytes(rings, &layout.settings.fabric) / 1024;
        let (rings, most) = (needs.rings(), needs.rings_max());
        writeln!(
            out,
            "  {rings} rings, {} KiB of memory, when every link is used both ways; each is made when it is used",
            kib(rings)
        )?;
        writeln!(
            out,
            "  {most} rings, {} KiB, if every member publishes what every other one wants; guests are extra",
            kib(most)
        )?;
    }
    Ok(())
}

fn write_settings(layout: &Layout, out: &mut String) -> fmt::Result {
    let settings = &layout.settings;
    let deadline = humantime::format_duration(settings.stop_deadline);
    writeln!(out, "\nsettings")?;
    for (key, value) in [
        ("run_dir", settings.run_dir.display().to_string()),
        ("stop.deadline", deadline.to_string()),
        (
            "output.rotate",
            format!("{} bytes", settings.output_rotate_bytes),
        ),
        ("output.keep", format!("{} files", settings.output_keep)),
        (
            "output.line_max",
            format!("{} bytes", settings.output_line_bytes_max),
        ),
        ("crash_keep", format!("{} reports", settings.crash_keep)),
        ("socket_group", socket_group(settings.socket_group)),
    ]
    .into_iter()
    .chain(fabric::words(&settings.fabric))
    .chain(logging::words(&settings.logging))
    {
        writeln!(out, "  {key:<20}  {value}")?;
    }
    if !layout.nodes.is_empty() {
        writeln!(out, "\nwhat all nodes agree on")?;
        for (key, value) in framework::words(&settings.framework, &layout.nodes) {
            writeln!(out, "  {key:<20}  {value}")?;
        }
    }
    let Defaults { life, watchdog, .. } = &layout.defaults;
    let watchdog = watchdog.map_or_else(|| "off".to_owned(), details::patience);
    writeln!(out, "\ndefaults, for nodes that say nothing else")?;
    for (key, value) in [("restart.policy", details::restart(life.restart))]
        .into_iter()
        .chain(details::life_words(life))
        .chain([("watchdog", watchdog)])
    {
        writeln!(out, "  {key:<20}  {value}")?;
    }
    Ok(())
}

fn socket_group(group: Option<u32>) -> String {
    group.map_or_else(|| "none".to_owned(), |gid| format!("gid {gid}"))
}

/// The same as JSON, for `check --json`.
#[must_use]
pub fn summary_json(layout: &Layout, findings: &[Finding]) -> Value {
    let links = links(&layout.nodes, &layout.instance);
    let needs = Needs::of(&layout.children, &links, layout.settings.fabric.transport);
    let mut by_stage = by_stage(layout);
    let stages: Vec<Value> = layout
        .stages
        .iter()
        .map(|stage| {
            let children = by_stage.remove(&stage.number).unwrap_or_default();
            json!({
                "number": stage.number,
                "name": stage.name,
                "quorum": stage.quorum,
                "time_limit_ms": details::milliseconds(stage.time_limit),
                "children": children.into_iter().map(details::child_json).collect::<Vec<_>>(),
            })
        })
        .collect();
    let links: Vec<Value> = links
        .iter()
        .map(|l| json!({"from": l.from.word(), "to": l.to.word(), "count": l.count}))
        .collect();
    json!({
        "layout": layout.path,
        "digest": layout.digest,
        "instance": layout.instance,
        "instances": layout.instances,
        "stages": stages,
        "links": links,
        "needs": {
            "descriptors": needs.descriptors(),
            "rings": needs.rings(),
            "ring_bytes": Needs::ring_bytes(needs.rings(), &layout.settings.fabric),
            "rings_max": needs.rings_max(),
            "ring_bytes_max": Needs::ring_bytes(needs.rings_max(), &layout.settings.fabric),
        },
        "settings": layout.settings,
        "defaults": {
            "life": details::life_json(&layout.defaults.life),
            "watchdog": layout.defaults.watchdog.map(details::patience),
        },
        "findings": findings,
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Machine, on};
    use super::*;

    const TEXT: &str = r#"(nodes: {
        "manager": (node_type: Manager, p: 4000),
        "logger-1": (node_type: Logger),
        "worker": (node_type: Worker, manager: "manager", count: 2, cpus: [1, 2]),
        "probe": (command: ["sh", "-c", "sleep 1"], user: "watch", env: {"TOKEN": "secret"}, watchdog: (action: Restart)),
    }, retry_interval: "1s")"#;

    #[test]
    fn the_text_tells_what_follows_and_no_secret() {
        let (layout, findings) = on(TEXT, &Machine::default()).unwrap();
        let text = text(&layout, &findings);
        for part in [
            "instance  here (127.0.0.1)",
            "  0 controller: all 1 ready, or 1m",
            "worker-2          worker      built in  cpus=2  ready=notify  restart=always",
            "none        sh -c \"sleep 1\"  user=watch  ready=at once",
            "restart=always  watchdog=restart after 10s",
            "127.0.0.1:4000  manager",
            "links on this host: 5\n",
            "worker-1 → manager",
            "about 147 descriptors for 6 children",
            "20 rings, 2880 KiB",
            "  fabric.bulk           262144 bytes",
            "  logging.rotate_interval  off",
            "  run_dir               /work/run",
            "  restart.policy        always",
            "  restart.give_up       10 within 1m",
            "  watchdog              off",
            "\nwhat all nodes agree on\n  topics.scheme         slash\n",
            "  topics.worker         zeek/cluster/worker\n",
            "  pools.proxy           zeek/cluster/pool/proxy, of type proxy\n",
            "  manager_is_logger     no\n",
            "not acted on: retry_interval",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("secret"));
    }

    #[test]
    fn the_json_tells_the_same_and_no_secret() {
        let (layout, findings) = on(TEXT, &Machine::default()).unwrap();
        let json = summary_json(&layout, &findings);
        assert_eq!(json["stages"][0]["children"][0]["name"], "controller-alpha");
        assert_eq!(json["needs"]["rings"], 20);
        assert_eq!(json["links"][0]["count"], 1);
        let agreed = &json["settings"]["framework"];
        assert_eq!(agreed["pools"]["proxy"]["topic"], "zeek/cluster/pool/proxy");
        assert_eq!(json["defaults"]["life"]["floor_ms"], 250);
        assert!(!json.to_string().contains("secret"));
    }

    /// Shows: whatever the layout says arrives in the text, once for those who share it.
    #[test]
    fn what_differs_from_the_defaults_is_told_once_for_a_run() {
        let text_of = |nodes: &str| {
            let (layout, _) = on(&format!("(nodes: {{{nodes}}})"), &Machine::default()).unwrap();
            text(&layout, &[])
        };
        let two = text_of(
            r#""w": (command: ["true"], count: 2, cpus: [1, 2], nice: 5, stdout_file: "/log/{name}.out", env: {"TOKEN": "secret"}), "x": (command: ["true"], directory: "/x", stop: (signal: "INT"))"#,
        );
        for part in [
            "\n      w-1       none        true  cpus=1  ready",
            "\n      w-2       none        true  cpus=2  ready",
            "\n          w-1 … w-2: stdout_file=/log/{name}.out  env=TOKEN  nice=5\n",
            "\n          directory=/x  stop.signal=SIGINT\n",
        ] {
            assert!(two.contains(part), "{part}\n{two}");
        }
        assert!(!two.contains("secret"));
        let many = text_of(r#""w": (command: ["true"], count: 100, nice: 5)"#);
        assert!(
            many.contains("      w-1 … w-100 (100)  none        true  ready=at once"),
            "{many}"
        );
        assert!(many.contains("          w-1 … w-100: nice=5\n"), "{many}");
        assert!(many.lines().count() < 60, "{many}");
    }
}

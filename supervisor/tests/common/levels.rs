//! What must not gather in processes, however often their neighbours die: descriptors, memory files that
//! are mapped, and memory.

use std::collections::BTreeMap;
use std::path::Path;

use super::watching::wait_no_more;
use super::{Cluster, processes};

/// Memory of its own that a process may have more than once, in KiB.
const GROWTH_MAX_KIB: u64 = 4096;

/// What a process has: its descriptors and the memory files that it maps, by kind; and its own memory in
/// KiB.
pub struct Level {
    descriptors: BTreeMap<String, usize>,
    mappings: BTreeMap<String, usize>,
    memory: u64,
}

impl Level {
    fn of(pid: i32) -> Self {
        let memory = processes::status(pid, "RssAnon");
        let memory = memory.split(' ').next().unwrap();
        let mut descriptors = processes::descriptor_kinds(pid);
        descriptors.retain(|kind, count| *count > 1 || !is_in_log_directory(kind));
        Self {
            descriptors,
            mappings: processes::mapping_kinds(pid),
            memory: memory.parse().unwrap(),
        }
    }
}

/// Does this lie in a logger's directory itself? Its current files do, each of which has a name of its own
/// and may come later. Rotated ones lie deeper.
fn is_in_log_directory(kind: &str) -> bool {
    let above = Path::new(kind).parent().and_then(Path::parent);
    above.is_some_and(|above| above.ends_with("logs"))
}

/// The supervisor, the stem, and these nodes, each ready.
pub fn everybody(cluster: &Cluster, nodes: &[&str]) -> Vec<(String, i32)> {
    cluster.wait_ready();
    let mut all = vec![
        ("supervisor".to_owned(), cluster.pid()),
        ("stem".to_owned(), cluster.wait_stem(None)),
    ];
    let pids = nodes.iter().map(|name| cluster.node_pid(name).unwrap());
    let names = nodes.iter().map(|name| (*name).to_owned());
    all.extend(names.zip(pids));
    all
}

pub fn of(cluster: &Cluster, nodes: &[&str]) -> Vec<Level> {
    let everybody = everybody(cluster, nodes);
    everybody.iter().map(|(_, pid)| Level::of(*pid)).collect()
}

/// Waits until nobody has more than he had.
///
/// # Panics
/// When somebody keeps more.
pub fn expect_no_more(cluster: &Cluster, nodes: &[&str], before: &[Level]) {
    for ((name, pid), before) in everybody(cluster, nodes).into_iter().zip(before) {
        println!(
            "{name}: {} KiB, now {} KiB",
            before.memory,
            Level::of(pid).memory
        );
        wait_no_more("descriptors", &before.descriptors, || {
            Level::of(pid).descriptors
        });
        cluster.wait_no_more_mappings(pid, &before.mappings);
        let now = Level::of(pid).memory;
        assert!(
            now <= before.memory + GROWTH_MAX_KIB,
            "{name} had {} KiB and has {now}",
            before.memory
        );
    }
}

//! Words that this build reads and does not act on: none of them passes in silence.
//!
//! Which words they are stands in `raw`, where they are read; why they are not acted on, here.

use super::finding::Severity;
use super::raw::{RawController, RawInstance, RawLayout, RawNode};
use super::report::Report;

pub(super) const OWN_NAME: &str = "each node knows its own name; the supervisor is none of them";
pub(super) const SCRIPTS: &str = "this build runs no scripts";
pub(super) const SOCKETS: &str = "this build serves no WebSocket";
pub(super) const HOSTS: &str = "nothing crosses to another host in this build";
pub(super) const TRANSPORT: &str = "all nodes of a host meet by one transport; say it in `fabric`";
pub(super) const STORES: &str = "this build has no stores";
pub(super) const CAPTURE: &str = "it is kept in the topology; this build's roles capture nothing";
pub(super) const CONTROLLER: &str = "this build's controller listens nowhere";
pub(super) const METRICS: &str = "this build serves no metrics";

/// Reports every such word that the text holds.
pub(super) fn report<'a>(
    nodes: impl Iterator<Item = &'a str>,
    instances: impl Iterator<Item = &'a str>,
    report: &mut Report,
) {
    words(&[], RawLayout::LATER, report);
    words(&["controller"], RawController::LATER, report);
    for name in instances {
        words(&["instances", name], RawInstance::LATER, report);
    }
    for name in nodes {
        words(&["nodes", name], RawNode::LATER, report);
    }
}

fn words(under: &[&str], table: &[(&str, &str)], report: &mut Report) {
    for (word, why) in table {
        let path = [under, &[*word]].concat();
        if report.index.holds(&path) {
            report.add(Severity::NotActedOn, &path, (*why).to_owned(), "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Machine, on};
    use super::*;

    /// Shows: every word of every table is read and reported, by writing each in its place.
    #[test]
    fn every_word_of_the_tables_is_read_and_reported() {
        for (table, [before, behind]) in [
            (RawLayout::LATER, ["", ""]),
            (RawController::LATER, ["controller: (", "),"]),
            (RawInstance::LATER, ["instances: {\"here\": (", ")},"]),
            (
                RawNode::LATER,
                ["nodes: {\"w\": (node_type: Worker, ", ")},"],
            ),
        ] {
            assert!(!table.is_empty());
            let nodes = match behind {
                ")}," if before.starts_with("nodes") => "",
                _ => "nodes: {\"w\": (node_type: Worker)}",
            };
            for (word, why) in table {
                let value = match *word {
                    "metrics_port" => "1",
                    "zone_id" | "interface" | "pcap_file" => "\"x\"",
                    _ => "()",
                };
                let text = format!("({before}{word}: {value},{behind} {nodes})");
                let findings = on(&text, &Machine::default()).expect(&text).1;
                let [finding] = findings.as_slice() else {
                    panic!("{text}: {findings:?}");
                };
                assert_eq!(finding.severity, Severity::NotActedOn);
                assert_eq!(finding.message, *why);
                assert!(
                    finding.field.as_deref().unwrap().ends_with(word),
                    "{finding}"
                );
            }
        }
    }
}

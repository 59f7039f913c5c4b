//! Nodes that exchange numbered records as fast as they can, and remember over their deaths what they
//! published and received.
//!
//! What a node publishes as its record of a number, and to whom, follows from its place and that number
//! ([`records`]); what became of it stands in memory that the test holds ([`marks`]). So whoever reads
//! both knows of each record whether it is where it has to be ([`verdict`]).

#![expect(unreachable_pub, reason = "a harness of its own")]

pub mod marks;
pub mod node;
pub mod records;
pub mod verdict;

use std::os::fd::{AsRawFd, OwnedFd};

use cluster::fabric::Transport;

use crate::common::layouts;
use crate::common::{Cluster, PATIENCE, Start, wait_or_tell};
use marks::{Marks, Phase};
use records::NODES;

/// The nodes of the layout, by place, with what they count as.
const MEMBERS: [(&str, &str); NODES] = [
    ("manager", "Manager"),
    ("logger-1", "Logger"),
    ("proxy-1", "Proxy"),
    ("worker-1", "Worker"),
    ("worker-2", "Worker"),
    ("worker-3", "Worker"),
    ("worker-4", "Worker"),
    ("worker-5", "Worker"),
];

/// Small rings, so that they fill, and a short wait for loggers.
const FABRIC: &str = r#"fabric: (control: "16KiB", bulk: "64KiB", record_bytes_max: "1MiB", block: "100ms", transport: TRANSPORT), controller: (enabled: false)"#;

/// A cluster of such nodes.
pub struct Exchange {
    pub cluster: Cluster,
    /// What carries its records.
    pub transport: Transport,
    pub marks: Vec<Marks>,
    /// The nodes find them through this process.
    _files: Vec<OwnedFd>,
}

impl Exchange {
    /// Starts it. Each node is this test program once more, with `test` chosen.
    pub fn start(test: &str, transport: Transport) -> Self {
        let (marks, files): (Vec<Marks>, Vec<OwnedFd>) =
            (0..NODES).map(|_| Marks::create()).unzip();
        let command = layouts::this_binary(test);
        let entries: Vec<String> = files
            .iter()
            .enumerate()
            .map(|(place, file)| {
                let (_, role) = MEMBERS[place];
                let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
                let manager = if role == "Worker" || role == "Proxy" {
                    r#", manager: "manager""#
                } else {
                    ""
                };
                format!(
                    "node_type: {role}{manager}, {command}, ready: Notify, \
                     env: {{{:?}: \"{place} {path}\"}}, {}",
                    node::VARIABLE,
                    layouts::AT_ONCE
                )
            })
            .collect();
        let nodes: Vec<(&str, &str)> = MEMBERS
            .iter()
            .zip(&entries)
            .map(|((name, _), entry)| (*name, entry.as_str()))
            .collect();
        let fabric = FABRIC.replace("TRANSPORT", &format!("{transport:?}"));
        let cluster = Start::with(&layouts::layout(&fabric, &nodes)).start_ready();
        let exchange = Self {
            cluster,
            transport,
            marks,
            _files: files,
        };
        // Everybody is ready, so everybody has said what it wants.
        exchange.enter(Phase::Exchange);
        exchange
    }

    fn enter(&self, phase: Phase) {
        self.marks.iter().for_each(|marks| marks.enter(phase));
    }

    pub fn name(place: usize) -> &'static str {
        MEMBERS[place].0
    }

    /// Records that were received, each counted once.
    pub fn received(&self) -> u64 {
        self.marks.iter().map(Marks::fresh).sum()
    }

    /// Waits until each node has published and received since it had done so many.
    pub fn wait_progress(&self, since: &[(u64, u64)]) {
        let goes_on = |(marks, before): (&Marks, &(u64, u64))| {
            let (attempts, fresh) = marks.progress();
            attempts > before.0 && fresh > before.1
        };
        self.wait("every node goes on", || {
            let mut all = self.marks.iter().zip(since);
            all.all(goes_on).then_some(())
        });
    }

    pub fn progress(&self) -> Vec<(u64, u64)> {
        self.marks.iter().map(Marks::progress).collect()
    }

    /// Waits for something; if it does not come, or a node complains, says all there is to say.
    pub fn wait<T>(&self, what: &str, mut done: impl FnMut() -> Option<T>) -> T {
        wait_or_tell(
            what,
            PATIENCE,
            || {
                self.expect_no_complaint();
                done()
            },
            || {
                let states: Vec<String> = self.marks.iter().map(Marks::to_string).collect();
                format!(
                    "{}\n{}\n{}",
                    states.join("\n"),
                    self.cluster.status(),
                    self.cluster.console()
                )
            },
        )
    }

    /// # Panics
    /// A node has found a record that is not as it has to be.
    pub fn expect_no_complaint(&self) {
        for (place, marks) in self.marks.iter().enumerate() {
            if let Some(complaint) = marks.complaint() {
                panic!("{}: {complaint}", Self::name(place));
            }
        }
    }
}

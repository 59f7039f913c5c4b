//! The controller: keeps the table of instances and nodes, and the requests of those who ask for it.
//!
//! The supervisor tells it [`fact::Fact`]s; what is to be done comes out as [`Effect`]s, which the
//! node carries out: it writes the log, and (once clients are served) sends the answers.
//!
//! Pure: no socket, no file, no clock. Nothing here starts or stops a node, either: that remains
//! the supervisor's alone.

pub mod config;
pub mod fact;
pub mod log;
pub mod request;
pub mod table;
pub mod types;

use std::time::Instant;

use config::Config;
use fact::Fact;
use log::Level;
use request::{Expired, IdSource, RequestTable};
use table::{AgentsReady, Table};

/// What the node has to do for the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write this to the controller's log.
    Log {
        /// How much it matters.
        level: Level,
        /// What happened.
        message: String,
    },
    /// The ready instances are the configured ones. For whoever waits for that inside the node;
    /// not published.
    AgentsReady(AgentsReady),
    /// A request's deadline passed: its asker is to be answered with these results.
    Expired(Expired),
}

/// The controller's core.
#[derive(Clone, Debug)]
pub struct Controller {
    config: Config,
    table: Table,
    requests: RequestTable,
}

impl Controller {
    /// A controller that knows nothing yet. The seed is for the identifiers of its own requests;
    /// each birth needs a different one.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        let requests = RequestTable::new(config.request_timeout, IdSource::new(seed));
        Self {
            config,
            table: Table::default(),
            requests,
        }
    }

    /// What it goes by.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What it knows of instances and nodes.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The requests that wait.
    #[must_use]
    pub fn requests(&self) -> &RequestTable {
        &self.requests
    }

    /// The requests that wait, to begin and to answer them.
    pub fn requests_mut(&mut self) -> &mut RequestTable {
        &mut self.requests
    }

    /// The supervisor told something.
    pub fn on_fact(&mut self, fact: Fact, now: Instant, out: &mut Vec<Effect>) {
        let news = news(&fact);
        match self.table.take(fact) {
            Ok(()) => out.push(news),
            Err(error) => out.push(log(Level::Warning, error.to_string())),
        }
        if let Some(ready) = self.table.agents_ready() {
            let names: Vec<&str> = ready.instances.iter().map(String::as_str).collect();
            let message = format!("notify_agents_ready {}", names.join(", "));
            out.push(log(Level::Info, message));
            out.push(Effect::AgentsReady(ready));
        }
        // Facts and deadlines may come in one turn of the loop; what is due does not wait for the
        // next.
        self.on_deadline(now, out);
    }

    /// Time has passed.
    pub fn on_deadline(&mut self, now: Instant, out: &mut Vec<Effect>) {
        for expired in self.requests.expire(now) {
            let mut message = format!("request {} timed out", expired.id);
            if !expired.silent.is_empty() {
                message.push_str(", no answer from ");
                message.push_str(&expired.silent.join(", "));
            }
            out.push(log(Level::Warning, message));
            out.push(Effect::Expired(expired));
        }
    }

    /// When [`Controller::on_deadline`] has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.requests.next_deadline()
    }
}

fn log(level: Level, message: String) -> Effect {
    Effect::Log { level, message }
}

/// A fact as the log tells it.
fn news(fact: &Fact) -> Effect {
    match fact {
        Fact::SnapshotBegin => log(Level::Debug, "rx snapshot begins".to_owned()),
        Fact::SnapshotEnd => log(Level::Info, "rx snapshot complete".to_owned()),
        Fact::Instances {
            generation,
            instances,
        } => log(
            Level::Info,
            format!(
                "rx instances generation={generation} count={}",
                instances.len()
            ),
        ),
        Fact::Node(node) => log(
            Level::Info,
            format!(
                "rx node {} state={} incarnation={} pid={}",
                node.name,
                table::api_state(node),
                node.incarnation,
                node.pid
                    .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            ),
        ),
        Fact::NodeGone(name) => log(Level::Info, format!("rx node {name} gone")),
        Fact::Cluster(state) => log(Level::Info, format!("rx cluster {state:?}").to_lowercase()),
    }
}

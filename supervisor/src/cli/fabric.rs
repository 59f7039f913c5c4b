//! The sub-commands that look at what nodes say to each other, and join in.

use std::num::NonZeroU64;

use clap::{Args, Subcommand};

use cluster::data::Value;

use super::shared::{Common, Present};
use super::values;

/// The sub-commands that look at what nodes say to each other, and join in.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
pub(crate) enum FabricCommand {
    /// Publish an event
    Pub(PubArgs),
    /// Subscribe to topics, and show what is published there
    #[command(mut_arg("timeout", |timeout| timeout.help(SUB_TIMEOUT)))]
    Sub(SubArgs),
    /// Show who is on the host's board, and what each wants
    Peers(PeersArgs),
    /// Show what became of the records between nodes
    Stats(StatsArgs),
}

/// The word that stands for standard input.
pub(crate) const STANDARD_INPUT: &str = "-";

/// The help of `sub --timeout`.
const SUB_TIMEOUT: &str = "Wait no longer than this for a seat [default: 10], and with -n for the records [default: no limit]";

/// The options of `pub`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Arguments are JSON: null, true, 1 (count), -1 (integer), 1.5 (real), '\"text\"', '[1, 2]' (vector); every
other kind as Broker writes it: '{\"@data-type\": \"port\", \"data\": \"80/tcp\"}'.

With - for the event each line of standard input is one: '[\"name\", ARG, …]', or a line that
`supervisor sub --json` has printed; whatever topic that names, it goes to TOPIC.

Ends with 0 if everybody who wants it has it, with 1 if nobody wants it, and with 6 if somebody who
wants it does not have it.

Examples:
  supervisor pub site/alarm alarm '\"disk\"' 93
  supervisor sub -n 100 --json site/ | supervisor pub copy/site -")]
pub(crate) struct PubArgs {
    /// Where to
    #[arg(value_name = "TOPIC", value_parser = values::full_topic)]
    pub(crate) topic: String,
    /// The event's name; - reads events from standard input
    #[arg(value_name = "EVENT", value_parser = values::event)]
    pub(crate) event: String,
    /// The event's arguments, as JSON
    #[arg(value_name = "JSON", value_parser = values::argument, allow_negative_numbers = true)]
    pub(crate) arguments: Vec<Value>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `sub`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
A topic is matched by its beginning: site/ matches site/alarm, and \"\" matches everything.

Each line tells when a record came, from whom, its topic, and what it is: an event with its arguments,
another value, or bytes. With --json: time, from, and beside them Broker's JSON of the record;
what is no value comes as hexadecimal digits under payload_hex.

Who publishes never waits for this command: what a stalled terminal does not take is dropped once the
rings are full, and at the end it says how many records that were.

Ends at Ctrl-C, or with 4 when the supervisor ends. With -n it ends with 0 after that many; with 5 if
they have not come within --timeout, with 1 if Ctrl-C came first.

Examples:
  supervisor sub zeek/cluster/
  supervisor sub '' --json | jq .topic
  supervisor sub site/alarm -n 1 --timeout 30")]
pub(crate) struct SubArgs {
    /// Beginnings of topics
    #[arg(value_name = "PREFIX", value_parser = values::topic, required = true)]
    pub(crate) prefixes: Vec<String>,
    /// End after N records
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) count: Option<NonZeroU64>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `peers`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Read from shared memory: no node is asked, and one that hangs is shown as any other.

States: born (its process exists), up (it has said what it wants), down (it will come back), away
(stopped, finished or failed), left (it was attached and has gone). A filter stands while its node
is down.

Examples:
  supervisor peers
  supervisor peers --json @workers | jq '.peers[].filter'")]
pub(crate) struct PeersArgs {
    #[command(flatten)]
    pub(crate) nodes: Present,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The options of `stats`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = "\
Read from shared memory: no node is asked. A selector chooses the links from or to its nodes.

For each link accepted = delivered + dead letters + in flight, and over streams + oldest + lost, which had
been accepted; published is accepted + what was dropped for other reasons. Where the sum does not hold the
command says so, and ends with 1.

Reasons of drops: full (no room), timeout (none in time), too_large, disconnected (the layout's policy),
no_ring (none could be had; in lines without a class the writer never had one); of streams only, oldest
(made room for the newest) and lost (died with the queue that they were in).

Examples:
  supervisor stats
  supervisor stats --watch worker-1
  supervisor stats --json | jq '.links[] | select(.in_flight > 0)'")]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    pub(crate) nodes: Present,
    /// Show it again every second, with the rates since then, until Ctrl-C
    #[arg(long, short, visible_short_alias = 'f')]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl FabricCommand {
    /// What every client command takes.
    pub(crate) fn common(&self) -> &Common {
        match self {
            Self::Pub(args) => &args.common,
            Self::Sub(args) => &args.common,
            Self::Peers(args) => &args.common,
            Self::Stats(args) => &args.common,
        }
    }
}

//! The cluster framework in a node: who is there, and publishing to them, under the seeds' names.
//!
//! Duty: joins an [`Endpoint`] and the pure framework. The board says who is up, which is what backends
//! between hosts learn by greetings; the rest is the same for all backends. Owns: the endpoint. Leaves
//! to others: what an event means (the program's [`Handler`]), and writing log files ([`LocalSink`]).
//!
//! A name in backquotes before a colon is what the seeds call a function; one without it, which does not
//! say for what it stands, is of this project alone.
//!
//! What holds for a handler:
//!
//! * For each node and process, `node_up` and `node_down` take turns; the loss of a process comes before
//!   the arrival of its successor; this node itself is never announced.
//! * When it is called, pools and counts say what it is told.
//! * Events of one publisher on topics of one class come in the order in which they were published.
//! * Nothing that this node publishes comes back to it, but for what its own turn in a pool gives it.
//!
//! Two defects of the model are not copied: every loss raises `node_down`, also where this side ended
//! the connection; and two processes of one name never count as two nodes.

mod connecting;
mod declaring;
mod error;
mod handler;
mod joining;
mod keeping;
mod logs;
mod members;
mod publish;
mod queries;
mod starting;
mod subscribing;
mod turns;

pub use error::{Accepted, ClusterError, OrReport, PublishError};
pub(super) use handler::pass_over;
pub use handler::{Handler, Received};
pub use logs::LocalSink;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use super::endpoint::{Endpoint, Outbox, SeatError};
use crate::data::Timestamp;
use crate::framework::{
    BackendError, BackendTag, FrameworkSpec, Membership, NodeId, Roster, Topics,
    local_subscriptions,
};
use crate::layout::Node;
use crate::layout::seats::SeatLayout;
use crate::layout::spec::Role;
use crate::logging::spec::LogSpec;
use crate::logging::streams::DownCause;
use crate::names::NodeName;
use crate::pool::PoolSpec;
use crate::sys;

use connecting::Connections;
use declaring::Declared;
use logs::Logs;
use members::Seen;
use publish::OwnTurns;
use starting::Progress;
use subscribing::Hooks;

/// What carries the messages of the nodes of one host.
const BACKEND: BackendTag = BackendTag::Local;

/// A node's place in its cluster; the seeds' module `Cluster`.
///
/// Take it with [`Cluster::take_seat`], subscribe, define pools if need be, then [`Cluster::run`].
pub struct Cluster {
    endpoint: Endpoint,
    membership: Membership,
    plan: Plan,
    /// What the layout says that all nodes agree on.
    agreed: FrameworkSpec,
    /// What it says of logs.
    logging: LogSpec,
    logs: Logs,
    is_announced: bool,
    seen: Seen,
    progress: Progress,
    hooks: Hooks,
    connections: Connections,
    declared: Declared,
    /// Events that this node gave to itself.
    own_turns: OwnTurns,
    /// Raised in the next turn, after what is raised already.
    troubles: VecDeque<BackendError>,
    stamps: Stamps,
    /// An event is encoded here.
    buffer: Vec<u8>,
    leaves: bool,
}

/// What the program itself says of pools and topics, in place of what the layout says.
#[derive(Default)]
struct Plan {
    topics: Option<Topics>,
    pools: BTreeMap<String, PoolSpec>,
    manager_is_logger: Option<bool>,
}

/// When events are given the time at which they happened.
#[derive(Default)]
struct Stamps {
    add: bool,
    add_missing: bool,
    /// The stamp of the event that is being handled.
    current: Option<Timestamp>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = self.endpoint.identity();
        f.debug_tuple("Cluster").field(&identity.name).finish()
    }
}

/// The endpoint's publishing half, for records that are no events.
impl AsMut<Outbox> for Cluster {
    fn as_mut(&mut self) -> &mut Outbox {
        self.endpoint.outbox()
    }
}

impl Cluster {
    /// The framework over an endpoint, which has not announced itself.
    ///
    /// # Errors
    /// [`ClusterError::Layout`] if the one that came with the seat is none.
    pub fn over(mut endpoint: Endpoint) -> Result<Self, ClusterError> {
        let Agreed {
            nodes,
            framework: agreed,
            logging,
        } = match endpoint.take_layout() {
            Some(file) => read(&file)?,
            None => Agreed::default(),
        };
        let (identity, own) = (endpoint.identity(), endpoint.own_entry());
        let own = own.ok_or(SeatError::Confused("nobody is in this node's place"))?;
        let is_member = !own.attached && identity.role != Role::None;
        let local = is_member.then(|| identity.name.clone());
        let id = NodeId::from(own.id);
        Ok(Self {
            membership: Membership::new(Roster::new(local, nodes), id, agreed.clone())?,
            endpoint,
            plan: Plan::default(),
            agreed,
            logs: Logs::new(&logging),
            logging,
            is_announced: false,
            seen: Seen::default(),
            progress: Progress::default(),
            hooks: Hooks::default(),
            connections: Connections::default(),
            declared: Declared::default(),
            own_turns: OwnTurns::default(),
            troubles: VecDeque::new(),
            stamps: Stamps::default(),
            buffer: Vec::new(),
            leaves: false,
        })
    }

    /// Names topics in another way than the layout does; every node of a cluster has to. Pools that the
    /// layout gives no topics of their own follow. Stands for the seeds' redefinition of
    /// `Cluster::node_topic` and its like.
    ///
    /// # Errors
    /// [`ClusterError::Announced`] after [`Cluster::init`].
    pub fn use_topics(&mut self, topics: Topics) -> Result<(), ClusterError> {
        self.plan_further()?;
        self.plan.topics = Some(topics);
        Ok(())
    }

    /// `register_pool`: a pool that the layout does not have, or another form of one that it has. Every
    /// node has to register the same.
    ///
    /// # Errors
    /// [`ClusterError::Announced`] after [`Cluster::init`], which tells what is wrong with pools.
    pub fn register_pool(&mut self, name: &str, spec: PoolSpec) -> Result<(), ClusterError> {
        self.plan_further()?;
        self.plan.pools.insert(name.to_owned(), spec);
        Ok(())
    }

    /// `manager_is_logger`, in place of what the layout says.
    ///
    /// # Errors
    /// [`ClusterError::Announced`] after [`Cluster::init`].
    pub fn manager_is_logger(&mut self, is_it: bool) -> Result<(), ClusterError> {
        self.plan_further()?;
        self.plan.manager_is_logger = Some(is_it);
        Ok(())
    }

    fn plan_further(&self) -> Result<(), ClusterError> {
        if self.is_announced {
            return Err(ClusterError::Announced);
        }
        Ok(())
    }

    /// `Cluster::init`: makes the pools, subscribes what a node of its type subscribes, and lets the others
    /// know that this node is up. [`Cluster::run`] does it if it was not done.
    ///
    /// # Errors
    /// [`ClusterError::Roster`] or [`ClusterError::Pool`] if this node cannot be in the cluster, and
    /// [`ClusterError::Announced`] if it is.
    pub fn init(&mut self) -> Result<(), ClusterError> {
        self.plan_further()?;
        let (roster, id) = (self.membership.roster(), self.membership.node_id());
        roster.check(BACKEND)?;
        let spec = self.plan.over(self.agreed.clone());
        self.membership = Membership::new(roster.clone(), id.clone(), spec)?;
        for topic in self.wanted() {
            self.subscribe(&topic)?;
        }
        self.connections.ask(None, self.membership.roster());
        self.progress = Progress::new(&self.membership, self.connections.spared());
        self.log_as_laid_out();
        self.endpoint.announce();
        self.is_announced = true;
        Ok(())
    }

    /// What a node of this type wants by itself.
    fn wanted(&self) -> Vec<String> {
        let mut topics = local_subscriptions(&self.membership, BACKEND);
        if self.hears_of_start() {
            topics.push(self.topics().started.clone());
        }
        topics
    }

    /// Who only steers others, a CONTROL node, wants its own two topics and nothing else.
    fn hears_of_start(&self) -> bool {
        let local = self.membership.roster().local_node();
        local.is_some_and(|node| node.node_type != Role::Control)
    }

    /// Another layout is in force, or the same once more: then the pools' turns go on where they were.
    fn relayout(&mut self, file: &OwnedFd, handler: &mut dyn Handler) {
        let (before, wanted) = (self.membership.roster().clone(), self.wanted());
        let relaid = read(file).and_then(|said| {
            self.logging = said.logging;
            if said.nodes == *before.nodes() && said.framework == self.agreed {
                return Ok(None);
            }
            let spec = self.plan.over(said.framework.clone());
            let events = self.membership.relayout(said.nodes, spec)?;
            self.agreed = said.framework;
            Ok(Some(events))
        });
        let events = match relaid {
            Ok(Some(events)) => events,
            Ok(None) => return,
            Err(error) => {
                let why = crate::causes::chain(&error);
                return self.trouble(format!("cannot use the new layout: {why}"));
            }
        };
        self.subscribe_as_laid_out(&wanted);
        self.seen.forget_lost(&self.membership);
        let after = self.membership.roster();
        if self.is_announced {
            self.connections.ask(Some(&before), after);
        }
        let spared = self.connections.spared();
        let starts = self.progress.relayout(&before, after, spared);
        self.logs.turn_over();
        self.raise(events, DownCause::Removed, handler);
        if starts {
            self.start_cluster(handler);
        }
    }

    /// Pools may have other members, and topics other names.
    fn subscribe_as_laid_out(&mut self, before: &[String]) {
        let after = self.wanted();
        for topic in before.iter().filter(|topic| !after.contains(topic)) {
            self.unsubscribe(topic);
        }
        for topic in after.iter().filter(|topic| !before.contains(topic)) {
            if let Err(error) = self.subscribe(topic) {
                self.trouble(error.to_string());
            }
        }
    }
}

impl Plan {
    fn over(&self, mut spec: FrameworkSpec) -> FrameworkSpec {
        if let Some(topics) = &self.topics {
            spec.rename(topics.clone());
        }
        spec.pools.extend(self.pools.clone());
        spec.manager_is_logger = self.manager_is_logger.or(spec.manager_is_logger);
        spec
    }
}

/// What came with the seat.
#[derive(Default)]
struct Agreed {
    nodes: BTreeMap<NodeName, Node>,
    framework: FrameworkSpec,
    logging: LogSpec,
}

fn read(layout: &OwnedFd) -> Result<Agreed, ClusterError> {
    let bytes = sys::memory::read_sealed(layout.as_fd()).map_err(ClusterError::Layout)?;
    let layout =
        SeatLayout::from_json(&bytes).map_err(|error| ClusterError::Layout(error.into()))?;
    Ok(Agreed {
        nodes: layout.nodes.into_owned(),
        framework: layout.framework.into_owned(),
        logging: layout.logging.into_owned(),
    })
}

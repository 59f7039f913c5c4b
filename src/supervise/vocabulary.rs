//! The vocabulary of supervisor and stem: orders go down, reports come up.
//!
//! One order or report is one packet of a `SOCK_SEQPACKET` pair, encoded with postcard. Descriptors
//! travel beside the packet that announces them, in the order its documentation gives.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::child::{Ending, State};
use crate::fabric::{FabricSpec, RingKey, Slot};
use crate::layout::spec::{ChildSpec, HookPoint, StageSpec};
use crate::names::{Incarnation, NodeName};

/// The version of this vocabulary. Both sides run the same image, so a difference is a bug.
pub const VERSION: u32 = 1;

/// The largest packet, in bytes.
pub use crate::layout::spec::LINK_PACKET_BYTES_MAX;

/// From the supervisor to the stem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Order {
    /// The first order of a stem's life. Descriptors: none.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// Counts the stems of this supervisor.
        stem: u64,
        /// The soft limit of descriptors that the supervisor was started with, before it raised its
        /// own: commands get it back.
        soft_limit: u64,
    },
    /// An escrowed descriptor comes back to a revived stem. Descriptors: that one.
    Restore(EscrowKey),
    /// The layout, as a sealed memory file of JSON, for built-in nodes. Descriptors: that one.
    Layout {
        /// Its generation.
        generation: u64,
    },
    /// What the layout says of the fabric, for nodes born from now on.
    Fabric {
        /// What each of them is told.
        spec: Box<FabricSpec>,
        /// Others than the supervisor's user and root may attach, if the socket's mode lets them.
        open_to_group: bool,
    },
    /// The stages, replacing those before.
    Stages(Vec<StageSpec>),
    /// A child to know. Replaces the description of a known one from its next birth on.
    Know {
        /// Its description.
        spec: Box<ChildSpec>,
        /// What a former stem knew of it.
        past: Past,
    },
    /// Should it run?
    Want {
        /// Whom.
        name: NodeName,
        /// Yes or no.
        up: bool,
        /// Replaces the policy's grace for this stop.
        grace: Option<Duration>,
    },
    /// End it and bear it again.
    Restart {
        /// Whom.
        name: NodeName,
        /// Why, for the report of its end.
        cause: RestartCause,
    },
    /// Stop it and forget it.
    Forget(NodeName),
    /// Deliver a signal to it.
    Signal {
        /// Whom.
        name: NodeName,
        /// Which.
        signal: i32,
    },
    /// Run the layout's command for a rotated log file of this node, with the node's identity, and report its
    /// end.
    Process {
        /// Whose file it is.
        name: NodeName,
        /// The node's request.
        request: u64,
        /// The command with its arguments.
        command: Vec<String>,
        /// It is killed after so long.
        timeout: Duration,
    },
    /// These descriptors are held: the stem may use what they stand for.
    Held(EscrowKey),
    /// Stop everything in reverse order of the stages, then leave.
    Shutdown {
        /// Replaces every grace; `Some(0)`: SIGKILL at once.
        grace: Option<Duration>,
        /// After this long everything left is killed.
        deadline: Duration,
    },
    /// Births may begin.
    Go {
        /// The members of all stages before this one are known by now; `None`: everybody is. A stage
        /// whose members are not all known yet cannot settle.
        before: Option<u16>,
    },
}

/// Why the supervisor restarts a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartCause {
    /// Somebody asked for it.
    Asked,
    /// Its heartbeat stopped; SIGTERM first.
    Hung,
    /// Its heartbeat stopped; SIGABRT, so that it leaves a core.
    HungAbort,
}

/// What a former stem knew of a child, so that its death changes nothing that was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The last incarnation.
    pub incarnation: Incarnation,
    /// It had finished or failed, and stays so.
    pub rest: Option<State>,
    /// Why it rests.
    pub reason: Option<String>,
    /// It was finished and is due again in this time.
    pub due: Option<Duration>,
    /// Failures in a row, for the delay.
    pub failures: u32,
}

/// What an escrowed descriptor is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EscrowKey {
    /// Listening socket number `index` of a node.
    Listener {
        /// Whose.
        name: NodeName,
        /// Which of its addresses.
        address: std::net::SocketAddr,
    },
    /// The board. Made by the supervisor, handed to every stem.
    Board,
    /// The listening socket of `attach.sock`. Made by the supervisor, handed to every stem.
    AttachSocket,
    /// The memory of a node's bell.
    BellMemory(Slot),
    /// The eventfd of a node's bell.
    Bell(Slot),
    /// A ring's memory.
    Ring(RingKey),
}

/// From the stem to the supervisor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// The stem is up and has the signals in hand.
    Hello {
        /// [`VERSION`].
        version: u32,
    },
    /// A descriptor for the escrow, to be answered with [`Order::Held`]. Descriptors: that one.
    Escrow(EscrowKey),
    /// Nobody needs it any more: the escrow may let go of it.
    Released(EscrowKey),
    /// A child was born. Descriptors: pidfd, read end of its stdout, of its stderr; then, if
    /// announced, the supervisor's end of its control socket and the memory of its heartbeat.
    Born {
        /// Who.
        name: NodeName,
        /// Which birth.
        incarnation: Incarnation,
        /// Its process.
        pid: i32,
        /// A control socket comes too (built-in roles).
        control: bool,
        /// A heartbeat comes too.
        heartbeat: bool,
    },
    /// The state of a child changed.
    State {
        /// Who.
        name: NodeName,
        /// In which incarnation.
        incarnation: Incarnation,
        /// Into which state.
        state: State,
        /// When the next birth is due, where one is.
        next: Option<Duration>,
        /// Failures in a row.
        failures: u32,
        /// Why, where the state alone does not say.
        reason: Option<String>,
    },
    /// A child's process ended. Comes before the state that follows from it.
    Gone(Death),
    /// A newborn could not take up its work. Sent by the newborn itself, before it ends.
    Stillborn {
        /// Who.
        name: NodeName,
        /// Which birth.
        incarnation: Incarnation,
        /// What it was doing, and the system's answer.
        problem: String,
    },
    /// `STATUS=` of the `sd_notify` protocol.
    Status {
        /// Who.
        name: NodeName,
        /// Its words.
        text: String,
    },
    /// A child that was to be forgotten is gone.
    Forgotten(NodeName),
    /// A stage's time limit passed before its quorum was ready; the next one starts all the same.
    StageLate {
        /// The stage's number.
        stage: u16,
        /// Who is missing.
        missing: Vec<NodeName>,
    },
    /// A hook or readiness command was born. Descriptors: read end of its output.
    HelperBorn {
        /// For whom.
        name: NodeName,
        /// What for.
        purpose: HelperPurpose,
        /// Its process.
        pid: i32,
    },
    /// A hook ended (readiness commands are not reported: they end every moment).
    HelperGone {
        /// For whom.
        name: NodeName,
        /// What for.
        purpose: HelperPurpose,
        /// How it ended.
        ending: Ending,
    },
    /// A system call failed; the stem goes on.
    Problem {
        /// For whom, if for one child.
        name: Option<NodeName>,
        /// What was done, and the system's answer.
        text: String,
    },
    /// Everything is stopped; the stem leaves.
    Done {
        /// How many had to be killed when the deadline had passed.
        killed: u32,
    },
}

/// What a helper process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HelperPurpose {
    /// A hook of the layout.
    Hook(HookPoint),
    /// The command that says whether a child is ready.
    Readiness,
    /// The layout's command for a rotated log file: the node's request.
    Postprocess(u64),
}

/// What a process used until its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time in user mode.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// Peak of resident memory in bytes.
    pub peak_bytes: u64,
}

/// The end of a child's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// Whose.
    pub name: NodeName,
    /// Which birth.
    pub incarnation: Incarnation,
    /// Its process.
    pub pid: i32,
    /// How it ended.
    pub ending: Ending,
    /// Why, as far as the stem had a hand in it.
    pub cause: Cause,
    /// What it used.
    pub usage: Usage,
    /// Processes it had left behind, now killed.
    pub strays: u32,
}

/// Why a process ended, as far as the stem had a hand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// It had none: it ended by itself, or somebody else ended it.
    Itself,
    /// Somebody asked for its end, or for a restart.
    Asked,
    /// It was not ready in time.
    Late,
    /// Its heartbeat stopped.
    Hung,
    /// The stem died.
    Stem,
}

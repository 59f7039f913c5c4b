//! The conversation of a node and the stem about seats and rings, as data.
//!
//! One [`Ask`] or [`Answer`] is one packet of a `SOCK_SEQPACKET` socket, encoded with postcard;
//! descriptors travel beside the packet that announces them, in the order its documentation gives. No
//! record ever takes this way: it only brings the two ends of a ring together.

mod policies;
pub mod quota;
pub mod rings;
pub mod streams;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use policies::{End, LinkPolicy};

use crate::layout::spec::Role;
use crate::names::{Incarnation, NodeName};

/// The version of this vocabulary. Programs linked with another one are refused.
pub const VERSION: u32 = 3;

/// The largest packet of a seat socket, in bytes.
pub const SEAT_PACKET_BYTES_MAX: usize = 64 * 1024;

/// So many members of a cluster find a place on a host's board.
pub const MEMBERS_MAX: usize = 4032;

/// What stands before topic and payload in a ring: the topic's length.
pub const RECORD_HEADER_BYTES: u32 = 2;

/// The environment variable that holds the number of a command's seat socket.
pub const CLUSTER_SEAT: &str = "CLUSTER_SEAT";

/// The socket in the run directory to which programs come that want a seat, or to look.
pub const ATTACH_SOCKET: &str = "attach.sock";

/// A node's place on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot(pub u32);

/// Which of a link's two rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// The cluster's own, small messages: never behind a flood of data.
    Control,
    /// Everything else.
    Bulk,
}

impl Class {
    /// The word that `stats` shows.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Bulk => "bulk",
        }
    }
}

/// Names a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RingKey {
    /// Who writes.
    pub from: Slot,
    /// Who reads.
    pub to: Slot,
    /// Which of the two.
    pub class: Class,
    /// Counts the rings that took over from one another; the reader drains them in this order.
    pub index: u32,
}

/// How an endpoint waits for records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wait {
    /// Sleeps until its bell rings.
    #[default]
    Block,
    /// Looks again and again for this long, then sleeps.
    Spin(Duration),
    /// Never sleeps.
    Busy,
}

/// What becomes of a record that finds its ring full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// It is dropped and counted.
    #[default]
    DropNewest,
    /// `publish` waits for room, at most this long. Only toward loggers, who never wait themselves.
    Block(Duration),
    /// The link is cut until its reader declares its filter anew.
    Disconnect,
    /// The oldest records in the queue make room for it. Of streams only: in a ring the oldest are the
    /// reader's.
    DropOldest,
}

/// What carries records from one node to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// Rings in shared memory, which outlive both their ends.
    #[default]
    Ring,
    /// Unix stream sockets behind queues in the writers' own memory, which die with them. What is shared
    /// is the account alone.
    Unix,
}

impl Transport {
    /// Descriptors that the stem holds for a link of one class: the memory of its ring or account, and the
    /// end of a stream that waits for whoever it is for.
    #[must_use]
    pub fn descriptors_a_link(self) -> usize {
        match self {
            Self::Ring => 1,
            Self::Unix => 2,
        }
    }

    /// The word that `check` and `diff` show.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Unix => "unix",
        }
    }
}

/// What a layout says of the fabric, for every endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FabricSpec {
    /// Bytes of a control ring: a power of two.
    pub control_bytes: u32,
    /// Bytes of a bulk ring: a power of two.
    pub bulk_bytes: u32,
    /// No larger record is published, in bytes of topic and payload.
    pub record_bytes_max: u32,
    /// So long `publish` waits for a ring that is being made.
    pub ring_wait: Duration,
    /// So long `publish` waits for room in a logger's ring.
    pub block: Duration,
    /// How endpoints wait for records.
    pub wait: Wait,
    /// How some of them do instead. The first that fits holds.
    pub waits: Vec<(End, Wait)>,
    /// What carries the records.
    pub transport: Transport,
    /// Topics with one of these prefixes go by the control ring.
    pub control_topics: Vec<String>,
    /// What becomes of records that find a ring full. See [`FabricSpec::policy`].
    pub policies: Vec<LinkPolicy>,
}

impl Default for FabricSpec {
    fn default() -> Self {
        Self {
            control_bytes: 32 * 1024,
            bulk_bytes: 256 * 1024,
            record_bytes_max: 16 * 1024 * 1024,
            ring_wait: Duration::from_secs(2),
            block: Duration::from_secs(1),
            wait: Wait::Block,
            waits: Vec::new(),
            transport: Transport::Ring,
            control_topics: vec!["zeek/cluster/".to_owned(), "zeek.cluster.".to_owned()],
            policies: Vec::new(),
        }
    }
}

/// From a node, or a program that attaches, to the stem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// A program wants a seat. The first packet on a connection to `attach.sock`. Answered with
    /// [`Answer::Welcome`] or [`Answer::Refused`].
    Attach {
        /// [`VERSION`].
        version: u32,
        /// The name it wants; none: the stem makes one up from `kind` of program and its pid.
        name: Option<NodeName>,
        /// What it counts as.
        role: Role,
    },
    /// An attached program comes back after the stem's death. Answered as `Attach`.
    Resume {
        /// [`VERSION`].
        version: u32,
        /// Its place.
        slot: Slot,
        /// Its incarnation.
        incarnation: Incarnation,
    },
    /// Somebody wants to look, and changes nothing: board and rings, read-only. Answered with
    /// [`Answer::Board`], a [`Answer::Ring`] for every ring, and [`Answer::Seated`].
    Observe {
        /// [`VERSION`].
        version: u32,
    },
    /// Its filter stands on the board: everybody may know that it is up.
    Announce,
    /// It has a record for somebody and no ring, or none that is large enough.
    Ring {
        /// For whom.
        to: Slot,
        /// Which of the two.
        class: Class,
        /// The record it has to take, in bytes.
        record_bytes: u32,
    },
    /// Its reader has drained it, and its writer went on to another or left: it can go.
    Drained(RingKey),
}

/// From the stem to a node or an attached program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Its seat. Descriptors: board, memory of its bell, its bell.
    Welcome {
        /// [`VERSION`].
        version: u32,
        /// Its name.
        name: NodeName,
        /// What it counts as.
        role: Role,
        /// Its place on the board.
        slot: Slot,
        /// Its incarnation.
        incarnation: Incarnation,
        /// Its last incarnation ended by its own fault.
        fault: bool,
        /// What the layout says.
        fabric: Box<FabricSpec>,
    },
    /// The board, for somebody who looks. Descriptors: board, read-only.
    Board,
    /// The cluster's layout: behind the welcome, and again when it changes. Descriptors: a sealed memory
    /// file, which holds a [`SeatLayout`](crate::layout::seats::SeatLayout).
    Layout,
    /// A ring. Descriptors: its memory, memory of the other side's bell, the other side's bell, and this
    /// end's socket if the link is a stream; the memory is its account then, and each time either end
    /// sits down anew both get another socket. To somebody who looks: its memory only, read-only.
    Ring {
        /// Its name.
        key: RingKey,
        /// Its writer is a program that attached. The board says so too, but guests can write there.
        from_guest: bool,
    },
    /// Every ring that stands was handed over: records may flow.
    Seated,
    /// A seat or a ring cannot be had.
    Refused {
        /// Why.
        why: Refusal,
        /// Which ring was asked for.
        ring: Option<(Slot, Class)>,
    },
}

/// Why a seat or a ring cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// Another [`VERSION`].
    #[error(
        "the program speaks version {theirs} of the seat protocol, the supervisor {ours}; build both from one source"
    )]
    Version {
        /// The stem's.
        ours: u32,
        /// The program's.
        theirs: u32,
    },
    /// The name belongs to a node of the layout or to somebody who is attached.
    #[error("the name \"{0}\" is taken; choose another")]
    NameTaken(NodeName),
    /// Every place on the board that is not kept for nodes is taken.
    #[error(
        "every place on the board that programs may have is taken; let another one leave first"
    )]
    BoardFull,
    /// As many programs as may be are attached, or about to be.
    #[error("as many programs as may be are attached; let another one leave first")]
    TooManyGuests,
    /// Not that user's.
    #[error(
        "this user may not attach; it is for the supervisor's own user, root, or its socket group"
    )]
    NotAllowed,
    /// No such seat to come back to.
    #[error("there is no such seat to come back to; attach anew")]
    NoSuchSeat,
    /// Nobody has that place.
    #[error("nobody has that place on the board")]
    NoSuchPeer,
    /// The record is larger than the layout allows.
    #[error("the record is larger than the layout's record_bytes_max")]
    TooLarge,
    /// The system refused memory or descriptors.
    #[error("the system refused: {0}")]
    System(String),
    /// The packet makes no sense here.
    #[error("the packet makes no sense here: {0}")]
    Confused(String),
    /// A ring to whoever asked for it.
    #[error("nobody has a ring to itself")]
    ToItself,
    /// See [`quota`].
    #[error(
        "programs that attach may have no more rings; publish to fewer, or as a node of the layout"
    )]
    TooManyRings,
    /// See [`quota`].
    #[error(
        "programs that attach may have no more memory for rings; publish smaller records, or as a node of the layout"
    )]
    TooMuchMemory,
}

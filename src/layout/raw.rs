//! The file's shape, word for word, as serde reads it. What the words mean is decided elsewhere.
//!
//! Field names are the seeds' where the seeds have one. A word that stands in no structure here is an
//! error. A word that this build reads but does not act on stands in its structure's `later`, under the
//! reason, and from there goes into the table `LATER` that `later` reports.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::later;
use super::spec::{Role, WatchdogAction};
use super::values::{ListOr, OrOff, Period, PeriodOrOff, Processors, Size, Word};

/// A value that is accepted as it is.
pub(super) type Anything = Option<IgnoredAny>;

/// A structure of the file. Its `later` words make up the table `LATER`, each with the reason; those
/// without a type of their own are accepted as they are.
macro_rules! shape {
    (
        $(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* }
        $(later { $($why:ident { $($later:ident $(: $own:ty)?),* $(,)? })* })?
    ) => {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        $(#[$doc])*
        pub(super) struct $name {
            $(pub(super) $field: $type,)*
            $($($(pub(super) $later: shape!(@type $($own)?),)*)*)?
        }

        $(impl $name {
            /// The words that are not acted on, each with the reason.
            pub(super) const LATER: &[(&str, &str)] = &[
                $($((stringify!($later), later::$why),)*)*
            ];
        })?
    };
    (@type) => { Anything };
    (@type $own:ty) => { $own };
}

/// A structure that stands in another's `later`: whatever it holds, its own name is what is reported.
macro_rules! shape_below {
    ($name:ident { $($field:ident $(: $own:ty)?),* $(,)? }) => {
        shape! { $name { $($field: shape!(@type $($own)?),)* } }
    };
}

shape! {
    /// Everything but the nodes, which are read one by one so that each can have its error.
    #[serde(rename = "Layout")]
    RawLayout {
        instances: BTreeMap<String, RawInstance>,
        restart: RawRestart,
        stop: RawStop,
        ready_timeout: Option<PeriodOrOff>,
        stages: BTreeMap<String, RawStage>,
        run_dir: Option<PathBuf>,
        output: RawOutput,
        crash_keep: Option<u32>,
        controller: RawController,
        watchdog: Option<OrOff<RawWatchdog>>,
        fabric: RawFabric,
        topics: RawTopics,
        logger_topic: Option<String>,
        manager_topic: Option<String>,
        proxy_topic: Option<String>,
        worker_topic: Option<String>,
        node_topic_prefix: Option<String>,
        nodeid_topic_prefix: Option<String>,
        pools: BTreeMap<String, RawPool>,
        manager_is_logger: Option<bool>,
        logging: RawLogging,
        enable_round_robin_logging: Option<bool>,
        socket_group: Option<Word>,
        nodes: Anything,
    }
    later {
        OWN_NAME { node }
        SCRIPTS { scripts, addl_base_scripts, addl_user_scripts, bare_mode }
        SOCKETS {
            websocket: RawWebSocket, default_websocket_max_event_queue_size,
            default_websocket_ping_interval,
        }
        STORES {
            stores: RawStores, default_backend, default_master_node, default_persistent_backend,
            default_store_dir,
        }
        HOSTS { broker, zeromq, backend, retry_interval }
        TRANSPORT { transport }
        METRICS { telemetry, metrics_port, metrics_address }
    }
}

shape! {
    RawInstance { ip: Option<IpAddr>, }
    later {
        HOSTS { host, listen_port, zone_id }
    }
}

shape! {
    RawStage {
        number: Option<u16>,
        quorum: Option<u32>,
        time_limit: Option<Period>,
    }
}

shape! {
    RawRestart {
        policy: Option<RawPolicy>,
        floor: Option<Period>,
        ceiling: Option<Period>,
        quick_after: Option<Period>,
        stable_after: Option<Period>,
        give_up: Option<OrOff<RawBudget>>,
    }
}

shape! {
    RawStop {
        signal: Option<String>,
        grace: Option<Period>,
        deadline: Option<Period>,
    }
}

shape! {
    RawOutput {
        rotate: Option<Size>,
        keep: Option<u32>,
        line_max: Option<Size>,
    }
}

shape! {
    RawController {
        enabled: Option<bool>,
        instance: Option<String>,
        name: Option<String>,
        directory: Option<String>,
        stdout_file: Option<String>,
        stderr_file: Option<String>,
    }
    later {
        CONTROLLER {
            role, topic, request_timeout, connect_retry, listen_address, port, auto_assign_ports,
            auto_assign_start_port, listen_address_websocket, port_websocket,
        }
    }
}

shape! {
    RawFabric {
        control: Option<Size>,
        bulk: Option<Size>,
        record_bytes_max: Option<Size>,
        ring_wait: Option<Period>,
        block: Option<Period>,
        wait: Option<RawWait>,
        waits: Vec<RawNodeWait>,
        control_topics: Option<Vec<String>>,
        policies: Vec<RawLinkPolicy>,
        transport: Option<RawTransport>,
    }
}

shape! {
    RawTopics {
        scheme: Option<RawScheme>,
        logger: Option<String>,
        manager: Option<String>,
        proxy: Option<String>,
        worker: Option<String>,
        node_prefix: Option<String>,
        nodeid_prefix: Option<String>,
        log_prefix: Option<String>,
        started: Option<String>,
    }
}

shape! {
    RawLogging {
        round_robin: Option<bool>,
        per: Option<RawTurn>,
        manager_is_logger: Option<bool>,
        batch_records: Option<u32>,
        batch_interval: Option<Period>,
        format: Option<RawForm>,
        json_timestamps: Option<RawTimes>,
        rotate_interval: Option<PeriodOrOff>,
        rotate_bytes: Option<Size>,
        naming: Option<RawNames>,
        fsync: Option<RawFsync>,
        node_stats: Option<PeriodOrOff>,
        gzip: Option<bool>,
        keep: RawKeep,
        postprocess: Option<Vec<String>>,
        postprocess_timeout: Option<Period>,
        silent_after: Option<PeriodOrOff>,
    }
}

shape! {
    RawKeep {
        age: Option<PeriodOrOff>,
        bytes: Option<Size>,
        free: Option<Size>,
    }
}

shape! {
    /// An entry of `pools`.
    RawPool {
        topic: Option<String>,
        node_type: Option<RawRole>,
        max_nodes: Option<usize>,
        exclusive: bool,
    }
}

shape! {
    RawWatchdog {
        stale_after: Option<Period>,
        action: Option<WatchdogAction>,
    }
}

shape_below! {
    RawTls { cert_file, key_file, enable_peer_verification, ca_file, ciphers }
}

shape_below! {
    RawWebSocket {
        tls_options: RawTls, listen_addr, listen_port, listen_host, max_event_queue_size, ping_interval,
    }
}

shape_below! {
    RawStores {
        default_backend, default_master_node, default_persistent_backend, default_store_dir, entries,
        clone_resync_interval, clone_stale_interval, clone_mutation_buffer_interval,
    }
}

shape! {
    /// One entry of `nodes`.
    RawNode {
        node_type: Option<RawRole>,
        ip: Option<IpAddr>,
        p: Option<u16>,
        manager: Option<String>,
        id: Anything,
        instance: Option<String>,
        directory: Option<String>,
        stdout_file: Option<String>,
        stderr_file: Option<String>,
        env: BTreeMap<String, String>,
        cpu_affinity: Option<u32>,
        cpus: Option<Processors>,
        cluster: Anything,
        command: Option<Vec<String>>,
        count: Option<u32>,
        restart: RawRestart,
        ready: Option<RawReady>,
        ready_timeout: Option<PeriodOrOff>,
        stage: Option<Word>,
        after: Vec<String>,
        limits: RawLimits,
        nice: Option<i32>,
        user: Option<Word>,
        group: Option<Word>,
        capabilities: Vec<String>,
        hooks: RawHooks,
        watchdog: Option<OrOff<RawWatchdog>>,
        stop: RawNodeStop,
        inputs: Vec<RawInput>,
    }
    later {
        SCRIPTS { scripts, addl_base_scripts, addl_user_scripts, bare_mode }
        METRICS { metrics_port: Option<u16> }
        HOSTS { zone_id: Option<String> }
        TRANSPORT { transport }
        CAPTURE { interface: Option<String>, pcap_file: Option<String> }
    }
}

shape! {
    /// An entry of a node's `inputs`.
    RawInput {
        file: Option<String>,
        fifo: Option<String>,
        socket: Option<String>,
        form: Option<RawInputForm>,
        stream: Option<String>,
        path: Option<String>,
    }
}

shape! {
    RawNodeStop {
        signal: Option<String>,
        grace: Option<Period>,
    }
}

shape! {
    RawLimits {
        nofile: Option<Size>,
        core: Option<Size>,
        nproc: Option<Size>,
        memlock: Option<Size>,
        address_space: Option<Size>,
        file_size: Option<Size>,
        stack: Option<Size>,
        memory_high: Option<Size>,
        memory_max: Option<Size>,
        cpu_weight: Option<u32>,
        pids_max: Option<u32>,
    }
}

shape! {
    RawHooks {
        on_start: Option<ListOr<RawHook>>,
        on_ready: Option<ListOr<RawHook>>,
        on_exit: Option<ListOr<RawHook>>,
        on_crash: Option<ListOr<RawHook>>,
        on_failed: Option<ListOr<RawHook>>,
    }
}

/// A hook with its time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHook {
    pub(super) command: Vec<String>,
    pub(super) timeout: Option<Period>,
}

/// So many deaths within so long a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBudget {
    pub(super) deaths: u32,
    pub(super) within: Period,
}

/// `fabric.wait`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum RawWait {
    Block,
    Spin(Period),
    Busy,
}

/// `topics.scheme`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum RawScheme {
    Slash,
    Dot,
}

/// An entry of `fabric.waits`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNodeWait {
    pub(super) node: RawEnd,
    pub(super) wait: RawWait,
}

/// A node, or all of a type.
#[derive(Clone, Debug, Deserialize)]
pub(super) enum RawEnd {
    Node(String),
    Type(RawRole),
}

/// `fabric.transport`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum RawTransport {
    Ring,
    Unix,
}

/// An entry of `fabric.policies`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLinkPolicy {
    #[serde(default)]
    pub(super) topic: String,
    pub(super) from: Option<RawEnd>,
    pub(super) to: Option<RawEnd>,
    pub(super) policy: RawFull,
}

/// `logging.per`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum RawTurn {
    Record,
    Batch,
}

/// `logging.format`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum RawForm {
    Tsv,
    Json,
}

/// `logging.json_timestamps`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum RawTimes {
    Epoch,
    Millis,
    Iso8601,
}

/// `logging.naming`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum RawNames {
    Supervised,
    Classic,
}

/// `logging.fsync`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum RawFsync {
    Never,
    Interval(Period),
    Batch,
}

/// `form` of an input.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum RawInputForm {
    Lines,
    Zeek,
    Json,
}

/// What is done when a ring is full.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum RawFull {
    DropNewest,
    DropOldest,
    Disconnect,
    Block(Period),
}

/// `restart.policy`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum RawPolicy {
    Always,
    OnFailure,
    Never,
    Finish,
    Every(Period),
}

/// `ready`.
#[derive(Debug, Deserialize)]
pub(super) enum RawReady {
    AtOnce,
    Notify,
    SdNotify,
    Tcp(SocketAddr),
    Exec(Vec<String>),
}

/// `node_type`: the roles that an operator can give; the controller is not among them.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum RawRole {
    Logger,
    Manager,
    Proxy,
    Worker,
    Control,
    None,
}

impl From<RawRole> for Role {
    fn from(role: RawRole) -> Self {
        match role {
            RawRole::Logger => Self::Logger,
            RawRole::Manager => Self::Manager,
            RawRole::Proxy => Self::Proxy,
            RawRole::Worker => Self::Worker,
            RawRole::Control => Self::Control,
            RawRole::None => Self::None,
        }
    }
}

//! What a layout says of topics and pools: what all nodes of the cluster have to agree on.

use std::collections::BTreeMap;

use super::context::Context;
use super::raw::{RawLayout, RawPool, RawScheme};
use super::seats::FrameworkSpec;
use super::spec::Role;
use super::{Node, logging};
use crate::names::NodeName;
use crate::pool::{self, PoolError, PoolSpec};
use crate::topic::scheme::{TopicScheme, Topics};

/// All topics and names of pools, in bytes: every node holds and declares them.
const NAMED_BYTES_MAX: usize = 16 << 10;

/// So many pools, each of which can hold all nodes of a type, in every process.
const POOLS_MAX: usize = 64;

/// The layout's words over the defaults, held against its nodes.
pub(super) fn read(
    raw: &RawLayout,
    nodes: &BTreeMap<NodeName, Node>,
    ctx: &mut Context<'_>,
) -> FrameworkSpec {
    let scheme = match raw.topics.scheme {
        None => TopicScheme::default(),
        Some(RawScheme::Slash) => TopicScheme::Slash,
        Some(RawScheme::Dot) => TopicScheme::Dot,
    };
    let mut spec = FrameworkSpec::of(Topics::of(scheme));
    spec.manager_is_logger = logging::one_of(
        ("manager_is_logger", raw.logging.manager_is_logger),
        ("manager_is_logger", raw.manager_is_logger),
        ctx,
    );
    take_topics(raw, &mut spec.topics, ctx);
    for (name, raw) in &raw.pools {
        if let Some(pool) = pool(name, raw, &spec, ctx) {
            spec.pools.insert(name.clone(), pool);
        }
    }
    check_size(&spec, ctx);
    check_reach(&spec, ctx);
    check_pools(&spec, nodes, ctx);
    spec
}

/// One topic: under its key below `topics`, or under the seeds' name for it.
struct TopicWord<'a> {
    key: &'static str,
    below: &'a Option<String>,
    seeds: Option<(&'static str, &'a Option<String>)>,
    topic: &'a mut String,
}

impl TopicWord<'_> {
    fn take(self, ctx: &mut Context<'_>) {
        let below = ["topics", self.key];
        let at_top = self
            .seeds
            .and_then(|(name, word)| Some((name, word.as_ref()?)));
        let (path, word): (&[&str], _) = match (self.below, &at_top) {
            (Some(_), Some((name, _))) => {
                let message = format!("{name} and topics.{} are both given", self.key);
                let hint = "they are the same; keep one of them";
                ctx.report.error(&[name], message, hint);
                return;
            }
            (Some(word), None) => (&below, word),
            (None, Some((name, word))) => (&[*name], *word),
            (None, None) => return,
        };
        refuse_empty(word, path, ctx);
        self.topic.clone_from(word);
    }
}

/// The topics by their keys below `topics`, and after `or` the seeds' names for them.
macro_rules! words_of_topics {
    ($raw:ident, $topics:expr, { $($key:ident $(or $seeds:ident)?,)* }) => {
        [$(TopicWord {
            key: stringify!($key),
            below: &$raw.topics.$key,
            seeds: words_of_topics!(@seeds $raw $($seeds)?),
            topic: &mut $topics.$key,
        },)*]
    };
    (@seeds $raw:ident) => { None };
    (@seeds $raw:ident $seeds:ident) => { Some((stringify!($seeds), &$raw.$seeds)) };
}

fn take_topics(raw: &RawLayout, topics: &mut Topics, ctx: &mut Context<'_>) {
    let words = words_of_topics!(raw, topics, {
        logger or logger_topic,
        manager or manager_topic,
        proxy or proxy_topic,
        worker or worker_topic,
        node_prefix or node_topic_prefix,
        nodeid_prefix or nodeid_topic_prefix,
        log_prefix,
        started,
    });
    for word in words {
        word.take(ctx);
    }
}

fn refuse_empty(topic: &str, path: &[&str], ctx: &mut Context<'_>) {
    if topic.is_empty() {
        let hint = "write at least one character; every topic begins with nothing";
        ctx.report.error(path, "the topic is empty", hint);
    }
}

/// A pool of the layout: the usual one of its name with other words, or a new one.
fn pool(
    name: &str,
    raw: &RawPool,
    spec: &FrameworkSpec,
    ctx: &mut Context<'_>,
) -> Option<PoolSpec> {
    let usual = spec.pools.get(name);
    let node_type = raw.node_type.map(Role::from);
    let Some(node_type) = node_type.or_else(|| usual.map(|usual| usual.node_type)) else {
        let hint = "add node_type: Worker, Proxy or Logger";
        let message = format!("whom the pool \"{name}\" is made of is not said");
        ctx.report.error(&["pools", name], message, hint);
        return None;
    };
    if name.is_empty() {
        let hint = "give it a name, by which programs publish to it";
        ctx.report
            .error(&["pools", name], "a pool has no name", hint);
    }
    if let Some(topic) = &raw.topic {
        refuse_empty(topic, &["pools", name, "topic"], ctx);
    }
    let topic = raw.topic.clone();
    Some(PoolSpec {
        topic: topic.unwrap_or_else(|| spec.topics.pool_topic(name)),
        node_type,
        max_nodes: raw.max_nodes,
        exclusive: raw.exclusive,
    })
}

fn check_size(spec: &FrameworkSpec, ctx: &mut Context<'_>) {
    if spec.pools.len() > POOLS_MAX {
        let message = format!(
            "there are {} pools, at most {POOLS_MAX} are possible",
            spec.pools.len()
        );
        let hint = "every node keeps all of them; let some share a pool";
        ctx.report.error(&["pools"], message, hint);
    }
    let named: usize = topics(spec).iter().map(|topic| topic.text.len()).sum();
    let bytes = named + spec.pools.keys().map(String::len).sum::<usize>();
    if bytes > NAMED_BYTES_MAX {
        let message = format!(
            "topics and pools have names of {bytes} bytes, at most {NAMED_BYTES_MAX} are possible"
        );
        let hint = "every node is told of all of them at its birth; use shorter ones";
        ctx.report.error(&["topics"], message, hint);
    }
}

/// A topic of the framework's own.
struct Own<'a> {
    path: Vec<&'a str>,
    text: &'a str,
    /// Somebody subscribes it as it stands.
    is_subscribed: bool,
}

fn topics(spec: &FrameworkSpec) -> Vec<Own<'_>> {
    let topics = &spec.topics;
    let own = |key, text, is_subscribed| Own {
        path: vec!["topics", key],
        text,
        is_subscribed,
    };
    let mut all = vec![
        own("logger", topics.logger.as_str(), true),
        own("manager", &topics.manager, true),
        own("proxy", &topics.proxy, true),
        own("worker", &topics.worker, true),
        own("node_prefix", &topics.node_prefix, false),
        own("nodeid_prefix", &topics.nodeid_prefix, false),
        own("log_prefix", &topics.log_prefix, true),
        own("started", &topics.started, true),
    ];
    all.extend(spec.pools.iter().map(|(name, pool)| Own {
        path: vec!["pools", name],
        text: &pool.topic,
        is_subscribed: true,
    }));
    all
}

/// Whoever subscribes a topic gets what is published on every topic that begins with it.
fn check_reach(spec: &FrameworkSpec, ctx: &mut Context<'_>) {
    let all = topics(spec);
    for (at, one) in all.iter().enumerate() {
        let others = all.iter().enumerate().filter(|(number, _)| *number != at);
        let mut wider = others.filter(|(number, other)| {
            // Of two that are the same the second is reported.
            let is_wider = other.text != one.text || *number < at;
            other.is_subscribed && is_wider && one.text.starts_with(other.text)
        });
        if let Some((_, wider)) = wider.next()
            && !wider.text.is_empty()
        {
            let message = format!(
                "its topic \"{}\" begins with that of {}, who will get what is published on it",
                one.text,
                wider.path.join(".")
            );
            let hint = "let no topic begin with another one";
            ctx.report.warning(&one.path, message, hint);
        }
    }
}

fn check_pools(spec: &FrameworkSpec, nodes: &BTreeMap<NodeName, Node>, ctx: &mut Context<'_>) {
    let among = pool::Nodes {
        nodes,
        manager_is_logger: spec.is_manager_logger(nodes),
    };
    let Err(error) = pool::check(&spec.pools, among) else {
        return;
    };
    let path: &[&str] = match &error {
        PoolError::NodeType { pool, .. } => &["pools", pool, "node_type"],
        PoolError::NoMaximum { pool } => &["pools", pool, "exclusive"],
        PoolError::NotEnough { .. } => &["pools"],
    };
    let text = error.to_string();
    let (message, hint) = text.split_once("; ").unwrap_or((&text, ""));
    ctx.report.error(path, message, hint);
}

/// The words of `check`: what holds, under the layout's names.
pub(super) fn words(
    spec: &FrameworkSpec,
    nodes: &BTreeMap<NodeName, Node>,
) -> Vec<(String, String)> {
    let scheme = match spec.topics.scheme {
        TopicScheme::Slash => "slash",
        TopicScheme::Dot => "dot",
    };
    let mut words = vec![("topics.scheme".to_owned(), scheme.to_owned())];
    let topics = topics(spec);
    let named = topics
        .iter()
        .filter(|own| own.path.first() == Some(&"topics"));
    words.extend(named.map(|own| (own.path.join("."), own.text.to_owned())));
    words.extend(spec.pools.iter().map(|(name, pool)| {
        let limit = pool.max_nodes.map(|max| format!(", at most {max}"));
        let exclusive = if pool.exclusive { ", exclusive" } else { "" };
        let value = format!(
            "{}, of type {}{}{exclusive}",
            pool.topic,
            pool.node_type.word(),
            limit.unwrap_or_default()
        );
        (format!("pools.{name}"), value)
    }));
    let is_logger = if spec.is_manager_logger(nodes) {
        "yes; nobody waits for room in its rings"
    } else {
        "no"
    };
    words.push(("manager_is_logger".to_owned(), is_logger.to_owned()));
    words
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Machine, layout, on, only, refused, same};
    use super::*;

    const NODES: &str = r#"nodes: {"m": (node_type: Manager), "p": (node_type: Proxy, count: 2)}"#;

    fn with(words: &str) -> String {
        format!("({words},\n{NODES})")
    }

    fn spec(words: &str) -> FrameworkSpec {
        layout(&with(words)).settings.framework
    }

    #[test]
    fn what_is_not_said_is_as_everywhere() {
        let layout = layout(&format!("({NODES})"));
        assert_eq!(layout.settings.framework, FrameworkSpec::default());
        let dot = spec("topics: (scheme: Dot)");
        assert_eq!(dot, FrameworkSpec::of(Topics::of(TopicScheme::Dot)));
    }

    #[test]
    fn topics_are_named_below_topics_or_by_the_seeds_names() {
        let below = spec(
            r#"topics: (logger: "s/l", manager: "s/m", proxy: "s/p", worker: "s/w", node_prefix: "s/n/",
            nodeid_prefix: "s/i/", log_prefix: "logs/", started: "s/started")"#,
        );
        let seeds = spec(
            r#"logger_topic: "s/l", manager_topic: "s/m", proxy_topic: "s/p", worker_topic: "s/w",
            node_topic_prefix: "s/n/", nodeid_topic_prefix: "s/i/",
            topics: (log_prefix: "logs/", started: "s/started")"#,
        );
        assert_eq!(below, seeds);
        let topics = &below.topics;
        assert_eq!(topics.broadcast_topics(), ["s/l", "s/m", "s/p", "s/w"]);
        assert_eq!(topics.node_topic("p-1"), "s/n/p-1/");
        assert_eq!(topics.nodeid_topic("7"), "s/i/7/");
        assert_eq!(topics.default_log_topic("x"), "logs/x");
        assert_eq!(topics.started, "s/started");
        same(
            refused(&with(r#"topics: (worker: "a"), worker_topic: "b""#)),
            "1:25|-|worker_topic|worker_topic and topics.worker are both given|they are the same; keep one of them",
        );
    }

    #[test]
    fn pools_are_the_usual_ones_with_other_words_and_new_ones() {
        let spec = spec(
            r#"topics: (scheme: Dot), manager_is_logger: false,
            pools: {"proxy": (max_nodes: 1, exclusive: true), "own": (node_type: Proxy, topic: "own/")}"#,
        );
        let proxy = &spec.pools["proxy"];
        assert_eq!((proxy.max_nodes, proxy.exclusive), (Some(1), true));
        assert_eq!(proxy.topic, "zeek.cluster.pool.proxy");
        assert_eq!(spec.pools["own"].topic, "own/");
        assert_eq!(spec.pools.len(), 4);
        assert_eq!(spec.manager_is_logger, Some(false));
        let words = words(&spec, &BTreeMap::new());
        let has = |key: &str, value: &str| words.contains(&(key.to_owned(), value.to_owned()));
        assert!(has("topics.worker", "zeek.cluster.worker"), "{words:?}");
        assert!(
            has(
                "pools.proxy",
                "zeek.cluster.pool.proxy, of type proxy, at most 1, exclusive"
            ),
            "{words:?}"
        );
        assert!(has("manager_is_logger", "no"));
    }

    #[test]
    fn pools_that_cannot_be_are_refused_at_their_place() {
        same(
            refused(&with(r#"pools: {"x": (max_nodes: 1)}"#)),
            r#"1:10|-|pools.x|whom the pool "x" is made of is not said|add node_type: Worker, Proxy or Logger"#,
        );
        same(
            refused(&with(r#"pools: {"x": (node_type: Manager)}"#)),
            r#"1:16|-|pools.x.node_type|the pool "x" wants nodes of type manager|pools are for workers, proxies and loggers"#,
        );
        same(
            refused(&with(r#"pools: {"proxy": (exclusive: true)}"#)),
            r#"1:20|-|pools.proxy.exclusive|the pool "proxy" is exclusive|say with max_nodes how many nodes it takes"#,
        );
        same(
            refused(&with(
                r#"pools: {"proxy": (exclusive: true, max_nodes: 3)}"#,
            )),
            "1:2|-|pools|the exclusive pools need 3 nodes of type proxy, and there are 2|lower their max_nodes, or add nodes",
        );
        let many: String = (0..62)
            .map(|n| format!("\"n{n}x\": (node_type: Worker),"))
            .collect();
        same(
            refused(&with(&format!("pools: {{{many}}}"))),
            "1:2|-|pools|there are 65 pools, at most 64 are possible|every node keeps all of them; let some share a pool",
        );
    }

    #[test]
    fn topics_that_reach_nobody_or_too_many_are_told() {
        same(
            refused(&with(r#"topics: (log_prefix: "")"#)),
            "1:11|-|topics.log_prefix|the topic is empty|write at least one character; every topic begins with nothing",
        );
        let long = "x".repeat(NAMED_BYTES_MAX);
        let refused = refused(&with(&format!("worker_topic: \"{long}\"")));
        assert!(
            refused.contains("|topics|topics and pools have names of"),
            "{refused}"
        );
        let warned = |words: &str| only(&on(&with(words), &Machine::default()).unwrap().1);
        same(
            warned(r#"topics: (worker: "zeek/cluster/proxy-2")"#),
            r#"1:11|-|topics.worker|its topic "zeek/cluster/proxy-2" begins with that of topics.proxy, who will get what is published on it|let no topic begin with another one"#,
        );
        same(
            warned(r#"topics: (worker: "same", proxy: "same")"#),
            r#"1:11|-|topics.worker|its topic "same" begins with that of topics.proxy, who will get what is published on it|let no topic begin with another one"#,
        );
    }
}

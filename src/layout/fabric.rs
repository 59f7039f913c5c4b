//! What a layout says of the fabric: sizes of rings, times, policies.

use std::collections::BTreeSet;
use std::time::Duration;

use super::context::Context;
use super::raw::{RawEnd, RawFabric, RawFull, RawTransport, RawWait};
use super::values::{Period, Size};
use crate::fabric::{End, FabricSpec, LinkPolicy, Policy, Transport, Wait};
use crate::names::NodeName;

/// Smaller rings cost as much: a page is the least there is.
const RING_BYTES_MIN: u64 = 4 << 10;
/// Larger ones cannot be made.
const RING_BYTES_MAX: u64 = 1 << 30;

/// The bounds of `record_bytes_max`. Above the upper one no ring would take a record with its header.
const RECORD_BYTES_MIN: u64 = 1 << 10;
const RECORD_BYTES_MAX: u64 = 512 << 20;

/// All topics that are named, in bytes: what the fabric is travels in one packet.
const TOPIC_BYTES_MAX: usize = 16 << 10;

/// Entries of `waits`, or of `policies`.
const ENTRIES_MAX: usize = 256;

/// What spins longer than this is meant to be `Busy`.
const SPIN_MAX: Duration = Duration::from_secs(1);

/// The layout's words over the defaults.
pub(super) fn read(raw: &RawFabric, ctx: &mut Context<'_>) -> FabricSpec {
    let default = FabricSpec::default();
    let policies = raw.policies.iter();
    let spec = FabricSpec {
        control_bytes: ring(raw.control, "control", default.control_bytes, ctx),
        bulk_bytes: ring(raw.bulk, "bulk", default.bulk_bytes, ctx),
        record_bytes_max: record(raw.record_bytes_max, default.record_bytes_max, ctx),
        ring_wait: raw.ring_wait.map_or(default.ring_wait, |p| p.0),
        block: raw.block.map_or(default.block, |p| p.0),
        wait: raw.wait.map_or(default.wait, wait),
        waits: raw
            .waits
            .iter()
            .filter_map(|entry| Some((end(&entry.node, "waits", ctx)?, wait(entry.wait))))
            .collect(),
        transport: match raw.transport {
            None | Some(RawTransport::Ring) => Transport::Ring,
            Some(RawTransport::Unix) => Transport::Unix,
        },
        control_topics: raw.control_topics.clone().unwrap_or(default.control_topics),
        policies: policies
            .map(|entry| LinkPolicy {
                topic: entry.topic.clone(),
                from: entry
                    .from
                    .as_ref()
                    .and_then(|raw| end(raw, "policies", ctx)),
                to: entry.to.as_ref().and_then(|raw| end(raw, "policies", ctx)),
                policy: policy(entry.policy),
            })
            .collect(),
    };
    check(&spec, ctx);
    spec
}

fn wait(raw: RawWait) -> Wait {
    match raw {
        RawWait::Block => Wait::Block,
        RawWait::Spin(Period(time)) => Wait::Spin(time),
        RawWait::Busy => Wait::Busy,
    }
}

/// A node that the layout does not name may attach under that name. `None` comes with an error.
fn end(raw: &RawEnd, key: &str, ctx: &mut Context<'_>) -> Option<End> {
    match raw {
        RawEnd::Type(role) => Some(End::Type((*role).into())),
        RawEnd::Node(name) => match NodeName::parse(name) {
            Ok(name) => Some(End::Node(name)),
            Err(error) => {
                let message = format!("no node has such a name: {error}");
                let hint = "write Node(\"worker-1\"), or Type(Worker) for all of a type";
                ctx.report.error(&["fabric", key], message, hint);
                None
            }
        },
    }
}

fn policy(raw: RawFull) -> Policy {
    match raw {
        RawFull::DropNewest => Policy::DropNewest,
        RawFull::DropOldest => Policy::DropOldest,
        RawFull::Disconnect => Policy::Disconnect,
        RawFull::Block(Period(time)) => Policy::Block(time),
    }
}

fn ring(size: Option<Size>, key: &str, default: u32, ctx: &mut Context<'_>) -> u32 {
    let Some(Size(bytes)) = size else {
        return default;
    };
    let fits = bytes.is_power_of_two() && (RING_BYTES_MIN..=RING_BYTES_MAX).contains(&bytes);
    match u32::try_from(bytes).ok().filter(|_| fits) {
        Some(bytes) => bytes,
        None => {
            let message = format!("a ring cannot have {bytes} bytes");
            let hint = "write a power of two from \"4KiB\" to \"1GiB\", as in \"64KiB\"";
            ctx.report.error(&["fabric", key], message, hint);
            default
        }
    }
}

fn record(size: Option<Size>, default: u32, ctx: &mut Context<'_>) -> u32 {
    let Some(Size(bytes)) = size else {
        return default;
    };
    let fits = (RECORD_BYTES_MIN..=RECORD_BYTES_MAX).contains(&bytes);
    match u32::try_from(bytes).ok().filter(|_| fits) {
        Some(bytes) => bytes,
        None => {
            let message = format!("a record of {bytes} bytes cannot be the largest");
            let hint = "write a size from \"1KiB\" to \"512MiB\"";
            let path = ["fabric", "record_bytes_max"];
            ctx.report.error(&path, message, hint);
            default
        }
    }
}

fn check(spec: &FabricSpec, ctx: &mut Context<'_>) {
    let waits = spec.waits.iter().map(|(_, wait)| ("waits", *wait));
    for (key, wait) in std::iter::once(("wait", spec.wait)).chain(waits) {
        if matches!(wait, Wait::Spin(time) if time > SPIN_MAX) {
            let hint = "write \"1s\" or less, as in Spin(\"50us\"), or use Busy";
            let message = "so long a spin hardly ever ends in sleep";
            ctx.report.error(&["fabric", key], message, hint);
        }
    }
    let entries = spec.policies.len().max(spec.waits.len());
    if entries > ENTRIES_MAX {
        let message = format!(
            "it says {entries} things of single links or nodes, at most {ENTRIES_MAX} are possible"
        );
        let hint = "every publish to a new topic looks at all of them; name types instead of nodes";
        ctx.report.error(&["fabric"], message, hint);
    }
    let topics = spec.policies.iter().map(|policy| &policy.topic);
    let bytes: usize = topics.chain(&spec.control_topics).map(String::len).sum();
    if bytes > TOPIC_BYTES_MAX {
        let message =
            format!("its topics have {bytes} bytes, at most {TOPIC_BYTES_MAX} are possible");
        let hint = "every node is told of all of them at its birth; use shorter prefixes";
        ctx.report.error(&["fabric"], message, hint);
    }
    if let Some(entry) = spec.beyond(spec.transport) {
        let topic = &entry.topic;
        let message =
            format!("the topic \"{topic}\" is to drop its oldest records, which no ring can");
        let hint = "the oldest records in a ring are its reader's already; \
                    write transport: Unix, or use DropNewest";
        ctx.report.error(&["fabric", "policies"], message, hint);
    }
    let mut links = BTreeSet::new();
    let mut policies = spec.policies.iter();
    let twice = policies.find(|entry| !links.insert((&entry.topic, &entry.from, &entry.to)));
    if let Some(entry) = twice {
        let message = format!("{} has two policies", subject(entry));
        let hint = "keep one of them";
        ctx.report.error(&["fabric", "policies"], message, hint);
    }
}

/// What an entry speaks of.
fn subject(entry: &LinkPolicy) -> String {
    let topic = match entry.topic.as_str() {
        "" => "every topic".to_owned(),
        topic => format!("the topic {topic:?}"),
    };
    let end = |word, end: &Option<End>| {
        let end = end.as_ref();
        end.map_or_else(String::new, |end| format!(" {word} {end}"))
    };
    format!(
        "{topic}{}{}",
        end("from", &entry.from),
        end("to", &entry.to)
    )
}

/// The words of `check`: what holds, under the layout's names.
pub(super) fn words(spec: &FabricSpec) -> Vec<(&'static str, String)> {
    let time = |time: Duration| humantime::format_duration(time).to_string();
    let bytes = |bytes: u32| format!("{bytes} bytes");
    let wait = |wait| match wait {
        Wait::Block => "block".to_owned(),
        Wait::Spin(period) => format!("spin {}", time(period)),
        Wait::Busy => "busy".to_owned(),
    };
    let full = |policy: &Policy| match policy {
        Policy::DropNewest => "drop newest".to_owned(),
        Policy::DropOldest => "drop oldest".to_owned(),
        Policy::Disconnect => "disconnect".to_owned(),
        Policy::Block(period) => format!("block {}", time(*period)),
    };
    let mut words = vec![
        ("fabric.control", bytes(spec.control_bytes)),
        ("fabric.bulk", bytes(spec.bulk_bytes)),
        ("fabric.record_bytes_max", bytes(spec.record_bytes_max)),
        ("fabric.ring_wait", time(spec.ring_wait)),
        ("fabric.block", time(spec.block)),
        ("fabric.wait", wait(spec.wait)),
        ("fabric.transport", spec.transport.word().to_owned()),
        ("fabric.control_topics", spec.control_topics.join(" ")),
    ];
    let policies = spec.policies.iter();
    words.extend(policies.map(|entry| {
        let policy = full(&entry.policy);
        ("fabric.policies", format!("{}: {policy}", subject(entry)))
    }));
    let waits = spec.waits.iter();
    words.extend(waits.map(|(end, own)| ("fabric.waits", format!("{end}: {}", wait(*own)))));
    words
}

#[cfg(test)]
mod tests {
    use super::super::sample::{layout, refused, same};
    use super::*;
    use crate::layout::spec::Role;

    fn with(fabric: &str) -> String {
        format!("(fabric: ({fabric}),\nnodes: {{\"m\": (node_type: Manager)}})")
    }

    #[test]
    fn what_is_not_said_is_as_everywhere_and_what_is_said_holds() {
        let spec = |words: &str| layout(&with(words)).settings.fabric;
        assert_eq!(spec(""), FabricSpec::default());
        let said = spec(
            r#"control: "64KiB", bulk: "1MiB", record_bytes_max: "2MiB", ring_wait: "5s",
            block: "100ms", wait: Spin("50us"), transport: Unix,
            waits: [(node: Type(Worker), wait: Busy), (node: Node("m"), wait: Block)], control_topics: ["a/"],
            policies: [(topic: "b/", policy: Disconnect), (topic: "c", policy: Block("1s")),
                (topic: "d", from: Node("w-1"), to: Type(Logger), policy: DropOldest)]"#,
        );
        let expected = FabricSpec {
            control_bytes: 64 << 10,
            bulk_bytes: 1 << 20,
            record_bytes_max: 2 << 20,
            ring_wait: Duration::from_secs(5),
            block: Duration::from_millis(100),
            wait: Wait::Spin(Duration::from_micros(50)),
            waits: vec![
                (End::Type(Role::Worker), Wait::Busy),
                (End::Node(NodeName::parse("m").unwrap()), Wait::Block),
            ],
            transport: Transport::Unix,
            control_topics: vec!["a/".to_owned()],
            policies: vec![
                LinkPolicy::of_topic("b/", Policy::Disconnect),
                LinkPolicy::of_topic("c", Policy::Block(Duration::from_secs(1))),
                LinkPolicy {
                    from: Some(End::Node(NodeName::parse("w-1").unwrap())),
                    to: Some(End::Type(Role::Logger)),
                    ..LinkPolicy::of_topic("d", Policy::DropOldest)
                },
            ],
        };
        assert_eq!(said, expected);
        assert_eq!(spec("wait: Busy").wait, Wait::Busy);
        assert_eq!(spec("transport: Ring").transport, Transport::Ring);
        let words = words(&said);
        assert!(words.contains(&("fabric.wait", "spin 50us".to_owned())));
        assert!(words.contains(&("fabric.transport", "unix".to_owned())));
        assert!(words.contains(&("fabric.waits", "every worker: busy".to_owned())));
        let oldest = "the topic \"d\" from w-1 to every logger: drop oldest";
        assert!(words.contains(&("fabric.policies", oldest.to_owned())));
        assert!(words.contains(&("fabric.policies", "the topic \"c\": block 1s".to_owned())));
    }

    #[test]
    fn a_group_may_attach_if_there_is_one() {
        let group =
            |name: &str| format!("(socket_group: {name}, nodes: {{\"m\": (node_type: Manager)}})");
        for name in ["\"watch\"", "1000"] {
            assert_eq!(layout(&group(name)).settings.socket_group, Some(1000));
        }
        same(
            refused(&group("\"nobodys\"")),
            r#"1:2|-|socket_group|there is no group "nobodys"|make the group, or name another"#,
        );
    }

    #[test]
    fn what_no_ring_can_be_is_refused_at_its_place() {
        same(
            refused(&with("control: \"33KiB\"")),
            r#"1:11|-|fabric.control|a ring cannot have 33792 bytes|write a power of two from "4KiB" to "1GiB", as in "64KiB""#,
        );
        same(
            refused(&with("bulk: \"unlimited\"")),
            r#"1:11|-|fabric.bulk|a ring cannot have 18446744073709551615 bytes|write a power of two from "4KiB" to "1GiB", as in "64KiB""#,
        );
        same(
            refused(&with("record_bytes_max: 1")),
            r#"1:11|-|fabric.record_bytes_max|a record of 1 bytes cannot be the largest|write a size from "1KiB" to "512MiB""#,
        );
        same(
            refused(&with("wait: Spin(\"2s\")")),
            r#"1:11|-|fabric.wait|so long a spin hardly ever ends in sleep|write "1s" or less, as in Spin("50us"), or use Busy"#,
        );
        same(
            refused(&with("waits: [(node: Type(Proxy), wait: Spin(\"2s\"))]")),
            r#"1:11|-|fabric.waits|so long a spin hardly ever ends in sleep|write "1s" or less, as in Spin("50us"), or use Busy"#,
        );
        same(
            refused(&with(
                "policies: [(topic: \"a\", policy: Disconnect), (topic: \"a\", policy: DropNewest)]",
            )),
            r#"1:11|-|fabric.policies|the topic "a" has two policies|keep one of them"#,
        );
        same(
            refused(&with("policies: [(topic: \"a\", policy: DropOldest)]")),
            r#"1:11|-|fabric.policies|the topic "a" is to drop its oldest records, which no ring can|the oldest records in a ring are its reader's already; write transport: Unix, or use DropNewest"#,
        );
        same(
            refused(&with("waits: [(node: Node(\"a b\"), wait: Busy)]")),
            r#"1:11|-|fabric.waits|no node has such a name: the name "a b" holds ' '; use letters, digits, '-', '_' and '.', beginning with a letter or digit|write Node("worker-1"), or Type(Worker) for all of a type"#,
        );
        let long = "x".repeat(TOPIC_BYTES_MAX + 1);
        same(
            refused(&with(&format!("control_topics: [\"{long}\"]"))),
            "1:2|-|fabric|its topics have 16385 bytes, at most 16384 are possible|every node is told of all of them at its birth; use shorter prefixes",
        );
        same(
            refused(&with("contol: 4096")),
            r#"1:11|-|fabric.contol|the key "contol" is not known here|did you mean "control"?"#,
        );
    }
}

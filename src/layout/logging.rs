//! What a layout says of logs.

use std::time::Duration;

use super::context::Context;
use super::raw::{RawForm, RawFsync, RawKeep, RawLayout, RawNames, RawTimes, RawTurn};
use super::values::{Period, PeriodOrOff, Size};
use crate::logging::json::Times;
use crate::logging::spec::{Form, Fsync, Keep, LogSpec, Names, Turn};

/// The most records of a batch. A writer holds that many back from a sleeping logger.
const BATCH_RECORDS_MAX: u32 = 1_000_000;

/// A file would hardly be open before it is rotated.
const ROTATE_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Smaller files are not rotated by size.
const ROTATE_BYTES_MIN: u64 = 4 << 10;

/// The layout's words over the defaults.
pub(super) fn read(layout: &RawLayout, ctx: &mut Context<'_>) -> LogSpec {
    let raw = &layout.logging;
    let default = LogSpec::default();
    let period = |period: Option<Period>, default| period.map_or(default, |p| p.0);
    let spec = LogSpec {
        round_robin: one_of(
            ("round_robin", raw.round_robin),
            (
                "enable_round_robin_logging",
                layout.enable_round_robin_logging,
            ),
            ctx,
        )
        .unwrap_or(default.round_robin),
        per: raw.per.map_or(default.per, |per| match per {
            RawTurn::Record => Turn::Record,
            RawTurn::Batch => Turn::Batch,
        }),
        batch_records: raw.batch_records.unwrap_or(default.batch_records),
        batch_interval: period(raw.batch_interval, default.batch_interval),
        format: raw.format.map_or(default.format, |form| match form {
            RawForm::Tsv => Form::Tsv,
            RawForm::Json => Form::Json,
        }),
        json_timestamps: raw
            .json_timestamps
            .map_or(default.json_timestamps, |times| match times {
                RawTimes::Epoch => Times::Epoch,
                RawTimes::Millis => Times::Millis,
                RawTimes::Iso8601 => Times::Iso8601,
            }),
        rotate_interval: or_off(raw.rotate_interval),
        rotate_bytes: bytes(raw.rotate_bytes),
        naming: raw.naming.map_or(default.naming, |naming| match naming {
            RawNames::Supervised => Names::Supervised,
            RawNames::Classic => Names::Classic,
        }),
        gzip: raw.gzip.unwrap_or(default.gzip),
        postprocess: raw.postprocess.clone().unwrap_or_default(),
        postprocess_timeout: period(raw.postprocess_timeout, default.postprocess_timeout),
        keep: keep(&raw.keep),
        fsync: raw.fsync.map_or(default.fsync, |fsync| match fsync {
            RawFsync::Never => Fsync::Never,
            RawFsync::Interval(Period(time)) => Fsync::Interval(time),
            RawFsync::Batch => Fsync::Batch,
        }),
        node_stats: or_off(raw.node_stats),
        silent_after: or_off(raw.silent_after),
    };
    check(&spec, ctx);
    spec
}

/// A word below `logging`, or the same under the seeds' name at the top.
pub(super) fn one_of<T>(
    below: (&str, Option<T>),
    top: (&str, Option<T>),
    ctx: &mut Context<'_>,
) -> Option<T> {
    if below.1.is_some() && top.1.is_some() {
        let message = format!("{} and logging.{} are both given", top.0, below.0);
        let hint = "they are the same; keep one of them";
        ctx.report.error(&[top.0], message, hint);
    }
    below.1.or(top.1)
}

fn or_off(word: Option<PeriodOrOff>) -> Option<Duration> {
    word.and_then(|word| word.0)
}

fn bytes(word: Option<Size>) -> Option<u64> {
    word.map(|size| size.0).filter(|bytes| *bytes < u64::MAX)
}

fn keep(raw: &RawKeep) -> Keep {
    Keep {
        age: or_off(raw.age),
        bytes: bytes(raw.bytes),
        free: bytes(raw.free),
    }
}

fn check(spec: &LogSpec, ctx: &mut Context<'_>) {
    if !(1..=BATCH_RECORDS_MAX).contains(&spec.batch_records) {
        let message = format!("a batch cannot have {} records", spec.batch_records);
        let hint = "write a number from 1 to 1000000";
        let path = ["logging", "batch_records"];
        ctx.report.error(&path, message, hint);
    }
    let never = |key, hint, ctx: &mut Context<'_>| {
        let message = "it cannot happen every 0 seconds";
        ctx.report.error(&["logging", key], message, hint);
    };
    if spec.postprocess_timeout.is_zero() {
        let hint = "write how long the command may take, as in \"1m\"";
        let message = "no command ends in 0 seconds";
        ctx.report
            .error(&["logging", "postprocess_timeout"], message, hint);
    }
    if spec.batch_interval.is_zero() {
        let hint = "write how long a record may wait, as in \"1s\", or batch_records: 1";
        never("batch_interval", hint, ctx);
    }
    if spec.fsync == Fsync::Interval(Duration::ZERO) {
        never(
            "fsync",
            "write Batch, or a time as in Interval(\"1s\")",
            ctx,
        );
    }
    if spec.node_stats.is_some_and(|time| time.is_zero()) {
        never("node_stats", "write \"off\", or a time as in \"10s\"", ctx);
    }
    if spec.silent_after.is_some_and(|time| time.is_zero()) {
        never("silent_after", "write \"off\", or a time as in \"5m\"", ctx);
    }
    if spec
        .rotate_interval
        .is_some_and(|time| time < ROTATE_INTERVAL_MIN)
    {
        let hint = "write \"1s\" or more, as in \"1h\", or \"off\"";
        let message = "files cannot be rotated so often";
        ctx.report
            .error(&["logging", "rotate_interval"], message, hint);
    }
    if spec
        .rotate_bytes
        .is_some_and(|bytes| bytes < ROTATE_BYTES_MIN)
    {
        let hint = "write \"4KiB\" or more, as in \"1GiB\", or \"unlimited\"";
        let message = "files so small cannot be rotated";
        ctx.report
            .error(&["logging", "rotate_bytes"], message, hint);
    }
    if spec.postprocess.first().is_some_and(String::is_empty) {
        let hint = "write the program first, as in [\"/usr/bin/archive\", \"--move\"]";
        let message = "the command has no program";
        ctx.report.error(&["logging", "postprocess"], message, hint);
    }
}

/// The words of `check`: what holds, under the layout's names.
pub(super) fn words(spec: &LogSpec) -> Vec<(&'static str, String)> {
    let time = |time: Duration| humantime::format_duration(time).to_string();
    let or_off = |period: Option<Duration>| period.map_or_else(|| "off".to_owned(), time);
    let yes = |is| if is { "yes" } else { "no" }.to_owned();
    vec![
        ("logging.round_robin", yes(spec.round_robin)),
        (
            "logging.per",
            match spec.per {
                Turn::Record => "record",
                Turn::Batch => "batch",
            }
            .to_owned(),
        ),
        ("logging.batch_records", spec.batch_records.to_string()),
        ("logging.batch_interval", time(spec.batch_interval)),
        (
            "logging.format",
            match (spec.format, spec.json_timestamps) {
                (Form::Tsv, _) => "tsv",
                (Form::Json, Times::Epoch) => "json, times in seconds",
                (Form::Json, Times::Millis) => "json, times in milliseconds",
                (Form::Json, Times::Iso8601) => "json, times as dates",
            }
            .to_owned(),
        ),
        ("logging.rotate_interval", or_off(spec.rotate_interval)),
        (
            "logging.rotate_bytes",
            spec.rotate_bytes
                .map_or_else(|| "unlimited".to_owned(), |bytes| format!("{bytes} bytes")),
        ),
        (
            "logging.naming",
            match spec.naming {
                Names::Supervised => "supervised",
                Names::Classic => "classic",
            }
            .to_owned(),
        ),
        ("logging.gzip", yes(spec.gzip)),
        ("logging.postprocess", processed(spec)),
        ("logging.keep", kept(&spec.keep)),
        ("logging.silent_after", or_off(spec.silent_after)),
        ("logging.node_stats", or_off(spec.node_stats)),
        (
            "logging.fsync",
            match spec.fsync {
                Fsync::Never => "never".to_owned(),
                Fsync::Interval(interval) => format!("every {}", time(interval)),
                Fsync::Batch => "batch".to_owned(),
            },
        ),
    ]
}

/// The command for rotated files.
fn processed(spec: &LogSpec) -> String {
    let timeout = humantime::format_duration(spec.postprocess_timeout);
    match spec.postprocess.is_empty() {
        true => "none".to_owned(),
        false => format!("{:?}, killed after {timeout}", spec.postprocess),
    }
}

/// The bounds of what is kept.
fn kept(keep: &Keep) -> String {
    let age = keep
        .age
        .map(|age| format!("{} long", humantime::format_duration(age)));
    let bytes = keep.bytes.map(|bytes| format!("{bytes} bytes at most"));
    let free = keep.free.map(|free| format!("{free} bytes free"));
    let bounds: Vec<String> = [age, bytes, free].into_iter().flatten().collect();
    match bounds.is_empty() {
        true => "all".to_owned(),
        false => bounds.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{layout, refused, same};
    use super::*;

    fn with(logging: &str) -> String {
        format!("(logging: ({logging}),\nnodes: {{\"m\": (node_type: Manager)}})")
    }

    fn spec(words: &str) -> LogSpec {
        layout(&with(words)).settings.logging
    }

    #[test]
    fn what_is_not_said_is_as_upstream_and_what_is_said_holds() {
        assert_eq!(spec(""), LogSpec::default());
        let said = spec(
            r#"round_robin: false, per: Batch, batch_records: 400, batch_interval: "2s", format: Json,
            json_timestamps: Iso8601, rotate_interval: "1h", rotate_bytes: "1GiB", naming: Classic,
            gzip: true, postprocess: ["archive", "-v"],
            postprocess_timeout: "5s", fsync: Interval("1s"), node_stats: "10s",
            keep: (age: "30d", bytes: "1TiB", free: "1GiB"), silent_after: "5m""#,
        );
        let expected = LogSpec {
            round_robin: false,
            per: Turn::Batch,
            batch_records: 400,
            batch_interval: Duration::from_secs(2),
            format: Form::Json,
            json_timestamps: Times::Iso8601,
            rotate_interval: Some(Duration::from_secs(3600)),
            rotate_bytes: Some(1 << 30),
            naming: Names::Classic,
            gzip: true,
            postprocess: vec!["archive".to_owned(), "-v".to_owned()],
            postprocess_timeout: Duration::from_secs(5),
            keep: Keep {
                age: Some(Duration::from_secs(30 * 24 * 3600)),
                bytes: Some(1 << 40),
                free: Some(1 << 30),
            },
            fsync: Fsync::Interval(Duration::from_secs(1)),
            node_stats: Some(Duration::from_secs(10)),
            silent_after: Some(Duration::from_secs(300)),
        };
        assert_eq!(said, expected);
        let words = words(&said);
        let has = |key, value: &str| words.contains(&(key, value.to_owned()));
        assert!(has("logging.format", "json, times as dates"), "{words:?}");
        assert!(has("logging.fsync", "every 1s"), "{words:?}");
        assert!(has("logging.rotate_bytes", "1073741824 bytes"), "{words:?}");
        let off = r#"rotate_interval: "off", rotate_bytes: "unlimited", node_stats: "off""#;
        assert_eq!(spec(off), LogSpec::default());
    }

    #[test]
    fn the_seeds_names_at_the_top_mean_the_same() {
        let nodes = r#"nodes: {"m": (node_type: Manager)}"#;
        let top = format!("(enable_round_robin_logging: false, {nodes})");
        assert_eq!(layout(&top).settings.logging, spec("round_robin: false"));
        let below = layout(&with("manager_is_logger: false")).settings;
        assert_eq!(below.framework.manager_is_logger, Some(false));
        same(
            refused(&format!(
                "(logging: (round_robin: true), enable_round_robin_logging: true, {nodes})"
            )),
            "1:32|-|enable_round_robin_logging|enable_round_robin_logging and logging.round_robin are both given|they are the same; keep one of them",
        );
    }

    #[test]
    fn what_cannot_be_is_refused_at_its_place() {
        for (words, expected) in [
            (
                "batch_records: 0",
                "batch_records|a batch cannot have 0 records|write a number from 1 to 1000000",
            ),
            (
                "batch_interval: \"0s\"",
                "batch_interval|it cannot happen every 0 seconds|write how long a record may wait, as in \"1s\", or batch_records: 1",
            ),
            (
                "rotate_interval: \"10ms\"",
                "rotate_interval|files cannot be rotated so often|write \"1s\" or more, as in \"1h\", or \"off\"",
            ),
            (
                "rotate_bytes: 1",
                "rotate_bytes|files so small cannot be rotated|write \"4KiB\" or more, as in \"1GiB\", or \"unlimited\"",
            ),
            (
                "fsync: Interval(\"0s\")",
                "fsync|it cannot happen every 0 seconds|write Batch, or a time as in Interval(\"1s\")",
            ),
            (
                "node_stats: \"0s\"",
                "node_stats|it cannot happen every 0 seconds|write \"off\", or a time as in \"10s\"",
            ),
            (
                "silent_after: \"0s\"",
                "silent_after|it cannot happen every 0 seconds|write \"off\", or a time as in \"5m\"",
            ),
            (
                "postprocess_timeout: \"0s\"",
                "postprocess_timeout|no command ends in 0 seconds|write how long the command may take, as in \"1m\"",
            ),
            (
                "postprocess: [\"\"]",
                "postprocess|the command has no program|write the program first, as in [\"/usr/bin/archive\", \"--move\"]",
            ),
        ] {
            same(refused(&with(words)), &format!("1:12|-|logging.{expected}"));
        }
    }
}

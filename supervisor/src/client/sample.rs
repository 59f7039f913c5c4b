//! Answers that tests start from.

use cluster::control::SCHEMA;
use cluster::control::reply::{
    ClusterState, InstanceStatus, LogLine, NodeResult, NodeStatus, StatusReply, Stream,
};
use serde::de::DeserializeOwned;

pub(crate) fn status() -> StatusReply {
    StatusReply {
        schema: SCHEMA,
        ok: true,
        generation: 7,
        cluster: ClusterState::Ready,
        instance: InstanceStatus {
            name: "here".to_owned(),
            pid: 811,
            stem_pid: Some(812),
            uptime_s: 93,
            version: "0.1.0".to_owned(),
            layout: "/etc/site.ron".to_owned(),
            run_dir: "/srv/run".to_owned(),
            console_lines_lost: 0,
        },
        layout_changed: false,
        nodes: vec![node("worker-1", "ready", "ready")],
    }
}

pub(crate) fn node(name: &str, state: &str, wanted: &str) -> NodeStatus {
    NodeStatus {
        name: name.to_owned(),
        role: "worker".to_owned(),
        state: word(state),
        wanted: word(wanted),
        reason: None,
        pid: None,
        incarnation: 1,
        stage: 3,
        started_at: None,
        ready_at: None,
        restarts: 0,
        next_attempt_in_ms: None,
        last_exit: None,
        cpu_pct: None,
        rss_bytes: None,
        queue: None,
        drops: None,
        output_lost_bytes: 0,
        status_text: None,
        in_layout: true,
    }
}

/// What a reply has this word for.
fn word<T: DeserializeOwned>(word: &str) -> T {
    serde_json::from_value(word.into()).unwrap()
}

pub(crate) fn result(ok: bool) -> NodeResult {
    NodeResult {
        node: "worker-1".to_owned(),
        ok,
        state: word(if ok { "ready" } else { "failed" }),
        pid: ok.then_some(123),
        error: (!ok).then(|| "it did not become ready".to_owned()),
        last_lines: Vec::new(),
    }
}

pub(crate) fn line(stream: Stream, text: &str) -> LogLine {
    LogLine {
        at: "2026-01-01T00:00:01.250Z".to_owned(),
        node: "worker-1".to_owned(),
        stream,
        text: text.to_owned(),
    }
}

//! `diag`: everything about a node in one piece, to be read or sent on.

use std::time::SystemTime;

use cluster::control::reply::{DiagReply, NodeDiag, NodeStatus};

use super::{description, figures, lines, status};
use crate::client::out::{Paint, Tone, clean};

/// The whole answer, one part a node.
pub(crate) fn text(reply: &DiagReply, now: SystemTime, paint: Paint) -> String {
    let parts: Vec<String> = reply.nodes.iter().map(|n| node(n, now, paint)).collect();
    parts.join("\n")
}

fn node(diag: &NodeDiag, now: SystemTime, paint: Paint) -> String {
    let mut text = heading(&format!("==== {} ====", clean(&diag.status.name)), paint);
    for (what, value) in facts(&diag.status, now) {
        text.push_str(&format!("{what:<12} {value}\n"));
    }
    text.push_str(&heading("---- description ----", paint));
    text.push_str(&description::text(&diag.spec));
    section(
        &mut text,
        "history",
        diag.history.iter().map(|e| lines::event(e, Paint(false))),
        paint,
    );
    section(
        &mut text,
        "last lines of output",
        diag.last_lines.iter().map(|line| {
            let at = clean(&line.at);
            format!("{at} {}", lines::indented(line).trim_start())
        }),
        paint,
    );
    section(
        &mut text,
        "crash reports",
        diag.crashes.iter().map(|path| format!("{}\n", clean(path))),
        paint,
    );
    text
}

fn heading(text: &str, paint: Paint) -> String {
    format!("{}\n", paint.tone(Tone::Strong, text))
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>, paint: Paint) {
    text.push_str(&heading(&format!("---- {title} ----"), paint));
    let before = text.len();
    text.extend(lines);
    if text.len() == before {
        text.push_str("none\n");
    }
}

/// Pairs of word and value; what is not known is left out here, where it has no column to fill.
fn facts(node: &NodeStatus, now: SystemTime) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("role", clean(&node.role)),
        (
            "state",
            format!("{} (wanted: {})", node.state.word(), node.wanted.word()),
        ),
        ("stage", node.stage.to_string()),
        (
            "incarnation",
            format!("{}, {} restarts", node.incarnation, node.restarts),
        ),
    ];
    let uptime = status::uptime(node, now).map(figures::span);
    let exit = node.last_exit.as_ref().map(|exit| {
        let asked = if exit.asked { ", asked for" } else { "" };
        format!("{}{asked}", figures::exit(exit, now))
    });
    let optional = [
        ("reason", node.reason.clone()),
        ("pid", node.pid.map(|pid| pid.to_string())),
        ("started", node.started_at.clone()),
        ("ready", node.ready_at.clone()),
        ("uptime", uptime),
        (
            "next start",
            node.next_attempt_in_ms
                .map(|wait| format!("in {}", figures::wait(wait))),
        ),
        ("last exit", exit),
        ("cpu", node.cpu_pct.map(|cpu| format!("{cpu:.1}%"))),
        ("rss", node.rss_bytes.map(figures::bytes)),
        ("queue", node.queue.map(|queue| queue.to_string())),
        ("drops", node.drops.map(|drops| drops.to_string())),
        ("says", node.status_text.clone()),
    ];
    let known = optional
        .into_iter()
        .filter_map(|(what, value)| Some((what, clean(&value?))));
    facts.extend(known);
    if node.output_lost_bytes > 0 {
        facts.push(("output lost", figures::bytes(node.output_lost_bytes)));
    }
    if !node.in_layout {
        facts.push(("in layout", "no".to_owned()));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::sample;
    use cluster::control::reply::{Event, LastExit, Stream};
    use std::time::UNIX_EPOCH;

    #[test]
    fn a_node_is_told_in_sections() {
        let mut about = sample::node("worker-1", "failed", "ready");
        about.reason = Some("too many deaths".to_owned());
        about.restarts = 9;
        about.last_exit = Some(LastExit {
            kind: "exit".to_owned(),
            code: Some(3),
            signal: None,
            core: false,
            asked: false,
            at: "1970-01-01T00:00:00Z".to_owned(),
        });
        let reply = DiagReply {
            schema: 1,
            ok: true,
            nodes: vec![NodeDiag {
                status: about,
                spec: serde_json::json!({"name": "worker-1", "stage": 40, "nice": 5}),
                history: vec![Event {
                    seq: 4,
                    at: "1970-01-01T00:00:00Z".to_owned(),
                    kind: "node_failed".to_owned(),
                    node: Some("worker-1".to_owned()),
                    detail: std::collections::BTreeMap::new(),
                }],
                last_lines: vec![sample::line(Stream::Err, "no device")],
                crashes: vec![],
            }],
        };
        let now = UNIX_EPOCH + std::time::Duration::from_secs(60);
        assert_eq!(
            text(&reply, now, Paint(false)),
            "\
==== worker-1 ====
role         worker
state        failed (wanted: ready)
stage        3
incarnation  1, 9 restarts
reason       too many deaths
last exit    exit 3 1m ago
---- description ----
nice  5
---- history ----
4 1970-01-01T00:00:00Z node_failed worker-1
---- last lines of output ----
2026-01-01T00:00:01.250Z err | no device
---- crash reports ----
none
"
        );
    }
}

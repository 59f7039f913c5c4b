//! `status`: a line about the cluster, then one for each node.

use std::time::{Duration, SystemTime};

use cluster::control::reply::{ClusterState, NodeState, NodeStatus, StatusReply};
use cluster::supervise::child::State;

use super::figures::{self, or_unknown};
use super::table::{self, Align, Cell, Row};
use crate::client::exit::as_wanted;
use crate::client::out::{Paint, Tone, clean};

const COLUMNS: [(&str, Align); 11] = [
    ("NAME", Align::Left),
    ("ROLE", Align::Left),
    ("STATE", Align::Left),
    ("PID", Align::Right),
    ("UPTIME", Align::Right),
    ("RESTARTS", Align::Right),
    ("LAST-EXIT", Align::Left),
    ("CPU", Align::Right),
    ("RSS", Align::Right),
    ("QUEUE", Align::Right),
    ("DROPS", Align::Right),
];

/// Which nodes were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All.
    All,
    /// Those that selectors choose.
    Selected,
}

impl Asked {
    /// What the selectors of a command line ask for.
    pub(crate) fn by(select: &[String]) -> Self {
        if select.iter().all(|word| word == "@all") {
            Self::All
        } else {
            Self::Selected
        }
    }
}

/// The whole answer.
pub(crate) fn text(reply: &StatusReply, asked: Asked, now: SystemTime, paint: Paint) -> String {
    let mut text = head(reply, paint);
    text.push_str(&count(&reply.nodes, asked));
    for notice in notices(reply) {
        text.push_str(&paint.tone(Tone::Doubtful, &notice));
        text.push('\n');
    }
    if reply.nodes.is_empty() {
        return text;
    }
    let rows: Vec<Row> = reply.nodes.iter().map(|node| row(node, now)).collect();
    text.push('\n');
    text.push_str(&table::text(&COLUMNS, &rows, paint));
    text
}

fn head(reply: &StatusReply, paint: Paint) -> String {
    let (word, tone) = match reply.cluster {
        ClusterState::Starting => ("starting", Tone::Doubtful),
        ClusterState::Ready => ("ready", Tone::Good),
        ClusterState::Degraded => ("degraded", Tone::Doubtful),
        ClusterState::Broken => ("broken", Tone::Bad),
        ClusterState::Stopping => ("stopping", Tone::Doubtful),
    };
    let instance = &reply.instance;
    format!(
        "cluster {}, generation {}; instance {}, pid {}, up {}\n",
        paint.tone(tone, word),
        reply.generation,
        clean(&instance.name),
        instance.pid,
        figures::span(Duration::from_secs(instance.uptime_s)),
    )
}

/// How many of the nodes below are ready. The head speaks of the whole cluster, this does not.
fn count(nodes: &[NodeStatus], asked: Asked) -> String {
    let (noun, nobody) = match asked {
        Asked::All => ("nodes", "there are no nodes"),
        Asked::Selected => ("selected nodes", "no node matches"),
    };
    if nodes.is_empty() {
        return format!("{nobody}\n");
    }
    let wanted = nodes.iter().filter(|node| node.wanted == State::Ready);
    let ready = wanted.clone().filter(|node| as_wanted(node)).count();
    let wanted = wanted.count();
    match nodes.len() - wanted {
        0 => format!("{ready} of {wanted} {noun} ready\n"),
        others => format!("{ready} of {wanted} {noun} ready, {others} not wanted\n"),
    }
}

fn notices(reply: &StatusReply) -> Vec<String> {
    let mut notices = Vec::new();
    let instance = &reply.instance;
    if reply.layout_changed {
        let layout = clean(&instance.layout);
        notices.push(format!(
            "layout changed on disk, not deployed: run supervisor deploy {layout}"
        ));
    }
    if instance.stem_pid.is_none() {
        notices.push("the stem is being revived: no node is born meanwhile".to_owned());
    }
    if instance.console_lines_lost > 0 {
        let lost = instance.console_lines_lost;
        notices.push(format!(
            "the supervisor's console did not take {lost} lines of output in time"
        ));
    }
    notices
}

/// The colour of a node's state.
pub(crate) fn tone(node: &NodeStatus) -> Tone {
    match node.state {
        NodeState::Is(State::Failed) | NodeState::Orphaned => Tone::Bad,
        NodeState::Is(State::Stopped) if as_wanted(node) => Tone::Faint,
        NodeState::Is(_) if as_wanted(node) => Tone::Good,
        NodeState::Is(_) | NodeState::Degraded | NodeState::Destroyed => Tone::Doubtful,
    }
}

/// How long the node's process has been running.
pub(crate) fn uptime(node: &NodeStatus, now: SystemTime) -> Option<Duration> {
    node.pid?;
    figures::since(node.started_at.as_deref()?, now)
}

fn row(node: &NodeStatus, now: SystemTime) -> Row {
    let exit = node.last_exit.as_ref();
    Row {
        cells: vec![
            Cell::plain(clean(&node.name)),
            Cell::plain(clean(&node.role)),
            Cell::toned(node.state.word(), tone(node)),
            Cell::plain(or_unknown(node.pid)),
            Cell::plain(or_unknown(uptime(node, now).map(figures::span))),
            Cell::plain(node.restarts.to_string()),
            Cell::plain(or_unknown(
                exit.map(|exit| clean(&figures::exit(exit, now))),
            )),
            Cell::plain(or_unknown(node.cpu_pct.map(|cpu| format!("{cpu:.1}%")))),
            Cell::plain(or_unknown(node.rss_bytes.map(figures::bytes))),
            Cell::plain(or_unknown(node.queue)),
            Cell::plain(or_unknown(node.drops)),
        ],
        notes: notes(node),
    }
}

fn notes(node: &NodeStatus) -> Vec<String> {
    let mut notes = Vec::new();
    let known = node.last_exit.as_ref().map(figures::ending);
    if let Some(reason) = node.reason.as_ref().filter(|r| Some(*r) != known.as_ref()) {
        notes.push(clean(reason));
    }
    if let Some(wait) = node.next_attempt_in_ms {
        notes.push(format!("next start in {}", figures::wait(wait)));
    }
    if let Some(said) = &node.status_text {
        notes.push(format!("says: {}", clean(said)));
    }
    if !node.in_layout {
        notes.push("not in the layout".to_owned());
    }
    if node.output_lost_bytes > 0 {
        let lost = figures::bytes(node.output_lost_bytes);
        notes.push(format!("{lost} of its output could not be written"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::sample;
    use cluster::control::reply::LastExit;

    fn now() -> SystemTime {
        humantime::parse_rfc3339("2026-01-01T00:01:33Z").unwrap()
    }

    #[test]
    fn a_healthy_node_and_one_that_waits_for_its_next_birth() {
        let mut reply = sample::status();
        reply.cluster = ClusterState::Degraded;
        let mut well = sample::node("worker-1", "ready", "ready");
        well.pid = Some(4711);
        well.started_at = Some("2026-01-01T00:00:00Z".to_owned());
        well.cpu_pct = Some(12.34);
        well.rss_bytes = Some(36_175_872);
        well.queue = Some(0);
        well.drops = Some(17);
        let mut ill = sample::node("worker-10", "backoff", "ready");
        ill.restarts = 3;
        ill.started_at = well.started_at.clone();
        ill.next_attempt_in_ms = Some(1800);
        ill.reason = Some("ended before it was ready".to_owned());
        ill.last_exit = Some(LastExit {
            kind: "signal".to_owned(),
            code: None,
            signal: Some("SIGSEGV".to_owned()),
            core: true,
            asked: false,
            at: "2026-01-01T00:01:21Z".to_owned(),
        });
        reply.nodes = vec![well, ill, sample::node("spare", "stopped", "stopped")];
        assert_eq!(
            text(&reply, Asked::All, now(), Paint(false)),
            "\
cluster degraded, generation 7; instance here, pid 811, up 1m33s
1 of 2 nodes ready, 1 not wanted

NAME       ROLE    STATE     PID  UPTIME  RESTARTS  LAST-EXIT                CPU    RSS  QUEUE  DROPS
worker-1   worker  ready    4711   1m33s         0  -                      12.3%  34.5M      0     17
worker-10  worker  backoff     -       -         3  SIGSEGV(core) 12s ago      -      -      -      -
    ended before it was ready
    next start in 1.8s
spare      worker  stopped     -       -         0  -                          -      -      -      -
"
        );
    }

    #[test]
    fn what_the_operator_should_know_stands_above_the_table() {
        let mut reply = sample::status();
        reply.layout_changed = true;
        reply.instance.stem_pid = None;
        reply.instance.console_lines_lost = 5;
        reply.nodes = vec![];
        let shown = text(&reply, Asked::All, now(), Paint(false));
        let above: Vec<&str> = shown.lines().skip(2).collect();
        assert_eq!(
            above,
            [
                "layout changed on disk, not deployed: run supervisor deploy /etc/site.ron",
                "the stem is being revived: no node is born meanwhile",
                "the supervisor's console did not take 5 lines of output in time",
            ]
        );
    }

    #[test]
    fn a_selection_is_counted_as_one_and_an_empty_one_has_no_table() {
        let mut reply = sample::status();
        reply.cluster = ClusterState::Broken;
        let asked = Asked::by(&["@workers".to_owned()]);
        let shown = text(&reply, asked, now(), Paint(false));
        let head = "cluster broken, generation 7; instance here, pid 811, up 1m33s\n";
        assert!(shown.starts_with(&format!("{head}1 of 1 selected nodes ready\n\nNAME")));
        reply.nodes.clear();
        let shown = text(&reply, asked, now(), Paint(false));
        assert_eq!(shown, format!("{head}no node matches\n"));
        assert_eq!(Asked::by(&[]), Asked::All);
        assert_eq!(Asked::by(&["@all".to_owned()]), Asked::All);
    }

    #[test]
    fn a_reason_that_the_table_shows_already_is_not_repeated() {
        let mut node = sample::node("job", "backoff", "ready");
        node.last_exit = Some(LastExit {
            kind: "signal".to_owned(),
            code: None,
            signal: Some("SIGSEGV".to_owned()),
            core: true,
            asked: false,
            at: "2026-01-01T00:01:21Z".to_owned(),
        });
        node.next_attempt_in_ms = Some(3_594_000);
        node.reason = Some("SIGSEGV (core)".to_owned());
        assert_eq!(notes(&node), ["next start in 59m54s"]);
        node.reason = Some("10 deaths within 60 s, the last: SIGSEGV (core)".to_owned());
        assert_eq!(notes(&node).len(), 2);
    }

    #[test]
    fn what_a_node_says_of_itself_is_shown_but_not_obeyed() {
        let mut reply = sample::status();
        let mut node = sample::node("guest", "degraded", "ready");
        node.status_text = Some("\x1b[2Jhello".to_owned());
        node.in_layout = false;
        node.output_lost_bytes = 2048;
        reply.nodes = vec![node];
        let shown = text(&reply, Asked::All, now(), Paint(true));
        assert!(shown.contains("says: \\u{1b}[2Jhello"), "{shown}");
        assert!(shown.contains("not in the layout"), "{shown}");
        assert!(shown.contains("2.0K of its output could not"), "{shown}");
        assert!(shown.contains("\x1b[33mdegraded\x1b[0m"), "{shown}");
    }
}

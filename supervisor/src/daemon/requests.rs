//! Requests: each is read, understood, and given to whoever answers it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use cluster::control::reply::{DiagReply, LogLine, NamesReply, NodeDiag, Plain, Stream, moment};
use cluster::control::request::{Envelope, Request};
use cluster::control::select::{Candidate, Selectors, pick};
use cluster::control::{Code, SCHEMA};
use cluster::names::NodeName;
use cluster::supervise::child::State;

use super::Daemon;
use super::clients::ClientId;
use super::operations::{Asker, TailFor};
use crate::output::{Command, FollowerId, Wanted};

/// `diag` shows so many lines of each stream, and so many events.
const DIAG_LINES: usize = 200;
const DIAG_EVENTS: usize = 50;

impl Daemon {
    pub(super) fn on_request(&mut self, id: ClientId, line: &[u8], now: Instant) {
        let envelope: Envelope = match serde_json::from_slice(line) {
            Ok(envelope) => envelope,
            Err(error) => {
                let text = format!("this is no request: {error}");
                return self.reply_and_close(id, &Plain::failed(Code::Usage, text));
            }
        };
        if envelope.schema != SCHEMA {
            let text = format!(
                "the request has schema {}, this supervisor speaks {SCHEMA}; use a client of its version",
                envelope.schema
            );
            return self.reply_and_close(id, &Plain::failed(Code::Usage, text));
        }
        let limit = Duration::from_millis(envelope.timeout_ms);
        let asker = Asker {
            client: Some(id),
            deadline: now
                .checked_add(limit)
                .unwrap_or(now + Duration::from_secs(86_400)),
        };
        self.answer(asker, id, envelope.request, now);
    }

    fn answer(&mut self, asker: Asker, id: ClientId, request: Request, now: Instant) {
        match request {
            Request::Status { select } => match self.select(&select, true) {
                Ok(names) => {
                    let reply = self.status_reply(Some(&names), now);
                    self.reply(id, &reply);
                }
                Err(refusal) => self.reply(id, &refusal),
            },
            Request::Names {} => {
                let names = self.start_order().iter().map(ToString::to_string).collect();
                let reply = NamesReply {
                    schema: SCHEMA,
                    ok: true,
                    names,
                };
                self.reply(id, &reply);
            }
            Request::Shutdown { grace_ms } => {
                self.reply(id, &Plain::done());
                self.begin_shutdown(grace_ms.map(Duration::from_millis), now);
            }
            Request::Logs {
                select,
                lines,
                stream,
                since_ms,
                follow,
            } => {
                let since = since_ms.map(|ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms));
                self.on_logs(id, &select, (lines, stream), since, follow);
            }
            Request::Diag { select } => self.on_diag(id, &select),
            Request::Events { since, follow } => self.on_events(id, since, follow),
            Request::Diff { path } => self.on_diff(id, &path),
            Request::Start { .. }
            | Request::Stop { .. }
            | Request::Restart { .. }
            | Request::Create { .. }
            | Request::Destroy { .. }
            | Request::Wait { .. }
            | Request::Signal { .. }
            | Request::Rotate { .. }
            | Request::Deploy { .. } => self.change(asker, id, request, now),
        }
    }

    /// The nodes that selectors name, in start order. Reading takes no selector as all.
    pub(super) fn select(&self, select: &Selectors, reads: bool) -> Result<Vec<NodeName>, Plain> {
        let order = self.start_order();
        if select.is_empty() {
            return match reads {
                true => Ok(order),
                false => Err(Plain::failed(
                    Code::Usage,
                    "name the nodes this is about, or say @all",
                )),
            };
        }
        let candidates: Vec<Candidate<'_>> = order
            .iter()
            .filter_map(|name| {
                let node = self.nodes.get(name)?;
                Some(Candidate {
                    name: name.as_str(),
                    role: node.spec.role,
                    failed: node.state == State::Failed,
                })
            })
            .collect();
        let picked = pick(select, &candidates)
            .map_err(|error| Plain::failed(Code::Usage, error.to_string()))?;
        let picked: BTreeSet<&str> = picked.into_iter().collect();
        let chosen = order.iter().filter(|name| picked.contains(name.as_str()));
        Ok(chosen.cloned().collect())
    }

    fn on_logs(
        &mut self,
        id: ClientId,
        select: &Selectors,
        (lines, stream): (u32, Option<Stream>),
        since: Option<SystemTime>,
        follow: bool,
    ) {
        let names = match self.select(select, true) {
            Ok(names) => names,
            Err(refusal) => return self.reply(id, &refusal),
        };
        let wanted = Wanted {
            nodes: (!select.is_empty()).then(|| names.into_iter().collect()),
            stream,
        };
        let lines = lines as usize;
        if follow {
            let Some(held) = self.hold_of(id) else {
                return;
            };
            self.output.send(Command::Follow {
                id: FollowerId(id.0),
                wanted,
                lines,
                since,
                held,
            });
        } else {
            self.ask_for_tail(TailFor::Logs(id), wanted, lines, since);
        }
    }

    pub(super) fn send_lines(&mut self, to: FollowerId, lines: Vec<LogLine>, dropped: u64) {
        let id = ClientId(to.0);
        for line in lines {
            self.send(id, &line);
        }
        if dropped > 0 {
            let line = LogLine {
                at: moment(cluster::sys::clock::wall()),
                node: "supervisor".to_owned(),
                stream: Stream::Err,
                text: format!("{dropped} lines were not shown: this client read too slowly"),
            };
            self.send(id, &line);
        }
    }

    pub(super) fn stop_following(&mut self, id: ClientId) {
        self.output.send(Command::Unfollow(FollowerId(id.0)));
    }

    fn on_events(&mut self, id: ClientId, since: Option<u64>, follow: bool) {
        let events: Vec<_> = match (since, follow) {
            (None, true) => Vec::new(),
            (since, _) => self.events.since(since.unwrap_or(0)).collect(),
        };
        for event in events {
            self.send(id, &event);
        }
        if follow {
            self.follow_events(id);
        } else {
            self.reply(id, &Plain::end());
        }
    }

    fn on_diag(&mut self, id: ClientId, select: &Selectors) {
        let names = match self.select(select, true) {
            Ok(names) => names,
            Err(refusal) => return self.reply(id, &refusal),
        };
        let wanted = Wanted {
            nodes: Some(names.iter().cloned().collect()),
            stream: None,
        };
        self.ask_for_tail(TailFor::Diag(id, names), wanted, DIAG_LINES, None);
    }

    pub(super) fn diag_reply(
        &mut self,
        names: &[NodeName],
        lines: &[LogLine],
        now: Instant,
    ) -> DiagReply {
        let status = self.status_reply(Some(names), now).nodes;
        let nodes = names
            .iter()
            .zip(status)
            .filter_map(|(name, status)| {
                let node = self.nodes.get(name)?;
                let last_lines = lines.iter().filter(|line| line.node == name.as_str());
                Some(NodeDiag {
                    status,
                    spec: masked(&node.spec),
                    history: self.events.about(name, DIAG_EVENTS),
                    last_lines: last_lines.cloned().collect(),
                    crashes: self.crashes_of(name),
                })
            })
            .collect();
        DiagReply {
            schema: SCHEMA,
            ok: true,
            nodes,
        }
    }

    fn crashes_of(&self, name: &NodeName) -> Vec<String> {
        let directory = self.directories.crash_dir().join(name.as_str());
        let mut found: Vec<String> = std::fs::read_dir(directory)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().display().to_string()))
            .collect();
        found.sort();
        found
    }
}

/// A description as support may see it: the names of its variables, not their values.
fn masked(spec: &cluster::layout::spec::ChildSpec) -> serde_json::Value {
    let mut masked = spec.clone();
    for (_, value) in &mut masked.env {
        "…".clone_into(value);
    }
    serde_json::to_value(&masked).unwrap_or_default()
}

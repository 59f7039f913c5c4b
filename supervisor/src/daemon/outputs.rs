//! The main loop's side of the output thread: what it hands over, and what it hears back.

use std::os::fd::OwnedFd;
use std::time::Instant;

use cluster::control::reply::Stream;
use cluster::layout::Settings;
use cluster::names::{Incarnation, NodeName};
use cluster::supervise::vocabulary::HelperPurpose;

use super::Daemon;
use super::events::Weight;
use crate::output::{self, Command, CrashFacts, LossState, Note};

/// The layout's words about output, as the output thread takes them.
pub(super) fn settings(settings: &Settings) -> output::Settings {
    output::Settings {
        rotation: rotation(settings),
        line_bytes_max: usize::try_from(settings.output_line_bytes_max).unwrap_or(usize::MAX),
        crash_keep: settings.crash_keep,
    }
}

/// When files are rotated, the supervisor's own log too.
pub(super) fn rotation(settings: &Settings) -> output::Rotation {
    output::Rotation {
        bytes: settings.output_rotate_bytes,
        keep: settings.output_keep,
    }
}

impl Daemon {
    pub(super) fn attach(
        &mut self,
        name: &NodeName,
        incarnation: Incarnation,
        pid: i32,
        stdout: OwnedFd,
        stderr: OwnedFd,
    ) {
        let Some(node) = self.nodes.get(name) else {
            return;
        };
        self.output.send(Command::Attach {
            node: name.clone(),
            incarnation,
            stdout,
            stderr,
            stdout_file: node.spec.stdout_file(),
            stderr_file: node.spec.stderr_file(),
            owner: node.spec.identity.as_ref().map(|who| (who.uid, who.gid)),
            pid,
            pid_file: node.spec.home.join("pid"),
        });
    }

    pub(super) fn attach_helper(
        &mut self,
        name: &NodeName,
        purpose: HelperPurpose,
        output: OwnedFd,
    ) {
        let Some(node) = self.nodes.get(name) else {
            return;
        };
        let label = match purpose {
            HelperPurpose::Hook(on) => on.word(),
            HelperPurpose::Readiness => "ready",
            HelperPurpose::Postprocess(_) => "postprocess",
        };
        self.output.send(Command::AttachHelper {
            node: name.clone(),
            label: label.to_owned(),
            output,
            stderr_file: node.spec.stderr_file(),
            owner: node.spec.identity.as_ref().map(|who| (who.uid, who.gid)),
        });
    }

    pub(super) fn output_gone(
        &mut self,
        name: &NodeName,
        incarnation: Incarnation,
        crash: Option<CrashFacts>,
    ) {
        self.output.send(Command::Gone {
            node: name.clone(),
            incarnation,
            pid_file: self.nodes.get(name).map(|node| node.spec.home.join("pid")),
            crash: crash.map(Box::new),
        });
    }

    pub(super) fn on_notes(&mut self, now: Instant) {
        while let Ok(note) = self.notes.try_recv() {
            self.on_note(note, now);
        }
    }

    fn on_note(&mut self, note: Note, now: Instant) {
        match note {
            Note::Lines { to, lines, dropped } => self.send_lines(to, lines, dropped),
            Note::Tail { request, lines } => self.on_tail(request, lines, now),
            Note::Lost {
                node,
                stream,
                state,
                bytes_total,
                why,
            } => self.on_output_lost(&node, stream, state, bytes_total, why),
            Note::Rotated { node, stream } => {
                log::debug!("node={node} event=output_rotated stream={stream:?}");
            }
            Note::CrashWritten { node, dir } => {
                let detail = [("report", dir.join("report.json").display().to_string())];
                self.event(Weight::Info, "crash_report", Some(&node), &detail);
            }
            Note::CrashLost { node, why } => {
                let detail = [("error", why)];
                self.event(Weight::Error, "crash_report_lost", Some(&node), &detail);
            }
            Note::Problem { node, text } => {
                self.event(Weight::Warn, "problem", node.as_ref(), &[("error", text)]);
            }
            Note::Finished { unread } => self.on_output_finished(unread),
        }
    }

    fn on_output_lost(
        &mut self,
        name: &NodeName,
        stream: Stream,
        state: LossState,
        total: u64,
        why: String,
    ) {
        if let Some(node) = self.nodes.get_mut(name) {
            let index = usize::from(stream == Stream::Err);
            if let Some(lost) = node.output_lost.get_mut(index) {
                *lost = total;
            }
        }
        let (weight, kind) = match state {
            LossState::Began => (Weight::Error, "output_lost"),
            LossState::Continues => return,
            LossState::Over => (Weight::Warn, "output_back"),
        };
        let detail = [
            ("stream", format!("{stream:?}").to_lowercase()),
            ("lost_bytes", total.to_string()),
            ("error", why),
        ];
        self.event(weight, kind, Some(name), &detail);
    }
}

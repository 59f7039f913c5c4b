//! What is said of what became of the files: on the standard output at once, and in `reporter.log` when the
//! disk can take it.

use std::collections::VecDeque;

use crate::logging::LogPath;
use crate::logging::files::Event;
use crate::logging::silence::Silent;
use crate::logging::streams::{OwnStream, ReporterLevel};
use crate::node::cluster::Cluster;
use crate::node::say::say;

/// Records that wait for a disk. With more, the oldest are not written: they were said.
const WAITING_MAX: usize = 256;

/// What is still to be written.
#[derive(Debug, Default)]
pub(super) struct Telling {
    waiting: VecDeque<(ReporterLevel, String)>,
    /// Records would have to wait for the disk of which they tell.
    is_failing: bool,
}

impl Telling {
    /// Writes what waits, unless the disk takes nothing.
    pub(super) fn report(&mut self, cluster: &mut Cluster) {
        while !self.is_failing
            && let Some((level, text)) = self.waiting.pop_front()
        {
            cluster.report(level, &text);
        }
    }

    fn add(&mut self, level: ReporterLevel, text: String) {
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((level, text));
    }

    /// The disk does not do what it is to do.
    pub(super) fn failing(&mut self, why: &str) {
        log::error!("event=log_disk_failing error={why:?}");
        say("log_disk_failing", &format_args!("error={why:?}"));
        self.add(
            ReporterLevel::Error,
            format!("log files could not be written: {why}"),
        );
        self.is_failing = true;
    }

    /// It does again.
    pub(super) fn works(&mut self) {
        say("log_disk_works", &format_args!(""));
        self.is_failing = false;
        let text = "log files are written again".to_owned();
        self.add(ReporterLevel::Info, text);
    }

    pub(super) fn not_packed(&mut self, name: &str, why: &str) {
        log::warn!("event=log_not_packed name={name:?} error={why:?}");
        say(
            "log_not_packed",
            &format_args!("name={name:?} error={why:?}"),
        );
        let text = format!("{name} is not packed: {why}");
        self.add(ReporterLevel::Warning, text);
    }

    pub(super) fn silent(&mut self, silent: &Silent) {
        let Silent {
            stream,
            path,
            lasts,
        } = silent;
        let lasts = humantime::format_duration(*lasts);
        say(
            "stream_silent",
            &format_args!("stream={stream} path={path} lasts=\"{lasts}\""),
        );
        let text = format!("{stream} has been silent for {lasts} in {path}");
        self.add(ReporterLevel::Warning, text);
    }

    /// Something became of the files.
    pub(super) fn told(&mut self, event: &Event) {
        say_event(event);
        if let Some((level, text)) = record(event) {
            self.add(level, text);
        }
    }
}

fn say_event(event: &Event) {
    match event {
        Event::StateLost => say("log_state_lost", &format_args!("")),
        Event::Recovered { path, cut } => {
            say("log_recovered", &format_args!("path={path} cut={cut}"));
        }
        Event::SetAside { path, damage, name } => {
            log::warn!("event=log_set_aside path={path} damage={damage:?} name={name:?}");
            say(
                "log_set_aside",
                &format_args!("path={path} damage=\"{damage:?}\" name={name:?}"),
            );
        }
        Event::Rotated { path, name, .. } => {
            say("log_rotated", &format_args!("path={path} name={name:?}"));
        }
        Event::CannotRename { from, to } => {
            log::warn!("event=log_cannot_rename from={from:?} to={to:?}");
            say(
                "log_cannot_rename",
                &format_args!("from={from:?} to={to:?}"),
            );
        }
        Event::CannotCreate { name } => {
            log::warn!("event=log_cannot_create name={name:?}");
            say("log_cannot_create", &format_args!("name={name:?}"));
        }
    }
}

/// What `reporter.log` says of it. What becomes of that log itself by rule is not told there: it would
/// never come to an end.
fn record(event: &Event) -> Option<(ReporterLevel, String)> {
    let is_own = |path: &LogPath| {
        let spec = OwnStream::Reporter.spec();
        spec.is_ok_and(|spec| spec.path == *path)
    };
    Some(match event {
        Event::Recovered { cut: 0, .. } => return None,
        Event::Rotated { path, .. } if is_own(path) => return None,
        Event::StateLost => (
            ReporterLevel::Warning,
            "the state of the log files cannot be read; their indexes tell what stands".to_owned(),
        ),
        Event::Recovered { path, cut } => (
            ReporterLevel::Info,
            format!("{cut} bytes at the end of {path} were no whole line, and are cut off"),
        ),
        Event::SetAside { path, damage, name } => (
            ReporterLevel::Warning,
            format!("the file of {path} is not as it was left ({damage:?}); it is {name} now"),
        ),
        Event::Rotated { path, name, .. } => {
            (ReporterLevel::Info, format!("{path} was rotated: {name}"))
        }
        Event::CannotRename { from, to } => (
            ReporterLevel::Warning,
            format!("{from} cannot be renamed to {to}"),
        ),
        Event::CannotCreate { name } => (ReporterLevel::Error, format!("{name} cannot be made")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Timestamp;

    fn rotated(path: &str) -> Event {
        let at = Timestamp::from_nanos(0);
        Event::Rotated {
            path: LogPath::parse(path).unwrap(),
            name: format!("{path}.1.log"),
            opened: at,
            closed: at,
        }
    }

    #[test]
    fn the_log_that_tells_of_rotations_does_not_tell_of_its_own() {
        assert!(record(&rotated("conn")).is_some());
        assert_eq!(record(&rotated("reporter")), None);
    }

    #[test]
    fn what_waits_for_a_disk_is_bounded() {
        let mut telling = Telling::default();
        telling.failing("no room");
        for _ in 0..2 * WAITING_MAX {
            telling.add(ReporterLevel::Info, "x".to_owned());
        }
        assert_eq!(telling.waiting.len(), WAITING_MAX);
        assert!(telling.is_failing);
        telling.works();
        assert!(!telling.is_failing);
        let (_, last) = telling.waiting.back().unwrap();
        assert_eq!(last, "log files are written again");
    }
}

//! What is said of what became of the files.

use crate::logging::files::Event;
use crate::node::say::say;

pub(super) fn tell(event: &Event) {
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

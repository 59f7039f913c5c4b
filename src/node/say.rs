//! Lines of a node's own life on its standard output.

use std::fmt;
use std::io;

use crate::sys;

/// Says that something happened: time, process, event, details.
pub(super) fn say(event: &str, detail: &fmt::Arguments<'_>) {
    let at = humantime::format_rfc3339_millis(sys::clock::wall());
    let line = format!("{at} pid={} event={event} {detail}", sys::process::id());
    let line = format!("{}\n", line.trim_end());
    // One write a line: lines of a node that is killed are whole or absent.
    let _ = nix::unistd::write(io::stdout(), line.as_bytes());
}

//! Records that killed their reader again and again, put aside for somebody to look at.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;

use crate::data::hex;
use crate::sys::clock;

/// So many deaths in a row, by the node's own fault, with the same record in hand.
pub(super) const DEATHS_MAX: u8 = 3;

/// One line of the file.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    from: &'a str,
    topic: String,
    ring: u32,
    number: u64,
    payload_hex: String,
}

/// Where a dead letter came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    /// The writer's name.
    pub(super) from: &'a str,
    /// Which of the link's rings.
    pub(super) ring: u32,
    /// The record's number in it.
    pub(super) number: u64,
}

/// Appends a line of JSON, whole or not at all as far as the system permits. Bytes of the topic that
/// are no text are replaced; the payload is exact.
pub(super) fn append(
    path: &Path,
    origin: Origin<'_>,
    topic: &[u8],
    payload: &[u8],
) -> io::Result<()> {
    let line = Line {
        time: humantime::format_rfc3339_micros(clock::wall()).to_string(),
        from: origin.from,
        topic: String::from_utf8_lossy(topic).into_owned(),
        ring: origin.ring,
        number: origin.number,
        payload_hex: hex(payload),
    };
    let mut text = serde_json::to_string(&line)?;
    text.push('\n');
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_is_a_line_that_holds_every_byte() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("dead-letter");
        for number in [7, 8] {
            let origin = Origin {
                from: "worker-1",
                ring: 0,
                number,
            };
            append(&path, origin, b"zeek/logs", b"\x00\n\xff").unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["number"], 8);
        assert_eq!(lines[1]["from"], "worker-1");
        assert_eq!(lines[1]["topic"], "zeek/logs");
        assert_eq!(lines[1]["payload_hex"], "000aff");
    }
}

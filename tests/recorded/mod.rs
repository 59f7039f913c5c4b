//! Recorded conversations of real Broker endpoints and Zeek nodes, for tests to compare with.
//!
//! They do not come with the repository: `BROKER_RECORDINGS` names their folder, else they are looked
//! for beside the repository. Without them nothing is compared, and the tests say so; the unit tests
//! keep the worked examples.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

/// Where the recordings lie; `None` if there are none, which is said past the capture of tests' output.
///
/// # Panics
/// `BROKER_RECORDINGS` names a folder that is none.
pub(crate) fn folder() -> Option<PathBuf> {
    if let Some(folder) = env::var_os("BROKER_RECORDINGS").map(PathBuf::from) {
        assert!(folder.is_dir(), "no recordings in {}", folder.display());
        return Some(folder);
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors");
    if beside.is_dir() {
        return Some(beside);
    }
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line =
        format!("NOTHING COMPARED by {test}: name the recordings' folder in BROKER_RECORDINGS\n");
    io::stderr().write_all(line.as_bytes()).unwrap();
    None
}

/// The recordings of a folder, with their names in front.
#[allow(dead_code, reason = "not every test compares all of them")]
pub(crate) fn recordings(folder: &Path) -> Vec<(String, Json)> {
    let mut recordings = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            recordings.push((name, recording(&path)));
        }
    }
    recordings.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!recordings.is_empty(), "nothing in {}", folder.display());
    recordings
}

/// One recording.
pub(crate) fn recording(path: &Path) -> Json {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

/// The rows of a recording under a key; none if it has no such key.
pub(crate) fn rows<'a>(recording: &'a Json, key: &str) -> &'a [Json] {
    recording[key].as_array().map_or(&[], Vec::as_slice)
}

/// Bytes that were written down in pairs of digits.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Topic and payload of a frame that carries data; `None` for others and broken ones.
pub(crate) fn data_frame(row: &Json) -> Option<(String, Vec<u8>)> {
    let frame = unhex(row["hex"].as_str()?);
    // A length of four bytes, two ids of sixteen, the type, two bytes of TTL, the topic's length.
    let (head, rest) = frame.split_at_checked(41)?;
    let topic_bytes = usize::from(u16::from_be_bytes([head[39], head[40]]));
    let (topic, payload) = rest.split_at_checked(topic_bytes)?;
    let topic = String::from_utf8_lossy(topic).into_owned();
    (head[36] == 1).then(|| (topic, payload.to_vec()))
}

/// Text in which bytes that are no UTF-8 were written down as `\xNN`.
#[allow(dead_code, reason = "not every test compares texts")]
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut parts = text.split("\\x");
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

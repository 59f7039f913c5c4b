//! From text to shape: runs the `ron` crate and turns its errors into findings.
//!
//! The nodes are parsed one by one: an error in one entry does not hide the next one's.

use std::collections::BTreeMap;

use ron::error::{Error, SpannedError};
use ron::extensions::Extensions;
use ron::value::RawValue;
use serde::Deserialize;

use super::finding::Severity;
use super::position::{Position, of_offset};
use super::raw::{RawLayout, RawNode};
use super::report::Report;
use super::suggest;
use super::tokens::first;

/// The nodes alone; every other key is somebody else's.
#[derive(Deserialize)]
#[serde(rename = "Layout")]
struct NodesOnly<'a> {
    #[serde(borrow, default)]
    nodes: BTreeMap<String, &'a RawValue>,
}

/// The file as it was written.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) layout: RawLayout,
    pub(super) nodes: BTreeMap<String, RawNode>,
}

const ANOTHER_FORM: &str = "the value has another form than this key takes";

fn options() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME)
}

/// Parses the text. What is wrong stands in the report, and then the result is as much as was understood.
pub(super) fn file(text: &str, report: &mut Report) -> Parsed {
    if is_something_else(text, report) {
        return Parsed::default();
    }
    duplicates(report);
    let nodes: NodesOnly<'_> = match options().from_str(text) {
        Ok(nodes) => nodes,
        Err(error) => {
            say(&error, Position { line: 1, column: 1 }, report);
            return Parsed::default();
        }
    };
    let mut parsed = Parsed::default();
    match options().from_str(text) {
        Ok(layout) => parsed.layout = layout,
        Err(error) => say(&error, Position { line: 1, column: 1 }, report),
    }
    parsed.nodes = each(nodes.nodes, text, report);
    parsed
}

/// An empty text, and one that was written for `create`, are known before they are parsed.
fn is_something_else(text: &str, report: &mut Report) -> bool {
    const BEGIN: &str = "a layout begins with Layout(nodes: {…})";
    let start = Position { line: 1, column: 1 };
    let (at, message, hint) = match first(text) {
        None => (start, "the file is empty", BEGIN.to_owned()),
        Some(('{', at)) => {
            let hint = format!("this looks like a file for `supervisor create`; {BEGIN}");
            (at, "this is a map and no layout", hint)
        }
        Some(_) => return false,
    };
    report.add_at(at, Severity::Error, &[], message.to_owned(), &hint);
    true
}

/// Parses a text that is a map of nodes and nothing else.
pub(super) fn nodes(text: &str, report: &mut Report) -> BTreeMap<String, RawNode> {
    duplicates(report);
    match options().from_str(text) {
        Ok(nodes) => each(nodes, text, report),
        Err(error) if matches!(error.code, Error::ExpectedMap) => {
            let hint = "write { \"name\": (command: [\"program\"]) }";
            report.error(&[], "this is no map of nodes", hint);
            BTreeMap::new()
        }
        Err(error) => {
            say(&error, Position { line: 1, column: 1 }, report);
            BTreeMap::new()
        }
    }
}

/// Parses each node by itself. `text` holds all of them.
fn each(
    nodes: BTreeMap<String, &RawValue>,
    text: &str,
    report: &mut Report,
) -> BTreeMap<String, RawNode> {
    let mut parsed = BTreeMap::new();
    for (name, value) in nodes {
        match options().from_str(value.get_ron()) {
            Ok(node) => {
                parsed.insert(name, node);
            }
            Err(_) if report.errors_are_full() => report.leave_out_error(),
            Err(error) => {
                let offset = value.get_ron().as_ptr().addr() - text.as_ptr().addr();
                say(&error, of_offset(text, offset), report);
            }
        }
    }
    parsed
}

fn duplicates(report: &mut Report) {
    for duplicate in std::mem::take(&mut report.index.duplicates) {
        let path: Vec<&str> = duplicate.path.iter().map(String::as_str).collect();
        let word = path.last().copied().unwrap_or_default();
        let message = format!(
            "\"{word}\" stands here and already at {}:{}",
            duplicate.first.line, duplicate.first.column
        );
        let hint = "give one of them another name, or take it away";
        report.add_at(duplicate.second, Severity::Error, &path, message, hint);
    }
}

/// Reports an error of the parser; `start` is where its text begins in the file.
fn say(error: &SpannedError, start: Position, report: &mut Report) {
    if matches!(error.code, Error::DuplicateStructField { .. }) && report.has_errors() {
        // `duplicates` has said so, with both places.
        return;
    }
    let within = error.span.start;
    let mut position = Position {
        line: start.line + within.line.saturating_sub(1),
        column: match within.line {
            0 | 1 => start.column + within.col.saturating_sub(1),
            _ => within.col,
        },
    };
    let mut path = report.index.path_before(position);
    let (message, hint, key) = explain(&error.code);
    if let Some(key) = key {
        // The parser stops behind an unknown key; the index knows where it began.
        if let Some(at) = path.iter().rposition(|word| word == key) {
            path.truncate(at + 1);
            let words: Vec<&str> = path.iter().map(String::as_str).collect();
            position = report.index.at(&words);
        }
    }
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    report.add_at(position, Severity::Error, &words, message, &hint);
}

/// Message, hint, and the key that is unknown, where one is.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "another crate's errors, of which most are of one kind to us"
)]
fn explain(error: &Error) -> (String, String, Option<&str>) {
    match error {
        Error::NoSuchStructField {
            expected, found, ..
        } => (
            format!("the key \"{found}\" is not known here"),
            suggest::hint(found, expected.iter().copied()),
            Some(found),
        ),
        Error::NoSuchEnumVariant {
            expected, found, ..
        } => (
            format!("the word \"{found}\" is not known here"),
            suggest::hint(found, expected.iter().copied()),
            None,
        ),
        Error::ExpectedDifferentStructName { expected, found } => (
            format!("a layout begins with \"{expected}(\", not with \"{found}\""),
            format!("write {expected}(...) or (...)"),
            None,
        ),
        Error::MissingStructField { field, .. } => (
            format!("the key \"{field}\" is missing"),
            format!("add \"{field}: ...\""),
            None,
        ),
        Error::InvalidValueForType { expected, found } => (
            format!("here stands {found}"),
            format!("expected is {expected}"),
            None,
        ),
        Error::Message(text) => match text.split_once("; ") {
            Some((message, hint)) => (message.to_owned(), hint.to_owned(), None),
            None => (text.clone(), ANOTHER_FORM.to_owned(), None),
        },
        other => {
            let text = other.to_string();
            let mut letters = text.chars();
            let lower = letters
                .next()
                .map(|first| first.to_lowercase().chain(letters).collect())
                .unwrap_or_default();
            let hint = match error {
                Error::ExpectedInteger
                | Error::ExpectedString
                | Error::ExpectedBoolean
                | Error::ExpectedArray
                | Error::ExpectedMap
                | Error::IntegerOutOfBounds => ANOTHER_FORM,
                _ => "look for a bracket, quote or comma that is missing here or just before",
            };
            (lower, hint.to_owned(), None)
        }
    }
}

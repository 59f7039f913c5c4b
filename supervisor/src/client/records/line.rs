//! Lines of log files, in whatever form, as records with their times.

use std::rc::Rc;
use std::time::UNIX_EPOCH;

use serde::Deserialize;

use cluster::data::Value;
use cluster::logging::{Atom, Type, json, tsv};

/// Integers from here on are no seconds but milliseconds: as seconds they are in the year 5138.
const MILLIS_MIN: i64 = 100_000_000_000;

/// Nanoseconds of a second.
const SECOND: f64 = 1e9;

/// What stands in front of records of separated values.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Its lines.
    pub(super) text: Vec<u8>,
    /// Those of them that records depend on.
    means: Vec<u8>,
}

/// A record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// As it is shown, with its line feed.
    pub(super) line: Vec<u8>,
    /// Nanoseconds since 1970, if that can be told.
    pub(super) time: Option<i64>,
    /// What has to stand in front of it.
    pub(super) head: Option<Rc<Head>>,
}

/// Reads the lines of one file.
#[derive(Debug, Default)]
pub(super) struct Lines {
    as_json: bool,
    reader: tsv::Reader,
    /// The head of the next record, as far as it was read.
    next_head: Head,
    head: Option<Rc<Head>>,
    time: Option<usize>,
    values: Vec<Value>,
    /// Lines that could not be shown as JSON.
    pub(super) unreadable: u64,
}

/// Of a record in JSON, what is looked at.
#[derive(Deserialize)]
struct Stamped {
    ts: Option<serde_json::Value>,
}

impl Head {
    /// Do the same records stand behind both?
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.means == other.means
    }
}

impl Lines {
    pub(super) fn new(as_json: bool) -> Self {
        Self {
            as_json,
            ..Self::default()
        }
    }

    /// Takes a line with its line feed. `None`: it is no record.
    pub(super) fn take(&mut self, line: &[u8]) -> Option<Record> {
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        if content.starts_with(b"#") {
            self.take_meta(line, content);
            return None;
        }
        self.finish_head();
        let is_object = self.reader.schema().is_none() && content.starts_with(b"{");
        if is_object {
            return Some(Record {
                line: line.to_vec(),
                time: time_of_object(content),
                head: None,
            });
        }
        let is_read = match (self.reader.format(), self.reader.schema()) {
            (Some(format), Some(schema)) => format.parse(schema, content, &mut self.values).is_ok(),
            _ => false,
        };
        let line = match self.as_json {
            false => Some(line.to_vec()),
            true if is_read => self.object(),
            true => None,
        };
        let time = self.time.filter(|_| is_read);
        let time = time.and_then(|column| self.values.get(column));
        self.unreadable += u64::from(line.is_none());
        Some(Record {
            line: line?,
            time: time.and_then(nanos),
            head: self.head.clone().filter(|_| !self.as_json),
        })
    }

    fn take_meta(&mut self, line: &[u8], content: &[u8]) {
        // What it does not understand is shown all the same.
        let _ = self.reader.line(content);
        let is = |key: &[u8]| content.get(1..).is_some_and(|rest| rest.starts_with(key));
        if is(b"close") {
            return;
        }
        if is(b"separator") {
            self.next_head = Head::default();
        }
        self.next_head.text.extend_from_slice(line);
        if !is(b"open") {
            self.next_head.means.extend_from_slice(line);
        }
    }

    /// A record comes: its head is complete.
    fn finish_head(&mut self) {
        if self.next_head.text.is_empty() {
            return;
        }
        self.head = Some(Rc::new(std::mem::take(&mut self.next_head)));
        let columns = self.reader.schema().map(|schema| schema.columns());
        let is_time = |kind: Type| kind == Type::Atom(Atom::Time);
        self.time = columns.and_then(|columns| {
            let mut times = columns.iter().enumerate();
            let mut times = times.by_ref().filter(|(_, column)| is_time(column.type_()));
            let first = times.next()?;
            let named = std::iter::once(first).chain(times);
            let named = named.into_iter().find(|(_, column)| column.name() == "ts");
            Some(named.unwrap_or(first).0)
        });
    }

    fn object(&self) -> Option<Vec<u8>> {
        let mut object = Vec::new();
        let record = self.reader.schema()?.record(&self.values).ok()?;
        json::Format::default().record(record, &mut object);
        Some(object)
    }
}

fn nanos(value: &Value) -> Option<i64> {
    if let Value::Real(seconds) = value {
        return Some(of_seconds(*seconds)); // beyond what nanoseconds reach
    }
    let Value::Timestamp(at) = value else {
        return None;
    };
    Some(at.nanos())
}

/// What is beyond all that nanoseconds reach is at their ends.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is beyond the range becomes its end"
)]
fn of_seconds(seconds: f64) -> i64 {
    (seconds * SECOND) as i64
}

fn time_of_object(line: &[u8]) -> Option<i64> {
    let stamped: Stamped = serde_json::from_slice(line).ok()?;
    let ts = stamped.ts?;
    if let Some(date) = ts.as_str() {
        let at = humantime::parse_rfc3339_weak(date).ok()?;
        let since = at.duration_since(UNIX_EPOCH).ok()?;
        return i64::try_from(since.as_nanos()).ok();
    }
    match ts.as_i64() {
        Some(millis) if millis >= MILLIS_MIN => millis.checked_mul(1_000_000),
        Some(_) | None => ts.as_f64().map(of_seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: [&str; 7] = [
        "#separator \\x09\n",
        "#set_separator\t,\n",
        "#empty_field\t(empty)\n",
        "#unset_field\t-\n",
        "#path\tconn\n",
        "#fields\tstart\tts\tn\n",
        "#types\ttime\ttime\tcount\n",
    ];

    fn shown(as_json: bool, lines: &[&str]) -> Vec<Record> {
        let mut reader = Lines::new(as_json);
        let mut shown = Vec::new();
        for line in lines {
            shown.extend(reader.take(line.as_bytes()));
        }
        shown
    }

    #[test]
    fn separated_values_are_shown_as_they_stand_or_as_objects_and_have_the_time_of_ts() {
        let lines = [&HEAD[..], &["1.000000\t2.500000\t7\n", "#close\tx\n"]].concat();
        let plain = shown(false, &lines);
        let [record] = plain.as_slice() else {
            panic!("{plain:?}");
        };
        assert_eq!(record.line, b"1.000000\t2.500000\t7\n");
        assert_eq!(record.time, Some(2_500_000_000));
        let head = record.head.as_ref().unwrap();
        assert_eq!(head.text, HEAD.concat().as_bytes());
        let objects = shown(true, &lines);
        assert_eq!(objects[0].line, b"{\"start\":1.0,\"ts\":2.5,\"n\":7}\n");
        assert!(objects[0].head.is_none());
    }

    #[test]
    fn a_head_is_another_if_records_depend_on_what_differs() {
        let open = ["#open\t2026-01-01-00-00-00\n", "1.0\t2.0\t3\n"];
        let first = shown(false, &[&HEAD[..], &open].concat());
        let again = shown(
            false,
            &[&HEAD[..], &["#open\t2027\n", "1.0\t2.0\t3\n"]].concat(),
        );
        let head = |records: &[Record]| records[0].head.clone().unwrap();
        assert!(head(&first).is_like(&head(&again)));
        let mut other = HEAD;
        other[5] = "#fields\tts\tstart\tn\n";
        let other = shown(false, &[&other[..], &open].concat());
        assert!(!head(&first).is_like(&head(&other)));
    }

    #[test]
    fn objects_have_the_time_of_ts_in_each_of_its_forms() {
        let lines = [
            "{\"ts\":2.5}\n",
            "{\"ts\":1700000000123}\n",
            "{\"ts\":\"1970-01-01T00:00:01.5Z\"}\n",
            "{\"n\":1}\n",
        ];
        let times: Vec<_> = shown(true, &lines).iter().map(|r| r.time).collect();
        let millis = 1_700_000_000_123_000_000;
        assert_eq!(
            times,
            [Some(2_500_000_000), Some(millis), Some(1_500_000_000), None]
        );
    }

    #[test]
    fn a_line_that_is_no_record_is_shown_as_it_stands_and_counted_as_no_object() {
        let lines = [&HEAD[..], &["one\ttwo\n"]].concat();
        let plain = shown(false, &lines);
        assert_eq!(
            (plain[0].line.as_slice(), plain[0].time),
            (&b"one\ttwo\n"[..], None)
        );
        let mut reader = Lines::new(true);
        for line in lines {
            assert!(reader.take(line.as_bytes()).is_none());
        }
        assert_eq!(reader.unreadable, 1);
    }
}

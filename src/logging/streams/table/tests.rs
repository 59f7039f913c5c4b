use proptest::prelude::*;

use super::*;
use crate::logging::message::{Create, Message};
use crate::logging::streams::{Writer, installed::WRITERS_MAX};
use crate::logging::{Column, LogPath, LogPathError, Schema, json, tsv};

fn id(text: &str) -> StreamId {
    StreamId::parse(text).unwrap()
}

fn spec(path: &str) -> StreamSpec {
    let column = |name: &str, text: &str, optional| {
        Column::new(name, text.parse().unwrap(), optional).unwrap()
    };
    let columns = vec![
        column("host", "string", false),
        column("hits", "count", true),
    ];
    StreamSpec::new(Schema::new(columns).unwrap(), LogPath::parse(path).unwrap())
}

fn streams() -> Streams {
    let mut streams = Streams::new(Format::Tsv(tsv::Settings::default()));
    streams.create_stream(id("A::LOG"), spec("a")).unwrap();
    streams
}

fn row(host: &str, hits: u64) -> [Value; 2] {
    [Value::from(host), Value::from(hits)]
}

/// What is written: path and line of each, as a logger would have them.
fn written(streams: &mut Streams, stream: &str, values: &[Value]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let lines = streams.write(&id(stream), values, &mut |line| {
        let create = Message::decode(line.writer.message()).unwrap();
        let Message::Create(create_id, Create { path, .. }) = create else {
            panic!("{create:?}");
        };
        let Message::Lines(writer, lines) = Message::decode(line.message).unwrap() else {
            panic!("no lines");
        };
        assert_eq!((create_id, create_id), (writer, line.writer.id()));
        let lines = String::from_utf8(lines.to_vec()).unwrap();
        all.push((path.to_string(), lines));
    });
    assert_eq!(lines.unwrap(), all.len());
    all
}

fn refused(streams: &mut Streams, stream: &str, values: &[Value]) -> LogError {
    let stream = id(stream);
    streams.write(&stream, values, &mut |_| {}).unwrap_err()
}

fn line(path: &str, line: &str) -> (String, String) {
    (path.to_owned(), format!("{line}\n"))
}

#[test]
fn a_record_becomes_a_line_of_the_default_filter() {
    let mut streams = streams();
    let expected = [line("a", "x\t7")];
    assert_eq!(written(&mut streams, "A::LOG", &row("x", 7)), expected);
    streams.set_form(Format::Json(json::Format::default()));
    let expected = [line("a", "{\"host\":\"x\",\"hits\":7}")];
    assert_eq!(written(&mut streams, "A::LOG", &row("x", 7)), expected);
    let filter = streams.get_filter(&id("A::LOG"), Filter::DEFAULT);
    assert_eq!(filter.unwrap().writer, Writer::Ascii);
}

#[test]
fn what_does_not_fit_is_refused_with_stream_column_and_reason() {
    let mut streams = streams();
    let error = refused(&mut streams, "A::LOG", &[Value::None, Value::None]);
    assert_eq!(
        crate::causes::chain(&error),
        "a record does not fit the log stream A::LOG: column \"host\" of type string is not optional, \
         but the field is unset"
    );
    assert_eq!(
        refused(&mut streams, "B::LOG", &row("x", 1)).to_string(),
        "there is no log stream B::LOG; create it before it is written to"
    );
}

#[test]
fn a_stream_that_is_disabled_or_removed_writes_nothing() {
    let (mut streams, a, b) = (streams(), id("A::LOG"), id("B::LOG"));
    assert!(streams.is_enabled(&a) && streams.disable_stream(&a));
    assert!(!streams.is_enabled(&a));
    assert_eq!(written(&mut streams, "A::LOG", &row("x", 7)), []);
    assert!(streams.enable_stream(&a));
    assert_eq!(written(&mut streams, "A::LOG", &row("x", 7)).len(), 1);
    assert!(!streams.enable_stream(&b) && !streams.remove_stream(&b));
    assert!(streams.remove_stream(&a) && !streams.remove_stream(&a));
    assert_eq!(streams.ids().count(), 0);
    refused(&mut streams, "A::LOG", &row("x", 7));
}

#[test]
fn filters_choose_columns_records_forms_and_paths() {
    let (mut streams, a) = (streams(), id("A::LOG"));
    let mut short = Filter::new("short");
    short.include = Some(["host".to_owned()].into());
    short.path = Some(LogPath::parse("short").unwrap());
    short.writer = Writer::As(Format::Json(json::Format::default()));
    short.predicate = Some(Box::new(|record| {
        record.field("hits") == Some(&Value::from(7_u64))
    }));
    streams.add_filter(&a, short).unwrap();
    let mut counts = Filter::new("counts");
    counts.exclude = ["host".to_owned()].into();
    counts.path_function = Some(Box::new(|stream, path, record| {
        assert_eq!((stream.as_str(), path.as_str()), ("A::LOG", "a"));
        record.field("host").unwrap().as_str().unwrap().to_owned()
    }));
    streams.add_filter(&a, counts).unwrap();
    let mut none = Filter::new("none");
    none.writer = Writer::None;
    streams.add_filter(&a, none).unwrap();
    let expected = [
        line("a", "x\t7"),
        line("short", "{\"host\":\"x\"}"),
        line("x", "7"),
    ];
    assert_eq!(written(&mut streams, "A::LOG", &row("x", 7)), expected);
    let expected = [line("a", "y\t8"), line("y", "8")];
    assert_eq!(written(&mut streams, "A::LOG", &row("y", 8)), expected);

    assert!(streams.remove_filter(&a, Filter::DEFAULT));
    assert!(!streams.remove_filter(&a, Filter::DEFAULT));
    assert!(!streams.remove_filter(&id("B::LOG"), "short"));
    // One of the same name takes its place.
    streams.add_filter(&a, Filter::new("counts")).unwrap();
    let expected = [line("a", "y\t8")];
    assert_eq!(written(&mut streams, "A::LOG", &row("y", 8)), expected);
}

#[test]
fn a_filter_that_does_not_fit_its_stream_is_refused() {
    let (mut streams, a) = (streams(), id("A::LOG"));
    let mut unknown = Filter::new("f");
    unknown.include = Some(["hots".to_owned()].into());
    let error = streams.add_filter(&a, unknown).unwrap_err();
    assert!(error.to_string().contains("\"hots\""), "{error}");
    let mut nothing = Filter::new("f");
    nothing.include = Some([].into());
    let error = streams.add_filter(&a, nothing).unwrap_err();
    assert!(matches!(error, LogError::Nothing { .. }));
    let mistaken = tsv::Settings {
        separator: b'\n',
        ..tsv::Settings::default()
    };
    let mistaken = Filter {
        writer: Writer::As(Format::Tsv(mistaken)),
        ..Filter::default()
    };
    streams.add_filter(&a, mistaken).unwrap();
    let error = refused(&mut streams, "A::LOG", &row("x", 1));
    assert!(matches!(error, LogError::Writer { .. }), "{error}");
}

/// Shows: a path function leads to no other directory, and what it says of one filter is no loss to the
/// others.
#[test]
fn a_path_that_is_none_is_refused_and_the_other_filters_write() {
    let (mut streams, a) = (streams(), id("A::LOG"));
    let evil = Filter {
        path_function: Some(Box::new(|_, _, _| "../x".to_owned())),
        ..Filter::default()
    };
    streams.add_filter(&a, evil).unwrap();
    streams.add_filter(&a, Filter::new("fine")).unwrap();
    let mut paths = Vec::new();
    let error = streams.write(&a, &row("x", 1), &mut |line| {
        paths.push(line.writer.path().to_string());
    });
    let LogError::Path { source, filter, .. } = error.unwrap_err() else {
        panic!("another error");
    };
    assert_eq!(filter, Filter::DEFAULT);
    assert!(matches!(source, LogPathError::Slash { .. }));
    assert_eq!(paths, ["a"]);
}

#[test]
fn a_policy_has_a_veto_unless_the_filter_decides_itself() {
    let (mut streams, a) = (streams(), id("A::LOG"));
    let policy = |stream: &StreamId, filter: &str, record: crate::logging::Record<'_>| {
        assert_eq!(stream.as_str(), "A::LOG");
        filter != "vetoed" && record.field("host") != Some(&Value::from("secret"))
    };
    streams.set_policy(&a, Box::new(policy)).unwrap();
    streams.add_filter(&a, Filter::new("vetoed")).unwrap();
    let mut own = Filter::new("own");
    own.predicate = Some(Box::new(|_| true));
    own.path = Some(LogPath::parse("own").unwrap());
    streams.add_filter(&a, own).unwrap();
    assert_eq!(written(&mut streams, "A::LOG", &row("x", 1)).len(), 2);
    let expected = [line("own", "secret\t1")];
    assert_eq!(written(&mut streams, "A::LOG", &row("secret", 1)), expected);
    streams.add_stream_policy(Box::new(|stream, record| {
        stream.as_str() != "A::LOG" || record.field("hits") != Some(&Value::from(1_u64))
    }));
    assert_eq!(written(&mut streams, "A::LOG", &row("x", 1)), []);
    assert_eq!(written(&mut streams, "A::LOG", &row("x", 2)).len(), 2);
    let nowhere = streams.set_policy(&id("B::LOG"), Box::new(policy));
    assert!(nowhere.is_err());
}

#[test]
fn two_streams_on_one_path_write_to_two_and_it_is_told() {
    let (mut streams, b) = (streams(), id("B::LOG"));
    streams.create_stream(b.clone(), spec("a")).unwrap();
    let expected = [line("a", "x\t1")];
    assert_eq!(written(&mut streams, "A::LOG", &row("x", 1)), expected);
    for _ in 0..2 {
        let expected = [line("a-2", "x\t1")];
        assert_eq!(written(&mut streams, "B::LOG", &row("x", 1)), expected);
    }
    let [taken] = streams.take_paths_taken().try_into().unwrap();
    let taken: PathTaken = taken;
    assert_eq!((taken.stream, taken.path.as_str()), (b.clone(), "a-2"));
    assert!(streams.take_paths_taken().is_empty());
    // With the stream its path is free.
    streams.remove_stream(&id("A::LOG"));
    streams.create_stream(b, spec("a")).unwrap();
    let expected = [line("a", "x\t1")];
    assert_eq!(written(&mut streams, "B::LOG", &row("x", 1)), expected);
}

#[test]
fn a_path_function_of_endless_paths_keeps_a_bounded_number_of_writers() {
    let (mut streams, a) = (streams(), id("A::LOG"));
    let many = Filter {
        path_function: Some(Box::new(|_, _, record| {
            format!("p{}", record.field("hits").unwrap())
        })),
        ..Filter::default()
    };
    streams.add_filter(&a, many).unwrap();
    let all = u64::try_from(WRITERS_MAX).unwrap() + 1;
    for hits in (0..all).chain([0]) {
        let expected = [line(&format!("p{hits}"), &format!("x\t{hits}"))];
        assert_eq!(written(&mut streams, "A::LOG", &row("x", hits)), expected);
    }
}

#[test]
fn a_struct_is_a_record() {
    #[derive(Serialize)]
    struct Visit {
        host: &'static str,
        hits: Option<u64>,
    }
    let (mut streams, a) = (streams(), id("A::LOG"));
    let mut lines = Vec::new();
    let mut take = |line: Line<'_>| lines.extend_from_slice(&line.message[9..]);
    let (host, hits) = ("x", None);
    streams
        .write_row(&a, &Visit { host, hits }, &mut take)
        .unwrap();
    streams.write_row(&a, &("y", 2_u64), &mut take).unwrap();
    let error = streams.write_row(&a, &"y", &mut take).unwrap_err();
    assert!(matches!(error, LogError::Row { .. }), "{error}");
    let error = streams.write_row(&a, &("y", 2_i64), &mut take).unwrap_err();
    assert!(matches!(error, LogError::Record { .. }), "{error}");
    assert_eq!(lines, b"x\t-\ny\t2\n");
}

/// What a program may do to its streams.
#[derive(Clone, Debug)]
enum Deed {
    Create(u8, u8),
    Remove(u8),
    Filter(u8, u8, Option<u8>),
    RemoveFilter(u8, u8),
    Write(u8),
}

fn deed() -> impl Strategy<Value = Deed> {
    let few = 0..3_u8;
    prop_oneof![
        (few.clone(), few.clone()).prop_map(|(a, b)| Deed::Create(a, b)),
        few.clone().prop_map(Deed::Remove),
        (few.clone(), few.clone(), prop::option::of(few.clone()))
            .prop_map(|(a, b, c)| Deed::Filter(a, b, c)),
        (few.clone(), few.clone()).prop_map(|(a, b)| Deed::RemoveFilter(a, b)),
        few.prop_map(Deed::Write),
    ]
}

proptest! {
    /// Shows: whatever comes and goes, no two filters that stand write to one path, and each keeps its
    /// own.
    #[test]
    fn no_path_has_two_writers(deeds in prop::collection::vec(deed(), 1..60)) {
        let mut streams = Streams::new(Format::Tsv(tsv::Settings::default()));
        let stream = |n: u8| id(&format!("S{n}::LOG"));
        let path = |n: u8| format!("p{n}");
        let mut owners: BTreeMap<String, (StreamId, String)> = BTreeMap::new();
        for deed in deeds {
            match deed {
                Deed::Create(n, at) => {
                    streams.create_stream(stream(n), spec(&path(at))).unwrap();
                    owners.retain(|_, (owner, _)| *owner != stream(n));
                }
                Deed::Remove(n) => {
                    streams.remove_stream(&stream(n));
                    owners.retain(|_, (owner, _)| *owner != stream(n));
                }
                Deed::Filter(n, name, at) => {
                    let mut filter = Filter::new(format!("f{name}"));
                    filter.path = at.map(|at| LogPath::parse(path(at)).unwrap());
                    let owner = (stream(n), filter.name.clone());
                    if streams.add_filter(&stream(n), filter).is_ok() {
                        owners.retain(|_, it| *it != owner);
                    }
                }
                Deed::RemoveFilter(n, name) => {
                    let owner = (stream(n), format!("f{name}"));
                    streams.remove_filter(&owner.0, &owner.1);
                    owners.retain(|_, it| *it != owner);
                }
                Deed::Write(n) => {
                    let mut seen = Vec::new();
                    let wrote = streams.write(&stream(n), &row("x", 1), &mut |line| {
                        seen.push((line.writer.path().to_string(), line.filter.name.clone()));
                    });
                    prop_assert_eq!(wrote.is_ok(), streams.is_enabled(&stream(n)));
                    for (path, filter) in seen {
                        let owner = (stream(n), filter);
                        let known = owners.entry(path).or_insert_with(|| owner.clone());
                        prop_assert_eq!(&*known, &owner);
                    }
                }
            }
        }
    }
}

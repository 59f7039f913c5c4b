//! What stands in the log files: a row for each path and source, then what is odd, and what is wrong on
//! standard error.

use super::table::{self, Align, Cell, Row};
use crate::client::failure::ClientError;
use crate::client::out::{Console, Paint, clean};
use crate::client::records::replies::{FaultRow, FileRow, LoggerRow, SourceRow, VerifyReply};

const COLUMNS: [(&str, Align); 7] = [
    ("LOGGER", Align::Left),
    ("PATH", Align::Left),
    ("SOURCE", Align::Left),
    ("FIRST", Align::Right),
    ("LAST", Align::Right),
    ("RECORDS", Align::Right),
    ("REPEATED", Align::Right),
];

/// Stretches of numbers that are shown of a source.
const GAPS_SHOWN: usize = 5;

/// Faults that are shown of a file.
const FAULTS_SHOWN: usize = 10;

/// Shows all of it.
pub(crate) fn show(reply: &VerifyReply, console: &mut Console<'_>) -> Result<(), ClientError> {
    console.print(&rows(reply, console.paint))?;
    for logger in &reply.loggers {
        if logger.aside > 0 {
            console.print(&format!(
                "{}: {} records of writers that nobody has introduced went to files of their own (unknown-*)\n",
                clean(&logger.logger),
                logger.aside
            ))?;
        }
        for source in logger.sources.iter().filter(|source| source.missing > 0) {
            console.print(&format!("{}: {}\n", clean(&logger.logger), gaps(source)))?;
        }
        for path in &logger.paths {
            if let Some(below) = path.earlier_below {
                let (name, source) = (clean(&path.path), &path.source);
                console.print(&format!(
                    "{}: records of {source} below {below} stood in files of {name} that are not here\n",
                    clean(&logger.logger)
                ))?;
            }
        }
    }
    console.flush()?;
    for logger in &reply.loggers {
        console.complain(&complaints(logger));
    }
    let files = reply.loggers.iter().flat_map(|logger| &logger.files);
    let (mut count, mut records) = (0_u64, 0);
    for file in files {
        count += 1;
        records += file.records;
    }
    let files = if count == 1 { "file" } else { "files" };
    if reply.ok {
        console.print(&format!("proved: {records} records in {count} {files}\n"))?;
    } else {
        console.complain(&format!("not proved: {records} records in {count} {files}"));
    }
    Ok(())
}

fn rows(reply: &VerifyReply, paint: Paint) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let mut rows = Vec::new();
    for logger in &reply.loggers {
        for path in &logger.paths {
            let cells = [
                clean(&logger.logger),
                clean(&path.path),
                path.source.clone(),
                number(path.first),
                number(path.last),
                path.records.to_string(),
                path.repetitions.to_string(),
            ];
            rows.push(Row {
                cells: cells.into_iter().map(Cell::plain).collect(),
                notes: Vec::new(),
            });
        }
    }
    table::text(&COLUMNS, &rows, paint)
}

/// What no path's files have, and what that can mean.
fn gaps(source: &SourceRow) -> String {
    let shown = source.gaps.iter().take(GAPS_SHOWN);
    let mut shown: Vec<String> = shown
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    if source.gap_count > GAPS_SHOWN as u64 {
        shown.push("…".to_owned());
    }
    format!(
        "{} numbers of {} stand nowhere ({}): no records of these logs, or in files that are not here",
        source.missing,
        source.source,
        shown.join(", ")
    )
}

/// A line for each fault, and for each file that is missing between others.
fn complaints(logger: &LoggerRow) -> String {
    let mut lines = Vec::new();
    for file in &logger.files {
        let place = format!("{}/{}", clean(&logger.logger), clean(&file.name));
        for fault in file.faults.iter().take(FAULTS_SHOWN) {
            lines.push(format!("{place}: {}", wrong(fault)));
        }
        lines.extend(more(file).map(|more| format!("{place}: {more}")));
    }
    if logger.refused > 0 {
        lines.push(format!(
            "{}: {} records were accepted and refused by the logger: they stand nowhere",
            clean(&logger.logger),
            logger.refused
        ));
    }
    for path in &logger.paths {
        if let Some(absent) = path.absent {
            lines.push(format!(
                "{}: record {absent} of {} stood in a file of {} that is not here, though an earlier one is",
                clean(&logger.logger),
                path.source,
                clean(&path.path)
            ));
        }
    }
    lines.join("\n")
}

fn more(file: &FileRow) -> Option<String> {
    let more = file.fault_count.saturating_sub(FAULTS_SHOWN as u64);
    (more > 0).then(|| format!("and {more} more faults"))
}

fn wrong(fault: &FaultRow) -> String {
    let at = fault.at.unwrap_or_default();
    let record = || {
        let source = fault.source.as_deref().unwrap_or_default();
        format!("record {} of {source}", fault.number.unwrap_or_default())
    };
    match fault.kind {
        "missing" => "the file is not here, though its logger has not closed it".to_owned(),
        "no_index" => "there is no index beside it".to_owned(),
        "no_header" => "what is beside it is no index".to_owned(),
        "other_path" => "its index is another path's".to_owned(),
        "index_unreadable" => format!("its index cannot be read from byte {at} on"),
        "torn" => format!("the record at byte {at} is not whole"),
        "altered" => format!("what stands at byte {at} is not what was written there"),
        "not_indexed" => format!("nothing tells of what stands from byte {at} on"),
        "shorter" => format!(
            "{} bytes stand, {} did when its logger stored its state",
            fault.found.unwrap_or_default(),
            fault.expected.unwrap_or_default()
        ),
        "repeated" => format!("{} stands twice", record()),
        "out_of_order" => format!("{} stands behind a later one", record()),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::shared::Common;
    use crate::client::records::replies::PathRow;

    const SOURCE: &str = "000000000000000000000000000000ab";

    fn reply(fault: Option<FaultRow>, absent: Option<u64>) -> VerifyReply {
        let file = FileRow {
            name: "conn.log".to_owned(),
            path: "conn".to_owned(),
            current: true,
            records: 3,
            bytes: 90,
            fault_count: fault.iter().len() as u64,
            faults: fault.into_iter().collect(),
        };
        let source = SOURCE.to_owned();
        let path = PathRow {
            path: "conn".to_owned(),
            source: source.clone(),
            first: Some(4),
            last: Some(9),
            records: 3,
            repetitions: 0,
            earlier_below: Some(2),
            absent,
        };
        let source = SourceRow {
            source,
            first: 4,
            last: 9,
            records: 3,
            missing: 3,
            gap_count: 2,
            gaps: vec![(5, 5), (7, 8)],
        };
        VerifyReply {
            schema: 1,
            ok: file.fault_count == 0 && absent.is_none(),
            loggers: vec![LoggerRow {
                logger: "logger-1".to_owned(),
                files: vec![file],
                paths: vec![path],
                sources: vec![source],
                refused: 0,
                aside: 0,
            }],
        }
    }

    fn shown(reply: &VerifyReply) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console::new(&mut out, &mut err, &Common::default());
        show(reply, &mut console).unwrap();
        (
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    #[test]
    fn what_is_proved_is_a_table_and_what_its_gaps_can_mean() {
        let (out, err) = shown(&reply(None, None));
        assert_eq!(
            out,
            format!(
                "LOGGER    PATH  SOURCE                            FIRST  LAST  RECORDS  REPEATED\n\
                 logger-1  conn  {SOURCE}      4     9        3         0\n\
                 logger-1: 3 numbers of {SOURCE} stand nowhere (5, 7-8): no records of these logs, or in files that are not here\n\
                 logger-1: records of {SOURCE} below 2 stood in files of conn that are not here\n\
                 proved: 3 records in 1 file\n"
            )
        );
        assert_eq!(err, "");
    }

    #[test]
    fn what_a_logger_refused_is_wrong_and_what_it_put_aside_is_told() {
        let mut reply = reply(None, None);
        for logger in &mut reply.loggers {
            (logger.refused, logger.aside) = (2, 1);
            assert!(!logger.is_proved());
        }
        let (out, err) = shown(&reply);
        assert!(out.contains("logger-1: 1 records of writers"), "{out}");
        assert!(err.contains("logger-1: 2 records were accepted"), "{err}");
    }

    #[test]
    fn what_is_wrong_is_said_of_its_file_on_standard_error() {
        let fault = FaultRow {
            kind: "altered",
            at: Some(40),
            ..FaultRow::default()
        };
        let (_, err) = shown(&reply(Some(fault), Some(8)));
        assert_eq!(
            err,
            format!(
                "logger-1/conn.log: what stands at byte 40 is not what was written there\n\
                 logger-1: record 8 of {SOURCE} stood in a file of conn that is not here, though an earlier one is\n\
                 not proved: 3 records in 1 file\n"
            )
        );
    }
}

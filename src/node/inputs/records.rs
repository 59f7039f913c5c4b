//! From a line to the values of a record, and to the stream that it goes to.

use std::path::Path;

use crate::data::{Timestamp, Value};
use crate::follow::columns::{Columns, ColumnsError};
use crate::layout::inputs::{Form, Input};
use crate::logging::{
    Atom, Column, LogPath, LogPathError, Schema, SchemaError, StreamId, StreamIdError, Type, json,
    tsv,
};

/// What a line of Zeek's begins with that says something of the file.
const META: u8 = b'#';

/// Names that Zeek writes in capitals: `DNS::LOG`.
const CAPITALS: [&str; 18] = [
    "dhcp", "dnp3", "dns", "ftp", "http", "irc", "kdc", "ntlm", "ntp", "ocsp", "pe", "rdp", "rfb",
    "sip", "smb", "smtp", "ssh", "ssl",
];

/// A line that is no record. The fault of who wrote it.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadLine {
    #[error(transparent)]
    Tsv(#[from] tsv::ReadError),
    #[error(transparent)]
    Json(#[from] json::ReadError),
    #[error(transparent)]
    Columns(#[from] ColumnsError),
    #[error("columns that are none")]
    Schema(#[from] SchemaError),
    #[error("the file's header has no path, and its name makes none; give the input a path")]
    Path(#[from] LogPathError),
    #[error("the file's path names no stream; give the input a stream")]
    Stream(#[from] StreamIdError),
    /// What stands for it in a log has more bytes than are published.
    #[error("its record has {bytes} bytes, more than fabric.record_bytes_max allows")]
    TooLarge { bytes: usize },
    /// Before anything that names columns.
    #[error("nothing says what the line's columns are")]
    NoColumns,
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) stream: StreamId,
    pub(super) path: LogPath,
    pub(super) schema: Schema,
}

#[derive(Debug)]
enum Reader {
    Lines,
    Zeek(Box<tsv::Reader>),
    Json(Columns),
}

/// Reads the lines of one followed name.
#[derive(Debug)]
pub(super) struct Records {
    reader: Reader,
    stream: Option<StreamId>,
    path: Option<LogPath>,
    /// The file's name: as it stands in records, and up to its first dot.
    source: Vec<u8>,
    stem: Vec<u8>,
    target: Option<Target>,
    values: Vec<Value>,
}

impl Records {
    pub(super) fn new(input: &Input, source: &Path) -> Self {
        let name = source.file_name().unwrap_or_default().as_encoded_bytes();
        let stem = name.split(|byte| *byte == b'.').next().unwrap_or_default();
        Self {
            reader: match input.form {
                Form::Lines => Reader::Lines,
                Form::Zeek => Reader::Zeek(Box::default()),
                Form::Json => Reader::Json(Columns::default()),
            },
            stream: input.stream.clone(),
            path: input.path.clone(),
            source: source.as_os_str().as_encoded_bytes().to_vec(),
            stem: stem.to_vec(),
            target: None,
            values: Vec::new(),
        }
    }

    /// Have the files headers that name their columns?
    pub(super) const fn have_headers(&self) -> bool {
        matches!(self.reader, Reader::Zeek(_))
    }

    /// Has it to be told what a file begins with, before its lines?
    pub(super) const fn want_beginning(&self) -> bool {
        matches!(self.reader, Reader::Json(_))
    }

    /// Another file begins, or the same from its beginning; these are its first bytes, if they were
    /// wanted: who knows many lines has less columns to add later.
    pub(super) fn begin(&mut self, first: &[u8]) {
        match &mut self.reader {
            Reader::Lines => {}
            Reader::Zeek(reader) => **reader = tsv::Reader::new(),
            Reader::Json(columns) => {
                let whole = first.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
                let lines = first.get(..whole).unwrap_or_default();
                for line in lines.split(|byte| *byte == b'\n') {
                    // What is wrong with it is said when it comes.
                    let _ = columns.learn(line);
                }
            }
        }
    }

    /// Where the last record goes.
    pub(super) const fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    /// The last record's values.
    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    /// Reads a line. True: it is a record.
    pub(super) fn read(&mut self, line: &[u8], now: Timestamp) -> Result<bool, BadLine> {
        match &mut self.reader {
            Reader::Lines => {
                self.values.clear();
                self.values.push(Value::Timestamp(now));
                self.values.push(Value::String(self.source.clone()));
                self.values.push(Value::String(line.to_vec()));
                if self.target.is_none() {
                    self.aim_at(lines_schema()?)?;
                }
            }
            Reader::Zeek(reader) => {
                if line.is_empty() {
                    return Ok(false);
                }
                if line.first() == Some(&META) {
                    reader.line(line)?;
                    return Ok(false);
                }
                let schema = reader.schema().ok_or(BadLine::NoColumns)?;
                if self.target.as_ref().map(|target| &target.schema) != Some(schema) {
                    let schema = schema.clone();
                    self.aim_at(schema)?;
                }
                let Reader::Zeek(reader) = &mut self.reader else {
                    return Ok(false);
                };
                let (Some(format), Some(target)) = (reader.format(), &self.target) else {
                    return Err(BadLine::NoColumns);
                };
                format.parse(&target.schema, line, &mut self.values)?;
            }
            Reader::Json(columns) => {
                if line.is_empty() {
                    return Ok(false);
                }
                let is_other = columns.learn(line)?;
                let schema = columns.schema().ok_or(BadLine::NoColumns)?;
                if is_other || self.target.is_none() {
                    let schema = schema.clone();
                    self.aim_at(schema)?;
                }
                let target = self.target.as_ref().ok_or(BadLine::NoColumns)?;
                json::parse(&target.schema, line, &mut self.values)?;
            }
        }
        Ok(true)
    }

    /// Records of these columns come.
    fn aim_at(&mut self, schema: Schema) -> Result<(), BadLine> {
        let said = match &self.reader {
            Reader::Zeek(reader) => reader.path(),
            Reader::Lines | Reader::Json(_) => &[],
        };
        let path = match &self.path {
            Some(path) => path.clone(),
            None => LogPath::parse(said).or_else(|_| LogPath::parse(&self.stem))?,
        };
        let stream = match &self.stream {
            Some(stream) => stream.clone(),
            None => stream_of(&path)?,
        };
        self.target = Some(Target {
            stream,
            path,
            schema,
        });
        Ok(())
    }
}

fn lines_schema() -> Result<Schema, SchemaError> {
    let column = |name: &str, atom| Column::new(name, Type::Atom(atom), false);
    Schema::new(vec![
        column("ts", Atom::Time)?,
        column("source", Atom::String)?,
        column("line", Atom::String)?,
    ])
}

/// The stream that Zeek writes to this path: `Conn::LOG` for `conn`, `DNS::LOG`, `KnownHosts::LOG`.
fn stream_of(path: &LogPath) -> Result<StreamId, StreamIdError> {
    let mut id = String::new();
    for word in path.as_str().split(|c: char| !c.is_ascii_alphanumeric()) {
        if CAPITALS.contains(&word) {
            id.push_str(&word.to_ascii_uppercase());
        } else if let Some((first, rest)) = word.split_at_checked(1) {
            id.push_str(&first.to_ascii_uppercase());
            id.push_str(rest);
        }
    }
    StreamId::parse(id + "::LOG")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::inputs::Origin;

    fn records(form: Form, stream: Option<&str>) -> Records {
        let input = Input {
            from: Origin::Files("/logs/*".into()),
            form,
            stream: stream.map(|id| StreamId::parse(id).unwrap()),
            path: stream.map(|_| LogPath::parse("own").unwrap()),
        };
        Records::new(&input, Path::new("/logs/known_hosts.2.log"))
    }

    fn target(records: &Records) -> String {
        let target = records.target().unwrap();
        let columns = target.schema.columns().iter();
        let columns: Vec<String> = columns
            .map(|column| format!("{}:{}", column.name(), column.type_()))
            .collect();
        format!("{} {} {}", target.stream, target.path, columns.join(" "))
    }

    const NOW: Timestamp = Timestamp::from_nanos(7);

    #[test]
    fn a_zeek_file_says_where_it_belongs_and_may_say_something_else_later() {
        let mut records = records(Form::Zeek, None);
        let header = |path: &str, fields: &str, types: &str| {
            let path = format!("#path\t{path}");
            [
                "#separator \\x09".to_owned(),
                path,
                format!("#fields\t{fields}"),
                format!("#types\t{types}"),
            ]
        };
        assert!(matches!(records.read(b"1", NOW), Err(BadLine::NoColumns)));
        for line in header("dns", "ts\tn", "time\tcount") {
            assert!(!records.read(line.as_bytes(), NOW).unwrap());
        }
        assert!(records.read(b"1.5\t7", NOW).unwrap());
        assert_eq!(target(&records), "DNS::LOG dns ts:time n:count");
        assert_eq!(records.values()[1], Value::Count(7));
        assert!(records.read(b"1.5\tx", NOW).is_err());
        assert!(!records.read(b"#close\tx", NOW).unwrap());
        for line in header("../x", "a", "string") {
            assert!(!records.read(line.as_bytes(), NOW).unwrap());
        }
        assert!(records.read(b"x", NOW).unwrap());
        assert_eq!(target(&records), "KnownHosts::LOG known_hosts a:string");
    }

    #[test]
    fn objects_make_columns_and_their_file_names_the_stream() {
        let mut records = records(Form::Json, None);
        records.begin(b"{\"ts\":1.5}\n{\"b\":true}\n{\"half");
        assert!(records.read(b"{\"ts\":1.5}", NOW).unwrap());
        assert_eq!(
            target(&records),
            "KnownHosts::LOG known_hosts ts:time b:bool"
        );
        assert!(records.read(b"{\"c\":\"x\"}", NOW).unwrap());
        assert!(target(&records).ends_with("b:bool c:string"));
        assert!(records.read(b"{\"c\":1}", NOW).is_err());
    }

    #[test]
    fn any_text_has_its_time_and_its_source() {
        let mut records = records(Form::Lines, Some("Own::LOG"));
        assert!(records.read(b"a\xff", NOW).unwrap());
        assert_eq!(
            target(&records),
            "Own::LOG own ts:time source:string line:string"
        );
        let expected = [
            Value::Timestamp(NOW),
            Value::String(b"/logs/known_hosts.2.log".to_vec()),
            Value::String(b"a\xff".to_vec()),
        ];
        assert_eq!(records.values(), expected);
    }
}

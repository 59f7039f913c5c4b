//! What stands around the lines of a log file whose writer said what they are.

use super::files::Frame;
use super::message::{Create, Format};
use super::{LogPath, Schema, json, tsv};
use crate::data::Timestamp;

/// Headers and footers as writers' formats have them: Zeek's for tab-separated values, none for JSON.
/// The schemas that it takes are those of [`Create::file_schema`].
#[derive(Clone, Copy, Debug, Default)]
pub struct WriterFrame;

impl Create {
    /// What its lines are, whatever stream they are of: with the same bytes they can stand in one file.
    #[must_use]
    pub fn file_schema(&self) -> Vec<u8> {
        // Into memory, which does not fail.
        postcard::to_stdvec(&(&self.format, &self.schema)).unwrap_or_default()
    }
}

impl Create {
    /// Is this one record as this writer forms it, in one line with its line feed?
    #[must_use]
    pub fn is_record(&self, lines: &[u8]) -> bool {
        let Some((b'\n', line)) = lines.split_last() else {
            return false;
        };
        let mut values = Vec::new();
        let is_one = !line.contains(&b'\n') && line.first() != Some(&b'#');
        is_one
            && match &self.format {
                Format::Tsv(settings) => tsv::Format::new(settings.clone())
                    .is_ok_and(|format| format.parse(&self.schema, line, &mut values).is_ok()),
                Format::Json(_) => json::parse(&self.schema, line, &mut values).is_ok(),
            }
    }
}

fn tsv_of(schema: &[u8]) -> Option<(tsv::Format, Schema)> {
    match postcard::from_bytes(schema).ok()? {
        (Format::Tsv(settings), schema) => Some((tsv::Format::new(settings).ok()?, schema)),
        (Format::Json(_), _) => None,
    }
}

impl Frame for WriterFrame {
    fn header(&self, path: &LogPath, schema: &[u8], opened: Timestamp) -> Vec<u8> {
        let mut header = Vec::new();
        if let Some((format, schema)) = tsv_of(schema) {
            format.header(&schema, path, opened, &mut header);
        }
        header
    }

    fn footer(&self, _: &LogPath, schema: &[u8], closed: Timestamp) -> Vec<u8> {
        let mut footer = Vec::new();
        if let Some((format, _)) = tsv_of(schema) {
            format.close(closed, &mut footer);
        }
        footer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::{Atom, Column, StreamId, Type};

    fn create(format: Format) -> Create {
        let column = Column::new("ts", Type::Atom(Atom::Time), false).unwrap();
        Create {
            stream: StreamId::parse("Conn::LOG").unwrap(),
            filter: "default".to_owned(),
            path: LogPath::parse("conn").unwrap(),
            format,
            schema: Schema::new(vec![column]).unwrap(),
            interval: None,
        }
    }

    #[test]
    fn a_tsv_file_has_the_header_and_the_end_that_its_writer_means() {
        let tsv = create(Format::Tsv(tsv::Settings::default()));
        let path = LogPath::parse("conn-2").unwrap();
        let opened = Timestamp::from_nanos(0);
        let header = WriterFrame.header(&path, &tsv.file_schema(), opened);
        let header = String::from_utf8(header).unwrap();
        for line in ["#path\tconn-2\n", "#fields\tts\n", "#types\ttime\n"] {
            assert!(header.contains(line), "{header}");
        }
        let footer = WriterFrame.footer(&path, &tsv.file_schema(), opened);
        assert_eq!(footer, b"#close\t1970-01-01-00-00-00\n");
    }

    #[test]
    fn a_json_file_and_one_of_an_unknown_schema_have_nothing_around_their_lines() {
        let json = create(Format::Json(json::Format::default()));
        for schema in [json.file_schema(), Vec::new(), vec![0xff; 20]] {
            let time = Timestamp::from_nanos(0);
            assert!(WriterFrame.header(&json.path, &schema, time).is_empty());
            assert!(WriterFrame.footer(&json.path, &schema, time).is_empty());
        }
    }

    #[test]
    fn only_what_lines_are_tells_schemas_apart() {
        let one = create(Format::Tsv(tsv::Settings::default()));
        let other = Create {
            stream: StreamId::parse("Other::LOG").unwrap(),
            ..one.clone()
        };
        assert_eq!(one.file_schema(), other.file_schema());
        let json = create(Format::Json(json::Format::default()));
        assert_ne!(one.file_schema(), json.file_schema());
    }

    #[test]
    fn a_record_is_one_line_with_a_field_for_each_column() {
        let tsv = create(Format::Tsv(tsv::Settings::default()));
        let json = create(Format::Json(json::Format::default()));
        assert!(tsv.is_record(b"1.5\n") && json.is_record(b"{\"ts\":1.5}\n"));
        for line in ["", "1.5", "1.5\n1.5\n", "#close\n", "1.5\tx\n", "x\n", "\n"] {
            assert!(!tsv.is_record(line.as_bytes()), "{line:?}");
        }
        for line in [
            "{\"ts\":1.5}",
            "{}\n",
            "1.5\n",
            "{\"ts\":1.5}\n{\"ts\":1.5}\n",
        ] {
            assert!(!json.is_record(line.as_bytes()), "{line:?}");
        }
    }
}

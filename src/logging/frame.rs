//! What stands around the lines of a log file whose writer said what they are.

use super::files::Frame;
use super::message::{Create, Format};
use super::{LogPath, Schema, tsv};
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
    use crate::logging::{Atom, Column, StreamId, Type, json};

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
}

//! One writer: a form, columns and a path.

use crate::logging::message::{Create, Format, MessageError, WriterId, lines_head};
use crate::logging::{LogPath, Record, json, tsv};

/// Makes the lines of the records that one filter sends to one path.
#[derive(Debug)]
pub struct LogWriter {
    id: WriterId,
    create: Create,
    message: Vec<u8>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Tsv(Box<tsv::Format>),
    Json(json::Format),
}

impl LogWriter {
    pub(super) fn new(create: Create) -> Result<Self, MessageError> {
        let form = match &create.format {
            Format::Tsv(settings) => Form::Tsv(Box::new(tsv::Format::new(settings.clone())?)),
            Format::Json(format) => Form::Json(*format),
        };
        let (id, message) = create.encode()?;
        Ok(Self {
            id,
            create,
            message,
            form,
        })
    }

    /// Which writer it is to those who receive its lines.
    #[must_use]
    pub const fn id(&self) -> WriterId {
        self.id
    }

    /// What it writes, and where to.
    #[must_use]
    pub const fn create(&self) -> &Create {
        &self.create
    }

    /// The message that has to come before its lines: [`Create::encode`].
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Where it writes to.
    #[must_use]
    pub const fn path(&self) -> &LogPath {
        &self.create.path
    }

    /// Makes the message of a record's line. Does not allocate as long as the buffer has room.
    pub(super) fn line(&self, record: Record<'_>, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&lines_head(self.id));
        match &self.form {
            Form::Tsv(format) => format.record(record, out),
            Form::Json(format) => format.record(record, out),
        }
    }
}

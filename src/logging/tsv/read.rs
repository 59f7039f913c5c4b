//! Lines into headers and records.

use crate::data::{Address, Port, Protocol, Set, Timespan, Timestamp, Value};
use crate::logging::{
    Atom, Column, RECORD_BYTES_MAX, RecordError, Schema, SchemaError, Type, number, seconds, text,
};

use super::format::META_PREFIX;
use super::{Format, FormatError, Settings};

/// How much of a field an error shows, in characters.
const SHOWN_CHARS_MAX: usize = 64;

/// A line that cannot be read. The fault of who wrote the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Longer than is read.
    #[error("a line of {bytes} bytes; at most {RECORD_BYTES_MAX} are read")]
    TooLong {
        /// Its length, without its end.
        bytes: usize,
    },
    /// A record before the header was complete.
    #[error("a record before the lines #separator, #fields and #types")]
    NoHeader,
    /// A line of the header that does not say what it should.
    #[error("the line #{key} says nothing that is understood: \"{value}\"")]
    Header {
        /// Its first word.
        key: &'static str,
        /// What follows; of a long one the beginning.
        value: String,
    },
    /// Separators and markers that could be mistaken.
    #[error("the header names marks that cannot be told apart")]
    Format(#[from] FormatError),
    /// Columns that are none.
    #[error("the header names columns that are none")]
    Schema(#[from] SchemaError),
    /// A record that does not fit its columns.
    #[error("the record does not fit its columns")]
    Record(#[from] RecordError),
    /// A field that is no value of its column's type.
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// A field that is no value of its column's type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column \"{column}\" takes {wanted}, which \"{text}\" is not")]
pub struct FieldError {
    /// The column's name.
    pub column: String,
    /// Its type.
    pub wanted: Type,
    /// The field as it stands in the file; of a long one the beginning.
    pub text: String,
}

/// What a line of a file was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Line<'a> {
    /// One that says something of the file.
    Meta,
    /// A record: a value for each column.
    Record(&'a [Value]),
}

/// Reads a file with a full header, line by line. A header in the middle of a file begins anew.
#[derive(Debug, Default)]
pub struct Reader {
    settings: Settings,
    names: Vec<String>,
    path: Vec<u8>,
    file: Option<(Format, Schema)>,
    closed: bool,
    values: Vec<Value>,
}

impl Reader {
    /// A reader that waits for the header.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The columns, as soon as the header is complete. All are optional: the header does not say.
    #[must_use]
    pub fn schema(&self) -> Option<&Schema> {
        self.file.as_ref().map(|(_, schema)| schema)
    }

    /// How the file is written, as soon as the header is complete.
    #[must_use]
    pub fn format(&self) -> Option<&Format> {
        self.file.as_ref().map(|(format, _)| format)
    }

    /// What the header says of the path; not necessarily one that
    /// [`LogPath`](crate::logging::LogPath) takes. Empty if nothing.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// Did the file end in good order?
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Reads a line, without its end. After an error the next line can be read.
    ///
    /// # Errors
    /// [`ReadError`] says what is wrong with the line.
    pub fn line(&mut self, line: &[u8]) -> Result<Line<'_>, ReadError> {
        if let Some(meta) = line.strip_prefix(&[META_PREFIX]) {
            self.meta(meta)?;
            return Ok(Line::Meta);
        }
        let (format, schema) = self.file.as_ref().ok_or(ReadError::NoHeader)?;
        format.parse(schema, line, &mut self.values)?;
        Ok(Line::Record(&self.values))
    }

    fn meta(&mut self, line: &[u8]) -> Result<(), ReadError> {
        if line.len() > RECORD_BYTES_MAX {
            return Err(ReadError::TooLong { bytes: line.len() });
        }
        if let Some(value) = line.strip_prefix(b"separator ") {
            *self = Self::default();
            self.settings.separator = one_byte("separator", value)?;
            return Ok(());
        }
        let separator = self.settings.separator;
        let mut parts = line.splitn(2, |byte| *byte == separator);
        let (key, value) = (parts.next(), parts.next().unwrap_or_default());
        match key.unwrap_or_default() {
            b"set_separator" => self.settings.set_separator = one_byte("set_separator", value)?,
            b"empty_field" => self.settings.empty_field = header_text("empty_field", value)?,
            b"unset_field" => self.settings.unset_field = header_text("unset_field", value)?,
            b"path" => self.path = unescape(value),
            b"fields" => {
                let names = value.split(|byte| *byte == separator);
                self.names = names
                    .map(|name| String::from_utf8_lossy(name).into_owned())
                    .collect();
            }
            b"types" => {
                let schema = self.columns(value)?;
                self.file = Some((Format::new(self.settings.clone())?, schema));
            }
            b"close" => self.closed = true,
            _ => {}
        }
        Ok(())
    }

    /// The columns of the names that came before, and of these types.
    fn columns(&mut self, types: &[u8]) -> Result<Schema, ReadError> {
        let refused = || ReadError::Header {
            key: "types",
            value: shown(types),
        };
        let mut types = types.split(|byte| *byte == self.settings.separator);
        let mut columns = Vec::new();
        for name in std::mem::take(&mut self.names) {
            let type_ = types.next().and_then(number::parse::<Type>);
            columns.push(Column::new(name, type_.ok_or_else(refused)?, true)?);
        }
        if types.next().is_some() {
            return Err(refused());
        }
        Ok(Schema::new(columns)?)
    }
}

impl Format {
    /// Reads a line, without its end, as a record of these columns. `values` has nothing but its fields
    /// afterwards, whatever it had before; after an error, some of them.
    ///
    /// # Errors
    /// [`ReadError`] says what is wrong with the line.
    pub fn parse(
        &self,
        schema: &Schema,
        line: &[u8],
        values: &mut Vec<Value>,
    ) -> Result<(), ReadError> {
        values.clear();
        if line.len() > RECORD_BYTES_MAX {
            return Err(ReadError::TooLong { bytes: line.len() });
        }
        let mut fields = line.split(|byte| *byte == self.settings.separator);
        for column in schema.columns() {
            let Some(field) = fields.next() else {
                break;
            };
            let value = self.value(column.type_(), field);
            values.push(value.ok_or_else(|| FieldError {
                column: column.name().to_owned(),
                wanted: column.type_(),
                text: shown(field),
            })?);
        }
        let surplus = fields.count();
        if surplus > 0 {
            return Err(ReadError::Record(RecordError::Fields {
                got: values.len() + surplus,
                wanted: schema.columns().len(),
            }));
        }
        schema.record(values)?;
        Ok(())
    }

    fn value(&self, type_: Type, field: &[u8]) -> Option<Value> {
        if field == self.settings.unset_field.as_bytes() {
            return Some(Value::None);
        }
        match type_ {
            Type::Atom(atom) => self.atom_of(atom, field),
            Type::Set(atom) => {
                let elements = self.elements_of(atom, field)?;
                // Two ports that differed by protocol are one now.
                Some(Value::Set(elements.into_iter().collect::<Set>()))
            }
            Type::Vector(atom) => self.elements_of(atom, field).map(Value::Vector),
        }
    }

    fn elements_of(&self, atom: Atom, field: &[u8]) -> Option<Vec<Value>> {
        if field == self.settings.empty_field.as_bytes() {
            return Some(Vec::new());
        }
        let separates = |byte: &u8| *byte == self.settings.set_separator;
        // Room for no more than there are: a reader of strangers' files is bounded by their length.
        let count = field.iter().filter(|byte| separates(byte)).count() + 1;
        let mut elements = Vec::with_capacity(count);
        for element in field.split(separates) {
            if element == self.settings.unset_field.as_bytes() {
                return None;
            }
            elements.push(self.atom_of(atom, element)?);
        }
        Some(elements)
    }

    fn atom_of(&self, atom: Atom, field: &[u8]) -> Option<Value> {
        if atom.is_text() {
            let bytes = if field == self.settings.empty_field.as_bytes() {
                Vec::new()
            } else {
                unescape(field)
            };
            return Some(if atom == Atom::Enum {
                Value::EnumValue(bytes)
            } else {
                Value::String(bytes)
            });
        }
        match atom {
            Atom::Bool => match field {
                b"T" => Some(Value::Boolean(true)),
                b"F" => Some(Value::Boolean(false)),
                _ => None,
            },
            Atom::Int => number::parse(field).map(Value::Integer),
            Atom::Count => number::parse(field).map(Value::Count),
            Atom::Double => number::parse(field).map(Value::Real),
            Atom::Time | Atom::Interval => time(atom, field),
            Atom::Port => {
                let number = number::parse(field)?;
                Some(Value::Port(Port::new(number, Protocol::Unknown)))
            }
            Atom::Addr => number::parse::<Address>(field).map(Value::Address),
            Atom::Subnet => {
                let text = std::str::from_utf8(field).ok()?;
                number::parse_subnet(text).map(Value::Subnet)
            }
            Atom::String | Atom::Enum | Atom::Func | Atom::File => None,
        }
    }
}

/// A time or an interval; exactly, if it has decimals only.
fn time(atom: Atom, field: &[u8]) -> Option<Value> {
    if let Some(nanos) = number::parse_fixed(field) {
        return Some(if atom == Atom::Time {
            Value::Timestamp(Timestamp::from_nanos(nanos))
        } else {
            Value::Timespan(Timespan::from_nanos(nanos))
        });
    }
    Some(seconds::to_value(atom, number::parse(field)?))
}

/// The bytes that a text stands for. A backslash that escapes nothing is one.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (plain, escape) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        bytes.extend_from_slice(plain);
        rest = match escape {
            [_, b'\\', after @ ..] => {
                bytes.push(b'\\');
                after
            }
            [_, b'x', high, low, after @ ..] => match text::unhex([*high, *low]) {
                Some(byte) => {
                    bytes.push(byte);
                    after
                }
                None => {
                    bytes.push(b'\\');
                    escape.get(1..).unwrap_or_default()
                }
            },
            _ => {
                bytes.push(b'\\');
                escape.get(1..).unwrap_or_default()
            }
        };
    }
    bytes.extend_from_slice(rest);
    bytes
}

fn one_byte(key: &'static str, value: &[u8]) -> Result<u8, ReadError> {
    match unescape(value).as_slice() {
        [byte] => Ok(*byte),
        _ => Err(ReadError::Header {
            key,
            value: shown(value),
        }),
    }
}

fn header_text(key: &'static str, value: &[u8]) -> Result<String, ReadError> {
    String::from_utf8(unescape(value)).map_err(|_| ReadError::Header {
        key,
        value: shown(value),
    })
}

/// The beginning of a text, for an error.
fn shown(text: &[u8]) -> String {
    let beginning = text.get(..4 * SHOWN_CHARS_MAX).unwrap_or(text);
    let beginning = String::from_utf8_lossy(beginning);
    beginning.chars().take(SHOWN_CHARS_MAX).collect()
}

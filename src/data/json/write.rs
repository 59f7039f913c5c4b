//! Values into JSON.

use std::fmt::{self, Write};

use super::{DATA, TYPE, time};
use crate::data::{Value, display};

/// Appends a value. JSON v1.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    Writer { out }.value(value);
}

/// Appends a data message: the value's own members beside the topic. JSON v1, `data-message`.
pub fn encode_data_message(topic: &str, value: &Value, out: &mut Vec<u8>) {
    let mut writer = Writer { out };
    writer.raw("{\"type\":\"data-message\",\"topic\":");
    writer.string(topic.as_bytes());
    writer.raw(",");
    writer.members(value);
    writer.raw("}");
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.raw(text);
        Ok(())
    }
}

impl Writer<'_> {
    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn value(&mut self, value: &Value) {
        self.raw("{");
        self.members(value);
        self.raw("}");
    }

    fn members(&mut self, value: &Value) {
        self.raw("\"");
        self.raw(TYPE);
        self.raw("\":\"");
        self.raw(value.kind().name());
        self.raw("\",\"");
        self.raw(DATA);
        self.raw("\":");
        match value {
            Value::None => self.raw("{}"),
            Value::Boolean(content) => self.raw(if *content { "true" } else { "false" }),
            Value::Count(content) => self.formatted(|out| write!(out, "{content}")),
            Value::Integer(content) => self.formatted(|out| write!(out, "{content}")),
            Value::Real(content) if content.is_finite() => {
                self.formatted(|out| display::real(out, *content));
            }
            Value::Real(_) => self.raw("null"),
            Value::String(content) | Value::EnumValue(content) => self.string(content),
            Value::Address(content) => self.formatted(|out| write!(out, "\"{content}\"")),
            Value::Subnet(content) => self.formatted(|out| write!(out, "\"{content}\"")),
            Value::Port(content) => self.formatted(|out| write!(out, "\"{content}\"")),
            Value::Timestamp(content) => {
                self.raw("\"");
                self.formatted(|out| time::write_timestamp(out, *content));
                self.raw("\"");
            }
            Value::Timespan(content) => {
                self.raw("\"");
                self.formatted(|out| time::write_timespan(out, *content));
                self.raw("\"");
            }
            Value::Set(content) => self.array(content.as_slice(), Self::value),
            Value::Table(content) => self.array(content.as_slice(), |out, (key, value)| {
                out.raw("{\"key\":");
                out.value(key);
                out.raw(",\"value\":");
                out.value(value);
                out.raw("}");
            }),
            Value::Vector(content) => self.array(content, Self::value),
        }
    }

    /// What formats itself. Writing to memory does not fail.
    fn formatted(&mut self, write: impl Fn(&mut Self) -> fmt::Result) {
        let written = write(self);
        debug_assert_eq!(written, Ok(()), "memory refused to be written");
    }

    fn array<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.raw("[");
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.raw(",");
            }
            write(self, item);
        }
        self.raw("]");
    }

    fn string(&mut self, bytes: &[u8]) {
        self.raw("\"");
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                self.char(c);
            }
            if !chunk.invalid().is_empty() {
                self.char(char::REPLACEMENT_CHARACTER);
            }
        }
        self.raw("\"");
    }

    fn char(&mut self, c: char) {
        match c {
            '"' => self.raw("\\\""),
            '\\' => self.raw("\\\\"),
            '\u{8}' => self.raw("\\b"),
            '\u{c}' => self.raw("\\f"),
            '\n' => self.raw("\\n"),
            '\r' => self.raw("\\r"),
            '\t' => self.raw("\\t"),
            c if u32::from(c) < 0x20 => {
                self.formatted(|out| write!(out, "\\u{:04x}", u32::from(c)));
            }
            c => self.raw(c.encode_utf8(&mut [0; 4])),
        }
    }
}

//! Headers and records as lines.

use crate::data::calendar::Date;
use crate::data::{Timestamp, Value};
use crate::logging::seconds::NANOS_A_SECOND;
use crate::logging::{Atom, LogPath, Record, Schema, Type, number, text};

use super::format::{ALWAYS, BEYOND_ASCII, META_PREFIX, WITHIN};
use super::{Format, Header};

impl Format {
    /// Appends what stands at the beginning of a file that was opened then. The time is in UTC, where
    /// Zeek takes the zone of its host.
    pub fn header(&self, schema: &Schema, path: &LogPath, opened: Timestamp, out: &mut Vec<u8>) {
        match self.settings.header {
            Header::Nothing => {}
            Header::Names => {
                self.names(schema, out);
                out.push(b'\n');
            }
            Header::Full => self.full_header(schema, path, opened, out),
        }
    }

    fn full_header(&self, schema: &Schema, path: &LogPath, opened: Timestamp, out: &mut Vec<u8>) {
        // A space, since the separator is what the line is to say.
        out.extend_from_slice(b"#separator ");
        header_text(&[self.settings.separator], out);
        out.push(b'\n');
        let lines = [
            ("set_separator", &[self.settings.set_separator][..]),
            ("empty_field", self.settings.empty_field.as_bytes()),
            ("unset_field", self.settings.unset_field.as_bytes()),
            ("path", path.as_str().as_bytes()),
        ];
        for (key, value) in lines {
            self.key(key, out);
            header_text(value, out);
            out.push(b'\n');
        }
        self.key("open", out);
        date(opened, out);
        out.push(b'\n');
        self.key("fields", out);
        self.names(schema, out);
        out.push(b'\n');
        self.key("types", out);
        for (index, column) in schema.columns().iter().enumerate() {
            if index > 0 {
                out.push(self.settings.separator);
            }
            number::formatted(format_args!("{}", column.type_()), out);
        }
        out.push(b'\n');
    }

    fn key(&self, key: &str, out: &mut Vec<u8>) {
        out.push(META_PREFIX);
        out.extend_from_slice(key.as_bytes());
        out.push(self.settings.separator);
    }

    fn names(&self, schema: &Schema, out: &mut Vec<u8>) {
        for (index, column) in schema.columns().iter().enumerate() {
            if index > 0 {
                out.push(self.settings.separator);
            }
            out.extend_from_slice(column.name().as_bytes());
        }
    }

    /// Appends the last line of a file that was closed then; nothing unless the header is a full one.
    pub fn close(&self, closed: Timestamp, out: &mut Vec<u8>) {
        if self.settings.header == Header::Full {
            self.key("close", out);
            date(closed, out);
            out.push(b'\n');
        }
    }

    /// Appends a record as a line, with its end. Does not allocate as long as the buffer has room.
    pub fn record(&self, record: Record<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        for (index, (column, value)) in record.fields().enumerate() {
            if index > 0 {
                out.push(self.settings.separator);
            }
            match (column.type_(), value) {
                (_, Value::None) => out.extend_from_slice(self.settings.unset_field.as_bytes()),
                (Type::Atom(atom), value) => self.atom(atom, value, ALWAYS | BEYOND_ASCII, out),
                (Type::Set(atom), Value::Set(set)) => self.elements(atom, set.as_slice(), out),
                (Type::Vector(atom), Value::Vector(elements)) => self.elements(atom, elements, out),
                (_, value) => debug_assert!(false, "{value} does not fit; the record was checked"),
            }
        }
        if out.get(start) == Some(&META_PREFIX) {
            out.splice(start..=start, *b"\\x23");
        }
        out.push(b'\n');
    }

    fn elements(&self, atom: Atom, elements: &[Value], out: &mut Vec<u8>) {
        match elements {
            [] => out.extend_from_slice(self.settings.empty_field.as_bytes()),
            // The marker would say that there is no element.
            [Value::String(only) | Value::EnumValue(only)] if only.is_empty() => {}
            elements => {
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(self.settings.set_separator);
                    }
                    self.atom(atom, element, ALWAYS | BEYOND_ASCII | WITHIN, out);
                }
            }
        }
    }

    fn atom(&self, atom: Atom, value: &Value, escaped: u8, out: &mut Vec<u8>) {
        match value {
            Value::Boolean(content) => out.push(if *content { b'T' } else { b'F' }),
            Value::Count(content) => number::integer(*content, out),
            Value::Integer(content) => number::integer(*content, out),
            Value::Real(content) if atom == Atom::Double => number::decimal(*content, out),
            Value::Real(content) => number::exponential(*content, out),
            Value::Timestamp(content) => number::fixed(content.nanos(), out),
            Value::Timespan(content) => number::fixed(content.nanos(), out),
            Value::String(content) | Value::EnumValue(content) => self.text(content, escaped, out),
            Value::Port(content) => number::integer(content.number, out),
            Value::Address(content) => number::address(*content, out),
            Value::Subnet(content) => number::subnet(*content, out),
            Value::None | Value::Set(_) | Value::Table(_) | Value::Vector(_) => {
                debug_assert!(false, "{value} is no {atom}; the record was checked");
            }
        }
    }

    fn text(&self, bytes: &[u8], escaped: u8, out: &mut Vec<u8>) {
        let (empty, unset) = (&self.settings.empty_field, &self.settings.unset_field);
        let Some((first, rest)) = bytes.split_first() else {
            return out.extend_from_slice(empty.as_bytes());
        };
        if bytes == unset.as_bytes() || bytes == empty.as_bytes() {
            text::hex(b"\\x", &[*first], out);
            out.extend_from_slice(rest);
        } else {
            self.escape(bytes, escaped, out);
        }
    }

    /// Appends a text, in which bytes of these classes are escaped.
    fn escape(&self, bytes: &[u8], escaped: u8, out: &mut Vec<u8>) {
        let mut rest = bytes;
        loop {
            let end = rest
                .iter()
                .position(|byte| self.class(*byte) & escaped != 0);
            let Some((plain, special)) = end.and_then(|end| rest.split_at_checked(end)) else {
                return out.extend_from_slice(rest);
            };
            out.extend_from_slice(plain);
            let beyond = special.iter().take_while(|byte| !byte.is_ascii()).count();
            let (run, after) = special
                .split_at_checked(beyond.max(1))
                .unwrap_or((special, &[]));
            if beyond > 0 {
                text::beyond_ascii(b"\\x", run, out);
            } else if run == b"\\" {
                out.extend_from_slice(b"\\\\");
            } else {
                text::hex(b"\\x", run, out);
            }
            rest = after;
        }
    }
}

/// Appends a value of the header: printable characters as they are, all other bytes as `\xHH`.
fn header_text(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        if byte.is_ascii_graphic() && *byte != b'\\' {
            out.push(*byte);
        } else {
            text::hex(b"\\x", &[*byte], out);
        }
    }
}

/// Appends a point in time as headers say it: `2024-04-12-19-29-36`, in UTC.
fn date(time: Timestamp, out: &mut Vec<u8>) {
    let date = Date::of(time.nanos().div_euclid(NANOS_A_SECOND));
    number::padded(date.year, 4, out);
    for part in [date.month, date.day, date.hour, date.minute, date.second] {
        out.push(b'-');
        number::padded(part, 2, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Set, Subnet, Timespan};
    use crate::logging::Column;
    use crate::logging::tsv::Settings;

    fn column(name: &str, text: &str) -> Column {
        Column::new(name, text.parse().unwrap(), true).unwrap()
    }

    fn field(text: &str, value: Value) -> String {
        let schema = Schema::new(vec![column("x", text)]).unwrap();
        let values = [value];
        let mut out = Vec::new();
        Format::default().record(schema.record(&values).unwrap(), &mut out);
        assert_eq!(out.pop(), Some(b'\n'));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_are_written_as_zeek_writes_them() {
        let strings =
            |items: &[&str]| Value::Vector(items.iter().map(|s| Value::from(*s)).collect());
        let set: Set = [Value::from(true), Value::from(false)]
            .into_iter()
            .collect();
        for (text, value, expected) in [
            ("bool", Value::from(true), "T"),
            ("int", Value::from(-5_i64), "-5"),
            ("count", Value::from(u64::MAX), "18446744073709551615"),
            ("double", Value::from(0.25), "0.25"),
            (
                "time",
                Value::Timestamp(Timestamp::from_nanos(1_500_000_000)),
                "1.500000",
            ),
            (
                "interval",
                Value::Timespan(Timespan::from_nanos(-1_000_000)),
                "-0.001000",
            ),
            ("string", Value::from("a b"), "a b"),
            ("string", Value::from(""), "(empty)"),
            ("string", Value::from("-"), "\\x2d"),
            ("string", Value::from("(empty)"), "\\x28empty)"),
            (
                "string",
                Value::from("a\\x41\tb,é\u{7f}"),
                "a\\\\x41\\x09b,é\\x7f",
            ),
            ("string", Value::from(&b"\xff\0\n"[..]), "\\xff\\x00\\x0a"),
            ("string", Value::from("#x"), "\\x23x"),
            (
                "enum",
                Value::enum_value("Notice::ACTION_LOG"),
                "Notice::ACTION_LOG",
            ),
            ("port", Value::Port("53/udp".parse().unwrap()), "53"),
            (
                "addr",
                Value::Address("::ffff:10.0.0.1".parse().unwrap()),
                "10.0.0.1",
            ),
            ("subnet", Value::Subnet(Subnet::EMPTY), "::/0"),
            ("count", Value::None, "-"),
            ("vector[string]", Value::None, "-"),
            ("vector[string]", strings(&[]), "(empty)"),
            ("vector[string]", strings(&[""]), ""),
            (
                "vector[string]",
                strings(&["", "-", "a,b"]),
                "(empty),\\x2d,a\\x2cb",
            ),
            ("set[bool]", Value::Set(set), "F,T"),
        ] {
            assert_eq!(field(text, value), expected);
        }
    }

    #[test]
    fn a_file_begins_with_what_one_needs_to_read_it() {
        let schema =
            Schema::new(vec![column("ts", "time"), column("tags", "set[string]")]).unwrap();
        let path = LogPath::parse("my log").unwrap();
        let time = Timestamp::from_nanos(1_712_950_176_999_999_999);
        let written = |settings: Settings| {
            let format = Format::new(settings).unwrap();
            let mut out = Vec::new();
            format.header(&schema, &path, time, &mut out);
            format.close(time, &mut out);
            String::from_utf8(out).unwrap()
        };
        let expected = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n\
                        #path\tmy\\x20log\n#open\t2024-04-12-19-29-36\n#fields\tts\ttags\n\
                        #types\ttime\tset[string]\n#close\t2024-04-12-19-29-36\n";
        let (separator, header) = (b'|', Header::Names);
        let settings = Settings::default();
        assert_eq!(written(settings.clone()), expected);
        assert_eq!(
            written(Settings {
                separator,
                header,
                ..settings.clone()
            }),
            "ts|tags\n"
        );
        assert_eq!(
            written(Settings {
                header: Header::Nothing,
                ..settings
            }),
            ""
        );
    }
}

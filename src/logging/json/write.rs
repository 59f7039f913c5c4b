//! Records as objects.

use crate::data::Value;
use crate::data::calendar::Date;
use crate::logging::{Atom, Record, number, seconds, text};

use super::{Format, Times};

/// What stands in front of the digits of a byte: a backslash, escaped, and an x.
const BYTE: &[u8] = b"\\\\x";

/// The last second of the year 9999, and the first of the year 0.
const YEARS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

impl Format {
    /// Appends a record as an object, and the end of its line. Does not allocate as long as the buffer
    /// has room.
    pub fn record(self, record: Record<'_>, out: &mut Vec<u8>) {
        let mut next = b'{';
        for (column, value) in record.fields() {
            if value.is_none() && !self.unset_fields {
                continue;
            }
            out.extend_from_slice(&[next, b'"']);
            // Names of columns hold nothing that JSON escapes.
            out.extend_from_slice(column.name().as_bytes());
            out.extend_from_slice(b"\":");
            self.value(column.type_().atom(), value, out);
            next = b',';
        }
        if next == b'{' {
            out.push(next);
        }
        out.extend_from_slice(b"}\n");
    }

    fn value(self, atom: Atom, value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::None => out.extend_from_slice(b"null"),
            Value::Boolean(true) => out.extend_from_slice(b"true"),
            Value::Boolean(false) => out.extend_from_slice(b"false"),
            Value::Count(content) => number::integer(*content, out),
            Value::Integer(content) => number::integer(*content, out),
            Value::Real(content) if atom == Atom::Time => self.far_time(*content, out),
            Value::Real(content) => real(*content, out),
            Value::String(content) | Value::EnumValue(content) => string(content, out),
            Value::Port(content) => number::integer(content.number, out),
            Value::Timestamp(content) => self.time(content.nanos(), out),
            Value::Timespan(content) => number_of_seconds(content.nanos(), out),
            Value::Address(content) => {
                out.push(b'"');
                number::address(*content, out);
                out.push(b'"');
            }
            Value::Subnet(content) => {
                out.push(b'"');
                number::subnet(*content, out);
                out.push(b'"');
            }
            Value::Set(set) => self.array(atom, set.as_slice(), out),
            Value::Vector(elements) => self.array(atom, elements, out),
            Value::Table(_) => debug_assert!(false, "a table fits no column"),
        }
    }

    fn array(self, atom: Atom, elements: &[Value], out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, element) in elements.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.value(atom, element, out);
        }
        out.push(b']');
    }

    fn time(self, nanos: i64, out: &mut Vec<u8>) {
        match self.times {
            Times::Epoch => number_of_seconds(nanos, out),
            Times::Millis => number::integer(nanos / 1_000_000, out),
            Times::Iso8601 => {
                // To the nearest microsecond, which may lie in the next second.
                let micros = nanos.div_euclid(1_000) + i64::from(nanos.rem_euclid(1_000) >= 500);
                date(
                    micros.div_euclid(1_000_000),
                    micros.rem_euclid(1_000_000),
                    out,
                );
            }
        }
    }

    /// Appends a time that nanoseconds do not reach.
    fn far_time(self, seconds: f64, out: &mut Vec<u8>) {
        let whole = seconds::integer(seconds.floor());
        match self.times {
            Times::Iso8601 if YEARS.contains(&whole) && !seconds.is_nan() => {
                let micros = seconds::integer(((seconds - seconds.floor()) * 1e6).round());
                date(whole, micros, out);
            }
            Times::Millis if seconds.abs() < 9e15 => {
                number::integer(seconds::integer((seconds * 1e3).round()), out);
            }
            Times::Epoch | Times::Millis | Times::Iso8601 => real(seconds, out),
        }
    }
}

/// Appends the number of seconds nearest to so many nanoseconds, with no more digits than name it.
fn number_of_seconds(nanos: i64, out: &mut Vec<u8>) {
    /// Below this no other number with six decimals, or fewer digits, has the same name: 2^32 seconds.
    const NANOS_PLAIN: u64 = (1 << 32) * 1_000_000_000;
    let size = nanos.unsigned_abs();
    if !size.is_multiple_of(1_000) || size >= NANOS_PLAIN {
        return real(seconds::from_nanos(nanos), out);
    }
    if nanos < 0 {
        out.push(b'-');
    }
    number::integer(size / 1_000_000_000, out);
    number::fraction(size / 1_000 % 1_000_000, out);
    number::trim_decimals(out);
}

/// Appends a number with no more digits than name it: `0.5`, `1e21`, `1.5e-7`; what is none as `null`.
/// The layout is rapidjson's: up to 21 digits before the point, and up to 5 zeros behind it.
fn real(real: f64, out: &mut Vec<u8>) {
    if !real.is_finite() {
        return out.extend_from_slice(b"null");
    }
    let size = real.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        return number::formatted(format_args!("{real:e}"), out);
    }
    // Rust writes all digits without an exponent, and no point behind a whole number.
    let start = out.len();
    number::formatted(format_args!("{real}"), out);
    if !out.get(start..).unwrap_or_default().contains(&b'.') {
        out.extend_from_slice(b".0");
    }
}

/// Appends a date and microseconds, in UTC.
fn date(seconds: i64, micros: i64, out: &mut Vec<u8>) {
    let date = Date::of(seconds);
    out.push(b'"');
    number::padded(date.year, 4, out);
    for (mark, part) in [
        (b'-', date.month),
        (b'-', date.day),
        (b'T', date.hour),
        (b':', date.minute),
        (b':', date.second),
    ] {
        out.push(mark);
        number::padded(part, 2, out);
    }
    number::fraction(micros.unsigned_abs(), out);
    out.extend_from_slice(b"Z\"");
}

/// Does the byte stand in a string as it is?
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| !is_plain(*byte)) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        rest = escape(special, out);
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends what stands for the first bytes, which are not plain. Gives back what follows them.
fn escape<'a>(special: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let beyond = special.iter().take_while(|byte| !byte.is_ascii()).count();
    let (run, after) = special
        .split_at_checked(beyond.max(1))
        .unwrap_or((special, &[]));
    match run {
        b"\"" => out.extend_from_slice(b"\\\""),
        // As if it were no character: else the reader would take what follows for one.
        b"\\" if is_byte(after) => text::hex(BYTE, run, out),
        b"\\" => out.extend_from_slice(b"\\\\"),
        b"\x08" => out.extend_from_slice(b"\\b"),
        b"\x0c" => out.extend_from_slice(b"\\f"),
        b"\n" => out.extend_from_slice(b"\\n"),
        b"\r" => out.extend_from_slice(b"\\r"),
        b"\t" => out.extend_from_slice(b"\\t"),
        run if beyond > 0 => text::beyond_ascii(BYTE, run, out),
        run => text::hex(BYTE, run, out),
    }
    after
}

/// Would a backslash in front of this be read as a byte?
fn is_byte(text: &[u8]) -> bool {
    let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    matches!(text, [b'x', high, low, ..] if digit(high) && digit(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Set, Timespan, Timestamp};
    use crate::logging::{Column, Schema};

    fn written(format: Format, text: &str, value: Value) -> String {
        let column = Column::new("x", text.parse().unwrap(), true).unwrap();
        let schema = Schema::new(vec![column]).unwrap();
        let values = [value];
        let mut out = Vec::new();
        format.record(schema.record(&values).unwrap(), &mut out);
        let line = String::from_utf8(out).unwrap();
        let inside = line.strip_prefix("{\"x\":");
        let inside = inside.and_then(|rest| rest.strip_suffix("}\n"));
        inside.unwrap_or(&line).to_owned()
    }

    #[test]
    fn fields_are_written_as_zeek_writes_them() {
        let span = |nanos| Value::Timespan(Timespan::from_nanos(nanos));
        let set: Set = [Value::from("b"), Value::from("a")].into_iter().collect();
        for (text, value, expected) in [
            ("bool", Value::from(true), "true"),
            ("int", Value::from(-5_i64), "-5"),
            ("count", Value::from(u64::MAX), "18446744073709551615"),
            (
                "double",
                Value::from(0.139_740_874_205_705_16),
                "0.13974087420570516",
            ),
            ("double", Value::from(-0.0), "-0.0"),
            ("double", Value::from(42.0), "42.0"),
            ("double", Value::from(1e20), "100000000000000000000.0"),
            ("double", Value::from(1e21), "1e21"),
            ("double", Value::from(0.000_001_5), "0.0000015"),
            (
                "double",
                Value::from(1.192_092_895_507_812_5e-7),
                "1.1920928955078125e-7",
            ),
            ("double", Value::from(f64::NAN), "null"),
            ("interval", span(60_000_000_000), "60.0"),
            ("interval", span(-870_000), "-0.00087"),
            ("interval", span(119), "1.19e-7"),
            (
                "string",
                Value::from("a\"b\\c\n\u{b}\u{7f}é"),
                r#""a\"b\\c\n\\x0b\\x7fé""#,
            ),
            ("string", Value::from(&b"\xffx"[..]), r#""\\xffx""#),
            ("string", Value::from("\\x00\\xAB"), r#""\\x5cx00\\xAB""#),
            ("port", Value::Port("53/udp".parse().unwrap()), "53"),
            (
                "addr",
                Value::Address("10.0.0.1".parse().unwrap()),
                "\"10.0.0.1\"",
            ),
            (
                "subnet",
                Value::Subnet("10.0.0.0/8".parse().unwrap()),
                "\"10.0.0.0/8\"",
            ),
            ("set[string]", Value::Set(set), r#"["a","b"]"#),
            ("vector[count]", Value::Vector(vec![]), "[]"),
            ("count", Value::None, "{}\n"),
        ] {
            assert_eq!(written(Format::default(), text, value), expected);
        }
        let format = Format {
            unset_fields: true,
            ..Format::default()
        };
        assert_eq!(written(format, "count", Value::None), "null");
    }

    #[test]
    fn times_are_written_in_the_way_that_was_asked_for() {
        let all = |value: Value| {
            [Times::Epoch, Times::Millis, Times::Iso8601].map(|times| {
                let format = Format {
                    times,
                    unset_fields: false,
                };
                written(format, "time", value.clone())
            })
        };
        let time = |nanos| all(Value::Timestamp(Timestamp::from_nanos(nanos)));
        assert_eq!(
            time(1_521_911_780_600_725_000),
            [
                "1521911780.600725",
                "1521911780600",
                "\"2018-03-24T17:16:20.600725Z\""
            ]
        );
        assert_eq!(
            time(-1_418_429_426_887_384_000),
            [
                "-1418429426.887384",
                "-1418429426887",
                "\"1925-01-19T23:49:33.112616Z\""
            ]
        );
        assert_eq!(time(999_999_999)[2], "\"1970-01-01T00:00:01.000000Z\"");
        assert_eq!(
            all(Value::Real(253_402_300_799.0)),
            [
                "253402300799.0",
                "253402300799000",
                "\"9999-12-31T23:59:59.000000Z\""
            ]
        );
        assert_eq!(all(Value::Real(1e300)), ["1e300"; 3]);
        // Numbers as large lie further apart than microseconds: the nearest one is written.
        assert_eq!(
            all(Value::Real(-17_475_374_559.399)),
            [
                "-17475374559.399",
                "-17475374559399",
                "\"1416-03-24T17:17:20.601002Z\""
            ]
        );
        assert_eq!(all(Value::Real(f64::NAN)), ["null"; 3]);
    }
}

//! Values in Broker's own notation, for logs and for people: `nil`, `T`, `42`, `{a, b}`,
//! `{key -> value}`, `(1, 2)`.

use std::fmt::{self, Display, Formatter, Write};

use super::Value;

/// Writes items between two brackets, with commas.
fn row<T>(
    f: &mut Formatter<'_>,
    (open, close): (char, char),
    items: &[T],
    show: impl Fn(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_char(open)?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        show(f, item)?;
    }
    f.write_char(close)
}

/// Writes bytes as text; what is not UTF-8 becomes U+FFFD.
fn text(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str(&String::from_utf8_lossy(bytes))
}

/// Writes a number as C's `%f` does: six decimals, `inf`, `-inf`, `nan`.
pub(super) fn real(out: &mut impl Write, real: f64) -> fmt::Result {
    if real.is_nan() {
        out.write_str("nan")
    } else {
        write!(out, "{real:.6}")
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nil"),
            Self::Boolean(content) => f.write_char(if *content { 'T' } else { 'F' }),
            Self::Count(content) => content.fmt(f),
            Self::Integer(content) => content.fmt(f),
            Self::Real(content) => real(f, *content),
            Self::String(content) | Self::EnumValue(content) => text(f, content),
            Self::Address(content) => content.fmt(f),
            Self::Subnet(content) => content.fmt(f),
            Self::Port(content) => content.fmt(f),
            Self::Timestamp(content) => content.fmt(f),
            Self::Timespan(content) => content.fmt(f),
            Self::Set(content) => row(f, ('{', '}'), content.as_slice(), |f, item| item.fmt(f)),
            Self::Table(content) => row(f, ('{', '}'), content.as_slice(), |f, (key, value)| {
                write!(f, "{key} -> {value}")
            }),
            Self::Vector(content) => row(f, ('(', ')'), content, |f, item| item.fmt(f)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Set, Table, Timespan};

    #[test]
    fn every_kind_of_value_has_its_notation() {
        let table: Table = [(Value::from(1_u64), Value::from("one"))]
            .into_iter()
            .collect();
        let set: Set = [Value::from(true), Value::None].into_iter().collect();
        let value = Value::Vector(vec![
            Value::Set(set),
            Value::Table(table),
            Value::from(-7_i64),
            Value::from(12.48),
            Value::from(f64::NEG_INFINITY),
            Value::from(-f64::NAN),
            Value::Timespan(Timespan::from_nanos(1500)),
            Value::enum_value("Conn::LOG"),
            Value::Vector(Vec::new()),
        ]);
        assert_eq!(
            value.to_string(),
            "({nil, T}, {1 -> one}, -7, 12.480000, -inf, nan, 1500ns, Conn::LOG, ())"
        );
    }
}

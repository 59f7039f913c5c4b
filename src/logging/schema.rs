//! The columns of a log, and rows that fit them.

use serde::{Deserialize, Serialize};

use crate::data::{Kind, Value};

use super::{Atom, Type};

/// The most columns that a log may have. Zeek's widest has about 60.
pub const COLUMNS_MAX: usize = 1024;

/// The longest name of a column, in bytes.
const COLUMN_NAME_BYTES_MAX: usize = 255;

/// One column of a log: Zeek's `threading::Field`. It travels as name, type and whether it is optional,
/// and is checked where it comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(String, Type, bool)", into = "(String, Type, bool)")]
pub struct Column {
    name: String,
    type_: Type,
    optional: bool,
}

/// The columns of a log: at least one, and no two of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Column>", into = "Vec<Column>")]
pub struct Schema {
    columns: Vec<Column>,
}

/// A row of values that fits a schema, one for each column.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    schema: &'a Schema,
    values: &'a [Value],
}

/// Columns that are none. The fault of who declared them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A name that does not stand in a header.
    #[error(
        "\"{name}\" is no name of a column; it takes 1 to {COLUMN_NAME_BYTES_MAX} letters, digits and any of _.:$-@/[]"
    )]
    Name {
        /// The name; of a long one the beginning.
        name: String,
    },
    /// Two columns of one name.
    #[error("two columns are named \"{name}\"")]
    Duplicate {
        /// Their name.
        name: String,
    },
    /// None, or too many.
    #[error("a log of {count} columns; it takes 1 to {COLUMNS_MAX}")]
    Count {
        /// How many.
        count: usize,
    },
}

/// A row that does not fit its schema. The fault of who wrote it; Zeek does not look, and loses the
/// writer's thread over it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Another number of values than of columns.
    #[error("the record has {got} fields, its log {wanted}")]
    Fields {
        /// How many it has.
        got: usize,
        /// How many there must be.
        wanted: usize,
    },
    /// A value of another type.
    #[error("column \"{column}\" takes {wanted}, but the field is of kind {got}")]
    Type {
        /// The column's name.
        column: String,
        /// Its type.
        wanted: Type,
        /// What the value is.
        got: Kind,
    },
    /// An element of another type, or an unset one.
    #[error("column \"{column}\" takes elements of type {wanted}, but one is of kind {got}")]
    Element {
        /// The column's name.
        column: String,
        /// The type of its elements.
        wanted: Atom,
        /// What the element is.
        got: Kind,
    },
    /// No value where there must be one.
    #[error("column \"{column}\" of type {wanted} is not optional, but the field is unset")]
    Unset {
        /// The column's name.
        column: String,
        /// Its type.
        wanted: Type,
    },
}

impl Column {
    /// A column. Its name takes letters, digits and any of `_.:$-@/[]`: what Zeek's names are made of,
    /// and nothing that a header could mistake for a separator.
    ///
    /// # Errors
    /// [`SchemaError::Name`].
    pub fn new(name: impl Into<String>, type_: Type, optional: bool) -> Result<Self, SchemaError> {
        let name = name.into();
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:$-@/[]".contains(&byte);
        if name.is_empty() || name.len() > COLUMN_NAME_BYTES_MAX || !name.bytes().all(fine) {
            let name = name.chars().take(64).collect();
            return Err(SchemaError::Name { name });
        }
        Ok(Self {
            name,
            type_,
            optional,
        })
    }

    /// Its name, such as `id.orig_h`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it holds.
    #[must_use]
    pub const fn type_(&self) -> Type {
        self.type_
    }

    /// May a field of it be unset? Zeek's `&optional`. The header of a log file does not say it.
    #[must_use]
    pub const fn is_optional(&self) -> bool {
        self.optional
    }

    fn check(&self, value: &Value) -> Result<(), RecordError> {
        let got = value.kind();
        match (self.type_, value) {
            (_, Value::None) if self.optional => Ok(()),
            (wanted, Value::None) => Err(RecordError::Unset {
                column: self.name.clone(),
                wanted,
            }),
            (Type::Atom(atom), value) if atom.fits(value) => Ok(()),
            (Type::Set(atom), Value::Set(set)) => self.check_elements(atom, set.as_slice()),
            (Type::Vector(atom), Value::Vector(elements)) => self.check_elements(atom, elements),
            (wanted, _) => Err(RecordError::Type {
                column: self.name.clone(),
                wanted,
                got,
            }),
        }
    }

    fn check_elements(&self, wanted: Atom, elements: &[Value]) -> Result<(), RecordError> {
        match elements.iter().find(|element| !wanted.fits(element)) {
            None => Ok(()),
            Some(element) => Err(RecordError::Element {
                column: self.name.clone(),
                wanted,
                got: element.kind(),
            }),
        }
    }
}

impl TryFrom<(String, Type, bool)> for Column {
    type Error = SchemaError;

    fn try_from((name, type_, optional): (String, Type, bool)) -> Result<Self, SchemaError> {
        Self::new(name, type_, optional)
    }
}

impl From<Column> for (String, Type, bool) {
    fn from(column: Column) -> Self {
        (column.name, column.type_, column.optional)
    }
}

impl TryFrom<Vec<Column>> for Schema {
    type Error = SchemaError;

    fn try_from(columns: Vec<Column>) -> Result<Self, SchemaError> {
        Self::new(columns)
    }
}

impl From<Schema> for Vec<Column> {
    fn from(schema: Schema) -> Self {
        schema.columns
    }
}

impl Schema {
    /// A log of these columns, in this order.
    ///
    /// # Errors
    /// [`SchemaError::Count`] and [`SchemaError::Duplicate`].
    pub fn new(columns: Vec<Column>) -> Result<Self, SchemaError> {
        if !(1..=COLUMNS_MAX).contains(&columns.len()) {
            let count = columns.len();
            return Err(SchemaError::Count { count });
        }
        let mut names: Vec<&str> = columns.iter().map(Column::name).collect();
        names.sort_unstable();
        if let Some(name) = names.windows(2).find_map(|pair| match pair {
            [a, b] if a == b => Some((*a).to_owned()),
            _ => None,
        }) {
            return Err(SchemaError::Duplicate { name });
        }
        Ok(Self { columns })
    }

    /// Its columns in order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// A row of this log.
    ///
    /// # Errors
    /// [`RecordError`] says which column the row does not fit, and why.
    pub fn record<'a>(&'a self, values: &'a [Value]) -> Result<Record<'a>, RecordError> {
        if values.len() != self.columns.len() {
            return Err(RecordError::Fields {
                got: values.len(),
                wanted: self.columns.len(),
            });
        }
        for (column, value) in self.columns.iter().zip(values) {
            column.check(value)?;
        }
        Ok(self.checked(values))
    }

    /// A row that was checked before.
    pub(super) const fn checked<'a>(&'a self, values: &'a [Value]) -> Record<'a> {
        Record {
            schema: self,
            values,
        }
    }
}

impl<'a> Record<'a> {
    /// The columns that it fits.
    #[must_use]
    pub const fn schema(self) -> &'a Schema {
        self.schema
    }

    /// Its fields in order.
    #[must_use]
    pub const fn values(self) -> &'a [Value] {
        self.values
    }

    /// The field in the column of this name. It looks at one name after the other.
    #[must_use]
    pub fn field(self, name: &str) -> Option<&'a Value> {
        let mut fields = self.fields();
        fields
            .find(|(column, _)| column.name() == name)
            .map(|(_, value)| value)
    }

    /// Each column with its field.
    pub fn fields(self) -> impl Iterator<Item = (&'a Column, &'a Value)> {
        self.schema.columns.iter().zip(self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Set;

    fn schema(columns: &[(&str, &str, bool)]) -> Schema {
        let columns = columns
            .iter()
            .map(|(name, text, optional)| Column::new(*name, text.parse().unwrap(), *optional));
        Schema::new(columns.collect::<Result<_, _>>().unwrap()).unwrap()
    }

    #[test]
    fn a_row_that_does_not_fit_is_refused_with_its_column() {
        let schema = schema(&[("n", "count", false), ("tags", "set[string]", true)]);
        let said = |values: &[Value]| schema.record(values).unwrap_err().to_string();
        let tags = |value: Value| Value::Set(Set::from_iter([value]));
        assert!(schema.record(&[Value::from(1_u64), Value::None]).is_ok());
        assert!(
            schema
                .record(&[Value::from(1_u64), tags(Value::from("a"))])
                .is_ok()
        );
        assert_eq!(said(&[]), "the record has 0 fields, its log 2");
        assert_eq!(
            said(&[Value::None, Value::None]),
            "column \"n\" of type count is not optional, but the field is unset"
        );
        assert_eq!(
            said(&[Value::from(-1_i64), Value::None]),
            "column \"n\" takes count, but the field is of kind integer"
        );
        assert_eq!(
            said(&[Value::from(1_u64), Value::Vector(vec![])]),
            "column \"tags\" takes set[string], but the field is of kind vector"
        );
        assert_eq!(
            said(&[Value::from(1_u64), tags(Value::from(1_u64))]),
            "column \"tags\" takes elements of type string, but one is of kind count"
        );
        assert_eq!(
            said(&[Value::from(1_u64), tags(Value::None)]),
            "column \"tags\" takes elements of type string, but one is of kind none"
        );
    }

    #[test]
    fn columns_have_names_of_their_own() {
        let column = |name: &str| Column::new(name, Type::Atom(Atom::Count), false);
        for name in ["", "a b", "a\tb", "a,b", "é", &"x".repeat(256)] {
            assert!(
                matches!(column(name), Err(SchemaError::Name { .. })),
                "{name}"
            );
        }
        let twice = vec![
            column("a").unwrap(),
            column("b").unwrap(),
            column("a").unwrap(),
        ];
        let name = "a".to_owned();
        assert_eq!(Schema::new(twice), Err(SchemaError::Duplicate { name }));
        assert_eq!(Schema::new(vec![]), Err(SchemaError::Count { count: 0 }));
        let many = (0..=COLUMNS_MAX).map(|index| column(&format!("c{index}")).unwrap());
        let count = COLUMNS_MAX + 1;
        assert_eq!(
            Schema::new(many.collect()),
            Err(SchemaError::Count { count })
        );
    }
}

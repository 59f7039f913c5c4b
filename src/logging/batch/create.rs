//! The columns of a log in Broker's LogCreate message.

use crate::data::Value;
use crate::logging::{Column, NotAType, Schema, SchemaError, Type};

/// Fields of a LogCreate message that are no columns. The sender's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// Something else than a row of rows: name, second name, type, type of elements, optional.
    #[error("the fields of a log are no rows of name, second name, two types and a truth value")]
    Shape,
    /// A type that no column has.
    #[error("a field of a log has a type that is not written")]
    Type(#[from] NotAType),
    /// No columns.
    #[error("the fields of a log are no columns")]
    Schema(#[from] SchemaError),
}

/// The columns as a LogCreate message has them, in its `fields`.
#[must_use]
pub fn to_fields(schema: &Schema) -> Value {
    let field = |column: &Column| {
        Value::Vector(vec![
            Value::from(column.name()),
            Value::None,
            Value::Count(column.type_().tag().into()),
            Value::Count(column.type_().subtag().into()),
            Value::Boolean(column.is_optional()),
        ])
    };
    Value::Vector(schema.columns().iter().map(field).collect())
}

/// The columns that the `fields` of a LogCreate message are. Second names are not looked at.
///
/// # Errors
/// [`FieldsError`] says what is wrong.
pub fn from_fields(fields: &Value) -> Result<Schema, FieldsError> {
    let fields = fields.as_vector().ok_or(FieldsError::Shape)?;
    let columns: Result<Vec<Column>, FieldsError> = fields.iter().map(column).collect();
    Ok(Schema::new(columns?)?)
}

fn column(field: &Value) -> Result<Column, FieldsError> {
    let Some(
        [
            Value::String(name),
            _,
            Value::Count(tag),
            Value::Count(subtag),
            Value::Boolean(optional),
        ],
    ) = field.as_vector()
    else {
        return Err(FieldsError::Shape);
    };
    let narrow = |tag: u64| u32::try_from(tag).unwrap_or(u32::MAX);
    let type_ = Type::from_tags(narrow(*tag), narrow(*subtag)).ok_or_else(|| NotAType {
        text: format!("{tag}[{subtag}]"),
    })?;
    let name = String::from_utf8_lossy(name).into_owned();
    Ok(Column::new(name, type_, *optional)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::Atom;

    fn field(name: &str, tag: u64, subtag: u64) -> Value {
        let tags = [Value::Count(tag), Value::Count(subtag), Value::from(true)];
        let names = [Value::from(name), Value::None];
        Value::Vector(names.into_iter().chain(tags).collect())
    }

    #[test]
    fn columns_survive_an_announcement() {
        let column = |name: &str, type_, optional| Column::new(name, type_, optional).unwrap();
        let columns = vec![
            column("ts", Type::Atom(Atom::Time), false),
            column("tags", Type::Set(Atom::String), true),
        ];
        let schema = Schema::new(columns).unwrap();
        assert_eq!(from_fields(&to_fields(&schema)), Ok(schema));
    }

    #[test]
    fn what_announces_no_columns_is_refused() {
        let refused = |fields: Vec<Value>| from_fields(&Value::Vector(fields)).unwrap_err();
        assert_eq!(from_fields(&Value::None), Err(FieldsError::Shape));
        assert_eq!(refused(vec![Value::from("ts")]), FieldsError::Shape);
        assert_eq!(refused(vec![Value::Vector(vec![])]), FieldsError::Shape);
        assert_eq!(
            refused(vec![field("x", 8, 0)]),
            FieldsError::Type(NotAType {
                text: "8[0]".into()
            })
        );
        let large = 1 << 32 | 5;
        assert!(matches!(
            refused(vec![field("x", large, 0)]),
            FieldsError::Type(_)
        ));
        assert!(matches!(refused(vec![]), FieldsError::Schema(_)));
        assert!(matches!(
            refused(vec![field("", 5, 0)]),
            FieldsError::Schema(_)
        ));
    }
}

//! Rust types as records.

use serde::Serialize;

use crate::data::Value;
use crate::data::typed::to_value;
use crate::logging::{Schema, Type};

use super::RowError;

/// The fields of a struct, for a log of these columns. Those of a struct inside it stand in its place, as
/// a record's do in Zeek: `id.orig_h`. Which value a type becomes is [`typed`](crate::data::typed)'s to
/// say.
///
/// # Errors
/// [`RowError`]; whether the fields fit is not looked at.
pub(super) fn row<T>(schema: &Schema, content: &T) -> Result<Vec<Value>, RowError>
where
    T: Serialize + ?Sized,
{
    let Value::Vector(fields) = to_value(content)? else {
        return Err(RowError::NoStruct);
    };
    let mut row = Vec::with_capacity(schema.columns().len());
    spread(schema, fields, &mut row);
    Ok(row)
}

/// A vector stands for a struct where the column takes none.
fn spread(schema: &Schema, fields: Vec<Value>, row: &mut Vec<Value>) {
    for field in fields {
        let column = schema.columns().get(row.len());
        let takes_vector = column.is_some_and(|it| matches!(it.type_(), Type::Vector(_)));
        match (field, takes_vector) {
            (Value::Vector(inner), false) => spread(schema, inner, row),
            (field, _) => row.push(field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::Column;

    #[derive(Serialize)]
    struct Id {
        orig_p: u64,
        resp_p: u64,
    }

    #[derive(Serialize)]
    struct Conn {
        id: Id,
        history: Vec<String>,
        note: Option<&'static str>,
    }

    fn schema(columns: &[(&str, &str)]) -> Schema {
        let columns = columns
            .iter()
            .map(|(name, text)| Column::new(*name, text.parse().unwrap(), true).unwrap());
        Schema::new(columns.collect()).unwrap()
    }

    #[test]
    fn a_struct_inside_a_struct_is_as_many_columns_and_a_vector_is_one() {
        let schema = schema(&[
            ("id.orig_p", "count"),
            ("id.resp_p", "count"),
            ("history", "vector[string]"),
            ("note", "string"),
        ]);
        let conn = Conn {
            id: Id {
                orig_p: 1,
                resp_p: 2,
            },
            history: vec!["S".to_owned()],
            note: None,
        };
        let expected = [
            Value::from(1_u64),
            Value::from(2_u64),
            Value::Vector(vec![Value::from("S")]),
            Value::None,
        ];
        let row = row(&schema, &conn).unwrap();
        assert_eq!(row, expected);
        assert!(schema.record(&row).is_ok());
    }

    #[test]
    fn what_is_no_struct_is_no_record() {
        let schema = schema(&[("n", "count")]);
        assert_eq!(row(&schema, &1_u64), Err(RowError::NoStruct));
        let huge = row(&schema, &(1_u128,)).unwrap_err();
        assert!(matches!(huge, RowError::Value(_)), "{huge}");
    }
}

//! Rust types into values.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::TypedError;
use super::marks::{SET, VALUE};
use crate::data::binary::decode;
use crate::data::{Set, Table, Value};

/// The value of a Rust type, after the table in [`typed`](super).
///
/// # Errors
/// [`TypedError`] if the type holds what no value can, such as an integer of 128 bits.
pub fn to_value<T: Serialize + ?Sized>(content: &T) -> Result<Value, TypedError> {
    content.serialize(ToValue)
}

/// Makes one value.
struct ToValue;

impl Serializer for ToValue {
    type Ok = Value;
    type Error = TypedError;
    type SerializeSeq = Row;
    type SerializeTuple = Row;
    type SerializeTupleStruct = Row;
    type SerializeTupleVariant = Row;
    type SerializeMap = Entries;
    type SerializeStruct = Row;
    type SerializeStructVariant = Row;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, content: bool) -> Result<Value, TypedError> {
        Ok(content.into())
    }

    fn serialize_i8(self, content: i8) -> Result<Value, TypedError> {
        self.serialize_i64(content.into())
    }

    fn serialize_i16(self, content: i16) -> Result<Value, TypedError> {
        self.serialize_i64(content.into())
    }

    fn serialize_i32(self, content: i32) -> Result<Value, TypedError> {
        self.serialize_i64(content.into())
    }

    fn serialize_i64(self, content: i64) -> Result<Value, TypedError> {
        Ok(content.into())
    }

    fn serialize_u8(self, content: u8) -> Result<Value, TypedError> {
        self.serialize_u64(content.into())
    }

    fn serialize_u16(self, content: u16) -> Result<Value, TypedError> {
        self.serialize_u64(content.into())
    }

    fn serialize_u32(self, content: u32) -> Result<Value, TypedError> {
        self.serialize_u64(content.into())
    }

    fn serialize_u64(self, content: u64) -> Result<Value, TypedError> {
        Ok(content.into())
    }

    fn serialize_f32(self, content: f32) -> Result<Value, TypedError> {
        self.serialize_f64(content.into())
    }

    fn serialize_f64(self, content: f64) -> Result<Value, TypedError> {
        Ok(content.into())
    }

    fn serialize_char(self, content: char) -> Result<Value, TypedError> {
        Ok(content.to_string().into())
    }

    fn serialize_str(self, content: &str) -> Result<Value, TypedError> {
        Ok(content.into())
    }

    fn serialize_bytes(self, content: &[u8]) -> Result<Value, TypedError> {
        Ok(content.into())
    }

    fn serialize_none(self) -> Result<Value, TypedError> {
        Ok(Value::None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, content: &T) -> Result<Value, TypedError> {
        to_value(content)
    }

    fn serialize_unit(self) -> Result<Value, TypedError> {
        Ok(Value::None)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, TypedError> {
        Ok(Value::None)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, TypedError> {
        Ok(Value::enum_value(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        content: &T,
    ) -> Result<Value, TypedError> {
        match (name, to_value(content)?) {
            (VALUE, Value::String(bytes)) => Ok(decode(&bytes)?),
            (SET, Value::Vector(members)) => Ok(members.into_iter().collect::<Set>().into()),
            (_, value) => Ok(value),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        content: &T,
    ) -> Result<Value, TypedError> {
        let content = to_value(content)?;
        Ok(Value::Vector(vec![Value::enum_value(variant), content]))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Row, TypedError> {
        Ok(Row::default())
    }

    fn serialize_tuple(self, _: usize) -> Result<Row, TypedError> {
        Ok(Row::default())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Row, TypedError> {
        Ok(Row::default())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Row, TypedError> {
        Ok(Row(vec![Value::enum_value(variant)]))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries, TypedError> {
        Ok(Entries::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Row, TypedError> {
        Ok(Row::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Row, TypedError> {
        Ok(Row(vec![Value::enum_value(variant)]))
    }
}

/// The members of a vector so far.
#[derive(Default)]
struct Row(Vec<Value>);

impl Row {
    fn push<T: Serialize + ?Sized>(&mut self, member: &T) -> Result<(), TypedError> {
        self.0.push(to_value(member)?);
        Ok(())
    }
}

/// `serde` has a trait for each way to fill a row; they differ in the method's name, and in that the
/// fields of a struct have names and may be left out.
macro_rules! fill {
    ($($trait:ident::$method:ident;)*) => {$(
        impl $trait for Row {
            type Ok = Value;
            type Error = TypedError;

            fn $method<T: Serialize + ?Sized>(&mut self, member: &T) -> Result<(), TypedError> {
                self.push(member)
            }

            fn end(self) -> Result<Value, TypedError> {
                Ok(Value::Vector(self.0))
            }
        }
    )*};
    (fields: $($trait:ident),*) => {$(
        impl $trait for Row {
            type Ok = Value;
            type Error = TypedError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _: &'static str,
                field: &T,
            ) -> Result<(), TypedError> {
                self.push(field)
            }

            /// Fields are told by their place, so one that is left out keeps it.
            fn skip_field(&mut self, _: &'static str) -> Result<(), TypedError> {
                self.0.push(Value::None);
                Ok(())
            }

            fn end(self) -> Result<Value, TypedError> {
                Ok(Value::Vector(self.0))
            }
        }
    )*};
}

fill! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleStruct::serialize_field;
    SerializeTupleVariant::serialize_field;
}
fill!(fields: SerializeStruct, SerializeStructVariant);

/// The entries of a table so far, and a key that waits for its value.
#[derive(Default)]
struct Entries {
    entries: Vec<(Value, Value)>,
    key: Value,
}

impl SerializeMap for Entries {
    type Ok = Value;
    type Error = TypedError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), TypedError> {
        self.key = to_value(key)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), TypedError> {
        let key = std::mem::take(&mut self.key);
        self.entries.push((key, to_value(value)?));
        Ok(())
    }

    fn end(self) -> Result<Value, TypedError> {
        Ok(self.entries.into_iter().collect::<Table>().into())
    }
}

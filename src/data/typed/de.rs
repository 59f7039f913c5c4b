//! Values into Rust types, read where they lie.

use serde::de::value::BorrowedBytesDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::TypedError;
use super::marks::{SET, VALUE};
use super::variants::Variant;
use crate::data::binary::encode;
use crate::data::{Entries, Items, Kind, Parts, Value, View};

/// A Rust type from the bytes of a value, after the table in [`typed`](super). Text and bytes can be
/// borrowed from them.
///
/// # Errors
/// [`TypedError`] says what was expected and what was there.
pub fn from_view<'de, T: Deserialize<'de>>(view: View<'de>) -> Result<T, TypedError> {
    T::deserialize(FromView(view))
}

/// A Rust type from a value, after the table in [`typed`](super).
///
/// # Errors
/// [`TypedError`] says what was expected and what was there.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, TypedError> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes);
    from_view(View::parse(&bytes)?)
}

/// Reads one value.
#[derive(Clone, Copy)]
pub(super) struct FromView<'de>(pub(super) View<'de>);

impl<'de> FromView<'de> {
    /// What a type that wants something else is told.
    fn refuse<T>(self, visitor: &impl Visitor<'de>) -> Result<T, TypedError> {
        let found = Unexpected::Other(self.0.kind().name());
        Err(TypedError::invalid_type(found, visitor))
    }

    /// A vector, for whoever knows how long it should be.
    fn record<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        match self.0.as_vector() {
            Some(items) => visit_all(items, visitor),
            None => self.refuse(&visitor),
        }
    }
}

/// Visits the members of a container, and refuses if some are left: the sender's record has fields
/// that the type does not know.
pub(super) fn visit_all<'de, V: Visitor<'de>>(
    items: Items<'de>,
    visitor: V,
) -> Result<V::Value, TypedError> {
    let length = items.len();
    let mut row = Row(items);
    let visited = visitor.visit_seq(&mut row)?;
    let left = row.0.len();
    if left > 0 {
        let known = length.saturating_sub(left);
        let message = format_args!("{length} members where {known} are known");
        return Err(TypedError::custom(message));
    }
    Ok(visited)
}

impl<'de> Deserializer<'de> for FromView<'de> {
    type Error = TypedError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        match self.0.parts() {
            Parts::None => visitor.visit_unit(),
            Parts::Boolean(content) => visitor.visit_bool(content),
            Parts::Count(content) => visitor.visit_u64(content),
            Parts::Integer(content) => visitor.visit_i64(content),
            Parts::Real(content) => visitor.visit_f64(content),
            Parts::String(content) => match std::str::from_utf8(content) {
                Ok(text) => visitor.visit_borrowed_str(text),
                Err(_) => visitor.visit_borrowed_bytes(content),
            },
            Parts::Table(entries) => visitor.visit_map(Pairs::new(entries)),
            Parts::Vector(items) => visit_all(items, visitor),
            Parts::Address(_)
            | Parts::Subnet(_)
            | Parts::Port(_)
            | Parts::Timestamp(_)
            | Parts::Timespan(_)
            | Parts::EnumValue(_)
            | Parts::Set(_) => self.refuse(&visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        match self.0.as_bytes() {
            Some(bytes) => visitor.visit_borrowed_bytes(bytes),
            None => self.refuse(&visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        if self.0.kind() == Kind::None {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        match (name, self.0.parts()) {
            (VALUE, _) => {
                visitor.visit_newtype_struct(BorrowedBytesDeserializer::new(self.0.bytes()))
            }
            (SET, Parts::Set(items)) => visitor.visit_newtype_struct(FromItems(items)),
            (SET, _) => self.refuse(&visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        if let Parts::Table(entries) = self.0.parts() {
            visitor.visit_map(Pairs::new(entries))
        } else {
            self.refuse(&visitor)
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        self.record(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        self.record(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        self.record(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        self.record(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        match Variant::of(self.0) {
            Some(variant) => visitor.visit_enum(variant),
            None => self.refuse(&visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct
        identifier
    }
}

/// Reads the members of a set as a sequence.
struct FromItems<'de>(Items<'de>);

impl<'de> Deserializer<'de> for FromItems<'de> {
    type Error = TypedError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        visit_all(self.0, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

/// Members, one after the other.
struct Row<'de>(Items<'de>);

impl<'de> SeqAccess<'de> for &mut Row<'de> {
    type Error = TypedError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, TypedError> {
        let next = self.0.next();
        next.map(|view| seed.deserialize(FromView(view)))
            .transpose()
    }

    /// No more than are there: each takes a byte at least.
    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// Entries, key and value in turn.
struct Pairs<'de> {
    entries: Entries<'de>,
    value: Option<View<'de>>,
}

impl<'de> Pairs<'de> {
    const fn new(entries: Entries<'de>) -> Self {
        let value = None;
        Self { entries, value }
    }
}

impl<'de> MapAccess<'de> for Pairs<'de> {
    type Error = TypedError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, TypedError> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(FromView(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, TypedError> {
        let value = self.value.take();
        let value =
            value.ok_or_else(|| TypedError::custom("a value was asked for before its key"))?;
        seed.deserialize(FromView(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}
